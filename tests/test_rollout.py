"""Rollout on attention whose answer is known, and deletion on a model that looks at one patch."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.vit import patches
from bigmodel_lib.rollout import deletion, rollout, without_patches

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


# --- deletion: images of 2 by 3 patches of 2 by 2 pixels

P = 2


def test_patches_are_counted_as_the_transformer_counts_them():
    images, gone = torch.rand(B, 1, 4, 6), torch.zeros(B, 6, dtype=torch.bool)
    gone[0, 4] = gone[1, 1] = True
    cut = patches(without_patches(images, gone, P), P)
    assert (cut[gone] == -1).all()
    assert torch.equal(cut[~gone], patches(images, P)[~gone])


class OnePatch(nn.Module):
    """Sure of class 1 while patch 4 is there, of class 0 without."""

    def forward(self, images):
        ink = patches(images, P)[:, 4].mean(1)
        return torch.stack((-ink, ink), 1) * 50


def test_deletion_falls_when_the_patch_goes():
    images = torch.ones(B, 1, 4, 6)
    for rank in range(6):
        importance = torch.zeros(B, 6)
        importance[:, :] = -torch.arange(6.0)
        importance[:, 4] = 0.5 - rank if rank < 5 else -9.0
        curve = deletion(OnePatch(), images, importance, P)
        before = rank + 1  # so many pictures still have the patch
        assert_close(curve, (torch.arange(7) < before).float())


def test_the_number_of_patches_is_checked():
    with pytest.raises(ValueError, match=r"need gone \(2, 6\)"):
        deletion(OnePatch(), torch.ones(B, 1, 4, 6), torch.zeros(B, 5), P)
