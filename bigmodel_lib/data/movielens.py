"""Reads the archive of MovieLens 100K: ratings, and what is known of users and films.

Harper & Konstan 2015, The MovieLens Datasets: History and Context, ACM Transactions on
Interactive Intelligent Systems 5(4), article 19, doi:10.1145/2827872.  The data is not ours to
pass on: its README allows research, asks for this citation, and forbids redistribution and
commercial use without permission.
"""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FOLDER = "ml-100k/"
GENRES = 19  # flags at the end of each line of u.item, "unknown" the first
CENTURY = 100  # years, so that ages are of the size of the other features


class MovieLens(NamedTuple):
    """Ratings in the order of the file, users and films counted from 0.

    Attributes:
        users, items: (M,) int64.
        stars: (M,) float32, 1 to 5.
        times: (M,) int64, seconds since 1970.
        user_features: (U, 2 + occupations) float32: age in centuries, woman or not, occupation.
        item_features: (I, 19) float32: the genres, 0 or 1.
    """

    users: Tensor
    items: Tensor
    stars: Tensor
    times: Tensor
    user_features: Tensor
    item_features: Tensor


def read_movielens(path: Path) -> MovieLens:
    """The content of ml-100k.zip.

    Args:
        path: the archive; only its members u.data, u.user, u.item and u.occupation are read.

    Raises:
        ValueError: no zip archive, a member that is missing, or a line that is not as the
            README of the data set says; the message names member and line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text = {name: _text(archive, name) for name in ("data", "user", "item", "occupation")}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path.name}: need a whole zip archive, got: {error}") from error
    user_features = _user_features(_fields(text["user"], "u.user", "|", 5), text["occupation"])
    item_features = _item_features(_fields(text["item"], "u.item", "|", 5 + GENRES))
    counts = len(user_features), len(item_features)
    ratings = _ratings(_fields(text["data"], "u.data", "\t", 4), *counts)
    return MovieLens(*ratings, user_features, item_features)


def _text(archive: zipfile.ZipFile, name: str) -> str:
    member = f"{FOLDER}u.{name}"
    try:
        # titles of films are in Latin-1
        return archive.read(member).decode("latin-1")
    except KeyError as error:
        raise ValueError(f"need {member} in the archive, got {archive.namelist()}") from error


def _fields(text: str, member: str, separator: str, count: int) -> list[list[str]]:
    """Each line split into so many fields; empty lines are skipped."""
    # StringIO: splitlines() would also cut at characters that may stand in a Latin-1 title
    lines = [line.rstrip("\n") for line in io.StringIO(text) if line.strip()]
    rows = [line.split(separator) for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != count:
            raise ValueError(f"{member}, line {number}: need {count} fields, got {row}")
    if not rows:
        raise ValueError(f"{member}: need at least one line, got none")
    return rows


def _whole(rows: list[list[str]], member: str) -> np.ndarray:
    """Rows of digits as one array of int64."""
    for number, row in enumerate(rows, start=1):
        if not all(field.isascii() and field.isdigit() for field in row):
            raise ValueError(f"{member}, line {number}: need whole numbers, got {row}")
    return np.array(rows, dtype=np.int64)


def _ratings(rows: list[list[str]], users: int, items: int) -> tuple[Tensor, ...]:
    table = _whole(rows, "u.data")
    lowest, highest = np.array([1, 1, 1, 0]), np.array([users, items, 5, np.iinfo(np.int64).max])
    wrong = ((table < lowest) | (table > highest)).any(axis=1)
    if wrong.any():
        number = int(wrong.argmax())
        raise ValueError(
            f"u.data, line {number + 1}: need user 1 to {users}, item 1 to {items}, "
            f"rating 1 to 5; got {table[number].tolist()}"
        )
    user, item, stars, times = torch.from_numpy(table).T
    return user - 1, item - 1, stars.float(), times.clone()


def _numbered(rows: list[list[str]], member: str) -> None:
    """The n-th line must be about number n: features are found by their place."""
    for number, row in enumerate(rows, start=1):
        if row[0] != str(number):
            raise ValueError(f"{member}, line {number}: need number {number}, got {row[0]!r}")


def _user_features(rows: list[list[str]], occupations: str) -> Tensor:
    _numbered(rows, "u.user")
    names = [row[0] for row in _fields(occupations, "u.occupation", "|", 1)]
    for number, row in enumerate(rows, start=1):
        if row[2] not in ("M", "F") or row[3] not in names:
            raise ValueError(
                f"u.user, line {number}: need M or F and an occupation of {names}, got {row}"
            )
    age = torch.from_numpy(_whole([[row[1]] for row in rows], "u.user")) / CENTURY  # (U, 1)
    woman = torch.tensor([[float(row[2] == "F")] for row in rows])
    occupation = F.one_hot(torch.tensor([names.index(row[3]) for row in rows]), len(names))
    return torch.cat([age, woman, occupation], dim=1).float()


def _item_features(rows: list[list[str]]) -> Tensor:
    _numbered(rows, "u.item")
    flags = _whole([row[-GENRES:] for row in rows], "u.item")
    if flags.max() > 1:
        number = int((flags > 1).any(axis=1).argmax()) + 1
        raise ValueError(f"u.item, line {number}: need genres 0 or 1, got {rows[number - 1]}")
    return torch.from_numpy(flags).float()
