"""SST-2: what the archive must hold, and its way through a local server."""

import hashlib
import io
import zipfile

import pytest

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import DownloadError, RemoteFile
from bigmodel_lib.data.sst2 import load_sst2, read_sst2
from tests.data.local_server import closed_port, send

TRAIN = "sentence\tlabel\nhide new secretions \t0\na \u201ccafé\u201d of joy \t1\n"
DEV = "sentence\tlabel\nno fun .\t0\n"


def archive(train: str | None = TRAIN, dev: str = DEV) -> bytes:
    """An archive of the shape of SST-2.zip; None leaves the member out."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for name, text in {"SST-2/train.tsv": train, "SST-2/dev.tsv": dev}.items():
            if text is not None:
                file.writestr(name, text.encode())
    return body.getvalue()


@pytest.fixture
def saved(tmp_path):
    def save(body: bytes):
        path = tmp_path / "SST-2.zip"
        path.write_bytes(body)
        return path

    return save


def test_both_parts_are_read(saved):
    path = saved(archive())
    assert read_sst2(path, "train") == (["hide new secretions", "a “café” of joy"], [0, 1])
    assert read_sst2(path, "test") == (["no fun ."], [0])


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ("sentence\tlabel\nfine\t2\n", "train.tsv, line 2: need a sentence and 0 or 1"),
        ("sentence\tlabel\nfine\t1\n \t1\n", "line 3: need a sentence"),
        ("sentence\tlabel\nfine\n", "line 2: need a sentence"),
        ("index\tsentence\n0\tfine\n", "need 'sentence.tlabel' and at least one line"),
        ("sentence\tlabel\n", "at least one line"),
        (None, "need SST-2/train.tsv in the archive"),
    ],
)
def test_a_member_that_is_wrong_is_named_with_its_line(saved, train, said):
    with pytest.raises(ValueError, match=said):
        read_sst2(saved(archive(train)), "train")


@pytest.mark.parametrize("body", [b"no zip", archive()[:-30]], ids=["no zip", "cut"])
def test_a_broken_archive_is_refused(saved, body):
    with pytest.raises(ValueError, match=r"SST-2\.zip: need a whole zip archive"):
        read_sst2(saved(body), "train")


def test_another_split():
    with pytest.raises(ValueError, match="'train', 'test'; got 'dev'"):
        load_sst2("dev")


def test_it_is_downloaded_once(server, cache, monkeypatch):
    body = archive()
    url = server.serve("/SST-2.zip", send(body))
    file = RemoteFile("sst-2/SST-2.zip", hashlib.sha256(body).hexdigest(), (url,), len(body))
    monkeypatch.setitem(DATASETS, "sst-2", (file,))
    assert load_sst2("train").labels == [0, 1]
    assert load_sst2("test").labels == [0]
    assert server.asked == ["/SST-2.zip"]


def test_without_network_it_says_so(cache, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url = f"http://127.0.0.1:{closed_port()}/SST-2.zip"
    monkeypatch.setitem(DATASETS, "sst-2", (RemoteFile("sst-2/SST-2.zip", "0" * 64, (url,)),))
    with pytest.raises(DownloadError, match=r"sst-2/SST-2.zip(.|\n)*the connection failed"):
        load_sst2("train")


def test_the_catalogue_names_one_archive():
    (file,) = DATASETS["sst-2"]
    assert (file.name, file.size) == ("sst-2/SST-2.zip", 7_439_277)
    assert file.urls == ("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",)
