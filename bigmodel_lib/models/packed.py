"""A GPT for writing on a CPU: its weights laid out the way the kernel reads them.

To write a token, a GPT multiplies a vector or two by each of its matrices, so what counts is how
fast the matrices come from memory. PyTorch's plain product reads them row by row, as they lie;
oneDNN, which comes with PyTorch, first packs them into blocks of the size of its registers. That
costs a copy, which a training step would have to make anew, since it changes the weights.

Shapes: B batch, T length, N inputs, M outputs.
"""

import copy

import torch
from torch import Tensor, nn

from .transformer import GPT

ROWS = 8  # vectors at once that the blocks are laid out for; any number works


def can_pack(weight: Tensor) -> bool:
    """Whether a matrix can be packed here: float32 on a CPU, by a PyTorch with oneDNN."""
    is_plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return is_plain and torch.backends.mkldnn.is_available()


class PackedLinear(nn.Module):
    """x Wᵀ + b, as `nn.Linear`, from a copy of W that lies in blocks; without gradients.

    Args:
        weight: W (M, N), float32 on a CPU.
        bias: b (M,); None adds nothing.

    Raises:
        ValueError: the weight cannot be packed here, see `can_pack`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        super().__init__()
        if not can_pack(weight):
            here = f"oneDNN {torch.backends.mkldnn.is_available()}"
            raise ValueError(
                f"need float32 on a CPU and oneDNN; got {weight.dtype}, {weight.device}, {here}"
            )
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.bias = None if bias is None else bias.detach()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(…, N) to (…, M)."""
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class PackedGPT(GPT):
    """The same GPT with packed matrices: the same scores, up to rounding, without gradients.

    It holds its own copy of the weights as they are now; what the model learns later is not in it.

    Args:
        model: on a CPU, in float32.

    Raises:
        ValueError: see `PackedLinear`.
    """

    def __init__(self, model: GPT):
        with torch.device("meta"):
            super().__init__(model.config)
        self.load_state_dict(model.state_dict(), assign=True)
        self.requires_grad_(False).eval()
        for block in self.blocks:
            for layer in (block.attention, block.mlp):
                for name, linear in list(layer.named_children()):
                    setattr(layer, name, PackedLinear(linear.weight, linear.bias))
        self.table = PackedLinear(self.tokens.weight)

    def unembed(self, x: Tensor) -> Tensor:
        """Features (B, T, D) to the logits of each token, (B, T, V)."""
        return self.table(x)
