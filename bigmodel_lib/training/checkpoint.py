"""Checkpoints: safetensors with JSON in the header, one file, replaced atomically.

Nothing in such a file can run code, unlike a pickle.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

KEY, FORMAT = "bigmodel_lib", 1


class CheckpointError(RuntimeError):
    """A checkpoint that is not there, is damaged, or belongs to something else."""


def save_tensors(path: str | Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts to one file.

    Killed at any moment, the path holds the old file or the whole new one: the bytes go to a
    temporary file in the same folder, reach the disk, and only then take the name.

    Args:
        path: the file; its folder is made if needed.
        tensors: by name, on any device.
        facts: what JSON can hold; NaN is refused, because JSON has none.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"format": FORMAT, **facts}, allow_nan=False)
    data = save({k: v.cpu().contiguous() for k, v in tensors.items()}, metadata={KEY: header})
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_tensors(
    path: str | Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: tensors on the device, and the facts.

    Raises:
        CheckpointError: no file there, not a checkpoint, cut short, or of a newer format.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {path}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint: {error}") from error
    if header is None:
        raise CheckpointError(f"{path} holds tensors, but was not written by bigmodel_lib")
    facts = json.loads(header)
    if facts["format"] != FORMAT:
        raise CheckpointError(f"need format {FORMAT}, {path} has {facts['format']}")
    return tensors, facts
