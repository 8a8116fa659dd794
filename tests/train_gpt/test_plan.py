"""Plans: what they refuse, and that a file gives back what was written."""

import json
from dataclasses import replace

import pytest

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.models.transformer import GPTConfig
from bigmodel_lib.train_gpt import PLANS, Plan
from bigmodel_lib.training.checkpoint import CheckpointError


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_survives_its_file(plan, tmp_path):
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


def test_a_file_may_leave_things_out(tmp_path):
    (tmp_path / "plan.json").write_text(json.dumps({"D": 48}))
    assert Plan.read(tmp_path / "plan.json") == replace(Plan(), D=48)


def test_the_largest_is_gpt2_small_but_for_its_vocabulary():
    plan = PLANS["GPT-2 small"]
    found = count_parameters(GPTConfig(plan.V, plan.T, plan.L, plan.D, plan.H))
    gpt2 = count_parameters(GPTConfig(50257, 1024, 12, 768, 12))
    assert found.without_embeddings == gpt2.without_embeddings


def test_the_training_is_as_planned():
    plan = Plan(T=17, steps=211, batch_size=5, lr=1e-4, weight_decay=0.3, warmup=7)
    found = plan.settings()
    assert (found.length, found.batch_size, found.weight_decay) == (17, 5, 0.3)
    rates = [found.rate(step) for step in range(1, plan.steps + 1)]
    assert rates.index(max(rates)) + 1 == plan.warmup
    assert max(rates) == pytest.approx(1e-4)
    assert min(rates[plan.warmup :]) == rates[-1] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"V": 255}, "V of at least 256"),
        ({"H": 5}, "heads that divide"),
        ({"steps": 0}, "steps and save_every of at least 1"),
        ({"save_every": 0}, "steps and save_every of at least 1"),
        ({"held_out": 0.0}, r"held_out in \(0, 1\)"),
        ({"held_out": 1.0}, r"held_out in \(0, 1\)"),
        ({"lr": -1.0}, "lr"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_refuses_what_cannot_be(change, message):
    with pytest.raises(ValueError, match=message):
        replace(Plan(), **change)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "is not a plan"),
        ("[1]", "is not a plan"),
        ('{"width": 3}', "a plan has no width"),
        ('{"D": 4.5}', "as ints"),
    ],
)
def test_says_what_is_wrong_with_a_file(content, message, tmp_path):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        Plan.read(path)
