"""Letters in random order, and then the same again: what comes next can be known exactly.

Which letters follow each other is drawn anew for each sequence, and so is the length after which
it repeats. So neither a table of pairs nor a fixed distance helps: one has to look for what came
before, in the sequence itself.
"""

import string

import torch
from torch import Tensor

LETTERS = string.ascii_lowercase


def repeated_sequences(
    periods: Tensor, T: int, V: int = len(LETTERS), generator: torch.Generator | None = None
) -> Tensor:
    """R different letters in random order, again and again until there are T.

    Within the first R letters each is a surprise, of ln(V - t) nats at position t; the letter at
    R too, as nothing says that the repeat begins; behind it, each can be known. Random sequences
    that repeat, as in Olsson et al. 2022, arXiv:2209.11895.

    Args:
        periods: integers (B,), R of each sequence, 2 … V.
        T: letters of each sequence.
        V: letters that there are.
        generator: of the random order; None means the global one.

    Returns:
        Letters as integers (B, T).

    Raises:
        ValueError: periods are not (B,) within 2 … V, or T < 1.
    """
    if periods.ndim != 1 or T < 1 or not ((periods >= 2) & (periods <= V)).all():
        raise ValueError(
            f"need periods (B,) in 2 … {V} and T >= 1, "
            f"got {tuple(periods.shape)} {periods.unique().tolist()} and T={T}"
        )
    orders = torch.rand(len(periods), V, generator=generator).argsort(dim=1)  # (B, V)
    return orders.gather(1, torch.arange(T) % periods[:, None])


def spell(ids: Tensor) -> str:
    """Letters (T,) as text."""
    return "".join(LETTERS[index] for index in ids.tolist())
