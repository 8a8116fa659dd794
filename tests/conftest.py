"""What all tests share: as little as possible."""

import os
import shutil

import pytest
from hypothesis import settings

# Before torch is imported: two workers with two threads each would fight over two cores.
if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no reason to fail.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture
def compiler():
    """For tests that really compile: skips where PyTorch cannot."""
    import torch  # late, see above

    if not shutil.which("g++") or " " in torch.__file__:
        pytest.skip("needs a C++ compiler, and PyTorch in a folder without a space in its name")
    from torch._inductor import config  # takes a second to import

    with config.patch(compile_threads=1):  # or it leaves processes that wait for more
        yield
