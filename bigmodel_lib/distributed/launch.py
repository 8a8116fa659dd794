"""Start `train` under torchrun from a notebook or a test, and leave no process behind."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

import bigmodel_lib
from bigmodel_lib.distributed.options import Options
from bigmodel_lib.distributed.worker import UNSHARED

HERE = "127.0.0.1"  # a machine's own name may lead nowhere, or out and in again
# glibc hands freed memory back at once (its mallopt(3)); other systems do not read these.
FRUGAL = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
GRACE = 15.0  # seconds: for an agent to stop its workers; for the others if one has failed


class LaunchError(RuntimeError):
    """The workers failed, or did not end in time."""


def launch(
    options: Options,
    *,
    workers: int = 2,
    machines: int = 1,
    restarts: int = 0,
    limit: float = 300.0,
) -> None:
    """Train with so many workers, started by torchrun's agents on this machine.

    Several "machines" are several agents here, which know nothing of each other but an address:
    a dry run of the real thing.

    Args:
        options: of the run; its folder keeps each agent's words as `agent-0.log` and so on.
        workers: processes on each machine.
        machines: agents.
        restarts: how often an agent starts its workers again after a failure.
        limit: seconds for all of it.

    Raises:
        ValueError: fewer than one worker, machine or second, or restarts below 0.
        LaunchError: workers failed more often than that, or time was up.
    """
    if min(workers, machines, limit) < 1 or restarts < 0:
        got = f"{workers}, {machines}, {limit} and {restarts}"
        raise ValueError(f"need workers, machines and limit >= 1, restarts >= 0, got {got}")
    options.folder.mkdir(parents=True, exist_ok=True)
    port = free_port() if machines > 1 else 0  # 0: the agent takes one itself
    line = [*torchrun(workers, machines, restarts, f"{HERE}:{port}"), *options.arguments()]
    logs = [options.folder / f"agent-{number}.log" for number in range(machines)]
    agents: list[subprocess.Popen] = []
    try:
        agents += [_start(line, log, environment(machines)) for log in logs]
        _wait(agents, limit)
    except TimeoutError as error:
        raise LaunchError(f"{error}: {_last_words(logs)}") from error
    finally:
        for agent in agents:
            end(agent)
    if any(agent.returncode for agent in agents):
        raise LaunchError(f"workers failed: {_last_words(logs)}")


def torchrun(workers: int, machines: int, restarts: int, endpoint: str) -> list[str]:
    """The command line, up to the script's own options; the same on every machine.

    Args:
        workers: processes on each machine.
        machines: how many.
        restarts: how often to start the workers again.
        endpoint: address and port at which the agents find each other; if it is on this machine
            alone, workers use the same address, and not this machine's name.
    """
    return [
        *(sys.executable, "-m", "torch.distributed.run"),  # which is what `torchrun` runs
        f"--nnodes={machines}",
        f"--nproc-per-node={workers}",
        f"--max-restarts={restarts}",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint={endpoint}",
        "--rdzv-id=bigmodel",
        *([f"--local-addr={HERE}"] if endpoint.startswith(HERE) else []),
        *("-m", "bigmodel_lib.distributed.train"),
    ]


def environment(machines: int) -> dict[str, str]:
    """Variables for agents and workers that talk on this machine only."""
    library = str(Path(bigmodel_lib.__file__).parents[1])
    paths = [library, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **FRUGAL,
        **os.environ,
        "GLOO_SOCKET_IFNAME": _loopback(),  # else Gloo asks what this machine's name means
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "PYTHONPATH": os.pathsep.join(paths),
        UNSHARED: str(int(machines > 1)),  # see `worker.group_store`
    }


def end(agent: subprocess.Popen) -> None:
    """Stop an agent and its workers, first politely; nothing of them is left."""
    try:
        family = [psutil.Process(agent.pid), *psutil.Process(agent.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []  # it has ended; workers without their agent leave by themselves
    if agent.poll() is None:
        agent.terminate()
    _gone, left = psutil.wait_procs(family, timeout=GRACE if family else 0)
    for process in left:
        process.kill()
    agent.wait()


def free_port() -> int:
    """A port of this machine that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


def _start(line: list[str], log: Path, env: dict[str, str]) -> subprocess.Popen:
    with open(log, "wb") as words:
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,  # a Ctrl-C in the notebook is ours to handle
        )


def _wait(agents: list[subprocess.Popen], limit: float) -> None:
    deadline = time.monotonic() + limit
    while any(agent.poll() is None for agent in agents):
        if any(agent.poll() for agent in agents):
            deadline = min(deadline, time.monotonic() + GRACE)
        if time.monotonic() > deadline:
            raise TimeoutError(f"workers did not end within {limit:.0f} s")
        time.sleep(0.05)


def _loopback() -> str:
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address == HERE for address in addresses):
            return name
    raise LaunchError(f"need a network interface with the address {HERE}, found none")


def _last_words(logs: list[Path], lines: int = 80) -> str:
    return "\n".join("\n".join(log.read_text("utf-8").splitlines()[-lines:]) for log in logs)
