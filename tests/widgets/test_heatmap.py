"""The grid whose cells can be read."""

import numpy as np
import pytest

from bigmodel_lib.widgets.heatmap import Heatmap


def test_values_go_to_the_page_as_float32_row_by_row():
    heatmap = Heatmap()
    values = np.array([[0.1, np.nan, 0.3], [0.4, 0.5, 0.6]])
    heatmap.show(values, ["a", "b"], ["x", "y", "z"], "weights")
    sent = np.frombuffer(heatmap.values, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(sent, values, rtol=1e-6)
    assert (heatmap.rows, heatmap.columns, heatmap.title) == (
        ["a", "b"],
        ["x", "y", "z"],
        "weights",
    )


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"need values \(1, 3\).*got \(2, 3\)"):
        Heatmap().show(np.zeros((2, 3)), ["a"], ["x", "y", "z"], "weights")


def test_its_script_and_style_ship_with_the_package():
    assert "export default" in str(Heatmap()._esm)
    assert ".bigmodel-heatmap" in str(Heatmap()._css)
    assert "http" not in str(Heatmap()._esm)  # nothing from the network
