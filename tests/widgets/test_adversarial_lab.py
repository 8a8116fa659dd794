"""AdversarialLab, driven without a kernel over the range of all of its controls."""

import numpy as np
import pytest
import torch

from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.widgets import AdversarialLab
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
    assert 0 < np.abs(view.attacked - view.clean).max() <= 2 * 0.2 + 1e-6  # inputs span 2
    assert view.curve[0] == pytest.approx(view.before[view.label], abs=1e-5)
    place = int(np.abs(view.sizes - 0.2).argmin())
    if attack != "PGD":  # whose random starts differ
        assert view.curve[place] == pytest.approx(view.after[view.label], abs=1e-5)


def test_nothing_is_attacked_at_size_zero(lab):
    lab.controls["epsilon"].value = 0.0
    lab.run()
    view = lab.compute()
    np.testing.assert_array_equal(view.attacked, view.clean)
    np.testing.assert_allclose(view.after, view.before, atol=1e-6)


def test_the_cached_networks_differ_as_they_should():
    lab = AdversarialLab(epsilon=0.1)
    falls = {}
    for name in lab.models:
        lab.controls["model"].value = name
        settle(lab)
        falls[name] = lab.compute().after[lab.compute().label]
    assert falls["hardened"] > falls["standard"]


def test_refuses_a_choice_that_names_no_control(networks):
    with pytest.raises(ValueError, match="need choices in"):
        AdversarialLab(networks, strength=3)
