"""GANLab, driven without a kernel over the range of all of its controls."""

import ipywidgets
import numpy as np
import pytest
import torch
from torch import nn

from bigmodel_lib.models.gan import ConvGenerator, MLPDiscriminator, MLPGenerator
from bigmodel_lib.widgets import GANLab
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import PNG, click, tick, values_of


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # its files go here
    return GANLab(architecture="article")


VALUE_CONTROLS = [
    *("loss", "d_lr", "g_lr", "beta1", "beta2", "batch_size", "d_steps"),
    *("architecture", "Z", "seed", "slow", "compare", "edit"),
]


@pytest.mark.parametrize("name", VALUE_CONTROLS)
def test_each_control_over_its_range(lab, name):
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        lab.run(steps=1)
        assert bytes(lab.picture.value).startswith(PNG)
        assert lab.error is None


def test_every_control_is_driven_by_some_test(lab):
    buttons = {n for n, c in lab.controls.items() if isinstance(c, ipywidgets.Button)}
    assert set(lab.controls) == buttons | set(VALUE_CONTROLS) | {"data", "file"}


def test_the_picture_is_960_wide_and_changes_with_training(lab):
    before = bytes(lab.picture.value)
    lab.run(steps=3)
    assert lab.picture.value != before
    assert int.from_bytes(lab.picture.value[16:20]) == 960
    assert "step 3" in lab.summary.value


BUTTONS = ("play", "pause", "step", "step_d", "step_g", "rewind", "reset", "save", "load")


@pytest.mark.parametrize("first", BUTTONS)
def test_buttons_in_every_order(lab, first):
    click(lab, "save")
    tick(lab)
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
    step = lab.runs[0].step
    assert step > 0
    tick(lab, 3)
    assert lab.runs[0].step == step
    assert f"paused at step {step}" in lab.status.value


def test_reset_while_playing_stops_at_step_0_with_the_same_first_picture(lab):
    first = bytes(lab.picture.value)
    click(lab, "play")
    tick(lab, 3)
    click(lab, "reset")
    tick(lab)
    assert (lab.playing, lab.runs[0].step) == (False, 0)
    assert lab.picture.value == first


def test_rewind_at_step_0_says_so(lab):
    click(lab, "rewind")
    tick(lab)
    assert "already at step 0" in lab.status.value


def test_rewind_goes_back_one_snapshot_after_the_other(lab):
    lab.run(steps=120)
    seen = []
    for _ in range(3):
        click(lab, "rewind")
        tick(lab)
        seen.append(lab.runs[0].step)
    assert seen == [100, 50, 0]


def test_rewind_after_loading_stops_at_the_loaded_step(lab):
    lab.run(steps=7)
    click(lab, "save", "load")
    tick(lab)
    lab.run(steps=2)
    for _ in range(2):
        click(lab, "rewind")
        tick(lab)
        assert lab.error is None
        assert lab.runs[0].step == 7
    assert "already at step 7" in lab.status.value


def test_single_steps_of_one_network_leave_the_other(lab):
    def weights(net):
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    run = lab.runs[0]
    d, g = weights(run.discriminator), weights(run.generator)
    click(lab, "step_d")
    tick(lab)
    assert torch.equal(weights(run.generator), g)
    assert not torch.equal(weights(run.discriminator), d)
    d = weights(run.discriminator)
    click(lab, "step_g")
    tick(lab)
    assert torch.equal(weights(run.discriminator), d)
    assert not torch.equal(weights(run.generator), g)


def test_settings_changed_while_playing_act_at_the_next_step_and_are_marked(lab):
    click(lab, "play")
    tick(lab, 2)
    at = lab.runs[0].step
    lab.controls["d_lr"].value = 1e-2
    lab.controls["loss"].value = "hinge"
    tick(lab)
    changes = lab.runs[0].changes
    assert [(c.step, c.name, c.new) for c in changes] == [
        (at + 1, "loss", "hinge"),
        (at + 1, "d_lr", pytest.approx(1e-2)),
    ]
    lab.run()
    texts = [t.get_text() for t in lab._picture._loss.texts]
    assert texts == ["loss → hinge", "d_lr → 0.01"]


def test_two_runs_from_one_seed_differ_only_by_what_was_changed(lab):
    lab.controls["compare"].value = True
    lab.run(steps=3)
    a, b = lab.runs
    assert a.history["d_loss"].tolist() == b.history["d_loss"].tolist()
    lab.controls["g_lr"].value = 1e-2
    lab.run(steps=3)
    assert (a.settings.g_lr, b.settings.g_lr) == (1e-3, pytest.approx(1e-2))
    assert a.history["g_loss"].tolist()[:4] == b.history["g_loss"].tolist()[:4]
    assert a.history["g_loss"].tolist()[4:] != b.history["g_loss"].tolist()[4:]
    assert "run A, step 6" in lab.summary.value
    assert "run B, step 6" in lab.summary.value
    lab.controls["edit"].value = "both"
    lab.controls["batch_size"].value = 8
    lab.run(steps=1)
    assert [run.settings.batch_size for run in lab.runs] == [8, 8]
    assert [run.settings.g_lr for run in lab.runs] == [1e-3, pytest.approx(1e-2)]


def test_the_controls_show_the_run_that_they_set(lab):
    lab.controls["compare"].value = True
    lab.run()
    lab.controls["loss"].value = "saturating"
    lab.run()
    assert lab.controls["edit"].value == "B"
    lab.controls["edit"].value = "A"
    lab.run()
    assert lab.controls["loss"].value == "non-saturating"
    lab.controls["edit"].value = "B"
    lab.run(steps=1)
    assert lab.controls["loss"].value == "saturating"
    assert [run.settings.loss for run in lab.runs] == ["non-saturating", "saturating"]


def test_restarting_controls_start_anew_with_other_networks(lab):
    lab.run(steps=2)
    lab.controls["Z"].value = 10
    lab.run()
    assert (lab.runs[0].step, lab.runs[0].generator.Z) == (0, 10)
    lab.controls["architecture"].value = "conditional"
    lab.run()
    assert lab.runs[0].num_classes == 10


def test_save_and_load_continue_with_the_same_step(lab):
    lab.controls["loss"].value = "hinge"
    lab.run(steps=5)
    click(lab, "save")
    lab.run(steps=4)
    losses = lab.runs[0].history["d_loss"].tolist()
    lab.controls["Z"].value = 7
    lab.controls["loss"].value = "saturating"
    lab.run(steps=1)
    click(lab, "load")
    lab.run(steps=4)
    assert lab.controls["Z"].value == 100
    assert lab.controls["loss"].value == "hinge"
    assert lab.runs[0].history["d_loss"].tolist() == losses


def test_load_while_playing_pauses_at_the_saved_step(lab):
    lab.run(steps=5)
    click(lab, "save", "play")
    tick(lab, 2)
    click(lab, "load")
    tick(lab)
    assert (lab.playing, lab.runs[0].step) == (False, 5)


@pytest.mark.parametrize("name", ["", "nowhere.safetensors", "text.safetensors"])
def test_a_file_that_cannot_be_loaded_turns_red(lab, tmp_path, name):
    (tmp_path / "text.safetensors").write_text("this is no checkpoint of any kind")
    lab.run(steps=2)
    lab.controls["file"].value = name
    click(lab, "load")
    tick(lab)
    assert "file" in lab._refused
    assert lab.controls["file"].layout.border_top
    assert lab.runs[0].step == 2


def test_a_data_set_that_cannot_be_had_turns_red(lab, monkeypatch, tmp_path):
    from bigmodel_lib.data.download import DownloadError
    from bigmodel_lib.widgets import images

    def unreachable(source, split):
        raise DownloadError(f"no network for {source}")

    monkeypatch.setattr(images, "load_digits", unreachable)
    lab.controls["data"].value = "fashion-mnist"
    tick(lab)
    assert "no network for fashion-mnist" in lab.status.value
    assert lab.runs[0].data.source == "digits"
    lab.controls["data"].value = "digits"
    tick(lab)
    assert lab._refused == {}


def test_one_image_a_batch_is_refused_for_batch_norm_and_kept_as_it_was():
    lab = GANLab(architecture="convolutional")
    lab.controls["batch_size"].value = 1
    tick(lab)
    assert "batch norm, which needs at least 2 images" in lab.status.value
    assert lab.runs[0].settings.batch_size == 64
    assert lab.controls["batch_size"].layout.border_top
    lab.controls["architecture"].value = "article"  # has no batch norm
    tick(lab)
    assert lab._refused == {}
    assert lab.controls["batch_size"].layout.border_top is None
    assert lab.runs[0].settings.batch_size == 1


def test_the_gradient_penalty_is_refused_for_a_critic_with_batch_norm():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(784, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))
    lab = GANLab(MLPGenerator(7), critic, Z=7)
    lab.controls["loss"].value = "wasserstein"
    with pytest.raises(RefusedError, match="your discriminator has batch norm"):
        lab.run()
    assert lab.runs[0].settings.loss == "non-saturating"


class Moody(nn.Module):
    """A discriminator that fails once in training, at its fifth call."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = MLPDiscriminator((13,)), 0

    def forward(self, images):
        self.calls += self.training
        if self.calls == 5:
            raise RuntimeError("I do not feel like it")
        return self.inner(images)


def test_an_exception_in_the_readers_own_module_shows_and_the_lab_goes_on():
    lab = GANLab(MLPGenerator(7, (11,)), Moody(), Z=7)
    click(lab, "play")
    tick(lab, 5)
    assert "RuntimeError: I do not feel like it" in lab.status.value
    assert not lab.playing
    click(lab, "play")
    tick(lab, 2)
    assert lab.error is None
    assert lab.runs[0].step > 2


def test_headless_that_exception_raises():
    lab = GANLab(MLPGenerator(7, (11,)), Moody(), Z=7)
    with pytest.raises(RuntimeError, match="do not feel like it"):
        lab.run(steps=9)


def test_own_modules_that_do_not_fit_say_how():
    with pytest.raises(ValueError, match=r"noise \(B, Z\) with Z = 7"):
        GANLab(MLPGenerator(7), MLPDiscriminator(), Z=5)
    with pytest.raises(ValueError, match="need generator and discriminator, or neither"):
        GANLab(MLPGenerator(7))
    with pytest.raises(ValueError, match="got 'learning_rate'"):
        GANLab(learning_rate=0.1)


def test_own_modules_are_not_trained_in_place():
    generator = ConvGenerator(7, 3)
    before = [p.clone() for p in generator.parameters()]
    GANLab(generator, MLPDiscriminator((13,)), Z=7).run(steps=2)
    assert all(torch.equal(a, b) for a, b in zip(before, generator.parameters(), strict=True))


def test_a_run_that_explodes_is_told_and_undone(lab):
    lab.controls["loss"].value = "wasserstein"
    lab.run(steps=2)
    lab.runs[0].settings.d_lr = 1e38  # beyond the slider's range
    click(lab, "play")
    tick(lab, 40)
    assert "not finite" in lab.status.value
    assert not lab.playing
    assert np.isfinite(lab.compute()[0].samples).all()


def test_other_data_changes_the_real_images_beside_the_generated(lab, monkeypatch):
    from bigmodel_lib.data.digits import LabelledImages, load_digits
    from bigmodel_lib.widgets import images

    digits = load_digits(split="train")

    def upside_down(source, split):
        return LabelledImages(digits.images.flip(2), digits.labels, "digits")

    def tile(lab):
        pixels = np.asarray(lab._picture.canvas._agg.buffer_rgba())
        return pixels[300:520, 20:240].copy()  # the lower left of 960 by 560

    before = tile(lab)
    monkeypatch.setattr(images, "load_digits", upside_down)
    images.images_for.cache_clear()
    lab.controls["data"].value = "mnist"
    lab.run()
    images.images_for.cache_clear()
    assert not np.array_equal(tile(lab), before)


def test_rewind_of_two_runs_where_one_was_loaded(lab):
    lab.run(steps=7)
    click(lab, "save")
    lab.run()
    lab.controls["compare"].value = True
    lab.run(steps=2)
    lab.controls["edit"].value = "A"
    click(lab, "load")
    lab.run()
    assert [run.step for run in lab.runs] == [7, 2]
    click(lab, "rewind")
    lab.run()
    assert [run.step for run in lab.runs] == [7, 0]
