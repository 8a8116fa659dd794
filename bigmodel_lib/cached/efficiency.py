"""The small networks of section 7.3: what a student learns from labels, and what from a teacher."""

import functools
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.cached.vision import DigitsRecipe, RecogniserCNN, shifted_digits
from bigmodel_lib.compression import (
    PRECISIONS,
    Compression,
    compress,
    file_bytes,
    image_flops,
    share_right,
)
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.training.classifier import ClassifierSettings
from bigmodel_lib.training.distil import DistilRun, distillation_loss

LABELS, TEACHER = "labels", "teacher"
WHOLE = 16  # channels of the teacher
PRUNED = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)  # of the combinations that are measured in advance
RANKS = (0.75, 0.5, 0.25)


@functools.lru_cache
def moved_digits(most: int = 3) -> tuple[Tensor, Tensor]:
    """The held-out digits, each moved by up to so many pixels, always the same way.

    Returns:
        Images (360, 1, 28, 28) and labels (360,).
    """
    test, generator = load_digits("digits", "test"), torch.Generator().manual_seed(0)
    places = torch.randint(-most, most + 1, (len(test), 2), generator=generator).tolist()
    padded = F.pad(test.images, [most] * 4, value=-1.0)
    rows = zip(padded, places, strict=True)
    images = [image[:, most + y :, most + x :][:, :28, :28] for image, (y, x) in rows]
    return torch.stack(images), test.labels


@dataclass(frozen=True)
class Choice:
    """A network of this section, and what is done to it.

    Attributes:
        channels: of the network; `WHOLE` is the teacher.
        source: what it learned from, `LABELS` or `TEACHER`.
        how: the compression.

    Raises:
        ValueError: the teacher is to learn from itself.
    """

    channels: int = WHOLE
    source: str = LABELS
    how: Compression = field(default_factory=Compression)

    def __post_init__(self):
        if self.channels == WHOLE and self.source == TEACHER:
            raise ValueError(f"the network of {WHOLE} channels is the teacher of the others")

    @property
    def network(self) -> str:
        """The name of the network."""
        return f"{self.channels} {self.source}"

    @property
    def name(self) -> str:
        """The whole combination in words."""
        how = self.how
        return f"{self.network}, {how.precision}, pruned {how.pruned:g}, rank {how.rank:g}"


@dataclass(frozen=True)
class Cost:
    """What a choice takes and gives.

    Attributes:
        bytes: of its file.
        flops: for an image.
        accuracy: share of `moved_digits` read right.
    """

    bytes: float
    flops: float
    accuracy: float


def choices(networks: list[str]) -> list[Choice]:
    """The combinations that are measured in advance, of networks by name."""
    ways = [(pruned, 1.0) for pruned in PRUNED] + [(0.0, rank) for rank in RANKS]
    found = []
    for name in networks:
        channels, source = name.split()
        for precision in PRECISIONS:
            for pruned, rank in ways:
                how = Compression(precision, pruned, rank)
                found.append(Choice(int(channels), source, how))
    return found


def cost_of(model: nn.Module) -> Cost:
    """Measure a network as it is."""
    images, labels = moved_digits()
    right = share_right(model, images, labels)
    return Cost(file_bytes(model), image_flops(model, images[0]), right)


def networks() -> dict[str, nn.Module]:
    """The teacher and its students by name, ready to use.

    Raises:
        CheckpointError: a file that is missing or does not fit.
    """
    model, _ = DigitStudents().load()
    return {f"{WHOLE} {LABELS}": RecogniserCNN().load()[0], **model.students}


@functools.lru_cache
def measured() -> dict[Choice, Cost]:
    """What the file of the students says of every combination measured in advance."""
    _, facts = DigitStudents().load()
    rows = choices([f"{WHOLE} {LABELS}", *_names(facts.settings["channels"])])
    return {
        row: Cost(*(facts.figures[f"{row.name}: {what}"] for what in Cost.__dataclass_fields__))
        for row in rows
    }


def _names(channels: list[int]) -> list[str]:
    return [f"{c} {source}" for c in channels for source in (LABELS, TEACHER)]


def student(channels: int) -> DigitCNN:
    """A DigitCNN of so many channels; 16 are the teacher's own."""
    return DigitCNN(features=2 * channels, channels=channels)


class _Class(nn.Module):
    """All students side by side; each reads every image."""

    def __init__(self, channels: list[int]):
        super().__init__()
        self.students = nn.ModuleDict(
            {name: student(int(name.split()[0])) for name in _names(channels)}
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 1, 28, 28) to the scores of all students, (students, B, 10)."""
        return torch.stack([one(images) for one in self.students.values()])


class _ClassRun(DistilRun):
    """Trains each student by its own loss; their gradients do not meet."""

    def train_step(self) -> dict[str, Tensor]:
        """One step of AdamW on one batch, for every student."""
        (group,) = self.optimizers["optimizer"].param_groups
        group["lr"], group["weight_decay"] = self.settings.lr, self.settings.weight_decay
        inputs, labels = self.draw(self.settings.batch_size)
        with torch.no_grad():
            answers = self.teacher(inputs)
        losses = [
            F.cross_entropy(scores, labels)
            if name.endswith(LABELS)
            else distillation_loss(scores, answers, 4.0)
            for name, scores in zip(self.model.students, self.model(inputs), strict=True)
        ]
        self.optimizers["optimizer"].zero_grad()
        sum(losses).backward()
        self.optimizers["optimizer"].step()
        return {"loss": torch.stack(losses).mean()}


class DigitStudents(DigitsRecipe):
    """Students of several widths, each twice: trained on labels, and on the teacher's scores.

    The teacher is the cached convolutional network; images are those that it saw.
    """

    name = "digit_students"
    settings = {  # noqa: RUF012
        "seed": 0,
        "channels": [2, 4, 8],
        "lr": 3e-3,
        "steps": 800,
        "batch_size": 64,
    }

    def make(self, vocabulary: None) -> nn.Module:
        """The students before training."""
        return _Class(self.settings["channels"])

    def run(self, model: nn.Module, vocabulary: None) -> _ClassRun:
        """The training run."""
        teacher, _ = RecogniserCNN().load()
        settings = ClassifierSettings(weight_decay=0.05, batch_size=self.settings["batch_size"])
        seed = self.settings["seed"]
        return _ClassRun(
            model, shifted_digits, teacher=teacher, settings=settings, seed=seed, keep_every=1000
        )

    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """What every combination takes, the teacher's too, and the share it reads right."""
        teacher, _ = RecogniserCNN().load()
        found = {f"{WHOLE} {LABELS}": teacher, **model.students}
        figures = {}
        for choice in choices(list(found)):
            cost = cost_of(compress(found[choice.network], choice.how))
            figures |= {f"{choice.name}: {what}": value for what, value in vars(cost).items()}
        return figures
