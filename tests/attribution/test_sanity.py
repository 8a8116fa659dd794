"""Models destroyed layer by layer, and how alike two maps are."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from bigmodel_lib.attribution import cascade, rank_correlation, structural_similarity
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.vit import DigitViT


def same(a: nn.Module, b: nn.Module) -> set[str]:
    """Names of the parameters that the two models share."""
    pairs = zip(a.named_parameters(), b.parameters(), strict=True)
    return {name for (name, x), y in pairs if torch.equal(x, y)}


@pytest.fixture
def trained():
    """Weights, and statistics of batch norm, that no initialisation gives."""
    model = DigitCNN()
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            value.copy_(value + 1)
    return model.eval()


def test_layers_go_from_the_answer_down(trained):
    names, left = [], set(dict(trained.named_parameters()))
    for name, ruin in cascade(trained):
        now = same(trained, ruin)
        assert now < left  # one more layer is gone, and none came back
        assert f"{name}.weight" in left - now
        names.append(name)
        left = now
    assert names == ["head.1", "body.7", "body.3", "body.0"]
    assert left == set()
    assert not ruin.training
    assert torch.equal(ruin.body[1].running_mean, torch.zeros(16))


def test_the_model_and_the_generators_stay_as_they_are(trained):
    before, state = torch.get_rng_state(), {k: v.clone() for k, v in trained.state_dict().items()}
    ruins = [list(cascade(trained, seed)) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(state[k], v) for k, v in trained.state_dict().items())
    last, again, other = (steps[-1][1] for steps in ruins)
    assert torch.equal(last.head[1].weight, again.head[1].weight)
    assert not torch.equal(last.head[1].weight, other.head[1].weight)


def test_no_weight_of_a_transformer_is_left():
    model = DigitViT(L=1)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(1)
    *_, (_, ruin) = cascade(model.eval())
    assert same(model, ruin) == set()


def test_rank_correlation_is_scipys():
    a, b = torch.randn(3, 5, 7), torch.randn(3, 5, 7)
    a[0, :2] = b[0, :2] = 0  # ties
    where = torch.rand(3, 5, 7) > 0.4
    for kept in (None, where):
        for i, found in enumerate(rank_correlation(a, b, kept)):
            k = torch.ones(5, 7, dtype=torch.bool) if kept is None else kept[i]
            x, y = a[i][k].abs().numpy(), b[i][k].abs().numpy()
            assert float(found) == pytest.approx(spearmanr(x, y).statistic, abs=1e-6)
    assert math.isnan(rank_correlation(torch.zeros(1, 5, 7), torch.rand(1, 5, 7)))
    with pytest.raises(ValueError, match="of one shape"):
        rank_correlation(a, b[:, :4])


def test_structural_similarity_by_its_definition():
    a, b = torch.rand(2, 9, 8).double(), torch.rand(2, 9, 8).double()
    found = structural_similarity(a, b)
    for i in range(2):
        x, y = a[i].numpy() / a[i].max().item(), b[i].numpy() / b[i].max().item()
        windows = [(slice(r, r + 7), slice(c, c + 7)) for r in range(3) for c in range(2)]
        assert float(found[i]) == pytest.approx(np.mean([_ssim(x[w], y[w]) for w in windows]))


def _ssim(x, y):
    (vx, cov), (_, vy) = np.cov(x.ravel(), y.ravel(), ddof=0)
    top = (2 * x.mean() * y.mean() + 1e-4) * (2 * cov + 9e-4)
    return top / ((x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (vx + vy + 9e-4))


def test_structural_similarity_knows_no_scale_and_is_at_most_1():
    a, b = torch.randn(2, 28, 28), torch.randn(2, 28, 28)
    torch.testing.assert_close(structural_similarity(a, -3 * a), torch.ones(2).double())
    assert (structural_similarity(a, b) < 0.5).all()
    assert structural_similarity(torch.zeros(1, 9, 9), torch.zeros(1, 9, 9)) == 1
    with pytest.raises(ValueError, match="sides at least 7"):
        structural_similarity(torch.rand(1, 6, 9), torch.rand(1, 6, 9))
