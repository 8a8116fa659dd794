"""Tasks of chapter 3: preparing data, gradients by hand, honest evaluation."""

import math
import random

import torch
import torch.nn.functional as F
from torch import Tensor

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal

# --- 3.2 preprocessing -------------------------------------------------------------------


def _scaled(train: Tensor, test: Tensor, source: Tensor | None = None, axis: int | None = 0):
    """Both tables, standardised with the statistics of a third."""
    source = train if source is None else source
    if axis is None:
        mean, std = source.mean(), source.std(correction=0)
    else:
        mean, std = source.mean(axis, keepdim=True), source.std(axis, correction=0, keepdim=True)
    return torch.cat([(train - mean) / std, (test - mean) / std])


def _tables(dice: random.Random) -> tuple[Tensor, Tensor]:
    size = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    return size * normal(dice, 11, 3) + 2, size * (normal(dice, 5, 3) + 0.7) + 2


standardise = CodeTask(
    name="3.2 Standardise without a leak",
    draw=_tables,
    measure=lambda function, train, test: _joined(function(train, test)),
    right=lambda train, test: _scaled(train, test).split([11, 5]),
    mistakes=(
        Mistake(
            "leaks test statistics",
            "mean and deviation come from all rows. The test rows are from a future that you do "
            "not know yet: take statistics from the training rows alone",
            "https://scikit-learn.org/1.4/_sources/common_pitfalls.rst.txt",
            lambda train, test: _scaled(train, test, torch.cat([train, test])).split([11, 5]),
        ),
        Mistake(
            "gives the test rows statistics of their own",
            "training and test rows are on different scales now: the same value means two things",
            "expected",
            lambda train, test: (_scaled(train, test)[:11], _scaled(train, test, test)[11:]),
        ),
        Mistake(
            "leaves the test rows raw",
            "the model learns from standardised rows and is asked about raw ones",
            "https://scikit-learn.org/1.4/_sources/common_pitfalls.rst.txt",
            lambda train, test: (_scaled(train, test)[:11], test),
        ),
        Mistake(
            "one mean for all columns",
            "each column has a unit of its own, so each needs its own mean and deviation",
            "expected",
            lambda train, test: _scaled(train, test, axis=None).split([11, 5]),
        ),
    ),
)


def _joined(tables) -> Tensor | None:
    """Two tables below each other; None if it is not two."""
    if not isinstance(tables, tuple | list) or len(tables) != 2:
        return None
    if not all(isinstance(table, Tensor) and table.ndim == 2 for table in tables):
        return None
    return torch.cat(list(tables))


# --- 3.2 training: a gradient by hand ----------------------------------------------------


def _gradient(W: Tensor, X: Tensor, t: Tensor) -> Tensor:
    """By automatic differentiation."""
    W = W.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(X @ W.T, t), W)[0]


def _by_hand(W: Tensor, X: Tensor, t: Tensor, axis: int = 1, target: bool = True) -> Tensor:
    wanted = F.one_hot(t, len(W)) if target else 0
    return ((X @ W.T).softmax(axis) - wanted).T @ X / len(X)


def _classes(dice: random.Random) -> tuple[Tensor, Tensor, Tensor]:
    return normal(dice, 3, 5), normal(dice, 7, 5), torch.tensor(dice.choices(range(3), k=7))


gradient = CodeTask(
    name="3.2 A gradient by hand",
    draw=_classes,
    right=_gradient,
    mistakes=(
        Mistake(
            "sums instead of averaging",
            "this is the gradient of the sum over the rows; the loss is their mean",
            "expected",
            lambda W, X, t: len(X) * _gradient(W, X, t),
        ),
        Mistake(
            "the wrong sign",
            "this points uphill reversed: the gradient is prediction minus target, not target "
            "minus prediction",
            "expected",
            lambda W, X, t: -_gradient(W, X, t),
        ),
        Mistake(
            "softmax over the rows",
            "softmax runs over the examples. Each example has to share out its probability over "
            "the classes",
            "https://github.com/perone/euclidesdb/issues/2",
            lambda W, X, t: _by_hand(W, X, t, axis=0),
        ),
        Mistake(
            "forgets the target",
            "the targets t appear nowhere: the probabilities alone say nothing of being wrong",
            "expected",
            lambda W, X, t: _by_hand(W, X, t, target=False),
        ),
    ),
)

# --- 3.2 the stepper ---------------------------------------------------------------------


def _neuron(dice: random.Random) -> tuple[float, ...]:
    signs = dice.choice([-1, 1]), dice.choice([-1, 1])
    w, x = signs[0] * dice.choice([0.3, 0.4, 0.6]), signs[1] * dice.choice([1.5, 1.8, 2.4])
    return w, x, dice.choice([-0.2, 0.1]), dice.choice([-2.0, 2.0])


def _output(w: float, x: float, b: float) -> float:
    return math.tanh(w * x + b)


def _slope(w: float, x: float, b: float, t: float) -> float:
    y = _output(w, x, b)
    return 2 * (y - t) * (1 - y**2) * x


stepper = NumberTask(
    name="3.2 A gradient in the stepper",
    draw=_neuron,
    right=_slope,
    tolerance=0.015,
    mistakes=(
        Mistake(
            "stops at the sum",
            "this is the gradient at w·x + b. One step more, through the product, leads to w",
            "expected",
            lambda w, x, b, t: _slope(w, x, b, t) / x,
        ),
        Mistake(
            "takes the gradient of x",
            "the product hands each factor the other one: this is the gradient of x",
            "expected",
            lambda w, x, b, t: _slope(w, x, b, t) * w / x,
        ),
        Mistake(
            "forgets the slope of tanh",
            "the gradient passes tanh and is multiplied by its slope, 1 − tanh²",
            "expected",
            lambda w, x, b, t: 2 * (_output(w, x, b) - t) * x,
        ),
        Mistake(
            "reads the value",
            "this is the loss: a value of the way forward. Gradients come on the way back",
            "expected",
            lambda w, x, b, t: (_output(w, x, b) - t) ** 2,
        ),
    ),
)

# --- 3.2 evaluation ----------------------------------------------------------------------


def _table(dice: random.Random) -> tuple[int, int, int, int]:
    return dice.randint(20, 28), dice.randint(15, 24), dice.randint(9, 14), dice.randint(100, 150)


recall = NumberTask(
    name="3.2 Recall from a confusion matrix",
    draw=_table,
    right=lambda tp, fp, fn, tn: tp / (tp + fn),
    tolerance=0.002,
    mistakes=(
        Mistake(
            "precision",
            "this is precision, the share of the ill among those called ill. Start from the ill",
            "expected",
            lambda tp, fp, fn, tn: tp / (tp + fp),
        ),
        Mistake(
            "accuracy",
            "this is accuracy, which the many healthy people make look good",
            "expected",
            lambda tp, fp, fn, tn: (tp + tn) / (tp + fp + fn + tn),
        ),
        Mistake(
            "specificity",
            "this starts from the healthy: it is specificity",
            "expected",
            lambda tp, fp, fn, tn: tn / (tn + fp),
        ),
        Mistake(
            "F1",
            "this is F₁, which mixes precision in",
            "expected",
            lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
        ),
    ),
)


def best_of(k: int, n: int) -> float:
    """Expected accuracy of the best of k models that guess on n examples of two classes.

    E[max] = Σₘ P(max ≥ m) / n, with P(max ≥ m) = 1 − P(one has fewer than m)ᵏ.

    Args:
        k: models, each independent of the others.
        n: examples.
    """
    shares = [math.comb(n, m) / 2**n for m in range(n + 1)]
    below = [math.fsum(shares[:m]) for m in range(1, n + 1)]
    return math.fsum(1 - share**k for share in below) / n


def _best(k: int, n: int) -> str:
    """Which option the expected best is in."""
    found = best_of(k, n)
    for letter, low, high in (("a", 0.45, 0.53), ("b", 0.57, 0.9), ("c", 0.97, 1.0)):
        if low <= found <= high:
            return letter
    return "d"


luck = Prediction(
    name="3.2 The best of many guessers",
    draw=lambda dice: (dice.choice([100, 200, 400]), dice.choice([40, 60, 80])),
    right=_best,
    options={
        "a": "about 0.5, as each of them deserves",
        "b": "clearly over 0.57, though none of them knows anything",
        "c": "nearly 1: among so many, one is right throughout",
        "d": "under 0.45, since errors add up",
    },
    mistakes=(
        Mistake(
            "forgets the choice",
            "each one alone is at 0.5. But you look at the best, chosen on the same rows",
            "expected",
            lambda k, n: "a",
        ),
        Mistake(
            "thinks that luck has no bound",
            "to be right throughout has a chance of 1 in 2ⁿ, much too small for so many guessers",
            "expected",
            lambda k, n: "c",
        ),
        Mistake(
            "adds errors",
            "nothing is added up here: each one guesses for itself, and the best is taken",
            "expected",
            lambda k, n: "d",
        ),
    ),
)
