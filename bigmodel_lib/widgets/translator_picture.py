"""The picture of TranslatorLab: an alignment that grows, and the next token's candidates."""

from dataclasses import dataclass

import numpy as np
from matplotlib.font_manager import FontProperties

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE
from bigmodel_lib.plots.fonts import font_for
from bigmodel_lib.widgets.canvas import Canvas

GUESSES = 8  # candidates for the next token
Words = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TranslatorView:
    """What the picture shows.

    Attributes:
        source: tokens (S,).
        written: target tokens so far (T,).
        weights: where each of them was looked for, (T, S).
        guesses, probabilities: the likeliest tokens that come next, (GUESSES,).
        is_whole: whether the search wrote no more than is shown.
        text: what is written so far; truth: what it should become.
        nats: -log p of the whole translation.
    """

    source: Words
    written: Words
    weights: np.ndarray
    guesses: Words
    probabilities: np.ndarray
    is_whole: bool
    text: str
    truth: str
    nats: float


class TranslatorPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 560)
        self._ax = ax = self.canvas.figure.add_axes((0.115, 0.19, 0.57, 0.74))
        self._image = ax.imshow(
            np.zeros((1, 1)), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        ax.set_title(_("where it looked in the source, for each token written"), fontsize=9)
        self._guess_ax = ax = self.canvas.figure.add_axes((0.8, 0.19, 0.18, 0.74))
        self._bars = ax.barh(np.arange(GUESSES), np.zeros(GUESSES), color=BLUE)
        ax.set(xlim=(0, 1), ylim=(GUESSES - 0.5, -0.5))
        ax.set_xlabel(_("probability"))
        ax.set_title(_("what comes next"), fontsize=9)
        frames = [*self._ax.spines.values(), *ax.spines.values()]  # above what they surround
        self.canvas.moving(self._image, *self._bars, *frames)
        # their ticks are words, and the slowest to draw
        self.canvas.seldom(self._ax.xaxis, self._ax.yaxis, ax.yaxis)
        self._words: tuple | None = None

    def draw(self, view: TranslatorView) -> str:
        """Update every artist; returns what the picture shows in words."""
        T, S = len(view.written), len(view.source)
        self._image.set_data(view.weights if T else np.zeros((1, S)))
        self._image.set_extent((-0.5, S - 0.5, max(T, 1) - 0.5, -0.5))
        for bar, p in zip(self._bars, view.probabilities, strict=True):
            bar.set_width(p)
        words = view.source, view.written, view.guesses
        if words != self._words:
            self._name_ticks(*words)
            self.canvas.relabel(words)
            self._words = words
        return _summary(view)

    def _name_ticks(self, source: Words, written: Words, guesses: Words) -> None:
        font = FontProperties(family=font_for("".join((*source, *written))), size=9)
        turn = 90 if max(map(len, source)) > 1 else 0  # Chinese signs stand upright
        self._ax.set_xticks(range(len(source)), source, fontproperties=font, rotation=turn)
        self._ax.set_yticks(range(len(written)), written, fontproperties=font)
        font = FontProperties(family=font_for("".join(guesses)), size=9)
        self._guess_ax.set_yticks(range(GUESSES), guesses, fontproperties=font)


def _summary(view: TranslatorView) -> str:
    source = _("{count} tokens read").format(count=len(view.source))
    if not view.is_whole:
        text = _("{source}; written so far: {text} …; next {next} with probability {p}")
        p = f"{view.probabilities[0]:.2f}"
        return text.format(source=source, text=view.text, next=view.guesses[0], p=p)
    verdict = _("right") if view.text == view.truth else _("wrong, it is {truth}")
    text = _("{source}; translation: {text} ({verdict}); its probability {p}")
    verdict, p = verdict.format(truth=view.truth), f"{np.exp(-view.nats):.3g}"
    return text.format(source=source, text=view.text, verdict=verdict, p=p)
