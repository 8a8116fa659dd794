"""What an attention head does, read from its weights and from where it looks.

Shapes: B batch, H heads, T length, V vocabulary.

Sources: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et al.
2022, "In-context Learning and Induction Heads", arXiv:2209.11895.
"""

import torch
from torch import Tensor

from bigmodel_lib.models.attention_only import AttentionOnly


def previous_token(pattern: Tensor) -> Tensor:
    """Weight on the token just before, the mean over all positions that have one.

    Args:
        pattern: weights (B, H, T, T).

    Returns:
        (H,), each in 0 … 1.

    Raises:
        ValueError: not (B, H, T, T), or T < 2.
    """
    _check(pattern)
    return pattern.diagonal(-1, -2, -1).mean(dim=(0, 2))


def prefix_matching(pattern: Tensor, periods: Tensor) -> Tensor:
    """Weight on tokens that followed the present one wherever it has occurred before.

    On sequences that repeat after R tokens, query t ≥ R looks at keys t - R + 1, t - 2R + 1, …
    Summed over these keys, the mean over these queries -- the prefix-matching score of Olsson et
    al. 2022, arXiv:2209.11895.

    Args:
        pattern: weights (B, H, T, T).
        periods: R of each sequence, integers (B,), 1 … T - 1.

    Returns:
        (H,), each in 0 … 1.

    Raises:
        ValueError: shapes do not fit, or a period is out of range.
    """
    _check(pattern)
    B, _, T, _ = pattern.shape
    if periods.shape != (B,) or not ((periods >= 1) & (periods < T)).all():
        raise ValueError(f"need periods ({B},) in 1 … {T - 1}, got {periods.tolist()}")
    t, R = torch.arange(T, device=pattern.device), periods[:, None, None]
    ago = t[:, None] - t + 1  # (T, T): how long before the query the key's predecessor stood
    sought = (ago % R == 0) & (ago > 0) & (t > 0)  # (B, T, T); key 0 has no predecessor
    queries = (t >= periods[:, None]).sum()
    return (pattern * sought[:, None]).sum(dim=(0, 2, 3)) / queries


def copying(model: AttentionOnly, layer: int, head: int) -> float:
    """Whether a head that looks at a token makes that same token more likely: -1 … 1.

    Σ λ / Σ |λ| over the eigenvalues of E W_V W_O W_U (V, V), which says how looking at one token
    changes the score of another -- Elhage et al. 2021, on copying as positive eigenvalues.

    Args:
        model: whose head it is.
        layer, head: counted from 0.

    Raises:
        ValueError: there is no such head.
    """
    if not (0 <= layer < len(model.layers) and 0 <= head < model.H):
        raise ValueError(
            f"need a layer in 0 … {len(model.layers) - 1} and a head in 0 … {model.H - 1}, "
            f"got {layer} and {head}"
        )
    attention, E = model.layers[layer], model.embedding.weight
    v = attention.value(E).unflatten(1, (model.H, -1)).transpose(0, 1)  # (H, V, d)
    circuit = model.unembed(attention.written(v[None])[0, head])  # (V, V)
    eigenvalues = torch.linalg.eigvals(circuit.detach())
    return float(eigenvalues.real.sum() / eigenvalues.abs().sum())


def _check(pattern: Tensor) -> None:
    if pattern.ndim != 4 or pattern.shape[2] != pattern.shape[3] or pattern.shape[3] < 2:
        raise ValueError(f"need weights (B, H, T, T), T >= 2, got {tuple(pattern.shape)}")
