"""AttentionExplorer, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bigmodel_lib.plots import ORANGE
from bigmodel_lib.widgets import AttentionExplorer
from bigmodel_lib.widgets.attention_picture import DIVERGING, GAP, MASKED, SEQUENTIAL
from bigmodel_lib.widgets.base import RefusedError
from tests.driving import cell, pixels, values_of


@pytest.fixture
def explorer():
    return AttentionExplorer(D=16, d=4)


SLIDERS = ("length", "D", "H", "d", "rule", "temperature", "positions", "seed")


@pytest.mark.parametrize("name", SLIDERS)
def test_each_control_over_its_range(explorer, name):
    for value in values_of(explorer.controls[name]):
        if name == "d" and value == 1024:
            continue  # 12 million numbers drawn, for nothing new
        explorer.controls[name].value = value
        explorer.run()
        assert bytes(explorer.picture.value).startswith(b"\x89PNG")


def test_every_control_is_driven_by_some_test(explorer):
    others = {"text", "split", "mask", "weights", "head"}
    assert set(explorer.controls) == set(SLIDERS) | others


def test_every_head_can_be_looked_at(explorer):
    explorer.controls["H"].value = 16
    for head in range(1, 17):
        explorer.controls["head"].value = head
        explorer.run()
        assert f"head {head} of 16" in explorer.summary.value


@pytest.mark.parametrize("head", [1, 6, 16])
def test_the_orange_frame_lies_round_its_head_in_the_overview(explorer, head):
    explorer.controls["H"].value, explorer.controls["head"].value = 16, head
    explorer.run()
    box = explorer._picture._heads_ax.bbox
    overview = pixels(explorer)[::-1][round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)]
    rows, columns = np.nonzero(np.abs(overview / 255 - to_rgb(ORANGE)).max(axis=2) < 0.02)
    height, width = overview.shape[:2]
    row, column = divmod(head - 1, 8)
    # eight heads a row, two rows, the first row on top; gaps of 8 % of a head
    assert columns.min() / width == pytest.approx(column / 8, abs=0.02)
    assert columns.max() / width == pytest.approx((column + 1) / 8, abs=0.02)
    assert 1 - rows.max() / height == pytest.approx(row / 2, abs=0.05)
    assert 1 - rows.min() / height == pytest.approx((row + 1) / 2, abs=0.05)


@pytest.mark.parametrize("at", [(0, 0), (0, -1), (-1, 0), (-2, 1)])
def test_each_cell_has_the_colour_of_its_value_and_what_is_masked_is_grey(explorer, at):
    explorer.controls["mask"].value, explorer.controls["head"].value = "causal", 2
    explorer.run()
    view, picture = explorer.compute(), explorer._picture
    s, grey = view.stages, np.array(to_rgb(MASKED))
    tables = s.scores[1], view.visible(s.scaled[1]), view.visible(s.weights[1]), s.output[1]
    for stage, (ax, table) in enumerate(zip(picture._axes, tables, strict=True)):
        most = np.nanmax(np.abs(table))
        shade = SEQUENTIAL(table[at]) if stage == 2 else DIVERGING((table[at] / most + 1) / 2)
        expected = grey if np.isnan(table[at]) else np.array(shade[:3])
        place = at[0] % table.shape[0], at[1] % table.shape[1]
        np.testing.assert_allclose(
            cell(explorer, ax, place, table.shape) / 255, expected, atol=0.02, err_msg=f"{stage}"
        )


def test_the_overview_shows_the_weights_of_each_head(explorer):
    explorer.controls["mask"].value = "causal"
    explorer.run()
    weights, picture = explorer.compute().stages.weights, explorer._picture
    H, T = weights.shape[:2]
    gap = round(GAP * T)  # white between two heads
    shape = T, H * (T + gap) - gap
    for head in range(H):
        for row, column in ((0, 0), (T - 1, 0), (0, T - 1), (T - 2, 1)):
            found = cell(explorer, picture._heads_ax, (row, head * (T + gap) + column), shape)
            expected = SEQUENTIAL(weights[head, row, column])[:3]
            np.testing.assert_allclose(found / 255, expected, atol=0.02)
    if gap:
        between = cell(explorer, picture._heads_ax, (0, T), shape)
        np.testing.assert_array_equal(between, 255)


def test_the_causal_mask_hides_the_future(explorer):
    explorer.controls["mask"].value = "causal"
    explorer.run()
    weights = np.frombuffer(explorer.heatmap.values, dtype=np.float32).reshape(10, 10)
    assert np.array_equal(np.isnan(weights), ~np.tri(10, dtype=bool))
    np.testing.assert_allclose(np.nansum(weights, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "split", "tokens"),
    [
        ("猫坐在垫子上", "words", ["猫", "坐", "在", "垫", "子", "上"]),
        ("ab cd", "characters", ["a", "b", " ", "c", "d"]),
        ("Die Katze  saß", "words", ["Die", "Katze", "saß"]),
        ("القطة نامت", "words", ["القطة", "نامت"]),
    ],
)
@pytest.mark.filterwarnings("ignore:no font installed")
def test_any_script_is_split(explorer, text, split, tokens):
    explorer.controls["text"].value = text
    explorer.controls["split"].value = split
    explorer.run()
    assert explorer.heatmap.rows == [f"{i} {token}" for i, token in enumerate(tokens, 1)]


def test_equal_words_begin_as_equal_vectors_whatever_their_place(explorer):
    explorer.controls["text"].value = "cat dog cat"
    explorer.run()
    weights = np.frombuffer(explorer.heatmap.values, dtype=np.float32).reshape(3, 3)
    np.testing.assert_allclose(weights[0], weights[2], rtol=1e-5)
    np.testing.assert_allclose(weights[:, 0], weights[:, 2], rtol=1e-5)


def test_the_length_says_what_is_left_out(explorer):
    explorer.controls["length"].value = 4
    explorer.run()
    assert "on 4 tokens (6 more not shown)" in explorer.summary.value


def test_measures_at_the_extremes(explorer):
    explorer.controls["text"].value = "no word comes twice or two keys would tie"
    explorer.controls["temperature"].value = 10.0
    explorer.controls["rule"].value = "article"
    explorer.controls["d"].value = 256
    explorer.run()
    view = explorer.compute()
    assert view.entropy.mean() > 0.99 * view.highest_entropy
    assert view.saturated == 0
    explorer.controls["temperature"].value = 0.1
    explorer.controls["rule"].value = "none"
    explorer.run()
    view = explorer.compute()
    assert view.saturated > 0.8  # now and then two keys are nearly alike
    assert view.gradient < 0.15


def test_parameters_and_flops_by_hand(explorer):
    view = explorer.compute()  # T = 10, D = 16, H = 4, d = 4
    assert view.parameters == 4 * 16 * 16
    assert view.flops == 2 * 10 * 16 * 64 + 4 * 10 * 10 * 16


@pytest.mark.parametrize(
    ("changes", "control", "reason"),
    [
        ({"d": "D / H", "H": 3}, "H", "3 heads do not divide the model width 16"),
        ({"d": 1, "positions": "rotary"}, "positions", "even head width; it is 1"),
        ({"head": 5}, "head", "there are 4 heads"),
        ({"text": "one"}, "text", "at least two tokens"),
        ({"text": "a " * 65}, "text", "at most 64 tokens, got 65"),
        ({"weights": "trained"}, "split", "know characters, not words"),
        (
            {"split": "characters", "weights": "trained"},
            "mask",
            "without the mask it sees the answer",
        ),
        (
            {"split": "characters", "mask": "causal", "text": "猫 a", "weights": "trained"},
            "text",
            "do not know 猫",
        ),
    ],
)
def test_what_cannot_be_turns_red_and_the_last_good_picture_stays(
    explorer, changes, control, reason
):
    for name, value in changes.items():
        explorer.controls[name].value = value
    before = bytes(explorer.picture.value)
    with pytest.raises(RefusedError, match=reason):
        explorer.run()
    assert explorer.controls[control].layout.border_top
    assert reason in explorer.status.value
    assert bytes(explorer.picture.value) == before or len(changes) > 1


def test_a_bad_first_choice_is_told():
    with pytest.raises(ValueError, match="got 'heads'"):
        AttentionExplorer(heads=2)


def test_trained_weights_learn_and_the_picture_follows():
    explorer = AttentionExplorer(
        text="the following is a", split="characters", mask="causal", D=16, d=8, H=2
    )
    explorer.controls["weights"].value = "trained"
    explorer.run(steps=3)
    early = bytes(explorer.picture.value)
    losses = explorer._run.history["loss"]
    explorer.run(steps=60)
    assert bytes(explorer.picture.value) != early
    assert explorer._run.history["loss"][-10:].mean() < losses[0] - 0.5
    assert "step 63 of 200" in explorer.status.value


def test_training_runs_in_slices_and_ends():
    explorer = AttentionExplorer(
        text="abc", split="characters", mask="causal", D=8, d=2, H=1, weights="trained"
    )
    explorer.steps(198)
    assert explorer._training
    while explorer._tick():
        pass
    assert explorer._run.step == 200
