"""From the strokes of a pen to an image like those that the digit models were trained on.

A stroke is a list of points (x, y), 0 to 1 from the left and from the top of a square page.

The embedded digits began as bitmaps of 32 by 32 pixels, size-normalised so that a digit fills
the height, and became 8 by 8 by counting the ink in blocks of 4 by 4 (Alpaydin & Kaynak 1998).
Drawings go the same way.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from bigmodel_lib.data.digits import enlarge

BITMAP, BLOCK = 32, 4  # pixels a side
MOST_POINTS = 3000  # more would make a picture slow; a digit has some 100
TINY = 1 / 16  # of the page: what is smaller is a dot, and is not blown up to a page


def parse_strokes(value) -> list[np.ndarray]:
    """Nested lists, as a page sends them, to strokes (n, 2).

    Raises:
        ValueError: not a list of lists of pairs of finite numbers from 0 to 1, an empty stroke,
            or more than MOST_POINTS points.
    """
    needed = "need a list of strokes, each a list of points [x, y]"
    if not isinstance(value, list | tuple):
        raise ValueError(f"{needed}, got {type(value).__name__}")
    strokes = [_parse_one(stroke, f"{needed}, got stroke {i}:") for i, stroke in enumerate(value)]
    count = sum(map(len, strokes))
    if count > MOST_POINTS:
        raise ValueError(f"need at most {MOST_POINTS} points, got {count}: clear the page")
    return strokes


def _parse_one(stroke, needed: str) -> np.ndarray:
    try:
        points = np.asarray(stroke, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{needed} {error}") from error
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"{needed} an array of shape {points.shape}")
    if not ((points >= 0) & (points <= 1)).all():  # NaN is neither
        raise ValueError(f"{needed} points outside 0 to 1, or not finite")
    return points


def fitted(strokes: Sequence[np.ndarray], width: float) -> list[np.ndarray]:
    """Strokes moved and scaled, by one factor, so that their ink fills the page's longer side.

    Args:
        strokes: (n, 2) each.
        width: of the pen, in pages; it stays as it is.
    """
    if not strokes:
        return []
    points = np.concatenate(strokes)
    low, high = points.min(0), points.max(0)
    scale = (1 - width) / max((high - low).max(), TINY)
    return [(stroke - (low + high) / 2) * scale + 0.5 for stroke in strokes]


def ink_of(strokes: Sequence[np.ndarray], width: float, side: int = BITMAP) -> np.ndarray:
    """Ink (side, side) from 0 to 1 of a round pen drawn along the strokes.

    A pixel's ink falls from 1 to 0 over one pixel's width at the distance width/2 from the line.

    Args:
        strokes: (n, 2) each; one point is a dot.
        width: of the pen, in pages.

    Raises:
        ValueError: a width that is not in (0, 1).
    """
    if not 0 < width < 1:
        raise ValueError(f"need a pen's width above 0 and below 1, got {width}")
    if not strokes:
        return np.zeros((side, side), dtype=np.float32)
    starts = np.concatenate([s[:-1] if len(s) > 1 else s for s in strokes])  # (n, 2)
    ways = np.concatenate([s[1:] if len(s) > 1 else s for s in strokes]) - starts
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    dx, dy = centres - starts[:, :1], centres - starts[:, 1:]  # (n, side): columns, rows
    along = dx[:, None] * ways[:, :1, None] + dy[:, :, None] * ways[:, 1:, None]
    along /= np.maximum((ways**2).sum(1), 1e-12)[:, None, None]
    along = along.clip(0, 1)  # (n, side, side): the nearest point of each piece
    far_x = dx[:, None] - along * ways[:, :1, None]
    far_y = dy[:, :, None] - along * ways[:, 1:, None]
    nearest = np.sqrt((far_x**2 + far_y**2).min(axis=0))
    return ((width / 2 - nearest) * side + 0.5).clip(0, 1)


def strokes_to_image(
    strokes: Sequence[np.ndarray], width: float, on: Tensor | None = None
) -> Tensor:
    """An image (1, 1, 28, 28) in [-1, 1] of a drawing.

    Args:
        strokes: (n, 2) each.
        width: of the pen, in heights of the digit.
        on: an image (1, 1, 28, 28) that the strokes are added to, where they are; without it,
            the drawing is scaled and centred as the training digits are.
    """
    placed = fitted(strokes, width) if on is None else strokes
    bitmap = ink_of(placed, width)
    blocks = bitmap.reshape(BITMAP // BLOCK, BLOCK, BITMAP // BLOCK, BLOCK).mean((1, 3))
    image = enlarge(torch.from_numpy(blocks.astype(np.float32))[None]) * 2 - 1
    return image if on is None else torch.maximum(image, on)
