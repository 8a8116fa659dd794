"""Supervised training against a plain loop, and on the embedded digits."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings, StreamRun
from tests.trained import classifier, digits


@pytest.fixture
def data():
    images = torch.rand(53, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return LabelledImages(images, torch.arange(53) % 10, "digits")


@pytest.fixture
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 11), nn.Tanh(), nn.Linear(11, 10))


def plain_steps(model, data, settings, seed):
    """What every tutorial writes, with the settings of each step; loss and accuracy of each."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters())
    measured = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for setting in settings:
            optimizer.param_groups[0].update(lr=setting.lr, weight_decay=setting.weight_decay)
            index = torch.randint(len(data), (setting.batch_size,))
            scores = model(data.images[index])
            loss = F.cross_entropy(scores, data.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right = sum(scores.argmax(1) == data.labels[index])
            measured.append((loss.item(), right.item() / setting.batch_size))
    return model, measured


def assert_same_weights(ours, theirs):
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p, q, rtol=1e-4, atol=1e-6)


def test_steps_equal_a_plain_loop(model, data):
    settings = ClassifierSettings(lr=1e-2, weight_decay=0.3, batch_size=5)
    expected, measured = plain_steps(model, data, [settings] * 7, seed=11)
    run = ClassifierRun(model, data, settings=settings, seed=11)
    for record, (loss, accuracy) in zip(run.take(7), measured, strict=True):
        assert record["loss"] == pytest.approx(loss, rel=1e-4)
        assert record["accuracy"] == pytest.approx(accuracy)
    assert_same_weights(model, expected)


def test_settings_changed_on_the_way_count_from_the_next_step(model, data):
    settings = [
        ClassifierSettings(1e-2, 0.3, 5),
        ClassifierSettings(3e-2, 0.3, 5),
        ClassifierSettings(3e-2, 0.7, 5),
        ClassifierSettings(3e-2, 0.7, 3),
    ]
    expected, _ = plain_steps(model, data, settings, seed=11)
    run = ClassifierRun(model, data, settings=copy.copy(settings[0]), seed=11)
    for setting in settings:
        for name, value in vars(setting).items():
            setattr(run.settings, name, value)
        next(run)
    assert_same_weights(model, expected)
    changed = [(change.step, change.name) for change in run.changes]
    assert changed == [(2, "lr"), (3, "weight_decay"), (4, "batch_size")]


def test_the_seed_decides_which_batches_are_drawn(model, data):
    losses = [
        [record["loss"] for record in ClassifierRun(copy.deepcopy(model), data, seed=seed).take(3)]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_inputs_take_the_images_place(model, data):
    inputs = 0.5 * data.images.flatten(1) + 1
    same = LabelledImages(inputs.view(-1, 1, 28, 28), data.labels, "digits")
    expected = [record["loss"] for record in ClassifierRun(copy.deepcopy(model), same).take(3)]
    run = ClassifierRun(model, data, inputs=inputs)
    assert [record["loss"] for record in run.take(3)] == expected
    with pytest.raises(ValueError, match="an input for each of 53 images, got 52"):
        ClassifierRun(model, data, inputs=inputs[1:])


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1e-3), ("lr", math.nan), ("weight_decay", -0.1), ("batch_size", 0)],
)
def test_settings_out_of_range_are_refused_and_nothing_changes(model, data, name, value):
    run = ClassifierRun(model, data)
    before = copy.deepcopy(model)
    setattr(run.settings, name, value)
    with pytest.raises(ValueError, match=rf"need lr >= 0.*{name}={value}"):
        next(run)
    assert run.step == 0
    assert all(map(torch.equal, model.parameters(), before.parameters()))
    with pytest.raises(ValueError, match="need lr >= 0"):
        ClassifierRun(model, data, settings=ClassifierSettings(**{name: value}))


def test_it_learns_a_small_batch_by_heart(model, data):
    few = LabelledImages(data.images[:7], data.labels[:7], "digits")
    run = ClassifierRun(model, few, settings=ClassifierSettings(lr=1e-2))
    for _ in run.take(60):
        pass
    assert run.history["loss"][-1] < 0.1
    assert (model(few.images).argmax(1) == few.labels).all()


def test_it_learns_the_embedded_digits():
    """As the judge of generators is trained: 400 steps, a falling rate (see `metrics`)."""
    network, test = classifier(), digits("test")
    right = network(test.images).argmax(1) == test.labels
    assert right.double().mean() >= 0.95


def test_a_stream_trains_as_the_plain_loop_does_on_what_it_draws(model):
    """Each batch is new, of the size that holds now, and drawn by the run's own generator."""
    sizes = []

    def draw(count):
        sizes.append(count)
        return torch.randn(count, 1, 28, 28), torch.randint(10, (count,))

    theirs = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.3)
    run = StreamRun(model, draw, settings=ClassifierSettings(1e-2, 0.3, 5), seed=11)
    losses = [record["loss"] for record in run.take(3)]
    run.settings.batch_size = 7
    losses += [record["loss"] for record in run.take(2)]
    assert sizes == [5, 5, 5, 7, 7]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        for count, found in zip(sizes[:], losses, strict=True):
            images, labels = draw(count)
            loss = F.cross_entropy(theirs(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert found == pytest.approx(loss.item(), rel=1e-4)
    assert_same_weights(model, theirs)
