"""Draws are reproducible, comparisons strict, and no variant lets a mistake pass."""

import contextlib
import dataclasses
import gettext
import importlib
import pkgutil
import sys
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell

import bigmodel_lib.exercises
from bigmodel_lib import language
from bigmodel_lib.exercises.task import (
    AnswerError,
    CodeTask,
    Mistake,
    NumberTask,
    Prediction,
    as_numbers,
    normal,
    random_for,
    same,
    tasks,
)

CHAPTERS = [
    importlib.import_module(f"bigmodel_lib.exercises.{module.name}")
    for module in pkgutil.iter_modules(bigmodel_lib.exercises.__path__)
    if module.name.startswith("chapter_")
]
ALL = [
    pytest.param(task, id=f"{chapter.__name__[-9:]}-{name}")
    for chapter in CHAPTERS
    for name, task in tasks(chapter).items()
]

double = CodeTask(
    "doubling",
    draw=lambda dice: (normal(dice, 2, 3),),
    right=lambda x: 2 * x,
    mistakes=(Mistake("squares", "this squares", "expected", lambda x: x**2),),
)
area = NumberTask(
    "area",
    draw=lambda dice: (dice.randint(3, 9), dice.randint(10, 20)),
    right=lambda a, b: a * b,
    mistakes=(Mistake("adds", "this adds", "expected", lambda a, b: a + b),),
    unit="m²",
)
guess = Prediction(
    "guess",
    draw=lambda dice: (dice.randint(1, 9),),
    right=lambda n: "up",
    mistakes=(Mistake("down", "it does not fall", "expected", lambda n: "down"),),
    options={"up": "it rises", "down": "it falls", "stay": "it stays"},
)


def test_a_notebook_shows_the_hint_without_a_traceback(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell()
    shell.user_ns |= {"area": area, "wrong": sum(area.numbers("Ada"))}
    shell.run_cell('area.check(wrong, "Ada")')
    assert capsys.readouterr().out.strip() == "✗ area: this adds"
    shell.run_cell("raise ValueError('any other')")
    assert "Traceback" in capsys.readouterr().out


def test_numbers_depend_on_name_task_and_variant_alone():
    assert area.numbers("Ada") == area.numbers(" ada ")
    draws = {random_for(*key).random() for key in [("a", "t", 0), ("b", "t", 0), ("a", "u", 0)]}
    assert len(draws | {random_for("a", "t", 1).random()}) == 4
    assert torch.equal(double.numbers("Ada")[0], double.numbers("ada")[0])
    assert not torch.equal(double.numbers("Ada")[0], double.numbers("Bob")[0])
    assert area.numbers("ａｄａ") == area.numbers("ada")  # as a Chinese keyboard may write it


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_student_has_a_name(name):
    with pytest.raises(ValueError, match="name or number"):
        area.numbers(name)


def test_a_function_that_returns_a_stored_result_passes_the_visible_check_alone():
    (x,) = double.numbers("ada")
    double.check(lambda _: 2 * x, "ada")
    with pytest.raises(AnswerError, match="not right yet"):
        double.grade(lambda _: 2 * x, "ada")
    double.grade(lambda x: x + x, "ada")


def test_code_is_graded_on_three_draws_that_the_student_has_not_seen():
    drawn = []
    double.grade(lambda x: drawn.append(x) or 2 * x, "ada")
    assert len(drawn) == 3
    for one, other in combinations([*drawn, *double.numbers("ada")], 2):
        assert not torch.equal(one, other)


def test_a_function_cannot_reach_the_right_answer_through_its_arguments():
    def spoil(x):
        result = 2 * x
        x.zero_()
        return result

    double.grade(spoil, "ada")


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (None, "need a function, got nothing yet"),
        (lambda x: None, "returns no numbers"),
        (lambda x: ..., "returns no numbers"),
        (lambda x: "four", "returns no numbers"),
        (lambda x: x.sum(), r"shape \(2, 3\), got \(\)"),
        (lambda x: x**2, "this squares"),
        (lambda x: 2 * x + 1, "none of the known"),
        (lambda x: 2 * x * float("nan"), "not every number is finite"),
        (lambda x: [2 * x, 2], "returns no numbers"),
    ],
)
def test_a_wrong_function_is_refused_with_a_reason(answer, hint):
    with pytest.raises(AnswerError, match=hint):
        double.check(answer, "ada")


def test_a_function_may_return_lists_and_arrays():
    double.check(lambda x: (2 * x).tolist(), "ada")
    double.check(lambda x: (2 * x).numpy(), "ada")
    double.check(lambda x: list(2 * x), "ada")  # a list of tensors


def test_a_function_may_compute_in_float32():
    spread = dataclasses.replace(double, right=lambda x: (x + 100) * 2 - 200)
    spread.check(lambda x: (x.float() + 100) * 2 - 200, "ada")
    with pytest.raises(AnswerError, match="none of the known"):
        spread.check(lambda x: 2 * x * 1.0001, "ada")


def test_errors_in_the_students_code_are_the_students_to_read():
    with pytest.raises(ZeroDivisionError):
        double.check(lambda x: 1 / 0, "ada")


@pytest.mark.parametrize("answer", [None, ..., "12", [1, 2], torch.ones(2), float("nan")])
def test_a_number_is_one_number(answer):
    with pytest.raises(AnswerError, match="need one number of m²"):
        area.check(answer, "ada")


def test_a_wrong_number_is_told_only_if_it_is_a_known_mistake():
    a, b = area.numbers("ada")
    area.check(a * b + 5, "ada")
    with pytest.raises(AnswerError, match="is not the answer"):
        area.grade(a * b + 5, "ada")
    with pytest.raises(AnswerError, match="this adds"):
        area.check(a + b, "ada")
    with pytest.raises(AnswerError, match="this adds"):
        area.grade(a + b, "ada")
    area.grade(torch.tensor([a * b]), "ada")


def test_a_right_number_is_right_even_where_a_mistake_gives_the_same():
    lucky = Mistake("luck", "this is luck", "expected", lambda a, b: b * a)
    a, b = area.numbers("ada")
    dataclasses.replace(area, mistakes=(lucky,)).grade(a * b, "ada")


def test_a_prediction_is_noted_first_and_judged_later(capsys):
    guess.check("down", "ada")
    assert "you predict: it falls" in capsys.readouterr().out
    with pytest.raises(AnswerError, match="it does not fall"):
        guess.grade("down", "ada")
    with pytest.raises(AnswerError, match="came out otherwise"):
        guess.grade("stay", "ada")
    for look in (guess.check, guess.grade):
        for answer in (None, ..., "left", ["up"]):
            with pytest.raises(AnswerError, match="choose one of up, down, stay"):
                look(answer, "ada")
    guess.grade("up", "ada")


@pytest.fixture
def asked(monkeypatch):
    """A language in which each text stands in «»; collects what was asked for."""

    class Catalogue(gettext.NullTranslations):
        texts: ClassVar[list[str]] = []

        def gettext(self, text):
            self.texts.append(text)
            return f"«{text}»"

    monkeypatch.setattr(language, "_catalogue", Catalogue)
    Catalogue.texts.clear()
    return Catalogue.texts


SHOWN = [
    (double, None),
    (double, lambda x: None),
    (double, lambda x: x.sum()),
    (double, lambda x: x**2),
    (double, lambda x: 2 * x + 1),
    (area, None),
    (area, "numbers"),
    (area, 10**6),
    (dataclasses.replace(area, unit=""), None),
    (dataclasses.replace(area, unit=""), 10**6),
    (guess, None),
    (guess, "down"),
    (guess, "stay"),
]


@pytest.mark.parametrize(("task", "answer"), SHOWN)
def test_all_that_a_refusal_says_is_in_the_readers_language(asked, task, answer):
    with pytest.raises(AnswerError) as refused:
        task.grade(sum(task.numbers("ada")) if answer == "numbers" else answer, "ada")
    title, _, said = str(refused.value).partition(": ")
    assert title == f"«{task.name}»"
    assert said.startswith("«")
    assert said.endswith("»")
    assert "" not in asked, "a catalogue has its header there"


@pytest.mark.parametrize(("task", "answer"), [(double, lambda x: 2 * x), (area, 7), (guess, "up")])
def test_all_that_a_check_says_is_in_the_readers_language(asked, task, answer, capsys):
    task.check(answer, "ada")
    assert capsys.readouterr().out.startswith(f"✓ «{task.name}»: «")


def test_a_task_tells_all_words_of_its_own_that_it_shows(asked, capsys):
    for task, answer in SHOWN:
        with contextlib.suppress(AnswerError):
            task.grade(sum(task.numbers("ada")) if answer == "numbers" else answer, "ada")
    own = {text for task in (double, area, guess) for text in task.words()}
    in_the_source = Path(sys.modules[CodeTask.__module__].__file__).read_text(encoding="utf-8")
    assert {text for text in asked if f'_("{text}")' not in in_the_source} <= own
    assert {"area", "this adds", "m²"} <= set(area.words())
    assert {"guess", "it does not fall", "it rises"} <= set(guess.words())


@pytest.mark.parametrize("task", ALL)
def test_words_for_a_catalogue_are_there_and_not_empty(task):
    assert set(task.words()) >= {task.name, *(mistake.hint for mistake in task.mistakes)}
    assert all(task.words())


def test_same_wants_the_shape_and_the_tolerance():
    assert same(as_numbers(1.009), as_numbers(1.0), 0.01)
    assert not same(as_numbers(1.02), as_numbers(1.0), 0.01)
    assert not same(as_numbers([1.0]), as_numbers(1.0), 0.01)
    assert same(as_numbers(1e-9), as_numbers(0.0), 0.01)  # what rounding leaves of a zero
    assert not same(as_numbers(1e-3), as_numbers(0.0), 0.01)


def test_tasks_of_every_kind_are_found_by_their_names():
    chapter = ModuleType("chapter")
    vars(chapter).update(double=double, area=area, guess=guess, seven=7, Mistake=Mistake)
    assert tasks(chapter) == {"double": double, "area": area, "guess": guess}


def outcome(task, function, values):
    if isinstance(task, CodeTask):
        return task.measured(function, values)
    given = function(*values)
    return given if isinstance(task, Prediction) else as_numbers(given)


def variants(task):
    """What some students see, and for code, what they are graded on; each draw once."""
    several = isinstance(task, CodeTask)
    students = {CodeTask: 8, NumberTask: 300, Prediction: 30}[type(task)]
    drawn = [task.numbers(f"s{i}", v) for i in range(students) for v in range(4 if several else 1)]
    return drawn if several else set(drawn)


@pytest.mark.parametrize("task", ALL)
def test_no_students_numbers_let_a_mistake_pass_or_take_another_ones_hint(task):
    for values in variants(task):
        functions = [task.right, *(mistake.answer for mistake in task.mistakes)]
        found = [outcome(task, function, values) for function in functions]
        for one, other in combinations(found, 2):
            alike = (
                one == other if isinstance(task, Prediction) else same(one, other, task.tolerance)
            )
            assert not alike, values


@pytest.mark.parametrize("task", ALL)
def test_has_three_mistakes_with_hint_and_source(task):
    assert len(task.mistakes) >= 3
    assert len({mistake.hint for mistake in task.mistakes}) == len(task.mistakes)
    for mistake in task.mistakes:
        assert len(mistake.hint) > 20
        assert mistake.seen.startswith(("article, section", "https://", "expected", "paper:"))
    if isinstance(task, Prediction):
        assert len(task.options) > len(task.mistakes)
