"""A voice made of a source and filters: it says digits in English, and knows exactly when.

The vocal folds buzz, narrow places hiss, and the tract between them and the lips resonates at its
*formants*. Five resonators in a row shape the buzz (and the breath in it), three side by side the
hiss. Their frequencies move every 5 ms from one speech sound (*phone*) to the next.

Sources: Klatt 1980, Software for a cascade/parallel formant synthesizer, Journal of the Acoustical
Society of America 67(3): the resonator (eqs. 1-2), the two branches, formants of diphthongs and
consonants and the strengths of their noise (tables II and III); Peterson & Barney 1952, same
journal 24(2), table II: formants of the other vowels, mean of 33 men; Klatt & Klatt 1990, same
journal 87(2): the glottal pulse. Durations and levels are ours. At 8 kHz there is no room for
Klatt's sixth resonator (4,900 Hz), so our fifth has its noise; and a nasal is a weak low buzz with
broad resonances, without his nasal zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bigmodel_lib.data.sound_file import RATE

BLOCK = 40  # samples, 5 ms: resonators change this often
WIDTHS = (60.0, 100.0, 150.0, 250.0, 200.0)  # Hz, bandwidths of F1 … F5, where a phone has no own
UPPER = (3300.0, 3750.0)  # Hz, F4 and F5, which do not move
HIGHEST = 3850.0  # Hz: beyond, a resonator would fold back
TOGETHER = 16  # utterances made side by side: more do not fit into a processor's cache
SILENCE = "sil"
LONGEST = 12  # digits
SPEEDS = (0.5, 2.0)
DULL = 0.75  # how much the source loses at high frequencies: vocal folds shut softly


@dataclass(frozen=True)
class Phone:
    """One speech sound.

    Attributes:
        ms: usual duration, milliseconds.
        start, end: F1, F2, F3 in Hz at its start and end; None: those of the phone behind it.
        voice: strength of the buzz.
        breath: strength of the noise that passes the same resonators.
        hiss: strengths in dB of the noise beside them: at F3, F4, F5, and unfiltered; 0 for none.
        widths: bandwidths of F1, F2, F3, Hz.
    """

    ms: float
    start: tuple[float, float, float] | None = None
    end: tuple[float, float, float] | None = None
    voice: float = 0.0
    breath: float = 0.0
    hiss: tuple[float, float, float, float] = (0, 0, 0, 0)
    widths: tuple[float, float, float] = WIDTHS[:3]


def _vowel(ms: float, start: tuple, end: tuple | None = None) -> Phone:
    return Phone(ms, start, end, voice=1.0)


PHONES = {
    SILENCE: Phone(100),
    # Peterson & Barney 1952, table II, men
    "IY": _vowel(150, (270, 2290, 3010)),
    "IH": _vowel(100, (390, 1990, 2550)),
    "EH": _vowel(110, (530, 1840, 2480)),
    "AH": _vowel(120, (640, 1190, 2390)),
    "AO": _vowel(150, (570, 840, 2410)),
    # Klatt 1980, table II
    "EY": _vowel(180, (480, 1720, 2520), (330, 2020, 2600)),
    "AY": _vowel(200, (660, 1200, 2550), (400, 1880, 2500)),
    "OW": _vowel(170, (540, 1100, 2300), (450, 900, 2300)),
    "UW": _vowel(170, (350, 1250, 2200), (320, 900, 2200)),
    # Klatt 1980, table III
    "W": Phone(70, (290, 610, 2150), voice=0.6),
    "R": Phone(70, (310, 1060, 1380), voice=0.6),
    "N": Phone(90, (480, 1340, 2470), voice=0.3, widths=(80, 300, 300)),
    "F": Phone(110, (340, 1100, 2080), hiss=(0, 0, 0, 57), widths=(200, 120, 150)),
    "V": Phone(70, (220, 1100, 2080), voice=0.3, hiss=(0, 0, 0, 50), widths=(60, 90, 120)),
    "TH": Phone(100, (320, 1290, 2540), hiss=(0, 0, 40, 50), widths=(200, 90, 200)),
    "S": Phone(110, (320, 1390, 2530), hiss=(0, 45, 63, 40), widths=(200, 80, 200)),
    "Z": Phone(80, (240, 1390, 2530), voice=0.3, hiss=(0, 40, 58, 35), widths=(70, 60, 180)),
    # a stop: closed, a burst, and breath until the folds buzz again
    "TCL": Phone(50, (400, 1600, 2600)),
    "T": Phone(20, (400, 1600, 2600), hiss=(40, 55, 66, 45), widths=(300, 120, 250)),
    "KCL": Phone(50, (300, 1990, 2850)),
    "K": Phone(25, (300, 1990, 2850), hiss=(62, 53, 50, 40), widths=(250, 160, 330)),
    "HH": Phone(35, None, breath=0.5, widths=(300, 150, 200)),
}
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PRONOUNCED = {
    "0": ("Z", "IH", "R", "OW"),
    "1": ("W", "AH", "N"),
    "2": ("TCL", "T", "HH", "UW"),
    "3": ("TH", "R", "IY"),
    "4": ("F", "AO", "R"),
    "5": ("F", "AY", "V"),
    "6": ("S", "IH", "KCL", "K", "S"),
    "7": ("S", "EH", "V", "AH", "N"),
    "8": ("EY", "TCL", "T"),
    "9": ("N", "AY", "N"),
}


@dataclass(frozen=True)
class Speaker:
    """Who speaks.

    Args:
        pitch: of the vocal folds, Hz: about 130 for men, 220 for women, 270 for children.
        tract: factor on the formants, 1 for a man's tract, larger for a shorter one.
        breath: share of noise in the voice, 0 to 1.

    Raises:
        ValueError: a value out of 60 … 400 Hz, 0.8 … 1.4 or 0 … 1.
    """

    pitch: float = 130.0
    tract: float = 1.0
    breath: float = 0.1

    def __post_init__(self):
        if not (60 <= self.pitch <= 400 and 0.8 <= self.tract <= 1.4 and 0 <= self.breath <= 1):
            raise ValueError(f"need pitch 60 … 400, tract 0.8 … 1.4, breath 0 … 1, got {self}")


def draw_speakers(count: int, seed: int) -> list[Speaker]:
    """So many people: who has a shorter tract has a higher pitch, more or less."""
    random = np.random.default_rng(seed)
    tract = random.uniform(0.92, 1.28, count)
    pitch = 130 * tract**3.3 * random.uniform(0.8, 1.2, count)
    breath = random.uniform(0, 0.5, count)
    return [Speaker(*map(float, row)) for row in zip(pitch, tract, breath, strict=True)]


@dataclass(frozen=True)
class Line:
    """What is to be said, by whom, and how.

    Args:
        digits: one to twelve of 0 … 9.
        speaker: who says it.
        speed: 1 is usual, 0.5 to 2.
        seed: of everything that differs when a person says the same again.

    Raises:
        ValueError: other digits, or a speed out of range.
    """

    digits: str
    speaker: Speaker = Speaker()
    speed: float = 1.0
    seed: int = 0

    def __post_init__(self):
        if not (self.digits and set(self.digits) <= set(PRONOUNCED)):
            raise ValueError(f"need digits 0 … 9, at least one, got {self.digits!r}")
        if len(self.digits) > LONGEST:
            raise ValueError(f"need at most {LONGEST} digits, got {len(self.digits)}")
        if not SPEEDS[0] <= self.speed <= SPEEDS[1]:
            raise ValueError(f"need a speed of {SPEEDS[0]} to {SPEEDS[1]}, got {self.speed}")


class Spoken(NamedTuple):
    """An utterance and the truth about it.

    Attributes:
        sound: (N,) float32, within -1 … 1.
        line: what was asked for.
        phones: each with its first sample and the one behind its last; they fill the sound.
        words: of each digit the first sample and the one behind its last.
    """

    sound: np.ndarray
    line: Line
    phones: list[tuple[str, int, int]]
    words: list[tuple[int, int]]


def draw_lines(
    count: int, speakers: Sequence[Speaker], seed: int, longest: int = 5, shortest: int = 1
) -> list[Line]:
    """Random digits, shortest … longest of them, by random speakers at speeds 0.8 … 1.3."""
    random = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        digits = "".join(map(str, random.integers(10, size=random.integers(shortest, longest + 1))))
        who = speakers[random.integers(len(speakers))]
        lines.append(Line(digits, who, random.uniform(0.8, 1.3), int(random.integers(2**31))))
    return lines


def speak(lines: Sequence[Line]) -> list[Spoken]:
    """Say the lines. Each sounds the same whatever others are said with it."""
    order = sorted(range(len(lines)), key=lambda i: len(lines[i].digits))  # little padding
    said: dict[int, Spoken] = {}
    for first in range(0, len(order), TOGETHER):
        chunk = order[first : first + TOGETHER]
        scores = [_score(lines[i]) for i in chunk]
        for i, score, sound in zip(chunk, scores, _filtered(scores), strict=True):
            peak = max(1.0, float(np.abs(sound).max()))
            said[i] = Spoken(sound / peak, lines[i], score.phones, score.words)
    return [said[i] for i in range(len(lines))]


# --- from a line to tracks


class _Score(NamedTuple):
    """Everything the filters need: n blocks, N = n · BLOCK samples.

    Attributes:
        phones, words: as in `Spoken`.
        frequencies, widths: (n, 5), Hz.
        source: (N,) what enters the five resonators in a row.
        hiss: (N, 4) what enters the three side by side, and what stays as it is.
    """

    phones: list[tuple[str, int, int]]
    words: list[tuple[int, int]]
    frequencies: np.ndarray
    widths: np.ndarray
    source: np.ndarray
    hiss: np.ndarray


def phones_of(digits: str) -> list[str]:
    """The phones of digits, a silence before, between and behind them."""
    names = [SILENCE]
    for digit in digits:
        names += [*PRONOUNCED[digit], SILENCE]
    return names


def _score(line: Line) -> _Score:
    random = np.random.default_rng(line.seed)
    names = phones_of(line.digits)
    counts = _blocks(names, line.speed, random)
    ends = np.cumsum(counts) * BLOCK
    starts = ends - counts * BLOCK
    phones = [(name, int(a), int(b)) for name, a, b in zip(names, starts, ends, strict=True)]
    frequencies, widths = _formants(names, counts, line.speaker, random)
    kinds = [PHONES[name] for name in names]

    def track(values: Sequence[float], blocks: int = 5) -> np.ndarray:  # one value a sample
        return np.repeat(_smooth(np.repeat(values, counts)[:, None], blocks)[:, 0], BLOCK)

    loudness = track([random.uniform(0.8, 1.2) for _ in kinds], 15)
    slope = _pulses(_pitch(line.speaker, counts, random), random)
    noise = random.standard_normal((2, len(slope)))
    breath = line.speaker.breath * track([kind.voice for kind in kinds]) * (0.3 + 0.7 * (slope > 0))
    breath += track([kind.breath for kind in kinds], 3)
    source = track([kind.voice for kind in kinds]) * slope + 0.05 * breath * noise[0]
    strengths = np.array([[10 ** (dB / 20) if dB else 0.0 for dB in kind.hiss] for kind in kinds])
    hiss = np.stack([track(column, 3) for column in strengths.T], axis=1) * noise[1][:, None]
    level = 0.25 * 10 ** (random.uniform(-3, 3) / 20) * loudness
    return _Score(
        phones, _words(phones), frequencies, widths, level * source, 4e-4 * level[:, None] * hiss
    )


def _words(phones: list[tuple[str, int, int]]) -> list[tuple[int, int]]:
    """Each run of phones between two silences; a pause may have no length."""
    silent = [i for i, (name, _, _) in enumerate(phones) if name == SILENCE]
    return [(phones[i][2], phones[j][1]) for i, j in pairwise(silent)]


def _blocks(names: list[str], speed: float, random: np.random.Generator) -> np.ndarray:
    """How many blocks each phone lasts; half of the pauses between words last none."""
    ms = np.array([PHONES[name].ms for name in names]) * random.uniform(0.85, 1.15, len(names))
    counts = np.maximum(1, np.round(ms / speed * RATE / 1000 / BLOCK)).astype(int)
    silent = np.array([name == SILENCE for name in names])
    pauses = random.integers(1, 25, len(names)) * random.integers(0, 2, len(names))
    counts[silent] = np.round(pauses[silent] / speed)
    counts[[0, -1]] = random.integers(10, 30, 2)
    return counts


def _formants(names, counts, speaker: Speaker, random) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and bandwidths (n, 5) in Hz, which glide from phone to phone."""
    targets = _targets(names)
    targets = targets * speaker.tract * random.normal(1, 0.02, (len(names), 1, 3))
    lines = [np.linspace(a, b, count) for (a, b), count in zip(targets, counts, strict=True)]
    low = _smooth(np.concatenate(lines), 9)  # 45 ms
    high = np.array(UPPER) * min(speaker.tract, HIGHEST / UPPER[1])
    frequencies = np.hstack([low, np.broadcast_to(high, (len(low), 2))])
    own = np.repeat([PHONES[name].widths for name in names], counts, axis=0)
    widths = np.hstack([_smooth(own, 5), np.broadcast_to(WIDTHS[3:], (len(low), 2))])
    return np.minimum(frequencies, HIGHEST), widths


def _targets(names: list[str]) -> np.ndarray:
    """Formants at start and end of each phone (phones, 2, 3); those without have a neighbour's."""
    known: list[tuple | None] = []
    for name in names:
        phone = PHONES[name]
        known.append(phone.start and (phone.start, phone.end or phone.start))
    for i in reversed(range(len(known) - 1)):
        known[i] = known[i] or (known[i + 1] and (known[i + 1][0],) * 2)
    known[-1] = known[-1] or (known[-2][1],) * 2
    return np.array(known)


def _smooth(track: np.ndarray, blocks: int) -> np.ndarray:
    """A moving average with weights of a Hann window, so many blocks wide (odd)."""
    weights = np.hanning(blocks + 2)[1:-1]
    padded = np.pad(track, ((blocks // 2, blocks // 2), (0, 0)), mode="edge")
    columns = [np.convolve(column, weights / weights.sum(), "valid") for column in padded.T]
    return np.stack(columns, axis=1)


def _pitch(speaker: Speaker, counts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Hz at each sample: it falls through the line, moves with the phones, and trembles."""
    blocks = int(counts.sum())
    fall = np.linspace(1.1, 0.9, blocks)
    moves = np.repeat(random.uniform(0.94, 1.06, len(counts)), counts)
    tremble = random.normal(1, 0.02, blocks)
    track = _smooth((fall * moves * tremble)[:, None], 15)[:, 0] * speaker.pitch
    return np.interp(np.arange(blocks * BLOCK) / BLOCK, np.arange(blocks), track)


def _pulses(pitch: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """How the air flow through the vocal folds changes: open for 0.6 of a period, shut at once.

    The flow is t² - t³ for t = 0 … 1 while they are open, Klatt & Klatt 1990, eq. 1 (KLGLOTT88);
    this is its slope 2t - 3t², as sound leaves the lips as the slope of the flow.
    """
    turns = np.cumsum(pitch) / RATE + random.uniform()
    t = (turns % 1) / 0.6
    slope = np.where(t < 1, t * (2 - 3 * t), 0.0)
    from scipy import signal  # a second to import, and most readers of this module never speak

    return signal.lfilter([1 - DULL], [1, -DULL], slope)


# --- the filters


def resonator(frequency: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, ...]:
    """A, B, C of y_n = A x_n + B y_{n-1} + C y_{n-2}, which rings at a frequency -- Klatt, eq. 2.

    C = -e^{-2π·width/rate}, B = 2 e^{-π·width/rate} cos(2π·frequency/rate), A = 1 - B - C, so that
    it leaves the lowest frequencies as they are.
    """
    C = -np.exp(-2 * np.pi * width / RATE)
    B = 2 * np.sqrt(-C) * np.cos(2 * np.pi * frequency / RATE)
    return 1 - B - C, B, C


def _filtered(scores: Sequence[_Score]) -> list[np.ndarray]:
    """All sounds side by side: five resonators in a row, and three beside the first of them.

    In the row each takes what the one before gave a sample ago: the five together are four samples
    late, half a millisecond.
    """
    n = max(len(score.frequencies) for score in scores)
    A, B, C = _coefficients(scores, n)
    source, hiss = _inputs(scores, n * BLOCK)
    first = [0, 5, 6, 7]
    into = np.concatenate([source[:, None], hiss[:, :3]], axis=1)
    row, low, middle, high = np.moveaxis(_rung(A[:, first], B[:, first], C[:, first], into), 1, 0)
    for k in range(1, 5):
        late = np.pad(row, ((1, 0), (0, 0)))[:-1]
        row = _rung(A[:, k], B[:, k], C[:, k], late)
    out = hiss[:, 3] + row + low - middle + high  # signs alternate, or neighbours would cancel
    return [out[: len(score.source), k].astype(np.float32) for k, score in enumerate(scores)]


def _rung(A: np.ndarray, B: np.ndarray, C: np.ndarray, x: np.ndarray) -> np.ndarray:
    """y_i = A x_i + B y_{i-1} + C y_{i-2}, with A, B, C (n, …) of each block; x and y (N, …).

    It is linear: what a block's own input gives, plus how the last two samples before the block
    ring on in it. Both are found for all blocks at once; for one sound, a loop over samples takes
    eight times as long.
    """
    y = A * x.reshape(-1, BLOCK, *A.shape[1:]).swapaxes(0, 1)  # (BLOCK, n, …)
    ring = np.zeros((2, *y.shape))  # of a 1 in the last sample before the block, in the one before
    ring[0, 0], ring[1, 0] = B, C
    ring[0, 1], ring[1, 1] = B * B + C, B * C
    y[1] += B * y[0]
    for i in range(2, BLOCK):
        y[i] += B * y[i - 1] + C * y[i - 2]
        ring[:, i] = B * ring[:, i - 1] + C * ring[:, i - 2]
    before = _carried(ring[:, :-3:-1].swapaxes(0, 1), y[:-3:-1])
    y += ring[0] * before[0] + ring[1] * before[1]
    return y.swapaxes(0, 1).reshape(x.shape)


def _carried(M: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The state s (2, n, …) before each block, where s becomes M s + z in a block; at first 0.

    Blocks are put together in twos, fours, eights, … -- Hillis & Steele 1986, Communications of
    the ACM 29(12).

    Args:
        M: (2, 2, n, …).
        z: (2, n, …).
    """
    M, z, step = M.copy(), z.copy(), 1
    while step < z.shape[1]:
        z[:, step:] += (M[:, :, step:] * z[:, :-step]).sum(axis=1)
        M[:, :, step:] = (M[:, :, None, step:] * M[:, :, :-step]).sum(axis=1)
        step *= 2
    return np.concatenate([np.zeros_like(z[:, :1]), z[:, :-1]], axis=1)


def _coefficients(scores: Sequence[_Score], n: int) -> list[np.ndarray]:
    """A, B, C, each (n, 8, sounds)."""
    frequencies, widths = (
        np.stack([np.pad(t, ((0, n - len(t)), (0, 0)), mode="edge") for t in tracks], axis=2)
        for tracks in zip(*[(score.frequencies, score.widths) for score in scores], strict=True)
    )
    A, B, C = resonator(frequencies, widths)
    f = frequencies[:, 2:]
    side = np.broadcast_to(np.array([200.0, 300.0, 500.0])[:, None], f.shape)
    _, B3, C3 = resonator(f, side)
    A3 = (1 - np.sqrt(-C3)) * 2 * np.sin(2 * np.pi * f / RATE)  # its peak is 1
    both = zip((A, B, C), (A3, B3, C3), strict=True)
    return [np.concatenate(pair, axis=1) for pair in both]


def _inputs(scores: Sequence[_Score], N: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources (N, sounds) and noise (N, 4, sounds), zeros behind."""
    source = np.zeros((N, len(scores)))
    hiss = np.zeros((N, 4, len(scores)))
    for k, score in enumerate(scores):
        source[: len(score.source), k] = score.source
        hiss[: len(score.hiss), :, k] = score.hiss
    return source, hiss
