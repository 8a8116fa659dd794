"""Training of the VAE against a plain loop, and on the embedded digits."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.models.vae import VAE
from bigmodel_lib.training.vae import VAERun, VAESettings
from tests.trained import digits


@pytest.fixture
def data():
    images = torch.rand(53, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return LabelledImages(images, torch.arange(53) % 10, "digits")


@pytest.fixture
def model():
    return make_model(7)


def make_model(Z):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VAE(Z, 5)


def few_digits():
    train = digits("train")
    return LabelledImages(train.images[:61], train.labels[:61], "digits")


def plain_steps(model, data, settings, seed):
    """What every tutorial writes, with the settings of each step; what each step measured."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters())
    measured = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for setting in settings:
            optimizer.param_groups[0]["lr"] = setting.lr
            images = data.images[torch.randint(len(data), (setting.batch_size,))]
            mu, log_var = model.encoder(images).chunk(2, dim=1)
            logits = model.decoder(mu + torch.exp(0.5 * log_var) * torch.randn_like(mu))
            y = (images + 1) / 2
            bce = F.binary_cross_entropy(logits.sigmoid(), y, reduction="sum") / len(images)
            kl = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp()) / len(images)
            loss = bce + setting.beta * kl
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            measured.append((loss.item(), bce.item(), kl.item()))
    return model, measured


def assert_same_weights(ours, theirs):
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p, q, rtol=1e-3, atol=1e-5)


def test_steps_equal_a_plain_loop(model, data):
    settings = VAESettings(lr=1e-3, beta=3.0, batch_size=5)
    expected, measured = plain_steps(model, data, [settings] * 7, seed=11)
    run = VAERun(model, data, settings=settings, seed=11)
    for record, values in zip(run.take(7), measured, strict=True):
        got = [record[name] for name in ("loss", "reconstruction", "kl")]
        assert got == pytest.approx(values, rel=1e-3)
    assert_same_weights(model, expected)


def test_settings_changed_on_the_way_count_from_the_next_step(model, data):
    settings = [
        VAESettings(1e-3, 1.0, 5),
        VAESettings(3e-3, 1.0, 5),
        VAESettings(3e-3, 50.0, 5),
        VAESettings(3e-3, 50.0, 3),
    ]
    expected, _ = plain_steps(model, data, settings, seed=11)
    run = VAERun(model, data, settings=copy.copy(settings[0]), seed=11)
    for setting in settings:
        for name, value in vars(setting).items():
            setattr(run.settings, name, value)
        next(run)
    assert_same_weights(model, expected)
    changed = [(change.step, change.name) for change in run.changes]
    assert changed == [(2, "lr"), (3, "beta"), (4, "batch_size")]


def test_the_seed_decides_what_is_drawn(model, data):
    losses = [
        [record["loss"] for record in VAERun(copy.deepcopy(model), data, seed=seed).take(3)]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_checkpoint_carries_on(model, data, tmp_path):
    run = VAERun(model, data, seed=5)
    list(run.take(2))
    run.save(tmp_path / "run.safetensors")
    expected = [record["loss"] for record in run.take(3)]
    other = VAERun(make_model(7), data)
    other.load(tmp_path / "run.safetensors")
    assert [record["loss"] for record in other.take(3)] == expected


def train(beta, steps=120):
    settings = VAESettings(lr=1e-2, beta=beta, batch_size=31)
    run = VAERun(make_model(2), few_digits(), settings=settings)
    list(run.take(steps))
    return {name: values for name, values in run.history.items() if name != "step"}


def test_it_learns_a_few_digits_and_beta_sets_the_balance():
    """At β = 30 the codes say nothing, and each image is shown the mean of all; at 1 they tell."""
    small, great = train(beta=1.0), train(beta=30.0)
    for history in (small, great):
        assert history["loss"][-20:].mean() < 0.7 * history["loss"][0]
    small, great = ({k: v[-20:].mean().item() for k, v in h.items()} for h in (small, great))
    assert great["kl"] < 0.1  # nats per image, as all of these
    assert small["kl"] > 2
    assert great["reconstruction"] > small["reconstruction"] + 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1e-3),
        ("lr", math.nan),
        ("beta", -0.1),
        ("beta", math.inf),
        ("batch_size", 0),
        ("batch_size", 2.5),
    ],
)
def test_settings_out_of_range_are_refused_and_nothing_changes(model, data, name, value):
    run = VAERun(model, data)
    before = copy.deepcopy(model)
    setattr(run.settings, name, value)
    with pytest.raises(ValueError, match=rf"need {name} .*got {value}"):
        next(run)
    assert run.step == 0
    assert all(map(torch.equal, model.parameters(), before.parameters()))
    with pytest.raises(ValueError, match=f"need {name}"):
        VAERun(model, data, settings=VAESettings(**{name: value}))


@pytest.mark.parametrize("value", [-1.5, 255.0, math.nan])
def test_images_outside_their_range_are_refused(model, data, value):
    data.images[3, 0, 5, 7] = value
    with pytest.raises(ValueError, match=r"need images in \[-1, 1\], got values from"):
        VAERun(model, data)


def test_no_images_are_refused(model, data):
    none = LabelledImages(data.images[:0], data.labels[:0], "digits")
    with pytest.raises(ValueError, match="need at least one image, got none"):
        VAERun(model, none)


def test_a_conditional_model_is_told_the_labels(data):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = VAE(3, 5, num_classes=10)
    before = model.decoder[0].weight.detach().clone()
    list(VAERun(model, data).take(2))
    moved = (model.decoder[0].weight - before).abs().sum(dim=0)
    assert (moved[3:] > 0).all()  # the columns of all ten classes
