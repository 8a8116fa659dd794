"""Networks against their formulas, losses against theirs. Sizes are distinct primes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from bigmodel_lib.models.gan import (
    ARCHITECTURES,
    LOSSES,
    ConvDiscriminator,
    ConvGenerator,
    MLPDiscriminator,
    MLPGenerator,
    gradient_penalty,
    make_gan,
)

F64 = torch.float64
Z, C, K = 7, 3, 5  # noise width, channels, classes


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def count(network):
    return sum(p.numel() for p in network.parameters())


def some_images(B):
    return torch.rand(B, 1, 28, 28) * 2 - 1


# --- networks: shapes, sizes, formulas ---

GENERATORS = {
    "article": lambda: MLPGenerator(Z),
    "deeper": lambda: MLPGenerator(Z, (11, 13)),
    "convolutional": lambda: ConvGenerator(Z, C),
}
DISCRIMINATORS = {
    "article": lambda: MLPDiscriminator(),
    "deeper": lambda: MLPDiscriminator((13, 11)),
    "convolutional": lambda: ConvDiscriminator(C),
}


@pytest.mark.parametrize("B", [1, 2, 3, 5])
@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_generators_turn_noise_into_images(make, B):
    assert make()(torch.randn(B, Z)).shape == (B, 1, 28, 28)


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_images_stay_in_their_range(make):
    images = make()(torch.randn(2, Z) * 1e4)
    assert images.abs().max() <= 1
    assert images.min() < -0.5
    assert images.max() > 0.5


@pytest.mark.parametrize("B", [1, 2, 3, 5])
@pytest.mark.parametrize("make", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminators_turn_images_into_scores(make, B):
    assert make()(some_images(B)).shape == (B,)


@pytest.mark.parametrize("B", [2, 3])
def test_conditional_networks_have_the_same_shapes(B):
    labels = torch.arange(B)
    images = ConvGenerator(Z, C, num_classes=K)(torch.randn(B, Z), labels)
    assert images.shape == (B, 1, 28, 28)
    assert ConvDiscriminator(C, num_classes=K)(images, labels).shape == (B,)


def test_the_article_s_networks_have_the_article_s_sizes():
    assert count(MLPGenerator()) == 100 * 128 + 128 + 128 * 784 + 784 == 114_064
    assert count(MLPDiscriminator()) == 784 * 128 + 128 + 128 + 1 == 100_609


@pytest.mark.parametrize("classes", [0, K])
def test_the_convolutional_networks_have_the_sizes_of_their_layers(classes):
    norms = 2 * 2 * C + 2 * C
    generator = (Z + classes) * 2 * C * 49 + 2 * C * C * 16 + C * 16 + 1 + norms
    assert count(ConvGenerator(Z, C, classes)) == generator
    discriminator = (C * 16 + C) + (2 * C * C * 16 + 2 * C) + (2 * C * 49 + 1)
    assert count(ConvDiscriminator(C, classes)) == discriminator + classes * 2 * C * 49


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def test_the_article_s_generator_is_its_formula():
    generator, z = MLPGenerator(Z, (11,)), torch.randn(3, Z)
    W1, b1, W2, b2 = generator.parameters()
    assert_close(generator(z), torch.tanh(leaky(z @ W1.T + b1) @ W2.T + b2).view(3, 1, 28, 28))


def test_the_article_s_discriminator_is_its_formula_without_sigmoid():
    discriminator, images = MLPDiscriminator((11,)), some_images(3)
    w1, b1, w2, b2 = discriminator.parameters()
    assert_close(discriminator(images), (leaky(images.view(3, 784) @ w1.T + b1) @ w2.T + b2)[:, 0])


def normed(x, norm):
    """Batch norm at test time, by its formula."""
    mean, var, weight, bias = (
        v.view(-1, 1, 1) for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + norm.eps).sqrt() * weight + bias


def test_the_convolutional_generator_is_its_formula():
    generator, z = ConvGenerator(Z, C).train(), torch.randn(3, Z)
    generator(torch.randn(13, Z) * 2 + 1)  # so that the running averages are not 0 and 1
    dense, _, norm_1, _, up_1, norm_2, _, up_2, _ = generator.eval().layers
    h = torch.relu(normed((z @ dense.weight.T).view(3, 2 * C, 7, 7), norm_1))
    h = F.conv_transpose2d(h, up_1.weight, stride=2, padding=1)
    assert h.shape == (3, C, 14, 14)
    h = F.conv_transpose2d(torch.relu(normed(h, norm_2)), up_2.weight, up_2.bias, 2, 1)
    assert_close(generator(z), torch.tanh(h))


def test_the_convolutional_discriminator_is_its_formula():
    discriminator, images = ConvDiscriminator(C, num_classes=K), some_images(3)
    nn.init.normal_(discriminator.embedding.weight)
    down_1, _, down_2, _, _ = discriminator.features
    h = leaky(F.conv2d(images, down_1.weight, down_1.bias, stride=2, padding=1))
    assert h.shape == (3, C, 14, 14)
    h = leaky(F.conv2d(h, down_2.weight, down_2.bias, stride=2, padding=1)).flatten(1)
    labels = torch.tensor([4, 0, 2])
    w, b, E = discriminator.score.weight[0], discriminator.score.bias, discriminator.embedding
    projected = torch.stack([h[i] @ E.weight[k] for i, k in enumerate(labels)])
    assert_close(discriminator(images, labels), h @ w + b + projected)


@pytest.mark.parametrize("make", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_a_score_depends_on_its_own_image_alone(make):
    """The gradient penalty needs this, so batch norm has no place in a discriminator."""
    discriminator, images = make().train(), some_images(5)
    others = torch.cat([images[:1], -images[1:]])
    assert_close(discriminator(others)[0], discriminator(images)[0])


@pytest.mark.parametrize("network", [*GENERATORS.values(), *DISCRIMINATORS.values()])
def test_every_weight_gets_a_gradient(network):
    network = network()
    generates = hasattr(network, "Z")
    network(torch.randn(3, Z) if generates else some_images(3)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())


# --- conditional networks ---


def test_the_label_changes_the_image_and_nothing_else_does():
    generator = ConvGenerator(Z, C, num_classes=K).eval()
    z = torch.randn(1, Z).expand(K, Z)
    images = generator(z, torch.arange(K)).detach()
    for i in range(K):
        for j in range(i):
            assert (images[i] - images[j]).abs().max() > 1e-3
    assert_close(generator(z, torch.full((K,), 3)), images[3].expand(K, 1, 28, 28))


def test_the_label_is_noise_of_one_hot_form():
    conditional, plain = ConvGenerator(Z, C, num_classes=K).eval(), ConvGenerator(Z + K, C).eval()
    plain.load_state_dict(conditional.state_dict())
    z, labels = torch.randn(3, Z), torch.tensor([4, 0, 2])
    assert_close(conditional(z, labels), plain(torch.cat([z, torch.eye(K)[labels]], dim=1)))


def test_the_projection_starts_without_effect():
    conditional, plain = ConvDiscriminator(C, num_classes=K), ConvDiscriminator(C)
    plain.load_state_dict(conditional.state_dict(), strict=False)
    images = some_images(3)
    for labels in (torch.tensor([0, 1, 2]), torch.tensor([4, 4, 3])):
        assert_close(conditional(images, labels), plain(images))


def test_the_discriminator_learns_which_label_belongs_to_which_image():
    discriminator, images = ConvDiscriminator(C, num_classes=2), some_images(2)
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    optimizer = torch.optim.Adam(discriminator.parameters(), 3e-3)
    for _ in range(30):
        loss = LOSSES["non-saturating"].discriminator(
            discriminator(images, right), discriminator(images, wrong)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (discriminator(images, right) > 0).all()
    assert (discriminator(images, wrong) < 0).all()


# --- what is refused ---

LABELS = torch.zeros(2, dtype=torch.long)


@pytest.mark.parametrize("shape", [(2, 11), (7,), (2, 7, 1), (7, 2)])
@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_noise_of_another_width_is_refused(make, shape):
    with pytest.raises(ValueError, match="need noise") as caught:
        make()(torch.randn(shape))
    assert str(caught.value) == f"need noise (B, Z) with Z = 7, got {shape}"


@pytest.mark.parametrize("shape", [(2, 784), (28, 28), (1, 28, 28), (2, 3, 28, 28), (2, 1, 29, 28)])
@pytest.mark.parametrize("make", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_images_of_another_shape_are_refused(make, shape):
    with pytest.raises(ValueError, match="need images") as caught:
        make()(torch.zeros(shape))
    assert str(caught.value) == f"need images (B, 1, 28, 28), got {shape}"


@pytest.mark.parametrize(
    ("network", "batch"),
    [
        (ConvGenerator(Z, C, num_classes=K), torch.zeros(2, Z)),
        (ConvDiscriminator(C, num_classes=K), torch.zeros(2, 1, 28, 28)),
    ],
    ids=["generator", "discriminator"],
)
def test_missing_labels_are_refused(network, batch):
    with pytest.raises(ValueError, match=r"needs labels \(B,\) of 5 classes, got none"):
        network(batch)


@pytest.mark.parametrize(
    ("network", "batch"),
    [
        (ConvGenerator(Z, C), torch.zeros(2, Z)),
        (ConvDiscriminator(C), torch.zeros(2, 1, 28, 28)),
    ],
    ids=["generator", "discriminator"],
)
def test_surplus_labels_are_refused(network, batch):
    with pytest.raises(ValueError, match=r"needs no labels, got \(2,\)"):
        network(batch, LABELS)


# --- make_gan ---


def weights(networks):
    return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_seed_alone_draws_the_weights(architecture):
    torch.manual_seed(1)
    first = weights(make_gan(architecture, Z, seed=11))
    torch.manual_seed(2)
    assert torch.equal(weights(make_gan(architecture, Z, seed=11)), first)
    assert not torch.equal(weights(make_gan(architecture, Z, seed=13)), first)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_global_random_state_stays_as_it_was(architecture):
    before = torch.get_rng_state()
    make_gan(architecture, Z)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generator_and_discriminator_fit_each_other(architecture):
    generator, discriminator = make_gan(architecture, Z)
    assert generator.Z == Z
    assert generator.num_classes == discriminator.num_classes
    assert generator.num_classes == (10 if architecture == "conditional" else 0)
    labels = [torch.tensor([0, 9, 3])] if generator.num_classes else []
    assert discriminator(generator(torch.randn(3, Z), *labels), *labels).shape == (3,)


def test_the_article_s_architecture_is_the_article_s():
    assert [count(network) for network in make_gan("article")] == [114_064, 100_609]


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="need architecture in") as caught:
        make_gan("transformer")
    assert all(name in str(caught.value) for name in (*ARCHITECTURES, "'transformer'"))


# --- losses against their formulas ---


def log_belief(scores):
    """log D(x), D = σ(score), written out."""
    return torch.log(1 / (1 + torch.exp(-scores)))


def log_disbelief(scores):
    return torch.log(1 - 1 / (1 + torch.exp(-scores)))


def cross_entropy(real, fake):
    return -log_belief(real).mean() - log_disbelief(fake).mean()


def hinge(real, fake):
    zero = torch.zeros((), dtype=F64)
    return -torch.minimum(zero, real - 1).mean() - torch.minimum(zero, -fake - 1).mean()


FORMULAS = {  # name: (of D, of G), both to be minimised
    "non-saturating": (cross_entropy, lambda fake: -log_belief(fake).mean()),
    "saturating": (cross_entropy, lambda fake: log_disbelief(fake).mean()),
    "least squares": (
        lambda real, fake: 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
        lambda fake: 0.5 * ((fake - 1) ** 2).mean(),
    ),
    "wasserstein": (
        lambda real, fake: -(real.mean() - fake.mean()),
        lambda fake: -fake.mean(),
    ),
    "hinge": (hinge, lambda fake: -fake.mean()),
}
# beyond ±12 the formulas themselves lose digits: 1 - σ(12) = 6e-6
scores_of = st.lists(st.floats(-12, 12), min_size=1, max_size=7).map(
    lambda scores: torch.tensor(scores, dtype=F64)
)


def test_every_loss_has_its_formula_here():
    assert FORMULAS.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", LOSSES)
@given(real=scores_of, fake=scores_of)
def test_each_loss_is_its_formula(name, real, fake):
    of_D, of_G = FORMULAS[name]
    assert_close(LOSSES[name].discriminator(real, fake), of_D(real, fake), rtol=1e-9, atol=1e-9)
    assert_close(LOSSES[name].generator(fake), of_G(fake), rtol=1e-9, atol=1e-9)


def test_only_the_cross_entropies_read_scores_as_probabilities():
    assert [name for name in LOSSES if LOSSES[name].probability] == ["non-saturating", "saturating"]


def test_only_wasserstein_has_a_penalty():
    assert {name: loss.penalty for name, loss in LOSSES.items() if loss.penalty} == {
        "wasserstein": 10.0
    }


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_each_loss_names_its_paper(loss):
    assert "arXiv:" in loss.source


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("real", [-1000.0, 1000.0])
@pytest.mark.parametrize("fake", [-1000.0, 1000.0])
def test_extreme_scores_give_finite_losses_and_gradients(loss, real, fake):
    real, fake = (torch.full((3,), s, requires_grad=True) for s in (real, fake))
    for value in (loss.discriminator(real, fake), loss.generator(fake)):
        assert value.isfinite()
        gradients = torch.autograd.grad(value, (real, fake), allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize(
    ("name", "of_D", "of_G"),
    [
        ("non-saturating", 2000, 0),  # D is wrong about both, G has won
        ("saturating", 2000, -1000),
        ("least squares", (1001**2 + 1000**2) / 2, 999**2 / 2),
        ("wasserstein", 2000, -1000),
        ("hinge", 2002, -1000),
    ],
)
def test_values_where_the_sigmoid_is_rounded_off(name, of_D, of_G):
    real, fake = torch.full((3,), -1000.0), torch.full((3,), 1000.0)
    assert LOSSES[name].discriminator(real, fake).item() == pytest.approx(of_D)
    assert LOSSES[name].generator(fake).item() == pytest.approx(of_G)


unit = st.lists(st.floats(0.05, 0.95), min_size=2, max_size=5).map(torch.tensor)


@pytest.mark.parametrize("name", LOSSES)
@given(real=unit, fake=unit)
def test_each_pulls_its_own_way(name, real, fake):
    """To minimise is to go against the gradient: G raises its scores, D parts the two sets.

    Between 0 and 1, where least squares has not reached its targets yet.
    """
    real, fake = real.requires_grad_(), fake.requires_grad_()
    (of_G,) = torch.autograd.grad(LOSSES[name].generator(fake), fake)
    assert (of_G < 0).all()
    of_real, of_fake = torch.autograd.grad(LOSSES[name].discriminator(real, fake), (real, fake))
    assert (of_real < 0).all()
    assert (of_fake > 0).all()


def test_only_the_saturating_generator_stalls_when_it_is_found_out():
    found_out = torch.tensor([-10.0], requires_grad=True)
    pull = {
        name: torch.autograd.grad(LOSSES[name].generator(found_out), found_out)[0].abs().item()
        for name in LOSSES
    }
    assert pull["saturating"] == pytest.approx(math.exp(-10), rel=1e-3)
    assert all(pull[name] > 0.99 for name in LOSSES if name != "saturating")


def test_the_hinge_lets_go_beyond_its_margin():
    real = torch.tensor([0.9, 1.1], requires_grad=True)
    fake = torch.tensor([-0.9, -1.1], requires_grad=True)
    gradients = torch.autograd.grad(LOSSES["hinge"].discriminator(real, fake), (real, fake))
    assert_close(gradients[0], torch.tensor([-0.5, 0.0]))
    assert_close(gradients[1], torch.tensor([0.5, 0.0]))


@pytest.mark.parametrize("make", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_a_discriminator_learns_to_tell_two_fixed_batches_apart(make):
    discriminator, real, fake = make(), some_images(3), some_images(2)
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    for _ in range(20):
        loss = LOSSES["non-saturating"].discriminator(discriminator(real), discriminator(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (discriminator(real) > 1).all()
    assert (discriminator(fake) < -1).all()


# --- the gradient penalty ---


def linear(w):
    return lambda images: images.flatten(1) @ w


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=6))
def test_the_penalty_of_a_linear_critic(w):
    w = torch.tensor(w, dtype=F64)
    real, fake = torch.randn(3, 2, 3, dtype=F64), torch.randn(3, 2, 3, dtype=F64)
    assert_close(gradient_penalty(linear(w), real, fake), (w.norm() - 1) ** 2)


@pytest.mark.parametrize(
    "critic",
    [linear(F.normalize(torch.arange(1.0, 785), dim=0)), lambda x: x.flatten(1).norm(dim=1) + 5],
    ids=["plane", "cone"],
)
def test_a_critic_of_unit_slope_pays_nothing(critic):
    penalty = gradient_penalty(critic, some_images(5), some_images(5))
    assert penalty.item() == pytest.approx(0, abs=1e-10)


def test_a_flat_critic_pays_1_and_its_gradient_is_finite():
    w = torch.zeros(784, requires_grad=True)
    penalty = gradient_penalty(linear(w), some_images(3), some_images(3))
    assert penalty.item() == 1
    penalty.backward()
    assert w.grad.isfinite().all()


def curved_critic():
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def test_the_slope_is_that_of_the_jacobian():
    """With real = fake, every point between the two is the image itself."""
    critic, points = curved_critic(), torch.randn(3, 2, 3, dtype=F64)
    jacobian = torch.autograd.functional.jacobian(lambda x: critic(x).squeeze(1), points)
    slopes = torch.stack([jacobian[i, i].norm() for i in range(3)])
    expected = ((slopes - 1) ** 2).mean()
    assert_close(gradient_penalty(lambda x: critic(x).squeeze(1), points, points), expected)


def test_the_penalty_teaches_the_critic():
    """d/dw (‖w‖ - 1)² = 2 (‖w‖ - 1) w / ‖w‖."""
    w = torch.tensor([0.0, 3.0, -4.0, 0.0, 0.0, 0.0], dtype=F64, requires_grad=True)
    images = torch.randn(2, 5, 2, 3, dtype=F64)
    gradient_penalty(linear(w), *images).backward()
    assert_close(w.grad, 2 * (5 - 1) * w.detach() / 5)


def test_the_penalty_s_gradient_is_that_of_finite_differences():
    critic, points = curved_critic(), torch.randn(3, 2, 3, dtype=F64)
    names, values = zip(*critic.named_parameters(), strict=True)

    def penalty(*values):
        weights = dict(zip(names, values, strict=True))
        return gradient_penalty(
            lambda x: torch.func.functional_call(critic, weights, x).squeeze(1), points, points
        )

    # not the last bias: it moves all scores alike, so no gradient leads to it
    assert torch.autograd.gradcheck(lambda *v: penalty(*v, values[-1]), values[:-1])


def test_the_penalty_teaches_the_generator_nothing():
    w = torch.ones(784, requires_grad=True)
    fake = some_images(3).requires_grad_()
    gradient_penalty(linear(w), some_images(3), fake).backward()
    assert fake.grad is None


def test_the_points_lie_between_each_pair():
    """x̂ = ε x + (1 - ε) G(z) with one ε in [0, 1] for each image, and another for the next."""
    seen = []

    def critic(images):
        seen.append(images.detach())
        return images.flatten(1).sum(dim=1)

    real, fake = some_images(53), some_images(53)
    gradient_penalty(critic, real, fake)
    (between,) = seen
    difference = (real - fake).flatten(1)
    epsilon = ((between - fake).flatten(1) * difference).sum(1) / difference.square().sum(1)
    assert_close(between, fake + epsilon.view(-1, 1, 1, 1) * (real - fake), atol=1e-5, rtol=0)
    assert epsilon.min() >= -1e-5
    assert epsilon.max() <= 1 + 1e-5
    assert epsilon.min() < 0.2  # uniform: all of 53 above it has probability 1e-5
    assert epsilon.max() > 0.8
    assert epsilon.unique().numel() == 53


def test_a_conditional_critic_gets_its_labels():
    critic = ConvDiscriminator(C, num_classes=K)
    nn.init.normal_(critic.embedding.weight)
    images, penalties = some_images(3), []
    for k in range(2):
        labels = torch.full((3,), k)
        penalties.append(gradient_penalty(lambda x, y=labels: critic(x, y), images, images))
    assert penalties[0].item() != pytest.approx(penalties[1].item(), rel=1e-3)


def test_a_penalty_between_unlike_shapes_is_refused():
    shapes = r"\(3, 1, 28, 28\) and \(2, 1, 28, 28\)"
    with pytest.raises(ValueError, match=f"need real and fake of one shape, got {shapes}"):
        gradient_penalty(linear(torch.ones(784)), some_images(3), some_images(2))
