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
# # 3 Core algorithms and the steps in practice · 核心算法原理 & 具体操作步骤
#
# **The question:** what lies between a table of raw numbers and a model that answers over a network, and where does each step go wrong unseen?
#
# **You will be able to** compute gradients as a framework does; prepare data without leaking the answer; choose settings and report an honest error; say whether a probability may be believed; serve a model and stop it again.

# %% [markdown]
# **It takes** 75 minutes to read, a minute to run on two cores, and under 1.2 GB of memory.
#
# The chapters follow a Chinese overview article, *大模型：科技创新的前沿探索*. Where it is wrong, an **Erratum** box says so and a cell shows it. A line that begins with ✓ is a statement which that cell has just checked. At **Predict**, say what you expect before you run the next cell.

# %% [markdown]
# Chapter 4 derives the formulas of losses and optimisers. Until then: the *cross-entropy* of a classifier is the mean of $-\log p$, where $p$ is the probability that it gave to the right class (chapter 1: log-loss). *Adam* and *AdamW* are gradient descent with a step size for each weight.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import pick_device, seed_everything

device = pick_device()
seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings

# %% [markdown]
# ## 3.1 Overview · 算法原理概述
#
# The article makes two statements here. Deep learning *extracts features in layers*: each layer turns what the one before it computed into something more useful. And a generative model *trains a generator against a discriminator*. We put both to the test. The first one holds; the second one is an erratum.

# %% [markdown]
# ### Features by layer · 逐层提取特征
#
# A **probe** (Alain & Bengio 2016) is a simple classifier that reads one layer of a trained network and nothing else. Ours is linear: one weighted sum for each class. What it can tell, the layer has laid open.
#
# The network is the convolutional one of section 2.2: two convolutions, then 32 numbers, from which the ten scores are computed. Beside it stands a twin with the same first weights that was never trained.

# %%
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.metrics import digit_classifier
from bigmodel_lib.models.cnn import DigitCNN

train, test = load_digits("digits", "train"), load_digits("digits", "test")
trained = digit_classifier()  # 400 steps of AdamW from seed 0; kept after the first time
torch.manual_seed(0)
untrained = DigitCNN().eval()


def layers_of(net: DigitCNN, images: torch.Tensor) -> list[np.ndarray]:
    """Pixels, first convolution, second convolution, last hidden layer: each (N, numbers)."""
    with torch.no_grad():
        return [net.body[:k](images).flatten(1).numpy() for k in (0, 3, 6, 8)]


# %% [markdown]
# To make a difference visible, the probe is shown only three labelled examples of each digit. Three draws of them give an error bar, their standard deviation. **Predict:** does the accuracy rise from layer to layer in the trained network? And in the one that was never trained, does it stay, fall or rise?

# %%
def probe(net: DigitCNN, draw: int, each: int = 3) -> list[float]:
    rng = np.random.default_rng(draw)
    digits = [np.flatnonzero(train.labels.numpy() == digit) for digit in range(10)]
    shown = np.concatenate([rng.choice(rows, each, replace=False) for rows in digits])
    layers = layers_of(net, train.images[shown]), layers_of(net, test.images)
    accuracies = []
    for seen, new in zip(*layers, strict=True):
        mean, std = seen.mean(axis=0), seen.std(axis=0) + 1e-3
        reader = LogisticRegression(max_iter=200).fit((seen - mean) / std, train.labels[shown])
        accuracies.append(reader.score((new - mean) / std, test.labels))
    return accuracies


# %%
pair = {"trained": trained, "untrained": untrained}
probes = {n: np.array([probe(net, draw) for draw in range(3)]) for n, net in pair.items()}

# %%
names = ["pixels", "convolution 1", "convolution 2", "last hidden layer"]
figure, ax = plt.subplots(figsize=(6, 3))
looks = {"trained": (plots.BLUE, "-o"), "untrained": (plots.ORANGE, "--s")}
for name, (colour, look) in looks.items():
    spread = probes[name].std(axis=0)
    ax.errorbar(names, probes[name].mean(axis=0), spread, fmt=look, color=colour, label=name)
ax.set(ylabel="accuracy of the probe", xlabel="layer that it reads", ylim=(0.5, 1))
ax.legend(frameon=False)
alt = (
    "Accuracy of a linear probe against the layer it reads. Trained network: rising to the right. "
    "Untrained one: about level, and lowest at the last layer."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* both lines begin at the pixels, so they begin together. In the trained network each further layer makes the digits easier to tell apart. In the untrained one, random convolutions help hardly at all, and its last layer, which squeezes 1,568 numbers into 32 at random, loses what was there.

# %%
by_layer = {name: accuracies.mean(axis=0) for name, accuracies in probes.items()}
gain = by_layer["trained"][-1] - by_layer["trained"][0]
claim("trained: accuracy gained from pixels to the last layer", gain, low=0.1)
claim("trained: smallest gain from a layer to the next", np.diff(by_layer["trained"]).min(), -0.02)
gap = by_layer["trained"][-1] - by_layer["untrained"][-1]
claim("last layer: accuracy of the trained over the untrained network", gap, low=0.15)

# %% [markdown]
# So the article is right: layers that were *trained* extract features. Depth alone does not. One caution: training saw all labels of the training images, the probe thirty of them, and the accuracies are on images that neither saw.

# %% [markdown]
# ### Four ways to generate · 四种生成原理
#
# > **Erratum: "a generative model trains a generator against a discriminator".** That describes one family, the GANs. Three others have no discriminator at all, and the models behind today's chatbots and picture makers belong to those.
#
# Four principles, one task: see points $x = (x_1, x_2)$, learn to make more of their kind.

# %% [markdown]
# | principle | made of | minimises, on average |
# |---|---|---|
# | adversarial | generator $G$, discriminator $D$ | $D$: $-\log D(x) - \log(1 - D(G(z)))$; $G$: $-\log D(G(z))$ |
# | variational | encoder $q(z\mid x)$, decoder $p(x\mid z)$ | $-\log p(x\mid z) + \mathrm{KL}(q(z\mid x)\,\Vert\,\mathcal N(0, I))$ |
# | autoregressive | one table, one network | $-\log p(x_1) - \log p(x_2\mid x_1)$ |
# | diffusion | one network $\varepsilon_\theta$ | $\lVert \varepsilon - \varepsilon_\theta(x_t, t)\rVert^2$ |

# %% [markdown]
# - $D(x)$: how probable $D$ finds it that $x$ is real; $z$: noise from the standard normal density $\mathcal N(0, I)$, or a code;
# - $\mathrm{KL}$: how far one density is from another (section 2.3);
# - the autoregressive model cuts each coordinate into 64 bins: $p(x_1)$ is a table, $p(x_2\mid x_1)$ a network that reads the bin of $x_1$;
# - $x_t = \sqrt{\bar\alpha_t}\,x + \sqrt{1-\bar\alpha_t}\,\varepsilon$: a point into which standard normal noise $\varepsilon$ was mixed, the more the larger the time $t$ is ($\bar\alpha_t$ falls from 1 to nearly 0).

# %% [markdown]
# The data: five equal humps on a circle. Their density is known, so what a model learned can be measured. 2,000 points are all that any model sees; 2,000 others are held out.

# %%
from bigmodel_lib.data.plane import Ring
from bigmodel_lib.device import by_device
from bigmodel_lib.models.principles import PRINCIPLES
from bigmodel_lib.training.density import DensityRun, DensitySettings

ring = Ring(K=5, radius=1.5, std=0.2)
generator = torch.Generator().manual_seed(0)
points, held_out = ring.sample(2000, generator), ring.sample(2000, generator)
models = {name: make(width=by_device(cpu=64, gpu=256)) for name, make in PRINCIPLES.items()}
rows = {
    name: {
        "parts": ", ".join(dict.fromkeys(p.split(".")[0] for p, _ in model.named_parameters())),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    for name, model in models.items()
}
plots.table(rows)
adversaries = sum("discriminator" in row["parts"] for row in rows.values())
claim("principles of these four that have a discriminator", adversaries, 1, 1)

# %% [markdown]
# All four share their parts, [a few lines each](../bigmodel_lib/models/principles.py), and one training loop: a batch, a loss, a step of Adam. The numbers of steps differ, so that each gets about the same computing time. Two runs each show how far chance goes.

# %%
STEPS = {"adversarial": 500, "variational": 500, "autoregressive": 500, "diffusion": 600}


def train_principle(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = PRINCIPLES[name](width=by_device(cpu=64, gpu=256)).to(device)
    steps = STEPS[name] * by_device(cpu=1, gpu=10)
    settings = DensitySettings(beta1=0.5, batch_size=128)
    run = DensityRun(model, points, settings=settings, seed=seed)
    for record in run.take(steps):  # from 0.01 down to 0 along a cosine
        run.settings.lr = 0.005 * (1 + math.cos(math.pi * record.step / steps))
    return model


# %%
learned, seconds = {}, {}
for name in PRINCIPLES:
    start = time.process_time()
    learned[name] = [train_principle(name, seed) for seed in (0, 1)]
    seconds[name] = time.process_time() - start

# %% [markdown]
# ### How far from the truth? · 离真实分布多远
#
# One measure for all: the **Wasserstein distance** of $n = 1{,}000$ generated points $a_i$ and as many true ones $b_i$, that is how far, on average, a point must be moved to turn one set into the other at the least cost:
#
# $$W = \min_{\pi} \frac1n \sum_{i=1}^{n} \lVert a_i - b_{\pi(i)}\rVert$$
#
# with $\pi$ running over all ways to pair the points. It is not 0 even for true points, because two samples differ by chance: that is the *floor*.

# %% [markdown]
# And two rivals without any network. A *kernel density* puts a small hump on each training point (its width chosen by cross-validation); a *Gaussian mixture* is told that there are five humps. **Predict** the order of the six.

# %%
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from bigmodel_lib.metrics import wasserstein

widths = {"bandwidth": np.geomspace(0.02, 0.5, 8)}
kernel = GridSearchCV(KernelDensity(), widths, cv=3).fit(points.numpy()).best_estimator_
mixture = GaussianMixture(5, random_state=0).fit(points.numpy())


def sampled_by_sklearn(model, seed: int) -> torch.Tensor:
    model.random_state = seed
    drawn = model.sample(1000) if model is mixture else (model.sample(1000, seed),)
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(drawn[0], dtype=torch.float32)[order]  # the mixture sorts by hump


# %%
def to_truth(x: torch.Tensor, n: int = 1000) -> float:
    return wasserstein(x[:n], held_out[:n])  # exact pairing takes time as n³


samples = {"truth (the floor)": [ring.sample(1000, generator) for _ in range(2)]}
samples["kernel density"] = [sampled_by_sklearn(kernel, seed) for seed in (0, 1)]
samples["Gaussian mixture"] = [sampled_by_sklearn(mixture, seed) for seed in (0, 1)]
for name, pair in learned.items():
    torch.manual_seed(0)
    samples[name] = [model.sample(1000).cpu() for model in pair]

# %%
distance, on_hump, covered, contrast = {}, {}, {}, {}
for name, pair in samples.items():
    distance[name] = np.mean([to_truth(x) for x in pair])
    shares = torch.stack([ring.shares(x) for x in pair])  # (2, 5)
    on_hump[name] = shares.sum(dim=1).mean().item()
    covered[name] = int((shares > 0.2 / 5).sum(dim=1).min())
    contrast[name] = min(ring.contrast(x) for x in pair)

# %% [markdown]
# A point lies *on a hump* if it is within 3 standard deviations of its centre. A hump is *covered* if it gets a fifth of its fair share. *Contrast*: for each point near a gap between two humps, how many are near a centre? Whoever draws only a circle has 1. Of the last two the table holds the worse of both runs.

# %%
columns = {"distance": distance, "share on a hump": on_hump, "humps covered": covered}
columns["contrast"] = contrast
plots.table({name: {c: v[name] for c, v in columns.items()} for name in samples})

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 6), sharex=True, sharey=True)
shown = ["truth (the floor)", "kernel density", *PRINCIPLES]
for ax, name in zip(axes.flat, shown, strict=True):
    ax.plot(*samples[name][0].T, ".", ms=2, color=plots.BLUE)
    ax.set(title=f"{name}: {distance[name]:.2f}", xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect=1)
plt.setp(axes[:, 0], ylabel="$x_2$")
plt.setp(axes[1], xlabel="$x_1$")
figure.tight_layout()
alt = (
    "Six clouds of points. Truth and kernel density: five round humps on a circle. Adversarial: "
    "narrow humps, joined by thin threads. Variational: five blurred humps with wide bridges. "
    "Autoregressive: five humps and stray points far out. Diffusion: five humps, thinly joined."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* each title gives the distance to the truth. Every principle finds the five humps, each with a handwriting of its own. The generator is a continuous map of a noise without gaps, so threads remain between its humps. The decoder blurs. The autoregressive model draws whole bins, now and then one that holds no data. Diffusion leaves a few points on their way.

# %%
trivial = points.mean(dim=0) + points.std(dim=0) * torch.randn(1000, 2, generator=generator)
naive = to_truth(trivial)  # one Gaussian, which knows no hump
without = [name for name in PRINCIPLES if name != "adversarial"]  # those with no discriminator
claim("fewest humps covered without a discriminator", min(covered[n] for n in without), 5, 5)
claim("their least contrast (1: a mere circle)", min(contrast[n] for n in without), low=2)
farthest = max(distance[name] for name in without)
claim("farthest of these, over a single Gaussian's distance", farthest / naive, high=0.8)
rival = max(distance["kernel density"], distance["Gaussian mixture"])
nearest = min(distance[name] for name in ("adversarial", "variational", "diffusion"))
claim("nearest of adversarial, variational, diffusion, over the worse rival", nearest / rival, 1.1)

# %% [markdown]
# Three models without any discriminator learned the density: the erratum is shown. And an honest result: in two dimensions, with 2,000 points and seconds of training, methods without a network are nearer to the truth than three of the four. They need points close to each other. In the 784 dimensions of an image hardly any are: chapter 1 could use its mixture only because PCA had left 30.

# %% [markdown]
# Did all four have equal time? CPU seconds for two runs, on your machine:

# %% tags=["machine"]
plots.table({name: {"steps": 2 * STEPS[name], "CPU s": s} for name, s in seconds.items()})

# %% [markdown]
# ### Diffusion, step by step · 扩散的每一步
#
# Sampling begins with pure noise $x_T$ and takes $T = 100$ steps back. Each one estimates the noise in $x_t$, and from it the point that it may have come from, $\hat x_0 = (x_t - \sqrt{1-\bar\alpha_t}\,\varepsilon_\theta)/\sqrt{\bar\alpha_t}$; then it mixes both anew, for an earlier time $s$:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1 - \bar\alpha_s - \sigma^2}\;\varepsilon_\theta + \sigma\,\varepsilon'$$
#
# $\varepsilon'$ is fresh noise, and $\sigma$ says how much of it is added.

# %% [markdown]
# With a $\sigma$ that follows from $\bar\alpha_t$ and $\bar\alpha_s$ this is DDPM (Ho et al. 2020), one time after the other; with $\sigma = 0$ it is DDIM (Song et al. 2021, eq. 12), which may leap over many times at once. **Predict:** how few leaps are enough?

# %%
diffusion = learned["diffusion"][0].diffusion
noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1)).to(device)
torch.manual_seed(1)
path = {diffusion.T: noise} | dict(diffusion.path(noise))
figure, axes = plt.subplots(1, 5, figsize=(11, 2.5), sharex=True, sharey=True)
for ax, t in zip(axes, (100, 60, 30, 10, 0), strict=True):
    ax.plot(*path[t].cpu().T, ".", ms=1.5, color=plots.BLUE)
    ax.set(title=f"$t = {t}$", xlim=(-3, 3), ylim=(-3, 3), aspect=1, xlabel="$x_1$")
axes[0].set_ylabel("$x_2$")
figure.tight_layout()
alt = "Five clouds of points, from a round cloud of noise on the left to five humps on the right."
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* 1,000 points on their way back. The ring shows first, the humps late: coarse before fine.

# %%
leaps = {}
for steps in (1, 2, 5, 20, 100):
    x = diffusion.sample(noise, steps=steps, eta=0.0).cpu()
    leaps[steps] = to_truth(x, n=500)
plots.table({f"{steps} leaps": {"distance": d} for steps, d in leaps.items()})
claim("one leap: distance over that of 100 leaps", leaps[1] / leaps[100], low=2)
claim("20 leaps: distance over that of 100 leaps", leaps[20] / leaps[100], high=2)
twice = [diffusion.sample(noise, steps=5, eta=0.0) for _ in range(2)]
same = (twice[0] - twice[1]).abs().max()
claim("DDIM twice from the same noise: largest difference", same, high=1e-5)

# %% [markdown]
# One leap will not do; twenty do about as well as a hundred, at a fifth of the work. And as nothing is drawn on the way, the same noise becomes the same points again.

# %% [markdown]
# ## 3.2 The steps · 算法步骤详解
#
# The article names four: preprocessing, training, evaluation, deployment. All four can go wrong without an error message, so each gets an experiment that shows how.
#
# ### Preprocessing · 预处理

# %% [markdown]
# The data: 569 samples of breast tissue, 30 measures of the cell nuclei in each, such as mean area or smoothness; is the tumour benign (Wolberg et al. 1995)? We hold 20 % of the rows for *validation* (choosing settings) and 20 % for the *test* (one honest look at the end). The measures have units of their own:

# %%
from bigmodel_lib.data.tables import (
    condition_number,
    load_table,
    preprocess,
    second_moments,
    split_rows,
)

cancer = load_table("breast cancer")
rows = split_rows(cancer.y, validation=0.2, test=0.2)
x_train, y_train = cancer.x[rows["train"]], cancer.y[rows["train"]]
spread = x_train.std(axis=0)
claim("largest spread of a measure over the smallest", spread.max() / spread.min(), low=1e5)

# %% [markdown]
# Two cures, feature by feature. With the lowest and highest value, mean $\mu$ and standard deviation $s$ of the *training* rows:
#
# $$\text{normalise: } x' = \frac{x - \min}{\max - \min}, \qquad \text{standardise: } x' = \frac{x - \mu}{s}$$
#
# The first puts each training value between 0 and 1; the second gives each feature mean 0 and spread 1.
#
# Usage varies: some call the second "normalising" too. `preprocess` uses scikit-learn; is it the formula?

# %%
low, high, mean = x_train.min(0), x_train.max(0), x_train.mean(0)
by_hand = {
    "raw": cancer.x,
    "normalised": (cancer.x - low) / (high - low),
    "standardised": (cancer.x - mean) / spread,
}
prepared = {name: preprocess(cancer.x, cancer.y, rows["train"], name) for name in by_hand}
difference = max(np.abs(prepared[name] - by_hand[name]).max() for name in by_hand)
claim("largest difference between the formulas and the library", difference, high=1e-9)

# %% [markdown]
# **Why it matters.** *Logistic regression* gives a row the probability $p = \sigma(w^\top \tilde x)$ of being benign, where $w$ are its weights, $\tilde x$ is the row with a 1 appended for the bias, and $\sigma(a) = 1/(1 + e^{-a})$. The curvature of its cross-entropy over $N$ rows, the matrix of second derivatives by $w$ (*Hessian*), is
#
# $$H = \frac{1}{N}\sum_{n=1}^N p_n(1 - p_n)\,\tilde x_n \tilde x_n^\top, \qquad p_n(1-p_n) \le \tfrac14.$$

# %% [markdown]
# *Gradient descent* takes steps $-\eta$ times the gradient. Where the loss curves by $h$, steps with $\eta > 2/h$ overshoot and grow. Let $\lambda_{\max}$ and $\lambda_{\min}$ be the largest and the smallest eigenvalue of $\tilde X^\top \tilde X/N$, $\tilde X$ having the rows $\tilde x_n$: no direction curves more than $\lambda_{\max}/4$, so $\eta = 4/\lambda_{\max}$ is safe. In the flattest direction such steps get forward slowly: it takes a number in proportion to the **condition number** $\kappa = \lambda_{\max}/\lambda_{\min}$ (LeCun et al. 1998).

# %%
kappa = {name: condition_number(x[rows["train"]]) for name, x in prepared.items()}
for name, value in kappa.items():
    print(f"{name:13} κ = {value:.1e}")
claim(
    "κ of the raw table over κ of the standardised one", kappa["raw"] / kappa["standardised"], 1e5
)


# %% [markdown]
# **Predict.** Each of the three gets its $\eta = 4/\lambda_{\max}$, for 3,000 steps. How many steps until the loss, 0.69 at the start, is 0.2?

# %%
def descend(x: np.ndarray, y: np.ndarray, steps: int = 3000) -> np.ndarray:
    """Loss of logistic regression at each step of gradient descent."""
    x = np.column_stack([x, np.ones(len(x))])
    lr = 4 / np.linalg.eigvalsh(second_moments(x[:, :-1]))[-1]
    w, losses = np.zeros(x.shape[1]), []
    for _ in range(steps):
        score = x @ w
        losses.append((np.logaddexp(0, score) - y * score).mean())
        w -= lr * x.T @ (1 / (1 + np.exp(-score)) - y) / len(y)
    return np.array(losses)


losses = {name: descend(x[rows["train"]], y_train) for name, x in prepared.items()}

# %%
figure, ax = plt.subplots(figsize=(6.5, 3))
colours = (plots.ORANGE, plots.GREEN, plots.BLUE)
for (name, curve), colour in zip(losses.items(), colours, strict=True):
    ax.loglog(np.arange(1, 3001), curve, color=colour, label=f"{name}, κ = {kappa[name]:.0e}")
ax.axhline(0.2, color=plots.GREY, ls=":", lw=1)
ax.set(xlabel="step of gradient descent", ylabel="training loss (nats)")
ax.legend(frameon=False)
alt = (
    "Training loss against steps on log axes: the standardised table falls within ten steps, the"
    " normalised one after about a hundred, the raw one hardly at all in 3,000."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* same rows, same model, same method; only the units differ. The raw table does not hold less: each is the other, shifted and rescaled, and weights and bias can undo both. It is only harder to *descend*.

# %%
first = {name: int(np.argmax(curve < 0.2)) for name, curve in losses.items()}
claim("steps to a loss of 0.2, standardised", first["standardised"], 1, 30)
claim("the same, normalised over standardised", first["normalised"] / first["standardised"], 4)
claim("loss of the raw table after all 3,000 steps", losses["raw"][-1], low=0.2)

# %% [markdown]
# ### The leak · 数据泄漏
#
# Preparation learns from data too: means, ranges, which features to keep. Where it sees the test rows, the test is no longer one. To see how much that matters we need data whose truth is known: 1,000 random features and random classes. **Nobody can do better than 50 %.**

# %% [markdown]
# **Predict.** We keep the 20 features that tell the classes apart best, then cross-validate (train on four fifths, test on the last fifth, in turn). What does it report, if the 20 were picked on all rows? On the four fifths only?

# %%
from sklearn.model_selection import StratifiedKFold, train_test_split

from bigmodel_lib.data.tables import random_labels


def cross_validated(table, leak: bool) -> float:
    right = []
    for train, test in StratifiedKFold(5).split(table.x, table.y):
        seen = np.arange(len(table.y)) if leak else train
        x = preprocess(table.x, table.y, seen, "standardised", keep=20)
        model = LogisticRegression().fit(x[train], table.y[train])
        right.append(model.score(x[test], table.y[test]))
    return float(np.mean(right))


tables = [random_labels(rows=100, seed=seed) for seed in range(8)]
leaky = np.array([cross_validated(table, leak=True) for table in tables])
honest = np.array([cross_validated(table, leak=False) for table in tables])

# %%
figure, ax = plt.subplots(figsize=(6, 1.9))
for height, (values, colour) in enumerate(((honest, plots.BLUE), (leaky, plots.ORANGE))):
    ax.plot(values, np.full(len(values), height), "o", color=colour, alpha=0.7)
ax.axvline(0.5, color=plots.GREY, ls="--", lw=1)
ax.set_yticks([0, 1], ["picked on\ntraining rows", "picked on\nall rows"])
ax.set(xlabel="cross-validated accuracy (share of rows)", xlim=(0.3, 1), ylim=(-0.6, 1.6))
alt = (
    "Accuracy on eight tables of random classes: about 0.5 if features are picked on training rows"
    " alone, 0.7 to 0.9 if they are picked on all rows."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* one dot per table of noise. Among 1,000 random features some agree with the classes by luck; picked on all rows, their luck holds on the test rows, too. Ambroise & McLachlan (2002) found this in published work on genes.

# %%
claim("accuracy on noise, features picked on all rows", leaky.mean(), low=0.7)
claim("accuracy on noise, features picked on training rows", honest.mean(), 0.4, 0.6)

# %% [markdown]
# How bad is it to *standardise* with all rows, the leak that textbooks warn of first? Mean and spread know nothing of the classes. On the real table, over 10 splits:

# %%
gains = []
for seed in range(10):
    fitted, held = train_test_split(
        np.arange(len(cancer.y)), test_size=0.2, stratify=cancer.y, random_state=seed
    )
    for seen in (fitted, np.arange(len(cancer.y))):
        x = preprocess(cancer.x, cancer.y, seen, "standardised")
        model = LogisticRegression(max_iter=1000).fit(x[fitted], cancer.y[fitted])
        gains.append(model.score(x[held], cancer.y[held]))
gain = np.mean(gains[1::2]) - np.mean(gains[::2])
claim("accuracy gained by standardising with the test rows", gain, -0.005, 0.005)


# %% [markdown]
# Hardly anything: with hundreds of rows, a quarter more move a mean very little. The rule stays all the same: **fit every preparation on training rows only**. It costs nothing, and the next preparation may look at the classes.

# %% [markdown]
# ### Training · 训练：前向与反向传播
#
# Training needs the slope of the loss $L$ with respect to every weight. A network is a chain of simple operations, each with a known *local derivative*, and the **chain rule** joins them:
#
# $$\frac{dL}{dx} = \sum_{u\ \text{computed from}\ x} \frac{dL}{du}\cdot\frac{\partial u}{\partial x}$$
#
# with $u$ running over all numbers that are computed from $x$ directly.

# %% [markdown]
# The **forward pass** computes values from the inputs to $L$; the **backward pass** goes from $L$ to the inputs and multiplies. The sum is there because $x$ may be used more than once. The idea in a dozen lines:

# %%
class Number:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad, self.calls = data, parents, 0.0, 0

    def __add__(self, other):  # parents: each with its local derivative
        return Number(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Number(self.data * other.data, [(self, other.data), (other, self.data)])

    def backward(self, arrives=1.0):  # the chain rule, along every path
        self.grad, self.calls = self.grad + arrives, self.calls + 1
        for parent, slope in self.parents:
            parent.backward(arrives * slope)


# %%
w, x, b = Number(0.5), Number(2.0), Number(-0.3)
u = w * x + b
loss = u * u
loss.backward()
tensors = [torch.tensor(n.data, dtype=torch.float64, requires_grad=True) for n in (w, x, b)]
(tensors[0] * tensors[1] + tensors[2]).square().backward()
error = max(abs(n.grad - t.grad.item()) for n, t in zip((w, x, b), tensors, strict=True))
claim("(wx + b)²: largest difference of the three gradients to PyTorch's", error, high=1e-12)

# %% [markdown]
# **Predict.** $u_0 = x$, then sixteen times $u_{k+1} = u_k + u_k$. How often is `backward` called on $x$?
#
# Along every path: and the number of paths doubles each time.

# %%
from bigmodel_lib.autodiff import Formula, Value, ordered

x = u = Number(1.0)
for _ in range(16):
    u = u + u
u.backward()
claim("paths from the end to x, each walked", x.calls, 2**16, 2**16)
x = u = Value(1.0)  # the library's
for _ in range(16):
    u = u + u
u.backward()
claim("nodes that the library visits, each once", len(ordered(u)), 17, 17)
claim("their gradients agree: 2 to the power of 16", x.grad, 2**16, 2**16)

# %% [markdown]
# The cure: visit a node only when everything computed from it had its turn (*reverse topological order*). Its gradient is then complete, and is passed on once. [The library's version](../bigmodel_lib/autodiff/graph.py) differs by this from the dozen lines above. A graph of it, for a neuron with input $x$, weight $w$, bias $b$ and the target $t$:

# %%
neuron = Formula("(tanh(w*x + b) - t)**2")
loss = neuron({"w": 0.5, "x": 2.0, "b": -0.3, "t": 1.0})
loss.backward()
figure, ax = plt.subplots(figsize=(10, 2.6))
plots.computation_graph(loss, ax=ax)
alt = (
    "Nine boxes from left to right: w and x into a product, b added, tanh, minus t, squared. "
    "Each holds its value and its gradient."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* values are computed from left to right, gradients $\nabla$ (orange) from right to left. Blue boxes are inputs. The gradient of $w$ is that of the product times $x = 2$; that of $x$ is the same times $w = 0.5$.

# %% [markdown]
# Is it right? Nudge each input a little and see how far $L$ moves:

# %%
at = {"w": 0.5, "x": 2.0, "b": -0.3, "t": 1.0}
slopes = {node.name: node.grad for node in ordered(loss) if node.name}
h = 1e-6
for name in at:
    above, below = ({**at, name: at[name] + side * h} for side in (1, -1))
    nudged = (neuron(above).data - neuron(below).data) / (2 * h)
    claim(f"dL/d{name}: backward pass minus nudging", slopes[name] - nudged, -1e-8, 1e-8)

# %% [markdown]
# ### The stepper · 反向传播步进器
#
# The same, one node at a time, for formulas of a list or your own. Three things to try:
#
# 1. *Step* to the end. Before each orange number, say it yourself: what comes in, times what stands on the edge.
# 2. *formula* "a diamond". Which node gets its gradient from two sides?
# 3. *formula* "a dead rectifier". Which inputs get no gradient, and which slider brings them back to life?

# %%
from bigmodel_lib.widgets import BackpropStepper

BackpropStepper(example="a neuron and its loss", at=10)

# %% [markdown]
# *In the picture:* the walk has gone forward (black values) and half of the way back. The thick frame is the node whose turn it is; on its thick edge stands the local derivative. The line below says the same in symbols, in numbers, and as a rule.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 2. $u$: it is used by the sum inside of tanh and by the product. $b$ and $a$ get theirs through $u$.
# 3. $w$, $x$ and $b$: the rectifier's slope is 0 where its input is negative. Move $x$ or $w$ until $wx + b > 0$.
#
# </details>

# %% [markdown]
# ### From numbers to arrays · 从标量到数组
#
# One node for each number would be slow. The library's `Array` holds a whole array in each node. For a product of matrices, $Y = XW$ with a row of $X$ for each example, the chain rule becomes two products. $G = dL/dY$ has the shape of $Y$, an entry for each entry of $Y$:
#
# $$\frac{dL}{dW} = X^\top G, \qquad \frac{dL}{dX} = G\,W^\top$$
#
# A bias that is added to every row gets the sum over the rows: what was *broadcast* forward is summed backward.

# %%
import torch.nn.functional as F

from bigmodel_lib.autodiff import Array

X, W, bias = (np.random.default_rng(0).normal(size=shape) for shape in ((7, 3), (3, 5), 5))
by_loop = np.zeros((3, 5))
G = 1 - np.tanh(X @ W + bias) ** 2  # dL/dY for L = Σ tanh(XW + bias)
for i in range(3):
    for j in range(5):
        by_loop[i, j] = sum(X[n, i] * G[n, j] for n in range(7))
nodes = Array(W), Array(bias)
(X @ nodes[0] + nodes[1]).tanh().sum().backward()
claim("dL/dW: largest difference to the loop", abs(nodes[0].grad - by_loop).max(), high=1e-12)
claim("dL/dbias: to the sum over rows", abs(nodes[1].grad - G.sum(axis=0)).max(), high=1e-12)


# %% [markdown]
# Enough to train a network. Digits of 8 by 8 pixels, 32 hidden units, cross-entropy, plain gradient descent; the same first weights and batches for our arrays and for PyTorch.

# %%
def eight(images: torch.Tensor) -> np.ndarray:  # (N, 64)
    return F.interpolate(images, size=8, mode="area").flatten(1).double().numpy()


images, labels = eight(train.images), train.labels.numpy()
rng = np.random.default_rng(0)
first = [rng.normal(size=(64, 32)) / 8, np.zeros(32), rng.normal(size=(32, 10)) / 6, np.zeros(10)]


# %%
def train_by(make, loss_of, numbers, steps: int = 300, eta: float = 0.3):
    weights, batches, losses = [make(w.copy()) for w in first], np.random.default_rng(1), []
    for _ in range(steps):
        rows = batches.integers(len(labels), size=64)
        loss = loss_of(images[rows], labels[rows], *weights)
        for w in weights:
            w.grad = None if make is not Array else 0.0
        loss.backward()
        for w in weights:
            w.data = w.data - eta * w.grad
        losses.append(numbers(loss))
    return weights, losses


# %%
def ours(x, y, W1, b1, W2, b2):
    scores = (x @ W1 + b1).tanh() @ W2 + b2
    return (scores.logsumexp() - scores[np.arange(len(y)), y]).mean()


def theirs(x, y, W1, b1, W2, b2):
    return F.cross_entropy((torch.tensor(x) @ W1 + b1).tanh() @ W2 + b2, torch.tensor(y))


weights, losses = train_by(Array, ours, lambda loss: float(loss.data))
_, oracle = train_by(lambda w: torch.tensor(w, requires_grad=True), theirs, torch.Tensor.item)
difference = np.abs(np.array(losses) - oracle).max()
claim("300 steps: largest difference of the losses to PyTorch's", difference, high=1e-9)

# %%
W1, b1, W2, b2 = (w.data for w in weights)
found = (np.tanh(eight(test.images) @ W1 + b1) @ W2 + b2).argmax(axis=1)
correct = (found == test.labels.numpy()).mean()
claim("accuracy on held-out digits, trained by our own arrays", correct, low=0.9)
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.plot(oracle, color=plots.ORANGE, lw=4, alpha=0.5, label="PyTorch")
ax.plot(losses, color=plots.BLUE, lw=1, label="our arrays")
ax.set(xlabel="step", ylabel="cross-entropy of the batch, nats", ylim=(0, None))
ax.legend(frameon=False)
alt = "Loss against step: two falling curves, one upon the other."
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* the thin curve is ours, the wide one PyTorch's: the same to the last digits, step by step.

# %% [markdown]
# ### What does it cost? · 反向传播的代价
#
# To find all $N$ slopes by nudging takes $N + 1$ forward passes. The backward pass takes about two: for each product of matrices, it computes two. So one backward pass gives all slopes, be it ten or ten billion weights; that is why large models can be trained at all. Measured on this network, $N = 2{,}410$:

# %% tags=["machine"]
def milliseconds(function) -> float:
    times = []
    for _ in range(16):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)  # the other rounds were disturbed


batch, N = (images[:512], labels[:512]), sum(w.data.size for w in weights)
forward = milliseconds(lambda: ours(*batch, *weights))
both = milliseconds(lambda: ours(*batch, *weights).backward())
rows = {"forward": forward, "forward and backward": both, "by nudging": (N + 1) * forward}
plots.table({name: {"ms": ms, "forward passes": ms / forward} for name, ms in rows.items()})

# %% [markdown]
# ### Turn the knobs yourself · 动手试一试
#
# Every choice starts the training anew; *Keep for comparison* leaves the present curves behind, dashed. **Try, and predict first:**
#
# 1. Keep the run below, then choose *raw*. Can another learning rate save it? Another optimiser?
# 2. Data *noise*, 20 features kept: tick *leak* and watch the test curve.
# 3. *wine*, 256 hidden units, *Adam* at a rate of 0.01, 45 % of the rows each for validation and test, so 10 % to learn from: which curves turn upwards, and when?

# %%
from bigmodel_lib.widgets import PipelineLab

lab = PipelineLab(data="breast cancer", scaling="standardised", lr=0.1)
lab.run()  # to the step that its slider says
lab

# %% [markdown]
# *In the picture:* loss and accuracy on the three parts, and how far each feature spreads. A real project looks at the validation curve while it works, and at the test curve once.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. With SGD no single rate suits features whose spreads differ 100,000 times. Adam and RMSprop give each weight a rate of its own, and learn.
# 2. Validation and test accuracy rise far above 50 %, on pure noise.
# 3. Training loss falls on and on; validation and test loss soon turn upwards. That is *overfitting*.
#
# </details>

# %% [markdown]
# ### Evaluation · 评估
#
# **How much is one split worth?** The accuracy on 114 validation rows depends on which rows they are. *Cross-validation* uses each row for validation once: five folds, the mean of five accuracies. Ten times each, with other splits:

# %%
import optuna
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from bigmodel_lib.training.table import TableRun, TableSettings, table_network

model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
single, folds = [], []
for seed in range(10):
    x_fit, x_held, y_fit, y_held = train_test_split(
        cancer.x, cancer.y, test_size=0.2, stratify=cancer.y, random_state=seed
    )
    single.append(model.fit(x_fit, y_fit).score(x_held, y_held))
    five = StratifiedKFold(5, shuffle=True, random_state=seed)
    folds.append(cross_val_score(model, cancer.x, cancer.y, cv=five).mean())
print(f"single splits {min(single):.3f} to {max(single):.3f}")
print(f"five folds    {min(folds):.3f} to {max(folds):.3f}")
claim("spread of five-fold estimates over single ones", np.std(folds) / np.std(single), high=0.7)


# %% [markdown]
# Note `make_pipeline`: the scaler is fitted anew within each fold, so nothing leaks.
#
# **Search.** Now handwritten digits (64 pixels, 10 classes), a hidden layer, AdamW. Which width, learning rate and weight decay (how strongly each step pulls the weights towards 0)? *Optuna* (Akiba et al. 2019) proposes settings, we train and tell it the **validation** accuracy; after some random trials it prefers what resembles the good ones (Bergstra et al. 2011).

# %%
def tensors(name: str, validation: float, test: float) -> dict:
    table = load_table(name)
    parts = split_rows(table.y, validation, test)
    x = preprocess(table.x, table.y, parts["train"], "standardised")
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(table.y)
    return {part: (x[index], y[index]) for part, index in parts.items()}


def train_network(parts: dict, width: int, lr: float, weight_decay: float, steps: int) -> TableRun:
    settings = TableSettings(lr=lr, weight_decay=weight_decay, batch_size=64)
    network = table_network(features=64, classes=10, width=width)
    run = TableRun(network, parts, optimizer="AdamW", settings=settings, measure_every=steps)
    for _ in run.take(steps):
        pass
    return run


# %%
digit_parts = tensors("digits", validation=0.2, test=0.2)
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
for _ in tqdm(range(16), desc="trials", leave=False):
    trial = study.ask()
    chosen = {
        "width": trial.suggest_int("width", 4, 128, log=True),
        "lr": trial.suggest_float("lr", 1e-4, 1.0, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1.0, log=True),
    }
    found = train_network(digit_parts, **chosen, steps=100).measure()
    study.tell(trial, found["validation accuracy"].item())
print("best:", study.best_params)

# %%
scores = np.array([trial.value for trial in study.trials])
rates = [trial.params["lr"] for trial in study.trials]
widths = [trial.params["width"] for trial in study.trials]
figure, ax = plt.subplots(figsize=(6, 2.9))
dots = ax.scatter(rates, scores, c=np.log2(widths), s=45, edgecolor="black")
ax.set(xscale="log", xlabel="learning rate", ylabel="validation accuracy", ylim=(0, 1.03))
figure.colorbar(dots, label="log₂ of the width")
alt = (
    "Validation accuracy of sixteen trials against the learning rate: lowest for the smallest"
    " rates, best near 0.01, where several trials gather."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* one dot for each trial. Too small a rate learns too little in 100 steps; the search gathers where it found good settings. Only now, with one winner chosen, do we look at the test rows:

# %%
winner = train_network(digit_parts, **study.best_params, steps=100)
final = {name: value.item() for name, value in winner.measure().items()}
claim("validation accuracy of the best of 16 trials", final["validation accuracy"], low=0.94)
claim("its test accuracy", final["test accuracy"], low=0.92)
gain = final["validation accuracy"] - np.median(scores)
claim("validation accuracy gained over the median trial", gain, low=0.005)

# %% [markdown]
# **Which errors?** A *confusion matrix* counts, for each true class (row), what was predicted (column). *In the picture:* all off the diagonal are errors; two digits that trade places look alike to the network.

# %%
x_test, y_test = digit_parts["test"]
with torch.no_grad():
    predicted = winner.model(x_test).argmax(1)
figure, ax = plt.subplots(figsize=(4.6, 4.2))
ConfusionMatrixDisplay.from_predictions(y_test, predicted, ax=ax, cmap="Blues", colorbar=False)
alt = "Ten by ten confusion matrix of test digits: nearly all counts lie on the diagonal."
plots.show(figure, alt=alt)
errors = int((predicted != y_test).sum())
claim("errors off the diagonal, as a share of the test digits", errors / len(y_test), high=0.08)

# %% [markdown]
# ### May the probabilities be believed? · 校准
#
# A classifier's *confidence* is the probability of the class that it names. It is **calibrated** if of all predictions that it is 90 % sure of, 90 % are right, and so on.

# %% [markdown]
# Sort the predictions by confidence into ten bins $m$. With the share $s_m$ of all predictions, accuracy $a_m$ and mean confidence $c_m$ of each, the *expected calibration error* is (Guo et al. 2017, eq. 3)
#
# $$\text{ECE} = \sum_m s_m\,|a_m - c_m|.$$

# %% [markdown]
# **Predict.** A wide network trained on 180 digits until it makes no error on them: too sure, or too modest, on new ones?

# %%
from bigmodel_lib.metrics import fit_temperature, reliability

few = tensors("digits", validation=0.3, test=0.6)
overfitted = train_network(few, width=256, lr=1e-2, weight_decay=0.0, steps=400)
with torch.no_grad():
    z = {part: overfitted.model(x) for part, (x, _) in few.items()}  # scores (N, 10)
label = {part: y for part, (_, y) in few.items()}
reached = {part: (z[part].argmax(1) == label[part]).float().mean().item() for part in z}
before = reliability(z["test"].softmax(dim=1), label["test"])
claim("accuracy on its training digits", reached["train"], 1, 1)
claim("accuracy on the test digits", reached["test"], 0.8, 0.97)
claim("expected calibration error on the test digits", before.error, low=0.025)

# %% [markdown]
# **The cure: temperature scaling.** Divide all scores by one number $T$ before the softmax. The order of the classes stays, so accuracy stays; $T > 1$ makes every prediction more modest. $T$ is fitted on the *validation* digits, by their likelihood (Guo et al. 2017, section 4.2).

# %%
T = fit_temperature(z["validation"], label["validation"])
after = reliability((z["test"] / T).softmax(dim=1), label["test"])
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.7), sharey=True)
for ax, one, title in zip(axes, (before, after), ("as trained", f"T = {T:.2f}"), strict=True):
    plots.reliability_diagram(one.confidence, one.accuracy, one.share, ax=ax)
    ax.set_title(f"{title}: calibration error {one.error:.3f}")
    ax.label_outer()
figure.tight_layout()
alt = (
    "Two reliability diagrams: as trained, most dots lie below the diagonal; after temperature"
    " scaling they lie close to it."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* dots below the diagonal are promises not kept; the larger the dot, the more predictions. At the left, nearly all predictions sit in the last bin.

# %%
claim("temperature", T, low=1.2)
claim("calibration error after over before", after.error / before.error, high=0.7)
changed = (z["test"].argmax(1) != (z["test"] / T).argmax(1)).sum()
claim("predictions changed by it", changed, 0, 0)

# %% [markdown]
# ### Overfitting the validation set · 验证集用得太多
#
# Choosing is learning. We make 1,000 classifiers of odd and even digits (least squares on 20 random pixels each), judge all on the same 60 validation digits, and take the best. **Predict:** its validation accuracy, and its accuracy on some 1,400 new digits?

# %%
table, generator = load_table("digits"), np.random.default_rng(0)
odd, with_bias = np.where(table.y % 2, 1.0, -1.0), np.column_stack([table.x, np.ones(1797)])
fitting, judging, fresh = np.split(generator.permutation(1797), [300, 360])


def random_classifier(pixels: int = 20) -> tuple[float, float]:  # both accuracies
    x = with_bias[:, [*generator.choice(64, pixels, replace=False), 64]]
    w = np.linalg.lstsq(x[fitting], odd[fitting], rcond=None)[0]
    good = (x @ w > 0) == (odd > 0)
    return good[judging].mean(), good[fresh].mean()


validated, tested = np.array([random_classifier() for _ in range(1000)]).T

# %%
counts, generator = (1, 3, 10, 30, 100, 300, 1000), np.random.default_rng(0)
draws = {n: [generator.choice(1000, n, replace=False) for _ in range(100)] for n in counts}
best = {n: [draw[validated[draw].argmax()] for draw in some] for n, some in draws.items()}
promised = np.array([validated[best[n]].mean() for n in counts])
kept = np.array([tested[best[n]].mean() for n in counts])

# %%
figure, ax = plt.subplots(figsize=(6, 2.9))
ax.semilogx(counts, promised, "o-", color=plots.GREEN, label="on the 60 validation digits")
ax.semilogx(counts, kept, "s-", color=plots.ORANGE, label="on new digits")
ax.set(xlabel="classifiers that the best was chosen from", ylabel="accuracy of the best")
ax.legend(frameon=False)
alt = (
    "Accuracy of the best classifier against how many it was chosen from: on the validation digits"
    " it climbs steadily, on new digits much less, so the gap widens."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* one classifier scores the same on both. The more we choose from, the more of the winner's lead is luck on those 60 digits. So report the test set's number, look at it once, and be wary of a leaderboard that everyone tunes on.

# %%
claim("accuracy promised less accuracy kept, one classifier", promised[0] - kept[0], -0.03, 0.03)
claim("the same, best of 1,000", promised[-1] - kept[-1], low=0.04)

# %% [markdown]
# ### Deployment · 部署
#
# A trained network lives in a Python process. To be used it must become a **file** that another program can load, and a **service** that answers requests. Our model: the small convolutional network that reads digits of 28 by 28 pixels, which chapter 5 uses as a judge.

# %% [markdown]
# **ONNX** is a format for exactly that: a list of operations and the weights. `torch.export` records what one forward pass does, for any batch size; the record is translated. *ONNX Runtime* executes it, without PyTorch and without our Python code.

# %%
import tempfile
from pathlib import Path

from bigmodel_lib.deployment import export_onnx, load_classifier, quantize_int8

temporary = tempfile.TemporaryDirectory()  # gone when the kernel ends
folder = Path(temporary.name)
network, test = digit_classifier(), load_digits("digits", "test")
images = test.images.numpy()
export_onnx(network, folder / "digits.onnx")
exported = load_classifier(folder / "digits.onnx")
with torch.inference_mode():
    eager = network(test.images).numpy()
difference = np.abs(exported(images) - eager).max()
claim("largest score of PyTorch, in size", np.abs(eager).max(), low=5)
claim("largest difference of a score, ONNX Runtime against PyTorch", difference, high=1e-4)

# %% [markdown]
# **int8.** Weights and activations as whole numbers $q$ of 8 bits instead of 32-bit floats: $r \approx S\,(q - Z)$, with a scale $S$ and a zero point $Z$ (Jacob et al. 2017, eq. 1). The ranges of the activations are taken from some training digits. **Predict:** how much smaller is the file, and how many predictions change?

# %%
typical = load_digits("digits", "train").images[:512].numpy()
quantize_int8(folder / "digits.onnx", folder / "int8.onnx", np.split(typical, 8))
coarse = load_classifier(folder / "int8.onnx")
size = {name: (folder / name).stat().st_size for name in ("digits.onnx", "int8.onnx")}
claim("size of the int8 file, over float32", size["int8.onnx"] / size["digits.onnx"], 0.2, 0.4)

# %%
truth = test.labels.numpy()
precise, rounded = ((run(images).argmax(1) == truth).mean() for run in (exported, coarse))
claim("accuracy in float32", precise, low=0.95)
claim("accuracy lost by int8, share of the test digits", precise - rounded, -0.01, 0.02)

# %% [markdown]
# **Speed**, on one thread of your processor. **Predict:** is int8 the fastest? (`torch.compile` takes longer to compile than this chapter may run; `benchmarks/deployment.py` has it beside these.)

# %% tags=["machine"]
with torch.inference_mode():
    rows = {
        name: {
            f"ms, batch {count}": milliseconds(lambda run=run, x=inputs[:count]: run(x))
            for count in (1, 64)
        }
        for name, run, inputs in (
            ("PyTorch, eager", network, test.images),
            ("ONNX Runtime, float32", exported, images),
            ("ONNX Runtime, int8", coarse, images),
        )
    }
plots.table(rows)

# %% [markdown]
# For one image, most of PyTorch's time is overhead of its Python layer, and ONNX Runtime has little of that. For many images arithmetic counts, and the gap shrinks. int8 saves memory and bandwidth; it saves time only where the processor has fast instructions for it and the model is large enough to be bound by memory.

# %% [markdown]
# ### A service · 服务
#
# `python -m bigmodel_lib.serve digits.onnx` answers over HTTP. It trusts nobody:
#
# - **the file**: ONNX and safetensors are numbers. A pickle, which `torch.save` writes, can run any code when it is loaded, so it is refused;
# - **the request**: size of the body and of the batch, shape, type, finite, range. What does not fit gets a status from 400 to 499 and the reason;
# - **the network**: it listens on this machine alone, unless told otherwise.

# %%
torch.save(network.state_dict(), folder / "digits.pt")
try:
    load_classifier(folder / "digits.pt")
except RuntimeError as error:
    print(error)

# %% [markdown]
# `started` runs the command in a process of its own, on a free port, and ends it at the end of the block, whatever happens in between.

# %%
import requests

from bigmodel_lib.serve import started

body = {"inputs": test.images[:5].tolist()}


def ask_and_ask_again(url: str, times: int = 100) -> list[float]:
    """Milliseconds until each answer, for one client; each request on a connection of its own."""
    one, waits = {"inputs": test.images[0].tolist()}, []
    for _ in range(times):
        start = time.perf_counter()
        requests.post(f"{url}/predict", json=one, timeout=30).raise_for_status()
        waits.append(1000 * (time.perf_counter() - start))
    return waits


# %%
wrong = {
    "wrong shape": {"inputs": [[0.0] * 28] * 28},
    "out of range": {"inputs": [[[300.0] * 28] * 28]},
    "text, not numbers": {"inputs": "a digit"},
}
with started(folder / "digits.onnx") as service:
    waits = ask_and_ask_again(service.url)
    health = requests.get(f"{service.url}/health", timeout=30).json()
    answer = requests.post(f"{service.url}/predict", json=body, timeout=30)
    refused = {
        k: requests.post(f"{service.url}/predict", json=v, timeout=30) for k, v in wrong.items()
    }
print("takes", health["shape"], "from", health["low"], "to", health["high"])
for name, one in refused.items():
    print(f"{name}: {one.status_code}, {one.json()['detail']}")

# %%
served = np.array([one["probabilities"] for one in answer.json()["predictions"]])
here = torch.tensor(eager[:5]).double().softmax(dim=1).numpy()
claim("status of the good request", answer.status_code, 200, 200)
claim(
    "largest difference of a probability, served against here",
    np.abs(served - here).max(),
    high=1e-4,
)
claim("lowest status of the bad requests", min(r.status_code for r in refused.values()), 400)
claim("highest status of the bad requests", max(r.status_code for r in refused.values()), high=499)
claim("exit code of the service, stopped", service.process.returncode, 0, 0)

# %% [markdown]
# **Under load.** This notebook, one process, asked the service, another one, 100 times. Averages hide what annoys people, so one reports the *tail*: the wait that one request in twenty exceeds.

# %% tags=["machine"]
median, tail = np.percentile(waits, [50, 95])
print(f"{1000 * len(waits) / sum(waits):.0f} requests a second by one client that asks and waits")
print(f"wait: median {median:.1f} ms, 95th percentile {tail:.1f} ms, longest {max(waits):.1f} ms")

# %% [markdown]
# 1, 4 and 16 clients at once: `python benchmarks/serve.py`. The test suite also *fuzzes* the service: a program reads its own description, `/openapi.json`, and sends hundreds of requests that fit it and that do not; none may be answered by a 500.

# %% [markdown]
# ## 3.3 Strengths and weaknesses · 算法优缺点
#
# The article lists strengths (accurate, reusable across domains, *computationally efficient in training and inference*) and weaknesses (*hungry for compute and storage*, a black box). Each can be measured.
#
# We take one family of networks, with one hidden layer of $w$ units, and change only $w$. With $P = 784$ pixels and $C = 10$ classes it has
#
# $$N = \underbrace{(P + 1)\,w}_{\text{hidden}} + \underbrace{(w + 1)\,C}_{\text{output}} \quad\text{parameters.}$$

# %%
digits, held_out = load_digits("digits", "train"), load_digits("digits", "test")


def mlp(w: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, w), nn.ReLU(), nn.Linear(w, 10))


# %%
import pickle

from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.training.classifier import ClassifierRun

STEPS, BATCH = 200, 64


def trained(make, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    run = ClassifierRun(make().to(device), digits, seed=seed)
    for record in run.take(STEPS):
        run.settings.lr = 1.5e-3 * (1 + math.cos(math.pi * record.step / STEPS))
    return run.model.eval().cpu()


def accuracy(net: nn.Module) -> float:
    with torch.no_grad():
        right = net(held_out.images).argmax(dim=1) == held_out.labels
    return 100 * right.double().mean().item()  # points: per cent


# %% [markdown]
# **Predict.** Five widths from 4 to 256, two or four times as much work from each to the next. Where does the accuracy stop growing? And will the best of them beat three methods that are older than deep learning: logistic regression (a network without a hidden layer), the 3 nearest neighbours, a random forest?

# %%
WIDTHS = (4, 16, 32, 64, 256)
nets = {
    w: [trained(lambda w=w: mlp(w), seed) for seed in (0, 1)] for w in tqdm(WIDTHS, leave=False)
}
pixels, unseen = (data.images.flatten(1).numpy() for data in (digits, held_out))
classical = {
    "logistic regression": LogisticRegression(max_iter=200),
    "3 nearest neighbours": KNeighborsClassifier(3),
    "random forest": RandomForestClassifier(50, random_state=0),
}
for method in classical.values():
    method.fit(pixels, digits.labels.numpy())


# %% [markdown]
# A *FLOP* is one addition or multiplication. PyTorch counts those of matrix products and convolutions as it runs them, which is nearly all. For nearest neighbours we count the distances, two FLOPs a pixel for each stored digit; for logistic regression the product. A forest only compares; we count the comparisons. *Bytes to store* are those of the parameters, or of what scikit-learn would save.

# %%
def flops(net: nn.Module, learn: bool = False) -> int:
    """For one image: of a prediction, or of a prediction and its gradients."""
    with FlopCounterMode(display=False) as counter:
        scores = net(held_out.images[:1])
        if learn:
            scores.sum().backward()
    return counter.get_total_flops()


# %%
COST = "FLOPs a prediction"


def row(nets: list[nn.Module]) -> dict:
    size = sum(p.numel() for p in nets[0].parameters())
    points = sum(map(accuracy, nets)) / len(nets)
    return {"accuracy, %": points, COST: flops(nets[0]), "bytes to store": 4 * size}


rows = {f"w = {w}": row(pair) for w, pair in nets.items()}

# %%
forest = classical["random forest"]
work = {
    "logistic regression": 2 * 784 * 10,
    "3 nearest neighbours": 2 * 784 * len(digits),
    "random forest": forest.decision_path(unseen)[0].sum() // len(unseen) - len(forest),
}
for name, method in classical.items():
    points = 100 * method.score(unseen, held_out.labels.numpy())
    rows[name] = dict(
        zip(rows["w = 4"], (points, int(work[name]), len(pickle.dumps(method))), strict=True)
    )
plots.table(rows)

# %%
figure, ax = plt.subplots(figsize=(7.5, 3.6))
cost, points = zip(*((r[COST], r["accuracy, %"]) for r in rows.values()), strict=True)
ax.plot(cost[:5], points[:5], "o-", color=plots.BLUE, label="one hidden layer, w = 4 … 256")
for place, (marker, colour) in enumerate(
    (("v", plots.ORANGE), ("^", plots.GREEN), ("D", plots.PURPLE)), start=5
):
    ax.plot(cost[place], points[place], marker, color=colour, ms=8, label=list(rows)[place])
ax.set(xscale="log", xlabel="FLOPs a prediction (forest: comparisons)", ylabel="accuracy, %")
ax.legend(loc="lower right", frameon=False)
plots.show(
    figure,
    alt="Accuracy against work on a logarithmic axis: the blue line of the five widths climbs "
    "steeply, then lies flat at 97 per cent. Nearest neighbours lie above it, far to the right; "
    "the forest above it, far to the left.",
)

# %% [markdown]
# *In the picture:* the line climbs steeply and then lies flat: past $w = 32$, eight times the work buys next to nothing. And nearest neighbours win: among 1,437 digits a new one finds its twin. On so little data "accurate" is no merit of networks. Chapter 6 shows layers made for pictures, which overtake it where there is more data.

# %%
gain = rows["w = 32"]["accuracy, %"] - rows["w = 4"]["accuracy, %"]
claim("points of accuracy from w = 4 to 32, for 8 times the work", gain, low=8)
last = rows["w = 256"]["accuracy, %"] - rows["w = 32"]["accuracy, %"]
claim("points from w = 32 to 256, for 8 times the work", last, -1, 3)
best = max(rows[f"w = {w}"]["accuracy, %"] for w in WIDTHS)
lead = rows["3 nearest neighbours"]["accuracy, %"] - best
claim("points by which nearest neighbours beat the best width", lead, 0.5, 4)
same = rows["w = 32"]["accuracy, %"] - rows["logistic regression"]["accuracy, %"]
claim("points by which w = 32 beats logistic regression", same, -1.5, 2.5)

# %% [markdown]
# ### Efficient or hungry? · 高效还是耗费？
#
# > **Erratum.** The article calls large models both *computationally efficient* and *hungry for compute*. As it stands that is a contradiction. Both are half of a sentence whose other half is missing: efficient *at what*, hungry *compared with what*?

# %% [markdown]
# Count both ways. **A prediction** by a network costs the same however much it has learned from; nearest neighbours search everything they have seen, each time. **Learning** is where a network pays: many passes, each with a gradient. The two bills meet after
#
# $$n = \frac{\text{FLOPs to learn}}{\text{FLOPs a prediction, neighbours} - \text{FLOPs a prediction, network}} \quad\text{predictions.}$$

# %%
to_learn = {w: STEPS * BATCH * flops(pair[0], learn=True) for w, pair in nets.items()}
saved = work["3 nearest neighbours"] - flops(nets[32][0])
claim(
    "work of nearest neighbours over that of w = 32, a prediction",
    work["3 nearest neighbours"] / flops(nets[32][0]),
    30,
)
claim(
    "predictions after which w = 32 has earned back its training", to_learn[32] / saved, 100, 5000
)
bill = to_learn[32] / flops(nets[32][0])
claim("work of learning over that of one prediction, w = 32", bill, 10_000, 100_000)
claim("work to learn, w = 256 over w = 32", to_learn[256] / to_learn[32], 7.5, 8.5)

# %% [markdown]
# Per *sample* a network is frugal. Per *point of accuracy* it is frugal at first and insatiable at the end:
#
# $$\text{price of a point} = \frac{\text{more FLOPs to learn}}{\text{more points of accuracy}}$$
#
# The price below is from each width to the next. Where the accuracy does not rise at all, no price buys a point ("–").

# %%
import itertools

prices = {}
for narrow, wide in itertools.pairwise(WIDTHS):
    more = rows[f"w = {wide}"]["accuracy, %"] - rows[f"w = {narrow}"]["accuracy, %"]
    price = (to_learn[wide] - to_learn[narrow]) / 1e9
    prices[f"w = {narrow} → {wide}"] = {
        "more GFLOPs": price,
        "more points": more,
        "GFLOPs a point": price / more if more > 0 else "–",
        "bytes to train": 16 * sum(p.numel() for p in nets[wide][0].parameters()),
    }
plots.table(prices)
first = prices["w = 4 → 16"]["GFLOPs a point"]
dearer = (to_learn[256] - to_learn[32]) / 1e9 / max(last, 0.3) / first  # 0.3 points: one image
claim("price of a point past w = 32 over that of the first points", dearer, low=50)


# %% [markdown]
# Memory has the same two faces. The neighbours must keep every digit. The network keeps 4 bytes a parameter, but to train it takes 16: weight, gradient, and the two running means of Adam (the last column).
#
# And time? A wide layer does more work at once and keeps the processor busier. **Predict:** does a sample through $w = 256$ take 64 times as long as through $w = 4$, as the FLOPs say?

# %% tags=["machine"]
def microseconds(predict, batch) -> float:
    """Per sample, the best of five: what else the machine does only ever adds time."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        predict(batch)
        times.append(time.perf_counter() - start)
    return min(times) / len(batch) * 1e6


# %% tags=["machine"]
with torch.no_grad():
    clock = {f"w = {w}": microseconds(pair[0], held_out.images) for w, pair in nets.items()}
clock |= {name: microseconds(method.predict, unseen) for name, method in classical.items()}
columns = ("µs a sample", "GFLOPs (forest: comparisons) a second")
plots.table(
    {
        name: dict(zip(columns, (t, rows[name][COST] / t / 1e3), strict=True))
        for name, t in clock.items()
    }
)
faster = (clock["w = 4"] / clock["w = 256"]) * (rows["w = 256"][COST] / rows["w = 4"][COST])
claim("FLOPs a second, w = 256 over w = 4", faster, low=1)

# %% [markdown]
# So both words are true, each of something else. *Efficient*: a wide network does more FLOPs in a second than a narrow one, and a prediction does not grow dearer with the data. *Hungry*: training costs ten thousands of predictions, and the last points of accuracy cost far more than all the others. A sound statement names both sides of the fraction.
#
# **Reusable across domains?** Chapter 1, section 1.2 (c), measures how many labels a network saves that has learned from other digits first.

# %% [markdown]
# ### A black box? · 黑箱
#
# Two networks of one width, trained from two random starts, give almost the same answers. Do they have the same *reasons*? A common explanation of a score $s_c(x)$ of class $c$ for image $x$ is its *saliency*, how much each pixel $x_j$ matters:
#
# $$g_j = \partial s_c(x) / \partial x_j \qquad j = 1 \dots 64 \text{ measured pixels (Simonyan et al. 2013)}$$
#
# We take $s_c$ less the mean of all ten scores: what is added to all of them changes no answer.

# %% [markdown]
# The reference is a linear model: there $g$ is a row of weights, the same for each image of a class, and its loss has one valley only. **Predict:** for which model do two starts agree on the most important pixel?

# %%
from bigmodel_lib.data.digits import enlarge


def saliency(net: nn.Module) -> torch.Tensor:
    """Slope of the true class's score, less the mean score, by each pixel: (N, 64)."""
    nudge = torch.zeros(len(held_out), 8, 8, requires_grad=True)  # before enlarging to 28 · 28
    scores = net(held_out.images + enlarge(nudge))
    own = scores.gather(1, held_out.labels[:, None])[:, 0] - scores.mean(dim=1)
    return torch.autograd.grad(own.sum(), nudge)[0].flatten(1)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


twins = {"linear": [trained(linear, seed) for seed in (0, 1)]}
twins |= {f"w = {w}": nets[w] for w in (32, 256)}


# %%
def compare(one: nn.Module, other: nn.Module) -> dict:
    with torch.no_grad():
        answers = [net(held_out.images).argmax(dim=1) for net in (one, other)]
    a, b = (s - s.mean(dim=1, keepdim=True) for s in map(saliency, (one, other)))
    top = [s.abs().argmax(dim=1) for s in (a, b)]
    return {
        "same answer": (answers[0] == answers[1]).double().mean().item(),
        "correlation of the reasons": torch.cosine_similarity(a, b).mean().item(),
        "same most important pixel": (top[0] == top[1]).double().mean().item(),
    }


agreement = {name: compare(*pair) for name, pair in twins.items()}
plots.table(agreement)
place = int((held_out.labels == 3).nonzero()[0])  # the image to be pictured

# %%
figure, axes = plt.subplots(2, 4, figsize=(8, 4.2))
for line, row_of_axes in enumerate(axes):
    for ax, (name, pair) in zip(row_of_axes[1:], twins.items(), strict=True):
        reason = saliency(pair[line])[place].view(8, 8)
        limit = reason.abs().max()
        ax.imshow(reason, cmap="PuOr", vmin=-limit, vmax=limit)
        ax.set_title(f"{name}, start {line}", fontsize=10)
axes[0, 0].imshow(held_out.images[place, 0], cmap="gray")
axes[0, 0].set_title("the image", fontsize=10)
_ = [ax.set_axis_off() for ax in axes.flat]
alt = (
    "A handwritten 3, and beside it, in two rows for two starts, the saliency maps of three "
    "models; the two maps of the linear model look alike, those of w = 32 differ."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* where more ink would speak for a 3 (purple) or against it (orange), from two starts above each other. The linear maps repeat each other, and so, nearly, do those of $w = 256$: many units average out what each start did at random. The narrow network gives equally good answers for visibly different reasons.

# %%
claim("least share of equal answers", min(a["same answer"] for a in agreement.values()), low=0.95)
reasons = {name: a["correlation of the reasons"] for name, a in agreement.items()}
claim("correlation of the reasons, linear", reasons["linear"], low=0.95)
claim("correlation of the reasons, w = 32", reasons["w = 32"], 0.7, 0.94)
claim("correlation of the reasons, w = 256", reasons["w = 256"], low=0.93)
pixel = {name: a["same most important pixel"] for name, a in agreement.items()}
claim("same most important pixel, linear over w = 32", pixel["linear"] / pixel["w = 32"], low=1.2)

# %% [markdown]
# So "a black box" is a matter of degree and can be measured: we can *see* each weight of these networks, yet an explanation of one answer depends on the random start. If two equally good models give two reasons, neither is *the* reason. Chapter 7 tests other explanations.

# %% [markdown]
# ## 3.4 Where they are used · 算法应用领域
#
# Language, vision and speech have chapter 6. The article's fourth field, **recommender systems**, is small enough to be understood whole: some people have rated some items with stars; what would they think of the others?

# %% [markdown]
# Real ratings never tell how good an answer could be. So we make ratings by a known rule: $r_{ui}$ is what user $u$ gives item $i$,
#
# $$r_{ui} = 3.5 + b_u + b_i + p_u \cdot q_i + \sigma\varepsilon.$$
#
# $b_u$: how generous the user is; $b_i$: how good the item; $p_u \cdot q_i$: how well the user's taste $p_u$ and the item's character $q_i$, 6 numbers each, match; $\sigma\varepsilon$: a mood, $\sigma = 0.5$ stars times standard normal noise, which nobody can predict.

# %% [markdown]
# Three things are as in life. People choose what they rate, by fame and by what they can know beforehand. 16 *features* of each user and item are known (think of age and genre); they explain 70 % of the variance of tastes and quality, and the rest stays hidden. And time passes: we learn from earlier ratings and test on later ones, and on *cold* items, all of whose ratings were set aside.

# %%
from bigmodel_lib.data.ratings import make_ratings, split_ratings

ratings = make_ratings(users=600, items=400, count=30_000, noise=0.5)
split, truth = split_ratings(ratings, later=0.2, cold=0.1), ratings.truth
train = split.train
print(f"{len(train):,} ratings to learn from, {len(split.test):,} later, {len(split.cold):,} cold")


# %%
def rmse(table: torch.Tensor, which) -> float:
    """Root mean squared error, in stars, of a table of predictions (U, I)."""
    error = table[which.users, which.items] - which.stars
    return error.double().square().mean().sqrt().item()


# %%
best = rmse(truth.expected, split.test)
claim("RMSE of the true means on later ratings (σ = 0.5)", best, 0.48, 0.52)
empty = 1 - len(train) / train.seen().numel()
claim("share of pairs without a rating to learn from", empty, 0.9, 0.92)
chosen, offered = ratings.stars.mean(), truth.expected.mean()
claim("stars by which the chosen pairs are better than all pairs", chosen - offered, low=0.2)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
met = train.seen().float()
order = met.sum(dim=1).argsort(descending=True), met.sum(dim=0).argsort(descending=True)
left.imshow(met[order[0]][:, order[1]], cmap="Greys", aspect="auto", interpolation="nearest")
left.set(xlabel="items, most rated first", ylabel="users, most active first")
count = ratings.items.bincount(minlength=ratings.I)
right.plot(truth.expected.mean(dim=0), count, ".", color=plots.BLUE)
right.set(yscale="log", xlabel="true mean of the item, stars", ylabel="ratings of the item")
figure.tight_layout()
plots.show(
    figure,
    alt="Left: a matrix of users by items, dark with ratings in the upper left corner and nearly "
    "empty in the lower right one. Right: number of ratings against an item's quality, a rising, "
    "wide cloud.",
)


# %% [markdown]
# *In the picture:* left, each dot is a rating; nine of ten places are empty, the items at the left have far more dots than the others, and the last forty columns, the cold items, have none. Right: better items are rated more often, but fame also has its luck. So *popularity* is a baseline worth beating.
#
# ### The simple answers · 简单的基线
#
# The mean of all; of the user; of the item; and $\mu + b_u + b_i$, both biases learned together.

# %%
def mean_by(ids: torch.Tensor, count: int) -> torch.Tensor:
    """Mean stars of each user or item (count,); of all, where there are none."""
    total, number = torch.bincount(ids, train.stars, count), torch.bincount(ids, minlength=count)
    return torch.where(number > 0, total / number.clamp(min=1), train.stars.mean())


shape = (ratings.U, ratings.I)
tables = {
    "mean of all": train.stars.mean().expand(shape),
    "mean of the user": mean_by(train.users, ratings.U)[:, None].expand(shape),
    "mean of the item": mean_by(train.items, ratings.I).expand(shape),
}

# %% [markdown]
# ### Matrix factorisation · 矩阵分解
#
# Give each user and each item a vector of numbers to be learned, and let the dot product say how they match (Koren, Bell & Volinsky 2009, eqs. 4 and 5):
#
# $$\hat r_{ui} = \mu + b_u + b_i + p_u \cdot q_i, \qquad \min \sum_{(u,i)\ \text{rated}} (r_{ui} - \hat r_{ui})^2 + \lambda\left(\lVert p_u\rVert^2 + \lVert q_i\rVert^2 + b_u^2 + b_i^2\right)$$

# %% [markdown]
# $\hat r_{ui}$ is the prediction, $\mu$ the mean of all, and $\lambda$ keeps the vectors of rarely seen users small. With vectors of width $D = 0$ only the biases are left: the fourth baseline.
#
# To be honest about it: $\lambda$, learning rate and batch below were chosen with the later ratings in view, for all models alike. That is the overuse of 3.2, so read these errors as slightly flattering, and only large gaps between models as findings.

# %%
from bigmodel_lib.models.recommender import MatrixFactorisation
from bigmodel_lib.training.recommender import RatingRun, RecommenderSettings


def learn(model, data, kind=RatingRun, steps: int = 300, lr: float = 0.02, **options):
    settings = RecommenderSettings(lr=lr, **options.pop("settings", {}))
    run = kind(model.to(device), data, settings=settings, **options)
    for record in run.take(steps):
        run.settings.lr = lr * (1 + math.cos(math.pi * record.step / steps)) / 2
    return model


@torch.no_grad()
def predictions(model, data) -> torch.Tensor:
    everyone, everything = (torch.arange(n, device=device) for n in (data.U, data.I))
    return model.scores(everyone, everything).cpu()  # (U, I)


# %%
seed_everything(0)
mean = train.stars.mean()
biases = learn(MatrixFactorisation(*shape, D=0, mean=mean), train)
factors = learn(MatrixFactorisation(*shape, D=6, mean=mean), train)
tables["both biases"] = predictions(biases, train)
tables["matrix factorisation"] = predictions(factors, train)

# %% [markdown]
# The model is eq. 4 and nothing else. Written out as loops for 3 users and 5 items:

# %%
users, items = factors.user_table.weight.cpu(), factors.item_table.weight.cpu()
by_hand = torch.zeros(3, 5)
for u in range(3):
    for i in range(5):
        by_hand[u, i] = mean + users[u, 0] + items[i, 0]
        for d in range(1, 7):
            by_hand[u, i] += users[u, d] * items[i, d]
torch.testing.assert_close(by_hand.detach(), tables["matrix factorisation"][:3, :5])

# %% [markdown]
# ### Two towers · 双塔模型
#
# A vector must be *learned*, so an item without ratings has none. **Two towers** (Covington et al. 2016; Yi et al. 2019) let a network make it from features $x_u$ and $y_i$:
#
# $$\hat r_{ui} = \mu + b(x_u) + b(y_i) + p(x_u) \cdot q(y_i)$$

# %% [markdown]
# Each tower gives a number $b$ and a vector, $p$ or $q$. One tower reads the user, the other the item; they meet only in the dot product, so a service can store all items' vectors. What features can't say may be *added* from a table that begins at zero and is kept small by $\lambda$. Users have such a table here; for items we try both.

# %%
from bigmodel_lib.models.recommender import TwoTowers

features = ratings.user_features, ratings.item_features
for name, own in {"two towers": False, "two towers + item table": True}.items():
    seed_everything(0)
    model = learn(TwoTowers(*features, D=6, item_table=own, mean=mean), train)
    tables[name] = predictions(model, train)
tables["optimum, item known"] = truth.expected
tables["optimum, item new"] = truth.from_features

# %% [markdown]
# **Predict.** Who is best on *later* ratings of known items, who on *cold* items? How far from the optimum, $\sigma = 0.5$, will they stay? For a cold item, the best that anybody could say uses its features only ("optimum, item new"); "item known" can't be reached there.

# %%
errors = {
    name: {"later": rmse(table, split.test), "cold": rmse(table, split.cold)}
    for name, table in tables.items()
}

# %%
alt = (
    "Bars of the error of seven predictions and two optima: on later ratings the error falls from "
    "the mean to the towers with a table; on cold items the item's mean and factorisation stay at "
    "the level of the biases and only the towers fall further."
)

# %%
figure, ax = plt.subplots(figsize=(8, 4.4))
heights = torch.arange(len(errors)).flip(0)
for part, colour, shift in (("later", plots.BLUE, 0.2), ("cold", plots.ORANGE, -0.2)):
    values = [e[part] for e in errors.values()]
    bars = ax.barh(heights + shift, values, 0.38, color=colour, label=f"{part} ratings")
    ax.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
ax.axvline(truth.noise, color=plots.GREY, ls=":", label="σ: the mood of the user")
ax.set_yticks(heights, list(errors))
ax.set(xlabel="root mean squared error, stars", xlim=(0, 1.25))
ax.legend(loc="lower right", frameon=False, fontsize=9)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* from the means to the towers with a table the blue bars shrink towards the dotted line. The orange ones get no further than the user's mean, except for the towers: to the factorisation each cold item is the same blank.

# %%
later, cold = ({n: e[part] for n, e in errors.items()} for part in ("later", "cold"))
factorised, towers = later["matrix factorisation"], later["two towers + item table"]
claim("later: factorisation over both biases", factorised / later["both biases"], 0.8, 0.97)
claim("later: towers with a table over factorisation", towers / factorised, high=0.95)
claim("later: towers with a table over the optimum", towers / later["optimum, item known"], 1, 1.3)
claim("later: towers without over with an item table", later["two towers"] / towers, low=1.03)

# %%
blank = cold["matrix factorisation"] / cold["mean of the user"]
claim("cold: factorisation over the user's mean", blank, 0.93, 1.1)
ratio = cold["two towers + item table"] / cold["matrix factorisation"]
claim("cold: towers over factorisation", ratio, high=0.92)
near = cold["two towers + item table"] / cold["optimum, item new"]
claim("cold: towers over the optimum for a new item", near, 1, 1.25)

# %% [markdown]
# ### From stars to a list · 从评分到排序
#
# Nobody reads predictions; people see a list of ten. It is good if liked items stand high. Here the truth is known: $\ell_{ui}$ is the probability that $u$ would give at least 4 stars. For a list $i_1, \dots, i_k$
#
# $$\text{DCG@}k = \sum_{j=1}^{k} \frac{\ell_{u i_j}}{\log_2(j + 1)}, \qquad \text{NDCG@}k = \frac{\text{DCG@}k}{\text{DCG@}k\ \text{of the best list}}$$

# %% [markdown]
# NDCG (Järvelin & Kekäläinen 2002) is 1 for the best list. *Precision* is the mean $\ell$ of the ten. Lists hold only items that the user has not rated yet. Scikit-learn averages over the orders of equal scores.

# %%
is_cold = torch.zeros(ratings.I, dtype=torch.bool)
is_cold[split.cold.items] = True
open_pairs = ~train.seen() & ~is_cold  # (U, I): what a list may hold
tables = {"popularity": train.items.bincount(minlength=ratings.I).float().expand(shape)} | tables


def best_ten(table: torch.Tensor) -> torch.Tensor:
    return table.masked_fill(~open_pairs, -math.inf).topk(10).indices  # (U, 10)


# %%
from sklearn.metrics import ndcg_score


def list_quality(table: torch.Tensor) -> dict:
    low = table.min() - 1  # pairs that are not open: no gain, and behind all others
    gains, scores = truth.liking * open_pairs, torch.where(open_pairs, table, low)
    cold_part = truth.liking[:, is_cold], table[:, is_cold]
    return {
        "NDCG@10": float(ndcg_score(gains, scores, k=10)),
        "precision@10": truth.liking.gather(1, best_ten(table)).mean().item(),
        "NDCG@5 of cold items": float(ndcg_score(*cold_part, k=5)),
    }


# %%
quality = {name: list_quality(table) for name, table in tables.items()}
plots.table(quality)

# %%
ndcg, new = ({n: q[c] for n, q in quality.items()} for c in ("NDCG@10", "NDCG@5 of cold items"))
claim("NDCG@10 of the true means", ndcg["optimum, item known"], 0.999, 1)
claim("NDCG@10 of popularity", ndcg["popularity"], 0.35, 0.6)
claim("NDCG@10 of factorisation", ndcg["matrix factorisation"], 0.68, 0.88)
claim("NDCG@10 of towers with a table", ndcg["two towers + item table"], 0.88, 0.98)
gain = new["matrix factorisation"] - new["mean of all"]
claim("cold: NDCG@5 of factorisation less that of equal scores", gain, -0.1, 0.06)
gain = new["two towers + item table"] - new["matrix factorisation"]
claim("cold: NDCG@5 of towers less that of factorisation", gain, low=0.25)

# %% [markdown]
# Popularity is better than nothing ("mean of all": all items equal), and far worse than asking how good an item is: fame is partly luck. The *user's mean* makes no list at all: it scores every item the same.

# %% [markdown]
# ### What comes next? · 下一个会选什么
#
# A shop often has no stars, only choices. Then the model must say *which item is chosen*, one of very many: a softmax over all items, too dear at a million. Yi et al. (2019) use the other items of the batch as wrong answers.

# %% [markdown]
# But popular items stand in many batches and are wrongly pushed down, unless one subtracts $\log f_j$, $f_j$ being item $j$'s share of the choices:
#
# $$L = -\frac1B \sum_{k=1}^{B} \log \frac{e^{s_{kk} - \log f_k}}{\sum_{j=1}^{B} e^{s_{kj} - \log f_j}}$$
#
# The batch holds $B$ choices; $s_{kj}$ is the score of the user of choice $k$ with the item of choice $j$.

# %% [markdown]
# **Predict.** Without the correction, will the list beat plain popularity?

# %%
from bigmodel_lib.training.recommender import RetrievalRun

choices = {}
for name, correct in {"towers, no correction": False, "towers, corrected": True}.items():
    seed_everything(0)
    options = {"correct": correct, "settings": {"penalty": 0.05, "batch_size": 256}}
    model = learn(TwoTowers(*features, D=6), train, RetrievalRun, **options)
    choices[name] = predictions(model, train)
choices |= {n: tables[n] for n in ("popularity", "matrix factorisation", "optimum, item known")}
choices["optimum for choices"] = truth.exposure

# %%
later_pairs = split.test.seen()
active = later_pairs.any(dim=1)


def recall(table: torch.Tensor) -> float:
    """Share of a user's later choices among the best ten, of ten at most; mean over users."""
    found = later_pairs.gather(1, best_ten(table)).sum(dim=1)
    return (found[active] / later_pairs.sum(dim=1)[active].clamp(max=10)).mean().item()


found = {name: recall(table) for name, table in choices.items()}
plots.table({name: {"recall@10 of later choices": value} for name, value in found.items()})

# %%
fame, optimum = found["popularity"], found["optimum for choices"]
lead = fame / found["matrix factorisation"]
claim("recall of popularity over factorisation, which learned stars", lead, low=1.15)
claim("recall with the correction over popularity", found["towers, corrected"] / fame, low=1.1)
plain = found["towers, no correction"] / fame
claim("recall without the correction over popularity", plain, high=0.98)
reached = found["towers, corrected"] / optimum
claim("recall with the correction over the optimum's", reached, 0.65, 1.02)
stars = found["optimum, item known"] / optimum
claim("recall of the true mean stars over the optimum's", stars, 0.4, 0.75)

# %% [markdown]
# What a model is best at is what it was asked. Even the *true* mean stars are a poor guide to the next choice, which also depends on fame; and whoever learns choices learns fame. Without the correction the towers learn how much likelier an item is for *this* user than for anybody, and fame drops out.

# %% [markdown]
# ### Real ratings · 真实评分
#
# MovieLens 100K (Harper & Konstan 2015) holds 100,000 ratings of 1,682 films by 943 people. It may not be passed on, so it is not part of this collection: `python -m bigmodel_lib --fetch movielens-100k` gets it (5 MB). If it is there, the same models run on it, unchanged. There is no known optimum, and features are few: age, sex, occupation, genres.

# %%
from bigmodel_lib.data import DATASETS, is_cached
from bigmodel_lib.data.ratings import load_ratings

# %% tags=["machine"]
if all(is_cached(file) for file in DATASETS["movielens-100k"]):
    real = split_ratings(load_ratings("movielens-100k"))
    mean, sizes = real.train.stars.mean(), (real.train.U, real.train.I)
    known = real.train.user_features, real.train.item_features
    models = {
        "both biases": MatrixFactorisation(*sizes, D=0, mean=mean),
        "matrix factorisation": MatrixFactorisation(*sizes, D=6, mean=mean),
        "two towers + item table": TwoTowers(*known, D=6, mean=mean),
    }
    learned = {n: predictions(learn(m, real.train), real.train) for n, m in models.items()}
    parts = {"later": real.test, "cold": real.cold}
    plots.table({n: {k: rmse(t, p) for k, p in parts.items()} for n, t in learned.items()})
else:
    print("MovieLens 100K is not here: python -m bigmodel_lib --fetch movielens-100k")

# %% [markdown]
# ## Summary · 小结
#
# - Trained layers extract features; depth alone does not. Of four principles of generation, one has a discriminator.
# - Backpropagation is the chain rule, each node once, from the loss back: all slopes for the price of a few forward passes.
# - Units decide how fast gradient descent is. Preparation learns from data, so it must not see the test rows.

# %% [markdown]
# - Every choice made on a validation set uses it up a little. Accuracy does not say whether a probability may be believed; calibration does.
# - A service trusts neither its file nor its callers.
# - "Efficient" and "hungry" need a denominator: per sample, per point of accuracy, per stored byte.

# %% [markdown]
# ## Exercises · 练习
#
# **3.1 and training**
#
# 1. Train the adversarial model with `beta1=0.9` and five seeds. How many humps does the worst one cover? Which of the other three is as sensitive?
# 2. Give the autoregressive model 16 bins, then 256. What does each do to the distance, and why?

# %% [markdown]
# 3. Add `max` of two numbers to `Value`. What is its local derivative where both are equal? Compare with PyTorch.
# 4. `softmax` and `logsumexp` in `Array` are made of other operations. Write `logsumexp` as one node. What is its local derivative?

# %% [markdown]
# **From data to a service**
#
# 5. Descend the *raw* table with Adam instead of gradient descent. How many steps to a loss of 0.2? Which of Adam's parts replaces the scaling?
# 6. In `cross_validated`, keep 2, 20 and 200 features of noise. When is the leak worst? Predict first.
# 7. Repeat the search with 200 trials and 60 validation rows. How much of the winner's validation accuracy is left on the test rows?

# %% [markdown]
# 8. Give `started` the file `int8.onnx`. Send it a digit turned upside down: how sure is it? Would temperature scaling help?
# 9. Add a limit of requests a second for each client to `bigmodel_lib/serve.py`, and a test that fails without it.

# %% [markdown]
# ## Sources · 参考文献
#
# **Features and four principles**
#
# - Alain & Bengio 2016, *Understanding intermediate layers using linear classifier probes*, [arXiv:1610.01644](https://arxiv.org/abs/1610.01644)
# - Goodfellow et al. 2014, *Generative Adversarial Nets*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661)
# - Kingma & Welling 2013, *Auto-Encoding Variational Bayes*, [arXiv:1312.6114](https://arxiv.org/abs/1312.6114)
# - van den Oord et al. 2016, *Pixel Recurrent Neural Networks*, [arXiv:1601.06759](https://arxiv.org/abs/1601.06759)
# - Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239)
# - Song, Meng & Ermon 2021, *Denoising Diffusion Implicit Models*, [arXiv:2010.02502](https://arxiv.org/abs/2010.02502)
# - Nichol & Dhariwal 2021, *Improved Denoising Diffusion Probabilistic Models*, [arXiv:2102.09672](https://arxiv.org/abs/2102.09672)
#
# **Backpropagation**
#
# - Linnainmaa 1976, *Taylor expansion of the accumulated rounding error*, BIT 16, 146–160
# - Rumelhart, Hinton & Williams 1986, *Learning representations by back-propagating errors*, Nature 323, 533–536

# %% [markdown]
# **Preprocessing and evaluation**
#
# - LeCun, Bottou, Orr & Müller 1998, *Efficient BackProp*, in Neural Networks: Tricks of the Trade
# - Ambroise & McLachlan 2002, *Selection bias in gene extraction on the basis of microarray gene-expression data*, PNAS 99(10)
# - Bergstra, Bardenet, Bengio & Kégl 2011, *Algorithms for Hyper-Parameter Optimization*, NIPS

# %% [markdown]
# - Akiba et al. 2019, *Optuna*, [arXiv:1907.10902](https://arxiv.org/abs/1907.10902)
# - Guo, Pleiss, Sun & Weinberger 2017, *On Calibration of Modern Neural Networks*, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599)
# - Wolberg, Street & Mangasarian 1995, *Breast Cancer Wisconsin (Diagnostic)*; Alpaydin & Kaynak 1998, *Optical Recognition of Handwritten Digits*: UCI Machine Learning Repository

# %% [markdown]
# **Deployment**
#
# - Jacob et al. 2017, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*, [arXiv:1712.05877](https://arxiv.org/abs/1712.05877)
# - *Open Neural Network Exchange*, [onnx.ai](https://onnx.ai)

# %% [markdown]
# **Saliency and recommenders**
#
# - Simonyan, Vedaldi & Zisserman 2013, *Deep Inside Convolutional Networks*, [arXiv:1312.6034](https://arxiv.org/abs/1312.6034)
# - Koren, Bell & Volinsky 2009, *Matrix Factorization Techniques for Recommender Systems*, IEEE Computer 42(8), 30–37
# - Covington, Adams & Sargin 2016, *Deep Neural Networks for YouTube Recommendations*, RecSys
# - Yi et al. 2019, *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations*, RecSys, [doi:10.1145/3298689.3346996](https://doi.org/10.1145/3298689.3346996)
# - Järvelin & Kekäläinen 2002, *Cumulated Gain-Based Evaluation of IR Techniques*, ACM TOIS 20(4), 422–446
# - Harper & Konstan 2015, *The MovieLens Datasets: History and Context*, ACM TiiS 5(4), [doi:10.1145/2827872](https://doi.org/10.1145/2827872)

# %% [markdown]
# **The code:** [autodiff/](../bigmodel_lib/autodiff/graph.py), [models/principles.py](../bigmodel_lib/models/principles.py), [models/diffusion.py](../bigmodel_lib/models/diffusion.py), [data/plane.py](../bigmodel_lib/data/plane.py), [training/density.py](../bigmodel_lib/training/density.py), [widgets/backprop_stepper.py](../bigmodel_lib/widgets/backprop_stepper.py), [data/tables.py](../bigmodel_lib/data/tables.py), [training/table.py](../bigmodel_lib/training/table.py), [metrics.py](../bigmodel_lib/metrics.py), [widgets/pipeline_lab.py](../bigmodel_lib/widgets/pipeline_lab.py), [deployment.py](../bigmodel_lib/deployment.py), [serve.py](../bigmodel_lib/serve.py), [models/recommender.py](../bigmodel_lib/models/recommender.py), [data/ratings.py](../bigmodel_lib/data/ratings.py), [training/recommender.py](../bigmodel_lib/training/recommender.py).
