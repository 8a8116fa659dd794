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
# **You will be able to** swap a linear model for a GPT in one line of code; show double descent; predict the memory of a training to a few percent; train one model in two processes, kill one, and lose nothing; price a training of any size.
#
# **It takes** an hour to read, less than a minute to run on two cores, and under 1.2 GB of memory.

# %%
import matplotlib.pyplot as plt
import torch

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import seed_everything

seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings

# %% [markdown]
# ## 9.1 Large models and deep learning · 大模型与深度学习的关系
#
# *Is a large model something else than deep learning?* The article answers: it is one form of it, and deep learning has small models, too. If that is so, there must be a path from the smallest model to a large one on which each step is small. Here it is, a line of code a model. (*GRU* and *Transformer* read a digit as a sequence of 28 rows; `N` is the number of parameters that they are to have.)

# %%
import torch.nn.functional as F
from torch import nn

from bigmodel_lib.data.digits import load_digits, shrink
from bigmodel_lib.data.text import language_reference, split_paragraphs
from bigmodel_lib.distributed.train import train
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.models.random_features import least_squares, random_relu
from bigmodel_lib.models.sequence import make_classifier
from bigmodel_lib.models.transformer import GPT, GPT3_175B, GPTConfig
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings, StreamRun

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
# The first five name a digit. The last one continues a text: it names the next byte, one of 256, at each of 64 positions. Each of them is a **classifier**, and one training loop serves them all: draw a batch, take the cross-entropy, follow its gradient with AdamW. Only what is drawn differs.
#
# **Predict:** on 8×8 digits enlarged to 28×28, how far ahead of the linear model will the best one be? Will any fall behind it?

# %%
digits, held_out = load_digits(split="train"), load_digits(split="test")
parts = split_paragraphs(language_reference())
known, unknown = (torch.tensor(list(part.encode())) for part in parts)


def cut(text: torch.Tensor, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (B, 64), and the byte that follows each of theirs, (B, 64)."""
    found = text[starts[:, None] + torch.arange(65)]
    return found[:, :-1], found[:, 1:]


def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """So many windows from the text that is for training."""
    return cut(known, torch.randint(len(known) - 65, (count,)))


# %%
def fitted(name: str, model: nn.Module) -> nn.Module:
    """150 steps for digits, 500 for text."""
    settings = ClassifierSettings(lr=3e-3, batch_size=16 if name == "GPT" else 64)
    if name == "GPT":
        run = StreamRun(model, draw, settings=settings)
    else:
        run = ClassifierRun(model, digits, settings=settings)
    for _ in run.take(500 if name == "GPT" else 150):
        pass
    return model.eval()


# %%
def accuracy(name: str, model: nn.Module) -> float:
    """Share of held-out digits, or next bytes, that are named right."""
    inputs, labels = held_out.images, held_out.labels
    if name == "GPT":
        inputs, labels = cut(unknown, torch.arange(0, 200 * 65, 65))
    with torch.no_grad():
        return (model(inputs).argmax(-1) == labels).float().mean().item()


# %%
trained = {name: fitted(name, make()) for name, make in MODELS.items()}
right = {name: accuracy(name, model) for name, model in trained.items()}
sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in trained.items()}
plots.table(
    {name: {"parameters": sizes[name], "held-out accuracy": right[name]} for name in MODELS}
)

# %% [markdown]
# Accuracies of digits and of bytes do not compare: a text is not as certain as a digit. So the GPT gets baselines of its own: always the most frequent byte, and a table of **pairs**, which names the byte that most often followed the last one.

# %%
asked, answers = cut(unknown, torch.arange(0, 200 * 65, 65))
often = known.bincount().argmax()
pairs = torch.bincount(256 * known[:-1] + known[1:], minlength=256**2).view(256, 256)
by_pairs = (pairs.argmax(1)[asked] == answers).float().mean().item()
print(f"always {chr(int(often))!r}: {(answers == often).float().mean():.3f}; pairs: {by_pairs:.3f}")
claim("accuracy of the linear model", right["linear"], low=0.9)
claim("the CNN ahead of the linear model, points", 100 * (right["CNN"] - right["linear"]), low=1)
behind = max(right["GRU"], right["Transformer"]) / right["linear"]
claim("the better of GRU and Transformer over the linear model", behind, high=0.99)
claim("bytes that the GPT names right, over those by pairs", right["GPT"] / by_pairs, low=1.1)

# %% [markdown]
# **Where is the line?** Nowhere. Nor is later in the list better: on an easy task the linear model beats two deep ones, at this short a training. And from this GPT to GPT-3 no new kind of layer comes in. The same class, given the sizes of Brown et al. 2020, must come to their 175 billion parameters, if nothing is missing. We build it on PyTorch's `meta` device, which stores nothing. (GPT-3 also restricts attention to nearby tokens in every other layer, which takes no parameters.)

# %%
with torch.device("meta"):
    large = GPT(GPT3_175B)
kinds = [{type(part).__name__ for part in model.modules()} for model in (trained["GPT"], large)]
print(sorted(kinds[0]))
claim("kinds of layers in which the two differ", len(kinds[0] ^ kinds[1]), low=0, high=0)
total = sum(p.numel() for p in large.parameters())
claim("parameters of this GPT-3 over the published 175 billion", total / 175e9, 0.99, 1.01)
claim("the same over those of the small one", total / sizes["GPT"], low=1e6)

# %% [markdown]
# So "large" is a matter of size. What does size do that the textbooks warn of? With $N$ parameters and $n$ examples, statistics expects **overfitting** (learning the examples' accidents) once $N$ approaches $n$. Many deep networks for pictures have more parameters than examples; GPT-3 has 175 billion for 300 billion tokens, the same order. **Double descent** (Belkin et al. 2019) is the shape of what happens near $N = n$ and beyond: the error falls, rises, and falls again.

# %% [markdown]
# The smallest model that shows it: a hidden layer that is drawn and never trained, $\phi(x) = \max(0, xW/\sqrt I)$ with $I$ inputs and $N$ features, and an output layer that is solved exactly:
#
# $$\hat w = \arg\min_w \lVert \Phi w - y\rVert^2 + \lambda \lVert w\rVert^2$$
#
# $x$ is a picture, $W$ random numbers, $\Phi$ holds $\phi(x)$ of the $n$ examples in its rows, $y$ their labels as ones and zeros, so each of the ten answers has $N$ parameters; $\lambda$ is the ridge penalty. For $\lambda = 0$ and $N > n$ many $w$ fit exactly, and we take the shortest.

# %% [markdown]
# **Predict:** $n = 200$ digits, labels right, then a tenth of them drawn at random. Sketch the test error for $N$ from 10 to 3,200.

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
# At the grey line, $N = n$, the model can just fit every label exactly. Left of it is the classical picture; about it, the peak; right of it, the second descent. Blue is without penalty; its training error (dashed) has reached zero by the line. Orange: a little ridge penalty removes the peak. Bars are standard errors over six draws.

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
    top = WIDTHS[int(test.argmax())]
    print(f"{p:.0%} random labels: {best_small:.3f} at best below N = n, {test[-1]:.3f} at the end")
    claim("features at the peak", top, low=180, high=260)
    claim("error at the peak over the best below it", test.max() / best_small, low=2)
    claim("error at N = 16 n over the best below N = n", test[-1] / best_small, high=0.85)
    claim("training error from N = n on", one[place[200] :, 1, 0].max(), high=0.001)

# %%
clean, noisy = mean[:, :, 0, :]
for p, one in (("right labels", clean), ("a tenth at random", noisy)):
    bump = (one[4:, 1] / one[3, 1]).max()
    claim(f"{p}, λ = 0.1: largest error beyond N = 100, over that of N = 100", bump, high=1.3)
    print(f"{p}: {one[3, 1]:.3f} at N = 100 with λ = 0.1, {one[-1, 0]:.3f} at N = 3,200 without")
claim("random labels raise the peak by, points", 100 * (noisy[:, 0].max() - clean[:, 0].max()), 5)
gain = [(one[-1, 0] / one[3, 1]).item() for one in (clean, noisy)]
claim("right labels: error at N = 3,200 without λ, over N = 100 with it", gain[0], high=0.7)
claim("a tenth at random: the same", gain[1], 0.75, 1.15)

# %% [markdown]
# **What this explains, and what not.** More parameters than examples need not hurt. The usual reason given: among all exact fits, the shortest is smoother the more features it can choose from. So "too many parameters" is no argument against large models. Is it one *for* them? With right labels the wide model beats the small one with its penalty clearly; with random labels among them the penalty does nearly as much. And nothing here trains its features, which is what deep learning is about.

# %% [markdown]
# ## 9.2 Resource use · 大模型的资源消耗
#
# Large models take much compute and storage, says the article, and **optimised algorithms** and **distributed computing** reduce it. Both are put to the test. First an account: where does the memory of a training step go? Then three ways to need less of it on one machine. Then the same training in several processes, one of which is killed on the way.

# %% [markdown]
# ### The memory accountant · 内存账本
#
# Part of what a step needs depends on the number of parameters $N$ alone, not on the batch. In float32, at 4 bytes a number:
#
# $$\underbrace{4N}_{\text{weights}} + \underbrace{4N}_{\text{gradients}} + \underbrace{8N}_{\text{Adam's two moments}} = 16N \text{ bytes}$$
#
# (Rajbhandari et al. 2020, section 3.1, where mixed precision comes to 16 as well.)

# %% [markdown]
# **Activations** come on top: whatever the backward pass needs again. A block of our GPT keeps, for $B$ sequences of $T$ tokens, width $D$ and $H$ heads,
#
# $$BTD\,(2s + 14i) + 4BT\,(H + 4) \text{ bytes}$$
#
# with $s$ bytes a number of the residual stream, which the two norms keep, and $i$ bytes of what products take and give: two outputs of norms, queries, keys, values, what attention gives, 4 + 4 for the MLP before and after GELU. The last term is statistics, in float32.

# %% [markdown]
# With $s = i = 2$ this is $32BTD$: the 34 of Korthikanti et al. 2022 (equation 1) without 2 for dropout's masks. Their term with $T^2$ is missing because PyTorch's fused attention never stores the table of attention weights.
#
# A step's memory rises and falls: `phases` follows it. "loss" is the turning point from forward to backward; in "last block" and "first block" backward has come there; "embedding" is its end; "update" is the optimiser's.

# %%
from dataclasses import asdict, replace

from bigmodel_lib.accounting import Step, measured_peak, peak, phases

config = GPTConfig(V=256, T=64, L=6, D=128, H=4)
step = Step(config, B=16)
MB = 1e6
rows = {
    name: {part: nbytes / MB for part, nbytes in asdict(found).items()} | {"sum": found.total / MB}
    for name, found in phases(step).items()
}
plots.table(rows)

# %% [markdown]
# In megabytes. Read it from top to bottom: activations go, gradients come, and the peak here is where forward turns into backward. *passing* is what is made and dropped on the way, such as gradients of activations.

# %% [markdown]
# **Predict:** the batch is cut into four pieces, whose gradients are added up before the update (**accumulation**). Or each block keeps its input only, and computes the rest anew when backward comes to it (**recomputation**, also called activation checkpointing; Chen et al. 2016). Or numbers have 16 bits. Which saves most here?

# %%
ways = {
    "plain": {},
    "4 pieces": {"parts": 4},
    "recompute": {"recompute": True},
    "autocast": {"precision": "autocast"},
    "bfloat16": {"precision": "bfloat16"},
    "4 pieces,\nrecompute": {"parts": 4, "recompute": True},
}
predicted = {name: peak(replace(step, **way)) for name, way in ways.items()}
measured = {name: measured_peak(replace(step, **way)) for name, way in ways.items()}

# %%
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
base = [0.0] * len(ways)
colours = (plots.BLUE, "#56B4E9", plots.GREEN, plots.ORANGE, plots.PURPLE)
for part, colour in zip(asdict(predicted["plain"]), colours, strict=True):
    heights = [asdict(found)[part] / MB for found in predicted.values()]
    _ = ax.bar(list(ways), heights, bottom=base, color=colour, label=part, width=0.6)
    base = [a + b for a, b in zip(base, heights, strict=True)]
tops = [nbytes / MB for nbytes in measured.values()]
_ = ax.plot(list(ways), tops, "k_", ms=34, mew=2, label="measured")
_ = ax.set_ylabel("peak (MB)")
_ = ax.legend(frameon=False, ncols=2)
plots.show(figure, "Predicted peaks in parts as bars, measured ones as black lines on their tops.")

# %% [markdown]
# Each bar is a prediction, made without building anything; each black line counts the bytes of all tensors alive during two real steps. They meet. Activations are the largest part, so what saves on them saves most: of the single ways recomputation, and pieces with it do better still. bfloat16 halves everything. **Autocast** computes products in bfloat16, but keeps float32 weights and adds 16-bit copies of them.
#
# One model proves little. Others, in which vocabulary, weights or length count most:

# %%
others = {
    "large vocabulary": Step(GPTConfig(V=2000, T=32, L=2, D=48, H=3), B=4),
    "many weights": Step(GPTConfig(V=128, T=8, L=2, D=192, H=4), B=4),
    "long": Step(GPTConfig(V=64, T=256, L=3, D=64, H=4), B=2),
}
few = {"2 pieces": {"parts": 2}, **{k: ways[k] for k in ("plain", "recompute", "autocast")}}

# %%
ratios = {name: predicted[name].total / measured[name] for name in ways}
for name, one in others.items():
    for way, change in few.items():
        other = replace(one, **change)
        ratios[f"{name}, {way}"] = peak(other).total / measured_peak(other)
worst = max(ratios, key=lambda name: abs(ratios[name] - 1))
print(f"{len(ratios)} predictions; the worst, {worst!r}: {ratios[worst]:.3f} of what was measured")
claim("largest error of a predicted peak", abs(ratios[worst] - 1), high=0.06)
share = predicted["plain"].activations / peak(step).total
claim("plain: share that is activations", share, low=0.5)
others_best = min(measured[way] for way in ("4 pieces", "autocast", "bfloat16"))
claim("recompute over the best other single way", measured["recompute"] / others_best, high=0.99)
both = measured["4 pieces,\nrecompute"] / measured["recompute"]
claim("both together over recompute alone", both, high=0.9)

# %% [markdown]
# ### Less memory, the same gradients · 省内存，不改梯度
#
# Accumulation and recomputation claim to change nothing but the order of work. The mean over a batch is the mean of its equal pieces' means, and a block computed twice gives the same numbers. In float64, where rounding is small:

# %%
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bigmodel_lib.accounting import text_loss
from bigmodel_lib.counting import forward_flops

small = GPTConfig(V=61, T=32, L=3, D=48, H=3)
windows = torch.randint(small.V, (8, small.T + 1))


def gradients_of(parts: int = 1, recompute: bool = False) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = GPT(small, recompute=recompute).double()
    for part in windows.chunk(parts):
        (text_loss(model, part) / parts).backward()
    return [weight.grad for weight in model.parameters()]


def furthest(one, other) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


whole = gradients_of()
claim("4 pieces: largest difference of a gradient", furthest(gradients_of(4), whole), high=1e-12)
claim("recomputed: the same", furthest(gradients_of(recompute=True), whole), 0, 0)
claim("for scale, the largest gradient", max(float(g.abs().max()) for g in whole), low=1e-3)


# %% [markdown]
# Nothing is free. Pieces are small batches, which use a GPU less well, and all gradients stay between them. Recomputation takes another forward pass: one part on top of three, a third more arithmetic. PyTorch does with less: it stops once it has what backward needs. The last product of a block gives nothing of that, and takes $8D^2$ of the block's $24D^2$ FLOPs a token. The other two thirds of a third: two ninths.

# %%
def flops(recompute: bool) -> int:
    model = GPT(config, recompute=recompute)
    ids = torch.zeros(2, config.T + 1, dtype=torch.int64)
    # the plain kernel: the counter knows its products everywhere
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        text_loss(model, ids).backward()
    return counter.get_total_flops()


once = forward_flops(config)
again = (once.total - once.logits - once.mlp / 2) / (3 * once.total)
extra = flops(recompute=True) / flops(recompute=False) - 1
claim("extra arithmetic of recomputation: two ninths", extra, 0.2, 0.25)
claim("counted over predicted", extra / again, 0.999, 1.001)
saved = 1 - measured["recompute"] / measured["plain"]
claim("memory that it saves here", saved, low=0.4)

# %% [markdown]
# Sixteen bits are another matter: they do change the result. bfloat16 has 8 significant bits, so a weight of 1 does not notice an update of 0.001. That is why mixed precision keeps a float32 weight for the update, and computes with copies.

# %%
weight, update = torch.tensor(1.0, dtype=torch.bfloat16), 1e-3
for _step in range(100):
    weight = weight + update
claim("a bfloat16 weight of 1 after 100 updates of 0.001", weight, 1, 1)
claim("its peak over that of float32", measured["bfloat16"] / measured["plain"], 0.45, 0.55)

# %% [markdown]
# ### Many workers · 分布式训练
#
# **Data parallel**: each of $W$ **workers** (processes, mostly one a GPU) takes a part of the batch, and gradients are averaged (DDP; Li et al. 2020). Each still holds everything. **ZeRO** cuts it up: in stage 1 a worker keeps $1/W$ of the optimiser's state, in stage 2 of the gradients too, in stage 3 of the weights too, collected when a block needs them. PyTorch's stage 3 is **FSDP** (Zhao et al. 2023).

# %% [markdown]
# ZeRO's own example: 7.5 billion parameters, mixed precision, 64 workers. **Predict:** which stages fit a device of 32 GB?

# %%
from bigmodel_lib.accounting import STAGES, numbers_sent, shard
from bigmodel_lib.counting import training_memory

N, W = 7_500_000_000, 64
stages = {}
for stage, what in STAGES.items():
    part = shard(training_memory(N), W, stage)
    row = {name: nbytes / 1e9 for name, nbytes in asdict(part).items()}
    sent = f"{numbers_sent(N, stage) / N:.0f} N"
    stages[f"{stage}: cuts {what}"] = {**row, "sum (GB)": part.total / 1e9, "numbers sent": sent}
plots.table(stages)
last = shard(training_memory(N), W, 3).total / 1e9
claim("GB a worker in stage 3; the paper's figure 1 says 1.9", last, 1.85, 1.95)

# %% [markdown]
# *master* is the float32 copy of the weights. 32 GB hold stages 2 and 3, and stage 1 with next to nothing left for activations. Stage 3 sends half as much again as the others, and holds a model 64 times as large. Activations are not cut: each worker has those of its own windows.

# %% [markdown]
# ### For real · 真实运行
#
# One script, `bigmodel_lib/distributed/train.py`. Run by python it is the only worker; run by `torchrun`, PyTorch's launcher, it is one of many, whose numbers travel by the library Gloo on CPUs and NCCL on GPUs. First alone, in this notebook: a GPT on the bytes of the language reference, in float64, so that any difference which is more than rounding will stand out.

# %%
import re
import tempfile
from pathlib import Path

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.distributed.journal import attempts, held, read_journal
from bigmodel_lib.distributed.launch import launch
from bigmodel_lib.distributed.options import Options
from bigmodel_lib.distributed.worker import Worker
from bigmodel_lib.training.checkpoint import load_tensors

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)
alone = Options(folder / "alone", dtype="float64")
run = train(alone, Worker(rank=0, world=1, device=torch.device("cpu"), attempt=0))
print(f"{count_parameters(alone.config).total:,} parameters, {run.step} steps")

# %% [markdown]
# Now two workers, in processes of their own: FSDP first, then DDP. Under FSDP there is a fire drill: after step 13 worker 1 sends itself SIGKILL (signal 9, which ends a process at once), without a word to anybody, as when a machine dies. `torchrun` is to notice, stop the other worker, and start both again; they go on from the last checkpoint, which is written every 8 steps.
#
# **Predict:** how many steps are computed twice? Will the end be the same to the last bit?

# %%
two = Options(folder / "two", "fsdp,ddp", dtype="float64", kill_rank=1, kill_step=13)
launch(two, workers=2, restarts=1)
fsdp, ddp = two.each()
log = (two.folder / "agent-0.log").read_text()
exits = re.findall(r"exitcode: (-?\d+)", log)
claim("how the killed worker ended: minus 9, the number of SIGKILL", int(exits[0]), -9, -9)

# %%
journals = {
    one.strategy: [read_journal(one.folder, rank) for rank in (0, 1)] for one in (fsdp, ddp)
}
(losses,) = attempts(read_journal(alone.folder, 0))
(by_ddp,) = attempts(journals["ddp"][0])
before, after = attempts(journals["fsdp"][0])

# %%
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
_ = ax.plot(losses.keys(), losses.values(), color=plots.GREY, lw=5, alpha=0.4, label="one process")
_ = ax.plot(by_ddp.keys(), by_ddp.values(), "o", color=plots.BLUE, ms=4, label="DDP")
_ = ax.plot(before.keys(), before.values(), "x", color=plots.ORANGE, ms=9, label="FSDP, first")
_ = ax.plot(after.keys(), after.values(), "+", color=plots.GREEN, ms=12, label="FSDP, restarted")
_ = ax.axvline(fsdp.kill_step + 0.5, color=plots.ORANGE, ls=":", label="worker 1 is killed")
_ = ax.set(xlabel="step", ylabel="loss (nats a byte)")
_ = ax.legend(frameon=False)
plots.show(figure, "Loss by step: all four series lie on one curve; steps 9 to 13 have both marks.")


# %% [markdown]
# One curve. From step 9 to step 13 the marks × and + lie on each other: those steps were computed before the death, lost with it, and computed again. Equal to the eye is not enough, so compare every weight and loss:

# %%
def state(options: Options) -> dict[str, torch.Tensor]:
    return load_tensors(options.checkpoint)[0]


reference, common = state(alone), [step for step in after if step in before]
for one in (ddp, fsdp):
    found = state(one)
    names = [name for name in found if name.startswith(("model.", "history.loss"))]
    apart = furthest([found[name] for name in names], [reference[name] for name in names])
    claim(f"{one.strategy}, from one process: largest difference", apart, high=1e-9)

# %%
killed, unharmed = state(fsdp), state(ddp)
apart = furthest([killed[name] for name in names], [unharmed[name] for name in names])
claim("killed FSDP from unharmed DDP: largest difference", apart, 0, 0)
claim("attempts of the FSDP run", len(attempts(journals["fsdp"][1])), 2, 2)
claim("steps computed twice", len(common), 5, 5)
claim("their losses differ by", max(abs(before[i] - after[i]) for i in common), 0, 0)
claim("for scale, what training did to the loss", losses[1] - losses[24], low=1)

# %% [markdown]
# Rounding is all that is left between one process and two. The steps that were computed twice agree to the last bit, and so does the end: the run that lost a worker has the weights of the one that did not. In float32 the distance is larger: Adam divides a gradient by its own size, and where one nearly vanishes, its rounding becomes a step.
#
# What did each worker hold? In float64 the $16N$ bytes become $32N$.

# %%
rows = {"alone": held(read_journal(alone.folder, 0))}
for name, lines in journals.items():
    rows |= {f"{name}, worker {rank}": held(lines[rank]) for rank in (0, 1)}
plots.table({name: row | {"sum": sum(row.values())} for name, row in rows.items()})
everything = 2 * training_memory(count_parameters(alone.config).total, "float32").total
claim("DDP: a worker's bytes over 32 N", sum(rows["ddp, worker 1"].values()) / everything, 1, 1)
halves = sum(rows["fsdp, worker 1"].values()) / everything
claim("FSDP: a worker's bytes over 32 N", halves, 0.5, 0.52)

# %% [markdown]
# ### From one machine to many · 从单机到多机
#
# The script stays; `torchrun` is started on each machine, with an address where its **agents**, the processes that start and watch the workers, find each other. This chapter's tests do a dry run with two agents on one machine, kill a worker of the second, and get the same weights. The line, the same on all machines:

# %%
import shlex

from bigmodel_lib.distributed import examples_folder
from bigmodel_lib.distributed.launch import torchrun

line = torchrun(workers=8, machines=2, restarts=3, endpoint="FIRST-MACHINE:29400")
print(shlex.join(["torchrun", *line[3:], "--strategy=fsdp", "RUN"]).replace(" -", " \\\n    -"))
print("\nready to adapt:", sorted(path.name for path in examples_folder().iterdir()))
scratch.cleanup()

# %% [markdown]
# `train.sbatch` starts it under Slurm, `train.yaml` under Kubernetes (two programs that share out the machines of a cluster), and their README is the way there, step by step, with what breaks. One trap deserves its place here: an agent keeps one address book for all attempts, in which restarted workers may find the dead ("connection refused"; PyTorch issue 135712). `group_store` in `worker.py` gives each attempt its own page.

# %% [markdown]
# ### What it costs · 费用、能源与碳
#
# From the size of a model and its text follows the arithmetic, $C = 6ND$ FLOPs with $N$ parameters and $D$ tokens ($D$ is no width here; Kaplan et al. 2020). From the arithmetic follow device hours, once one knows what share of a device's peak the training reaches (its **utilisation**). From device hours follow money, energy and CO₂:
#
# $$\text{kWh} = \text{device hours} \cdot \text{kW} \cdot \text{PUE}, \qquad \text{CO}_2 = \text{kWh} \cdot \text{grid}$$

# %% [markdown]
# kW is what one device and its share of the host draw; PUE is what the building takes over what its computers take; *grid* is kg of CO₂ for a kWh, and depends on where the building stands.

# %% [markdown]
# Do such formulas hold? Three trainings whose cost has been published, each with its own settings put in:

# %%
import numpy as np

from bigmodel_lib.costs import PUBLISHED, misses
from bigmodel_lib.widgets import ResourceCalculator

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
# The figures agree within a percent or two. That says that the authors used the same formulas with these settings, not that their meters did; and BLOOM's utilisation was taken from its result. Now the estimates themselves: GPT-3's CO₂ is more than twenty times BLOOM's, a model of the same size. **Predict:** is that rather the energy, or the grid?

# %%
runs = {name: one.training for name, one in PUBLISHED.items()}
gpt, bloom = runs["GPT-3, 175 B"], runs["BLOOM, 176 B"]
ratio, grid, energy = gpt.co2 / bloom.co2, gpt.grid / bloom.grid, gpt.kwh / bloom.kwh
print(f"CO₂ {ratio:.1f} times = grid {grid:.1f} times × energy {energy:.1f} times")
claim("GPT-3 over BLOOM in CO₂", ratio, low=20)
claim(
    "share of the factor, in logarithms, that is the grid's",
    np.log(grid) / np.log(ratio),
    low=0.5,
)

# %% [markdown]
# Mostly the grid: older hardware took three times the energy, the grid gave the larger factor. (BLOOM's figure leaves out the building and idle machines, GPT-3's has a PUE of 1.1.)
#
# In the calculator every figure shows its formula and its source. Start from a published run; move it to another grid; halve the utilisation (**predict** which figures change); then take a model of your own and see how many devices can hold it at all.

# %%
ResourceCalculator(preset="LLaMA, 65 B")

# %% [markdown]
# ## 9.3 Fields of use · 大模型的应用领域
#
# *Where are large models used?* In language, vision, speech and recommendation, says the article. All but the last have demonstrations in this collection that you can take into your hands. The gallery is made from the executed chapters: each picture is what the widget showed when its chapter was last run. Follow a picture to the section where it lives.

# %%
from IPython.display import HTML, display

from bigmodel_lib import gallery, widgets
from bigmodel_lib.chapters import executed_cells

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
# - A large model is a deep network, and a deep network a chain of layers with a loss: from a small GPT to GPT-3 no new kind of layer comes in, only more and wider ones.
# - More parameters than examples need not overfit. In random features the peak lies where they are equal, and a small penalty removes it.
# - The memory of a training can be predicted term by term, and cut by sharding, by recomputing and by fewer bits.
# - Data-parallel processes compute what one process computes; a killed one costs the steps since the last checkpoint.
# - Arithmetic over speed gives device hours; these times a price are money, times power energy, and that times the grid CO₂. Each factor has a source, or is an assumption that one must state.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Put a convolution of your own between two models of 9.1. Where does it land?
# 2. Find the ridge penalty that is best at $N = n$. Is it the same at $N = 16\,n$?
# 3. Predict the memory of GPT-2 small at batch 8 and length 1024, with and without recomputation. Which term is the largest?
# 4. What changes in the sharding table with eight workers? From which number on is it not worth it?
# 5. Price a model of 7 billion parameters on 2 trillion tokens, on hardware that you could rent.

# %% [markdown]
# **The library's code:** `models/random_features.py` (9.1), `accounting.py`, `memory.py`, `distributed/`, `costs.py`, `widgets/resource_calculator.py` (9.2), `chapters.py` and `gallery.py` (9.3).
