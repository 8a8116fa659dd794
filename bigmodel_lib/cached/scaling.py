"""The project's own scaling law: GPTs of several sizes and budgets, and one beyond them."""

from collections.abc import Iterator

import torch

from bigmodel_lib.cached.records import Records, Row
from bigmodel_lib.counting import count_parameters, training_flops
from bigmodel_lib.data.text import docstrings, language_reference, split_paragraphs
from bigmodel_lib.device import pick_device
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.text import TextRun, TextSettings, text_nats

V = 256  # tokens are bytes


class OwnScaling(Records):
    """Each budget is spent on several sizes, each size on as many bytes as the budget buys.

    A row holds the sizes L and D, the parameters N (without embeddings, as in Kaplan et al.
    2020), the bytes read, the budget in FLOPs, the seed, and the loss on held-out text in nats a
    byte. The last rows spend `beyond`, which no fit has seen, on a size above all of the grid.
    """

    name = "own_scaling"
    settings = {  # noqa: RUF012
        "T": 64,
        "batch_size": 8,
        "lr": 0.02,  # over √D
        "sizes": [
            [2, 8, 2],
            [2, 12, 2],
            [2, 16, 2],
            [2, 24, 2],
            [2, 32, 2],
            [3, 40, 2],
            [3, 56, 4],
            [4, 72, 4],
        ],
        "budgets": [6e10, 1.8e11, 5.4e11, 1.62e12],
        "most": 4.0,  # sizes whose bytes are up to so many times those of the text
        "fewest": 1000,  # steps
        "beyond": {"FLOPs": 6e12, "size": [4, 80, 4], "seeds": 1},
        "tested": 40_000,
        "seed": 0,
    }

    def rows(self) -> Iterator[Row]:
        """The grid, then the model beyond it."""
        train, test = texts()
        for budget in self.settings["budgets"]:
            for size in self.settings["sizes"]:
                if self.fits(size, budget, len(train)):
                    yield self.measured(size, budget, self.settings["seed"], train, test)
        beyond = self.settings["beyond"]
        for seed in range(beyond["seeds"]):
            yield self.measured(beyond["size"], beyond["FLOPs"], seed, train, test)

    def config(self, size: list[int]) -> GPTConfig:
        """The GPT of a size: layers, width, heads."""
        L, D, H = size
        return GPTConfig(V=V, T=self.settings["T"], L=L, D=D, H=H)

    def steps(self, size: list[int], budget: float) -> int:
        """Steps of training that a budget buys."""
        flops = training_flops(self.config(size)).total
        return int(budget / flops / self.settings["T"] / self.settings["batch_size"])

    def fits(self, size: list[int], budget: float, length: int) -> bool:
        """Whether the budget buys enough steps, and does not read the text too often."""
        steps = self.steps(size, budget)
        read = steps * self.settings["T"] * self.settings["batch_size"]
        return steps >= self.settings["fewest"] and read <= self.settings["most"] * length

    def measured(
        self, size: list[int], budget: float, seed: int, train: torch.Tensor, test: torch.Tensor
    ) -> Row:
        """Train one GPT, and what it makes of the held-out text."""
        config, steps = self.config(size), self.steps(size, budget)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = GPT(config).to(pick_device())
        settings = TextSettings(
            lr=self.settings["lr"] / config.D**0.5,
            weight_decay=0.1,
            warmup=steps // 10,
            schedule=steps,
            batch_size=self.settings["batch_size"],
            length=config.T,
        )
        run = TextRun(model, train, settings=settings, seed=seed, keep_every=10**9)
        for _ in run.take(steps):
            pass
        held_out = test[: self.settings["tested"]].to(run.device)
        nats = text_nats(model, held_out, config.T, config.T) / (len(held_out) - config.T)
        return {
            "L": config.L,
            "D": config.D,
            "N": count_parameters(config).without_embeddings,
            "bytes": steps * settings.batch_size * config.T,
            "FLOPs": budget,
            "seed": seed,
            "loss": round(nats, 5),
        }


class OwnScalingOnGPU(OwnScaling):
    """The same with budgets a hundred times as large, for a GPU.

    The text is the same, so that large budgets read it up to `most` times. Beyond about four
    times, repeats teach less than new text does -- Muennighoff et al. 2023, arXiv:2305.16264.
    """

    name = "own_scaling_gpu"
    on_request = True
    settings = OwnScaling.settings | {
        "T": 256,
        "batch_size": 16,
        "sizes": [
            [3, 40, 2],
            [3, 56, 4],
            [4, 72, 4],
            [4, 96, 4],
            [5, 128, 4],
            [6, 160, 5],
            [6, 224, 7],
        ],
        "budgets": [6e12, 1.8e13, 5.4e13, 1.62e14],
        "most": 16.0,
        "fewest": 500,
        "beyond": {"FLOPs": 6e14, "size": [8, 256, 8], "seeds": 2},
    }


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Bytes to train on and held-out ones: of docstrings and language reference a tenth each."""
    once = ["\n\n".join(dict.fromkeys(docstrings().split("\n\n"))), language_reference()]
    parts = [split_paragraphs(text) for text in once]
    joined = ("\n\n".join(part) for part in zip(*parts, strict=True))
    train, test = (torch.tensor(list(text.encode())) for text in joined)
    return train, test
