"""Tasks of chapter 4: attention, the GAN's objective, optimisers."""

import math
import random

import torch
from torch import Tensor

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal

# --- 4.3 attention weights ---------------------------------------------------------------


def _weights(q: Tensor, k: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) -- Vaswani et al. 2017, eq. 1, arXiv:1706.03762."""
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)


weights = CodeTask(
    name="4.3 The weights of attention",
    draw=lambda dice: (normal(dice, 2, 3, 5, 7), normal(dice, 2, 3, 11, 7)),
    right=_weights,
    mistakes=(
        Mistake(
            "scales by d",
            "this divides the scores by d, as the article prints it. What is the standard "
            "deviation of a sum of d products?",
            "article, section 4.3",
            lambda q, k: (q @ k.mT / q.shape[-1]).softmax(-1),
        ),
        Mistake(
            "does not scale",
            "the scores are not scaled. Where d is large, softmax then puts all weight on one key",
            "expected",
            lambda q, k: (q @ k.mT).softmax(-1),
        ),
        Mistake(
            "softmax over the wrong axis",
            "softmax runs over the queries, so the columns sum to 1. Each query must share out "
            "its weight over the keys",
            "https://github.com/labmlai/annotated_deep_learning_paper_implementations/issues/146",
            lambda q, k: (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-2),
        ),
        Mistake(
            "a factor outside of the softmax",
            "a factor stands outside of the softmax, as the article prints it, so that the rows "
            "no longer sum to 1",
            "article, section 4.3",
            lambda q, k: (q @ k.mT / q.shape[-1]).softmax(-1) / math.sqrt(q.shape[-1]),
        ),
    ),
)

# --- 4.3 the size of a score -------------------------------------------------------------

score_size = NumberTask(
    name="4.3 The size of a score",
    draw=lambda dice: (dice.choice([32, 48, 96, 128, 192]), dice.choice([0.5, 0.7, 1.4, 2.0])),
    right=lambda d, s: math.sqrt(d) * s * s,
    mistakes=(
        Mistake(
            "variance instead of standard deviation",
            "this is the variance. The standard deviation is its root",
            "expected",
            lambda d, s: d * s**4,
        ),
        Mistake(
            "adds standard deviations",
            "standard deviations of independent numbers do not add; their variances do",
            "expected",
            lambda d, s: d * s * s,
        ),
        Mistake(
            "counts one of two factors",
            "each product has two factors with standard deviation s, one from q and one from k",
            "expected",
            lambda d, s: math.sqrt(d) * s,
        ),
    ),
)

# --- 4.3 the explorer --------------------------------------------------------------------

temperature = NumberTask(
    name="4.3 A temperature in the explorer",
    # Wider heads come so close to the highest entropy that its two digits tell them no further.
    draw=lambda dice: (dice.choice([4, 8, 16]),),
    right=lambda d: math.sqrt(d),
    tolerance=0.1,
    mistakes=(
        Mistake(
            "divides by d once more",
            "the rule 1/√d is in force already; what has the temperature still to do?",
            "expected",
            lambda d: d,
        ),
        Mistake(
            "the inverse",
            "temperature divides the scores: below 1 it sharpens the weights, and the article's "
            "rule flattens them",
            "expected",
            lambda d: 1 / math.sqrt(d),
        ),
        Mistake(
            "leaves the temperature at 1",
            "at temperature 1 the entropies differ. Compare the two summary lines again",
            "expected",
            lambda d: 1,
        ),
    ),
)

# --- 4.2 the best discriminator ----------------------------------------------------------


def _bell(x: float, mean: float, std: float) -> float:
    return math.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))


def _best(x: float, mean: float, std: float) -> float:
    """D* = p/(p + q) -- Goodfellow et al. 2014, proposition 1, arXiv:1406.2661."""
    p, q = _bell(x, 0, 1), _bell(x, mean, std)
    return p / (p + q)


best_discriminator = NumberTask(
    name="4.2 The best discriminator",
    draw=lambda dice: (
        round(dice.uniform(-0.2, 0.4), 1),
        dice.choice([1.0, 1.2, 1.5]),
        dice.choice([0.6, 1.6, 2.0]),
    ),
    right=_best,
    mistakes=(
        Mistake(
            "swaps data and generator",
            "this is the probability that x was generated. D says how likely x is real",
            "expected",
            lambda x, mean, std: 1 - _best(x, mean, std),
        ),
        Mistake(
            "odds instead of probability",
            "p/q are the odds. A probability lies between 0 and 1",
            "expected",
            lambda x, mean, std: _bell(x, 0, 1) / _bell(x, mean, std),
        ),
        Mistake(
            "forgets the width in front of the exponential",
            "a density has area 1: a wide bell is low. Is 1/σ there in front?",
            "expected",
            lambda x, mean, std: _bell(x, 0, 1) / (_bell(x, 0, 1) + std * _bell(x, mean, std)),
        ),
    ),
)

# --- 4.2 the article's signs -------------------------------------------------------------


def _where_it_goes(p: float, q: float) -> str:
    """The value of D in (0, 1) at which -p log D - q log D is largest."""
    D = torch.linspace(0.001, 0.999, 999)
    highest = D[(-p * D.log() - q * D.log()).argmax()].item()
    goals = {"a": 0.0, "b": p / (p + q), "c": 1.0, "d": q / (p + q)}
    return min(goals, key=lambda letter: abs(goals[letter] - highest))


signs = Prediction(
    name="4.2 The article's signs",
    draw=lambda dice: (round(dice.uniform(0.55, 0.8), 2), round(dice.uniform(0.2, 0.4), 2)),
    right=_where_it_goes,
    options={
        "a": "D goes to 0, for real data too",
        "b": "D goes to p/(p + q)",
        "c": "D goes to 1, for generated data too",
        "d": "D goes to q/(p + q)",
    },
    mistakes=(
        Mistake(
            "reads what should be printed",
            "p/(p + q) is the answer of the right formula. What does the printed one reward?",
            "article, section 4.2",
            lambda p, q: "b",
        ),
        Mistake(
            "minimises",
            "D = 1 makes both terms 0, which is their smallest value; D maximises",
            "expected",
            lambda p, q: "c",
        ),
        Mistake(
            "flips the roles",
            "changing both signs does not swap real and generated: both terms now want the same",
            "expected",
            lambda p, q: "d",
        ),
    ),
)

# --- 4.1 Adam ----------------------------------------------------------------------------


def adam(gradients: Tensor, eta: float, *, correct=True, root=True, square=True) -> Tensor:
    """What n steps of Adam subtract -- Kingma & Ba 2014, algorithm 1, arXiv:1412.6980."""
    m, r, beta1, beta2, total = 0.0, 0.0, 0.9, 0.999, 0.0
    for n, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        r = beta2 * r + (1 - beta2) * (g**2 if square else g.abs())
        first, second = (m / (1 - beta1**n), r / (1 - beta2**n)) if correct else (m, r)
        total = total + eta * first / ((second.sqrt() if root else second) + 1e-8)
    return total


def _gradients(dice: random.Random) -> tuple[Tensor, float]:
    return 0.3 * normal(dice, 5, 7) + 0.5, dice.choice([0.01, 0.02, 0.05])


adam_steps = CodeTask(
    name="4.1 Adam from its formula",
    draw=_gradients,
    right=adam,
    mistakes=(
        Mistake(
            "no bias correction",
            "m and r start at 0 and are too small in the first steps; divide by 1 − βⁿ",
            "https://github.com/BVLC/caffe/issues/4224",
            lambda g, eta: adam(g, eta, correct=False),
        ),
        Mistake(
            "no root",
            "r is a mean of squares. Without its root, the step has the unit of 1/g",
            "expected",
            lambda g, eta: adam(g, eta, root=False),
        ),
        Mistake(
            "no square",
            "r averages the squares of the gradient, not its size",
            "expected",
            lambda g, eta: adam(g, eta, square=False),
        ),
    ),
)
