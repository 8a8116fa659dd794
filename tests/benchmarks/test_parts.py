"""The benchmarks' parts at tiny sizes, so that they do not rot; figures are for `make bench`."""

import time

import data_parallel
import explorers
import gan
import growth
import imports
import live_view
import pytest
import torch

import pyplot_peers
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.widgets import MODULES, AttentionExplorer, OptimizerRace, VAELab
from side_by_side import exponent, operators

CPU = torch.device("cpu")


def test_the_products_of_a_gan_step_are_as_many_as_a_step_makes():
    found = operators(gan.matrix_products())
    narrow = 3 + 2 * 2 + 1  # of D's last layer: forward, weights' and inputs' backward
    assert found["aten::mm"] == 19 - narrow  # 19: test_counts.py counts them in a step


def test_our_gan_steps_step(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda step, **_options: step)
    steps = gan.our_steps(load_digits(split="test"), CPU)
    assert set(steps) == set(gan.OURS)
    for step in steps.values():
        assert step().step == 1
        assert step().step == 2


def test_speeds_of_the_gan_are_theirs_over_ours():
    rounds = {
        "1": {"GANRun": [1.0, 2.0], "CompiledGANRun": [1.0, 1.0], "Keras": [3.0, 6.0]},
        "2": {"GANRun": [0.5, 0.5], "CompiledGANRun": [2.0, 2.0], "Keras": [9.0, 9.0]},
    }
    speeds = {(row["threads"], row["ours"]): row["median"] for row in gan.compare(rounds)}
    assert speeds["1", "GANRun"] == 3.0
    assert speeds["2", "CompiledGANRun"] == 4.5
    best = gan.best(rounds)
    assert best["GANRun"] == {"threads": "2", "steps a second": 2.0}
    assert best["Keras"]["threads"] == "1"


def test_a_peer_that_does_not_learn_is_no_peer():
    class Fixed:
        class weight:
            path = "w"

            @staticmethod
            def numpy():
                return torch.ones(2).numpy()

        weights = (weight,)

    with pytest.raises(SystemExit, match="does not train w"):
        gan.must_learn("peer", lambda: None, (Fixed, Fixed))


def test_every_explorer_is_measured():
    assert set(explorers.CASES) == set(MODULES)


def test_an_explorer_beside_its_peer():
    times = explorers.beside_peer("GAN1D", changes=2, clock=time.perf_counter)
    assert len(times["ours"]) == len(times["theirs"]) > 0
    assert min(times["ours"] + times["theirs"]) > 0


@pytest.mark.parametrize("make", [VAELab, AttentionExplorer])
def test_what_pyplot_draws_beside(make):
    explorer = make()
    explorer.run(steps=1)
    pyplot_peers.DRAW[make.__name__](explorer.compute())
    assert pyplot_peers.png().startswith(b"\x89PNG")


def test_latencies_move_every_control():
    case = explorers.CASES["ModelBuilder"]
    times = explorers.latencies(case, 1, time.perf_counter)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(case.moves, 1)


@pytest.fixture
def made():
    """Labs in the order in which they were made, and what makes them."""
    labs = []

    def recorded(make):
        return lambda: labs.append(make()) or labs[-1]

    return labs, recorded


def test_a_live_lab_takes_as_many_steps_as_its_twin(made):
    labs, recorded = made
    turns = live_view.going_on(recorded(live_view.LABS["GAN1D"][0]), 5)
    for _round in range(2):
        turns["live"]()
        turns["plain"]()
    assert labs[0].now() == labs[1].now() >= 10


@pytest.mark.parametrize("name", live_view.RESTING)
def test_a_live_lab_that_rests_shows_what_its_twin_does(made, name):
    labs, recorded = made
    turns = live_view.to_the_end(recorded(live_view.LABS[name][0]), 7)
    for lab in labs:
        lab.summary.value = ""
    turns["live"]()
    turns["plain"]()
    assert labs[0].summary.value == labs[1].summary.value
    assert "step 7" in labs[0].summary.value
    assert bytes(labs[0].picture.value) == bytes(labs[1].picture.value)


def test_a_live_lab_that_fails_is_not_timed():
    lab = OptimizerRace()
    lab.work = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        live_view.tick(lab)


def test_imports_are_lines_that_run():
    for ours, theirs in list(imports.pairs().values())[:2]:
        for line in (ours, theirs):
            exec(line, {})
    assert len(imports.pairs()) == 1 + len(imports.PARTS) + 1 + len(MODULES)


def test_growth_fits_a_power(monkeypatch):
    monkeypatch.setattr(growth, "alternate", lambda steps, **_: {n: [int(n) ** 2] for n in steps})
    found = growth.measure("attention by the formula", 1, time.perf_counter, sizes=(8, 16, 32))
    assert found["power"] == pytest.approx(2)
    assert exponent([1, 2, 4], [3, 6, 12]) == pytest.approx(1)


def test_growth_times_training_steps():
    step = growth.train(D=16)
    assert [step().step, step().step] == [1, 2]


def test_growth_times_changes_that_draw_another_picture(monkeypatch):
    drawn, render = [], AttentionExplorer.render
    monkeypatch.setattr(
        AttentionExplorer, "render", lambda lab: drawn.append(render(lab)) or drawn[-1]
    )
    step = growth.explore(T=4, H=2)
    drawn.clear()
    step()
    step()
    assert len(drawn) == len(set(drawn)) == 2


def test_a_worker_of_the_data_parallel_benchmark_writes_its_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(data_parallel, "leave", lambda: None)
    sizes = {"width": 8, "layers": 1, "batch_size": 2, "length": 4, "heads": 2}
    data_parallel.work(sizes, 2, torch.get_num_threads(), tmp_path)
    assert float((tmp_path / "rank-0").read_text()) > 0
