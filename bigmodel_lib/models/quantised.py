"""Weights in 8 bits: a scale for each output channel, and whole numbers from -127 to 127.

Shapes: B batch, O outputs, I inputs.

Sources: Jacob et al. 2017, section 2.1, arXiv:1712.05877, here with zero point 0; a scale for
each channel, Krishnamoorthi 2018, arXiv:1806.08342.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quantise(weight: Tensor, bits: int = 8) -> tuple[Tensor, Tensor]:
    """w ≈ s q: symmetric, with a scale for each row (output channel) of the weight.

    s = max|w| / (2^(bits - 1) - 1), q = round(w / s). The error is at most s / 2.

    Args:
        weight: (O, …), finite.
        bits: 2 … 8.

    Returns:
        q (O, …) int8, and s (O,) of the weight's dtype; s is 1 where a row is 0.

    Raises:
        ValueError: bits are out of range.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"need 2 to 8 bits, got {bits}")
    most = 2 ** (bits - 1) - 1
    scale = weight.flatten(1).abs().amax(dim=1) / most
    scale = torch.where(scale > 0, scale, 1.0)
    return (weight / _as_rows(scale, weight)).round().to(torch.int8), scale


def dequantise(q: Tensor, scale: Tensor) -> Tensor:
    """s q, of the scale's dtype."""
    return q.to(scale.dtype) * _as_rows(scale, q)


def _as_rows(scale: Tensor, like: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (like.ndim - 1))


class Int8Weights(nn.Module):
    """A Linear or Conv2d whose weights lie in memory as int8, and are expanded at each call.

    A quarter of the bytes; the arithmetic is that of floats ("weight-only").

    Args:
        layer: the trained layer.
        bits: of the whole numbers; they take 8 bits of memory all the same.

    Raises:
        ValueError: a convolution whose padding is not zeros, or bits out of range.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, bits: int = 8):
        super().__init__()
        q, scale = quantise(layer.weight.detach(), bits)
        self.register_buffer("q", q)
        self.register_buffer("scale", scale)
        self.bias = layer.bias
        self.conv = _how(layer) if isinstance(layer, nn.Conv2d) else None
        if self.conv is None:
            self.in_features, self.out_features = layer.in_features, layer.out_features

    @property
    def weight(self) -> Tensor:
        """The weights as floats."""
        return dequantise(self.q, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives, with rounded weights."""
        if self.conv is None:
            return F.linear(x, self.weight, self.bias)
        return F.conv2d(x, self.weight, self.bias, **self.conv)


def _how(layer: nn.Conv2d) -> dict[str, Any]:
    if layer.padding_mode != "zeros":
        raise ValueError(f"need a convolution padded with zeros, got {layer.padding_mode!r}")
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}


class DynamicInt8Linear(nn.Module):
    """A Linear that multiplies whole numbers: inputs are rounded at each call, row by row.

    y = s_x s_w (q_x q_wᵀ) + b, the sum in int32 ("dynamic" quantisation).

    Args:
        linear: the trained layer.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        q, scale = quantise(linear.weight.detach())
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("q", q.t().contiguous())  # (I, O)
        self.register_buffer("scale", scale)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, I) to (…, O)."""
        rows = x.flatten(0, -2)
        q, scale = quantise(rows)
        y = torch._int_mm(q, self.q).to(x.dtype) * scale[:, None] * self.scale  # exact sum, int32
        y = y if self.bias is None else y + self.bias
        return y.unflatten(0, x.shape[:-1])


def quantised(model: nn.Module, kind: type[nn.Module] = Int8Weights) -> nn.Module:
    """A copy of a network with its layers replaced by their 8-bit form.

    Args:
        model: any network; not changed.
        kind: `Int8Weights` replaces Linear and Conv2d, `DynamicInt8Linear` Linear only.
    """
    model = copy.deepcopy(model)
    wanted = (nn.Linear, nn.Conv2d) if kind is Int8Weights else nn.Linear
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, wanted):
                setattr(parent, name, kind(child))
    return model


def stored_bytes(model: nn.Module) -> int:
    """What parameters and buffers take, each storage once."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())
