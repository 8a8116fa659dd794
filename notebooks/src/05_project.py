# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,nbgrader,slideshow,-all
#     notebook_metadata_filter: kernelspec,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 Project: code and a close reading of it · 项目实践：代码实例和详细解释说明
#
# **The question:** can two small networks, neither of which is ever shown how to draw, teach each other to write digits?
#
# **After this chapter you can** build a generative adversarial network (GAN) in PyTorch; say which line of its training loop owns which gradient; break it on purpose and explain what fails; and judge its pictures by numbers, not by taste.
#
# **It takes** about 30 minutes to read, a minute to run on two processor cores, and less than 1.2 GB of memory. Chapter 4 derives the formulas; here we use them.

# %%
import math
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.device import autocast, by_device, pick_device, seed_everything
from bigmodel_lib.metrics import GeneratorJudge, nearest
from bigmodel_lib.models.gan import LOSSES, MLPDiscriminator, MLPGenerator, make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.widgets import GANLab

device = pick_device()
seed_everything(0)

# %% [markdown]
# ## 5.1 Setting up · 开发环境搭建
#
# The article asks for Python, a framework (TensorFlow or PyTorch) and a GPU. The README's two commands install the first two; the third is optional here. What machine is this?

# %% tags=["machine"]
from bigmodel_lib.__main__ import check_up  # noqa: E402

print(check_up())


# %% [markdown]
# **Predict.** One training step of a small network: will it run faster on two threads than on one, and on a GPU faster than on the CPU? And what will half precision (*autocast*) change?

# %% tags=["machine"]
def steps_per_second(where: torch.device, half: bool, seconds: float = 0.5) -> float:
    run = GANRun(*(net.to(where) for net in make_gan("article")), load_digits(), check_every=20)
    with torch.autocast("cpu", enabled=False) if not half else autocast(where):
        next(run)
        steps, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            steps += len(list(run.take(20)))
        return steps / (time.perf_counter() - start)


places = [torch.device("cpu")] + [device] * (device.type != "cpu")
print(
    {
        f"{place}, half: {half}": round(steps_per_second(place, half))
        for place in places
        for half in ((False, True) if place.type != "cpu" else (False,))
    },
    "steps per second",
)

# %% [markdown]
# A network this small is bound by overhead: starting an operation takes longer than the operation. A GPU wins when the work for each launch grows, in batch or width. That is why `by_device` below gives a GPU more work instead of the same work.

# %% [markdown]
# ## 5.2 The code · 源代码详细实现
#
# First the data: real handwritten digits, collected from 43 writers (Alpaydin & Kaynak 1998), 8 by 8 pixels, enlarged to the article's 28 by 28, with ink at 1 and paper at −1. The generator never sees them; the discriminator does.

# %%
source = by_device(cpu="digits", gpu="mnist")
train = load_digits(source, "train", fallback=True)
test = load_digits(train.source, "test")
print(f"{train.source}: {len(train)} images to learn from, {len(test)} held out")
figure, ax = plt.subplots(figsize=(8, 2.5))
plots.image_grid(train.images[:30], columns=15, ax=ax)
plots.show(figure, alt="Thirty blurred white handwritten digits on black, in two rows.")

# %% [markdown]
# ### The two networks
#
# The **generator** $G$ turns noise $z \in \mathbb{R}^Z$, $Z = 100$, into an image $G(z)$. The **discriminator** $D$ turns an image $x$ into a score; $\sigma(D(x))$ is its belief that $x$ is real. The article's layers:
#
# | | $G$ | $D$ |
# |---|---|---|
# | in | 100 | 28·28 = 784 |
# | hidden | 128, leaky ReLU 0.2 | 128, leaky ReLU 0.2 |
# | out | 784, tanh | 1, sigmoid |

# %%
article_G = nn.Sequential(nn.Linear(100, 128), nn.LeakyReLU(0.2), nn.Linear(128, 784), nn.Tanh())
article_D = nn.Sequential(nn.Linear(784, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


claim(
    "parameters of G beyond 100·128 + 128 + 128·784 + 784",
    count(article_G) - (100 * 128 + 128 + 128 * 784 + 784),
    0,
    0,
)
claim(
    "parameters of the library's G and D beyond those of the article's",
    count(MLPGenerator()) + count(MLPDiscriminator()) - count(article_G) - count(article_D),
    0,
    0,
)

# %% [markdown]
# Our $D$ ends without the sigmoid. It is part of the loss instead, since $-\log\sigma(s) = \operatorname{softplus}(-s)$ stays finite where $\log$ of a rounded-off sigmoid does not:

# %%
score = torch.tensor(-120.0)
print("-log(sigmoid(s)):", -torch.log(torch.sigmoid(score)), " softplus(-s):", F.softplus(-score))

# %% [markdown]
# > **Erratum 1: the article's code does not run.** It calls `LeakyReLU` without importing it, and hands `alpha` to a dense layer, which has no such parameter. PyTorch's counterparts object just as Keras does:

# %%
for line in ("LeakyReLU(0.2)", "nn.Linear(784, 128, alpha=0.2)"):
    try:
        eval(line, {"nn": nn})
    except (NameError, TypeError) as error:
        print(f"{line:32} {type(error).__name__}: {error}")

# %% [markdown]
# > **Erratum 2: there is no training step.** The article builds both networks and stops. What an untrained generator draws is television snow, which a classifier takes for no digit in particular. The judge below measures this; section 5.4 explains its numbers.

# %%
judge = GeneratorJudge(train, test)


def draw(net: nn.Module, count: int = 1000) -> torch.Tensor:
    z = torch.randn(count, 100, generator=torch.Generator().manual_seed(1)).to(device)
    with torch.no_grad():
        return net(z).view(-1, 1, 28, 28).cpu()


untrained = judge(draw(article_G.to(device)))
claim("digits covered by the article's generator as printed, untrained", untrained.modes, high=1)


# %% [markdown]
# ### The training step
#
# Each learns against the other (Goodfellow et al. 2014, algorithm 1):
#
# $$L_D = -\mathbb{E}_x \log\sigma(D(x)) - \mathbb{E}_z \log\bigl(1-\sigma(D(G(z)))\bigr), \qquad L_G = -\mathbb{E}_z \log\sigma(D(G(z)))$$
#
# $x$: real images; $z$: noise; $\sigma$: sigmoid. $L_G$ is the *non-saturating* form of their section 3. The flags switch single lines off; section 5.3 uses them.

# %%
def plain_step(G, D, g_optimizer, d_optimizer, real, z, *, detach=True, zero_grad=True):
    fake = G(z)
    d_loss = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach() if detach else fake)).mean()
    if zero_grad:
        d_optimizer.zero_grad()
    d_loss.backward(retain_graph=not detach)
    d_optimizer.step()
    g_loss = F.softplus(-D(fake)).mean()
    if zero_grad:
        g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()


# %% [markdown]
# The library's `GANRun` does the same, with settings that can change between two steps, checkpoints, and other losses. Is it really the same? Both get equal first weights and equal random numbers, and take 50 steps.

# %%
def plain_training(steps: int, *, unfrozen=False, seed=0, **flags):
    G, D = (net.to(device) for net in make_gan("article", seed=seed))
    learning = [*G.parameters(), *D.parameters()] if unfrozen else G.parameters()
    g_optimizer = torch.optim.Adam(learning, 1e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(D.parameters(), 1e-3, betas=(0.5, 0.999))
    torch.manual_seed(seed)
    losses = []
    for _ in range(steps):
        z = torch.randn(64, 100, device=device)
        real = images[torch.randint(len(images), (64,), device=device)]
        losses.append(plain_step(G, D, g_optimizer, d_optimizer, real, z, **flags))
    return G, D, torch.tensor(losses)


images = train.images.to(device)
fast = GANSettings(d_lr=1e-3, g_lr=1e-3)
run = GANRun(*(net.to(device) for net in make_gan("article")), train, settings=fast)
library = torch.tensor([(r["d_loss"], r["g_loss"]) for r in run.take(50)])
claim(
    "largest difference between the library's losses and the plain loop's over 50 steps",
    (plain_training(50)[2] - library).abs().max(),
    high=by_device(cpu=1e-3, gpu=1e-1),
)


# %% [markdown]
# ### Four generators
#
# The article's network; a convolutional one (Radford et al. 2015); the same trained as a *critic* with the Wasserstein loss and gradient penalty (Gulrajani et al. 2017); and a conditional one, told which digit to draw (Mirza & Osindero 2014).
#
# **Predict.** Which will look best after some seconds of training each? Which will miss a digit?

# %%
def train_gan(name: str, architecture: str, steps: int, **settings) -> GANRun:
    networks = (net.to(device) for net in make_gan(architecture))
    settings = GANSettings(**{"d_lr": 1e-3, "g_lr": 1e-3} | settings)
    run = GANRun(*networks, train, settings=settings, check_every=by_device(cpu=1, gpu=50))
    for _ in tqdm(run.take(steps), total=steps, desc=name, leave=False):
        pass
    return run


longer = by_device(cpu=1, gpu=10)
runs = {
    "article": train_gan("article", "article", 2500 * longer),
    "convolutional": train_gan("convolutional", "convolutional", 400 * longer),
    "Wasserstein": train_gan(
        "Wasserstein", "convolutional", 200 * longer, loss="wasserstein", beta1=0.0, beta2=0.9
    ),
    "conditional": train_gan("conditional", "conditional", 800 * longer),
}
for name, run in runs.items():
    print(f"{name:14} {run.step:5} steps, loss of {LOSSES[run.settings.loss].source}")

# %% [markdown]
# ### Turn the knobs yourself
#
# The lab below trains live. Controls marked ↻ start the run anew; all others act on the next step and leave a mark on the loss curve. **Try:**
#
# 1. *Play*, then raise the learning rate of $D$ tenfold. Whose gradient dies?
# 2. *Compare A | B*: two runs from one seed; give B the saturating loss.
# 3. Set $D$'s rate to its minimum and go on. What does $G$ learn from a judge that no longer learns?

# %%
lab = GANLab(architecture="article")
lab.run(steps=300)  # a first stretch, so that there is something to see
lab


# %% [markdown]
# *In the picture:* generated digits at the top left, real ones below. The two losses hover instead of falling, since each network's progress raises the other's loss. The bars show which digits a classifier finds among the generated images; an even generator reaches the dashed line everywhere.

# %% [markdown]
# ## 5.3 Reading the code · 代码解读与分析
#
# ### Shapes
#
# Follow two images through the convolutional networks. A hook on each layer notes what leaves it.

# %%
def trace(net: nn.Module, *inputs: torch.Tensor) -> None:
    leaves = [(name, part) for name, part in net.named_modules() if not list(part.children())]
    for name, part in leaves:
        part.register_forward_hook(
            lambda part, _, out, name=name: print(
                f"{name:12} {type(part).__name__:16} {tuple(out.shape)!s:18} {count(part):7,}"
            )
        )
    net(*inputs)


trace(make_gan("convolutional")[0], torch.randn(2, 100))
print()
trace(make_gan("convolutional")[1], torch.randn(2, 1, 28, 28))


# %% [markdown]
# $G$ widens: 100 numbers, 7·7 pixels with many channels, 14·14, 28·28. $D$ mirrors it. The fourth column counts parameters: almost all sit where a dense layer meets the pixels.

# %% [markdown]
# ### Who owns which gradient
#
# `detach()` cuts the graph: what $D$ learns from a fake image must not reach $G$. The norms below show both sides of the cut.

# %%
def gradient_norm(net: nn.Module) -> float:
    grads = [p.grad.flatten() for p in net.parameters() if p.grad is not None]
    return torch.cat(grads).norm().item() if grads else 0.0


def after_d_loss(detach: bool) -> tuple[float, float]:
    G, D = make_gan("article")
    fake = G(torch.randn(64, 100))
    F.softplus(D(fake.detach() if detach else fake)).mean().backward()
    return gradient_norm(G), gradient_norm(D)


claim("gradient that D's loss leaves in G, with detach", after_d_loss(detach=True)[0], 0, 0)
claim("the same without detach", after_d_loss(detach=False)[0], low=1e-4)
claim(
    "gradient that D gets either way, as a ratio",
    after_d_loss(detach=True)[1] / after_d_loss(detach=False)[1],
    0.8,
    1.25,
)

# %% [markdown]
# ### Break a line
#
# **Predict** what each of these does to the training of the article's network: (a) no `detach`; (b) no `zero_grad`; (c) $G$'s optimiser also holds $D$'s weights.
#
# > **Erratum 3: (c) is the article's stacked model.** It never sets `trainable = False` on the discriminator inside the stack, so the step that should teach $G$ also teaches $D$ to call every fake real.

# %%
broken = {
    "correct": plain_training(600),
    "(a) no detach": plain_training(600, detach=False),
    "(b) no zero_grad": plain_training(600, zero_grad=False),
    "(c) D not frozen": plain_training(600, unfrozen=True),
}
reports = {name: judge(draw(G)) for name, (G, D, _) in broken.items()}
plots.table({
    name: {
        "D(real)": D(images).sigmoid().mean().item(),
        "D(fake)": D(draw(G).to(device)).sigmoid().mean().item(),
        "modes": reports[name].modes,
        "Fréchet": reports[name].frechet,
    }
    for name, (G, D, _) in broken.items()
})  # fmt: skip

# %%
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9))
for ax, (name, (G, _, _)) in zip(axes, broken.items(), strict=True):
    plots.image_grid(draw(G, 25), columns=5, title=name, ax=ax)
plots.show(
    figure,
    alt="Samples after 600 steps: digits-like strokes for the correct loop and "
    "without detach, and shapeless blots without zero_grad and with D not frozen.",
)

# %% [markdown]
# *(a)* changes nothing in the result: `g_optimizer.zero_grad()` wipes the wrong gradient before it is used. It only wastes a backward pass through $G$, and waits for the day when someone moves the `zero_grad`. *(b)* lets every old gradient push for ever. *(c)* is the worst: the judge is bribed.

# %%
claim(
    "largest change in the losses when detach is left out",
    (broken["(a) no detach"][2] - broken["correct"][2]).abs().max(),
    high=by_device(cpu=1e-2, gpu=10),
)
for name in ("(b) no zero_grad", "(c) D not frozen"):
    claim(
        f"Fréchet distance of {name} over that of the correct loop",
        reports[name].frechet / reports["correct"].frechet,
        low=1.5,
    )

# %% [markdown]
# ## 5.4 Results · 运行结果展示
#
# The article announces results and shows none. Here are real digits beside what each generator draws from the same noise.

# %%
samples = {name: run.sample(*run.noise(1000, seed=1)).cpu() for name, run in runs.items()}
figure, axes = plt.subplots(1, 5, figsize=(12, 3.4))
for ax, (name, drawn) in zip(axes, {"real": test.images, **samples}.items(), strict=True):
    plots.image_grid(drawn[:20], columns=4, title=name, ax=ax)
plots.show(
    figure,
    alt="Five grids of digits. Real ones; rough and noisy ones from the article's "
    "network; smoother blots from the convolutional and the Wasserstein GAN; and clearly "
    "readable digits from the conditional GAN, its classes in order 0 to 9.",
)

# %% [markdown]
# ### Both losses
#
# *In the picture:* running means over 50 steps, raw values behind. Neither loss falls to zero. At the point where $D$ can no longer tell, $L_D = 2\log 2$ and $L_G = \log 2$ (dotted); chapter 4 derives this.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharey=True)
for ax, name in zip(axes, ("article", "conditional"), strict=True):
    names = {"d_loss": "discriminator", "g_loss": "generator"}
    plots.training_curves(runs[name].history, names, ylabel="loss (nats)", smooth=50, ax=ax)
    for level, colour in ((2 * math.log(2), plots.BLUE), (math.log(2), plots.ORANGE)):
        ax.axhline(level, color=colour, ls=":", lw=1.5)
    ax.set(title=name, ylim=(0, 4))
plots.show(
    figure,
    alt="Losses against steps for two GANs: after an early fight the running means "
    "settle, the generator's above the dotted line at 0.69, the discriminator's below 1.39.",
)

# %% [markdown]
# ### By numbers
#
# A classifier trained on the real digits serves as the eye; its last hidden layer is the feature space.
#
# - **Fréchet** distance between real and generated features (Heusel et al. 2017): 0 is equal.
# - **Precision**: share of the fakes among the real; **recall**: share of the real among the fakes (Kynkäänniemi et al. 2019).
# - **Modes**: digits that get at least a fifth of their fair share.
# - **Confidence** of the classifier.
# - **Novelty**: distance to the nearest training image, over that of held-out real images.

# %%
scores = {"untrained": untrained} | {name: judge(drawn) for name, drawn in samples.items()}
scores["real, held out"] = judge(test.images)
plots.table({name: vars(report) for name, report in scores.items()})

# %% [markdown]
# The last row is the limit: held-out real digits. Knowing the class helps most: it splits one hard problem into ten easy ones, and no digit can be forgotten.
#
# **No number stands alone.** The untrained generator's precision is high, although it draws snow: all its images fall on one point of the feature space, which happens to lie within reach of a real outlier. Its recall of 0 gives it away.

# %%
conditional, article = scores["conditional"], scores["article"]
claim("digits covered by the conditional GAN", conditional.modes, 10, 10)
claim("its classifier confidence (1 is certain)", conditional.confidence, low=0.95)
claim(
    "its Fréchet distance over that of the article's network",
    conditional.frechet / article.frechet,
    high=0.5,
)
claim("recall of the untrained generator", untrained.recall, high=0.05)
claim(
    "Fréchet distance of the article's network, trained over untrained",
    article.frechet / untrained.frechet,
    high=0.25,
)

# %% [markdown]
# ### Does it memorise?
#
# A generator that copied its training images would score perfectly. Below, each generated digit stands over its nearest neighbour in the training set. *In the picture:* the pairs resemble each other as two people's handwriting does, but no pair is the same.

# %%
ten = samples["conditional"][:10]
distance, index = nearest(ten, train.images)
figure, ax = plt.subplots(figsize=(9, 2))
plots.image_grid(torch.cat([ten, train.images[index]]), columns=10, ax=ax)
plots.show(
    figure,
    alt="Ten generated digits, 0 to 9, above their nearest training images: alike in "
    "shape, different in detail.",
)
claim(
    "novelty of the conditional GAN (a copy has 0, held-out real digits have 1)",
    conditional.novelty,
    low=0.7,
)

# %% [markdown]
# ### What lies between two noises?
#
# Walk in a straight line from one noise vector to another, and keep the class. If the generator had stored pictures, the walk would jump from one to the next. *In the picture:* it bends one handwriting into another.

# %%
run = runs["conditional"]
z, _ = run.noise(2, seed=5)
path = torch.lerp(z[:1], z[1:], torch.linspace(0, 1, 12, device=device)[:, None])  # (12, Z)
rows = [run.sample(path, torch.full((12,), digit, device=device)).cpu() for digit in (2, 3, 5)]
figure, ax = plt.subplots(figsize=(9, 2.4))
plots.image_grid(torch.cat(rows), columns=12, ax=ax)
plots.show(
    figure,
    alt="Three rows of twelve generated digits, 2, 3 and 5, whose strokes change "
    "gradually from left to right.",
)
steps = torch.stack(rows).diff(dim=1).flatten(2).norm(dim=2)
claim(
    "largest single step of a walk, as a share of its whole length",
    (steps.max(dim=1).values / steps.sum(dim=1)).max(),
    high=0.5,
)

# %% [markdown]
# ## Summary · 小结
#
# - Two networks with opposed losses can learn to draw, if the training step keeps their gradients apart.
# - The article's code does not run, does not freeze its discriminator, and does not train. With the loop above, its little network learns all the same.
# - Convolution smooths; the class label helps most.
# - A loss curve says little about a GAN. Fréchet distance, precision, recall, modes and novelty each see something that the others miss.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Train the article's network with each loss of `LOSSES`, and rank them by Fréchet distance. Does the order survive another seed?
# 2. In the lab, make the generator collapse to a single digit. Which settings did it take? Which number told you first?
# 3. Write your own generator with at most 20,000 parameters and open `GANLab(generator, discriminator)` on it. Can it cover all ten digits?
# 4. Remove the labels from the conditional GAN one class at a time. When does a digit go missing?

# %% [markdown]
# ## Sources · 参考文献
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661)
# - Mirza & Osindero 2014, *Conditional Generative Adversarial Nets*, [arXiv:1411.1784](https://arxiv.org/abs/1411.1784)
# - Radford, Metz & Chintala 2015, *DCGAN*, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434)
# - Gulrajani et al. 2017, *Improved Training of Wasserstein GANs*, [arXiv:1704.00028](https://arxiv.org/abs/1704.00028)
# - Heusel et al. 2017, *GANs Trained by a Two Time-Scale Update Rule*, [arXiv:1706.08500](https://arxiv.org/abs/1706.08500)
# - Kynkäänniemi et al. 2019, *Improved Precision and Recall Metric*, [arXiv:1904.06991](https://arxiv.org/abs/1904.06991)
# - Alpaydin & Kaynak 1998, *Cascading Classifiers*, Kybernetika 34(4), 369–374
#
# **The code:** [models/gan.py](../bigmodel_lib/models/gan.py), [training/gan.py](../bigmodel_lib/training/gan.py), [training/run.py](../bigmodel_lib/training/run.py), [metrics.py](../bigmodel_lib/metrics.py), [widgets/gan_lab.py](../bigmodel_lib/widgets/gan_lab.py).
