"""Pictures and labels: the embedded digits as they are, MNIST's format from made files."""

import gzip
import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.model_selection import train_test_split

from bigmodel_lib.data import DATASETS, DownloadError, RemoteFile
from bigmodel_lib.data.digits import LabelledImages, enlarge, load_digits, read_idx, shrink
from tests.data.local_server import closed_port, send

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digits():
    return {split: load_digits(split=split) for split in ("train", "test", "all")}


# --- the embedded digits


def test_shapes_range_and_types(digits):
    sizes = {split: len(data) for split, data in digits.items()}
    assert sizes == {"train": 1437, "test": 360, "all": 1797}
    for data in digits.values():
        assert data.images.shape == (len(data), 1, 28, 28)
        assert data.images.dtype == torch.float32
        assert data.labels.shape == (len(data),)
        assert data.labels.dtype == torch.int64
        assert data.images.min() == -1
        assert data.images.max() == 1
        assert data.source == "digits"
        assert data.class_names == tuple("0123456789")


def test_pictures_and_labels_are_scikit_learns_in_their_order(digits):
    bunch = sklearn_digits()
    assert digits["all"].labels.tolist() == bunch.target.tolist()
    # every 7 output pixels stand for 2 of the 8: means over those blocks must agree
    blocks = torch.nn.functional.avg_pool2d(digits["all"].images, 14)
    original = torch.from_numpy(bunch.images).float()[:, None] / 8 - 1
    expected = torch.nn.functional.avg_pool2d(original, 4)
    assert (blocks - expected).abs().max() < 0.1
    assert (blocks - expected.flip(-1)).abs().max() > 0.5  # and a mirrored picture would not


def test_split_keeps_the_balance_of_classes(digits):
    whole = digits["all"].labels.bincount(minlength=10)
    for split, share in (("train", 0.8), ("test", 0.2)):
        counts = digits[split].labels.bincount(minlength=10)
        assert (counts - share * whole).abs().max() <= 1


def test_split_is_the_one_that_scikit_learn_drew(digits):
    labels = digits["all"].labels.numpy()
    drawn = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    for split, expected in zip(("train", "test"), drawn, strict=True):
        kept = digits["all"].images[np.sort(expected)]
        assert torch.equal(digits[split].images, kept)


def test_loading_them_imports_no_scikit_learn():
    code = (
        "import sys; from bigmodel_lib.data.digits import load_digits; "
        "load_digits(split='test'); sys.exit('sklearn' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert result.returncode == 0


def rows(data: LabelledImages) -> set[tuple[bytes, int]]:
    both = zip(data.images, data.labels, strict=True)
    return {(image.numpy().tobytes(), int(label)) for image, label in both}


def test_train_and_test_are_disjoint_and_together_everything(digits):
    train, test, everything = (rows(digits[split]) for split in ("train", "test", "all"))
    assert len(everything) == 1797  # no picture twice, so that sets lose nothing
    assert not train & test
    assert train | test == everything


def test_split_is_the_same_in_another_process(digits):
    code = (
        "from bigmodel_lib.data.digits import load_digits; import hashlib, torch;"
        "torch.manual_seed(5); data = load_digits(split='test');"
        "print(hashlib.sha256(data.images.numpy().tobytes()).hexdigest(), data.labels.tolist())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    here = hashlib.sha256(digits["test"].images.numpy().tobytes()).hexdigest()
    assert run.stdout.strip() == f"{here} {digits['test'].labels.tolist()}", run.stderr


@given(st.lists(st.integers(0, 16), min_size=128, max_size=128))
def test_enlarging_keeps_mean_and_range(pixels):
    small = torch.tensor(pixels, dtype=torch.float32).view(2, 8, 8) / 16
    large = enlarge(small)
    assert large.shape == (2, 1, 28, 28)
    torch.testing.assert_close(large.mean((1, 2, 3)), small.mean((1, 2)), atol=1e-5, rtol=0)
    assert large.min() >= small.min() - 1e-6
    assert large.max() <= small.max() + 1e-6


def test_to_moves_both_and_changes_nothing_else(digits):
    moved = digits["test"].to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"
    assert moved.source == "digits"
    assert len(moved) == 360
    assert digits["test"].images.device.type == "cpu"


@pytest.mark.parametrize(
    ("images", "labels"),
    [((3, 28, 28), (3,)), ((3, 1, 28, 28), (2,)), ((3, 1, 8, 8), (3,)), ((3, 1, 28, 28), (3, 1))],
)
def test_other_shapes_are_refused(images, labels):
    with pytest.raises(ValueError, match=r"need images \(N, 1, 28, 28\).*got"):
        LabelledImages(torch.zeros(images), torch.zeros(labels, dtype=torch.int64), "digits")


def test_unknown_source_or_split_lists_the_choices():
    with pytest.raises(ValueError, match="'digits', 'mnist', 'fashion-mnist'; got 'cifar'"):
        load_digits("cifar")
    for source in ("digits", "mnist"):
        with pytest.raises(ValueError, match="'train', 'test', 'all'; got 'validation'"):
            load_digits(source, "validation")
    with pytest.raises(ValueError, match="need a source"):
        LabelledImages(torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64), "other")


# --- IDX files


def idx(magic: int, shape: tuple[int, ...], body: bytes) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", magic, *shape) + body


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


def test_idx_round_trip(tmp_path):
    path = saved(tmp_path / "a.gz", idx(2051, (2, 3, 5), bytes(range(30))))
    expected = torch.arange(30, dtype=torch.uint8).view(2, 3, 5)
    assert torch.equal(read_idx(path, dims=3), expected)
    path = saved(tmp_path / "b.gz", idx(2049, (7,), bytes([0, 1, 2, 127, 128, 254, 255])))
    assert read_idx(path, dims=1).tolist() == [0, 1, 2, 127, 128, 254, 255]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (idx(2049, (2, 3, 5), bytes(30)), "need magic number 2051, got 2049"),
        (idx(2051, (2, 3, 5), bytes(29)), r"need 30 bytes for shape \(2, 3, 5\), got 29"),
        (idx(2051, (2, 3, 5), bytes(31)), r"need 30 bytes for shape \(2, 3, 5\), got 31"),
        (idx(2051, (2, 3), b""), "need a header of 16 bytes, got 12"),
        (b"", "need a header of 16 bytes, got 0"),
    ],
    ids=["magic", "too short", "too long", "half a header", "empty"],
)
def test_idx_that_is_wrong_is_refused(tmp_path, content, said):
    with pytest.raises(ValueError, match=f"a.gz: {said}"):
        read_idx(saved(tmp_path / "a.gz", content), dims=3)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"no gzip", lambda b: b[:20] + b"x" * 40]
)
def test_broken_gzip_is_refused(tmp_path, damage):
    path = tmp_path / "a.gz"
    path.write_bytes(damage(gzip.compress(idx(2051, (2, 3, 5), bytes(range(30))))))
    with pytest.raises(ValueError, match=r"a\.gz: need a whole gzip file"):
        read_idx(path, dims=3)


# --- MNIST's files, made small


def pictures(count: int, first: int) -> bytes:
    """Each picture of one grey value, `first`, `first` + 1, …"""
    return idx(2051, (count, 28, 28), b"".join(bytes([first + n]) * 784 for n in range(count)))


def classes(*labels: int) -> bytes:
    return idx(2049, (len(labels),), bytes(labels))


SMALL = {
    "train-images-idx3-ubyte.gz": pictures(3, first=0),
    "train-labels-idx1-ubyte.gz": classes(7, 0, 9),
    "t10k-images-idx3-ubyte.gz": pictures(2, first=254),
    "t10k-labels-idx1-ubyte.gz": classes(4, 5),
}


@pytest.fixture
def offer(server, cache, monkeypatch):
    """Make the server the only address of a data set with these files."""

    def offered(source: str, contents: dict[str, bytes]) -> None:
        files = []
        for name, content in contents.items():
            body = gzip.compress(content, mtime=0)
            url = server.serve(f"/{source}/{name}", send(body))
            sha256 = hashlib.sha256(body).hexdigest()
            files.append(RemoteFile(f"{source}/{name}", sha256, (url,), len(body)))
        monkeypatch.setitem(DATASETS, source, tuple(files))

    return offered


@pytest.mark.parametrize("source", ["mnist", "fashion-mnist"])
def test_official_split(offer, server, source):
    offer(source, SMALL)
    train, test = load_digits(source, "train"), load_digits(source, "test")
    everything = load_digits(source, "all")
    assert train.labels.tolist() == [7, 0, 9]
    assert test.labels.tolist() == [4, 5]
    assert everything.labels.tolist() == [7, 0, 9, 4, 5]
    grey = torch.tensor([0, 1, 2, 254, 255]).view(5, 1, 1, 1).expand(5, 1, 28, 28)
    torch.testing.assert_close(everything.images, grey / 255 * 2 - 1)
    assert everything.images.dtype == torch.float32
    assert everything.images.min() == -1
    assert everything.images.max() == 1
    assert everything.source == source
    assert len(server.asked) == 4  # each file once, for three loads


def test_a_split_asks_only_for_its_files(offer, server):
    offer("mnist", SMALL)
    load_digits("mnist", "test")
    assert [path.split("/")[-1][:4] for path in server.asked] == ["t10k", "t10k"]


def test_class_names_of_fashion(offer):
    offer("fashion-mnist", SMALL)
    names = load_digits("fashion-mnist", "test").class_names
    assert (names[0], names[9], len(names)) == ("T-shirt/top", "Ankle boot", 10)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (classes(4), r"\(2, 28, 28\), \(1,\)"),
        (classes(4, 10), r"labels \[4, 10\]"),
        (classes(), r"\(2, 28, 28\), \(0,\)"),
    ],
    ids=["one too few", "no such class", "none"],
)
def test_labels_that_do_not_fit_the_pictures_are_refused(offer, labels, said):
    offer("mnist", SMALL | {"t10k-labels-idx1-ubyte.gz": labels})
    with pytest.raises(ValueError, match=f"mnist, t10k: need images .* got .*{said}"):
        load_digits("mnist", "test")


# --- no network


@pytest.fixture
def unreachable(cache, monkeypatch):
    url = f"http://127.0.0.1:{closed_port()}/"
    files = [RemoteFile(f"mnist/{name}", "0" * 64, (url + name,)) for name in SMALL]
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(DATASETS, "mnist", tuple(files))


@pytest.mark.usefixtures("unreachable")
def test_without_network_it_says_so():
    with pytest.raises(DownloadError, match=r"mnist/t10k-images(.|\n)*the connection failed"):
        load_digits("mnist", "test")


@pytest.mark.usefixtures("unreachable")
def test_fallback_warns_with_the_reason_and_gives_the_same_split(digits):
    with pytest.warns(UserWarning, match="embedded digits instead of mnist") as caught:
        data = load_digits("mnist", "test", fallback=True)
    assert "the connection failed" in str(caught[0].message)
    assert caught[0].filename == __file__  # points at the reader's line, not into the library
    assert data.source == "digits"
    assert torch.equal(data.images, digits["test"].images)
    assert torch.equal(data.labels, digits["test"].labels)


def test_shrinking_undoes_enlarging(digits):
    small = shrink(digits["test"].images)
    assert small.shape == (len(digits["test"]), 1, 8, 8)
    torch.testing.assert_close(enlarge(small[:, 0]), digits["test"].images)
    other = torch.rand(3, 5, 5)
    torch.testing.assert_close(shrink(enlarge(other), side=5)[:, 0], other)
