"""Linear maps by oneDNN while a model trains on a CPU: the same sums by another library.

PyTorch hands plain products of float32 to the BLAS it was built with. oneDNN comes with it as
well, and on many processors multiplies a batch by a matrix faster (`make bench-gpt_training`
tells for yours). What it computes is the same up to rounding.

Shapes: N inputs, M outputs; … any batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from .packed import can_pack


class OneDNNProducts(TorchFunctionMode):
    """Within `with OneDNNProducts():` oneDNN multiplies in every linear map that it can.

    That is in float32, on a CPU, outside of autocast; all else is computed as ever, so it is
    right for any model. Second derivatives do not pass through these maps.

    Raises:
        RuntimeError: the PyTorch here comes without oneDNN.
    """

    def __init__(self):
        super().__init__()
        if not can_pack(torch.empty(0)):
            raise RuntimeError("need a PyTorch with oneDNN, got one without")

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is F.linear and _fits(*args, **kwargs):
            return _Linear.apply(*_named(*args, **kwargs))
        return function(*args, **kwargs)


def _named(input, weight, bias=None):
    return input, weight, bias


def _fits(input, weight, bias=None) -> bool:
    plain = all(type(t) in (Tensor, torch.nn.Parameter) for t in (input, weight))
    casts = torch.is_autocast_enabled("cpu")
    same = input.dtype == weight.dtype and input.device == weight.device
    return plain and same and not casts and weight.ndim == 2 and can_pack(weight)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x, weight), needs = ctx.saved_tensors, ctx.needs_input_grad
        rows, inputs = (t.reshape(-1, t.shape[-1]) for t in (grad, x))
        return (
            _product(rows, weight.T).view_as(x) if needs[0] else None,
            # the plain product: oneDNN would have to turn both sides first
            rows.T @ inputs if needs[1] else None,
            rows.sum(0) if needs[2] else None,
        )
