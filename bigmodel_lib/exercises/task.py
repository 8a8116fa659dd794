"""Tasks that answer at once: right, or which known mistake an answer comes from.

Nothing here stores a solution. A task draws its numbers from the student's name, computes the
right answer from them, and what each catalogued mistake would give, and compares.

Names, hints, units and options are English here and pass through `language` when they are shown;
`words` has all of a task's for a catalogue.
"""

import copy
import hashlib
import numbers
import random
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from bigmodel_lib.exercises.names import known_as
from bigmodel_lib.language import _

HIDDEN_DRAWS = (1, 2, 3)  # draw 0 is what the student sees


class AnswerError(AssertionError):
    """An answer that is not right yet; the text says what to think of."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows, lines: the hint alone. IPython asks for it by this name."""
        return textwrap.wrap(f"✗ {self}", 88)


@dataclass(frozen=True)
class Mistake:
    """A misconception, and how to recognise it.

    Attributes:
        name: what is done wrong, in a few words.
        hint: what the student is told; names the mistake, and not the solution.
        seen: where it was met: the article's section, an issue, a paper; or "expected" where
            we only think it likely.
        answer: what it gives for a draw: as `right` of the task.
    """

    name: str
    hint: str
    seen: str
    answer: Callable[..., Any]


@dataclass(frozen=True)
class Task:
    """What all kinds of tasks share.

    Attributes:
        name: number of the section and a title, as in the assignment.
        draw: random numbers → the numbers of one variant.
        right: the variant's numbers → the right answer.
        mistakes: those that are recognised.
    """

    name: str
    draw: Callable[[random.Random], tuple]
    right: Callable[..., Any]
    mistakes: tuple[Mistake, ...]

    def numbers(self, student: str, variant: int = 0) -> tuple:
        """The numbers of a student's variant, the same whenever asked.

        Args:
            student: name or number; letter case and surrounding space do not matter.
            variant: 0 is the one in the assignment.

        Raises:
            ValueError: no name.
        """
        return self.draw(random_for(student, self.name, variant))

    def check(self, answer: Any, student: str) -> None:
        """What the student sees at once; raises AnswerError with a hint."""
        raise NotImplementedError

    def grade(self, answer: Any, student: str) -> None:
        """What is run where the work is graded; raises AnswerError with a hint."""
        raise NotImplementedError

    def refuse(self, hint: str) -> None:
        """Say why the answer does not count; the hint is in the reader's language already."""
        raise AnswerError(f"{_(self.name)}: {hint}")

    def words(self) -> list[str]:
        """What a reader may see of this task, in English: the keys of a catalogue."""
        return [self.name, *(mistake.hint for mistake in self.mistakes)]

    def _accept(self, said: str) -> None:
        print(f"✓ {_(self.name)}: {said}")


@dataclass(frozen=True)
class CodeTask(Task):
    """The answer is a function; `right` and the mistakes are functions of the same arguments.

    `check` calls it on the student's own numbers, `grade` on three other draws, so that a
    function which returns a stored result does not pass.

    Attributes:
        measure: calls a function on the numbers, and returns what is compared: a number, a
            tensor, or a list of numbers.
        tolerance: relative, of the comparison; float32 passes.
    """

    measure: Callable[..., Any] = lambda function, *values: function(*values)
    tolerance: float = 1e-5

    def check(self, answer: Any, student: str) -> None:
        """Compare on the student's own numbers."""
        self._compare(answer, self.numbers(student))
        self._accept(_("right on your own numbers"))

    def grade(self, answer: Any, student: str) -> None:
        """Compare on numbers that the student has not seen."""
        for variant in HIDDEN_DRAWS:
            self._compare(answer, self.numbers(student, variant))

    def measured(self, function: Callable, values: tuple) -> Tensor | None:
        """What a function gives, as numbers; each call gets a copy of its own."""
        return as_numbers(self.measure(function, *copy.deepcopy(values)))

    def _compare(self, answer: Any, values: tuple) -> None:
        if not callable(answer):
            self.refuse(_("need a function, got {given}").format(given=_short(answer)))
        given, wanted = self.measured(answer, values), self.measured(self.right, values)
        if given is None:
            self.refuse(_("the function returns no numbers. Is it written, and does it return?"))
        if same(given, wanted, self.tolerance):
            return
        for mistake in self.mistakes:
            if same(given, self.measured(mistake.answer, values), self.tolerance):
                self.refuse(_(mistake.hint))
        self.refuse(_difference(given, wanted))


@dataclass(frozen=True)
class NumberTask(Task):
    """The answer is a number, worked out or found in a widget.

    `check` tells known mistakes, `grade` whether the number is right.

    Attributes:
        unit: of the answer, for the messages.
        tolerance: relative.
    """

    unit: str = ""
    tolerance: float = 0.01

    def check(self, answer: Any, student: str) -> None:
        """Is it a number, and not one of the known wrong ones?"""
        values = self.numbers(student)
        given = self._number(answer)
        if not same(given, as_numbers(self.right(*values)), self.tolerance):
            for mistake in self.mistakes:
                if same(given, as_numbers(mistake.answer(*values)), self.tolerance):
                    self.refuse(_(mistake.hint))
        self._accept(_("a number, and no known mistake"))

    def grade(self, answer: Any, student: str) -> None:
        """Is it the right one?"""
        self.check(answer, student)
        if not same(self._number(answer), as_numbers(self.right(*self.numbers(student))),
                    self.tolerance):  # fmt: skip
            given = f"{_short(answer)} {self._unit()}".rstrip()
            self.refuse(_("{given} is not the answer").format(given=given))

    def words(self) -> list[str]:
        """The unit, too."""
        return [*super().words(), *([self.unit] if self.unit else [])]

    def _unit(self) -> str:
        return _(self.unit) if self.unit else ""  # gettext has its header under ""

    def _number(self, answer: Any) -> Tensor:
        given = as_numbers(answer)
        if given is None or given.numel() != 1 or not given.isfinite():
            asked = _("need one number of {unit}, got {given}") if self.unit else (
                _("need one number, got {given}"))  # fmt: skip
            self.refuse(asked.format(unit=self._unit(), given=_short(answer)))
        return given.reshape(())


@dataclass(frozen=True)
class Prediction(Task):
    """The answer is one of several, chosen before the run.

    `check` only takes note, so that a guess stays one; `grade` says whether it came true.

    Attributes:
        options: from letter to what it says.
    """

    options: Mapping[str, str] | None = None

    def check(self, answer: Any, student: str) -> None:
        """Is it one of the options?"""
        if not isinstance(answer, str) or answer not in self.options:
            asked = _("choose one of {options}, as a string; got {given}")
            self.refuse(asked.format(options=", ".join(self.options), given=_short(answer)))
        said = _("you predict: {option}. Now run it.")
        self._accept(said.format(option=_(self.options[answer])))

    def grade(self, answer: Any, student: str) -> None:
        """Did it come true?"""
        self.check(answer, student)
        values = self.numbers(student)
        if answer == self.right(*values):
            return
        for mistake in self.mistakes:
            if answer == mistake.answer(*values):
                self.refuse(_(mistake.hint))
        self.refuse(_("it came out otherwise"))

    def words(self) -> list[str]:
        """The options, too."""
        return [*super().words(), *self.options.values()]


def tasks(module: ModuleType) -> dict[str, Task]:
    """The tasks of a chapter's module, by the name of their variable."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Task)}


def random_for(student: str, task: str, variant: int) -> random.Random:
    """Random numbers that depend on nothing but these three.

    Raises:
        ValueError: no student's name.
    """
    if not (name := known_as(student)):
        raise ValueError(f"need the student's name or number, got {student!r}")
    key = hashlib.sha256(f"{name}\0{task}\0{variant}".encode()).digest()
    return random.Random(int.from_bytes(key))


def normal(dice: random.Random, *shape: int) -> Tensor:
    """Standard normal numbers of a shape, in float64."""
    generator = torch.Generator().manual_seed(dice.getrandbits(48))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def as_numbers(answer: Any) -> Tensor | None:
    """The answer in float64, or None where it holds no numbers."""
    if isinstance(answer, Tensor):
        return answer.detach().double()
    if isinstance(answer, numbers.Real | list | tuple) or hasattr(answer, "__array__"):
        try:
            return torch.as_tensor(answer, dtype=torch.float64)
        except (TypeError, ValueError):
            return _stacked(answer) if isinstance(answer, list | tuple) else None
    return None


def _stacked(parts: list | tuple) -> Tensor | None:
    """A list of tensors as one; None for words, for None, for parts of several shapes."""
    tensors = [as_numbers(part) for part in parts]
    shapes = {None if tensor is None else tensor.shape for tensor in tensors}
    return torch.stack(tensors) if len(shapes) == 1 and None not in shapes else None


def same(given: Tensor, wanted: Tensor, tolerance: float) -> bool:
    """Equal in shape, and up to a relative tolerance in value.

    Among several numbers, those near 0 carry the rounding of the large ones.
    """
    if given.shape != wanted.shape:
        return False
    largest = wanted.abs().max().item() if wanted.numel() > 1 else 0.0
    return torch.allclose(given, wanted, rtol=tolerance, atol=tolerance * max(1e-3, largest))


def _difference(given: Tensor, wanted: Tensor) -> str:
    if given.shape != wanted.shape:
        told = _("need a result of shape {wanted}, got {given}")
        return told.format(wanted=tuple(wanted.shape), given=tuple(given.shape))
    if not given.isfinite().all():
        return _("not every number is finite: look for a division by 0, or the logarithm of 0")
    gap = (given - wanted).abs().max().item()
    told = _("not right yet, by up to {gap:.3g}, and it is none of the known mistakes")
    return told.format(gap=gap)


def _short(answer: Any) -> str:
    return _("nothing yet") if answer is None or answer is ... else repr(answer)[:60]
