"""Scaling laws: how a language model's loss falls with size and data, and how to split a budget.

Symbols: N parameters, D training tokens, C training FLOPs = 6ND, L loss in nats a token.

Sources: Kaplan et al. 2020, arXiv:2001.08361; Hoffmann et al. 2022, arXiv:2203.15556; Besiroglu
et al. 2024, arXiv:2404.10102. Each law holds for its own text and tokenizer, so losses of two
laws must not be compared; the best split of a budget may be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bigmodel_lib.counting import approximate_training_flops

PF_DAY = 1e15 * 24 * 3600  # FLOPs of a petaflop/s for a day; Kaplan et al. 2020, section 1.3
FLOPS_PER_PARAMETER = approximate_training_flops(1, 1)  # a token and a parameter: 6


def _positive(**values) -> None:
    for name, value in values.items():
        if not (np.asarray(value) > 0).all():  # NaN fails, too
            raise ValueError(f"need {name} above 0, got {value}")


# --- the best split of a budget


@dataclass(frozen=True)
class Frontier:
    """The best model for each budget: N = k (C/6)^a, D = (C/6)^(1−a) / k, so that 6ND = C.

    Attributes:
        k: parameters at C = 6 FLOPs: a coefficient, and no model of that size.
        a: by which power of the budget the size grows; the tokens grow by b = 1 − a.
    """

    k: float
    a: float

    @property
    def b(self) -> float:
        """By which power of the budget the tokens grow."""
        return 1 - self.a

    def optimum(self, C):
        """The best size and number of tokens (N, D) for C FLOPs, numbers or arrays."""
        _positive(C=C)
        N = self.k * (np.asarray(C, float) / FLOPS_PER_PARAMETER) ** self.a
        return N, C / (FLOPS_PER_PARAMETER * N)

    def budget(self, N):
        """The FLOPs for which N parameters are best."""
        _positive(N=N)
        return FLOPS_PER_PARAMETER * (np.asarray(N, float) / self.k) ** (1 / self.a)

    def tokens(self, N):
        """The tokens that N parameters should be trained on."""
        return self.budget(N) / (FLOPS_PER_PARAMETER * N)


def frontier_through(N, C) -> Frontier:
    """The frontier that fits pairs of size and budget best: least squares of log N on log C/6.

    Args:
        N, C: parameters and FLOPs of at least two optimal models.

    Raises:
        ValueError: fewer than two different budgets, or a value that is not positive.
    """
    _positive(N=N, C=C)
    if len(np.unique(C)) < 2:
        raise ValueError(f"need at least two different budgets, got {C}")
    x, y = np.log(np.asarray(C, float) / FLOPS_PER_PARAMETER), np.log(np.asarray(N, float))
    slope, intercept = np.polyfit(x, y, 1)
    return Frontier(k=float(np.exp(intercept)), a=float(slope))


# --- Hoffmann et al. 2022, and the re-fit


@dataclass(frozen=True)
class ParametricLoss:
    """L(N, D) = E + A/N^α + B/D^β  -- Hoffmann et al. 2022, eq. 2.

    Attributes:
        E: what no model can predict, the entropy of the text.
        A, alpha: of what a model of finite size loses.
        B, beta: of what finite training loses.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def __call__(self, N, D):
        """Loss in nats a token of N parameters after D tokens, numbers or arrays."""
        _positive(N=N, D=D)
        return self.E + self.A / N**self.alpha + self.B / D**self.beta

    @property
    def frontier(self) -> Frontier:
        """Where the loss is least for 6ND = C  -- Hoffmann et al. 2022, eq. 4.

        k = G = (αA / βB)^(1/(α+β)), a = β/(α+β).
        """
        both = self.alpha + self.beta
        G = (self.alpha * self.A / (self.beta * self.B)) ** (1 / both)
        return Frontier(k=G, a=self.beta / both)


# Eq. 10, as printed.  Two digits are too few for exponents of trillions: with them a is 0.45,
# where table 2 says 0.46, and the budgets of table A3 are missed by a factor of two.
HOFFMANN_PRINTED = ParametricLoss(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
# The digits in the TeX source of the paper, as Besiroglu et al. 2024 read them there
HOFFMANN = ParametricLoss(E=1.6934, A=406.4, B=410.7, alpha=0.3392, beta=0.2849)
# Besiroglu et al. 2024, table 1: 240 of the runs, read off figure 4 and fitted to convergence
BESIROGLU = ParametricLoss(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
# their standard errors, by bootstrap, in the same table; `a` is β/(α+β)
BESIROGLU_ERRORS = {"E": 0.03, "A": 124.58, "B": 1293.23, "alpha": 0.02, "beta": 0.02, "a": 0.018}

# Hoffmann et al. 2022, tables 3 and A3: parameters, then FLOPs and tokens of each approach.
# The FLOPs of 175B by approach 3 are misprinted there (1.26e24): 6 · 175e9 · 12e12 = 1.26e25.
HOFFMANN_SIZES = (400e6, 1e9, 10e9, 67e9, 175e9, 280e9, 520e9, 1e12, 10e12)
HOFFMANN_FLOPS = {
    1: (1.92e19, 1.21e20, 1.23e22, 5.76e23, 3.85e24, 9.90e24, 3.43e25, 1.27e26, 1.30e28),
    2: (1.84e19, 1.20e20, 1.32e22, 6.88e23, 4.54e24, 1.18e25, 4.19e25, 1.59e26, 1.75e28),
    3: (2.21e19, 1.62e20, 2.46e22, 1.71e24, 1.26e25, 3.52e25, 1.36e26, 5.65e26, 8.55e28),
}


def interval(estimate: float, error: float, level: float = 0.8) -> tuple[float, float]:
    """The range that holds the truth with probability `level`, if the error is normal.

    Args:
        estimate: what was fitted.
        error: its standard error.
        level: 0.8 is what Hoffmann et al. and Besiroglu et al. report.
    """
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return estimate - reach, estimate + reach


# --- Kaplan et al. 2020


@dataclass(frozen=True)
class KaplanLaws:
    """Kaplan et al. 2020: power laws without an irreducible part; N counts no embeddings.

    Attributes: constants of table 5 (α of N, D, the least compute, batch and steps, and their
    scales in parameters, tokens, PF-days, tokens and steps) and of table 6 (N_e, p_N).
    """

    alpha_N: float = 0.076
    N_c: float = 8.8e13
    alpha_D: float = 0.095
    D_c: float = 5.4e13
    alpha_C: float = 0.050
    C_c: float = 3.1e8
    alpha_B: float = 0.21
    B_star: float = 2.1e8
    alpha_S: float = 0.76
    S_c: float = 2.1e3
    N_e: float = 1.3e9
    p_N: float = 0.73

    def loss_of_size(self, N):
        """L(N) = (N_c/N)^α_N, with data and compute without limit  -- eq. 1.1."""
        _positive(N=N)
        return (self.N_c / np.asarray(N, float)) ** self.alpha_N

    def loss_of_data(self, D):
        """L(D) = (D_c/D)^α_D, a large model stopped before it overfits  -- eq. 1.2."""
        _positive(D=D)
        return (self.D_c / np.asarray(D, float)) ** self.alpha_D

    def loss_of_compute(self, C_min):
        """L(C_min) = (C_c/C_min)^α_C, the best model, C_min in FLOPs  -- eq. 1.3."""
        _positive(C_min=C_min)
        return (self.C_c * PF_DAY / np.asarray(C_min, float)) ** self.alpha_C

    def loss_of_size_and_data(self, N, D):
        """L(N, D) = [(N_c/N)^(α_N/α_D) + D_c/D]^α_D  -- eq. 1.5.

        For D tokens read again and again until overfitting, so it says nothing of compute.
        With one of N and D infinite it is eq. 1.1 or 1.2.
        """
        _positive(N=N, D=D)
        size = (self.N_c / np.asarray(N, float)) ** (self.alpha_N / self.alpha_D)
        return (size + self.D_c / np.asarray(D, float)) ** self.alpha_D

    def critical_batch(self, L):
        """B_crit = B*/L^(1/α_B) tokens: larger batches waste compute, smaller ones time -- 1.4."""
        _positive(L=L)
        return self.B_star / np.asarray(L, float) ** (1 / self.alpha_B)

    def least_compute(self, C, B, L):
        """C_min = C/(1 + B/B_crit(L)): what tiny batches would have needed  -- eq. 5.5.

        Args:
            C: FLOPs spent.
            B: batch, tokens.
            L: loss that was reached.
        """
        _positive(C=C, B=B)
        return C / (1 + B / self.critical_batch(L))

    @property
    def frontier(self) -> Frontier:
        """N = N_e (C_min/PF-day)^p_N of table 6, where C = 2 C_min  -- eq. 6.7.

        Training at the critical batch takes twice the least compute (section 5.1).
        """
        return Frontier(self.N_e * (FLOPS_PER_PARAMETER / (2 * PF_DAY)) ** self.p_N, self.p_N)


# Eq. 1.5 fitted on its own (section 4, table 2) has other constants than the summary in table 5.
KAPLAN = KaplanLaws()
KAPLAN_OVERFITTING = KaplanLaws(alpha_N=0.076, alpha_D=0.103, N_c=6.4e13, D_c=1.8e13)


@dataclass(frozen=True)
class OnePassLoss:
    """Kaplan et al. 2020, eq. 1.6, for D tokens seen once at the critical batch.

    L = (N_c/N)^α_N + (S_c/S_min)^α_S with S_min = D / 2 B_crit(L) (sections 5.1 and 6), and as
    B_crit depends on L, L solves an equation: as in their eq. B.3 with C = 6ND = 2 C_min.

    Attributes: constants of table 3, and B* and α_B of table 5.
    """

    alpha_N: float = 0.077
    N_c: float = 6.5e13
    alpha_S: float = 0.76
    S_c: float = 2.1e3
    alpha_B: float = 0.21
    B_star: float = 2.1e8

    def __call__(self, N, D):
        """Loss in nats a token of N parameters (without embeddings) after D tokens."""
        _positive(N=N, D=D)
        size = (self.N_c / np.asarray(N, float)) ** self.alpha_N
        steps = (2 * self.B_star * self.S_c / np.asarray(D, float)) ** self.alpha_S
        power = self.alpha_S / self.alpha_B
        # L − steps · L^−power rises and is concave, so Newton's method from below never
        # overshoots: from max(…), where it is at most `size`, it only climbs to the root.
        L = np.maximum(size, steps ** (1 / (1 + power)))
        for _ in range(50):
            L = L - (L - size - steps * L**-power) / (1 + power * steps * L ** (-power - 1))
        return L

    @property
    def frontier(self) -> Frontier:
        """Where the loss is least for 6ND = C  -- eqs. B.7 to B.9, with C_min = C/2."""
        N_, S_, B_ = 1 / self.alpha_N, 1 / self.alpha_S, 1 / self.alpha_B
        alpha_C, ratio = 1 / (S_ + B_ + N_), self.alpha_N / self.alpha_S
        C_c = 6 * self.N_c * self.B_star * self.S_c * (1 + ratio) ** (S_ + N_) * ratio**-S_
        a = alpha_C * N_
        k = self.N_c * (1 + ratio) ** N_ * (FLOPS_PER_PARAMETER / (2 * C_c)) ** a
        return Frontier(k, a)


# --- the laws by name


@dataclass(frozen=True)
class Law:
    """One published law.

    Attributes:
        source: paper, and where in it.
        frontier: the best split of a budget.
        loss: of (N, D), or None where the paper fits the frontier alone.
        a_range: the 80 % interval of the frontier's exponent a, or None where none is given.
        embeddings: whether N counts them.
    """

    source: str
    frontier: Frontier
    loss: Callable | None = None
    a_range: tuple[float, float] | None = None
    embeddings: bool = True


def _approach(number: int) -> Frontier:
    return frontier_through(HOFFMANN_SIZES, HOFFMANN_FLOPS[number])


LAWS = {
    "Kaplan 2020, measured": Law(
        "Kaplan et al. 2020, arXiv:2001.08361, table 6", KAPLAN.frontier, embeddings=False
    ),
    "Kaplan 2020, predicted": Law(
        "Kaplan et al. 2020, arXiv:2001.08361, eq. 1.6 and appendix B",
        OnePassLoss().frontier,
        OnePassLoss(),
        embeddings=False,
    ),
    "Hoffmann 2022, approach 1": Law(
        "Hoffmann et al. 2022, arXiv:2203.15556, tables 2 and 3",
        _approach(1),
        a_range=(0.488, 0.502),
    ),
    "Hoffmann 2022, approach 2": Law(
        "Hoffmann et al. 2022, arXiv:2203.15556, tables 2 and A3",
        _approach(2),
        a_range=(0.462, 0.534),
    ),
    "Hoffmann 2022, approach 3": Law(
        "Hoffmann et al. 2022, arXiv:2203.15556, eqs. 4 and 10, table 2",
        HOFFMANN.frontier,
        HOFFMANN,
        a_range=(0.454, 0.455),
    ),
    "Besiroglu 2024": Law(
        "Besiroglu et al. 2024, arXiv:2404.10102, table 1",
        BESIROGLU.frontier,
        BESIROGLU,
        a_range=interval(BESIROGLU.frontier.a, BESIROGLU_ERRORS["a"]),
    ),
}
