"""Rollout on attention whose answer is known, and patches on pixels."""

import pytest
import torch
from torch.testing import assert_close

from bigmodel_lib.models.vit import patches
from bigmodel_lib.rollout import on_pixels, rollout

B, H, T = 2, 3, 5


def some_weights(layers: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(B, H, T, T, generator=generator).softmax(-1) for _ in range(layers)]


def test_rows_sum_to_1():
    mixed = rollout(some_weights(3))
    assert mixed.shape == (B, T, T)
    assert_close(mixed.sum(-1), torch.ones(B, T))


def test_attention_to_oneself_is_the_identity():
    eye = torch.eye(T).expand(B, H, T, T)
    assert_close(rollout([eye] * 3), torch.eye(T).expand(B, T, T))


def test_two_layers_by_the_sum_over_all_paths():
    first, second = some_weights(2)
    a, b = first.mean(1), second.mean(1)
    expected = (torch.eye(T) + a + b + b @ a) / 4  # stays, in one layer, in the other, in both
    assert_close(rollout([first, second]), expected)


def test_layers_that_do_not_fit():
    with pytest.raises(ValueError, match=r"got \[\]"):
        rollout([])
    with pytest.raises(ValueError, match="all alike"):
        rollout([torch.ones(B, H, T, T), torch.ones(B, H, T, T + 1)])


def test_pixels_have_what_their_patch_has_as_the_transformer_counts_patches():
    P, scores = 2, torch.arange(12.0).view(B, 6)
    shown = on_pixels(scores, P, width=6)
    assert shown.shape == (B, 4, 6)
    cut = patches(shown[:, None], P)
    assert torch.equal(cut, scores[..., None].expand(B, 6, P * P))


@pytest.mark.parametrize(("T", "width"), [(5, 6), (6, 5), (6, 1)])
def test_patches_that_fill_no_image(T, width):
    with pytest.raises(ValueError, match=f"got {T} of 2 by 2 for a width of {width}"):
        on_pixels(torch.zeros(B, T), 2, width)
