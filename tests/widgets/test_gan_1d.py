"""GAN1D, driven without a kernel over the range of all of its controls."""

import math

import numpy as np
import pytest
import torch

from bigmodel_lib.models.densities import MIXTURES
from bigmodel_lib.widgets import GAN1D, player
from bigmodel_lib.widgets import gan_1d as module
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.gan_1d import ARTICLE, CORRECT, NON_SATURATING, OPTIMAL, SATURATING
from tests.driving import PNG, click, tick, values_of

BUTTONS = ("play", "pause", "step", "step_g", "reset")


@pytest.fixture
def gan():
    return GAN1D()


@pytest.fixture(scope="module", params=[False, True], ids=["g waits", "g learns"])
def driven(request):
    """One explorer for all controls: to make one takes longer than to drive it a step."""
    return GAN1D(g_learns=request.param)


@pytest.mark.parametrize("name", module.SETTINGS)
def test_each_control_over_its_range(driven, name):
    control = driven.controls[name]
    before = control.value
    for value in values_of(control):
        control.value = int(value) if name == "seed" else value
        driven.run(steps=2)
        assert bytes(driven.picture.value).startswith(PNG)
        assert driven.error is None
        assert all(map(math.isfinite, driven.duel.values()))
    control.value = before


def test_every_control_is_driven_by_some_test(gan):
    assert set(gan.controls) == {*BUTTONS, *module.SETTINGS}


@pytest.mark.parametrize("real", MIXTURES)
@pytest.mark.parametrize(("mean", "std"), [(-5.0, 0.1), (5.0, 0.1), (5.0, 3.0), (0.0, 1.0)])
def test_the_best_value_is_2_jsd_minus_log_4_in_every_corner(real, mean, std):
    view = GAN1D(real=real, mean=mean, std=std).compute()
    assert view.best == pytest.approx(2 * view.jsd - math.log(4), abs=1e-6)
    assert view.value <= view.best + 1e-9
    assert math.isfinite(view.kl)


def test_the_picture_is_960_wide_and_shows_the_numbers_that_were_computed(gan):
    before = bytes(gan.picture.value)
    gan.run(steps=20)
    assert gan.picture.value != before
    assert int.from_bytes(gan.picture.value[16:20]) == 960
    view, picture = gan.compute(), gan._picture
    assert "after 20 steps of D and 0 of G" in gan.summary.value
    assert f"V(D, G) = {view.value:.4f}".replace("-", "−") in gan.summary.value
    line = picture._answer_lines[0].get_xydata()
    assert np.array_equal(line[:, 1], view.trained[np.abs(view.x) <= 7])
    dots = picture._push_dots[SATURATING].get_xydata()
    assert np.array_equal(dots, np.stack([view.samples, view.pushes[SATURATING]], axis=1))
    assert picture._value_lines[0].get_ydata()[-1] == view.value


# --- D ---


def test_a_trained_d_comes_close_to_the_optimal_one(gan):
    before = gan.compute()
    gan.run(steps=300)
    after = gan.compute()
    assert before.best - before.value > 0.4
    assert 0 <= after.best - after.value < 0.03
    weight = (after.p + after.q) / 2
    error = np.trapezoid(weight * np.abs(after.trained - after.optimal), after.x)
    assert error < 0.06


def test_with_the_articles_signs_d_falls_to_0_for_real_data_too():
    gan = GAN1D(objective=ARTICLE)
    gan.run(steps=100)
    view = gan.compute()
    assert view.trained_on_real < 0.01
    assert view.value < -5
    assert "D gives real data 0" in gan.summary.value or "e-" in gan.summary.value
    start = gan.controls["mean"].value
    gan.controls["g_learns"].value = True
    gan.run(steps=300)
    assert np.isfinite(gan.compute().history).all()
    assert abs(gan.controls["mean"].value - start) < 1  # the data's humps are not found


def test_one_step_of_d_is_torchs_adam_on_the_correct_objective(gan):
    duel = gan.duel
    net = module._small_network(0)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2, betas=(0.5, 0.999))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        real = duel.real.sample(128, generator)[:, None]
        fake = duel.fake.sample(128, generator)[:, None]
        value = torch.sigmoid(net(real)).log().mean() + (1 - torch.sigmoid(net(fake))).log().mean()
        optimizer.zero_grad()
        (-value).backward()
        optimizer.step()
        duel.step_d()
    for ours, theirs in zip(duel.discriminator.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


# --- G ---


@pytest.mark.parametrize("loss", [SATURATING, NON_SATURATING])
@pytest.mark.parametrize("answer", [module.TRAINED, OPTIMAL])
def test_one_step_of_g_is_autograds(loss, answer):
    gan = GAN1D(answer=answer, g_loss=loss, std=0.7)
    duel, generator = gan.duel, torch.Generator().manual_seed(0)
    z = torch.randn(128, dtype=torch.float64, generator=generator)
    mean, log_std = (v.clone().requires_grad_() for v in (duel.mean, duel.log_std))
    q = duel.fake  # D* stands still while G takes its step
    x = mean + log_std.exp() * z
    if answer == OPTIMAL:
        D = duel.real.density(x) / (duel.real.density(x) + q.density(x))
    else:
        D = torch.sigmoid(duel.score(x))
    value = (1 - D).log().mean() if loss == SATURATING else -D.log().mean()
    d_mean, d_log_std = torch.autograd.grad(value, (mean, log_std))
    duel.step_g()
    torch.testing.assert_close(duel.mean, (mean - 0.1 * d_mean).detach())
    torch.testing.assert_close(duel.log_std, (log_std - 0.1 * d_log_std).detach())


def test_when_d_wins_only_the_non_saturating_gradient_is_left():
    gan = GAN1D(real="one hump", mean=-5.0, std=0.3, answer=OPTIMAL)
    pushes = gan.compute().pushes
    assert np.abs(pushes[SATURATING]).max() < 1e-4
    assert np.abs(pushes[NON_SATURATING]).min() > 1
    assert pushes[NON_SATURATING].mean() > 0  # to the right, where the data are


def test_g_finds_the_data_and_its_sliders_follow():
    gan = GAN1D(real="one hump", mean=-3.0, std=0.5, g_learns=True)
    gan.run(steps=300)
    assert gan.controls["mean"].value == gan.duel.mean.item() == pytest.approx(1, abs=0.15)
    assert gan.controls["std"].value == pytest.approx(1, abs=0.2)
    assert not gan._wishes
    assert gan.compute().w1 < 0.2
    assert "after 300 steps of D and 300 of G" in gan.summary.value


def test_its_sliders_move_as_pictures_do_not_as_steps(monkeypatch):
    gan = GAN1D(real="one hump", mean=-3.0, std=0.5, g_learns=True)
    gan.run()
    moves = []
    gan.controls["mean"].observe(moves.append, "value")
    monkeypatch.setattr(player, "SLICE", 0.1)
    gan._next_frame = math.inf
    click(gan, "play")
    tick(gan, 2)
    assert gan.duel.g_steps > 2
    assert not moves
    gan._next_frame = 0.0
    tick(gan)
    assert len(moves) == 1
    assert gan.controls["mean"].value == gan.duel.mean.item()


@pytest.mark.parametrize(("moved", "kept"), [("std", "mean"), ("mean", "std")])
def test_a_slider_moved_between_two_pictures_moves_nothing_but_itself(moved, kept):
    gan = GAN1D(real="one hump", mean=-3.0, std=0.5, g_learns=True)
    gan.run()
    for _step in range(30):
        gan.one_step()  # the sliders lag behind
    at = {"mean": gan.duel.mean.item(), "std": gan.duel.log_std.exp().item()}
    gan.controls[moved].value = 1.5
    tick(gan)
    now = {"mean": gan.duel.mean.item(), "std": gan.duel.log_std.exp().item()}
    assert now == pytest.approx({moved: 1.5, kept: at[kept]})
    assert at[kept] != {"mean": -3.0, "std": 0.5}[kept]


def test_g_is_held_at_the_edge_and_told(gan):
    gan.controls["answer"].value = OPTIMAL
    gan.controls["g_lr"].value = 10.0
    gan.controls["mean"].value = -5.0
    gan.controls["std"].value = 0.1
    tick(gan)
    click(gan, "step_g")
    tick(gan)
    assert "held at the edge" in gan.status.value
    assert -5 <= gan.controls["mean"].value <= 5
    assert math.isfinite(gan.compute().best)


# --- wiring ---


def test_moving_the_densities_keeps_d_and_moves_what_is_best(gan):
    gan.run(steps=10)
    best = gan.compute().best
    weights = [p.clone() for p in gan.duel.discriminator.parameters()]
    gan.controls["mean"].value = 3.0
    gan.controls["real"].value = "one hump"
    gan.run()
    view = gan.compute()
    assert view.d_steps == 10
    assert view.best != best
    assert view.history[-1].tolist() == [10, view.value, view.best]
    assert all(
        torch.equal(a, b) for a, b in zip(weights, gan.duel.discriminator.parameters(), strict=True)
    )


def test_a_new_seed_starts_anew_with_other_weights_and_the_same_seed_with_the_same(gan):
    gan.run(steps=7)
    first = gan.compute().value
    gan.controls["seed"].value = 5
    gan.run(steps=7)
    assert gan.duel.d_steps == 7
    assert gan.compute().value != first
    gan.controls["seed"].value = 0
    gan.run(steps=7)
    assert gan.compute().value == first


def test_the_article_has_no_optimal_d_so_that_pair_is_refused_both_ways(gan):
    gan.run(steps=2)
    before = bytes(gan.picture.value)
    gan.controls["answer"].value = OPTIMAL
    tick(gan)
    gan.controls["objective"].value = ARTICLE
    tick(gan)
    assert "no optimal D" in gan.status.value
    assert gan.controls["objective"].layout.border_top
    assert gan.duel.settings.objective == CORRECT
    assert gan.duel.settings.answer == OPTIMAL
    with pytest.raises(RefusedError, match="no optimal D"):
        gan.run()
    gan.controls["answer"].value = module.TRAINED
    tick(gan)
    assert gan._refused == {}
    assert gan.duel.settings.objective == ARTICLE
    gan.controls["answer"].value = OPTIMAL
    tick(gan)
    assert gan.controls["answer"].layout.border_top
    gan.controls["objective"].value = CORRECT
    tick(gan)
    assert gan._refused == {}
    gan.controls["answer"].value = module.TRAINED
    tick(gan)
    assert gan.picture.value == before
    with pytest.raises(RefusedError, match="no optimal D"):
        GAN1D(objective=ARTICLE, answer=OPTIMAL)


def test_a_recipe_that_names_no_control_is_told():
    with pytest.raises(ValueError, match="got 'learning_rate'"):
        GAN1D(learning_rate=1.0)


@pytest.mark.parametrize("first", BUTTONS)
def test_buttons_in_every_order(gan, first):
    for second in BUTTONS:
        click(gan, first, second)
        tick(gan)
        click(gan, second, first)
        tick(gan)
        assert gan.error is None
        assert gan._refused == {}
        assert bytes(gan.picture.value).startswith(PNG)


def test_play_until_pause(gan):
    click(gan, "play", "play")
    tick(gan, 3)
    assert gan.playing
    click(gan, "pause")
    tick(gan)
    steps = gan.duel.d_steps
    assert steps > 0
    assert gan.duel.g_steps == 0
    tick(gan, 3)
    assert gan.duel.d_steps == steps
    gan.controls["g_learns"].value = True
    click(gan, "play")
    tick(gan, 2)
    assert gan.duel.g_steps == gan.duel.d_steps - steps > 0


def test_single_steps_of_one_leave_the_other(gan):
    weights = [p.clone() for p in gan.duel.discriminator.parameters()]
    click(gan, "step_g")
    tick(gan)
    assert (gan.duel.d_steps, gan.duel.g_steps) == (0, 1)
    assert gan.controls["mean"].value == gan.duel.mean.item() != -1.0
    moved = gan.duel.fake
    assert all(map(torch.equal, weights, gan.duel.discriminator.parameters()))
    click(gan, "step")
    tick(gan)
    assert (gan.duel.d_steps, gan.duel.g_steps) == (1, 1)
    assert gan.duel.fake == moved


def test_reset_puts_g_back_where_the_reader_put_it_and_shows_the_first_picture(gan):
    gan.controls["mean"].value = -2.0
    tick(gan)
    first = bytes(gan.picture.value)
    gan.controls["g_learns"].value = True
    click(gan, "play")
    tick(gan, 3)
    assert gan.duel.mean.item() != -2.0
    click(gan, "reset")
    tick(gan, 2)
    assert (gan.playing, gan.duel.d_steps, gan.duel.g_steps) == (False, 0, 0)
    assert gan.controls["mean"].value == -2.0
    assert gan.picture.value == first


def test_an_error_is_shown_pauses_and_the_next_wish_goes_on(gan, monkeypatch):
    def broken(self):
        raise RuntimeError("D is on <strike>")

    click(gan, "play")
    with monkeypatch.context() as patch:
        patch.setattr(module.Duel, "step_d", broken)
        tick(gan)
        assert "RuntimeError: D is on &lt;strike&gt;" in gan.status.value
        assert not gan.playing
        with pytest.raises(RuntimeError, match="on <strike>"):
            gan.run(steps=1)
    click(gan, "step")
    tick(gan)
    assert gan.error is None
    assert gan.duel.d_steps == 1
