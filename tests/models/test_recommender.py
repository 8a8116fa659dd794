"""Recommenders against plain arithmetic, and the softmax of a batch against the whole one."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from bigmodel_lib.models.recommender import (
    MatrixFactorisation,
    Recommender,
    TwoTowers,
    batch_softmax,
)

U, ITEMS, D = 13, 11, 3
MEAN = 3.25


def make_models() -> dict[str, Recommender]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        user_features, item_features = torch.randn(U, 5), torch.randn(ITEMS, 7)
        models = {
            "factors": MatrixFactorisation(U, ITEMS, D, MEAN),
            "towers": TwoTowers(user_features, item_features, D, hidden=17, mean=MEAN),
            "features": TwoTowers(user_features, item_features, D, item_table=False, mean=MEAN),
        }
        for model in models.values():
            for parameter in model.parameters():
                torch.nn.init.normal_(parameter)
    return models


@pytest.fixture(params=["factors", "towers", "features"])
def model(request):
    return make_models()[request.param]


@pytest.fixture
def pairs():
    random = torch.Generator().manual_seed(1)
    return torch.randint(U, (19,), generator=random), torch.randint(ITEMS, (19,), generator=random)


def test_a_score_is_the_mean_two_biases_and_a_product(model, pairs):
    scores = model(*pairs)
    assert scores.shape == (19,)
    for score, user, item in zip(scores, *pairs, strict=True):
        b_u, *p = model.users(user[None])[0].tolist()
        b_i, *q = model.items(item[None])[0].tolist()
        expected = MEAN + b_u + b_i + sum(x * y for x, y in zip(p, q, strict=True))
        assert score.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_the_table_of_scores_holds_each_pairs_score(model, pairs):
    model.double()  # another order of a sum, as two threads take it, shows in float32
    table = model.scores(torch.arange(U), torch.arange(ITEMS))
    assert table.shape == (U, ITEMS)
    assert_close(model(*pairs), table[pairs])


def test_towers_are_two_layers_and_a_table(pairs):
    model = make_models()["towers"]
    first, _, last = model.item_tower
    hidden = (model.item_features @ first.weight.T + first.bias).clamp(min=0)
    expected = hidden @ last.weight.T + last.bias + model.item_table.weight
    assert_close(model.items(pairs[1]), expected[pairs[1]])


def test_penalty_counts_what_belongs_to_the_pair_alone(pairs):
    users, items = pairs
    for name in ("factors", "towers"):
        model = make_models()[name]
        tables = model.user_table.weight, model.item_table.weight
        both = torch.cat([tables[0][users], tables[1][items]], dim=1)
        assert_close(model.penalty(users, items), both.square().sum(dim=1))
    model = make_models()["features"]
    expected = model.user_table.weight[users].square().sum(dim=1)
    assert_close(model.penalty(users, items), expected)


def test_a_new_factorisation_has_no_biases_and_small_vectors_that_can_move():
    model = MatrixFactorisation(U, ITEMS, D, MEAN)
    scores = model.scores(torch.arange(U), torch.arange(ITEMS))
    assert_close(scores, torch.full((U, ITEMS), MEAN), atol=0.2, rtol=0)
    scores.square().mean().backward()
    assert model.item_table.weight.grad.abs().min() > 0  # p = q = 0 would be stuck


def test_new_tables_of_towers_say_nothing():
    model = TwoTowers(torch.randn(U, 5), torch.randn(ITEMS, 7), D)
    everyone = torch.arange(U)
    assert torch.equal(model.users(everyone), model.user_tower(model.user_features))
    assert model.penalty(everyone[:ITEMS], torch.arange(ITEMS)).max() == 0


def test_features_are_no_part_of_the_state():
    assert not [name for name in make_models()["towers"].state_dict() if "features" in name]


@pytest.mark.parametrize(
    "shapes", [((3,), (5,)), ((3, 1), (3, 1)), ((), ())], ids=["lengths", "tables", "scalars"]
)
def test_other_shapes_are_refused(model, shapes):
    with pytest.raises(ValueError, match=r"need users and items \(B,\), got"):
        model(*(torch.zeros(shape, dtype=torch.int64) for shape in shapes))


# --- softmax over a batch


def test_a_batch_of_every_item_once_is_the_whole_softmax():
    scores = torch.randn(ITEMS, ITEMS, generator=torch.Generator().manual_seed(0))
    expected = -torch.stack([scores[k].log_softmax(dim=0)[k] for k in range(ITEMS)]).mean()
    assert_close(batch_softmax(scores), expected)
    log_q = torch.full((ITEMS,), -2.5)  # equal shares change nothing
    assert_close(batch_softmax(scores, log_q), expected)


def test_correction_makes_the_batch_an_estimate_of_the_whole_softmax():
    """Σ over a batch drawn from q of exp(s)/q, by B, is Σ of exp(s) over all items, on average."""
    random = torch.Generator().manual_seed(0)
    scores = torch.randn(ITEMS, generator=random)
    q = torch.softmax(2 * torch.randn(ITEMS, generator=random), dim=0)
    drawn = q.multinomial(200_003, replacement=True, generator=random)
    estimate = (scores - q.log())[drawn].logsumexp(dim=0) - torch.tensor(200_003.0).log()
    assert_close(estimate, scores.logsumexp(dim=0), atol=0.02, rtol=0)


def learned_scores(correct: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """One score an item, learned from batches of popular and rare ones; and the shares q."""
    random = torch.Generator().manual_seed(0)
    q = torch.tensor([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    scores = torch.zeros(6, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.05)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        items = q.multinomial(128, replacement=True, generator=random)
        optimizer.zero_grad()
        log_q = q.log()[items] if correct else None
        batch_softmax(scores[items].expand(128, 128), log_q).backward()
        optimizer.step()
    return scores.detach(), q


def test_with_correction_scores_learn_how_likely_an_item_is():
    scores, q = learned_scores(correct=True)
    assert_close(scores.log_softmax(dim=0), q.log(), atol=0.15, rtol=0)


def test_without_correction_they_learn_that_nobody_differs_from_anybody():
    scores, _ = learned_scores(correct=False)
    assert scores.max() - scores.min() < 0.15


def test_each_user_has_the_item_of_the_same_place():
    sure = torch.full((5, 5), -9.0).fill_diagonal_(9.0)
    assert batch_softmax(sure) < 1e-6
    assert batch_softmax(sure.roll(1, dims=0)) > 9
    assert_close(batch_softmax(sure), F.cross_entropy(sure, torch.arange(5)))


def test_batches_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"need scores \(B, B\), got \(3, 5\)"):
        batch_softmax(torch.zeros(3, 5))
    with pytest.raises(ValueError, match=r"need log_q \(3,\), got \(3, 1\)"):
        batch_softmax(torch.zeros(3, 3), torch.zeros(3, 1))


def test_a_recommender_must_say_its_penalty():
    with pytest.raises(TypeError, match="Recommender must define penalty"):
        Recommender(0.0).penalty(torch.zeros(2), torch.zeros(2))
