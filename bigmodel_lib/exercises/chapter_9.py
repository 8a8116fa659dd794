"""Tasks of chapter 9: what training takes, and how several machines share it."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bigmodel_lib.costs import Training
from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal

# --- 9.2 days of training ----------------------------------------------------------------


def _run(dice: random.Random) -> tuple[float, float, int, float]:
    N, D = dice.choice([1e9, 3e9, 7e9, 13e9]), dice.choice([1e11, 2e11, 5e11])
    return N, D, dice.choice([32, 64, 128, 256]), dice.choice([0.3, 0.4, 0.5])


def _days(N: float, D: float, n: int, utilisation: float) -> float:
    return Training(N, D, "A100", n, utilisation, watts=400).days


days = NumberTask(
    name="9.2 Days of training",
    draw=_run,
    right=_days,
    unit="days",
    tolerance=0.03,
    mistakes=(
        Mistake(
            "counts the forward pass alone",
            "2 FLOPs for each parameter and token are the forward pass. Training goes back, too",
            "expected",
            lambda N, D, n, u: _days(N, D, n, u) / 3,
        ),
        Mistake(
            "believes the data sheet",
            "no training reaches the FLOPs of the data sheet. What is the utilisation?",
            "expected",
            lambda N, D, n, u: _days(N, D, n, u) * u,
        ),
        Mistake(
            "one device",
            "this is the time of a single device. Yours work at once",
            "expected",
            lambda N, D, n, u: _days(N, D, n, u) * n,
        ),
        Mistake(
            "gives hours",
            "this is in hours; asked is the time in days",
            "expected",
            lambda N, D, n, u: _days(N, D, n, u) * 24,
        ),
    ),
)

# --- 9.2 gradient accumulation -----------------------------------------------------------


def _accumulated(function: Callable, seed: int, x: Tensor, y: Tensor, parts: int) -> Tensor:
    """The gradients that a function leaves in a small network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    function(model, x, y, parts)
    grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in model.parameters()]
    return torch.cat([grad.flatten() for grad in grads])


def _accumulate(share: Callable[[int, int, int], float], clear: bool = False) -> Callable:
    """Backward passes over pieces, each mean loss times a share(rows, all rows, parts)."""

    def function(model, x, y, parts):
        for a, b in zip(x.tensor_split(parts), y.tensor_split(parts), strict=True):
            if clear:
                model.zero_grad()
            (F.mse_loss(model(a), b) * share(len(a), len(x), parts)).backward()

    return function


accumulation = CodeTask(
    name="9.2 Gradient accumulation",
    draw=lambda dice: (
        dice.getrandbits(30),
        normal(dice, 11, 4),
        normal(dice, 11, 1),
        dice.choice([3, 4]),
    ),
    measure=_accumulated,
    right=_accumulate(lambda rows, total, parts: rows / total),
    mistakes=(
        Mistake(
            "does not divide",
            "gradients of the pieces are added up, so they are several times too large",
            "https://github.com/hirofumi0810/neural_sp/issues/168",
            _accumulate(lambda rows, total, parts: 1.0),
        ),
        Mistake(
            "clears between the pieces",
            "the gradient is cleared for each piece, and only the last one is left",
            "https://github.com/bytetriper/RAE/issues/67",
            _accumulate(lambda rows, total, parts: rows / total, clear=True),
        ),
        Mistake(
            "takes the pieces for equal",
            "the pieces have not all the same number of rows: a mean of their means is not the "
            "mean of all rows",
            "https://github.com/unslothai/unsloth-zoo/issues/6",
            _accumulate(lambda rows, total, parts: 1 / parts),
        ),
    ),
)

# --- 9.2 all-reduce ----------------------------------------------------------------------


traffic = NumberTask(
    name="9.2 What a ring sends",
    draw=lambda dice: (dice.choice([4, 6, 8, 12]), dice.choice([100, 350, 700, 1300])),
    right=lambda n, millions: 2 * (n - 1) / n * 4 * millions / 1000,
    unit="GB",
    tolerance=0.005,
    mistakes=(
        Mistake(
            "sends all to everyone",
            "this sends the whole gradient to each of the others. A ring passes pieces of 1/n on",
            "expected",
            lambda n, millions: (n - 1) * 4 * millions / 1000,
        ),
        Mistake(
            "goes round once",
            "once round adds the pieces up. Once more is needed until all have all the sums",
            "expected",
            lambda n, millions: (n - 1) / n * 4 * millions / 1000,
        ),
        Mistake(
            "counts gradients for bytes",
            "these are numbers; each takes 4 bytes",
            "expected",
            lambda n, millions: 2 * (n - 1) / n * millions / 1000,
        ),
        Mistake(
            "forgets that one piece stays",
            "of n pieces, n − 1 are passed on in each round",
            "expected",
            lambda n, millions: 2 * 4 * millions / 1000,
        ),
    ),
)

# --- 9.2 checkpointing -------------------------------------------------------------------


class _Counted(nn.Linear):
    """Counts its forward passes."""

    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(x)


def _work(layers: int) -> str:
    """Work of a step with checkpoints over one without; a backward pass is two forward ones."""
    stack = [_Counted(3, 3) for _ in range(layers)]
    x = torch.ones(2, 3, requires_grad=True)
    for layer in stack:
        x = checkpoint(layer, x, use_reentrant=False)
    x.sum().backward()
    work = (stack[0].passes + 2) / 3
    told = {"a": 1.0, "b": 4 / 3, "c": 2.0, "d": 3.0}
    return min(told, key=lambda letter: abs(told[letter] - work))


recomputing = Prediction(
    name="9.2 What checkpointing costs",
    draw=lambda dice: (dice.randint(3, 9),),
    right=_work,
    options={
        "a": "the same work, only less memory",
        "b": "a third more work",
        "c": "twice the work",
        "d": "three times the work",
    },
    mistakes=(
        Mistake(
            "takes it for free",
            "what is not stored has to be computed again when the way back needs it",
            "expected",
            lambda layers: "a",
        ),
        Mistake(
            "forgets that the way back costs more",
            "only the forward pass is repeated, and it is the smaller part of a step",
            "expected",
            lambda layers: "c",
        ),
        Mistake(
            "repeats it for each layer",
            "each layer is computed once more, not once for each layer behind it",
            "expected",
            lambda layers: "d",
        ),
    ),
)
