"""Training a language model on tokens, one step at a time, and what it then makes of a text."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.training.run import Run

LAST_RATE = 0.1  # of lr, at the end of the schedule


@dataclass
class TextSettings:
    """What may change while a language model trains.

    Attributes:
        lr: AdamW's learning rate, at its highest.
        batch_size: windows a step.
        length: tokens of a window.
        weight_decay: of matrices; biases and norms have none.
        warmup: steps in which the rate rises from 0 to lr.
        schedule: step at which the rate has fallen to a tenth of lr, along half a cosine
            -- Loshchilov & Hutter 2016, eq. 5, arXiv:1608.03983; 0 keeps it.
    """

    lr: float = 3e-3
    batch_size: int = 16
    length: int = 64
    weight_decay: float = 0.0
    warmup: int = 0
    schedule: int = 0

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not (self.lr >= 0 and self.batch_size >= 1 and self.length >= 1):
            raise ValueError(f"need lr >= 0, batch_size >= 1 and length >= 1, got {self}")
        if min(self.weight_decay, self.warmup, self.schedule) < 0:
            raise ValueError(f"need weight_decay, warmup and schedule >= 0, got {self}")

    def rate(self, step: int) -> float:
        """The learning rate of a step, 1 the first."""
        if step < self.warmup:
            return self.lr * step / self.warmup
        if not self.schedule:
            return self.lr
        done = (step - self.warmup) / max(self.schedule - self.warmup, 1)
        falling = (1 + math.cos(math.pi * min(done, 1.0))) / 2
        return self.lr * (LAST_RATE + (1 - LAST_RATE) * falling)


class TextRun(Run):
    """Minimises the cross-entropy of the next token, on windows drawn from a text.

    Each record holds the loss in nats a token.

    Args:
        model: tokens (B, T) → scores (B, T, V).
        ids: the text as tokens (N,); moved to the model's device once.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: the text is shorter than a window and its next token.
    """

    def __init__(
        self, model: nn.Module, ids: Tensor, *, settings: TextSettings | None = None, **others
    ):
        settings = settings or TextSettings()
        if ids.ndim != 1 or len(ids) <= settings.length:
            raise ValueError(f"need tokens (N,), N > {settings.length}, got {tuple(ids.shape)}")
        self.model, self.ids = model, ids.to(next(model.parameters()).device)
        optimizer = torch.optim.AdamW(_two_groups(model), fused=True)
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch of windows."""
        length = self.settings.length
        starts = torch.randint(len(self.ids) - length, (self.settings.batch_size, 1))
        windows = self.ids[(starts + torch.arange(length + 1)).to(self.device)]  # (B, T + 1)
        scores = self.model(windows[:, :-1])
        loss = F.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())
        matrices, others = self.optimizers["optimizer"].param_groups
        matrices["lr"] = others["lr"] = self.settings.rate(self.step + 1)
        matrices["weight_decay"], others["weight_decay"] = self.settings.weight_decay, 0.0
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        return {"loss": loss}


def _two_groups(model: nn.Module) -> list[dict]:
    """Parameters that weight decay is for, and those that it is not."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if (p.ndim > 1) == matrix]} for matrix in (True, False)
    ]


@torch.no_grad()
def text_nats(model: nn.Module, ids: Tensor, start: int, length: int) -> float:
    """What the tokens from `start` on cost, -Σ ln p, each behind those before it.

    The model reads windows of `length` tokens, and the next window begins half a window later,
    so that each token has half a window before it, unless the text has less.

    Args:
        model: tokens (B, T) → scores (B, T, V); asked without dropout.
        ids: the text as tokens (N,).
        start: the first that counts, at least 1: something has to stand before it.
        length: tokens of a window, at least 2.

    Raises:
        ValueError: start or length is out of its range.
    """
    if not 1 <= start < len(ids) or length < 2:
        raise ValueError(f"need 1 ≤ start < {len(ids)} and length ≥ 2, got {start} and {length}")
    was_training, nats = model.training, 0.0
    model.eval()
    for first in range(start, len(ids), length // 2):
        targets = ids[first : first + length // 2]
        window = ids[max(0, first + len(targets) - 1 - length) : first + len(targets) - 1]
        scores = model(window[None])[0, -len(targets) :]
        nats += F.cross_entropy(scores, targets, reduction="sum").item()
    model.train(was_training)
    return nats
