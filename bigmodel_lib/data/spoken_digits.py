"""Reads the Free Spoken Digit Dataset: real people saying digits, as an optional download.

Jackson et al. 2016–2020, https://github.com/Jakobovski/free-spoken-digit-dataset, licence CC BY-SA
4.0. Version 1.0.9 has 2,500 recordings, 50 of each digit by 5 people; it is the one whose hash
TensorFlow Datasets records (tensorflow_datasets/audio/spoken_digit/checksums.tsv).
"""

import io
import re
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import fetch
from bigmodel_lib.data.sound_file import read_wav

NAME = re.compile(r"/recordings/(\d)_([a-z]+)_(\d+)\.wav$")
COUNT = 2500
TESTED = 5  # recordings 0 … 4 of each digit and person are the test part, by the authors' README


class Recording(NamedTuple):
    """One digit, said once.

    Attributes:
        sound: (N,) float32, within -1 … 1, at 8 kHz.
        digit: "0" … "9".
        person: who says it.
        index: the how-manieth time.
    """

    sound: np.ndarray
    digit: str
    person: str
    index: int


def load_spoken_digits(split: str = "all", *, count: int = COUNT) -> list[Recording]:
    """Recordings of "train", "test" or "all", downloaded once (12 MB).

    Args:
        split: which.
        count: how many the archive must hold.

    Raises:
        ValueError: an unknown split, or an archive that is not as described.
        DownloadError: the archive is neither cached nor to be had.
    """
    if split not in ("train", "test", "all"):
        raise ValueError(f"need a split of 'train', 'test', 'all'; got {split!r}")
    (file,) = DATASETS["spoken-digits"]
    recordings = read_archive(fetch(file), count)
    kept = {"train": (False,), "test": (True,), "all": (False, True)}[split]
    return [recording for recording in recordings if (recording.index < TESTED) in kept]


def read_archive(path: Path, count: int = COUNT) -> list[Recording]:
    """All recordings of a .tar.gz, ordered by digit, person and index.

    Raises:
        ValueError: no archive, another number of recordings, or one that is not mono at 8 kHz.
    """
    recordings = []
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if found := NAME.search(member.name):
                    body = archive.extractfile(member).read()
                    sound = read_wav(io.BytesIO(body), name=member.name)
                    digit, person, index = found.groups()
                    recordings.append(Recording(sound, digit, person, int(index)))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: need a whole .tar.gz archive, got: {error}") from error
    if len(recordings) != count:
        raise ValueError(f"{path.name}: need {count} recordings, got {len(recordings)}")
    return sorted(recordings, key=lambda recording: recording[1:])
