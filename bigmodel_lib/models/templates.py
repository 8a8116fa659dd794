"""Recognition without learning: the word whose recording is most alike, however fast it was said.

Source: Sakoe & Chiba 1978, Dynamic programming algorithm optimization for spoken word recognition,
IEEE Transactions on Acoustics, Speech, and Signal Processing 26(1), symmetric form, no slope limit.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def warped_distance(x: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
    """The least sum of distances along a path that walks through both sequences together.

    g(i, j) = min(g(i, j-1) + d, g(i-1, j-1) + 2d, g(i-1, j) + d) with d = ‖x_i - y_j‖, divided by
    the sum of the lengths -- Sakoe & Chiba 1978, table I, P = 0. All cells with the same i + j
    depend only on earlier sums, so they are taken at once.

    Args:
        x: one sequence (n, I).
        y: templates (K, m, I), padded behind.
        lengths: frames of each that count, (K,).

    Returns:
        (K,).

    Raises:
        ValueError: shapes that do not fit, or empty sequences.
    """
    if x.ndim != 2 or y.ndim != 3 or x.shape[1] != y.shape[2] or len(x) < 1 or lengths.min() < 1:
        raise ValueError(f"need x (n, I) and y (K, m, I), got {tuple(x.shape)}, {tuple(y.shape)}")
    n, (K, m) = len(x), y.shape[:2]
    d = torch.cdist(x.expand(K, -1, -1), y)  # (K, n, m)
    before = last = d.new_full((K, n + 1), torch.inf)  # by i + 1, of the two sums before
    found = d.new_empty(K, n, m)
    for total in range(n + m - 1):
        i = torch.arange(max(0, total - m + 1), min(n, total + 1))
        here = d[:, i, total - i]
        ways = torch.stack((last[:, i + 1] + here, before[:, i] + 2 * here, last[:, i] + here))
        best = ways.amin(dim=0) if total else 2 * here
        found[:, i, total - i] = best
        before, last = last, torch.full_like(last, torch.inf)
        last[:, i + 1] = best
    return found[torch.arange(K), -1, lengths - 1] / (n + lengths)


class Templates:
    """Words by example: the label of the nearest template.

    Args:
        sequences: (n, I) each, such as log-mel spectra of single words.
        labels: what each says.
        every: keep each so-many-th frame, to be faster.
    """

    def __init__(self, sequences: Sequence[Tensor], labels: Sequence[str], every: int = 2):
        self.labels, self.every = list(labels), every
        thinned = [self._thin(sequence) for sequence in sequences]
        self.lengths = torch.tensor([len(sequence) for sequence in thinned])
        self.y = nn.utils.rnn.pad_sequence(thinned, batch_first=True)

    def _thin(self, x: Tensor) -> Tensor:
        return (x - x.mean(dim=0))[:: self.every]

    def name(self, x: Tensor) -> str:
        """What a sequence (n, I) says."""
        return self.labels[int(warped_distance(self._thin(x), self.y, self.lengths).argmin())]
