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
# # 2 Core concepts and how they connect · 核心概念与联系
#
# **The question:** what is a large model made of, and which of its parts decides what it can learn?
#
# **You will be able to** count the parameters, memory and arithmetic of a GPT without owning it; turn text, images and sound into the same kind of input; say how far a convolutional, a recurrent and an attention network can look, and prove it; explain what sets a GAN and a VAE apart, and what does not.

# %% [markdown]
# **It takes** 60 minutes to read, a minute to run on two cores, and under 1.2 GB of memory.
#
# The chapters follow a Chinese overview article, *大模型：科技创新的前沿探索*. Where it is wrong, an **Erratum** box says so and a cell shows it. A line that begins with ✓ is a statement which that cell has just checked. $B$, $T$ and $D$ stand for a batch of sequences, their length and the width of a vector throughout.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.device import pick_device, seed_everything

device = pick_device()
seed_everything(0)
torch.set_num_threads(1)  # networks this small gain nothing from a second thread
train, test = load_digits("digits", "train"), load_digits("digits", "test")

# %% [markdown]
# ## 2.1 Definition · 大模型的定义
#
# The article calls a model large if it is deep and has "billions to hundreds of billions" of **parameters**: numbers that training sets. So let us count. GPT, the network behind many of today's models, is fixed by five sizes:

# %% [markdown]
# | | | GPT-2 small |
# |---|---|---|
# | $V$ | vocabulary: how many different tokens (pieces of text) | 50,257 |
# | $T$ | longest input, in tokens | 1,024 |
# | $L$ | layers, each an *attention*, in which tokens look at one another, and an *MLP*, two matrices that treat each alone | 12 |
# | $D$ | width: numbers that stand for a token | 768 |
# | $H$ | heads of attention (section 4.3) | 12 |

# %% [markdown]
# Part by part, with each matrix's bias:
#
# $$N = \underbrace{VD}_{\text{tokens}} + \underbrace{TD}_{\text{positions}} + L\bigl(\underbrace{4D^2 + 4D}_{\text{attention}} + \underbrace{8D^2 + 5D}_{\text{MLP}} + \underbrace{4D}_{\text{norms}}\bigr) + \underbrace{2D}_{\text{last norm}}$$
#
# Attention has four $D \times D$ matrices; the MLP goes from $D$ to $4D$ and back; a *norm* scales and shifts each of $D$ entries. $H$ is not in it: heads share the width among them.
#
# **Predict.** Double $D$: what happens to $N$ in a large model? Double $L$?

# %%
from dataclasses import replace

from bigmodel_lib import counting
from bigmodel_lib.models.transformer import GPT, PRESETS, GPTConfig


def by_formula(c: GPTConfig) -> int:
    layer = (4 * c.D**2 + 4 * c.D) + (8 * c.D**2 + 5 * c.D) + 4 * c.D
    return c.V * c.D + c.T * c.D + c.L * layer + 2 * c.D


claim("GPT-2 small by formula", by_formula(PRESETS["GPT-2 small"]), 124_439_808, 124_439_808)
library = {name: counting.count_parameters(config) for name, config in PRESETS.items()}
off = max(abs(by_formula(config) - library[name].total) for name, config in PRESETS.items())
claim("largest difference to the library's count, 12 models", off, 0, 0)

# %%
big = PRESETS["GPT-3 175B"]
wider, deeper = replace(big, D=2 * big.D), replace(big, L=2 * big.L)
claim("GPT-3 175B, D doubled: times the parameters", by_formula(wider) / by_formula(big), 3.95, 4)
claim("GPT-3 175B, L doubled: times the parameters", by_formula(deeper) / by_formula(big), 1.98, 2)


# %% [markdown]
# A formula can be wrong in the same way as its author. So we also *build* all twelve networks, GPT-3 with its 175 billion parameters among them. On PyTorch's **meta** device a tensor has a shape and no numbers, so it takes no memory; all else is the code that would run.

# %%
def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


with torch.device("meta"):
    built = {name: GPT(config) for name, config in PRESETS.items()}
rows = {
    name: {"L": c.L, "D": c.D, "by formula": by_formula(c), "built": count(built[name])}
    for name, c in PRESETS.items()
}
plots.table(rows)
off = max(abs(row["by formula"] - row["built"]) for row in rows.values())
claim("largest difference, built to formula, 12 models", off, 0, 0)
kept = sum(not p.is_meta for network in built.values() for p in network.parameters())
claim("tensors of these twelve networks that hold numbers", kept, 0, 0)

# %% [markdown]
# ### Do the paper's own figures add up? · 论文自己的数字对得上吗
#
# Brown et al. (2020), table 2.1, print for each GPT-3 the width $D$, the heads $H$ and the width $d$ of a head. If heads share the width, as in our formula, $H \cdot d = D$. Does it hold?

# %%
printed = {  # name in the table: D, H, d
    "Small": (768, 12, 64),
    "Medium": (1024, 16, 64),
    "Large": (1536, 16, 96),
    "XL": (2048, 24, 128),
    "2.7B": (2560, 32, 80),
    "6.7B": (4096, 32, 128),
    "13B": (5140, 40, 128),
    "175B": (12288, 96, 128),
}

# %%
rows = {
    n: {"D": D, "H·d": H * d, "equal": "yes" if H * d == D else "no"}
    for n, (D, H, d) in printed.items()
}
plots.table(rows)
wrong = sum(H * d != D for D, H, d in printed.values())
claim("models of table 2.1 whose heads do not add up", wrong, 2, 2)

# %% [markdown]
# XL and 13B do not. For 13B the paper contradicts itself in a second place: its table D.1 gives 12,850 million parameters. Which width makes that many? And how far are the names of the models from their sizes?

# %%
thirteen = PRESETS["GPT-3 13B"]
widths = {D: GPTConfig(V=thirteen.V, T=thirteen.T, L=thirteen.L, D=D, H=20) for D in (5120, 5140)}
for D, config in widths.items():
    print(f"D = {D}: {by_formula(config) / 1e6:,.0f} million parameters")
claim("millions of parameters at D = 5120", by_formula(widths[5120]) / 1e6, 12_845, 12_855)
printed_width = by_formula(widths[5140]) / 1e6
claim("millions of parameters at D = 5140, as printed", printed_width, 12_945, 12_960)

# %%
unit = {"M": 1e6, "B": 1e9}
names = {n: float(n.split()[1][:-1]) * unit[n[-1]] for n in PRESETS if "GPT-3" in n}
misnamed = [name for name, size in names.items() if abs(library[name].total / size - 1) > 0.015]
print("more than 1.5 % off its name:", ", ".join(misnamed))

# %% [markdown]
# So 5140 is a slip for 5120 = 40·128. And XL? Its 24 heads of 128 would need attention matrices of 2048 × 3072, not 2048 × 2048. Table D.1 gives it 1,320 million parameters: is there room for them?

# %%
xl = PRESETS["GPT-3 1.3B"]
square = by_formula(xl) / 1e6
oblong = square + xl.L * (4 * xl.D + 3) * (24 * 128 - xl.D) / 1e6  # four matrices, three biases
claim("XL with H·d = 2048, millions of parameters", square, 1_310, 1_325)
claim("XL with H·d = 3072, millions of parameters", oblong, 1_500, 1_530)

# %% [markdown]
# No: the heads of XL share 2048, too. 24 does not divide that; the library takes 16 heads of 128. Published figures can be checked with one line, and a model's name is a rounded one.

# %% [markdown]
# *In the picture:* where the parameters sit. In the small models a large share is vocabulary; in the large ones nearly all is in the layers, two thirds of it in the MLPs.

# %%
figure, ax = plt.subplots(figsize=(8, 3.2))
left, parts = torch.zeros(len(PRESETS)), ("embedding", "positions", "attention", "mlp", "norms")
colours = (plots.GREY, plots.PURPLE, plots.BLUE, plots.ORANGE, plots.GREEN)
for part, colour in zip(parts, colours, strict=True):
    shares = torch.tensor([getattr(n, part) / n.total for n in library.values()])
    ax.barh(list(PRESETS), 100 * shares, left=100 * left, color=colour, label=part)
    left += shares
ax.invert_yaxis()
ax.set(xlabel="share of the parameters, %", xlim=(0, 100))
ax.legend(frameon=False, ncols=5, loc="lower center", bbox_to_anchor=(0.4, 1))
alt = (
    "Stacked bars for twelve models, GPT-2 small to GPT-3 175B. The embedding's share falls "
    "from about a third to nearly nothing; MLP and attention share the rest two to one."
)
plots.show(figure, alt=alt)

# %%
shares = {name: library[name].embedding / library[name].total for name in PRESETS}
claim("share of the embedding, GPT-2 small", shares["GPT-2 small"], 0.3, 0.32)
claim("share of the embedding, GPT-3 175B", shares["GPT-3 175B"], high=0.004)

# %% [markdown]
# ### What a model costs · 一个模型的代价
#
# **To train**: 16 bytes a parameter: the weight (2), its *gradient*, how the error changes with it (2), a more exact copy (4), and two running means that the optimiser *Adam* keeps (8; Rajbhandari et al. 2019, section 3.1; chapter 4).

# %% [markdown]
# - **To serve**: 2 bytes a weight, and a *cache* of keys and values, $2 L D$ numbers for each token so far.
# - **Arithmetic**: about $2N$ FLOPs (additions, multiplications) a token forward, $6N$ with the *backward pass*, which computes the gradients (Kaplan et al. 2020); attention adds $4LTD$ forward, if each token looks at all $T$.

# %%
rows = {}
for name in ("GPT-2 small", "GPT-2 XL", "GPT-3 13B", "GPT-3 175B"):
    config, N = PRESETS[name], library[name].total
    serve, flops = counting.serving_memory(config), counting.training_flops(config).total
    rows[name] = {
        "N": N,
        "train, GB": counting.training_memory(N).total / 1e9,
        "serve, GB": serve.weights / 1e9,
        "cache of one full input, GB": serve.cache / 1e9,
        "training FLOPs a token": flops,
        "over 6N": flops / (6 * N),
    }
plots.table(rows)

# %%
largest = rows["GPT-3 175B"]
cards = math.ceil(largest["train, GB"] / 80)
claim("GPT-3 175B: accelerators of 80 GB that hold its training state", cards, 35, 35)
compute = counting.approximate_training_flops(largest["N"], 300e9)
claim(
    "6 N times 300 billion tokens, over the 3.14·10²³ of table D.1", compute / 3.14e23, 0.99, 1.01
)
claim("FLOPs of all matrix products over 6N: GPT-2 small", rows["GPT-2 small"]["over 6N"], 1.1, 1.3)
claim("FLOPs of all matrix products over 6N: GPT-3 175B", largest["over 6N"], 1.0, 1.05)

# %% [markdown]
# ### Build your own · 自己动手搭一个
#
# Five sizes fix a GPT: layers $L$, width $D$, heads $H$, vocabulary $V$ and context $T$. The builder counts by the formulas above. **Predict first, then try:**
#
# 1. Start from GPT-2 small and double $D$ to 1,536. Do the parameters double?
# 2. Now double $L$ instead.
# 3. Raise the heads from 12 to 16, then to 14.
# 4. Choose GPT-3 13B and serve 1, then 64 sequences at once. Which part grows?

# %%
from bigmodel_lib.widgets import ModelBuilder

ModelBuilder()

# %% [markdown]
# *In the picture:* at the left what each part costs, at the right your model beside GPT-2 and GPT-3. All axes are logarithmic: each tick is a thousand times the one before. Dashed lines mark memory that you may know. Training also holds *activations*, the intermediate results that the backward pass needs; chapter 9 measures them, here they are left out.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. No: attention and MLP grow fourfold, since their matrices have $D$ rows and $D$ columns, while the embedding only doubles.
# 2. Attention and MLP double; the embedding stays.
# 3. 16 heads change nothing: they divide the same width. 14 do not divide 768, and the control turns red.
# 4. The cache of keys and values, which grows with every sequence. The weights are shared by all of them.
#
# </details>

# %% [markdown]
# ### Does the definition hold? · 这个定义站得住吗
#
# By "billions to hundreds of billions" only some of these twelve are large models. Yet they are one program with other sizes, and in each family the smaller ones were trained in the same way on the same text. (In GPT-3 every second layer's attention looks at near tokens only, Brown et al., section 2.1: that saves arithmetic, and changes no count of parameters.)

# %%
small = [name for name in PRESETS if library[name].total < 1e9]
print("below a billion:", ", ".join(small))
claim("of twelve, below a billion parameters", len(small), 6, 6)
with torch.device("meta"):
    toy = GPT(GPTConfig(V=256, T=64, L=2, D=32, H=2))
kinds = [{type(module) for module in network.modules()} for network in (toy, built["GPT-3 175B"])]
claim("kinds of parts that GPT-3 175B has and the toy lacks", len(kinds[1] - kinds[0]), 0, 0)
claim("parameters of the toy", count(toy), 30_000, 40_000)

# %% [markdown]
# So *large* is a matter of degree: a line drawn where costs begin to hurt, not where a new kind of thing begins. It also moves: chapter 1 shows models far above the article's upper end, and mixtures of experts, of whose parameters only a part works on any one token. The definition's other half, much data and compute, is as vague; chapter 8 measures how the two go together.

# %% [markdown]
# ## 2.2 Components · 大模型的组成部分
#
# An **input layer** turns whatever comes in into vectors, **hidden layers** transform them, an **output layer** turns the last ones into an answer. The article names text, images and speech. All three become the same thing: a sequence of $T$ vectors of width $D$.

# %% [markdown]
# ### Text · 文本
#
# A *tokeniser* cuts text into numbered pieces. The simplest takes the bytes of UTF-8: a vocabulary of 256, and nothing that it cannot write. (GPT-2 merges frequent neighbours into longer tokens; chapter 6 does so.) An **embedding** is a table with one row of $D$ learned numbers for each token.

# %%
text = "大模型 = big model"
ids = torch.tensor(list(text.encode("utf-8")))
print(f"{len(text)} characters, {len(ids)} bytes:", ids.tolist())
claim("decoded again, it is the same text", bytes(ids.tolist()).decode("utf-8") == text, 1, 1)
claim("bytes of 大", len("大".encode()), 3, 3)
D = 24
embedding = nn.Embedding(256, D)
one_hot = nn.functional.one_hot(ids, 256).float()  # 1 at the token's place, 0 elsewhere
difference = (embedding(ids) - one_hot @ embedding.weight).abs().max()
claim("looking up a row, less multiplying by a one-hot vector", difference, high=1e-6)

# %% [markdown]
# So the embedding, too, is a layer of weights: a matrix product, written as a look-up because all but one entry are zero.
#
# ### Images · 图像
#
# A picture of 28·28 pixels becomes 16 **patches** of 7·7, each a vector of 49 numbers, as in the Vision Transformer (Dosovitskiy et al. 2020); a learned matrix then makes them $D$ wide. That is a *convolution*: one small set of weights slides over the image, here in steps (*stride*) of 7. *In the picture:* a digit, and its patches in order.

# %%
which = 3  # of the held-out images
image = test.images[which : which + 1]  # (1, 1, 28, 28)
patches = image.unfold(2, 7, 7).unfold(3, 7, 7).reshape(16, 49)
back = patches.view(4, 4, 7, 7).transpose(1, 2).reshape(28, 28)
claim("put together again: largest difference", (back - image[0, 0]).abs().max(), 0, 0)
patch_layer = nn.Linear(49, D)
as_convolution = nn.functional.conv2d(
    image, patch_layer.weight.view(D, 1, 7, 7), patch_layer.bias, stride=7
)
difference = (patch_layer(patches) - as_convolution.flatten(2)[0].T).abs().max()
claim("matrix on patches, less a convolution with stride 7", difference, high=1e-5)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 1.6), width_ratios=[1, 6])
plots.image_grid(image, columns=1, ax=axes[0])
plots.image_grid(patches.view(16, 1, 7, 7), columns=16, ax=axes[1])
plots.show(figure, alt="A handwritten digit, and the sixteen square pieces that it was cut into.")

# %% [markdown]
# ### Sound · 声音
#
# Sound is air pressure, measured some thousand times a second. A **spectrogram** shows which frequencies are in it when: cut it into short frames, weigh each by a *window* $w$ that fades at both ends, and take the Fourier transform
#
# $$X(m, k) = \sum_{n=0}^{M-1} w(n)\, x(n + mh)\, e^{-2\pi i k n / M}$$
#
# with $x$ the samples, $M$ the frame's length, $h$ the step (*hop*) from frame $m$ to the next, and $k$ the frequency bin, $k \cdot \text{rate}/M$ Hz.

# %% [markdown]
# We test it on a sound that we know: a chord of A, C♯ and E, above it a *chirp* that climbs from 1,000 to 3,000 Hz.

# %%
from IPython.display import Audio, display

from bigmodel_lib.models.transformer import Block

rate, seconds, M, hop = 8000, 1.0, 1024, 128
t = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
chord = [440.0, 440 * 2 ** (4 / 12), 440 * 2 ** (7 / 12)]  # 4 and 7 semitones above A
sound = sum(torch.sin(2 * math.pi * f * t) for f in chord)
sound += torch.sin(2 * math.pi * (1000 * t + 1000 * t**2))  # frequency 1000 + 2000 t Hz
window = torch.hann_window(M, dtype=torch.float64)
spectrum = torch.stft(sound, M, hop, window=window, center=False, return_complex=True).abs()
frequency = torch.arange(M // 2 + 1) * rate / M  # of each bin, Hz
middle = (torch.arange(spectrum.shape[1]) * hop + M / 2) / rate  # of each frame, s
display(Audio(sound.numpy(), rate=rate))

# %%
frame = sound[5 * hop : 5 * hop + M] * window
n = torch.arange(M, dtype=torch.float64)
angle = 2 * math.pi * n[: M // 2 + 1, None] * n / M  # (bins, samples)
formula = (frame * torch.exp(-1j * angle)).sum(dim=1).abs()
claim("torch.stft, less the formula", (formula - spectrum[:, 5]).abs().max(), high=1e-8)

# %%
low = frequency < 900
peaks = spectrum[low].mean(dim=1)
inner = (peaks[1:-1] > peaks[:-2]) & (peaks[1:-1] > peaks[2:]) & (peaks[1:-1] > peaks.max() / 10)
found = frequency[low][1:-1][inner]
print("played, Hz:", [round(f, 1) for f in chord], " found, Hz:", found.tolist())
claim("peaks below 900 Hz", len(found), 3, 3)
off = (found - torch.tensor(chord)).abs().max()
claim("largest error, Hz (a bin is 7.8 Hz wide)", off, high=rate / M / 2)
climbing = frequency[~low][spectrum[~low].argmax(dim=0)]
off = (climbing - (1000 + 2000 * middle)).abs().max()
claim("chirp: largest error over all frames, bins", off / (rate / M), high=3)

# %%
figure, ax = plt.subplots(figsize=(8, 3))
decibel = 20 * (spectrum / spectrum.max()).clamp(min=1e-4).log10()
mesh = ax.pcolormesh(
    middle, frequency, decibel, cmap="cividis", vmin=-60, shading="nearest", rasterized=True
)
figure.colorbar(mesh, ax=ax, label="loudness, dB below the loudest")
ax.set(xlabel="time, s", ylabel="frequency, Hz", ylim=(0, 3500))
alt = (
    "Spectrogram: three level lines at 440, 554 and 659 Hz, and one that climbs from 1,100 to "
    "2,900 Hz."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* three level lines, the chord, and a slanted one, the chirp, whose line is thicker, since its frequency moves within a frame. Each column is a vector of 513 numbers: a sequence again. After its own input layer, each of the three can enter the same hidden layers:

# %%
spectrogram_layer = nn.Linear(M // 2 + 1, D)
entries = {
    "text": embedding(ids),
    "image": patch_layer(patches),
    "sound": spectrogram_layer(spectrum.T.float()),
}
raw = {"text": one_hot, "image": patches, "sound": spectrum.T}
block, output_layer = Block(D, H=2, causal=False), nn.Linear(D, 10)
rows = {}
for name, x in entries.items():
    hidden = block(x[None])  # one and the same layer for all three
    scores = output_layer(hidden.mean(dim=1))
    stages = {"raw": raw[name], "after input layer": x, "hidden": hidden[0], "output": scores[0]}
    rows[name] = {stage: tuple(tensor.shape) for stage, tensor in stages.items()}
plots.table(rows)

# %% [markdown]
# ### Hidden layers, seen through hooks · 用钩子看隐藏层
#
# What happens in between? A *hook* is a function that PyTorch calls whenever a layer has worked. We train a small convolutional network (CNN) on 1,437 handwritten digits (scanned at 8·8 pixels, enlarged to 28·28), some seconds' work, and note what each layer says to one held-out image.
#
# **Predict.** Which pictures will still look like the digit: those of the first layer, or of the last?

# %%
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings

torch.manual_seed(0)
digit_run = ClassifierRun(DigitCNN().to(device), train, settings=ClassifierSettings(lr=3e-3))
for record in digit_run.take(100):
    digit_run.settings.lr = 3e-3 * (1 - record.step / 101)
cnn = digit_run.model.eval()

# %%
activations = {}
for name in ("body.2", "body.5", "body.7", "head.1"):

    def note(_layer, _inputs, out, name=name):
        activations[name] = out.detach().cpu()

    cnn.get_submodule(name).register_forward_hook(note)

with torch.no_grad():
    scores = cnn(test.images.to(device)).cpu()
print({name: tuple(a.shape[1:]) for name, a in activations.items()})

# %%
alt = (
    "From left to right: a handwritten digit; sixteen small pictures with its strokes and edges; "
    "thirty-two coarser ones; bars of 32 features; bars of ten probabilities, one near 1."
)

# %%
first, second, features = (activations[name][which] for name in ("body.2", "body.5", "body.7"))
belief = scores[which].softmax(dim=0)
figure, axes = plt.subplots(1, 5, figsize=(12, 2.6), width_ratios=[1, 1.4, 2.6, 1.4, 1.4])
plots.image_grid(image, columns=1, title="input", ax=axes[0])
pictured = ((axes[1], first, 4, "layer 1: 16 maps"), (axes[2], second, 8, "layer 2: 32 maps"))
for ax, maps, columns, title in pictured:
    plots.image_grid(2 * maps[:, None] / maps.max() - 1, columns, title=title, ax=ax)
axes[3].bar(range(32), features, color=plots.BLUE)
axes[3].set(title="layer 3: features", xlabel="feature", ylabel="activation")
axes[4].bar(range(10), belief, color=plots.ORANGE)
axes[4].set(title="output", xlabel="digit", ylabel="probability", ylim=(0, 1), xticks=range(10))
figure.tight_layout()
plots.show(figure, alt=alt)


# %% [markdown]
# *In the picture:* the first layer's maps are still the digit, its strokes and edges; the second's are coarse; then shape gives way to a code. Does this *transforming* help? A judge that learns next to nothing: name each held-out image by the nearest of ten class means, in pixels and in what each layer says.

# %%
def named_by_mean(a: torch.Tensor, b: torch.Tensor) -> float:
    means = torch.stack([a[train.labels == digit].mean(dim=0) for digit in range(10)])
    return (torch.cdist(b, means).argmin(dim=1) == test.labels).double().mean().item()


said = {"pixels": (train.images.flatten(1), test.images.flatten(1))}
with torch.no_grad():
    cnn(train.images.to(device))
    seen = {name: a.flatten(1) for name, a in activations.items()}
    cnn(test.images.to(device))
for layer, name in (("layer 1", "body.2"), ("layer 2", "body.5"), ("layer 3", "body.7")):
    said[layer] = seen[name], activations[name].flatten(1)
named = {name: named_by_mean(*pair) for name, pair in said.items()}
plots.table({name: {"named right by the nearest mean": share} for name, share in named.items()})
claim("gain of the third layer over the pixels", named["layer 3"] - named["pixels"], low=0.03)

# %% [markdown]
# ### Output · 输出层
#
# The last layer gives **scores**, one for each possible answer; *softmax*, $p_c = e^{s_c}/\sum_j e^{s_j}$, makes them probabilities. A classifier has ten answers. A language model has as many as its vocabulary, at each position, and to *generate* is to draw one, append it, and ask again. Untrained, it knows nothing: of 256 bytes each is about as likely. Then the *entropy*, the average of $-\log p$, is $\log 256$.

# %%
accuracy = (scores.argmax(dim=1) == test.labels).float().mean()
claim("the classifier's accuracy on held-out digits", accuracy, low=0.93)
claim(
    "largest |sum of probabilities − 1|",
    (scores.softmax(dim=1).sum(dim=1) - 1).abs().max(),
    high=1e-5,
)
torch.manual_seed(0)
language_model = GPT(GPTConfig(V=256, T=64, L=2, D=32, H=2))
with torch.no_grad():
    distribution = language_model(ids[None])[0, -1].softmax(dim=0)
entropy = torch.special.entr(distribution).sum()
claim("untrained: entropy of the next byte over log 256", entropy / math.log(256), 0.99, 1)

# %% [markdown]
# ## 2.3 Architectures · 大模型的架构
#
# The article names three kinds of networks. Each turns a sequence of vectors $x_1 \dots x_T$ into features $h_1 \dots h_T$; they differ in who may look at whom. $W$, $W_j$ and $U$ are matrices of weights, $b$ is a vector of biases.

# %% [markdown]
# - **Convolutional** (CNN): $h_t = \operatorname{ReLU}(b + \sum_j W_j x_{t+j})$, with $j$ from $-2$ to $2$: near neighbours, the same weights everywhere. $\operatorname{ReLU}(s) = \max(s, 0)$.
# - **Recurrent** (RNN): $h_t = \tanh(W x_t + U h_{t-1} + b)$: the past, through one state.

# %% [markdown]
# - **Transformer** *encoder*: $h_t$ is $x_t$ plus an average of all $x_s$, each through a matrix, weighted by how well they match (*attention*, section 4.3); then an MLP. An average knows no order, so each $x_t$ first gets a code of its place $t$ added (Vaswani et al. 2017).

# %% [markdown]
# The first two in a loop that anyone can read, against the library's and PyTorch's own:

# %%
from torch.testing import assert_close

from bigmodel_lib.models import conv1d, rnn

torch.manual_seed(0)
x = torch.randn(2, 11, 5)  # (B, T, I): two sequences, 11 steps, 5 numbers each
ours, theirs = conv1d.Conv1d(5, 7, k=3), nn.Conv1d(5, 7, 3, padding=1)
ours.load_state_dict(theirs.state_dict())
padded, looped = nn.functional.pad(x, (0, 0, 1, 1)), torch.zeros(2, 11, 7)
for t in range(11):
    for j in range(3):
        looped[:, t] += padded[:, t + j] @ theirs.weight[:, :, j].T
    looped[:, t] += theirs.bias
assert_close(looped, ours(x))
claim("convolution: ours, less torch's", (ours(x) - theirs(x.mT).mT).abs().max(), high=1e-5)

# %%
ours, theirs = rnn.RNN(5, 7), nn.RNN(5, 7, batch_first=True)
ours.load_state_dict(theirs.state_dict())
W, U, b = theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0 + theirs.bias_hh_l0
h, looped = torch.zeros(2, 7), []
for t in range(11):
    h = torch.tanh(x[:, t] @ W.T + h @ U.T + b)
    looped.append(h)
assert_close(torch.stack(looped, dim=1), ours(x)[0])
claim("recurrence: ours, less torch's", (ours(x)[0] - theirs(x)[0]).abs().max(), high=1e-5)

# %% [markdown]
# Two refinements of the recurrence add **gates**, numbers between 0 and 1 that say how much of the state to keep and how much to write. Each gate is $\sigma(W x_t + U h_{t-1} + b)$ with weights of its own, $\sigma(s) = 1/(1+e^{-s})$; the *news* are the same with $\tanh$ for $\sigma$. $\odot$ is the product entry by entry.

# %% [markdown]
# - **LSTM**: a *cell* $c_t = f \odot c_{t-1} + i \odot g$ beside the state $h_t = o \odot \tanh(c_t)$; gates $f, i, o$, news $g$ (Hochreiter & Schmidhuber 1997; $f$: Gers et al. 2000).
# - **GRU**: $h_t = (1 - z) \odot n + z \odot h_{t-1}$; gate $z$, news $n$; a second gate $r$ says how much of $h_{t-1}$ the news may use (Cho et al. 2014).

# %%
for kind, ours, theirs in (
    ("LSTM", rnn.LSTM(5, 7), nn.LSTM(5, 7, batch_first=True)),
    ("GRU", rnn.GRU(5, 7), nn.GRU(5, 7, batch_first=True)),
):
    ours.load_state_dict(theirs.state_dict())
    claim(f"{kind}: ours, less torch's", (ours(x)[0] - theirs(x)[0]).abs().max(), high=1e-5)

# %%
ours = Block(14, H=2, causal=False)
# norm first and GELU, as in GPT-2; Vaswani et al. 2017 have ReLU, and the norm last
theirs = nn.TransformerEncoderLayer(14, 2, 56, 0.0, "gelu", batch_first=True, norm_first=True)
names = {"self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj.": "attention.out."}
names |= {"linear1.": "mlp.wide.", "linear2.": "mlp.out."}
names |= {"norm1.": "norm_attention.", "norm2.": "norm_mlp."}
weights = ours.state_dict()
theirs.load_state_dict(
    {f"{t}{end}": weights[f"{o}{end}"] for t, o in names.items() for end in ("weight", "bias")}
)
x = torch.randn(2, 11, 14)
claim("Transformer block: ours, less torch's", (ours(x) - theirs(x)).abs().max(), high=1e-5)

# %% [markdown]
# ### One task for all · 同一个任务
#
# Read a digit like text: a sequence of 28 rows of 28 pixels, top to bottom. Five classifiers with equally many parameters (a helper finds the width for each) differ in the network in the middle and in how its features become one answer: the recurrent ones take their last state; the CNN's features are pooled by their maximum over all positions, the Transformer's by their mean.

# %%
POOLING = {"CNN": "max", "Transformer": "mean"}


MEAN, STD = train.images.mean(), train.images.std()


class Rows(nn.Module):
    """Images (B, 1, 28, 28) to rows (B, 28, 28), standardised."""

    def forward(self, images):
        return (images.squeeze(1) - MEAN) / STD


# %%
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from bigmodel_lib.models.sequence import ARCHITECTURES, make_classifier


def make_reader(name: str, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    net = make_classifier(name, I=28, C=10, N=8200, readout=POOLING.get(name, "last"))
    return nn.Sequential(Rows(), net).to(device)


sizes = {name: count(make_reader(name, 0)) for name in ARCHITECTURES}
print(sizes)
claim("largest size over smallest", max(sizes.values()) / min(sizes.values()), 1, 1.02)

# %% [markdown]
# **Predict.** Same data, same number of steps, same size: rank the five by accuracy on held-out digits. Then place two old methods that read all 784 pixels at once: *logistic regression*, one layer without any hidden one, and the vote of the three *nearest neighbours*.
#
# The learning rates are those at which each one's training loss fell fastest in a short search over three values. Three seeds decide first weights and batches.

# %%
STEPS = 46
RATES = {"CNN": 0.01, "RNN": 0.005, "GRU": 0.02, "LSTM": 0.02, "Transformer": 0.01}


def train_reader(name: str, seed: int) -> nn.Sequential:
    run = ClassifierRun(make_reader(name, seed), train, seed=seed, keep_every=STEPS)
    for record in run.take(STEPS):
        run.settings.lr = RATES[name] * min(1, 2 * (1 - record.step / (STEPS + 1)))
    return run.model


# %%
@torch.no_grad()
def accuracy_of(model: nn.Module) -> float:
    right = model(test.images.to(device)).argmax(dim=1).cpu() == test.labels
    return right.double().mean().item()


readers = {name: [train_reader(name, seed) for seed in range(3)] for name in ARCHITECTURES}
accuracies = {name: [accuracy_of(model) for model in models] for name, models in readers.items()}

# %%
flat = {name: part.images.flatten(1).numpy() for name, part in (("train", train), ("test", test))}
old = {
    "logistic regression": LogisticRegression(C=0.01, max_iter=100),
    "3 nearest neighbours": KNeighborsClassifier(3),
}
baselines = {
    name: model.fit(flat["train"], train.labels).score(flat["test"], test.labels)
    for name, model in old.items()
}

# %%
rows = {}
for name, found in {**accuracies, **{n: [one] for n, one in baselines.items()}}.items():
    rows[name] = {
        "mean accuracy": torch.tensor(found).mean().item(),
        "standard deviation": torch.tensor(found).std().item() if len(found) > 1 else "–",
        "least": min(found),
        "most": max(found),
    }
plots.table(rows)

# %%
figure, ax = plt.subplots(figsize=(8, 3))
for place, found in enumerate(accuracies.values()):
    ax.plot([place] * 3, found, "o", color=plots.BLUE, alpha=0.7)
    ax.plot([place - 0.2, place + 0.2], [sum(found) / 3] * 2, color=plots.BLUE)
for (name, found), style in zip(baselines.items(), ("--", ":"), strict=True):
    ax.axhline(found, color=plots.ORANGE, ls=style, label=name)
ax.set(ylabel="accuracy, held-out digits", ylim=(0.5, 1), xticks=range(5), xticklabels=accuracies)
ax.legend(frameon=False, loc="lower right")
alt = (
    "Accuracy of five networks, three dots each: the RNN far below the rest; two dashed lines for "
    "logistic regression and nearest neighbours lie above all of them."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* a dot for each seed, a bar for their mean. After two passes over 1,437 examples the plain RNN has learned by far the least; gates mend most of that. Between CNN, GRU and Transformer three seeds do not decide. The old methods beat all five. Not that networks are bad: the CNN of section 2.2 does better. It slides in *both* directions of the image; but it is nearly eight times as large, too, so this alone does not say why.

# %%
mean = {name: sum(found) / 3 for name, found in accuracies.items()}
others = [name for name in ARCHITECTURES if name != "RNN"]
claim(
    "lead of the worst other network over the RNN",
    min(mean[n] for n in others) - mean["RNN"],
    low=0.04,
)
claim("lead of the GRU over the RNN", mean["GRU"] - mean["RNN"], low=0.08)
best = max(mean.values())
claim("logistic regression less the best", baselines["logistic regression"] - best, low=0)
claim("nearest neighbours", baselines["3 nearest neighbours"], low=0.96)
claim("CNN of section 2.2: parameters over those of a reader", count(cnn) / 8200, 7, 8)
claim("CNN of section 2.2 less the best", accuracy.item() - best, low=0)

# %% [markdown]
# ### Speed · 速度
#
# Recurrence must go step by step; the others treat all steps at once. **Predict:** who is fastest at 32 steps, and at 256? The figures depend on the machine, so they are not saved.

# %%
import time


# %% tags=["machine"]
def milliseconds(name: str, T: int) -> float:
    net, x = make_classifier(name, 28, 10, 8200).to(device), torch.randn(8, T, 28, device=device)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        net(x).sum().backward()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)  # the first round also sets up memory


# %% tags=["machine"]
plots.table(
    {name: {f"T = {T}, ms": milliseconds(name, T) for T in (32, 256)} for name in ARCHITECTURES}
)

# %% [markdown]
# One forward and backward pass of 8 sequences. Expect the CNN to be fastest; its time grows as $T$, like that of the recurrent ones, which pay for every step's start. The Transformer's grows as $T^2$ in the end: every position looks at every other.

# %% [markdown]
# ### How far does a gradient reach? · 梯度能传多远
#
# To learn that row 1 matters, a network must feel it: the gradient from the answer back to that row. Its size is the norm of the *Jacobian*, all derivatives of the output's entries with respect to the row's. We take the features at the **last** position, before any pooling, and average over held-out digits.
#
# **Predict** how it falls with distance in each of the five.

# %%
from bigmodel_lib.models.sequence import gradient_reach

rows_of = Rows()(test.images[:16])


def reach_of(net, output) -> torch.Tensor:
    return gradient_reach(lambda x: output(net, x), rows_of.to(device)).flip(0).cpu()


def last_feature(net, x):
    return net.features(x)[:, -1]


def class_scores(net, x):
    return net(x)


# %%
fresh = {name: make_reader(name, 0)[1] for name in ARCHITECTURES}
learned = {name: models[0][1] for name, models in readers.items()}
panels = {
    "features at the last position, untrained": (fresh, last_feature),
    "features at the last position, trained": (learned, last_feature),
    "class scores, trained": (learned, class_scores),
}
reaches = {
    title: {name: reach_of(net, output) for name, net in nets.items()}
    for title, (nets, output) in panels.items()
}

# %%
alt = (
    "Gradient norm against distance, logarithmic, three panels. At the last position the CNN's "
    "line ends at distance 6; RNN, LSTM and GRU fall in steep straight lines before training and "
    "less steeply after; the Transformer's is nearly level. For class scores the CNN, too, reaches "
    "every row."
)

# %%
five = (plots.GREEN, plots.GREY, plots.ORANGE, plots.PURPLE, plots.BLUE)
COLOURS = dict(zip(ARCHITECTURES, five, strict=True))
figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
for ax, (title, by_name) in zip(axes, reaches.items(), strict=True):
    for name, reach in by_name.items():
        share = torch.where(reach > 0, reach / reach.max(), torch.nan)
        ax.semilogy(share, color=COLOURS[name], label=name, lw=1.6)
    ax.set(title=title, xlabel="distance from the last row, rows", ylim=(1e-8, 2))
    ax.title.set_fontsize(10)
axes[0].set_ylabel("gradient norm, of its largest")
axes[0].legend(frameon=False, loc="lower left", fontsize=8)
figure.tight_layout()
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* left, before training. The CNN's line stops: beyond 3 layers of 2 steps each, its gradient is exactly zero. In the RNN each step back multiplies by $U^\top$ and a slope of $\tanh$: over 27 rows the gradient shrinks more than a million-fold (*vanishing gradient*; Bengio et al. 1994). Gates slow the decay. Attention knows none: beyond the position's own row, which is added unweighted, its line is level.

# %% [markdown]
# Middle: training raised the far rows. Right: pooling hands the CNN every row, though each feature sees 13 at most.

# %%
at_first, at_last, scores = reaches.values()
claim("CNN: gradient of the last position beyond distance 6", at_first["CNN"][7:].max(), 0, 0)
ranges = {"RNN": (0.45, 0.65), "GRU": (0.62, 0.85), "LSTM": (0.62, 0.85)}
for name, bounds in (ranges | {"Transformer": (0.95, 1.1)}).items():
    factor = (at_first[name][27] / at_first[name][7]) ** (1 / 20)
    claim(f"{name}, untrained: factor a step, from distance 7 to 27", factor, *bounds)
before, after = (reach["RNN"][27] / reach["RNN"].max() for reach in (at_first, at_last))
claim("RNN, untrained: gradient at distance 27 over the largest", before, high=1e-6)
claim("RNN: how much training raised that", after / before, low=1000)
least = scores["CNN"].min() / scores["CNN"].max()
claim("CNN, class scores: least gradient of a row over the largest", least, low=0.05)

# %% [markdown]
# ### Who can remember how far? · 谁能记多远
#
# A gradient that arrives is not yet a memory. A task whose distance we control: 18 steps show one of four symbols each, at random; one step carries a **mark**. Name the marked symbol at the end; chance is 1/4 (after the long time lags of Hochreiter & Schmidhuber 1997). Again equal sizes; all answer from the last position, and train on all distances alike.
#
# **Predict** each one's accuracy against the distance from the mark to the end.

# %%
T_RECALL, V_RECALL = 18, 4
RECIPES = {  # steps, sequences a step, learning rate
    "CNN": (150, 192, 0.01),
    "CNN, pooled": (100, 64, 0.01),
    "RNN": (200, 52, 0.005),
    "GRU": (100, 48, 0.02),
    "LSTM": (140, 48, 0.02),
    "Transformer": (80, 48, 0.01),
}

# %% [markdown]
# An LSTM that starts with open forget gates learns to remember much sooner (Gers et al. 2000; Jozefowicz et al. 2015), so ours does. The RNN and the CNN see more sequences than the others: if they fail, it is not for want of examples. The sixth answer comes from the CNN with its features pooled over all positions.

# %%
from bigmodel_lib.data.recall import recall_sequences
from bigmodel_lib.training.classifier import StreamRun


def draw(count: int):
    distances = torch.randint(T_RECALL, (count,))
    x, symbol = recall_sequences(distances, T_RECALL, V_RECALL)
    return x.to(device), symbol.to(device)


# %%
def recaller(name: str) -> nn.Module:
    kind, readout = name.split(",")[0], "max" if "pooled" in name else "last"
    net = make_classifier(kind, V_RECALL + 1, V_RECALL, 3480, readout).to(device)
    if kind == "LSTM":
        with torch.no_grad():  # forget gates begin open: σ(1) = 0.73 rather than 0.5
            net.body.bias_ih_l0[net.body.F : 2 * net.body.F] += 1
    return net


# %%
def train_recall(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = recaller(name)
    steps, batch, rate = RECIPES[name]
    settings = ClassifierSettings(lr=rate, batch_size=batch)
    run = StreamRun(net, draw, settings=settings, seed=seed, keep_every=steps)
    for record in run.take(steps):
        run.settings.lr = rate * min(1, 2 * (1 - record.step / (steps + 1)))
    return net


# %%
recallers = {name: [train_recall(name, seed) for seed in range(2)] for name in RECIPES}
asked = torch.arange(T_RECALL).repeat_interleave(200)
x, answer = recall_sequences(asked, T_RECALL, V_RECALL, torch.Generator().manual_seed(1))


@torch.no_grad()
def recall_of(net: nn.Module) -> torch.Tensor:
    right = net(x.to(device)).argmax(dim=1).cpu() == answer
    return right.double().view(T_RECALL, 200).mean(dim=1)  # by distance


recall = {n: torch.stack([recall_of(net) for net in nets]) for n, nets in recallers.items()}

# %%
alt = (
    "Accuracy against distance. GRU, LSTM, Transformer and the pooled CNN stay near 1 throughout; "
    "the CNN is near 1 up to distance 6 and at chance beyond; the RNN is poor from the start and "
    "soon near chance."
)

# %%
figure, ax = plt.subplots(figsize=(8, 3.2))
for name, found in recall.items():
    colour, style = COLOURS[name.split(",")[0]], "--" if "pooled" in name else "-"
    width = {"GRU": 9, "LSTM": 6, "Transformer": 3}.get(name, 1.6)  # they lie on one another
    ax.plot(found.mean(dim=0), style, color=colour, label=name, lw=width, zorder=2 - width / 10)
    for one in found:
        ax.plot(one, ".", color=colour, ms=4)
ax.axhline(1 / V_RECALL, color=plots.GREY, ls=":", label="chance")
ax.set(xlabel="distance from the mark to the end, steps", ylabel="accuracy", ylim=(0.1, 1.05))
ax.set_xticks(range(0, T_RECALL, 2))
ax.legend(frameon=False, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* means of two seeds (dots: each). The CNN knows all that it can see, and nothing beyond: its limit is built in. The RNN's is not: it sees everything, and has learned little in 200 steps, even of near marks. (More steps or another start can help: Le et al. 2015.) Gates keep the symbol at every distance, and so does attention, here in 80 steps. And pooling rescues the CNN *here*, where a thing has to be found wherever it is.

# %%
by_name = {name: found.mean(dim=0) for name, found in recall.items()}
claim("CNN: mean accuracy up to distance 6", by_name["CNN"][:7].mean(), low=0.9)
claim("CNN: mean accuracy beyond (chance: 0.25)", by_name["CNN"][7:].mean(), 0.22, 0.28)
claim("RNN: mean accuracy from distance 7 on", by_name["RNN"][7:].mean(), high=0.4)
for name in ("GRU", "LSTM", "Transformer"):
    claim(f"{name}: mean accuracy from distance 7 on", by_name[name][7:].mean(), low=0.9)
claim("CNN, pooled: mean accuracy from distance 7 on", by_name["CNN, pooled"][7:].mean(), low=0.8)

# %% [markdown]
# What each one's strength is, then, as measured here:

# %% [markdown]
# | | sees | strength | limit |
# |---|---|---|---|
# | CNN | near neighbours | fastest; finds a pattern wherever it is | blind beyond its window |
# | RNN | all the past, fading | small state, any length | slow to learn what lies far back |
# | GRU, LSTM | all the past, gated | keep what matters | one step after the other |
# | Transformer | everything at once | any distance, all positions in parallel | cost grows as $T^2$ |

# %% [markdown]
# Any distance, and all positions in parallel: that is why large language models are Transformers, and pay the price in the last column.

# %% [markdown]
# ### Two families? · 两大类？
#
# The article sorts architectures into *networks* (CNN, RNN, Transformer) and *generative models* (GAN, VAE), and draws this graph:
#
# ```mermaid
# graph LR
#     A[input] --> B[hidden 1] --> C[hidden 2] --> D[hidden 3] --> E[hidden 4] --> F[output]
#     G[generative model] --> H[generator] --> I[discriminator] --> J[output]
# ```
#
# > **Erratum 1: the graph.** The two families meet nowhere. What enters the generator is a heading, where it should be *noise*. The discriminator sees no real data, so it has nothing to compare with, and its score is not the product: the generated image is. A VAE has no discriminator, so the lower row leaves it out.

# %% [markdown]
# Corrected. Arrows carry data; round boxes are what training asks, and so what sets the rows apart; dotted lines lead to the five boxes that are networks, of any kind:
#
# ```mermaid
# graph LR
#     net[["any network: dense, CNN, RNN, Transformer"]]
#     x1[data x] --> N[classifier] --> s1[class scores] --> L1([right label?])
#     z2[noise z] --> G[generator] --> f2[made-up data] --> D[discriminator] --> L2([real or made up?])
#     x2[real data x] --> D
#     x3[real data x] --> E[encoder] --> q3[mean, width] --> z3[code z] --> P[decoder] --> r3[data rebuilt] --> L3([rebuilt well? code near noise?])
#     e3[noise] --> z3
#     net -.- N & G & D & E & P
# ```
#
# The first row is a classifier. The second is a GAN (*generative adversarial network*; Goodfellow et al. 2014): the discriminator $D$ is to answer right, the generator is to make it answer wrong. The third is a VAE, explained below.

# %% [markdown]
# > **Erratum 2: the families.** GANs and VAEs *are* networks. "CNN, RNN, Transformer" says how a network is wired; "GAN, VAE, classifier" says what it is trained for, and so which networks work together. How each of those is wired is another question: the split is by training objective, not by architecture.

# %% [markdown]
# Shown by running it: **one and the same module**, the generator of the article's section 5.2 (noise → 128 → 784, here with $Z = 16$ noise numbers), is copied twice with equal first weights. One copy is trained as the generator of a GAN, the other as the decoder of a VAE. Of the VAE we show the mean image; it ends in $2\sigma(s) - 1 = \tanh(s/2)$, so nearly as the GAN's $\tanh(s)$.
#
# **Predict:** how will their images differ?

# %%
import copy

from bigmodel_lib.device import by_device
from bigmodel_lib.models.gan import MLPDiscriminator, MLPGenerator
from bigmodel_lib.models.vae import VAE
from bigmodel_lib.training import GANRun, GANSettings
from bigmodel_lib.training.vae import VAERun

Z = 16
torch.manual_seed(0)
body = nn.Sequential(MLPGenerator(Z).layers[:-1], nn.Unflatten(1, (1, 28, 28)))  # without tanh
generator = nn.Sequential(copy.deepcopy(body), nn.Tanh()).to(device)
shared = VAE(Z)  # its decoder is replaced, and its encoder by one as small
shared.decoder = copy.deepcopy(body)
shared.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 2 * Z))
shared.to(device)
pairs = zip(generator[0].parameters(), shared.decoder.parameters(), strict=True)
claim("first weights: largest difference", max((p - q).abs().max() for p, q in pairs), 0, 0)
same = [str(module) for module in (generator[0], shared.decoder)]
claim("the same layers", same[0] == same[1], 1, 1)

# %%
adversarial = GANRun(
    generator,
    MLPDiscriminator().to(device),
    train,
    Z=Z,
    settings=GANSettings(d_lr=1e-3, g_lr=1e-3),
    keep_every=1000,
)
list(adversarial.take(by_device(cpu=450, gpu=4000)))
variational = VAERun(shared, train, keep_every=1000)
list(variational.take(by_device(cpu=170, gpu=2000)))
z = torch.randn(500, Z, generator=torch.Generator().manual_seed(1)).to(device)
with torch.no_grad():
    drawn = {"real": test.images, "as GAN": generator(z).cpu(), "as VAE": shared.generate(z).cpu()}

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 2.2))
for ax, (title, images) in zip(axes, drawn.items(), strict=True):
    plots.image_grid(images[:24], columns=8, title=title, ax=ax)
alt = (
    "Real digits; speckled, hard digit-like shapes from the module trained as GAN; smooth, blurred "
    "ones from the same module trained as VAE."
)
plots.show(figure, alt=alt)
roughness = {n: images.diff(dim=3).abs().mean().item() for n, images in drawn.items()}
print(
    "mean step from a pixel to its right neighbour:", {n: round(r, 3) for n, r in roughness.items()}
)

# %% [markdown]
# *In the picture:* speckle against blur, from one module. The VAE is punished for each wrong pixel, so where it does not know it answers the average. The GAN is punished for what looks made-up, and an average does; its speckle is what this discriminator has not yet learned to see. The style belongs to the objective.

# %%
claim("roughness: trained as GAN over as VAE", roughness["as GAN"] / roughness["as VAE"], low=1.25)
claim("roughness: as VAE over real", roughness["as VAE"] / roughness["real"], high=0.95)
pairs = zip(generator[0].parameters(), shared.decoder.parameters(), strict=True)
apart = [(p - q).norm() / p.norm() for p, q in pairs]
claim("weights now: mean difference over size", sum(apart) / len(apart), low=0.3)

# %% [markdown]
# And the other way round: any wiring can serve in a GAN. Each of our five sequence readers, with one score instead of ten, plays the discriminator for two steps: gradients flow through every one of them to the generator.

# %%
for name in ARCHITECTURES:
    torch.manual_seed(0)
    reader = make_classifier(name, I=28, C=1, N=8000, readout=POOLING.get(name, "last"))
    run = GANRun(MLPGenerator(Z).to(device), nn.Sequential(Rows(), reader).to(device), train, Z=Z)
    norms = [record["g_grad"] for record in run.take(2)]
    claim(f"{name} as discriminator: gradient that reaches the generator", min(norms), low=1e-6)

# %% [markdown]
# ### The variational autoencoder · 变分自编码器
#
# An *autoencoder* squeezes an image $x$ into a few numbers, its *code* $z$, and rebuilds the image from them. The *variational* one (VAE; Kingma & Welling 2013) blurs each code: the *encoder* names not a point but a small cloud, and the *decoder* must rebuild $x$ from any point of it. A second demand keeps all the clouds near one standard cloud. So a random point of that cloud decodes to something like an image, and the VAE can invent.

# %% [markdown]
# Training maximises the *evidence lower bound* (ELBO), that is, it minimises
#
# $$\text{loss}(x) = \underbrace{-\mathbb{E}_{z\sim q(z|x)}\log p(x|z)}_{\text{reconstruction}} + \beta\,\underbrace{\mathrm{KL}\bigl(q(z|x)\,\|\,\mathcal N(0, I)\bigr)}_{\text{how much the code tells}}$$
#
# - $q(z|x)$: the encoder's cloud, normal with mean $\mu$ and width $\sigma$ in each of $Z$ coordinates;
# - $p(x|z)$: the decoder's belief about the pixels;
# - $\mathcal N(0, I)$: the standard cloud;
# - $\mathbb E$: average; KL: how far the first cloud is from the second (not the same the other way round), in nats (1 nat = 1.44 bits);
# - $\beta$: 1 for the ELBO; other values make a β-VAE (Higgins et al. 2017).

# %% [markdown]
# With $\beta = 1$, $-\text{loss}$ is never more than $\log p(x)$, how likely the model finds $x$: hence the name. Between two normal clouds KL has a closed form (Kingma & Welling, appendix B):
#
# $$\mathrm{KL} = \tfrac12\sum_{i=1}^{Z}\bigl(\mu_i^2 + \sigma_i^2 - \log\sigma_i^2 - 1\bigr)$$
#
# Is it the average of $\log q(z) - \log p(z)$ over many draws, as KL is defined?

# %%
from torch.distributions import Normal, kl_divergence

from bigmodel_lib.models.vae import elbo, kl_to_standard_normal, least_reconstruction
from bigmodel_lib.training.vae import VAESettings

torch.manual_seed(0)
mu, log_variance = torch.tensor([[0.5, -1.0]]), torch.tensor([[-1.0, 0.5]])
closed = kl_to_standard_normal(mu, log_variance)[0]
q, p = Normal(mu, (log_variance / 2).exp()), Normal(torch.zeros(1, 2), 1.0)
z = q.sample((100_000,))
sampled = (q.log_prob(z) - p.log_prob(z)).sum(dim=-1).mean()
print(f"closed form {closed:.4f} nats, mean of 100,000 draws {sampled:.4f} nats")
claim("closed form over the mean of the draws", closed / sampled, 0.97, 1.03)
difference = closed - kl_divergence(q, p).sum()
claim("difference to torch.distributions, nats", difference.abs(), high=1e-5)


# %% [markdown]
# One step: encode a batch, draw a code from each cloud as $z = \mu + \sigma\varepsilon$ with $\varepsilon\sim\mathcal N(0, I)$, decode, descend. Written so, $z$ has a gradient with respect to $\mu$ and $\sigma$; that is the *reparameterisation trick*. The library's `elbo` and `VAERun` do just this. Our code has only $Z = 2$ numbers, so that it can be drawn.

# %%
def train_vae(beta: float, steps: int, seed: int = 0) -> VAERun:
    torch.manual_seed(seed)
    settings = VAESettings(lr=1e-2, beta=beta, batch_size=32)
    run = VAERun(VAE(Z=2, C=8).to(device), train, settings=settings, seed=seed)
    list(run.take(steps))
    return run


SHORT, LONG = by_device(cpu=(120, 300), gpu=(1000, 4000))
run = train_vae(beta=1.0, steps=SHORT)
early = copy.deepcopy(run.model)  # for a comparison further down
list(run.take(LONG - SHORT))
vae = run.model


# %% [markdown]
# Is a loss of so many nats good? Two yardsticks, both on images that training never saw. **Without any code**, the best is to show everyone the mean image. And the grey pixels leave a rest that **no** model can undercut: at a pixel of grey value $y$, from 0 to 1, the loss is at least $-y\log y - (1-y)\log(1-y)$. (So on grey images these figures compare only with each other; a probability they are for black and white.)

# %% [markdown]
# **Predict:** where between the two do two numbers per image lead?

# %%
@torch.no_grad()
def held_out(model: VAE) -> dict[str, float]:
    torch.manual_seed(0)
    images = test.images.to(device)
    terms = elbo(images, *model(images))  # β = 1: bounds of all models are compared
    return {f"{name}, nats": value.mean().item() for name, value in terms._asdict().items()}


# %%
mean_image = ((train.images + 1) / 2).mean(dim=0).clamp(1e-6, 1 - 1e-6).logit()
nothing = torch.zeros(len(test), 2)  # the standard cloud for every image
no_code = elbo(test.images, mean_image.expand_as(test.images), nothing, nothing).loss
losses = {
    "mean image, no code": no_code.mean().item(),
    "VAE": held_out(vae)["loss, nats"],
    "least possible": least_reconstruction(test.images).mean().item(),
}
plots.table({name: {"loss, nats an image": loss} for name, loss in losses.items()})

# %%
mean, ours, least = losses.values()
claim("what two numbers save on held-out images, nats an image", mean - ours, 20, 60)
share = (mean - ours) / (mean - least)
claim("share of the way from the mean image to the least possible", share, 0.2, 0.6)
claim("what the code itself costs, nats an image", held_out(vae)["kl, nats"], 3, 8)

# %% [markdown]
# *In the picture:* held-out digits above their reconstructions, and at the right what random codes decode to. Two numbers keep which digit it is, more or less, and lose the handwriting. The blur is no accident: where the decoder cannot know a pixel, its safest answer is the average.

# %%
with torch.no_grad():
    rebuilt = vae.generate(vae.encode(test.images[:20].to(device))[0]).cpu()
    drawn = vae.generate(
        torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).to(device)
    ).cpu()
pairs = torch.cat([test.images[:10], rebuilt[:10], test.images[10:20], rebuilt[10:]])
figure, axes = plt.subplots(1, 2, figsize=(10, 2.3))
plots.image_grid(pairs, columns=10, title="held out, and rebuilt below", ax=axes[0])
plots.image_grid(drawn, columns=10, title="from random codes", ax=axes[1])
alt = (
    "Left: twenty digits, each above a blurred version of itself, some of the wrong digit. "
    "Right: forty blurred digit-like shapes."
)
plots.show(figure, alt=alt)

# %% [markdown]
# ### The plane of codes · 编码平面
#
# The encoder was never told which digit an image shows. *In the picture:* at the left each held-out image stands at its mean code, printed as its digit; equal digits lie together. At the right, what each place of the same square decodes to: one digit bends into its neighbour.

# %%
with torch.no_grad():
    code_train, code_test = (vae.encode(s.images.to(device))[0].cpu() for s in (train, test))
    ticks = torch.linspace(-3, 3, 11)
    places = torch.cartesian_prod(ticks.flip(0), ticks).flip(1)  # rows from the top
    sheet = vae.generate(places.to(device)).cpu()

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8))
for digit in range(10):
    here = code_test[test.labels == digit]
    axes[0].plot(*here.T, ls="none", marker=f"${digit}$", ms=6, mew=0.3)
axes[0].set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-3.2, 3.2), ylim=(-3.2, 3.2))
axes[0].set_title("where held-out images are")
plots.image_grid(sheet, columns=11, title="what each place decodes to", ax=axes[1])
figure.tight_layout()
alt = (
    "Left: digits as coloured numerals in a plane, most kinds in a cluster of their own. Right: "
    "a grid of images that change smoothly from one digit to the next."
)
plots.show(figure, alt=alt)

# %% [markdown]
# How good is this plane? Let a held-out image be named by a vote of the ten training images whose codes are nearest. The rival for two numbers is *principal component analysis* (PCA): the two directions in which the images vary most, the **linear** code with the least squared error.

# %%
from sklearn.decomposition import PCA


def named_right(code_train: torch.Tensor, code_test: torch.Tensor) -> float:
    vote = KNeighborsClassifier(10).fit(code_train, train.labels)
    return vote.score(code_test, test.labels)


flat_train, flat_test = train.images.flatten(1), test.images.flatten(1)
pca = PCA(2).fit(flat_train)
linear = named_right(pca.transform(flat_train), pca.transform(flat_test))
curved = named_right(code_train, code_test)
print(f"named right from two numbers: VAE {curved:.3f}, PCA {linear:.3f}, chance 0.100")
claim("VAE's advantage over PCA, share of held-out digits", curved - linear, 0.05, 0.35)

# %% [markdown]
# ### Turn β · 调节 β
#
# β is the price of a nat in the code. **Predict:** with β = 0.1, and with β = 10 and 100, what happens to the reconstruction, to KL, and to the plane? All get equal steps.

# %%
by_beta = {0.1: train_vae(0.1, SHORT).model, 1.0: early} | {
    beta: train_vae(beta, SHORT).model for beta in (10.0, 100.0)
}
rows = {}
for beta, model in by_beta.items():
    with torch.no_grad():
        code = [model.encode(s.images.to(device))[0].cpu() for s in (train, test)]
    rows[f"β = {beta:g}"] = held_out(model) | {"named right": named_right(*code)}
plots.table(rows)

# %%
kl = {beta: rows[f"β = {beta:g}"]["kl, nats"] for beta in by_beta}
claim("KL at β = 0.1, nats an image", kl[0.1], low=4)
claim("KL at β = 10 over KL at β = 1", kl[10.0] / kl[1.0], high=0.5)
claim("KL at β = 100, nats an image: the code says nothing", kl[100.0], high=0.05)
claim("named right at β = 100", rows["β = 100"]["named right"], high=0.25)
worse = rows["β = 100"]["reconstruction, nats"] - rows["β = 0.1"]["reconstruction, nats"]
claim("reconstruction lost between β = 0.1 and 100, nats an image", worse, low=15)

# %% [markdown]
# At β = 100, and after few steps nearly so at 10, the encoder falls silent (*posterior collapse*): any word costs more than it earns, every image gets the standard cloud, and the decoder shows everyone nearly the same mean image. At β = 0.1 words are cheap and the encoder is wordy; whether that rebuilds better than β = 1 after so few steps, the table says.

# %% [markdown]
# ### Walk the plane yourself · 在编码平面上漫步
#
# The lab trains live; ↻ restarts, all else acts on the next step and leaves a mark on the curves. **Try, and predict first:**

# %% [markdown]
# 1. *Play* for some seconds, *Pause*, and walk with the two *walk* sliders: through which digits does the way from a 0 to a 1 lead?
# 2. Set β to 100 and *Play*. Then back to 1: does the code speak again?
# 3. Choose $Z = 16$ and *Play*. How many coordinates are used? *Plane that says most* turns the plane to the two busiest.
#
# *Pause* before you go on.

# %%
from bigmodel_lib.widgets import VAELab

lab = VAELab(x=-1.5, y=-1.5)
lab.run(steps=60)  # a first stretch, so that there is something to see
lab

# %% [markdown]
# *In the picture:* at the left, reconstructions and inventions; in the middle both parts of the loss (dashed: the least possible), how much each coordinate tells, and the digit at your place; at the right the plane of codes, and what it decodes to. The cross and the square are your place.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 2. KL falls towards 0, the plane shrinks to a point, and all images become one. Back at 1 the code may wake soon, or stay silent for hundreds of steps, by the luck of the seed: to a decoder that has stopped listening, speaking earns nothing.
# 3. The more coordinates, the sharper the reconstruction; each of them tells less.
#
# </details>

# %% [markdown]
# ## Summary · 小结
#
# - The size of a GPT follows from five numbers, exactly; building it on the meta device proves the formula. *Large* is a matter of degree.
# - Text, images and sound enter as sequences of vectors; one hidden layer serves all three; the output is a distribution.

# %% [markdown]
# - Networks of equal size differ in what they are wired to see: near (CNN), the past (RNN and its gated kin), everything (Transformer); and in how easily they learn from afar.
# - GAN and VAE are not architectures but objectives: one module, two trainings, two styles.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Leave the biases out of GPT's matrices. Derive the new $N$; how many per cent does GPT-3 175B lose?
# 2. Replace the Hann window by a rectangular one (`torch.ones`). What happens around the chord's peaks, and why?
# 3. Give the CNN two more layers. At which distance does it now fall to chance? Predict, then run.

# %% [markdown]
# 4. Train the recall task without opening the LSTM's forget gates. How many steps more does it need?
# 5. Shuffle the 28 rows of all images by one fixed order. Which of the five readers gets worse, which should not care?
# 6. Train the module of *Two families?* a third way: as a regression from a one-hot label to the mean image of that digit. What style does it have?

# %% [markdown]
# ## Sources · 参考文献
#
# - Radford et al. 2019, *Language Models are Unsupervised Multitask Learners* (GPT-2); Brown et al. 2020, *Language Models are Few-Shot Learners* (GPT-3), [arXiv:2005.14165](https://arxiv.org/abs/2005.14165): tables 2.1 and D.1
# - Kaplan et al. 2020, *Scaling Laws for Neural Language Models*, [arXiv:2001.08361](https://arxiv.org/abs/2001.08361); Rajbhandari et al. 2019, *ZeRO*, [arXiv:1910.02054](https://arxiv.org/abs/1910.02054)
# - Dosovitskiy et al. 2020, *An Image is Worth 16x16 Words*, [arXiv:2010.11929](https://arxiv.org/abs/2010.11929); Vaswani et al. 2017, *Attention Is All You Need*, [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - LeCun et al. 1998, Proc. IEEE 86(11); Waibel et al. 1989, IEEE Trans. ASSP 37(3)
# - Elman 1990, Cognitive Science 14(2); Bengio, Simard & Frasconi 1994, *Learning Long-Term Dependencies with Gradient Descent is Difficult*, IEEE Trans. Neural Networks 5(2)
# - Hochreiter & Schmidhuber 1997, *Long Short-Term Memory*, Neural Computation 9(8); Gers, Schmidhuber & Cummins 2000, Neural Computation 12(10); Jozefowicz, Zaremba & Sutskever 2015, ICML; Le, Jaitly & Hinton 2015, [arXiv:1504.00941](https://arxiv.org/abs/1504.00941); Cho et al. 2014, [arXiv:1406.1078](https://arxiv.org/abs/1406.1078)
# - Goodfellow et al. 2014, [arXiv:1406.2661](https://arxiv.org/abs/1406.2661); Kingma & Welling 2013, *Auto-Encoding Variational Bayes*, [arXiv:1312.6114](https://arxiv.org/abs/1312.6114); Rezende, Mohamed & Wierstra 2014, [arXiv:1401.4082](https://arxiv.org/abs/1401.4082)
# - Higgins et al. 2017, *β-VAE*, ICLR, [openreview](https://openreview.net/forum?id=Sy2fzU9gl); Alpaydin & Kaynak 1998, Kybernetika 34(4) (digits)

# %% [markdown]
# **The code:** [counting.py](../bigmodel_lib/counting.py), [models/transformer.py](../bigmodel_lib/models/transformer.py), [models/encoder.py](../bigmodel_lib/models/encoder.py), [models/conv1d.py](../bigmodel_lib/models/conv1d.py), [models/rnn.py](../bigmodel_lib/models/rnn.py), [models/sequence.py](../bigmodel_lib/models/sequence.py), [models/cnn.py](../bigmodel_lib/models/cnn.py), [models/vae.py](../bigmodel_lib/models/vae.py), [data/recall.py](../bigmodel_lib/data/recall.py), [training/classifier.py](../bigmodel_lib/training/classifier.py), [training/vae.py](../bigmodel_lib/training/vae.py), [widgets/model_builder.py](../bigmodel_lib/widgets/model_builder.py), [widgets/vae_lab.py](../bigmodel_lib/widgets/vae_lab.py).
