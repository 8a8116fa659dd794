"""A text run that several workers take part in, and its checkpoints, which know of none."""

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from bigmodel_lib.distributed.worker import Worker
from bigmodel_lib.training.run import Snapshot
from bigmodel_lib.training.text import TextRun


class WorkerRun(TextRun):
    """The same steps as `TextRun`'s, the windows of each shared out among the workers.

    Every worker draws all windows from one seed and keeps its own. The mean of the workers'
    gradients is then that of the whole batch, so the weights are those of one process, but for
    the order of sums.

    "ddp": gradients are averaged while backward still computes others -- Li et al. 2020,
    arXiv:2006.15704. "fsdp": each worker keeps 1/world of weights, gradients and moments, and
    gathers the weights of a block when it computes it -- Zhao et al. 2023, arXiv:2304.11277;
    this is stage 3 of Rajbhandari et al. 2020, arXiv:1910.02054.

    Args:
        model: a GPT on the worker's device, equal on all workers.
        ids: the text as tokens (N,).
        worker: who this process is.
        strategy: "ddp" or "fsdp"; nothing to one worker alone.
        others: settings and those of `Run`.

    Raises:
        ValueError: the batch does not divide among the workers.
    """

    def __init__(self, model: nn.Module, ids: Tensor, worker: Worker, strategy: str, **others):
        self.worker = worker
        if worker.world > 1 and strategy == "fsdp":
            shard(model, worker)
        super().__init__(model, ids, **others)
        if self.settings.batch_size % worker.world:
            got = f"{self.settings.batch_size} windows for {worker.world}"
            raise ValueError(f"need a batch that divides among the workers, got {got}")
        if worker.world > 1 and strategy == "ddp":
            devices = None if worker.device.type == "cpu" else [worker.device]
            self.model = DistributedDataParallel(model, device_ids=devices)

    def draw(self) -> Tensor:
        """This worker's windows of a step."""
        return super().draw().chunk(self.worker.world)[self.worker.rank]

    def train_step(self) -> dict[str, Tensor]:
        """One step; the loss is that of the whole batch."""
        return {name: self.worker.mean(x) for name, x in super().train_step().items()}

    def save(self, path: str | Path, **notes: Any) -> None:
        """Write the whole state to one file; every worker has to call it, the first one writes."""
        snapshot = self.snapshot()
        whole = {name: gathered(x) for name, x in snapshot.tensors.items()}
        if self.worker.rank == 0:
            self.write(path, dataclasses.replace(snapshot, tensors=whole), **notes)
        self.worker.wait()  # nobody goes on before the file is there

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot: this worker's, or a whole one, of which it takes its part."""
        models = self._models()
        parts = {name: part_of(x, models.get(name)) for name, x in snapshot.tensors.items()}
        super().restore(dataclasses.replace(snapshot, tensors=parts))

    def _models(self) -> dict[str, Tensor]:
        """For each tensor of a snapshot that is cut among the workers: the parameter it is cut
        like."""
        weights = {f"model.{name}": x for name, x in self.modules["model"].named_parameters()}
        groups = self.optimizers["optimizer"].param_groups
        for index, weight in enumerate(x for group in groups for x in group["params"]):
            weights |= {f"optimizer.{index}.{name}": weight for name in ("exp_avg", "exp_avg_sq")}
        return weights


def shard(model: nn.Module, worker: Worker) -> None:
    """Cut each block's parameters, and the rest, among all workers, in place."""
    # imports of most of a second, for whoever shards
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(worker.device.type, (worker.world,))
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def gathered(x: Tensor) -> Tensor:
    """The whole of a tensor that lies in parts; every worker has to ask."""
    return x.full_tensor() if hasattr(x, "full_tensor") else x


def part_of(x: Tensor, like: Tensor | None) -> Tensor:
    """This worker's part of a whole tensor, cut like another one; what is no whole, as it is."""
    if not hasattr(like, "placements") or hasattr(x, "placements"):
        return x
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(x, like.device_mesh, like.placements)


def local_bytes(x: Tensor) -> int:
    """Bytes of a tensor that lie on this worker."""
    return (x.to_local() if hasattr(x, "to_local") else x).nbytes
