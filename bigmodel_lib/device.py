"""Which device there is, seeds, and number formats for it.

Only notebooks and scripts ask these questions; everything below follows its inputs.
"""

import random
from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")


def pick_device(name: str | None = None) -> torch.device:
    """The accelerator that PyTorch can use (CUDA, MPS, XPU), else the CPU.

    Args:
        name: ask for this device instead, such as "cpu" or "cuda:1".

    Raises:
        ValueError: the device asked for is not there, or is no device at all.
    """
    here = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    if name is None:
        return here
    try:
        asked = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"need a device such as 'cpu' or 'cuda:1', got {name!r}") from error
    count = torch.accelerator.device_count() if asked.type == here.type else 0
    if asked.type != "cpu" and (asked.index or 0) >= count:
        raise ValueError(f"need a device that is here; asked for {name!r}, found {here.type!r}")
    return asked


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators (all devices).

    Raises:
        ValueError: seed is not an integer in 0 … 2**32 - 1, NumPy's range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"need an integer seed from 0 to 2**32 - 1, got {seed!r}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def by_device(*, cpu: T, gpu: T) -> T:
    """One of two settings, so that the same cell runs small on a CPU and large on a GPU."""
    return cpu if pick_device().type == "cpu" else gpu


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision where it pays: bfloat16 or float16 on an accelerator, off on a CPU.

    bfloat16 keeps float32's range and needs no loss scaling; float16 is what is left on
    accelerators without it.
    """
    if device.type == "cpu":
        return torch.autocast("cpu", enabled=False)
    return torch.autocast(device.type, dtype=_half_dtype(device))


def _half_dtype(device: torch.device) -> torch.dtype:
    # before Ampere (a T4, say) CUDA only emulates bfloat16, slower than float32
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16
