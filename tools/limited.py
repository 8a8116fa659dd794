"""Start a command within limits: python -I limited.py JSON COMMAND …

The JSON holds "uid" (a user's number, or null), "folder" (to start in) and "limits" (by name).
Used by tools/confinement.py, inside whatever else shuts the command in. Standard library alone.
"""

import ctypes
import json
import os
import resource
import signal
import sys

DIE_WITH_PARENT, NO_NEW_RIGHTS = 1, 38  # PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS: linux/prctl.h


def limit(limits: dict[str, int]) -> None:
    """Set each limit, or leave it where it is lower already."""
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def become(uid: int | None) -> None:
    """Another user, with no groups; needs root."""
    if uid is not None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)


def bind() -> None:
    """On Linux: die with the parent, and never gain rights, such as by sudo."""
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)  # a change of user would undo it
        prctl(NO_NEW_RIGHTS, 1, 0, 0, 0)


if __name__ == "__main__":
    wanted, command = json.loads(sys.argv[1]), sys.argv[2:]
    become(wanted["uid"])
    os.chdir(wanted["folder"])
    bind()
    limit(wanted["limits"])
    if os.getppid() <= 1:  # behind a wall of processes; a kernel would take it for an orphan's
        os.environ.pop("JPY_PARENT_PID", None)
    os.execv(command[0], command)
