"""A GPT for writing on a CPU: its weights laid out the way the kernel reads them.

To write a token, a GPT multiplies a vector or two by each of its matrices, so what counts is how
fast the matrices come from memory. PyTorch's plain product reads them row by row, as they lie;
oneDNN, which comes with PyTorch, first packs them into blocks of the size of its registers. That
costs a copy, which a training step would have to make anew, since it changes the weights.

Shapes: B batch, T length, N inputs, M outputs.
"""

import torch
from torch import Tensor, nn

from .transformer import GPT

ROWS = 8  # vectors at once that the blocks are laid out for; any number works


def can_pack(weight: Tensor) -> bool:
    """Whether a matrix can be packed here: float32 on a CPU, by a PyTorch with oneDNN."""
    is_plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return is_plain and torch.backends.mkldnn.is_available() and _has_operators()


class PackedLinear(nn.Module):
    """x Wᵀ + b, as `nn.Linear`, from a copy of W that lies in blocks; without gradients.

    Args:
        weight: W (M, N), float32 on a CPU.
        bias: b (M,); None adds nothing.
        gelu: whether GELU follows, which then reads the result before it leaves the cache.

    Raises:
        ValueError: the weight cannot be packed here, see `can_pack`.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False):
        super().__init__()
        if not can_pack(weight):
            here = "with" if _has_operators() else "without"
            got = f"{weight.dtype} on {weight.device}, PyTorch {here} oneDNN"
            raise ValueError(f"need float32 on a CPU and oneDNN; got {got}")
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.bias = None if bias is None else bias.detach().clone()
        # what follows the product, its numbers, and which GELU: the exact one
        self.follow = ("gelu", [], "none") if gelu else ("none", [], "")

    def forward(self, x: Tensor) -> Tensor:
        """(…, N) to (…, M)."""
        product = torch.ops.mkldnn._linear_pointwise.default  # without a search for the overload
        return product(x, self.weight, self.bias, *self.follow)


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
        weights = {name: weight.clone() for name, weight in model.state_dict().items()}
        self.load_state_dict(weights, assign=True)
        self.requires_grad_(False).eval()
        self.dropout = nn.Identity()
        for block in self.blocks:
            layer, mlp = block.attention, block.mlp
            layer.qkv, layer.out = (_packed(linear) for linear in (layer.qkv, layer.out))
            block.mlp = nn.Sequential(_packed(mlp.wide, gelu=True), _packed(mlp.out))
            block.dropout = nn.Identity()
        self.table = PackedLinear(self.tokens.weight)

    def unembed(self, x: Tensor) -> Tensor:
        """Features (B, T, D) to the logits of each token, (B, T, V)."""
        return self.table(x)


def _has_operators() -> bool:
    # what torch.compile calls for frozen weights; a PyTorch without oneDNN does not have them
    return all(
        hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
    )


def _packed(linear: nn.Linear, *, gelu: bool = False) -> PackedLinear:
    return PackedLinear(linear.weight, linear.bias, gelu=gelu)
