"""Deletion and insertion curves."""

import pytest
import torch
from torch import nn

from bigmodel_lib.attribution import deletion_curve

CLASSES = torch.tensor([1, 0])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(35, 3)).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.rand(2, 1, 5, 7) * 2 - 1


def test_a_plain_loop_gives_the_same(model, images):
    ranking = torch.rand(2, 5, 7)
    found = deletion_curve(model, images, CLASSES, ranking, n=35)
    for image, label, row, curve in zip(images, CLASSES, ranking, found, strict=True):
        page = image.clone()
        for place, pixel in enumerate([None, *row.flatten().argsort(descending=True)]):
            if pixel is not None:
                page[0, pixel // 7, pixel % 7] = -1
            expected = model(page[None]).softmax(1)[0, label]
            torch.testing.assert_close(curve[place], expected)


def test_insertion_goes_from_blank_paper_to_the_image(model, images):
    ranking = torch.rand(2, 5, 7)
    deleted = deletion_curve(model, images, CLASSES, ranking, n=7)
    inserted = deletion_curve(model, images, CLASSES, ranking, n=7, insert=True)
    assert deleted.shape == inserted.shape == (2, 8)
    torch.testing.assert_close(inserted[:, -1], deleted[:, 0])
    torch.testing.assert_close(inserted[:, 0], deleted[:, -1])
    # what is inserted first to last is what a deletion leaves from last to first
    backwards = deletion_curve(model, images, CLASSES, -ranking, n=7)
    torch.testing.assert_close(inserted.flip(1), backwards)


def test_the_true_order_of_a_linear_score_is_the_best(images):
    """With one class against a fixed one, the probability falls fastest by w · ink."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(35, 2)).eval()
    with torch.no_grad():
        model[1].weight[0] = 0
    part = model[1].weight[1].detach().view(5, 7) * (images[:, 0] + 1)
    ones = torch.tensor([1, 1])
    best = deletion_curve(model, images, ones, part, n=35)
    for seed in range(5):
        other = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(seed))
        assert (best <= deletion_curve(model, images, ones, other, n=35) + 1e-6).all()


def test_what_does_not_fit_is_refused(model, images):
    with pytest.raises(ValueError, match="need a ranking"):
        deletion_curve(model, images, CLASSES, torch.rand(2, 7, 5))
    with pytest.raises(ValueError, match="n=0"):
        deletion_curve(model, images, CLASSES, torch.rand(2, 5, 7), n=0)
