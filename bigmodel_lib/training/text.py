"""Training a language model on tokens, one step at a time, and what it then makes of a text."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.models.chunked_loss import chunked_cross_entropy
from bigmodel_lib.models.transformer import GPT
from bigmodel_lib.training.muon import Muon, inner_matrices
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw


@dataclass
class TextSettings(Schedule):
    """What may change while a language model trains.

    Attributes:
        batch_size: windows a step.
        length: tokens of a window.
        further: share of the windows that come from the second text, if the run has one.
        others: of `Schedule`.
    """

    batch_size: int = 16
    length: int = 64
    further: float = 0.0

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if min(self.batch_size, self.length) < 1:
            raise ValueError(f"need batch_size >= 1 and length >= 1, got {self}")
        if not 0 <= self.further <= 1:
            raise ValueError(f"need 0 <= further <= 1, got {self}")


class TextRun(Run):
    """Minimises the cross-entropy of the next token, on windows drawn from a text.

    Each record holds the loss in nats a token.

    Args:
        model: tokens (B, T) → scores (B, T, V).
        ids: the text as tokens (N,); moved to the model's device once.
        settings: what may change live.
        further: a second text (N',), from which `settings.further` of the windows come.
        muon: whether `Muon` moves the matrices inside the model, and AdamW only the rest.
        rows: score so many positions at a time, see `chunked_cross_entropy`; the model is then a
            `GPT`, and its vocabulary large, or nothing is won. None scores all at once.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: a text is shorter than a window and its next token, or a share of the windows
            is to come from a second text that is not there, or rows < 1.
        TypeError: rows, but no `GPT`.
    """

    def __init__(
        self,
        model: nn.Module,
        ids: Tensor,
        *,
        settings: TextSettings | None = None,
        further: Tensor | None = None,
        muon: bool = False,
        rows: int | None = None,
        **others,
    ):
        if rows is not None and not isinstance(model, GPT):
            raise TypeError(f"need a GPT to score rows by rows, got {type(model).__name__}")
        if rows is not None and rows < 1:
            raise ValueError(f"need rows >= 1, got {rows}")
        settings = settings or TextSettings()
        texts = [ids] if further is None else [ids, further]
        for text in texts:
            if text.ndim != 1 or len(text) <= settings.length:
                need = f"need tokens (N,), N > {settings.length}"
                raise ValueError(f"{need}, got {tuple(text.shape)}")
        if settings.further and further is None:
            raise ValueError(f"need a second text for {settings.further:.0%} of the windows")
        device = next(model.parameters()).device
        self.model, self.texts, self.rows = model, [text.to(device) for text in texts], rows
        super().__init__({"model": model}, _optimizers(model, muon), settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of the optimisers on one batch of windows."""
        windows = self.draw()
        loss = self._loss(windows[:, :-1], windows[:, 1:].flatten())
        for optimizer in self.optimizers.values():
            self.settings.apply(optimizer, self.step + 1)
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return {"loss": loss}

    def _loss(self, ids: Tensor, targets: Tensor) -> Tensor:
        if self.rows is None:
            return F.cross_entropy(self.model(ids).flatten(0, 1), targets)
        x = self.model.features(ids).flatten(0, 1)
        return chunked_cross_entropy(x, self.model.tokens.weight, targets, self.rows)

    def draw(self) -> Tensor:
        """Windows (B, T + 1), T tokens and for each the next; each text's share at new places."""
        length, count = self.settings.length, self.settings.batch_size
        of_further = round(self.settings.further * count)
        parts = []
        for text, part in zip(self.texts, (count - of_further, of_further), strict=False):
            starts = torch.randint(len(text) - length, (part, 1))
            parts.append(text[(starts + torch.arange(length + 1)).to(self.device)])
        return torch.cat(parts)


def _optimizers(model: nn.Module, muon: bool) -> dict[str, torch.optim.Optimizer]:
    if not muon:
        return {"optimizer": adamw(model)}
    matrices = inner_matrices(model)
    return {"muon": Muon(matrices), "adamw": adamw(model, without=matrices)}


def text_nats(model: nn.Module, ids: Tensor, start: int, length: int) -> float:
    """What the tokens from `start` on cost, the sum of `token_nats`."""
    return float(token_nats(model, ids, start, length).sum())


def token_nats(
    model: nn.Module, ids: Tensor, start: int, length: int, *, lr: float = 0.0
) -> Tensor:
    """What each token from `start` on costs, -ln p behind those before it.

    The model reads windows of `length` tokens, and the next window begins half a window later,
    so that each token has half a window before it, unless the text has less.

    With a learning rate it goes on learning as it reads, as compressors do: once a window is
    paid for, one step of Adam on it, in a copy -- Krause et al. 2018, "Dynamic Evaluation of
    Neural Sequence Models", arXiv:1709.07432, with Adam in place of their update.

    Args:
        model: tokens (B, T) → scores (B, T, V); asked without dropout, and left as it is.
        ids: the text as tokens (N,).
        start: the first that counts, at least 1: something has to stand before it.
        length: tokens of a window, at least 2.
        lr: of the steps on the way; 0 takes none.

    Returns:
        Nats (N - start,).

    Raises:
        ValueError: start or length is out of its range.
    """
    if not 1 <= start < len(ids) or length < 2:
        raise ValueError(f"need 1 ≤ start < {len(ids)} and length ≥ 2, got {start} and {length}")
    reader, nats = copy.deepcopy(model).eval(), []
    optimizer = torch.optim.Adam(reader.parameters(), lr) if lr else None
    for first in range(start, len(ids), length // 2):
        targets = ids[first : first + length // 2]
        window = ids[max(0, first + len(targets) - 1 - length) : first + len(targets) - 1]
        with torch.set_grad_enabled(optimizer is not None):
            scores = reader(window[None])[0, -len(targets) :]
            costs = F.cross_entropy(scores, targets, reduction="none")
        nats.append(costs.detach())
        if optimizer is not None:
            optimizer.zero_grad()
            costs.mean().backward()
            optimizer.step()
    return torch.cat(nats)
