"""Simulated students: what they can do is known, and so is the best forecast of each answer.

Three worlds, alike in form: N students, K skills, I items, each item of one skill, and at each
step an item drawn at random.

- ability: one number θ a student, which does not change; items differ in difficulty.
  Item response theory is the truth (Lord 1980).
- mastery: each skill is mastered or not, apart from the others, and may be learned whenever it is
  practised. Bayesian knowledge tracing is the truth (Corbett & Anderson 1995).
- chain: the same, but a skill can be learned only after the one before it. Neither is the truth.
"""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

WORLDS = ("ability", "mastery", "chain")
GRID = torch.linspace(-4, 4, 41)  # abilities to sum over


@dataclass(frozen=True, eq=False)
class Answers:
    """Who answered what, and the truth about it.

    Args:
        items: (N, T) int64.
        right: (N, T) float32, 1 for a right answer.
        skill_of: (I,) int64, the skill of each item.
        knows: (N, T), true probability of this answer being right, given the student's state.
        best: (N, T), the same for whoever knows the world but sees only the earlier answers; no
            forecast from answers can be better on average.
        ability: (N,), θ; in the other worlds the share of skills mastered at the start.
        mastered: (N, T) bool, the skill asked for is mastered; None in the world of ability.
    """

    items: Tensor
    right: Tensor
    skill_of: Tensor
    knows: Tensor
    best: Tensor
    ability: Tensor
    mastered: Tensor | None = None

    @property
    def skills(self) -> Tensor:
        """The skill that each item needs, (N, T)."""
        return self.skill_of[self.items]

    @property
    def I(self) -> int:  # noqa: E743
        """How many items there are."""
        return len(self.skill_of)

    @property
    def K(self) -> int:
        """How many skills there are."""
        return int(self.skill_of.max()) + 1

    def split(self, first: int) -> tuple["Answers", "Answers"]:
        """The first so many students, and the others.

        Raises:
            ValueError: nobody is left on one side.
        """
        if not 0 < first < len(self.items):
            raise ValueError(f"need 1 … {len(self.items) - 1} students, got {first}")
        return self._of(slice(None, first)), self._of(slice(first, None))

    def _of(self, who: slice) -> "Answers":
        names = ("items", "right", "knows", "best", "ability", "mastered")
        found = {name: getattr(self, name) for name in names}
        return replace(self, **{k: None if v is None else v[who] for k, v in found.items()})


def make_students(
    world: str, N: int = 1000, T: int = 40, K: int = 5, per_skill: int = 4, seed: int = 0
) -> Answers:
    """Draw students and their answers.

    Args:
        world: of `WORLDS`.
        N: students.
        T: answers of each.
        K: skills.
        per_skill: items of each skill.
        seed: of everything.

    Raises:
        ValueError: an unknown world, or a size below 1.
    """
    if world not in WORLDS or min(N, T, K, per_skill) < 1:
        raise ValueError(
            f"need a world in {WORLDS} and sizes >= 1, got {world!r}, {(N, T, K, per_skill)}"
        )
    random = torch.Generator().manual_seed(seed)
    skill_of = torch.arange(K).repeat_interleave(per_skill)
    items = torch.randint(len(skill_of), (N, T), generator=random)
    if world == "ability":
        return _by_ability(items, skill_of, random)
    return _by_mastery(items, skill_of, world == "chain", random)


# --- ability


def response(theta: Tensor, slope: Tensor, difficulty: Tensor) -> Tensor:
    """P(right) = σ(a (θ - b)), the two-parameter logistic model -- Birnbaum, in Lord 1980.

    With a = 1 for all it is Rasch's (1960).
    """
    return torch.sigmoid(slope * (theta - difficulty))


def best_by_ability(items: Tensor, right: Tensor, slope: Tensor, difficulty: Tensor) -> Tensor:
    """P(right) (N, T) from the answers before, by Bayes over a grid of θ ~ N(0, 1).

    Args:
        items: (N, T).
        right: (N, T).
        slope, difficulty: of each item, (I,).
    """
    p, log_likelihood = at_abilities(items, right, slope, difficulty)
    before = log_likelihood.cumsum(1) - log_likelihood
    return ((before - GRID.square() / 2).softmax(2) * p).sum(2)


def at_abilities(items: Tensor, right: Tensor, slope: Tensor, difficulty: Tensor):
    """P(right) and log P(answer) at each ability of the grid, (N, T, grid) both."""
    logit = slope[items][..., None] * (GRID - difficulty[items][..., None])
    # not log(p): a steep item far from θ would give log 0
    return logit.sigmoid(), F.logsigmoid(torch.where(right[..., None] > 0.5, logit, -logit))


def _by_ability(items: Tensor, skill_of: Tensor, random: torch.Generator) -> Answers:
    N, T = items.shape
    difficulty = torch.randn(len(skill_of), generator=random)
    slope = (0.4 * torch.randn(len(skill_of), generator=random)).exp()
    theta = torch.randn(N, generator=random)
    knows = response(theta[:, None], slope[items], difficulty[items])
    right = (torch.rand(N, T, generator=random) < knows).float()
    best = best_by_ability(items, right, slope, difficulty)
    return Answers(items, right, skill_of, knows, best, theta)


# --- mastery


@dataclass(frozen=True)
class SkillRates:
    """What decides about each skill, (K,) each.

    Attributes:
        known: probability that it is mastered at the start.
        learn: that one practice brings mastery.
        guess: of a right answer without mastery.
        slip: of a wrong one with it.
    """

    known: Tensor
    learn: Tensor
    guess: Tensor
    slip: Tensor

    def right(self, k: Tensor, mastered: Tensor) -> Tensor:
        """P(right) for skills k: 1 - slip with mastery, guess without."""
        return torch.where(mastered, 1 - self.slip[k], self.guess[k])


def _by_mastery(items: Tensor, skill_of: Tensor, chain: bool, random: torch.Generator) -> Answers:
    N, T = items.shape
    K = int(skill_of.max()) + 1

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(K, generator=random)

    rates = SkillRates(between(0.1, 0.5), between(0.1, 0.3), between(0.1, 0.3), between(0.05, 0.15))
    chances = torch.rand(2, N, T, generator=random)
    state = torch.rand(N, K, generator=random) < rates.known
    if chain:  # nothing is mastered before what it needs
        rates = replace(rates, learn=rates.learn + 0.3)
        state = state.cumprod(1).bool()
    start, mastered, rows = state.double().mean(1), [], torch.arange(N)
    for t in range(T):
        k = skill_of[items[:, t]]
        mastered.append(state[rows, k])
        ready = state[rows, (k - 1).clamp(min=0)] | (k == 0) if chain else True
        state = state.clone()
        state[rows, k] |= (chances[1, :, t] < rates.learn[k]) & ready
    mastered, skills = torch.stack(mastered, 1), skill_of[items]
    knows = rates.right(skills, mastered)
    right = (chances[0] < knows).float()
    best = (best_in_chain if chain else best_by_mastery)(skills, right, rates)
    return Answers(items, right, skill_of, knows, best, start, mastered)


def best_by_mastery(skills: Tensor, right: Tensor, rates: SkillRates) -> Tensor:
    """P(right) (N, T) from the answers before: one two-state filter a skill.

    Corbett & Anderson 1995: with L = P(mastered), p = L (1 - slip) + (1 - L) guess; after the
    answer L′ by Bayes' rule; then L = L′ + (1 - L′) learn.

    Args:
        skills: (N, T).
        right: (N, T).
        rates: of each skill.
    """
    N, T = skills.shape
    rows, L, forecasts = torch.arange(N), rates.known.repeat(N, 1), []
    for t in range(T):
        k = skills[:, t]
        now, slip, guess = L[rows, k], rates.slip[k], rates.guess[k]
        forecasts.append(now * (1 - slip) + (1 - now) * guess)
        with_it = torch.where(right[:, t] > 0.5, 1 - slip, slip) * now
        without = torch.where(right[:, t] > 0.5, guess, 1 - guess) * (1 - now)
        after = with_it / (with_it + without)
        L[rows, k] = after + (1 - after) * rates.learn[k]
    return torch.stack(forecasts, 1)


def best_in_chain(skills: Tensor, right: Tensor, rates: SkillRates) -> Tensor:
    """The same where skill k needs skill k - 1: the state is how many are mastered, 0 … K.

    Args:
        skills: (N, T).
        right: (N, T).
        rates: of each skill.
    """
    (N, T), K = skills.shape, len(rates.known)
    reached = torch.cat((torch.ones(1), rates.known.cumprod(0), torch.zeros(1)))
    p = (reached[:-1] - reached[1:]).repeat(N, 1)  # (N, K + 1)
    rows, levels, forecasts = torch.arange(N), torch.arange(K + 1), []
    for t in range(T):
        k = skills[:, t]
        if_level = rates.right(k[:, None], levels > k[:, None])  # (N, K + 1)
        forecasts.append((p * if_level).sum(1))
        p = p * torch.where(right[:, t, None] > 0.5, if_level, 1 - if_level)
        p = p / p.sum(1, keepdim=True)
        up = p[rows, k] * rates.learn[k]
        p[rows, k] -= up
        p[rows, k + 1] += up
    return torch.stack(forecasts, 1)
