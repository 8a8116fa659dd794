"""Sequences in which one symbol has to be remembered while others pass."""

import torch
import torch.nn.functional as F
from torch import Tensor


def recall_sequences(
    distances: Tensor, T: int, V: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """T random symbols, one of them marked; which one was it?

    Each step is a symbol, one-hot, and a mark that is 1 at one step and 0 at all others. What
    tells the answer is that one step: all others are noise, drawn independently. Long time lags
    with noise between as in Hochreiter & Schmidhuber 1997, Neural Computation 9(8), experiment
    2, a mark as in their adding problem, experiment 4.

    Args:
        distances: integers (B,), 0 … T - 1: steps from the marked one to the last.
        T: steps.
        V: symbols.
        generator: of the random symbols; None means the global one.

    Returns:
        Sequences (B, T, V + 1), and the marked symbols (B,), 0 … V - 1.

    Raises:
        ValueError: distances are not (B,) within 0 … T - 1, or fewer than two symbols.
    """
    if distances.ndim != 1 or V < 2 or not ((distances >= 0) & (distances < T)).all():
        raise ValueError(
            f"need distances (B,) in 0 … {T - 1} and V >= 2, "
            f"got {tuple(distances.shape)} {distances.unique().tolist()} and V={V}"
        )
    symbols = torch.randint(V, (len(distances), T), generator=generator)
    marked = T - 1 - distances
    mark = F.one_hot(marked, T)[..., None]  # (B, T, 1)
    sequences = torch.cat([F.one_hot(symbols, V), mark], dim=2).float()
    return sequences, symbols.gather(1, marked[:, None]).squeeze(1)
