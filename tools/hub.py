"""Start a JupyterHub from classroom/jupyterhub_config.py in a folder of its own, to try it out.

Students and teachers are made up, all share two passwords, and all is gone when it ends.
Needs the extra `hub` and the proxy: make setup, make proxy.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from tools.student import Student

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "classroom" / "jupyterhub_config.py"
PASSWORD, TEACHER_PASSWORD = "for-students-only", "for-teachers-only-and-therefore-longer"
PATIENCE = 240.0  # seconds
PORTS = range(20_000, 32_000)  # Linux hands out 32768 and up, others 49152 and up


class Stop(Exception):
    """Why the hub cannot be started, in words."""


def missing() -> str:
    """What a hub needs and this environment lacks, in words; nothing if all is there."""
    lacks = []
    if importlib.util.find_spec("jupyterhub") is None:
        lacks.append("jupyterhub (make setup)")
    if shutil.which("configurable-http-proxy", path=_path()) is None:
        lacks.append("configurable-http-proxy (make proxy)")
    return " and ".join(lacks)


def _path() -> str:
    """PATH, with this environment's commands first."""
    return os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports on 127.0.0.1 that nobody listens to.

    They lie below those that systems hand out to connections: of these, one could be gone by the
    time a hub, which takes seconds to start, wants it.

    Raises:
        Stop: none were found in a hundred tries.
    """
    for _ in range(100):
        port = secrets.choice(PORTS)
        if all(map(_is_free, range(port, port + count))):
            return port
    raise Stop(f"found no {count} free ports in a row on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


@dataclass
class Hub:
    """A running hub."""

    url: str
    folder: Path
    process: subprocess.Popen
    students: list[str]
    teachers: list[str]
    log: Path = field(init=False)

    def __post_init__(self):
        self.log = self.folder / "log"

    def visitor(self, name: str) -> Student:
        """A browser of that student or teacher, logged in."""
        student = Student(self.url, name)
        student.log_in(TEACHER_PASSWORD if name in self.teachers else PASSWORD)
        return student

    def processes(self) -> list[psutil.Process]:
        """All that the hub started and that still runs, the hub included.

        Students' servers lead sessions of their own and outlive a hub that dies, so they are
        known by the folder, where they stand or which their environment or command names.
        """
        return [one for one in psutil.process_iter() if self._is_ours(one)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            words = [process.cwd(), *process.cmdline(), *process.environ().values()]
            zombie = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:  # it ended meanwhile, or is somebody else's
            return False
        return not zombie and any(str(self.folder) in word for word in words)


def _prepare(folder: Path, students: Sequence[str], teachers: Sequence[str]) -> None:
    for part in ("course", "exchange", "homes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "exchange").chmod(0o777)  # nbgrader wants it so
    (folder / "students.txt").write_text("\n".join(students) + "\n", encoding="utf-8")
    (folder / "teachers.txt").write_text("\n".join(teachers) + "\n", encoding="utf-8")


def _environment(folder: Path, port: int, settings: dict[str, str]) -> dict[str, str]:
    """This process's environment, without what would speak for it: tokens, other settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CLASSROOM_", "JUPYTER", "CONFIGPROXY_"))
    }
    ours = {"FOLDER": str(folder), "PORT": str(port), "LOGIN": "shared-password"}
    ours |= {"PASSWORD": PASSWORD, "TEACHER_PASSWORD": TEACHER_PASSWORD} | settings
    return kept | {f"CLASSROOM_{name}": value for name, value in ours.items()}


def _hear_interrupts() -> None:
    # A hub interrupts what it stops, and a shell's background job would hand on deafness to that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(
    folder: Path, students: Sequence[str], teachers: Sequence[str] = ("teacher01",), **settings: str
) -> Iterator[Hub]:
    """A hub for these students, in this folder; nothing of it runs afterwards.

    Args:
        settings: MEMORY="1", and so on: see classroom/jupyterhub_config.py.

    Raises:
        Stop: something is missing, or the hub does not start; says what.
    """
    if lacks := missing():
        raise Stop(f"a hub needs {lacks}")
    _prepare(folder, students, teachers)
    port = free_ports(4)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(CONFIG)],
            cwd=folder,
            env=_environment(folder, port, settings),
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_hear_interrupts,
        )
    hub = Hub(f"http://127.0.0.1:{port}", folder, process, list(students), list(teachers))
    try:
        _wait(hub)
        yield hub
    finally:
        stop(hub)


def _wait(hub: Hub) -> None:
    """Until the hub answers at its public address.

    Raises:
        Stop: it ended, or took too long; shows the end of its log.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and hub.process.poll() is None:
        try:
            if requests.get(f"{hub.url}/hub/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass  # not yet
        time.sleep(0.2)
    raise Stop(f"the hub did not start:\n{hub.log.read_text(errors='replace')[-4000:]}")


def stop(hub: Hub, patience: float = 30.0) -> list[psutil.Process]:
    """End a hub, and what it started; returns what had to be killed.

    Asked to end, a hub stops its students' servers, services and proxy by itself.
    """
    hub.process.terminate()
    try:
        hub.process.wait(patience)
    except subprocess.TimeoutExpired:
        hub.process.kill()
        hub.process.wait()
    _, left = psutil.wait_procs(hub.processes(), timeout=5)
    for process in left:
        process.kill()
    return left
