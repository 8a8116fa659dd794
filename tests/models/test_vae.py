"""The VAE's terms against torch.distributions, its networks by their properties."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.testing import assert_close

from bigmodel_lib.models.vae import (
    VAE,
    elbo,
    kl_to_standard_normal,
    least_reconstruction,
    reparameterise,
)

F64 = torch.float64
B, Z, C = 3, 7, 5


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def some_images(B=B):
    return torch.rand(B, 1, 28, 28) * 2 - 1


def some_code():
    return torch.randn(B, Z, dtype=F64), torch.randn(B, Z, dtype=F64)


# --- the terms ---

rows = st.lists(st.floats(-5, 5), min_size=2, max_size=2)


@given(mean=st.lists(rows, min_size=3, max_size=3), log_variance=st.lists(rows, min_size=3))
def test_kl_is_that_of_torch_distributions(mean, log_variance):
    mean, log_variance = (torch.tensor(x[:3], dtype=F64) for x in (mean, log_variance))
    q, p = Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(2, dtype=F64), 1.0)
    kl = kl_to_standard_normal(mean, log_variance)
    assert_close(kl, kl_divergence(q, p).sum(dim=1), rtol=1e-9, atol=1e-12)
    assert kl.shape == (3,)


def test_kl_is_zero_at_the_prior_and_keeps_its_digits_beside_it():
    """½ (eˣ - 1 - x) ≈ x²/4: in float32, 1 + x would round it away."""
    assert kl_to_standard_normal(torch.zeros(2, Z), torch.zeros(2, Z)).tolist() == [0, 0]
    x = torch.full((2, 1), 1e-3)
    assert_close(kl_to_standard_normal(0 * x, x)[0].item(), 1e-6 / 4, rtol=2e-3, atol=0)


def test_black_and_white_pixels_cost_their_log_probability():
    white = (torch.rand(B, 1, 28, 28, dtype=F64) < 0.3).double()
    logits = torch.randn_like(white)
    terms = elbo(2 * white - 1, logits, *some_code())
    expected = -Bernoulli(probs=logits.sigmoid()).log_prob(white).flatten(1).sum(dim=1)
    assert_close(terms.reconstruction, expected)


def test_grey_pixels_cost_what_coins_of_their_probability_cost_on_average():
    """The mean over black and white, weighted by the grey value, pixel by pixel."""
    images, logits = some_images(2).double(), torch.randn(2, 1, 28, 28, dtype=F64)
    coin, white = Bernoulli(probs=logits.sigmoid()), (images + 1) / 2
    costs = [-coin.log_prob(torch.full_like(white, side)) for side in (0.0, 1.0)]
    expected = ((1 - white) * costs[0] + white * costs[1]).flatten(1).sum(dim=1)
    zeros = torch.zeros(2, Z, dtype=F64)
    assert_close(elbo(images, logits, zeros, zeros).reconstruction, expected)


def test_the_best_logit_of_a_grey_pixel_shows_its_grey_and_costs_its_entropy():
    images = torch.full((2, 1), 0.4, dtype=F64)  # y = 0.7
    logits = torch.full((2, 1), math.log(7 / 3), dtype=F64, requires_grad=True)
    zeros = torch.zeros(2, Z, dtype=F64)
    cost = elbo(images, logits, zeros, zeros).reconstruction
    assert_close(cost, Bernoulli(probs=torch.full((2,), 0.7, dtype=F64)).entropy())
    (slope,) = torch.autograd.grad(cost.sum(), logits)
    assert_close(slope, torch.zeros_like(slope))


def test_the_least_reconstruction_is_the_entropy_of_the_pixels_and_is_reached():
    images = some_images().double()
    images[0, 0, 0, :3] = torch.tensor([-1.0, 1.0, 0.0])  # black, white and grey
    least, white = least_reconstruction(images), (images + 1) / 2
    entropy = Bernoulli(probs=white).entropy().flatten(1).sum(dim=1)
    assert_close(least, entropy)
    best = white.clamp(1e-12, 1 - 1e-12).logit()
    zeros = torch.zeros(B, Z, dtype=F64)
    assert_close(elbo(images, best, zeros, zeros).reconstruction, least)
    assert (elbo(images, best + 0.1, zeros, zeros).reconstruction > least).all()


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_loss_is_reconstruction_plus_beta_kl(beta):
    images, logits, (mean, log_variance) = some_images(), torch.randn(B, 1, 28, 28), some_code()
    loss, reconstruction, kl = elbo(images, logits, mean, log_variance, beta)
    assert_close(loss, reconstruction + beta * kl_to_standard_normal(mean, log_variance))
    assert loss.shape == reconstruction.shape == kl.shape == (B,)


def test_the_bound_holds_and_is_tight_for_the_exact_posterior():
    """A decoder that ignores z has q(z|x) = N(0, I) as posterior: -loss is log p(x) itself."""
    white = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=F64)
    logits = torch.tensor([[0.3, -0.7]], dtype=F64).expand(2, 2)
    log_p = Bernoulli(logits=logits).log_prob(white).sum(dim=1)
    zeros = torch.zeros(2, Z, dtype=F64)
    assert_close(-elbo(2 * white - 1, logits, zeros, zeros).loss, log_p)
    assert (-elbo(2 * white - 1, logits, zeros + 0.1, zeros).loss < log_p).all()


# --- the draw ---


def test_draws_have_their_mean_and_variance():
    mean, log_variance = torch.tensor([[-2.0, 3.0]]), torch.tensor([[1.0, -3.0]])
    draws = reparameterise(mean.expand(10_007, 2), log_variance.expand(10_007, 2))
    sigma = (log_variance[0] / 2).exp()
    assert ((draws.mean(dim=0) - mean[0]).abs() < 5 * sigma / 100).all()
    assert_close(draws.std(dim=0), sigma, rtol=0.04, atol=0)
    assert draws.T.corrcoef()[0, 1].abs() < 0.05


def test_gradients_pass_through_the_draw():
    """dz/dμ = 1, dz/d(log σ²) = (z - μ)/2."""
    mean, log_variance = (x.requires_grad_() for x in some_code())
    z = reparameterise(mean, log_variance)
    of_mean, of_log_variance = torch.autograd.grad(z.sum(), (mean, log_variance))
    assert_close(of_mean, torch.ones_like(mean))
    assert_close(of_log_variance, ((z - mean) / 2).detach())


# --- the networks ---


@pytest.mark.parametrize("size", [2, 3])
def test_shapes(size):
    logits, mean, log_variance = VAE(Z, C)(some_images(size))
    assert logits.shape == (size, 1, 28, 28)
    assert mean.shape == log_variance.shape == (size, Z)


def test_images_are_the_mean_of_their_pixels():
    model, z = VAE(Z, C), torch.randn(B, Z) * 100
    assert_close(model.generate(z), 2 * Bernoulli(logits=model.decode(z)).mean - 1)
    assert model.generate(z).abs().max() <= 1


def test_a_forward_pass_draws_anew_and_the_code_reaches_the_image():
    model, images = VAE(Z, C), some_images()
    torch.manual_seed(1)
    first, mean, log_variance = model(images)
    second = model(images)[0]
    assert (first - second).flatten(1).abs().amax(dim=1).min() > 1e-4
    torch.manual_seed(1)
    assert_close(first, model.decode(reparameterise(mean, log_variance)))


def test_each_image_has_its_own_code():
    model, images = VAE(Z, C), some_images()
    together = torch.cat(model.encode(images), dim=1)
    alone = torch.cat([torch.cat(model.encode(image[None]), dim=1) for image in images])
    assert_close(together, alone)
    assert (together[0] - together[1]).abs().max() > 1e-4


# --- errors ---


@pytest.mark.parametrize("shape", [(B, 28, 28), (B, 1, 28, 27), (B, 3, 28, 28)])
def test_images_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"need images \(B, 1, 28, 28\), got \(3, "):
        VAE(Z, C)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(Z,), (B, Z + 1), (B, Z, 1)])
def test_codes_of_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"need codes \(B, Z\) with Z = 7, got \("):
        VAE(Z, C).generate(torch.zeros(shape))


def test_terms_of_unlike_shapes_are_refused():
    images, code = some_images(), torch.zeros(B, Z)
    with pytest.raises(ValueError, match=r"of one shape, got \(3, 1, 28, 28\) and \(3, 784\)"):
        elbo(images, images.flatten(1), code, code)
    with pytest.raises(ValueError, match="need one code for each of 3 images, got 2"):
        elbo(images, images, code[:2], code[:2])
    with pytest.raises(ValueError, match="need beta >= 0, got -1"):
        elbo(images, images, code, code, -1)
    for function in (kl_to_standard_normal, reparameterise):
        with pytest.raises(ValueError, match=r"of one shape, got \(3, 7\) and \(1, 7\)"):
            function(code, code[:1])


def test_sizes_below_1_are_refused():
    for sizes in ((0, C), (Z, 0)):
        with pytest.raises(ValueError, match="need Z >= 1 and C >= 1, got Z="):
            VAE(*sizes)


def test_a_conditional_decoder_needs_labels_and_heeds_them():
    model, z, labels = VAE(Z, C, num_classes=11), torch.randn(B, Z), torch.tensor([2, 7, 2])
    images = model.generate(z, labels)
    assert images.shape == (B, 1, 28, 28)
    assert not torch.allclose(images[0], model.generate(z, labels + 1)[0])
    reconstruction, mean, _ = model(images, labels)
    assert (reconstruction.shape, mean.shape) == (images.shape, (B, Z))
    with pytest.raises(ValueError, match="needs labels of 11 classes"):
        model.generate(z)
    with pytest.raises(ValueError, match="needs no labels"):
        VAE(Z, C).generate(z, labels)
