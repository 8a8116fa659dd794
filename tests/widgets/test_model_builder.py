"""ModelBuilder, driven without a kernel over the range of all of its controls."""

import pytest
import torch

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.models.transformer import GPT, PRESETS
from bigmodel_lib.widgets import ModelBuilder
from bigmodel_lib.widgets import model_builder_picture as picture
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.model_builder import OWN, SIZES, TO_SERVE, costs_of
from tests.driving import PNG, settle, tick, values_of

CONTROLS = ("preset", *SIZES, "B", "train", "serve")


@pytest.fixture
def builder():
    return ModelBuilder(H=1)  # one head divides every width


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(builder, name):
    seen = set()
    for value in values_of(builder.controls[name]):
        builder.controls[name].value = value
        if builder.controls["D"].value % builder.controls["H"].value:
            with pytest.raises(RefusedError, match="do not divide the width"):
                builder.run()
            continue
        builder.run()
        assert bytes(builder.picture.value).startswith(PNG)
        assert builder.error is None
        seen.add((builder.summary.value, bytes(builder.picture.value)))
    assert len(seen) > 1


def test_every_control_is_driven_by_some_test(builder):
    assert set(builder.controls) == set(CONTROLS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_the_sizes_and_names_itself(builder, name):
    builder.controls["preset"].value = name
    builder.run()
    assert {size: builder.controls[size].value for size in SIZES} == {
        size: getattr(PRESETS[name], size) for size in SIZES
    }
    assert f"{count_parameters(PRESETS[name]).total:,} parameters" in builder.summary.value
    assert f"next in size: {name}" in builder.summary.value


def test_a_size_moved_by_hand_makes_the_model_the_readers_own_and_back(builder):
    builder.controls["preset"].value = "GPT-2 medium"
    settle(builder)
    builder.controls["L"].value = 23
    settle(builder)
    assert builder.controls["preset"].value == OWN
    builder.controls["L"].value = 24
    settle(builder)
    assert builder.controls["preset"].value == "GPT-2 medium"
    builder.controls["preset"].value = OWN  # names no sizes: nothing to move
    settle(builder)
    assert builder.controls["preset"].value == "GPT-2 medium"


def test_heads_that_do_not_divide_the_width_turn_red_and_the_picture_stays(builder):
    before = bytes(builder.picture.value)
    builder.controls["H"].value = 7
    tick(builder)
    assert "7 heads do not divide the width 768" in builder.status.value
    assert builder.controls["H"].layout.border_top
    assert builder.picture.value == before
    with pytest.raises(RefusedError, match="7 heads"):
        builder.run()
    builder.controls["H"].value = 8
    tick(builder)
    assert builder.controls["H"].layout.border_top is None
    assert builder._refused == {}


def test_another_width_mends_heads_that_were_refused(builder):
    builder.controls["H"].value = 5
    tick(builder)
    assert set(builder._refused) == {"H"}
    builder.controls["D"].value = 640
    tick(builder)
    assert builder._refused == {}
    assert "L = 12, D = 640, H = 5" in builder.summary.value


def test_the_dots_show_what_an_instance_holds():
    builder = ModelBuilder(L=2, D=64, H=2, V=256, T=64, B=4)
    config = builder.compute().costs.config
    with torch.device("meta"):
        numbers = [p.numel() for p in GPT(config).parameters()]
    *parts, whole = (dot.get_xdata()[0] for dot in builder._picture._parameters._dots)
    assert sum(parts) == whole == sum(numbers)
    memory = [sum(dot.get_xdata()) for dot in builder._picture._memory._dots]
    assert memory[:5] == [2 * whole, 2 * whole, 4 * whole, 8 * whole, 16 * whole]
    # each layer keeps a key and a value of width D for each of the 64 tokens of 4 sequences
    assert memory[5:7] == [2 * whole, 2 * 2 * 64 * 4 * 64 * 2]
    assert builder._picture._own_train.get_ydata()[0] == 16 * whole


def test_every_dot_is_inside_its_axes_at_the_smallest_and_the_largest():
    ends = {size: values_of(ModelBuilder().controls[size]) for size in SIZES}
    for end in (0, -1):
        sizes = {name: values[end] for name, values in ends.items()}
        builder = ModelBuilder(**sizes, B=256 if end else 1, serve="float32")
        for parts in (builder._picture._parameters, builder._picture._memory):
            low, high = parts.ax.get_xlim()
            assert all(low <= x <= high for dot in parts._dots for x in dot.get_xdata())
        for dot in (builder._picture._own_serve, builder._picture._own_flops):
            for at, limits in zip(
                dot.get_xydata()[0], (dot.axes.get_xlim(), dot.axes.get_ylim()), strict=True
            ):
                assert limits[0] <= at <= limits[1]


def test_precision_and_batch_change_memory_alone():
    config = PRESETS["GPT-2 small"]
    plain = costs_of(config, 1, "mixed", "16 bit")
    other = costs_of(config, 3, "float32", "8-bit weights")
    assert (other.parameters, other.flops) == (plain.parameters, plain.flops)
    assert other.serving.weights * 2 == plain.serving.weights
    assert other.serving.cache == 3 * plain.serving.cache
    assert (other.training.master, plain.training.master) == (0, 4 * plain.parameters.total)
    assert set(TO_SERVE) == {"float32", "16 bit", "8-bit weights"}


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (2e9, "fits: free cloud notebook, 2 GB"),
        (2.1e9, "fits: laptop, 16 GB"),
        (80e9, "fits: data-centre GPU, 80 GB"),
        (80.1e9, "needs 2 GPUs of 80 GB at least"),
    ],
)
def test_what_fits_is_said(size, said):
    assert picture._fits(size) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 "), (384, "384 "), (999_999, "1 M"), (124_439_808, "124 M"), (565e12, "565 T")],
)
def test_numbers_are_short(value, text):
    assert picture.short(value, picture.UNITS) == text


def test_choices_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="got 'layers'"):
        ModelBuilder(layers=3)
    with pytest.raises(RefusedError, match="7 heads do not divide the width 768"):
        ModelBuilder(H=7)
