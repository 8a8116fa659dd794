"""Recognition and synthesis: batches, error rates, both runs, and what padding must not change."""

import numpy as np
import pytest
import torch
from torch import nn

from bigmodel_lib.data.voice import Line, draw_lines, draw_speakers, speak
from bigmodel_lib.models.recogniser import Recogniser
from bigmodel_lib.models.speech import SpeechModel
from bigmodel_lib.training import speech, synthesis
from bigmodel_lib.training.speech import BANDS, HOP, LABELS


@pytest.fixture(scope="module")
def said():
    return speak(draw_lines(5, draw_speakers(2, seed=0), seed=0, longest=3))


@pytest.fixture(scope="module")
def sounds(said):
    return speech.batch([utterance.sound for utterance in said])


def recogniser() -> Recogniser:
    torch.manual_seed(0)
    return Recogniser(BANDS, F=7, V=len(LABELS)).eval()


def test_the_two_grus_are_torchs_bidirectional_one(sounds):
    model, frames = recogniser(), torch.tensor([13, 7, 10])
    x = torch.randn(3, 13, 7)
    theirs = nn.GRU(7, 7, batch_first=True, bidirectional=True)
    state = dict(model.forwards.state_dict().items())
    state |= {f"{name}_reverse": p for name, p in model.backwards.state_dict().items()}
    theirs.load_state_dict(state)
    packed = nn.utils.rnn.pack_padded_sequence(x, frames, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    from bigmodel_lib.models.recogniser import _reversed

    there, back = model.forwards(x)[0], model.backwards(_reversed(x, frames))[0]
    ours = torch.cat((there, _reversed(back, frames)), dim=2)
    for row, (n, other) in enumerate(zip(frames, expected, strict=True)):
        torch.testing.assert_close(ours[row, :n], other[:n])


def test_padding_changes_nothing(sounds):
    model = recogniser()
    together, frames = model(sounds.mel(), sounds.frames)
    for i, length in enumerate(sounds.lengths):
        one = speech.Sounds(sounds.x[i : i + 1, :length], sounds.lengths[i : i + 1])
        alone, count = model(one.mel(), one.frames)
        assert count == frames[i] == alone.shape[1]
        # the last frames see the end of the sound through the transform's window
        inside = slice(0, int(count) - 2)
        torch.testing.assert_close(together[i, inside], alone[0, inside], atol=0.05, rtol=0)


def test_noise_has_its_ratio_in_each_utterance_and_none_in_the_padding(sounds):
    noise = speech.noisy(sounds, 5).x - sounds.x
    for i, n in enumerate(sounds.lengths.tolist()):
        ratio = 10 * (sounds.x[i, :n].square().mean() / noise[i, :n].square().mean()).log10()
        assert float(ratio) == pytest.approx(5, abs=0.05)
        assert not noise[i, n:].any()
    assert speech.noisy(sounds, None) is sounds


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("kitten", "sitting", 3), ("12", "", 2), ("", "12", 2), ("123", "23", 1)],
)
def test_edit_distance(a, b, edits):
    assert speech.edit_distance(a, b) == speech.edit_distance(b, a) == edits


def test_word_error_rate_counts_words_and_not_texts():
    assert speech.word_error_rate(["1234", "5"], ["1235", "5"]) == pytest.approx(1 / 5)
    with pytest.raises(ValueError, match="as many texts"):
        speech.word_error_rate(["1"], [])
    with pytest.raises(ValueError, match="as many texts"):
        speech.word_error_rate([""], [""])


def test_a_recogniser_learns_to_fit_its_batch(said):
    """Past the blanks that CTC begins with: better than any guess that ignores the sound."""
    torch.manual_seed(0)
    model = Recogniser(BANDS, F=24, V=len(LABELS), dropout=0.0)
    settings = speech.RecognitionSettings(lr=5e-3, batch_size=5, snr=30)
    run = speech.RecognitionRun(model, said, settings=settings)
    for _record in run.take(250):
        pass
    assert run.history["loss"][-10:].mean() < 0.6 * run.history["loss"][20:40].mean()


def test_words_are_cut_out_where_they_are(said):
    mels = speech.word_mels(said)
    assert len(mels) == sum(len(utterance.line.digits) for utterance in said)
    start, end = said[0].words[0]
    assert len(mels[0]) == end // HOP + 1 - start // HOP


def test_frames_of_the_phones_add_up_and_lie_in_them(said):
    for utterance in said:
        counts = synthesis.frame_counts(utterance)
        assert counts.sum() == 1 + len(utterance.sound) // HOP
        owner = torch.repeat_interleave(torch.arange(len(counts)), counts)
        for frame, phone in enumerate(owner[:-1].tolist()):
            _, start, end = utterance.phones[phone]
            assert start <= frame * HOP < end


def small_speaker() -> SpeechModel:
    torch.manual_seed(0)
    return SpeechModel(len(synthesis.KINDS), synthesis.VOICE, BANDS, D=32, L=2)


def test_each_phone_lasts_its_frames_and_padding_none():
    model, lines = small_speaker(), [Line("12"), Line("3")]
    phones, voice = synthesis.phone_kinds(lines), synthesis.voice_of(lines)
    counts = torch.randint(0, 4, phones.shape) * (phones != 0)
    mel, log_counts = model(phones, voice, counts)
    assert mel.shape == (2, int(counts.sum(dim=1).max()), BANDS)
    assert log_counts.shape == phones.shape
    longer = counts.clone()
    longer[0, 3] += 2
    assert model(phones, voice, longer)[0].shape[1] == max(int(longer.sum(1).max()), mel.shape[1])


def test_a_speaker_learns_durations_and_spectrum(said):
    settings = synthesis.SynthesisSettings(lr=0.01, batch_size=5)
    run = synthesis.SynthesisRun(small_speaker(), said, settings=settings)
    for _record in run.take(60):
        pass
    history = run.history
    assert history["spectrum"][-5:].mean() < 0.3 * history["spectrum"][0]
    assert history["duration"][-5:].mean() < 0.5 * history["duration"][0]
    mels = synthesis.say_mel(run.model, [utterance.line for utterance in said])
    for mel, utterance in zip(mels, said, strict=True):
        assert len(mel) * HOP == pytest.approx(len(utterance.sound), rel=0.4)


def test_a_spectrogram_becomes_sound_that_has_it(said):
    mel = speech.batch([said[0].sound]).mel()[0]
    sound = synthesis.to_sound(mel)
    assert len(sound) == (len(mel) - 1) * HOP
    again = speech.batch([sound]).mel()[0]
    loud = mel > mel.max() - 4
    assert (again - mel)[loud].abs().mean() < 0.5
    with pytest.raises(ValueError, match="n ≥ 2"):
        synthesis.to_sound(mel[:1])


def test_settings_out_of_range_are_refused(said):
    with pytest.raises(ValueError, match="batch_size ≥ 1"):
        speech.RecognitionSettings(batch_size=0).check()
    with pytest.raises(ValueError, match="snr ≤ 30"):
        speech.RecognitionSettings(snr=np.nan).check()
    with pytest.raises(ValueError, match="batch_size ≥ 1"):
        synthesis.SynthesisSettings(batch_size=0).check()
