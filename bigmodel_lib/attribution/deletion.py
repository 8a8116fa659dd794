"""Does the answer change where a map says that it must?"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def deletion_curve(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    ranking: Tensor,
    n: int = 28,
    insert: bool = False,
) -> Tensor:
    """Probability of a class while its pixels are wiped out, the highest in the ranking first.

    Wiped out means: no ink. With `insert`, they are put on an empty page instead.
    -- Petsiuk et al. 2018, arXiv:1806.07421.

    Args:
        model: images (B, 1, h, w) in [-1, 1] → class scores (B, C), in evaluation mode.
        images: (B, 1, h, w) in [-1, 1].
        classes: (B,) int64.
        ranking: (B, h, w), any unit; ties are broken by position.
        n: steps, each of the same number of pixels.
        insert: insertion instead of deletion.

    Returns:
        (B, n + 1): from the whole image (deletion) or none of it (insertion) on. The mean along
        a row is the area under the curve: low for a good deletion, high for a good insertion.

    Raises:
        ValueError: a ranking that does not fit the images, or n < 1.
    """
    if ranking.shape != (len(images), *images.shape[2:]) or n < 1:
        got = f"{tuple(ranking.shape)} for {tuple(images.shape)}, n={n}"
        raise ValueError(f"need a ranking (B, h, w) for images (B, 1, h, w) and n >= 1, got {got}")
    order = ranking.flatten(1).argsort(dim=1, descending=True, stable=True)
    place = order.argsort(dim=1)  # (B, h·w): when a pixel's turn is
    limits = torch.linspace(0, place.shape[1], n + 1).to(images.device).round()
    done = place[:, None] < limits[:, None]  # (B, n + 1, h·w)
    kept = (done if insert else ~done).unflatten(2, images.shape[2:])
    shown = torch.where(kept, images, images.new_tensor(-1.0))  # (B, n + 1, h, w)
    scores = model(shown.flatten(0, 1)[:, None]).unflatten(0, kept.shape[:2])
    picked = classes[:, None, None].expand(-1, n + 1, 1)
    return scores.softmax(dim=2).gather(2, picked)[..., 0]
