"""Attribution methods against closed forms, against their definitions, and by their axioms."""

import itertools
import math
import warnings

import pytest
import torch
from torch import nn

from bigmodel_lib.attribution import METHODS, OnInk, attribute, fits, methods, patch_numbers, to_ink
from bigmodel_lib.attribution.methods import PATCH
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.vit import DigitViT

COMPLETE = ("input × gradient", "integrated gradients", "Shapley values")  # on a linear model


@pytest.fixture(scope="module")
def cnn():
    torch.manual_seed(0)
    model = DigitCNN()
    model(torch.randn(64, 1, 28, 28))  # batch norm learns what to expect
    return model.eval()


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1


CLASSES = torch.tensor([7, 2, 5])


def linear_model(h: int, w: int) -> tuple[nn.Module, torch.Tensor]:
    """A linear classifier, and its weights in score per unit of ink (C, h, w)."""
    torch.manual_seed(2)
    layer = nn.Linear(h * w, 11)
    return nn.Sequential(nn.Flatten(), layer).eval(), 2 * layer.weight.detach().view(11, h, w)


def test_a_linear_model_has_closed_forms():
    model, w = linear_model(13, 11)
    images = torch.rand(3, 1, 13, 11) * 2 - 1
    ink, w = to_ink(images)[:, 0], w[CLASSES]
    expected = {
        "saliency": w.abs(),
        "input × gradient": w * ink,
        "integrated gradients": w * ink,
    }
    for method, values in expected.items():
        torch.testing.assert_close(attribute(model, images, CLASSES, method), values)
    players = patch_numbers(13, 11)
    shapley = attribute(model, images, CLASSES, "Shapley values")
    for player in players.unique():
        of_patch = (w * ink)[:, players == player].sum(1)
        torch.testing.assert_close(shapley[:, players == player].sum(1), of_patch)


def test_occlusion_of_a_linear_model_is_the_mean_over_the_windows_that_cover_a_pixel():
    model, w = linear_model(12, 10)
    images = torch.rand(3, 1, 12, 10) * 2 - 1
    part = w[CLASSES] * to_ink(images)[:, 0]
    total, count = torch.zeros_like(part), torch.zeros(12, 10)
    for top, left in itertools.product(range(0, 9, 2), range(0, 7, 2)):
        window = slice(top, top + 4), slice(left, left + 4)
        total[:, *window] += part[:, *window].sum((1, 2))[:, None, None]
        count[*window] += 1
    torch.testing.assert_close(attribute(model, images, CLASSES, "occlusion"), total / count)


@pytest.mark.parametrize("method", ["integrated gradients", "Shapley values"])
def test_completeness(cnn, images, method):
    """The map sums to the score minus the score of blank paper (Sundararajan 2017, axiom)."""
    with torch.no_grad():
        scores = cnn(images) - cnn(torch.full_like(images, -1))
    expected = scores.gather(1, CLASSES[:, None])[:, 0]
    found = attribute(cnn, images, CLASSES, method).sum((1, 2))
    # 32 points of a quadrature along a path with kinks; Shapley's sum is exact
    tolerance = 0.02 if method == "integrated gradients" else 1e-4
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_shapley_values_come_close_to_the_mean_over_all_orders(monkeypatch):
    """Four players, so that all 24 orders can be tried."""
    monkeypatch.setattr(methods, "ORDERS", 500)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * PATCH**2, 8), nn.Tanh(), nn.Linear(8, 11))
    image = torch.rand(1, 1, 2 * PATCH, 2 * PATCH) * 2 - 1
    players = patch_numbers(2 * PATCH, 2 * PATCH)
    exact = torch.zeros(4)
    for order in itertools.permutations(range(4)):
        for place, player in enumerate(order):
            before, after = set(order[:place]), set(order[: place + 1])
            scores = [_score(model, image, players, there) for there in (before, after)]
            exact[player] += (scores[1] - scores[0]) / math.factorial(4)
    found = attribute(model.eval(), image, torch.tensor([7]), "Shapley values")[0]
    sampled = torch.stack([found[players == player].sum() for player in range(4)])
    assert (sampled - exact).abs().max() < 0.05 * exact.abs().max()


@torch.no_grad()
def _score(model, image, players, there):
    kept = torch.isin(players, torch.tensor(sorted(there), dtype=torch.long))
    return model(torch.where(kept, image, torch.tensor(-1.0)))[0, 7]


def test_saliency_and_guided_backprop_by_hand(cnn, images):
    ink = to_ink(images).requires_grad_()
    scores = OnInk(cnn)(ink).gather(1, CLASSES[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, ink)
    saliency = attribute(cnn, images, CLASSES, "saliency")
    torch.testing.assert_close(saliency, gradient[:, 0].abs())
    guided = attribute(cnn, images, CLASSES, "guided backprop")
    torch.testing.assert_close(guided, _guided_by_hand(cnn, images))


def _guided_by_hand(cnn, images):
    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, above):
            (x,) = ctx.saved_tensors
            return above.clamp(min=0) * (x > 0)

    ink = to_ink(images).requires_grad_()
    x = 2 * ink - 1
    for layer in [*cnn.body, *cnn.head]:
        x = Guided.apply(x) if isinstance(layer, nn.ReLU) else layer(x)
    return torch.autograd.grad(x.gather(1, CLASSES[:, None]).sum(), ink)[0][:, 0]


def test_grad_cam_by_hand(cnn, images):
    activations = cnn.body[:6](images).detach().requires_grad_()
    scores = cnn.head(cnn.body[6:](activations)).gather(1, CLASSES[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, activations)
    weights = gradient.mean((2, 3), keepdim=True)
    small = (weights * activations).sum(1, keepdim=True).relu()
    expected = nn.functional.interpolate(small, (28, 28), mode="bilinear", align_corners=False)
    found = attribute(cnn, images, CLASSES, "Grad-CAM")
    torch.testing.assert_close(found, expected[:, 0].detach())


@pytest.mark.parametrize("method", METHODS)
def test_each_method_keeps_its_sign_and_leaves_no_trace(cnn, images, method):
    state = {k: v.clone() for k, v in cnn.state_dict().items()}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")  # a reader's cell shows none
        first = attribute(cnn, images, CLASSES, method)
        torch.rand(3)  # somebody else draws
        before = torch.get_rng_state()
        again = attribute(cnn, images, CLASSES, method)
    assert first.shape == (3, 28, 28)
    assert not first.requires_grad
    assert torch.equal(first, again)  # Shapley values draw the same orders each time
    assert (first.min() < 0) == METHODS[method].signed
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(state[k], v) for k, v in cnn.state_dict().items())
    assert not any(m._backward_hooks or m._forward_hooks for m in cnn.modules())


@pytest.mark.parametrize("method", METHODS)
def test_one_image_has_the_map_that_it_has_in_a_batch(cnn, images, method):
    together = attribute(cnn, images, CLASSES, method)
    alone = attribute(cnn, images[1:2], CLASSES[1:2], method)
    torch.testing.assert_close(alone[0], together[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_methods_on_a_transformer(images, method):
    vit = DigitViT(L=1).eval()
    if METHODS[method].convolutional:
        assert not fits(vit, method)
        with pytest.raises(ValueError, match="needs 2-D convolutions and a ReLU"):
            attribute(vit, images, CLASSES, method)
    else:
        assert fits(vit, method)
        assert attribute(vit, images, CLASSES, method).shape == (3, 28, 28)


def test_patches_are_numbered_row_by_row():
    assert patch_numbers(4, 6, side=2).tolist() == [
        [0, 0, 1, 1, 2, 2],
        [0, 0, 1, 1, 2, 2],
        [3, 3, 4, 4, 5, 5],
        [3, 3, 4, 4, 5, 5],
    ]


def test_what_does_not_fit_is_refused(cnn, images):
    with pytest.raises(ValueError, match="need a method in"):
        attribute(cnn, images, CLASSES, "tea leaves")
    with pytest.raises(ValueError, match=r"got \(3, 28, 28\) and \(3,\)"):
        attribute(cnn, images[:, 0], CLASSES, "saliency")
    with pytest.raises(ValueError, match=r"and \(2,\)"):
        attribute(cnn, images, CLASSES[:2], "saliency")
    with pytest.raises(ValueError, match="evaluation mode"):
        attribute(DigitCNN(), images, CLASSES, "saliency")
