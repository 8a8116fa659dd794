"""The voice: its filters against SciPy, its truth against its sound."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import signal

from bigmodel_lib.data import voice
from bigmodel_lib.data.voice import RATE, Line, Speaker, draw_lines, draw_speakers, speak


@pytest.fixture(scope="module")
def said():
    return speak(draw_lines(23, draw_speakers(5, seed=2), seed=3))


def test_the_row_of_resonators_is_scipys():
    """With formants that stand still, these are five filters one behind the other."""
    score = voice._score(Line("5"))
    still = score._replace(
        frequencies=np.broadcast_to(score.frequencies[40], score.frequencies.shape),
        widths=np.broadcast_to(score.widths[40], score.widths.shape),
        hiss=np.zeros_like(score.hiss),
    )
    expected = still.source
    for A, B, C in zip(*voice.resonator(still.frequencies[0], still.widths[0]), strict=True):
        expected = signal.lfilter([A], [1, -B, -C], expected)
    (found,) = voice._filtered([still])
    assert np.abs(found[4:] - expected[:-4]).max() < 1e-6 * np.abs(expected).max()


def test_the_filters_are_those_of_a_loop_over_samples(said):
    """Klatt's recurrence as it is written, with formants that move and three filters beside."""
    scores = [voice._score(said[i].line) for i in (2, 5)]
    n = max(len(score.frequencies) for score in scores)
    A, B, C = voice._coefficients(scores, n)
    source, hiss = voice._inputs(scores, n * voice.BLOCK)
    y1 = y2 = np.zeros(A.shape[1:])
    out = hiss[:, 3].copy()
    for i, block in enumerate(np.repeat(np.arange(n), voice.BLOCK)):
        x = np.concatenate([source[i][None], y1[:4], hiss[i, :3]])
        y1, y2 = A[block] * x + B[block] * y1 + C[block] * y2, y1
        out[i] += y1[4] + y1[5] - y1[6] + y1[7]
    for k, sound in enumerate(voice._filtered(scores)):
        np.testing.assert_allclose(sound, out[: len(sound), k], atol=1e-6)


def test_a_resonator_rings_at_its_frequency_and_as_wide_as_said():
    A, B, C = voice.resonator(np.array(1000.0), np.array(80.0))
    f = np.linspace(800, 1200, 4001)
    gain = np.abs(signal.freqz([A], [1, -B, -C], worN=f, fs=RATE)[1])
    assert abs(f[gain.argmax()] - 1000) < 5
    above = f[gain > gain.max() / np.sqrt(2)]
    assert above[-1] - above[0] == pytest.approx(80, abs=2)


def test_phones_fill_the_sound_and_words_hold_theirs(said):
    for utterance in said:
        phones = utterance.phones
        assert phones[0][1] == 0
        assert phones[-1][2] == len(utterance.sound)
        assert all(a[2] == b[1] for a, b in pairwise(phones))
        assert [p[0] for p in phones] == voice.phones_of(utterance.line.digits)
        assert len(utterance.words) == len(utterance.line.digits)
        for digit, (start, end) in zip(utterance.line.digits, utterance.words, strict=True):
            inside = tuple(p[0] for p in phones if start <= p[1] < p[2] <= end)
            assert inside == voice.PRONOUNCED[digit]


def test_words_are_loud_and_the_ends_are_not(said):
    for utterance in said:
        x = utterance.sound.astype(float)
        words = np.concatenate([x[a:b] for a, b in utterance.words])
        assert np.square(words).mean() > 100 * np.square(x[: utterance.phones[0][2] - 200]).mean()
        assert np.abs(x).max() <= 1
        assert x.dtype == float


def test_a_shorter_tract_moves_the_formants_and_not_the_pitch():
    shapes = []
    for tract in (0.9, 1.2):
        (score,) = [voice._score(Line("3", Speaker(tract=tract), seed=4))]
        shapes.append(score)
    ratio = shapes[1].frequencies[:, :2] / shapes[0].frequencies[:, :2]
    assert np.allclose(ratio, 1.2 / 0.9)
    assert np.array_equal(shapes[0].source, shapes[1].source)


@pytest.mark.parametrize("pitch", [90, 240])
def test_the_pitch_is_the_one_asked_for(pitch):
    (said,) = speak([Line("0", Speaker(pitch=pitch, breath=0))])
    start, end = said.words[0]
    x = said.sound[start + 1200 : end - 400]
    likeness = np.correlate(x, x, "full")[len(x) - 1 :]
    lags = slice(int(RATE / pitch / 1.4), int(RATE / pitch * 1.4))
    found = RATE / (lags.start + likeness[lags].argmax())
    assert found == pytest.approx(pitch, rel=0.15)


def test_speed_shortens():
    slow, fast = speak([Line("13579", speed=s, seed=1) for s in (0.7, 1.4)])
    length = [said.words[-1][1] - said.words[0][0] for said in (slow, fast)]
    assert length[0] / length[1] == pytest.approx(2, rel=0.1)


def test_a_line_sounds_the_same_in_any_company_and_another_seed_differs(said):
    (alone,) = speak([said[7].line])
    assert np.array_equal(alone.sound, said[7].sound)
    other = speak([Line("12", seed=0), Line("12", seed=1)])
    assert len(other[0].sound) != len(other[1].sound)


def test_speakers_with_short_tracts_are_high():
    speakers = draw_speakers(200, seed=0)
    tract, pitch = np.array([(s.tract, s.pitch) for s in speakers]).T
    assert np.corrcoef(tract, pitch)[0, 1] > 0.8
    assert speakers != draw_speakers(200, seed=1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Line(""), "at least one"),
        (lambda: Line("12a"), "0 … 9"),
        (lambda: Line("1" * 13), "at most 12"),
        (lambda: Line("1", speed=3), "speed of 0.5 to 2"),
        (lambda: Speaker(pitch=20), "pitch 60"),
        (lambda: Speaker(breath=1.5), "breath 0"),
    ],
)
def test_what_cannot_be_said_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
