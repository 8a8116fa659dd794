"""The attention-only model against PyTorch's layer, and its scores as a sum over heads."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.attention_only import AttentionOnly, OpenAttention
from bigmodel_lib.models.positions import sinusoidal

# different primes; D = H · 14, even for the positions
B, T, V, H, D, L = 2, 7, 11, 3, 42, 2


def test_a_layer_is_what_pytorch_computes():
    torch.manual_seed(0)
    ours, x = OpenAttention(D, H, T), torch.randn(B, T, D)
    theirs = nn.MultiheadAttention(D, H, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat((ours.query.weight, ours.key.weight, ours.value.weight))
        )
        theirs.out_proj.weight.copy_(ours.out.weight)
    placed, later = x + sinusoidal(T, D), torch.ones(T, T, dtype=torch.bool).triu(1)
    expected, weights = theirs(placed, placed, x, attn_mask=later, average_attn_weights=False)
    kept = []
    ours.pattern.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    assert_close(ours(x).sum(dim=1), expected)
    assert_close(kept[0], weights)


def test_the_scores_are_a_sum_of_embedding_and_heads():
    torch.manual_seed(0)
    model, ids = AttentionOnly(V, D, H, L, T), torch.randint(V, (B, T))
    parts = [model.embedding(ids)]
    for layer in model.layers:
        layer.heads.register_forward_hook(lambda _m, _i, output: parts.extend(output.unbind(1)))
    logits = model(ids)
    assert len(parts) == 1 + L * H
    assert_close(logits, sum(model.unembed(part) for part in parts))


def test_nothing_leaks_from_the_future():
    model, ids = AttentionOnly(V, D, H, L, T), torch.randint(V, (B, T))
    changed = ids.clone()
    changed[:, 3:] = (ids[:, 3:] + 1) % V
    assert_close(model(ids)[:, :3], model(changed)[:, :3])
    assert not torch.allclose(model(ids)[:, 3:], model(changed)[:, 3:])


def test_values_do_not_know_their_place():
    """A sequence of one letter: wherever heads look, they find the same."""
    model = AttentionOnly(V, D, H, 1, T)
    logits = model(torch.full((1, T), 3))[0]
    assert_close(logits, logits[:1].expand(T, V))


@pytest.mark.parametrize(
    ("sizes", "match"),
    [((V, D, 4, L, T), "H=4"), ((V, D, H, 0, T), "L=0"), ((0, D, H, L, T), "V=0")],
)
def test_sizes_that_do_not_fit(sizes, match):
    with pytest.raises(ValueError, match=match):
        AttentionOnly(*sizes)
