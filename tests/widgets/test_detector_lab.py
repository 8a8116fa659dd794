"""DetectorLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest

from bigmodel_lib.data.scenes import held_out_scenes, stacked
from bigmodel_lib.detection import average_precision
from bigmodel_lib.models.detector import detect
from bigmodel_lib.widgets import DetectorLab
from bigmodel_lib.widgets.base import RefusedError
from bigmodel_lib.widgets.detector_lab import FLOOR, JUDGED
from bigmodel_lib.widgets.detector_lab_picture import outlines
from tests.driving import drive, tick

CONTROLS = ("score", "most", "truth", "seed", "count", "smallest", "largest")


@pytest.fixture(scope="module")
def model():
    return DetectorLab().model


@pytest.fixture
def lab(model):
    return DetectorLab(model)


@pytest.fixture(scope="module")
def driven(model):
    """One explorer for all controls: to make one takes longer than to drive it a step."""
    return DetectorLab(model)


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(driven, name):
    drive(driven, name)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == set(CONTROLS)


def test_a_lower_threshold_finds_more_and_suppression_takes_away(lab):
    counts = {}
    for score in (0.05, 0.5):
        for most in (0.5, 1.0):
            lab.controls["score"].value, lab.controls["most"].value = score, most
            lab.run()
            counts[score, most] = len(lab.compute().boxes)
    assert counts[0.05, 1.0] > counts[0.05, 0.5]
    assert counts[0.05, 1.0] > counts[0.5, 1.0]


def test_the_point_lies_on_the_curve(lab):
    for score in (0.1, 0.4, 0.7):
        lab.controls["score"].value = score
        lab.run()
        view = lab.compute()
        curve = np.stack([view.recall, view.precision], axis=1)
        assert (curve == view.here).all(axis=1).any()
        assert lab._picture._here.get_xydata()[0].tolist() == pytest.approx(view.here)


@pytest.mark.parametrize("most", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_the_average_precision_is_that_of_cocos_evaluator(lab, most):
    lab.controls["most"].value = most
    lab.run()
    scenes = held_out_scenes()[:JUDGED]
    found = detect(lab.model, stacked(scenes), FLOOR, most)
    assert lab.compute().ap50 == pytest.approx(average_precision(scenes, found).ap50, abs=1e-9)


def test_thresholds_ask_the_network_nothing(lab):
    asked = []
    lab.model.register_forward_hook(lambda *_: asked.append(1))
    for name, value in {"score": 0.6, "most": 0.3, "truth": True, "seed": 9}.items():
        lab.controls[name].value = value
        tick(lab)
        assert len(asked) == (name == "seed")


def test_a_picture_does_not_depend_on_the_one_before(lab, model):
    for name, value in {"score": 0.1, "most": 0.9, "seed": 5, "truth": True}.items():
        lab.controls[name].value = value
        tick(lab)
    recipe = {name: control.value for name, control in lab.controls.items()}
    assert lab._picture.canvas.png() == DetectorLab(model, **recipe)._picture.canvas.png()


def test_the_scene_has_as_many_digits_as_asked_for(lab):
    for count in (1, 4):
        lab.controls["count"].value = count
        lab.run()
        assert lab.compute().count == count
        assert f"digits in the scene: {count};" in lab.summary.value


def test_frames_that_cannot_be_turn_red_and_mend(lab):
    before = lab.picture.value
    lab.controls["smallest"].value = 30
    lab.controls["largest"].value = 20
    tick(lab)
    assert "is larger than the largest" in lab.status.value
    assert lab.picture.value == before
    lab.controls["smallest"].value = 18
    tick(lab)
    assert lab._refused == {}
    assert lab.controls["largest"].layout.border_top is None


def test_recipes(model):
    assert DetectorLab(model, seed=7, most=0.9).compute() is not None
    with pytest.raises(ValueError, match="need settings in"):
        DetectorLab(model, colour="red")
    with pytest.raises(RefusedError, match="smallest frame"):
        DetectorLab(model, smallest=32, largest=16)


def test_outlines_go_round():
    (way,) = outlines(np.array([[1, 2, 5, 7]]))
    assert way.tolist() == [[1, 2], [5, 2], [5, 7], [1, 7], [1, 2]]
    assert outlines(np.zeros((0, 4))) == []
