"""Adversarial training, one step at a time."""

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.models.gan import LOSSES, gradient_penalty
from bigmodel_lib.training.run import Record, Run


@dataclass
class GANSettings:
    """What may change while a GAN trains.

    Attributes:
        loss: a name in `bigmodel_lib.models.gan.LOSSES`.
        d_lr, g_lr: Adam's learning rates.
        beta1, beta2: Adam's decay rates of the two moments.
        batch_size: real images a step, and as many fake ones.
        d_steps: discriminator updates before each generator update.
    """

    loss: str = "non-saturating"
    d_lr: float = 2e-4
    g_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    batch_size: int = 64
    d_steps: int = 1

    def check(self) -> None:
        """Raise ValueError that names the first setting out of its range."""
        if self.loss not in LOSSES:
            raise ValueError(f"need loss in {list(LOSSES)}, got {self.loss!r}")
        for name in ("d_lr", "g_lr"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"need {name} >= 0 and finite, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"need 0 <= {name} < 1, got {getattr(self, name)}")
        for name in ("batch_size", "d_steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"need {name} a whole number >= 1, got {value!r}")


class GANRun(Run):
    """Trains a generator against a discriminator.

    Goodfellow et al. 2014, algorithm 1, arXiv:1406.2661: each step updates D `d_steps` times,
    then G once. Batches are drawn with replacement, so their size may change at any step.

    Each record holds d_loss and g_loss, the mean scores d_real and d_fake, and the norms of
    the two gradients, d_grad and g_grad.

    Args:
        generator: noise (B, Z) [and labels (B,)] → images.
        discriminator: images [and labels] → scores (B,) or (B, 1).
        data: real images and their labels; moved to the generator's device once.
        Z: noise width.
        settings: what may change live.
        others: seed, check_every, keep_every and keep of `Run`.

    A generator with an attribute `num_classes` > 0 gets labels, and so does its discriminator.

    Raises:
        ValueError: the two networks do not fit each other, the noise or the data; says how.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        data: LabelledImages,
        *,
        Z: int = 100,
        settings: GANSettings | None = None,
        **others,
    ):
        settings = settings or GANSettings()
        device = next(generator.parameters()).device
        self.generator, self.discriminator, self.Z = generator, discriminator, Z
        self.num_classes = getattr(generator, "num_classes", 0)
        self.data = data.to(device)
        optimizers = {
            # fused: one kernel updates all parameters; these small networks wait for Python
            "d_optimizer": torch.optim.Adam(discriminator.parameters(), fused=True),
            "g_optimizer": torch.optim.Adam(generator.parameters(), fused=True),
        }
        modules = {"generator": generator, "discriminator": discriminator}
        super().__init__(modules, optimizers, settings, **others)
        self._try_networks()

    def train_step(self) -> dict[str, Tensor]:
        """D's updates, then G's, on the fake images that D saw last."""
        for _ in range(self.settings.d_steps):
            fake, labels = self._generate()
            values = self._update_discriminator(fake.detach(), labels)
        return values | self._update_generator(fake, labels)

    def step_discriminator(self) -> Record:
        """A step of D alone; G stays as it is."""
        return self.advance(lambda: self._update_discriminator(*self._generate(grad=False)))

    def step_generator(self) -> Record:
        """A step of G alone; D stays as it is."""
        return self.advance(lambda: self._update_generator(*self._generate()))

    @torch.no_grad()
    def sample(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, 1, 28, 28) from noise (B, Z), with batch norm as at test time."""
        with _as_at_test(self.generator):
            return self.generator(z) if labels is None else self.generator(z, labels)

    def score(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (B,) of images (B, …); labels (B,) go to a conditional discriminator alone."""
        inputs = (images, labels) if self.num_classes else (images,)
        return self.discriminator(*inputs).flatten()

    def noise(self, count: int, seed: int = 0) -> tuple[Tensor, Tensor | None]:
        """The same noise (count, Z) whenever asked, and labels 0, 1, 2, … if conditional."""
        z = torch.randn(count, self.Z, generator=torch.Generator().manual_seed(seed))
        labels = torch.arange(count) % self.num_classes if self.num_classes else None
        return z.to(self.device), None if labels is None else labels.to(self.device)

    def _generate(self, grad: bool = True) -> tuple[Tensor, Tensor | None]:
        z = torch.randn(self.settings.batch_size, self.Z, device=self.device)
        with torch.set_grad_enabled(grad):
            if not self.num_classes:
                return self.generator(z), None
            labels = torch.randint(self.num_classes, (len(z),), device=self.device)
            return self.generator(z, labels), labels

    def _update_discriminator(self, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        loss = LOSSES[self.settings.loss]
        index = torch.randint(len(self.data), (len(fake),), device=self.device)
        real, real_labels = self.data.images[index], self.data.labels[index]
        real_scores = self.score(real, real_labels)
        fake_scores = self.score(fake, labels)
        d_loss = loss.discriminator(real_scores, fake_scores)
        if loss.penalty:
            # a point between two images belongs to the real one's class
            score = functools.partial(self.score, labels=real_labels)
            d_loss = d_loss + loss.penalty * gradient_penalty(score, real, fake)
        d_grad = self._descend("d_optimizer", self.settings.d_lr, d_loss)
        means = {"d_real": real_scores.mean(), "d_fake": fake_scores.mean()}
        return {"d_loss": d_loss, "d_grad": d_grad, **means}

    def _update_generator(self, fake: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        with _frozen(self.discriminator):  # its gradient passes through; its weights need none
            g_loss = LOSSES[self.settings.loss].generator(self.score(fake, labels))
            g_grad = self._descend("g_optimizer", self.settings.g_lr, g_loss)
        return {"g_loss": g_loss, "g_grad": g_grad}

    def _descend(self, name: str, lr: float, loss: Tensor) -> Tensor:
        """One step of an optimiser, with today's settings; returns the gradient's norm."""
        (group,) = self.optimizers[name].param_groups
        group["lr"], group["betas"] = lr, (self.settings.beta1, self.settings.beta2)
        self.optimizers[name].zero_grad()
        loss.backward()
        norm = torch.nn.utils.get_total_norm(
            [p.grad for p in group["params"] if p.grad is not None]
        )
        self.optimizers[name].step()
        return norm

    def _try_networks(self) -> None:
        """Two images through both networks, so that a misfit is told before the first step."""
        z, labels = self.noise(2)
        wanted = tuple(self.data.images.shape[1:])
        fake = self.sample(z, labels)
        if tuple(fake.shape) != (2, *wanted):
            raise ValueError(
                f"the generator must turn noise (2, {self.Z}) into images (2, "
                f"{', '.join(map(str, wanted))}), got {tuple(fake.shape)}"
            )
        with torch.no_grad(), _as_at_test(self.discriminator):
            scores = self.score(fake, labels)
        if len(scores) != 2:
            raise ValueError(
                f"the discriminator must give each image one score: need 2 for 2 images, "
                f"got {len(scores)}"
            )


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    trainable = [p for p in module.parameters() if p.requires_grad]
    for p in trainable:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trainable:
            p.requires_grad_(True)


@contextmanager
def _as_at_test(module: nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)
