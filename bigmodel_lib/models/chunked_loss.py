"""The cross-entropy of a large vocabulary without all of its scores in memory at once.

The gradient of -ln softmax(s)[k] with respect to the scores s is softmax(s) - onehot(k): known
as soon as the scores are. So the scores of a few positions are made, give their share of the
loss and of both gradients, and are dropped, all in the forward pass -- the idea of Liger's fused
linear cross-entropy, Hsu et al. 2024, arXiv:2410.10989. A GPT-2 with 1024 positions a batch
spares 2 · 1024 · 50257 numbers, which also take time to write and to read.

Shapes: N positions, D width, V tokens of the vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def chunked_cross_entropy(x: Tensor, table: Tensor, targets: Tensor, rows: int) -> Tensor:
    """Mean of -ln softmax(x Eᵀ)[target], the scores of so many positions at a time.

    Args:
        x: features (N, D), floats.
        table: E (V, D), of the same kind.
        targets: integers (N,), 0 … V - 1.
        rows: positions at a time; more take more memory and less time.

    Returns:
        The loss in nats, a scalar; one backward pass through it, no second derivatives.

    Raises:
        ValueError: shapes do not fit each other, or rows < 1.
    """
    if x.ndim != 2 or table.shape[1:] != x.shape[1:] or targets.shape != x.shape[:1] or rows < 1:
        raise ValueError(
            f"need x (N, D), table (V, D), targets (N,) and rows >= 1, got {tuple(x.shape)}, "
            f"{tuple(table.shape)}, {tuple(targets.shape)} and {rows}"
        )
    return _ChunkedCrossEntropy.apply(x, table, targets, rows)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, table, targets, rows):
        total, dx, dtable = x.new_zeros(()), [], None
        for part, wanted in zip(x.split(rows), targets.split(rows), strict=True):
            scores = F.linear(part, table)
            log_p = torch.ops.aten._log_softmax.out(scores, 1, False, out=scores)
            place = wanted[:, None]
            total -= log_p.gather(1, place).sum()
            grad = log_p.exp_().scatter_add_(1, place, -torch.ones_like(log_p[:, :1]))
            dx.append(F.linear(grad, table.T))
            dtable = grad.T @ part if dtable is None else dtable.addmm_(grad.T, part)
        ctx.gradients, ctx.count = (torch.cat(dx), dtable), len(x)
        return total / len(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        if ctx.gradients is None:
            raise RuntimeError("a chunked loss has one backward pass, got a second one")
        dx, dtable = ctx.gradients
        ctx.gradients = None  # they are scaled in place: they may be as large as the model
        scale = grad / ctx.count
        return dx.mul_(scale), dtable.mul_(scale), None, None
