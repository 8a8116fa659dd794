"""The picture of SpectrogramLab: waveform, spectrogram and mel bands, one above the other."""

from typing import NamedTuple

import numpy as np

from bigmodel_lib.data.sound_file import RATE
from bigmodel_lib.data.voice import LONGEST
from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREY
from bigmodel_lib.widgets.canvas import Canvas


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
        (self._wave,) = self._wave_ax.plot([], [], color=BLUE, lw=0.6)
        self._texts = [self._wave_ax.text(0, 1.03, "", ha="center") for _i in range(LONGEST)]
        self._edges = [self._wave_ax.axvline(0, color=GREY, lw=0.8) for _i in range(2 * LONGEST)]
        for text in self._texts:
            text.set_transform(self._wave_ax.get_xaxis_transform())
        kind = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}
        self._spectrum = self._spectrum_ax.imshow(np.zeros((2, 2)), **kind)
        self._mel = self._mel_ax.imshow(np.zeros((2, 2)), **kind)
        bars = [figure.add_axes((0.92, low, 0.015, high)) for low, high in places[1:]]
        self._bars = [
            figure.colorbar(image, cax=bar)
            for image, bar in zip((self._spectrum, self._mel), bars, strict=True)
        ]
        self._wave_ax.set_ylabel(_("pressure"))
        self._spectrum_ax.set_ylabel(_("frequency, Hz"))
        self._mel_ax.set_ylabel(_("mel band"))
        self._mel_ax.set_xlabel(_("time, s"))
        for ax in (*axes, *bars):
            ax.tick_params(labelsize=8)

    def draw(self, view: SoundView) -> str:
        """Update every artist; returns what they show in words."""
        seconds = len(view.sound) / RATE
        self._wave.set_data(np.arange(len(view.sound)) / RATE, view.sound)
        highest = max(1e-3, float(np.abs(view.sound).max())) * 1.05
        self._wave_ax.set(xlim=(0, seconds), ylim=(-highest, highest))
        self._mark(view)
        # the first and the last frame are centred on the sound's ends
        half = view.hop / RATE / 2
        times = -half, (view.spectrum.shape[1] - 0.5) * view.hop / RATE
        for image, values, top, ax in (
            (self._spectrum, view.spectrum, RATE / 2, self._spectrum_ax),
            (self._mel, view.mel, len(view.mel), self._mel_ax),
        ):
            image.set_data(values)
            image.set_extent((*times, 0, top))
            image.set_clim(*_range(values, view.scale))
            ax.set(xlim=(0, seconds), ylim=(0, top))
        for bar in self._bars:
            bar.set_label(_(view.scale), fontsize=8)
        self.canvas.redraw()
        return _summary(view)

    def _mark(self, view: SoundView) -> None:
        """The digits above the waveform, and a line at each word's start and end."""
        for i, text in enumerate(self._texts):
            known = i < len(view.words)
            start, end = view.words[i] if known else (0, 0)
            text.set(x=(start + end) / 2 / RATE, text=view.digits[i] if known else "")
            for at, edge in zip((start, end), self._edges[2 * i : 2 * i + 2], strict=True):
                edge.set(xdata=[at / RATE] * 2, visible=known)


def _range(values: np.ndarray, scale: str) -> tuple[float, float]:
    """The loudest 60 dB; of amplitudes, from 0 on."""
    high = float(values.max())
    return (high - 60, high) if scale == "dB" else (0, max(high, 1e-6))


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
