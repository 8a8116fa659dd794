"""SpectrogramLab, driven without a kernel over the range of all of its controls."""

import io
import wave
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from bigmodel_lib.data.sound_file import RATE, read_wav, wav_bytes
from bigmodel_lib.models.recogniser import Recogniser
from bigmodel_lib.training.speech import BANDS, LABELS
from bigmodel_lib.widgets import SpectrogramLab
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.spectrogram_lab import FILE, VOICE
from bigmodel_lib.widgets.spectrogram_lab_picture import outline
from tests.driving import PNG, cell, settle, values_of

SLIDERS = ("pitch", "tract", "breath", "speed", "seed", "snr", "M", "overlap", "bands", "scale")


@pytest.fixture
def lab():
    torch.manual_seed(0)
    model = Recogniser(BANDS, F=8, V=len(LABELS)).eval()
    return SpectrogramLab(model, digits="27", bands=12)


@pytest.fixture
def upload():
    """Put a file into the control as the browser does."""

    def uploaded(lab, content: bytes, name: str = "mine.wav") -> None:
        lab.controls["file"].value = (
            {
                "name": name,
                "type": "audio/wav",
                "size": len(content),
                "content": content,
                "last_modified": datetime(2024, 1, 1, tzinfo=UTC),
            },
        )

    return uploaded


def other_wav(channels: int = 1, width: int = 2, rate: int = RATE, frames: int = 4000) -> bytes:
    body = io.BytesIO()
    with wave.open(body, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(bytes(channels * width * frames))
    return body.getvalue()


def sine(seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(seconds * RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize("name", SLIDERS)
def test_each_control_over_its_range(lab, name):
    seen = set()
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        if lab.controls["M"].value == 64 or (name == "bands" and value == 100):
            lab.controls["bands"].value = value if name == "bands" else 12
            if name == "bands":
                with pytest.raises(RefusedError, match="need fewer mel bands"):
                    lab.run()
                continue
        lab.run()
        assert bytes(lab.picture.value).startswith(PNG)
        assert lab.error is None
        seen.add(bytes(lab.picture.value))
    assert len(seen) > 1


def test_the_recogniser_is_asked_only_about_another_sound(lab):
    heard = []
    lab.model.register_forward_hook(lambda *_given: heard.append(1))
    for name, value in {"M": 512, "overlap": 2, "bands": 20, "scale": "amplitude"}.items():
        lab.controls[name].value = value
        settle(lab)
    assert heard == []
    lab.controls["pitch"].value = 200
    settle(lab)
    lab.controls["snr"].value = 10
    settle(lab)
    assert len(heard) == 2


def test_a_sound_is_drawn_at_few_points_that_reach_as_high_and_as_low(lab):
    sound = lab._view.sound
    at, heights = outline(sound, most=400)
    assert len(at) <= 402
    assert (np.diff(at) >= 0).all()
    np.testing.assert_array_equal(heights, sound[at])
    assert (heights.min(), heights.max()) == (sound.min(), sound.max())
    for part in range(0, len(sound) - 200, 200):  # everywhere, and not only where it is loudest
        here = heights[(part <= at) & (at < part + 200)]
        assert here.max() >= sound[part + 70 : part + 130].max()
    np.testing.assert_array_equal(outline(sound[:9])[1], sound[:9])


def test_the_axes_say_what_the_pictures_show(lab):
    picture = lab._picture
    for scale in ("dB", "amplitude"):
        lab.controls["scale"].value = scale
        settle(lab)
        for values, bar in zip((lab._view.spectrum, lab._view.mel), picture._bars, strict=True):
            low, high = bar.get_ylim()
            assert 0 <= high - values.max() < 1
            assert low == (high - 60 if scale == "dB" else 0)
            assert bar.get_ylabel() == scale
        assert picture._mel_ax.get_ylim() == (0, len(lab._view.mel))
        assert picture._wave_ax.get_ylim()[1] > np.abs(lab._view.sound).max()


def test_a_tone_is_bright_at_its_frequency_and_low_in_the_mel_bands(lab, upload):
    lab.controls["source"].value = FILE
    upload(lab, wav_bytes(sine()))
    lab.run()
    for ax, values in zip(
        (lab._picture._spectrum_ax, lab._picture._mel_ax),
        (lab._view.spectrum, lab._view.mel),
        strict=True,
    ):
        rows, middle = len(values), values.shape[1] // 2
        loudest = int(values[:, middle].argmax())
        column = [cell(lab, ax, (rows - 1 - row, 0), (rows, 1)).sum() for row in range(rows)]
        assert loudest < rows / 3
        assert abs(int(np.argmax(column)) - loudest) <= 1


def test_the_colour_of_noise_is_heard(lab):
    lab.controls["snr"].value = 0
    pictures = set()
    for value in values_of(lab.controls["colour"]):
        lab.controls["colour"].value = value
        lab.run()
        pictures.add(bytes(lab.player.value))
    assert len(pictures) == 3


@pytest.mark.parametrize("text", ["0", "0123456789", " 2 0 2 4 "])
def test_digits_are_said(lab, text):
    lab.controls["digits"].value = text
    lab.run()
    assert f"said: {''.join(text.split())};" in lab.summary.value
    assert len(lab._view.words) == len("".join(text.split()))
    said = read_wav(io.BytesIO(bytes(lab.player.value)))
    np.testing.assert_allclose(said, lab._view.sound, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "said"), [("", "at least one"), ("two", "digits 0 … 9"), ("1" * 13, "at most 12")]
)
def test_digits_that_cannot_be_said_turn_red_and_the_picture_stays(lab, text, said):
    before = bytes(lab.picture.value)
    lab.controls["digits"].value = text
    settle(lab)
    assert said in lab.status.value
    assert lab.controls["digits"].layout.border_top
    assert bytes(lab.picture.value) == before
    lab.controls["digits"].value = "5"
    settle(lab)
    assert lab.controls["digits"].layout.border_top is None
    assert "said: 5;" in lab.summary.value


def test_the_readers_file_is_shown_and_the_voice_comes_back(lab, upload):
    upload(lab, wav_bytes(sine()))
    settle(lab)
    assert lab.controls["source"].value == FILE
    assert "said" not in lab.summary.value
    spectrum = lab._view.spectrum
    assert abs(spectrum.max(axis=1).argmax() * RATE / 256 - 440) < RATE / 256
    lab.controls["source"].value = VOICE
    settle(lab)
    assert "said: 27;" in lab.summary.value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no sound at all", "mine.wav: need a WAV file of 16-bit PCM"),
        (b"", "need a WAV file"),
        (wav_bytes(sine())[:50], "need at least one whole sample"),
        (other_wav(channels=2), "need 1 channel, 16 bits, 8,000 Hz; got 2 channels"),
        (other_wav(rate=44100), "got 1 channels, 16 bits, 44,100 Hz"),
        (other_wav(width=1), "got 1 channels, 8 bits"),
        (other_wav(frames=RATE * 10 + 1), "at most 10 s"),
        (other_wav(frames=0), "at least one whole sample"),
        (other_wav(frames=799), "at least 0.1 s"),
    ],
)
def test_a_file_that_cannot_be_used_turns_red_with_the_reason(lab, upload, content, said):
    before = bytes(lab.picture.value), bytes(lab.player.value)
    upload(lab, content)
    settle(lab)
    assert said in lab.status.value
    assert lab.controls["file"].layout.border_top
    assert (bytes(lab.picture.value), bytes(lab.player.value)) == before
    assert lab.controls["source"].value == VOICE
    upload(lab, wav_bytes(sine()))
    settle(lab)
    assert lab._refused == {}


def test_a_file_that_was_not_chosen(lab):
    lab.controls["source"].value = FILE
    settle(lab)
    assert "choose a file" in lab.status.value


def test_silence_is_no_error(lab, upload):
    upload(lab, wav_bytes(np.zeros(1000, np.float32)))
    settle(lab)
    assert lab.error is None
    lab.controls["scale"].value = "amplitude"
    lab.run()


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*SLIDERS, "colour", "digits", "source", "file"}


def test_choices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="got 'voice'"):
        SpectrogramLab(voice=3)
