"""An n-gram model: the next token from how often it followed the last few, in a text.

No gradient and no training but counting: what a network has to beat on text.

Shapes: B batch, T length, V vocabulary.

Sources: Kneser & Ney 1995, "Improved backing-off for m-gram language modeling"; in the
interpolated form of Chen & Goodman 1999, "An empirical study of smoothing techniques for language
modeling".
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

RECENT = 1000  # distributions that are kept, of V numbers each

Tokens = Sequence[int]
Table = dict[tuple[int, ...], Counter[int]]  # context → how often each token comes behind it


class KneserNey:
    """Interpolated Kneser-Ney: from every count a discount, which goes to shorter contexts.

    p(c | h) = (max(n(hc) - d, 0) + d · |{c' : n(hc') > 0}| · p(c | h')) / Σ_c' n(hc')

    h' is h without its first token; below the empty context all tokens are alike, 1/V. For the
    longest contexts n counts occurrences. For shorter ones, which matter where the longer was
    never seen, n(hc) counts before how many different tokens hc occurred: "Francisco" is frequent,
    but only behind "San", so it is improbable behind anything new.

    Args:
        ids: the text as tokens 0 … V - 1.
        n: tokens that the model looks at, the predicted one included.
        V: vocabulary.
        d: the discount.

    Raises:
        ValueError: n or V below 1, a text shorter than n, or d not in (0, 1].
    """

    def __init__(self, ids: Tokens, n: int, V: int, d: float = 0.75):
        if n < 1 or V < 1 or len(ids) < n:
            raise ValueError(f"need n, V ≥ 1 and at least n tokens; got {n}, {V} and {len(ids)}")
        if not 0 < d <= 1:
            raise ValueError(f"need a discount in (0, 1], got {d}")
        self.n, self.V, self.d = n, V, d
        counts = [_count(tuple(ids), length) for length in range(n)]
        shorter = [_count_different_left(table) for table in counts[1:]]
        self._tables = [*shorter, counts[-1]]
        self._recent: dict[tuple[int, ...], Tensor] = {}
        self._totals = [
            {context: followers.total() for context, followers in table.items()}
            for table in self._tables
        ]

    def probability(self, token: int, context: Tokens) -> float:
        """Of one token behind a context, of which the last n - 1 count."""
        p, context = 1 / self.V, tuple(context)
        for length in range(min(self.n, len(context) + 1)):
            ending = context[len(context) - length :]
            followers = self._tables[length].get(ending)
            if followers is None:
                break
            kept = max(followers[token] - self.d, 0)
            p = (kept + self.d * len(followers) * p) / self._totals[length][ending]
        return p

    def distribution(self, context: Tokens) -> Tensor:
        """Of every token behind a context: (V,), float64, sums to 1."""
        context = tuple(context)[-(self.n - 1) :] if self.n > 1 else ()
        return self._behind(context).clone()

    def _behind(self, context: tuple[int, ...]) -> Tensor:
        if context not in self._recent:
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[context] = self._behind_anew(context)
        return self._recent[context]

    def _behind_anew(self, context: tuple[int, ...]) -> Tensor:
        """That of the shorter context, and what was counted behind this one added to it."""
        if context:
            p = self._behind(context[1:])
        else:
            p = torch.full((self.V,), 1 / self.V, dtype=torch.float64)
        followers = self._tables[len(context)].get(context)
        if followers is None:
            return p
        counts = torch.tensor(list(followers.values()), dtype=torch.float64)
        p = self.d * len(followers) * p
        p[list(followers)] += (counts - self.d).clamp(min=0)
        return p / self._totals[len(context)][context]

    def next_logits(self, ids: Tensor) -> Tensor:
        """Tokens so far (B, T) to log probabilities of the next (B, V), as sampling wants them."""
        rows = [self.distribution(row[-self.n :].tolist()).log().float() for row in ids.cpu()]
        return torch.stack(rows).to(ids.device)

    def nats(self, ids: Tokens, start: int = 0) -> float:
        """What the tokens from `start` on cost, -Σ log p, each behind those before it."""
        ids, reach = tuple(ids), self.n - 1
        return -sum(
            math.log(self.probability(ids[i], ids[max(0, i - reach) : i]))
            for i in range(start, len(ids))
        )


def _count(ids: tuple[int, ...], length: int) -> Table:
    """How often each token comes behind each context of so many tokens."""
    table: Table = defaultdict(Counter)
    for i in range(length, len(ids)):
        table[ids[i - length : i]][ids[i]] += 1
    return dict(table)


def _count_different_left(longer: Table) -> Table:
    """For contexts one token shorter: before how many different tokens each pair occurred."""
    table: Table = defaultdict(Counter)
    for context, followers in longer.items():
        table[context[1:]].update(followers.keys())
    return dict(table)
