"""Drawings become images like the training digits."""

import math

import numpy as np
import pytest
import torch

from bigmodel_lib.cached.vision import RecogniserCNN
from bigmodel_lib.data.digits import load_digits, shrink
from bigmodel_lib.data.strokes import (
    MOST_POINTS,
    fitted,
    ink_of,
    parse_strokes,
    strokes_to_image,
)


def arc(cx, cy, rx, ry, start, end, n=25):
    turn = np.linspace(math.radians(start), math.radians(end), n)
    return np.stack([cx + rx * np.cos(turn), cy - ry * np.sin(turn)], 1).tolist()


# How one writes the ten digits, small and in a corner of the page.
WRITTEN = {
    0: [arc(0.3, 0.3, 0.12, 0.2, 90, 450)],
    1: [[[0.22, 0.2], [0.3, 0.1], [0.3, 0.5]]],
    2: [[*arc(0.3, 0.2, 0.1, 0.1, 170, -35), [0.2, 0.5], [0.42, 0.5]]],
    3: [[*arc(0.28, 0.2, 0.12, 0.1, 150, -90), *arc(0.28, 0.4, 0.13, 0.1, 90, -150)]],
    4: [[[0.28, 0.1], [0.18, 0.32], [0.42, 0.32]], [[0.36, 0.2], [0.33, 0.5]]],
    5: [[[0.4, 0.1], [0.22, 0.1], [0.2, 0.27], *arc(0.29, 0.37, 0.12, 0.12, 120, -150)]],
    6: [[[0.34, 0.1], [0.23, 0.25], *arc(0.3, 0.4, 0.1, 0.1, 180, 540)]],
    7: [[[0.2, 0.1], [0.42, 0.1], [0.28, 0.5]]],
    8: [[*arc(0.3, 0.2, 0.09, 0.1, 270, -90), *arc(0.3, 0.4, 0.11, 0.1, 90, 450)]],
    9: [[*arc(0.3, 0.2, 0.1, 0.1, 0, 360), [0.38, 0.5]]],
}


def written(digit: int):
    return parse_strokes(WRITTEN[digit])


def test_the_network_reads_what_is_written():
    model, _ = RecogniserCNN().load()
    images = torch.cat([strokes_to_image(written(digit), 0.14) for digit in range(10)])
    with torch.no_grad():
        said = model(images).argmax(1)
    assert (said == torch.arange(10)).sum() >= 9, said.tolist()


def test_drawings_have_the_size_the_place_and_the_ink_of_the_training_digits():
    real = load_digits("digits", "train").images
    ours = torch.cat([strokes_to_image(written(digit), 0.14) for digit in range(10)])
    for images in (real, ours):
        assert images.shape[1:] == (1, 28, 28)
        assert images.min() >= -1
        assert images.max() <= 1
    centres = [_centre(images) for images in (real, ours)]
    assert torch.allclose(*centres, atol=1.5)  # pixels
    ink = [float((images + 1).mean() / 2) for images in (real, ours)]
    assert ink[1] == pytest.approx(ink[0], rel=0.2)
    rows = shrink(ours)[:, 0].amax(2)  # (10, 8): the strongest ink in each row
    assert (rows[:, [0, -1]] > -0.7).all()  # digits reach from the upper edge to the lower


def _centre(images):
    ink = (images[:, 0] + 1).sum(0)
    place = torch.arange(28.0)
    return torch.stack([(ink.sum(1) * place).sum(), (ink.sum(0) * place).sum()]) / ink.sum()


def test_where_and_how_large_one_draws_does_not_matter():
    small = written(2)
    large = [stroke * 1.6 + 0.1 for stroke in small]
    one, other = (strokes_to_image(strokes, 0.1) for strokes in (small, large))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_fitting_fills_the_longer_side_and_centres():
    for stroke in ([[0.1, 0.1], [0.2, 0.5]], [[0.1, 0.4], [0.9, 0.6]]):
        (line,) = fitted(parse_strokes([stroke]), 0.2)
        extent = line.max(0) - line.min(0)
        assert extent.max() == pytest.approx(0.8)
        assert (line.max(0) + line.min(0)) / 2 == pytest.approx([0.5, 0.5])
    assert fitted([], 0.2) == []
    assert fitted(parse_strokes([[[0.9, 0.1]]]), 0.2)[0] == pytest.approx(np.array([[0.5, 0.5]]))


def test_the_pen_is_as_wide_as_it_says():
    ink = ink_of(parse_strokes([[[0.2, 0.5], [0.8, 0.5]]]), width=0.25)
    assert ink[:, 16].sum() == pytest.approx(0.25 * 32, abs=0.01)  # across the line
    assert ink.sum() == pytest.approx((0.6 * 0.25 + math.pi * 0.125**2) * 32**2, rel=0.01)
    dot = ink_of(parse_strokes([[[0.5, 0.5]]]), width=0.25)
    assert dot.sum() == pytest.approx(math.pi * 0.125**2 * 32**2, rel=0.02)
    assert ink_of([], 0.25).sum() == 0
    for width in (0, 1, math.nan):
        with pytest.raises(ValueError, match="need a pen's width"):
            ink_of([], width)


def test_strokes_on_a_digit_stay_where_they_are_and_add_ink():
    page = load_digits("digits", "test").images[:1]
    assert torch.equal(strokes_to_image([], 0.1, on=page), page)
    image = strokes_to_image(parse_strokes([[[0.05, 0.05], [0.05, 0.95]]]), 0.1, on=page)
    assert (image >= page).all()
    assert (image > page)[..., :4].any()
    assert torch.equal(image[..., 8:], page[..., 8:])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("ink", "got str"),
        (None, "got NoneType"),
        ({"strokes": []}, "got dict"),
        ([3], r"stroke 0: an array of shape \(\)"),
        ([[]], "stroke 0: an array of shape"),
        ([[[0.1, 0.2]], [[0.1, 0.2, 0.3]]], r"stroke 1: an array of shape \(1, 3\)"),
        ([[[0.1, 0.2], [0.3]]], "stroke 0:"),
        ([[[0.1, "a"]]], "stroke 0: could not convert"),
        ([[[0.1, None]]], "not finite"),
        ([[[0.1, math.nan]]], "not finite"),
        ([[[0.1, math.inf]]], "outside 0 to 1"),
        ([[[0.1, -0.2]]], "outside 0 to 1"),
        ([[[0.1, 0.2]] * (MOST_POINTS + 1)], f"at most {MOST_POINTS} points"),
    ],
)
def test_what_is_no_drawing_is_refused(value, reason):
    with pytest.raises(ValueError, match=reason):
        parse_strokes(value)
