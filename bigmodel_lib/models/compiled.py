"""A GPT that writes each token through compiled layers, on a CPU.

To write a token, a GPT multiplies one vector a sequence by each of its matrices, so the best that
can be had is to read the matrices once, as fast as memory gives them. PyTorch's products for so
few vectors reach about half of that, and between them lie some seventy small calls. Here a layer
is one graph: its products are plain sums over blocks as wide as a register of the processor, and
a compiler makes loops of them, with norm, attention and GELU between.

Shapes: B batch, S tokens in the cache with the one being written, H heads, d head width, D model
width, N inputs, M outputs, R entries in a register.
"""

from collections.abc import Callable
from types import FunctionType
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import KeyValueCache
from .packed import PackedGPT
from .transformer import GPT, Block

LARGEST = 8  # sequences at once: a sum for each must find a register; more would not
Pair = tuple[Tensor, Tensor]  # weight and bias


class BlockWeights(NamedTuple):
    """What a block multiplies by and adds: its matrices in blocks (M/R, N, R), see `in_blocks`.

    The bias of `qkv` is (3, H, d), which tells the compiler all sizes of attention.
    """

    norm_attention: Pair
    qkv: Pair
    out: Pair
    norm_mlp: Pair
    wide: Pair
    down: Pair


def register_width() -> int:
    """R: how many float32 the processor's widest register holds, as far as PyTorch uses it."""
    return {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 4)


def in_blocks(weight: Tensor) -> Tensor:
    """A matrix (M, N) as (M/R, N, R), with rows of zeros behind it where R does not divide M."""
    R = register_width()
    rows = F.pad(weight.detach(), (0, 0, 0, -len(weight) % R))
    return rows.view(-1, R, weight.shape[1]).transpose(1, 2).contiguous()


def product(x: Tensor, blocks: Tensor, bias: Tensor) -> Tensor:
    """x Wᵀ + b, from x (B, N), W `in_blocks` and b (M,), to (B, M).

    The compiler makes one loop of all B sums, in which each entry of W is read once.
    """
    # Turned, so that what the sums read lies side by side: a processor fetches W ahead of its use
    # beside one more stream of numbers, but not beside B of them.
    columns = computed(computed(x).T.contiguous()).unbind(1)
    sums = [(column[:, None] * blocks).sum(dim=1).flatten() for column in columns]
    # where `stack` would copy each sum in a loop of its own, these choices join the loop behind
    row, out = torch.arange(len(sums))[:, None], sums[0][None]
    for b, each in enumerate(sums[1:], 1):
        out = torch.where(row == b, each, out)
    return out[:, : len(bias)] + bias


def computed(x: Tensor) -> Tensor:
    """x itself, as a view that the compiler does not look through.

    It would move what makes x, such as GELU, into the loop that reads x, and do it M times over.
    """
    return x.as_strided(x.shape, x.stride())


def write_block(x: Tensor, start: int, k: Tensor, v: Tensor, w: BlockWeights) -> Tensor:
    """One token of each sequence through a block; it adds its keys and values to the cache.

    Args:
        x: (B, D).
        start: tokens in the cache, which is where the new one goes.
        k, v: the cache's places (B, H, room, d), start < room; written to.
        w: the block's weights.

    Returns:
        (B, D).
    """
    B, D = x.shape
    blocks, bias = w.qkv
    h = F.layer_norm(x, (D,), *w.norm_attention)
    q, *new = product(h, blocks, bias.flatten()).view(B, *bias.shape).unbind(1)
    d = q.shape[-1]
    for places, entry in zip((k, v), new, strict=True):
        places.narrow(2, start, 1).copy_(entry[:, :, None])
    k, v = k.narrow(2, 0, start + 1), v.narrow(2, 0, start + 1)
    scores = ((q * d**-0.5)[:, :, None] * k).sum(dim=-1)  # (B, H, S)
    heads = (computed(scores.softmax(dim=-1))[..., None] * v).sum(dim=2).flatten(1)
    x = computed(x + product(heads, *w.out))
    h = F.layer_norm(x, (D,), *w.norm_mlp)
    return x + product(F.gelu(product(h, *w.wide)), *w.down)


def write_scores(x: Tensor, norm: Pair, table: Pair) -> Tensor:
    """Features (B, D) to the logits of each token (B, V)."""
    return product(F.layer_norm(x, x.shape[1:], *norm), *table)


def one_graph(step: Callable) -> Callable:
    """Compile for one batch size and any `start`; this needs a C++ compiler, and some seconds."""
    from torch._inductor import config  # takes a second to import

    # multiply and add in one instruction: half the work, and rounded once instead of twice
    fused = {"cpp.enable_floating_point_contract_flag": "fast"}
    has_it = getattr(config.cpp, "enable_floating_point_contract_flag", None) == "off"
    return torch.compile(step, fullgraph=True, dynamic=True, options=fused if has_it else None)


class CompiledGPT(PackedGPT):
    """The same GPT, up to rounding, which writes on with compiled layers, without gradients.

    A token behind at least two of a cache with room for it takes the compiled way, in batches of
    up to `LARGEST`; all else goes the way of `PackedGPT`. Each batch size compiles anew, when it
    is first met. The matrices are held twice, packed and in blocks.

    Args:
        model: on a CPU, in float32.
        compile: how; the default is `one_graph`.

    Raises:
        ValueError: see `PackedLinear`.
    """

    def __init__(self, model: GPT, compile: Callable = one_graph):
        super().__init__(model)
        self._compile, self._graphs = compile, {}
        self._blocks = [_block_weights(block) for block in model.blocks]
        table = model.tokens.weight
        self._table = _fixed(in_blocks(table)), _fixed(torch.zeros(len(table)))
        self._norm = _pair(model.norm)

    def forward(
        self, ids: Tensor, cache: list[KeyValueCache] | None = None, *, last: bool = False
    ) -> Tensor:
        """As `GPT.forward`."""
        if cache is None or not _can_step(ids, cache[0]):
            return super().forward(ids, cache, last=last)
        start = cache[0].length
        self._check(ids, start)
        block, scores = self._graphs_for(len(ids))
        x = F.embedding(ids[:, 0], self.tokens.weight) + self.positions.weight[start]
        for kept, weights in zip(cache, self._blocks, strict=True):
            x = block(x, start, *kept.places(), weights)
            kept.advance()
        return scores(x, self._norm, self._table)[:, None]

    def _graphs_for(self, B: int) -> tuple[Callable, Callable]:
        if B not in self._graphs:
            steps = write_block, write_scores
            self._graphs[B] = tuple(self._compile(_own_code(step)) for step in steps)
        return self._graphs[B]


def _can_step(ids: Tensor, kept: KeyValueCache) -> bool:
    # the compiler makes special graphs for lengths of 0 and 1: two tokens are not worth those
    if ids.ndim != 2 or ids.shape[1] != 1 or len(ids) > LARGEST or not 2 <= kept.length < kept.room:
        return False
    return len(ids) == len(kept.k)


def _block_weights(block: Block) -> BlockWeights:
    layer, mlp = block.attention, block.mlp
    matrices = layer.qkv, layer.out, mlp.wide, mlp.out
    qkv, out, wide, down = ((_fixed(in_blocks(m.weight)), _fixed(m.bias)) for m in matrices)
    qkv = qkv[0], _fixed(qkv[1].view(3, layer.H, layer.d))
    norms = _pair(block.norm_attention), _pair(block.norm_mlp)
    return BlockWeights(norms[0], qkv, out, norms[1], wide, down)


def _pair(norm: nn.LayerNorm) -> Pair:
    return _fixed(norm.weight), _fixed(norm.bias)


def _fixed(x: Tensor) -> Tensor:
    return nn.Parameter(
        x.detach().clone(), requires_grad=False
    )  # whose size the compiler takes as is


def _own_code(function: FunctionType) -> FunctionType:
    # the compiler counts graphs by code object, those of all models together, and has a limit
    code = function.__code__.replace()
    return FunctionType(code, function.__globals__, function.__name__, function.__defaults__)
