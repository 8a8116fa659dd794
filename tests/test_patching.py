"""Recording and patching: what is put in comes out, and nothing stays behind."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.attention_only import AttentionOnly
from bigmodel_lib.models.vit import DigitViT
from bigmodel_lib.patching import in_head, part, patch, record, record_attention

# different primes; D = H · 14, even for the positions
B, T, V, H, D, L = 2, 7, 11, 3, 42, 2
HEADS = [f"layers.{layer}.heads" for layer in range(L)]


@pytest.fixture
def model() -> AttentionOnly:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AttentionOnly(V, D, H, L, T).double()


@pytest.fixture
def runs(model):
    """Two inputs, what every head writes for them, and the logits."""
    found = []
    for seed in (1, 2):
        ids = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(seed))
        with record(model, *HEADS, "embedding") as kept:
            logits = model(ids)
        found.append((ids, dict(kept), logits.detach()))
    return found


def test_what_is_recorded_is_what_was_put_out():
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    x = torch.randn(B, 3)
    with record(net, "0", "1") as kept:
        net(x)
    assert_close(kept["0"], net[0](x).detach())
    assert_close(kept["1"], net[0](x).relu().detach())
    assert not kept["0"].requires_grad


def test_everything_from_the_clean_run_gives_the_clean_logits(model, runs):
    (_, clean, wanted), (corrupted, _, _) = runs
    with patch(model, clean):
        assert torch.equal(model(corrupted), wanted)


def test_nothing_patched_gives_the_corrupted_logits(model, runs):
    (_, _, other), (corrupted, _, wanted) = runs
    with patch(model, {}):
        assert torch.equal(model(corrupted), wanted)
    assert not torch.allclose(other, wanted)


def test_a_head_of_the_last_layer_adds_its_difference(model, runs):
    (_, clean, _), (corrupted, before, logits) = runs
    with patch(model, {HEADS[1]: in_head(2, clean[HEADS[1]][:, 2])}):
        found = model(corrupted)
    difference = clean[HEADS[1]][:, 2] - before[HEADS[1]][:, 2]
    assert_close(found, logits + model.unembed(difference))


def test_a_head_at_zero_is_a_head_without_its_rows_of_W_O(model, runs):
    ids = runs[0][0]
    with patch(model, {HEADS[0]: in_head(1, torch.zeros(()))}):
        found = model(ids)
    d = D // H
    with torch.no_grad():
        model.layers[0].out.weight[:, d : 2 * d] = 0
    assert_close(found, model(ids))


def test_behind_the_with_the_model_is_as_it_was(model, runs):
    ids, _, logits = runs[0]
    with (
        pytest.raises(ZeroDivisionError),
        record(model, *HEADS),
        patch(model, {HEADS[0]: torch.neg}),
    ):
        raise ZeroDivisionError
    assert torch.equal(model(ids), logits)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_record_behind_a_patch_sees_what_the_patch_made(model, runs):
    ids = runs[0][0]
    with patch(model, {HEADS[0]: torch.zeros_like}), record(model, HEADS[0]) as kept:
        model(ids)
    assert not kept[HEADS[0]].any()


@pytest.mark.parametrize("asked", ["layers.2.heads", "heads"])
def test_unknown_parts_are_refused(model, asked):
    with pytest.raises(ValueError, match=rf"one of embedding, layers.*got '{asked}'"):
        part(model, asked)
    with pytest.raises(ValueError, match="got"), record(model, asked):
        pass
    with (
        pytest.raises(ValueError, match="got"),
        patch(model, {HEADS[0]: torch.neg, asked: torch.neg}),
    ):
        pass
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("head", [-1, H])
def test_unknown_heads_are_refused(model, runs, head):
    with (
        patch(model, {HEADS[0]: in_head(head, torch.zeros(()))}),
        pytest.raises(ValueError, match=f"need a head in 0 … 2, got {head}"),
    ):
        model(runs[0][0])


def test_another_shape_is_refused(model, runs):
    with (
        patch(model, {HEADS[0]: torch.zeros(B, H, T, D + 1)}),
        pytest.raises(ValueError, match=r"in the place of layers\.0\.heads"),
    ):
        model(runs[0][0])


def test_weights_of_every_attention_with_the_output_as_it_is():
    torch.manual_seed(0)
    vit, images = DigitViT(D=8, H=2, L=3), torch.rand(B, 1, 28, 28)
    with record_attention(vit) as weights:
        logits = vit(images)
    assert_close(logits, vit(images))
    assert [w.shape for w in weights] == [(B, 2, 16, 16)] * 3
    attention = vit.encoder.blocks[0].attention
    with record(vit, "encoder.blocks.0.norm_attention") as kept:
        vit(images)
    expected = attention(*kept.values(), need_weights=True)[1]
    assert_close(weights[0], expected.detach())


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match="Linear has none"), record_attention(nn.Linear(2, 2)):
        pass


def test_what_the_head_said_itself_is_left_alone(model, runs):
    """A record that comes before the patch keeps what it was given, not what became of it."""
    ids, before, _ = runs[0]
    edit = in_head(1, torch.zeros(()))
    with record(model, HEADS[0]) as kept, patch(model, {HEADS[0]: edit}):
        model(ids)
    assert torch.equal(kept[HEADS[0]], before[HEADS[0]])
