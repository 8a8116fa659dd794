"""Formulas as text: equal to Python's own answer, and nothing else gets through."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.autodiff import FUNCTIONS, Formula, FormulaError, ordered
from bigmodel_lib.autodiff.formula import LONGEST

leaves = st.sampled_from(["a", "b", "c", "2", "0.5", "1e-3", "-3"])


def grown(parts):
    return st.one_of(
        st.tuples(parts, st.sampled_from("+-*"), parts).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        parts.map(lambda a: f"{a} / 3"),
        parts.map(lambda a: f"(-({a}))"),
        parts.map(lambda a: f"({a})**2"),
        st.tuples(st.sampled_from(["tanh", "sin", "cos"]), parts).map(lambda t: f"{t[0]}({t[1]})"),
    )


@given(st.recursive(leaves, grown, max_leaves=6))
def test_values_are_those_of_python(text):
    values = {"a": 0.7, "b": -1.3, "c": 2.1}
    text = f"a*0 + {text}"
    if len(text) > LONGEST:
        return
    expected = eval(text, {"tanh": math.tanh, "sin": math.sin, "cos": math.cos, **values})
    assert Formula(text)(values).data == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_there(name):
    assert Formula(f"{name}(x)")({"x": 0.7}).data == pytest.approx(FUNCTIONS[name][0](0.7))


def test_inputs_stand_in_their_order_and_1_is_assumed():
    formula = Formula("c*a + b*c")
    assert formula.inputs == ("c", "a", "b")
    assert formula({"a": 5.0}).data == 6.0


def test_an_assigned_result_is_one_node_with_a_name():
    result = Formula("u = a*b\n(u + 1)*u")({"a": 2.0, "b": 3.0})
    result.backward()
    (u,) = [node for node in ordered(result) if node.name == "u"]
    assert (result.data, u.grad, u.op) == (42.0, 13.0, "×")
    assert {node.name for node in ordered(result) if not node.parents} == {"a", "b", ""}


def test_another_name_for_an_input_is_no_node():
    nodes = ordered(Formula("u = a; u*u")({"a": 3.0}))
    assert [(node.name, node.data) for node in nodes] == [("a", 3.0), ("", 9.0)]


def test_each_call_makes_a_graph_of_its_own():
    formula = Formula("a*a")
    first, second = formula({"a": 2.0}), formula({"a": 3.0})
    first.backward()
    assert (first.data, second.data) == (4.0, 9.0)
    assert second.parents[0].grad == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a b", "this is no formula"),
        ("a +", "this is no formula"),
        ("a\0b", "this is no formula"),
        ("(" * 150 + "a", "this is no formula"),
        ("", "at least one operation"),
        ("a", "at least one operation"),
        ("u = a", "at least one operation"),
        ("2*3", "at least one name"),
        ("a" * (LONGEST + 1), "at most 200 characters, got 201"),
        ("a ^ 2", r"with \*\*, not with \^"),
        ("a ** b", "need a number as exponent, got b"),
        ("a ** (1 + 1)", "need a number as exponent"),
        ("a ** True", "need a number, got True"),
        ("a * 2j", "need a number, got 2j"),
        ("a * 'x'", "need a number"),
        ("a * 1e999", "need a number"),
        ("a * " + "9" * 190, None),
        ("a % b", "only .* may be used, got a % b"),
        ("a if b else c", "only .* may be used"),
        ("a.real * 2", "only .* may be used"),
        ("a[0] * 2", "only .* may be used"),
        ("[a, b]", "only .* may be used"),
        ("(lambda: a)() * 2", "unknown: "),
        ("__import__('os').system('x')", "unknown: "),
        ("open('x') * a", "unknown: "),
        ("exp(a, b)", "unknown: .* each of one number"),
        ("exp(x=a)", "unknown: "),
        ("exp * a", "exp is a function"),
        ("exp = a*b; exp*a", "exp has a meaning already"),
        ("a*b; a = b*b", "a has a meaning already"),
        ("u = a*b; u = u*a", "u has a meaning already"),
        ("a += b", "need a formula or name = formula"),
        ("u = v = a*b", "need a formula or name = formula"),
        ("import os", "need a formula or name = formula, got import os"),
        ("def f(): pass", "need a formula"),
    ],
)
def test_what_is_no_formula_is_refused_with_a_reason(text, reason):
    if reason is None:
        assert math.isfinite(Formula(text)({}).data)  # a large number is one
        return
    with pytest.raises(FormulaError, match=reason):
        Formula(text)


@given(st.text(alphabet="ab12.()+-*/=;:,[]{}'\"_ \n%&|^~<>@!λé", max_size=40))
def test_any_text_is_a_formula_or_refused(text):
    with contextlib.suppress(FormulaError), np.errstate(all="ignore"):
        Formula(text)({})


def test_a_formula_may_have_no_value_at_1():
    formula = Formula("1/(a - 1) + log(a - 2)")
    assert formula({"a": 3.0}).data == 0.5
