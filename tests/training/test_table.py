"""Training on tables: steps equal to a plain loop, parts that are only looked at."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.data.tables import load_table, preprocess, split_rows
from bigmodel_lib.training.table import (
    OPTIMIZERS,
    PARTS,
    TableRun,
    TableSettings,
    table_network,
)


def parts(name="wine"):
    table = load_table(name)
    rows = split_rows(table.y, 0.2, 0.3)
    x = preprocess(table.x, table.y, rows["train"], "standardised")
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(table.y)
    return {part: (x[index], y[index]) for part, index in rows.items()}


def test_steps_equal_a_plain_loop_of_torch():
    data = parts()
    run = TableRun(table_network(13, 3, 7), data, settings=TableSettings(0.03, 0.1, 11))
    losses = [record["loss"] for record in run.take(3)]
    model = table_network(13, 3, 7)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, weight_decay=0.1)
    torch.manual_seed(0)
    x, y = data["train"]
    for loss in losses:
        index = torch.randint(len(y), (11,))
        expected = F.cross_entropy(model(x[index]), y[index])
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_learns_wine(optimizer):
    lr = {"SGD": 0.5, "momentum": 0.1}.get(optimizer, 0.02)
    settings = TableSettings(lr=lr)
    run = TableRun(table_network(13, 3, 16), parts(), optimizer=optimizer, settings=settings)
    list(run.take(100))
    found = run.measure()
    assert found["train accuracy"] > 0.98
    assert found["test accuracy"] > 0.9


def test_what_is_measured_is_each_parts_loss_and_accuracy_every_few_steps():
    run = TableRun(table_network(13, 3), parts(), measure_every=3)
    list(run.take(7))
    history = run.history
    measured = history["test accuracy"].isfinite().nonzero()[:, 0].tolist()
    assert measured == [0, 3, 6]  # after steps 1, 4 and 7
    for part, (x, y) in run.parts.items():
        scores = run.model(x)
        assert history[f"{part} loss"][-1] == pytest.approx(F.cross_entropy(scores, y).item())
        accuracy = np.mean([row.argmax() == label for row, label in zip(scores, y, strict=True)])
        assert history[f"{part} accuracy"][-1] == pytest.approx(accuracy)


def test_only_the_training_part_is_learned_from():
    data = parts()
    changed = dict(data, **{k: (100 * data[k][0], data[k][1]) for k in ("validation", "test")})
    weights = []
    for some in (data, changed):
        run = TableRun(table_network(13, 3), some)
        list(run.take(3))
        weights.append(run.model.weight)
    assert torch.equal(*weights)


def test_a_live_change_of_the_learning_rate_is_used():
    run = TableRun(table_network(13, 3), parts(), optimizer="SGD")
    next(run)
    run.settings.lr = 0.0
    before = run.model.weight.clone()
    next(run)
    assert torch.equal(run.model.weight, before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": -1.0},
        {"lr": math.inf},
        {"weight_decay": -1.0},
        {"batch_size": 0},
        {"batch_size": 2.5},
    ],
    ids=str,
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match=f"need {next(iter(wrong))}"):
        TableSettings(**wrong).check()


def test_other_parts_and_optimisers_are_refused():
    with pytest.raises(ValueError, match="and 'Adagrad'"):
        TableRun(table_network(13, 3), parts(), optimizer="Adagrad")
    with pytest.raises(ValueError, match="need parts"):
        TableRun(table_network(13, 3), {name: parts()[name] for name in PARTS[:2]})


def test_networks_have_the_layers_asked_for_and_follow_from_their_seed():
    assert table_network(13, 3)(torch.zeros(2, 13)).shape == (2, 3)
    wide, same, other = (table_network(13, 3, 7, seed) for seed in (1, 1, 2))
    assert sum(p.numel() for p in wide.parameters()) == 13 * 7 + 7 + 7 * 3 + 3
    assert torch.equal(wide[0].weight, same[0].weight)
    assert not torch.equal(wide[0].weight, other[0].weight)
