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
# **You will be able to** build a generative adversarial network (GAN) in PyTorch; say which line of its training loop owns which gradient; break it on purpose and explain what fails; judge its pictures by numbers.
#
# **It takes** 40 minutes to read, a minute to run on two cores, and under 1.2 GB of memory.

# %% [markdown]
# The chapters follow a Chinese overview article, *大模型：科技创新的前沿探索*. Where it is wrong, an **Erratum** box says so and a cell shows it. Chapter 4 derives the formulas; here we use them.

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
from bigmodel_lib.metrics import GeneratorJudge, frechet_distance, modes_covered, nearest
from bigmodel_lib.models.gan import MLPDiscriminator, MLPGenerator, make_gan
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.widgets import GANLab

device = pick_device()
seed_everything(0)

# %% [markdown]
# ## 5.1 Setting up · 开发环境搭建
#
# The article asks for Python, a framework (TensorFlow or PyTorch) and a GPU. `make lab` installed the first two; the third is optional here. What machine is this?

# %% tags=["machine"]
from bigmodel_lib.__main__ import check_up

print(check_up())


# %% [markdown]
# **Predict.** One training step of the article's small network: is it faster on two threads than on one? On a GPU than on a CPU? With half precision (*autocast*)? And does your answer hold for a batch 16 times as large?

# %% tags=["machine"]
def steps_per_second(where: torch.device, batch: int, half: bool = False) -> float:
    networks = (net.to(where) for net in make_gan("article"))
    run = GANRun(*networks, load_digits(), settings=GANSettings(batch_size=batch), check_every=20)
    with autocast(where) if half else torch.autocast("cpu", enabled=False):
        list(run.take(20))  # the first steps also set up memory
        steps = 100 if batch < 1000 else 20  # either takes long enough to be timed
        start = time.perf_counter()
        list(run.take(steps))
        return steps / (time.perf_counter() - start)


rows = {}
for threads in (1, 2):
    torch.set_num_threads(threads)
    rows[f"CPU, threads: {threads}"] = {
        b: steps_per_second(torch.device("cpu"), b) for b in (64, 1024)
    }
if device.type != "cpu":
    for half in (False, True):
        rows[f"{device}, half: {half}"] = {b: steps_per_second(device, b, half) for b in (64, 1024)}
plots.table(
    {name: {f"steps/s, batch {b}": v for b, v in row.items()} for name, row in rows.items()}
)

# %% [markdown]
# Compare the rows: a network this small is bound by overhead, since starting an operation takes longer than the operation itself. More threads or a GPU pay once each launch carries more work. So we stay with one thread, leave the other core to the browser, and `by_device` below gives a GPU *more* work.

# %%
torch.set_num_threads(1)

# %% [markdown]
# ## 5.2 The code · 源代码详细实现
#
# First the data: 1,797 digits written by 13 people (Alpaydin & Kaynak 1998), 8 by 8 pixels, enlarged to the article's 28 by 28, ink at 1 and paper at −1. On a GPU it is MNIST, where that can be downloaded. The generator never sees an image; the discriminator does. *In the picture:* real digits, blurred because they are enlarged.

# %%
train = load_digits(by_device(cpu="digits", gpu="mnist"), "train", fallback=True)
test = load_digits(train.source, "test")
print(f"{train.source}: {len(train)} images to learn from, {len(test)} held out")
figure, ax = plt.subplots(figsize=(8, 2.5))
plots.image_grid(train.images[:30], columns=15, ax=ax)
plots.show(figure, alt="Thirty blurred white handwritten digits on black, in two rows.")

# %% [markdown]
# ### The two networks · 两个网络
#
# The **generator** $G$ turns noise $z \in \mathbb{R}^Z$, $Z = 100$, into an image $G(z)$. The **discriminator** $D$ turns an image $x$ into a score $D(x)$; $\sigma(D(x))$, with $\sigma(s) = 1/(1 + e^{-s})$, is its belief that $x$ is real. The article's layers, where *leaky ReLU 0.2* is $\max(x, 0.2x)$:
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


claim("parameters of G: 100·128 + 128 + 128·784 + 784", count(article_G), 114_064, 114_064)
claim("parameters of D: 784·128 + 128 + 128·1 + 1", count(article_D), 100_609, 100_609)
claim(
    "parameters of the library's pair",
    count(MLPGenerator()) + count(MLPDiscriminator()),
    214_673,
    214_673,
)

# %% [markdown]
# Our $D$ ends without the sigmoid; the loss applies it. With
#
# $$-\log\sigma(s) = \operatorname{softplus}(-s), \qquad -\log(1-\sigma(s)) = \operatorname{softplus}(s), \qquad \operatorname{softplus}(s) = \log(1+e^s)$$
#
# the loss stays finite where the logarithm of a rounded-off sigmoid does not:

# %%
score = torch.tensor(-120.0)
print("-log(sigmoid(s)):", -torch.log(torch.sigmoid(score)), " softplus(-s):", F.softplus(-score))

# %% [markdown]
# > **Erratum 1: the article's code does not run.** It uses `LeakyReLU` without importing it, and hands a slope `alpha` to a dense layer, which has none. Keras rejects the second too: `Dense` raises TypeError in Keras 2 and ValueError in Keras 3. PyTorch:

# %%
try:
    nn.Linear(784, 128, alpha=0.2)
except TypeError as error:
    print("TypeError:", error)

# %% [markdown]
# > **Erratum 2: there is no training step.** The article builds the networks and stops. Repaired but untrained, its generator draws television snow.
#
# A judge reads the images: a classifier trained on the real digits. A *mode* is a kind of image in the data, here a digit; it is *covered* if the classifier finds it, with at least 90 % confidence, in at least a fifth of its fair share of the images. *In the picture:* no digit at all.

# %%
judge = GeneratorJudge(train, test)


@torch.no_grad()
def draw(net: nn.Module, count: int = 1000) -> torch.Tensor:
    z = torch.randn(count, 100, generator=torch.Generator().manual_seed(1)).to(device)
    return net(z).view(-1, 1, 28, 28).cpu()


snow = draw(article_G.to(device))
untrained = judge(snow)
figure, ax = plt.subplots(figsize=(6, 1.2))
plots.image_grid(snow[:10], columns=10, ax=ax)
plots.show(figure, alt="Ten squares of grey noise without any shape.")
claim("digits covered by the article's generator, repaired but untrained", untrained.modes, high=2)


# %% [markdown]
# ### The training step · 训练步骤
#
# Each learns against the other (Goodfellow et al. 2014, algorithm 1):
#
# $$L_D = -\mathbb{E}_x \log\sigma(D(x)) - \mathbb{E}_z \log\bigl(1-\sigma(D(G(z)))\bigr), \qquad L_G = -\mathbb{E}_z \log\sigma(D(G(z)))$$
#
# $L_G$ is the *non-saturating* form of their section 3: where $D$ is sure of a fake ($\sigma \approx 0$), $\log(1-\sigma)$ is flat and teaches $G$ nothing, while $-\log\sigma$ is steep.

# %% [markdown]
# In code: one batch of fakes serves both losses, and `detach` keeps $D$'s loss from reaching $G$. The flags switch single lines off; section 5.3 needs them. (`retain_graph` keeps the fakes' graph for a second backward pass; without it, PyTorch would refuse when `detach` is missing.)

# %%
def plain_step(G, D, g_opt, d_opt, real, z, *, detach=True, zero_d=True, zero_g=True):
    fake = G(z)
    seen = fake.detach() if detach else fake
    d_loss = F.softplus(-D(real)).mean() + F.softplus(D(seen)).mean()
    d_opt.zero_grad() if zero_d else None
    d_loss.backward(retain_graph=not detach)
    d_opt.step()

    g_loss = F.softplus(-D(fake)).mean()
    g_opt.zero_grad() if zero_g else None
    g_loss.backward()
    g_opt.step()
    return d_loss.item(), g_loss.item()


# %%
images = train.images.to(device)


def plain_training(steps: int, *, unfrozen=False, **flags):
    G, D = (net.to(device) for net in make_gan("article"))
    learning = [*G.parameters(), *D.parameters()] if unfrozen else G.parameters()
    # fused: one call updates all weights, where these small networks mostly wait for Python
    g_opt = torch.optim.Adam(learning, 1e-3, betas=(0.5, 0.999), fused=True)
    d_opt = torch.optim.Adam(D.parameters(), 1e-3, betas=(0.5, 0.999), fused=True)
    torch.manual_seed(0)
    losses = []
    for _ in range(steps):
        z = torch.randn(64, 100, device=device)
        real = images[torch.randint(len(images), (64,), device=device)]
        losses.append(plain_step(G, D, g_opt, d_opt, real, z, **flags))
    return G, D, torch.tensor(losses)


# %% [markdown]
# The library's `GANRun` does the same, and more: settings that may change between two steps, other losses, checkpoints. Is it really the same? Both get equal first weights and equal random numbers.

# %%
fast = GANSettings(d_lr=1e-3, g_lr=1e-3)
run = GANRun(*(net.to(device) for net in make_gan("article")), train, settings=fast)
library = torch.tensor([(record["d_loss"], record["g_loss"]) for record in run.take(20)])
difference = (plain_training(20)[2] - library).abs().max()
claim(
    "largest difference between the library's losses and the plain loop's, 20 steps",
    difference,
    high=1e-3,
)


# %% [markdown]
# ### Four generators · 四个生成器
#
# 1. the **article**'s;
# 2. **convolutional** (Radford et al. 2015);
# 3. the same pair with the **Wasserstein** loss, whose $D$, then called a *critic*, gives unbounded scores (Arjovsky et al. 2017): $L_D = \mathbb{E}_z D(G(z)) - \mathbb{E}_x D(x) + \lambda\,\mathbb{E}_{\hat x}(\lVert\nabla D(\hat x)\rVert_2 - 1)^2$, $\lambda = 10$, $\hat x$ between a real image and a fake (Gulrajani et al. 2017, eq. 3); $L_G = -\mathbb{E}_z D(G(z))$;
# 4. **conditional**: $G$ is told which digit to draw (Mirza & Osindero 2014), $D$ compares image and label (Miyato & Koyama 2018).

# %% [markdown]
# **Predict.** After some seconds of training each, which will look best? Which will miss a digit? (2) and (4) get equal steps, so they can be compared. (3) gets a fraction of what its authors gave it, so it says little about the method.

# %%
def train_gan(name: str, architecture: str, steps: int, seed: int = 0, **settings) -> GANRun:
    networks = (net.to(device) for net in make_gan(architecture, seed=seed))
    settings = GANSettings(**({"d_lr": 1e-3, "g_lr": 1e-3} | settings))
    # a look at the losses waits for the device: seldom on a GPU
    run = GANRun(
        *networks, train, settings=settings, seed=seed, check_every=by_device(cpu=1, gpu=50)
    )
    for _ in tqdm(run.take(steps), total=steps, desc=name, leave=False):
        pass
    return run


# %%
longer = by_device(cpu=1, gpu=10)
critic = {"loss": "wasserstein", "beta1": 0.0, "beta2": 0.9, "d_steps": 2}
runs = {
    "article": train_gan("article", "article", 2000 * longer),
    "convolutional": train_gan("convolutional", "convolutional", 500 * longer),
    "Wasserstein": train_gan("Wasserstein", "convolutional", 120 * longer, **critic),
    "conditional": train_gan("conditional", "conditional", 500 * longer),
}

# %% [markdown]
# ### Turn the knobs yourself · 动手试一试
#
# The lab trains live. Controls marked ↻ start the run anew; all others act on the next step and leave a mark on the loss curve. **Try, and predict first:**
#
# 1. *Play*. Then move $D$'s learning rate to its minimum: what does $G$ learn from a judge that hardly learns?
# 2. *Reset*, *Compare A | B*, and give B the saturating loss. Now let the controls set *both*, choose 10 $D$ steps per $G$ step, and *Play*. Whose gradient dies?
#
# *Pause* before you go on: the lab shares the kernel with the cells below.

# %%
lab = GANLab(architecture="article")
lab.run(steps=300)  # a first stretch, so that there is something to see
lab


# %% [markdown]
# *In the picture:* generated digits over real ones. The losses hover instead of falling, since each network's progress raises the other's loss; the gradient norms say how hard each is pushed. Below, $D$'s beliefs: the more the two outlines overlap, the less it can tell. The bars count digits; images that the classifier is less than 90 % sure of are in no bar, so they may add up to less than 1.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. $G$'s loss falls and its pictures get no better: it has found what *this* judge likes.
# 2. B's generator gradient falls by orders of magnitude while A's does not. That is the reason for the non-saturating loss.
#
# </details>

# %% [markdown]
# ## 5.3 Reading the code · 代码解读与分析
#
# ### Shapes · 形状
#
# Follow two images through the convolutional networks. A *hook* is a function that PyTorch calls whenever a layer has worked; ours prints what left the layer. (*Batch norm* standardises each channel over the batch.)

# %%
def trace(net: nn.Module, *inputs: torch.Tensor) -> None:
    def hook_for(name):
        def hook(layer, _inputs, out):
            print(f"{name:11} {type(layer).__name__:16} {tuple(out.shape)!s:18} {count(layer):8,}")

        return hook

    for name, layer in net.named_modules():
        if not list(layer.children()):
            layer.register_forward_hook(hook_for(name))
    net(*inputs)


for net, shape in zip(make_gan("convolutional"), [(2, 100), (2, 1, 28, 28)], strict=True):
    print(type(net).__name__)
    trace(net, torch.randn(shape))


# %% [markdown]
# $G$ widens: 100 numbers, then 7·7, 14·14, 28·28 pixels; $D$ narrows through the same sizes. The last column counts parameters. In $G$ nearly all sit in the dense layer that spreads the noise over 7·7·32 values; in $D$ most sit in the second convolution. $D$ mirrors $G$'s shapes, not its parameters.

# %% [markdown]
# ### Generator, discriminator, combined model · 组合模型
#
# The article stacks $G$ and $D$ into a *combined model*. Its loss must reach $G$ **through** $D$ without teaching $D$; the loss of $D$ must not reach $G$. Norms of the gradients show who is reached:

# %%
def gradient_norms(loss_of, *, frozen=False) -> tuple[float, float]:
    torch.manual_seed(0)
    G, D = make_gan("article")
    D.requires_grad_(not frozen)
    loss_of(nn.Sequential(G, D), G, D, torch.randn(64, 100)).backward()
    grads = [[p.grad.flatten() for p in net.parameters() if p.grad is not None] for net in (G, D)]
    return tuple(torch.cat(g).norm().item() if g else 0.0 for g in grads)


def d_loss(stack, G, D, z):
    return F.softplus(D(G(z).detach())).mean()


def d_loss_attached(stack, G, D, z):
    return F.softplus(D(G(z))).mean()


def g_loss(stack, G, D, z):
    return F.softplus(-stack(z)).mean()


# %%
claim("D's loss with detach: gradient in G", gradient_norms(d_loss)[0], 0, 0)
claim("D's loss without detach: gradient in G", gradient_norms(d_loss_attached)[0], low=1e-3)
change = gradient_norms(d_loss)[1] / gradient_norms(d_loss_attached)[1] - 1
claim("relative change of the gradient in D by detach", abs(change), high=1e-6)
claim("G's loss through a free D: gradient in D", gradient_norms(g_loss)[1], low=1e-3)
claim("G's loss through a frozen D: gradient in D", gradient_norms(g_loss, frozen=True)[1], 0, 0)
claim(
    "G's loss through a frozen D: gradient in G", gradient_norms(g_loss, frozen=True)[0], low=1e-3
)

# %% [markdown]
# So each loss writes into the wrong network unless something stops it. The plain loop survives because `zero_grad` wipes what does not belong before the optimiser looks; the library freezes $D$ during $G$'s step, which also saves the work.

# %% [markdown]
# ### Break a line · 改坏一行
#
# > **Erratum 3: the discriminator is not frozen.** The article stacks the two without `trainable = False`. Trained as printed, the step that should teach $G$ would also teach $D$ to call every fake real.
#
# **Predict** for each: (a) no `detach`; (b) $D$'s gradient never zeroed; (c) $G$'s gradient never zeroed; (d) $D$ not frozen: $G$'s optimiser holds $D$'s weights too.

# %%
broken = {
    "correct": plain_training(500),
    "(a) no detach": plain_training(500, detach=False),
    "(b) D not zeroed": plain_training(500, zero_d=False),
    "(c) G not zeroed": plain_training(500, zero_g=False),
    "(d) D not frozen": plain_training(500, unfrozen=True),
}


# %%
@torch.no_grad()
def diagnose(G, D) -> dict:
    drawn = draw(G)
    features, probabilities = judge.look(drawn)
    return {
        "σ(D(real))": D(images).sigmoid().mean().item(),
        "σ(D(fake))": D(drawn.to(device)).sigmoid().mean().item(),
        "modes": modes_covered(probabilities),
        "Fréchet": frechet_distance(judge.real_features, features),
    }


findings = {name: diagnose(G, D) for name, (G, D, _) in broken.items()}
plots.table(findings)

# %%
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6))
for ax, (name, (G, _, _)) in zip(axes, broken.items(), strict=True):
    plots.image_grid(draw(G, 16), columns=4, title=name, ax=ax)
alt = (
    "Samples after 500 steps: digit-like smudges from the correct loop, the same from "
    "(a), and no digits from (b), (c) and (d)."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* (a) equals the correct loop to the last pixel: `g_opt.zero_grad()` wipes the stray gradient in time, and only work is wasted. In (b) and (d), $G$'s loss also pushes $D$, and $D$ ends up believing the fakes: the judge is bribed. In (c) $G$ is driven by gradients that are long out of date. Fréchet is the distance from real digits; section 5.4 defines it.

# %%
change = (broken["(a) no detach"][2] - broken["correct"][2])[:20].abs().max()
claim("largest change in the first 20 losses when detach is left out", change, high=1e-3)
for name in ("(b) D not zeroed", "(d) D not frozen"):
    claim(f"{name}: D's mean belief in the fakes", findings[name]["σ(D(fake))"], low=0.75)
worst = min(findings[name]["Fréchet"] for name in list(broken)[2:])
claim(
    "smallest Fréchet distance of (b), (c), (d) over the correct one's",
    worst / findings["correct"]["Fréchet"],
    low=1.3,
)

# %% [markdown]
# ## 5.4 Results · 运行结果展示
#
# The article announces results and shows none. *In the picture:* real digits beside what each generator draws. Places cannot be compared image by image; only the last was *asked* for 0, 1, 2 and so on, row by row.

# %%
samples = {name: run.sample(*run.noise(1000, seed=1)).cpu() for name, run in runs.items()}
figure, axes = plt.subplots(1, 5, figsize=(12, 3.4))
for ax, (name, drawn) in zip(axes, {"real": test.images, **samples}.items(), strict=True):
    plots.image_grid(drawn[:20], columns=4, title=name, ax=ax)
alt = (
    "Five grids: real digits; rough, speckled ones from the article's network; smoother "
    "but often unreadable ones from the convolutional and the Wasserstein GAN; clearly "
    "readable digits from the conditional one."
)
plots.show(figure, alt=alt)

# %% [markdown]
# ### Both losses · 两条损失曲线
#
# *In the picture:* running means, raw values behind. No loss falls to zero. Where $D$ cannot tell at all, $L_D = 2\log 2$ and $L_G = \log 2$ (dotted, natural logarithm; chapter 4 derives it). $D$ stays below its line and $G$ above: $D$ is still ahead. The critic's loss, at the right, is of another kind: its size estimates a distance between fakes and real images.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8))
for ax, name in zip(axes, ("article", "conditional", "Wasserstein"), strict=True):
    names = {"d_loss": "discriminator", "g_loss": "generator"}
    plots.training_curves(runs[name].history, names, ylabel="loss", smooth=30, ax=ax)
    ax.set_title(name)
for ax in axes[:2]:
    ax.set_ylim(0, 4)
    ax.axhline(2 * math.log(2), color=plots.BLUE, ls=":", lw=1.5)
    ax.axhline(math.log(2), color=plots.ORANGE, ls=":", lw=1.5)
figure.tight_layout()
alt = (
    "Losses against steps for three GANs. For the first two the running means settle, the"
    " generator's above the dotted line at 0.69, the discriminator's below 1.39; the "
    "critic's loss is negative and rises towards zero."
)
plots.show(figure, alt=alt)

# %% [markdown]
# ### By numbers · 用数字评价
#
# Features are the classifier's last hidden layer.
#
# - **Fréchet**: squared distance between two Gaussians fitted to real and fake features (Heusel et al. 2017, eq. 6). 0 if mean and covariance agree; comparable only within this table.
# - **Precision**: share of fakes as near to some real image as that image's third neighbour; **recall**: the roles swapped (Kynkäänniemi et al. 2019).
# - **Confidence** of the classifier.
# - **Novelty**: how often a fake's nearest real image is held out, over chance. 1: nothing copied; 0: all copied.

# %%
scores = {"untrained": untrained} | {name: judge(drawn) for name, drawn in samples.items()}
copies = train.images[:1000] + 0.2 * torch.randn(1000, 1, 28, 28)
scores["noisy copies"] = judge(copies)
rows = {name: vars(report) for name, report in scores.items()}
# novelty says nothing of held-out images, each its own neighbour, nor of snow: all share one
rows["real, held out"] = vars(judge(test.images)) | {"novelty": "–"}
rows["untrained"] = rows["untrained"] | {"novelty": "–"}
plots.table(rows)

# %% [markdown]
# The last row is the yardstick. **No number stands alone.** Noisy copies of the training images shine, until novelty gives them away. The untrained generator has a fair precision although it draws snow: its features form one small cloud within reach of some isolated real image. Its recall gives *it* away.

# %%
conditional, article = scores["conditional"], scores["article"]
asked = runs["conditional"].noise(1000, seed=1)[1].cpu()
obeyed = (judge.look(samples["conditional"])[1].argmax(dim=1) == asked).float().mean()
claim("share of the conditional GAN's images that show the digit asked for", obeyed, low=0.9)
claim("digits that it covers", conditional.modes, 10, 10)
claim(
    "its Fréchet distance over the convolutional one's, at equal steps",
    conditional.frechet / scores["convolutional"].frechet,
    high=0.5,
)
claim(
    "the article's network, Fréchet distance trained over untrained",
    article.frechet / untrained.frechet,
    high=0.25,
)
claim("recall of the untrained generator", untrained.recall, high=0.05)
claim("novelty of noisy copies", scores["noisy copies"].novelty, high=0.1)

# %% [markdown]
# Knowing the class helps most: it splits one hard problem into ten easier ones. All this is one seed; exercise 1 asks what another one changes. *In the picture:* which digits each generator draws too seldom (dashed: the fair share).

# %%
figure, axes = plt.subplots(1, 4, figsize=(12, 2.5), sharey=True)
for ax, (name, drawn) in zip(axes, samples.items(), strict=True):
    plots.class_bars(judge.shares(drawn), train.class_names, ax=ax)
    ax.set_title(f"{name}: {scores[name].modes} of 10")
    ax.label_outer()
    ax.set_ylim(0, 0.14)
figure.tight_layout()
alt = (
    "Bars of how often each digit is drawn with confidence, for four generators; only the"
    " conditional one's are nearly even."
)
plots.show(figure, alt=alt)

# %% [markdown]
# ### Does it memorise? · 它在背诵吗？
#
# Below each generated digit stands its nearest training image. *In the picture:* alike in shape, different in detail, and the upper row is lumpier. Are training images nearer than images that it never saw? Novelty counts.

# %%
ten = samples["conditional"][:10]
_, index = nearest(ten, train.images)
figure, ax = plt.subplots(figsize=(9, 2))
plots.image_grid(torch.cat([ten, train.images[index]]), columns=10, ax=ax)
plots.show(figure, alt="Ten generated digits, 0 to 9, above their nearest training images.")
claim(
    "novelty of the conditional GAN (1: nothing copied, 0: all copied)",
    conditional.novelty,
    0.6,
    1.6,
)

# %% [markdown]
# ### What lies between two noises? · 两个噪声之间
#
# Walk in a straight line from one noise vector to another, and keep the class. *In the picture:* for each of three digits, the walk, and below it a cross-fade between its two ends. The fade goes the straight way through pixel space and shows double strokes; the walk bends one handwriting into the other, which is a longer way.

# %%
run, share = runs["conditional"], torch.linspace(0, 1, 12)
z, _ = run.noise(2, seed=5)
path = torch.lerp(z[:1], z[1:], share.to(device)[:, None])  # (12, Z)
rows, detours = [], []
for digit in (2, 3, 5):
    walk = run.sample(path, torch.full((12,), digit, device=device)).cpu()
    fade = torch.lerp(walk[:1], walk[-1:], share.view(-1, 1, 1, 1))
    rows += [walk, fade]
    lengths = [way.diff(dim=0).flatten(1).norm(dim=1).sum() for way in (walk, fade)]
    detours.append(lengths[0] / lengths[1])
claim("length of the shortest of three walks over the straight way", min(detours), low=1.1)

# %%
figure, ax = plt.subplots(figsize=(9, 4.6))
plots.image_grid(torch.cat(rows), columns=12, ax=ax)
alt = (
    "Six rows of twelve images: for the digits 2, 3 and 5 a walk through noise space, "
    "whose strokes bend gradually, and a cross-fade, where one drawing pales while the "
    "other appears."
)
plots.show(figure, alt=alt)

# %% [markdown]
# ## Summary · 小结
#
# - Two networks with opposed losses can learn to draw, if each optimiser steps on the gradient of its own loss only.
# - The article's code does not run, does not freeze its discriminator, and does not train. With the loop above, its little network learns all the same.
# - Told which digit to draw, a generator learns far more in the same steps.
# - The losses of such a GAN say little about its pictures. Fréchet distance, precision, recall, modes and novelty each see something that the others miss.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Train the article's network with each loss of `bigmodel_lib.models.gan.LOSSES` and rank them by Fréchet distance. Does the order survive another `seed` of `train_gan`?
# 2. In the lab, make the generator collapse to a single digit. Which settings did it take? Which panel told you first?
# 3. Write your own generator with at most 20,000 parameters, and open `GANLab(generator, MLPDiscriminator())` on it. Can it cover all ten digits?
# 4. Train (2) as long as it takes to reach the Fréchet distance of (4). How many steps was the label worth?

# %% [markdown]
# ## Sources · 参考文献
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661)
# - Mirza & Osindero 2014, *Conditional Generative Adversarial Nets*, [arXiv:1411.1784](https://arxiv.org/abs/1411.1784)
# - Radford, Metz & Chintala 2015, *DCGAN*, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434)
# - Arjovsky, Chintala & Bottou 2017, *Wasserstein GAN*, [arXiv:1701.07875](https://arxiv.org/abs/1701.07875)
# - Gulrajani et al. 2017, *Improved Training of Wasserstein GANs*, [arXiv:1704.00028](https://arxiv.org/abs/1704.00028)
# - Heusel et al. 2017, *Two Time-Scale Update Rule*, [arXiv:1706.08500](https://arxiv.org/abs/1706.08500)
# - Miyato & Koyama 2018, *cGANs with Projection Discriminator*, [arXiv:1802.05637](https://arxiv.org/abs/1802.05637)
# - Kynkäänniemi et al. 2019, *Improved Precision and Recall*, [arXiv:1904.06991](https://arxiv.org/abs/1904.06991)
# - Meehan, Chaudhuri & Dasgupta 2020, *Data-Copying*, [arXiv:2004.05675](https://arxiv.org/abs/2004.05675)
# - Alpaydin & Kaynak 1998, *Cascading Classifiers*, Kybernetika 34(4), 369–374; LeCun et al. 1998, Proc. IEEE 86(11) (MNIST)

# %% [markdown]
# **The code:** [models/gan.py](../bigmodel_lib/models/gan.py), [training/gan.py](../bigmodel_lib/training/gan.py), [training/run.py](../bigmodel_lib/training/run.py), [metrics.py](../bigmodel_lib/metrics.py), [widgets/gan_lab.py](../bigmodel_lib/widgets/gan_lab.py).
