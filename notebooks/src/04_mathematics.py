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
# # 4 Mathematical models and formulas, explained by example · 数学模型和公式 & 详细讲解 & 举例说明
#
# **The question:** the formulas of large models fit on one page. Which of them can you check yourself, and what happens when a sign or a square root is printed wrong?
#
# **You will be able to** write losses, optimisers and attention from their formulas and prove them equal to PyTorch's; derive what a GAN minimises; find the mistakes in two printed formulas, and show what each would cost.
#
# **It takes** 60 minutes to read, less than a minute to run on two cores, and under 1.2 GB of memory.

# %% [markdown]
# The chapters follow a Chinese overview article, *大模型：科技创新的前沿探索*. Where it is wrong, an **Erratum** box says so and a cell shows it. Each section goes from formula to code to measurement; a line that begins with ✓ is a statement which that cell has just checked.

# %%
import math
import time
from functools import partial

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.device import seed_everything
from bigmodel_lib.metrics import GeneratorJudge
from bigmodel_lib.models import attention as library_attention
from bigmodel_lib.models import densities, losses
from bigmodel_lib.models.attention_lm import SCALE_RULES, entropy, softmax_gradient
from bigmodel_lib.models.gan import make_gan
from bigmodel_lib.models.positions import Rotary, sinusoidal
from bigmodel_lib.models.surfaces import bowl
from bigmodel_lib.training import optim
from bigmodel_lib.widgets import GAN1D, AttentionExplorer, OptimizerRace

F64 = torch.float64  # 15 digits: what should be equal is then equal to the eye
seed_everything(0)
torch.set_num_threads(1)  # tensors this small gain nothing from a second thread

# %% [markdown]
# ### The symbols · 符号表
#
# The letters of the formulas are the names in the code. Some of them, $D$, $V$ and $q$ above all, mean one thing in one section and another in the next, as in the papers.
#
# | | meaning | | meaning |
# |---|---|---|---|
# | $x, y, t$ | input, prediction, target | $B$ | batch: sequences at once |
# | $s$ | score: any real number | $T, S$ | how many queries, keys |
# | $\sigma(s)$ | $1/(1+e^{-s})$, a probability | $H$ | heads |
# | $g, \eta$ | gradient, learning rate | $d$ | width of a head (the papers' $d_k$) |
# | $p, q$ | densities: data, generated (4.2) | $q, k, v$ | query, key, value (4.3) |
# | $D, G$ | discriminator, generator (4.2) | $D$ | width of the model (4.3) |
# | $z$ | noise | $V$ | the GAN's value (4.2); values, stacked (4.3) |

# %% [markdown]
# ## 4.1 Building the model · 数学模型构建
#
# A **network** is a function made of functions:
#
# $$f = f_L \circ \dots \circ f_2 \circ f_1, \qquad f_l(h) = \varphi(W_l h + b_l)$$
#
# $h$ is what the layer before it computed (the input $x$ for $l = 1$), $W_l$ a matrix and $b_l$ a vector, both learned; $\varphi$ is a fixed function of one number, applied to each entry, such as $\tanh$; the last layer goes without, so that its answer can be any number. One entry of one layer is a weighted sum: a loop says so best. Three ways to write the same network:

# %%
layers = [nn.Linear(3, 5), nn.Linear(5, 7), nn.Linear(7, 2)]
x = torch.randn(11, 3)  # 11 examples of 3 numbers


def neuron_by_neuron(h: Tensor) -> Tensor:  # one example (3,) → (2,)
    for layer in layers:
        sums = []
        for row, b in zip(layer.weight, layer.bias, strict=True):
            sums.append(b + sum(w * a for w, a in zip(row, h, strict=True)))
        h = torch.stack(sums) if layer is layers[-1] else torch.stack(sums).tanh()
    return h


# %%
one_by_one = torch.stack([neuron_by_neuron(example) for example in x])
h1 = torch.tanh(x @ layers[0].weight.T + layers[0].bias)  # all examples at once: (11, 5)
h2 = torch.tanh(h1 @ layers[1].weight.T + layers[1].bias)
by_matrix = h2 @ layers[2].weight.T + layers[2].bias
network = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])
assert_close(by_matrix, one_by_one)
assert_close(by_matrix, network(x))
claim("largest difference, loop to matrices", (by_matrix - one_by_one).abs().max(), high=1e-5)

# %% [markdown]
# **Predict.** Leave out $\varphi$. How many layers is a stack of three linear layers worth?
#
# $W_3(W_2(W_1 x + b_1) + b_2) + b_3 = (W_3 W_2 W_1)\,x + \text{a vector}$: one. All that depth adds comes through $\varphi$.

# %%
stack = nn.Sequential(*layers)  # no tanh between
W = layers[2].weight @ layers[1].weight @ layers[0].weight
b = stack(torch.zeros(1, 3))
claim(
    "largest difference, three linear layers to one",
    (stack(x) - (x @ W.T + b)).abs().max(),
    high=1e-5,
)

# %% [markdown]
# ### Loss functions · 损失函数
#
# A **loss** turns "how wrong" into a number, and its **gradient** with respect to the prediction says which way, and how hard, to push. The task decides:
#
# | task | loss | gradient |
# |---|---|---|
# | regression: predict $t \in \mathbb{R}$ | $(y-t)^2$ | $2(y-t)$ |
# | | $\lvert y-t\rvert$ | $\operatorname{sign}(y-t)$ |
# | classification: which of $C$? | $\log\sum_c e^{s_c} - s_t$ | $\operatorname{softmax}(s) - \text{one-hot}(t)$ |
# | ranking: $s_+$ before $s_-$ | $\log(1+e^{\,s_- - s_+})$ | for $s_+$: $-\sigma(s_- - s_+)$; for $s_-$: the opposite |
#
# Where $\operatorname{softmax}(s)_c = e^{s_c}/\sum_j e^{s_j}$ turns scores into probabilities, and $\text{one-hot}(t)$ is 1 at the true class $t$, 0 elsewhere (Bishop 2006, eqs. 4.108 and 4.109; Burges et al. 2005, eq. 3). The library holds three more: Huber, binary cross-entropy, margin.

# %%
scores, classes = torch.randn(13, 5), torch.randint(5, (13,))
gradient = torch.zeros(13, 5)
for i in range(13):  # the formula, an entry at a time
    total = sum(math.exp(s) for s in scores[i].tolist())
    for c in range(5):
        gradient[i, c] = math.exp(scores[i, c]) / total - (1 if c == classes[i] else 0)
vectorised = scores.softmax(dim=1) - F.one_hot(classes, 5)
assert_close(vectorised, gradient)
assert_close(vectorised, losses.cross_entropy_gradient(scores, classes))

# %% [markdown]
# *Autograd*, PyTorch's differentiation, knows nothing of these formulas: it applies the chain rule to each operation. Do the two agree, for all seven?

# %%
generator = torch.Generator().manual_seed(0)
a, b = torch.randn(2, 500, dtype=F64, generator=generator)
inputs = {"binary cross-entropy": (a, (b > 0).double())}
inputs["cross-entropy"] = (a.view(100, 5), torch.randint(5, (100,), generator=generator))
for name, loss in losses.LOSSES.items():
    first, second = inputs.get(name, (a, b))
    first = first.clone().requires_grad_()
    (by_autograd,) = torch.autograd.grad(loss.value(first, second).sum(), first)
    by_formula = loss.gradient(first.detach(), second)
    by_formula = by_formula[0] if loss.task == "ranking" else by_formula
    claim(f"{name}: formula to autograd", (by_formula - by_autograd).abs().max(), high=1e-12)

# %%
plotted = torch.linspace(-3, 3, 301)
zeros, ones = torch.zeros(301), torch.ones(301)
pictured = {
    "regression": (["squared", "absolute", "Huber"], (plotted, zeros), "error y − t"),
    "classification": (["binary cross-entropy"], (plotted, ones), "score s (truth: 1)"),
    "ranking": (["margin", "logistic"], (plotted, zeros), "lead s₊ − s₋"),
}
colours = (plots.BLUE, plots.ORANGE, plots.GREEN)

# %%
figure, axes = plt.subplots(2, 3, figsize=(10, 4.6), sharex=True)
for (top, below), (task, (names, pair, label)) in zip(axes.T, pictured.items(), strict=True):
    for name, colour in zip(names, colours, strict=False):
        loss, slope = losses.LOSSES[name].value(*pair), losses.LOSSES[name].gradient(*pair)
        top.plot(plotted, loss, color=colour, label=name)
        below.plot(plotted, slope[0] if task == "ranking" else slope, color=colour)
    top.set(title=task, ylim=(-0.2, 5))
    top.legend(frameon=False, loc="upper center")
    below.set(xlabel=label, ylim=(-3.2, 3.2))
axes[0, 0].set_ylabel("loss")
axes[1, 0].set_ylabel("gradient")
figure.tight_layout()
alt = (
    "Six panels: losses of regression, classification and ranking above their gradients. Only "
    "the squared loss's gradient grows without bound; all others stay between −1 and 1."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* above, the loss; below, its slope, which is what training sees. The squared loss pushes harder the worse the error, without limit. All others push with a force of 1 at most. Those of ranking never ask for a certain score, only for a lead.
#
# **Predict.** One number has to stand for 1, 2, 3, 4 and 100. Which number does the squared loss choose, which the absolute loss? And what does the naive cross-entropy, $-\log(e^{s_t}/\sum_c e^{s_c})$, say of scores near 1000?

# %%
data, guesses = torch.tensor([1.0, 2, 3, 4, 100]), torch.arange(0, 100.5, 0.5)
pairs = torch.broadcast_tensors(guesses[:, None], data)  # every guess against every number
by_square, by_size = losses.squared(*pairs).mean(dim=1), losses.absolute(*pairs).mean(dim=1)
claim("the squared loss chooses the mean", guesses[by_square.argmin()], 22, 22)
claim("the absolute loss chooses the median", guesses[by_size.argmin()], 3, 3)
large = torch.tensor([[1000.0, 998.0]])
naive = -(large.exp() / large.exp().sum()).log()[0, 0]
print("naive cross-entropy:", naive.item())
stable = losses.cross_entropy(large, torch.tensor([0]))
claim("the library's cross-entropy is log(1 + e⁻²)", stable, 0.1269, 0.127)


# %% [markdown]
# `nan`, "not a number": $e^{1000}$ is more than a computer's numbers hold. The library takes the largest score out of the sum first, which changes nothing but the rounding. PyTorch's losses do the same, and so does its softmax.

# %% [markdown]
# ### Optimisers · 优化器
#
# An **optimiser** decides how far to go down the gradient $g$. All six below subtract something from each parameter, here $x$; they differ in what they remember.
#
# | | remembers | subtracts |
# |---|---|---|
# | SGD | | $\eta g$ |
# | momentum | $v \leftarrow \mu v + g$ | $\eta v$ |
# | Nesterov | $v \leftarrow \mu v + g$ | $\eta (g + \mu v)$ |
# | RMSprop | $r \leftarrow \alpha r + (1-\alpha) g^2$ | $\eta g / (\sqrt{r} + \varepsilon)$ |
# | Adam | $m \leftarrow \beta_1 m + (1-\beta_1) g$, $r \leftarrow \beta_2 r + (1-\beta_2) g^2$ | $\eta\,\hat m / (\sqrt{\hat r} + \varepsilon)$ |
# | AdamW | as Adam | the same $+\ \eta\lambda x$ |

# %% [markdown]
# $\mu, \alpha, \beta_1, \beta_2 < 1$ say how slowly the past is forgotten, $\lambda$ how fast unused weights shrink, $\varepsilon$ keeps the quotient finite. At step $n$, $\hat m = m/(1-\beta_1^n)$ and $\hat r = r/(1-\beta_2^n)$: both started at 0 and were too small so far. (Polyak 1964; Sutskever et al. 2013; Tieleman & Hinton 2012; Kingma & Ba 2014, algorithm 1; Loshchilov & Hutter 2017, algorithm 2.) Nesterov and AdamW stand as PyTorch writes them: the former rearranged, the latter with $\eta$ in front of $\lambda$. In code, a few lines each; `m` holds what is remembered:

# %%
def sgd(x, g, m, n, eta=0.01):
    return eta * g


def momentum(x, g, m, n, eta=0.01, mu=0.9):
    m["v"] = mu * m.get("v", 0) + g
    return eta * m["v"]


def nesterov(x, g, m, n, eta=0.01, mu=0.9):
    m["v"] = mu * m.get("v", 0) + g
    return eta * (g + mu * m["v"])


# %%
def rmsprop(x, g, m, n, eta=0.01, alpha=0.99, eps=1e-8):
    m["r"] = alpha * m.get("r", 0) + (1 - alpha) * g**2
    return eta * g / (m["r"].sqrt() + eps)


def adam(x, g, m, n, eta=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
    m["m"] = beta1 * m.get("m", 0) + (1 - beta1) * g
    m["r"] = beta2 * m.get("r", 0) + (1 - beta2) * g**2
    m_hat, r_hat = m["m"] / (1 - beta1**n), m["r"] / (1 - beta2**n)
    return eta * m_hat / (r_hat.sqrt() + eps)


def adamw(x, g, m, n, eta=0.01, decay=0.01):
    return adam(x, g, m, n, eta) + eta * decay * x


# %% [markdown]
# The oracle is PyTorch. Ours, the library's and PyTorch's train the same small network from the same weights on the same examples, 200 steps; then every weight is compared.

# %%
inputs = torch.randn(64, 3, dtype=F64, generator=torch.Generator().manual_seed(1))
targets = inputs.prod(dim=1, keepdim=True)  # something to learn: the product of three numbers


def train_small(make_optimizer) -> Tensor:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    optimizer = make_optimizer(list(net.parameters()))
    for _ in range(200):
        net.zero_grad()
        F.mse_loss(net(inputs), targets).backward()
        optimizer.step()
    return torch.cat([w.detach().flatten() for w in net.parameters()])


# %%
class Stepper:
    """One of our six functions, with a memory for each tensor of weights."""

    def __init__(self, update, weights: list[Tensor]):
        self.update, self.weights, self.n = update, weights, 0
        self.memories = [{} for _ in weights]

    @torch.no_grad()
    def step(self) -> None:
        self.n += 1
        for w, m in zip(self.weights, self.memories, strict=True):
            w -= self.update(w, w.grad, m, self.n)


# %%
torch_optim = torch.optim
oracles = {
    "SGD": (sgd, lambda w: torch_optim.SGD(w, lr=0.01)),
    "momentum": (momentum, lambda w: torch_optim.SGD(w, lr=0.01, momentum=0.9)),
    "Nesterov": (nesterov, lambda w: torch_optim.SGD(w, lr=0.01, momentum=0.9, nesterov=True)),
    "RMSprop": (rmsprop, lambda w: torch_optim.RMSprop(w, lr=0.01)),
    "Adam": (adam, lambda w: torch_optim.Adam(w, lr=0.01)),
    "AdamW": (adamw, lambda w: torch_optim.AdamW(w, lr=0.01)),
}
for name, (update, make_torch) in oracles.items():
    ours, theirs = train_small(partial(Stepper, update)), train_small(make_torch)
    assert_close(ours, train_small(partial(optim.OPTIMIZERS[name], lr=0.01)))
    error = (ours - theirs).abs().max()
    claim(f"{name}: largest difference to torch.optim, 200 steps", error, high=1e-12)


# %% [markdown]
# ### Why so many? · 为何需要这么多
#
# The simplest surface with a difficulty is a bowl, $f(x, y) = (x^2 + \kappa y^2)/2$: $\kappa$ times as steep across as along. One step of SGD multiplies $x$ by $1-\eta$ and $y$ by $1-\eta\kappa$, so it needs $\eta < 2/\kappa$ to stay, and then $x$ is slow. The best compromise, $\eta = 2/(1+\kappa)$, shrinks both by $\frac{\kappa-1}{\kappa+1}$ a step; the best momentum by $\frac{\sqrt\kappa-1}{\sqrt\kappa+1}$ in the long run (Polyak 1964).
#
# **Predict** for $\kappa = 100$: how many steps does each need to come a million times closer?

# %%
def distances(make, start=(-3.5, 1.5), steps=2000, kappa=100.0) -> Tensor:
    surface, point = bowl(kappa), torch.tensor(start, dtype=F64)
    optimizer, path = make([point]), [point.clone()]
    for _ in range(steps):
        point.grad = surface.gradient(point)
        optimizer.step()
        path.append(point.clone())
    return torch.stack(path).norm(dim=1)


# %%
root = math.sqrt(100)
best_mu, best_eta = ((root - 1) / (root + 1)) ** 2, 4 / (1 + root) ** 2
away = {
    "SGD, η = 2/(1 + κ)": distances(lambda w: optim.SGD(w, lr=2 / 101)),
    "SGD, η = 2.02/κ": distances(lambda w: optim.SGD(w, lr=0.0202), steps=500),
    "momentum, best μ and η": distances(lambda w: optim.Momentum(w, lr=best_eta, momentum=best_mu)),
    "Adam, η = 0.1": distances(lambda w: optim.Adam(w, lr=0.1)),
}

# %%
figure, ax = plt.subplots(figsize=(8, 3))
colours = (plots.BLUE, plots.GREY, plots.ORANGE, plots.GREEN)
for (name, path), colour in zip(away.items(), colours, strict=True):
    ax.semilogy(path[:801], color=colour, label=name, lw=1.2)
ax.set(xlabel="step", ylabel="distance to the minimum", ylim=(1e-9, 1e9))
ax.legend(frameon=False, loc="upper right", ncols=2)
alt = (
    "Distance to the minimum against the step, logarithmic. SGD falls in a straight line, "
    "momentum much more steeply; SGD with too large a rate rises; Adam falls and swings."
)
plots.show(figure, alt=alt)

# %%
slow, too_far, heavy, _adam = away.values()
steps = [int((path < path[0] * 1e-6).nonzero()[0]) for path in (slow, heavy)]
shrinks = (slow[500] / slow[400]) ** (1 / 100)
claim("SGD: steps to come a million times closer", steps[0], 650, 720)
claim("momentum: steps to come a million times closer", steps[1], 70, 130)
claim("SGD: shrinks a step, over (κ − 1)/(κ + 1)", shrinks / (99 / 101), 0.9999, 1.0001)
claim("SGD, η 1 % over 2/κ, 500 steps: times further off", too_far[-1] / too_far[0], low=100)

# %% [markdown]
# *In the picture:* on a logarithmic axis, a constant factor a step is a straight line. One per cent over $2/\kappa$, and SGD flies off (grey). Adam was told nothing of $\kappa$: it divides each direction by the size of its own gradients, and swings on its way.

# %% [markdown]
# **Race them yourself.** Three things to try; predict first:
#
# 1. Move *all learning rates ×* to 10. Who survives?
# 2. *surface* bowl, *condition number κ* 100. Who leaves the map, and why (see above)?
# 3. *surface* saddle, *start y* 0, 200 steps: who leaves the saddle? Then *noise in the gradient* 0.1.

# %%
race = OptimizerRace(surface="Himmelblau")
race.run(steps=200)
race

# %% [markdown]
# *In the picture:* the paths from the circle to one of four minima (stars), and how far above the minimum each is. All find the nearest star. RMSprop keeps swinging around it, and AdamW rests beside it: its decay pulls towards 0.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. SGD, momentum and Nesterov leave the map. Adam's step has about the size η whatever the slope, so ten times that is still on the map.
# 2. SGD and Nesterov: their η was chosen for κ = 10, and is now far over the limit.
# 3. Nobody: exactly on the ridge the gradient along $y$ is 0. A little noise frees all of them. Noise is not only a nuisance.
#
# </details>

# %% [markdown]
# ### Two losses at once · 对抗训练
#
# **Adversarial training**, on which section 4.2 rests, is no descent: a **generator** $G$ and a **discriminator** $D$ are two networks, composed into $D(G(z))$, and what one gains the other loses. The smallest such game: one player owns $x$ and lowers $xy$, the other owns $y$ and raises it. The balance is at $(0, 0)$.
#
# **Predict.** Both take gradient steps at once, from $(1, 0)$. Do they get there?

# %%
eta, path = 0.1, [torch.tensor([1.0, 0.0], dtype=F64)]
for _ in range(100):
    x_now, y_now = path[-1]
    path.append(torch.stack([x_now - eta * y_now, y_now + eta * x_now]))
path = torch.stack(path)
growth = (path[-1].norm() / path[0].norm()) ** (1 / 100)
off = growth / math.sqrt(1 + eta**2) - 1
claim("growth of the distance a step, over √(1 + η²), minus 1", off, -1e-9, 1e-9)

# %%
figure, ax = plt.subplots(figsize=(3.6, 3.2))
ax.plot(*path.T, color=plots.BLUE, lw=1.2)
ax.plot(0, 0, "*", color=plots.ORANGE, ms=12)
ax.plot(1, 0, "o", color=plots.BLUE)
ax.set(xlabel="x, lowers xy", ylabel="y, raises xy", aspect="equal")
plots.show(figure, alt="A spiral that starts at (1, 0) and winds outwards around a star at (0, 0).")

# %% [markdown]
# *In the picture:* they circle the balance (star) and drift away from it. From $(x, y)$ the step is $\eta\,(-y, x)$, at right angles to the way home. No choice of $\eta$ helps. This is one reason why GAN losses hover rather than fall (chapter 5), and why the next section asks first what the balance *is*, before how to reach it.

# %% [markdown]
# ## 4.2 Deriving the GAN objective · 公式推导过程
#
# $D(x)$ is the probability that $D$ gives to "$x$ is real". Goodfellow et al. (2014, eq. 1):
#
# $$\min_G \max_D V(D, G), \qquad V(D, G) = \mathbb{E}_{x \sim p}[\log D(x)] + \mathbb{E}_{z}[\log(1 - D(G(z)))]$$
#
# $x \sim p$ is real data, $z$ noise, $\mathbb{E}$ the mean, $\log$ natural, so that $V$ is in *nats*. $D$ wants both terms high (near 0): $D(x)$ near 1, $D(G(z))$ near 0. $G$ wants the second one low.
#
# We derive what this game is about, in four steps, and check each where all is known: one dimension, densities given by formula.

# %%
grid = densities.grid(-20, 20)  # 4801 points: no density below loses mass
real, fake = densities.MIXTURES["two humps"], densities.gaussian(-1.0, 1.0)
p, q = real.density(grid), fake.density(grid)


# %% [markdown]
# **Step 1: from noise to density.** Here $G(z) = -1 + z$ with $z$ standard normal, so that $G(z)$ has a density $q$: the Gaussian around −1. A mean over $z$ is then an integral over $x$ (their eq. 3):
#
# $$V(D, G) = \int p(x) \log D(x) + q(x) \log(1 - D(x))\; dx$$
#
# Both ways, for some discriminator:

# %%
def some_D(x: Tensor) -> Tensor:
    return torch.sigmoid(x - 0.5)


generator = torch.Generator().manual_seed(0)
x_real = real.sample(200_000, generator)
z = torch.randn(200_000, dtype=F64, generator=generator)
by_samples = some_D(x_real).log().mean() + (1 - some_D(-1 + z)).log().mean()
by_integral = densities.integral(p * some_D(grid).log() + q * (1 - some_D(grid)).log(), grid)
assert_close(by_integral, densities.gan_value(some_D(grid), p, q, grid))
claim("V by 200,000 samples minus V by the integral, nats", by_samples - by_integral, -0.01, 0.01)

# %% [markdown]
# **Step 2: one point at a time.** $D$ may choose its answer $y = D(x)$ at each $x$ separately, so it maximises $a \log y + b \log(1-y)$ with $a = p(x)$, $b = q(x)$. Slope zero: $\frac{a}{y} - \frac{b}{1-y} = 0$, so $y = \frac{a}{a+b}$. The second derivative, $-\frac{a}{y^2} - \frac{b}{(1-y)^2}$, is negative: a maximum, the only one (for $a, b > 0$; where both are 0, any answer is as good).

# %%
y = torch.linspace(0.001, 0.999, 999, dtype=F64)
curves = {(a, b): a * y.log() + b * (1 - y).log() for a, b in ((1, 1), (3, 1), (1, 4))}
tops = {pair: y[curve.argmax()] for pair, curve in curves.items()}
errors = [abs(top - a / (a + b)) for (a, b), top in tops.items()]
claim("largest distance of a top from a/(a + b), on a grid of 0.001", max(errors), high=0.001)

# %%
figure, ax = plt.subplots(figsize=(6, 2.8))
colours = (plots.BLUE, plots.ORANGE, plots.GREEN)
for (pair, curve), colour in zip(curves.items(), colours, strict=True):
    ax.plot(y, curve, color=colour, label="a = {}, b = {}".format(*pair))
    ax.plot(tops[pair], curve.max(), "o", color=colour)
ax.set(xlabel="answer y", ylabel="a log y + b log(1 − y), nats", ylim=(-9, 0))
ax.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
alt = "Three arches, each with one highest point: at a half, three quarters and a fifth."
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* each curve has one top, at $a/(a+b)$. The more probable "real" is at $x$, the further right it lies.
#
# **Step 3: the best discriminator** (their proposition 1, eq. 2) is therefore
#
# $$D^*(x) = \frac{p(x)}{p(x) + q(x)}$$
#
# **Predict.** What is $D^*$ where $p = q$? Can any change of $D^*$ raise $V$? And could a network find $D^*$ if it sees nothing but samples?

# %%
best_D = densities.optimal_discriminator(p, q)
best_V = densities.gan_value(best_D, p, q, grid)
changes = []
for seed in range(200):  # waves of random height and length, added to D*'s score
    height, length, shift = torch.rand(3, dtype=F64, generator=torch.Generator().manual_seed(seed))
    wave = height * torch.sin(grid / (0.1 + 3 * length) + 6 * shift)
    changed = torch.sigmoid(densities.optimal_score(real, fake, grid) + wave)
    changes.append(densities.gan_value(changed, p, q, grid) - best_V)
claim("largest change of V(D*, G) by 200 random waves, nats", max(changes), high=0)


# %% [markdown]
# Now a network, 1 → 32 → 32 → 1, which sees 256 real and 256 generated numbers a step and maximises $V$ by gradient. As in chapter 5 it gives scores, $D(x) = \sigma(s)$. With $\operatorname{softplus}(s) = \log(1+e^s)$, $-\log\sigma(s) = \operatorname{softplus}(-s)$ and $-\log(1-\sigma(s)) = \operatorname{softplus}(s)$.

# %%
def train_D(value, steps=1500) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = optim.Adam(net.double().parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        optimizer.lr = 0.01 * (1 - step / steps)  # falls to 0: the last samples must not shake it
        x_real, x_fake = (source.sample(256, generator)[:, None] for source in (real, fake))
        optimizer.zero_grad()
        (-value(net(x_real), net(x_fake))).backward()
        optimizer.step()
    return net


def right_value(score_real: Tensor, score_fake: Tensor) -> Tensor:
    return -F.softplus(-score_real).mean() - F.softplus(score_fake).mean()


# %%
trained = train_D(right_value)(grid[:, None])[:, 0].detach()  # scores on the grid
figure, (ax, below) = plt.subplots(2, 1, figsize=(7, 4), sharex=True)
ax.plot(grid, p, color=plots.BLUE, label="data p")
ax.plot(grid, q, "--", color=plots.ORANGE, label="generated q")
below.plot(grid, trained.sigmoid(), color=plots.GREEN, label="trained D")
below.plot(grid, best_D, "k--", label="D* = p/(p + q)")
ax.set(ylabel="density", ylim=(0, 0.5))
below.set(xlabel="x", ylabel="D(x)", xlim=(-6, 6), ylim=(-0.05, 1.35), yticks=[0, 0.5, 1])
for axis in (ax, below):
    axis.legend(frameon=False, ncols=2, loc="upper right")
alt = (
    "Above, the data's density with two humps and the generated one with a single hump. Below, the "
    "trained and the best discriminator, which lie on each other wherever there is data."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* above, what is real and what is generated; below, $D^*$ (dashed) and what the network found. Around 0 nearly all is generated: $D^*$ is near 0. Right of 1 nearly all is real: near 1. On the left hump the two compete, and even the best $D$ stays in doubt. The two curves part where neither density has samples: there nothing taught the network.

# %%
miss = densities.integral((p + q) / 2 * (trained.sigmoid() - best_D).abs(), grid)
behind = densities.gan_value_of_scores(trained, p, q, grid) - best_V
claim("mean |D − p/(p + q)| of the trained D, on data of both kinds", miss, high=0.02)
claim("V of the trained D minus V of D*, nats", behind, -0.01, 0)

# %% [markdown]
# **Step 4: what is left for $G$.** Put $D^*$ into $V$, and write $p + q = 2m$:
#
# $$V(D^*, G) = \int p \log\frac{p}{p+q} + q \log\frac{q}{p+q}\,dx = -\log 4 + \int p \log\frac{p}{m} + q \log\frac{q}{m}\,dx$$
#
# $m = (p+q)/2$ is the average density; each 2 gave a $-\log 2$. The integrals are Kullback–Leibler divergences, $\mathrm{KL}(p\,\|\,m) = \int p \log\frac{p}{m}\,dx$; half their sum is the **Jensen–Shannon divergence**, 0 if $p = q$, else positive (their eqs. 4–6):
#
# $$V(D^*, G) = 2\,\mathrm{JSD}(p, q) - \log 4$$

# %%
differences, values = [], []
for mean in (-4.0, -1.0, 0.0, 2.5):
    for std in (0.3, 1.0, 3.0):
        r = densities.gaussian(mean, std).density(grid)  # another generator
        value = densities.gan_value(densities.optimal_discriminator(p, r), p, r, grid)
        m = (p + r) / 2
        KL = [densities.integral(torch.xlogy(a, a / m), grid) for a in (p, r)]
        assert_close(sum(KL) / 2, densities.jensen_shannon(p, r, grid))
        differences.append(abs(value - (sum(KL) - math.log(4))))
        values.append(value)
claim("largest |V(D*, G) − (2·JSD − log 4)| of 12 generators, nats", max(differences), high=1e-6)
claim("lowest V(D*, G) of the 12, plus log 4, nats", min(values) + math.log(4), low=0.01)

# %%
jsd = densities.jensen_shannon(p, q, grid)
reached = densities.gan_value_of_scores(trained, p, q, grid)
V_equal = densities.gan_value(densities.optimal_discriminator(p, p), p, p, grid)
claim("V of the trained D minus (2·JSD − log 4), nats", reached - 2 * jsd + math.log(4), -0.01, 0)
claim("V(D*, G) for q = p, plus log 4, nats", V_equal + math.log(4), -1e-9, 1e-9)


# %% [markdown]
# So the game is about something: against a perfect discriminator, $G$ minimises a measure of how far two distributions are apart, and its only best answer is to generate the data itself. Then $D^* = \frac12$ everywhere, and both parts of $V$ are $-\log 2$.
#
# > **Erratum: the signs.** The article prints $V = \mathbb{E}_x[-\log D(x)] + \mathbb{E}_z[-\log D(G(z))]$ for $\min_G \max_D$. Maximising it, $D$ gains by being small on generated data **and on real data**: at each point $-(p+q)\log y$, which has no maximum, and grows without bound as $y \to 0$.

# %% [markdown]
# **Predict.** Train the article's own two networks (chapter 5) on real digits with either objective. With the printed one, what will $D$ say of a real digit? And what will $G$ draw?

# %%
def printed_value(score_real: Tensor, score_fake: Tensor) -> Tensor:  # −log σ(s) = softplus(−s)
    return F.softplus(-score_real).mean() + F.softplus(-score_fake).mean()


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# %%
digits, held_out = load_digits("digits", "train"), load_digits("digits", "test")
adam_of_chapter_5 = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999), fused=True)


def train_gan(d_value, steps: int, G_learns: bool = True):
    torch.manual_seed(0)
    G, D = make_gan("article")
    g_optimizer, d_optimizer = (adam_of_chapter_5(net.parameters()) for net in (G, D))
    for _ in range(steps):
        real_images = digits.images[torch.randint(len(digits), (64,))]
        drawn = G(torch.randn(64, 100))
        descend(d_optimizer, -d_value(D(real_images), D(drawn.detach())))  # D goes uphill
        if G_learns:
            descend(g_optimizer, F.softplus(-D(drawn)).mean())  # G lowers −log D(G(z))
    return G, D


# %% [markdown]
# In both, $G$ minimises $-\log D(G(z))$: for the printed objective that *is* its part of $V$, for the right one it is the variant that section 3 of the paper recommends (below). So the two runs differ in $D$'s objective only. Both push $D$ down on generated images; on real ones the right one pushes up, the printed one down. First $D$ alone, against a generator that stands still; then both together.

# %% [markdown]
# Of each we ask what $D$ believes, how many of the ten *digits* are *covered* (a classifier is sure of some images of it), and the *Fréchet* distance of drawn from real images, as the classifier sees them: lower is better (chapter 5).

# %%
judge = GeneratorJudge(digits, held_out)  # a classifier that reads digits, as in chapter 5
z = torch.randn(1000, 100, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def findings(G, D) -> dict[str, float]:
    drawn = G(z)
    beliefs = {
        "D(real)": D(digits.images).sigmoid().mean().item(),
        "D(generated)": D(drawn).sigmoid().mean().item(),
    }
    report = judge(drawn)
    return beliefs | {"digits covered": report.modes, "Fréchet": report.frechet}


# %%
objectives = {"right": right_value, "printed": printed_value}
pairs = {f"{name}, D alone": train_gan(v, 200, False) for name, v in objectives.items()}
pairs |= {f"{name}, both": train_gan(v, 1000) for name, v in objectives.items()}
found = {name: findings(*pair) for name, pair in pairs.items()}
plots.table(found)

# %%
figure, axes = plt.subplots(1, 3, figsize=(7, 2.6))
shown = {"untrained": "right, D alone", "right": "right, both", "printed": "printed, both"}
for ax, (title, name) in zip(axes, shown.items(), strict=True):
    plots.image_grid(pairs[name][0](z[:9]).detach(), columns=3, title=title, ax=ax)
alt = (
    "Three grids of generated images: grey noise from the untrained generator, rough digits "
    "with the right objective, and striped noise with the printed one."
)
plots.show(figure, alt=alt)

# %%
alone, both = found["printed, D alone"], found["printed, both"]
claim("printed, D alone: mean belief in real digits", alone["D(real)"], high=0.05)
claim("printed, D alone: mean belief in generated ones", alone["D(generated)"], high=0.05)
claim("printed, both: mean belief in real digits", both["D(real)"], high=0.05)
claim("printed, both: mean belief in generated ones", both["D(generated)"], low=0.95)
G, D = pairs["printed, both"]
slopes = torch.autograd.grad(F.softplus(-D(G(z))).mean(), list(G.parameters()))
norm = torch.cat([slope.flatten() for slope in slopes]).norm()
claim("printed, both: norm of the gradient left for G", norm, high=1e-3)
claim("printed, both: digits covered", both["digits covered"], high=1)
right, untrained = found["right, both"], found["right, D alone"]
claim("right, D alone: mean belief in real digits", untrained["D(real)"], low=0.95)
claim("right, D alone: mean belief in generated ones", untrained["D(generated)"], high=0.05)
claim("right, both: digits covered", right["digits covered"], low=6)
claim("right, Fréchet over untrained", right["Fréchet"] / untrained["Fréchet"], high=0.4)
claim("printed, Fréchet over untrained", both["Fréchet"] / untrained["Fréchet"], low=0.8)

# %% [markdown]
# *In the picture:* snow, digits, and snow of another kind. With the printed signs $D$ is told "lower!" of real and generated images alike, so nothing asks it to tell one from the other, and it has nothing useful to pass on. In the joint run $G$ finds noise of which $D$ is certain, $D(G(z)) \approx 1$ beside $D(x) \approx 0$: the judge has it the wrong way round, and there it stays. $-\log D$ is flat at $D = 1$, for $D$ and for $G$: neither has a gradient left there.

# %% [markdown]
# ### A gradient that vanishes · 饱和与不饱和
#
# $G$ could minimise $\log(1 - D(G(z)))$, as eq. 1 says (*saturating*), or $-\log D(G(z))$ instead (*non-saturating*, their section 3). With $D = \sigma(s)$, the gradients at a generated $x$ are
#
# $$\frac{\partial}{\partial x}\log(1-D) = -D\, s'(x), \qquad \frac{\partial}{\partial x}(-\log D) = -(1-D)\, s'(x)$$
#
# Same direction, same resting place. **Predict:** $G$ is far off and $D$ is sure, $D(x) \approx 0$. Which of the two still speaks?

# %%
shift = torch.linspace(0, 8, 81, dtype=F64)
data = densities.gaussian(0.0, 1.0)
sizes = []
for distance in shift:  # D* for data around 0, G around −distance; gradient at G's mean
    model = densities.gaussian(-distance.item(), 1.0)
    point = torch.tensor([-distance.item()], dtype=F64)
    pair = densities.generator_gradients(
        lambda x, m=model: densities.optimal_score(data, m, x), point
    )
    sizes.append([grad.abs().item() for grad in pair])
saturating, non_saturating = torch.tensor(sizes).T

# %%
figure, ax = plt.subplots(figsize=(6, 2.8))
ax.semilogy(shift[1:], saturating[1:], color=plots.BLUE, label="saturating")
ax.semilogy(shift[1:], non_saturating[1:], "--", color=plots.ORANGE, label="non-saturating")
ax.set(xlabel="distance of G's mean from the data's, in σ", ylabel="size of G's gradient")
ax.legend(frameon=False)
alt = (
    "Gradient against distance, logarithmic: the non-saturating one grows steadily, the "
    "saturating one first rises and then falls by many powers of ten."
)
plots.show(figure, alt=alt)

# %%
G, D = pairs["right, D alone"]  # D has had 200 steps, G none: D wins
norms = []
for loss in (-F.softplus(D(G(z))).mean(), F.softplus(-D(G(z))).mean()):
    slopes = torch.autograd.grad(loss, list(G.parameters()))
    norms.append(torch.cat([slope.flatten() for slope in slopes]).norm())
far = saturating[-1] / non_saturating[-1]
claim("8 σ away: saturating over non-saturating gradient", far, high=1e-12)
claim("digits, D wins: norm of the saturating gradient", norms[0], high=0.05)
claim("digits, D wins: non-saturating over saturating", norms[1] / norms[0], low=100)

# %% [markdown]
# *In the picture:* close to the data both are alike. Further off the saturating one dies, just when $G$ has most to learn, while the other grows. On real digits the same holds.

# %% [markdown]
# ### Another distance: Wasserstein · 沃瑟斯坦距离
#
# Where $p$ and $q$ do not overlap, $D^*$ is 1 on one and 0 on the other however far apart they are: JSD is $\log 2$, and flat. The **Wasserstein-1** or *earth mover's* distance asks instead how far mass has to travel to turn $q$ into $p$. In one dimension (Vallender 1974), with distribution functions $F_p$, $F_q$:
#
# $$W_1(p, q) = \int \lvert F_p(x) - F_q(x)\rvert\,dx$$
#
# For samples: sort both, pair them in order, average the distances.

# %%
generator = torch.Generator().manual_seed(0)
one, two = real.sample(2000, generator), fake.sample(2000, generator)
total = 0.0
for a, b in zip(sorted(one.tolist()), sorted(two.tolist()), strict=True):
    total += abs(a - b)  # the i-th smallest travels to the i-th smallest
vectorised = (one.sort().values - two.sort().values).abs().mean()
assert_close(vectorised.item(), total / 2000)
claim(
    "W₁ by 2000 samples minus by the densities",
    vectorised - densities.wasserstein_1(p, q, grid),
    -0.1,
    0.1,
)

# %%
still = densities.gaussian(0.0, 0.3).density(grid)
moved = [densities.gaussian(distance.item(), 0.3).density(grid) for distance in shift]
JSDs = torch.stack([densities.jensen_shannon(still, r, grid) for r in moved])
W1s = torch.stack([densities.wasserstein_1(still, r, grid) for r in moved])
claim("JSD at distance 8 minus at 4, nats", JSDs[80] - JSDs[40], 0, 1e-9)
claim("JSD at distance 8, over log 2", JSDs[80] / math.log(2), 0.999, 1.001)
claim("W₁ at distance 8 minus at 4", W1s[80] - W1s[40], 3.999, 4.001)

# %%
figure, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(shift, JSDs / math.log(2), color=plots.BLUE, label="JSD / log 2")
ax.plot(shift, W1s, "--", color=plots.ORANGE, label="W₁")
ax.set(xlabel="distance between two narrow Gaussians, σ = 0.3", ylabel="JSD / log 2, and W₁")
ax.legend(frameon=False, loc="upper left")
alt = "JSD rises to its maximum within a distance of two and stays flat; W₁ is a straight line."
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* past a distance of 2, JSD gives no hint of where the data lies; $W_1$ falls steadily towards it. A GAN can use it, because (Arjovsky et al. 2017, eq. 2) $W_1 = \max_f \mathbb{E}_p f(x) - \mathbb{E}_q f(x)$ over functions of slope 1 at most: that $f$ is the *critic*, which chapter 5 trains.

# %% [markdown]
# ### The duel, live · 动手试一试
#
# Data and generator in one dimension; *Play* trains $D$. Three things to try:
#
# 1. *real data* one hump, *G: mean* −5, *G: width σ* 0.3, *G's gradient comes from* optimal D\*, *G's loss* saturating. Press *G learns too*, and *Play*. Then choose non-saturating.
# 2. *real data* two humps, *G: mean* −1, *G: width σ* 1. $G$ is a single Gaussian: where does it end?
# 3. *G's gradient comes from* trained D, *D maximises* the article's signs: what becomes of the green line?

# %%
duel = GAN1D(real="two humps", mean=-1.0, std=1.0)
duel.run(steps=300)
duel

# %% [markdown]
# *In the picture:* after 300 steps $D$ (green) follows $D^*$ (dashed) wherever samples fall, and $V(D, G)$ meets its ceiling. In the lowest panel each dot is a generated sample, its height the push that it gets: to the right if positive.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. Saturating: $G$ does not move, its gradient is next to nothing. Non-saturating: it walks to the data, takes their width, and rests.
# 2. On one hump, with its width; the other is given up, and $V(D^*, G)$ stays above $-\log 4$. A single Gaussian cannot have both; when a network that could does the same, it is called *mode collapse*.
# 3. It sinks to 0 for all $x$, real data included; the true $V$ falls off its axis, and $G$ gets no useful push.
#
# </details>

# %% [markdown]
# ## 4.3 Case study: attention · 案例分析与讲解
#
# A dictionary returns the value whose **key** equals your **query**. **Attention** is a soft dictionary: it compares the query with *every* key, and returns an average of all **values**, weighted by how well each key fits. Three words, each with a key of two numbers (*is an animal*, *is a place*); the value is one number, say the word's size:

# %%
words = ["cat", "mat", "dog"]
key = torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.5, 0.5]])
value = torch.tensor([[4.0], [1.0], [10.0]])
query = torch.tensor([1.0, 0.0])  # "what animal is this about?"
score = key @ query / math.sqrt(2)
weight = score.exp() / score.exp().sum()
for word, s, w in zip(words, score, weight, strict=True):
    print(f"{word}: score {s:.2f}, weight {w:.2f}")
claim("the answer, weights · values", weight @ value, 5, 6)


# %% [markdown]
# Check by hand: the scores are $2/\sqrt2$, 0 and $1.5/\sqrt2$ (the root of the width, 2; why, in a moment); the weights are their exponentials divided by the sum; the answer lies between cat's 4 and dog's 10, since mat counts for little. Every step is differentiable, so queries, keys and values can be *learned* functions of the words.

# %% [markdown]
# For $T$ queries, rows of a matrix, and $S$ keys and values (Vaswani et al. 2017, eq. 1):
#
# $$\operatorname{Attention}(Q, K, V) = \operatorname{softmax}\!\left(\frac{QK^\top}{\sqrt d}\right) V$$
#
# $Q$ is $T \times d$, $K$ is $S \times d$, $V$ has $S$ rows, one value each; the softmax acts on each row of the $T \times S$ scores. First a loop, then the formula:

# %%
def attention_by_loop(Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
    rows = []
    for q in Q:
        e = [math.exp(sum(a * b for a, b in zip(q, k, strict=True)) / math.sqrt(len(q))) for k in K]
        rows.append(sum(part / sum(e) * v for part, v in zip(e, V, strict=True)))
    return torch.stack(rows)


def attention(Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None):
    scores = Q @ K.transpose(-2, -1) / math.sqrt(Q.shape[-1])  # (…, T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # e^(−∞) = 0: no weight
    weights = scores.softmax(dim=-1)
    return weights @ V, weights


# %%
T, S, d = 5, 7, 3
Q, K, V = torch.randn(T, d), torch.randn(S, d), torch.randn(S, d)
output, weights = attention(Q, K, V)
assert_close(output, attention_by_loop(Q, K, V))
assert_close(weights.sum(dim=-1), torch.ones(T))

# %% [markdown]
# A batch of sequences, or several attentions side by side, are further axes in front. The same function serves: `@` and `softmax` act on the last axes. The oracle is PyTorch's own function.

# %%
B, H = 2, 11
Q, K, V = torch.randn(B, H, T, d), torch.randn(B, H, S, d), torch.randn(B, H, S, d)
output, weights = attention(Q, K, V)  # (B, H, T, d) and (B, H, T, S)
one_by_one = [attention_by_loop(Q[b, h], K[b, h], V[b, h]) for b in range(B) for h in range(H)]
assert_close(output, torch.stack(one_by_one).view(B, H, T, d))
assert_close(library_attention.attention(Q, K, V)[0], output)
error = (output - F.scaled_dot_product_attention(Q, K, V)).abs().max()
claim("largest difference to F.scaled_dot_product_attention", error, high=1e-5)

# %% [markdown]
# ### Why the square root? · 为何除以 √d
#
# Let the $2d$ entries of a query and a key be independent, with mean 0 and variance 1. Each product $q_i k_i$ then has mean 0 and variance $\mathbb{E}[q_i^2]\,\mathbb{E}[k_i^2] = 1$, and variances of independent terms add up (Vaswani et al. 2017, footnote 4):
#
# $$\operatorname{Var}(q \cdot k) = \sum_{i=1}^{d} \operatorname{Var}(q_i k_i) = d$$
#
# Scores of size $\sqrt d$ drive the softmax to a single key, where its gradient is nearly 0. Division by $\sqrt d$ gives variance 1 for every $d$. **Predict:** and division by $d$?

# %%
widths = torch.tensor([4, 8, 16, 32, 64, 128, 256, 512, 1024])
generator = torch.Generator().manual_seed(0)
variance = []
for d in widths.tolist():
    q, k = torch.randn(2, 10_000, d, generator=generator)
    variance.append((q * k).sum(dim=1).var())
variance = torch.stack(variance)


def exponent(x: Tensor, y: Tensor) -> float:
    """The power that y grows with: the slope of log y over log x, by least squares."""
    x, y = x.double().log(), y.double().log()
    return (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()).item()


claim("Var(q·k) grows as d to the power", exponent(widths, variance), 0.97, 1.03)
claim("largest |Var(q·k/√d) − 1|", (variance / widths - 1).abs().max(), high=0.06)
claim("Var(q·k/d) grows as d to the power", exponent(widths, variance / widths**2), -1.03, -0.97)

# %% [markdown]
# "Nearly 0" in numbers: how much of a gradient passes the softmax, the norm of $\partial w / \partial s$ for one row of weights $w$ and scores $s$, with and without the root.

# %%
q, k = (
    torch.randn(200, 1, 1024, generator=generator),
    torch.randn(200, 64, 1024, generator=generator),
)
scores = q @ k.transpose(-2, -1)  # 200 rows of 64 keys, d = 1024
passes = [softmax_gradient(s.softmax(dim=-1)) for s in (scores, scores / math.sqrt(1024))]
claim(
    "share of rows that pass less than 0.05, not scaled", (passes[0] < 0.05).float().mean(), low=0.5
)
claim(
    "share of rows that pass less than 0.05, with the root", (passes[1] < 0.05).float().mean(), 0, 0
)

# %% [markdown]
# > **Erratum: the scaling.** The article prints $\operatorname{Attention}(Q,K,V) = \frac{1}{\sqrt{d_k}} \operatorname{softmax}\!\left(\frac{QK^\top}{d_k}\right) V$. Inside, $d$ in place of $\sqrt d$: scores of variance $1/d$, so the weights level out. Outside, a factor that shrinks the output.
#
# **Predict** both effects for $d = 4 \dots 1024$. *Entropy*, $-\sum_j w_j \log w_j$, measures how spread a row of weights $w$ is: 0 for one key alone, $\log S$ for all alike.

# %%
S, measured = 64, {}
for d in widths.tolist():
    q, k, v = torch.randn(3, 50, S, d, generator=torch.Generator().manual_seed(d))
    q, row = q[:, :8], {}  # 50 sequences of 64 keys, 8 queries each
    for rule, scale in SCALE_RULES.items():
        inside, outside = scale(d)
        output, weights = library_attention.attention(q, k, v, scale=inside)
        row[f"entropy / log S, {rule}"] = (entropy(weights).mean() / math.log(S)).item()
        row[f"‖output‖ / ‖value‖, {rule}"] = (
            outside * (output.norm(dim=-1).mean() / v.norm(dim=-1).mean()).item()
        )
    measured[f"d = {d}"] = row
plots.table(measured)

# %%
series = {name: torch.tensor([row[name] for row in measured.values()]) for name in row}
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
styles = {"1/√d": (plots.BLUE, "-o"), "article": (plots.ORANGE, "--s"), "none": (plots.GREY, ":^")}
for ax, what in zip(axes, ("entropy / log S", "‖output‖ / ‖value‖"), strict=True):
    for rule, (colour, style) in styles.items():
        ax.plot(widths, series[f"{what}, {rule}"], style, color=colour, label=rule, ms=4)
    ax.set_xscale("log", base=2)
    ax.set(xlabel="head width d", ylabel=what)
axes[0].set_ylim(0, 1.05)
axes[1].set_yscale("log")
axes[0].legend(frameon=False, title="scores scaled by")
figure.tight_layout()
alt = (
    "Left, entropy against head width: level for the right rule, near the maximum for the "
    "article's, falling towards 0 without scaling. Right, relative output norm: level for the "
    "right rule, falling in a straight line for the article's, rising to 1 without scaling."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* with $1/\sqrt d$ both stay where they are whatever $d$ is: width becomes a free choice. The article's formula looks at everything alike (left), and what it returns shrinks against the values (right). Without scaling a row soon looks at one key alone.

# %%
right, article = series["entropy / log S, 1/√d"], series["entropy / log S, article"]
none = series["entropy / log S, none"]
claim("right: entropy / log S, highest minus lowest", right.max() - right.min(), high=0.02)
claim("article's: entropy / log S at d = 4", article[0], 0.95, 0.985)
claim("article's: entropy / log S at d = 1024", article[-1], low=0.9995)
claim("no scaling: entropy / log S at d = 1024", none[-1], high=0.05)
right, article = series["‖output‖ / ‖value‖, 1/√d"], series["‖output‖ / ‖value‖, article"]
claim("right: relative norm grows as d to the power", exponent(widths, right), -0.02, 0.02)
claim("article's: relative norm grows as d to the power", exponent(widths, article), -0.6, -0.48)
claim("d = 1024: relative norm, right over article's", right[-1] / article[-1], 40, 60)

# %% [markdown]
# Could training make up for it? Yes: the learned matrices of the section below can grow. But such a model begins with attention that attends to nothing in particular, and has to find its way out.

# %% [markdown]
# ### Causal and cross · 因果与交叉
#
# A **mask** says who may look where. **Causal**: each position sees itself and earlier ones, so that a model can learn to predict the next word without seeing it. What may not be seen gets the score $-\infty$, weight 0. **Cross**-attention: queries from one sequence, keys and values from another, of another length, as in translation.

# %%
T, d = 7, 5
q, k, v = torch.randn(3, 2, T, d, generator=torch.Generator().manual_seed(0)).requires_grad_()
mask = torch.ones(T, T, dtype=torch.bool).tril()  # query t may look at keys 0 … t
output, weights = attention(q, k, v, mask)
assert_close(output, F.scaled_dot_product_attention(q, k, v, is_causal=True))
slopes = torch.autograd.grad(output[:, 3].sum(), [k, v])  # what does position 3 depend on?
later, earlier = (
    [slope[:, part].abs().max() for slope in slopes] for part in (range(4, T), range(4))
)
claim("causal: gradient from position 3 to later keys and values", max(later), 0, 0)
claim("causal: gradient to earlier keys and values", min(earlier), low=0.01)

# %%
context = torch.randn(2, 11, d)  # another sequence, of length 11
crossed, weights = attention(q, context, context)
error = (crossed - F.scaled_dot_product_attention(q, context, context)).abs().max()
print("queries", tuple(q.shape), "context", tuple(context.shape), "weights", tuple(weights.shape))
claim("cross: largest difference to PyTorch's", error, high=1e-5)

# %% [markdown]
# ### Many heads · 多头注意力
#
# One softmax makes one kind of comparison. **Multi-head** attention makes $H$ at a time, each on its own $d = D/H$ numbers, and mixes the answers (section 3.2.2):
#
# $$\operatorname{MultiHead}(x) = [\,\text{head}_1, \dots, \text{head}_H\,]\,W_O, \qquad \text{head}_h = \operatorname{Attention}(xW_Q^h, xW_K^h, xW_V^h)$$
#
# $x$ is $T \times D$, one row for each *token* (word, or piece of one); $W_Q^h, W_K^h, W_V^h$ are $D \times d$, $W_O$ is $D \times D$, all learned. First head by head, then all heads as one more axis.

# %%
B, T, H, d = 2, 7, 3, 5
D = H * d
theirs = nn.MultiheadAttention(D, H, batch_first=True)
x = torch.randn(B, T, D)
W_Q, W_K, W_V = theirs.in_proj_weight.chunk(3)  # each (D, D): PyTorch stacks the heads
b_Q, b_K, b_V = theirs.in_proj_bias.chunk(3)
heads = []
for h in range(H):
    rows = slice(h * d, (h + 1) * d)
    parts = [x @ W[rows].T + b[rows] for W, b in ((W_Q, b_Q), (W_K, b_K), (W_V, b_V))]
    heads.append(attention(*parts)[0])
by_head = theirs.out_proj(torch.cat(heads, dim=-1))


# %%
def multi_head(x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
    projected = [x @ W_Q.T + b_Q, context @ W_K.T + b_K, context @ W_V.T + b_V]
    split = [y.unflatten(-1, (H, d)).transpose(1, 2) for y in projected]  # (B, H, T, d)
    heads, _weights = attention(*split, mask)
    return theirs.out_proj(heads.transpose(1, 2).flatten(2))  # (B, T, D)


assert_close(by_head, multi_head(x, x))
ours = library_attention.MultiHeadAttention(D, H)
ours.qkv.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
ours.out.load_state_dict(theirs.out_proj.state_dict())
assert_close(ours(x), by_head)

# %%
mask, context = torch.ones(T, T, dtype=torch.bool).tril(), torch.randn(B, 11, D)
answers = {
    "self": (multi_head(x, x), theirs(x, x, x)),
    "causal": (multi_head(x, x, mask), theirs(x, x, x, attn_mask=~mask)),
    "cross": (multi_head(x, context), theirs(x, context, context)),
}
for name, (result, (oracle, _weights)) in answers.items():
    error = (result - oracle).abs().max()
    claim(f"{name}: largest difference to nn.MultiheadAttention", error, high=1e-5)

# %% [markdown]
# (PyTorch's mask says who may *not* look, hence the `~`.)
#
# ### Order · 位置
#
# **Predict.** Shuffle the words of a sentence. What happens to the output of attention at each word?
#
# Without a mask it moves with its word and does not change: scores and averages know no order (*permutation equivariance*). A causal mask does tell the first word from the last. "Dog bites man" is "man bites dog" unless each word carries its position. **Sinusoidal** positions add to token $n$, with $i = 0 \dots D/2 - 1$ (section 3.5),
#
# $$PE(n, 2i) = \sin(n/10000^{2i/D}), \qquad PE(n, 2i+1) = \cos(n/10000^{2i/D})$$

# %%
shuffle = torch.tensor([3, 0, 6, 1, 5, 2, 4])
table = torch.zeros(T, D + 1)  # the formula, an entry at a time
for n in range(T):
    for i in range((D + 1) // 2):
        angle = n / 10000 ** (2 * i / (D + 1))
        table[n, 2 * i], table[n, 2 * i + 1] = math.sin(angle), math.cos(angle)
assert_close(table, sinusoidal(T, D + 1))  # an even width, since sine and cosine come in pairs
PE = table[:, :D]
change = (multi_head(x[:, shuffle], x[:, shuffle]) - multi_head(x, x)[:, shuffle]).abs().max()
with_positions = [multi_head(y + PE, y + PE) for y in (x[:, shuffle], x)]
claim("no positions: change of each word's output by shuffling", change, high=1e-5)
claim("with positions", (with_positions[0] - with_positions[1][:, shuffle]).abs().max(), low=0.05)


# %% [markdown]
# **Rotary** positions (Su et al. 2021, eqs. 15, 16) turn pairs of entries of queries and keys instead. At position $m$, pair $i$ turns by the angle $m\theta_i$, $\theta_i = 10000^{-2i/d}$:
#
# $$\begin{pmatrix} q_{2i} \\ q_{2i+1} \end{pmatrix} \to \begin{pmatrix} \cos m\theta_i & -\sin m\theta_i \\ \sin m\theta_i & \cos m\theta_i \end{pmatrix} \begin{pmatrix} q_{2i} \\ q_{2i+1} \end{pmatrix}$$
#
# The angle between two turned vectors depends on the *difference* of their turns only: a score depends on the distance $m - n$, not on where the pair stands. As a product of complex numbers:

# %%
def turn(x: Tensor, start: int = 0) -> Tensor:
    """x (T, d), whose first row stands at position start."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))  # (T, d/2)
    theta = 10000 ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    position = start + torch.arange(len(x))
    turned = pairs * torch.polar(torch.ones(len(x), len(theta)), position[:, None] * theta)
    return torch.view_as_real(turned).flatten(-2)


# %%
q, k = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(0))
assert_close(turn(q), Rotary(16)(q))
here, there = (turn(q, start) @ turn(k, start).T for start in (0, 100))
absolute = [(q + PE) @ (k + PE).T for PE in (sinusoidal(109, 16)[:9], sinusoidal(109, 16)[100:])]
change, added = (here - there).abs().max(), (absolute[0] - absolute[1]).abs().max()
claim("rotary: change of the scores when all moves by 100 positions", change, high=1e-3)
claim("sinusoidal, added: change of the scores when all moves by 100", added, low=1)

# %%
PE, ones = sinusoidal(121, 64), torch.ones(121, 64)
likeness = PE @ PE[60]  # of each position's pattern to that of position 60
turned = turn(ones) @ turn(ones)[60]  # score of two equal vectors at each distance
sides, far = (likeness - likeness.flip(0)).abs().max(), likeness[:41].max() / likeness[60]
claim("PE(m)·PE(n): largest difference of left and right", sides, high=1e-3)
claim(
    "rotary, vectors of ones: largest |score − 2·PE(m)·PE(n)|",
    (turned - 2 * likeness).abs().max(),
    high=1e-3,
)
claim("largest likeness 20 positions away or more, over that at 0", far, high=0.75)

# %%
figure, (ax, beside) = plt.subplots(1, 2, figsize=(10, 3.2))
look = {"aspect": "auto", "cmap": "cividis", "origin": "lower", "interpolation": "nearest"}
image = ax.imshow(PE[:61].T, vmin=-1, vmax=1, **look)
figure.colorbar(image, ax=ax, label="PE(n, entry)")
ax.set(xlabel="position n", ylabel="entry of the vector")
beside.plot(torch.arange(-60, 61), likeness, color=plots.BLUE)
beside.set(xlabel="distance m − n", ylabel="PE(m) · PE(n)", ylim=(0, 35))
figure.tight_layout()
alt = (
    "Left, sinusoidal positions as an image: fast waves in the lower entries, slower and slower "
    "ones above. Right, dot product against distance: a peak at distance 0, lower to both sides."
)
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* left, every position (a column) has its own pattern: quick waves below tell neighbours apart, slow ones further up the regions; at the top they hardly move ($\sin \approx 0$ beside $\cos \approx 1$, hence the stripes). Right: a position is most like its neighbours, equally to both sides. The curve is $\sum_i \cos((m-n)\theta_i)$; doubled, it is also the score of a rotary query and key that are both all ones. Other vectors, and the learned matrices between, can prefer other distances.

# %% [markdown]
# ### What does length cost? · 长度的代价
#
# The formula makes $T \cdot S$ weights, and keeps them for the backward pass. A **fused** kernel walks over the keys in blocks, carries a running sum and maximum, and keeps only its inputs, its output and one number a row (Rabe & Staats 2021; Dao et al. 2022). **Predict** both powers of $T = S$: memory, and time.

# %% [markdown]
# What we count: the bytes of every tensor that PyTorch keeps for the backward pass, each once. PyTorch announces each through a hook; what a kernel uses and frees on its way is not in it.

# %%
def kept_bytes(attend, T: int, d: int = 16) -> int:
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        _output = attend(*(torch.randn(1, 1, T, d, requires_grad=True) for _ in range(3)))
    return sum(kept.values())


# %%
lengths = torch.tensor([128, 256, 512, 1024, 2048, 4096])
paths = {"formula": lambda *qkv: attention(*qkv)[0], "fused": library_attention.fused_attention}
kept = {n: torch.tensor([kept_bytes(f, T) for T in lengths.tolist()]) for n, f in paths.items()}
long = lengths >= 512  # in shorter ones, what grows with T itself still counts
powers = {name: exponent(lengths[long], sizes[long]) for name, sizes in kept.items()}
claim("formula: memory grows as T to the power", powers["formula"], 1.9, 2.01)
claim("fused: memory grows as T to the power", powers["fused"], 0.99, 1.01)
share = 4 * 4096**2 / kept["formula"][-1]  # 4 bytes a weight
claim("formula, T = 4096: share of the weights in it", share, 0.95, 1)

# %%
figure, ax = plt.subplots(figsize=(6, 3))
ax.loglog(lengths, kept["formula"] / 1e6, "-o", color=plots.ORANGE, label="formula")
ax.loglog(lengths, kept["fused"] / 1e6, "--s", color=plots.BLUE, label="fused")
ax.set(xlabel="length T = S, tokens", ylabel="kept for the backward pass, MB")
ax.set_xticks(lengths.tolist(), lengths.tolist())
ax.minorticks_off()
ax.legend(frameon=False)
alt = (
    "Memory against length, both logarithmic: two straight lines, the formula's twice as steep "
    "as the fused kernel's."
)
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* on two logarithmic axes a power is a straight line, and its slope is the power: 2 and 1. Time is another matter: both compute $T \cdot S$ scores, so both should grow as about $T^2$. The fused kernel fetches less from memory; what that is worth, your machine decides, so this cell's output is not saved:

# %% tags=["machine"]
def milliseconds(attend, T: int) -> float:
    qkv, times = torch.randn(3, 1, 1, T, 32), []
    for _ in range(5):
        start = time.perf_counter()
        attend(*qkv)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)  # the other rounds were disturbed


took = {n: torch.tensor([milliseconds(f, T) for T in lengths.tolist()]) for n, f in paths.items()}
rows = {
    f"T = {T}, ms": {n: took[n][i].item() for n in paths} for i, T in enumerate(lengths.tolist())
}
rows["power of T, from 512"] = {n: exponent(lengths[long], took[n][long]) for n in paths}
plots.table(rows)

# %% [markdown]
# ### The explorer · 注意力探索器
#
# One attention layer on your own sentence, in any script. Hover over the grid, or move in it with the arrow keys, to read single weights. Three things to try:
#
# 1. *head width d* 1024, then *scale scores by* the article's rule, then none. Watch the entropy.
# 2. *scale scores by* 1/√d again, *sentence* "the cat saw the dog": compare the two rows of "the". Then *positions* sinusoidal.
# 3. Run the cell again. *split by* characters, *mask* causal, *positions* sinusoidal, *weights* trained: it learns English for a few seconds. Do the heads still look alike?

# %%
AttentionExplorer(text="the cat sat on the mat because it was tired")

# %% [markdown]
# *In the picture:* from left to right the stages $QK^\top$, scaled and masked, weights, output; red is positive, blue negative. In the first three, each row is a query, each column a key. Below, all heads at a glance, and their entropy against the maximum. The weights are random: nothing here is understood, only computed.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. With $1/\sqrt d$ it hardly moves; with the article's rule every head reaches the dashed maximum; without scaling it nearly vanishes, and most rows look at one key.
# 2. Without positions the two rows are equal. With them they differ, in every head.
# 3. No: all look nearer to themselves than random heads do, the first one nearest of all. What comes next in a word depends on its last letters.
#
# </details>

# %% [markdown]
# ## Summary · 小结
#
# - Networks are compositions; a loss turns the task into a gradient; six optimisers differ in what they remember. Each was equal to PyTorch's to the rounding.
# - A GAN's $D$ estimates $p/(p+q)$, and the best $G$ minimises $2\,\mathrm{JSD} - \log 4$. With the article's signs there is no best $D$, and nothing is learned.
# - Attention is $\operatorname{softmax}(QK^\top/\sqrt d)\,V$: the root keeps the scores' variance at 1. The article's version levels the weights and shrinks the output.
# - Without positions, attention without a mask knows no order; its memory grows as $T^2$ if written as printed, as $T$ if fused.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Adam's first step has the size $\eta$ whatever the gradient's size. Prove it from the formula, then check it on a gradient of $10^{-3}$ and of $10^3$. What is the role of $\varepsilon$?
# 2. Derive $D^*$ and $V(D^*, G)$ for data that is real with a share $\pi \ne \frac12$ of $D$'s examples. Check by `densities`.
# 3. *Temperature* $\tau$ divides the scores. At which $\tau$ does the right formula give the article's weights, for given $d$?
# 4. Give each key a bias $-c\,|m - n|$ (ALiBi). Is attention with it equivariant? Do its scores depend on distance only?
# 5. Repair the spiral: let the second player answer the first one's *new* position. What happens to the distance?

# %% [markdown]
# ## Sources · 参考文献
#
# - Goodfellow et al. 2014, *Generative Adversarial Nets*, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661): eqs. 1–6, proposition 1, theorem 1, section 3
# - Vaswani et al. 2017, *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762): eq. 1, footnote 4, sections 3.2.2 and 3.5
# - Su et al. 2021, *RoFormer*, [arXiv:2104.09864](https://arxiv.org/abs/2104.09864); Press et al. 2021, *ALiBi*, [arXiv:2108.12409](https://arxiv.org/abs/2108.12409)
# - Rabe & Staats 2021, *Self-attention Does Not Need O(n²) Memory*, [arXiv:2112.05682](https://arxiv.org/abs/2112.05682); Dao et al. 2022, *FlashAttention*, [arXiv:2205.14135](https://arxiv.org/abs/2205.14135)
# - Arjovsky, Chintala & Bottou 2017, *Wasserstein GAN*, [arXiv:1701.07875](https://arxiv.org/abs/1701.07875); Vallender 1974, Theory of Probability & Its Applications 18(4)
# - Kingma & Ba 2014, *Adam*, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980); Loshchilov & Hutter 2017, *AdamW*, [arXiv:1711.05101](https://arxiv.org/abs/1711.05101)
# - Polyak 1964, USSR Comput. Math. Math. Phys. 4(5); Sutskever et al. 2013, *On the importance of initialization and momentum*, ICML; Tieleman & Hinton 2012, lecture 6.5 (RMSprop)
# - Bishop 2006, *Pattern Recognition and Machine Learning*, section 4.3; Burges et al. 2005, *Learning to Rank using Gradient Descent*, ICML

# %% [markdown]
# **The code:** [models/losses.py](../bigmodel_lib/models/losses.py), [models/surfaces.py](../bigmodel_lib/models/surfaces.py), [training/optim.py](../bigmodel_lib/training/optim.py), [models/densities.py](../bigmodel_lib/models/densities.py), [models/gan.py](../bigmodel_lib/models/gan.py), [models/attention.py](../bigmodel_lib/models/attention.py), [models/positions.py](../bigmodel_lib/models/positions.py), [widgets/optimizer_race.py](../bigmodel_lib/widgets/optimizer_race.py), [widgets/gan_1d.py](../bigmodel_lib/widgets/gan_1d.py), [widgets/attention_explorer.py](../bigmodel_lib/widgets/attention_explorer.py).
