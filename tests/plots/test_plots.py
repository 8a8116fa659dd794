"""Pictures, by the artists in them: what they show, not what they look like."""

import base64
import io
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.colors import to_hex
from PIL import Image as Picture

from bigmodel_lib import plots

mpl.use("Agg")


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture
def shown(monkeypatch):
    """What reaches the notebook: pairs of bundle and metadata, by MIME type."""
    published = []

    class Publisher:
        def publish(self, data, metadata=None, **others):
            published.append((data, metadata))

    shell = SimpleNamespace(display_formatter=DisplayFormatter(), display_pub=Publisher())
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(InteractiveShell, "instance", lambda: shell)
    return published


def decoded(bundle):
    return Picture.open(io.BytesIO(base64.b64decode(bundle["image/png"])))


def texts(artists):
    return [artist.get_text() for artist in artists]


def legend(ax):
    return texts(ax.get_legend().get_texts())


# --- pictures of pictures ---


def distinct(N, h, w):
    """Images whose pixels are all different, none of them 0."""
    return np.arange(1.0, N * h * w + 1).reshape(N, 1, h, w)


@pytest.mark.parametrize(("N", "columns"), [(7, 3), (6, 3), (1, 5), (5, 1), (2, 5)])
@pytest.mark.parametrize("gap", [0, 1, 2, 3])
def test_each_image_sits_where_it_should_and_the_gaps_are_grey(N, columns, gap):
    h, w = 5, 3
    images = distinct(N, h, w)
    picture = plots.mosaic(images, columns, gap)
    rows = {1: 1, 2: 1, 5: 5, 6: 2, 7: 3}[N]
    assert picture.shape == (rows * (h + gap) + gap, columns * (w + gap) + gap)
    for i, image in enumerate(images[:, 0]):
        top, left = gap + i // columns * (h + gap), gap + i % columns * (w + gap)
        place = np.s_[top : top + h, left : left + w]
        np.testing.assert_array_equal(picture[place], image)
        picture[place] = 0
    assert (picture == 0).all()  # nothing is left


def test_a_gap_of_two_pixels_unless_told_otherwise():
    np.testing.assert_array_equal(
        plots.mosaic(distinct(2, 5, 3), 2), plots.mosaic(distinct(2, 5, 3), 2, gap=2)
    )


def test_a_mosaic_keeps_the_number_format_and_takes_tensors():
    images = torch.ones(3, 1, 5, 7, dtype=torch.float32)
    assert plots.mosaic(images, 2).dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "columns"), [((3, 5, 7), 2), ((3, 3, 5, 7), 2), ((3, 1, 5, 7), 0), ((5, 7), 1)]
)
def test_a_mosaic_of_anything_else_is_refused(shape, columns):
    with pytest.raises(ValueError, match="need images") as caught:
        plots.mosaic(np.zeros(shape), columns)
    assert str(caught.value).endswith(f"got {shape} and {columns}")


def test_an_image_grid_shows_the_mosaic_on_a_fixed_scale(ax):
    images = distinct(7, 5, 3) / 1000
    assert plots.image_grid(images, 3, title="seven", ax=ax) is ax
    (picture,) = ax.get_images()
    np.testing.assert_array_equal(picture.get_array(), plots.mosaic(images, 3))
    assert picture.get_clim() == (-1, 1)  # of the data range, not of these images
    assert picture.get_cmap().name == "gray"
    assert ax.get_title() == "seven"
    assert not ax.axison


# --- training curves ---

HISTORY = {
    "step": [3, 4, 5, 6, 7],
    "d_loss": [1.0, 2.0, 6.0, 4.0, 5.0],
    "g_loss": [7.0, 5.0, 3.0, 2.0, 1.0],
}


def test_a_line_for_each_name(ax):
    names = {"g_loss": "G", "d_loss": "D"}
    assert plots.training_curves(HISTORY, names, ylabel="loss (nats)", ax=ax) is ax
    assert len(ax.lines) == 2
    for line, (name, label) in zip(ax.lines, names.items(), strict=True):
        assert line.get_xdata().tolist() == HISTORY["step"]
        assert line.get_ydata().tolist() == HISTORY[name]
        assert line.get_label() == label
    assert [line.get_color() for line in ax.lines] == [plots.BLUE, plots.ORANGE]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss (nats)")
    assert legend(ax) == ["G", "D"]


def test_a_running_mean_stands_at_the_last_of_its_steps(ax):
    plots.training_curves(HISTORY, {"d_loss": "D"}, ylabel="loss", smooth=3, ax=ax)
    raw, smooth = ax.lines
    assert raw.get_ydata().tolist() == HISTORY["d_loss"]
    assert raw.get_alpha() < 0.5
    assert smooth.get_xdata().tolist() == [5, 6, 7]
    assert smooth.get_ydata() == pytest.approx([3, 4, 5])
    assert legend(ax) == ["D"]  # once


@pytest.mark.parametrize(("smooth", "lines"), [(5, 2), (6, 1), (50, 1)])
def test_a_history_shorter_than_the_mean_is_shown_raw(ax, smooth, lines):
    plots.training_curves(HISTORY, {"d_loss": "D"}, ylabel="loss", smooth=smooth, ax=ax)
    assert len(ax.lines) == lines
    assert ax.lines[0].get_ydata().tolist() == HISTORY["d_loss"]
    assert legend(ax) == ["D"]


def test_a_run_s_history_of_tensors(ax):
    history = {name: torch.tensor(column) for name, column in HISTORY.items()}
    plots.training_curves(history, {"d_loss": "D"}, ylabel="loss", smooth=3, ax=ax)
    assert ax.lines[1].get_ydata() == pytest.approx([3, 4, 5])


def change(step, name, new):
    return SimpleNamespace(step=step, name=name, old=None, new=new)


def test_changes_are_marked_where_they_happened(ax):
    changes = [change(11, "d_lr", 0.00031), change(13, "loss", "hinge"), change(17, "d_steps", 3)]
    artists = plots.mark_changes(changes, ax=ax)
    assert [line.get_xdata() for line in ax.lines] == [[11, 11], [13, 13], [17, 17]]
    assert texts(ax.texts) == ["d_lr → 0.00031", "loss → hinge", "d_steps → 3"]
    assert [text.xy[0] for text in ax.texts] == [11, 13, 17]
    heights = [text.xy[1] for text in ax.texts]
    assert heights == sorted(set(heights), reverse=True)  # each below the one before
    assert artists == [*ax.lines, *ax.texts]
    for artist in artists:
        artist.remove()
    assert not ax.lines
    assert not ax.texts


def test_only_the_last_changes_carry_their_names(ax):
    plots.mark_changes([change(step, "d_steps", step) for step in range(7)], ax=ax, last=2)
    assert len(ax.lines) == 7
    assert texts(ax.texts) == ["d_steps → 5", "d_steps → 6"]


def test_no_change_no_mark(ax):
    assert plots.mark_changes([], ax=ax) == []


# --- scores and classes ---


def test_scores_as_shares_of_images(ax):
    real, fake = [0.1, 0.2, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3]
    edges = [0, 0.5, 1]
    assert plots.score_histogram(real, fake, xlabel="σ(D)", bins=edges, ax=ax) is ax
    steps = [patch.get_data() for patch in ax.patches]
    assert [step.values.tolist() for step in steps] == [pytest.approx([0.4, 0.6]), [1, 0]]
    assert [step.edges.tolist() for step in steps] == [edges, edges]
    assert [to_hex(p.get_edgecolor()).upper() for p in ax.patches] == [plots.BLUE, plots.ORANGE]
    assert legend(ax) == ["real", "generated"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("σ(D)", "share of images")


def test_both_sets_of_scores_fall_into_the_same_bins(ax):
    """With bins of their own, two heights could not be compared."""
    real, fake = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([5.0, 7.0])
    plots.score_histogram(real, fake, xlabel="D", bins=7, ax=ax)
    of_real, of_fake = (patch.get_data() for patch in ax.patches)
    assert of_real.edges.tolist() == of_fake.edges.tolist() == list(range(8))
    assert of_real.values == pytest.approx([1 / 3] * 3 + [0] * 4)
    assert of_fake.values.tolist() == [0, 0, 0, 0, 0, 0.5, 0.5]


def test_class_bars_beside_the_fair_share(ax):
    shares = [0.5, 0.0, 0.3, 0.1, 0.05]
    names = ["Dress", "Coat", "Shirt", "Bag", "Boot"]
    assert plots.class_bars(np.array(shares), names, ax=ax) is ax
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(shares)
    centres = [bar.get_x() + bar.get_width() / 2 for bar in ax.patches]
    assert centres == pytest.approx(range(5))
    assert ax.get_xticks() == pytest.approx(range(5))
    assert texts(ax.get_xticklabels()) == names
    (fair,) = ax.lines
    assert list(fair.get_ydata()) == [0.2, 0.2]
    assert legend(ax) == ["fair share"]
    assert "class" in ax.get_xlabel()
    assert ax.get_ylabel() == "share of images"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.image_grid(distinct(2, 5, 3)),
        lambda: plots.training_curves(HISTORY, {"d_loss": "D"}, ylabel="loss"),
        lambda: plots.score_histogram([1, 2], [3, 4], xlabel="D"),
        lambda: plots.class_bars([0.5, 0.5], "ab"),
    ],
    ids=["images", "curves", "scores", "classes"],
)
def test_without_axes_the_current_ones_are_drawn_on(ax, draw):
    assert draw() is ax


# --- showing ---


@pytest.fixture
def figure():
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([1, 2, 3])
    yield figure
    plt.close(figure)


def test_a_figure_is_displayed_as_png_with_its_alt_text_and_closed(shown, figure):
    assert plots.show(figure, "a line that rises") is None
    ((bundle, metadata),) = shown
    assert metadata["image/png"]["alt"] == "a line that rises"
    assert bundle["text/plain"] == "a line that rises"
    assert decoded(bundle).format == "PNG"
    assert not plt.fignum_exists(figure.number)


def test_more_dots_an_inch_more_pixels(shown):
    for dpi in (50, 150):
        plots.show(plt.subplots(figsize=(3, 2))[0], "axes", dpi=dpi)
    small, large = (decoded(bundle).size for bundle, _ in shown)
    assert large[0] / small[0] == pytest.approx(3, rel=0.05)
    assert small[0] == pytest.approx(3 * 50, rel=0.1)


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_a_figure_without_alt_text_is_refused(shown, figure, alt):
    with pytest.raises(ValueError, match="need an alt text"):
        plots.show(figure, alt)
    assert shown == []
    assert plt.fignum_exists(figure.number)  # the reader may try again


def test_a_table(shown):
    plots.table(
        {
            "article": {"Fréchet": 12.3456, "modes": 10, "loss": "hinge"},
            "convolutional": {"Fréchet": 0.0012345, "modes": 114064, "loss": "least squares"},
        }
    )
    ((bundle, _),) = shown
    assert bundle["text/markdown"].splitlines() == [
        "|  | Fréchet | modes | loss |",
        "| -- | --: | --: | --: |",
        "| article | 12.3 | 10 | hinge |",
        "| convolutional | 0.00123 | 114,064 | least squares |",
    ]


@pytest.mark.parametrize(
    "rows",
    [{}, {"a": {"x": 1}, "b": {"y": 1}}, {"a": {"x": 1, "y": 2}, "b": {"y": 2, "x": 1}}],
    ids=["no rows", "other columns", "another order"],
)
def test_a_table_of_unlike_rows_is_refused(shown, rows):
    with pytest.raises(ValueError, match="need rows of the same columns"):
        plots.table(rows)
    assert shown == []


# --- calibration ---


def test_reliability_diagram_shows_each_bin_its_gap_and_the_diagonal(ax):
    confidence, accuracy = np.array([np.nan, 0.5, 0.9]), np.array([np.nan, 0.7, 0.6])
    returned = plots.reliability_diagram(confidence, accuracy, np.array([0, 0.2, 0.8]), ax=ax)
    assert returned is ax
    gaps, bins = ax.collections
    assert bins.get_offsets()[1:].tolist() == [[0.5, 0.7], [0.9, 0.6]]
    sizes = bins.get_sizes()
    assert sizes[2] > sizes[1]  # more predictions, larger
    assert [line.tolist() for line in gaps.get_segments()[1:]] == [
        [[0.5, 0.7], [0.5, 0.5]],
        [[0.9, 0.6], [0.9, 0.9]],
    ]
    assert ax.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    assert legend(ax) == ["calibrated", "gap", "bin"]
    assert "confidence" in ax.get_xlabel()
