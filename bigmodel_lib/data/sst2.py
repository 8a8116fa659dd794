"""The Stanford Sentiment Treebank with two classes, as the GLUE benchmark ships it.

Socher et al. 2013, "Recursive Deep Models for Semantic Compositionality Over a Sentiment
Treebank"; Wang et al. 2019 (GLUE), arXiv:1804.07461. Sentences from film reviews. In the training
part every phrase of a sentence stands beside the whole; the sentences of the other part are
others. The labels of GLUE's own test part are not public, so its "dev" is what one tests on.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import fetch

FOLDER = "SST-2/"
MEMBERS = {"train": "train.tsv", "test": "dev.tsv"}
HEADER = "sentence\tlabel"


class LabelledTexts(NamedTuple):
    """Texts and their classes.

    Attributes:
        texts: as many as labels.
        labels: 1 for positive, 0 for negative.
    """

    texts: list[str]
    labels: list[int]


def load_sst2(split: str) -> LabelledTexts:
    """One part of SST-2, downloaded once.

    Args:
        split: "train" (67,349 phrases and sentences) or "test" (872 sentences, GLUE's dev).

    Raises:
        ValueError: another split; an archive that is not what its name says.
        DownloadError: the archive is neither cached nor to be had.
    """
    if split not in MEMBERS:
        raise ValueError(f"need a split of {', '.join(map(repr, MEMBERS))}; got {split!r}")
    (archive,) = DATASETS["sst-2"]
    return read_sst2(fetch(archive), split)


def read_sst2(path: Path, split: str) -> LabelledTexts:
    """One part of the archive SST-2.zip.

    Raises:
        ValueError: no zip archive, a member that is missing, or a line that is no sentence with
            its label; the message names member and line.
    """
    member = FOLDER + MEMBERS[split]
    try:
        with zipfile.ZipFile(path) as archive:
            lines = archive.read(member).decode("utf-8").splitlines()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path.name}: need a whole zip archive, got: {error}") from error
    except KeyError as error:
        raise ValueError(f"{path.name}: need {member} in the archive, got none") from error
    if len(lines) < 2 or lines[0] != HEADER:
        raise ValueError(f"{member}: need {HEADER!r} and at least one line, got {lines[:2]}")
    rows = [line.rpartition("\t") for line in lines[1:]]
    for number, (text, _tab, label) in enumerate(rows, start=2):
        if not text.strip() or label not in ("0", "1"):
            got = f"{text!r} and {label!r}"
            raise ValueError(f"{member}, line {number}: need a sentence and 0 or 1, got {got}")
    return LabelledTexts([text.strip() for text, _, _ in rows], [int(x) for _, _, x in rows])
