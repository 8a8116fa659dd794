"""Where the memory of a training step goes: predicted from the sizes, before anything is built.

Symbols: B batch, T length, L layers, D model width, H heads, V vocabulary, N parameters. All in
bytes of tensors; what an allocator rounds up, and what a kernel takes and gives back, come on
top.

Sources: weights, gradients and optimiser, and how to cut them, Rajbhandari et al. 2020 (ZeRO),
arXiv:1910.02054; activations, Korthikanti et al. 2022, arXiv:2205.05198; computing them anew,
Chen et al. 2016, arXiv:1604.06174.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from bigmodel_lib.counting import Parts, TrainingMemory, at_least_one, count_parameters
from bigmodel_lib.memory import MemoryMeter
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.schedule import adamw


@dataclass(frozen=True)
class Format:
    """Bytes a number, of each kind of tensor.

    Attributes:
        weight: weights, gradients and Adam's moments.
        stream: the residual stream, which every block adds to.
        inside: what products of matrices take and give.
        loss: logits as cross-entropy takes them.
    """

    weight: int
    stream: int
    inside: int
    loss: int


FORMATS = {
    "float32": Format(weight=4, stream=4, inside=4, loss=4),
    # Products in bfloat16, on copies of the weights; sums and losses in float32.
    "autocast": Format(weight=4, stream=4, inside=2, loss=4),
    "bfloat16": Format(weight=2, stream=2, inside=2, loss=2),
}


@dataclass(frozen=True)
class Step:
    """A training step of a GPT with AdamW.

    Attributes:
        config: sizes of the model.
        B: sequences of the step.
        T: tokens of each; 0 means as many as the model takes.
        parts: pieces that the batch is cut into; gradients are accumulated over them.
        recompute: keep only what goes into each block, and compute the rest anew.
        precision: a name in `FORMATS`.

    Raises:
        ValueError: a size is out of its range, parts do not divide B, or no such precision.
    """

    config: GPTConfig
    B: int
    T: int = 0
    parts: int = 1
    recompute: bool = False
    precision: str = "float32"

    def __post_init__(self):
        at_least_one(B=self.B, parts=self.parts)
        object.__setattr__(self, "T", self.T or self.config.T)
        if self.B % self.parts or not 1 <= self.T <= self.config.T:
            raise ValueError(f"need parts that divide B, and 1 ≤ T ≤ {self.config.T}; got {self}")
        if self.precision not in FORMATS:
            raise ValueError(f"need precision in {list(FORMATS)}, got {self.precision!r}")

    @property
    def format(self) -> Format:
        """Bytes a number."""
        return FORMATS[self.precision]

    @property
    def tokens(self) -> int:
        """B · T of one part: what is computed at once."""
        return self.B // self.parts * self.T


@dataclass(frozen=True)
class Peak(Parts):
    """Bytes alive at one moment of a step.

    Attributes:
        weights: all parameters.
        moments: Adam's two running means.
        gradients: those that are there at this moment.
        activations: kept for the backward pass, with 16-bit copies of weights if there are any.
        passing: made and dropped on the way.
    """

    weights: int
    moments: int
    gradients: int
    activations: int
    passing: int


def block_activations(step: Step) -> int:
    """Bytes that one block keeps for its backward pass.

    B T D (2 s + 14 i) + 4 B T (H + 4), with s bytes a number of the residual stream, i of what
    products take and give: 2 inputs of norms; 2 outputs of norms, queries, keys, values, what
    attention gives, and the MLP's hidden layer before and after GELU, 4 each. The rest are
    statistics in float32: log Σ exp for each head, mean and deviation for each norm.

    At 2 bytes this is 32 B T D, the 34 of Korthikanti et al. 2022, eq. 1, without dropout, whose
    masks are 2. Their term with T² is gone, as fused attention never holds the weights.
    """
    s, i = step.format.stream, step.format.inside
    config = step.config
    return step.tokens * (config.D * (2 * s + 14 * i) + 4 * (config.H + 4))


def head_activations(step: Step) -> int:
    """Bytes that the end of the model keeps: input and output of the last norm, and ln p.

    B T D (s + i) + B T V l, with l bytes a number of the loss.
    """
    bytes_ = step.format
    config = step.config
    return step.tokens * (config.D * (bytes_.stream + bytes_.inside) + config.V * bytes_.loss)


def copied_weights(step: Step, blocks: bool = True) -> int:
    """Bytes of the 16-bit copies of matrices that autocast makes, and keeps for backward.

    Args:
        step: what is computed.
        blocks: with those of the blocks, which are dropped where blocks are computed anew.
    """
    if step.format.inside == step.format.weight:
        return 0
    N = count_parameters(step.config)
    return (N.embedding + (N.attention + N.mlp if blocks else 0)) * step.format.inside


def kept_activations(step: Step) -> int:
    """Bytes that all blocks keep: L times `block_activations`, or their inputs only."""
    width = step.tokens * step.config.D
    each = width * step.format.stream if step.recompute else block_activations(step)
    return step.config.L * each


def phases(step: Step) -> dict[str, Peak]:
    """What is alive at the moments of a step at which memory may be at its highest.

    "forward": all activations, and logits on their way to ln p. "loss": at the beginning of the
    backward pass, two gradients of logits beside ln p. "last block", "first block": backward has
    come to it; blocks behind it have gradients, those before it activations. "embedding": it
    serves at both ends, so there are two gradients of it, and their sum. "update": all
    gradients, and no activation.

    With accumulation all gradients are there from the second part on. With `recompute` a block
    takes all of its activations only while backward works on it.
    """
    weights = count_parameters(step.config).total * step.format.weight
    moments = forward_phases(step) | backward_phases(step)
    return {name: Peak(weights, 2 * weights, *bytes_) for name, bytes_ in moments.items()}


def forward_phases(step: Step) -> dict[str, tuple[int, int, int]]:
    """Gradients, activations and what is passing, up to the loss and its first gradients."""
    logits, form = step.tokens * step.config.V, step.format
    kept = kept_activations(step) + head_activations(step)
    copies = copied_weights(step)
    copies_for_backward = copied_weights(step, blocks=not step.recompute)
    passing = logits * (form.inside + (form.loss if copies else 0))  # with copies, logits are cast
    before = gradients(step).total if step.parts > 1 else 0
    return {
        "forward": (before, kept + copies, passing),
        "loss": (before, kept + copies_for_backward, 2 * logits * form.loss),
    }


def backward_phases(step: Step) -> dict[str, tuple[int, int, int]]:
    """Gradients, activations and what is passing, from the last block to the update."""
    form, width = step.format, step.tokens * step.config.D
    new, kept, block = gradients(step), kept_activations(step), block_activations(step)
    before = new.total if step.parts > 1 else 0
    others = kept // step.config.L * (step.config.L - 1)
    copies = 0 if step.recompute else copied_weights(step)
    # In work: the gradient of the stream, and two of the MLP's hidden layer of 4D; the second
    # takes the place of an activation. The gradient of the embedding waits for its second part.
    work = width * (form.stream + 5 * form.inside)
    later = 0 if before else (new.blocks * (step.config.L - 1)) // step.config.L
    return {
        "last block": (before, others + block + copies, work + new.embedding),
        "first block": (before + later, block, work + new.embedding),
        "embedding": (new.total, 0, (3 if before else 2) * new.embedding + width * form.stream),
        "update": (new.total, 0, 0),
    }


@dataclass(frozen=True)
class Gradients(Parts):
    """Bytes of all gradients.

    Attributes:
        embedding: of the tokens' embedding.
        blocks: of all blocks.
        others: of positions and the last norm.
    """

    embedding: int
    blocks: int
    others: int


def gradients(step: Step) -> Gradients:
    """Bytes of the gradients, one for each weight."""
    N, D = count_parameters(step.config), step.config.D
    others = N.positions + 2 * D
    parts = N.embedding, N.total - N.embedding - others, others
    return Gradients(*(step.format.weight * part for part in parts))


def peak(step: Step) -> Peak:
    """The highest of `phases`."""
    return max(phases(step).values(), key=lambda one: one.total)


def train_step(model: GPT, optimizer: torch.optim.Optimizer, windows: Tensor, step: Step) -> Tensor:
    """A step as it is accounted for: windows (B, T + 1) in parts, gradients added up."""
    optimizer.zero_grad()
    losses = []
    for part in windows.chunk(step.parts):
        with casting(step, windows.device):
            loss = text_loss(model, part) / step.parts
        loss.backward()
        losses.append(loss.detach())
    optimizer.step()
    return torch.stack(losses).sum()


def text_loss(model: GPT, windows: Tensor) -> Tensor:
    """Cross-entropy of the next token; the logits do not outlive this function."""
    scores = model(windows[:, :-1])
    return F.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())


def casting(step: Step, device: torch.device):
    """Autocast to bfloat16 if the step asks for it."""
    if step.precision != "autocast":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def measured_peak(step: Step, device: torch.device | str = "cpu", steps: int = 2) -> int:
    """Bytes alive at once, the most there were, while such a model is made and takes steps.

    Two steps, as the first one begins without moments.
    """
    with MemoryMeter() as meter:
        dtype = torch.bfloat16 if step.precision == "bfloat16" else torch.float32
        model = GPT(step.config, recompute=step.recompute).to(device, dtype)
        optimizer = adamw(model)
        windows = torch.zeros(step.B, step.T + 1, dtype=torch.int64, device=device)
        for _ in range(steps):
            train_step(model, optimizer, windows, step)
    return meter.peak


STAGES = {
    0: "nothing",  # data parallel: every worker holds all
    1: "optimiser",
    2: "optimiser and gradients",
    3: "optimiser, gradients and weights",
}


def shard(memory: TrainingMemory, workers: int, stage: int) -> TrainingMemory:
    """What one of many workers holds from step to step, where they share it out.

    ZeRO's stages: 1 cuts the optimiser's state, 2 the gradients too, 3 the weights too
    -- Rajbhandari et al. 2020, figure 1. FSDP is stage 3. Activations are not cut.

    Args:
        memory: of one worker alone, such as `counting.training_memory` gives.
        workers: how many share.
        stage: a key of `STAGES`.

    Raises:
        ValueError: fewer than one worker, or no such stage.
    """
    at_least_one(workers=workers)
    if stage not in STAGES:
        raise ValueError(f"need a stage in {list(STAGES)}, got {stage}")
    cut = ("master", "moments"), ("gradients",), ("weights",)
    names = [name for group in cut[:stage] for name in group]
    return replace(memory, **{name: -(-getattr(memory, name) // workers) for name in names})


def numbers_sent(N: int, stage: int) -> int:
    """Numbers that a worker sends in a step, in the limit of many workers.

    2N to average gradients, by scattering their sums and gathering what became of them. In
    stage 3 the gathered are weights, needed forward and backward, which makes 3N
    -- Rajbhandari et al. 2020, section 7.

    Raises:
        ValueError: N < 1, or no such stage.
    """
    at_least_one(N=N)
    if stage not in STAGES:
        raise ValueError(f"need a stage in {list(STAGES)}, got {stage}")
    return 3 * N if stage == 3 else 2 * N
