"""Everything that decides about a training: one plan, on a CPU and on a GPU."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from bigmodel_lib.models.transformer import GPTConfig
from bigmodel_lib.training.checkpoint import CheckpointError
from bigmodel_lib.training.text import TextSettings


@dataclass(frozen=True)
class Plan:
    """Sizes and schedule of one training.

    Attributes:
        V: vocabulary, tokens: 256 bytes and what is learned from the text.
        T: context, tokens.
        L, D, H: layers, width, heads.
        dropout: of the GPT.
        steps: of training.
        batch_size: windows of T tokens a step.
        lr: AdamW's learning rate at its highest.
        weight_decay: of matrices.
        warmup: steps until lr is reached; then it falls to a tenth along half a cosine.
        held_out: share of the text that is never trained on.
        save_every: steps between two checkpoints.
        seed: of the first weights and of the windows.

    Raises:
        ValueError: a value is out of its range; TypeError: a size is not a whole number.
    """

    V: int = 512
    T: int = 128
    L: int = 3
    D: int = 96
    H: int = 3
    dropout: float = 0.0
    steps: int = 600
    batch_size: int = 8
    lr: float = 3e-3
    weight_decay: float = 0.1
    warmup: int = 50
    held_out: float = 0.1
    save_every: int = 100
    seed: int = 0

    def __post_init__(self):
        GPTConfig(self.V, self.T, self.L, self.D, self.H)  # checks the sizes
        self.settings().check()
        if self.V < 256:
            raise ValueError(f"need V of at least 256, one token for each byte, got {self.V}")
        if min(self.steps, self.save_every) < 1 or not 0 < self.held_out < 1:
            raise ValueError(
                "need steps and save_every of at least 1 and held_out in (0, 1), got "
                f"{self.steps}, {self.save_every} and {self.held_out}"
            )

    def settings(self) -> TextSettings:
        """Those of the training run."""
        return TextSettings(
            lr=self.lr,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            schedule=self.steps,
            batch_size=self.batch_size,
            length=self.T,
        )

    def write(self, path: Path) -> None:
        """As JSON, for readers and for `read`."""
        part = path.with_suffix(".part")  # a kill while it is written leaves no half of it
        part.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """From JSON; what it leaves out is as in `Plan()`.

        Raises:
            CheckpointError: no such file, no JSON, or a name that a plan does not have.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            unknown = sorted(set(found) - {field.name for field in fields(cls)})
            if unknown:
                raise ValueError(f"a plan has no {', '.join(unknown)}")
            return cls(**found)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} is not a plan: {error}") from error


# A minute on two cores; half an hour there; and a day of one GPU, on some hundreds of MB of text
PLANS = {
    "minute": Plan(),
    "small": Plan(V=2048, T=256, L=6, D=192, H=6, steps=3000, lr=2e-3, warmup=150, dropout=0.1),
    "GPT-2 small": Plan(
        V=32_768,
        T=1024,
        L=12,
        D=768,
        H=12,
        steps=100_000,
        batch_size=32,
        lr=6e-4,
        warmup=2000,
        save_every=1000,
        held_out=0.01,
    ),
}
