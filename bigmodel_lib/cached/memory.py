"""How much memory this process has needed at its highest."""

import sys
from pathlib import Path

MIB = 2**20


def peak_mib() -> float:
    """The most memory that this process ever held at once, in MiB, Python's own included.

    Linux: VmHWM. The better known `ru_maxrss` would count what the parent process held, too,
    since it survives the start of a new program.
    """
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        (kib,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kib) * 1024 / MIB
    if sys.platform == "win32":
        import psutil  # no other system needs it

        return psutil.Process().memory_info().peak_wset / MIB
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # bytes, on a Mac
