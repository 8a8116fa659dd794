"""Classifiers of sequences that differ in nothing but the network between input and answer.

Shapes: B batch, T length, I input width, F feature width, C classes, O outputs, N parameters.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .conv1d import ConvStack
from .encoder import Encoder
from .rnn import GRU, LSTM, RNN

# How the features of all positions (B, T, F) become the one vector (B, F) that answers.
READOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "last": lambda features: features[:, -1],
    "mean": lambda features: features.mean(dim=1),
    "max": lambda features: features.amax(dim=1),
}

# Input width and feature width to a network from (B, T, I) to features (B, T, F).
ARCHITECTURES: dict[str, Callable[[int, int], nn.Module]] = {
    "CNN": lambda I, F: ConvStack(I, F, k=5, L=3),  # noqa: E741
    "RNN": RNN,
    "GRU": GRU,
    "LSTM": LSTM,
    "Transformer": lambda I, F: Encoder(I, F, H=2, L=1),  # noqa: E741
}


class SequenceClassifier(nn.Module):
    """Sequence → features at every position → one vector → class scores.

    Args:
        body: (B, T, I) to features (B, T, F), or to a tuple that begins with them.
        F: feature width.
        C: classes.
        readout: a name in `READOUTS`: the last position answers, or the mean or the largest
            value of each feature over all positions.

    Raises:
        ValueError: no such readout.
    """

    def __init__(self, body: nn.Module, F: int, C: int, readout: str = "last"):
        super().__init__()
        if readout not in READOUTS:
            raise ValueError(f"need a readout in {list(READOUTS)}, got {readout!r}")
        self.body, self.readout = body, readout
        self.head = nn.Linear(F, C)

    def features(self, x: Tensor) -> Tensor:
        """Sequences (B, T, I) to features (B, T, F)."""
        features = self.body(x)
        return features[0] if isinstance(features, tuple) else features

    def forward(self, x: Tensor) -> Tensor:
        """Sequences (B, T, I) to class scores (B, C)."""
        return self.head(READOUTS[self.readout](self.features(x)))


def make_classifier(
    architecture: str,
    I: int,  # noqa: E741
    C: int,
    N: int,
    readout: str = "last",
) -> SequenceClassifier:
    """A classifier with about N parameters, the nearest that its width allows.

    Args:
        architecture: a name in `ARCHITECTURES`.
        I: input width.
        C: classes.
        N: parameters wanted.
        readout: of `SequenceClassifier`.

    Raises:
        ValueError: no such architecture or readout, or no width comes within 2 % of N.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(f"need an architecture in {list(ARCHITECTURES)}, got {architecture!r}")

    def make(F: int) -> SequenceClassifier:
        return SequenceClassifier(ARCHITECTURES[architecture](I, F), F, C, readout)

    step = 2 if architecture == "Transformer" else 1  # its heads and positions come in pairs
    return make(fitting_width(make, N, step=step))


def fitting_width(
    make: Callable[[int], nn.Module], N: int, *, step: int = 1, tolerance: float = 0.02
) -> int:
    """The width at which a network has as nearly N parameters as it can.

    Args:
        make: width to network, whose size grows with it.
        N: parameters wanted.
        step: widths tried are step, 2 step, 3 step …
        tolerance: how far off the size may be, as a share of N.

    Raises:
        ValueError: no width comes that near; names the nearest sizes.
    """
    sizes: dict[int, int] = {}
    width = 0
    while not sizes or sizes[width] < N:
        width += step
        with torch.device("meta"):  # counted, not stored
            sizes[width] = sum(p.numel() for p in make(width).parameters())
    best = min(sizes, key=lambda width: abs(sizes[width] - N))
    if abs(sizes[best] - N) > tolerance * N:
        near = {w: n for w, n in sizes.items() if w >= width - step}
        raise ValueError(
            f"need a size within {tolerance:.0%} of N={N}; widths and sizes nearby: {near}"
        )
    return best


def gradient_reach(output: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """How strongly an output depends on each position of its input, to first order.

    ‖∂y/∂x_t‖, the Frobenius norm of the Jacobian, as the mean over the batch.

    Args:
        output: sequences (B, T, I) to vectors (B, O), each from its own sequence alone.
        x: (B, T, I).

    Returns:
        Norms (T,).

    Raises:
        ValueError: x is not (B, T, I), or the output not (B, O).
    """
    x = x.detach().requires_grad_()
    y = output(x)
    if x.ndim != 3 or y.ndim != 2 or len(y) != len(x):
        raise ValueError(f"need x (B, T, I), y (B, O); got {tuple(x.shape)}, {tuple(y.shape)}")
    # a sequence's output depends on it alone, so one sum serves the whole batch
    rows = (torch.autograd.grad(total, x, retain_graph=True)[0] for total in y.sum(dim=0))
    return sum(row.square().sum(dim=2) for row in rows).sqrt().mean(dim=0)
