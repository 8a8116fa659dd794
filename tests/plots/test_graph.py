"""Computational graphs: where the boxes stand, which edges there are, what they say."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib import plots
from bigmodel_lib.autodiff import Array, Formula, Value
from bigmodel_lib.plots.graph import HEIGHT, WIDTH, GraphDrawing, layers, layout, number

mpl.use("Agg")


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@st.composite
def graphs(draw):
    """Parents of up to twelve nodes, each before its children; every leaf is used."""
    leaves = draw(st.integers(1, 4))
    parents = [[] for _leaf in range(leaves)]
    for node in range(leaves, leaves + draw(st.integers(1, 8))):
        parents.append(draw(st.lists(st.integers(0, node - 1), min_size=1, max_size=3)))
    used = {parent for own in parents for parent in own}
    parents.append([node for node in range(len(parents)) if node not in used] or [0])
    return parents


@given(graphs())
def test_every_edge_goes_to_the_right_and_leaves_stand_beside_their_first_user(parents):
    depth, chain = layers(parents), []  # chain: the longest way from any leaf
    for child, own in enumerate(parents):
        chain.append(1 + max(chain[parent] for parent in own) if own else 0)
        assert all(depth[parent] < depth[child] for parent in own)
        users = [depth[node] for node, others in enumerate(parents) if child in others]
        assert depth[child] == (chain[child] if own else min(users) - 1)


@given(graphs())
def test_no_box_and_no_edge_stands_on_another_box(parents):
    places, ways = layout(parents)
    assert set(ways) == {(parent, child) for child, own in enumerate(parents) for parent in own}
    taken = [tuple(place) for place in places]
    for (parent, child), way in ways.items():
        assert tuple(way[0]) == taken[parent]
        assert tuple(way[-1]) == taken[child]
        assert np.diff(way[:, 0]).tolist() == [1] * (len(way) - 1)  # a place in every column
        taken += [tuple(place) for place in way[1:-1]]
    assert len(set(taken)) == len(taken)
    columns = {}
    for x, y in taken:
        columns.setdefault(x, []).append(y)
    for rows in columns.values():
        assert sum(rows) == pytest.approx(0)
        assert np.diff(sorted(rows)).tolist() == [1] * (len(rows) - 1)


def test_what_can_be_untangled_is():
    """Two chains, written down crosswise: a → d, b → c, where c stands above d."""
    places, _ways = layout([[], [], [1], [0], [2, 3]])
    a, b, c, d, _end = places[:, 1]
    assert (a - b) * (d - c) > 0


def test_boxes_hold_name_operation_value_and_gradient(ax):
    result = Formula("u = a*b; u + 2")({"a": 2.0, "b": -3.0})
    result.backward()
    plots.computation_graph(result, ax=ax)
    texts = [text.get_text() for text in ax.texts]
    boxes = [tuple(filter(None, texts[i : i + 3])) for i in range(0, len(texts), 3)]
    assert sorted(boxes) == sorted(
        [("a", "2", "∇ −3"), ("b", "−3", "∇ 2"), ("u ×", "−6", "∇ 1"), ("2",), ("+", "−4", "∇ 1")]
    )
    assert len(ax.lines) == 4


def test_arrays_show_shapes_and_the_largest_gradient(ax):
    W = Array(np.ones((3, 5)), name="W")
    loss = (np.full((7, 3), 2.0) @ W).sum()
    loss.backward()
    plots.computation_graph(loss, ax=ax)
    texts = [text.get_text() for text in ax.texts]
    assert {"W", "3×5", "|∇| ≤ 14", "constant", "7×3", "@", "7×5", "sum", "210"} <= set(texts)


def test_texts_stay_inside_their_boxes(ax):
    result = Formula("softplus(aaaaaa*bbbbbb)")({"aaaaaa": -1.2345, "bbbbbb": 0.0123})
    result.backward()
    plots.computation_graph(result, ax=ax)
    ax.figure.canvas.draw()
    for i, frame in enumerate(ax.patches):
        box = frame.get_window_extent()
        for text in ax.texts[3 * i : 3 * i + 3]:
            assert text.get_window_extent().width < box.width
    assert WIDTH < 1 > HEIGHT  # boxes beside and above each other do not touch


def test_a_node_used_twice_by_one_has_one_line(ax):
    a = Value(3.0, name="a")
    plots.computation_graph(a * a, ax=ax)
    assert len(ax.lines) == 1


def test_notes_stand_on_their_edge(ax):
    drawing = GraphDrawing([[], [0], [1, 0]], ["input", "operation", "operation"], ax)
    for edge, (x, y) in drawing.middles.items():
        xs, ys = drawing.lines[edge].get_data()
        assert xs[-2] < x < xs[-1]
        assert y == pytest.approx(np.interp(x, xs, ys))


def test_numbers_have_three_digits_and_a_true_minus():
    assert [number(x) for x in (-0.12345, 1234567, 2.0)] == ["−0.123", "1.23e+06", "2"]
