"""The minima are minima, all of them, and nothing is lower."""

import math

import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.models.surfaces import BEALE, HIMMELBLAU, ROSENBROCK, SADDLE, SURFACES, bowl

F64 = torch.float64
surfaces = pytest.mark.parametrize("surface", [*SURFACES.values(), bowl(1), bowl(997.0)])
number = st.floats(-5, 5)


@surfaces
def test_each_minimum_has_the_lowest_value_no_gradient_and_curves_upwards(surface):
    minima = torch.tensor(surface.minima, dtype=F64)
    lowest = torch.full((len(minima),), surface.lowest, dtype=F64)
    torch.testing.assert_close(surface(minima), lowest, rtol=0, atol=1e-14)
    assert surface.gradient(minima).abs().max() < 1e-12
    for point in minima:
        curvature = torch.autograd.functional.hessian(surface, point)
        assert torch.linalg.eigvalsh(curvature).min() > 0.1


@surfaces
def test_nothing_on_the_map_is_lower(surface):
    x = torch.linspace(*surface.x_range, 401, dtype=F64)
    y = torch.linspace(*surface.y_range, 401, dtype=F64)
    assert surface(torch.cartesian_prod(x, y)).min() >= surface.lowest


@surfaces
def test_scipy_finds_these_minima_from_all_over_the_map_and_no_others(surface):
    def value_and_gradient(at):
        point = torch.tensor(at)
        return surface(point).item(), surface.gradient(point).numpy()

    x = torch.linspace(*surface.x_range, 7, dtype=F64)
    y = torch.linspace(*surface.y_range, 7, dtype=F64) + 0.01  # off the saddle's ridge
    starts = torch.cartesian_prod(x, y).numpy()
    ends = [scipy.optimize.minimize(value_and_gradient, at, jac=True) for at in starts]
    found = torch.tensor([list(end.x) for end in ends if end.fun < surface.lowest + 1e-9])
    assert surface.distance(found).max() < 1e-3
    minima = torch.tensor(surface.minima, dtype=F64)
    assert torch.cdist(minima, found).min(dim=1).values.max() < 1e-3  # each of them is found


@surfaces
def test_minima_and_start_are_on_the_map(surface):
    for x, y in (*surface.minima, surface.start):
        assert surface.x_range[0] < x < surface.x_range[1]
        assert surface.y_range[0] < y < surface.y_range[1]


@given(x=number, y=number)
def test_formulas_by_hand(x, y):
    point = torch.tensor([x, y], dtype=F64)
    by_hand = {
        "bowl": (x * x + 10 * y * y) / 2,
        "Rosenbrock": scipy.optimize.rosen([x, y]),
        "Beale": (1.5 - x + x * y) ** 2
        + (2.25 - x + x * y * y) ** 2
        + (2.625 - x + x * y * y * y) ** 2,
        "Himmelblau": (x * x + y - 11) ** 2 + (x + y * y - 7) ** 2,
        "saddle": x * x / 2 + y * y * y * y / 4 - y * y / 2,
    }
    assert by_hand.keys() == SURFACES.keys()
    for name, value in by_hand.items():
        assert SURFACES[name](point).item() == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(x=number, y=number)
def test_the_gradient_is_rosenbrocks(x, y):
    ours = ROSENBROCK.gradient(torch.tensor([[x, y], [1.0, 1.0]], dtype=F64))
    theirs = torch.tensor(scipy.optimize.rosen_der([x, y]))
    torch.testing.assert_close(ours[0], theirs, rtol=1e-9, atol=1e-9)


def test_points_may_have_any_leading_shape_and_stay_untouched():
    points = torch.randn(3, 5, 2, dtype=F64)
    assert HIMMELBLAU(points).shape == (3, 5)
    assert HIMMELBLAU.distance(points).shape == (3, 5)
    with torch.no_grad():
        assert HIMMELBLAU.gradient(points).shape == (3, 5, 2)
    assert not points.requires_grad
    torch.testing.assert_close(HIMMELBLAU.gradient(points)[1, 2], HIMMELBLAU.gradient(points[1, 2]))


def test_distance_is_to_the_nearest_minimum():
    near = torch.tensor([[3.0, 2.5], [-3.779310253377747, -3.0]], dtype=F64)
    distances = HIMMELBLAU.distance(near)
    assert distances.tolist() == pytest.approx([0.5, 0.2831859912861696])


def test_at_the_saddle_the_gradient_vanishes_and_it_curves_both_ways():
    origin = torch.zeros(2, dtype=F64)
    assert SADDLE.gradient(origin).tolist() == [0.0, 0.0]
    curvature = torch.linalg.eigvalsh(torch.autograd.functional.hessian(SADDLE, origin))
    assert curvature.tolist() == [-1.0, 1.0]


@given(condition=st.floats(1, 1e4))
def test_the_bowls_curvatures_have_the_condition_number(condition):
    curvature = torch.autograd.functional.hessian(bowl(condition), torch.ones(2, dtype=F64))
    low, high = torch.linalg.eigvalsh(curvature).tolist()
    assert high / low == pytest.approx(condition)


@pytest.mark.parametrize("condition", [0.5, -1, math.inf, math.nan])
def test_a_bad_condition_number_is_told(condition):
    with pytest.raises(ValueError, match=f"condition number >= 1 and finite, got {condition}"):
        bowl(condition)


@pytest.mark.parametrize("points", [torch.zeros(3), torch.zeros(2, 1), torch.zeros(2).long()])
def test_bad_points_are_told(points):
    with pytest.raises(ValueError, match=r"need points \(…, 2\) of floats, got"):
        BEALE(points)
