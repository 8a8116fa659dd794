"""Scenes for detection: several real digits on one canvas, with the exact box of each.

Boxes are (left, top, right, bottom) in pixels, as real numbers: a pixel of column x spans
x … x + 1.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bigmodel_lib.data.digits import SIDE, LabelledImages, load_digits

CANVAS = 64  # pixels a side
FRAMES = (16.0, 32.0)  # pixels a side of the frame of a digit, smallest and largest
MOST_DIGITS = 6
COVERED = 0.3  # of the smaller of two boxes that the other may cover, at most
INK = -0.5  # a pixel above is ink: a quarter of the way from paper, -1, to full ink, 1
TRIES = 100  # places tried for one digit


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture and what is in it.

    Attributes:
        image: (1, CANVAS, CANVAS) float32; -1 is paper, 1 the strongest ink.
        boxes: the ink of each digit (n, 4), pixels.
        labels: which digit (n,) int64.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor


def ink_boxes(images: Tensor) -> Tensor:
    """The smallest box round the ink of each image: (N, 1, h, w) to (N, 4), whole pixels.

    Raises:
        ValueError: an image without ink.
    """
    ink = images[:, 0] > INK
    if not bool(ink.flatten(1).any(dim=1).all()):
        raise ValueError(f"need ink (a pixel above {INK}) in every image")
    edges = []
    for seen in (ink.any(dim=1), ink.any(dim=2)):  # by column, by row
        seen = seen.int()
        # argmax finds the first of equal values
        edges.append((seen.argmax(dim=1), seen.shape[1] - seen.flip(1).argmax(dim=1)))
    (left, right), (top, bottom) = edges
    return torch.stack([left, top, right, bottom], dim=1).float()


def make_scene(
    digits: LabelledImages,
    seed: int,
    count: int | None = None,
    frames: tuple[float, float] = FRAMES,
) -> Scene:
    """A scene whose digits, sizes and places follow from the seed.

    A digit's frame of 28 by 28 pixels gets a side drawn evenly on a log scale. A place is drawn
    until the digit covers, and has covered, at most COVERED of any other's box; after TRIES
    places the one that covers least is taken. Where two digits meet, the stronger ink shows.

    Args:
        digits: to choose from.
        seed: 0 or more.
        count: how many digits; None draws 1 … MOST_DIGITS.
        frames: smallest and largest side of a frame, pixels.

    Raises:
        ValueError: a count or frames out of their range, or no digits.
    """
    if count is not None and not 1 <= count <= MOST_DIGITS:
        raise ValueError(f"need 1 to {MOST_DIGITS} digits in a scene, got {count}")
    if not 1 <= frames[0] <= frames[1] <= CANVAS:
        raise ValueError(f"need 1 <= smallest <= largest <= {CANVAS} pixels, got {frames}")
    random = np.random.default_rng(seed)
    count = int(random.integers(1, MOST_DIGITS + 1)) if count is None else count
    index = torch.from_numpy(random.integers(len(digits), size=count))
    images = digits.images[index]
    places = _places(ink_boxes(images).numpy(), frames, random)
    boxes = torch.tensor([box for _frame, box in places], dtype=torch.float32)
    frame = torch.tensor([frame for frame, _box in places], dtype=torch.float32)
    return Scene(_render(images, frame), boxes, digits.labels[index])


def make_scenes(digits: LabelledImages, count: int, seed: int, **how) -> list[Scene]:
    """So many scenes, from seeds of their own that follow from one. Others: see `make_scene`."""
    seeds = np.random.SeedSequence(seed).generate_state(count, np.uint64).tolist()
    return [make_scene(digits, each, **how) for each in seeds]


@functools.lru_cache
def held_out_scenes(count: int = 200, seed: int = 0) -> tuple[Scene, ...]:
    """Scenes of digits from the test split alone, which no detector of ours is trained on."""
    return tuple(make_scenes(load_digits("digits", "test"), count, seed))


def stacked(scenes: Sequence[Scene]) -> Tensor:
    """The images of scenes as a batch (B, 1, CANVAS, CANVAS)."""
    return torch.stack([scene.image for scene in scenes])


Box = tuple[float, float, float, float]


def _places(ink: np.ndarray, frames: tuple[float, float], random) -> list[tuple[Box, Box]]:
    """For each digit, given its ink in its frame of 28 pixels: (left, top, side, side), box."""
    placed: list[tuple[Box, Box]] = []
    for digit in ink.tolist():
        tried = []
        for _try in range(TRIES):
            frame, box = _one_place(digit, frames, random)
            worst = max((_covered(box, other) for _frame, other in placed), default=0.0)
            tried.append((worst, frame, box))
            if worst <= COVERED:
                break
        placed.append(min(tried)[1:])
    return placed


def _one_place(ink: Sequence[float], frames: tuple[float, float], random) -> tuple[Box, Box]:
    """A size and a place such that all the ink is on the canvas."""
    side = math.exp(random.uniform(*np.log(frames)))
    scaled = [edge * side / SIDE for edge in ink]
    x = random.uniform(-scaled[0], CANVAS - scaled[2])
    y = random.uniform(-scaled[1], CANVAS - scaled[3])
    box = (scaled[0] + x, scaled[1] + y, scaled[2] + x, scaled[3] + y)
    return (x, y, side, side), box


def _covered(a: Box, b: Box) -> float:
    """Share of the smaller box that the other covers."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0.0) * max(height, 0.0) / smaller


def _render(images: Tensor, frame: Tensor) -> Tensor:
    """Digits (n, 1, 28, 28) in their frames (left, top, side, side) (n, 4), as one picture."""
    centre = frame[:, :2] + frame[:, 2:] / 2
    grow = CANVAS / frame[:, 2]  # how much more of the canvas a step covers than of the frame
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = grow
    theta[:, :, 2] = (CANVAS / 2 - centre) * 2 / frame[:, 2:]
    shape = (len(images), 1, CANVAS, CANVAS)
    grid = F.affine_grid(theta, shape, align_corners=False)
    # + 1: what is outside of a frame is sampled as 0, which then is paper
    layers = F.grid_sample(images + 1, grid, align_corners=False) - 1
    return layers.amax(dim=0)
