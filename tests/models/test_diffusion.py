"""Diffusion against closed forms: where the data is Gaussian, everything is known."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.diffusion import Diffusion, cosine_betas, linear_betas
from bigmodel_lib.models.principles import mlp

F64 = torch.float64
B, T = 3, 11


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Exact(nn.Module):
    """The best answer where x_0 ~ N(mean, std²): E[ε | x_t], by the rule for joint normals."""

    def __init__(self, betas, mean, std):
        super().__init__()
        self.alpha_bar = torch.cat([torch.ones(1, dtype=F64), (1 - betas).cumprod(0)])
        self.mean, self.std = mean, std

    def forward(self, x, t):
        alpha = self.alpha_bar[t].view(-1, *[1] * (x.ndim - 1))
        variance = alpha * self.std**2 + 1 - alpha
        return (1 - alpha).sqrt() / variance * (x - alpha.sqrt() * self.mean)


def make(betas=None, mean=2.0, std=0.5):
    betas = linear_betas(T, 0.01, 0.3) if betas is None else betas
    return Diffusion(Exact(betas, mean, std), betas)


# --- schedules ---


def test_linear_betas_are_those_of_the_paper():
    betas = linear_betas()
    assert (len(betas), betas[0].item(), betas[-1].item()) == (1000, 1e-4, 0.02)
    assert_close(betas.diff(), torch.full((999,), 0.0199 / 999, dtype=F64))
    assert make(betas).alpha_bar[-1] < 1e-4


@pytest.mark.parametrize("steps", [2, 13, 1000])
def test_cosine_betas_give_a_squared_cosine(steps):
    betas = cosine_betas(steps)
    alpha_bar = make(betas).alpha_bar
    for t in range(steps):  # the last one is cut off at 0.999
        f = [math.cos((u / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for u in (t, 0)]
        assert alpha_bar[t].item() == pytest.approx(f[0] / f[1])
    assert betas[-1] == pytest.approx(0.999)
    assert (betas > 0).all()


# --- forward ---


def test_one_leap_equals_all_small_steps():
    """Chaining q(x_t | x_{t−1}) = N(√(1 − β) x, β), eq. 2 of Ho et al., gives eq. 4."""
    betas = linear_betas(T, 0.01, 0.3)
    model, factor, variance = make(betas), 1.0, 0.0
    for t, beta in enumerate(betas.tolist(), 1):
        factor, variance = factor * math.sqrt(1 - beta), variance * (1 - beta) + beta
        x, zero = torch.ones(B, 2), torch.zeros(B, 2)
        times = torch.full((B,), t)
        assert_close(model.noised(x, times, zero), factor * x)
        assert_close(model.noised(zero, times, x), math.sqrt(variance) * x)


def test_each_example_has_its_own_time_whatever_its_shape():
    x, noise, t = torch.randn(B, 2, 5, 7), torch.randn(B, 2, 5, 7), torch.tensor([0, 3, T])
    model = make()
    together = model.noised(x, t, noise)
    for i in range(B):
        alpha = model.alpha_bar[t[i]].item()
        assert_close(together[i], math.sqrt(alpha) * x[i] + math.sqrt(1 - alpha) * noise[i])
    assert_close(together[0], x[0])


# --- the loss ---


def test_the_loss_is_that_of_a_plain_loop():
    model, x = make(), torch.randn(B, 5)
    torch.manual_seed(1)
    loss = model.loss(x)
    torch.manual_seed(1)
    t, noise = torch.randint(1, T + 1, (B,)), torch.randn(B, 5)
    errors = []
    for i in range(B):
        alpha = model.alpha_bar[t[i]].item()
        noisy = math.sqrt(alpha) * x[i] + math.sqrt(1 - alpha) * noise[i]
        guess = model.denoiser(noisy[None], t[i : i + 1])[0]
        errors += ((noise[i] - guess) ** 2).tolist()
    assert_close(loss.item(), sum(errors) / len(errors), rtol=1e-5, atol=0)


def test_all_times_are_drawn_and_no_other():
    seen = []

    class Listens(nn.Module):
        def forward(self, x, t):
            seen.extend(t.tolist())
            return x

    Diffusion(Listens(), linear_betas(5)).loss(torch.zeros(1009, 1))
    counts = torch.bincount(torch.tensor(seen), minlength=7)
    assert counts[0] == counts[6] == 0
    assert (counts[1:6] > 1009 / 5 * 0.7).all()


def test_no_denoiser_has_a_lower_loss_than_the_exact_one():
    x = 2 + 0.5 * torch.randn(20_011, 1)
    losses = {}
    for mean, std in ((2.0, 0.5), (1.8, 0.5), (2.2, 0.5), (2.0, 0.4), (2.0, 0.65)):
        model = make()
        model.denoiser.mean, model.denoiser.std = mean, std
        torch.manual_seed(1)  # the same times and noise for all
        losses[mean, std] = model.loss(x).item()
    assert min(losses, key=losses.get) == (2.0, 0.5)


# --- backward ---


def test_the_start_undoes_the_noise():
    model, x, noise = make(), torch.randn(B, 5), torch.randn(B, 5)
    for t in (1, 4, T):
        noisy = model.noised(x, torch.full((B,), t), noise)
        assert_close(model.start(noisy, t, noise), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("t", "to"), [(1, 0), (2, 1), (T, T - 1), (T, 4), (7, 0)])
def test_a_full_step_draws_from_the_posterior(t, to):
    """q(x_s | x_t, x_0) by conditioning the joint normal of (x_s, x_t), nothing of Ho's eq. 7."""
    model, x, noise = make(), torch.tensor([[0.7]], dtype=F64), torch.tensor([[-1.3]], dtype=F64)
    alpha, after = model.alpha_bar[t], model.alpha_bar[to]
    noisy = alpha.sqrt() * x + (1 - alpha).sqrt() * noise
    ratio = (alpha / after).sqrt()  # x_t = ratio · x_s + fresh noise
    covariance = ratio * (1 - after)
    mean = after.sqrt() * x + covariance / (1 - alpha) * (noisy - alpha.sqrt() * x)
    variance = 1 - after - covariance**2 / (1 - alpha)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    at_mean = model.step(noisy, t, to, noise, 1.0, zero)
    assert_close(at_mean, mean)
    assert_close((model.step(noisy, t, to, noise, 1.0, one) - at_mean) ** 2, variance.view(1, 1))


@pytest.mark.parametrize("t", [2, 5, T])
def test_a_step_is_that_of_algorithm_2(t):
    """(x − β/√(1 − ᾱ) ε)/√α + σ z, with σ² = (1 − ᾱ_{t−1})/(1 − ᾱ_t) β."""
    betas = linear_betas(T, 0.01, 0.3)
    model, (x, noise, z) = make(betas), torch.randn(3, B, 5, dtype=F64)
    beta, bar, before = betas[t - 1], model.alpha_bar[t], model.alpha_bar[t - 1]
    sigma = ((1 - before) / (1 - bar) * beta).sqrt()
    expected = (x - beta / (1 - bar).sqrt() * noise) / (1 - beta).sqrt() + sigma * z
    assert_close(model.step(x, t, t - 1, noise, 1.0, z), expected)


@pytest.mark.parametrize(("steps", "eta"), [(None, 1.0), (None, 0.0), (50, 0.0), (50, 0.5)])
def test_with_the_exact_noise_samples_have_the_datas_mean_and_spread(steps, eta):
    model = make(cosine_betas(200))
    x = model.sample(torch.randn(20_011, 1, dtype=F64), steps=steps, eta=eta)
    assert x.mean().item() == pytest.approx(2.0, abs=0.02)
    assert x.std().item() == pytest.approx(0.5, abs=0.02)


def test_ddim_carries_each_normal_point_along_its_quantile():
    """Without fresh noise the map from x_T to x_0 is monotone: 2 + 0.5 x_T, in the limit."""
    x = torch.linspace(-2, 2, 9, dtype=F64)[:, None]
    assert_close(make(cosine_betas(1000)).sample(x, eta=0.0), 2 + 0.5 * x, rtol=0, atol=0.02)


def test_only_eta_0_gives_the_same_each_time():
    model, x = make(), torch.randn(B, 5)
    assert torch.equal(model.sample(x, eta=0.0), model.sample(x, eta=0.0))
    assert not torch.equal(model.sample(x), model.sample(x))


def test_the_path_visits_its_times_and_ends_in_the_sample():
    model, x = make(), torch.randn(B, 5)
    path = list(model.path(x, steps=4, eta=0.0))
    assert [t for t, _x in path] == [8, 6, 3, 0]
    assert torch.equal(path[-1][1], model.sample(x, steps=4, eta=0.0))
    assert [t for t, _x in model.path(x)] == list(range(T - 1, -1, -1))


def test_stations_are_the_path_with_what_was_found_in_each():
    model, x = make(), torch.randn(B, 5)
    *before, (last, data, none) = model.stations(x, steps=4, eta=0.0)
    path = [(T, x), *model.path(x, steps=4, eta=0.0)]
    assert [t for t, _x, _noise in before] + [last] == [t for t, _x in path]
    for (t, x_t, noise), (_t, expected) in zip(before, path, strict=False):
        assert torch.equal(x_t, expected)
        assert torch.equal(noise, model.denoiser(x_t, torch.full((B,), t)))
    assert torch.equal(data, path[-1][1])
    assert torch.equal(model.start(data, last, none), data)


def test_the_condition_reaches_the_denoiser():
    class Told(nn.Module):
        def forward(self, x, t, label):
            return x * 0 + label[:, None]

    model, labels = Diffusion(Told(), linear_betas(T)), torch.tensor([0.0, 5.0, -5.0])
    assert model.loss(torch.zeros(B, 2), labels) > 10
    x = model.sample(torch.zeros(B, 2), labels, eta=0.0)
    assert x[1, 0] < x[0, 0] < x[2, 0]


def test_a_network_learns_two_points():
    """Overfit: ±1 in one dimension."""

    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 32, 32, 1)

        def forward(self, x, t):
            return self.net(torch.cat([x, t[:, None] / 20], dim=1))

    model = Diffusion(Denoiser(), cosine_betas(20))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    data = torch.tensor([[-1.0], [1.0]]).repeat(64, 1)
    for _ in range(300):
        optimizer.zero_grad()
        model.loss(data).backward()
        optimizer.step()
    x = model.sample(torch.randn(211, 1))
    assert ((x.abs() - 1).abs() < 0.25).float().mean() > 0.75  # of pure noise 0.24
    assert 0.3 < (x > 0).float().mean() < 0.7


# --- data of known reach ---


def test_a_start_beyond_the_reach_is_drawn_back_and_the_noise_follows():
    """Of x_t = √ᾱ x̂_0 + √(1 − ᾱ) ε, x̂_0 is cut off and ε makes up for it."""
    betas = linear_betas(T, 0.01, 0.3)
    model = Diffusion(nn.Identity(), betas, reach=0.5)
    x, noise = torch.randn(2, B, 50, dtype=F64)
    t, to = 7, 4
    alpha, after = model.alpha_bar[t], model.alpha_bar[to]
    start = (x - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    inside = start.abs() <= 0.5
    assert 0 < inside.sum() < inside.numel()
    assert_close(model.start(x, t, noise), start.clip(-0.5, 0.5))
    stepped = model.step(x, t, to, noise, 0.0, noise)
    free = Diffusion(nn.Identity(), betas).step(x, t, to, noise, 0.0, noise)
    assert_close(stepped[inside], free[inside])
    followed = (x - alpha.sqrt() * start.clip(-0.5, 0.5)) / (1 - alpha).sqrt()
    assert_close(stepped, after.sqrt() * start.clip(-0.5, 0.5) + (1 - after).sqrt() * followed)


def test_few_steps_with_a_wrong_denoiser_stay_within_the_reach():
    class Wrong(nn.Module):
        def forward(self, x, t):
            return 0.9 * x

    x = torch.randn(1009, 2)
    for reach, high in ((None, 5.0), (1.0, 1.0)):
        most = Diffusion(Wrong(), cosine_betas(100), reach).sample(x, steps=2, eta=0.0).abs().max()
        assert most > high if reach is None else most <= high


# --- errors ---


@pytest.mark.parametrize("betas", [torch.ones(3, 2) / 2, torch.tensor([0.0]), torch.tensor([1.0])])
def test_betas_out_of_range_are_refused(betas):
    with pytest.raises(ValueError, match=r"need betas \(T,\) in \(0, 1\), got"):
        Diffusion(nn.Identity(), betas)


@pytest.mark.parametrize("reach", [0.0, -1.0])
def test_a_reach_of_nothing_is_refused(reach):
    with pytest.raises(ValueError, match=f"need reach > 0 or None, got {reach}"):
        Diffusion(nn.Identity(), linear_betas(T), reach)


def test_what_cannot_be_is_refused():
    model, x = make(), torch.zeros(B, 2)
    with pytest.raises(ValueError, match=r"need x \(B, …\), t \(B,\) and noise like x, got \(3, 2"):
        model.noised(x, torch.zeros(2, dtype=torch.long), x)
    for t, to, eta in ((0, 0, 1), (3, 3, 1), (T + 1, 0, 1), (3, 2, 1.1), (3, -1, 0)):
        with pytest.raises(ValueError, match="need 0 <= to < t <= 11, eta in"):
            model.step(x, t, to, x, eta, x)
    for steps in (0, T + 1):
        with pytest.raises(ValueError, match=f"need steps from 1 to 11, got {steps}"):
            model.sample(x, steps=steps)
