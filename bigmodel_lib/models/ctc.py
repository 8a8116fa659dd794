"""Connectionist temporal classification: learn a sequence of labels without being told when.

A network gives each of T frames a distribution over the labels and a *blank*. A path takes one of
them at every frame; read it by merging repeats and dropping blanks. The probability of a labelling
is the sum over all paths that read so.

Shapes: B batch, T frames, V labels with the blank, which is label 0; U labels of a target.

Sources: Graves et al. 2006, Connectionist temporal classification, ICML, section 4.1, for the sum;
Hannun et al. 2014, arXiv:1408.2873, algorithm 1, for the search with prefixes, here without a
language model.
"""

import math
from collections import defaultdict
from itertools import groupby

import torch
from torch import Tensor

BLANK = 0
NEVER = -1e30  # a log-probability; -inf would make gradients NaN, and logits are float32 here


def ctc_loss(log_probs: Tensor, frames: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
    """-ln of the probability of each target, (B,): infinite where it does not fit its frames.

    Blanks stand between, before and behind the labels of a target, 2U + 1 places in all; α_t(s) is
    the probability of all ways to be at place s after frame t:
    α_t(s) = p_t(s) (α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2)), where the last is allowed only
    onto a label that differs from the one before -- Graves et al. 2006, section 4.1, in logarithms.

    Args:
        log_probs: (B, T, V), each frame's logarithms sum to 1 as probabilities.
        frames: how many of the T count, (B,), at least 1 each.
        targets: (B, U) labels 1 … V - 1, padded with anything behind.
        lengths: how many labels of each count, (B,).

    Raises:
        ValueError: shapes that do not fit, or lengths out of range.
    """
    B, T, _ = log_probs.shape
    _check(B, T, frames, targets, lengths)
    places = targets.new_full((B, 2 * targets.shape[1] + 1), BLANK)
    places[:, 1::2] = targets
    emitted = log_probs.gather(2, places[:, None].expand(B, T, -1))  # (B, T, 2U + 1)
    jump = torch.zeros_like(places, dtype=torch.bool)
    jump[:, 2:] = (places[:, 2:] != BLANK) & (places[:, 2:] != places[:, :-2])
    alpha = torch.full_like(emitted[:, 0], NEVER)
    alpha[:, :2] = emitted[:, 0, :2]
    for t in range(1, T):
        step = _shifted(alpha, 1)
        leap = _shifted(alpha, 2).masked_fill(~jump, NEVER)
        moved = torch.stack((alpha, step, leap)).logsumexp(dim=0) + emitted[:, t]
        alpha = torch.where((t < frames)[:, None], moved, alpha)
    last = 2 * lengths[:, None]  # the blank behind, or the last label
    ends = alpha.gather(1, torch.cat((last, (last - 1).clamp_min(0)), dim=1))
    ends = ends.masked_fill(torch.cat((last < 0, last == 0), dim=1), NEVER)
    loss = -ends.logsumexp(dim=1)
    return torch.where(loss > -NEVER / 2, math.inf, loss)


def _shifted(alpha: Tensor, by: int) -> Tensor:
    return torch.nn.functional.pad(alpha, (by, 0), value=NEVER)[:, : alpha.shape[1]]


def _check(B: int, T: int, frames: Tensor, targets: Tensor, lengths: Tensor) -> None:
    shapes = [tuple(x.shape) for x in (frames, targets[:, 0], lengths)]
    if targets.ndim != 2 or shapes != [(B,)] * 3:
        raise ValueError(f"need frames (B,), targets (B, U), lengths (B,), B={B}; got {shapes}")
    if frames.min() < 1 or frames.max() > T or lengths.min() < 0:
        raise ValueError(f"need 1 ≤ frames ≤ T={T} and lengths ≥ 0, got {frames} and {lengths}")
    if lengths.max() > targets.shape[1]:
        raise ValueError(f"need lengths ≤ U={targets.shape[1]}, got {lengths}")


def collapse(path: list[int]) -> list[int]:
    """Read a path: repeats merged, then blanks dropped."""
    return [label for label, _ in groupby(path) if label != BLANK]


def greedy(log_probs: Tensor) -> list[int]:
    """Read the likeliest path (T, V): quick, but the likeliest labelling may be another."""
    return collapse(log_probs.argmax(dim=1).tolist())


def beam_search(log_probs: Tensor, width: int = 8) -> tuple[list[int], float]:
    """The likeliest labelling, as far as a search finds it that keeps so many at each frame.

    Paths that read alike count together, those that end in a blank apart from the others: only
    behind a blank can a label follow itself -- Hannun et al. 2014, algorithm 1.

    Args:
        log_probs: of one utterance, (T, V).
        width: labellings kept.

    Returns:
        The labels, and the ln of the probability that was found for them.

    Raises:
        ValueError: a width below 1.
    """
    if width < 1:
        raise ValueError(f"need a width of at least 1, got {width}")
    beams = {(): (0.0, -math.inf)}  # ln of the paths ending in a blank, in a label
    for frame in log_probs.tolist():
        grown: dict[tuple, list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for labels, (blank, label) in beams.items():
            _grow(grown, labels, blank, label, frame)
        best = sorted(grown.items(), key=lambda item: -_add(*item[1]))[:width]
        beams = {labels: tuple(ends) for labels, ends in best}
    labels, ends = max(beams.items(), key=lambda item: _add(*item[1]))
    return list(labels), _add(*ends)


def _grow(grown: dict, labels: tuple, blank: float, label: float, frame: list[float]) -> None:
    """One labelling by one frame: all that it can become."""
    either = _add(blank, label)
    stay = grown[labels]
    stay[0] = _add(stay[0], either + frame[BLANK])
    if labels:
        stay[1] = _add(stay[1], label + frame[labels[-1]])
    for next_label in range(1, len(frame)):
        before = blank if labels and next_label == labels[-1] else either
        longer = grown[(*labels, next_label)]
        longer[1] = _add(longer[1], before + frame[next_label])


def _add(a: float, b: float) -> float:
    """ln(eᵃ + eᵇ)."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
