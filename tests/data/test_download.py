"""Downloads against a local server: the file arrives whole, or an error explains why not."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bigmodel_lib.data import DATASETS, DownloadError, RemoteFile, cache_folder, fetch, is_cached
from bigmodel_lib.data.download import shown
from tests.data.local_server import closed_port, hang, hang_after, send

BODY = bytes(range(256)) * 1024  # 256 KiB: several chunks
SHA256 = hashlib.sha256(BODY).hexdigest()
ROOT = Path(__file__).parents[2]


def wanted(*urls: str) -> RemoteFile:
    return RemoteFile("set/file.bin", SHA256, urls, len(BODY))


def files_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def failure(file: RemoteFile) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(file)
    return str(caught.value)


def assert_explained(message: str, file: RemoteFile) -> None:
    """What was wanted, from where, and how to get it by hand."""
    assert file.name in message
    assert file.sha256 in message
    for url in file.urls:
        assert message.count(url) >= 2  # what happened there, and where to get it by hand
    assert shown(cache_folder() / file.name) in message
    assert "BIGMODEL_CACHE" in message


def test_right_file_is_kept_and_not_asked_for_again(cache, server):
    file = wanted(server.serve("/file", send(BODY)))
    assert not is_cached(file)
    path = fetch(file)
    assert path == cache / "set" / "file.bin"
    assert path.read_bytes() == BODY
    assert is_cached(file)
    assert fetch(file) == path
    assert server.asked == ["/file"]
    assert files_in(cache) == ["set/file.bin"]
    assert list((cache / "set").iterdir()) == [path]  # no unfinished folder either


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (send(BODY[::-1]), "wrong file"),
        (send(BODY[:70_000], promised=len(BODY)), "cut"),
        (send(BODY[:70_000]), "wrong file, cut or changed: 70,000 bytes"),
        (send(b""), "wrong file"),
        (hang, "no answer in time"),
        (hang_after(BODY[:70_000]), "timed out"),
        (lambda handler: handler.send_error(503), "the server refused: 503"),
    ],
    ids=["wrong hash", "cut", "short", "empty", "hangs", "hangs in the middle", "refuses"],
)
def test_bad_answers_are_told_and_leave_nothing(cache, server, answer, said):
    file = wanted(server.serve("/file", answer))
    start = time.monotonic()
    message = failure(file)
    assert time.monotonic() - start < 10
    assert said in message
    assert_explained(message, file)
    assert files_in(cache) == []
    assert list((cache / "set").iterdir()) == []


def test_no_network(cache):
    file = wanted(f"http://127.0.0.1:{closed_port()}/file", "http://no-such-host.invalid/file")
    start = time.monotonic()
    message = failure(file)
    assert time.monotonic() - start < 20
    assert message.count("the connection failed") == 2
    assert_explained(message, file)
    assert files_in(cache) == []


def test_second_mirror_helps_where_the_first_is_dead_or_wrong(cache, server):
    dead = f"http://127.0.0.1:{closed_port()}/file"
    wrong = server.serve("/wrong", send(b"<html>moved</html>"))
    file = wanted(dead, wrong, server.serve("/right", send(BODY)))
    assert fetch(file).read_bytes() == BODY
    assert server.asked == ["/wrong", "/right"]
    assert files_in(cache) == ["set/file.bin"]


def test_broken_file_in_the_cache_is_replaced(cache, server):
    path = cache / "set" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:1000])
    file = wanted(server.serve("/file", send(BODY)))
    assert not is_cached(file)
    assert fetch(file).read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that is open")
def test_who_reads_the_old_file_never_sees_half_of_the_new_one(cache, server):
    path = cache / "set" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:1000])
    with path.open("rb") as reader:
        fetch(wanted(server.serve("/file", send(BODY))))
        assert reader.read() == BODY[:1000]


@pytest.mark.parametrize("whole", [True, False])
def test_another_process_was_first_and_holds_the_file(cache, server, monkeypatch, whole):
    def held(part, target):  # what Windows does
        target.write_bytes(BODY if whole else b"")
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "replace", held)
    file = wanted(server.serve("/file", send(BODY)))
    if whole:
        assert fetch(file).read_bytes() == BODY
    else:
        assert os.strerror(errno.EACCES) in failure(file)


def test_broken_file_in_the_cache_is_named_where_it_cannot_be_replaced(cache):
    path = cache / "set" / "file.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY[:1000])
    message = failure(wanted(f"http://127.0.0.1:{closed_port()}/file"))
    assert f"{shown(path)}: a wrong file, cut or changed: 1,000 bytes" in message


class FullDisk:
    """A file on a disk with room for one more piece."""

    def __init__(self, name, mode):
        self.file = open(name, mode)  # noqa: SIM115 - closed by whom it is handed to
        self.pieces = 0

    def write(self, data):
        self.pieces += 1
        if self.pieces > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


def test_full_disk(cache, server, monkeypatch):
    monkeypatch.setattr("pooch.downloaders.open", FullDisk, raising=False)
    url, other = server.serve("/file", send(BODY)), server.serve("/other", send(BODY))
    message = failure(wanted(url, other))
    assert os.strerror(errno.ENOSPC) in message
    assert shown(cache / "set") in message
    assert server.asked == ["/file"]  # another mirror would fill the disk again
    assert files_in(cache) == []
    monkeypatch.undo()
    monkeypatch.setenv("BIGMODEL_CACHE", str(cache))
    assert fetch(wanted(url)).read_bytes() == BODY  # room again: it works


FETCH = """
import sys
from bigmodel_lib.data.download import RemoteFile, fetch
print(fetch(RemoteFile("set/file.bin", sys.argv[1], (sys.argv[2],))).as_posix())
"""


def fetching(url: str, before: str = "") -> subprocess.Popen:
    command = [sys.executable, "-c", before + FETCH, SHA256, url]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_system_that_refuses_to_write_more(cache, server):
    limit = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, 100_000))\n"
    with fetching(server.serve("/file", send(BODY)), limit) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "DownloadError: could not get set/file.bin" in errors
    assert os.strerror(errno.EFBIG) in errors
    assert files_in(cache) == []


def slowly_to_both(body: bytes):
    """Answers only when two have asked, and then in pieces: the downloads overlap."""
    both = threading.Barrier(2)

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        both.wait(timeout=30)
        for start in range(0, len(body), 1 << 15):
            handler.wfile.write(body[start : start + (1 << 15)])
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize("before", [None, BODY[:1000]], ids=["empty cache", "broken file"])
def test_two_processes_at_once_and_a_reader_sees_only_whole_files(cache, server, before):
    path = cache / "set" / "file.bin"
    if before is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(before)
    url = server.serve("/file", slowly_to_both(BODY))
    seen = set()
    with fetching(url) as one, fetching(url) as two:
        while one.poll() is None or two.poll() is None:
            seen.add(path.read_bytes() if path.exists() else None)
            time.sleep(0.001)
    for process in (one, two):
        assert process.returncode == 0
    assert seen <= {before, BODY}
    assert server.asked == ["/file", "/file"]
    assert path.read_bytes() == BODY
    assert files_in(cache) == ["set/file.bin"]


def test_cache_folder_that_cannot_be_made(tmp_path, server, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BIGMODEL_CACHE", str(tmp_path / "file" / "cache"))
    message = failure(wanted(server.serve("/file", send(BODY))))
    assert shown(tmp_path / "file" / "cache" / "set") in message
    assert os.strerror(errno.ENOTDIR) in message or os.strerror(errno.EEXIST) in message
    assert server.asked == []
    assert (tmp_path / "file").read_text() == "in the way"


def test_interrupted_download_leaves_nothing(cache, server, monkeypatch):
    class Interrupted(FullDisk):
        def flush(self):
            raise KeyboardInterrupt

    monkeypatch.setattr("pooch.downloaders.open", Interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        fetch(wanted(server.serve("/file", send(BODY))))
    assert files_in(cache) == []


def test_cache_folder_follows_the_variable(monkeypatch):
    monkeypatch.setenv("BIGMODEL_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    assert shown(cache_folder()) == "~/elsewhere"
    monkeypatch.setenv("BIGMODEL_CACHE", "")  # set to nothing is not set
    default = cache_folder()
    monkeypatch.delenv("BIGMODEL_CACHE")
    assert cache_folder() == default
    assert default.is_absolute()
    assert "bigmodel_lib" in default.parts


@pytest.mark.parametrize(
    ("sha256", "urls"), [("abc", ("http://x/y",)), ("g" * 64, ("http://x/y",)), (SHA256, ())]
)
def test_record_that_cannot_be_checked_or_fetched_is_refused(sha256, urls):
    with pytest.raises(ValueError, match="need"):
        RemoteFile("name", sha256, urls)


def test_catalogue_is_consistent():
    files = [file for files in DATASETS.values() for file in files]
    assert set(DATASETS) >= {"mnist", "fashion-mnist"}
    assert len({file.name for file in files}) == len(files)
    assert len({file.sha256 for file in files}) == len(files)
    for name, members in DATASETS.items():
        for file in members:
            folder, _, leaf = file.name.partition("/")
            assert folder == name
            # MovieLens may not be passed on, SST-2 and archives of GitHub's have one address
            alone = ("movielens-100k", "sst-2", "spoken-digits")
            assert len(file.urls) >= (1 if name in alone else 2)
            assert all(url.endswith("/" + leaf) for url in file.urls)


def test_import_is_light():
    heavy = "{'sklearn', 'torch', 'matplotlib', 'requests'}"
    code = f"import sys, bigmodel_lib.data; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr
