"""One training script for one process, many processes, and many machines.

    python -m bigmodel_lib.distributed.train FOLDER                             one process
    torchrun --nproc-per-node=2 -m bigmodel_lib.distributed.train FOLDER        two
    torchrun --nnodes=2 … -m bigmodel_lib.distributed.train FOLDER              two machines

`examples/` has the last one for Slurm and for Kubernetes, and README.md there the way to it.
"""

from pathlib import Path


def examples_folder() -> Path:
    """Where the examples are."""
    return Path(__file__).parent / "examples"
