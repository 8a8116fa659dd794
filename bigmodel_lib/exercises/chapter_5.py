"""Tasks of chapter 5: what a GAN's networks hold, and who may teach whom."""

import math
import random
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bigmodel_lib.exercises.task import CodeTask, Mistake, NumberTask, Prediction, normal

# --- 5.2 parameters ----------------------------------------------------------------------

PIXELS = 784
parameters = NumberTask(
    name="5.2 Parameters of the generator",
    draw=lambda dice: (dice.choice([32, 48, 64, 80]), dice.choice([96, 160, 192, 256])),
    right=lambda Z, h: (Z + 1) * h + (h + 1) * PIXELS,
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "no biases",
            "these are the matrices alone. Each output of a dense layer has a bias, too",
            "expected",
            lambda Z, h: Z * h + h * PIXELS,
        ),
        Mistake(
            "a bias for each input",
            "a bias belongs to each output of a layer, not to each input",
            "expected",
            lambda Z, h: Z * h + h * PIXELS + Z + h,
        ),
        Mistake(
            "counts the stack",
            "this counts the discriminator, too: the stacked model holds both, the generator not",
            "expected",
            lambda Z, h: (Z + 1) * h + (h + 1) * PIXELS + (PIXELS + 1) * h + h + 1,
        ),
    ),
)

# --- 5.2, 5.3 the two losses -------------------------------------------------------------


def _networks(seed: int) -> tuple[nn.Module, nn.Module]:
    """A small generator 3 → 5 and discriminator 5 → 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = nn.Sequential(nn.Linear(3, 5), nn.Tanh())
        discriminator = nn.Sequential(nn.Linear(5, 4), nn.LeakyReLU(0.2), nn.Linear(4, 1))
    return generator.double(), discriminator.double()


def _gradients(*modules: nn.Module) -> Tensor:
    """All gradients in one row, 0 where there is none."""
    weights = [w for module in modules for w in module.parameters()]
    return torch.cat(
        [(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights]
    )


def _loss_and_gradients(function: Callable, seed: int, real: Tensor, z: Tensor) -> Tensor | None:
    """The loss, and what backward() leaves in the weights of both networks."""
    generator, discriminator = _networks(seed)
    loss = function(discriminator, generator, real, z)
    if not isinstance(loss, Tensor):
        return None
    loss.backward()
    return torch.cat([loss.detach().reshape(1), _gradients(discriminator, generator)])


def _d_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-log σ(s) = softplus(-s) -- Goodfellow et al. 2014, eq. 1, arXiv:1406.2661."""
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()


def _seeded(dice: random.Random) -> tuple[int, Tensor, Tensor]:
    return dice.getrandbits(30), normal(dice, 7, 5), normal(dice, 7, 3)


discriminator_loss = CodeTask(
    name="5.3 The discriminator's loss",
    draw=_seeded,
    measure=_loss_and_gradients,
    right=lambda D, G, real, z: _d_loss(D(real), D(G(z).detach())),
    mistakes=(
        Mistake(
            "forgets detach",
            "this loss leaves a gradient in the generator's weights: cut the graph with detach",
            "https://github.com/heykeetae/Self-Attention-GAN/issues/48",
            lambda D, G, real, z: _d_loss(D(real), D(G(z))),
        ),
        Mistake(
            "detaches the scores",
            "detach stands too late: the discriminator gets no gradient from generated data. "
            "Cut before D, not behind it",
            "https://github.com/open-mmlab/mmagic/issues/53",
            lambda D, G, real, z: _d_loss(D(real), D(G(z)).detach()),
        ),
        Mistake(
            "swaps the labels",
            "real data is told to be fake, and fake data real: this is the loss upside down",
            "expected",
            lambda D, G, real, z: _d_loss(-D(real), -D(G(z).detach())),
        ),
        Mistake(
            "leaves the real data out",
            "only generated data is judged. A discriminator that says 0 to all would be perfect",
            "article, section 2.3 (its diagram)",
            lambda D, G, real, z: F.softplus(D(G(z).detach())).mean(),
        ),
    ),
)


def _after_training(function: Callable, seed: int, noises: list[Tensor]) -> Tensor:
    """The weights of both networks after the function has trained the generator."""
    generator, discriminator = _networks(seed)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.5)
    function(generator, discriminator, optimizer, noises)
    weights = [*generator.parameters(), *discriminator.parameters()]
    return torch.cat([w.detach().flatten() for w in weights])


def _train(loss_of: Callable[[Tensor], Tensor], clear=True, cut=False) -> Callable:
    """A training loop of the generator, with the faults asked for."""

    def steps(G, D, optimizer, noises):
        for z in noises:
            if clear:
                optimizer.zero_grad()
            loss_of(D(G(z).detach() if cut else G(z))).backward()
            optimizer.step()

    return steps


generator_steps = CodeTask(
    name="5.3 The generator's steps",
    draw=lambda dice: (dice.getrandbits(30), [normal(dice, 7, 3) for _ in range(3)]),
    measure=_after_training,
    right=_train(lambda scores: F.softplus(-scores).mean()),
    mistakes=(
        Mistake(
            "forgets zero_grad",
            "the first step is right, the later ones are not: gradients of earlier steps are "
            "still in the sum",
            "https://github.com/pytorch/pytorch/issues/47175",
            _train(lambda scores: F.softplus(-scores).mean(), clear=False),
        ),
        Mistake(
            "detaches the generator",
            "the generator has not moved. Is a step taken, and does D's judgement reach G? Nothing "
            "comes back through detach",
            "expected",
            _train(lambda scores: F.softplus(-scores).mean(), cut=True),
        ),
        Mistake(
            "learns to look fake",
            "this makes D surer that the images are fake: the discriminator's half of the loss",
            "expected",
            _train(lambda scores: F.softplus(scores).mean()),
        ),
        Mistake(
            "takes the saturating loss",
            "this is log(1 − D(G(z))), whose gradient vanishes where D is sure; the task asks "
            "for the other one",
            "paper: Goodfellow et al. 2014, section 3, arXiv:1406.2661",
            _train(lambda scores: -F.softplus(scores).mean()),
        ),
    ),
)

# --- 5.2 the lab -------------------------------------------------------------------------


def _images(dice: random.Random) -> tuple[int, int]:
    n = dice.choice([3, 4, 5, 7])
    return n, 2 * n * dice.choice([16, 32, 64, 128])


batch = NumberTask(
    name="5.2 A batch size for the lab",
    draw=_images,
    right=lambda n, images: images / (2 * n),
    tolerance=1e-9,
    mistakes=(
        Mistake(
            "counts real images alone",
            "each step of D looks at as many generated images as at real ones",
            "expected",
            lambda n, images: images / n,
        ),
        Mistake(
            "takes one step of D",
            "D takes several steps for each step of G",
            "expected",
            lambda n, images: images / 2,
        ),
        Mistake(
            "takes all images for a batch",
            "this is the number of all images; a batch is what one step takes of one kind",
            "expected",
            lambda n, images: images,
        ),
    ),
)

# --- 5.2 which loss pushes harder --------------------------------------------------------


def _harder(s: float) -> str:
    """How many times the non-saturating gradient with respect to the score is as large."""
    score = torch.tensor(s, dtype=torch.float64, requires_grad=True)
    (strong,) = torch.autograd.grad(F.softplus(-score), score)
    (weak,) = torch.autograd.grad(-F.softplus(score), score)
    ratio = math.log((strong / weak).item())
    told = {"a": 0.0, "b": -s, "c": math.log(-s), "d": s}
    return min(told, key=lambda letter: abs(told[letter] - ratio))


pushes = Prediction(
    name="5.2 Which loss pushes harder?",
    draw=lambda dice: (-dice.choice([4.0, 5.0, 6.0, 7.0]),),
    right=_harder,
    options={
        "a": "both push equally hard",
        "b": "the non-saturating loss pushes e^|s| times as hard",
        "c": "the non-saturating loss pushes |s| times as hard",
        "d": "the saturating loss pushes e^|s| times as hard",
    },
    mistakes=(
        Mistake(
            "same goal, same gradient",
            "both losses have the same best answer, but not the same slope on the way",
            "expected",
            lambda s: "a",
        ),
        Mistake(
            "compares the losses, not their slopes",
            "|s| is about the size of the loss itself. What moves the generator is its slope",
            "expected",
            lambda s: "c",
        ),
        Mistake(
            "takes saturating for strong",
            "saturating means that the slope dies where D is sure that an image is fake",
            "expected",
            lambda s: "d",
        ),
    ),
)
