"""Shut graded code in as far as this machine allows, and say how far that is.

In this order, the first that works here:

- Bubblewrap: no network, a read-only file system without home, course and other people's
  temporary files, processes of its own;
- unshare, from util-linux: no network, processes of its own;
- neither.

With each: limits on what a process may use, and, for root, a user without rights. Total memory
and number of processes are watched, since the kernel counts them for single processes only.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
LAUNCHER = ROOT / "tools" / "limited.py"
FREE_USERS = range(61184, 65520)  # systemd's range for users that exist for a moment
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        seconds: of the clock, for the notebook.
        cell_seconds: of the clock, for one cell; then it is interrupted, and the next one runs.
        cpu_seconds: of processor time, for one process.
        memory: MiB, for one process, and for all of them together.
        processes: at most at once, threads included.
        file: MiB, for one file.
        open_files: at most at once, for one process.
    """

    seconds: int = 600
    cell_seconds: int = 60
    cpu_seconds: int = 900
    memory: int = 3072
    processes: int = 150
    file: int = 100
    open_files: int = 1024

    def of_a_process(self, others: int) -> dict[str, int]:
        """As the kernel wants them; `others` run already for the same user."""
        return {
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_DATA": self.memory * MIB,  # not RLIMIT_AS: torch maps far more than it uses
            "RLIMIT_NPROC": self.processes + others,
            "RLIMIT_FSIZE": self.file * MIB,
            "RLIMIT_NOFILE": self.open_files,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True)
class Confinement:
    """How graded code is started here.

    Attributes:
        limits: what it may use.
        wall: "bubblewrap", "unshare" or "" for none.
        uid: the user without rights it runs as; None for the grader's own.
        hidden: folders that it must not see, where the wall can hide them.
        why: reasons for what is off.
        home: the grader's, hidden like the course.
    """

    limits: Limits
    wall: str = ""
    uid: int | None = None
    hidden: tuple[Path, ...] = ()
    why: tuple[str, ...] = ()
    home: Path = field(default_factory=Path.home)  # of the grader; the variable changes later

    def command(self, scratch: Path, command: list[str]) -> list[str]:
        """The command that starts another one shut in, with a folder that it may write to."""
        others = 0 if self.uid is not None else _threads_of_this_user()
        wanted = {
            "uid": self.uid,
            "folder": str(scratch),
            "limits": self.limits.of_a_process(others),
        }
        limited = [sys.executable, "-I", str(LAUNCHER), json.dumps(wanted), *command]
        return [*self._wall(scratch), *limited]

    def _wall(self, scratch: Path) -> list[str]:
        if self.wall == "bubblewrap":
            return _bubblewrap(scratch, self.home, self.hidden)
        if self.wall == "unshare":
            same_user = [] if os.geteuid() == 0 else ["--map-current-user"]
            return ["unshare", *same_user, "--net", "--ipc", "--pid", "--fork", "--kill-child",
                    "--mount-proc", "--"]  # fmt: skip
        return []

    def lend(self, folder: Path) -> None:
        """Give a folder, with what is in it, to the user that graded code runs as."""
        if self.uid is not None:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def told(self) -> list[str]:
        """What is on, and what is off and why, in words."""
        user = "a user of its own, without rights" if self.uid is not None else ""
        on = {
            user or "a user of its own": self.uid is not None,
            "no network": bool(self.wall),
            "processes of its own": bool(self.wall),
            "no sight of home, course and temporary files, the rest read-only": (
                self.wall == "bubblewrap"
            ),
        }
        limits = (f"{self.limits.seconds} s, {self.limits.cell_seconds} s a cell, "
                  f"{self.limits.memory} MiB, {self.limits.processes} processes and threads, "
                  f"{self.limits.file} MiB a file")  # fmt: skip
        lines = ["on:  " + "; ".join([*(what for what in on if on[what]), f"limits of {limits}"])]
        if off := [what for what in on if not on[what]]:
            lines.append("off: " + "; ".join(off))
        return lines + [f"     {reason}" for reason in self.why]


def best(limits: Limits, hidden: list[Path]) -> Confinement:
    """The strongest confinement that starts Python here.

    Raises:
        OSError: not even limits work.
    """
    own = _free_user() if os.geteuid() == 0 else None
    users = [own, None] if own is not None else [None]
    why: list[str] = [] if own is not None else ["only root can start it as another user"]
    for wall in ("bubblewrap", "unshare", ""):
        for uid in users:
            tried = Confinement(limits, wall, uid, tuple(path.resolve() for path in hidden))
            if not (reason := _fails(tried)):
                return Confinement(limits, wall, uid, tried.hidden, tuple(why))
            who = "as a user of its own" if uid is not None else "as this user"
            why.append(f"{wall or 'limits alone'}, {who}: {reason}")
    raise OSError("graded code cannot be started within limits here: " + "; ".join(why))


def _fails(tried: Confinement) -> str:
    """Why Python with a kernel's parts does not start there; empty if it does."""
    with tempfile.TemporaryDirectory(prefix="grade-") as name:
        scratch = Path(name)
        tried.lend(scratch)
        start = [sys.executable, "-c", f"import zmq; open({str(scratch / 'x')!r}, 'w').close()"]
        try:
            result = subprocess.run(
                tried.command(scratch, start), capture_output=True, text=True, timeout=120,
                cwd=scratch, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError as error:
            return f"{error.filename} is not installed"
        except PermissionError as error:
            return str(error)
    lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
    return lines[-1] if result.returncode else ""


def _bubblewrap(scratch: Path, home: Path, hidden: tuple[Path, ...]) -> list[str]:
    """Everything to be read, nothing to be written, and a few places empty."""
    needed = _needed()
    empty = [home, *map(Path, ("/tmp", "/var/tmp", "/run", "/mnt", "/media"))]
    words = ["bwrap", "--unshare-ipc", "--unshare-net", "--unshare-pid", "--unshare-uts",
             "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--proc", "/proc",
             "--dev", "/dev"]  # fmt: skip
    if os.geteuid() == 0:  # what is left is needed to become another user, and then lost
        words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    empty = [path.resolve() for path in empty if path.is_dir() and path.resolve() != Path("/")]
    for path in empty:
        words += ["--tmpfs", str(path)]
    for path in [path for path in needed if any(path.is_relative_to(one) for one in empty)]:
        words += [*_folders(path, empty), "--ro-bind", str(path), str(path)]
    inside = [path for path in (*hidden, ROOT / ".git") if path.is_dir()]
    for path in inside:
        words += ["--tmpfs", str(path)]
    words += ["--size", str(64 * MIB), "--perms", "1777", "--tmpfs", "/dev/shm"]
    words += [*_folders(scratch, empty), "--bind", str(scratch), str(scratch)]
    for path in [*empty, *inside]:
        words += ["--remount-ro", str(path)]
    return [*words, "--"]


def _folders(path: Path, empty: list[Path]) -> list[str]:
    """The folders on the way to a path, which Bubblewrap would make for root alone."""
    way = [one for one in path.parents if any(one.is_relative_to(base) for base in empty)]
    words = []
    for one in reversed(way):
        if one not in empty:
            words += ["--perms", "0755", "--dir", str(one)]
    return words


def _needed() -> list[Path]:
    """Folders with Python, its packages and this repository; none lies in another one."""
    places = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), str(ROOT)]
    found = {Path(place) for place in places if Path(place).is_dir()}
    found |= {path.resolve() for path in found}
    return sorted(path for path in found if not found & set(path.parents))


def _free_user() -> int:
    """A user's number that nobody has."""
    import pwd

    taken = {one.pw_uid for one in pwd.getpwall()}
    taken |= {process.info["uids"].real for process in psutil.process_iter(["uids"])}
    return next(uid for uid in FREE_USERS if uid not in taken)


def _threads_of_this_user() -> int:
    mine = (one for one in psutil.process_iter(["uids", "num_threads"]) if one.info["uids"])
    return sum(one.info["num_threads"] or 0 for one in mine if one.info["uids"].real == os.getuid())


def below() -> list[psutil.Process]:
    """All that this process started, and what that started, daemons included (`adopt`)."""
    return psutil.Process().children(recursive=True)


def adopt() -> None:
    """On Linux: processes whose parent ends become children of this one, not of init."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: linux/prctl.h


def kill_all(found: Callable[[], list[psutil.Process]], seconds: float = 10) -> None:
    """Kill until nothing new is found.

    Raises:
        TimeoutError: processes start faster than they are killed.
    """
    end = time.monotonic() + seconds
    while alive := [one for one in found() if _runs(one)]:
        for one in alive:
            with _gone():
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(alive, timeout=1)
        if time.monotonic() > end:
            raise TimeoutError(f"{len(alive)} processes are not to be killed")


def _gone():
    return contextlib.suppress(psutil.NoSuchProcess)


def _runs(process: psutil.Process) -> bool:
    with _gone():
        return process.status() != psutil.STATUS_ZOMBIE
    return False


@dataclass
class Watch:
    """Kills all that this process started when it uses too much; `why` then says of what.

    A context manager. At its end nothing that was started is left. `peak` is the highest
    memory in bytes that was seen, of all processes together, `cpu` the seconds of each.
    """

    limits: Limits
    why: str = ""
    peak: int = 0
    cpu: dict[int, float] = field(default_factory=dict)
    _end: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self._until = time.monotonic() + self.limits.seconds
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        kill_all(below)

    def _look(self) -> None:
        while not self._end.wait(0.2):
            self.why = self.why or self.too_much()
            if self.why:
                kill_all(below)

    def too_much(self) -> str:
        """What is over its limit now, in words, or nothing."""
        if time.monotonic() > self._until:
            return f"took more than {self.limits.seconds} seconds"
        memory, threads = 0, 0
        for one in below():
            with _gone():
                memory, threads = memory + one.memory_info().rss, threads + one.num_threads()
                self.cpu[one.pid] = sum(one.cpu_times()[:2])
        self.peak = max(self.peak, memory)
        if memory > self.limits.memory * MIB:
            return f"used more than {self.limits.memory} MiB of memory"
        if threads > self.limits.processes + 10:  # those of the wall come on top
            return f"started more than {self.limits.processes} processes and threads"
        return ""
