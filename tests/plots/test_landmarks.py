"""Pictures of model sizes, by the artists in them."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.markers import MarkerStyle

from bigmodel_lib import plots
from bigmodel_lib.growth import fit_growth
from bigmodel_lib.plots.landmarks import FAMILY_STYLES, growth_label
from bigmodel_lib.scaling import Frontier

mpl.use("Agg")
YEARS, SIZES = [1989, 1998, 2012, 2017], [7e3, 6e4, 5e7, 2e8]
FAMILIES = ["CNN", "CNN", "CNN", "RNN"]


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def texts(artists):
    return [artist.get_text() for artist in artists]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (17, "17"),
        (999, "999"),
        (999.9, "1 K"),
        (18629, "18.6 K"),
        (60e6, "60 M"),
        (999.96e6, "1 B"),
        (174.6e9, "175 B"),
        (1.571e12, "1.57 T"),
        (216.2e12, "216 T"),
    ],
)
def test_a_short_number_has_three_digits(value, text):
    assert plots.short_number(value) == text


def test_a_timeline_has_a_marker_for_each_model(ax):
    assert plots.timeline(YEARS, SIZES, FAMILIES, ax=ax) is ax
    drawn = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert drawn == {
        "CNN": [[1989, 7e3], [1998, 6e4], [2012, 5e7]],
        "RNN": [[2017, 2e8]],
    }
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("year", "parameters")
    assert texts(ax.get_legend().get_texts()) == ["CNN", "RNN"]


def test_growth_is_a_line_in_a_band(ax):
    growth = fit_growth(YEARS, SIZES)
    plots.timeline(YEARS, SIZES, FAMILIES, growth=growth, ax=ax)
    line = ax.lines[0]
    assert line.get_ydata() == pytest.approx(growth.size(line.get_xdata()))
    assert line.get_label() == growth_label(growth)
    (band,) = ax.collections
    points = band.get_paths()[0].vertices
    low, high = growth.size_range(1989)
    assert {low, high} <= set(points[points[:, 0] == 1989][:, 1])


def test_names_stand_beside_their_points_on_the_side_with_room(ax):
    plots.timeline(YEARS, SIZES, FAMILIES, names={0: "LeNet", 3: "LSTM"}, ax=ax)
    assert texts(ax.texts) == ["LeNet", "LSTM"]
    assert [text.xy for text in ax.texts] == [(1989, 7e3), (2017, 2e8)]
    assert [text.get_ha() for text in ax.texts] == ["left", "right"]


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ([1, 8, 66, 500], "doubling every 0.33 years (95%: 0."),
        ([1, 8, 2, 16], "or more, or never)"),
        ([16, 8, 4, 1], "no growth (95%: -"),
    ],
)
def test_growth_in_words_is_honest_about_its_uncertainty(sizes, says):
    assert says in growth_label(fit_growth([2000, 2001, 2002, 2003], sizes))


def test_optimal_sizes_are_those_of_the_laws(ax):
    laws = {"one": Frontier(0.3, 0.5), "two": Frontier(7e-6, 0.73)}
    budgets = np.geomspace(1e19, 1e25, 5)
    models = {"M": (2e9, 3e10)}
    assert plots.optimal_sizes(laws, budgets, models=models, ax=ax) is ax
    one, two, model = ax.lines
    assert one.get_ydata() == pytest.approx(laws["one"].optimum(budgets)[0])
    assert two.get_ydata() == pytest.approx(laws["two"].optimum(budgets)[0])
    assert model.get_xydata().tolist() == [[6 * 2e9 * 3e10, 2e9]]
    (name,) = ax.texts
    assert (name.get_text(), name.xy) == ("M", (6 * 2e9 * 3e10, 2e9))
    assert texts(ax.get_legend().get_texts()) == ["one", "two"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(("family", "look"), FAMILY_STYLES.items())
def test_each_family_has_a_marker_with_enough_ink_to_be_seen(family, look):
    marker = MarkerStyle(look[1])
    outline = marker.get_path().transformed(marker.get_transform())
    x, y = np.concatenate(outline.to_polygons()).T
    area = abs(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2  # shoelace formula; a square has 1
    assert area >= 0.5 - 1e-9, family


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.timeline(YEARS, SIZES, FAMILIES),
        lambda: plots.optimal_sizes({"one": Frontier(0.3, 0.5)}, [1e19, 1e20]),
    ],
    ids=["timeline", "laws"],
)
def test_without_axes_the_current_ones_are_drawn_on(ax, draw):
    assert draw() is ax
