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
# # 9 Appendix: questions and answers · 附录：常见问题与解答
#
# **The question:** the article ends with three questions that readers ask. What is a large model, compared with deep learning? What does one cost? Where is it used? Can each be answered by running something?
#
# **You will be able to** walk from a linear model to a GPT in steps of one line; show double descent; predict the memory of a training to a few percent; train one model in two processes, kill one, and lose nothing; price a training of any size.
#
# **It takes** an hour to read, about half a minute to run on two cores, and under 1.2 GB of memory.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import HTML, display
from torch import nn

from bigmodel_lib import gallery, plots, widgets
from bigmodel_lib.chapters import executed_cells
from bigmodel_lib.claims import claim
from bigmodel_lib.costs import PUBLISHED, misses
from bigmodel_lib.data.digits import load_digits, shrink
from bigmodel_lib.data.text import language_reference, split_paragraphs
from bigmodel_lib.device import seed_everything
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.random_features import least_squares, random_relu
from bigmodel_lib.models.sequence import make_classifier
from bigmodel_lib.models.transformer import GPT, GPT3_175B, GPTConfig
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings, StreamRun
from bigmodel_lib.widgets import ResourceCalculator

seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings

# %% [markdown]
# ## 9.1 Large models and deep learning · 大模型与深度学习的关系
#
# *Is a large model something else than deep learning?* The article answers: it is one form of it, and deep learning has small models, too. If that is so, there must be a path from the smallest model to a large one on which each step is small. Here it is, a line of code a step.

# %%
MODELS = {
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
    "one hidden layer": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)
    ),
    "CNN": lambda: DigitCNN(),
    "GRU": lambda: nn.Sequential(nn.Flatten(1, 2), make_classifier("GRU", 28, 10, N=12_500)),
    "Transformer": lambda: nn.Sequential(
        nn.Flatten(1, 2), make_classifier("Transformer", 28, 10, N=12_500)
    ),
    "GPT": lambda: GPT(GPTConfig(V=256, T=64, L=2, D=48, H=3)),
}

# %% [markdown]
# The first five name a digit. The last one continues a text: it names the next byte, one of 256, at each of 64 positions. A **classifier** is all that any of them is, and one training loop serves them all: draw a batch, take the cross-entropy, follow its gradient with AdamW. Only what is drawn differs.
#
# **Predict:** on 8×8 digits enlarged to 28×28, how far ahead of the linear model will the best one be?

# %%
digits, held_out = load_digits(split="train"), load_digits(split="test")
parts = split_paragraphs(language_reference())
known, unknown = (torch.tensor(list(part.encode())) for part in parts)


def windows(text: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (B, 64), and the byte that follows each of theirs, (B, 64)."""
    found = text[starts[:, None] + torch.arange(65)]
    return found[:, :-1], found[:, 1:]


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """So many windows from the text that is for training."""
    return windows(known, torch.randint(len(known) - 65, (count,)))

# %%
def train(name: str, model: nn.Module) -> nn.Module:
    """150 steps for digits, 250 for text."""
    settings = ClassifierSettings(lr=3e-3, batch_size=16 if name == "GPT" else 64)
    if name == "GPT":
        run = StreamRun(model, draw, settings=settings)
    else:
        run = ClassifierRun(model, digits, settings=settings)
    for _ in run.take(250 if name == "GPT" else 150):
        pass
    return model.eval()


# %%
def accuracy(name: str, model: nn.Module) -> float:
    """Share of held-out digits, or next bytes, that are named right."""
    inputs, labels = held_out.images, held_out.labels
    if name == "GPT":
        inputs, labels = windows(unknown, torch.arange(0, 200 * 65, 65))
    with torch.no_grad():
        return (model(inputs).argmax(-1) == labels).float().mean().item()

# %%
trained = {name: train(name, make()) for name, make in MODELS.items()}
right = {name: accuracy(name, model) for name, model in trained.items()}
sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in trained.items()}
plots.table(
    {name: {"parameters": sizes[name], "held-out accuracy": right[name]} for name in MODELS}
)

# %%
often = known.bincount().argmax()
print(f"always {chr(int(often))!r}: {(unknown == often).float().mean():.3f} of the bytes")
claim("accuracy of the linear model", right["linear"], low=0.9)
claim("the CNN ahead of the linear model, points", 100 * (right["CNN"] - right["linear"]), low=1)
ahead = right["GPT"] / (unknown == often).float().mean()
claim("bytes that the GPT names right, over the most frequent byte", ahead, low=1.1)

# %% [markdown]
# **Where is the line?** Nowhere. The linear model is strong where a task is easy; depth pays where it is not. And the step from this GPT to GPT-3 is no new kind of part: we build GPT-3 175B on PyTorch's `meta` device, which stores nothing, and compare the kinds of layers.

# %%
with torch.device("meta"):
    large = GPT(GPT3_175B)
kinds = [{type(part).__name__ for part in model.modules()} for model in (trained["GPT"], large)]
print(sorted(kinds[0]))
claim("kinds of layers in which the two differ", len(kinds[0] ^ kinds[1]), low=0, high=0)
times = sum(p.numel() for p in large.parameters()) / sizes["GPT"]
claim("parameters of GPT-3 175B over those of the small one", times, low=1e6)

# %% [markdown]
# So "large" is a matter of size. What does size do that the textbooks warn of? With $N$ parameters and $n$ examples, statistics expects overfitting once $N$ approaches $n$. Large models have far more parameters than that. **Double descent** (Belkin et al. 2019) is the shape of what happens beyond.

# %% [markdown]
# The smallest model that shows it: a hidden layer that is drawn and never trained, $\phi(x) = \max(0, xW/\sqrt I)$ with $I$ inputs and $N$ features, and an output layer that is solved exactly:
#
# $$\hat w = \arg\min_w \lVert \Phi w - y\rVert^2 + \lambda \lVert w\rVert^2$$
#
# $\Phi$ holds the features of the $n$ examples in its rows, $y$ their labels as ones and zeros; $\lambda$ is the ridge penalty. For $\lambda = 0$ and $N > n$ many $w$ fit exactly, and we take the shortest.
#
# **Predict:** $n = 200$ digits, a tenth of the labels drawn at random. Sketch the test error for $N$ from 10 to 3,200.

# %%
every = load_digits()
pixels, labels = (shrink(every.images).flatten(1).double() + 1) / 2, every.labels
n, RIDGE = 200, (0.0, 0.1)
WIDTHS = (10, 25, 50, 100, 150, 180, 200, 220, 260, 320, 400, 800, 1600, 3200)


# %%
def errors(N: int, noise: float, seed: int) -> torch.Tensor:
    """Test and training error (2, R) at N features, for each penalty."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pixels), generator=draw)
    train, test = order[:n], order[n : n + 500]
    noisy = torch.rand(n, generator=draw) < noise
    seen = torch.where(noisy, torch.randint(10, (n,), generator=draw), labels[train])
    W = torch.randn(64, N, generator=draw, dtype=torch.float64)
    w = least_squares(random_relu(pixels[train], W), F.one_hot(seen, 10).double(), RIDGE)
    answers = [(random_relu(pixels[part], W) @ w).argmax(-1) for part in (test, train)]
    return torch.stack(
        [(a != b).double().mean(-1) for a, b in zip(answers, (labels[test], seen), strict=True)]
    )

# %%
NOISE, SEEDS = (0.0, 0.1), 6
found = torch.stack(
    [
        torch.stack([torch.stack([errors(N, p, s) for s in range(SEEDS)]) for N in WIDTHS])
        for p in NOISE
    ]
)  # (noise, widths, seeds, test or training, R)
mean, spread = found.mean(2), found.std(2) / SEEDS**0.5

# %% [markdown]
# The line at $N = n$ is where the model can just fit every label. Left of it the classical picture; at it, the peak; right of it, the second descent. Dashed: training error, which is zero from there on. Orange: a little ridge penalty removes the peak.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, p, one, error in zip(axes, NOISE, mean, spread, strict=True):
    for r, colour in enumerate((plots.BLUE, plots.ORANGE)):
        _ = ax.errorbar(
            WIDTHS, one[:, 0, r], error[:, 0, r], color=colour, label=f"test, λ = {RIDGE[r]:g}"
        )
        _ = ax.plot(WIDTHS, one[:, 1, r], "--", color=colour, label=f"training, λ = {RIDGE[r]:g}")
    _ = ax.axvline(n, color=plots.GREY, linewidth=0.8)
    _ = ax.set(xscale="log", xlabel="N, features", title=f"{p:.0%} of the labels drawn at random")
_ = axes[0].set_ylabel("share of wrong answers")
_ = axes[0].legend(frameon=False, fontsize=8)
plots.show(figure, "Error against features: without penalty the test error peaks near N = 200.")

# %%
place = {N: i for i, N in enumerate(WIDTHS)}
for p, one in zip(NOISE, mean, strict=True):
    test = one[:, 0, 0]
    best_small = test[: place[200]].min()
    peak = WIDTHS[int(test.argmax())]
    low, high = best_small, test.max()
    print(f"{p:.0%} noise: {low:.3f} below N = n, {high:.3f} at N = {peak}, {test[-1]:.3f} at last")
    claim("features at the peak", peak, low=180, high=260)
    claim("error at the peak over the best below it", test.max() / best_small, low=2)
    claim("error at N = 16 n over the best below N = n", test[-1] / best_small, high=0.85)

# %%
clean, noisy = mean[:, :, 0, :]
claim(
    "with λ = 0.1: the largest error beyond N = 100, over that of N = 100",
    (clean[4:, 1] / clean[3, 1]).max(),
    high=1.1,
)
claim("noise raises the peak by, points", 100 * (noisy[:, 0].max() - clean[:, 0].max()), low=5)

# %% [markdown]
# **What this explains, and what not.** More parameters than examples need not hurt: among all exact fits, the shortest is smoother the more features it can choose from. That is why "too many parameters" is no argument against large models. It is no argument *for* them either: a penalty chosen well does as much for a small one, as the orange line shows. And nothing here trains its features, which is what deep learning is about.

# %% [markdown]
# ### What it costs · 费用、能源与碳
#
# From the size of a model and its text follows the arithmetic, $C = 6ND$ with $N$ parameters and $D$ tokens. From the arithmetic follow device hours, once one knows what share of a device's peak the training reaches (its **utilisation**). From device hours follow money, energy and CO₂:
#
# $$\text{kWh} = \text{device hours} \cdot \text{kW} \cdot \text{PUE}, \qquad \text{CO}_2 = \text{kWh} \cdot \text{grid}$$
#
# PUE is what the building takes over what its computers take; *grid* is kg of CO₂ for a kWh, and depends on where the building stands.

# %% [markdown]
# Do such formulas hold? Three trainings whose cost has been published, each with its own settings put in:

# %%
rows = {
    name: {
        "computed over published": ", ".join(
            f"{figure} {1 + miss:.3f}" for figure, miss in misses(one).items()
        ),
        "source": one.source + (f" ({one.told})" if one.told else ""),
    }
    for name, one in PUBLISHED.items()
}
plots.table(rows)
for name, one in PUBLISHED.items():
    worst = max(map(abs, misses(one).values()))
    claim(
        f"{name}: largest miss of a published figure, percent",
        100 * worst,
        high=100 * one.tolerance,
    )

# %% [markdown]
# The figures agree within a percent or two. That says that the makers used the same formulas with these settings, not that their meters did. GPT-3 emitted more than twenty times as much as BLOOM, a model of the same size. **Predict:** is that the hardware, or the grid?

# %%
runs = {name: one.training for name, one in PUBLISHED.items()}
gpt, bloom = runs["GPT-3, 175 B"], runs["BLOOM, 176 B"]
ratio, grid, energy = gpt.co2 / bloom.co2, gpt.grid / bloom.grid, gpt.kwh / bloom.kwh
print(f"CO₂ {ratio:.1f} times = grid {grid:.1f} times × energy {energy:.1f} times")
claim(
    "GPT-3 over BLOOM in CO₂: share of the factor, in logarithms, that is the grid's",
    np.log(grid) / np.log(ratio),
    low=0.5,
)

# %% [markdown]
# In the calculator every figure shows its formula and its source. Start from a published run; move it to another grid; halve the utilisation; then take a model of your own and see how many devices can hold it at all.

# %%
ResourceCalculator(preset="LLaMA, 65 B")

# %% [markdown]
# ## 9.3 Fields of use · 大模型的应用领域
#
# *Where are large models used?* In language, vision, speech and recommendation, says the article. Each has a demonstration in this collection that you can take into your hands. The gallery is made from the executed chapters: each picture is what the widget showed when its chapter was last run. Follow a picture to the section where it lives.

# %%
HERE = "09_questions.ipynb"
shown = gallery.stills(executed_cells(but=[HERE]), set(widgets.__all__) - {"ResourceCalculator"})
display(HTML(gallery.page(shown)))

# %% [markdown]
# `ResourceCalculator` is missing above because it is [in this chapter](#9.2-Resource-use-·-大模型的资源消耗). The table says where to begin.

# %%
fields = {
    "language": ("SamplerLab", "TranslatorLab", "AttentionExplorer"),
    "vision": ("DetectorLab", "DenoisingLab", "DrawDigit", "AdversarialLab"),
    "speech": ("SpectrogramLab",),
}
where = {still.name: still.section.number for still in shown}
plots.table(
    {
        field: {"widgets": ", ".join(f"{n} ({where[n]})" for n in names)}
        for field, names in fields.items()
    }
    | {"recommendation": {"widgets": "none: the recommender of section 3.4 is cells and tables"}}
)
claim(
    "widgets of the library, with a still that leads to them",
    len(shown) + 1,
    low=len(widgets.__all__),
)

# %% [markdown]
# ## Summary · 小结
#
# - A large model is a deep network, and a deep network a chain of layers with a loss: from the linear model to GPT-3 no new kind of part comes in, only more of them.
# - More parameters than examples need not overfit. The peak lies where they are equal, and a small penalty removes it.
# - The memory of a training can be predicted term by term, and cut by sharding, by recomputing and by fewer bits.
# - Data-parallel processes compute what one process computes; a killed one costs the steps since the last checkpoint.
# - Cost is arithmetic over speed, times price, power and grid. Each factor has a source, or is an assumption that one must state.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Put a convolution of your own between two models of 9.1. Where does it land?
# 2. Find the ridge penalty that is best at $N = n$. Is it the same at $N = 16\,n$?
# 3. Predict the memory of GPT-2 small at batch 8 and length 1024, with and without checkpointing. Which term is the largest?
# 4. What changes in the sharding table with eight processes? From which number on is it not worth it?
# 5. Price a model of 7 billion parameters on 2 trillion tokens, on hardware that you could rent.

# %% [markdown]
# **The library's code:** `models/random_features.py` (9.1), `accounting.py`, `memory.py`, `distributed/`, `costs.py`, `widgets/resource_calculator.py` (9.2), `chapters.py` and `gallery.py` (9.3).
