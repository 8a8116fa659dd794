"""Patches are cut row by row; the transformer sees them all."""

import pytest
import torch

from bigmodel_lib.models.vit import DigitViT, patches


def test_patches_hold_the_pixels_of_their_place():
    images = torch.arange(2 * 6 * 9).float().view(2, 1, 6, 9)
    cut = patches(images, 3)
    assert cut.shape == (2, 6, 9)
    for row in range(2):
        for column in range(3):
            square = images[1, 0, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
            assert torch.equal(cut[1, 3 * row + column], square.flatten())
    with pytest.raises(ValueError, match="divisible by 4"):
        patches(images, 4)


def test_every_patch_counts():
    torch.manual_seed(0)
    model, images = DigitViT(P=7, D=16, H=2, L=1), torch.randn(2, 1, 28, 28, requires_grad=True)
    scores = model(images)
    assert scores.shape == (2, 10)
    scores[0].sum().backward()
    reached = patches(images.grad.abs(), 7).sum(dim=2)
    assert (reached[0] > 0).all()
    assert (reached[1] == 0).all()  # the other image does not
