"""Four principles: each loss by its parts, and each learns a ring of few humps."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Independent, Normal, kl_divergence
from torch.testing import assert_close

from bigmodel_lib.data.plane import Ring
from bigmodel_lib.metrics import wasserstein
from bigmodel_lib.models.principles import (
    PRINCIPLES,
    Adversarial,
    Autoregressive,
    PlaneDenoiser,
    Variational,
)
from bigmodel_lib.training.density import DensityRun, DensitySettings

B = 7


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def gradients(module):
    return torch.cat([weight.grad.flatten() for weight in module.parameters()])


def test_each_adversarys_gradient_is_that_of_its_own_loss():
    model, x = Adversarial(11, 3), torch.randn(B, 2)
    torch.manual_seed(1)
    total = model.loss(x)
    total.backward()
    ours = gradients(model.generator), gradients(model.discriminator)
    torch.manual_seed(1)
    z = torch.empty(B, 3).normal_()
    sums = []
    for learner, of in (
        (model.generator, "generator"),
        (model.discriminator, "discriminator"),
    ):
        model.zero_grad()
        real, fake = model.discriminator(x).sigmoid(), model.discriminator(model.generator(z))
        d_loss = -real.log().mean() - (1 - fake.sigmoid()).log().mean()
        loss = d_loss if of == "discriminator" else -fake.sigmoid().log().mean()
        loss.backward()
        sums.append(loss.item())
        assert_close(ours[of == "discriminator"], gradients(learner), rtol=1e-4, atol=1e-6)
    assert total.item() == pytest.approx(sum(sums), rel=1e-5)


def test_the_variational_loss_is_the_bound_by_torchs_distributions():
    model, x = Variational(11, 3), torch.randn(B, 2)
    torch.manual_seed(1)
    loss = model.loss(x)
    torch.manual_seed(1)
    mean, log_variance = model.encoder(x).chunk(2, dim=1)
    q = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    z = q.base_dist.mean + q.base_dist.stddev * torch.randn(B, 3)
    p = Independent(Normal(model.decoder(z), model.log_s.exp()), 1)
    prior = Independent(Normal(torch.zeros(B, 3), 1.0), 1)
    expected = (kl_divergence(q, prior) - p.log_prob(x)).mean() - math.log(2 * math.pi)
    assert_close(loss, expected)


def test_variational_samples_have_the_decoders_spread():
    model = Variational(11, 3)
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.zero_()
    assert_close(model.sample(10_007).std(dim=0), model.log_s.exp().expand(2), rtol=0.05, atol=0)


def test_the_autoregressive_loss_is_the_log_of_its_density():
    model, x = Autoregressive(11, 5, 2.0), torch.randn(B, 2)
    model.first.data.normal_()
    p1 = model.first.softmax(dim=0)
    log_p = []
    for b1, b2 in model.bins(x).tolist():
        p2 = model.second(torch.tensor([b1])).softmax(dim=1)[0]
        log_p.append((p1[b1] * p2[b2]).log())
    assert_close(model.loss(x), -torch.stack(log_p).mean())


def test_bins_cover_the_plane_evenly():
    model = Autoregressive(11, 5, 2.0)  # bins 0.8 wide, from -2
    x = torch.tensor([[-9.0, -1.99], [-1.21, -1.19], [0.0, 1.99], [2.01, 9.0]])
    assert model.bins(x).tolist() == [[0, 0], [0, 1], [2, 4], [4, 4]]


def test_autoregressive_samples_follow_both_tables():
    model = Autoregressive(11, 5, 2.0)
    model.first.data.normal_()
    x = model.sample(40_009)
    assert x.abs().max() <= 2
    counts = torch.zeros(5, 5).index_put(tuple(model.bins(x).T), torch.ones(()), accumulate=True)
    with torch.no_grad():
        p = model.first.softmax(dim=0)[:, None] * model.second(torch.arange(5)).softmax(dim=1)
    assert_close(counts / len(x), p, rtol=0, atol=0.012)
    inside = ((x + 2) / 0.8) % 1  # anywhere in the bin
    assert_close(inside.mean(dim=0), torch.full((2,), 0.5), rtol=0, atol=0.01)
    assert_close(inside.std(dim=0), torch.full((2,), 12**-0.5), rtol=0, atol=0.01)


def test_the_denoiser_is_told_the_time_and_each_point_its_own():
    net, x = PlaneDenoiser(13, 11), torch.randn(1, 2).expand(3, 2)
    out = net(x, torch.tensor([0, 13, 13]))
    assert (out[0] - out[1]).abs().max() > 1e-4
    assert_close(out[1], out[2])


@pytest.mark.parametrize("make", PRINCIPLES.values(), ids=PRINCIPLES)
def test_samples_are_points_without_a_graph(make):
    points = make(11).sample(B)
    assert points.shape == (B, 2)
    assert not points.requires_grad
    assert F.mse_loss(points[0], points[1]) > 0


def test_only_one_of_them_has_a_discriminator():
    having = [name for name, make in PRINCIPLES.items() if hasattr(make(11), "discriminator")]
    assert having == ["adversarial"]


@pytest.mark.parametrize("make", PRINCIPLES.values(), ids=PRINCIPLES)
def test_each_learns_three_humps(make):
    ring = Ring(3, 1.5, 0.3)
    points = ring.sample(1009)
    model = make(32)
    before = wasserstein(model.sample(499), points[:499])
    run = DensityRun(model, points, settings=DensitySettings(beta1=0.5, batch_size=128))
    for record in run.take(400):
        run.settings.lr = 0.005 * (1 - record.step / 401)
    samples = model.sample(499)
    assert (ring.shares(samples) > 0.1).all()
    assert wasserstein(samples, points[:499]) < before / 2
