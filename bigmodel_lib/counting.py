"""What a GPT costs, by formula: parameters, memory and arithmetic, without building it.

Symbols: V vocabulary, T length, L layers, D model width, H heads, B batch, N parameters.
Memory in bytes, arithmetic in FLOPs: an addition is 1, a multiplication is 1, so a product of
(m, k) and (k, n) takes 2mkn.

Sources: Kaplan et al. 2020, section 2.1 and table 1, arXiv:2001.08361; Rajbhandari et al. 2019
(ZeRO), section 3, arXiv:1910.02054.
"""

from dataclasses import astuple, dataclass

from bigmodel_lib.models.transformer import GPTConfig


@dataclass(frozen=True)
class Parts:
    """A figure in parts, which add up."""

    @property
    def total(self) -> int | float:
        """All parts together."""
        return sum(astuple(self))


@dataclass(frozen=True)
class Parameters(Parts):
    """Numbers that a GPT learns, by part.

    Attributes:
        embedding: V·D, counted once, as input and output share it.
        positions: T·D.
        attention: of all layers, L (4D² + 4D): W_Q, W_K, W_V, W_O and their biases.
        mlp: of all layers, L (8D² + 5D): D → 4D → D.
        norms: two in each layer and one at the end, (2L + 1) 2D: scale and shift.
    """

    embedding: int
    positions: int
    attention: int
    mlp: int
    norms: int

    @property
    def without_embeddings(self) -> int:
        """N in the sense of Kaplan et al. 2020: no vocabulary, no positions."""
        return self.total - self.embedding - self.positions


def count_parameters(config: GPTConfig) -> Parameters:
    """The parameters of `GPT(config)`, exactly. Without embeddings they are about 12 L D²."""
    V, T, L, D = config.V, config.T, config.L, config.D
    return Parameters(
        embedding=V * D,
        positions=T * D,
        attention=L * (4 * D**2 + 4 * D),
        mlp=L * (8 * D**2 + 5 * D),
        norms=(2 * L + 1) * 2 * D,
    )


@dataclass(frozen=True)
class TrainingMemory(Parts):
    """Bytes that training with Adam holds from step to step; activations come on top.

    Attributes:
        weights: those that forward and backward use.
        gradients: one for each weight.
        master: the float32 copy that the optimiser updates, 0 if the weights are float32.
        moments: Adam's two running means, in float32.
    """

    weights: int
    gradients: int
    master: int
    moments: int


# Bytes a parameter: weight, gradient, float32 copy, two moments.
BYTES_TO_TRAIN = {
    "float32": (4, 4, 0, 8),
    "mixed": (2, 2, 4, 8),  # ZeRO, section 3.1: 2N + 2N + KN with K = 12
}


def training_memory(N: int, precision: str = "mixed") -> TrainingMemory:
    """Memory for weights, gradients and Adam's state: 16 bytes a parameter in either precision.

    float32: 4N + 4N + 8N. Mixed: 2N + 2N + 4N + 8N  -- Rajbhandari et al. 2019, section 3.1.
    What mixed precision saves is activations and time, not these.

    Args:
        N: parameters.
        precision: "float32", or "mixed" for 16-bit weights and gradients.

    Raises:
        ValueError: N < 1, or no such precision.
    """
    at_least_one(N=N)
    if precision not in BYTES_TO_TRAIN:
        raise ValueError(f"need precision in {list(BYTES_TO_TRAIN)}, got {precision!r}")
    return TrainingMemory(*(size * N for size in BYTES_TO_TRAIN[precision]))


@dataclass(frozen=True)
class ServingMemory(Parts):
    """Bytes that generation holds.

    Attributes:
        weights: of the model, whatever the batch.
        cache: keys and values of all earlier tokens, so that they are computed once.
    """

    weights: int
    cache: int


def serving_memory(
    config: GPTConfig,
    B: int = 1,
    T: int | None = None,
    *,
    weight_bytes: int = 2,
    cache_bytes: int = 2,
) -> ServingMemory:
    """Memory to generate: weights, and the cache of keys and values.

    Weights: N · bytes. Cache: 2 · B · T · L · D · bytes, as each layer keeps a key and a value
    of width D for each token -- Pope et al. 2022, section 2, arXiv:2211.05102.

    Args:
        config: sizes of the model.
        B: sequences at once.
        T: tokens of each; None means as many as the model takes.
        weight_bytes, cache_bytes: bytes a number; 2 for 16-bit formats.

    Raises:
        ValueError: B or a number of bytes is below 1, or T is not in 1 … config.T.
    """
    at_least_one(B=B, weight_bytes=weight_bytes, cache_bytes=cache_bytes)
    T = _length(config, T)
    return ServingMemory(
        weights=count_parameters(config).total * weight_bytes,
        cache=2 * B * T * config.L * config.D * cache_bytes,
    )


@dataclass(frozen=True)
class Flops(Parts):
    """FLOPs for a token, by part; products of matrices only, which is nearly all of it.

    Attributes:
        projections: W_Q, W_K, W_V and W_O of all layers, 8 L D² forward.
        scores: queries times keys, 2 L T D forward.
        averages: weights times values, 2 L T D forward.
        mlp: of all layers, 16 L D² forward.
        logits: the last product, with the embedding, 2 D V forward.
    """

    projections: float
    scores: float
    averages: float
    mlp: float
    logits: float


def forward_flops(config: GPTConfig, T: int | None = None, *, causal: bool = False) -> Flops:
    """FLOPs of one forward pass for a token, the mean over a sequence of T tokens.

    L (24 D² + 4 T D) + 2 D V: two for each weight of a matrix, and attention on top. The first
    is the 2N of Kaplan et al. 2020, table 1. Their attention term is 2 L T D, half of this one.

    Args:
        config: sizes of the model.
        T: tokens of the sequence; None means as many as the model takes.
        causal: count only the (T + 1)/2 keys that a query sees on average; else all T, as a
            kernel that computes the whole matrix and then hides half of it.

    Raises:
        ValueError: T is not in 1 … config.T.
    """
    T = _length(config, T)
    keys = (T + 1) / 2 if causal else T
    L, D = config.L, config.D
    return Flops(
        projections=8 * L * D**2,
        scores=2 * L * keys * D,
        averages=2 * L * keys * D,
        mlp=16 * L * D**2,
        logits=2 * D * config.V,
    )


def training_flops(config: GPTConfig, T: int | None = None, *, causal: bool = False) -> Flops:
    """FLOPs of forward and backward for a token: three times `forward_flops`.

    Backward takes two products for each of forward, one for the gradient of either factor
    -- Kaplan et al. 2020, section 2.1. Nothing is computed a second time here, as it is with
    checkpoints or in fused attention.

    Args, raises: as `forward_flops`.
    """
    return Flops(*(3 * part for part in astuple(forward_flops(config, T, causal=causal))))


def approximate_training_flops(N: float, tokens: float) -> float:
    """FLOPs of a whole training run, 6 N · tokens -- Kaplan et al. 2020, section 2.1.

    Leaves out attention's T-dependent part. Kaplan et al. count N without embeddings, Brown
    et al. 2020, table D.1, with them.

    Raises:
        ValueError: N or tokens below 1.
    """
    at_least_one(N=N, tokens=tokens)
    return 6 * N * tokens


def _length(config: GPTConfig, T: int | None) -> int:
    T = config.T if T is None else T
    if not 1 <= T <= config.T:
        raise ValueError(f"need T from 1 to {config.T}, got {T}")
    return T


def at_least_one(**sizes: float) -> None:
    """Raise ValueError if a size is below 1, and say which."""
    for name, size in sizes.items():
        if not size >= 1:
            raise ValueError(f"need {name} of at least 1, got {size}")
