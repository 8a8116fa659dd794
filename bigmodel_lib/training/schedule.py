"""Learning rates that change on the way."""

import math
from collections.abc import Iterator

from bigmodel_lib.training.run import Record, Run


def cosine(run: Run, steps: int, lr: float) -> Iterator[Record]:
    """The next so many steps, at a learning rate that falls from lr to 0 along half a cosine.

    lr/2 · (1 + cos(π i/steps)) for i = 0 … steps - 1  -- Loshchilov & Hutter 2016, without
    restarts, arXiv:1608.03983.

    Args:
        run: with an attribute `settings.lr`.
        steps: how many; the rate is that of a fall over all of them, however many are asked for.
        lr: of the first step.
    """
    for i in range(steps):
        run.settings.lr = lr / 2 * (1 + math.cos(math.pi * i / steps))
        yield next(run)
