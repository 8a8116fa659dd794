"""The models of section 7.2: attention alone, on letters that repeat; with two layers and with one.

In each file lies, beside the weights, what was measured while they were trained.
"""

import torch
from torch import nn

from bigmodel_lib.cached.recipe import Recipe
from bigmodel_lib.data.repeats import LETTERS, repeated_sequences
from bigmodel_lib.models.attention_only import AttentionOnly
from bigmodel_lib.training.induction import (
    Observed,
    RepeatRun,
    RepeatSettings,
    head_names,
    late,
    letter_losses,
)

SHARED = {
    "seed": 0,
    "T": 40,
    "every": 10,
    "training": {
        "lr": 3e-3,
        "weight_decay": 0.01,
        "warmup": 100,
        "schedule": 1200,
        "batch_size": 64,
        "shortest": 8,
        "longest": 16,
    },
}


class RepeatRecipe(Recipe):
    """A model that learns to go on with letters which it has seen once."""

    def data(self) -> bytes:
        """The letters: the sequences themselves are drawn from the seed."""
        return LETTERS.encode()

    def make(self, vocabulary: None) -> Observed:
        """The model before training, and the empty table of its history."""
        s = self.settings
        model = AttentionOnly(len(LETTERS), T=s["T"], **s["sizes"])
        scores = [f"{what} {name}" for what in ("previous", "prefix") for name in head_names(model)]
        columns = ("early", "late", *scores)
        return Observed(model, s["training"]["schedule"], s["every"], columns)

    def run(self, model: nn.Module, vocabulary: None) -> RepeatRun:
        """The training run, to be taken to the end of its schedule."""
        s = self.settings
        settings = RepeatSettings(**s["training"])
        return RepeatRun(model, s["T"], settings=settings, seed=s["seed"], keep_every=1000)

    @torch.no_grad()
    def measure(self, model: nn.Module, vocabulary: None) -> dict[str, float]:
        """Nats of each of the last letters, which are repeats, after 12 others."""
        generator = torch.Generator().manual_seed(self.settings["seed"])
        periods = torch.full((256,), 12)
        ids = repeated_sequences(periods, self.settings["T"], generator=generator)
        return {"nats of a repeated letter": float(late(letter_losses(model, ids)))}


class TwoLayers(RepeatRecipe):
    """Two layers: the second can look for what the first has written."""

    name = "induction_two_layers"
    settings = {**SHARED, "sizes": {"D": 64, "H": 2, "L": 2}}  # noqa: RUF012


class OneLayer(RepeatRecipe):
    """One layer, with as many heads in it as the other has in both."""

    name = "induction_one_layer"
    settings = {**SHARED, "sizes": {"D": 64, "H": 4, "L": 1}}  # noqa: RUF012
