"""The picture of SamplerLab: bars of the next token, and three continuations."""

import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.font_manager import FontProperties

from bigmodel_lib.language import _
from bigmodel_lib.plots import BLUE, GREY, ORANGE
from bigmodel_lib.plots.fonts import font_for
from bigmodel_lib.widgets.canvas import Canvas

SHOWN = 20  # most probable tokens
LINE, LINES = 62, 7  # characters, and lines of a continuation
SIGNS = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥"})


@dataclass(frozen=True, eq=False)
class SamplerView:
    """What the picture shows.

    Attributes:
        prompt: what the model read.
        tokens: the most probable next ones, at most `SHOWN`.
        by_model, drawn: their probabilities by the model, and after temperature and filters.
        kept: tokens of the vocabulary that can be drawn.
        entropy: of both distributions, in bits.
        texts: continuations: greedy, sampled, beam.
    """

    prompt: str
    tokens: tuple[str, ...]
    by_model: np.ndarray
    drawn: np.ndarray
    kept: int
    entropy: tuple[float, float]
    texts: tuple[str, str, str]


class SamplerPicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 480)
        figure = self.canvas.figure
        self._ax = ax = figure.add_axes((0.115, 0.11, 0.33, 0.8))
        places = np.arange(SHOWN)
        self._model = ax.barh(places - 0.2, np.zeros(SHOWN), 0.4, color=GREY)
        self._drawn = ax.barh(places + 0.2, np.zeros(SHOWN), 0.4, color=BLUE)
        ax.set(xlim=(0, 1), ylim=(SHOWN - 0.4, -0.6), xlabel=_("probability of the next token"))
        ax.set_title(_("grey: by the model; blue: as it is drawn; orange: cut"), fontsize=9)
        ax.set_yticks([])
        ax.locator_params(axis="x", nbins=5)
        ax.spines[["top", "right"]].set_visible(False)
        style = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
        self._names = [ax.text(-0.02, i, "", parse_math=False, **style) for i in places]
        names = (_("greedy"), _("sampled"), _("beam search"))
        self._texts = []
        for row, name in enumerate(names):
            top = 0.95 - row * 0.315
            figure.text(0.47, top, name, fontsize=10, color=BLUE, weight="bold", va="top")
            place = {"fontsize": 8.5, "va": "top", "linespacing": 1.3, "parse_math": False}
            self._texts.append(figure.text(0.47, top - 0.047, "", **place))
        self.canvas.moving(ax.xaxis, *self._model, *self._drawn, *self._names, *self._texts)

    def draw(self, view: SamplerView) -> str:
        """Update every artist; returns what the picture shows in words."""
        most = max(float(view.by_model.max()), float(view.drawn.max()))
        self.canvas.limit(self._ax, (0, min(1.0, 1.08 * most)), self._ax.get_ylim())
        bars = zip(self._model, self._drawn, view.by_model, view.drawn, strict=False)
        for grey, blue, by_model, drawn in bars:
            grey.set_width(by_model)
            grey.set_facecolor(GREY if drawn else ORANGE)
            blue.set_width(drawn)
        for label, token in zip(self._names, view.tokens, strict=False):
            self._write(label, token.translate(SIGNS)[:14], 8)
        for artist, text in zip(self._texts, view.texts, strict=True):
            self._write(artist, _wrapped(view.prompt, text), 8.5)
        return _summary(view)

    def _write(self, artist, text: str, size: float) -> None:
        # a sampled byte may be any control character, which no font can show
        text = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
        if text == artist.get_text():
            return
        artist.set_text(text)
        artist.set_fontproperties(FontProperties(family=font_for(text), size=size))


def _wrapped(prompt: str, text: str) -> str:
    """The end of the prompt and what follows, in lines; what does not fit is left out."""
    start = "…" + prompt[-60:] if len(prompt) > 60 else prompt
    whole = " ".join(f"{start}▸{text}".replace("\n", " ⏎ ").split())
    lines = textwrap.wrap(whole, LINE)
    return "\n".join([*lines[: LINES - 1], "…"] if len(lines) > LINES else lines)


def _summary(view: SamplerView) -> str:
    text = _(
        "{kept} tokens can be drawn; entropy {before} bits by the model, {after} bits as drawn; "
        "greedy: {greedy} | sampled: {sampled} | beam: {beam}"
    )
    greedy, sampled, beam = (" ".join(text.split()) for text in view.texts)
    before, after = (f"{bits:.2f}" for bits in view.entropy)
    return text.format(
        kept=view.kept, before=before, after=after, greedy=greedy, sampled=sampled, beam=beam
    )
