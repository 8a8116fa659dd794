"""What tensors take in memory, counted while they are made: the same on every device.

An allocator rounds, keeps what was freed, and on a CPU says nothing. Here each tensor's storage
is counted once, however many views of it there are, from its making until it is freed.
"""

import weakref

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Tally:
    """Bytes of the storages noted that are still alive, and the most there were at once."""

    def __init__(self, ignored: set[int]):
        self.live = self.peak = 0
        self._seen = set(ignored)

    def note(self, tensor: Tensor) -> None:
        """Count a tensor's storage, unless it is counted already."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size).atexit = False

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)  # a new storage may get the same address
        self.live -= size


class _Made(TorchDispatchMode):
    """Notes what every operation returns, in the backward pass, too."""

    def __init__(self, tally: _Tally):
        super().__init__()
        self.tally = tally

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor):
                self.tally.note(result)
        return results


class MemoryMeter:
    """Counts the bytes of tensors that are made, and kept for the backward pass, inside `with`.

        with MemoryMeter(model) as meter:
            loss = model(x).sum()
        meter.kept, meter.peak

    Where one pass follows another, both figures are the highest that were reached. What a kernel
    takes for itself and frees before it returns is not seen. Counting slows each operation down,
    so measure time without it.

    Args:
        ignored: modules whose parameters and buffers, and tensors (inputs, say), which do not
            count.

    Attributes:
        kept: most bytes that autograd kept at once: activations, and inputs if not ignored. What
            `torch.utils.checkpoint` computes anew in the backward pass is not among them.
        peak: most bytes alive at once of the tensors made inside, gradients included.
    """

    def __init__(self, *ignored: nn.Module | Tensor):
        keys = {tensor.untyped_storage()._cdata for tensor in _tensors(ignored)}
        self._ignored = ignored  # keeps them alive, so that nothing takes their address
        self._kept, self._made = _Tally(keys), _Tally(keys)
        self._hooks = saved_tensors_hooks(self._keep, lambda tensor: tensor)
        self._mode = _Made(self._made)

    @property
    def kept(self) -> int:
        """Most bytes kept for the backward pass at once."""
        return self._kept.peak

    @property
    def peak(self) -> int:
        """Most bytes alive at once."""
        return self._made.peak

    def __enter__(self) -> "MemoryMeter":
        self._hooks.__enter__()
        self._mode.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._mode.__exit__(*error)
        self._hooks.__exit__(*error)

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.note(tensor)
        return tensor


def _tensors(owners) -> list[Tensor]:
    found = []
    for owner in owners:
        if isinstance(owner, nn.Module):
            found += [*owner.parameters(), *owner.buffers()]
        else:
            found.append(owner)
    return found
