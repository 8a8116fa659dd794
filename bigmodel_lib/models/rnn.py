"""Recurrent networks, one layer each: a state that is rewritten at every step of a sequence.

Shapes: B batch, T length, I input width, F state width, G how many maps of width F a step
computes: 1 in the plain network, 4 in the LSTM, 3 in the GRU.

Weights have the names and the layout of `torch.nn.RNN`, `LSTM` and `GRU` with one layer, so a
`state_dict` of either loads into the other.

Sources: Elman 1990, Cognitive Science 14(2); Hochreiter & Schmidhuber 1997, Neural Computation
9(8); Gers, Schmidhuber & Cummins 2000, Neural Computation 12(10); Cho et al. 2014,
arXiv:1406.1078.
"""

import math

import torch
from torch import Tensor, nn

State = Tensor | tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """What the three have in common: the weights, and the loop over time.

    A subclass says in `step` how one input turns one state into the next.

    Args:
        I: input width.
        F: state width.

    Raises:
        ValueError: a width below 1.
    """

    G = 1  # maps of width F, one below the other in each weight
    parts = 1  # tensors in a state

    def __init__(self, I: int, F: int):  # noqa: E741
        super().__init__()
        if min(I, F) < 1:
            raise ValueError(f"need widths I >= 1 and F >= 1, got I={I}, F={F}")
        self.I, self.F = I, F
        self.weight_ih_l0 = nn.Parameter(torch.empty(self.G * F, I))
        self.weight_hh_l0 = nn.Parameter(torch.empty(self.G * F, F))
        # two biases where one would do, except in the GRU: kept because torch has them
        self.bias_ih_l0 = nn.Parameter(torch.empty(self.G * F))
        self.bias_hh_l0 = nn.Parameter(torch.empty(self.G * F))
        for weight in self.parameters():
            nn.init.uniform_(weight, -1 / math.sqrt(F), 1 / math.sqrt(F))  # as torch does

    def step(self, from_x: Tensor, state: State) -> State:
        """The state after one more input.

        Args:
            from_x: W_ih x + b_ih of this input, (B, G·F).
            state: as in `forward`.
        """
        raise TypeError(f"{type(self).__name__} must define step()")

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Read a sequence from its first position to its last.

        Args:
            x: inputs (B, T, I).
            state: h (B, F), for the LSTM (h, c), each (B, F); None means zeros. Torch's layers
                have one more axis in front, for their layers.

        Returns:
            Outputs (B, T, F), h after each position, and the last state.

        Raises:
            ValueError: x is not (B, T, I) with T >= 1, or the state not of this batch and width.
        """
        if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] != self.I:
            raise ValueError(f"need x (B, T, I) with T >= 1, I={self.I}; got {tuple(x.shape)}")
        state = self._first_state(x) if state is None else self._check_state(state, len(x))
        # what does not depend on the state: one large product instead of T small ones
        from_x = nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0)  # (B, T, G·F)
        outputs = []
        for from_x_t in from_x.unbind(dim=1):
            state = self.step(from_x_t, state)
            outputs.append(state if self.parts == 1 else state[0])
        return torch.stack(outputs, dim=1), state

    def _from_h(self, h: Tensor) -> Tensor:
        return nn.functional.linear(h, self.weight_hh_l0, self.bias_hh_l0)  # (B, G·F)

    def _first_state(self, x: Tensor) -> State:
        zeros = x.new_zeros(len(x), self.F)
        return zeros if self.parts == 1 else (zeros, zeros)

    def _check_state(self, state: State, B: int) -> State:
        tensors = (state,) if isinstance(state, Tensor) else tuple(state)
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if shapes != [(B, self.F)] * self.parts:
            wanted = "h" if self.parts == 1 else "(h, c), each"
            raise ValueError(f"need a state {wanted} (B, F) = {(B, self.F)}; got {shapes}")
        return tensors[0] if self.parts == 1 else tensors


class RNN(Recurrent):
    """The plain recurrent network.

    h′ = tanh(W_ih x + b_ih + W_hh h + b_hh) -- Elman 1990, with tanh for his logistic function.

    Each step back in time multiplies a gradient by W_hhᵀ and a slope of at most 1: over many
    steps it dies out or, with large weights, explodes.
    """

    def step(self, from_x: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(from_x + self._from_h(state))


class LSTM(Recurrent):
    """Long short-term memory: a cell c that is added to, and gates that say when.

    i, f, o = σ(W x + U h + b), g = tanh(W_g x + U_g h + b_g),
    c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh(c′)
    -- Hochreiter & Schmidhuber 1997, with the forget gate f of Gers et al. 2000, without
    peepholes. The weights hold i, f, g, o in this order, one below the other, as PyTorch's do.

    A gradient goes from c′ to c by a factor f, so where f is 1 it lasts.
    """

    G = 4
    parts = 2

    def step(self, from_x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, c = state
        i, f, g, o = (from_x + self._from_h(h)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(Recurrent):
    """Gated recurrent unit: one gate both forgets and writes, and no cell beside the state.

    r, z = σ(W x + b + U h + b′), n = tanh(W_n x + b_n + r ⊙ (U_n h + b′_n)),
    h′ = (1 - z) ⊙ n + z ⊙ h
    -- Cho et al. 2014, eqs. 5-8, in PyTorch's variant: r scales U_n h after the product, where
    the paper has U_n (r ⊙ h) and no biases. So one product serves all three maps. The weights
    hold r, z, n in this order.
    """

    G = 3

    def step(self, from_x: Tensor, state: Tensor) -> Tensor:
        x_r, x_z, x_n = from_x.chunk(3, dim=-1)
        h_r, h_z, h_n = self._from_h(state).chunk(3, dim=-1)
        r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
        n = torch.tanh(x_n + r * h_n)
        return (1 - z) * n + z * state
