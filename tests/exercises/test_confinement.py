"""Limits and walls around a small program, without nbgrader."""

import json
import os
import subprocess
import sys

import psutil
import pytest

pytest.importorskip("resource", reason="graded code is limited on Linux and macOS only")

from tools import confinement
from tools.confinement import MIB, ROOT, Confinement, Limits, best, kill_all

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture(scope="module")
def strongest(tmp_path_factory):
    return best(Limits(), [tmp_path_factory.mktemp("course")])


def run(confined, folder, code):
    confined.lend(folder)
    command = confined.command(folder, [sys.executable, "-c", code])
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("walled", [True, False])
def test_limits_hold_behind_every_wall(strongest, tmp_path, walled):
    limits = Limits(cpu_seconds=77, memory=333, processes=44, file=5, open_files=55)
    confined = Confinement(limits, *([strongest.wall, strongest.uid] if walled else []))
    names = ["RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"]
    code = "import json, resource as r\n"
    code += f"print(json.dumps([r.getrlimit(getattr(r, name)) for name in {names}]))"
    result = run(confined, tmp_path, code)
    wanted = [77, 333 * MIB, 5 * MIB, 55, 0]
    assert json.loads(result.stdout) == [[one, one] for one in wanted], result.stderr


def test_the_scratch_folder_is_home_to_work_in_and_nothing_else_is(strongest, tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    code = f"""
import os, pathlib
print(os.getcwd() == {str(inside)!r}, os.getuid())
pathlib.Path("x").write_text("x")
try:
    pathlib.Path({str(outside)!r}, "x").write_text("x")
except OSError:
    print("refused")
"""
    result = run(strongest, inside, code)
    assert result.stdout.startswith("True"), result.stderr
    assert (inside / "x").exists()
    assert (outside / "x").exists() == (strongest.wall != "bubblewrap" and strongest.uid is None)
    if strongest.uid is not None:
        assert f" {strongest.uid}\n" in result.stdout


def test_what_is_off_is_told_with_the_reason(monkeypatch, tmp_path):
    def fails(tried):
        return "" if not tried.wall and tried.uid is None else f"no {tried.wall} today"

    monkeypatch.setattr(confinement, "_fails", fails)
    found = best(Limits(), [tmp_path])
    assert (found.wall, found.uid) == ("", None)
    told = "\n".join(found.told())
    assert "off: a user of its own; no network; processes of its own; no sight of home" in told
    assert "no bubblewrap today" in told
    assert "no unshare today" in told


def test_where_nothing_starts_nothing_is_graded(monkeypatch, tmp_path):
    monkeypatch.setattr(confinement, "_fails", lambda tried: "broken")
    with pytest.raises(OSError, match=r"cannot be started within limits here: .*broken"):
        best(Limits(), [tmp_path])


# A watch ends all children of its process, and those of a test's own are not its to end.
WATCHED = """
import subprocess, sys, time
from tools.confinement import Limits, Watch
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with Watch(Limits(**{limits})) as watch:
    while not (watch.why if {ends} else watch.peak):
        time.sleep(0.05)
    before = child.poll()
print(before, child.poll() is None, watch.why)
"""


@pytest.mark.parametrize(
    ("limits", "ends", "said"),
    [
        ({"seconds": 0}, True, "False took more than 0 seconds"),
        ({"memory": 1}, True, "False used more than 1 MiB of memory"),
        ({"processes": -10}, True, "False started more than -10 processes and threads"),
        ({}, False, "None False"),
    ],
)
def test_a_watch_kills_what_uses_too_much_and_at_the_end_all(limits, ends, said):
    code = WATCHED.format(limits=limits, ends=ends)
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert result.stdout.strip().endswith(said), result.stdout + result.stderr


def test_children_of_children_are_killed_too():
    code = f"import subprocess, time\nsubprocess.Popen({SLEEP!r})\n"
    code += "print(1, flush=True)\ntime.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    parent.stdout.readline()
    found = psutil.Process(parent.pid).children(recursive=True)
    assert len(found) == 1
    kill_all(lambda: [psutil.Process(parent.pid), *found] if parent.poll() is None else found)
    parent.stdout.close()
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in found)


def test_processes_that_come_faster_than_they_die_are_told(monkeypatch):
    monkeypatch.setattr(confinement, "_runs", lambda process: True)
    with pytest.raises(TimeoutError, match="1 processes are not to be killed"):
        kill_all(lambda: [_Immortal()], seconds=0)


class _Immortal(psutil.Process):
    """This process, deaf to signals."""

    def send_signal(self, signal):
        pass

    def wait(self, timeout=None):
        raise psutil.TimeoutExpired(timeout, pid=os.getpid())
