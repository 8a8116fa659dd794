"""Speculative decoding: a cheap model guesses ahead, the large one checks many guesses at once.

Shapes: T length so far, n guesses, V vocabulary.

Sources: Leviathan et al. 2022, section 2.3 and algorithm 1, arXiv:2211.17192; Chen et al. 2023,
section 3, arXiv:2302.01318.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bigmodel_lib.models.chance import Chance
from bigmodel_lib.models.transformer import GPT

Ids = list[int]
Guesser = Callable[[Ids], Tensor]  # tokens so far → probabilities (V,) of the next
Checker = Callable[[Ids, int], Tensor]  # tokens, n → probabilities (n + 1, V) behind the last n + 1


def acceptance(p: Tensor, q: Tensor, token: int) -> float:
    """min(1, p(x) / q(x)): how likely a guess x drawn from q is kept, p the large model's."""
    return min(1.0, float(p[token]) / float(q[token]))


def residual(p: Tensor, q: Tensor) -> Tensor:
    """max(0, p - q), normalised: what a token is drawn from instead of a guess that fell.

    A kept guess is x with probability min(p, q); this adds exactly what is then missing to p.
    """
    left = (p - q).clamp(min=0)
    total = left.sum()
    return left / total if total > 0 else p  # equal up to rounding: nothing is missing


def overlap(p: Tensor, q: Tensor) -> Tensor:
    """Σ min(p, q), (…): the mean acceptance of a guess -- Leviathan et al. 2022, section 3.2."""
    return torch.minimum(p, q).sum(dim=-1)


@torch.no_grad()
def speculate(check: Checker, guess: Guesser, ids: Ids, n: int, chance: Chance) -> Ids:
    """One step: n guesses, one check, and between 1 and n + 1 new tokens, drawn as from p alone.

    Args:
        check: the large model, which scores all guesses in one pass.
        guess: the cheap model.
        ids: tokens so far, at least one.
        n: guesses, at least 1.
        chance: makes the random choices.

    Returns:
        The kept guesses and one token of the large model's own.

    Raises:
        ValueError: n < 1.
    """
    if n < 1:
        raise ValueError(f"need at least one guess, got {n}")
    guesses, believed = [], []
    for _ in range(n):
        q = guess([*ids, *guesses])
        guesses.append(chance.draw(q))
        believed.append(q)
    ps = check([*ids, *guesses], n)
    for i, (token, q) in enumerate(zip(guesses, believed, strict=True)):
        if not chance.coin(acceptance(ps[i], q, token)):
            return [*guesses[:i], chance.draw(residual(ps[i], q))]
    return [*guesses, chance.draw(ps[n])]


def speculative(
    check: Checker, guess: Guesser, ids: Ids, n: int, chance: Chance | None = None
) -> Iterator[Ids]:
    """Step after step, without end: the new tokens of each, 1 … n + 1 of them."""
    ids, chance = list(ids), chance or Chance()
    while True:
        new = speculate(check, guess, ids, n, chance)
        ids += new
        yield new


def tokens_a_step(alpha: float, n: int) -> float:
    """(1 - α^(n + 1)) / (1 - α), if each guess is kept with probability α, independently.

    Leviathan et al. 2022, eq. 1.
    """
    return float(sum(alpha**i for i in range(n + 1)))


def speedup(alpha: float, n: int, c: float) -> float:
    """`tokens_a_step` / (n c + 1): how much faster than the large model alone.

    Leviathan et al. 2022, theorem 3.8; it supposes that checking n + 1 tokens takes as long as
    making one.

    Args:
        alpha: α, the mean acceptance.
        n: guesses.
        c: time of a guess over that of a pass of the large model.
    """
    return tokens_a_step(alpha, n) / (n * c + 1)


def gpt_checker(model: GPT, temperature: float = 1.0) -> Checker:
    """A GPT as the large model, with a cache that drops the guesses that fell.

    Only tokens behind the beginning that the call before had in common go through the model.

    Args:
        model: the tokens it is asked about may be no longer than its T.
        temperature: divides the logits, above 0.
    """
    cache, seen = model.empty_cache(), []

    @torch.no_grad()
    def check(ids: Ids, n: int) -> Tensor:
        """Probabilities of the last n tokens and of the one behind them, (n + 1, V)."""
        nonlocal seen
        known = _common(seen, ids[: len(ids) - n - 1])  # the last n + 1 must pass, to be scored
        for layer in cache:
            layer.cut(known)
        seen = list(ids)
        device = model.tokens.weight.device
        logits = model(torch.tensor([ids[known:]], device=device), cache)[0, -n - 1 :]
        return (logits / temperature).softmax(dim=-1)

    return check


def _common(a: Ids, b: Ids) -> int:
    """How many tokens both begin with."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))
