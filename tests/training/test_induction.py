"""Training on repeats: what is measured on the way, and that it lies in the model's file."""

import math

import pytest
import torch
from torch.testing import assert_close

from bigmodel_lib.models.attention_only import AttentionOnly
from bigmodel_lib.training.induction import (
    Observed,
    RepeatRun,
    RepeatSettings,
    early,
    late,
    letter_losses,
)

V, T, STEPS, EVERY = 23, 19, 6, 2
COLUMNS = ("early", "late", "prefix 1.0", "previous 0.0")
SMALL = RepeatSettings(batch_size=2, shortest=8, longest=11)


def small_run(seed=0) -> RepeatRun:
    torch.manual_seed(0)
    model = AttentionOnly(V, 14, 1, 2, T)
    observed = Observed(model, STEPS, EVERY, COLUMNS)
    return RepeatRun(observed, T, settings=SMALL, seed=seed)


def test_the_table_holds_the_means_of_the_history():
    run = small_run()
    for _ in run.take(STEPS):
        pass
    table = run.observed.history
    assert table["step"].tolist() == [1, 3, 5]
    assert list(table) == ["step", *COLUMNS]
    for name in COLUMNS:
        expected = run.history[name].unflatten(0, (-1, EVERY)).mean(1).float()
        assert_close(table[name], expected)


def test_the_table_is_part_of_the_file():
    run = small_run()
    list(run.take(STEPS))
    again = small_run().observed
    assert not again.rows.any()
    again.load_state_dict(run.observed.state_dict())
    assert torch.equal(again.rows, run.observed.rows)


def test_steps_behind_the_table_are_left_out():
    run = small_run()
    list(run.take(STEPS))
    before = run.observed.rows.clone()
    next(run)
    assert torch.equal(run.observed.rows, before)


def test_all_weights_take_part_and_the_next_step_sees_them():
    run = small_run()
    before = {name: p.clone() for name, p in run.observed.named_parameters()}
    list(run.take(2))
    assert all(not torch.equal(p, before[name]) for name, p in run.observed.named_parameters())
    assert run.history["loss"][0] == pytest.approx(math.log(V), rel=0.1)


def test_one_batch_can_be_learned():
    torch.manual_seed(0)
    model = AttentionOnly(V, 14, 1, 2, T)
    observed = Observed(model, 100, 100, ("late",))
    settings = RepeatSettings(batch_size=4, shortest=8, longest=8, lr=0.03)
    run = RepeatRun(observed, T, settings=settings)
    first = next(run)["loss"]
    state = run._random_state
    for _ in range(80):
        run._random_state = {k: v.clone() for k, v in state.items()}  # the same batch again
        last = next(run)["loss"]
    assert last < first / 2


def test_losses_of_the_letters():
    model, ids = AttentionOnly(V, 14, 1, 1, T), torch.randint(V, (2, T))
    losses = letter_losses(model, ids)
    log_p = model(ids).log_softmax(-1)
    assert losses.shape == (2, T - 1)
    assert_close(losses[1, 5], -log_p[1, 5, ids[1, 6]])
    rows = torch.arange(1.0, T).expand(2, -1)  # entry i is the loss of letter i, counted from 0
    assert early(rows) == (4 + 5 + 6 + 7) / 4  # letters 5 to 8
    assert late(rows) == T - 4.5


@pytest.mark.parametrize(
    "bad", [{"batch_size": 0}, {"shortest": 7}, {"shortest": 12, "longest": 11}, {"lr": -1}]
)
def test_settings_out_of_range(bad):
    with pytest.raises(ValueError, match="need"):
        RepeatSettings(**bad).check()


def test_too_short_for_its_periods():
    with pytest.raises(ValueError, match="longest \\+ 8 = 19, got 18"):
        RepeatRun(small_run().observed, T - 1, settings=SMALL)
