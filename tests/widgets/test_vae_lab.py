"""VAELab, driven without a kernel over the range of all of its controls."""

import ipywidgets
import numpy as np
import pytest
import torch

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.data.download import DownloadError
from bigmodel_lib.models.vae import kl_to_standard_normal
from bigmodel_lib.widgets import VAELab, images
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.vae_lab import SIDE, SPAN
from bigmodel_lib.widgets.vae_lab_picture import HEIGHT, WIDTH, coordinate, rows_of_pairs
from tests.driving import PNG, click, tick, values_of
from tests.trained import digits

BUTTONS = ("play", "pause", "step", "reset", "widest")
VALUE_CONTROLS = ("beta", "lr", "batch_size", "Z", "seed", "x", "y")


@pytest.fixture
def lab():
    return VAELab()


@pytest.mark.parametrize("name", VALUE_CONTROLS)
def test_each_control_over_its_range(lab, name):
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        lab.run(steps=1)
        assert bytes(lab.picture.value).startswith(PNG)
        assert lab.error is None


@pytest.mark.parametrize("name", ["first", "second"])
def test_each_coordinate_of_the_code_can_be_an_axis(name):
    lab = VAELab(Z=32)
    other = {"first": "second", "second": "first"}[name]
    for value in range(1, 33):
        lab.controls[name].value = value
        tick(lab)
        if value == lab.controls[other].value:
            assert "needs two different coordinates" in lab.status.value
        else:
            assert lab._refused == {}
            assert coordinate(value - 1) in lab.summary.value


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == {*BUTTONS, *VALUE_CONTROLS, "first", "second", "data"}
    buttons = {n for n, c in lab.controls.items() if isinstance(c, ipywidgets.Button)}
    assert buttons == set(BUTTONS)


@pytest.mark.parametrize("first", BUTTONS)
def test_buttons_in_every_order(lab, first):
    for second in BUTTONS:
        click(lab, first, second)
        tick(lab)
        click(lab, second, first)
        tick(lab)
        assert lab.error is None
        assert lab._refused == {}
        assert bytes(lab.picture.value).startswith(PNG)


def test_play_twice_is_play_once_and_pause_stops(lab):
    click(lab, "play", "play")
    tick(lab, 3)
    assert lab.playing
    click(lab, "pause")
    tick(lab)
    step = lab.training.step
    assert step > 0
    tick(lab, 3)
    assert lab.training.step == step
    assert f"paused at step {step}" in lab.status.value


def test_reset_while_playing_stops_at_step_0_with_the_same_first_picture(lab):
    first = bytes(lab.picture.value)
    click(lab, "play")
    tick(lab, 3)
    click(lab, "reset")
    tick(lab)
    assert (lab.playing, lab.training.step) == (False, 0)
    assert lab.picture.value == first


def test_a_single_step_is_one_step_and_pauses(lab):
    click(lab, "play", "step")
    tick(lab)
    assert (lab.playing, lab.training.step) == (False, 1)


def test_settings_changed_while_playing_act_at_the_next_step_and_are_marked(lab):
    click(lab, "play")
    tick(lab, 2)
    at = lab.training.step
    lab.controls["beta"].value = 10.0
    lab.controls["batch_size"].value = 8
    tick(lab)
    click(lab, "pause")
    tick(lab)
    assert [(c.step, c.name, c.new) for c in lab.training.changes] == [
        (at + 1, "beta", 10.0),
        (at + 1, "batch_size", 8),
    ]
    picture = lab._picture
    texts = [text.get_text() for text in picture._reconstruction.texts]
    assert texts == ["beta → 10", "batch_size → 8"]
    dotted = [line for line in picture._kl.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [at + 1, at + 1]
    assert not picture._kl.texts


def test_marks_go_with_the_run_that_had_them(lab):
    lab.run(steps=1)
    lab.controls["beta"].value = 10.0
    lab.run(steps=1)
    lab.controls["seed"].value = 3
    lab.run(steps=1)
    assert lab.training.changes == []
    assert not lab._picture._reconstruction.texts


@pytest.mark.parametrize(("name", "value"), [("Z", 5), ("seed", 7)])
def test_restarting_controls_start_anew_with_the_settings_of_now(lab, name, value):
    lab.controls["beta"].value = 5.0
    lab.run(steps=2)
    before = [p.clone() for p in lab.training.model.parameters()]
    lab.controls[name].value = value
    lab.run()
    assert (lab.training.step, lab.training.settings.beta) == (0, 5.0)
    fresh = list(lab.training.model.parameters())
    assert any(a.shape != b.shape or not a.equal(b) for a, b in zip(before, fresh, strict=True))
    assert "started anew at step 0" in lab.status.value


def test_the_seed_decides_the_run():
    losses = []
    for seed in (1, 1, 2):
        lab = VAELab(seed=seed)
        lab.run(steps=3)
        losses.append(lab.training.history["loss"].tolist())
    assert losses[0] == losses[1] != losses[2]


def test_the_digit_is_decoded_at_the_place_in_the_plane():
    lab = VAELab(Z=5, first=4, second=2, x=1.5, y=-0.5)
    lab.run(steps=2)
    code = torch.tensor([[0.0, -0.5, 0.0, 1.5, 0.0]])
    with torch.no_grad():
        expected = lab.training.model.generate(code)[0].numpy()
    np.testing.assert_allclose(lab.compute().decoded, expected, rtol=1e-5, atol=1e-6)
    shown = lab._picture._decoded.get_array()
    np.testing.assert_allclose(shown, expected[0], rtol=1e-5, atol=1e-6)
    assert lab._picture._cross.get_xydata().tolist() == [[1.5, -0.5]]
    assert "z₄ = 1.50 and z₂ = -0.50" in lab.summary.value


def test_walking_neither_trains_nor_encodes_anew(lab):
    lab.run(steps=2)
    before, seen = lab._look, bytes(lab.picture.value)
    lab.controls["x"].value = 2.0
    tick(lab)
    assert lab.training.step == 2
    assert lab._look is before
    assert lab.picture.value != seen


def test_the_sheet_is_what_its_places_decode_to():
    """The upper left image is at z₁ = −3, z₂ = 3; across goes z₁, down falls z₂."""
    lab = VAELab()
    lab.run(steps=2)
    sheet = lab.compute().sheet
    assert len(sheet) == SIDE**2
    middle = SIDE // 2 * SIDE + SIDE // 2
    for index, place in {0: (-SPAN, SPAN), SIDE - 1: (SPAN, SPAN), middle: (0.0, 0.0)}.items():
        lab.controls["x"].value, lab.controls["y"].value = place
        np.testing.assert_allclose(sheet[index], lab.compute().decoded, rtol=1e-4, atol=1e-5)


def test_codes_and_kl_are_those_of_held_out_images(lab):
    lab.run(steps=2)
    view, test = lab.compute(), digits("test")
    with torch.no_grad():
        mean, log_variance = lab.training.model.encode(test.images)
    np.testing.assert_allclose(view.codes, mean.numpy(), rtol=1e-4, atol=1e-5)
    total = kl_to_standard_normal(mean, log_variance).mean().item()
    assert view.kl.sum() == pytest.approx(total, rel=1e-4)
    drawn = [len(dots.get_xdata()) for dots in lab._picture._dots]
    assert drawn == np.bincount(test.labels).tolist()


def test_reconstructions_stand_below_their_images():
    real = np.arange(24).reshape(24, 1, 1, 1)
    rows = rows_of_pairs(real, real + 100).reshape(-1, 8)
    assert rows[:, 0].tolist() == [0, 100, 8, 108, 16, 116]
    assert (rows[1::2] - rows[::2] == 100).all()


def test_the_plane_turns_to_the_coordinates_that_say_most():
    lab = VAELab(Z=7, beta=2.0)
    lab.run(steps=60)
    click(lab, "widest")
    tick(lab)
    kl = lab.compute().kl
    chosen = {lab.controls[name].value - 1 for name in ("first", "second")}
    assert chosen == set(np.argsort(kl)[-2:].tolist())
    assert "say most" in lab.status.value
    orange = [bar.get_facecolor() for bar in lab._picture._bars]
    assert {i for i in range(7) if orange[i] != orange[(set(range(7)) - chosen).pop()]} == chosen


def test_axes_that_cannot_be_turn_red_and_mend_together(lab):
    lab.controls["first"].value = 3
    tick(lab)
    assert "the code has 2 coordinates" in lab.status.value
    assert lab.controls["first"].layout.border_top
    lab.controls["first"].value = 2
    tick(lab)
    assert "needs two different coordinates" in lab.status.value
    lab.controls["second"].value = 1
    tick(lab)
    assert lab._refused == {}
    assert lab.compute().axes == (1, 0)


def test_another_code_has_the_first_two_coordinates_as_axes():
    lab = VAELab(Z=8, first=5, second=7)
    lab.controls["Z"].value = 4
    tick(lab)
    assert lab._refused == {}
    assert [lab.controls[name].value for name in ("first", "second")] == [1, 2]
    with pytest.raises(RefusedError, match="the code has 4 coordinates"):
        VAELab(Z=4, second=5)


def test_the_names_of_the_axes_lie_within_the_picture(lab):
    lab.run(steps=1)
    canvas = lab._picture.canvas
    for names in lab._picture._names:
        for name in names:
            box = name.get_window_extent(canvas.figure.canvas.get_renderer())
            assert name.get_text()
            assert 0 <= box.x0 < box.x1 <= WIDTH, name
            assert 0 <= box.y0 < box.y1 <= HEIGHT, name


def test_a_data_set_that_cannot_be_had_turns_red_and_the_run_stays(lab, monkeypatch):
    def unreachable(source, split):
        raise DownloadError(f"no network for {source}")

    lab.run(steps=2)
    monkeypatch.setattr(images, "load_digits", unreachable)
    lab.controls["data"].value = "fashion-mnist"
    tick(lab)
    assert "no network for fashion-mnist" in lab.status.value
    assert (lab.training.step, lab.training.data.source) == (2, "digits")
    lab.controls["data"].value = "digits"
    tick(lab)
    assert lab._refused == {}


def test_classes_with_names_get_a_legend(lab, monkeypatch):
    def clothes(source, split):
        return LabelledImages(digits(split).images, digits(split).labels, source)

    monkeypatch.setattr(images, "load_digits", clothes)
    images.images_for.cache_clear()
    lab.controls["data"].value = "fashion-mnist"
    lab.run()
    images.images_for.cache_clear()
    legend = lab._picture._plane.get_legend()
    assert [text.get_text() for text in legend.get_texts()][-1] == "Ankle boot"


def test_a_run_that_explodes_is_told_and_undone(lab):
    lab.run(steps=2)
    lab.training.settings.lr = 1e38  # beyond the slider's range
    lab.run(steps=1)  # its loss is that of before the step: only the next one notices
    assert not np.isfinite(lab.compute().kl).all()
    click(lab, "play")
    tick(lab, 3)
    assert "not finite" in lab.status.value
    assert not lab.playing
    assert np.isfinite(lab.compute().samples).all()


def test_a_great_beta_silences_the_code_and_a_small_one_lets_it_tell():
    told = {}
    for beta in (0.1, 100.0):
        lab = VAELab(beta=beta)
        lab.run(steps=80)
        told[beta] = lab.compute().kl.sum()
    assert told[100.0] < 0.1  # nats an image
    assert told[0.1] > 2


def test_a_recipe_that_names_no_control_is_refused():
    with pytest.raises(ValueError, match="got 'learning_rate'"):
        VAELab(learning_rate=0.1)
