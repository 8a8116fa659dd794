"""OptimizerRace, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
import torch

from bigmodel_lib.models.surfaces import ROSENBROCK, SURFACES
from bigmodel_lib.training.optim import OPTIMIZERS
from bigmodel_lib.widgets import OptimizerRace
from bigmodel_lib.widgets import optimizer_race as module
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import PNG, click, settle, tick, values_of

BUTTONS = ("play", "pause", "step", "reset", "suggest")


@pytest.fixture
def race():
    return OptimizerRace()


VALUE_CONTROLS = [*module.SETTINGS, "steps", "speed"]


@pytest.mark.parametrize("name", VALUE_CONTROLS)
def test_each_control_over_its_range(race, name):
    race.run(steps=7)
    for value in values_of(race.controls[name]):
        race.controls[name].value = value
        race.run(steps=1)
        assert bytes(race.picture.value).startswith(PNG)
        assert race.error is None
        assert race.race.step >= race.target


def test_every_control_is_driven_by_some_test(race):
    assert set(race.controls) == {*BUTTONS, *VALUE_CONTROLS}


@pytest.mark.parametrize("surface", SURFACES)
def test_on_every_surface_all_come_closer_to_a_minimum_with_the_suggested_rates(surface):
    race = OptimizerRace(surface=surface)
    before = race.compute().racers
    race.run(steps=500)
    for name, racer in race.compute().racers.items():
        assert racer.diverged is None
        assert racer.losses[-1] < 0.05 * before[name].losses[0]
    assert f"{surface}, step 500: " in race.summary.value


def test_the_picture_is_960_wide_and_shows_what_was_raced(race):
    before = bytes(race.picture.value)
    assert "all at the start" in race.summary.value
    race.run(steps=20)
    assert race.picture.value != before
    assert int.from_bytes(race.picture.value[16:20]) == 960
    view, picture = race.compute(), race._picture
    for name, racer in view.racers.items():
        assert np.array_equal(picture._paths[name].get_xydata(), racer.path)
        assert np.array_equal(picture._curves[name].get_ydata(), racer.losses)
        assert len(racer.path) == 21
        texts = [float(text.get_text()) for text in picture._rows[name][2:]]
        assert texts == pytest.approx([racer.losses[-1], racer.distance], rel=0.05)


def test_paths_equal_torchs(race):
    race.run(steps=30)
    point = torch.tensor(SURFACES["Himmelblau"].start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([point], race.controls["lr_Adam"].value)
    for at in race.compute().racers["Adam"].path:
        assert point.tolist() == pytest.approx(at.tolist())
        optimizer.zero_grad()
        SURFACES["Himmelblau"](point).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("name", "moved", "touches"),
    [
        ("lr_RMSprop", 0.2, {"RMSprop"}),
        ("momentum", 0.5, {"momentum", "Nesterov"}),
        ("alpha", 0.5, {"RMSprop"}),
        ("beta1", 0.5, {"Adam", "AdamW"}),
        ("beta2", 0.5, {"Adam", "AdamW"}),
        ("weight_decay", 0.5, {"AdamW"}),
        ("rate", 0.5, set(OPTIMIZERS)),
        ("noise", 3.0, set(OPTIMIZERS)),
        ("start_x", 0.5, set(OPTIMIZERS)),
    ],
)
def test_a_setting_reaches_the_optimisers_it_is_for_and_no_other(race, name, moved, touches):
    race.run(steps=10)
    before = race.compute().racers
    race.controls[name].value = moved
    race.run()
    after = race.compute().racers
    assert race.race.step == 10
    changed = {k for k in after if not np.array_equal(before[k].path, after[k].path)}
    assert changed == touches


def test_noise_is_the_same_for_all_and_follows_from_the_seed():
    def path(**recipe):
        race = OptimizerRace(noise=2.0, **recipe)
        race.run(steps=10)
        return race.compute().racers["SGD"].path

    alone = {f"use_{name}": name == "SGD" for name in OPTIMIZERS}
    assert np.array_equal(path(seed=3), path(seed=3, **alone))
    assert not np.array_equal(path(seed=3), path(seed=4))


def test_steps_shown_goes_back_and_forth_without_racing_again(race):
    race.run(steps=50)
    whole = race.compute().racers["Adam"].path
    race.controls["steps"].value = 10
    race.run()
    assert (race.race.step, race.compute().step) == (50, 10)
    assert np.array_equal(race.compute().racers["Adam"].path, whole[:11])
    assert "step 10" in race.summary.value
    race.controls["steps"].value = 80
    race.run()
    assert np.array_equal(race.compute().racers["Adam"].path[:51], whole)
    assert race.controls["steps"].value == 80


# --- divergence ---


def test_one_that_diverges_stops_and_is_told_and_the_others_go_on():
    race = OptimizerRace(surface="bowl", lr_SGD=1.0)
    race.run(steps=30)
    racers = race.compute().racers
    gone = racers["SGD"].diverged
    assert 0 < gone < 30
    assert len(racers["SGD"].path) == gone
    assert np.isfinite(racers["SGD"].losses).all()
    assert len(racers["Adam"].path) == 31
    assert f"SGD diverged at step {gone}" in race.summary.value
    assert race._picture._rows["SGD"][3].get_text() == f"diverged at step {gone}"
    race.controls["steps"].value = gone - 1  # before it happened
    race.run()
    assert race.compute().racers["SGD"].diverged is None
    assert "SGD is off the map" in race.summary.value


def test_all_may_diverge():
    race = OptimizerRace(surface="Rosenbrock", **{f"lr_{name}": 10.0 for name in OPTIMIZERS})
    race.controls["rate"].value = 100
    race.run(steps=300)
    assert all(racer.diverged for racer in race.compute().racers.values())
    assert "nearest" not in race.summary.value
    assert bytes(race.picture.value).startswith(PNG)


def test_not_a_number_counts_as_diverged():
    class Broken(OPTIMIZERS["SGD"]):
        def update(self, x, g, state):
            return x * torch.nan

    race = module.Race(ROSENBROCK, (0.0, 0.0), {"SGD": Broken})
    race.advance()
    race.advance()
    assert race.racers["SGD"].diverged == 1
    assert race.racers["SGD"].path == [[0.0, 0.0]]


# --- refused ---


def test_a_race_of_nobody_is_refused_and_the_last_picture_stays(race):
    race.run(steps=5)
    for name in OPTIMIZERS:
        race.controls[f"use_{name}"].value = False
        settle(race)
    assert "need at least one optimiser" in race.status.value
    assert race.controls["use_AdamW"].layout.border_top
    assert list(race.race.racers) == ["AdamW"]
    with pytest.raises(RefusedError, match="need at least one optimiser"):
        race.run()
    race.controls["use_SGD"].value = True
    settle(race)
    assert race._refused == {}
    assert list(race.race.racers) == ["SGD"]


@pytest.mark.parametrize(("name", "value"), [("start_x", 3.0), ("start_y", -2.0)])
def test_a_start_off_the_map_is_refused(name, value):
    race = OptimizerRace(surface="Rosenbrock")
    race.controls[name].value = value
    settle(race)
    assert "the map of Rosenbrock reaches from" in race.status.value
    assert race.controls[name].layout.border_top
    assert race.compute().racers["SGD"].path[0].tolist() == [-1.2, 1.0]
    race.controls["surface"].value = "Himmelblau"  # brings its own start
    settle(race)
    assert race._refused == {}


def test_recipes_that_cannot_be_are_told():
    with pytest.raises(ValueError, match="got 'learning_rate'"):
        OptimizerRace(learning_rate=0.1)
    with pytest.raises(RefusedError, match="the map of saddle reaches from -2 to 2"):
        OptimizerRace(surface="saddle", start_x=5.0)


# --- surfaces and their suggestions ---


def test_a_new_surface_brings_its_start_and_rates_but_not_over_what_is_set_with_it(race):
    race.controls["surface"].value = "Beale"
    race.controls["lr_SGD"].value = 1e-4
    race.run()
    assert race.race.surface.name == "Beale"
    assert (race.controls["start_x"].value, race.controls["start_y"].value) == (1.0, 1.5)
    assert race.controls["lr_SGD"].value == pytest.approx(1e-4)
    assert race.race.racers["SGD"].optimizer.lr == pytest.approx(1e-4)
    assert race.race.racers["Adam"].optimizer.lr == pytest.approx(module.RATES["Beale"][4])


def test_suggested_rates_come_back_and_the_start_stays(race):
    race.controls["lr_SGD"].value = 1e-5
    race.controls["rate"].value = 10.0
    race.controls["start_x"].value = 2.0
    race.run(steps=3)
    click(race, "suggest")
    settle(race)
    assert race.race.racers["SGD"].optimizer.lr == pytest.approx(module.RATES["Himmelblau"][0])
    assert race.controls["start_x"].value == 2.0
    assert race.race.step == race.target == 3


def test_the_condition_number_belongs_to_the_bowl(race):
    assert race.controls["condition"].disabled
    race.controls["surface"].value = "bowl"
    race.controls["condition"].value = 100.0
    race.run()
    assert not race.controls["condition"].disabled
    point = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert race.race.surface(point).item() == pytest.approx(50.0)
    contours = race._picture._contours
    race.controls["lr_SGD"].value = 1e-3
    race.run()
    assert race._picture._contours is contours  # the same map is not drawn anew
    race.controls["condition"].value = 10.0
    race.run()
    assert race._picture._contours is not contours
    assert len(race._picture._map.collections) == 2  # those of the old map are gone


# --- buttons ---


@pytest.mark.parametrize("first", BUTTONS)
def test_buttons_in_every_order(race, first):
    for second in BUTTONS:
        click(race, first, second)
        tick(race)
        click(race, second, first)
        tick(race)
        assert race.error is None
        assert race._refused == {}
        assert bytes(race.picture.value).startswith(PNG)


def test_play_goes_on_until_pause_and_the_slider_follows(race):
    click(race, "play", "play")
    tick(race, 3)
    assert race.playing
    click(race, "pause")
    settle(race)
    at = race.target
    assert at == race.race.step == race.controls["steps"].value > 0
    tick(race, 3)
    assert race.target == at
    assert f"paused at step {at}" in race.status.value


def test_play_takes_the_steps_that_are_due(race, monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now) / 8)
    race.controls["speed"].value = 100
    click(race, "play")
    seen = []
    for _ in range(4):
        race._apply_wishes()
        race._raise_target()
        seen.append(race.target)
    assert np.diff(seen).tolist() in ([12, 13, 12], [13, 12, 13])  # an eighth of 100 each


def test_play_stops_at_the_last_step(race):
    race.controls["steps"].value = module.LAST - 1
    click(race, "play")
    settle(race)
    assert not race.playing
    assert race.race.step == race.target == module.LAST
    click(race, "play")
    settle(race)
    assert not race.playing
    assert "press Reset" in race.status.value


def test_reset_while_playing_stops_at_the_first_picture(race):
    first = bytes(race.picture.value)
    click(race, "play")
    tick(race, 3)
    click(race, "reset")
    settle(race)
    assert (race.playing, race.target, race.controls["steps"].value) == (False, 0, 0)
    assert race.picture.value == first


def test_step_takes_one(race):
    click(race, "step", "step")
    settle(race)
    assert race.race.step == race.target == 2


def test_a_setting_moved_while_playing_runs_the_whole_race_again(race):
    click(race, "play")
    tick(race, 3)
    race.controls["lr_SGD"].value = 1e-4
    tick(race)
    click(race, "pause")
    settle(race)
    assert race.race.step == race.target > 0
    assert race.race.racers["SGD"].optimizer.lr == pytest.approx(1e-4)
    assert len(race.compute().racers["SGD"].path) == race.target + 1


def test_an_error_is_shown_pauses_and_the_next_wish_goes_on(race, monkeypatch):
    def broken(self):
        raise RuntimeError("the track is <wet>")

    click(race, "play")
    with monkeypatch.context() as patch:
        patch.setattr(module.Race, "advance", broken)
        tick(race)
        assert "RuntimeError: the track is &lt;wet&gt;" in race.status.value
        assert not race.playing
        with pytest.raises(RuntimeError, match="the track is"):
            race.run(steps=1)
    click(race, "step")
    settle(race)
    assert race.error is None
    assert race.race.step == race.target
