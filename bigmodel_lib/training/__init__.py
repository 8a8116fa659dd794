"""Training as an iterator, checkpoints, and one run for each way of training."""

from bigmodel_lib.training.checkpoint import CheckpointError
from bigmodel_lib.training.gan import GANRun, GANSettings
from bigmodel_lib.training.run import Change, NotFiniteError, Record, Run

__all__ = [
    "Change",
    "CheckpointError",
    "GANRun",
    "GANSettings",
    "NotFiniteError",
    "Record",
    "Run",
]
