"""Training a language model on characters, one step at a time."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.training.run import Run


@dataclass
class TextSettings:
    """What may change while a language model trains: Adam's rate, batch size, window length."""

    lr: float = 3e-3
    batch_size: int = 16
    length: int = 64

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not (self.lr >= 0 and self.batch_size >= 1 and self.length >= 1):
            raise ValueError(f"need lr >= 0, batch_size >= 1 and length >= 1, got {self}")


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
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of Adam on one batch of windows."""
        length = self.settings.length
        starts = torch.randint(len(self.ids) - length, (self.settings.batch_size, 1))
        windows = self.ids[(starts + torch.arange(length + 1)).to(self.device)]  # (B, T + 1)
        scores = self.model(windows[:, :-1])
        loss = F.cross_entropy(scores.flatten(0, 1), windows[:, 1:].flatten())
        (group,) = self.optimizers["optimizer"].param_groups
        group["lr"] = self.settings.lr
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        self.optimizers["optimizer"].step()
        return {"loss": loss}
