"""The fast canvas: whole pictures when something new is there, moving artists otherwise."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from bigmodel_lib.widgets.canvas import KEPT, Canvas, png_bytes, update


def pixels(png: bytes) -> np.ndarray:
    """RGB (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture
def full_draws(monkeypatch):
    """A list that grows with each full redraw."""
    draws, draw = [], FigureCanvasAgg.draw

    def counted(self):
        draws.append(self)
        draw(self)

    monkeypatch.setattr(FigureCanvasAgg, "draw", counted)
    return draws


@pytest.fixture
def canvas():
    return Canvas(211, 101)


@pytest.fixture
def line(canvas):
    ax = canvas.figure.add_subplot(xlim=(0, 1), ylim=(0, 1))
    (line,) = ax.plot([0, 1], [0.2, 0.2], color="red", lw=3)
    canvas.moving(line)
    return line


@pytest.mark.usefixtures("line")
def test_frames_without_a_change_are_equal_and_drawn_once(canvas, full_draws):
    assert canvas.png() == canvas.png() == canvas.png()
    assert len(full_draws) == 1


def test_a_moved_artist_changes_the_picture_without_a_full_redraw(canvas, line, full_draws):
    low = canvas.png()
    line.set_ydata([0.8, 0.8])
    high = canvas.png()
    line.set_ydata([0.2, 0.2])
    assert canvas.png() == low != high  # nothing of the high line stayed behind
    assert len(full_draws) == 1


def test_a_frame_is_what_a_full_drawing_would_be(canvas, line):
    canvas.png()
    line.set_ydata([0.8, 0.3])
    frame = canvas.png()
    line.set_animated(False)
    FigureCanvasAgg(canvas.figure).draw()
    whole = np.asarray(canvas.figure.canvas.buffer_rgba())[..., :3]
    # the line lies above the frame of the axes here, below it there: a few pixels at its ends
    assert (pixels(frame) != whole).any(axis=2).mean() < 0.005


def test_redraw_picks_up_what_else_changed(canvas, line, full_draws):
    before = canvas.png()
    line.axes.set_facecolor("yellow")
    canvas.redraw()
    assert len(full_draws) == 1  # not yet: in the next frame
    after = canvas.png()
    assert len(full_draws) == 2
    assert (pixels(after) != pixels(before)).any(axis=2).mean() > 0.3
    assert canvas.png() == after
    assert len(full_draws) == 2


def test_without_redraw_the_background_stays(canvas, line, full_draws):
    before = pixels(canvas.png())
    line.axes.set_facecolor("yellow")
    np.testing.assert_array_equal(pixels(canvas.png()), before)
    assert len(full_draws) == 1


def test_an_artist_named_late_leaves_no_ghost(canvas, line):
    (late,) = line.axes.plot([0, 1], [0.5, 0.5], color="blue", lw=3)
    canvas.png()
    canvas.moving(late)
    late.set_ydata([2, 2])  # out of sight
    assert not is_blue(canvas.png()).any()
    late.set_ydata([0.5, 0.5])
    assert is_blue(canvas.png()).any()


def is_blue(png):
    red, green, blue = np.moveaxis(pixels(png).astype(int), 2, 0)
    return (blue > 200) & (red < 50) & (green < 50)


def test_several_artists_may_move_and_the_later_lies_on_top(canvas):
    ax = canvas.figure.add_axes((0, 0, 1, 1), ylim=(0.2, 0.8))
    red, blue = (ax.axhspan(0, 1, color=colour) for colour in ("red", "blue"))
    canvas.moving(red, blue)
    assert is_blue(canvas.png()).mean() > 0.9  # all but the frame of the axes


@pytest.mark.parametrize(
    ("width", "height", "dpi"),
    [(960, 560, 100), (57, 113, 100), (29, 58, 100), (211, 101, 100), (113, 57, 72), (28, 57, 110)],
)
def test_the_picture_has_the_size_asked_for(width, height, dpi):
    picture = Image.open(io.BytesIO(Canvas(width, height, dpi).png()))
    assert picture.format == "PNG"
    assert picture.mode == "RGB"
    assert picture.size == (width, height)


def test_it_is_white_where_nothing_is_drawn_and_up_to_the_edge():
    assert (pixels(Canvas(57, 113).png()) == 255).all()


def test_pyplot_knows_nothing_of_it():
    figures = plt.get_fignums()
    Canvas(57, 29).png()
    assert plt.get_fignums() == figures


def test_png_bytes_keep_every_pixel():
    rgba = np.random.default_rng(3).integers(0, 256, (5, 3, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    np.testing.assert_array_equal(pixels(png_bytes(rgba)), rgba[..., :3])


def test_what_changes_seldom_is_drawn_anew_when_asked_only():
    canvas = Canvas(57, 41)
    ax = canvas.figure.add_axes((0, 0, 1, 1))
    (line,) = ax.plot([0, 1], [0.5, 0.5], lw=9)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    canvas.seldom(line)
    first = canvas.png()
    line.set_ydata([0.1, 0.9])
    assert canvas.png() == first
    canvas.relabel()
    assert canvas.png() != first


def test_a_layer_that_comes_again_is_kept_until_the_background_changes(monkeypatch):
    canvas = Canvas(80, 40)
    text = canvas.figure.text(0.1, 0.5, "one")
    canvas.seldom(text)
    drawn, pictures = [], []
    draw = canvas.figure.draw_artist
    monkeypatch.setattr(canvas.figure, "draw_artist", lambda a: (drawn.append(a), draw(a)))
    for word in ("one", "two", "one", "two"):
        text.set_text(word)
        canvas.relabel(word)
        pictures.append(canvas.png())
    assert len(drawn) == 2
    assert pictures[:2] == pictures[2:]
    assert pictures[0] != pictures[1]
    canvas.figure.set_facecolor("yellow")
    canvas.redraw()
    canvas.relabel("one")
    assert canvas.png() not in pictures
    for number in range(KEPT + 3):  # and not without end
        canvas.relabel(number)
        canvas.png()
    assert len(canvas._layers) == KEPT


# --- text and axes that stay


@pytest.fixture
def draws_of(monkeypatch):
    """How often artists of a class were drawn: a list that grows."""

    def counting(kind):
        draws, draw = [], kind.draw
        monkeypatch.setattr(kind, "draw", lambda self, *a: (draws.append(self), draw(self, *a)))
        return draws

    return counting


BOX = {"facecolor": "black", "alpha": 0.7, "pad": 2}


@pytest.fixture
def words():
    """A canvas with a coloured ground and three texts on it: plain, turned, in a dark box."""
    canvas = Canvas(211, 101)
    ax = canvas.figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(0, 1), facecolor="#ffcc88")
    styles = ({}, {"rotation": 40}, {"bbox": BOX, "color": "yellow"})
    texts = [ax.text(0.1 + 0.3 * i, 0.4, "AVAmore", **style) for i, style in enumerate(styles)]
    canvas.moving(*texts)
    return canvas, texts


def drawn_whole(canvas) -> np.ndarray:
    """RGB of a drawing of the whole figure."""
    agg = FigureCanvasAgg(canvas.figure)
    for artist in canvas._moving:
        artist.set_animated(False)
    agg.draw()
    for artist in canvas._moving:
        artist.set_animated(True)
    return np.asarray(agg.buffer_rgba())[..., :3].astype(int)


def test_kept_text_looks_as_if_drawn_and_always_alike(words):
    canvas, texts = words
    first = canvas.png()
    assert canvas.png() == first
    texts[0].set_text("other")
    other = canvas.png()
    assert np.abs(pixels(other) - drawn_whole(canvas)).max() <= 2  # of 255, where paint overlaps
    texts[0].set_text("AVAmore")
    assert canvas.png() == first != other


def test_only_text_that_changed_is_drawn(words, draws_of):
    canvas, texts = words
    draws = draws_of(Text)
    canvas.png()
    assert all(text in draws for text in texts)
    for change in (
        lambda: texts[1].set_color("red"),
        lambda: texts[1].set_position((0.2, 0.2)),
        lambda: texts[1].set_text(""),
    ):
        before = canvas.png()
        draws.clear()
        change()
        assert canvas.png() != before
        assert draws == [texts[1]]
    draws.clear()
    canvas.png()
    assert draws == []  # nor is a text that says nothing


def test_text_whose_place_is_in_the_data_moves_with_the_limits(words, draws_of):
    canvas, texts = words
    canvas.moving(texts[0].axes.xaxis)
    canvas.png()
    full = draws_of(FigureCanvasAgg)
    canvas.limit(texts[0].axes, (0, 2), (0, 1))
    moved = pixels(canvas.png())
    assert full == []
    assert np.abs(moved - drawn_whole(canvas)).max() <= 2


def test_an_annotation_follows_its_point(words):
    canvas, (text, *_others) = words
    style = {"xytext": (9, 9), "textcoords": "offset points"}
    note = text.axes.annotate("here", (0.1, 0.1), **style)
    canvas.moving(note)
    canvas.png()  # its place is known once it was drawn
    before = canvas.png()
    note.xy = (0.6, 0.6)
    assert canvas.png() != before
    assert np.abs(pixels(canvas.png()) - drawn_whole(canvas)).max() <= 2


@pytest.fixture
def scaled(canvas, line):
    """A canvas whose y-axis may get other limits."""
    canvas.moving(line.axes.yaxis)
    canvas.png()
    return canvas, line.axes


def test_other_limits_draw_the_axis_anew_and_nothing_else(scaled, full_draws, draws_of):
    canvas, ax = scaled
    draws = draws_of(Axis)
    pictures = {}
    for top in (1, 0.5, 1, 0.5, 0.7):
        canvas.limit(ax, (0, 1), (0, top))
        pictures.setdefault(top, []).append(canvas.png())
    assert draws == [ax.yaxis] * 2  # at 0.5 and at 0.7: at 1 it stood before, and 0.5 came again
    assert full_draws == []
    assert all(len(set(alike)) == 1 for alike in pictures.values())
    assert len({alike[0] for alike in pictures.values()}) == 3
    # the axis lies above the frame here, below it there: their common pixels
    assert (pixels(canvas.png()) != drawn_whole(canvas)).any(axis=2).mean() < 0.005


def test_limits_of_an_axis_that_was_not_named_cost_a_full_drawing(scaled, full_draws):
    canvas, ax = scaled
    canvas.limit(ax, (0, 3), (0, 1))
    canvas.png()
    assert len(full_draws) == 1


def test_limits_that_other_axes_share_cost_a_full_drawing(scaled, full_draws):
    canvas, ax = scaled
    canvas.figure.add_subplot(sharey=ax)
    canvas.limit(ax, (0, 1), (0, 3))
    canvas.png()
    assert len(full_draws) == 1


def test_a_redraw_forgets_what_was_kept_of_an_axis(scaled):
    canvas, ax = scaled
    before = canvas.png()
    ax.tick_params("y", labelsize=20)
    assert canvas.png() == before
    canvas.redraw()
    assert canvas.png() != before


def test_another_name_of_an_axis_is_drawn(scaled, full_draws):
    canvas, ax = scaled
    before = canvas.png()
    ax.yaxis.set_label_coords(0.5, 0.5)
    ax.set_ylabel("y")
    named = canvas.png()
    assert named != before
    ax.set_ylabel("")
    assert canvas.png() == before
    assert full_draws == []


def test_what_is_kept_of_an_axis_ends(scaled):
    canvas, ax = scaled
    for top in range(1, KEPT + 5):
        canvas.limit(ax, (0, 1), (0, top))
        canvas.png()
    assert len(canvas._stamps[ax.yaxis]) == KEPT


def test_update_sets_only_what_differs(words):
    canvas, (text, *_others) = words
    canvas.png()
    update(text, text="AVAmore", position=(0.1, 0.4))
    assert not text.stale
    update(text, text="AVAmore", color="red")
    assert text.stale
    assert text.get_color() == "red"
