"""What a run is: the same options on a command line, in a notebook and in a test."""

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bigmodel_lib.models.transformer import GPTConfig
from bigmodel_lib.training.text import TextSettings

STRATEGIES = {
    "ddp": "every worker holds the whole model, and gradients are averaged",
    "fsdp": "every worker holds a part of the model, gradients and optimiser",
}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
BYTES = 256  # tokens are the bytes of the text


HELP = {
    "folder": "where checkpoint and journals are; all workers must see it",
    "strategy": "ddp or fsdp; with a comma between them, one after the other",
    "steps": "steps in all, those before a restart counted",
    "save_every": "steps between two checkpoints",
    "batch_size": "windows a step, of all workers together",
    "length": "tokens of a window, T",
    "layers": "L",
    "width": "D",
    "heads": "H",
    "lr": "AdamW's learning rate",
    "dtype": f"of weights and arithmetic: {', '.join(DTYPES)}",
    "seed": "of first weights and windows",
    "device": "cpu or cuda; empty: what is there",
    "patience": "seconds that a worker waits for another",
    "kill_rank": "fire drill: this worker kills itself, once; -1: none",
    "kill_step": "... after this step, by the first strategy",
}


@dataclass(frozen=True)
class Options:
    """A GPT on the bytes of the language reference; the fields are the script's options.

    Attributes: see `HELP`.

    Raises:
        ValueError: a number is out of its range, or no such strategy or dtype.
    """

    folder: Path
    strategy: str = "ddp"
    steps: int = 24
    save_every: int = 8
    batch_size: int = 8
    length: int = 32
    layers: int = 2
    width: int = 64
    heads: int = 4
    lr: float = 3e-3
    dtype: str = "float32"
    seed: int = 0
    device: str = ""
    patience: float = 60.0
    kill_rank: int = -1
    kill_step: int = 0

    def __post_init__(self):
        object.__setattr__(self, "folder", Path(self.folder))
        counts = (self.steps, self.save_every, self.batch_size, self.length)
        if min(counts) < 1 or not self.patience > 0:
            raise ValueError(f"need steps, sizes and patience above 0, got {self}")
        if not set(self.strategy.split(",")) <= set(STRATEGIES) or self.dtype not in DTYPES:
            raise ValueError(f"need strategies {list(STRATEGIES)}, dtype {list(DTYPES)}: {self}")
        self.settings.check()
        _ = self.config  # checks the sizes

    @property
    def config(self) -> GPTConfig:
        """The sizes of the model."""
        return GPTConfig(BYTES, self.length, self.layers, self.width, self.heads)

    @property
    def settings(self) -> TextSettings:
        """The settings of the run."""
        return TextSettings(lr=self.lr, batch_size=self.batch_size, length=self.length)

    @property
    def checkpoint(self) -> Path:
        """The file that a restart goes on from."""
        return self.folder / "checkpoint.safetensors"

    def each(self) -> list["Options"]:
        """Options of one strategy each; where there are several, in a folder each."""
        names = self.strategy.split(",")
        if len(names) == 1:
            return [self]
        alone = [dataclasses.replace(self, strategy=n, folder=self.folder / n) for n in names]
        return [alone[0], *(dataclasses.replace(one, kill_rank=-1) for one in alone[1:])]

    def arguments(self) -> list[str]:
        """These options as a command line, which `parse` reads back."""
        fields = (field.name for field in dataclasses.fields(self) if field.name != "folder")
        flags = (f"--{name.replace('_', '-')}={getattr(self, name)}" for name in fields)
        return [*flags, str(self.folder)]

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> "Options":
        """Read a command line, by default this process's own."""
        parser = argparse.ArgumentParser(
            "python -m bigmodel_lib.distributed.train",
            description="Train a small GPT with any number of workers.",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        parser.add_argument("folder", type=Path, help=HELP["folder"])
        for field in dataclasses.fields(cls)[1:]:
            flag, text = f"--{field.name.replace('_', '-')}", HELP[field.name]
            parser.add_argument(flag, type=field.type, default=field.default, help=text)
        return cls(**vars(parser.parse_args(arguments)))
