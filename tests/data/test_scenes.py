"""Scenes: boxes fit the ink that was drawn, overlaps stay within bounds, the seed decides all."""

import pytest
import torch

from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.data.scenes import (
    CANVAS,
    COVERED,
    INK,
    MOST_DIGITS,
    held_out_scenes,
    ink_boxes,
    make_scene,
    make_scenes,
    stacked,
)
from tests.trained import digits


def test_the_box_of_a_lone_digit_is_that_of_its_ink():
    """Found anew in the drawn pixels, it is the same to about a pixel of the frame."""
    for seed in range(40):
        scene = make_scene(digits("train"), seed, count=1)
        drawn = ink_boxes(scene.image[None])[0]
        assert (drawn - scene.boxes[0]).abs().max() <= 1.5


def test_ink_boxes_of_one_stroke():
    image = torch.full((2, 1, 11, 13), -1.0)
    image[0, 0, 2:5, 3:7] = 1
    image[1, 0, 10, 12] = INK + 0.01
    assert ink_boxes(image).tolist() == [[3, 2, 7, 5], [12, 10, 13, 11]]
    with pytest.raises(ValueError, match="need ink"):
        ink_boxes(torch.full((2, 1, 5, 7), -1.0))


def test_scenes_hold_one_to_six_digits_on_the_canvas_and_legible():
    seen, touching = set(), 0
    for scene in make_scenes(digits("train"), 100, seed=3):
        seen.add(len(scene.labels))
        boxes = scene.boxes
        assert scene.image.shape == (1, CANVAS, CANVAS)
        assert boxes.min() >= -1e-4
        assert boxes.max() <= CANVAS + 1e-4
        size = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        for i in range(len(boxes)):
            for j in range(i):
                low = torch.maximum(boxes[i, :2], boxes[j, :2])
                high = torch.minimum(boxes[i, 2:], boxes[j, 2:])
                share = (high - low).clamp(min=0).prod() / torch.minimum(size[i], size[j])
                touching += bool(share > 0)
                assert share <= 2 * COVERED  # crowded scenes may need more than COVERED
    assert seen == set(range(1, MOST_DIGITS + 1))
    assert touching > 30


def test_the_seed_decides():
    one, again, other = (make_scene(digits("train"), seed) for seed in (5, 5, 6))
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.boxes, again.boxes)
    assert not torch.equal(one.image, other.image)


def test_held_out_scenes_show_held_out_digits():
    scenes = held_out_scenes(5)
    assert torch.equal(scenes[0].image, make_scenes(load_digits("digits", "test"), 5, 0)[0].image)
    assert stacked(scenes).shape == (5, 1, CANVAS, CANVAS)


@pytest.mark.parametrize("how", [{"count": 0}, {"count": 7}, {"frames": (20, 10)}])
def test_what_cannot_be(how):
    with pytest.raises(ValueError, match="need 1"):
        make_scene(digits("train"), 0, **how)
