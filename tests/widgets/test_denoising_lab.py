"""DenoisingLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from bigmodel_lib.data.digits import enlarge
from bigmodel_lib.models.denoiser import digit_diffusion, draw_digits
from bigmodel_lib.plots import mosaic
from bigmodel_lib.widgets import DenoisingLab
from bigmodel_lib.widgets.denoising_lab import RUNS, STEPS
from bigmodel_lib.widgets.denoising_lab_picture import GAP
from tests.driving import drive, tick

CONTROLS = ("digit", "steps", "eta", "seed", "look")


@pytest.fixture
def lab():
    torch.manual_seed(0)
    return DenoisingLab(digit_diffusion(T=200, W=16, blocks=1).eval())


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(lab, name):
    drive(lab, name)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == set(CONTROLS)


@pytest.mark.parametrize("steps", STEPS)
def test_the_way_leads_from_noise_to_what_sampling_gives(lab, steps):
    lab.controls["steps"].value, lab.controls["look"].value = steps, 100
    lab.run()
    expected = draw_digits(lab.model, torch.full((RUNS,), 3), steps, 0.0, seed=0)
    np.testing.assert_allclose(lab.compute().now, enlarge(expected[:, 0]), atol=1e-5)
    lab.controls["look"].value = 0
    lab.run()
    view = lab.compute()
    assert (view.at, view.times[0], view.times[-1]) == (0, 200, 0)
    assert len(view.times) == steps + 1


def test_looking_draws_nothing_anew_and_fresh_noise_changes_the_way(lab):
    path = lab._path
    lab.controls["look"].value = 90
    tick(lab)
    assert lab._path is path
    lab.controls["eta"].value = 1.0
    tick(lab)
    assert torch.equal(lab._path.x[0], path.x[0])
    assert not torch.equal(lab._path.x[-1], path.x[-1])
    assert "η = 1.00" in lab.summary.value


def test_the_last_guess_is_the_picture_itself(lab):
    assert torch.equal(lab._path.guesses[-1], lab._path.x[-1])
    assert lab._path.guesses.abs().max() <= 1 + 1e-5


def test_a_guess_is_what_the_network_says_when_asked_and_it_is_asked_once_a_step(lab):
    asked = []
    lab.model.denoiser.register_forward_hook(lambda *_: asked.append(1))
    lab.controls["steps"].value, lab.controls["eta"].value = 20, 0.5
    tick(lab)
    assert len(asked) == 20
    path, labels = lab._path, torch.full((RUNS,), 3)
    for station, guess in zip(path.shown[:-1], path.guesses, strict=False):
        x, t = path.x[station], path.times[station]
        with torch.no_grad():
            noise = lab.model.denoiser(x, torch.full((RUNS,), t), labels)
        torch.testing.assert_close(guess, lab.model.start(x, t, noise))


def test_every_row_shows_what_was_computed_whatever_moved_last(lab):
    for name, value in {"look": 20, "digit": 8, "eta": 1.0, "steps": 2}.items():
        lab.controls[name].value = value
        tick(lab)
        view, picture = lab.compute(), lab._picture
        rows = (picture._stations, view.stations), (picture._guesses, view.guesses)
        for image, pictures in rows:
            shown = image.shades[::-1, GAP : GAP + pictures.shape[-1]]
            np.testing.assert_array_equal(shown, shades(pictures[0, 0]))
        now = mosaic(view.now, RUNS // 2)
        np.testing.assert_array_equal(picture._now.shades[::-1], shades(now))
        assert picture.canvas.png() == DenoisingLab(lab.model, **values(lab))._picture.canvas.png()


def shades(picture: np.ndarray) -> np.ndarray:
    return colormaps["gray"]((picture + 1) / 2, bytes=True)


def values(lab) -> dict[str, object]:
    return {name: control.value for name, control in lab.controls.items()}


def test_the_cached_model_and_recipes():
    lab = DenoisingLab(digit=7, steps=5)
    assert "digit 7 in 5 steps" in lab.summary.value
    with pytest.raises(ValueError, match="need settings in"):
        DenoisingLab(lab.model, speed=1)
