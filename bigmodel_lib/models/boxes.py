"""Boxes: how much two overlap, and which of many to keep.

Boxes are (left, top, right, bottom) in pixels.
"""

import torch
from torch import Tensor


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of each box with each: (N, 4) and (M, 4) to (N, M), 0 to 1.

    |A ∩ B| / |A ∪ B|, the Jaccard index of the two areas; 0 where both are empty
    -- Everingham et al. 2010, The Pascal Visual Object Classes Challenge, IJCV 88(2).

    Raises:
        ValueError: not boxes of four numbers.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != 4 or b.shape[1] != 4:
        raise ValueError(f"need boxes (N, 4) and (M, 4), got {tuple(a.shape)}, {tuple(b.shape)}")
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    union = area(a)[:, None] + area(b)[None, :] - intersection
    return intersection / union.clamp(min=torch.finfo(union.dtype).tiny)


def area(boxes: Tensor) -> Tensor:
    """Pixels in each box: (N, 4) to (N,)."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)


def non_maximum_suppression(boxes: Tensor, scores: Tensor, most: float = 0.5) -> Tensor:
    """Which boxes stay when each that overlaps a better one too much is dropped.

    The best is kept, all with an IoU above `most` with it go, and so on with what is left
    (greedy suppression: Felzenszwalb et al. 2010, PAMI 32(9)). Of equal scores the earlier wins.

    Args:
        boxes: (N, 4).
        scores: (N,).
        most: IoU that two boxes which stay may have, 0 to 1.

    Returns:
        Indices of those that stay, the best first.

    Raises:
        ValueError: shapes that do not fit, or `most` out of its range.
    """
    if scores.shape != boxes.shape[:1] or not 0 <= most <= 1:
        shapes = f"{tuple(boxes.shape)}, {tuple(scores.shape)} and {most}"
        raise ValueError(f"need boxes (N, 4), scores (N,) and most in [0, 1], got {shapes}")
    apart = (iou(boxes, boxes) <= most).cpu().numpy()  # at once: each look at a GPU is a wait
    left, kept = scores.argsort(descending=True, stable=True).cpu().numpy(), []
    while len(left):
        best, rest = left[0], left[1:]
        kept.append(int(best))
        left = rest[apart[best, rest]]
    return torch.tensor(kept, dtype=torch.long, device=boxes.device)
