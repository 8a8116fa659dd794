"""Training of deep knowledge tracing, and the scores of forecasts."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.data.students import make_students
from bigmodel_lib.models.tracing import DeepTracer
from bigmodel_lib.training.schedule import adamw
from bigmodel_lib.training.tracing import TracingRun, TracingSettings, forecast_scores


@pytest.fixture(scope="module")
def answers():
    return make_students("chain", N=23, T=7, K=3, per_skill=2, seed=2)


def make_tracer():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return DeepTracer(6, W=5)


def test_steps_equal_a_plain_loop(answers):
    settings = TracingSettings(lr=1e-2, weight_decay=0.1, batch_size=11)
    run = TracingRun(make_tracer(), answers, settings=settings, seed=3)
    model = make_tracer()
    optimizer, expected = adamw(model), []
    for group, decay in zip(optimizer.param_groups, (0.1, 0.0), strict=True):
        group["lr"], group["weight_decay"] = 1e-2, decay
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        for _ in range(3):
            who = torch.randint(23, (11,))
            p = model(answers.items[who], answers.right[who]).sigmoid()
            loss = F.binary_cross_entropy(p, answers.right[who])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            expected.append(loss.item())
    assert [record["loss"] for record in run.take(3)] == pytest.approx(expected, rel=1e-4)
    for p, q in zip(run.model.parameters(), model.parameters(), strict=True):
        assert_close(p, q, rtol=1e-3, atol=1e-5)


def test_it_can_learn_a_few_students_by_heart(answers):
    few, _ = answers.split(3)
    torch.manual_seed(0)
    run = TracingRun(DeepTracer(6, W=32), few, settings=TracingSettings(lr=2e-2, batch_size=8))
    assert [record["loss"] for record in run.take(150)][-1] < 0.1


def test_scores_are_sklearns():
    random = torch.Generator().manual_seed(0)
    p = torch.rand(5, 7, generator=random)
    right = (torch.rand(5, 7, generator=random) < p).float()
    area, loss = forecast_scores(p, right)
    assert area == pytest.approx(roc_auc_score(right.flatten(), p.flatten()))
    assert loss == pytest.approx(log_loss(right.flatten(), p.flatten().double()), rel=1e-5)
    with pytest.raises(ValueError, match="one forecast an answer"):
        forecast_scores(p, right[:, 1:])


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="batch_size ≥ 1"):
        TracingSettings(batch_size=0).check()
