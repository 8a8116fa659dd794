"""The ring of humps against torch's own mixture."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
from torch.testing import assert_close

from bigmodel_lib.data.plane import Ring


def oracle(ring):
    humps = Independent(Normal(ring.centres, torch.full((ring.K, 2), ring.std)), 1)
    return MixtureSameFamily(Categorical(torch.ones(ring.K)), humps)


@pytest.mark.parametrize("ring", [Ring(), Ring(5, 2.0, 0.3), Ring(1, 0.5, 0.2)])
def test_the_density_is_that_of_torchs_mixture(ring):
    points = torch.randn(7, 3, 2) * 2
    assert_close(ring.log_density(points), oracle(ring).log_prob(points), rtol=1e-4, atol=1e-4)


def test_samples_have_the_density():
    ring, generator = Ring(5, 2.0, 0.3), torch.Generator().manual_seed(0)
    points = ring.sample(20_011, generator)
    entropy = -oracle(ring).log_prob(oracle(ring).sample((20_011,))).mean()
    assert -ring.log_density(points).mean() == pytest.approx(entropy.item(), abs=0.05)
    assert_close(ring.shares(points), torch.full((5,), (1 - math.exp(-4.5)) / 5), rtol=0, atol=0.01)


def test_the_seed_decides():
    first, again, other = (Ring().sample(7, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_shares_count_only_what_lies_on_a_hump():
    ring = Ring(4, 1.0, 0.1)  # centres (1, 0), (0, 1), (-1, 0), (0, -1)
    points = torch.tensor([[1.29, 0.0], [1.31, 0.0], [0.0, 0.0], [0.0, 0.9], [-1.0, 0.0]])
    assert_close(ring.shares(points), torch.tensor([1.0, 1, 1, 0]) / 5)
    assert_close(ring.shares(points, reach=3.5), torch.tensor([2.0, 1, 1, 0]) / 5)


def test_gaps_are_as_far_from_both_neighbours_and_on_the_circle():
    ring = Ring(5, 2.0, 0.3)
    near = torch.cdist(ring.gaps, ring.centres).sort(dim=1).values
    assert_close(near[:, 0], near[:, 1])
    assert (near[:, 1] < near[:, 2]).all()
    assert_close(ring.gaps.norm(dim=1), torch.full((5,), 2.0))


def test_contrast_tells_humps_from_a_mere_circle():
    ring = Ring(4, 1.0, 0.1)
    angles = torch.arange(800) * (2 * torch.pi / 800)
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert ring.contrast(circle) == pytest.approx(1, abs=0.05)
    three_to_one = torch.cat([ring.centres.repeat(6, 1), ring.gaps.repeat(2, 1)])
    assert ring.contrast(three_to_one) == 3
    assert ring.contrast(ring.sample(1009)) > 100


@pytest.mark.parametrize("sizes", [{"K": 0}, {"radius": 0.0}, {"std": -1.0}])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(ValueError, match="need K >= 1, radius > 0 and std > 0, got Ring"):
        Ring(**sizes)
