"""Numbers: torch in float64 is the oracle, on programs that Hypothesis writes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.autodiff import FUNCTIONS, Value, ordered

F64 = torch.float64
TORCH = {name: getattr(torch, name) for name in FUNCTIONS if name != "softplus"}
TORCH["softplus"] = torch.nn.functional.softplus

numbers = st.floats(-3, 3).map(lambda x: round(x, 3))
OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "tame /": lambda a, b: a / (b * b + 1),
    "constant left": lambda a, b: 2 - 3 * a + 1 / (b**2 + 1),
    "constant right": lambda a, b: a * 3 - b / 2,
    "neg": lambda a, b: -a,
    "square": lambda a, b: a**2,
    "to the 0": lambda a, b: a**0 * b,
    "root": lambda a, b: (a * a + 1) ** -0.5,
}


@st.composite
def programs(draw):
    """Inputs, and steps (operation, index, index) of which each may use all results before it."""
    inputs = draw(st.lists(numbers, min_size=2, max_size=4))
    names = st.sampled_from([*OPERATIONS, *(name for name in FUNCTIONS if name != "log")])
    steps = []
    for at in range(draw(st.integers(1, 8))):
        known = st.integers(0, len(inputs) + at - 1)
        steps.append((draw(names), draw(known), draw(known)))
    return inputs, steps


def execute(inputs, steps, function):
    """Run a program; every result is added up in the end, so that none is idle."""
    results = list(inputs)
    for name, i, j in steps:
        if name in OPERATIONS:
            results.append(OPERATIONS[name](results[i], results[j]))
        elif name == "exp":  # would soon overflow
            results.append(function("exp", function("sin", results[i])))
        else:
            results.append(function(name, results[i]))
    return sum(results)


@given(programs())
def test_values_and_gradients_equal_torchs(program):
    inputs, steps = program
    ours = [Value(x) for x in inputs]
    theirs = [torch.tensor(x, dtype=F64, requires_grad=True) for x in inputs]
    total = execute(ours, steps, lambda name, x: x.apply(name))
    oracle = execute(theirs, steps, lambda name, x: TORCH[name](x))
    total.backward()
    oracle.backward()
    assert total.data == pytest.approx(oracle.item(), rel=1e-9, abs=1e-9)
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.grad == pytest.approx(its.grad.item(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(x=st.floats(-30, 30))
def test_each_function_and_its_slope_equal_torchs(name, x):
    x = abs(x) + 0.01 if name == "log" else x
    ours, theirs = Value(x), torch.tensor(x, dtype=F64, requires_grad=True)
    y, oracle = getattr(ours, name)(), TORCH[name](theirs)
    y.backward()
    oracle.backward()
    # torch's softplus is x itself above 20; e^-20 = 2e-9
    assert y.data == pytest.approx(oracle.item(), rel=1e-8, abs=1e-12)
    assert ours.grad == pytest.approx(theirs.grad.item(), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_powers_at_0_equal_torchs(n):
    ours, theirs = Value(0.0), torch.zeros((), dtype=F64, requires_grad=True)
    (ours**n).backward()
    (theirs**n).backward()
    assert ours.grad == theirs.grad.item()


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("x", [0.0, 2.0])
def test_a_division_by_0_is_infinite_as_torchs(x):
    ours, theirs = Value(0.0), torch.zeros((), dtype=F64, requires_grad=True)
    y, oracle = x / ours, x / theirs
    y.backward()
    oracle.backward()
    np.testing.assert_equal([y.data, ours.grad], [oracle.item(), theirs.grad.item()])


def test_far_out_nothing_overflows():
    for x in (-800.0, 800.0):
        for name in ("sigmoid", "softplus", "tanh", "relu"):
            y = Value(x).apply(name)
            y.backward()
            assert math.isfinite(y.data)
            assert math.isfinite(y.slopes[0])


def test_a_node_used_twice_gets_both_gradients():
    """A diamond: L = u·u + u, so that ∂L/∂u = 2u + 1, and u = 3a."""
    a = Value(2.0)
    u = a * 3
    (u * u + u).backward()
    assert (u.grad, a.grad) == (13.0, 39.0)


def test_diamonds_on_diamonds_are_walked_once():
    """2⁶⁰ ways lead from the end to the start: a walk along each would never come back."""
    start = node = Value(1.0)
    for _ in range(60):
        node = (node + node) * 0.5
    node.backward()
    assert start.grad == 1.0
    assert len(ordered(node)) == 1 + 3 * 60


def test_ten_thousand_steps_deep():
    start = node = Value(1.0)
    for _ in range(10_000):
        node = node + 1
    node.backward()
    assert start.grad == 1.0


def test_each_node_comes_after_its_parents():
    a, b = Value(1.0), Value(2.0)
    u = a * b
    order = ordered((u + a) * u)
    for node in order:
        assert all(order.index(parent) < order.index(node) for parent in node.parents)


def test_gradients_add_up_over_calls_as_torchs_do():
    ours, theirs = Value(0.5), torch.tensor(0.5, dtype=F64, requires_grad=True)
    loss, oracle = ours * ours.tanh(), theirs * theirs.tanh()
    for _ in range(3):
        loss.backward()
        oracle.backward(retain_graph=True)
    assert ours.grad == pytest.approx(theirs.grad.item())


def test_numbers_of_numpy_are_numbers():
    y = np.float64(2) * Value(3.0) + np.array(1.0)
    assert isinstance(y, Value)
    assert y.data == 7.0


@pytest.mark.parametrize("other", ["2", None, [1.0], np.ones(2), 1j])
def test_what_is_no_number_is_refused(other):
    with pytest.raises(TypeError, match="need a number, got"):
        Value(1.0) + other
    with pytest.raises(TypeError, match="need a plain number as exponent, got"):
        Value(1.0) ** other


def test_a_power_that_is_a_value_is_refused():
    with pytest.raises(TypeError, match="need a plain number as exponent, got Value"):
        Value(2.0) ** Value(3.0)
