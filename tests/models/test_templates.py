"""Dynamic time warping against the plain recursion."""

import math

import pytest
import torch

from bigmodel_lib.models.templates import Templates, warped_distance


def plain(x, y) -> float:
    n, m = len(x), len(y)
    g = [[math.inf] * m for _ in range(n)]
    for i in range(n):
        for j in range(m):
            d = float((x[i] - y[j]).norm())
            ways = [2 * d] if i == j == 0 else []
            ways += [g[i][j - 1] + d] if j else []
            ways += [g[i - 1][j] + d] if i else []
            ways += [g[i - 1][j - 1] + 2 * d] if i and j else []
            g[i][j] = min(ways)
    return g[-1][-1] / (n + m)


def test_it_is_the_plain_recursion():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(7, 3, generator=random), torch.randn(4, 11, 3, generator=random)
    lengths = torch.tensor([11, 5, 1, 8])
    expected = [plain(x, row[:length]) for row, length in zip(y, lengths, strict=True)]
    torch.testing.assert_close(warped_distance(x, y, lengths), torch.tensor(expected))


def test_speed_makes_no_difference():
    x = torch.arange(12.0)[:, None] ** 2
    slow = x.repeat_interleave(3, dim=0)
    assert warped_distance(x, slow[None], torch.tensor([36])).item() == 0
    names = Templates([x, -x], ["up", "down"], every=1)
    assert (names.name(slow), names.name(-slow)) == ("up", "down")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="need x"):
        warped_distance(torch.zeros(3, 2), torch.zeros(2, 5, 3), torch.tensor([5, 5]))
