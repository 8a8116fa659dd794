"""Attribution maps in colours that tell for from against."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from bigmodel_lib.plots import attribution_map


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.mark.parametrize("sign", [1, -1])
def test_zero_is_white_and_the_largest_size_has_full_colour(ax, sign):
    values = sign * np.array([[0.0, 2.0, -5.0], [1.0, 0.0, 4.0]])
    (image,) = attribution_map(values, signed=True, ax=ax).images
    assert image.get_clim() == (-5, 5)
    white, red, blue = (image.to_rgba(value) for value in (0.0, 5.0, -5.0))
    assert min(white[:3]) > 0.95
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    np.testing.assert_array_equal(image.get_array(), values)


def test_sizes_have_one_colour(ax):
    (image,) = attribution_map(np.eye(3), signed=False, ax=ax).images
    assert image.get_clim() == (0, 1)
    assert min(image.to_rgba(0.0)[:3]) > 0.95
    (image, _) = attribution_map(np.zeros((2, 3)), signed=False, ax=ax).images[::-1]
    assert image.get_clim() == (0, 1)


def test_what_is_no_map_is_refused(ax):
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        attribution_map(np.zeros(3), signed=True, ax=ax)
    with pytest.raises(ValueError, match="least value -1"):
        attribution_map(-np.eye(3), signed=False, ax=ax)
