"""The scores of heads whose part is known because it was put in by hand."""

import pytest
import torch
from torch.testing import assert_close

from bigmodel_lib.heads import copying, prefix_matching, previous_token
from bigmodel_lib.models.attention_only import AttentionOnly

B, H, T = 2, 3, 11
PERIODS = torch.tensor([3, 5])


def looking_at(keys) -> torch.Tensor:
    """Weights (T, T) of 1 on keys[t]."""
    return torch.eye(T)[torch.as_tensor(keys)]


def test_previous_token_head():
    before = looking_at([max(0, t - 1) for t in range(T)])
    pattern = torch.stack([before, torch.eye(T), (before + torch.eye(T)) / 2]).expand(B, H, T, T)
    assert_close(previous_token(pattern), torch.tensor([1.0, 0.0, 0.5]))


def test_perfect_induction_head():
    heads = [looking_at([max(0, t - R + 1) for t in range(T)]) for R in PERIODS.tolist()]
    pattern = torch.stack(heads)[:, None].expand(B, H, T, T).clone()
    pattern[:, 1] = torch.eye(T)
    pattern[0, 2] = torch.eye(T)  # right in the second sequence only
    found = prefix_matching(pattern, PERIODS)
    queries = T - PERIODS
    assert_close(found, torch.tensor([1.0, 0.0, float(queries[1] / queries.sum())]))


def test_uniform_attention_scores_the_share_of_such_keys():
    pattern = torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]
    keys = {t: [s for s in range(1, t + 1) if (t - s + 1) % 3 == 0] for t in range(3, T)}
    expected = torch.tensor([len(found) / (t + 1) for t, found in keys.items()]).mean()
    found = prefix_matching(pattern.expand(1, 1, T, T), torch.tensor([3]))
    assert_close(found, expected[None])


def test_any_earlier_occurrence_counts():
    first = looking_at([t % 3 + 1 for t in range(T)])  # what followed the very first occurrence
    assert_close(prefix_matching(first.expand(1, 1, T, T), torch.tensor([3])), torch.ones(1))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="need weights"):
        previous_token(torch.ones(T, T))
    with pytest.raises(ValueError, match=r"need periods \(2,\)"):
        prefix_matching(torch.ones(B, H, T, T), torch.tensor([3]))
    with pytest.raises(ValueError, match="in 1 … 10"):
        prefix_matching(torch.ones(B, H, T, T), torch.tensor([3, T]))


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 1.0), (-1.0, -1.0)])
def test_a_head_that_hands_on_what_it_sees(sign, expected):
    model = AttentionOnly(7, 14, 1, 1, T)
    with torch.no_grad():
        model.layers[0].value.weight.copy_(torch.eye(14))
        model.layers[0].out.weight.copy_(sign * torch.eye(14))
        model.unembed.weight.copy_(model.embedding.weight)  # E Eᵀ has eigenvalues ≥ 0
    assert copying(model, 0, 0) == pytest.approx(expected, abs=1e-3)


def test_copying_reads_one_head_only():
    torch.manual_seed(0)
    model = AttentionOnly(7, 14, 2, 1, T)
    before = copying(model, 0, 0)
    with torch.no_grad():
        model.layers[0].value.weight[7:] += 1
    assert copying(model, 0, 0) == pytest.approx(before)
    with torch.no_grad():
        model.layers[0].value.weight[:7] += 1
    assert copying(model, 0, 0) != pytest.approx(before)


@pytest.mark.parametrize(("layer", "head"), [(1, 0), (0, 2), (-1, 0)])
def test_unknown_heads_are_refused(layer, head):
    with pytest.raises(ValueError, match=f"got {layer} and {head}"):
        copying(AttentionOnly(7, 14, 2, 1, T), layer, head)
