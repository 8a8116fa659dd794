"""An anchor-free detector: every cell of a coarse grid says what is centred near it, and its box.

Shapes: B batch, C classes, images (B, 1, S, S), grid (G, G) with G = S / STRIDE cells a side;
n objects in an image. Boxes (left, top, right, bottom) in pixels.

Sources: Zhou, Wang & Krähenbühl 2019 (CenterNet), arXiv:1904.07850: a heat map of centres by
class, offset and size; Tian et al. 2019 (FCOS), arXiv:1904.01355: several cells round a centre
answer for a box, and suppression picks one of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.models.boxes import non_maximum_suppression

STRIDE = 4  # pixels between two cells
NEAR = 1.5  # cells: those whose middle is at most so far from a centre, along each axis, answer
PRIOR = 0.1  # what an untrained detector believes of each class at each cell


class Maps(NamedTuple):
    """What the network says of every cell.

    Attributes:
        classes: logits (B, C, G, G): is a digit of this class centred here?
        boxes: (B, 4, G, G): offset of the centre from the cell's middle, in cells, and the
            logarithms of width and height, in cells.
    """

    classes: Tensor
    boxes: Tensor


class Targets(NamedTuple):
    """What it should say.

    Attributes:
        heat: (C, G, G), 1 in the cell of a centre, falling round it.
        boxes: (4, G, G), as in `Maps`.
        near: (G, G) bool, cells that answer for a box.
    """

    heat: Tensor
    boxes: Tensor
    near: Tensor


class Detections(NamedTuple):
    """What was found in one image, the best first: boxes (n, 4), scores and labels (n,)."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Residual(nn.Module):
    """x + f(x), f of two 3×3 convolutions with batch norm, the second dilated.

    He et al. 2016, arXiv:1512.03385; Yu & Koltun 2016 (dilation), arXiv:1511.07122.
    """

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, G, G) to the same."""
        return x + self.body(x)


class Detector(nn.Module):
    """Fully convolutional: two strided convolutions, residual blocks, one map of C + 4 channels.

    Args:
        width: channels.
        dilations: one residual block each; together they let a cell see the whole of a digit.
        num_classes: C.
    """

    def __init__(
        self, width: int = 48, dilations: Sequence[int] = (1, 2, 4), num_classes: int = 10
    ):
        super().__init__()
        self.num_classes = num_classes
        self.body = nn.Sequential(
            nn.Conv2d(1, width // 2, 5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
            *(Residual(width, dilation) for dilation in dilations),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.head = nn.Conv2d(width, num_classes + 4, 3, padding=1)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)
        # else the many empty cells drown the loss at first: Lin et al. 2017, section 3.3
        nn.init.constant_(self.head.bias[:num_classes], -math.log((1 - PRIOR) / PRIOR))

    def forward(self, images: Tensor) -> Maps:
        """Images (B, 1, S, S), S a multiple of STRIDE, to maps.

        Raises:
            ValueError: other shapes.
        """
        if images.ndim != 4 or images.shape[1] != 1 or any(n % STRIDE for n in images.shape[2:]):
            raise ValueError(
                f"need images (B, 1, S, S), S divisible by {STRIDE}, got {tuple(images.shape)}"
            )
        return Maps(*self.head(self.body(images)).split([self.num_classes, 4], dim=1))


# --- what to learn ---


def targets(boxes: Tensor, labels: Tensor, cells: int, num_classes: int = 10) -> Targets:
    """What the network should say of one image.

    The heat of an object is exp(−(Δx² + Δy²) / 2σ²) round its cell, σ a sixth of its mean side;
    where two of one class meet, the warmer -- Zhou et al. 2019, section 3. Cells near a centre
    answer for the box whose centre is nearest.

    Args:
        boxes: (n, 4), pixels, n >= 1.
        labels: (n,), 0 to num_classes − 1.
        cells: G.
    """
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / 2 / STRIDE, (boxes[:, 2:] - boxes[:, :2])
    side = side.clamp(min=1e-3) / STRIDE
    middle = torch.arange(cells, device=boxes.device) + 0.5
    own = centre.long().clamp(0, cells - 1) + 0.5  # the middle of the cell that the centre is in
    x, y = (middle - own[:, i, None] for i in (0, 1))  # (n, G), exact zeros at the cell itself
    sigma = side.mean(dim=1)[:, None, None] / 6
    bumps = torch.exp(-(x[:, None, :].square() + y[:, :, None].square()) / (2 * sigma.square()))
    heat = boxes.new_zeros(num_classes, cells, cells)
    for label, bump in zip(labels.tolist(), bumps, strict=True):
        heat[label] = torch.maximum(heat[label], bump)
    dx, dy = (centre[:, i, None] - middle for i in (0, 1))  # (n, G)
    far = torch.maximum(dx.abs()[:, None, :], dy.abs()[:, :, None])  # (n, G, G)
    distance, owner = far.min(dim=0)
    rows, columns = (torch.arange(cells, device=boxes.device).view(shape) for shape in
                     ((-1, 1), (1, -1)))  # fmt: skip
    offset = torch.stack([dx[owner, columns], dy[owner, rows]])
    return Targets(heat, torch.cat([offset, side.log()[owner].movedim(2, 0)]), distance <= NEAR)


def focal_loss(logits: Tensor, heat: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Cross-entropy that the many easy empty cells do not drown, a number per object.

    −1/n Σ (1 − p)^α log p where the heat is 1, (1 − heat)^β p^α log(1 − p) elsewhere, p = σ(logit)
    -- Zhou et al. 2019, eq. 1, arXiv:1904.07850, after Law & Deng 2018 and Lin et al. 2017.

    Args:
        logits, heat: of one shape; heat in [0, 1].

    Raises:
        ValueError: shapes that differ.
    """
    if logits.shape != heat.shape:
        raise ValueError(f"need logits like heat, got {tuple(logits.shape)}, {tuple(heat.shape)}")
    p, centre = logits.sigmoid(), heat == 1
    found = (1 - p) ** alpha * F.logsigmoid(logits)
    empty = (1 - heat) ** beta * p**alpha * F.logsigmoid(-logits)
    return -torch.where(centre, found, empty).sum() / centre.sum().clamp(min=1)


def detection_losses(maps: Maps, wanted: Sequence[Targets]) -> dict[str, Tensor]:
    """Focal loss of the classes, and mean absolute error of the boxes near a centre, in cells."""
    heat, boxes, near = (torch.stack(column) for column in zip(*wanted, strict=True))
    error = (maps.boxes - boxes).abs().sum(dim=1)[near]
    return {"classes": focal_loss(maps.classes, heat), "boxes": error.mean()}


# --- what it says ---


def decode(maps: Maps) -> tuple[Tensor, Tensor]:
    """Every cell's box (B, G², 4), in pixels, and its probability of each class (B, G², C)."""
    cells = maps.boxes.shape[-1]
    middle = torch.arange(cells, device=maps.boxes.device) + 0.5
    offset, log_side = maps.boxes.flatten(2).movedim(1, 2).split(2, dim=2)
    centre = torch.cartesian_prod(middle, middle).flip(1) + offset  # rows first, so y comes first
    half = log_side.clamp(max=math.log(cells)).exp() / 2
    boxes = torch.cat([centre - half, centre + half], dim=2) * STRIDE
    return boxes, maps.classes.sigmoid().flatten(2).movedim(1, 2)


def candidates(boxes: Tensor, probabilities: Tensor, score: float) -> Detections:
    """Cells (G², 4), (G², C) of one image whose best class has at least this score."""
    best = probabilities.max(dim=1)
    sure = (best.values >= score).nonzero()[:, 0]
    order = sure[best.values[sure].argsort(descending=True, stable=True)]
    return Detections(boxes[order], best.values[order], best.indices[order])


def suppress(found: Detections, most: float) -> Detections:
    """What is left after non-maximum suppression, across classes: ink is one digit's only."""
    kept = non_maximum_suppression(found.boxes, found.scores, most)
    return Detections(*(column[kept] for column in found))


@torch.no_grad()
def detect(
    model: nn.Module, images: Tensor, score: float = 0.05, most: float = 0.5
) -> list[Detections]:
    """What is in each image (B, 1, S, S).

    Args:
        model: in evaluation mode.
        score: least probability.
        most: IoU above which the worse of two boxes is dropped.
    """
    parts = [decode(model(part)) for part in images.split(64)]
    return [
        suppress(candidates(*image, score), most)
        for part in parts
        for image in zip(*part, strict=True)
    ]
