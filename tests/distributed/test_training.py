"""One process, two, and two machines: the same losses, the same weights, also after a death.

Each launch takes seconds of imports, so there are two of them for all tests of this file: one
group for xdist, or each of its processes would launch its own.
"""

from dataclasses import replace

import psutil
import pytest
import torch

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.distributed.journal import attempts, held, read_journal
from bigmodel_lib.distributed.launch import launch
from bigmodel_lib.distributed.options import Options
from bigmodel_lib.distributed.train import train
from bigmodel_lib.distributed.worker import Worker
from bigmodel_lib.training.checkpoint import load_tensors

pytestmark = [pytest.mark.xdist_group("distributed"), pytest.mark.timeout(600)]

STEPS, SAVED, DEATH = 24, 8, 13
ALONE = Worker(rank=0, world=1, device=torch.device("cpu"), attempt=0)
# In float64: in float32, Adam, which divides a gradient by its own size, turns the rounding of
# one that nearly vanishes into a step of up to lr.
DTYPE, TOLERANCE = "float64", 1e-9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(folder):
    options = Options(folder / "alone", dtype=DTYPE)
    train(options, ALONE)
    return options


@pytest.fixture(scope="module")
def one_machine(folder):
    """FSDP2, one of its two workers killed; then DDP, undisturbed."""
    options = Options(
        folder / "one", strategy="fsdp,ddp", dtype=DTYPE, kill_rank=1, kill_step=DEATH
    )
    launch(options, restarts=1)
    return {one.strategy: one for one in options.each()}


@pytest.fixture(scope="module")
def two_machines(folder):
    """DDP, the worker of one of two machines killed; then FSDP2, undisturbed."""
    options = Options(
        folder / "two", strategy="ddp,fsdp", dtype=DTYPE, kill_rank=1, kill_step=DEATH
    )
    launch(options, workers=1, machines=2, restarts=2)
    return {one.strategy: one for one in options.each()}


def state(options: Options) -> dict[str, torch.Tensor]:
    return load_tensors(options.checkpoint)[0]


def losses(options: Options) -> torch.Tensor:
    return state(options)["history.loss"]


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[k] - other[k]).abs().max()) for k in one if k.startswith("model."))


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
@pytest.mark.parametrize("where", ["one_machine", "two_machines"])
def test_workers_do_what_one_process_does(alone, where, strategy, request):
    options = request.getfixturevalue(where)[strategy]
    assert len(losses(options)) == STEPS
    torch.testing.assert_close(losses(options), losses(alone), rtol=0, atol=TOLERANCE)
    assert furthest(state(options), state(alone)) < TOLERANCE


def test_the_tolerance_is_small_beside_what_half_of_the_windows_do(alone, folder):
    half = replace(alone, folder=folder / "half", batch_size=alone.batch_size // 2)
    train(half, ALONE)
    assert float((losses(half) - losses(alone)).abs().max()) > 1e-2
    assert furthest(state(half), state(alone)) > 1e-2


@pytest.mark.parametrize("strategy", ["fsdp", "ddp"])
def test_a_death_changes_nothing(strategy, one_machine, two_machines):
    one, other = state(one_machine[strategy]), state(two_machines[strategy])
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_one_restart_from_the_last_checkpoint(one_machine):
    for rank in (0, 1):
        lines = read_journal(one_machine["fsdp"].folder, rank)
        assert {line["attempt"] for line in lines} == {0, 1}
        first, second = attempts(lines)
        assert list(first) == list(range(1, DEATH + 1))
        assert list(second) == list(range(SAVED + 1, STEPS + 1))
        assert all(second[step] == first[step] for step in second if step in first)
    words = (one_machine["fsdp"].folder.parent / "agent-0.log").read_text()
    assert "exitcode: -9" in words
    assert (one_machine["fsdp"].folder / "drill").exists()


def test_what_is_undisturbed_takes_one_attempt(one_machine, two_machines):
    for options in (one_machine["ddp"], two_machines["fsdp"]):
        for rank in (0, 1):
            assert [list(a) for a in attempts(read_journal(options.folder, rank))] == [
                list(range(1, STEPS + 1))
            ]


def test_two_machines_restart_together(two_machines):
    for rank in (0, 1):
        first, second = attempts(read_journal(two_machines["ddp"].folder, rank))
        assert list(first) == list(range(1, DEATH + 1))
        assert list(second) == list(range(SAVED + 1, STEPS + 1))


def test_what_each_worker_holds(alone, one_machine):
    N = count_parameters(alone.config).total
    whole = {"weights": 8 * N, "gradients": 8 * N, "moments": 16 * N}
    assert held(read_journal(alone.folder, 0)) == whole
    for rank in (0, 1):
        assert held(read_journal(one_machine["ddp"].folder, rank)) == whole
        part = held(read_journal(one_machine["fsdp"].folder, rank))
        assert part == {name: nbytes // 2 for name, nbytes in whole.items()}


def test_one_process_goes_on_from_what_shards_saved(alone, one_machine, folder):
    more = STEPS + 4
    longer = replace(alone, folder=folder / "longer", steps=more)
    train(longer, ALONE)
    taken_over = replace(one_machine["fsdp"], steps=more, kill_rank=-1)
    run = train(taken_over, ALONE)
    assert run.step == more
    torch.testing.assert_close(losses(taken_over), losses(longer), rtol=0, atol=TOLERANCE)


def test_no_process_is_left(one_machine, two_machines, folder):
    mine = psutil.Process()
    for process in psutil.process_iter(["cmdline"]):
        assert process == mine or str(folder) not in " ".join(process.info["cmdline"] or [])
    assert not any("distributed" in " ".join(c.cmdline()) for c in mine.children(recursive=True))
