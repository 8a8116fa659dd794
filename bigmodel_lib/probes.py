"""Linear probes: can a property be read from a hidden state, and does that mean anything?

A probe with enough freedom reads anything. The control task shows how much: labels that mean
nothing, drawn at random for each type of token. Selectivity is what is left of the accuracy.

Shapes: N tokens, D width of the hidden state, C classes, V types of token.

Sources: Alain & Bengio 2016, arXiv:1610.01644; Hewitt & Liang 2019, arXiv:1909.03368.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class LinearProbe:
    """Least squares with a small penalty, in closed form: no training run, no luck.

    W = (XᵀX + ridge · I)⁻¹ Xᵀ Y, X standardised and with a 1, which I leaves out, Y one-hot; the
    class is the highest of x W.

    Args:
        states: hidden states (N, D).
        labels: classes, integers (N,).
        ridge: the penalty, of the squared weights.

    Raises:
        ValueError: shapes do not fit, fewer than two classes, or ridge <= 0.
    """

    def __init__(self, states: Tensor, labels: Tensor, ridge: float = 1.0):
        if states.ndim != 2 or labels.shape != states.shape[:1] or ridge <= 0:
            raise ValueError(
                f"need states (N, D), labels (N,) and ridge > 0, "
                f"got {tuple(states.shape)}, {tuple(labels.shape)} and {ridge}"
            )
        if len(labels.unique()) < 2:
            raise ValueError(f"need two classes to tell apart, got {labels.unique().tolist()}")
        self.mean, self.std = states.mean(dim=0), states.std(dim=0).clamp(min=1e-6)
        X, Y = self._prepared(states), F.one_hot(labels).double()
        penalty = torch.full((X.shape[1],), ridge, dtype=X.dtype, device=X.device)
        penalty[-1] = 0  # the 1 is for how frequent a class is
        self.W = torch.linalg.solve(X.T @ X + penalty.diag(), X.T @ Y)  # (D + 1, C)

    def __call__(self, states: Tensor) -> Tensor:
        """The class of each state (N, D), as integers (N,)."""
        return (self._prepared(states) @ self.W).argmax(dim=1)

    def accuracy(self, states: Tensor, labels: Tensor) -> float:
        """The share of states (N, D) whose class is as labelled (N,)."""
        return float((self(states) == labels).double().mean())

    def _prepared(self, states: Tensor) -> Tensor:
        return F.pad((states - self.mean) / self.std, (0, 1), value=1.0).double()


def control_labels(types: Tensor, V: int, shares: Tensor, seed: int = 0) -> Tensor:
    """Labels without meaning: one for each type, whatever stands around it.

    Drawn once for each type from the shares that the real labels have -- Hewitt & Liang
    2019, arXiv:1909.03368.

    Args:
        types: of each token, integers (N,) in 0 … V - 1.
        V: types.
        shares: how often each class occurs (C,), any scale.
        seed: of the drawing; the same type gets the same label wherever it occurs.

    Returns:
        Labels, integers (N,) in 0 … C - 1.

    Raises:
        ValueError: a type is out of range.
    """
    if not ((types >= 0) & (types < V)).all():
        raise ValueError(f"need types in 0 … {V - 1}, got {types.unique().tolist()}")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(shares.double().cpu(), V, replacement=True, generator=generator)
    return drawn.to(types.device)[types]


def by_type(types: Tensor, labels: Tensor, V: int) -> Tensor:
    """The most frequent label of each type, (V,): the best guess of who sees no context.

    Types that never occur get the most frequent label of all.

    Args:
        types, labels: integers (N,).
        V: types.
    """
    counts = torch.zeros(V, int(labels.max()) + 1)
    counts.index_put_((types, labels), torch.ones(len(types)), accumulate=True)
    return torch.where(counts.sum(dim=1) > 0, counts.argmax(dim=1), counts.sum(dim=0).argmax())
