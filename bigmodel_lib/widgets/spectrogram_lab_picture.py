"""The picture of SpectrogramLab: waveform, spectrogram and mel bands, one above the other."""

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from bigmodel_lib.data.sound_file import RATE
from bigmodel_lib.data.voice import LONGEST
from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREY
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.pixels import Cells

MAGMA = colormaps["magma"]
POINTS = 4 * 788  # of the waveform: four a pixel


class SoundView(NamedTuple):
    """What the picture shows.

    Attributes:
        sound: samples (N,).
        spectrum: (K, n), in dB or amplitude.
        mel: (bands, n), the same.
        M, hop: samples of a window, and from one to the next.
        scale: "dB" or "amplitude".
        digits, words: what was said, and where each begins and ends; "" and [] if unknown.
        heard: by the recogniser.
    """

    sound: np.ndarray
    spectrum: np.ndarray
    mel: np.ndarray
    M: int
    hop: int
    scale: str
    digits: str
    words: list[tuple[int, int]]
    heard: str


class SpectrogramLabPicture:
    """Three panels over one axis of time."""

    def __init__(self):
        self.canvas = Canvas(950, 620)
        figure = self.canvas.figure
        places = (0.80, 0.14), (0.42, 0.33), (0.08, 0.28)  # bottom, height
        axes = [figure.add_axes((0.075, low, 0.83, high)) for low, high in places]
        self._wave_ax, self._spectrum_ax, self._mel_ax = axes
        self._sound: np.ndarray | None = None
        self._build_wave()
        self._spectrum, self._mel = map(self._image, axes[1:])
        self._bars = [figure.add_axes((0.92, low, 0.015, high)) for low, high in places[1:]]
        for bar in self._bars:
            _fill_bar(bar)
        self._wave_ax.set_ylabel(_("pressure"))
        self._spectrum_ax.set_ylabel(_("frequency, Hz"))
        self._mel_ax.set_ylabel(_("mel band"))
        self._mel_ax.set_xlabel(_("time, s"))
        for ax in (*axes, *self._bars):
            ax.tick_params(labelsize=8)
            # a fixed place for the name, or all numbers are measured to find one
            ax.yaxis.set_label_coords(3.4 if ax in self._bars else -0.055, 0.5)
            self.canvas.moving(ax.xaxis, ax.yaxis)

    def _build_wave(self) -> None:
        ax = self._wave_ax
        (self._wave,) = ax.plot([], [], color=BLUE, lw=0.6)
        self._texts = [ax.text(0, 1.03, "", ha="center") for _i in range(LONGEST)]
        self._edges = [ax.axvline(0, color=GREY, lw=0.8) for _i in range(2 * LONGEST)]
        for text in self._texts:
            text.set_transform(ax.get_xaxis_transform())
        self.canvas.seldom(self._wave, *self._texts, *self._edges)

    def _image(self, ax: Axes) -> Cells:
        cells = Cells(ax, MAGMA)
        self.canvas.moving(cells, *ax.spines.values())  # the frame lies above
        return cells

    def draw(self, view: SoundView) -> str:
        """Update every artist; returns what they show in words."""
        seconds = len(view.sound) / RATE
        if self._sound is not view.sound:
            self._draw_wave(view, seconds)
            self._sound = view.sound
        # the first and the last frame are centred on the sound's ends
        half = view.hop / RATE / 2
        times = -half, (view.spectrum.shape[1] - 0.5) * view.hop / RATE
        for image, values, top, ax, bar in zip(
            (self._spectrum, self._mel),
            (view.spectrum, view.mel),
            (RATE / 2, len(view.mel)),
            (self._spectrum_ax, self._mel_ax),
            self._bars,
            strict=True,
        ):
            low, high = _range(values, view.scale)
            image.show(values, low, high, (*times, 0, top))
            self.canvas.limit(ax, (0, seconds), (0, top))
            self.canvas.limit(bar, (0, 1), (low, high))
            bar.set_ylabel(_(view.scale), fontsize=8)
        return _summary(view)

    def _draw_wave(self, view: SoundView, seconds: float) -> None:
        at, heights = outline(view.sound)
        self._wave.set_data(at / RATE, heights)
        highest = _rounded_up(max(1e-3, float(np.abs(view.sound).max())) * 1.02)
        self.canvas.limit(self._wave_ax, (0, seconds), (-highest, highest))
        self._mark(view)
        self.canvas.relabel()

    def _mark(self, view: SoundView) -> None:
        """The digits above the waveform, and a line at each word's start and end."""
        for i, text in enumerate(self._texts):
            known = i < len(view.words)
            start, end = view.words[i] if known else (0, 0)
            text.set(x=(start + end) / 2 / RATE, text=view.digits[i] if known else "")
            for at, edge in zip((start, end), self._edges[2 * i : 2 * i + 2], strict=True):
                edge.set(xdata=[at / RATE] * 2, visible=known)


def outline(sound: np.ndarray, most: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Which samples of a sound (N,) to draw a line through, about so many, and their heights.

    Of each few samples in a row, the lowest and the highest: the line looks like that of all.
    """
    size = -(-2 * len(sound) // most)
    if size <= 2:
        return np.arange(len(sound)), sound
    rows = np.pad(sound, (0, -len(sound) % size), mode="edge").reshape(-1, size)
    ends = np.sort(np.stack([rows.argmin(axis=1), rows.argmax(axis=1)], axis=1))
    at = np.minimum((ends + size * np.arange(len(rows))[:, None]).reshape(-1), len(sound) - 1)
    return at, sound[at]


def _fill_bar(ax: Axes) -> None:
    """All colours from the lowest to the highest: what the limits of the axis say."""
    colours = MAGMA(np.arange(256)[:, None], bytes=True)
    place = {"extent": (0, 1, 0, 1), "transform": ax.transAxes, "aspect": "auto"}
    ax.imshow(colours, origin="lower", **place)
    ax.set_xticks([])
    ax.yaxis.tick_right()
    ax.yaxis.set_label_position("right")


def _rounded_up(value: float) -> float:
    """To two digits, from 2 on the second of them 0 or 5: an axis shall change seldom."""
    unit = 10.0 ** np.floor(np.log10(value)) / 10
    unit *= 5 if value >= 20 * unit else 1
    return float(np.ceil(value / unit / (1 + 1e-9)) * unit)


def _range(values: np.ndarray, scale: str) -> tuple[float, float]:
    """The loudest 60 dB, up to a whole one; of amplitudes, from 0 on."""
    high = float(values.max())
    return (np.ceil(high) - 60, np.ceil(high)) if scale == "dB" else (0, max(high, 1e-6))


def _summary(view: SoundView) -> str:
    said = _("said: {digits}; ").format(digits=view.digits) if view.digits else ""
    text = _(
        "{seconds:.2f} s of sound, {frames} frames of {ms:.0f} ms every {hop:.1f} ms: "
        "{K} frequencies {width:.0f} Hz apart, {bands} mel bands; {said}the recogniser hears: "
        "{heard}"
    )
    return text.format(
        seconds=len(view.sound) / RATE,
        frames=view.spectrum.shape[1],
        ms=1000 * view.M / RATE,
        hop=1000 * view.hop / RATE,
        K=len(view.spectrum),
        width=RATE / view.M,
        bands=len(view.mel),
        said=said,
        heard=view.heard or _("nothing"),
    )
