"""The value function against closed forms and SciPy."""

import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bigmodel_lib.models.densities import (
    MIXTURES,
    Mixture,
    gan_value,
    gan_value_of_scores,
    gaussian,
    generator_gradients,
    grid,
    integral,
    jensen_shannon,
    kl_divergence,
    optimal_discriminator,
    optimal_score,
    wasserstein_1,
)

F64 = torch.float64
LOG4 = math.log(4)
X = grid(-15, 15, 6001)
few = settings(max_examples=25)
means, stds = st.floats(-3, 3), st.floats(0.3, 1.2)


@st.composite
def mixtures(draw):
    count = draw(st.integers(1, 3))
    raw = [draw(st.floats(0.1, 1)) for _ in range(count)]
    weights = tuple(w / sum(raw) for w in raw)
    return Mixture(
        weights,
        tuple(draw(means) for _ in range(count)),
        tuple(draw(stds) for _ in range(count)),
    )


# --- mixtures ---


@few
@given(mixture=mixtures())
def test_density_and_cdf_equal_scipys_sum(mixture):
    x = torch.linspace(-7, 7, 53, dtype=F64)
    parts = list(zip(mixture.weights, mixture.means, mixture.stds, strict=True))
    density = sum(w * scipy.stats.norm.pdf(x.numpy(), m, s) for w, m, s in parts)
    cdf = sum(w * scipy.stats.norm.cdf(x.numpy(), m, s) for w, m, s in parts)
    torch.testing.assert_close(mixture.density(x), torch.tensor(density), rtol=1e-9, atol=1e-300)
    torch.testing.assert_close(mixture.cdf(x), torch.tensor(cdf), rtol=1e-9, atol=1e-15)
    assert integral(mixture.density(X), X).item() == pytest.approx(1, abs=1e-9)


def test_the_log_density_stays_finite_where_the_density_underflows():
    far = torch.tensor([60.0], dtype=F64)
    assert gaussian(0, 1).density(far).item() == 0
    expected = scipy.stats.norm.logpdf(60.0)
    assert gaussian(0, 1).log_density(far).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", MIXTURES)
def test_samples_follow_the_distribution(name):
    mixture = MIXTURES[name]
    sample = mixture.sample(2000, torch.Generator().manual_seed(0))
    assert torch.equal(sample, mixture.sample(2000, torch.Generator().manual_seed(0)))
    cdf = lambda x: mixture.cdf(torch.as_tensor(x)).numpy()  # noqa: E731
    assert scipy.stats.kstest(sample.numpy(), cdf).pvalue > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1.0,), (0.0, 1.0), (1.0,)), r"as many weights as means and stds, got \(1, 2, 1\)"),
        (((), (), ()), r"got \(0, 0, 0\)"),
        (((0.5, 0.6), (0.0, 1.0), (1.0, 1.0)), "weights > 0 that sum to 1"),
        (((1.5, -0.5), (0.0, 1.0), (1.0, 1.0)), "weights > 0 that sum to 1"),
        (((1.0,), (0.0,), (0.0,)), r"stds > 0 and finite, got \(0.0,\)"),
        (((1.0,), (math.nan,), (1.0,)), r"finite means, got \(nan,\)"),
    ],
)
def test_bad_mixtures_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)


# --- the value function ---


@few
@given(p=mixtures(), q=mixtures())
def test_at_the_optimal_discriminator_the_value_is_2_jsd_minus_log_4(p, q):
    p, q = p.density(X), q.density(X)
    value = gan_value(optimal_discriminator(p, q), p, q, X)
    assert value.item() == pytest.approx(2 * jensen_shannon(p, q, X).item() - LOG4, abs=1e-9)


@few
@given(p=mixtures(), q=mixtures(), seed=st.integers(0, 999), size=st.floats(0.01, 2))
def test_no_other_discriminator_does_better(p, q, seed, size):
    waves = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=F64)
    score = optimal_score(p, q, X)
    other = score + size * sum(w * torch.sin((k + 1) * X) for k, w in enumerate(waves))
    p, q = p.density(X), q.density(X)
    assert gan_value_of_scores(other, p, q, X) < gan_value_of_scores(score, p, q, X)


@few
@given(p=mixtures(), q=mixtures())
def test_values_of_probabilities_and_of_scores_agree(p, q):
    score = optimal_score(p, q, X)
    p, q = p.density(X), q.density(X)
    D = optimal_discriminator(p, q)
    known = p + q > 1e-290  # further out both underflow, the scores do not
    torch.testing.assert_close(D[known], torch.sigmoid(score)[known], rtol=1e-9, atol=1e-12)
    by_score = gan_value_of_scores(score, p, q, X).item()
    assert gan_value(D, p, q, X).item() == pytest.approx(by_score, abs=1e-9)


@few
@given(p=mixtures())
def test_equal_densities_give_one_half_and_minus_log_4(p):
    p = p.density(X)
    D = optimal_discriminator(p, p)
    assert torch.equal(D, torch.full_like(X, 0.5))
    assert gan_value(D, p, p, X).item() == pytest.approx(-LOG4, abs=1e-9)
    for distance in (jensen_shannon, kl_divergence, wasserstein_1):
        assert distance(p, p, X).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("std", [0.1, 0.5])
def test_disjoint_densities_give_0_and_log_2_but_wasserstein_tells_how_far(std):
    for apart in (16.0, 20.0):
        p, q = gaussian(-apart / 2, std).density(X), gaussian(apart / 2, std).density(X)
        value = gan_value(optimal_discriminator(p, q), p, q, X)
        assert value.item() == pytest.approx(0, abs=1e-9)
        assert jensen_shannon(p, q, X).item() == pytest.approx(math.log(2), abs=1e-9)
        assert wasserstein_1(p, q, X).item() == pytest.approx(apart, rel=1e-6)


def test_where_both_densities_are_0_the_optimal_answer_is_one_half():
    zero = torch.zeros(2, dtype=F64)
    assert optimal_discriminator(zero, zero).tolist() == [0.5, 0.5]


@few
@given(constant=st.floats(0.01, 0.99))
def test_the_value_of_a_constant_answer(constant):
    p, q = MIXTURES["two humps"].density(X), gaussian(0, 1).density(X)
    value = gan_value(torch.full_like(X, constant), p, q, X).item()
    assert value == pytest.approx(math.log(constant) + math.log(1 - constant), abs=1e-9)


# --- distances ---


@few
@given(m1=st.floats(-1.5, 1.5), m2=st.floats(-1.5, 1.5), s1=stds, s2=stds)
def test_kl_of_two_gaussians_in_closed_form(m1, m2, s1, s2):
    exact = math.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    p, q = gaussian(m1, s1).density(X), gaussian(m2, s2).density(X)
    assert kl_divergence(p, q, X).item() == pytest.approx(exact, abs=1e-7)


@few
@given(m1=means, m2=means, std=stds)
def test_w1_of_two_gaussians_of_one_width_is_the_distance_of_their_means(m1, m2, std):
    p, q = gaussian(m1, std).density(X), gaussian(m2, std).density(X)
    assert wasserstein_1(p, q, X).item() == pytest.approx(abs(m1 - m2), abs=1e-5)


@few
@given(mean=means, s1=stds, s2=stds)
def test_w1_of_two_gaussians_of_one_mean_follows_their_widths(mean, s1, s2):
    p, q = gaussian(mean, s1).density(X), gaussian(mean, s2).density(X)
    exact = abs(s1 - s2) * math.sqrt(2 / math.pi)  # E|Z| of a standard normal
    assert wasserstein_1(p, q, X).item() == pytest.approx(exact, abs=1e-4)


@few
@given(p=mixtures(), q=mixtures())
def test_w1_equals_scipys_of_weighted_points(p, q):
    x = X[::10]
    p, q = p.density(x), q.density(x)
    scipys = scipy.stats.wasserstein_distance(x.numpy(), x.numpy(), p.numpy(), q.numpy())
    assert wasserstein_1(p, q, x).item() == pytest.approx(scipys, abs=2e-3)


@few
@given(p=mixtures(), q=mixtures())
def test_jsd_is_symmetric_and_between_0_and_log_2(p, q):
    p, q = p.density(X), q.density(X)
    there, back = jensen_shannon(p, q, X).item(), jensen_shannon(q, p, X).item()
    assert there == pytest.approx(back, abs=1e-12)
    assert -1e-12 <= there <= math.log(2)


def test_kl_is_infinite_where_q_has_nothing():
    p, q = gaussian(0, 1).density(X), gaussian(0, 0.05).density(X)
    assert kl_divergence(p, q, X).item() == math.inf
    assert math.isfinite(kl_divergence(q, p, X).item())


# --- what the generator gets ---


@few
@given(p=mixtures(), mean=means, std=stds)
def test_gradients_are_the_derivatives_of_the_two_losses(p, mean, std):
    q = gaussian(mean, std)
    x = torch.linspace(-4, 4, 23, dtype=F64)
    saturating, other = generator_gradients(lambda at: optimal_score(p, q, at), x)

    def D(at):
        score = optimal_score(p, q, at)
        return torch.sigmoid(score), torch.sigmoid(-score)

    h = 1e-5
    (up, up_fake), (down, down_fake) = D(x + h), D(x - h)
    by_difference = (up_fake.log() - down_fake.log()) / (2 * h)
    torch.testing.assert_close(saturating, by_difference, rtol=1e-4, atol=1e-4)
    by_difference = -(up.log() - down.log()) / (2 * h)
    torch.testing.assert_close(other, by_difference, rtol=1e-4, atol=1e-4)


def test_when_d_wins_the_saturating_gradient_vanishes_and_the_other_does_not():
    real, fake = gaussian(5, 1), gaussian(-5, 1)
    at = torch.tensor([-5.0], dtype=F64)
    saturating, other = generator_gradients(lambda x: optimal_score(real, fake, x), at)
    assert abs(saturating.item()) < 1e-20
    assert other.item() == pytest.approx(-10)  # score' = 10: towards the data, G descends


# --- bad input ---


def test_bad_input_says_what_was_needed():
    p = gaussian(0, 1).density(X)
    D = torch.full_like(X, 0.5)
    with pytest.raises(ValueError, match=r"need D of \(6001,\) in \[0, 1\], got .* to 1.5"):
        gan_value(D + 1, p, p, X)
    with pytest.raises(ValueError, match=r"need D of \(6001,\) in \[0, 1\], got .* nan to nan"):
        gan_value(D * math.nan, p, p, X)
    with pytest.raises(ValueError, match=r"need D of \(6001,\)"):
        gan_value(D[1:], p, p, X)
    with pytest.raises(ValueError, match=r"need scores of \(6001,\), got \(6000,\)"):
        gan_value_of_scores(D[1:], p, p, X)
    with pytest.raises(ValueError, match=r"p and q of one shape, got \(6001,\) and \(6000,\)"):
        optimal_discriminator(p, p[1:])


@pytest.mark.parametrize(
    "function", [kl_divergence, jensen_shannon, wasserstein_1, lambda *a: gan_value(a[0], *a)]
)
def test_every_integral_refuses_what_is_no_density(function):
    p = gaussian(0, 1).density(X)
    for bad in (p * 2, gaussian(15, 1).density(X), p - 0.01, p * math.nan):
        with pytest.raises(ValueError, match=r"need \w >= 0 with mass 1 on the grid"):
            function(p, bad, X)
    with pytest.raises(ValueError, match="increasing points"):
        function(p, p, X.flip(0))
    with pytest.raises(ValueError, match="one shape"):
        function(p[1:], p[1:], X)
