"""Options, journals, examples, and the ends of processes, without training."""

import os
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist
import yaml
from torch.distributed.run import get_args_parser

from bigmodel_lib.distributed import examples_folder, launch, worker
from bigmodel_lib.distributed.journal import attempts, held, journal, read_journal
from bigmodel_lib.distributed.launch import LaunchError
from bigmodel_lib.distributed.options import Options
from bigmodel_lib.distributed.run import WorkerRun, gathered, local_bytes, part_of
from bigmodel_lib.distributed.train import fire_drill, make_run
from bigmodel_lib.distributed.worker import Worker
from bigmodel_lib.models.transformer import GPT

pytestmark = pytest.mark.xdist_group("distributed")
CPU = torch.device("cpu")
SLURM, KUBERNETES = examples_folder() / "train.sbatch", examples_folder() / "train.yaml"


# --- options


def test_options_survive_the_command_line(tmp_path):
    asked = Options(tmp_path, strategy="fsdp,ddp", steps=7, lr=1e-4, dtype="float64", kill_rank=1)
    assert Options.parse(asked.arguments()) == asked
    assert Options.parse([str(tmp_path)]) == Options(tmp_path)


def test_each_strategy_has_its_folder_and_the_first_its_drill(tmp_path):
    both = Options(tmp_path, strategy="fsdp,ddp", kill_rank=1, kill_step=3).each()
    assert [one.strategy for one in both] == ["fsdp", "ddp"]
    assert [one.kill_rank for one in both] == [1, -1]
    assert [one.checkpoint.parent.name for one in both] == ["fsdp", "ddp"]
    alone = Options(tmp_path)
    assert alone.each() == [alone]


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategy": "tensor"},
        {"strategy": "ddp,"},
        {"dtype": "int8"},
        {"steps": 0},
        {"save_every": 0},
        {"patience": 0},
        {"lr": -1.0},
        {"heads": 3},
    ],
)
def test_options_that_cannot_be_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="need"):
        Options(tmp_path, **wrong)


# --- the run


def test_workers_share_the_windows_of_one_process(tmp_path):
    options = Options(tmp_path, batch_size=6)
    whole = make_run(options, Worker(0, 1, CPU, 0))
    torch.manual_seed(3)
    windows = whole.draw()
    for rank in range(3):
        whole.worker = Worker(rank, 3, CPU, 0)
        torch.manual_seed(3)
        assert torch.equal(whole.draw(), windows[2 * rank : 2 * rank + 2])


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    options = Options(tmp_path, batch_size=7)
    ids = torch.arange(100)
    with pytest.raises(ValueError, match="7 windows for 2"):
        WorkerRun(GPT(options.config), ids, Worker(0, 2, CPU, 0), "ddp", settings=options.settings)


def test_plain_tensors_are_whole_already():
    x = torch.randn(3, 5)
    assert gathered(x) is x
    assert part_of(x, None) is x
    assert part_of(x, torch.randn(3, 5)) is x
    assert local_bytes(x) == 60


def test_the_drill_waits_for_its_worker_and_step_and_is_held_once(tmp_path, monkeypatch):
    killed = []
    monkeypatch.setattr("os.kill", lambda pid, signal: killed.append(signal))
    monkeypatch.setattr(dist, "barrier", lambda: None)
    options = Options(tmp_path, kill_rank=1, kill_step=3)
    fire_drill(options, Worker(0, 2, CPU, 0), 3)
    fire_drill(options, Worker(1, 2, CPU, 0), 2)
    assert not killed
    fire_drill(options, Worker(1, 2, CPU, 0), 3)
    fire_drill(options, Worker(1, 2, CPU, 1), 3)
    assert killed == [9]


# --- the journal


def test_a_journal_goes_on_after_a_restart(tmp_path):
    for attempt, steps in ((0, (1, 2, 3)), (1, (3, 4))):
        with journal(tmp_path / "new", 1, attempt=attempt) as book:
            book.note(begins=steps[0] - 1)
            for step in steps:
                book.note(step=step, loss=1 / step)
            book.note(held={"weights": attempt})
    lines = read_journal(tmp_path / "new", 1)
    assert attempts(lines) == [{1: 1.0, 2: 1 / 2, 3: 1 / 3}, {3: 1 / 3, 4: 1 / 4}]
    assert held(lines) == {"weights": 1}
    with pytest.raises(ValueError, match="as far as a checkpoint"):
        held(lines[:2])


# --- the store


def enter(monkeypatch, store, **variables):
    defaults = {
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "3",
        "GROUP_WORLD_SIZE": "1",
    }
    for name, value in (defaults | variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dist, "rendezvous", lambda *_args, **_options: iter([(store, 0, 2)]))
    return worker.group_store(timedelta(seconds=5))


def test_an_attempt_does_not_see_the_addresses_of_the_last_one(monkeypatch):
    store = dist.HashStore()
    first, rank, world = enter(monkeypatch, store)
    assert (rank, world) == (0, 2)
    first.set("address", "of one that will die")
    again, _, _ = enter(monkeypatch, store)
    assert again.check(["address"])
    second, _, _ = enter(monkeypatch, store, TORCHELASTIC_RESTART_COUNT="1")
    assert not second.check(["address"])


def test_several_machines_need_a_store_for_each_attempt(monkeypatch):
    store = dist.HashStore()
    with pytest.raises(RuntimeError, match=worker.UNSHARED):
        enter(monkeypatch, store, GROUP_WORLD_SIZE="2")
    for fine in ({"TORCHELASTIC_MAX_RESTARTS": "0"}, {"TORCHELASTIC_USE_AGENT_STORE": "False"}):
        assert enter(monkeypatch, store, GROUP_WORLD_SIZE="2", **fine)[0] is store


# --- the ends of processes

FAMILY = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = '''if True:
        import subprocess
        grandchild = subprocess.Popen(["sleep", "600"])
        print("ready", flush=True)
        grandchild.wait()
    '''
    subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
    time.sleep(600)
"""

POLITE = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("asked", flush=True)))
    print("ready", flush=True)
    time.sleep(600)
"""

ORPHAN = """
    import os, subprocess, sys, time
    child = '''if True:
        from bigmodel_lib.distributed import orphan
        import time
        orphan.end_with_the_parent(every=0.05)
        print("ready", flush=True)
        time.sleep(600)
    '''
    process = subprocess.Popen([sys.executable, "-c", child])
    print(process.pid, flush=True)
    time.sleep(600)
"""


def started(code: str) -> subprocess.Popen:
    line = [sys.executable, "-c", textwrap.dedent(code)]
    env = launch.environment(machines=1)
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


def test_nothing_is_left_of_an_agent_that_does_not_listen(monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.3)
    with started(FAMILY) as agent:
        assert agent.stdout.readline() == "ready\n"
        family = psutil.Process(agent.pid).children(recursive=True)
        assert len(family) == 2
        launch.end(agent)
        assert agent.returncode == -9
        assert not psutil.wait_procs(family, timeout=10)[1]


def test_an_agent_is_asked_before_it_is_killed():
    with started(POLITE) as agent:
        assert agent.stdout.readline() == "ready\n"
        launch.end(agent)
        assert agent.stdout.read() == "asked\n"


def test_a_worker_leaves_when_its_agent_is_gone():
    with started(ORPHAN) as agent:
        child = psutil.Process(int(agent.stdout.readline()))
        assert agent.stdout.readline() == "ready\n"
        agent.kill()
        assert not psutil.wait_procs([child], timeout=20)[1]


def test_workers_that_fail_are_reported_with_their_words(tmp_path):
    with pytest.raises(LaunchError, match="asked for 'cuda:99'"):
        launch.launch(Options(tmp_path, device="cuda:99"), workers=1)


def test_time_is_limited(tmp_path):
    before = set(psutil.Process().children())
    start = time.monotonic()
    with pytest.raises(LaunchError, match="within 1 s"):
        launch.launch(Options(tmp_path), workers=1, limit=1.0)
    assert time.monotonic() - start < 2 * launch.GRACE
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"machines": 0}, {"restarts": -1}, {"limit": 0.5}]
)
def test_launches_that_cannot_be_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="need workers"):
        launch.launch(Options(tmp_path), **wrong)


# --- what agents are started with


def test_agents_find_this_library_and_keep_what_the_reader_has_set(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    env = launch.environment(machines=1)
    first, *others = env["PYTHONPATH"].split(os.pathsep)
    assert (Path(first) / "bigmodel_lib" / "distributed" / "launch.py").exists()
    assert others == ["/elsewhere"]
    assert (env["MALLOC_ARENA_MAX"], env["OMP_NUM_THREADS"]) == ("4", "1")
    assert "MALLOC_TRIM_THRESHOLD_" in env
    addresses = psutil.net_if_addrs()[env["GLOO_SOCKET_IFNAME"]]
    assert launch.HERE in [address.address for address in addresses]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert launch.environment(machines=1)["OMP_NUM_THREADS"] == "3"
    assert [launch.environment(n)[worker.UNSHARED] for n in (1, 2, 3)] == ["0", "1", "1"]


@pytest.mark.parametrize("machines", [1, 2])
def test_agents_get_the_same_line_and_meet_at_one_port(machines, tmp_path, monkeypatch):
    lines = []

    def start(line, log, env):
        lines.append(line)
        return subprocess.Popen([sys.executable, "-c", ""])

    monkeypatch.setattr(launch, "_start", start)
    options = Options(tmp_path, steps=7)
    launch.launch(options, workers=3, machines=machines, restarts=4)
    assert lines == [lines[0]] * machines
    asked = get_args_parser().parse_args(lines[0][3:])
    assert (asked.nproc_per_node, asked.nnodes, asked.max_restarts) == ("3", str(machines), 4)
    host, port = asked.rdzv_endpoint.split(":")
    assert host == launch.HERE
    assert (int(port) > 0) == (machines > 1)  # alone, an agent finds one itself
    assert Options.parse(asked.training_script_args) == options


def test_an_agent_has_a_session_of_its_own_and_all_its_words_are_kept(tmp_path):
    code = "import os, sys; print(os.getsid(0) == os.getpid()); sys.exit(sys.stdin.read() or 'end')"
    log = tmp_path / "agent.log"
    launch._start([sys.executable, "-c", code], log, launch.environment(1)).wait()
    assert log.read_text().splitlines() == ["True", "end"]
    assert launch._last_words([log, log], lines=1) == "end\nend"


def test_where_one_agent_fails_the_others_have_little_time_left(monkeypatch):
    monkeypatch.setattr(launch, "GRACE", 0.1)
    with started("raise SystemExit(1)") as failed, started("input()") as waiting:
        with pytest.raises(TimeoutError):
            launch._wait([waiting, failed], limit=1e9)
        waiting.kill()


# --- the examples


def check_command(line: list[str], machines: str) -> None:
    """The command is one that torchrun and the script accept."""
    assert line[0] == "torchrun"
    asked = get_args_parser().parse_args(line[1:])
    assert asked.module
    assert asked.training_script == "bigmodel_lib.distributed.train"
    assert (asked.nnodes, asked.nproc_per_node) == (machines, "gpu")
    assert (asked.rdzv_backend, asked.max_restarts) == ("c10d", 3)
    assert asked.rdzv_endpoint.endswith(":29400")
    options = Options.parse(asked.training_script_args)
    assert options.strategy == "fsdp"
    assert options.batch_size % 16 == 0


def test_the_slurm_script_is_a_script():
    subprocess.run(["bash", "-n", SLURM], check=True)
    text = SLURM.read_text("utf-8")
    assert f"export {worker.UNSHARED}=1" in text
    command = text[text.index("srun torchrun") :].replace("\\\n", " ").replace('"', "").split()
    check_command(command[1:], "$SLURM_JOB_NUM_NODES")


def test_the_slurm_script_runs_with_stand_ins(tmp_path):
    """`scontrol` and `srun` as far as the script uses them."""
    # so many hosts that whoever stops reading behind the first breaks the pipe
    for name, does in {"scontrol": "echo first; seq 100000", "srun": 'echo "$@"'}.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{does}\n")
        path.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "5"}
    env["SLURM_JOB_NODELIST"] = "first,second"
    line = ["bash", SLURM, "/shared/run"]
    said = subprocess.run(line, check=True, env=env, capture_output=True, text=True).stdout
    assert "--rdzv-endpoint=first:29400 --rdzv-id=5" in said
    check_command(said.split(), "2")
    missing = subprocess.run(line[:2], check=False, env=env, capture_output=True, text=True)
    assert missing.returncode
    assert "need the folder" in missing.stderr


def test_the_kubernetes_example_fits_together():
    service, job = yaml.safe_load_all(KUBERNETES.read_text("utf-8"))
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 2
    (container,) = pod["containers"]
    assert {"name": worker.UNSHARED, "value": "1"} in container["env"]
    check_command(container["command"], "2")
    assert f"{service['spec']['ports'][0]['port']}" == "29400"
    assert f"{job['metadata']['name']}-0.{pod['subdomain']}:29400" in " ".join(container["command"])
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_way_names_options_that_exist():
    text = (Path(SLURM).parent / "README.md").read_text("utf-8")
    block = text[text.index("   torchrun --nnodes=2") :].split("```")[0]
    asked = get_args_parser().parse_args(block.replace("\\\n", " ").split()[1:])
    assert asked.nnodes == "2"
    assert Options.parse(asked.training_script_args).strategy == "fsdp"


def test_the_line_is_one_that_torchrun_takes():
    for endpoint, address in ((f"{launch.HERE}:0", launch.HERE), ("first:29400", None)):
        line = launch.torchrun(workers=3, machines=2, restarts=4, endpoint=endpoint)
        asked = get_args_parser().parse_args(line[3:])
        assert (asked.nproc_per_node, asked.nnodes, asked.max_restarts) == ("3", "2", 4)
        assert (asked.rdzv_endpoint, asked.local_addr) == (endpoint, address)
