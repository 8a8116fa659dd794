"""The one-layer language model and its measures."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bigmodel_lib.models.attention_lm import (
    POSITIONS,
    SCALE_RULES,
    AttentionLM,
    entropy,
    softmax_gradient,
)

V, D, H, d, T, B = 11, 7, 3, 2, 5, 2


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("rule", SCALE_RULES)
def test_shapes_and_rows(positions, rule):
    model = AttentionLM(V, 8, H, d, positions, rule)
    stages = model.stages(torch.randn(B, T, 8))
    for table in (stages.scores, stages.scaled, stages.weights):
        assert table.shape == (B, H, T, T)
    assert stages.output.shape == (B, H, T, d)
    torch.testing.assert_close(stages.weights.sum(-1), torch.ones(B, H, T))
    assert model(torch.randint(V, (B, T))).shape == (B, T, V)


def test_the_stages_lead_from_one_to_the_next():
    model = AttentionLM(V, 8, H, d, "ALiBi")
    x = torch.randn(T, 8)
    s = model.stages(x, temperature=3.0)
    seen = torch.ones(T, T, dtype=torch.bool).tril()
    torch.testing.assert_close(
        s.weights, s.scaled.masked_fill(~seen, -math.inf).softmax(-1), rtol=1e-4, atol=1e-5
    )
    values = model.qkv(x).unflatten(-1, (3, H, d))[:, 2].transpose(0, 1)
    torch.testing.assert_close(s.output, s.weights @ values)


def test_the_articles_rule_divides_twice():
    torch.manual_seed(0)
    right = AttentionLM(V, 8, H, 4, "none")
    wrong = AttentionLM(V, 8, H, 4, "none", "article")
    wrong.load_state_dict(right.state_dict())
    x = torch.randn(T, 8)
    a, b = right.stages(x), wrong.stages(x)
    torch.testing.assert_close(b.scaled, a.scaled / 2)  # √d = 2
    values = right.qkv(x).unflatten(-1, (3, H, 4))[:, 2].transpose(0, 1)
    torch.testing.assert_close(b.output, b.weights @ values / 2)


def test_temperature_divides_the_scores():
    model = AttentionLM(V, 8, H, d)
    x = torch.randn(T, 8)
    hot, cold = model.stages(x, temperature=2.0), model.stages(x)
    torch.testing.assert_close(hot.scaled, cold.scaled / 2)


def test_nothing_leaks_from_the_future():
    model = AttentionLM(V, 8, H, d, "rotary")
    ids = torch.randint(V, (B, T))
    changed = ids.clone()
    changed[:, 3:] = (ids[:, 3:] + 1) % V
    torch.testing.assert_close(model(ids)[:, :3], model(changed)[:, :3])
    assert not torch.allclose(model(ids)[:, 3:], model(changed)[:, 3:])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="got 'relative'"):
        AttentionLM(V, D, H, d, "relative")
    with pytest.raises(ValueError, match="got 'none' and 'd'"):
        AttentionLM(V, D, H, d, "none", "d")


def test_entropy_of_known_rows():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    expected = torch.tensor([0, math.log(4), math.log(2)])
    torch.testing.assert_close(entropy(rows), expected)


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=7))
def test_softmax_gradient_is_the_norm_of_the_jacobian(scores):
    scores = torch.tensor(scores, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda s: s.softmax(0), scores)
    found = softmax_gradient(scores.softmax(0))
    torch.testing.assert_close(found, jacobian.norm(), rtol=1e-6, atol=1e-8)
