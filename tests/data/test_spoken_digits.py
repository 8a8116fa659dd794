"""Sound files, and the Free Spoken Digit Dataset from a made archive in its form."""

import hashlib
import io
import tarfile

import numpy as np
import pytest

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import DownloadError, RemoteFile
from bigmodel_lib.data.sound_file import read_wav, wav_bytes
from bigmodel_lib.data.spoken_digits import load_spoken_digits, read_archive
from tests.data.local_server import closed_port, send

ROOT = "free-spoken-digit-dataset-1.0.9"


def archive(**extra: bytes) -> bytes:
    """Two digits by two people, seven times each, and files that are no recordings."""
    body = io.BytesIO()
    members = {f"{ROOT}/README.md": b"text", f"{ROOT}/recordings/notes.txt": b"text"}
    for digit in "37":
        for person in ("ada", "ben"):
            for index in range(7):
                sound = np.full(80 + index, int(digit) / 10, np.float32)
                members[f"{ROOT}/recordings/{digit}_{person}_{index}.wav"] = wav_bytes(sound)
    members |= {f"{ROOT}/recordings/{name}.wav": content for name, content in extra.items()}
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return body.getvalue()


@pytest.fixture
def offer(server, cache, monkeypatch):
    def offered(body: bytes) -> None:
        url = server.serve("/v1.0.9.tar.gz", send(body))
        sha256 = hashlib.sha256(body).hexdigest()
        file = RemoteFile("spoken-digits/v1.0.9.tar.gz", sha256, (url,), len(body))
        monkeypatch.setitem(DATASETS, "spoken-digits", (file,))

    return offered


def test_it_is_downloaded_once_and_split_as_its_authors_say(offer, server):
    offer(archive())
    parts = {s: load_spoken_digits(s, count=28) for s in ("train", "test", "all")}
    assert server.asked == ["/v1.0.9.tar.gz"]
    assert {s: len(part) for s, part in parts.items()} == {"train": 8, "test": 20, "all": 28}
    assert {recording.index for recording in parts["test"]} == {0, 1, 2, 3, 4}
    assert [r[1:] for r in parts["all"]] == sorted(r[1:] for r in parts["all"])
    for recording in parts["all"]:
        assert len(recording.sound) == 80 + recording.index
        np.testing.assert_allclose(recording.sound, int(recording.digit) / 10, atol=1e-4)


def test_another_number_of_recordings_is_refused(offer):
    offer(archive())
    with pytest.raises(ValueError, match="need 2500 recordings, got 28"):
        load_spoken_digits()


def test_a_recording_that_is_no_sound_is_named(tmp_path):
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(archive(**{"4_ada_0": b"RIFF"}))
    with pytest.raises(ValueError, match=r"4_ada_0\.wav: need a WAV file"):
        read_archive(path, 29)


@pytest.mark.parametrize("body", [b"nothing", archive()[:400]])
def test_a_broken_archive_is_refused(tmp_path, body):
    path = tmp_path / "broken.tar.gz"
    path.write_bytes(body)
    with pytest.raises(ValueError, match="need a whole"):
        read_archive(path)


def test_without_network_it_says_so(cache, monkeypatch):
    url = f"http://127.0.0.1:{closed_port()}/v1.0.9.tar.gz"
    file = RemoteFile("spoken-digits/v1.0.9.tar.gz", "0" * 64, (url,))
    monkeypatch.setitem(DATASETS, "spoken-digits", (file,))
    with pytest.raises(DownloadError, match="the connection failed"):
        load_spoken_digits()


def test_an_unknown_split_lists_the_choices():
    with pytest.raises(ValueError, match="'train', 'test', 'all'; got 'dev'"):
        load_spoken_digits("dev")


def test_sound_survives_its_file():
    sound = np.linspace(-1, 1, 997, dtype=np.float32)
    np.testing.assert_allclose(read_wav(io.BytesIO(wav_bytes(sound))), sound, atol=1e-4)
