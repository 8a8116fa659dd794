"""Random choices behind one door, so that a program can be run by luck or in all ways at once.

A program that asks a `Chance` for each of its random choices can be sampled, as usual, or handed
to `outcomes`, which takes every path and adds up what each result is worth: exact probabilities
of the program itself, not of a formula for it.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor


class Chance:
    """Choices by a random generator.

    Args:
        generator: PyTorch's, on the CPU; None means its global one.
    """

    def __init__(self, generator: torch.Generator | None = None):
        self.generator = generator

    def draw(self, probabilities: Tensor) -> int:
        """An index of probabilities (n,), which sum to 1."""
        return int(torch.multinomial(probabilities, 1, generator=self.generator))

    def coin(self, probability: float) -> bool:
        """True with a probability."""
        return float(torch.rand((), generator=self.generator, dtype=torch.float64)) < probability


class _Scripted(Chance):
    """Follows a script of choices, then takes the first possible one; notes what else there was."""

    def __init__(self, script: list[int]):
        super().__init__()
        self.script, self.taken, self.open = script, [], []
        self.probability = 1.0

    def draw(self, probabilities: Tensor) -> int:
        """The next place of the script, or the first that is possible; its probability is kept."""
        values = probabilities.tolist()
        possible = [i for i, p in enumerate(values) if p > 0]
        step = len(self.taken)
        if step < len(self.script):
            choice = self.script[step]
        else:
            choice = possible[0]
            self.open += [[*self.taken, other] for other in possible[1:]]
        self.taken.append(choice)
        self.probability *= values[choice]
        return choice

    def coin(self, probability: float) -> bool:
        """True where the script says so; both sides are taken in turn."""
        probability = float(probability)
        return self.draw(torch.tensor([1 - probability, probability], dtype=torch.float64)) == 1


def outcomes(program: Callable[[Chance], Hashable]) -> dict[Hashable, float]:
    """The probability of every result of a program, by running it on every path of its choices.

    Args:
        program: takes a `Chance`, makes finitely many choices with it and with nothing else.

    Returns:
        Probabilities by result; they sum to 1.
    """
    found: dict[Hashable, float] = {}
    scripts: list[list[int]] = [[]]
    while scripts:
        chance = _Scripted(scripts.pop())
        result = program(chance)
        found[result] = found.get(result, 0.0) + chance.probability
        scripts += chance.open
    return found
