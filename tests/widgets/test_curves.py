"""What pictures of a run share: thinning, limits and marks."""

import numpy as np
import pytest

from bigmodel_lib.plots import mark_changes
from bigmodel_lib.training import Change
from bigmodel_lib.widgets.canvas import Canvas
from bigmodel_lib.widgets.curves import POINTS, Marks, linear_limits, reach, round_up, thin

CHANGES = (Change(3, "lr", 0.1, 0.01), Change(7, "beta", 1.0, 100.0))


@pytest.mark.parametrize("steps", [0, 1, POINTS, 5 * POINTS + 3])
def test_a_curve_keeps_its_shape_in_few_points(steps):
    history = {"step": np.arange(steps), "loss": np.arange(steps) ** 2.0}
    x, y = thin(history, "loss")
    assert len(x) == len(y) < 2 * POINTS
    assert np.array_equal(y, x**2.0)
    assert steps == 0 or x[0] == 0
    assert np.isnan(thin(history, "never measured")[1]).all()


@pytest.mark.parametrize(("step", "end"), [(0, 100), (100, 100), (101, 200), (1000, 1600)])
def test_the_step_axis_ends_at_doubled_hundreds(step, end):
    assert reach(step) == end


def test_limits_hold_nearly_all_values_and_zero_if_asked():
    values = np.concatenate([np.linspace(310, 520, 997), [np.inf, np.nan, -np.inf]])
    low, high = linear_limits([values], zero=False)
    assert 200 < low <= 312
    assert 518 <= high < 700
    assert linear_limits([values])[0] == 0
    assert linear_limits([-values])[1] == 0
    assert linear_limits([np.array([np.nan])]) == (0.0, 1.0)
    low, high = linear_limits([np.full(3, 5.0)], zero=False)
    assert low <= 5 < high


@pytest.mark.parametrize(
    ("value", "up"), [(0, 1e-6), (0.1, 0.1), (0.11, 0.2), (3, 5), (5.1, 10), (1234, 2000)]
)
def test_round_up_to_1_2_5(value, up):
    assert round_up(value) == pytest.approx(up)


def test_marks_are_named_on_the_first_axes_only_and_go_when_others_come():
    canvas = Canvas(200, 100)
    named, other = (canvas.figure.add_subplot(1, 2, i) for i in (1, 2))
    marks = Marks(canvas, named, other)
    marks.show(CHANGES)
    assert [text.get_text() for text in named.texts] == ["lr → 0.01", "beta → 100"]
    assert [line.get_xdata()[0] for line in other.lines] == [3, 7]
    assert not other.texts
    before = list(named.lines)
    marks.show(CHANGES)  # nothing new
    assert list(named.lines) == before
    marks.show(())
    assert not [*named.lines, *named.texts, *other.lines]


def test_only_the_last_marks_carry_names():
    ax = Canvas(200, 100).figure.add_subplot()
    mark_changes(CHANGES, ax=ax, last=1)
    assert [text.get_text() for text in ax.texts] == ["beta → 100"]
    assert len(ax.lines) == 2


def test_limits_that_stay_cost_no_full_drawing():
    canvas = Canvas(200, 100)
    ax = canvas.figure.add_subplot()
    canvas.limit(ax, (0, 5), (0, 7))
    canvas.png()
    background = canvas._background
    canvas.limit(ax, (0, 5), (0, 7))
    assert canvas._background is background is not None
    canvas.limit(ax, (0, 6), (0, 7))
    assert canvas._background is None
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 6), (0, 7))
