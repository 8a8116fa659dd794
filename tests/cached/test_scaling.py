"""The grid of the project's scaling law, the file that is there, and a series of milliseconds."""

import math

import pytest
import torch

from bigmodel_lib.cached import scaling
from bigmodel_lib.cached.scaling import OwnScaling, OwnScalingOnGPU
from bigmodel_lib.counting import count_parameters, training_flops

SERIES = pytest.mark.parametrize("series", [OwnScaling(), OwnScalingOnGPU()], ids=lambda s: s.name)


@pytest.fixture(scope="module")
def length():
    return len(scaling.texts()[0])


def grid(series, length):
    """Size and budget of each run of the grid."""
    s = series.settings
    return [(z, C) for C in s["budgets"] for z in s["sizes"] if series.fits(z, C, length)]


@SERIES
def test_each_budget_buys_sizes_enough_for_a_valley(series, length):
    runs = grid(series, length)
    for budget in series.settings["budgets"]:
        sizes = {series.config(z).D for z, C in runs if budget == C}
        assert len(sizes) >= 3, f"{budget:.1e} FLOPs buy {sizes}"
    assert len(runs) >= 6  # what a fit of the law needs


@SERIES
def test_steps_spend_the_budget_up_to_one_step(series, length):
    for size, budget in grid(series, length):
        tokens = series.settings["T"] * series.settings["batch_size"]
        one = training_flops(series.config(size)).total * tokens
        left = budget - one * series.steps(size, budget)
        assert -1e-6 * budget <= left < one


@SERIES
def test_no_run_is_too_short_or_reads_the_text_too_often(series, length):
    s, bytes_a_step = series.settings, series.settings["T"] * series.settings["batch_size"]
    for size, budget in grid(series, length):
        assert series.steps(size, budget) >= s["fewest"]
        assert series.steps(size, budget) * bytes_a_step <= s["most"] * length
    size, budget = grid(series, length)[0]
    read = series.steps(size, budget) * bytes_a_step
    assert not series.fits(size, budget, int(read / s["most"]) - 1)
    assert not series.fits(size, budget / 1000, length)


@SERIES
def test_what_lies_beyond_is_beyond(series):
    assert series.settings["beyond"]["FLOPs"] > max(series.settings["budgets"])


def test_budgets_on_a_gpu_are_a_hundred_times_as_large():
    small, large = OwnScaling().settings, OwnScalingOnGPU().settings
    pairs = zip(small["budgets"], large["budgets"], strict=True)
    assert all(b / a == pytest.approx(100, rel=0.12) for a, b in pairs)
    beyond = large["beyond"]["FLOPs"] / small["beyond"]["FLOPs"]
    assert beyond == pytest.approx(100, rel=0.12)


def test_the_rows_of_the_file_are_those_of_the_settings(length):
    series, table = OwnScaling(), OwnScaling().load()
    beyond = series.settings["beyond"]
    runs = grid(series, length)
    runs += [(beyond["size"], beyond["FLOPs"])] * beyond["seeds"]
    found = [(row["L"], row["D"], row["FLOPs"]) for row in table.rows]
    assert found == [(L, D, budget) for (L, D, _), budget in runs]
    for row, (size, budget) in zip(table.rows, runs, strict=True):
        assert row["N"] == count_parameters(series.config(size)).without_embeddings
        assert row["bytes"] == series.steps(size, budget) * 8 * 64
        assert 0 < row["loss"] < math.log(scaling.V)


def test_the_two_texts_share_no_paragraph():
    train, test = (bytes(part.tolist()).decode().split("\n\n") for part in scaling.texts())
    assert len(test) > 100
    assert not set(train) & set(test)


class Tiny(OwnScaling):
    name = "tiny"
    settings = OwnScaling.settings | {
        "T": 8,
        "sizes": [[1, 8, 2], [1, 12, 2], [2, 16, 2]],
        "budgets": [2e7, 6e7],
        "most": 1.0,
        "fewest": 10,
        "beyond": {"FLOPs": 3e8, "size": [1, 12, 2], "seeds": 2},
        "tested": 60,
    }


def test_a_tiny_series_trains_and_repeats_itself(monkeypatch):
    text = torch.tensor(list(b"the quick brown fox jumps over the lazy dog. " * 200))
    monkeypatch.setattr(scaling, "texts", lambda: (text[400:], text[:400]))
    seeds, run = [], scaling.TextRun
    seen = lambda *args, seed, **others: seeds.append(seed) or run(*args, seed=seed, **others)  # noqa: E731
    monkeypatch.setattr(scaling, "TextRun", seen)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    rows = list(Tiny().rows())
    assert torch.equal(torch.rand(3), expected)  # it disturbs nobody's random numbers
    assert [row["FLOPs"] for row in rows[-2:]] == [3e8, 3e8]
    assert [row["seed"] for row in rows] == seeds  # of the windows, too
    assert seeds[-2:] == [0, 1]
    assert rows[-1]["loss"] != rows[-2]["loss"]
    assert len(rows) == len(grid(Tiny(), len(text) - 400)) + 2
    # the largest budget learns the few words; the smallest has hardly begun
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"] < 0.8 * math.log(scaling.V)
    assert next(Tiny().rows()) == rows[0]
