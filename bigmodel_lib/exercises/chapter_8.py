"""Tasks of chapter 8: attacks, honest confidence, budgets."""

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal

# --- 8.3 an attack -----------------------------------------------------------------------


def _attacked(function: Callable, seed: int, x: Tensor, labels: Tensor, epsilon: float):
    """What a function makes of inputs to a small classifier."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    return function(model, x, labels, epsilon)


def _uphill(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(model(x), labels), x)[0]


def _step(direction: Callable[[Tensor], Tensor], clamp: bool = True) -> Callable:
    """A step of size ε in a direction that is made of the gradient."""

    def function(model, x, labels, epsilon):
        moved = x + epsilon * direction(_uphill(model, x, labels))
        return moved.clamp(-1, 1) if clamp else moved

    return function


def _pictures(dice: random.Random) -> tuple[int, Tensor, Tensor, float]:
    x = (0.8 * normal(dice, 9, 6)).clamp(-1, 1)
    return (
        dice.getrandbits(30),
        x,
        torch.tensor(dice.choices(range(3), k=9)),
        dice.choice([0.1, 0.2]),
    )


attack = CodeTask(
    name="8.3 The fast gradient sign method",
    draw=_pictures,
    measure=_attacked,
    right=_step(torch.sign),
    mistakes=(
        Mistake(
            "takes the gradient itself",
            "the step follows the gradient's size. Each pixel may move by ε: its sign counts",
            "expected",
            _step(lambda gradient: gradient),
        ),
        Mistake(
            "walks downhill",
            "this makes the network surer of the right class: the step goes down the loss",
            "expected",
            _step(lambda gradient: -gradient.sign()),
        ),
        Mistake(
            "leaves the range of pictures",
            "some pixels are outside of −1 to 1: no picture has them",
            "expected",
            _step(torch.sign, clamp=False),
        ),
        Mistake(
            "makes the whole step ε long",
            "the whole step is ε long in the Euclidean sense; here each pixel may move by ε",
            "expected",
            _step(lambda gradient: gradient / gradient.norm(dim=1, keepdim=True)),
        ),
    ),
)

# --- 8.3 calibration ---------------------------------------------------------------------


def _bins(dice: random.Random) -> tuple[tuple[int, float, float], ...]:
    """Three bins: predictions, mean confidence, share that is right."""
    return (
        (dice.choice([100, 150]), 0.55, dice.choice([0.62, 0.64])),
        (dice.choice([200, 250]), 0.75, dice.choice([0.64, 0.69])),
        (dice.choice([500, 600]), 0.95, dice.choice([0.8, 0.84])),
    )


def _gaps(bins) -> tuple[list[float], list[float]]:
    total = sum(count for count, _, _ in bins)
    return [count / total for count, _, _ in bins], [right - sure for _, sure, right in bins]


def _calibration(*bins) -> float:
    """Σ share · |accuracy − confidence| -- Guo et al. 2017, eq. 3, arXiv:1706.04599."""
    return sum(share * abs(gap) for share, gap in zip(*_gaps(bins), strict=True))


calibration = NumberTask(
    name="8.3 The calibration error",
    draw=_bins,
    right=_calibration,
    mistakes=(
        Mistake(
            "lets errors cancel",
            "too sure in one bin and not sure enough in another are two errors, not none",
            "expected",
            lambda *bins: abs(sum(s * g for s, g in zip(*_gaps(bins), strict=True))),
        ),
        Mistake(
            "takes all bins for equal",
            "a bin with many predictions counts for more",
            "expected",
            lambda *bins: sum(abs(gap) for gap in _gaps(bins)[1]) / len(bins),
        ),
        Mistake(
            "takes the worst bin",
            "this is the largest gap; asked is the expected one",
            "paper: Guo et al. 2017, section 2, arXiv:1706.04599",
            lambda *bins: max(abs(gap) for gap in _gaps(bins)[1]),
        ),
    ),
)

# --- 8.2 tokens for a budget -------------------------------------------------------------


def _budget(dice: random.Random) -> tuple[float, float]:
    return dice.choice([2e15, 5e15, 1e16]), dice.choice([1.5e6, 4e6, 7e6])


tokens = NumberTask(
    name="8.2 A point on an IsoFLOP curve",
    draw=_budget,
    right=lambda C, N: C / (6 * N),
    unit="tokens",
    mistakes=(
        Mistake(
            "counts the forward pass alone",
            "2 FLOPs a parameter and token are the way forward; the way back takes 4 more",
            "expected",
            lambda C, N: C / (2 * N),
        ),
        Mistake(
            "forgets the 6",
            "a token costs more than one FLOP for each parameter",
            "expected",
            lambda C, N: C / N,
        ),
        Mistake(
            "takes twenty tokens a parameter",
            "that is a rule for the best point of the curve; this one lies where N puts it",
            "expected",
            lambda C, N: 20 * N,
        ),
    ),
)

# --- 8.3 why small changes suffice -------------------------------------------------------


def _grows(factor: int) -> str:
    """How the effect ε ‖w‖₁ on a linear score grows with the number of inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        few, many = (torch.randn(k * 10_000).abs().sum().item() for k in (1, factor))
    found = many / few
    told = {"a": 1.0, "b": float(factor), "c": factor**0.5, "d": factor**2.0}
    return min(told, key=lambda letter: abs(told[letter] - found))


dimension = Prediction(
    name="8.3 Many small pushes",
    draw=lambda dice: (dice.choice([4, 9, 16]),),
    right=_grows,
    options={
        "a": "it stays, since no pixel may move further",
        "b": "it grows k times",
        "c": "it grows √k times",
        "d": "it grows k² times",
    },
    mistakes=(
        Mistake(
            "looks at one pixel",
            "no pixel moves further, but there are more of them, and all push the same way",
            "expected",
            lambda factor: "a",
        ),
        Mistake(
            "takes the attack for noise",
            "noise adds up as a root, since its parts cancel. An attack chooses its signs",
            "expected",
            lambda factor: "c",
        ),
        Mistake(
            "counts pairs",
            "each pixel pushes once, by its own weight",
            "expected",
            lambda factor: "d",
        ),
    ),
)
