"""Training on sequences that repeat, with a look at the heads at every step."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.repeats import repeated_sequences
from bigmodel_lib.heads import prefix_matching, previous_token
from bigmodel_lib.models.attention_only import AttentionOnly
from bigmodel_lib.patching import record
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw


@dataclass
class RepeatSettings(Schedule):
    """What may change while a model learns to repeat.

    Attributes:
        batch_size: sequences a step.
        shortest, longest: the sequences repeat after so many letters; at least 8, so that the
            first 8 repeat nothing.
        others: of `Schedule`.
    """

    batch_size: int = 64
    shortest: int = 8
    longest: int = 16

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 1 or not 8 <= self.shortest <= self.longest:
            raise ValueError(f"need batch_size >= 1 and 8 ≤ shortest ≤ longest, got {self}")


class Observed(nn.Module):
    """A model, and what was measured while it trained, which then lies in the same file.

    Args:
        model: any.
        steps: of the whole training.
        every: steps that become one row, their mean.
        columns: names of what is measured.
    """

    def __init__(self, model: nn.Module, steps: int, every: int, columns: tuple[str, ...]):
        super().__init__()
        self.model, self.every, self.columns = model, every, columns
        self.register_buffer("rows", torch.zeros(steps // every, len(columns)))

    def forward(self, *inputs):
        """What the model makes of them."""
        return self.model(*inputs)

    def note(self, step: int, values: dict[str, Tensor]) -> None:
        """Book what a step measured, 0 the first; those behind the last row are left out."""
        if step // self.every < len(self.rows):
            row = torch.stack([values[name] for name in self.columns])
            self.rows[step // self.every] += row.detach() / self.every

    @property
    def history(self) -> dict[str, Tensor]:
        """Each measurement over the rows, beside "step", the middle of each."""
        steps = (torch.arange(len(self.rows)) + 0.5) * self.every
        return {"step": steps} | dict(zip(self.columns, self.rows.T, strict=True))


def head_names(model: AttentionOnly) -> tuple[str, ...]:
    """layer.head, both from 0, as Elhage et al. 2021 count them."""
    return tuple(f"{layer}.{head}" for layer in range(len(model.layers)) for head in range(model.H))


class RepeatRun(Run):
    """Minimises the cross-entropy of the next letter, on repeated sequences drawn anew.

    Each record holds the loss in nats a letter; that of letters 5 to 8, where nothing repeats
    yet (early), and of the last 8 (late); and of each head, "prefix 1.0" say, its score in
    `prefix_matching`, and in `previous_token`, "previous 1.0".

    Args:
        observed: an `AttentionOnly`, with columns among the names of a record.
        T: letters of a sequence, at least 8 more than the longest period.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: T is too short.
    """

    def __init__(
        self, observed: Observed, T: int, *, settings: RepeatSettings | None = None, **others
    ):
        settings = settings or RepeatSettings()
        if settings.longest + 8 > T:
            raise ValueError(f"need T of at least longest + 8 = {settings.longest + 8}, got {T}")
        self.observed, self.T = observed, T
        self.layers = [f"layers.{i}.pattern" for i in range(len(observed.model.layers))]
        modules, optimizer = {"model": observed}, adamw(observed)
        super().__init__(modules, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch."""
        model, s = self.observed.model, self.settings
        periods = torch.randint(s.shortest, s.longest + 1, (s.batch_size,))
        ids = repeated_sequences(periods, self.T, model.embedding.num_embeddings).to(self.device)
        with record(model, *self.layers) as patterns:
            losses = letter_losses(model, ids)
        s.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        losses.mean().backward()
        self.optimizers["optimizer"].step()
        values = self._values(losses, patterns, periods.to(self.device))
        self.observed.note(self.step, values)
        return values

    def _values(self, losses: Tensor, patterns: dict[str, Tensor], periods: Tensor):
        values = {"loss": losses.mean(), "early": early(losses), "late": late(losses)}
        seen, names = [patterns[name] for name in self.layers], head_names(self.observed.model)
        prefix = torch.cat([prefix_matching(pattern, periods) for pattern in seen])
        previous = torch.cat([previous_token(pattern) for pattern in seen])
        for name, a, b in zip(names, prefix, previous, strict=True):
            values |= {f"prefix {name}": a, f"previous {name}": b}
        return values


def letter_losses(model: nn.Module, ids: Tensor) -> Tensor:
    """Nats of each letter behind those before it, (B, T - 1): the first has nothing before it."""
    logits = model(ids[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


def early(losses: Tensor) -> Tensor:
    """The mean of letters 5 to 8: in no sequence has anything been repeated there."""
    return losses[:, 3:7].mean()


def late(losses: Tensor) -> Tensor:
    """The mean of the last 8 letters, each of which has been there before."""
    return losses[:, -8:].mean()
