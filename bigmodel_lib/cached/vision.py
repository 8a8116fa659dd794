"""The models of section 6.2: they recognise digits, draw them, or find them."""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.data.digits import LabelledImages, enlarge, load_digits, shrink
from bigmodel_lib.data.scenes import held_out_scenes, stacked
from bigmodel_lib.detection import average_precision
from bigmodel_lib.metrics import GeneratorJudge
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.denoiser import digit_diffusion, draw_digits
from bigmodel_lib.models.detector import Detector, detect
from bigmodel_lib.models.diffusion import Diffusion
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.models.vae import VAE
from bigmodel_lib.models.vit import DigitViT
from bigmodel_lib.training.classifier import ClassifierSettings, StreamRun
from bigmodel_lib.training.density import DensityRun, DensitySettings
from bigmodel_lib.training.detector import DetectorRun, DetectorSettings
from bigmodel_lib.training.gan import GANRun, GANSettings
from bigmodel_lib.training.run import Record, Run
from bigmodel_lib.training.schedule import cosine
from bigmodel_lib.training.vae import VAERun, VAESettings


class DigitsRecipe(Recipe):
    """What the recipes share: the digits; a rate that falls to 0 over `steps`, from `lr`."""

    def data(self) -> bytes:
        """All digits."""
        return load_digits("digits").images.numpy().tobytes()

    def steps(self, run: Run) -> Iterator[Record]:
        """The whole training."""
        return cosine(run, self.settings["steps"], self.settings["lr"])


# --- recognition


def shifted_digits(count: int, most: int = 3) -> tuple[Tensor, Tensor]:
    """Training digits, each moved by up to so many pixels: images and labels, drawn anew."""
    digits = _training_digits()
    index = torch.randint(len(digits), (count,))
    padded = nn.functional.pad(digits.images[index], [most] * 4, value=-1.0)
    places = torch.randint(2 * most + 1, (count, 2)).tolist()
    moved = [image[:, y : y + 28, x : x + 28] for image, (y, x) in zip(padded, places, strict=True)]
    return torch.stack(moved), digits.labels[index]


@functools.lru_cache
def _training_digits() -> LabelledImages:
    return load_digits("digits", "train")


class Recogniser(DigitsRecipe):
    """A classifier that is trained on digits moved about."""

    def run(self, model: nn.Module, vocabulary: None) -> StreamRun:
        """The training run."""
        settings = ClassifierSettings(weight_decay=0.05, batch_size=self.settings["batch_size"])
        seed = self.settings["seed"]
        return StreamRun(model, shifted_digits, settings=settings, seed=seed, keep_every=1000)

    @torch.no_grad()
    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """The share of held-out digits that it reads right."""
        test = load_digits("digits", "test")
        return {"accuracy": float((model(test.images).argmax(1) == test.labels).double().mean())}


class RecogniserCNN(Recogniser):
    """The convolutional network."""

    name = "digit_cnn"
    settings = {"seed": 0, "lr": 3e-3, "steps": 600, "batch_size": 64}  # noqa: RUF012

    def make(self, vocabulary: None) -> DigitCNN:
        """The model before training."""
        return DigitCNN()


class RecogniserViT(Recogniser):
    """The Vision Transformer."""

    name = "digit_vit"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"P": 7, "D": 64, "H": 4, "L": 3},
        "lr": 2e-3,
        "steps": 1200,
        "batch_size": 64,
    }

    def make(self, vocabulary: None) -> DigitViT:
        """The model before training."""
        return DigitViT(**self.settings["sizes"])


# --- generation


class Artist(DigitsRecipe):
    """A model that draws a wanted digit."""

    def draw(self, model: nn.Module, labels: Tensor, seed: int = 0) -> Tensor:
        """An image (B, 1, 28, 28) in [-1, 1] of each label (B,)."""
        raise NotImplementedError

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Distance to the real digits, and the share that a classifier reads as was wanted."""
        judge = GeneratorJudge(load_digits("digits", "train"), load_digits("digits", "test"))
        labels = torch.arange(10).repeat(100)
        images = self.draw(model, labels)
        right = (judge.look(images)[1].argmax(1) == labels).double().mean()
        return {"Fréchet distance": judge(images).frechet, "as wanted": float(right)}


def _noise(count: int, Z: int, seed: int) -> Tensor:
    return torch.randn(count, Z, generator=torch.Generator().manual_seed(seed))


class DigitDiffusion(Artist):
    """A class-conditional diffusion of the digits at their own size, 8 by 8 pixels."""

    name = "digit_diffusion"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"T": 200, "W": 256, "blocks": 3, "dropout": 0.1},
        "lr": 2e-3,
        "steps": 4000,
        "batch_size": 128,
    }

    def make(self, vocabulary: None) -> Diffusion:
        """The model before training."""
        return digit_diffusion(**self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> DensityRun:
        """The training run."""
        digits, settings = load_digits("digits", "train"), self.settings
        training = DensitySettings(batch_size=settings["batch_size"])
        small = shrink(digits.images)
        return DensityRun(
            model, small, digits.labels, settings=training, seed=settings["seed"], keep_every=1000
        )

    def draw(
        self, model: nn.Module, labels: Tensor, seed: int = 0, steps: int = 50, eta: float = 0.0
    ) -> Tensor:
        """An image (B, 1, 28, 28) of each label, in so many steps."""
        return enlarge(draw_digits(model, labels, steps, eta, seed)[:, 0])


class DigitGAN(Artist):
    """The generator of chapter 5's conditional GAN."""

    name = "digit_gan"
    settings = {"seed": 0, "Z": 100, "lr": 1e-3, "steps": 1000, "batch_size": 64}  # noqa: RUF012

    def make(self, vocabulary: None) -> nn.Module:
        """The generator before training."""
        return make_gan("conditional", self.settings["Z"], self.settings["seed"])[0]

    def run(self, model: nn.Module, vocabulary: None) -> GANRun:
        """The training run, against a discriminator that is not kept."""
        s = self.settings
        discriminator = make_gan("conditional", s["Z"], s["seed"])[1]
        settings = GANSettings(d_lr=s["lr"], g_lr=s["lr"], batch_size=s["batch_size"])
        digits = load_digits("digits", "train")
        return GANRun(
            model, discriminator, digits, Z=s["Z"], settings=settings, seed=s["seed"],
            keep_every=1000,
        )  # fmt: skip

    def steps(self, run: Run) -> Iterator[Record]:
        """The whole training, at one rate."""
        return run.take(self.settings["steps"])

    @torch.no_grad()
    def draw(self, model: nn.Module, labels: Tensor, seed: int = 0) -> Tensor:
        """An image of each label."""
        return model(_noise(len(labels), self.settings["Z"], seed), labels)


class DigitVAE(Artist):
    """A variational autoencoder whose decoder is told the class."""

    name = "digit_vae"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"Z": 8, "C": 16, "num_classes": 10},
        "lr": 3e-3,
        "steps": 1000,
        "batch_size": 64,
    }

    def make(self, vocabulary: None) -> VAE:
        """The model before training."""
        return VAE(**self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> VAERun:
        """The training run."""
        settings = VAESettings(batch_size=self.settings["batch_size"])
        digits = load_digits("digits", "train")
        return VAERun(model, digits, settings=settings, seed=self.settings["seed"], keep_every=1000)

    @torch.no_grad()
    def draw(self, model: nn.Module, labels: Tensor, seed: int = 0) -> Tensor:
        """An image of each label."""
        return model.generate(_noise(len(labels), model.Z, seed), labels)


# --- detection


class DigitDetector(DigitsRecipe):
    """An anchor-free detector on scenes of one to six digits of the training split."""

    name = "digit_detector"
    settings = {  # noqa: RUF012
        "seed": 0,
        "sizes": {"width": 48, "dilations": [1, 2, 4]},
        "training": {
            "lr": 3e-3,
            "weight_decay": 0.05,
            "warmup": 100,
            "schedule": 1200,
            "batch_size": 16,
            "box_weight": 1.0,
        },
    }

    def make(self, vocabulary: None) -> Detector:
        """The model before training."""
        return Detector(**self.settings["sizes"])

    def run(self, model: nn.Module, vocabulary: None) -> DetectorRun:
        """The training run, to be taken to the end of its schedule."""
        settings = DetectorSettings(**self.settings["training"])
        digits = load_digits("digits", "train")
        seed = self.settings["seed"]
        return DetectorRun(model, digits, settings=settings, seed=seed, keep_every=1000)

    def steps(self, run: Run) -> Iterator[Record]:
        """To the end of its schedule."""
        return run.take(run.settings.schedule)

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Average precision on scenes of held-out digits."""
        scenes = held_out_scenes()
        report = average_precision(scenes, detect(model, stacked(scenes)))
        return {"AP at 0.5": report.ap50, "AP at 0.5:0.95": report.ap}
