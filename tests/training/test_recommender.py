"""Training of recommenders against plain loops and closed forms, and on made ratings."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from torch.testing import assert_close

from bigmodel_lib.data.ratings import Ratings, make_ratings, split_ratings
from bigmodel_lib.models.recommender import MatrixFactorisation, TwoTowers
from bigmodel_lib.training.recommender import (
    RatingRun,
    RecommenderRun,
    RecommenderSettings,
    RetrievalRun,
)

D = 3


@pytest.fixture(scope="module")
def data():
    return make_ratings(53, 31, 701, D=D, features=7)


def make_model(data: Ratings, kind: str = "factors"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "factors":
            return MatrixFactorisation(data.U, data.I, D, mean=3.5)
        return TwoTowers(data.user_features, data.item_features, D, hidden=5, mean=3.5)


def plain_steps(kind, data, settings, fit, seed):
    """What every tutorial writes, with the settings of each step; what each step measured."""
    model = make_model(data, kind)
    optimizer = torch.optim.Adam(model.parameters())
    measured = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for setting in settings:
            optimizer.param_groups[0]["lr"] = setting.lr
            index = torch.randint(len(data), (setting.batch_size,))
            users, items = data.users[index], data.items[index]
            rows = model.user_table.weight[users], model.item_table.weight[items]
            penalty = sum((row**2).sum() for row in rows) / setting.batch_size
            measure = fit(model, users, items, data.stars[index])
            loss = measure + setting.penalty * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            measured.append((loss.item(), measure.item(), penalty.item()))
    return model, measured


def squared_error(model, users, items, stars):
    return F.mse_loss(model(users, items), stars)


def assert_same_weights(ours, theirs):
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p, q, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["factors", "towers"])
def test_steps_equal_a_plain_loop(data, kind):
    settings = RecommenderSettings(lr=1e-2, penalty=0.3, batch_size=19)
    expected, measured = plain_steps(kind, data, [settings] * 7, squared_error, seed=11)
    run = RatingRun(make_model(data, kind), data, settings=settings, seed=11)
    for record, values in zip(run.take(7), measured, strict=True):
        got = [record[name] for name in ("loss", "fit", "penalty")]
        assert got == pytest.approx(values, rel=1e-3, abs=1e-6)
    assert_same_weights(run.model, expected)


@pytest.mark.parametrize("correct", [False, True])
def test_steps_of_retrieval_equal_a_plain_loop(data, correct):
    shares = torch.tensor([(data.items == i).sum() / len(data) for i in range(data.I)])

    def softmax_over_the_batch(model, users, items, stars):
        scores = torch.stack([model(user.expand(len(items)), items) for user in users])
        if correct:
            scores = scores - shares[items].log()
        return -scores.softmax(dim=1).diagonal().log().mean()

    settings = RecommenderSettings(lr=1e-2, penalty=0.3, batch_size=19)
    expected, measured = plain_steps(
        "towers", data, [settings] * 5, softmax_over_the_batch, seed=11
    )
    run = RetrievalRun(
        make_model(data, "towers"), data, correct=correct, settings=settings, seed=11
    )
    for record, values in zip(run.take(5), measured, strict=True):
        got = [record[name] for name in ("loss", "fit", "penalty")]
        assert got == pytest.approx(values, rel=1e-3, abs=1e-5)
    everyone, everything = torch.arange(data.U), torch.arange(data.I)
    ours, theirs = (m.scores(everyone, everything).detach() for m in (run.model, expected))
    # b_u cancels in the softmax: its gradient is rounding noise, which Adam blows up
    assert_close(*(t - t.mean(dim=1, keepdim=True) for t in (ours, theirs)), rtol=0, atol=1e-4)


def test_settings_changed_on_the_way_count_from_the_next_step(data):
    settings = [
        RecommenderSettings(1e-2, 0.3, 19),
        RecommenderSettings(3e-2, 0.3, 19),
        RecommenderSettings(3e-2, 5.0, 19),
        RecommenderSettings(3e-2, 5.0, 7),
    ]
    expected, _ = plain_steps("factors", data, settings, squared_error, seed=11)
    run = RatingRun(make_model(data), data, settings=copy.copy(settings[0]), seed=11)
    for setting in settings:
        for name, value in vars(setting).items():
            setattr(run.settings, name, value)
        next(run)
    assert_same_weights(run.model, expected)
    changed = [(change.step, change.name) for change in run.changes]
    assert changed == [(2, "lr"), (3, "penalty"), (4, "batch_size")]


def descend(run, steps: int, lr: float) -> None:
    """Take steps at a rate that falls to nothing, so that the noise of batches dies out."""
    for _ in run.take(steps):
        run.settings.lr = lr * (1 + math.cos(math.pi * run.step / steps)) / 2


def fully_rated(table: torch.Tensor) -> Ratings:
    """Every pair of the table (U, I), once."""
    count = table.numel()
    pair = torch.arange(count)
    blank = torch.zeros(table.shape[0], 1), torch.zeros(table.shape[1], 1)
    users, items = pair // table.shape[1], pair % table.shape[1]
    return Ratings(users, items, table.flatten(), pair, *blank, "made")


def test_with_the_items_fixed_each_users_row_is_a_ridge_regression(data):
    """Minimising over p_u alone is least squares: the step of alternating least squares."""
    model, penalty = make_model(data), 0.05
    torch.nn.init.normal_(model.item_table.weight, generator=torch.Generator().manual_seed(1))
    model.item_table.requires_grad_(False)
    # large batches: a draw with replacement is nearly the whole set
    settings = RecommenderSettings(penalty=penalty, batch_size=5_003)
    descend(RatingRun(model, data, settings=settings), 300, lr=0.1)
    error = 0.0
    for user in range(data.U):
        mine = data.users == user
        rows = model.item_table.weight[data.items[mine]]
        inputs = torch.cat([torch.ones(len(rows), 1), rows[:, 1:]], dim=1)  # of b_u and p_u
        target = data.stars[mine] - 3.5 - rows[:, 0]
        ridge = Ridge(alpha=penalty * len(rows), fit_intercept=False).fit(inputs, target)
        got = model.user_table.weight[user].detach().numpy()
        error += np.abs(got - ridge.coef_).mean() / data.U
    assert error < 0.02  # half or twice λ would miss by 0.03


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_a_table_without_holes_is_factorised_as_by_singular_values(penalty):
    """The best rank D: the largest singular values, each smaller by λ √(U I).

    λ = 0: Eckart & Young 1936. The penalty λ (I ‖P‖² + U ‖Q‖²) of all pairs is at least twice
    λ √(U I) times the sum of the product's singular values, and equal to it at the best P, Q.
    """
    random = torch.Generator().manual_seed(0)
    strength = torch.tensor([3.0, 2.0, 1.5, 0.5])
    table = torch.randn(23, 4, generator=random) * strength @ torch.randn(4, 17, generator=random)
    data = fully_rated(table)
    model = make_model(data)
    model.mean.zero_()
    settings = RecommenderSettings(penalty=penalty, batch_size=2_003)
    run = RatingRun(model, data, settings=settings)
    # no biases: their rows stay 0 where their gradients are dropped
    for embedding in (model.user_table, model.item_table):
        embedding.weight.register_hook(lambda grad: grad * (torch.arange(1 + D) > 0))
    descend(run, 400, lr=0.05)
    left, values, right = np.linalg.svd(table.numpy())
    kept = np.maximum(values[:D] - penalty * (23 * 17) ** 0.5, 0)
    expected = torch.from_numpy((left[:, :D] * kept) @ right[:D])
    got = model.scores(torch.arange(23), torch.arange(17)).detach()
    assert (got - expected).square().mean().sqrt() < 0.01 * table.std()


def test_the_seed_decides_what_is_drawn(data):
    losses = [
        [record["loss"] for record in RatingRun(make_model(data), data, seed=seed).take(3)]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("kind", ["factors", "towers"])
def test_a_checkpoint_carries_on(data, tmp_path, kind):
    run = RatingRun(make_model(data, kind), data, seed=5)
    list(run.take(2))
    run.save(tmp_path / "run.safetensors")
    expected = [record["loss"] for record in run.take(3)]
    other = RatingRun(make_model(data, kind), data)
    other.load(tmp_path / "run.safetensors")
    assert [record["loss"] for record in other.take(3)] == expected


def rmse(model, ratings: Ratings) -> float:
    with torch.no_grad():
        error = model(ratings.users, ratings.items) - ratings.stars
    return error.square().mean().sqrt().item()


def test_a_few_ratings_are_learned_by_heart(data):
    few = data.select(torch.arange(29))
    model = make_model(data)
    list(RatingRun(model, few, settings=RecommenderSettings(penalty=0.0, lr=0.05)).take(150))
    assert rmse(model, few) < 0.02


def test_features_serve_items_that_nobody_has_rated():
    """There the factorisation knows no more than the mean; the towers come near the optimum."""
    split = split_ratings(make_ratings(shown=1.0, noise=0.5), cold=0.2)
    mean, models = split.train.stars.mean(), {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        models["factors"] = MatrixFactorisation(split.train.U, split.train.I, 6, mean)
        features = split.train.user_features, split.train.item_features
        models["towers"] = TwoTowers(*features, 6, item_table=False, mean=mean)
    for model in models.values():
        descend(RatingRun(model, split.train), 300, lr=0.02)
    spread = split.cold.stars.std().item()
    assert rmse(models["factors"], split.test) < 0.9 * split.test.stars.std()
    assert rmse(models["factors"], split.cold) > 0.8 * spread
    assert rmse(models["towers"], split.cold) < 0.7 * spread


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1e-3),
        ("lr", math.nan),
        ("penalty", -0.1),
        ("penalty", math.inf),
        ("batch_size", 0),
        ("batch_size", 2.5),
    ],
)
def test_settings_out_of_range_are_refused_and_nothing_changes(data, name, value):
    model = make_model(data)
    run, before = RatingRun(model, data), copy.deepcopy(model)
    setattr(run.settings, name, value)
    with pytest.raises(ValueError, match=rf"need {name} .*got {value}"):
        next(run)
    assert run.step == 0
    assert all(map(torch.equal, model.parameters(), before.parameters()))


def test_no_ratings_are_refused(data):
    with pytest.raises(ValueError, match="need at least one rating, got none"):
        RatingRun(make_model(data), data.select(torch.arange(0)))


def test_a_run_must_say_what_it_fits(data):
    with pytest.raises(TypeError, match="RecommenderRun must define fit"):
        next(RecommenderRun(make_model(data), data))
