"""Who am I among the workers? What torchrun puts into the environment, and the group it forms."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from bigmodel_lib.device import pick_device
from bigmodel_lib.distributed.orphan import end_with_the_parent

UNSHARED = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"


@dataclass(frozen=True)
class Worker:
    """One of `world` processes that train together.

    Attributes:
        rank: number among all, from 0.
        world: how many.
        device: the one that it computes on.
        attempt: restarts that its agent has made before.
    """

    rank: int
    world: int
    device: torch.device
    attempt: int

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """The mean over all workers; each of them has to ask."""
        x = x.detach().clone()
        if self.world > 1:
            dist.all_reduce(x)  # a sum: Gloo has no mean
        return x / self.world

    def wait(self) -> None:
        """Until all workers are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def joined(device: str = "", patience: float = 60.0) -> Iterator[Worker]:
    """This process as a worker: alone, or in the group that torchrun started.

    Gloo on CPUs, NCCL on GPUs, one GPU a worker.

    Args:
        device: "cpu" or "cuda"; empty means what is there.
        patience: seconds to wait for the other workers, for each thing they do together.
    """
    here = pick_device(device or None)
    if "RANK" not in os.environ:
        yield Worker(0, 1, here, 0)
        return
    if here.type == "cuda":
        here = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(here)
    end_with_the_parent()
    store, rank, world = group_store(timedelta(seconds=patience))
    backend = "nccl" if here.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=world, timeout=timedelta(seconds=patience)
    )
    yield Worker(rank, world, here, int(os.environ["TORCHELASTIC_RESTART_COUNT"]))
    # Not in a `finally`: after an error a peer may be dead, and leaving is to be quick then.
    dist.destroy_process_group()


def group_store(timeout: timedelta) -> tuple[dist.Store, int, int]:
    """Where the workers of this attempt find each other; with rank and world.

    torchrun's agent keeps one store for all attempts. There, the workers of a restart can read
    the addresses of those that are dead, and Gloo's and NCCL's answer is "connection refused"
    -- pytorch/pytorch issue 135712. On one machine the number of the attempt sets them apart.
    On several, each agent counts for itself, so each attempt needs a store of its own.

    Raises:
        RuntimeError: restarts on several machines with one store for all attempts.
    """
    store, rank, world = next(dist.rendezvous("env://", timeout=timeout))
    shared = os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "True"
    if shared and os.environ["GROUP_WORLD_SIZE"] == "1":
        store = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    elif shared and os.environ["TORCHELASTIC_MAX_RESTARTS"] != "0":
        raise RuntimeError(f"need {UNSHARED}=1 to restart on several machines; see the examples")
    return store, rank, world
