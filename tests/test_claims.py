"""Claims: true ones are printed, false ones stop the notebook.

The line is read again by tools, so its form is pinned here to the letter.
"""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from bigmodel_lib.claims import ClaimError, claim

LINE = re.compile(
    r"✓ (?P<statement>.+): measured (?P<value>\S+), claimed "
    r"(?:exactly (?P<exactly>\S+)|at least (?P<least>\S+)|at most (?P<most>\S+)"
    r"|(?P<low>\S+) to (?P<high>\S+))\n"
)


@pytest.mark.parametrize(
    ("bounds", "line"),
    [
        ({"low": 2}, "✓ modes, of ten: measured 7, claimed at least 2\n"),
        ({"high": 11}, "✓ modes, of ten: measured 7, claimed at most 11\n"),
        ({"low": 2, "high": 11}, "✓ modes, of ten: measured 7, claimed 2 to 11\n"),
        ({"low": 7, "high": 7}, "✓ modes, of ten: measured 7, claimed exactly 7\n"),
    ],
)
def test_a_true_claim_prints_one_line(capsys, bounds, line):
    assert claim("modes, of ten", 7, **bounds) is None
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3, "3"),
        (-114064.0, "-114,064"),
        (999_999_999, "999,999,999"),
        (1_000_000_000, "1e+09"),
        (0.123456, "0.1235"),
        (-0.5, "-0.5"),
        (12345.678, "1.235e+04"),
        (1e-9, "1e-09"),
    ],
)
def test_whole_numbers_are_shown_in_full_and_others_with_four_digits(capsys, value, shown):
    claim("a share: of all", value, low=-1_000_000.5)  # a colon in the statement does not confuse
    match = LINE.fullmatch(capsys.readouterr().out)
    assert match["statement"] == "a share: of all"
    assert match["value"] == shown
    assert match["least"] == "-1e+06"
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=5e-4)


def test_bounds_are_shown_as_values_are(capsys):
    claim("parameters", 114_064, low=114_064, high=114_064)
    claim("parameters", 114_064, low=1_000, high=123_456.7)
    assert capsys.readouterr().out.splitlines() == [
        "✓ parameters: measured 114,064, claimed exactly 114,064",
        "✓ parameters: measured 114,064, claimed 1,000 to 1.235e+05",
    ]


@pytest.mark.parametrize(
    ("value", "bounds", "claimed"),
    [
        (1.9, {"low": 2}, "at least 2"),
        (11.1, {"high": 11}, "at most 11"),
        (1.9, {"low": 2, "high": 11}, "2 to 11"),
        (11.1, {"low": 2, "high": 11}, "2 to 11"),
        (7.1, {"low": 7, "high": 7}, "exactly 7"),
        (math.inf, {"high": 1e308}, "at most 1e+308"),
        (-math.inf, {"low": -1e308}, "at least -1e+308"),
    ],
)
def test_a_false_claim_raises_with_all_that_it_measured(capsys, value, bounds, claimed):
    with pytest.raises(ClaimError) as caught:
        claim("loss (nats)", value, **bounds)
    assert str(caught.value) == f"false: loss (nats): measured {value:.4g}, claimed {claimed}"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "bounds", [{"low": 0}, {"high": 0}, {"low": -math.inf, "high": math.inf}, {"low": 0, "high": 0}]
)
def test_nan_makes_every_claim_false(bounds):
    with pytest.raises(ClaimError, match="measured nan"):
        claim("loss", math.nan, **bounds)


def test_infinity_lies_in_a_range_without_end(capsys):
    claim("odds", math.inf, low=0)
    assert capsys.readouterr().out == "✓ odds: measured inf, claimed at least 0\n"


@given(
    value=st.floats(-1e6, 1e6),
    bounds=st.tuples(*[st.none() | st.floats(-1e6, 1e6)] * 2),
)
def test_it_raises_exactly_when_the_value_is_outside(value, bounds):
    low, high = bounds
    assume((low, high) != (None, None))
    assume(low is None or high is None or low <= high)
    true = (low is None or low <= value) and (high is None or value <= high)
    try:
        claim("x", value, low, high)
    except ClaimError:
        assert not true
    else:
        assert true


@pytest.mark.parametrize("value", [2, 11])
def test_both_ends_belong_to_the_range(value):
    claim("x", value, low=2, high=11)


def test_a_false_claim_is_a_failed_assertion():
    assert issubclass(ClaimError, AssertionError)


def test_no_bound_is_refused():
    with pytest.raises(ValueError, match=r"need low, high or both, .*'modes'"):
        claim("modes", 7)


@pytest.mark.parametrize(("low", "high"), [(3, 2), (math.nan, 2), (2, math.nan)])
def test_an_empty_range_is_refused(low, high):
    with pytest.raises(ValueError, match=f"need low <= high, got low={low} and high={high}"):
        claim("x", 2, low=low, high=high)


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(7),
        torch.tensor([[7.0]]),
        torch.tensor(7.0, requires_grad=True),
        np.float32(7),
        np.array([7]),
        np.array([[7.0]]),
    ],
    ids=["0-D", "2-D", "with gradient", "float32", "array", "2-D array"],
)
def test_tensors_and_arrays_of_one_element(capsys, value):
    claim("x", value, low=7, high=7)
    assert capsys.readouterr().out == "✓ x: measured 7, claimed exactly 7\n"
    with pytest.raises(ClaimError):
        claim("x", value, low=8)


@pytest.mark.parametrize("value", [torch.zeros(2), torch.zeros(0), np.zeros(2), np.zeros((1, 3))])
def test_several_elements_are_no_measurement(value):
    with pytest.raises((ValueError, RuntimeError), match=r"[Ss]calar"):
        claim("x", value, low=-1)
