"""SpectrogramLab: a made voice or the reader's own file, seen in time, frequency and mel bands."""

import functools
import io

import ipywidgets
import numpy as np
import torch
from torch import nn

from bigmodel_lib.audio import FLOOR, add_noise, hann, log_mel, stft
from bigmodel_lib.cached.speech import DigitRecogniser
from bigmodel_lib.data.sound_file import MOST_SECONDS, RATE, read_wav, wav_bytes
from bigmodel_lib.data.voice import SPEEDS, Line, Speaker, Spoken, speak
from bigmodel_lib.language import _
from bigmodel_lib.training.speech import batch, recognise
from bigmodel_lib.widgets.base import Explorer, RefusedError, button, described
from bigmodel_lib.widgets.spectrogram_lab_picture import SoundView, SpectrogramLabPicture

VOICE, FILE = "the voice", "your WAV file"
CLEAN = "none"
SHORTEST = RATE // 10  # samples
_SPOKEN = ("digits", "pitch", "tract", "breath", "speed", "seed")


class SpectrogramLab(Explorer):
    """Choose a sound, noise, and how to look at it; see it, play it, and what a recogniser hears.

    Args:
        model: a `Recogniser` in evaluation mode; None loads the cached one.
        choice: what the controls say first, such as `digits="2024"`.

    Raises:
        ValueError: a choice that names no control, or a value that cannot be.
    """

    def __init__(self, model: nn.Module | None = None, **choice):
        self.controls = controls = _controls()
        for name, value in choice.items():
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.model = model or DigitRecogniser().load()[0]
        self.player = ipywidgets.Audio(format="wav", autoplay=False, loop=False)
        self._picture = SpectrogramLabPicture()
        self._view: SoundView | None = None
        self._view = self._look()
        super().__init__(controls, [*_rows(controls), self.player])

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        if name == "file" and self._value("file"):
            self._read_file()  # before the picture is asked for: a broken file changes nothing
            self.show_values({"source": FILE})
        self._view = self._look()
        self.accept(*self.controls)  # they were checked together

    def compute(self) -> "SoundView":
        """What the picture shows."""
        return self._view

    def draw(self, data: "SoundView") -> str:
        """Bring picture and player up to date; returns what they show in words."""
        loudest = max(1.0, float(np.abs(data.sound).max()))
        self.player.value = wav_bytes(data.sound / loudest)
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()

    def _value(self, name: str):
        return self.controls[name].value

    def _look(self) -> SoundView:
        sound, digits, words = self._sound()
        M, hop = self._value("M"), self._value("M") // self._value("overlap")
        x = torch.from_numpy(self._with_noise(sound))
        try:
            mel = log_mel(x, M, hop, RATE, self._value("bands"))
        except ValueError as error:
            raise RefusedError("bands", str(error)) from error
        power = (stft(x, M, hop).abs() / hann(M).sum() * 2).square()
        if self._value("scale") == "dB":
            power, mel = 10 * power.clamp_min(FLOOR).log10(), 10 * mel / np.log(10)
        else:
            power, mel = power.sqrt(), (mel / 2).exp()
        parts = power.T.numpy(), mel.T.numpy()
        sound, heard = self._hear(x)
        return SoundView(sound, *parts, M, hop, self._value("scale"), digits, words, heard)

    def _hear(self, x: torch.Tensor) -> tuple[np.ndarray, str]:
        """The sound, and what the recogniser hears: the same as before for the same sound."""
        before = self._view
        if before is not None and np.array_equal(before.sound, x.numpy()):
            return before.sound, before.heard
        return x.numpy(), recognise(self.model, batch([x]))[0]

    def _with_noise(self, sound: np.ndarray) -> np.ndarray:
        if self._value("snr") == CLEAN:
            return sound
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._value("seed"))
            noisy = add_noise(torch.from_numpy(sound), self._value("snr"), self._value("colour"))
        return noisy.numpy()

    def _sound(self) -> tuple[np.ndarray, str, list[tuple[int, int]]]:
        """Samples; what was said and when, where that is known."""
        if self._value("source") == FILE:
            return self._read_file(), "", []
        speaker = Speaker(*(self._value(name) for name in ("pitch", "tract", "breath")))
        digits = "".join(self._value("digits").split())
        try:
            line = Line(digits, speaker, self._value("speed"), self._value("seed"))
        except ValueError as error:
            raise RefusedError("digits", str(error)) from error
        said = _said(line)
        return said.sound, digits, said.words

    def _read_file(self) -> np.ndarray:
        if not self._value("file"):
            reason = _("choose a file with the button beside: WAV, mono, 16 bits, 8,000 Hz")
            raise RefusedError("source", reason)
        (file,) = self._value("file")
        try:
            sound = read_wav(io.BytesIO(bytes(file["content"])), file["name"])
        except ValueError as error:
            raise RefusedError("file", str(error)) from error
        if len(sound) < SHORTEST:
            reason = _("need at least 0.1 s, got {seconds:.3f} s")
            raise RefusedError("file", reason.format(seconds=len(sound) / RATE))
        return sound


@functools.lru_cache(maxsize=8)
def _said(line: Line) -> Spoken:
    """The voice is the slowest part, and most controls leave it as it is."""
    return speak([line])[0]


def _controls() -> dict[str, ipywidgets.Widget]:
    def slider(text: str, value: float, low: float, high: float, step: float) -> ipywidgets.Widget:
        """One that reports a change once it is made."""
        return described(
            ipywidgets.FloatSlider,
            text,
            value=value,
            min=low,
            max=high,
            step=step,
            continuous_update=False,
        )

    pick, options = ipywidgets.Dropdown, ipywidgets.SelectionSlider
    noise = [(_(CLEAN), CLEAN), *((f"{dB} dB", dB) for dB in (30, 20, 10, 5, 0, -5))]
    file = button("WAV, 8,000 Hz, mono", ipywidgets.FileUpload)
    file.accept, file.multiple = ".wav", False
    digits = described(ipywidgets.Text, "digits, 1 to 12", value="2024", continuous_update=False)
    seed = described(ipywidgets.IntSlider, "seed", value=0, min=0, max=99, continuous_update=False)
    return {
        "source": described(pick, "sound", options=[(_(VOICE), VOICE), (_(FILE), FILE)]),
        "file": file,
        "digits": digits,
        "pitch": slider("pitch, Hz", 130, 60, 400, 5),
        "tract": slider("formants ×", 1.0, 0.8, 1.4, 0.05),
        "breath": slider("breath", 0.1, 0, 1, 0.05),
        "speed": slider("speed", 1.0, *SPEEDS, 0.1),
        "seed": seed,
        "snr": described(options, "signal to noise", options=noise, value=CLEAN,
                         continuous_update=False),
        "colour": slider("noise ~ f^-c, c", 1.0, 0, 2, 0.5),
        "M": described(options, "window, samples", options=[64, 128, 256, 512, 1024], value=256,
                       continuous_update=False),
        "overlap": described(options, "window / hop", options=[2, 4, 8], value=4,
                             continuous_update=False),
        "bands": described(ipywidgets.IntSlider, "mel bands", value=40, min=5, max=100,
                           continuous_update=False),
        "scale": described(pick, "strength", options=["dB", "amplitude"]),
    }  # fmt: skip


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    wrap = {"flex_flow": "row wrap"}
    groups = (
        ("source", "file"),
        _SPOKEN,
        ("snr", "colour"),
        ("M", "overlap", "bands", "scale"),
    )
    limit = _("A file of your own: WAV, mono, 16 bits, 8,000 Hz, 0.1 to {most:g} s.")
    note = ipywidgets.HTML(limit.format(most=MOST_SECONDS))
    rows = [ipywidgets.HBox([controls[n] for n in names], layout=wrap) for names in groups]
    return [rows[0], note, *rows[1:]]
