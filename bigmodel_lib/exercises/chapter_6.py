"""Tasks of chapter 6: sampling, boxes, words heard wrongly, windows."""

import math
import random

import torch
from torch import Tensor

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal
from bigmodel_lib.models.boxes import iou

# --- 6.1 nucleus sampling ----------------------------------------------------------------


def _nucleus(probabilities: Tensor, p: float, *, crossing=True, ranked=True, whole=True) -> Tensor:
    """The smallest set of likeliest tokens with at least p together, shared out anew.

    Holtzman et al. 2020, eqs. 2 and 3, arXiv:1904.09751.
    """
    order = probabilities.argsort(descending=True) if ranked else torch.arange(len(probabilities))
    up_to = probabilities[order].cumsum(0)
    before = up_to - probabilities[order]
    kept = torch.zeros_like(probabilities)
    chosen = order[before < p] if crossing else order[up_to <= p]
    kept[chosen] = probabilities[chosen]
    return kept / kept.sum() if whole else kept


def _distributions(dice: random.Random) -> tuple[Tensor, float]:
    return (1.2 * normal(dice, 5, 12)).softmax(dim=1), round(dice.uniform(0.7, 0.9), 2)


def _each(function, rows: Tensor, p: float) -> Tensor | None:
    """The function on each row."""
    results = [function(row, p) for row in rows]
    return torch.stack(results) if all(isinstance(r, Tensor) for r in results) else None


def _relative(probabilities: Tensor, p: float) -> Tensor:
    kept = probabilities * (probabilities >= p * probabilities.max())
    return kept / kept.sum()


nucleus = CodeTask(
    name="6.1 Nucleus sampling",
    draw=_distributions,
    measure=_each,
    right=_nucleus,
    mistakes=(
        Mistake(
            "leaves out the token that crosses p",
            "the kept tokens have less than p together: the one that crosses p belongs to them",
            "https://github.com/rasbt/reasoning-from-scratch/issues/164",
            lambda row, p: _nucleus(row, p, crossing=False),
        ),
        Mistake(
            "does not share out anew",
            "what is left does not sum to 1: share it out anew",
            "expected",
            lambda row, p: _nucleus(row, p, whole=False),
        ),
        Mistake(
            "does not rank",
            "tokens are taken in the vocabulary's order. The nucleus begins with the likeliest",
            "expected",
            lambda row, p: _nucleus(row, p, ranked=False),
        ),
        Mistake(
            "takes min-p for top-p",
            "each token is compared with the likeliest: that is min-p. Top-p looks at the sum",
            "expected",
            _relative,
        ),
    ),
)

# --- 6.2 boxes ---------------------------------------------------------------------------


def _sides(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def _overlap(a: Tensor, b: Tensor, *, clamp=True, pixel=0.0) -> Tensor:
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    sides = high - low + pixel
    return (sides.clamp(min=0) if clamp else sides).prod(1)


def _share(a: Tensor, b: Tensor, *, clamp=True, pixel=0.0) -> Tensor:
    both = _overlap(a, b, clamp=clamp, pixel=pixel)
    return both / ((_sides(a) + pixel).prod(1) + (_sides(b) + pixel).prod(1) - both)


def _boxes(dice: random.Random) -> tuple[Tensor, Tensor]:
    """Pairs of boxes; some overlap, and some are apart in both directions."""
    a = 20 + 4 * normal(dice, 7, 2)
    b = a + 3 * normal(dice, 7, 2)
    b[:2] += 40
    sizes = 8 + normal(dice, 2, 7, 2).abs()
    return torch.cat([a, a + sizes[0]], 1), torch.cat([b, b + sizes[1]], 1)


overlap = CodeTask(
    name="6.2 Intersection over union",
    draw=_boxes,
    right=lambda a, b: iou(a, b).diagonal(),
    mistakes=(
        Mistake(
            "no floor at 0",
            "boxes that are apart in both directions get an overlap: two negative sides make a "
            "positive area",
            "https://github.com/AccumulateMore/CV/issues/17",
            lambda a, b: _share(a, b, clamp=False),
        ),
        Mistake(
            "counts the overlap twice",
            "the sum of both areas holds the overlap twice; the union holds it once",
            "expected",
            lambda a, b: _overlap(a, b) / (_sides(a).prod(1) + _sides(b).prod(1)),
        ),
        Mistake(
            "divides by the smaller box",
            "this divides by the smaller box: a small one within a large one would be perfect",
            "expected",
            lambda a, b: _overlap(a, b) / torch.minimum(_sides(a).prod(1), _sides(b).prod(1)),
        ),
        Mistake(
            "adds a pixel",
            "a pixel is added to the sides. These corners are places, not indices of pixels",
            "https://github.com/xg-chu/CrowdDet/issues/47",
            lambda a, b: _share(a, b, pixel=1.0),
        ),
    ),
)

# --- 6.3 word error rate -----------------------------------------------------------------


def _edits(said: str, heard: str) -> int:
    """Fewest words to put in, leave out or change -- Levenshtein 1966."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, start=1):
        left = [i]
        for j, b in enumerate(heard, start=1):
            left.append(min(row[j] + 1, left[-1] + 1, row[j - 1] + (a != b)))
        row = left
    return row[-1]


def _misheard(dice: random.Random) -> tuple[str, str]:
    """Eight different digits, of which the second is lost and the last changed."""
    said = dice.sample("0123456789", 10)
    heard = [said[0], *said[2:7], said[9]]
    return "".join(said[:8]), "".join(heard)


word_errors = NumberTask(
    name="6.3 A word error rate",
    draw=_misheard,
    right=lambda said, heard: _edits(said, heard) / len(said),
    mistakes=(
        Mistake(
            "compares place by place",
            "after a lost word all others stand one place further on. They were heard rightly",
            "expected",
            lambda said, heard: (
                (
                    sum(a != b for a, b in zip(said, heard, strict=False))
                    + abs(len(said) - len(heard))
                )
                / len(said)
            ),
        ),
        Mistake(
            "divides by what was heard",
            "the rate is per word that was said, not per word that was heard",
            "expected",
            lambda said, heard: _edits(said, heard) / len(heard),
        ),
        Mistake(
            "counts changed words alone",
            "a lost word is an error, too",
            "expected",
            lambda said, heard: 1 / len(said),
        ),
        Mistake(
            "gives the share that is right",
            "this is the share of the words that is right; asked is the error rate",
            "expected",
            lambda said, heard: 1 - _edits(said, heard) / len(said),
        ),
    ),
)

# --- 6.3 the spectrogram -----------------------------------------------------------------

RATE = 8000  # samples a second in this chapter
window = NumberTask(
    name="6.3 A window for the spectrogram",
    draw=lambda dice: (RATE / dice.choice([64, 128, 256, 512, 1024]),),
    right=lambda spacing: RATE / spacing,
    unit="samples",
    mistakes=(
        Mistake(
            "milliseconds for samples",
            "this is the length of the window in milliseconds; the control counts samples",
            "expected",
            lambda spacing: 1000 / spacing,
        ),
        Mistake(
            "halves the range",
            "frequencies end at half the sampling rate; their spacing is the whole rate over M",
            "expected",
            lambda spacing: RATE / 2 / spacing,
        ),
        Mistake(
            "takes the hop for the window",
            "this is how far one window is from the next: with 4 windows over each sample, a "
            "quarter of the window",
            "expected",
            lambda spacing: RATE / spacing / 4,
        ),
    ),
)

# --- 6.3 noise ---------------------------------------------------------------------------


def _louder(dB: int) -> str:
    """How many times the amplitude grows with dB more."""
    found = math.sqrt(10 ** (dB / 10))
    told = {"a": 10 ** (dB / 10), "b": 10 ** (dB / 20), "c": dB, "d": 2 ** (dB / 10)}
    return min(told, key=lambda letter: abs(math.log(told[letter] / found)))


louder = Prediction(
    name="6.3 More noise",
    draw=lambda dice: (dice.choice([12, 15, 25, 30]),),
    right=_louder,
    options={
        "a": "its amplitude grows 10^(n/10) times",
        "b": "its amplitude grows 10^(n/20) times",
        "c": "its amplitude grows n times",
        "d": "its amplitude grows 2^(n/10) times",
    },
    mistakes=(
        Mistake(
            "power for amplitude",
            "that is how the power grows, and power is the square of the amplitude",
            "expected",
            lambda dB: "a",
        ),
        Mistake(
            "takes decibels for a factor",
            "decibels are logarithms: they add where amplitudes multiply",
            "expected",
            lambda dB: "c",
        ),
        Mistake(
            "takes loudness for amplitude",
            "that is a rule for how loud it seems to an ear, not for the amplitude",
            "expected",
            lambda dB: "d",
        ),
    ),
)
