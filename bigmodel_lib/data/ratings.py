"""Who rated what with how many stars: made ratings whose truth is known, and MovieLens 100K.

Symbols: U users, I items, M ratings, D width of a taste.
"""

import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bigmodel_lib.data.catalogue import DATASETS
from bigmodel_lib.data.download import DownloadError, fetch
from bigmodel_lib.data.movielens import read_movielens

SOURCES = ("made", "movielens-100k")
MEAN = 3.5  # stars
TASTE, BIAS = 0.6, 0.4  # stars: spread of the taste term p·q, and of a user's or item's bias
LIKED = 4.0  # stars: who gives at least so many likes the item


@dataclass(frozen=True, eq=False)
class RatingTruth:
    """What made the ratings, and what no real data set tells.

    Attributes:
        expected: (U, I), the mean of the stars that user u would give item i: the best prediction.
        from_features: (U, I), the best prediction for an item that nobody has rated, from all
            about the user and the item's features.
        exposure: (U, I), log weight of the pair (u, i) in the draw of who meets what.
        noise: σ, standard deviation of a rating about `expected`, in stars: no prediction has
            a smaller root mean squared error on new ratings.
    """

    expected: Tensor
    from_features: Tensor
    exposure: Tensor
    noise: float

    @property
    def liking(self) -> Tensor:
        """Probability (U, I) that the user would give at least `LIKED` stars."""
        return torch.special.ndtr((self.expected - LIKED) / self.noise)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings one by one, and what is known of users and items besides.

    Args:
        users, items: (M,) int64, who and what.
        stars: (M,) float32.
        times: (M,) int64; only their order counts.
        user_features: (U, F) float32.
        item_features: (I, G) float32.
        source: "made" or "movielens-100k".
        truth: of made ratings; None of real ones.

    Raises:
        ValueError: shapes that do not fit, or users or items without features.
    """

    users: Tensor
    items: Tensor
    stars: Tensor
    times: Tensor
    user_features: Tensor
    item_features: Tensor
    source: str
    truth: RatingTruth | None = None

    def __post_init__(self):
        columns = [tuple(c.shape) for c in (self.users, self.items, self.stars, self.times)]
        if set(columns) != {(len(self.users),)}:
            raise ValueError(f"need users, items, stars and times all (M,), got {columns}")
        if self.users.device.type == "cpu":  # elsewhere a look at values would wait for the device
            _check_numbers("users", self.users, self.U)
            _check_numbers("items", self.items, self.I)

    def __len__(self) -> int:
        return len(self.stars)

    @property
    def U(self) -> int:
        """How many users there are, with ratings or without."""
        return len(self.user_features)

    @property
    def I(self) -> int:  # noqa: E743
        """How many items there are, with ratings or without."""
        return len(self.item_features)

    def select(self, which: Tensor) -> "Ratings":
        """Some of the ratings, of the same users and items.

        Args:
            which: (M,) bool, or their places (any,) int64.
        """
        columns = ("users", "items", "stars", "times")
        return replace(self, **{name: getattr(self, name)[which] for name in columns})

    def seen(self) -> Tensor:
        """Which pairs were rated: (U, I) bool."""
        seen = torch.zeros(self.U, self.I, dtype=torch.bool, device=self.users.device)
        seen[self.users, self.items] = True
        return seen

    def to(self, device: torch.device | str) -> "Ratings":
        """The same ratings on another device; the truth stays where it is."""
        names = ("users", "items", "stars", "times", "user_features", "item_features")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def _check_numbers(what: str, ids: Tensor, count: int) -> None:
    if len(ids) and not 0 <= ids.min() <= ids.max() < count:
        got = f"{ids.min().item()} to {ids.max().item()}"
        raise ValueError(f"need {what} from 0 to {count - 1}, got {got}")


def load_ratings(source: str = "made", *, fallback: bool = False) -> Ratings:
    """Made ratings of the standard size, or MovieLens 100K, downloaded once.

    Sources:
        made: `make_ratings()`.
        movielens-100k: 100,000 ratings of 1,682 films by 943 people; Harper & Konstan 2015,
            doi:10.1145/2827872. To be downloaded by each reader: it may not be passed on.

    Args:
        source: "made" or "movielens-100k".
        fallback: where the download fails, warn and give made ratings; the result's `source`
            says which it is.

    Raises:
        ValueError: unknown source; an archive that is not what its name says.
        DownloadError: the archive is neither cached nor to be had, and `fallback` is False.
    """
    if source not in SOURCES:
        raise ValueError(f"need a source of {', '.join(map(repr, SOURCES))}; got {source!r}")
    if source == "made":
        return make_ratings()
    (archive,) = DATASETS[source]
    try:
        return Ratings(*read_movielens(fetch(archive)), source)
    except DownloadError as error:
        if not fallback:
            raise
        warnings.warn(f"using made ratings instead of {source}: {error}", stacklevel=2)
        return make_ratings()


def make_ratings(
    users: int = 600,
    items: int = 400,
    count: int = 30_000,
    *,
    D: int = 6,
    features: int = 16,
    shown: float = 0.7,
    noise: float = 0.5,
    seed: int = 0,
) -> Ratings:
    """Ratings that follow the model of matrix factorisation, with a truth that is known.

    stars = 3.5 + b_u + b_i + p_u·q_i + σ ε,  ε ~ N(0, 1)

    Biases and tastes are normal. Of an item's bias and taste q_i, a share `shown` of the
    variance is a linear function of its features and the rest is hidden; so with users. People
    choose what to rate by what shows beforehand, p_u times the part of q_i that shows, and by
    fame; fame depends on quality as far as that shows, and on luck. Pairs are drawn one by one
    without replacement in proportion to exp(exposure); `times` is their order after a shuffle.
    So the hidden part of an item has no influence on who rates it, and `from_features` is
    exactly the mean of the ratings that a new item would get.

    Args:
        users, items: how many, U and I.
        count: M, ratings to draw, at most U·I.
        D: width of a taste.
        features: numbers known of each user and item, at least D + 1.
        shown: 0 (features say nothing) to 1 (they say all).
        noise: σ in stars.
        seed: of everything.

    Raises:
        ValueError: sizes out of these ranges.
    """
    if not (min(users, items, count, D) >= 1 and count <= users * items and features > D):
        got = f"{users}, {items}, {count}, D = {D}, {features}"
        raise ValueError(f"need users, items, D >= 1, count <= U·I and features > D; got {got}")
    if not (0 <= shown <= 1 and noise > 0):
        raise ValueError(f"need 0 <= shown <= 1 and noise > 0, got {shown} and {noise}")
    random = torch.Generator().manual_seed(seed)
    user_features, p, _ = _traits(users, features, D, shown, random)
    item_features, q, q_shown = _traits(items, features, D, shown, random)
    truth = _truth(p, q, q_shown, noise, random)
    places = _draw(truth.exposure, count, random)
    u, i = places // items, places % items
    stars = truth.expected[u, i] + noise * torch.randn(count, generator=random)
    return Ratings(u, i, stars, torch.arange(count), user_features, item_features, "made", truth)


def _traits(
    count: int, features: int, D: int, shown: float, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Features (count, F), bias and taste (count, 1 + D) of variance 1, and what shows of them."""
    known = torch.randn(count, features, generator=random)
    # orthonormal columns make sums of features that are independent and of variance 1
    mix = torch.linalg.qr(torch.randn(features, 1 + D, generator=random)).Q
    visible = shown**0.5 * (known @ mix)
    hidden = (1 - shown) ** 0.5 * torch.randn(count, 1 + D, generator=random)
    return known, visible + hidden, visible


def _truth(
    p: Tensor, q: Tensor, q_shown: Tensor, noise: float, random: torch.Generator
) -> RatingTruth:
    scale = TASTE / (p.shape[1] - 1) ** 0.5  # so that p·q has the standard deviation TASTE

    def mean_stars(item: Tensor) -> Tensor:
        return MEAN + BIAS * (p[:, :1] + item[:, 0]) + scale * p[:, 1:] @ item[:, 1:].T

    activity = 0.7 * torch.randn(len(p), 1, generator=random)
    fame = 0.7 * q_shown[:, 0] + 0.7 * torch.randn(len(q), generator=random)
    liking = p[:, 1:] @ q_shown[:, 1:].T / (p.shape[1] - 1) ** 0.5
    return RatingTruth(mean_stars(q), mean_stars(q_shown), activity + fame + liking, noise)


def _draw(log_weights: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Places of so many entries, without replacement, each draw in proportion to exp(weight).

    Adding Gumbel noise and taking the largest does that: Kool et al. 2019, arXiv:1903.06059.
    """
    uniform = torch.rand(log_weights.numel(), generator=random, dtype=torch.float64)
    keys = log_weights.flatten() - (-uniform.log()).log()
    return keys.topk(count).indices[torch.randperm(count, generator=random)]


@dataclass(frozen=True, eq=False)
class RatingSplit:
    """Ratings to learn from, later ones by the same users, and those of items left out."""

    train: Ratings
    test: Ratings
    cold: Ratings


def split_ratings(
    ratings: Ratings, *, later: float = 0.2, cold: float = 0.1, seed: int = 0
) -> RatingSplit:
    """Split by time, after some items were set aside whole.

    Args:
        ratings: to be split; `times` say which came first.
        later: share of the other items' ratings, the latest, that become the test.
        cold: share of the items none of whose ratings is for training.
        seed: which items these are.

    Returns:
        Train, test and cold; users and items keep their numbers.

    Raises:
        ValueError: shares outside of 0 to 1, or nothing left to learn from.
    """
    if not (0 <= later < 1 and 0 <= cold < 1):
        raise ValueError(f"need shares later and cold from 0 to below 1, got {later} and {cold}")
    random = torch.Generator().manual_seed(seed)
    aside = torch.zeros(ratings.I, dtype=torch.bool)
    aside[torch.randperm(ratings.I, generator=random)[: round(cold * ratings.I)]] = True
    is_cold = aside.to(ratings.items.device)[ratings.items]
    warm = ratings.select(~is_cold)
    warm = warm.select(warm.times.argsort(stable=True))
    first = len(warm) - round(later * len(warm))
    if first < 1:
        raise ValueError(f"need at least one rating to learn from, got {len(ratings)} in all")
    parts = warm.select(torch.arange(first)), warm.select(torch.arange(first, len(warm)))
    return RatingSplit(*parts, ratings.select(is_cold))
