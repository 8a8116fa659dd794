"""Training of a variational autoencoder, one step at a time."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.models.vae import VAE, elbo
from bigmodel_lib.training.run import Run


@dataclass
class VAESettings:
    """What may change while a VAE trains: Adam's learning rate, β, and the batch."""

    lr: float = 3e-3
    beta: float = 1.0
    batch_size: int = 64

    def check(self) -> None:
        """Raise ValueError if a setting is out of its range."""
        for name in ("lr", "beta"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"need {name} >= 0 and finite, got {getattr(self, name)}")
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"need batch_size a whole number >= 1, got {self.batch_size!r}")


class VAERun(Run):
    """Minimises reconstruction + β · KL on batches drawn with replacement.

    Kingma & Welling 2013, algorithm 1 with one draw of the code for each image,
    arXiv:1312.6114, by Adam.

    Each record holds loss, reconstruction and kl, means over the batch in nats per image,
    before the step.

    Args:
        model: the autoencoder.
        data: images in [-1, 1], and labels for a conditional model; moved to its device once.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    Raises:
        ValueError: no images, or values outside [-1, 1], for which the loss has no lower bound.
    """

    def __init__(
        self,
        model: VAE,
        data: LabelledImages,
        *,
        settings: VAESettings | None = None,
        **others,
    ):
        if not len(data):
            raise ValueError("need at least one image, got none")
        lowest, highest = data.images.min().item(), data.images.max().item()
        if not -1 <= lowest <= highest <= 1:
            raise ValueError(f"need images in [-1, 1], got values from {lowest} to {highest}")
        self.model = model
        self.data = data.to(next(model.parameters()).device)
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        settings = settings or VAESettings()
        super().__init__({"model": model}, {"optimizer": optimizer}, settings, **others)

    def train_step(self) -> dict[str, Tensor]:
        """One step of Adam on the negative lower bound of one batch."""
        optimizer = self.optimizers["optimizer"]
        optimizer.param_groups[0]["lr"] = self.settings.lr
        index = torch.randint(len(self.data), (self.settings.batch_size,), device=self.device)
        images = self.data.images[index]
        # a reader's own model need not know of classes
        labels = [self.data.labels[index]] if getattr(self.model, "num_classes", 0) else []
        terms = elbo(images, *self.model(images, *labels), beta=self.settings.beta)
        values = {name: value.mean() for name, value in terms._asdict().items()}
        optimizer.zero_grad()
        values["loss"].backward()
        optimizer.step()
        return values
