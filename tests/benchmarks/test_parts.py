"""The benchmarks' parts at tiny sizes, so that they do not rot; figures are for `make bench`."""

import itertools
import multiprocessing
import time
from functools import partial

import chapters
import data_parallel
import explorers
import gan
import growth
import imports
import live_view
import pytest
import torch
from torch import _inductor

import pyplot_peers
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.widgets import MODULES, AttentionExplorer, OptimizerRace
from side_by_side import alternate, exponent, operators, processes, take_turns

CPU = torch.device("cpu")


def test_the_products_of_a_gan_step_are_as_many_as_a_step_makes():
    found = operators(gan.matrix_products())
    narrow = 3 + 2 * 2 + 1  # of D's last layer: forward, weights' and inputs' backward
    assert found["aten::mm"] == 19 - narrow  # 19: test_counts.py counts them in a step


@pytest.mark.parametrize("name", gan.OURS)
def test_our_gan_steps_step(name, monkeypatch):
    monkeypatch.setattr(_inductor, "compile", lambda graph, _arguments: graph)
    step = gan.our_step(gan.OURS[name], load_digits(split="test"), CPU)
    assert step().step == 1
    assert step().step == 2


def test_speeds_of_the_gan_are_theirs_over_ours_each_at_its_best():
    rounds = {
        "1": {"GANRun": [1.0, 2.0], "CompiledGANRun": [1.0, 1.0], "Keras": [3.0, 6.0]},
        "2": {"GANRun": [0.5, 0.5], "CompiledGANRun": [2.0, 2.0], "Keras": [9.0, 9.0]},
    }
    best = gan.best(rounds)
    assert (best["GANRun"]["threads"], best["GANRun"]["steps a second"]) == ("2", 2.0)
    assert best["Keras"]["threads"] == best["CompiledGANRun"]["threads"] == "1"
    speeds = {row["ours"]: row["median"] for row in gan.compare(best)}
    assert speeds == {"GANRun": 9.0, "CompiledGANRun": 4.5}


def test_two_take_turns_in_bursts_and_each_call_is_timed():
    turns, ticks = [], itertools.count()
    steps = {name: partial(turns.append, name) for name in "AB"}
    times = alternate(steps, seconds=0, device=CPU, clock=lambda: 0.004 * next(ticks))
    # a turn of 2 takes one tick, 4 ms, so 10 calls take 20 ms
    assert "".join(turns) == "AABB" + 5 * ("A" * 10 + "B" * 10)
    assert times == {name: [pytest.approx(0.0004)] * 5 for name in "AB"}


def test_turns_of_processes_are_their_seconds_a_call():
    makers = {"short": partial(sleeper, 0.001), "long": partial(sleeper, 0.01)}
    with processes(makers, "wall") as turns:
        times = take_turns(turns, seconds=0.1, burst=0.01)
        workers = multiprocessing.active_children()
        assert len(workers) == 2
    assert not multiprocessing.active_children()
    assert min(times["short"]) >= 0.001
    assert min(times["long"]) >= 0.01


def test_a_process_that_fails_is_told(capfd):
    with pytest.raises(EOFError), processes({"broken": broken}, "wall"):
        pass
    assert "no such step" in capfd.readouterr().err


def sleeper(seconds):
    return partial(time.sleep, seconds)


def broken():
    raise LookupError("no such step")


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


def test_every_explorer_has_a_peer_whose_controls_are_among_those_measured():
    assert set(pyplot_peers.DRAW) == set(explorers.PEER_MOVES) == set(MODULES)
    for name, controls in explorers.PEER_MOVES.items():
        assert controls
        assert set(controls) <= set(explorers.CASES[name].moves)


def test_an_explorer_beside_its_peer():
    times = explorers.beside_peer("GAN1D", "mean", turns=2, clock=time.perf_counter)
    assert set(times) == {"ours", "pyplot", "compute"}
    assert {len(taken) for taken in times.values()} == {2}
    assert min(min(taken) for taken in times.values()) > 0


@pytest.mark.parametrize("name", explorers.PEER_MOVES)
def test_a_peer_has_as_many_panels_and_draws_another_picture_after_a_change(name, monkeypatch):
    make = explorers.PEER_MAKE.get(name, explorers.CASES[name].make)
    theirs, control, panels = make(), explorers.PEER_MOVES[name][0], []
    ours = len(theirs._picture.canvas.figure.axes)
    render = pyplot_peers.png
    monkeypatch.setattr(pyplot_peers, "png", lambda: panels.append(count_panels()) or render())
    pyplot_peers.with_pyplot(theirs).run()
    before = bytes(theirs.picture.value)
    if name == "GANLab":
        theirs.steps(1)  # a setting alone shows nothing: it is the next step's
    values = explorers.values_of(theirs, explorers.CASES[name].moves)[control]
    value = next(v for v in values[::-1] if v != theirs.controls[control].value)
    pyplot_peers.interactive(theirs, control)(value)
    after = bytes(theirs.picture.value)
    assert before != after
    assert before[:4] == after[:4] == b"\x89PNG"
    assert len(panels) == 2
    assert min(panels) >= ours


def count_panels() -> int:
    """Axes of pyplot's figure that hold something."""
    axes = pyplot_peers.plt.gcf().axes
    return sum(ax.has_data() or bool(ax.texts) or ax.get_legend() is not None for ax in axes)


def test_a_peer_that_draws_nothing_fails(monkeypatch):
    monkeypatch.setitem(pyplot_peers.DRAW, "ResourceCalculator", lambda _view: None)
    with pytest.raises(ValueError, match="got an empty one"):
        pyplot_peers.with_pyplot(explorers.ResourceCalculator()).run()
    monkeypatch.setitem(
        pyplot_peers.DRAW, "ResourceCalculator", lambda _view: pyplot_peers.plt.subplots(2, 2)
    )
    with pytest.raises(ValueError, match="got an empty one"):
        pyplot_peers.with_pyplot(explorers.ResourceCalculator()).run()


def test_what_goes_wrong_in_a_peer_is_raised(monkeypatch):
    theirs = pyplot_peers.with_pyplot(explorers.ResourceCalculator())
    monkeypatch.setattr(theirs, "draw", lambda _view: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pyplot_peers.interactive(theirs, "pue")(1.5)


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


def test_what_a_chapter_imports_counts_as_overhead_and_what_its_cells_do_does_not(tmp_path):
    folder = tmp_path / "notebooks"
    (folder / "src").mkdir(parents=True)
    (folder / "slow.py").write_text("import time\n\ntime.sleep(1.5)\n")
    cells = "# %%\nprint(1)\n\n# %%\nimport time\n\nimport slow\n\ntime.sleep(1.0)\n"
    (folder / "src" / "x.py").write_text(cells)
    found = chapters.measure(chapters.Pair(tmp_path, "x"))
    assert found["overhead"] >= 1.5  # lower bounds, which no busy machine breaks
    assert found["seconds"] - found["overhead"] >= 1.0
    assert found["MB"] > 10
