"""The two models of section 7.2 as they lie in the package: what they can do, their history."""

import pytest
import torch

from bigmodel_lib.cached.induction import OneLayer, TwoLayers
from bigmodel_lib.data.repeats import repeated_sequences
from bigmodel_lib.training.induction import early, late, letter_losses

RECIPES = {"two": TwoLayers(), "one": OneLayer()}


@pytest.fixture(scope="module")
def observed():
    return {name: recipe.load()[0] for name, recipe in RECIPES.items()}


def test_two_layers_repeat_and_one_does_not(observed):
    generator = torch.Generator().manual_seed(1)
    ids = repeated_sequences(torch.full((64,), 11), 40, generator=generator)
    with torch.no_grad():
        found = {name: float(late(letter_losses(m, ids))) for name, m in observed.items()}
    assert found["two"] < 0.1
    assert found["one"] > 1.5


@pytest.mark.parametrize("name", RECIPES)
def test_the_history_ends_where_the_model_stands(observed, name):
    """Noted in training, with a batch of other periods; measured now, from the file's weights."""
    history, s = observed[name].history, RECIPES[name].settings
    assert len(history["step"]) == s["training"]["schedule"] // s["every"]
    assert history["step"][-1] == s["training"]["schedule"] - s["every"] / 2
    generator = torch.Generator().manual_seed(2)
    periods = torch.randint(8, 17, (512,), generator=generator)
    with torch.no_grad():
        losses = letter_losses(observed[name], repeated_sequences(periods, s["T"]))
    assert float(late(losses)) == pytest.approx(float(history["late"][-5:].mean()), abs=0.1)
    assert float(early(losses)) == pytest.approx(float(history["early"][-5:].mean()), abs=0.1)


@pytest.mark.parametrize("name", RECIPES)
def test_small(name):
    assert RECIPES[name].path.stat().st_size < 200_000


def test_equally_many_heads():
    heads = {
        name: r.settings["sizes"]["H"] * r.settings["sizes"]["L"] for name, r in RECIPES.items()
    }
    assert heads["one"] == heads["two"]
