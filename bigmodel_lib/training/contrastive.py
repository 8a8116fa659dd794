"""Training of a shared space from pairs, and what it finds."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.voice import Spoken
from bigmodel_lib.models.contrastive import SharedSpace, info_nce
from bigmodel_lib.training.run import Run
from bigmodel_lib.training.schedule import Schedule, adamw
from bigmodel_lib.training.speech import word_mels

FRAMES = 64  # of a spoken word, 0.64 s; longer ones lose their end


class Things:
    """Things of one kind with what each means.

    Args:
        x: (N, …).
        labels: (N,), 0 … K - 1, each of them at least once.

    Raises:
        ValueError: lengths that differ, or a label without a thing.
    """

    def __init__(self, x: Tensor, labels: Tensor):
        if len(x) != len(labels) or not labels.bincount().all():
            raise ValueError(f"need a label 0 … K - 1 of each of {len(x)}, all in use")
        self.x, self.labels = x, labels
        self.order, self.counts = labels.argsort(stable=True), labels.bincount()
        self.firsts = self.counts.cumsum(0) - self.counts

    def draw(self, labels: Tensor) -> Tensor:
        """One thing at random for each label (B,)."""
        place = (torch.rand(len(labels)) * self.counts[labels]).long()
        return self.x[self.order[self.firsts[labels] + place]]


def spoken_words(spoken: Sequence[Spoken]) -> Tensor:
    """Each word's log-mel spectrogram (words, FRAMES, bands), about 0 and 1; silence behind.

    Each band less its mean over the word: microphones and loud voices add the same to all frames.
    """
    rows = [(mel - mel.mean(dim=0))[:FRAMES] / 3 for mel in word_mels(spoken)]
    return torch.stack([F.pad(row, (0, 0, 0, FRAMES - len(row))) for row in rows])


@dataclass
class ContrastiveSettings(Schedule):
    """What may change while a space trains.

    Attributes:
        batch_size: pairs of each two kinds in a step; each is told from all the others.
        others: of `Schedule`.
    """

    batch_size: int = 64

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        super().check()
        if self.batch_size < 2:
            raise ValueError(f"need batch_size ≥ 2, got {self.batch_size}")


class ContrastiveRun(Run):
    """Minimises InfoNCE, summed over the pairs of kinds that are to be trained together.

    Each record holds the loss, the temperature, and the floor: see `least_loss`.

    Args:
        model: the space.
        things: by kind.
        pairs: kinds that are shown together, such as ("image", "word").
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    def __init__(
        self,
        model: SharedSpace,
        things: dict[str, Things],
        pairs: Sequence[tuple[str, str]],
        *,
        settings: ContrastiveSettings | None = None,
        **others,
    ):
        self.model, self.things, self.pairs = model, things, tuple(pairs)
        self.K = min(len(thing.counts) for thing in things.values())
        optimizers = {"optimizer": adamw(model)}
        super().__init__({"model": model}, optimizers, settings or ContrastiveSettings(), **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on a batch of each pair of kinds."""
        losses, floors = [], []
        for a, b in self.pairs:
            labels = torch.randint(self.K, (self.settings.batch_size,))
            u, v = (
                self.model.embed(kind, self.things[kind].draw(labels).to(self.device))
                for kind in (a, b)
            )
            losses.append(info_nce(self.model.scores(u, v)))
            floors.append(least_loss(labels))
        loss = torch.stack(losses).sum()
        self.settings.apply(self.optimizers["optimizer"], self.step + 1)
        self.optimizers["optimizer"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizers["optimizer"].step()
        cold = self.model.log_scale.detach().neg().exp()
        return {"loss": loss, "floor": torch.stack(floors).sum(), "temperature": cold}


def least_loss(labels: Tensor) -> Tensor:
    """The InfoNCE of whoever knows each label (B,) and no more: mean_i log n_i.

    n_i is how many of the batch have i's label: they cannot be told apart.
    """
    return labels.bincount()[labels].float().log().mean()


def recall_at_1(u: Tensor, v: Tensor, u_labels: Tensor, v_labels: Tensor) -> float:
    """The share of queries u whose nearest candidate v has the same label.

    Args:
        u, v: unit vectors (B, D) and (C, D).
        u_labels, v_labels: (B,) and (C,).
    """
    nearest = (u @ v.T).argmax(dim=1)
    return float((v_labels[nearest] == u_labels).double().mean())


def recall_through_labels(
    u_said: Tensor, v_said: Tensor, u_labels: Tensor, v_labels: Tensor
) -> float:
    """The same of two classifiers: any candidate that they give the query's label.

    Args:
        u_said, v_said: labels that the classifiers give, (B,) and (C,).
        u_labels, v_labels: the true ones.

    Returns:
        The expected share, if one of the fitting candidates is drawn; none fits: not found.
    """
    fits = (u_said[:, None] == v_said).double()  # (B, C)
    right = (u_labels[:, None] == v_labels).double()
    return float(((fits * right).sum(dim=1) / fits.sum(dim=1).clamp(min=1)).mean())
