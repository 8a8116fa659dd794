"""PipelineLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
import torch

from bigmodel_lib.data.tables import TABLES, condition_number, load_table, preprocess, split_rows
from bigmodel_lib.training.table import OPTIMIZERS, PARTS
from bigmodel_lib.widgets import PipelineLab, base
from bigmodel_lib.widgets import pipeline_lab as module
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.pipeline_lab_picture import LOWEST
from tests.driving import PNG, click, settle, tick, values_of

BUTTONS = ("keep_run", "forget")


@pytest.fixture
def lab():
    return PipelineLab(data="wine", steps=7)


def now(lab):
    return lab.compute()["now"]


@pytest.mark.parametrize("name", module.SETTINGS)
def test_each_control_over_its_range(lab, name):
    if name == "keep":
        lab.controls["data"].value = "noise"  # which has enough features for every choice
    for value in values_of(lab.controls[name]):
        if name == "steps":
            value = min(value, 300)
        lab.controls[name].value = value
        settle(lab)
        assert bytes(lab.picture.value).startswith(PNG)
        assert lab.error is None
        assert lab._refused == {}
        assert lab.run_now.step == lab.target or lab.diverged


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*BUTTONS, *module.SETTINGS}


@pytest.mark.parametrize("data", TABLES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("corner", ["lowest", "highest"])
def test_corners(data, optimizer, corner):
    """All sliders at one end: the smallest and the largest that can be asked for."""
    lab = PipelineLab(data=data, optimizer=optimizer, steps=6)
    for name in ("lr", "weight_decay", "batch_size", "width", "validation", "test", "leak"):
        lab.controls[name].value = values_of(lab.controls[name])[0 if corner == "lowest" else -1]
    settle(lab)
    assert lab.error is None
    assert bytes(lab.picture.value).startswith(PNG)


# --- what the choices do ---


def test_the_curves_are_those_of_the_run_that_was_asked_for():
    lab = PipelineLab(data="wine", scaling="normalised", keep=5, seed=3, steps=11)
    lab.run()
    table = load_table("wine")
    rows = split_rows(table.y, 0.2, 0.2, seed=3)
    x = preprocess(table.x, table.y, rows["train"], "normalised", 5)
    for part in PARTS:
        mine, labels = lab.run_now.parts[part]
        np.testing.assert_allclose(mine, x[rows[part]], rtol=1e-6)
        assert labels.tolist() == table.y[rows[part]].tolist()
        with torch.no_grad():
            accuracy = (lab.run_now.model(mine).argmax(1) == labels).double().mean()
        assert now(lab).now[f"{part} accuracy"] == pytest.approx(accuracy.item())
    assert now(lab).condition == pytest.approx(condition_number(x[rows["train"]]))
    np.testing.assert_allclose(now(lab).spread, x[rows["train"]].std(0))


def test_scaling_is_the_difference_between_learning_and_not():
    accuracies = {}
    for scaling in ("raw", "standardised"):
        lab = PipelineLab(data="breast cancer", scaling=scaling, steps=200)
        lab.run()
        accuracies[scaling] = now(lab).now["test accuracy"]
    assert accuracies["raw"] < 0.7
    assert accuracies["standardised"] > 0.9


def test_a_leak_shows_as_skill_where_nothing_can_be_learned():
    accuracies = {False: [], True: []}
    for leak, found in accuracies.items():
        for seed in range(4):
            lab = PipelineLab(data="noise", keep=20, leak=leak, seed=seed, steps=150, test=40)
            lab.run()
            found.append(now(lab).now["test accuracy"])
    assert np.mean(accuracies[False]) < 0.65
    assert np.mean(accuracies[True]) > 0.7
    assert "LEAK" in now(lab).label


def test_a_run_goes_on_in_slices_and_then_rests(lab, monkeypatch):
    monkeypatch.setattr(base, "FIRST", 0.0)
    monkeypatch.setattr(base, "SLICE", 0.0)
    lab.controls["steps"].value = 50
    tick(lab)
    assert lab.run_now.step == 1  # one, however short the slice
    settle(lab)
    assert lab.run_now.step == 50
    assert "trained to step 50" in lab.status.value
    assert not lab._tick()


def test_the_axis_of_steps_holds_all_of_them_from_the_first_picture_on(lab, monkeypatch):
    monkeypatch.setattr(base, "FIRST", 0.0)
    lab.controls["steps"].value = 150
    lab.controls["lr"].value = 0.3
    tick(lab)
    assert lab.run_now.step == 1
    assert lab._picture._loss.get_xlim() == lab._picture._accuracy.get_xlim() == (0, 200)
    settle(lab)
    assert lab._picture._loss.get_xlim() == (0, 200)


def test_more_steps_go_on_and_fewer_start_anew(lab):
    lab.run()
    run = lab.run_now
    lab.controls["steps"].value = 20
    settle(lab)
    assert lab.run_now is run
    assert run.step == 20
    losses = now(lab).history["loss"][:5]
    lab.controls["steps"].value = 5
    settle(lab)
    assert (lab.run_now is not run, lab.run_now.step) == (True, 5)
    np.testing.assert_allclose(now(lab).history["loss"], losses)


def test_steps_from_a_program_go_beyond_the_control(lab):
    lab.run(steps=10)
    assert lab.run_now.step == lab.controls["steps"].value == 17
    lab.run(steps=10**6)
    assert lab.run_now.step == module.LAST


def test_the_picture_is_960_wide_and_shows_what_was_measured(lab):
    before = bytes(lab.picture.value)
    lab.run(steps=14)
    assert lab.picture.value != before
    assert int.from_bytes(lab.picture.value[16:20]) == 960
    picture, view = lab._picture, now(lab)
    for part in PARTS:
        x, y = picture._curves["now", part, "loss"].get_data()
        assert x.tolist() == [1, 6, 11, 16, 21, 21]
        measured = view.history[f"{part} loss"]
        assert y[:-1].tolist() == measured[np.isfinite(measured)].tolist()
        assert y[-1] == view.now[f"{part} loss"]
        text = picture._rows["now"][2][PARTS.index(part)].get_text()
        assert float(text) == pytest.approx(view.now[f"{part} accuracy"], abs=1e-3)
    assert picture._spreads["now"].get_ydata().tolist() == sorted(view.spread)
    assert "step 21: accuracy" in lab.summary.value


def test_spreads_and_losses_of_0_have_a_place_on_their_axes():
    lab = PipelineLab(data="digits", steps=1)
    lab.run()
    assert now(lab).spread.min() == 0  # a corner pixel
    assert lab._picture._spreads["now"].get_ydata().min() == LOWEST


# --- keep and forget ---


def test_a_kept_run_stays_behind_the_next_and_can_be_forgotten(lab):
    lab.run()
    first = now(lab)
    click(lab, "keep_run")
    lab.controls["scaling"].value = "raw"
    settle(lab)
    kept = lab.compute()["kept"]
    assert kept.label == first.label != now(lab).label
    np.testing.assert_array_equal(kept.history["loss"], first.history["loss"])
    assert lab._picture._curves["kept", "test", "loss"].get_visible()
    assert "kept: wine, standardised" in lab.summary.value
    click(lab, "forget")
    settle(lab)
    assert "kept" not in lab.compute()
    assert not lab._picture._curves["kept", "test", "loss"].get_visible()
    assert lab._picture._curves["now", "test", "loss"].get_visible()
    assert "kept" not in lab.summary.value


@pytest.mark.parametrize("first", BUTTONS)
@pytest.mark.parametrize("second", BUTTONS)
def test_buttons_in_every_order_before_the_end_of_a_run(first, second):
    lab = PipelineLab(steps=200)
    for name in (first, second, first):
        click(lab, name)
        tick(lab)
        assert lab.error is None
        assert bytes(lab.picture.value).startswith(PNG)


# --- diverged, refused, broken ---


def test_a_run_that_diverges_says_so_and_the_next_setting_starts_anew():
    lab = PipelineLab(data="digits", optimizer="momentum", lr=100.0, steps=300)
    lab.run()
    assert lab.diverged is not None
    assert f"diverged at step {lab.diverged}" in lab.status.value
    assert f"diverged at step {lab.diverged}" in lab.summary.value
    assert "diverged" in lab._picture._rows["now"][2][2].get_text()
    assert not lab._tick()  # it rests
    lab.controls["lr"].value = 0.01
    settle(lab)
    assert lab.diverged is None
    assert lab.run_now.step == 300
    assert "diverged" not in lab.summary.value + lab.status.value


def test_more_features_than_there_are_is_refused_and_the_last_picture_stays(lab):
    lab.run()
    before, run = bytes(lab.picture.value), lab.run_now
    lab.controls["keep"].value = 20
    settle(lab)
    assert "features kept: need 1 to 13 features, as many as vary; got 20" in lab.status.value
    assert lab.controls["keep"].layout.border_top
    assert lab.run_now is run
    assert lab.picture.value == before
    with pytest.raises(RefusedError, match="need 1 to 13"):
        lab.run()
    lab.controls["data"].value = "digits"  # which has 64
    settle(lab)
    assert lab._refused == {}
    assert len(now(lab).spread) == 20


def test_recipes_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="got 'learning_rate'"):
        PipelineLab(learning_rate=0.1)
    with pytest.raises(RefusedError, match="need 1 to 13 features"):
        PipelineLab(data="wine", keep=50)


def test_an_error_is_shown_and_the_next_wish_goes_on(lab, monkeypatch):
    def broken(self):
        raise RuntimeError("the rows are <wet>")

    with monkeypatch.context() as patch:
        patch.setattr(module.TableRun, "train_step", broken)
        lab.controls["lr"].value = 0.01
        tick(lab)
        assert "RuntimeError: the rows are &lt;wet&gt;" in lab.status.value
        with pytest.raises(RuntimeError, match="the rows are"):
            lab.run()
    lab.controls["lr"].value = 0.02
    settle(lab)
    assert lab.error is None
    assert lab.run_now.step == lab.target


@pytest.mark.parametrize("data", TABLES)
@pytest.mark.parametrize("scaling", ["raw", "standardised"])
def test_no_dot_of_the_spread_lies_on_the_edge_of_its_panel(data, scaling):
    picture = PipelineLab(data=data, scaling=scaling, steps=1)._picture
    low, high = picture._spread.get_ylim()
    shown = picture._spreads["now"].get_ydata()
    assert (low * 1.4 < shown).all()
    assert (shown < high / 1.4).all()
