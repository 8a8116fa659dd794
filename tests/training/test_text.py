"""Language models in training, against a plain loop."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.models.attention_lm import AttentionLM
from bigmodel_lib.training.text import TextRun, TextSettings

IDS = torch.arange(300) % 7


def model():
    torch.manual_seed(0)
    return AttentionLM(7, 12, 2, 6)


def test_steps_equal_a_plain_loop():
    settings = TextSettings(lr=1e-2, batch_size=3, length=5)
    run = TextRun(model(), IDS, settings=settings, seed=0)
    plain = copy.deepcopy(run.model)
    optimizer = torch.optim.Adam(plain.parameters(), 1e-2)
    torch.manual_seed(0)
    for _ in range(5):
        windows = torch.stack([IDS[s : s + 6] for s in torch.randint(295, (3,))])
        loss = F.cross_entropy(plain(windows[:, :5]).transpose(1, 2), windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert next(run)["loss"] == pytest.approx(loss.item(), rel=1e-4)


def test_it_learns_a_text_that_repeats_itself():
    run = TextRun(model(), IDS, settings=TextSettings(lr=1e-2, batch_size=8, length=11))
    losses = [record["loss"] for record in run.take(80)]
    assert losses[0] > 0.8 * math.log(7)
    assert losses[-1] < 0.1


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match=r"N > 64, got \(64,\)"):
        TextRun(model(), IDS[:64])


@pytest.mark.parametrize("setting", [{"lr": -1.0}, {"batch_size": 0}, {"length": 0}])
def test_settings_out_of_range_are_told(setting):
    with pytest.raises(ValueError, match="need lr >= 0, batch_size >= 1 and length >= 1"):
        TextSettings(**setting).check()
