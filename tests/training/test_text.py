"""Language models in training, against a plain loop."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from bigmodel_lib.models.attention_lm import AttentionLM
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.muon import Muon, inner_matrices
from bigmodel_lib.training.text import TextRun, TextSettings, text_nats, token_nats

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


@pytest.mark.parametrize("rows", [4, 100])
def test_scored_rows_by_rows_it_learns_the_same(rows):
    settings, losses = TextSettings(lr=1e-2, batch_size=3, length=5), []
    for some in (None, rows):
        torch.manual_seed(0)
        gpt = GPT(GPTConfig(V=7, T=5, L=1, D=12, H=2))
        run = TextRun(gpt, IDS, settings=settings, rows=some, seed=0)
        losses.append([record["loss"] for record in run.take(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_rows_that_cannot_be_are_refused():
    with pytest.raises(TypeError, match="need a GPT to score rows by rows, got AttentionLM"):
        TextRun(model(), IDS, rows=4)
    with pytest.raises(ValueError, match="need rows >= 1, got 0"):
        TextRun(GPT(GPTConfig(V=7, T=64, L=1, D=12, H=2)), IDS, rows=0)


def test_it_learns_a_text_that_repeats_itself():
    run = TextRun(model(), IDS, settings=TextSettings(lr=1e-2, batch_size=8, length=11))
    losses = [record["loss"] for record in run.take(80)]
    assert losses[0] > 0.8 * math.log(7)
    assert losses[-1] < 0.1


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match=r"N > 64, got \(64,\)"):
        TextRun(model(), IDS[:64])


def test_weight_decay_and_schedule_equal_a_plain_loop():
    settings = TextSettings(3e-3, 0.3, warmup=2, schedule=6, batch_size=3, length=5)
    run = TextRun(model(), IDS, settings=settings, seed=0)
    plain = copy.deepcopy(run.model)
    decayed, others = [], []
    for name, parameter in plain.named_parameters():
        (others if name == "unembed.bias" else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=3e-3)
    factors = [0.5, 1.0, 1.0 - 0.9 * (1 - math.cos(math.pi / 4)) / 2, 0.55]
    torch.manual_seed(0)
    for factor in factors:
        windows = torch.stack([IDS[s : s + 6] for s in torch.randint(295, (3,))])
        loss = F.cross_entropy(plain(windows[:, :5]).transpose(1, 2), windows[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * factor
        optimizer.step()
        assert next(run)["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for ours, theirs in zip(run.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_two_texts_and_two_optimisers_equal_a_plain_loop():
    other = 6 - IDS[:100]
    settings = TextSettings(1e-2, 0.3, last=0.0, schedule=4, batch_size=5, length=5, further=0.4)
    run = TextRun(model(), IDS, settings=settings, further=other, muon=True, seed=0)
    plain = copy.deepcopy(run.model)
    matrices = inner_matrices(plain)
    rest = [x for x in plain.parameters() if all(x is not y for y in matrices)]
    optimizers = [
        Muon(matrices, weight_decay=0.3),
        torch.optim.AdamW([x for x in rest if x.ndim > 1], weight_decay=0.3),
        torch.optim.AdamW([x for x in rest if x.ndim < 2], weight_decay=0.0),
    ]
    torch.manual_seed(0)
    for lr in (1e-2 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(1, 4)):
        places = [(IDS, s) for s in torch.randint(295, (3,))]
        places += [(other, s) for s in torch.randint(95, (2,))]
        windows = torch.stack([text[s : s + 6] for text, s in places])
        loss = F.cross_entropy(plain(windows[:, :5]).transpose(1, 2), windows[:, 1:])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
        assert next(run)["loss"] == pytest.approx(loss.item(), rel=1e-4)
    for ours, theirs in zip(run.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_with_muon_it_saves_and_loads_to_the_same_next_step(tmp_path):
    def fresh():
        settings = TextSettings(1e-2, batch_size=4, length=5, further=0.5)
        return TextRun(model(), IDS, settings=settings, further=IDS[:50], muon=True, seed=3)

    run, again = fresh(), fresh()
    list(run.take(3))
    run.save(tmp_path / "run")
    again.load(tmp_path / "run")
    for _ in range(2):
        assert next(again)["loss"] == next(run)["loss"]


def test_a_second_text_that_is_not_there_or_too_short():
    settings = TextSettings(length=5, further=0.5)
    with pytest.raises(ValueError, match="need a second text for 50% of the windows"):
        TextRun(model(), IDS, settings=settings)
    with pytest.raises(ValueError, match=r"N > 5, got \(5,\)"):
        TextRun(model(), IDS, settings=settings, further=IDS[:5])


@pytest.mark.parametrize("start", [1, 7, 299])
def test_text_nats_counts_every_token_once(start):
    """Of a model that looks at the last token alone, however it is cut into windows."""
    chain = torch.nn.Embedding.from_pretrained(torch.randn(7, 7)).double()
    log_p = chain.weight.log_softmax(dim=-1)
    expected = -log_p[IDS[start - 1 : -1], IDS[start:]].sum().item()
    for length in (2, 5, 64, 1000):
        assert text_nats(chain, IDS, start, length) == pytest.approx(expected)


def test_text_nats_gives_each_token_half_a_window_before_it():
    seen = []

    class Counts(torch.nn.Module):
        def forward(self, ids):
            seen.append(ids.shape[1])
            return torch.arange(ids.shape[1])[None, :, None].expand(1, -1, 7).double()

    text_nats(Counts(), IDS, 100, 8)
    assert set(seen[:-1]) == {8}
    assert len(seen) == 50


def test_text_nats_asks_without_dropout_and_leaves_the_model_as_it_was():
    dropping = torch.nn.Sequential(model(), torch.nn.Dropout(0.5))
    assert text_nats(dropping, IDS, 1, 8) == text_nats(dropping, IDS, 1, 8)
    assert dropping.training


@pytest.mark.parametrize(("start", "length"), [(0, 8), (300, 8), (1, 1)])
def test_nothing_to_count(start, length):
    with pytest.raises(ValueError, match="need 1 ≤ start < 300 and length ≥ 2"):
        text_nats(model(), IDS, start, length)


@pytest.mark.parametrize("further", [-0.1, 1.5, math.nan])
def test_a_share_of_windows_lies_between_0_and_1(further):
    with pytest.raises(ValueError, match="need 0 <= further <= 1"):
        TextSettings(further=further).check()


@pytest.mark.parametrize("setting", [{"batch_size": 0}, {"length": 0}])
def test_settings_out_of_range_are_told(setting):
    with pytest.raises(ValueError, match="need batch_size >= 1 and length >= 1"):
        TextSettings(**setting).check()


def test_learning_on_the_way_pays_only_for_what_comes_later():
    asked = model()
    before = copy.deepcopy(asked.state_dict())
    still, moving = (token_nats(asked, IDS, 20, 10, lr=lr) for lr in (0.0, 1e-2))
    assert torch.equal(still[:5], moving[:5])  # the first window is paid before any step
    assert moving[-50:].mean() < still[-50:].mean() - 0.5
    assert all(torch.equal(value, before[name]) for name, value in asked.state_dict().items())
    assert len(still) == 280
    assert text_nats(asked, IDS, 20, 10) == pytest.approx(float(still.sum()))
