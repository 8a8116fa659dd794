"""One-dimensional convolution: the same small network at every place of a sequence.

Shapes: B batch, T length, I input width, F feature width, k window, L layers.

Sources: Waibel et al. 1989 (time-delay network), IEEE Transactions on Acoustics, Speech, and
Signal Processing 37(3); LeCun et al. 1998, Proceedings of the IEEE 86(11).
"""

import math

import torch
from torch import Tensor, nn


class Conv1d(nn.Module):
    """y_t = b + Σ_j W_j x_{t+j}, j = -(k-1)/2 … (k-1)/2; beyond the ends, x is 0.

    Weights have the names and the layout of `torch.nn.Conv1d(I, F, k, padding=(k - 1) // 2)`,
    whose inputs are (B, I, T).

    Args:
        I: input width.
        F: output width.
        k: window, odd, so that it has a middle.

    Raises:
        ValueError: a width below 1, or an even or negative window.
    """

    def __init__(self, I: int, F: int, k: int):  # noqa: E741
        super().__init__()
        if min(I, F, k) < 1 or k % 2 == 0:
            raise ValueError(f"need I >= 1, F >= 1 and an odd k >= 1, got I={I}, F={F}, k={k}")
        self.I, self.F, self.k = I, F, k
        self.weight = nn.Parameter(torch.empty(F, I, k))
        self.bias = nn.Parameter(torch.empty(F))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(I * k), 1 / math.sqrt(I * k))  # as torch does

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (B, T, I) to (B, T, F).

        Raises:
            ValueError: x is not (B, T, I).
        """
        if x.ndim != 3 or x.shape[2] != self.I:
            raise ValueError(f"need x (B, T, I) with I={self.I}, got {tuple(x.shape)}")
        reach = (self.k - 1) // 2
        padded = nn.functional.pad(x, (0, 0, reach, reach))
        windows = padded.unfold(1, self.k, 1).flatten(2)  # (B, T, I·k): one product for all
        return nn.functional.linear(windows, self.weight.flatten(1), self.bias)


class ConvStack(nn.Module):
    """L convolutions, each followed by ReLU: position t sees L (k - 1)/2 places to either side.

    Args:
        I: input width.
        F: width of every layer.
        k: window, odd.
        L: layers.

    Raises:
        ValueError: as `Conv1d`; L below 1.
    """

    def __init__(self, I: int, F: int, k: int = 5, L: int = 3):  # noqa: E741
        super().__init__()
        if L < 1:
            raise ValueError(f"need L >= 1, got {L}")
        self.reach = L * (k - 1) // 2
        self.layers = nn.ModuleList(Conv1d(F if layer else I, F, k) for layer in range(L))

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (B, T, I) to (B, T, F)."""
        for layer in self.layers:
            x = layer(x).relu()
        return x
