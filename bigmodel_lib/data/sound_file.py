"""Reads and writes sound as WAV, mono at 8 kHz, and says what is wrong with any other."""

import io
import wave
from typing import BinaryIO

import numpy as np

RATE = 8000  # samples a second
MOST_SECONDS = 10.0


def read_wav(file: BinaryIO, name: str = "the file", most_seconds: float = MOST_SECONDS):
    """Samples (N,) float32 within -1 … 1, of a mono file of 16-bit samples at 8 kHz.

    Args:
        file: opened for reading bytes.
        name: what messages call it.
        most_seconds: how long it may be.

    Raises:
        ValueError: no WAV file of 16-bit PCM, another rate, more channels, too long, or empty.
    """
    try:
        with wave.open(file) as sound:
            found = sound.getparams()
            if found.nframes > most_seconds * found.framerate:
                seconds = found.nframes / found.framerate
                raise ValueError(f"{name}: need at most {most_seconds:g} s, got {seconds:.1f} s")
            body = sound.readframes(found.nframes)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{name}: need a WAV file of 16-bit PCM, got: {error}") from error
    got = f"{found.nchannels} channels, {8 * found.sampwidth} bits, {found.framerate:,} Hz"
    if (found.nchannels, found.sampwidth, found.framerate) != (1, 2, RATE):
        raise ValueError(f"{name}: need 1 channel, 16 bits, {RATE:,} Hz; got {got}")
    if not body or len(body) != 2 * found.nframes:
        raise ValueError(f"{name}: need at least one whole sample, got {len(body)} bytes")
    return np.frombuffer(body, "<i2").astype(np.float32) / 32768


def wav_bytes(sound: np.ndarray) -> bytes:
    """Samples (N,) within -1 … 1 as a WAV file, 16 bits, mono, 8 kHz."""
    body = io.BytesIO()
    with wave.open(body, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes())
    return body.getvalue()
