"""Made ratings against the truth that made them, splits, and MovieLens from a made archive."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from bigmodel_lib.data import DATASETS, DownloadError, RemoteFile
from bigmodel_lib.data.movielens import read_movielens
from bigmodel_lib.data.ratings import (
    LIKED,
    MEAN,
    Ratings,
    _draw,
    load_ratings,
    make_ratings,
    split_ratings,
)
from tests.data.local_server import closed_port, send


@pytest.fixture(scope="module")
def made():
    return make_ratings()


# --- made ratings


def test_shapes_types_and_sizes():
    data = make_ratings(53, 31, 401, D=3, features=7)
    assert (len(data), data.U, data.I) == (401, 53, 31)
    assert data.user_features.shape == (53, 7)
    assert data.item_features.shape == (31, 7)
    assert data.users.dtype == data.items.dtype == data.times.dtype == torch.int64
    assert data.stars.dtype == torch.float32
    for table in (data.truth.expected, data.truth.from_features, data.truth.exposure):
        assert table.shape == (53, 31)
    assert data.source == "made"


def test_no_pair_is_rated_twice(made):
    assert made.seen().sum() == len(made)


def test_times_are_the_order_of_the_rows(made):
    assert made.times.tolist() == list(range(len(made)))


def test_noise_is_normal_with_the_stated_deviation(made):
    noise = (made.stars - made.truth.expected[made.users, made.items]).double()
    assert stats.kstest(noise / made.truth.noise, "norm").pvalue > 0.01
    # the mean squared error of the truth: σ² up to four standard errors
    assert noise.square().mean().item() == pytest.approx(0.25, abs=4 * 0.25 * (2 / 30_000) ** 0.5)


def test_expected_stars_are_of_rank_two_plus_the_tastes_width():
    """μ + b_u + b_i is of rank 2 beside p·q of rank D, whatever the mean."""
    expected = make_ratings(53, 31, 401, D=3, features=7).truth.expected.double()
    assert np.linalg.matrix_rank(expected.numpy(), tol=1e-4) == 5


def test_new_items_rated_by_the_same_people_have_the_mean_that_features_say(made):
    """The hidden part of an item has no influence on who rates it, so it averages out."""
    surprise = made.stars - made.truth.from_features[made.users, made.items]
    by_item = torch.zeros(made.I).index_add(0, made.items, surprise)
    error = by_item.std() * made.I**0.5  # of the sum: surprises of one item go together
    assert by_item.sum().abs() < 3 * error
    spread = (made.truth.expected - made.truth.from_features).square().mean()
    assert surprise.square().mean().item() == pytest.approx(0.25 + spread.item(), rel=0.05)


def test_features_say_all_or_nothing():
    everything = make_ratings(53, 31, 401, shown=1.0).truth
    assert_close(everything.expected, everything.from_features)
    nothing = make_ratings(53, 31, 401, shown=0.0).truth
    # without features the best guess for a new item is the user's mean
    assert nothing.from_features.std(dim=1).max() < 1e-5
    assert nothing.expected.std(dim=1).min() > 0.1


def test_features_predict_the_share_of_variance_that_shows():
    """A linear regression of the items' mean stars on their features, with many items."""
    from sklearn.linear_model import LinearRegression

    data = make_ratings(307, 4001, 1, shown=0.7)
    quality = data.truth.expected.mean(dim=0).numpy()
    features = data.item_features.numpy()
    explained = LinearRegression().fit(features, quality).score(features, quality)
    assert explained == pytest.approx(0.7, abs=0.03)


def test_popularity_is_uneven_and_goes_with_quality(made):
    counts = made.items.bincount(minlength=made.I).double()
    assert counts.quantile(0.9) > 4 * counts.quantile(0.1)
    correlation = stats.spearmanr(counts, made.truth.expected.mean(dim=0)).statistic
    assert 0.2 < correlation < 0.9
    assert made.stars.mean() > made.truth.expected.mean() + 0.2  # people choose what they like


def test_people_meet_items_in_proportion_to_the_exposure():
    random = torch.Generator().manual_seed(0)
    log_weights = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    firsts = torch.cat([_draw(log_weights, 1, random) for _ in range(4000)])
    shares = log_weights.flatten().softmax(dim=0).double()
    expected = 4000 * shares / shares.sum()  # float32 shares miss 1 by more than chisquare allows
    assert stats.chisquare(firsts.bincount(minlength=4), expected).pvalue > 0.01


def test_liking_is_the_chance_of_a_rating_that_high(made):
    expected = stats.norm.sf(LIKED, loc=made.truth.expected.double(), scale=made.truth.noise)
    assert_close(made.truth.liking.double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
    assert made.truth.expected.mean().item() == pytest.approx(MEAN, abs=0.1)


def test_the_seed_decides_everything():
    one, same, other = (make_ratings(53, 31, 401, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.stars, same.stars)
    assert torch.equal(one.users, same.users)
    assert not torch.equal(one.stars, other.stars)


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make_ratings(53, 31, 401)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 53 * 31 + 1},
        {"count": 0},
        {"D": 7, "features": 7},
        {"shown": 1.5},
        {"noise": 0.0},
    ],
)
def test_sizes_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"need .*got"):
        make_ratings(**({"users": 53, "items": 31, "count": 401} | wrong))


# --- the type, and splits


def test_to_moves_all_but_the_truth(made):
    moved = made.to("meta")
    assert moved.stars.device.type == moved.item_features.device.type == "meta"
    assert moved.truth is made.truth
    assert made.stars.device.type == "cpu"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("users", torch.tensor([0, 53]), "need users from 0 to 52, got 0 to 53"),
        ("items", torch.tensor([-1, 3]), "need items from 0 to 30, got -1 to 3"),
        ("stars", torch.zeros(3), r"need users, items, stars and times all \(M,\)"),
        ("times", torch.zeros(2, 1), r"need users, items, stars and times all \(M,\)"),
    ],
)
def test_columns_that_do_not_fit_are_refused(field, value, said):
    zeros = torch.zeros(2, dtype=torch.int64)
    columns = {"users": zeros, "items": zeros, "stars": torch.zeros(2), "times": zeros}
    with pytest.raises(ValueError, match=said):
        Ratings(**(columns | {field: value}), user_features=torch.zeros(53, 2),
                item_features=torch.zeros(31, 2), source="made")  # fmt: skip


def test_a_split_keeps_every_rating_once(made):
    split = split_ratings(made)
    times = torch.cat([part.times for part in (split.train, split.test, split.cold)])
    assert times.sort().values.tolist() == list(range(len(made)))


def test_a_split_tests_the_later_ratings_and_the_items_set_aside(made):
    split = split_ratings(made, later=0.25, cold=0.1, seed=3)
    assert split.train.times.max() < split.test.times.min()
    known = len(split.train) + len(split.test)
    assert len(split.test) == round(0.25 * known)
    aside = set(split.cold.items.tolist())
    assert len(aside) == 40
    assert not aside & {*split.train.items.tolist(), *split.test.items.tolist()}
    assert {*split_ratings(made, seed=4).cold.items.tolist()} != aside


def test_a_split_goes_by_time_and_not_by_the_order_of_the_rows(made):
    order = torch.randperm(len(made), generator=torch.Generator().manual_seed(0))
    split = split_ratings(made.select(order))
    assert split.train.times.max() < split.test.times.min()


@pytest.mark.parametrize("wrong", [{"later": 1.0}, {"later": -0.1}, {"cold": 1.0}])
def test_shares_out_of_range_are_refused(made, wrong):
    with pytest.raises(ValueError, match="need shares later and cold from 0"):
        split_ratings(made, **wrong)


def test_nothing_left_to_learn_from_is_refused(made):
    with pytest.raises(ValueError, match="need at least one rating to learn from, got 0"):
        split_ratings(made.select(torch.arange(0)))


def test_an_unknown_source_lists_the_choices():
    with pytest.raises(ValueError, match="'made', 'movielens-100k'; got 'netflix'"):
        load_ratings("netflix")


def test_made_ratings_are_the_default(made):
    assert torch.equal(load_ratings().stars, made.stars)


# --- MovieLens, from a made archive in its format

GENRE_FLAGS = ["|".join("1" if n in on else "0" for n in range(19)) for on in ([0], [1, 18], [])]
MEMBERS = {
    "ml-100k/u.occupation": "baker\nnone\n",
    "ml-100k/u.user": "1|24|M|baker|85711\n2|53|F|none|T8H1N\n",
    "ml-100k/u.item": "".join(
        f"{n}|{title}|01-Jan-1995||http://example.org|{flags}\n"
        for n, title, flags in zip((1, 2, 3), ("A, 1995", "é\x85 É", ""), GENRE_FLAGS, strict=True)
    ),
    "ml-100k/u.data": "2\t3\t5\t881250949\n1\t1\t1\t881250950\n2\t1\t3\t0\n",
    "ml-100k/README": "not read",
}


def archive(**changed: str | None) -> bytes:
    """The members as a zip; `data="…"` changes ml-100k/u.data, None leaves it out."""
    members = MEMBERS | {f"ml-100k/u.{name}": text for name, text in changed.items()}
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as file:
        for name, text in members.items():
            if text is not None:
                file.writestr(name, text.encode("latin-1"))
    return body.getvalue()


@pytest.fixture
def saved(tmp_path):
    def save(body: bytes):
        path = tmp_path / "ml-100k.zip"
        path.write_bytes(body)
        return path

    return save


def test_movielens_is_read_as_its_readme_says(saved):
    data = read_movielens(saved(archive()))
    assert data.users.tolist() == [1, 0, 1]
    assert data.items.tolist() == [2, 0, 0]
    assert data.stars.tolist() == [5, 1, 3]
    assert data.times.tolist() == [881250949, 881250950, 0]
    assert_close(data.user_features, torch.tensor([[0.24, 0, 1, 0], [0.53, 1, 0, 1]]))
    assert data.item_features.shape == (3, 19)
    assert data.item_features.nonzero().tolist() == [[0, 0], [1, 1], [1, 18]]
    assert Ratings(*data, "movielens-100k").I == 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "1\t1\t3\n"}, r"u.data, line 1: need 4 fields, got \['1', '1', '3'\]"),
        ({"data": "1\t1\t3\t0\n3\t1\t3\t0\n"}, r"u.data, line 2: need user 1 to 2.*got \[3, 1"),
        ({"data": "1\t4\t3\t0\n"}, "u.data, line 1: need .*item 1 to 3"),
        ({"data": "0\t1\t3\t0\n"}, "u.data, line 1: need user 1 to 2"),
        ({"data": "1\t1\t6\t0\n"}, "u.data, line 1: need .*rating 1 to 5"),
        ({"data": "1\t1\t3.5\t0\n"}, "u.data, line 1: need whole numbers, got .*'3.5'"),
        ({"data": "1\t1\t-3\t0\n"}, "u.data, line 1: need whole numbers"),
        ({"data": "\n"}, "u.data: need at least one line, got none"),
        ({"user": "2|24|M|baker|1\n"}, "u.user, line 1: need number 1, got '2'"),
        ({"user": "1|24|M|miner|1\n"}, "u.user, line 1: need M or F and an occupation of .*miner"),
        ({"user": "1|24|X|baker|1\n"}, "u.user, line 1: need M or F"),
        ({"user": "1|old|M|baker|1\n"}, "u.user, line 1: need whole numbers, got .*'old'"),
        ({"item": "1|A||||0\n"}, "u.item, line 1: need 24 fields"),
        ({"item": "1|A|||" + "|2" * 19 + "\n"}, "u.item, line 1: need genres 0 or 1"),
        ({"data": None}, r"need ml-100k/u.data in the archive, got \["),
    ],
)
def test_a_member_that_is_wrong_is_named_with_its_line(saved, changed, said):
    with pytest.raises(ValueError, match=said):
        read_movielens(saved(archive(**changed)))


@pytest.mark.parametrize("body", [b"no zip", archive()[:-30]], ids=["no zip", "cut"])
def test_a_broken_archive_is_refused(saved, body):
    with pytest.raises(ValueError, match=r"ml-100k\.zip: need a whole zip archive"):
        read_movielens(saved(body))


@pytest.fixture
def offer(server, cache, monkeypatch):
    """Make the server the only address of this archive."""

    def offered(body: bytes) -> None:
        url = server.serve("/ml-100k.zip", send(body))
        sha256 = hashlib.sha256(body).hexdigest()
        file = RemoteFile("movielens-100k/ml-100k.zip", sha256, (url,), len(body))
        monkeypatch.setitem(DATASETS, "movielens-100k", (file,))

    return offered


def test_movielens_is_downloaded_once(offer, server):
    offer(archive())
    first, second = load_ratings("movielens-100k"), load_ratings("movielens-100k")
    assert first.source == "movielens-100k"
    assert first.truth is None
    assert torch.equal(first.stars, second.stars)
    assert server.asked == ["/ml-100k.zip"]


def test_a_wrong_archive_is_an_error_even_with_a_fallback(offer):
    """A fallback is for want of a network; a file that is wrong must not pass unseen."""
    offer(archive(data="1\t1\t6\t0\n"))
    with pytest.raises(ValueError, match="rating 1 to 5"):
        load_ratings("movielens-100k", fallback=True)


@pytest.fixture
def unreachable(cache, monkeypatch):
    url = f"http://127.0.0.1:{closed_port()}/ml-100k.zip"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    file = RemoteFile("movielens-100k/ml-100k.zip", "0" * 64, (url,))
    monkeypatch.setitem(DATASETS, "movielens-100k", (file,))


@pytest.mark.usefixtures("unreachable")
def test_without_network_it_says_so():
    with pytest.raises(
        DownloadError, match=r"movielens-100k/ml-100k.zip(.|\n)*the connection failed"
    ):
        load_ratings("movielens-100k")


@pytest.mark.usefixtures("unreachable")
def test_fallback_warns_with_the_reason_and_gives_made_ratings(made):
    with pytest.warns(UserWarning, match="made ratings instead of movielens-100k") as caught:
        data = load_ratings("movielens-100k", fallback=True)
    assert "the connection failed" in str(caught[0].message)
    assert caught[0].filename == __file__  # points at the reader's line, not into the library
    assert data.source == "made"
    assert torch.equal(data.stars, made.stars)


def test_the_catalogue_names_one_archive_of_grouplens():
    (file,) = DATASETS["movielens-100k"]
    assert file.name == "movielens-100k/ml-100k.zip"
    assert file.urls == ("https://files.grouplens.org/datasets/movielens/ml-100k.zip",)
