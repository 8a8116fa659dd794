"""Tasks of chapter 1: growth, power laws, and how to spend a budget."""

import math
import random

import numpy as np
import torch
from torch import Tensor

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal
from bigmodel_lib.scaling import LAWS

# --- 1.1 doubling time -------------------------------------------------------------------


def _two_models(dice: random.Random) -> tuple[int, float, int, float]:
    first, factor = dice.randint(2012, 2016), dice.choice([30, 50, 200, 700])
    small = dice.choice([6e7, 1e8, 1.4e8])
    return first, small, first + dice.randint(3, 7), small * factor


def _doublings(n1: float, n2: float) -> float:
    return math.log2(n2 / n1)


doubling = NumberTask(
    name="1.1 A doubling time",
    draw=_two_models,
    right=lambda y1, n1, y2, n2: (y2 - y1) / _doublings(n1, n2),
    unit="years",
    mistakes=(
        Mistake(
            "the time to grow e times",
            "this is the time to grow by e = 2.718…: the logarithm has another base than 2",
            "expected",
            lambda y1, n1, y2, n2: (y2 - y1) / math.log(n2 / n1),
        ),
        Mistake(
            "grows in a straight line",
            "this adds the same number each year. Sizes are multiplied: work with logarithms",
            "expected",
            lambda y1, n1, y2, n2: (y2 - y1) * n1 / (n2 - n1),
        ),
        Mistake(
            "doublings a year",
            "this says how many doublings there are in a year; asked is how many years one takes",
            "expected",
            lambda y1, n1, y2, n2: _doublings(n1, n2) / (y2 - y1),
        ),
        Mistake(
            "counts tens",
            "this is the time to grow ten times",
            "expected",
            lambda y1, n1, y2, n2: (y2 - y1) / math.log10(n2 / n1),
        ),
    ),
)

# --- 1.2 a power law ---------------------------------------------------------------------


def _slope(x: Tensor, y: Tensor) -> float:
    """Least squares."""
    x, y = x - x.mean(), y - y.mean()
    return ((x * y).sum() / (x * x).sum()).item()


def _measured(dice: random.Random) -> tuple[Tensor, Tensor]:
    N = 1000.0 * 2 ** torch.arange(9, dtype=torch.float64)
    law = dice.uniform(2, 5) * N ** -dice.uniform(0.15, 0.45)
    return N, law * (0.15 * normal(dice, 9)).exp()


power = CodeTask(
    name="1.2 The power of a power law",
    draw=_measured,
    right=lambda N, error: -_slope(N.log(), error.log()),
    mistakes=(
        Mistake(
            "leaves the axes straight",
            "this fits a straight line to the raw numbers. A power law is straight on two "
            "logarithmic axes",
            "expected",
            lambda N, error: -_slope(N, error),
        ),
        Mistake(
            "one logarithmic axis",
            "the error is on a logarithmic axis, the size is not: that would be an exponential law",
            "expected",
            lambda N, error: -_slope(N, error.log()),
        ),
        Mistake(
            "keeps the sign",
            "the size is right, the sign is not: the law is written with N to the power −b",
            "expected",
            lambda N, error: _slope(N.log(), error.log()),
        ),
        Mistake(
            "swaps the axes",
            "size is fitted against error. What you chose is N; what varies about the line is the "
            "error",
            "expected",
            lambda N, error: -1 / _slope(error.log(), N.log()),
        ),
    ),
)

# --- 1.2 a budget ------------------------------------------------------------------------


def _best_size(C: float, law: str = "Hoffmann 2022, approach 3") -> float:
    return float(LAWS[law].frontier.optimum(C)[0])


size = NumberTask(
    name="1.2 The best size for a budget",
    draw=lambda dice: (dice.choice([3e21, 1e22, 3e22, 3e23, 1e24]),),
    right=_best_size,
    unit="parameters",
    tolerance=0.1,
    mistakes=(
        Mistake(
            "reads the tokens",
            "these are the tokens; asked is the number of parameters",
            "expected",
            lambda C: C / (6 * _best_size(C)),
        ),
        Mistake(
            "takes Kaplan's law",
            "this is the split of Kaplan et al., which makes models larger. Choose the other law",
            "paper: Hoffmann et al. 2022, section 1, arXiv:2203.15556",
            lambda C: _best_size(C, "Kaplan 2020, measured"),
        ),
        Mistake(
            "one token a parameter",
            "this is as many tokens as parameters. Chinchilla found about twenty times as many",
            "expected",
            lambda C: math.sqrt(C / 6),
        ),
    ),
)

# --- 1.2 a hundred times the compute -----------------------------------------------------


def _factor(C: float) -> str:
    grown = float(np.log(_best_size(100 * C) / _best_size(C)))
    told = {"a": math.log(100), "b": math.log(10), "c": math.log(3), "d": 0.0}
    return min(told, key=lambda letter: abs(told[letter] - grown))


hundred = Prediction(
    name="1.2 A hundred times the compute",
    draw=lambda dice: (10 ** dice.randint(19, 24),),
    right=_factor,
    options={
        "a": "100 times as many parameters",
        "b": "about 10 times as many parameters",
        "c": "about 3 times as many parameters",
        "d": "as many parameters as before, and more tokens",
    },
    mistakes=(
        Mistake(
            "spends all on size",
            "a larger model needs more tokens, too, and each token then costs more",
            "article, section 1.2",
            lambda C: "a",
        ),
        Mistake(
            "takes the root twice",
            "C = 6ND has two factors that grow alike, not four",
            "expected",
            lambda C: "c",
        ),
        Mistake(
            "spends all on data",
            "a model of fixed size stops improving, however much it reads",
            "expected",
            lambda C: "d",
        ),
    ),
)
