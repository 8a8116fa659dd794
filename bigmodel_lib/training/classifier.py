"""Supervised training of a classifier, one step at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.training.run import Run


@dataclass
class ClassifierSettings:
    """What may change while a classifier trains: AdamW's learning rate and decay, and the batch."""

    lr: float = 3e-3
    weight_decay: float = 1e-2
    batch_size: int = 64

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        if not (self.lr >= 0 and self.weight_decay >= 0 and self.batch_size >= 1):
            raise ValueError(f"need lr >= 0, weight_decay >= 0 and batch_size >= 1, got {self}")


class StreamRun(Run):
    """Minimises cross-entropy on examples that are drawn as they are needed.

    Each record holds loss and accuracy of the batch, before the step.

    Args:
        model: inputs (B, …) → class scores (B, classes).
        draw: how many → that many inputs (B, …) and labels (B,), on the model's device, drawn by
            the global generators, which during a step are the run's own.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.
    """

    networks = 1  # more of them where a subclass trains several side by side

    def __init__(
        self,
        model: nn.Module,
        draw: Callable[[int], tuple[Tensor, Tensor]],
        *,
        settings: ClassifierSettings | None = None,
        **others,
    ):
        self.model, self.draw = model, draw
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        settings = settings or ClassifierSettings()
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on the cross-entropy of one batch."""
        (group,) = self.optimizers["optimizer"].param_groups
        group["lr"], group["weight_decay"] = self.settings.lr, self.settings.weight_decay
        inputs, labels = self.draw(self.settings.batch_size)
        scores, labels = self.model(inputs).flatten(0, -2), labels.flatten()
        loss = self.loss(scores, inputs, labels)
        self.optimizers["optimizer"].zero_grad()
        (loss * self.networks).backward()  # the sum of their losses: each gradient is its own
        self.optimizers["optimizer"].step()
        return {"loss": loss, "accuracy": (scores.argmax(1) == labels).float().mean()}

    def loss(self, scores: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
        """What the step minimises: cross-entropy, unless a subclass says otherwise."""
        return F.cross_entropy(scores, labels)


class ClassifierRun(StreamRun):
    """The same on images and labels, drawn with replacement.

    Args:
        model: images (B, …) → class scores (B, classes).
        data: images and labels; moved to the model's device once.
        inputs: what the model reads of each image (N, …), where that is prepared once for all
            steps; the images themselves if not given.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: another number of inputs than of images.
    """

    def __init__(
        self, model: nn.Module, data: LabelledImages, *, inputs: Tensor | None = None, **others
    ):
        device = next(model.parameters()).device
        inputs = data.images if inputs is None else inputs
        if len(inputs) != len(data):
            raise ValueError(f"need an input for each of {len(data)} images, got {len(inputs)}")
        self.data, self.inputs = data.to(device), inputs.to(device)
        super().__init__(model, self._from_data, **others)

    def pick(self, count: int) -> Tensor:
        """Which images the next batch holds, (count,)."""
        return torch.randint(len(self.data), (count,), device=self.device)

    def _from_data(self, count: int) -> tuple[Tensor, Tensor]:
        index = self.pick(count)
        # index_select copies whole images; images[index] goes pixel by pixel, on a CPU
        inputs = self.inputs.index_select(0, index.flatten()).unflatten(0, index.shape)
        return inputs, self.data.labels[index]
