"""From scores of the next token to text: greedy, sampling with its filters, beam search.

Everything here works with any next-token function: tokens so far (B, T) → logits (B, V).

Shapes: B batch, T length, V vocabulary. In a filter, "outside" is a logit of -inf.

Sources: top-k, Fan et al. 2018, section 5.4, arXiv:1805.04833; top-p (nucleus), Holtzman et al.
2020, section 3.1, arXiv:1904.09751; min-p, Nguyen et al. 2024, section 3, arXiv:2407.01082;
length penalty of beam search, Wu et al. 2016, eq. 14, arXiv:1609.08144.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from bigmodel_lib.models.transformer import GPT

NextLogits = Callable[[Tensor], Tensor]


# --- next-token functions of a GPT


def next_logits(model: GPT) -> NextLogits:
    """The next token's logits by a pass over all tokens, or the last T that the model takes."""
    return lambda ids: model(ids[:, -model.config.T :], last=True)[:, -1]


def cached_next_logits(model: GPT) -> NextLogits:
    """The same from a cache of keys and values, where the call before had the same beginning.

    Then only the new tokens go through the model. Once the window of T tokens moves, every token
    has another position, so each call starts anew.
    """
    seen = torch.empty(0, 0, dtype=torch.int64)
    cache = model.empty_cache(model.config.T)

    def logits(ids: Tensor) -> Tensor:
        nonlocal cache, seen
        ids = ids[:, -model.config.T :]
        known = seen.shape[1]
        if known >= ids.shape[1] or not torch.equal(ids[:, :known], seen):
            cache, known = model.empty_cache(model.config.T), 0
        seen = ids
        return model(ids[:, known:], cache, last=True)[:, -1]

    return logits


# --- filters: which tokens may be drawn


def top_k(logits: Tensor, k: int) -> Tensor:
    """Only the k highest logits (…, V) stay, all where V ≤ k; of equals the first.

    Fan et al. 2018, section 5.4, arXiv:1805.04833.

    Raises:
        ValueError: k < 1, which leaves nothing to draw.
    """
    if k < 1:
        raise ValueError(f"need k of at least 1, got {k}")
    return _keep(logits, torch.arange(logits.shape[-1], device=logits.device) < k)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Only the nucleus stays: the fewest most probable tokens that hold a probability of p.

    Holtzman et al. 2020, section 3.1, arXiv:1904.09751.

    Raises:
        ValueError: p is not in (0, 1].
    """
    if not 0 < p <= 1:
        raise ValueError(f"need p in (0, 1], got {p}")
    if p == 1:
        return logits  # rounded sums may reach 1 before the last token
    ordered = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True).values
    before = ordered.cumsum(dim=-1) - ordered  # what the more probable tokens hold together
    return _keep(logits, before < p)  # the first always stays: nothing is before it


def min_p(logits: Tensor, p: float) -> Tensor:
    """Only tokens stay that are at least p times as probable as the most probable one.

    Nguyen et al. 2024, section 3, arXiv:2407.01082.

    Raises:
        ValueError: p is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"need p in [0, 1], got {p}")
    floor = math.log(p) if p else -math.inf
    return logits.masked_fill(logits < logits.amax(dim=-1, keepdim=True) + floor, -math.inf)


def _keep(logits: Tensor, kept: Tensor) -> Tensor:
    """Logits with -inf wherever `kept`, by rank from the highest logit on, is False."""
    order = logits.argsort(dim=-1, descending=True, stable=True)
    kept = kept.expand_as(logits)
    return logits.masked_fill(~torch.zeros_like(kept).scatter(-1, order, kept), -math.inf)


@dataclass(frozen=True)
class Sampler:
    """How a token is drawn: temperature first, then the filters, in the order of the fields.

    The order counts: a high temperature flattens what top-p and min-p then look at. It is that
    of Hugging Face's `generate`.

    Attributes:
        temperature: divides the logits; below 1 sharper, above 1 flatter, 0 the highest alone.
        k: tokens that top-k keeps; None keeps all.
        p: probability that top-p keeps; 1 keeps all.
        min_p: share of the highest probability that a token needs; 0 keeps all.

    Raises:
        ValueError: a value is out of its range.
    """

    temperature: float = 1.0
    k: int | None = None
    p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"need a temperature of at least 0, got {self.temperature}")
        self.probabilities(torch.zeros(1))  # the filters know their ranges

    def probabilities(self, logits: Tensor) -> Tensor:
        """What each token (…, V) is drawn with."""
        if self.temperature == 0:
            logits = top_k(logits, 1)
        else:
            # the highest becomes 0 first, or a low temperature would make it infinite
            lowest = torch.finfo(logits.dtype).tiny
            logits = logits - logits.amax(dim=-1, keepdim=True)
            logits = logits / max(self.temperature, lowest)
        logits = logits if self.k is None else top_k(logits, self.k)
        return min_p(top_p(logits, self.p), self.min_p).softmax(dim=-1)

    def __call__(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw a token for each row of logits (B, V): integers (B,).

        Raises:
            ValueError: greedy, and a logit is not a number.
            RuntimeError: the same, drawing; torch.multinomial says so.
        """
        if self.temperature == 0:  # one is left: nothing to sort, and nothing to draw
            highest, token = logits.max(dim=-1)  # NaN counts as the highest
            if highest.isnan().any():
                raise ValueError("need logits that are numbers, got NaN")
            return token
        return torch.multinomial(self.probabilities(logits), 1, generator=generator)[:, 0]


GREEDY = Sampler(temperature=0)


@torch.no_grad()
def generate(
    next_logits: NextLogits,
    ids: Tensor,
    sampler: Sampler = GREEDY,
    *,
    generator: torch.Generator | None = None,
) -> Iterator[Tensor]:
    """Draw token after token, without end.

    Args:
        next_logits: tokens so far (B, T) → logits (B, V).
        ids: the prompts (B, T), T ≥ 1.
        sampler: how to draw.
        generator: of the random numbers; None means PyTorch's global one.

    Yields:
        The next token of each sequence, (B,).
    """
    while True:
        token = sampler(next_logits(ids), generator)
        ids = torch.cat((ids, token[:, None]), dim=1)
        yield token


# --- beam search: the most probable sequence, approximately


@dataclass(frozen=True)
class Answer:
    """What a beam search found.

    Attributes:
        ids: the tokens behind the prompt, with the end token if it reached one.
        log_probability: of these tokens, in nats.
        score: log_probability over the length penalty; the highest wins.
    """

    ids: tuple[int, ...]
    log_probability: float
    score: float


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / (5 + 1))^α -- Wu et al. 2016, eq. 14, arXiv:1609.08144.

    A log probability falls with every token; divided by this, long answers lose less.
    """
    return ((5 + length) / 6) ** alpha


@torch.no_grad()
def beam_search(
    next_logits: NextLogits,
    ids: Tensor,
    width: int,
    steps: int,
    *,
    end: int | None = None,
    alpha: float = 0.0,
) -> list[Answer]:
    """Keep the most probable beginnings, extend each by every token, keep the best again.

    Width 1 without an end is greedy; a width of V^steps misses nothing. What ends leaves the
    beam. The search is over once no open beginning can still overtake the worst answer.

    Args:
        next_logits: tokens so far (B, T) → logits (B, V).
        ids: one prompt (T,).
        width: beginnings to keep, and answers to give at most.
        steps: tokens at most; what is open then is an answer, too.
        end: the token that ends a sequence; None means that none does.
        alpha: power of the length penalty; 0 compares plain log probabilities.

    Returns:
        The answers, the best first.

    Raises:
        ValueError: width or steps below 1, alpha below 0, or no single prompt.
    """
    _check_search(ids, width, steps, alpha)
    end = -1 if end is None else end  # no token is -1
    beams, sums = ids[None], torch.zeros(1, device=ids.device)
    answers: list[Answer] = []
    for length in range(1, steps + 1):
        # each beam ends at most once, so twice as many leave `width` that go on
        beams, sums = _extend(next_logits, beams, sums, 2 * width)
        is_last = (beams[:, -1] == end) | (length == steps)
        answers += _answers(beams[is_last, len(ids) :], sums[is_last], alpha)
        answers = sorted(answers, key=lambda answer: -answer.score)[:width]
        beams, sums = beams[~is_last][:width], sums[~is_last][:width]
        # an open beginning only loses probability; at best it is divided by the largest penalty
        best = sums.max().item() / length_penalty(steps, alpha) if len(sums) else -math.inf
        if len(sums) == 0 or (len(answers) == width and best <= answers[-1].score):
            break
    return answers


def _answers(ids: Tensor, sums: Tensor, alpha: float) -> list[Answer]:
    penalty = length_penalty(ids.shape[1], alpha)
    pairs = zip(ids.tolist(), sums.tolist(), strict=True)
    return [Answer(tuple(tokens), total, total / penalty) for tokens, total in pairs]


def _extend(next_logits: NextLogits, beams: Tensor, sums: Tensor, count: int):
    """The most probable of all beams with one token more, in order, and their log probabilities."""
    totals = sums[:, None] + next_logits(beams).log_softmax(dim=-1)  # (beams, V)
    best = totals.flatten().topk(min(count, totals.numel()))
    parent, token = best.indices // totals.shape[1], best.indices % totals.shape[1]
    possible = best.values > -math.inf
    return torch.cat((beams[parent], token[:, None]), dim=1)[possible], best.values[possible]


def _check_search(ids: Tensor, width: int, steps: int, alpha: float) -> None:
    if width < 1 or steps < 1:
        raise ValueError(f"need width and steps of at least 1, got {width} and {steps}")
    if not alpha >= 0:
        raise ValueError(f"need alpha of at least 0, got {alpha}")
    if ids.ndim != 1:
        raise ValueError(f"need one prompt (T,), got {tuple(ids.shape)}")
