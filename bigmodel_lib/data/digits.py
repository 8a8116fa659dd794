"""Small labelled pictures: handwritten digits and, as an option, MNIST and Fashion-MNIST."""

import gzip
import importlib.util
import math
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import DownloadError, fetch

SIDE = 28  # pixels
TEST_ROWS = Path(__file__).with_name("digits_test.txt")
SPLITS = ("train", "test", "all")
_DIGITS = tuple("0123456789")
CLASS_NAMES = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "fashion-mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}
SOURCES = tuple(CLASS_NAMES)


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Grey pictures with their classes.

    Args:
        images: (N, 1, 28, 28) float32; -1 is the background, 1 the strongest ink.
        labels: (N,) int64, 0 to 9.
        source: "digits", "mnist" or "fashion-mnist".

    Raises:
        ValueError: other shapes, or an unknown source.
    """

    images: Tensor
    labels: Tensor
    source: str

    def __post_init__(self):
        _check_choice("source", self.source, SOURCES)
        shapes = tuple(self.images.shape), tuple(self.labels.shape)
        if shapes != ((len(self.labels), 1, SIDE, SIDE), (len(self.labels),)):
            raise ValueError(
                f"need images (N, 1, {SIDE}, {SIDE}) and labels (N,), got {shapes[0]}, {shapes[1]}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What labels 0 to 9 stand for."""
        return CLASS_NAMES[self.source]

    def to(self, device: torch.device | str) -> "LabelledImages":
        """The same pictures on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


def load_digits(
    source: str = "digits", split: str = "all", *, fallback: bool = False
) -> LabelledImages:
    """Labelled pictures of 28 by 28 pixels in [-1, 1].

    "digits" needs no download: scikit-learn's 1,797 digits of 8 by 8 pixels, enlarged; its
    split is a fixed one, 80 % and 20 % of each class.  The other two are downloaded once,
    60,000 + 10,000 pictures each; their split is the official one.

    Sources:
        digits: Alpaydin & Kaynak 1998, Cascading classifiers, Kybernetika 34(4); the test
            part of "Optical Recognition of Handwritten Digits", UCI Machine Learning
            Repository, as scikit-learn ships it.
        mnist: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to
            document recognition, Proceedings of the IEEE 86(11).
        fashion-mnist: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747.

    Args:
        source: "digits", "mnist" or "fashion-mnist".
        split: "train", "test", or "all" for both.
        fallback: where a download fails, warn and give the embedded digits instead; the
            result's `source` says which it is.

    Returns:
        Images (N, 1, 28, 28) float32 in [-1, 1] and labels (N,) int64.

    Raises:
        ValueError: unknown source or split; a data file that is not what its name says.
        DownloadError: the files are neither cached nor to be had, and `fallback` is False.
    """
    _check_choice("source", source, SOURCES)
    _check_choice("split", split, SPLITS)
    if source == "digits":
        return _embedded(split)
    try:
        return _downloaded(source, split)
    except DownloadError as error:
        if not fallback:
            raise
        warnings.warn(f"using the embedded digits instead of {source}: {error}", stacklevel=2)
        return _embedded(split)


def enlarge(images: Tensor) -> Tensor:
    """Bilinear pictures of 28 by 28 pixels: (N, h, w) to (N, 1, 28, 28), same range."""
    return F.interpolate(images[:, None], size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def shrink(images: Tensor, side: int = 8) -> Tensor:
    """The pictures that `enlarge` made these of: (N, 1, 28, 28) to (N, 1, side, side).

    Enlarging is a matrix from the left and one from the right; their pseudo-inverses undo it. Of
    a picture that was never small, they give the small one that comes closest when enlarged.
    """
    # by column of the identity: what one small pixel becomes along one axis
    grow = F.interpolate(torch.eye(side)[:, None], size=SIDE, mode="linear")[:, 0].T
    back = torch.linalg.pinv(grow.double()).float().to(images)  # (side, 28)
    return back @ images @ back.T


def read_idx(path: Path, dims: int) -> Tensor:
    """The array in a gzipped IDX file of bytes, the format of MNIST (LeCun et al. 1998).

    Big-endian: a magic number, 0x800 + dims; one 32-bit size per dimension; the bytes.

    Args:
        path: the .gz file.
        dims: how many dimensions it must have (3 for images, 1 for labels).

    Returns:
        uint8 tensor of that many dimensions.

    Raises:
        ValueError: not gzip, another magic number, or too few or too many bytes.
    """
    data = _gunzip(path)
    header = 4 * (1 + dims)
    if len(data) < header:
        raise ValueError(f"{path.name}: need a header of {header} bytes, got {len(data)}")
    magic, *shape = struct.unpack(f">{1 + dims}I", data[:header])
    if magic != 0x800 + dims:
        raise ValueError(f"{path.name}: need magic number {0x800 + dims}, got {magic}")
    if len(data) - header != math.prod(shape):
        needed = f"{math.prod(shape)} bytes for shape {tuple(shape)}"
        raise ValueError(f"{path.name}: need {needed}, got {len(data) - header}")
    # copy: Python's bytes must not be written to, and a tensor may be
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).copy()).view(shape)


def _gunzip(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path.name}: need a whole gzip file, got: {error}") from error


def _embedded(split: str) -> LabelledImages:
    table = np.loadtxt(_table_of_digits(), delimiter=",", dtype=np.float32)
    grey = torch.from_numpy(table[:, :-1]).unflatten(1, (8, 8)) / 16  # 0 … 16 to 0 … 1
    labels = torch.from_numpy(table[:, -1]).long()
    rows = _rows(len(labels), split)
    return LabelledImages(enlarge(grey[rows]) * 2 - 1, labels[rows], "digits")


def _table_of_digits() -> Path:
    """scikit-learn's file: 64 pixels and the digit in each of 1,797 rows.

    Read here, as importing scikit-learn takes a second and 100 MB.
    """
    package = importlib.util.find_spec("sklearn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if not path.exists():
        raise FileNotFoundError(f"need scikit-learn's digits, {path} is not there")
    return path


def _rows(count: int, split: str) -> Tensor:
    """Which of the embedded digits are in the split; the same on every machine.

    The test part was drawn once by scikit-learn's `train_test_split`, a fifth of each digit.
    """
    test = torch.zeros(count, dtype=torch.bool)
    test[torch.from_numpy(np.loadtxt(TEST_ROWS, dtype=np.int64).ravel())] = True
    kept = {"test": test, "train": ~test, "all": torch.ones_like(test)}[split]
    return kept.nonzero()[:, 0]


def _downloaded(source: str, split: str) -> LabelledImages:
    parts = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}[split]
    pairs = [_pair(source, part) for part in parts]
    images, labels = (torch.cat(tensors) for tensors in zip(*pairs, strict=True))
    # In place: MNIST is 220 MB as float32, and a reader may have 2 GB in all.
    return LabelledImages(images[:, None].float().div_(127.5).sub_(1), labels.long(), source)


def _pair(source: str, part: str) -> tuple[Tensor, Tensor]:
    """Images (N, 28, 28) and labels (N,), uint8, of "train" or "t10k"."""
    files = {Path(file.name).name: file for file in DATASETS[source]}
    images = read_idx(fetch(files[f"{part}-images-idx3-ubyte.gz"]), dims=3)
    labels = read_idx(fetch(files[f"{part}-labels-idx1-ubyte.gz"]), dims=1)
    if len(labels) == 0 or images.shape != (len(labels), SIDE, SIDE) or labels.max() > 9:
        raise ValueError(
            f"{source}, {part}: need images (N, {SIDE}, {SIDE}) and labels (N,) of 0 to 9; got "
            f"{tuple(images.shape)}, {tuple(labels.shape)}, labels {labels.unique().tolist()}"
        )
    return images, labels


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"need a {what} of {', '.join(map(repr, choices))}; got {value!r}")
