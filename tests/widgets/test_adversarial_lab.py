"""AdversarialLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
import torch

from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.widgets import AdversarialLab
from bigmodel_lib.widgets.images import images_for
from tests.driving import drive, settle

CONTROLS = ("model", "attack", "epsilon", "steps", "digit", "seed")


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return {"standard": DigitCNN().eval(), "hardened": DigitCNN().eval()}


@pytest.fixture
def lab(networks):
    return AdversarialLab(networks)


@pytest.mark.parametrize("name", CONTROLS)
def test_each_control_over_its_range(lab, name):
    drive(lab, name)


def test_every_control_is_driven_by_some_test(lab):
    assert set(lab.controls) == set(CONTROLS)


@pytest.mark.parametrize("attack", ["FGSM", "PGD", "noise"])
def test_the_change_is_at_most_epsilon_and_the_curve_meets_it(lab, attack):
    lab.controls["attack"].value = attack
    lab.controls["epsilon"].value = 0.2
    view = lab.compute()
    change = np.abs(view.attacked - view.clean).max()
    assert 0.95 * 2 * 0.2 < change <= 2 * 0.2 + 1e-6  # inputs span 2
    assert -1 <= view.attacked.min() <= view.attacked.max() <= 1
    assert view.curve[0] == pytest.approx(view.before[view.label], abs=1e-5)
    place = int(np.abs(view.sizes - 0.2).argmin())
    if attack != "PGD":  # whose random starts differ
        assert view.curve[place] == pytest.approx(view.after[view.label], abs=1e-5)


def test_the_picture_shows_what_was_computed(lab):
    lab.controls["epsilon"].value = 0.25
    lab.run()
    view, picture = lab.compute(), lab._picture
    clean, change, attacked = (image.get_array() for image in picture._images)
    np.testing.assert_array_equal(clean, view.clean)
    np.testing.assert_array_equal(attacked, view.attacked)
    shown, times, read = (title.get_text() for title in picture._titles)
    assert shown == f"held-out digit: {view.label}"
    assert times == "the change, 2 times"  # it is 2 · 0.25 at most, and is shown from -1 to 1
    np.testing.assert_allclose(change, (view.attacked - view.clean) * 2, atol=1e-5)
    assert read == f"read as {view.after.argmax()}, {view.after.max():.0%}"
    for bars, wanted in zip(picture._bars, (view.before, view.after), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in bars], wanted)
    np.testing.assert_array_equal(picture._curve.get_data(), (view.sizes, view.curve))
    np.testing.assert_array_equal(picture._noise.get_data(), (view.sizes, view.noise))
    assert list(picture._here.get_xdata()) == [0.25, 0.25]
    fall = f"falls from {view.before[view.label]:.0%} to {view.after[view.label]:.0%}"
    assert lab.summary.value.endswith(fall)


def test_nothing_is_attacked_at_size_zero(lab):
    lab.controls["epsilon"].value = 0.0
    lab.run()
    view = lab.compute()
    np.testing.assert_array_equal(view.attacked, view.clean)
    np.testing.assert_allclose(view.after, view.before, atol=1e-6)


def test_the_digit_is_the_chosen_one_with_its_label(lab):
    digits = images_for("digit", "digits", "test")
    for place in (1, 2, 3):
        lab.controls["digit"].value = place
        view = lab.compute()
        np.testing.assert_array_equal(view.clean, digits.images[place, 0])
        assert view.label == digits.labels[place]


def test_the_seed_decides_about_what_is_drawn(lab):
    views = []
    for seed in (5, 5, 6):
        lab.controls["seed"].value = seed
        views.append(lab.compute())
    one, again, other = views
    np.testing.assert_array_equal(one.attacked, again.attacked)
    np.testing.assert_array_equal(one.noise, again.noise)
    assert (one.noise != other.noise).any()


def test_the_cached_networks_differ_as_they_should():
    lab = AdversarialLab(epsilon=0.1)
    falls = {}
    for name in lab.models:
        lab.controls["model"].value = name
        settle(lab)
        falls[name] = lab.compute().after[lab.compute().label]
    assert falls["hardened"] > falls["standard"]


def test_an_attack_does_more_than_noise_as_large():
    lab = AdversarialLab(epsilon=0.2)
    for attack in ("FGSM", "PGD"):
        lab.controls["attack"].value = attack
        view = lab.compute()
        assert view.noise[0] == pytest.approx(view.curve[0], abs=1e-5)
        assert view.curve[4] < view.noise[4] - 0.1
    lab.controls["attack"].value = "noise"
    view = lab.compute()
    np.testing.assert_allclose(view.curve, view.noise, atol=1e-5)


def test_refuses_a_choice_that_names_no_control(networks):
    with pytest.raises(ValueError, match="need choices in"):
        AdversarialLab(networks, strength=3)
