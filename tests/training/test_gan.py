"""Adversarial training against plain loops."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.models.gan import LOSSES, ConvGenerator, MLPDiscriminator, MLPGenerator, make_gan
from bigmodel_lib.training import GANRun, GANSettings, NotFiniteError


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(53, 1, 28, 28, generator=generator) * 2 - 1
    return LabelledImages(images, torch.arange(53) % 10, "digits")


def small(seed=0, Z=7):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MLPGenerator(Z, (11,)), MLPDiscriminator((13,))


def gan_run(data, nets=None, Z=7, **settings):
    return GANRun(*(nets or small(Z=Z)), data, Z=Z, settings=GANSettings(**settings))


@pytest.mark.parametrize("d_steps", [1, 3])
def test_steps_equal_a_plain_bce_loop(data, d_steps):
    """Keras's way: labels 1 and 0, binary cross-entropy of probabilities, D frozen for G."""
    settings = GANSettings(batch_size=5, d_lr=1e-3, g_lr=2e-3, d_steps=d_steps)
    run = GANRun(*small(), data, Z=7, settings=settings, seed=0)
    G, D = small()
    d_optimizer = torch.optim.Adam(D.parameters(), 1e-3, betas=(0.5, 0.999))
    g_optimizer = torch.optim.Adam(G.parameters(), 2e-3, betas=(0.5, 0.999))
    torch.manual_seed(0)
    for _ in range(7):
        for _ in range(d_steps):
            z = torch.randn(5, 7)
            real = data.images[torch.randint(53, (5,))]
            with torch.no_grad():
                fake = G(z)
            guess = torch.sigmoid(torch.cat([D(real), D(fake)]))
            truth = torch.cat([torch.ones(5), torch.zeros(5)])
            d_loss = 2 * F.binary_cross_entropy(guess, truth)
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()
        g_loss = F.binary_cross_entropy(torch.sigmoid(D(G(z))), torch.ones(5))
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        record = next(run)
        assert record["d_loss"] == pytest.approx(d_loss.item(), rel=1e-4)
        assert record["g_loss"] == pytest.approx(g_loss.item(), rel=1e-4)
    for ours, theirs in zip(run.generator.parameters(), G.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def parameters(net):
    return [p.detach().clone() for p in net.parameters()]


def same(before, net):
    return all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


def test_a_step_of_d_alone_leaves_g_and_the_other_way_round(data):
    run = gan_run(data, batch_size=5)
    g, d = parameters(run.generator), parameters(run.discriminator)
    assert "g_loss" not in run.step_discriminator().values
    assert same(g, run.generator)
    assert not same(d, run.discriminator)
    d = parameters(run.discriminator)
    assert "d_loss" not in run.step_generator().values
    assert same(d, run.discriminator)
    assert not same(g, run.generator)
    assert run.step == 2


def test_the_generators_step_leaves_no_gradient_in_d(data):
    run = gan_run(data, batch_size=5)
    run.step_generator()
    assert all(p.grad is None for p in run.discriminator.parameters())
    assert all(p.requires_grad for p in run.discriminator.parameters())


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("conditional", [False, True])
def test_every_loss_trains_every_kind_for_some_steps(data, loss, conditional):
    nets = make_gan("conditional" if conditional else "article")
    run = gan_run(data, nets, Z=100, loss=loss, batch_size=3)
    records = list(run.take(3))
    names = {"d_loss", "g_loss", "d_real", "d_fake", "d_grad", "g_grad"}
    assert set(records[-1].values) == names
    assert all(torch.isfinite(column).all() for column in run.history.values())


def test_live_settings_reach_the_optimisers(data):
    run = gan_run(data, batch_size=5)
    next(run)
    run.settings.d_lr, run.settings.beta1, run.settings.batch_size = 0.0, 0.1, 2
    d, g = parameters(run.discriminator), parameters(run.generator)
    next(run)
    assert same(d, run.discriminator)  # its rate is 0
    assert not same(g, run.generator)
    (group,) = run.optimizers["g_optimizer"].param_groups
    assert group["betas"] == (0.1, 0.999)
    assert [change.name for change in run.changes] == ["d_lr", "beta1", "batch_size"]


def test_resumed_the_next_step_is_the_same_to_the_bit(data, tmp_path):
    run = gan_run(data, make_gan("conditional"), Z=100, batch_size=5)
    list(run.take(3))
    run.save(tmp_path / "x")
    twin = gan_run(data, make_gan("conditional", seed=8), Z=100, batch_size=2)
    twin.load(tmp_path / "x")
    for _ in range(3):
        ours, theirs = next(run), next(twin)
        assert {k: ours[k] for k in ours.values} == {k: theirs[k] for k in theirs.values}
    noise, labels = run.noise(4)
    assert torch.equal(run.sample(noise, labels), twin.sample(noise, labels))


def test_a_loss_that_explodes_is_told_and_undone(data):
    run = gan_run(data, batch_size=5, loss="wasserstein")
    list(run.take(3))
    run.settings.d_lr = 1e38
    with pytest.raises(NotFiniteError, match="1e\\+38"):
        list(run.take(50))
    assert all(p.isfinite().all() for net in run.modules.values() for p in net.parameters())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("loss", "hinges"),
        ("d_lr", -1e-3),
        ("g_lr", float("nan")),
        ("g_lr", float("inf")),
        ("beta1", 1.0),
        ("beta2", -0.1),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("d_steps", 0),
    ],
)
def test_settings_out_of_range_are_named(setting, value):
    with pytest.raises(ValueError, match=f"{setting}.*{value}"):
        GANSettings(**{setting: value}).check()


def test_a_generator_of_another_size_is_told_before_the_first_step(data):
    class Small(nn.Module):
        layer = nn.Linear(7, 9)

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(7, 9)

        def forward(self, z):
            return self.layer(z).view(-1, 1, 3, 3)

    with pytest.raises(ValueError, match=r"into images \(2, 1, 28, 28\), got \(2, 1, 3, 3\)"):
        GANRun(Small(), MLPDiscriminator((13,)), data, Z=7)


def test_a_discriminator_with_two_scores_is_refused(data):
    two = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    with pytest.raises(ValueError, match="need 2 for 2 images, got 4"):
        GANRun(small()[0], two, data, Z=7)


def test_samples_use_batch_norm_as_at_test_time(data):
    run = gan_run(data, (ConvGenerator(7, 3), MLPDiscriminator((13,))), batch_size=5)
    list(run.take(2))
    buffers = copy.deepcopy(dict(run.generator.named_buffers()))
    noise, _ = run.noise(4)
    together, alone = run.sample(noise), run.sample(noise[:1])
    torch.testing.assert_close(together[:1], alone)
    assert run.generator.training
    assert all(torch.equal(b, buffers[n]) for n, b in run.generator.named_buffers())


def test_noise_is_the_same_whenever_asked(data):
    run = gan_run(data, make_gan("conditional"), Z=100)
    (z, labels), (again, _) = run.noise(13), run.noise(13)
    assert torch.equal(z, again)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
