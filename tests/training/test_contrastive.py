"""Training of the shared space: its floor, its draws, and a pair that is never shown together."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.voice import draw_lines, draw_speakers, speak
from bigmodel_lib.models.contrastive import SharedSpace, info_nce
from bigmodel_lib.training.contrastive import (
    FRAMES,
    ContrastiveRun,
    ContrastiveSettings,
    Things,
    least_loss,
    recall_at_1,
    recall_through_labels,
    spoken_words,
)
from bigmodel_lib.training.schedule import adamw
from bigmodel_lib.training.speech import BANDS

K = 5


def made_things(seed=0):
    """Three kinds: noisy points about five places that differ from kind to kind."""
    random = torch.Generator().manual_seed(seed)
    places = torch.randn(3, K, 7, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(53) % K
    noise = torch.randn(3, 53, 7, generator=random) / 5
    return {k: Things(places[i][labels] + noise[i], labels) for i, k in enumerate("abc")}


def make_space():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = {k: nn.Sequential(nn.Linear(7, 16), nn.ReLU(), nn.Linear(16, 6)) for k in "abc"}
        return SharedSpace(encoder)


def test_drawn_things_have_the_label_and_all_come_up():
    thing = made_things()["a"]
    thing = Things(torch.arange(53), thing.labels)
    wanted = torch.randint(K, (2000,))
    drawn = thing.draw(wanted)
    assert torch.equal(thing.labels[drawn], wanted)
    assert len(drawn.unique()) == 53
    with pytest.raises(ValueError, match="all in use"):
        Things(torch.zeros(3), torch.tensor([0, 2, 2]))


def test_no_loss_is_below_that_of_who_knows_the_labels():
    labels = torch.tensor([0, 1, 1, 2, 2, 2, 0])
    ideal = torch.where(labels[:, None] == labels, 30.0, 0.0)
    assert_close(info_nce(ideal), least_loss(labels))


def test_steps_equal_a_plain_loop():
    settings = ContrastiveSettings(lr=1e-2, weight_decay=0.1, batch_size=11)
    run = ContrastiveRun(
        make_space(), made_things(), [("a", "b"), ("c", "b")], settings=settings, seed=3
    )
    model, things = make_space(), made_things()
    optimizer, expected = adamw(model), []
    for group, decay in zip(optimizer.param_groups, (0.1, 0.0), strict=True):
        group["lr"], group["weight_decay"] = 1e-2, decay
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for _ in range(3):
            loss = 0.0
            for a, b in (("a", "b"), ("c", "b")):
                labels = torch.randint(K, (11,))
                u, v = (model.embed(k, things[k].draw(labels)) for k in (a, b))
                loss = loss + info_nce(model.scores(u, v))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            expected.append(loss.item())
    assert [record["loss"] for record in run.take(3)] == pytest.approx(expected, rel=1e-4)
    for p, q in zip(run.model.parameters(), model.parameters(), strict=True):
        assert_close(p, q, rtol=1e-3, atol=1e-5)


@torch.no_grad()
def recall(space, things, a, b):
    u, v = (space.embed(k, things[k].x) for k in (a, b))
    return recall_at_1(u, v, things[a].labels, things[b].labels)


def test_a_pair_never_shown_together_meets_through_the_third():
    space, things = make_space(), made_things()
    before = copy.deepcopy(space)
    settings = ContrastiveSettings(lr=1e-2, batch_size=32)
    run = ContrastiveRun(space, things, [("a", "b"), ("c", "b")], settings=settings)
    records = list(run.take(150))
    assert records[-1]["loss"] - records[-1]["floor"] < 0.3
    new = made_things(seed=1)
    assert recall(before, new, "a", "c") < 0.7
    assert recall(space, new, "a", "c") > 0.95


def test_recall_by_hand():
    v = torch.eye(3)
    u = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.2, 0.9]])
    assert recall_at_1(u, v, torch.tensor([4, 5]), torch.tensor([4, 5, 6])) == 0.5
    # two candidates are said to be 1, one of them is; nobody is said to be 2
    found = recall_through_labels(
        torch.tensor([1, 2]), torch.tensor([1, 1, 3]), torch.tensor([1, 2]), torch.tensor([1, 2, 3])
    )
    assert found == 0.25


def test_spoken_words_have_one_shape_and_no_loudness():
    said = speak(draw_lines(3, draw_speakers(2, 1), 1, longest=1))
    mels = spoken_words(said)
    assert mels.shape == (3, FRAMES, BANDS)
    louder = spoken_words([one._replace(sound=one.sound * 0.3) for one in said])
    # not exactly: the log has a floor; a change of loudness left in would be 0.8
    assert (mels - louder).abs().mean() < 0.15
    assert mels.std() > 0.3


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="batch_size ≥ 2"):
        ContrastiveSettings(batch_size=1).check()
