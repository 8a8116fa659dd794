"""Losses with their gradients by formula: regression, classification, ranking.

Each loss is a function of predictions that gives one value for each example; the mean over the
examples is what training minimises. Beside it stands its gradient with respect to the
predictions, written out: what backpropagation starts from.

Shapes: B examples, C classes. y predictions, t targets, s scores (logits, any real number).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# --- regression: predictions and targets of one shape ---


def squared(y: Tensor, t: Tensor) -> Tensor:
    """(y − t)² -- Legendre 1805, Gauss 1809; its mean is lowest where y is the mean of t.

    Args:
        y, t: floats of one shape, in one unit.

    Returns:
        Values of that shape, in the unit's square.

    Raises:
        ValueError: shapes differ, or integers instead of floats.
    """
    _check_alike(y=y, t=t)
    return (y - t).square()


def squared_gradient(y: Tensor, t: Tensor) -> Tensor:
    """2 (y − t)."""
    _check_alike(y=y, t=t)
    return 2 * (y - t)


def absolute(y: Tensor, t: Tensor) -> Tensor:
    """|y − t| -- Boscovich 1757, Laplace 1774; lowest where y is the median of t.

    Args, Returns, Raises: see `squared`; the values have the unit of y.
    """
    _check_alike(y=y, t=t)
    return (y - t).abs()


def absolute_gradient(y: Tensor, t: Tensor) -> Tensor:
    """sign(y − t), and 0 at the kink."""
    _check_alike(y=y, t=t)
    return (y - t).sign()


def huber(y: Tensor, t: Tensor, delta: float = 1.0) -> Tensor:
    """r²/2 where |r| <= δ, else δ (|r| − δ/2), r = y − t -- Huber 1964.

    Robust Estimation of a Location Parameter, Ann. Math. Statist. 35 (1).

    Args:
        y, t: floats of one shape, in one unit.
        delta: δ > 0, in that unit: errors beyond it count in proportion, not squared.

    Returns:
        Values of that shape.

    Raises:
        ValueError: shapes differ, integers instead of floats, or delta <= 0.
    """
    _check_alike(y=y, t=t)
    _check_delta(delta)
    r = (y - t).abs()
    return torch.where(r <= delta, r.square() / 2, delta * (r - delta / 2))


def huber_gradient(y: Tensor, t: Tensor, delta: float = 1.0) -> Tensor:
    """y − t, but no more than δ to either side."""
    _check_alike(y=y, t=t)
    _check_delta(delta)
    return (y - t).clamp(-delta, delta)


# --- classification: scores and the truth ---


def binary_cross_entropy(s: Tensor, t: Tensor) -> Tensor:
    """−t log σ(s) − (1 − t) log(1 − σ(s)) -- Bishop 2006, eq. 4.90.

    Computed as max(s, 0) − s t + log(1 + e^−|s|), in which nothing overflows: the formula
    above takes log 0 as soon as σ(s) is rounded to 0 or 1.

    Args:
        s: scores (…), floats.
        t: probability of the class (…), floats from 0 to 1; mostly 0 or 1.

    Returns:
        Values (…), in nats.

    Raises:
        ValueError: shapes differ, or integers instead of floats.
    """
    _check_alike(s=s, t=t)
    return s.clamp(min=0) - s * t + torch.log1p(torch.exp(-s.abs()))


def binary_cross_entropy_gradient(s: Tensor, t: Tensor) -> Tensor:
    """σ(s) − t -- Bishop 2006, eq. 4.91."""
    _check_alike(s=s, t=t)
    return torch.sigmoid(s) - t


def cross_entropy(s: Tensor, t: Tensor) -> Tensor:
    """−log softmax(s)_t = log Σ_c exp(s_c) − s_t -- Bishop 2006, eq. 4.108.

    The largest score is taken out of the sum first, so that no exponential overflows.

    Args:
        s: scores (B, C), floats.
        t: classes (B,), integers from 0 to C − 1.

    Returns:
        Values (B,), in nats.

    Raises:
        ValueError: other shapes, scores that are no floats, or classes that are no integers.
    """
    _check_classes(s, t)
    largest = s.max(dim=1, keepdim=True).values
    log_sum = largest + (s - largest).exp().sum(dim=1, keepdim=True).log()
    return (log_sum - s.gather(1, t[:, None])).squeeze(1)


def cross_entropy_gradient(s: Tensor, t: Tensor) -> Tensor:
    """softmax(s) − one-hot(t), (B, C) -- Bishop 2006, eq. 4.109."""
    _check_classes(s, t)
    p = (s - s.max(dim=1, keepdim=True).values).exp()
    p = p / p.sum(dim=1, keepdim=True)
    return p.scatter_add(1, t[:, None], -torch.ones_like(p[:, :1]))


# --- ranking: scores of what should come first, and of what should come after it ---


def margin_ranking(better: Tensor, worse: Tensor, margin: float = 1.0) -> Tensor:
    """max(0, m − (s₊ − s₋)) -- Herbrich et al. 1999, Joachims 2002 (ranking SVM).

    Args:
        better, worse: scores s₊ and s₋ of one shape, floats; the first should be higher.
        margin: m >= 0: a pair further apart than this costs nothing.

    Returns:
        Values of that shape.

    Raises:
        ValueError: shapes differ, integers instead of floats, or margin < 0.
    """
    _check_alike(better=better, worse=worse)
    _check_margin(margin)
    return (margin - (better - worse)).clamp(min=0)


def margin_ranking_gradient(
    better: Tensor, worse: Tensor, margin: float = 1.0
) -> tuple[Tensor, Tensor]:
    """By s₊ and by s₋: (−1, 1) where the pair is closer than the margin, else (0, 0)."""
    _check_alike(better=better, worse=worse)
    _check_margin(margin)
    close = (better - worse < margin).to(better.dtype)
    return -close, close


def logistic_ranking(better: Tensor, worse: Tensor) -> Tensor:
    """−log σ(s₊ − s₋) = log(1 + exp(s₋ − s₊)): RankNet and BPR.

    Burges et al. 2005, eq. 3 with certain targets, ICML; Rendle et al. 2009, BPR-Opt without
    its regulariser, arXiv:1205.2618.

    Args:
        better, worse: scores s₊ and s₋ of one shape, floats; the first should be higher.

    Returns:
        Values of that shape, in nats.

    Raises:
        ValueError: shapes differ, or integers instead of floats.
    """
    _check_alike(better=better, worse=worse)
    return binary_cross_entropy(better - worse, torch.ones_like(better))


def logistic_ranking_gradient(better: Tensor, worse: Tensor) -> tuple[Tensor, Tensor]:
    """By s₊ and by s₋: (−σ(s₋ − s₊), σ(s₋ − s₊))."""
    _check_alike(better=better, worse=worse)
    wrong = torch.sigmoid(worse - better)
    return -wrong, wrong


@dataclass(frozen=True)
class Loss:
    """A loss and its gradient.

    Attributes:
        task: regression, classification or ranking.
        value, gradient: of the same arguments.
        formula: as a reader writes it.
        source: who used it first, or where it is derived.
    """

    task: str
    value: Callable[..., Tensor]
    gradient: Callable[..., Tensor | tuple[Tensor, Tensor]]
    formula: str
    source: str


LOSSES = {
    "squared": Loss("regression", squared, squared_gradient, "(y − t)²", "Gauss 1809"),
    "absolute": Loss("regression", absolute, absolute_gradient, "|y − t|", "Laplace 1774"),
    "Huber": Loss("regression", huber, huber_gradient, "r²/2 or δ(|r| − δ/2)", "Huber 1964"),
    "binary cross-entropy": Loss(
        "classification",
        binary_cross_entropy,
        binary_cross_entropy_gradient,
        "−t log σ(s) − (1 − t) log(1 − σ(s))",
        "Bishop 2006, eq. 4.90",
    ),
    "cross-entropy": Loss(
        "classification",
        cross_entropy,
        cross_entropy_gradient,
        "log Σ exp(s_c) − s_t",
        "Bishop 2006, eq. 4.108",
    ),
    "margin": Loss(
        "ranking",
        margin_ranking,
        margin_ranking_gradient,
        "max(0, m − (s₊ − s₋))",
        "Joachims 2002",
    ),
    "logistic": Loss(
        "ranking",
        logistic_ranking,
        logistic_ranking_gradient,
        "log(1 + exp(s₋ − s₊))",
        "Burges et al. 2005, eq. 3; Rendle et al. 2009",
    ),
}


def _check_alike(**pair: Tensor) -> None:
    (first, a), (second, b) = pair.items()
    if a.shape != b.shape or not (a.is_floating_point() and b.is_floating_point()):
        got = f"{tuple(a.shape)} of {a.dtype} and {tuple(b.shape)} of {b.dtype}"
        raise ValueError(f"need {first} and {second} of one shape, both floats; got {got}")


def _check_classes(s: Tensor, t: Tensor) -> None:
    floats, integers = s.is_floating_point(), t.dtype == torch.int64
    if s.ndim != 2 or t.shape != s.shape[:1] or not floats or not integers:
        got = f"{tuple(s.shape)} of {s.dtype} and {tuple(t.shape)} of {t.dtype}"
        raise ValueError(f"need scores (B, C) of floats and classes (B,) of int64, got {got}")


def _check_delta(delta: float) -> None:
    if not 0 < delta < math.inf:
        raise ValueError(f"need delta > 0 and finite, got {delta}")


def _check_margin(margin: float) -> None:
    if not 0 <= margin < math.inf:
        raise ValueError(f"need margin >= 0 and finite, got {margin}")
