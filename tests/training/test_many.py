"""Networks trained side by side, against the same networks trained one after the other."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings
from bigmodel_lib.training.many import ManyRun, Stacked

M, B = 3, 5


def make_network(width=11, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 2, 7, stride=7),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32, width),
            nn.Tanh(),
            nn.Linear(width, 10),
        )


@pytest.fixture
def networks():
    return [make_network(seed=m) for m in range(M)]


@pytest.fixture
def data():
    images = torch.rand(53, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return LabelledImages(images, torch.arange(53) % 10, "digits")


# --- one module of many ---


@pytest.mark.parametrize("shared", [False, True])
def test_each_network_gives_its_own_output(networks, data, shared):
    batches = data.images[:B] if shared else data.images[: M * B].view(M, B, 1, 28, 28)
    expected = [network(batches if shared else batches[m]) for m, network in enumerate(networks)]
    assert_close(Stacked(networks)(batches, shared), torch.stack(expected))


def test_gradients_are_those_of_each_network(networks, data):
    batches, labels = data.images[: M * B].view(M, B, 1, 28, 28), data.labels[: M * B].view(M, B)
    stacked = Stacked(networks)
    F.cross_entropy(stacked(batches).flatten(0, 1), labels.flatten(), reduction="sum").backward()
    for m, network in enumerate(networks):
        F.cross_entropy(network(batches[m]), labels[m], reduction="sum").backward()
    for name, weight in stacked.network.named_parameters():
        expected = torch.stack([dict(n.named_parameters())[name].grad for n in networks])
        assert_close(weight.grad, expected)


def test_weights_go_in_and_come_out_as_copies(networks):
    stacked = Stacked(networks)
    for ours, given in zip(stacked.unstack(), networks, strict=True):
        for p, q in zip(ours.parameters(), given.parameters(), strict=True):
            assert torch.equal(p, q)
            assert p.requires_grad
            p.data.zero_()
            assert q.abs().sum() > 0
    assert all(weight.abs().sum() > 0 for weight in stacked.parameters())
    assert [tuple(w.shape) for w in stacked.parameters()] == [
        (M, *w.shape) for w in networks[0].parameters()
    ]


def test_dropout_differs_from_network_to_network():
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))
    kept = Stacked([nn.Sequential(network, nn.Linear(784, 784)) for _ in range(2)])
    with torch.no_grad():  # the same weights: only what is dropped can differ
        for weight in kept.parameters():
            weight.copy_(weight[:1].expand_as(weight))
    first, second = kept(torch.ones(2, 1, 28, 28), shared=True)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("others", "match"),
    [
        ([], "at least one network"),
        ([nn.Linear(3, 5), nn.Linear(3, 7)], "one architecture"),
        ([nn.Sequential(nn.Linear(3, 5), nn.ReLU()), nn.Sequential(nn.Linear(3, 5), nn.Tanh())],
         "one architecture"),
        ([nn.BatchNorm1d(3)] * 2, "without buffers.*running_mean"),
    ],
    ids=["none", "sizes", "activations", "buffers"],
)  # fmt: skip
def test_what_cannot_be_stacked_is_refused(others, match):
    with pytest.raises(ValueError, match=match):
        Stacked(others)


# --- training ---


def plain_loop(networks, data, rows, settings, seed):
    """Each network by itself, on the batches that the run draws for it; its losses too."""
    networks = copy.deepcopy(networks)
    optimizers = [torch.optim.AdamW(network.parameters()) for network in networks]
    losses = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for setting in settings:
            places = torch.randint(rows.shape[1], (len(networks), setting.batch_size))
            losses.append(0.0)
            for m, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
                optimizer.param_groups[0].update(lr=setting.lr, weight_decay=setting.weight_decay)
                index = rows[m, places[m]]
                loss = F.cross_entropy(network(data.images[index]), data.labels[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses[-1] += loss.item() / len(networks)
    return networks, losses


def assert_same_weights(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for p, q in zip(one.parameters(), other.parameters(), strict=True):
            assert_close(p, q, rtol=1e-3, atol=1e-5)


def test_steps_equal_a_plain_loop(networks, data):
    generator = torch.Generator().manual_seed(7)
    rows = torch.stack([torch.randperm(53, generator=generator)[:13] for _ in range(M)])
    settings = [ClassifierSettings(1e-2, 0.3, B)] * 4 + [ClassifierSettings(3e-2, 0.7, 7)] * 3
    expected, losses = plain_loop(networks, data, rows, settings, seed=11)
    model = Stacked(networks)
    run = ManyRun(model, data, rows=rows, settings=copy.copy(settings[0]), seed=11)
    found = []
    for setting in settings:
        vars(run.settings).update(vars(setting))
        found.append(next(run)["loss"])
    assert found == pytest.approx(losses, rel=1e-4)
    assert_same_weights(model.unstack(), expected)


def test_one_network_is_a_plain_run(data):
    network = make_network()
    model = Stacked([network])
    many, single = ManyRun(model, data, seed=5), ClassifierRun(network, data, seed=5)
    for ours, plain in zip(many.take(7), single.take(7), strict=True):
        assert ours["loss"] == pytest.approx(plain["loss"], rel=1e-4)
        assert ours["accuracy"] == pytest.approx(plain["accuracy"])
    assert_same_weights(model.unstack(), [network])


def test_a_network_sees_its_own_rows_alone(networks, data):
    """Each learns three images by heart, and another network's images it never saw."""
    rows = torch.tensor([[0, 11, 22], [33, 44, 2], [13, 24, 35]])
    model = Stacked(networks)
    run = ManyRun(model, data, rows=rows, settings=ClassifierSettings(lr=1e-2, batch_size=3))
    seen = set()
    for _ in run.take(40):
        seen |= {
            (m, i) for m, row in enumerate(run.pick(run.settings.batch_size).tolist()) for i in row
        }
    assert seen == {(m, i) for m, row in enumerate(rows.tolist()) for i in row}
    scores = model(data.images[rows])
    assert (scores.argmax(-1) == data.labels[rows]).all()


def test_without_rows_all_images_may_be_drawn(networks, data):
    run = ManyRun(Stacked(networks), data)
    drawn = torch.stack([run.pick(run.settings.batch_size) for _ in range(60)])
    assert drawn.shape == (60, M, 64)
    for m in range(M):
        assert drawn[:, m].unique().tolist() == list(range(53))


def test_a_checkpoint_carries_on(networks, data, tmp_path):
    run = ManyRun(Stacked(networks), data, seed=5)
    list(run.take(2))
    run.save(tmp_path / "run.safetensors")
    expected = [record["loss"] for record in run.take(3)]
    other = ManyRun(Stacked([make_network(seed=9)] * M), data)
    other.load(tmp_path / "run.safetensors")
    assert [record["loss"] for record in other.take(3)] == expected


@pytest.mark.parametrize(
    "rows",
    [
        torch.zeros(M + 1, 2, dtype=torch.int64),
        torch.zeros(M, dtype=torch.int64),
        torch.zeros(M, 0, dtype=torch.int64),
        torch.full((M, 2), 53),
        torch.full((M, 2), -1),
    ],
    ids=["too many", "flat", "none", "above", "below"],
)
def test_rows_that_do_not_fit_are_refused(networks, data, rows):
    with pytest.raises(ValueError, match="need rows"):
        ManyRun(Stacked(networks), data, rows=rows)


def test_settings_out_of_range_are_refused(networks, data):
    run = ManyRun(Stacked(networks), data)
    run.settings.lr = math.nan
    with pytest.raises(ValueError, match="need lr >= 0"):
        next(run)
