"""Which pixels does an answer depend on?  Named methods, one function.

Shapes: B batch, images (B, 1, h, w) in [-1, 1], maps (B, h, w), C classes.

Every method explains one class score (before softmax) as a function of the **ink**, 0 on blank
paper and 1 at its strongest, so that "not there" is 0 for all of them. The methods themselves
are Captum's (Kokhlikyan et al. 2020, arXiv:2009.07896).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from captum import attr
from torch import Tensor, nn

WINDOW, STRIDE = 4, 2  # pixels: what occlusion covers, and how far it moves
PATCH = 7  # pixels a side of what Shapley values take for one player
ORDERS = 10  # random orders of the players


class OnInk(nn.Module):
    """A classifier of images in [-1, 1] as a function of ink in [0, 1]: model(2 · ink − 1)."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, ink: Tensor) -> Tensor:
        """Ink (B, 1, h, w) to class scores (B, C)."""
        return self.model(2 * ink - 1)


def to_ink(images: Tensor) -> Tensor:
    """Images in [-1, 1] as ink in [0, 1]."""
    return (images + 1) / 2


# --- the methods: a model on ink, ink (B, 1, h, w), classes (B,) → a map that broadcasts to ink


def _saliency(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    return attr.Saliency(model).attribute(ink, target=classes)


def _input_x_gradient(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    return attr.InputXGradient(model).attribute(ink, target=classes)


def _guided_backprop(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")  # that is the method
        return attr.GuidedBackprop(model).attribute(ink, target=classes)


def _integrated_gradients(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    return attr.IntegratedGradients(model).attribute(ink, target=classes, n_steps=32)


def _occlusion(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    return attr.Occlusion(model).attribute(
        ink,
        target=classes,
        sliding_window_shapes=(1, WINDOW, WINDOW),
        strides=(1, STRIDE, STRIDE),
        perturbations_per_eval=_at_once(ink),
    )


def _grad_cam(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    cam = attr.LayerGradCam(model, _last_feature_maps(model))
    small = cam.attribute(ink, target=classes, relu_attributions=True)  # (B, 1, h', w')
    return F.interpolate(small, ink.shape[2:], mode="bilinear", align_corners=False)


def _shapley(model: OnInk, ink: Tensor, classes: Tensor) -> Tensor:
    players = patch_numbers(*ink.shape[2:])
    with torch.random.fork_rng(devices=[]):  # the same orders each time: the map stands still
        torch.manual_seed(0)
        values = attr.ShapleyValueSampling(model).attribute(
            ink,
            target=classes,
            feature_mask=players[None, None].to(ink.device),
            n_samples=ORDERS,
            perturbations_per_eval=_at_once(ink),
        )
    return values / players.unique(return_counts=True)[1][players].to(ink)  # a share for each pixel


def patch_numbers(h: int, w: int, side: int = PATCH) -> Tensor:
    """The number of the square patch that each pixel belongs to, row by row: (h, w), int64."""
    rows, columns = torch.arange(h) // side, torch.arange(w) // side
    return rows[:, None] * (columns[-1] + 1) + columns


def _at_once(ink: Tensor) -> int:
    """How many changed copies of a batch go through the network together."""
    return max(1, 256 // len(ink))


def _last_feature_maps(model: nn.Module) -> nn.Module | None:
    """The ReLU after the last 2-D convolution."""
    layers = list(model.modules())
    last = max((i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)), default=None)
    after = [] if last is None else layers[last:]
    return next((layer for layer in after if isinstance(layer, nn.ReLU)), None)


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes:
        compute: model on ink, ink (B, 1, h, w), classes (B,) → map (B, 1, h, w).
        signed: above 0 speaks for the class and below 0 against it; or else all values are at
            least 0 and say how much, not which way.
        unit: of a value, in words.
        source: paper.
        convolutional: it needs convolutions followed by ReLU.
    """

    compute: Callable[[OnInk, Tensor, Tensor], Tensor]
    signed: bool
    unit: str
    source: str
    convolutional: bool = False


METHODS: dict[str, Method] = {
    "saliency": Method(
        _saliency, False, "score per unit of ink", "Simonyan et al. 2014, arXiv:1312.6034"
    ),
    "input × gradient": Method(
        _input_x_gradient, True, "score", "Shrikumar et al. 2016, arXiv:1605.01713"
    ),
    "guided backprop": Method(
        _guided_backprop, True, "score per unit of ink",
        "Springenberg et al. 2015, arXiv:1412.6806", convolutional=True,
    ),
    "integrated gradients": Method(
        _integrated_gradients, True, "score", "Sundararajan et al. 2017, arXiv:1703.01365"
    ),
    "occlusion": Method(
        _occlusion, True, "fall of the score", "Zeiler & Fergus 2014, arXiv:1311.2901"
    ),
    "Grad-CAM": Method(
        _grad_cam, False, "weighted activation",
        "Selvaraju et al. 2017, arXiv:1610.02391", convolutional=True,
    ),
    "Shapley values": Method(
        _shapley, True, "score", "Lundberg & Lee 2017, arXiv:1705.07874"
    ),
}  # fmt: skip


def attribute(model: nn.Module, images: Tensor, classes: Tensor, method: str) -> Tensor:
    """A map for each image: which pixels the score of a class depends on.

    Args:
        model: images (B, 1, h, w) in [-1, 1] → class scores (B, C), in evaluation mode.
        images: (B, 1, h, w) in [-1, 1].
        classes: (B,) int64, which score of each image is explained.
        method: a name in `METHODS`, which says the map's sign and unit.

    Returns:
        (B, h, w), without a gradient.

    Raises:
        ValueError: no such method, one that does not fit the model, a model in training mode,
            or shapes that do not fit.
    """
    if method not in METHODS:
        raise ValueError(f"need a method in {tuple(METHODS)}, got {method!r}")
    if images.ndim != 4 or images.shape[1] != 1 or classes.shape != images.shape[:1]:
        shapes = f"{tuple(images.shape)} and {tuple(classes.shape)}"
        raise ValueError(f"need images (B, 1, h, w) and classes (B,), got {shapes}")
    if model.training:  # batch norm would mix the images, and change the model
        raise ValueError("need a model in evaluation mode: call model.eval()")
    if not fits(model, method):
        got = f"a {type(model).__name__} without"
        raise ValueError(f"{method} needs 2-D convolutions and a ReLU after the last, got {got}")
    ink = to_ink(images).detach().requires_grad_()
    with torch.enable_grad():
        values = METHODS[method].compute(OnInk(model), ink, classes)
    return values.detach()[:, 0].to(images)  # some of Captum answers in float64


def fits(model: nn.Module, method: str) -> bool:
    """Whether the model has the layers that the method works on."""
    return not METHODS[method].convolutional or _last_feature_maps(model) is not None
