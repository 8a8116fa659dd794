"""Knowledge tracing: from the answers of a student so far to the next one.

Shapes: N students, T answers, K skills, I items, R rows (one a student and skill), n answers of a
row. Forecasts P(right) are (N, T), each from the answers before it alone.

Sources: Rasch 1960, Probabilistic Models for Some Intelligence and Attainment Tests; Bock & Aitkin
1981, Psychometrika 46(4) (items by marginal likelihood); Corbett & Anderson 1995, User Modeling and
User-Adapted Interaction 4(4); Pavlik, Cen & Koedinger 2009 (PFA), AIED; Piech et al. 2015,
arXiv:1506.05908.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.students import (
    GRID,
    Answers,
    SkillRates,
    at_abilities,
    best_by_ability,
    best_by_mastery,
)
from bigmodel_lib.models.rnn import GRU

LEAST = 1e-3  # rates stay within LEAST … 1 - LEAST: at 0 or 1, EM could never leave


# --- counting


def share_so_far(right: Tensor) -> Tensor:
    """(rights before + 1) / (answers before + 2), (N, T): Laplace's rule, 1/2 at the start."""
    before = right.cumsum(1) - right
    return (before + 1) / (torch.arange(right.shape[1]) + 2)


def counts(answers: Answers) -> Tensor:
    """What performance factors analysis reads, (N, T, I + 2K): Pavlik et al. 2009.

    Which item it is; and for the skill asked for, in its own columns, log(1 + n) of the right
    answers and of the wrong ones before. The paper has n itself; the logarithm lets early answers
    count for more.
    """
    skill = F.one_hot(answers.skills, answers.K)  # (N, T, K)
    both = torch.stack((answers.right, 1 - answers.right), 2)[..., None] * skill[:, :, None]
    before = (both.cumsum(1) - both).log1p() * skill[:, :, None]  # (N, T, 2, K)
    return torch.cat((F.one_hot(answers.items, answers.I).float(), before.flatten(2)), 2)


# --- item response theory


class ItemResponse(nn.Module):
    """P(right) = σ(a_i (θ - b_i)) with θ ~ N(0, 1): one slope a for all items, or one each.

    Args:
        I: items.
        slopes: learn a slope for each item (2PL); else one for all (Rasch).
    """

    def __init__(self, I: int, slopes: bool = False):  # noqa: E741
        super().__init__()
        self.difficulty = nn.Parameter(torch.zeros(I))
        self.log_slope = nn.Parameter(torch.zeros(I if slopes else 1))

    @property
    def slope(self) -> Tensor:
        """Slope of each item (I,)."""
        return self.log_slope.exp().expand(len(self.difficulty))

    def log_joint(self, answers: Answers) -> Tensor:
        """log P(all answers of a student, θ) up to a constant, (N, grid)."""
        slope, difficulty = self.slope, self.difficulty
        _, log_likelihood = at_abilities(answers.items, answers.right, slope, difficulty)
        return log_likelihood.sum(1) - GRID.square() / 2

    def loss(self, answers: Answers) -> Tensor:
        """-log of the answers' marginal likelihood, a student: Bock & Aitkin 1981."""
        return -self.log_joint(answers).logsumexp(1).mean()

    @torch.no_grad()
    def forecast(self, answers: Answers) -> Tensor:
        """P(right), (N, T)."""
        return best_by_ability(answers.items, answers.right, self.slope, self.difficulty)

    @torch.no_grad()
    def ability(self, answers: Answers) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of θ given all answers, (N,) each."""
        weights = self.log_joint(answers).softmax(1)
        mean = weights @ GRID
        return mean, (weights @ GRID.square() - mean.square()).sqrt()


def fit_items(model: ItemResponse, answers: Answers, steps: int = 15) -> ItemResponse:
    """Items by the largest marginal likelihood, with L-BFGS."""
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(answers)
        loss.backward()
        return loss

    optimizer.step(closure)
    return model


# --- Bayesian knowledge tracing


def rows_of(answers: Answers) -> tuple[Tensor, Tensor, Tensor]:
    """Each student's answers to each skill as a row.

    Returns:
        Answers (R, n), 0 behind; how many of each count, (R,); the skill of each, (R,).
    """
    N, K = len(answers.items), answers.K
    one = F.one_hot(answers.skills, K)
    place = (one.cumsum(1) - 1).gather(2, answers.skills[..., None])[..., 0]  # (N, T)
    row = torch.arange(N)[:, None] * K + answers.skills
    right = torch.zeros(N * K, int(place.max()) + 1)
    right[row, place] = answers.right
    return right, one.sum(1).flatten(), torch.arange(K).repeat(N)


def forward_backward(
    right: Tensor, lengths: Tensor, rates: SkillRates
) -> tuple[Tensor, Tensor, Tensor]:
    """What the whole row says about mastery: Rabiner 1989, scaled, for two states.

    Args:
        right: (R, n), padded behind.
        lengths: (R,).
        rates: of each row, (R,).

    Returns:
        P(mastered at each answer | row) (R, n); P(learned just behind each answer | row) (R, n),
        0 at the last one; log-likelihood of each row (R,).
    """
    counted = torch.arange(right.shape[1]) < lengths[:, None]
    with_it = torch.where(right > 0.5, 1 - rates.slip[:, None], rates.slip[:, None])
    without = torch.where(right > 0.5, rates.guess[:, None], 1 - rates.guess[:, None])
    seen = torch.stack((without, with_it), 2).masked_fill(~counted[..., None], 1.0)  # (R, n, 2)
    alphas, scales = _forward(seen, rates)
    mastered, learned = _backward(seen, alphas, scales, rates)
    last = torch.arange(right.shape[1]) >= lengths[:, None] - 1
    return mastered, learned.masked_fill(last, 0.0), scales.log().sum(1)


def _forward(seen: Tensor, rates: SkillRates) -> tuple[Tensor, Tensor]:
    """P(state | answers up to here) (R, n, 2), P(answer | those before) (R, n)."""
    state, alphas, scales = torch.stack((1 - rates.known, rates.known), 1), [], []
    for now in seen.unbind(1):
        state = state * now
        scales.append(state.sum(1))
        state = state / scales[-1][:, None]
        alphas.append(state)
        learned = state[:, 0] * rates.learn
        state = torch.stack((state[:, 0] - learned, state[:, 1] + learned), 1)
    return torch.stack(alphas, 1), torch.stack(scales, 1)


def _backward(seen, alphas, scales, rates: SkillRates) -> tuple[Tensor, Tensor]:
    """P(mastered | row) and P(learned behind this answer | row), (R, n) each."""
    beta = torch.ones_like(alphas[:, 0])
    mastered, learned = [alphas[:, -1, 1]], [torch.zeros_like(beta[:, 0])]
    for t in reversed(range(seen.shape[1] - 1)):
        ahead = seen[:, t + 1] * beta / scales[:, t + 1, None]
        learned.append(alphas[:, t, 0] * rates.learn * ahead[:, 1])
        stay = (1 - rates.learn) * ahead[:, 0] + rates.learn * ahead[:, 1]
        beta = torch.stack((stay, ahead[:, 1]), 1)
        mastered.append(alphas[:, t, 1] * beta[:, 1])
    return torch.stack(mastered[::-1], 1), torch.stack(learned[::-1], 1)


def fit_mastery(answers: Answers, rounds: int = 40) -> tuple[SkillRates, list[float]]:
    """The four rates of each skill by expectation-maximisation, and log-likelihoods on the way.

    The E step is `forward_backward`; the M step sets each rate to the share of what was expected.
    A guess above 1/2 or a slip above 1/2 would swap what mastery means; we start far from both.
    """
    right, lengths, skill = rows_of(answers)
    counted = (torch.arange(right.shape[1]) < lengths[:, None]).float()
    going_on = counted.roll(-1, 1)
    going_on[:, -1] = 0
    K, history = answers.K, []
    rates = SkillRates(*(torch.full((K,), value) for value in (0.3, 0.1, 0.2, 0.1)))

    def share(part: Tensor, whole: Tensor) -> Tensor:
        of = [
            torch.zeros(K).index_add(0, skill, x.reshape(len(skill), -1).sum(1))
            for x in (part, whole)
        ]
        return (of[0] / of[1].clamp(min=1e-9)).clamp(LEAST, 1 - LEAST)

    for _ in range(rounds):
        each = SkillRates(*(getattr(rates, name)[skill] for name in SkillRates.__annotations__))
        mastered, learned, likelihood = forward_backward(right, lengths, each)
        history.append(float(likelihood.sum()))
        mastered, missing = mastered * counted, (1 - mastered) * counted
        began = (lengths > 0).float()
        rates = SkillRates(
            share(mastered[:, 0] * began, began),
            share(learned, missing * going_on),
            share(missing * right, missing),
            share(mastered * (1 - right), mastered),
        )
    return rates, history


def forecast_mastery(answers: Answers, rates: SkillRates) -> Tensor:
    """P(right), (N, T), by Corbett and Anderson's filter."""
    return best_by_mastery(answers.skills, answers.right, rates)


# --- deep knowledge tracing


class DeepTracer(nn.Module):
    """A GRU reads (item, right or wrong) and gives every item a probability: Piech et al. 2015.

    The paper has an LSTM or a plain recurrent network, on one-hot inputs; a table is the same.

    Args:
        I: items.
        W: width of the state.
    """

    def __init__(self, I: int, W: int = 32):  # noqa: E741
        super().__init__()
        self.I = I
        self.table = nn.Embedding(2 * I + 1, W)  # the last: nothing answered yet
        self.body, self.out = GRU(W, W), nn.Linear(W, I)

    def forward(self, items: Tensor, right: Tensor) -> Tensor:
        """Logits of each answer being right (N, T), each from the answers before it.

        Args:
            items: (N, T) int64.
            right: (N, T), 0 or 1.
        """
        read = (items + self.I * right.long())[:, :-1]
        first = read.new_full((len(items), 1), 2 * self.I)
        state, _ = self.body(self.table(torch.cat((first, read), 1)))
        return self.out(state).gather(2, items[..., None])[..., 0]

    @torch.no_grad()
    def forecast(self, answers: Answers) -> Tensor:
        """P(right), (N, T)."""
        return self(answers.items, answers.right).sigmoid()
