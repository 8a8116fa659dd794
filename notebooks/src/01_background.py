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
# # 1 Background · 背景介绍
#
# **The question:** models have grown from thousands of parameters to trillions. What does size buy, and where does it stop helping?
#
# **You will be able to** say how large models really were, and how fast they grew; read a scaling law and fit one of your own, with its uncertainty; train a hundred small networks as one; judge what a GAN, a VAE and a reused network are worth beside something simple.

# %% [markdown]
# **It takes** 50 minutes to read, a minute to run on two cores, and under 1.2 GB of memory.
#
# The chapters follow a Chinese overview article, *大模型：科技创新的前沿探索*. Where it is wrong, an **Erratum** box says so and a cell shows it. A line that begins with ✓ is a statement which that cell has just checked. At **Predict**, say what you expect before you run the next cell.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm.auto import tqdm

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import pick_device, seed_everything

device = pick_device()
seed_everything(0)
torch.set_num_threads(1)  # networks this small gain nothing from a second thread

# %% [markdown]
# ## 1.1 Origins and development · 大模型的起源与发展
#
# A neural network computes with numbers that it learned: its **parameters**. How many there are is the usual measure of its size. The library holds a table of landmark models, from the perceptron to today. Each number comes from the paper that introduced the model, or, where the paper prints none, from adding up its layers. What no paper states is left out: GPT-4 has no row, as its report declines to give a size.

# %%
from bigmodel_lib.data.landmarks import load_landmarks
from bigmodel_lib.growth import fit_growth
from bigmodel_lib.widgets import ScalingLab

models = load_landmarks()
sizes = {model.name: model.parameters for model in models}
print(f"{len(models)} models, {models[0].year} to {models[-1].year}")
for model in models:
    if model.name in ("NETtalk", "GPT-3"):
        print(f"{model.name}: {model.parameters:,} ({model.source}; {model.where})")

# %% [markdown]
# > **Erratum: the 1980s.** The article says that large models date from the 1980s. Networks are older still. What came then was a way to train several layers of them (Rumelhart, Hinton & Williams 1986). Nothing of that time was large.
#
# **Predict.** How many parameters had the largest of the well-known networks of the 1980s: a thousand, a hundred thousand, or ten million?

# %%
eighties = [model for model in models if 1980 <= model.year < 1990]
rows = {}
for m in eighties:
    rows[m.name] = {"year": str(m.year), "parameters": m.parameters, "source": m.source}
plots.table(rows)
largest = max(model.parameters for model in eighties)
claim("parameters of the table's largest net of the 1980s", largest, 1e4, 1e5)
claim("as many times larger is GPT-3", sizes["GPT-3"] / largest, low=1e6)

# %% [markdown]
# LeNet of 1989 reads zip codes with four layers. Its first has 12 **feature maps**: pictures of 8 × 8 **units** (numbers computed from those before), which all look at the image through the same 5 × 5 **weights** (numbers to multiply by), but have a **bias** (a number that is added) each. The second has 12 maps of 4 × 4, each looking at 8 of the first. Then 30 units, and 10 for the digits.

# %%
first = 12 * 5 * 5 + 12 * 8 * 8  # shared weights, then a bias for each unit
second = 12 * 8 * 5 * 5 + 12 * 4 * 4
third = 30 * (12 * 4 * 4 + 1)  # every unit sees all 192 before it
output = 10 * (30 + 1)
counted = first + second + third + output
claim("LeNet (1989), layer by layer; the paper says 9,760", counted, 9760, 9760)
claim("the table agrees", sizes["LeNet (1989)"], counted, counted)

# %% [markdown]
# **Predict.** On an axis where each step multiplies by ten, do sixty years of models lie on a straight line?

# %%
years, counts = [m.year for m in models], [m.parameters for m in models]
shown = "Perceptron (Mark I)", "ADALINE", "LeNet-5", "AlexNet", "DLRM (12T)"
names = {i: m.name for i, m in enumerate(models) if m.name in shown}
growth = fit_growth(years, counts)
figure, ax = plt.subplots(figsize=(10, 5.4))
plots.timeline(years, counts, [m.family for m in models], growth=growth, names=names, ax=ax)
alt = (
    "Parameters of landmark models by year, logarithmic: from 17 in 1960 and ten thousands in the "
    "1980s to trillions in the 2020s, round a straight line, steeper after 2010."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* a point for each model, its shape and colour for the family (chapters 2 and 6 meet most of them); the line is the best exponential, the grey band its uncertainty. A straight line on this axis means a constant **doubling time**. The networks of 1987 to 2010 all lie below the line, and after 2010 the points rise more steeply than it: one exponential is too simple. So fit two.

# %%
flat = [m for m in models if 1987 <= m.year <= 2010]
above = max(m.parameters / growth.size(m.year) for m in flat)
claim("largest of 1987 to 2010, in multiples of the line", above, high=1)

# %%
periods = {"all": (1957, 2100), "before 2010": (1957, 2009), "from 2010": (2010, 2100)}
rows, fits = {}, {}
for name, (start, end) in periods.items():
    own = [m for m in models if start <= m.year <= end]
    fits[name] = fit_growth([m.year for m in own], [m.parameters for m in own])
    low, high = fits[name].doubling_range
    years_each = {"doubling time, years": fits[name].doubling_time, "from": low, "to": high}
    rows[name] = {"models": len(own), **years_each}
plots.table(rows)

# %%
claim("doubling time of all, years", fits["all"].doubling_time, 1.5, 2.5)
claim("doubling time from 2010, years", fits["from 2010"].doubling_time, 0.8, 1.7)
slower = fits["before 2010"].doubling_time / fits["from 2010"].doubling_time
claim("as many times slower was growth before 2010", slower, low=2)
apart = fits["from 2010"].slope_range[0] - fits["before 2010"].slope_range[1]
claim("the two intervals of the slope do not touch: gap, doublings a year", apart, low=0)

# %% [markdown]
# The columns *from* and *to* are a 95 % **confidence interval**: if models scattered at random round an exponential, 95 of 100 such intervals would hold its doubling time. Ours were chosen, for being known. So the interval says how well a line describes *these* models, and nothing about others. We also chose the year 2010 with the picture before us, and a break that one has looked for seems surer than it is.

# %% [markdown]
# Size also means two things today. In a **mixture of experts** a **token** (a word or a piece of one) passes through a few parts of the network only: 37 of DeepSeek-V3's 671 billion parameters.

# %%
sparse = [m for m in models if m.active is not None]
shares = {m.name: {"all": m.parameters, "active": m.active} for m in sparse}
for row in shares.values():
    row["active, %"] = 100 * row["active"] / row["all"]
plots.table(shares)
claim("largest active share of them, %", max(r["active, %"] for r in shares.values()), high=50)

# %% [markdown]
# **Try it.** The explorer fits the doubling time of the models that you choose.
#
# 1. *family* Transformer decoder. What is the doubling time, and how sure is it?
# 2. Move the left end of *years* to 2022. What became of the growth?
# 3. *family* mixture of experts, then *parameters* those that work on a token. Did the models grow?
# 4. *family* all families, *years* all, *name*: find a model of your own field.

# %%
ScalingLab()

# %% [markdown]
# *In the picture:* rings mark the smallest and the largest model, and those furthest above and below the line; a name that you choose takes their place. The line above the picture says the doubling time and its interval; "or never" means that no growth at all would fit as well.

# %% [markdown]
# ## 1.2 Why they matter · 大模型的重要性
#
# The article names three reasons: (a) more parameters are more accurate; (b) they drove new methods, GAN and VAE; (c) what was learned once can be reused, which lowers the cost and the time of development. Each can be tested in less than a minute, on a small scale.

# %% [markdown]
# ### (a) More parameters, more accurate? · 参数越多越准确吗
#
# One family of networks reads handwritten digits (Alpaydin & Kaynak 1998; 8 × 8 pixels, enlarged to 28 × 28): 49 numbers in (each the mean of 4 × 4 pixels), $w$ units between (a **hidden layer** of **width** $w$), ten scores out, one for each digit. With its biases it has $N = 49w + w + 10w + 10 = 60w + 10$ parameters. *In the picture:* what the networks read is below.

# %%
import copy
import time

import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from bigmodel_lib.data.digits import LabelledImages, load_digits
from bigmodel_lib.device import by_device
from bigmodel_lib.power_law import fit_power_law
from bigmodel_lib.training.classifier import ClassifierRun
from bigmodel_lib.training.many import ManyRun, Stacked
from bigmodel_lib.training.schedule import cosine

train, test = load_digits("digits", "train"), load_digits("digits", "test")
print(f"{len(train):,} images to learn from, {len(test)} to test with")
WIDTHS, SEEDS = (2, 4, 8, 16, 32, 64, 128), by_device(cpu=6, gpu=50)


# %%
def coarse(data: LabelledImages) -> torch.Tensor:  # (images, 49)
    return F.avg_pool2d(data.images, 4).flatten(1)


def make_network(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(49, width), nn.Tanh(), nn.Linear(width, 10))


parameters = [sum(p.numel() for p in make_network(w).parameters()) for w in WIDTHS]
formula = [60 * w + 10 for w in WIDTHS]
misses = max(abs(n - f) for n, f in zip(parameters, formula, strict=True))
claim("largest difference between count and formula", misses, 0, 0)

# %%
figure, ax = plt.subplots(figsize=(8, 1.6))
squares = coarse(train)[:10].view(10, 1, 7, 7).repeat_interleave(4, 2).repeat_interleave(4, 3)
shown = torch.cat([train.images[:10], squares])
plots.image_grid(shown, columns=10, ax=ax)
plots.show(figure, alt="Ten handwritten digits; below, the same as coarse grids of 7 by 7 squares.")


# %% [markdown]
# To **train** a network is to repeat one **step**. Show it a few images, a **batch**; let a number, the **loss**, say how wrong its answers are; find the **gradient**: for each parameter, how the loss changes as it grows; move every parameter a little the way on which the loss falls. Chapter 4 does so by hand. What was learned, and not just remembered, shows on **test** images, which no step has seen.

# %% [markdown]
# Chance plays a part: first weights and batches are drawn at random. So each width is trained from several **seeds** (starting points of the random numbers). That makes dozens of trainings, and each is so small that Python spends its time on *starting* operations. The remedy is to stack the networks, and let each operation work on all of them.

# %% [markdown]
# #### Many networks as one · 多个网络合为一个
#
# Three tools of `torch.func`: `stack_module_state` stacks the weights of networks of one shape; `functional_call` runs a network with weights that are handed to it; `vmap` turns a function of one thing into a function of a stack of them. To get all gradients at once, add the losses: a network's weights are in its own loss alone.
#
# **Predict.** Ten networks, 64 images: will the loop and the stack agree to the last digit?

# %%
def loss_of(weights, network, images, labels):
    return F.cross_entropy(functional_call(network, weights, images), labels)


networks = [make_network(16) for _ in range(10)]
images, labels = coarse(train)[:64], train.labels[:64]
weights, _no_buffers = stack_module_state(networks)  # each has a first axis of 10 now
all_at_once = vmap(loss_of, in_dims=(0, None, None, None))  # the first argument is stacked
all_at_once(weights, networks[0], images, labels).sum().backward()

# %%
for network in networks:  # the plain loop
    F.cross_entropy(network(images), labels).backward()
apart = 0.0
for name, weight in weights.items():
    by_loop = torch.stack([dict(n.named_parameters())[name].grad for n in networks])
    torch.testing.assert_close(weight.grad, by_loop)
    apart = max(apart, (weight.grad - by_loop).abs().max().item())
claim("largest difference of any gradient, loop to stack", apart, high=1e-6)


# %% [markdown]
# Equal, but perhaps for the rounding: a sum may be taken in another order. The library's `Stacked` is such a stack as a module, and `ManyRun` trains it, each network on batches of its own; its tests compare it with a plain loop, step by step. What is it worth? Your machine decides, so this output is not saved:

# %% tags=["machine"]
def seconds_for(runs: list, steps: int = 20) -> float:
    for run in runs:
        list(run.take(5))  # the first steps also set up memory
    start = time.perf_counter()
    for run in runs:
        list(run.take(steps))
    return time.perf_counter() - start


seen = coarse(train)
alone = [ClassifierRun(copy.deepcopy(n).to(device), train, inputs=seen) for n in networks]
together = [ManyRun(Stacked(networks).to(device), train, inputs=seen)]
loop, stack = seconds_for(alone), seconds_for(together)
print(f"20 steps of ten networks: loop {loop:.2f} s, stack {stack:.2f} s, {loop / stack:.1f} times")


# %% [markdown]
# #### The experiment · 实验
#
# Every network takes 240 steps of 64 images with AdamW, an optimiser of chapter 4; its **learning rate**, the size of the steps, falls to 0 along half a cosine. Where should it begin? Choosing by the test images would be cheating: a fifth of the training images is set aside as a **validation** set. The rate with the lowest loss there, at width 16, is taken for all widths.

# %%
def train_family(width, data, lr=0.03, rows=None, seeds=SEEDS):
    torch.manual_seed(width)
    stacked = Stacked([make_network(width) for _ in range(seeds)]).to(device)
    run = ManyRun(stacked, data, inputs=coarse(data), rows=rows, seed=width)
    for _ in tqdm(cosine(run, 240, lr), total=240, desc=f"width {width}", leave=False):
        pass
    return stacked


@torch.no_grad()
def measure(stacked, data):  # loss and error of each network on each image, (seeds, images)
    scores = stacked(coarse(data).to(device), shared=True).cpu()
    truth = data.labels.expand(len(scores), -1)
    loss = F.cross_entropy(scores.mT, truth, reduction="none")
    return loss.numpy(), (scores.argmax(-1) != truth).float().numpy()


# %%
order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
kept, validation = (
    LabelledImages(train.images[part], train.labels[part], train.source)
    for part in (order[287:], order[:287])
)
by_rate = {
    lr: measure(train_family(16, kept, lr, seeds=3), validation)[0].mean().item()
    for lr in (0.01, 0.03, 0.1)
}
best_rate = min(by_rate, key=by_rate.get)
print({lr: round(loss, 3) for lr, loss in by_rate.items()}, "best:", best_rate)

# %% [markdown]
# Two measures on the test images. The **error** is the share that was read wrong. The **log-loss** is $-\log p$, where $p$ is the probability that the network gave to the right digit: 0 if it was sure and right, 2.3 for a blind guess among ten. With the natural logarithm its unit is the **nat**.
#
# **Predict.** Sixty-four times the width: how many times smaller is the error? Does every doubling help?

# %%
measured = [measure(train_family(w, train, best_rate), test) for w in WIDTHS]
log_loss, error = (np.stack(values) for values in zip(*measured, strict=True))  # (7, seeds, 360)
rows = {}
for w, n, a, b in zip(WIDTHS, parameters, log_loss.mean(2), 100 * error.mean(2), strict=True):
    rows[f"width {w}"] = {
        "parameters": n,
        "log-loss": f"{a.mean():.3f} ± {a.std(ddof=1):.3f}",
        "error, %": f"{b.mean():.1f} ± {b.std(ddof=1):.1f}",
    }
plots.table(rows)

# %% [markdown]
# ± is the standard deviation from seed to seed. Now a law with a floor, the form that the next section uses for language models:
#
# $$L(N) = E + A\,N^{-\alpha}$$
#
# $E$ is what no size removes, $A$ how much there is beside it, $\alpha$ how fast that falls. How sure are the three? The **bootstrap** (Efron 1979) repeats the fit 100 times, each time on seeds *and* test images drawn anew, with repetition, from those that we have.

# %%
random = np.random.default_rng(0)


def resampled(values):
    seeds, pictures = (random.integers(n, size=n) for n in values.shape[1:])
    return values[:, seeds][:, :, pictures].mean(axis=(1, 2))


fits, repeats = {}, {}
for name, values in {"log-loss": log_loss, "error": error}.items():
    fits[name] = fit_power_law(parameters, values.mean(axis=(1, 2)))
    repeats[name] = [fit_power_law(parameters, resampled(values)) for _ in range(100)]


# %%
def interval(name, constant):  # 90 % of the repeats lie within
    return np.quantile([getattr(law, constant) for law in repeats[name]], (0.05, 0.95))


rows = {}
for name, law in fits.items():
    rows[name] = {}
    for symbol, constant in {"E": "E", "α": "alpha"}.items():
        low, high = interval(name, constant)
        rows[name] |= {
            symbol: getattr(law, constant),
            f"{symbol}, 90 %": f"{low:.3f} to {high:.3f}",
        }
plots.table(rows)


# %%
def draw_law(name, values, ax):
    law, by_seed, line = fits[name], values.mean(axis=2), np.geomspace(100, 1e4, 200)
    band = np.quantile([repeat(line) for repeat in repeats[name]], (0.05, 0.95), axis=0)
    ax.fill_between(line, *band, color=plots.BLUE, alpha=0.2, lw=0)
    ax.plot(line, law(line), color=plots.BLUE, label="fitted law")
    ax.axhline(law.E, color=plots.GREY, ls="--", label="floor E")
    spread = by_seed.std(axis=1, ddof=1)
    ax.errorbar(parameters, by_seed.mean(axis=1), spread, fmt="o", color=plots.ORANGE, capsize=3)
    ax.set(xscale="log", yscale="log", xlabel="parameters N", title=name)
    ax.legend(frameon=False)


# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
draw_law("log-loss", log_loss, axes[0])
draw_law("error", error, axes[1])
axes[0].set_ylabel("log-loss, nats an image")
axes[1].set_ylabel("share of images read wrong")
figure.tight_layout()
alt = (
    "Log-loss and error against parameters, both axes logarithmic, with error bars: they fall "
    "steeply up to about a thousand parameters, then flatten out on a dashed floor."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* points are means over the seeds, bars their spread, the band 90 % of the repeated fits. A power law alone would be a straight line here; the floor bends it. For these networks and images, the article's sentence is true on the left half only.

# %%
mean_loss, law = log_loss.mean(axis=(1, 2)), fits["log-loss"]
steep, flat = mean_loss[0] / mean_loss[3], mean_loss[4] / mean_loss[6]
claim("log-loss at width 2 over width 16: 7.5 times the parameters", steep, low=5)
claim("log-loss at width 32 over width 128: 4 times as many", flat, 0.9, 1.35)
claim("exponent α of the log-loss", law.alpha, 1.2, 2.4)
lowest_floor = interval("log-loss", "E")[0]
claim("lower end of the floor's 90 % interval, nats", lowest_floor, low=0.02)
claim("parameters where the loss is 10 % above its floor", law.size_where(0.1), 1000, 4000)

# %% [markdown]
# This $\alpha$ must not be compared with those of language models below: another task, other data, and our smallest networks squeeze ten digits through two numbers.
#
# **Predict.** What would help, where parameters no longer do? Width 64 again, for as many steps, on random halves and quarters of the training images.

# %%
by_share = {1.0: mean_loss[WIDTHS.index(64)]}
for share in (0.5, 0.25):
    draw = torch.Generator().manual_seed(0)
    picks = [torch.randperm(len(train), generator=draw) for _ in range(SEEDS)]
    rows = torch.stack(picks)[:, : int(share * len(train))]
    by_share[share] = measure(train_family(64, train, best_rate, rows), test)[0].mean()
print({share: round(float(loss), 3) for share, loss in by_share.items()})
claim(
    "log-loss with half of the images over that with all", by_share[0.5] / by_share[1.0], 1.15, 1.9
)
claim("with a quarter over half", by_share[0.25] / by_share[0.5], 1.15, 1.9)

# %% [markdown]
# Data. Each doubling of the images still pays where a doubling of the network no longer does. Size and data must grow together: that is what the laws of large models are about.

# %% [markdown]
# ### Scaling laws · 规模定律
#
# How much better does a larger model get? For language models the **loss** $L$, the mean log-loss of the next token, follows a formula (Hoffmann et al. 2022, eq. 2):
#
# $$L(N, D) = E + \frac{A}{N^{\alpha}} + \frac{B}{D^{\beta}}$$
#
# $N$ is the number of parameters, $D$ that of tokens it was trained on. $E$ is what no model can predict. The other terms shrink as model and data grow. All five constants were fitted, to over 400 trained models.

# %% [markdown]
# Training costs about $C = 6ND$ **FLOPs**, additions and multiplications: two for each parameter and token forward, four backward (Kaplan et al. 2020). Is that rule good enough? GPT-3's paper itself uses it, so to agree with the paper says little; but we can add up every product of matrices.

# %%
from bigmodel_lib.counting import approximate_training_flops, training_flops
from bigmodel_lib.models.transformer import PRESETS
from bigmodel_lib.scaling import HOFFMANN, HOFFMANN_FLOPS, HOFFMANN_PRINTED, HOFFMANN_SIZES, LAWS

gpt3 = PRESETS["GPT-3 175B"]
rule = approximate_training_flops(sizes["GPT-3"], 300e9)
exact = training_flops(gpt3).total * 300e9
printed = next(m.flops for m in models if m.name == "GPT-3")
claim("6ND over what the paper prints, by the same rule", rule / printed, 0.99, 1.01)
claim("exact count over 6ND: attention adds a little", exact / rule, 1.0, 1.06)

# %% [markdown]
# **Predict.** Someone gives you the FLOPs of GPT-3. You may choose any $N$; then $D = C/6N$. A model ten times as large sees ten times less text. Where is the lowest loss: at GPT-3's 175 billion parameters, above, or below?

# %%
N = np.geomspace(1e9, 1e12, 2000)
loss = HOFFMANN(N, printed / (6 * N))  # a loop over sizes, in one line
best = N[loss.argmin()]
by_formula, tokens = HOFFMANN.frontier.optimum(printed)
claim("best size for GPT-3's budget, billions", best / 1e9, 20, 50)
claim("by trying over by formula", best / by_formula, 0.99, 1.01)
more = HOFFMANN(175e9, 300e9) - loss.min()
claim("loss that GPT-3's own split costs more, nats a token", more, low=0.03)

# %% [markdown]
# The formula comes from setting the derivative to zero. With $D = C/6N$, the loss has its minimum where $\alpha A N^{-\alpha} = \beta B D^{-\beta}$, hence (eq. 4)
#
# $$N = G \left(\tfrac{C}{6}\right)^{a}, \quad D = \tfrac1G \left(\tfrac{C}{6}\right)^{b}, \quad a = \tfrac{\beta}{\alpha+\beta}, \quad b = \tfrac{\alpha}{\alpha+\beta}, \quad G = \left(\tfrac{\alpha A}{\beta B}\right)^{\frac{1}{\alpha+\beta}}$$
#
# In the code, `frontier` is this pair of formulas.

# %% [markdown]
# The paper found the exponents in three ways; the formula is the third approach. Two years earlier Kaplan et al. had found $a = 0.73$ on their runs (*measured*), a little less by their own formula of the loss (*predicted*): mostly larger models, and data that grow far more slowly. Two years later Besiroglu et al. fitted the third approach again. *From* and *to*: the 80 % interval of $a$, where a paper tells its uncertainty.

# %%
rows = {}
for name, law in LAWS.items():
    size, tokens = law.frontier.optimum(1e24)
    low, high = law.a_range or ("", "")
    each = {"a": law.frontier.a, "from": low, "to": high, "tokens a parameter": tokens / size}
    rows[name] = {"best N at 1e24, billions": size / 1e9, **each}
plots.table(rows)
hoffmann, kaplan = LAWS["Hoffmann 2022, approach 1"], LAWS["Kaplan 2020, measured"]
ratio = kaplan.frontier.optimum(1e24)[0] / hoffmann.frontier.optimum(1e24)[0]
claim("Kaplan's best size over Hoffmann's, for the same 1e24 FLOPs", ratio, 5, 12)

# %% [markdown]
# Kaplan's numbers had to be translated. Their $N$ leaves out the **embeddings**, the numbers that stand for each token; in models this large they are a small part. Their $C$ is the least that would do, with tiny batches; at the batch size which they advise, training takes twice that.

# %% [markdown]
# Do our functions say what the papers say? Tables 3 and A3 of Hoffmann et al. list the FLOPs that the first and the third approach ask for, from 400 million to 10 trillion parameters. Our line for the first is fitted to table 3 itself, so it can only show that the table is a power law. Of the third the paper prints $\alpha = 0.34$ and $\beta = 0.28$; the source of its text holds four digits.

# %%
tables = {
    "approach 1 and table 3": (hoffmann.frontier, HOFFMANN_FLOPS[1]),
    "approach 3, four digits, and table A3": (HOFFMANN.frontier, HOFFMANN_FLOPS[3]),
    "approach 3, two digits, and table A3": (HOFFMANN_PRINTED.frontier, HOFFMANN_FLOPS[3]),
}
off = {}
for name, (frontier, table) in tables.items():
    factor = frontier.budget(np.array(HOFFMANN_SIZES)) / np.array(table)
    off[name] = np.exp(np.abs(np.log(factor)).max())
    print(f"{name}: apart by a factor of up to {off[name]:.2f}")

# %%
claim(
    "approach 1: a power law fitted to its table, and the table",
    off["approach 1 and table 3"],
    high=1.05,
)
claim("approach 3 with four digits", off["approach 3, four digits, and table A3"], 1.1, 1.2)
claim("with two digits", off["approach 3, two digits, and table A3"], low=2)

# %% [markdown]
# (Table A3 prints 1.26e24 for 175 billion parameters. With the tokens beside it, $6ND$ is 1.26e25: a misprint, and we use the latter.)

# %% [markdown]
# Two digits of an exponent are too few where it is applied to trillions, and even four do not quite give the printed table. Stranger is the interval for $a$: 0.454 to 0.455 leaves out what the other two approaches found, and even the third's own 0.46. Besiroglu et al. read the runs off a figure, fitted them again, and found that the first search for the best constants had stopped too early.

# %%
refit = LAWS["Besiroglu 2024"]
low, high = refit.a_range
claim("the re-fit's interval holds equal growth, a = 0.5: lower end", low, high=0.5)
claim("upper end", high, low=0.5)
narrow = LAWS["Hoffmann 2022, approach 3"].a_range
wider = (high - low) / (narrow[1] - narrow[0])  # roughly: the first is known to three digits
claim("as many times wider than the first one, as printed", wider, low=20)
size, tokens = refit.frontier.optimum(5.76e23)  # Chinchilla's FLOPs
claim("tokens a parameter by the re-fit; Chinchilla had 20", tokens / size, 15, 25)

# %%
trained = {m.name: (m.used, m.tokens) for m in models if m.tokens and m.used}
shown = ("GPT-3", "Gopher", "PaLM", "Chinchilla", "Llama 3.1 405B", "Qwen2.5-72B")
frontiers = {name: law.frontier for name, law in LAWS.items()}

# %%
figure, ax = plt.subplots(figsize=(9, 5))
known = {name: trained[name] for name in shown}
plots.optimal_sizes(frontiers, np.geomspace(1e19, 1e27, 50), models=known, ax=ax)
alt = (
    "Best model size against compute: Kaplan's lines are steep and reach GPT-3 and PaLM, the "
    "others are flatter and lie together; Chinchilla is on them, recent models below."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* each line says how large a model should be for a budget. GPT-3, Gopher and PaLM were built larger than Hoffmann's lines ask, and so saw too little text; Chinchilla lies by design on those of approaches 1 and 2, nearly one line with the re-fit. Qwen2.5 lies far below. That is no mistake: the laws ask what is best for the cost of *training* alone, and a smaller model is cheaper each time it is used.

# %%
best_for = hoffmann.frontier.tokens
undertrained = {name: D / best_for(N) for name, (N, D) in trained.items()}
claim("GPT-3's tokens over the best for its size", undertrained["GPT-3"], 0.05, 0.12)
claim("Chinchilla's", undertrained["Chinchilla"], 0.8, 1.2)
claim("Qwen2.5-72B's", undertrained["Qwen2.5-72B"], low=5)

# %% [markdown]
# **Try it.** The same explorer, with the laws.
#
# 1. Move *training compute* and follow the star: it always sits where the dashed line, all splits of the budget, touches a contour of equal loss.
# 2. *law* Kaplan 2020, measured. Which models had too little data now?
# 3. *law* Besiroglu 2024, *name* GPT-3, then Llama 3.1 405B: by how much did the habit change?

# %%
ScalingLab(view="laws", law="Besiroglu 2024", named="GPT-3")

# %% [markdown]
# *In the picture:* on the left, size and tokens with contours of equal loss; the star is the best split of the budget, the black line the best for every budget, blue the models that were trained (of a mixture of experts the active part, though no such model was in the fits). On the right, each model's tokens over the best for its size: orange too few, blue more than needed, black within a factor of 1.5.

# %% [markdown]
# ### (b) New methods: GAN and VAE · 新算法：GAN 与 VAE
#
# Both learn to *make* images out of random numbers, by opposite ways. A **GAN** (generative adversarial network, Goodfellow et al. 2014) sets two networks against each other: the generator draws, the discriminator says what is real. A **VAE** (variational autoencoder, Kingma & Welling 2013) compresses each image to a few numbers, its *code*, and learns to draw it again from there. Chapters 5 and 2 go deeper.

# %% [markdown]
# Does it take a large model? The parts that draw, in ours:

# %%
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from bigmodel_lib.metrics import GeneratorJudge, frechet_distance
from bigmodel_lib.models.gan import ConvDiscriminator, ConvGenerator
from bigmodel_lib.models.vae import VAE
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.training.vae import VAERun, VAESettings

torch.manual_seed(0)
generator, discriminator, vae = ConvGenerator(Z=100, C=8), ConvDiscriminator(C=8), VAE(Z=8, C=8)
for name, net in {"GAN's generator": generator, "VAE's decoder": vae.decoder}.items():
    largest = sum(p.numel() for p in net.parameters())
    claim(f"parameters of the {name}: AlexNet of 2012 over it", sizes["AlexNet"] / largest, low=500)

# %% [markdown]
# **Predict.** Each trains for some seconds on the same digits. Which one makes the better ones? And do they beat a method from 1977, which takes about a second?

# %%
gan_settings = GANSettings(d_lr=2e-3, g_lr=2e-3, batch_size=32)
vae_settings = VAESettings(lr=5e-3, batch_size=32)
seldom = by_device(cpu=1, gpu=50)  # a look at the losses waits for the device
networks = generator.to(device), discriminator.to(device)
runs = {
    "GAN": GANRun(*networks, train, settings=gan_settings, check_every=seldom),
    "VAE": VAERun(vae.to(device), train, settings=vae_settings, check_every=seldom),
}
steps = {"GAN": 400, "VAE": 360}


# %%
def draw_from(name: str, count: int = 1000) -> torch.Tensor:
    if name == "GAN":
        return runs["GAN"].sample(*runs["GAN"].noise(count, seed=1)).cpu()
    codes = torch.randn(count, vae.Z, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return vae.generate(codes.to(device)).cpu()


took, half_way = {}, {}
for name, run in runs.items():
    start = time.process_time()
    for record in tqdm(run.take(steps[name]), total=steps[name], desc=name, leave=False):
        if record.step == steps[name] // 2:
            half_way[name] = draw_from(name)
    took[name] = time.process_time() - start

# %% [markdown]
# The old method: a **mixture of Gaussians**. *PCA* (principal component analysis) describes each image by 30 numbers, along the directions in which the digits vary most. Then 20 bell curves are laid over the cloud of all images (Dempster et al. 1977). To draw: choose a bell, take a random point under it, and turn it back into an image. As a fourth, what any judge should see through: training images with a little noise.

# %%
drawn = {name: draw_from(name) for name in runs}
start = time.process_time()
pixels = train.images.flatten(1).double().numpy()
pca = PCA(30, random_state=0).fit(pixels)
bells = GaussianMixture(20, reg_covar=0.01, random_state=0).fit(pca.transform(pixels))
points = np.random.default_rng(1).permutation(bells.sample(1000)[0])
mixed = torch.from_numpy(pca.inverse_transform(points)).float().clamp(-1, 1)
drawn["mixture"] = mixed.view(-1, 1, 28, 28)
took["mixture"] = time.process_time() - start

# %%
noise = torch.randn(1000, 1, 28, 28, generator=torch.Generator().manual_seed(1))
drawn["noisy copies"] = train.images[:1000] + 0.2 * noise

# %% tags=["machine"]
for name, seconds in took.items():
    print(f"{name}: {seconds:.2f} s of processor time")

# %%
figure, axes = plt.subplots(1, 5, figsize=(12, 3.2))
for ax, (name, pictures) in zip(axes, {"real": test.images, **drawn}.items(), strict=True):
    plots.image_grid(pictures[:20], columns=4, title=name, ax=ax)
alt = (
    "Five grids of twenty digits: real; rough ones by the GAN; smooth, partly unreadable ones by "
    "the VAE; clear ones by the mixture; grainy copies of real ones."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* judge for yourself first. Then the judge: a classifier looks at real and drawn images and compares (chapter 5 explains each number). **Fréchet**: distance between the two clouds, lower is better. **Precision**: share of drawn images that look real; **recall**: share of the real variety that is drawn. **Modes**: digits covered. **Novelty**: about 1 if drawn images are no nearer to training images than to unseen ones, 0 if all are copies.

# %%
judge = GeneratorJudge(train, test)
reports = {name: judge(pictures) for name, pictures in drawn.items()}
columns = ("frechet", "precision", "recall", "modes", "novelty")
rows = {name: {c: getattr(report, c) for c in columns} for name, report in reports.items()}
held_out = judge(test.images)
rows["real, held out"] = {c: getattr(held_out, c) for c in columns} | {"novelty": "–"}
plots.table(rows)

# %%
better = min(reports[name].frechet for name in ("GAN", "VAE"))
claim("digits that the GAN covers", reports["GAN"].modes, 7, 10)
claim("digits that the VAE covers", reports["VAE"].modes, 9, 10)
ratio = reports["mixture"].frechet / better
claim("Fréchet distance of the mixture over the better network's", ratio, high=0.6)
claim("lowest novelty of GAN and VAE", min(reports[n].novelty for n in ("GAN", "VAE")), low=0.6)
for name, pictures in half_way.items():
    then = frechet_distance(judge.real_features, judge.look(pictures)[0])
    progress = reports[name].frechet / then
    claim(f"{name}: Fréchet distance at the end over half-way", progress, high=0.95)

# %%
copied = reports["noisy copies"].frechet / better
claim("Fréchet distance of the noisy copies over the better network's", copied, high=0.8)
claim("novelty of the noisy copies", reports["noisy copies"].novelty, high=0.1)

# %% [markdown]
# So neither network wins here. With so few images, so small, the bells of 1977 describe them better than some seconds of training, and noisy copies beat both networks in all but novelty. Both networks were still improving when we stopped them; whether more time is all that they lack, exercise 3 finds out. As to the article: neither method takes a large model to work. **Compare a new method with an old one before you believe in it.**

# %% [markdown]
# ### (c) Reuse · 复用
#
# A network that has learned one task may learn the next one with fewer examples: its first layers know something already. That is **pretraining** and **reuse**. Here: learn five of the digits with all their images, then the other five with 1, 2, 5, 10 or 50 images each. To leave something to be learned, each digit is moved by up to four pixels either way, as on paper without lines.

# %%
SHOTS, DRAWS, POSITIONS = (1, 2, 5, 10, 50), 6, 16


def moved(data: LabelledImages, seed: int, reach: int = 4) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    shift = torch.randint(2 * reach + 1, (len(data), 2, 1), generator=draw)
    paper = F.pad(data.images[:, 0], [reach] * 4, value=-1)
    down, right = (torch.arange(28) + shift).unbind(1)  # which rows and columns are looked at
    image = torch.arange(len(data))[:, None, None]
    return paper[image, down[:, :, None], right[:, None, :]][:, None]


copies = torch.cat([moved(train, seed) for seed in range(POSITIONS)])
scattered = LabelledImages(copies, train.labels.repeat(POSITIONS), train.source)
unseen = LabelledImages(moved(test, seed=99), test.labels, test.source)


# %% [markdown]
# Which five digits come first is drawn anew six times, and so are the images. Every image may be seen in 16 positions: one knows that a digit stays the same when it is moved, whether one starts **from scratch** or from a trained network. All else is equal, too: the same small network, the same last layer to start with, the same steps.

# %% [markdown]
# The network is **convolutional**: it looks at 16 small pieces of an image (**patches**, here 5 × 5 pixels of the image at half size) through the same weights. Chapter 2 has more of them. As the patches stay the same in each step, they are cut out once.

# %%
def patches_of(data: LabelledImages) -> torch.Tensor:  # (images, 16, 25)
    return F.unfold(F.avg_pool2d(data.images, 2), 5, stride=3).mT.contiguous()


def make_reader() -> nn.Module:
    see = nn.Linear(25, 16), nn.ReLU(), nn.Flatten()  # 16 features of each patch
    return nn.Sequential(*see, nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))


def rows_of(classes, n: int, seed: int) -> torch.Tensor:  # n images a class, in all positions
    draw, chosen = torch.Generator().manual_seed(seed), []
    for label in classes:
        own = (train.labels == label).nonzero()[:, 0]
        chosen.append(own[torch.randperm(len(own), generator=draw)[:n]])
    return (torch.cat(chosen) + len(train) * torch.arange(POSITIONS)[:, None]).flatten()


# %%
import math

from matplotlib.ticker import NullFormatter

from bigmodel_lib.training.classifier import ClassifierSettings

patches, unseen_patches = patches_of(scattered), patches_of(unseen)


def train_readers(networks: list, rows: list, steps: int) -> Stacked:
    stacked, settings = Stacked(networks).to(device), ClassifierSettings(batch_size=16)
    learn_from = {"inputs": patches, "rows": torch.stack(rows)}
    run = ManyRun(stacked, scattered, settings=settings, **learn_from)
    for _ in tqdm(cosine(run, steps, lr=0.01), total=steps, leave=False):
        pass
    return stacked


# %%
torch.manual_seed(0)
orders = [torch.randperm(10, generator=torch.Generator().manual_seed(s)) for s in range(DRAWS)]
first_task, second_task = ([o[:5] for o in orders], [o[5:] for o in orders])
# 139 images of each: the rarest digit has no more
all_images = [rows_of(c, 139, s) for s, c in enumerate(first_task)]
pretrained = train_readers([make_reader() for _ in orders], all_images, steps=320).unstack()
print("first tasks:", *("".join(map(str, sorted(c.tolist()))) for c in first_task))

# %% [markdown]
# All five numbers of examples and all six draws make thirty networks, trained as one. A stack needs lists of equal length, so 1 example stands 50 times in its list, 2 stand 25 times each, and so on.

# %%
grid = [(n, s) for n in SHOTS for s in range(DRAWS)]
examples = [rows_of(second_task[s], n, s).repeat(50 // n) for n, s in grid]
fresh = [make_reader().to(device) for _ in grid]
reused = [
    nn.Sequential(*copy.deepcopy(pretrained[s])[:-1], net[-1])
    for (_, s), net in zip(grid, fresh, strict=True)
]
belongs = torch.stack([torch.isin(unseen.labels, second_task[s]) for _, s in grid])


# %%
def accuracy(answers: torch.Tensor) -> np.ndarray:  # (30, images) to (shots, draws), in %
    right = (answers == unseen.labels) & belongs
    return 100 * (right.sum(1) / belongs.sum(1)).view(len(SHOTS), DRAWS).numpy()


@torch.no_grad()
def answers_of(stacked: Stacked) -> torch.Tensor:
    return stacked(unseen_patches.to(device), shared=True).argmax(-1).cpu()


# %% [markdown]
# **Predict.** How many examples does reuse save, after 60 steps, and after 160? And how far does a method get that learns nothing: the label of the **nearest neighbour**, the example whose pixels differ least (Cover & Hart 1967)?

# %%
starts = {"from scratch": fresh, "reused": reused}
results = {
    f"{name}, {steps} steps": accuracy(answers_of(train_readers(networks, examples, steps)))
    for steps in (60, 160)
    for name, networks in starts.items()
}
halves = [F.avg_pool2d(data.images, 2).flatten(1) for data in (unseen, scattered)]
distances = torch.cdist(*halves)  # (unseen, scattered)
nearest = [rows[distances[:, rows].argmin(dim=1)] for rows in examples]
results["nearest neighbour"] = accuracy(scattered.labels[torch.stack(nearest)])


# %%
def draw_results(ax):
    looks = [(plots.ORANGE, ":", "o"), (plots.BLUE, ":", "s")]  # 60 steps, then the rest
    looks += [(plots.ORANGE, "-", "o"), (plots.BLUE, "-", "s"), (plots.GREY, "--", "^")]
    for i, ((name, values), (colour, line, mark)) in enumerate(
        zip(results.items(), looks, strict=True)
    ):
        beside = np.array(SHOTS) * 1.03 ** (i - 2)  # so that the bars do not hide each other
        means, error = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(DRAWS)
        fill = {"mfc": "white"} if line == ":" else {}
        look = {"color": colour, "ls": line, "marker": mark, "capsize": 2, **fill}
        ax.errorbar(beside, means, error, label=name, **look)


# %%
figure, ax = plt.subplots(figsize=(7.5, 4.2))
draw_results(ax)
ax.set(xscale="log", xlabel="examples a class", ylabel="read right, % of new images")
ax.set_xticks(SHOTS, SHOTS)
ax.xaxis.set_minor_formatter(NullFormatter())
ax.legend(frameon=False, loc="lower right")
alt = (
    "Share of new digits read right against examples a class, 1 to 50: five rising lines. Reused "
    "networks lie above those from scratch, most after 60 steps; nearest neighbours above all."
)
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* means of six draws; bars: their standard error. Read it *sideways* for the price in labels: go from an orange point to the left until the blue line of the same kind is as high. Between two points we interpolate on the logarithmic axis.

# %%
def examples_needed(level: float, curve: np.ndarray) -> float:
    return math.exp(np.interp(level, curve, np.log(SHOTS)))


def saved(steps: int, draws=slice(None)) -> float:  # what 10 examples from scratch correspond to
    scratch, reuse = (results[f"{n}, {steps} steps"][:, draws].mean(axis=1) for n in starts)
    return 10 / examples_needed(scratch[SHOTS.index(10)], reuse)


rows = {}
for steps in (60, 160):
    again = [saved(steps, random.integers(DRAWS, size=DRAWS)) for _ in range(500)]
    low, high = np.quantile(again, (0.05, 0.95))
    rows[f"{steps} steps"] = {"examples saved, times": saved(steps), "90 %: from": low, "to": high}
plots.table(rows)

# %%
gain = {n: results[f"reused, {n} steps"] - results[f"from scratch, {n} steps"] for n in (60, 160)}
claim("60 steps: 10 examples from scratch, over as good a number reused", saved(60), 1.5, 6)
claim("160 steps: the same", saved(160), 0.9, 2.5)
claim("60 steps: mean gain by reuse, percentage points", gain[60].mean(), 3, 13)
claim("160 steps: mean gain", gain[160].mean(), 0.5, 7)
ahead = results["nearest neighbour"] - results["reused, 160 steps"]
claim("nearest neighbour ahead of reuse, 160 steps, points", ahead.mean(), low=1)

# %% [markdown]
# Reuse does lower the cost: with few steps it saves a good part of the labels, with many the gain melts away. Two things belong beside the article's sentence. The pretraining had to be paid, too, in labels and in steps, more than either run here. And on images this simple, a method that learns nothing needs fewer labels still. Reuse pays where the first task is paid already, and where no simple method will do.

# %% [markdown]
# ## Summary · 小结
#
# - Networks of the 1980s had tens of thousands of parameters at most; large models came with the 2010s.
# - Error falls with size as a power law down to a floor. Where the floor shows, more data helps and more parameters do not.

# %% [markdown]
# - Scaling laws divide a budget between size and data. They have been corrected twice, and each fit has an uncertainty.
# - GANs and VAEs work at a small size, and a mixture of Gaussians beats both on small digits.
# - Reuse saves labels, more so when there is little time to train. Compare it with something simple before you believe it.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Fit the law of section (a) without its floor ($E = 0$: a straight line through the logarithms). What does it predict for a million parameters, and what for the width of 128? Which of the two could you have checked?
# 2. Give width 128 three times the steps. Does the floor move? Is it then a floor of the data, or of the training?
# 3. Give GAN and VAE ten times the steps. Which of the mixture's numbers do they reach? Does their novelty fall?

# %% [markdown]
# 4. Add a model of your field to `bigmodel_lib/data/landmarks.csv`, with its source, and run `pytest tests/data`. What does the test ask of you?
# 5. Set `reach=0` in section (c). What does reuse save when nothing is moved, and why?

# %% [markdown]
# 6. Hoffmann's approach 3 with two digits puts the frontier off by a factor of two. Which of the two exponents needs its further digits more?

# %% [markdown]
# ## Sources · 参考文献
#
# - Kaplan et al. 2020, *Scaling Laws for Neural Language Models*, [arXiv:2001.08361](https://arxiv.org/abs/2001.08361)
# - Hoffmann et al. 2022, *Training Compute-Optimal Large Language Models*, [arXiv:2203.15556](https://arxiv.org/abs/2203.15556)
# - Besiroglu et al. 2024, *Chinchilla Scaling: A replication attempt*, [arXiv:2404.10102](https://arxiv.org/abs/2404.10102)
# - Rumelhart, Hinton & Williams 1986, *Learning representations by back-propagating errors*, Nature 323
# - LeCun et al. 1989, *Backpropagation Applied to Handwritten Zip Code Recognition*, Neural Computation 1(4)
# - Goodfellow et al. 2014, *Generative Adversarial Nets*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Kingma & Welling 2013, *Auto-Encoding Variational Bayes*, [arXiv:1312.6114](https://arxiv.org/abs/1312.6114)
# - Dempster, Laird & Rubin 1977, *Maximum Likelihood from Incomplete Data via the EM Algorithm*, Journal of the Royal Statistical Society B 39(1); Cover & Hart 1967, *Nearest Neighbor Pattern Classification*, IEEE Transactions on Information Theory 13(1)
# - Efron 1979, *Bootstrap Methods: Another Look at the Jackknife*, The Annals of Statistics 7(1)
# - Loshchilov & Hutter 2016, *SGDR* (the cosine), [arXiv:1608.03983](https://arxiv.org/abs/1608.03983)
# - Alpaydin & Kaynak 1998, *Cascading Classifiers*, Kybernetika 34(4) (the digits)
#
# The sources of all landmark models stand in [landmarks.csv](../bigmodel_lib/data/landmarks.csv).

# %% [markdown]
# **The code:** [data/landmarks.py](../bigmodel_lib/data/landmarks.py), [growth.py](../bigmodel_lib/growth.py), [scaling.py](../bigmodel_lib/scaling.py), [power_law.py](../bigmodel_lib/power_law.py), [training/many.py](../bigmodel_lib/training/many.py), [training/schedule.py](../bigmodel_lib/training/schedule.py), [models/gan.py](../bigmodel_lib/models/gan.py), [models/vae.py](../bigmodel_lib/models/vae.py), [metrics.py](../bigmodel_lib/metrics.py), [widgets/scaling_lab.py](../bigmodel_lib/widgets/scaling_lab.py).
