"""The iterator that every training run is."""

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from bigmodel_lib.training import CheckpointError, NotFiniteError, Run


@dataclass
class Settings:
    lr: float = 0.05
    batch: int = 3

    def check(self):
        if self.lr < 0:
            raise ValueError(f"need lr >= 0, got {self.lr}")


class LineRun(Run):
    """Fits y = 2 x with dropout, so that its steps depend on the random state."""

    def __init__(self, width=1, seed=0, **others):
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(1, 5 * width), nn.Dropout(0.3), nn.Linear(5 * width, 1))
        self.poison_at = None
        optimizer = torch.optim.Adam(self.net.parameters())
        modules, optimizers = {"net": self.net}, {"optimizer": optimizer}
        super().__init__(modules, optimizers, Settings(), seed=seed, **others)

    def train_step(self):
        (group,) = self.optimizers["optimizer"].param_groups
        group["lr"] = self.settings.lr
        x = torch.randn(self.settings.batch, 1)
        loss = (self.net(x) - 2 * x).square().mean()
        if self.step + 1 == self.poison_at:
            loss = loss * math.nan
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        return {"loss": loss} | ({"odd": loss} if self.step % 2 == 0 else {})


def losses(run, steps):
    return [record["loss"] for record in run.take(steps)]


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.net.parameters()])


def test_it_learns():
    run = LineRun()
    found = losses(run, 400)
    assert sum(found[-50:]) < 0.5 * sum(found[:50])


def test_records_count_and_history_agree():
    run = LineRun()
    records = list(run.take(5))
    assert [record.step for record in records] == [1, 2, 3, 4, 5]
    assert run.history["step"].tolist() == [1, 2, 3, 4, 5]
    assert run.history["loss"].tolist() == [record["loss"] for record in records]


def test_what_a_step_did_not_measure_is_nan_in_the_history():
    run = LineRun()
    list(run.take(4))
    assert run.history["odd"].isnan().tolist() == [False, True, False, True]


def test_the_run_owns_its_random_state():
    torch.manual_seed(5)
    undisturbed = torch.rand(3)
    alone = losses(LineRun(), 6)
    run, mixed = LineRun(), []
    torch.manual_seed(5)
    outside = []
    for _ in range(6):
        mixed += losses(run, 1)
        outside.append(torch.rand(1))
    assert mixed == alone
    assert torch.equal(torch.cat(outside)[:3], undisturbed)


def test_different_seeds_give_different_steps():
    assert losses(LineRun(seed=0), 3) != losses(LineRun(seed=1), 3)


def test_a_changed_setting_takes_effect_at_the_next_step_and_is_booked():
    run, reference = LineRun(), LineRun()
    list(run.take(3)), list(reference.take(3))
    before = weights(run)
    run.settings.lr = 0.0
    list(run.take(1))
    assert torch.equal(weights(run), before)
    (change,) = run.changes
    assert (change.step, change.name, change.old, change.new) == (4, "lr", 0.05, 0.0)


def test_a_setting_out_of_range_changes_nothing():
    run = LineRun()
    list(run.take(2))
    before = weights(run)
    run.settings.lr = -1.0
    with pytest.raises(ValueError, match=r"need lr >= 0, got -1\.0"):
        next(run)
    assert run.step == 2
    assert torch.equal(weights(run), before)
    run.settings.lr = 0.05
    assert next(run).step == 3


@pytest.mark.parametrize("check_every", [1, 4])
def test_a_loss_that_is_not_finite_goes_back_to_the_last_good_state(check_every):
    run = LineRun(keep_every=5, check_every=check_every)
    list(run.take(5))
    good = weights(run)
    run.poison_at = 7
    with pytest.raises(NotFiniteError, match=r"step 7 .*'lr': 0\.05.* back at step 5"):
        list(run.take(10))
    assert run.step == 5
    assert torch.equal(weights(run), good)
    assert run.history["step"].tolist() == [1, 2, 3, 4, 5]
    run.poison_at = None
    assert next(run).step == 6


def test_resumed_the_next_steps_are_the_same_to_the_bit(tmp_path):
    run = LineRun()
    list(run.take(4))
    run.settings.lr = 0.01
    list(run.take(3))
    run.save(tmp_path / "x")
    expected, resumed = losses(run, 10), LineRun(seed=9)
    list(resumed.take(2))
    resumed.load(tmp_path / "x")
    assert resumed.step == 7
    assert resumed.settings == run.settings
    assert [c.name for c in resumed.changes] == ["lr"]
    assert losses(resumed, 10) == expected
    assert torch.equal(weights(resumed), weights(run))
    torch.testing.assert_close(resumed.history, run.history, equal_nan=True, rtol=0, atol=0)


def test_a_checkpoint_of_other_networks_leaves_the_run_as_it_was(tmp_path):
    LineRun(width=2).save(tmp_path / "x")
    run, twin = LineRun(), LineRun()
    losses(run, 4), losses(twin, 4)
    with pytest.raises(CheckpointError, match="does not fit"):
        run.load(tmp_path / "x")
    assert losses(run, 3) == losses(twin, 3)
    assert run.history["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_checkpoint_of_another_kind_of_run_is_refused(tmp_path):
    class OtherRun(LineRun):
        pass

    OtherRun().save(tmp_path / "x")
    with pytest.raises(CheckpointError, match=r"need a LineRun.*is a OtherRun"):
        LineRun().load(tmp_path / "x")


def test_rewind_repeats_the_same_steps():
    run = LineRun(keep_every=4, keep=5)
    found = losses(run, 10)
    run.rewind(9)
    assert run.step == 8
    assert losses(run, 2) == found[8:]
    run.rewind(0)
    assert run.step == 0
    assert run.history["step"].tolist() == []
    assert losses(run, 10) == found


def test_a_loaded_run_cannot_go_back_before_its_loading(tmp_path):
    run = LineRun()
    list(run.take(4))
    run.save(tmp_path / "x")
    run.load(tmp_path / "x")
    with pytest.raises(ValueError, match="need a step >= 4, got 3"):
        run.rewind(3)


def test_snapshots_stay_few_and_reach_back_to_the_start():
    run = LineRun(keep_every=1, keep=6)
    for _ in range(40):
        next(run)
        kept = [snapshot.step for snapshot in run.snapshots]
        assert len(kept) <= 6
        assert kept[0] == 0
        assert kept[-1] == run.step
    assert max(b - a for a, b in itertools.pairwise(kept)) <= 20


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match="got 1, 50 and 1"):
        LineRun(keep=1)
    with pytest.raises(ValueError, match="got 0, 50 and 2"):
        LineRun(check_every=0)


def test_a_run_without_a_step_of_its_own_says_so():
    run = Run({"net": nn.Linear(1, 1)}, {}, Settings())
    with pytest.raises(TypeError, match="must define train_step"):
        next(run)
