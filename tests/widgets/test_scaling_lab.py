"""ScalingLab, driven without a kernel over the range of all of its controls."""

import html

import numpy as np
import pytest
from matplotlib.colors import to_hex

from bigmodel_lib.data.landmarks import FAMILIES, load_landmarks
from bigmodel_lib.growth import fit_growth
from bigmodel_lib.plots.landmarks import FAMILY_STYLES
from bigmodel_lib.scaling import LAWS
from bigmodel_lib.widgets import ScalingLab
from bigmodel_lib.widgets import scaling_lab as module
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.scaling_lab_picture import D_RANGE, N_RANGE, NEAR, RATIO_RANGE
from tests.driving import PNG, settle, values_of

CONTROLS = ("view", "named", "family", "years", "count", "law", "budget")


@pytest.fixture
def timeline():
    return ScalingLab()


@pytest.fixture
def laws():
    return ScalingLab(view="laws")


def words(lab) -> str:
    return html.unescape(lab.summary.value)


def move(lab, **values) -> None:
    for name, value in values.items():
        lab.controls[name].value = value
    settle(lab)
    assert lab.error is None


def labels(lab) -> dict[str, tuple[float, float]]:
    """The names that the timeline shows, and where."""
    shown = [label for label in lab._picture._timeline._labels if label.get_visible()]
    return {label.get_text(): label.xy for label in shown}


@pytest.mark.parametrize("view", ["timeline", "laws"])
@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range_in_either_view(view, name):
    lab = ScalingLab(view=view)
    for value in values_of(lab.controls[name]):
        lab.controls[name].value = value
        settle(lab)
        assert lab.error is None
        assert bytes(lab.picture.value).startswith(PNG)
        assert "nan" not in words(lab)


def test_every_control_is_driven_by_some_test(timeline):
    assert set(timeline.controls) == set(CONTROLS)


def test_both_pictures_are_960_wide(timeline):
    widths = []
    for view in ("timeline", "laws"):
        move(timeline, view=view)
        widths.append(int.from_bytes(timeline.picture.value[16:20]))
    assert widths == [960, 960]


def test_only_the_controls_of_the_view_are_shown(timeline):
    shown = [box.layout.display != "none" for box in timeline._boxes.values()]
    assert shown == [True, False]
    move(timeline, view="laws")
    shown = [box.layout.display != "none" for box in timeline._boxes.values()]
    assert shown == [False, True]


def test_a_recipe_that_names_no_control_is_refused():
    with pytest.raises(ValueError, match="need settings in"):
        ScalingLab(colour="red")


# --- timeline


def test_every_model_is_drawn_in_its_familys_colour(timeline):
    picture = timeline._picture._timeline
    models = load_landmarks()
    for family, marks in picture._marks.items():
        own = [(m.year, m.parameters) for m in models if m.family == family]
        assert marks.get_xydata().tolist() == [list(map(float, point)) for point in own]
        assert to_hex(marks.get_color()) == to_hex(FAMILY_STYLES[family][0])
    looks = set(FAMILY_STYLES.values())
    assert len(looks) == len(FAMILIES)  # no two alike


def test_the_line_is_the_fit_of_what_is_shown(timeline):
    move(timeline, family="Transformer decoder", years=(2018, 2022))
    own = [
        m for m in load_landmarks() if m.family == "Transformer decoder" and 2018 <= m.year <= 2022
    ]
    growth = fit_growth([m.year for m in own], [m.parameters for m in own])
    x, y = timeline._picture._timeline._line.get_data()
    assert y == pytest.approx(growth.size(x))
    low, high = growth.doubling_range
    text = f"doubling every {growth.doubling_time:.2g} years (95%: {low:.2g} to {high:.2g})"
    assert text in words(timeline)
    assert f"{len(own)} models, 2018 to 2022" in words(timeline)
    assert words(timeline).startswith("Transformer decoder: ")


def test_points_and_line_lie_inside_the_axes(timeline):
    for family in ("all families", *FAMILIES):
        move(timeline, family=family)
        ax = timeline._picture._timeline._ax
        view = timeline.compute()
        (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
        assert left < view.years.min() <= view.years.max() < right
        assert bottom < view.sizes.min() <= view.sizes.max() < top


def test_the_extremes_carry_their_names(timeline):
    models = load_landmarks()
    growth = fit_growth([m.year for m in models], [m.parameters for m in models])
    above = {m.name: m.parameters / growth.size(m.year) for m in models}
    ends = {min(above, key=above.get), max(above, key=above.get)}
    assert set(labels(timeline)) == {"ADALINE", "DLRM (12T)", *ends}
    move(timeline, family="CNN", years=(2012, 2012))
    assert labels(timeline) == {"AlexNet": (2012, 60e6)}


def test_a_chosen_model_carries_its_name_where_it_is_shown(timeline):
    move(timeline, named="NETtalk")
    assert labels(timeline) == {"NETtalk": (1987, 18629)}
    assert timeline._picture._timeline._ring.get_xydata().tolist() == [[1987, 18629]]
    assert "NETtalk (18.6 K)" in words(timeline)
    move(timeline, family="CNN")
    assert labels(timeline) == {}
    assert "none of those shown" in words(timeline)


def test_the_axis_says_which_parameters_count_even_where_both_are_the_same(timeline):
    move(timeline, family="CNN", count="those that work on a token")
    assert "those that work on a token" in timeline._picture._timeline._ax.get_ylabel()
    before = bytes(timeline.picture.value)
    move(timeline, count="all that it learns")
    assert "all that it learns" in timeline._picture._timeline._ax.get_ylabel()
    assert bytes(timeline.picture.value) != before


@pytest.mark.parametrize(
    ("view", "name", "values"),
    [("timeline", "family", ("CNN", "RNN", "CNN")), ("laws", "law", [*list(LAWS)[:2], *LAWS][:3])],
)
def test_a_picture_is_that_of_a_fresh_explorer_whatever_was_shown_before(view, name, values):
    moved = ScalingLab(view=view)
    for value in values:
        move(moved, **{name: value})
        fresh = ScalingLab(view=view, **{name: value})
        assert bytes(moved.picture.value) == bytes(fresh.picture.value)


def test_two_models_are_too_few_for_a_line(timeline):
    move(timeline, family="perceptron")
    picture = timeline._picture._timeline
    assert not picture._line.get_visible()
    assert not picture._band.get_visible()
    assert "too few models" in words(timeline)
    move(timeline, family="all families")
    assert picture._line.get_visible()
    assert picture._band.get_visible()


def test_active_parameters_leave_out_what_no_paper_states(timeline):
    move(timeline, family="mixture of experts")
    everything = timeline.compute()
    move(timeline, count="those that work on a token")
    active = timeline.compute()
    known = [m.active for m in load_landmarks() if m.active is not None]
    assert active.sizes.tolist() == known
    assert len(everything.sizes) > len(known)
    assert "no growth" in words(timeline)  # the newest experts are smaller than GLaM's


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"years": (1960, 1980)}, {"family": "RNN"}),
        ({"family": "RNN"}, {"years": (1960, 1980)}),
        ({"family": "recommender"}, {"count": "those that work on a token"}),
    ],
)
def test_no_model_at_all_is_refused_and_the_last_picture_stays(timeline, first, then):
    move(timeline, **first)
    before = bytes(timeline.picture.value)
    (moved,) = then
    move(timeline, **then)
    assert "no model of this family" in timeline.status.value
    assert timeline.controls[moved].layout.border is not None
    assert bytes(timeline.picture.value) == before
    with pytest.raises(RefusedError):
        timeline.run()
    move(timeline, family="all families", years=(1957, 2025))
    assert "no model" not in timeline.status.value
    assert timeline.controls[moved].layout.border is None


def test_a_recipe_without_a_model_is_refused():
    with pytest.raises(RefusedError, match="no model of this family from 1960 to 1970"):
        ScalingLab(family="RNN", years=(1960, 1970))


# --- laws


@pytest.mark.parametrize("C", [1e18, 5.76e23, 1e27])
def test_the_star_is_the_best_split_and_lies_on_all_curves(laws, C):
    for name in LAWS:
        move(laws, law=name, budget=C)
        check_star(laws, name, C)


def check_star(laws, name, C):
    picture, view = laws._picture._laws, laws.compute()
    assert LAWS[name].frontier.optimum(C) == pytest.approx((view.N, view.D))
    ((x, y),) = picture._best.get_xydata()
    assert N_RANGE[0] < x < N_RANGE[1]
    assert D_RANGE[0] < y < D_RANGE[1]
    for line in (picture._iso, picture._frontier):
        along = np.interp(np.log(x), *np.log(line.get_data()))
        assert along == pytest.approx(np.log(y))
    if view.loss is not None:  # nowhere on the budget is the loss lower
        assert (LAWS[name].loss(*view.iso) >= view.loss).all()


def test_contours_are_those_of_the_law_and_go_with_it(laws):
    picture = laws._picture._laws
    assert len(picture._contours.levels) > 1
    N, D, loss = laws.compute().surface
    assert loss[7, 5] == LAWS["Hoffmann 2022, approach 3"].loss(N[5], D[7])
    assert len(picture._map.texts) > 3
    move(laws, law="Hoffmann 2022, approach 1")
    assert picture._contours is None
    assert len(picture._map.collections) == 0
    assert list(picture._map.texts) == [picture._label]
    assert "the paper gives no loss" in words(laws)
    move(laws, law="Besiroglu 2024")
    assert len(picture._map.collections) == 1
    assert "nats a token" in words(laws)


def test_the_budget_moves_only_what_depends_on_it(laws):
    picture = laws._picture._laws
    contours, before = picture._contours, bytes(laws.picture.value)
    move(laws, budget=1e25)
    assert picture._contours is contours
    assert bytes(laws.picture.value) != before


def test_each_model_lies_at_its_place_and_says_how_it_was_trained(laws):
    move(laws, law="Hoffmann 2022, approach 1")
    picture, view = laws._picture._laws, laws.compute()
    places = [line.get_xydata() for line in (picture._dense, picture._sparse)]
    assert len(np.concatenate(places)) == len(view.models) >= 15
    ratios = {model.name: model.ratio for model in view.models}
    assert ratios["Chinchilla"] == pytest.approx(1, abs=0.1)  # built by this law
    assert ratios["GPT-3"] == pytest.approx(300e9 / 3.7e12, rel=0.05)  # table 3: 175 B
    assert ratios["Gopher"] == pytest.approx(300e9 / 5.9e12, rel=0.05)  # table 3: 280 B
    assert RATIO_RANGE[0] < min(ratios.values()) < max(ratios.values()) < RATIO_RANGE[1]


def test_every_ratio_is_drawn_beside_its_name_and_on_its_side(laws):
    for name in LAWS:
        move(laws, law=name)
        check_ratios(laws)


def check_ratios(laws):
    picture, models = laws._picture._laws, laws.compute().models
    names = [label.get_text() for label in picture._side.get_yticklabels()]
    assert names == [model.name for model in models]
    drawn = {}
    for line in (picture._few, picture._near, picture._many):
        drawn |= {int(row): (ratio, line) for ratio, row in line.get_xydata()}
    for row, model in enumerate(models):
        ratio, line = drawn[row]
        assert ratio == model.ratio
        assert RATIO_RANGE[0] < ratio < RATIO_RANGE[1]
        assert (line is picture._few) == (ratio < 1 / NEAR)
        assert (line is picture._many) == (ratio > NEAR)


def test_a_chosen_model_is_pointed_at_in_both_panels(laws):
    picture = laws._picture._laws
    assert picture._label.get_text() == ""
    assert len(picture._ring.get_xdata()) == 0
    move(laws, named="GPT-3")
    row = [model.name for model in laws.compute().models].index("GPT-3")
    assert picture._ring.get_xydata().tolist() == [[174.6e9, 300e9]]
    assert picture._label.get_text() == "GPT-3"
    assert list(picture._bar.get_ydata()) == [row, row]
    assert "GPT-3 (175 B parameters, 3.1e+23 FLOPs): 300 B tokens" in words(laws)
    move(laws, named="AlexNet")  # no language model
    assert picture._label.get_text() == ""
    assert len(picture._bar.get_ydata()) == 0


def test_experts_count_by_what_works_on_a_token(laws):
    places = laws._picture._laws._sparse.get_xydata().tolist()
    assert [37e9, 14.8e12] in places  # DeepSeek-V3


def test_kaplans_sizes_say_what_they_leave_out(laws):
    move(laws, law="Kaplan 2020, measured")
    assert "embeddings not counted" in words(laws)
    move(laws, law="Besiroglu 2024")
    assert "embeddings not counted" not in words(laws)
    assert "80 %: 0.490 to 0.536" in laws._picture._laws._map.get_title(loc="left")


def test_only_models_of_language_are_judged():
    names = {model.name for model in module._language_models()}
    assert {"GPT-3", "Chinchilla", "DeepSeek-V3"} <= names
    assert not {"BERT (large)", "T5-11B", "Switch-C", "ViT-22B"} & names
