"""Optimisers from scratch, a few lines each: what to subtract from a parameter x, given g.

x parameters, g the gradient of the loss at x, η the learning rate (`lr`), t the number of the
step, from 1. All operations are elementwise, so parameters may have any shape.

    x = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = Adam([x], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        x.square().sum().backward()
        optimizer.step()

Each follows PyTorch's optimiser of the same kind, step by step (tests/training/test_optim.py);
where PyTorch departs from the paper, the docstring says how.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

State = dict[str, Tensor | int]

BELOW_ONE = ("momentum", "alpha", "beta1", "beta2")  # weights of running means


class Optimizer:
    """Base class: holds the parameters and, for each, what its optimiser remembers.

    Hyperparameters are attributes, and the next step reads them: change them live.

    Args:
        params: tensors of floats, each once; those whose `grad` is None are left alone.
        hyperparameters: by name.

    Attributes:
        params: the tensors, changed in place by `step`.
        state: for each parameter, "t" (steps taken) and the running means in `moments`, which
            have the parameter's shape and begin at 0.

    Raises:
        ValueError: no parameters, one that is not a tensor of floats or comes twice, or a
            hyperparameter out of its range. The next step raises it for one changed since.
    """

    moments: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor], **hyperparameters: float):
        self.params, self._names = list(params), tuple(hyperparameters)
        for name, value in hyperparameters.items():
            setattr(self, name, value)
        self.check()
        _check_params(self.params)
        self.state: list[State] = [
            {"t": 0} | {name: torch.zeros_like(x) for name in self.moments} for x in self.params
        ]

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """What to subtract from x, in x's shape; brings the state up to date."""
        raise TypeError(f"{type(self).__name__} must define update()")

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient, in place."""
        self.check()
        for x, state in zip(self.params, self.state, strict=True):
            if x.grad is not None:
                state["t"] += 1
                x -= self.update(x, x.grad, state)

    def zero_grad(self) -> None:
        """Forget the gradients: the next backward pass starts from none."""
        for x in self.params:
            x.grad = None

    def check(self) -> None:
        """Raise ValueError that names the first hyperparameter out of its range."""
        for name in self._names:
            value = getattr(self, name)
            if name in BELOW_ONE and not 0 <= value < 1:
                raise ValueError(f"need 0 <= {name} < 1, got {value}")
            if name == "eps" and not 0 < value < math.inf:  # 0 would divide 0 by 0
                raise ValueError(f"need eps > 0 and finite, got {value}")
            if not 0 <= value < math.inf:
                raise ValueError(f"need {name} >= 0 and finite, got {value}")


class SGD(Optimizer):
    """Stochastic gradient descent: x ← x − η g -- Robbins & Monro 1951.

    A Stochastic Approximation Method, Ann. Math. Statist. 22 (3), with η kept constant, as
    training mostly does; their proof of convergence needs it to fall like 1/t.

    Args:
        params: see `Optimizer`.
        lr: η >= 0.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3):
        super().__init__(params, lr=lr)

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η g."""
        return self.lr * g


class Momentum(Optimizer):
    """The heavy ball: v ← μ v + g, x ← x − η v -- Polyak 1964.

    Some methods of speeding up the convergence of iteration methods, USSR Comput. Math. Math.
    Phys. 4 (5); for deep networks Sutskever et al. 2013, eqs. 1-2, ICML. They keep η inside
    of v (v ← μ v − η g, x ← x + v): the same as long as η stays the same.

    Args:
        params: see `Optimizer`.
        lr: η >= 0.
        momentum: μ in [0, 1).
    """

    moments = ("v",)

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.9):
        super().__init__(params, lr=lr, momentum=momentum)

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η v."""
        v = state["v"] = self.momentum * state["v"] + g
        return self.lr * v


class Nesterov(Momentum):
    """Nesterov's momentum: v ← μ v + g, x ← x − η (g + μ v).

    Nesterov 1983, Soviet Math. Dokl. 27 (2); Sutskever et al. 2013, eqs. 3-4, ICML, take the
    gradient at the point ahead, x + μ v. Here, as in PyTorch, x *is* that point.

    Args:
        params, lr, momentum: see `Momentum`.
    """

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η (g + μ v)."""
        v = state["v"] = self.momentum * state["v"] + g
        return self.lr * (g + self.momentum * v)


class RMSprop(Optimizer):
    """Steps by the gradient's recent size: s ← α s + (1 − α) g², x ← x − η g / (√s + ε).

    Tieleman & Hinton 2012, lecture 6.5, Neural Networks for Machine Learning (Coursera).

    Args:
        params: see `Optimizer`.
        lr: η >= 0, about the size of a step.
        alpha: α in [0, 1).
        eps: ε > 0.
    """

    moments = ("s",)

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8
    ):
        super().__init__(params, lr=lr, alpha=alpha, eps=eps)

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η g / (√s + ε)."""
        s = state["s"] = self.alpha * state["s"] + (1 - self.alpha) * g.square()
        return self.lr * g / (s.sqrt() + self.eps)


class Adam(Optimizer):
    """Momentum and RMSprop, each corrected for its start at 0.

    m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
    x ← x − η m̂ / (√v̂ + ε) with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)
    -- Kingma & Ba 2014, algorithm 1, arXiv:1412.6980.

    Args:
        params: see `Optimizer`.
        lr: η >= 0, about the size of a step.
        beta1, beta2: β₁ and β₂ in [0, 1).
        eps: ε > 0.
    """

    moments = ("m", "v")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        **others: float,
    ):
        super().__init__(params, lr=lr, beta1=beta1, beta2=beta2, eps=eps, **others)

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η m̂ / (√v̂ + ε)."""
        m = state["m"] = self.beta1 * state["m"] + (1 - self.beta1) * g
        v = state["v"] = self.beta2 * state["v"] + (1 - self.beta2) * g.square()
        m_hat = m / (1 - self.beta1 ** state["t"])
        v_hat = v / (1 - self.beta2 ** state["t"])
        return self.lr * m_hat / (v_hat.sqrt() + self.eps)


class AdamW(Adam):
    """Adam with weight decay outside of the moments: x ← x − η m̂ / (√v̂ + ε) − η λ x.

    Loshchilov & Hutter 2017, algorithm 2, arXiv:1711.05101. There λ is multiplied by the
    schedule alone, here, as in PyTorch, by the learning rate.

    Args:
        params, lr, beta1, beta2, eps: see `Adam`.
        weight_decay: λ >= 0.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, beta1, beta2, eps, weight_decay=weight_decay)

    def update(self, x: Tensor, g: Tensor, state: State) -> Tensor:
        """η m̂ / (√v̂ + ε) + η λ x."""
        return super().update(x, g, state) + self.lr * self.weight_decay * x


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "SGD": SGD,
    "momentum": Momentum,
    "Nesterov": Nesterov,
    "RMSprop": RMSprop,
    "Adam": Adam,
    "AdamW": AdamW,
}


def _check_params(params: list[Tensor]) -> None:
    if not params:
        raise ValueError("need at least one parameter, got none")
    for x in params:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"need parameters that are tensors of floats, got {got}")
    if len({id(x) for x in params}) < len(params):
        raise ValueError("need each parameter once, got one of them twice: it would move twice")
