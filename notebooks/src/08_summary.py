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
# # 8 Summary: trends and challenges · 总结：未来发展趋势与挑战
#
# **The question:** the article closes with what has been achieved, where it goes, and what stands in the way. How much of that can a summary measure instead of repeating?
#
# **You will be able to** read a report card of claims with their ranges; predict the loss of a model before you train it; break a classifier with a change that leaves the digit readable, and harden it; say when a probability can be trusted; find out what a model has learned by heart; train a GPT of your own from raw text.
#
# **It takes** an hour and a half to read, about half a minute to run on two cores, and under 1.2 GB of memory.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import seed_everything

seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings

# %% [markdown]
# ## 8.1 What has been achieved · 研究成果总结
#
# The article sums up: large models have achieved much in language, vision and speech. A summary can repeat what was said, or report what was measured. Every claim of this collection printed its statement, its value and the range that would make it true. The next cell reads these lines out of the saved notebooks. Nothing is typed in, so nothing here can be out of date.

# %%
from collections import Counter

from IPython.display import Markdown, display

from bigmodel_lib.chapters import chapter_names, executed_cells
from bigmodel_lib.report_card import as_markdown, checked

LATER = ("08_summary.ipynb", "09_questions.ipynb")  # not yet run when this chapter runs
claims = checked(executed_cells(but=LATER))
by_chapter = Counter(one.section.notebook for one in claims)
rows = {
    name.removesuffix(".ipynb"): {
        "claims": by_chapter[name],
        "of them exact": sum(one.exact for one in claims if one.section.notebook == name),
    }
    for name in chapter_names()
    if name not in LATER
}
plots.table(rows)

# %% [markdown]
# **Predict:** which section of the article could be tested most, and which not at all?
#
# The bars count claims by section. Blue ones allow a range, because training draws random numbers and another CPU rounds otherwise; orange ones allow one value only, such as a count.

# %%
SECTIONS = [
    f"{chapter}.{i + 1}" for chapter, n in enumerate((2, 3, 4, 3, 4, 3, 3), 1) for i in range(n)
]
in_range = Counter(one.section.number for one in claims if not one.exact)
exact = Counter(one.section.number for one in claims if one.exact)
figure, ax = plt.subplots(figsize=(9, 2.8))
low = [in_range[section] for section in SECTIONS]
_ = ax.bar(SECTIONS, low, color=plots.BLUE, label="within a range")
high = [exact[section] for section in SECTIONS]
_ = ax.bar(SECTIONS, high, bottom=low, color=plots.ORANGE, label="exact")
_ = ax.set(xlabel="section of the article", ylabel="claims checked")
_ = ax.legend(frameon=False)
plots.show(figure, "Bars: number of checked claims for each section of the article, 1.1 to 7.3.")

# %%
silent = [section for section in SECTIONS if not in_range[section] + exact[section]]
most = max(SECTIONS, key=lambda section: in_range[section] + exact[section])
print(f"tested most: {most}, {in_range[most] + exact[most]} claims")
print("sections without a saved claim:", ", ".join(silent) or "none")
claim(
    "sections of chapters 1 to 7 with a checked claim, of 22", len(SECTIONS) - len(silent), low=21
)

# %% [markdown]
# Section 5.1 looks at the reader's own machine; its figures are yours, and none is saved. Now the three fields that the article names, each with all that chapter 6 has measured. Read the middle columns against each other: how much room was left for the statement to be false?

# %%
display(Markdown(as_markdown(one for one in claims if one.section.number == "6.1")))

# %%
display(Markdown(as_markdown(one for one in claims if one.section.number == "6.2")))

# %%
display(Markdown(as_markdown(one for one in claims if one.section.number == "6.3")))

# %% [markdown]
# **What the card cannot say.** Its author chose what to test, and often knew the value before the range was set. What failed while a chapter was written was changed or became a lesson, and does not stand here. All systems are small. That a method wins here, on two cores, is no proof that it wins at scale; that it fails here is no proof that it fails there. For any other section, ask:

# %%
display(Markdown(as_markdown(one for one in claims if one.section.number == "4.3")))

# %% [markdown]
# ## 8.2 Trends · 未来发展趋势
#
# The article expects fusion across domains, better interpretability and better algorithms: chapter 7 tried each of the three. Behind them stands the trend that paid for all others: models grew, because their makers could **predict** what a larger one would be worth. Chapter 1 showed the laws that others measured. Here is the project's own, on Python's documentation.

# %% [markdown]
# A **budget** is a number of FLOPs, the additions and products of a training. It buys a large model and little text, or a small one and much. For each of four budgets, GPTs of several sizes were trained from scratch, each on as many bytes as the budget left it. `make models NAME=own_scaling` trains all of them anew; the file keeps one row a run: size $N$, bytes read $D$, budget $C$, and the loss $L$ on held-out text.

# %%
from bigmodel_lib.cached.scaling import OwnScaling
from bigmodel_lib.isoflop import fit_valley
from bigmodel_lib.scaling import LAWS, frontier_through

series = OwnScaling()
table = series.load()
beyond = series.settings["beyond"]["FLOPs"]
runs = [row for row in table.rows if row["FLOPs"] < beyond]
new = [row for row in table.rows if row["FLOPs"] == beyond]
N, D, C, L = (np.array([row[key] for row in runs]) for key in ("N", "bytes", "FLOPs", "loss"))
budgets = np.unique(C)
print(f"{len(runs)} runs, {table.seconds / 60:.0f} minutes of CPU time with the last one")
print(f"budgets {', '.join(f'{budget:.1e}' for budget in budgets)} FLOPs, then {beyond:.1e}")
print(f"one seed each; the text is read at most {series.settings['most']:.0f} times")

# %% [markdown]
# **Predict:** for one budget, plot the loss over the size of the model. What shape will it have, and where does its lowest point go when the budget grows?

# %%
valleys = {budget: fit_valley(N[budget == C], L[budget == C]) for budget in budgets}
figure, ax = plt.subplots(figsize=(8, 3.6))
colours = plt.cm.viridis(np.linspace(0, 0.85, len(budgets)))
for (budget, valley), colour in zip(valleys.items(), colours, strict=True):
    sizes = N[budget == C]
    grid = np.geomspace(sizes.min(), sizes.max())
    _ = ax.plot(sizes, L[budget == C], "o", color=colour, label=f"{budget:.1e} FLOPs")
    _ = ax.plot(grid, valley(grid), color=colour)
    _ = ax.plot(valley.size, valley.lowest, "*", color=colour, markersize=14)
_ = ax.set(xscale="log", xlabel="N, parameters without embeddings", ylabel="loss, nats a byte")
_ = ax.legend(frameon=False)
plots.show(figure, "Loss over size for four budgets: valleys that move right and down.")

# %% [markdown]
# Each budget has its valley (an **IsoFLOP curve**, Hoffmann et al. 2022, approach 2): too small a model has learned all that it can, too large a one has hardly begun. Stars mark the lowest point of the parabola through the runs. They move down, and to the right.
#
# The size $N^*$ of the star grows as a power $a$ of the budget $C$, $N^* \propto C^a$:

# %%
frontier = frontier_through([valley.size for valley in valleys.values()], budgets)
lowest = [valley.lowest for valley in valleys.values()]
theirs = LAWS["Hoffmann 2022, approach 2"].frontier
print(f"a = {frontier.a:.2f}; Hoffmann et al., approach 2: {theirs.a:.2f}")
claim("a: by which power of the budget the best size grows", frontier.a, low=0.2, high=1)
claim("a less that of Hoffmann et al.", frontier.a - theirs.a, low=0.05)
claim(
    "budgets whose best loss is lower than that of the budget before",
    int((np.diff(lowest) < 0).sum()),
    low=len(budgets) - 1,
)

# %% [markdown]
# The power is larger than Hoffmann's. One reason is known: $N$ leaves the embeddings out, as Kaplan et al. did, who found a large $a$, too (section 1.2). In the smallest of these models, the tables of bytes and places hold more than half of the parameters. Counting them bends the curve (Pearce & Song 2024, arXiv:2406.12907). The next cell counts them.

# %%
width = np.array([row["D"] for row in runs])
whole = N + (256 + series.settings["T"]) * width  # a row for each byte and each place
stars = [fit_valley(whole[budget == C], L[budget == C]).size for budget in budgets]
counted = frontier_through(stars, budgets)
measured = LAWS["Kaplan 2020, measured"].frontier
print(f"a = {counted.a:.2f} with embeddings, {frontier.a:.2f} without; Kaplan: {measured.a:.2f}")
print(f"share of embeddings in the smallest model: {1 - N.min() / whole.min():.0%}")
claim("by how much a falls when embeddings are counted", frontier.a - counted.a, low=0.05)

# %% [markdown]
# That explains a part of the difference. What remains is no finding: four stars, each through three to five runs of one seed, do not fix a second digit of $a$.

# %% [markdown]
# ### A prediction · 先预测，再训练
#
# All runs together fix a law, as in Hoffmann et al. 2022, eq. 2:
#
# $$L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}$$
#
# with $N$ parameters and $D$ bytes read. $E$ is the loss that would remain for a huge model and endless text; $A$ and $\alpha$ say what a small size costs, $B$ and $\beta$ what little text costs. The five are fitted to the runs above only.

# %% [markdown]
# Then the law must say what a larger budget will bring, **with an interval** meant to hold nine of ten new runs. For it the runs are drawn again with replacement, the law is fitted anew, and the spread of single runs is added (a *bootstrap*).

# %%
from bigmodel_lib.cached.scaling import OwnScalingOnGPU
from bigmodel_lib.isoflop import fit_loss, predicted

law = fit_loss(N, D, L)
print(f"E = {law.E:.2f}, α = {law.alpha:.2f}, β = {law.beta:.2f}")
at = (new[0]["N"], new[0]["bytes"])
best, low, high = predicted(N, D, L, at, level=0.9, draws=100)
print(
    f"{beyond / budgets.max():.1f} times the largest budget, {at[0]:,} parameters, {at[1]:,} bytes:"
)
print(f"predicted {best:.3f} nats a byte, 90 % interval {low:.3f} to {high:.3f}")
cheapest = law.frontier.optimum(beyond)
print(f"its size is {at[0] / cheapest[0]:.1f} times the law's best for this budget,")
dearer = best - law(*cheapest)
print(f"which costs it at most {dearer:.3f} nats; best run so far: {L.min():.3f}")

# %% [markdown]
# **The same model, trained.** The line is the lowest that the law says of the sizes tried at each budget, and leads to what it says of the new model; at the smallest budget it misses most. The bar is the interval, the cross what came out. The interval reaches up to the best loss so far: so few runs promise no gain for certain.

# %%
figure, ax = plt.subplots(figsize=(8, 3.6))
_ = ax.plot(C, L, "o", color=plots.GREY, markersize=4, label="runs of the fit")
_ = ax.plot(budgets, lowest, "*", color=plots.BLUE, markersize=12, label="stars of the valleys")
says = [law(N[budget == C], D[budget == C]).min() for budget in budgets]
_ = ax.plot([*budgets, beyond], [*says, best], color=plots.ORANGE, linewidth=1, label="the law")
bar = {"color": plots.ORANGE, "capsize": 5, "fmt": "s"}
_ = ax.errorbar(beyond, best, [[best - low], [high - best]], label="predicted, 90 %", **bar)
came = [row["loss"] for row in new]
_ = ax.plot([beyond] * len(new), came, "x", color="black", markersize=9, label="measured")
_ = ax.set(xscale="log", xlabel="C, FLOPs of training", ylabel="loss, nats a byte")
_ = ax.legend(frameon=False)
plots.show(figure, "Loss over budget: the run beyond the fit lies in the predicted interval.")

# %%
for row in new:
    claim("loss of the model that no fit has seen, nats a byte", row["loss"], low=low, high=high)
naive = np.exp(np.polyval(np.polyfit(np.log(budgets), np.log(lowest), 1), np.log(beyond)))
print(f"a straight line through the stars says {naive:.3f}, the law {best:.3f}")
nearer = abs(naive + dearer - came[0]) - abs(best - came[0])  # the line knows no sizes
claim("by how much the law is nearer than the straight line, nats", nearer, low=0)
large = OwnScalingOnGPU.settings
print(
    f"on a GPU: {large['budgets'][0] / budgets[0]:.0f} times, text read {large['most']:.0f} times"
)

# %% [markdown]
# The straight line cannot see that the loss has a floor, and promises too much; nor does it know sizes, so it gets credit for what this model's size costs. The law puts a value and a doubt on the next budget before it is spent.

# %% [markdown]
# It holds for this text, this family and this recipe, and one run is one test of it, not nine of ten. For a GPU, `make models NAME=own_scaling_gpu` has larger budgets; there the text is read so often that repeats teach less (Muennighoff et al. 2023, arXiv:2305.16264).

# %% [markdown]
# ## 8.3 Challenges · 面临的挑战
#
# The article names two: the **black box**, and the **use of resources**. Section 7.2 looked into the box. A black box is a danger where it fails without a warning, and here are three such failures, each measured: on inputs that someone has changed on purpose, on inputs unlike those of training, and by giving away what it should have forgotten. Then resources.

# %% [markdown]
# ### Adversarial examples · 对抗样本
#
# The gradient that trains a network by its weights can be taken by its **input** instead. One step along its sign is the **fast gradient sign method** (FGSM; Goodfellow et al. 2015, section 4, arXiv:1412.6572):
#
# $$x' = x + \varepsilon\,\operatorname{sign}\big(\nabla_x L(f(x), y)\big)$$
#
# $x$ is the picture, $y$ its true class, $f$ the network, $L$ the loss; $\nabla_x L$ says how $L$ changes with each pixel. No pixel moves by more than $\varepsilon$.

# %% [markdown]
# **Projected gradient descent** (PGD, Madry et al. 2018) takes many small steps, each brought back to within $\varepsilon$.

# %%
import torch.nn.functional as F

from bigmodel_lib.attacks import fgsm, pgd, random_near
from bigmodel_lib.cached.robust import RobustCNN
from bigmodel_lib.cached.vision import RecogniserCNN
from bigmodel_lib.data.digits import load_digits
from bigmodel_lib.widgets import AdversarialLab

test, draw = load_digits(split="test"), torch.Generator().manual_seed(0)
(standard, facts), (hardened, hard_facts) = RecogniserCNN().load(), RobustCNN().load()
image, label = test.images[:1], test.labels[:1]
by_hand = image.clone().requires_grad_()
F.cross_entropy(standard(by_hand), label).backward()
by_hand = (image + 0.2 * by_hand.grad.sign()).clamp(-1, 1)
torch.testing.assert_close(by_hand, fgsm(standard, image, label, 0.2))
print("FGSM by hand is the library's")

# %% [markdown]
# The defence: train on attacked digits only. `RobustCNN` is the same network; each of its batches was moved by FGSM before it was learned, with $\varepsilon$ rising to 0.15 of the range from black to white (`make models NAME=robust_cnn`). Pixels go from −1 to 1, so the code doubles these shares.
#
# **Predict:** how large must $\varepsilon$ be before the standard network reads every second digit wrong? And random noise of that size?

# %%
SIZES = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2)
ATTACKS = {
    "noise": lambda model, e: random_near(test.images, 2 * e, draw),
    "FGSM": lambda model, e: fgsm(model, test.images, test.labels, 2 * e),
    "PGD": lambda model, e: pgd(model, test.images, test.labels, 2 * e, 7, generator=draw),
}


# %%
@torch.no_grad()
def accuracy(model, images) -> float:
    """Share of the held-out digits that are read right."""
    return float((model(images).argmax(1) == test.labels).double().mean())


found = {
    (model, attack): [accuracy(network, make(network, e)) for e in SIZES]
    for model, network in (("standard", standard), ("hardened", hardened))
    for attack, make in ATTACKS.items()
}

# %% [markdown]
# Left the standard network, right the hardened one. Noise of the same size hardly matters to either; what matters is the direction. PGD, with its seven steps, finds more than FGSM with one.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, model in zip(axes, ("standard", "hardened"), strict=True):
    for attack, colour, mark in zip(
        ATTACKS, (plots.GREY, plots.BLUE, plots.ORANGE), "s^o", strict=True
    ):
        _ = ax.plot(SIZES, found[model, attack], mark + "-", color=colour, label=attack)
    _ = ax.set(
        title=f"{model} network",
        xlabel="ε, share of black to white",
        ylim=(-0.03, 1.03),
        xticks=(0, 0.05, 0.1, 0.15, 0.2),
    )
_ = axes[0].set_ylabel("accuracy on held-out digits")
_ = axes[0].legend(frameon=False)
plots.show(figure, "Accuracy over the size of attacks, for the standard and the hardened network.")

# %%
for model in ("standard", "hardened"):
    fallen = np.interp(-0.5, -np.array(found[model, "PGD"]), SIZES)
    print(f"{model}: PGD makes it read every second digit wrong at ε = {fallen:.3f}")
at, beyond_training = SIZES.index(0.1), SIZES.index(0.2)
claim("standard network on clean digits: accuracy", found["standard", "noise"][0], low=0.98)
claim("the same under PGD at ε = 0.1", found["standard", "PGD"][at], high=0.05)
claim("hardened network at ε = 0.1 under PGD", found["hardened", "PGD"][at], low=0.6)
claim("and at ε = 0.2, more than it has seen", found["hardened", "PGD"][beyond_training], high=0.3)
lowest_in_noise = min(found["standard", "noise"] + found["hardened", "noise"])
claim("lowest accuracy of either under noise", lowest_in_noise, low=0.9)

# %%
seen = SIZES.index(RobustCNN.settings["epsilon"] / 2)
weaker = found["hardened", "FGSM"][seen] - found["hardened", "PGD"][seen]
claim("hardened, at ε of its training: FGSM leaves more right, points", 100 * weaker, low=5)
cost = found["standard", "noise"][0] - found["hardened", "noise"][0]
claim("what hardening costs on clean digits, points", 100 * cost, low=-1, high=8)

# %% [markdown]
# Hardening moves the curve; it does not end the game. Beyond the size that it was trained for the hardened network falls, too, and a stronger attack finds what FGSM missed. An accuracy under attack is only an upper bound: an attack that nobody tried may do more.
#
# Try it: take a digit, raise $\varepsilon$ until it is misread; change the network; then replace the attack by noise.

# %%
AdversarialLab(epsilon=0.12)

# %% [markdown]
# ### Calibration under shift · 分布偏移下的校准
#
# A classifier that says 90 % should be right in nine of ten cases (section 3.2). Temperature scaling repairs that, on inputs like those of the training. And on others? We turn the held-out digits, and compare three answers: one network; the same with its temperature fitted on clean digits; and the mean of five networks (a **deep ensemble**, Lakshminarayanan et al. 2017, arXiv:1612.01474).

# %%
import math

from bigmodel_lib.metrics import fit_temperature, reliability
from bigmodel_lib.models.cnn import DigitCNN
from bigmodel_lib.training.classifier import ClassifierRun, ClassifierSettings

train_set = load_digits(split="train")


def member(seed: int) -> DigitCNN:
    """A network of its own start and batches, trained for seconds."""
    torch.manual_seed(seed)
    network = DigitCNN()
    for _ in ClassifierRun(
        network, train_set, settings=ClassifierSettings(lr=3e-3), seed=seed
    ).take(120):
        pass
    return network.eval()


# %%
def turned(images: torch.Tensor, degrees: float) -> torch.Tensor:
    """The pictures, turned about their middle; what comes in at the corners is background."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = torch.tensor([[c, -s, 0.0], [s, c, 0.0]]).expand(len(images), 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1


members = [member(seed) for seed in range(5)]

# %%
half = len(test) // 2  # the first half fits the temperature, the second half judges
with torch.no_grad():
    T = fit_temperature(members[0](test.images[:half]), test.labels[:half])
ANGLES, judged = (0, 15, 30, 45, 60), test.labels[half:]


# %%
@torch.no_grad()
def judge(angle: float) -> dict[str, tuple[float, float, float]]:
    """Accuracy, expected calibration error and mean confidence of each answer."""
    scores = [network(turned(test.images[half:], angle)) for network in members]
    answers = {
        "one network": scores[0].softmax(1),
        "with temperature": (scores[0] / T).softmax(1),
        "ensemble of five": torch.stack(scores).softmax(2).mean(0),
    }
    found = {}
    for name, p in answers.items():
        sure, said = p.max(1)
        right, error = (said == judged).double().mean(), reliability(p, judged).error
        found[name] = float(right), float(error), float(sure.mean())
    return found


under_shift = {angle: judge(angle) for angle in ANGLES}
claim("temperature fitted on clean digits", T, low=0.7, high=1.4)

# %% [markdown]
# The left panel shows what everyone expects: turned digits are read worse. The right one shows the danger: the networks do not know it. Their confidence exceeds their accuracy by more and more. On clean digits there was little to repair: the fitted temperature is close to 1, so blue lies on grey.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for name, colour, mark in zip(
    under_shift[0], (plots.GREY, plots.BLUE, plots.ORANGE), "s^o", strict=True
):
    for part, ax in enumerate(axes):
        values = [under_shift[angle][name][part] for angle in ANGLES]
        _ = ax.plot(ANGLES, values, mark + "-", color=colour, label=name)
_ = axes[0].set(xlabel="turned by, degrees", ylabel="accuracy", ylim=(0, 1.03))
_ = axes[1].set(xlabel="turned by, degrees", ylabel="expected calibration error", ylim=(0, None))
_ = axes[1].legend(frameon=False)
plots.show(figure, "Accuracy falls and calibration error rises as digits are turned.")

# %%
clean, far = under_shift[0], under_shift[30]
claim("calibration error with temperature, clean digits", clean["with temperature"][1], high=0.05)
claim(
    "the same, digits turned by 30 degrees, over clean",
    far["with temperature"][1] / clean["with temperature"][1],
    low=3,
)
claim(
    "at 30 degrees: error of one network over that of the ensemble",
    far["one network"][1] / far["ensemble of five"][1],
    low=1.05,
)

# %%
right, _, sure = far["one network"]
claim(
    "at 30 degrees: confidence of one network less its accuracy, points",
    100 * (sure - right),
    low=5,
)

# %% [markdown]
# Was the first of the five an unlucky one? Each of them alone, at 30 degrees:

# %%
with torch.no_grad():
    alone = [network(turned(test.images[half:], 30)).softmax(1) for network in members]
right, error, _ = far["ensemble of five"]
worse = sum(float(reliability(p, judged).error) > error for p in alone)
claim("members with a larger calibration error than the ensemble, of 5", worse, low=4)
each = np.mean([float((p.argmax(1) == judged).double().mean()) for p in alone])
claim("accuracy of the ensemble ahead of the mean member, points", 100 * (right - each), low=0)
claim("the ensemble's error at 30 degrees over clean", error / clean["ensemble of five"][1], low=2)

# %% [markdown]
# A temperature is fitted to one kind of input and knows no other. Networks that started differently agree on what they have learned and differ on what they have not, so their mean is less sure where it should be. It helps in the middle of the curve and does not suffice: at 60 degrees all are lost. Ovadia et al. 2019 (arXiv:1906.02530) found ensembles best under shift on larger networks and data, too.

# %% [markdown]
# ### Memorisation · 记忆
#
# A language model is to learn the language, not the secrets in its text. Carlini et al. 2019 (arXiv:1802.08232) measure it with **canaries**: plant a sentence with a random code, train, and ask how the model ranks the true code among all that could stand there. **Exposure** is
#
# $$\log_2 |R| - \log_2 \operatorname{rank}(s)$$
#
# $s$ is the true code, $|R|$ the number of possible codes, rank 1 the most probable of them.

# %% [markdown]
# For a code that was never planted every rank is equally likely, and half of the exposures lie below 1. Here $|R| = 1000$.
#
# **Predict:** how often must a code stand in a text of 60,000 characters to be known by heart?

# %%
from bigmodel_lib.data.text import language_reference
from bigmodel_lib.models.transformer import GPT, GPTConfig
from bigmodel_lib.training.text import TextRun, TextSettings

COPIES = (0, 1, 4, 16, 64)
codes = torch.randperm(1000, generator=draw)[: 2 * len(COPIES)].tolist()
names = ("Ada", "Bo", "Cem", "Dee", "Eli", "Fay", "Gus", "Hao", "Ida", "Jo")
canaries = [
    (f"The key of {name} is ", code, copies)
    for name, code, copies in zip(names, codes, 2 * COPIES, strict=True)
]
lines = language_reference()[:60_000].split("\n\n")
planted = [f"{prompt}{code:03d}." for prompt, code, copies in canaries for _ in range(copies)]
places = torch.randint(len(lines), (len(planted),), generator=draw).tolist()
for place, sentence in zip(places, planted, strict=True):
    lines.insert(place, sentence)
ids = torch.tensor(list("\n\n".join(lines).encode()))
by_chance = np.log2(1000 / np.arange(1, 1001))
print(f"exposure: at most {by_chance.max():.2f} bits; by chance {by_chance.mean():.2f} on average")

# %%
torch.manual_seed(0)
reader = GPT(GPTConfig(V=256, T=64, L=2, D=64, H=4))
settings = TextSettings(lr=4e-3, warmup=20, schedule=500, batch_size=16, length=64)
losses = [r["loss"] for r in TextRun(reader, ids, settings=settings, keep_every=1000).take(500)]
print(f"{500 * 16 * 64 / len(ids):.1f} times through the text, loss {losses[-1]:.2f} nats a byte")


# %%
@torch.no_grad()
def exposure(prompt: str, code: int) -> float:
    """log₂ of 1000 over the rank of the code behind its prompt."""
    every = torch.tensor([list(f"{prompt}{n:03d}".encode()) for n in range(1000)])
    scores = reader.eval()(every[:, :-1])[:, -3:].log_softmax(-1)  # of the three digits
    of_code = scores.gather(2, every[:, -3:, None]).sum((1, 2))
    return math.log2(1000) - math.log2(int((of_code > of_code[code]).sum()) + 1)


exposures = [(copies, exposure(prompt, code)) for prompt, code, copies in canaries]

# %% [markdown]
# Each dot is a canary, two for each number of copies. The dashed line is what a code gets that the model ranks first of a thousand: anyone who knows the words before it can ask it out of the model. With two canaries a place, read the trend and not the single dot.

# %%
figure, ax = plt.subplots(figsize=(7, 3))
positions = [COPIES.index(copies) for copies, _ in exposures]
_ = ax.plot(positions, [e for _, e in exposures], "o", color=plots.BLUE)
_ = ax.axhline(math.log2(1000), color=plots.GREY, linestyle="--", linewidth=1)
_ = ax.set_xticks(range(len(COPIES)), COPIES)
_ = ax.set(xlabel="copies of the code in the text", ylabel="exposure, bits", ylim=(0, 10.5))
plots.show(figure, "Exposure over the number of copies: many copies are known by heart.")

# %%
mean = {copies: np.mean([e for c, e in exposures if c == copies]) for copies in COPIES}
claim("exposure of a code that stands there 64 times, bits", mean[64], low=8)
claim("exposure of codes that were never planted, bits", mean[0], high=5)
claim("exposure of codes that stand there once, bits", mean[1], high=6)
claim("exposure of codes that stand there 16 times, bits", mean[16], high=9)
claim("what 64 copies add to none, bits", mean[64] - mean[0], low=4)

# %% [markdown]
# The answer lies between 16 and 64 copies, each of which training passed about eight times. What is said once is nearly safe in so small a model, what is repeated is not: one reason to drop repeats before training (Lee et al. 2021, arXiv:2107.06499), as chapter 6 does. Larger models memorise more of what they have seen equally often (Carlini et al. 2022, arXiv:2202.07646).

# %% [markdown]
# ### Energy · 能耗
#
# The article's other challenge. A laptop cannot weigh a data centre, but the method is the same: CPU time, times power, times what the building adds (for a laptop, nothing). Power is **stated, not measured**: replace it by what your machine draws.

# %%
import time

# %% tags=["machine"]
WATTS = 15  # a laptop with one core at work: an assumption, yours may differ
start = time.process_time()
with torch.no_grad():
    for _ in range(5):
        standard(test.images)
joules = (time.process_time() - start) / (5 * len(test)) * WATTS
answers = 15 * 3600 / joules
print(f"one digit read: {1000 * joules:.3g} mJ; a phone's 15 Wh are worth {answers:,.0f} of them")
print(f"training it took {facts.seconds:.0f} s of CPU time: {facts.seconds * WATTS / 3600:.3f} Wh")
print(f"hardening {hard_facts.seconds:.0f} s: {hard_facts.seconds * WATTS / 3600:.3f} Wh")
print(f"answers that cost as much as the training: {facts.seconds * WATTS / joules:,.0f}")

# %% [markdown]
# One answer costs next to nothing, and training is paid once. From the number of answers in the last line on, the answers are the larger part of the bill; a popular model passes its own such number. Section 9.2 has a calculator for models of any size, with the published figures of three large ones.

# %% [markdown]
# ## 8.4 Outlook · 研究展望
#
# The article hopes for better algorithms, interpretability, and use across domains. Reading about them is one way on. The other is to train a model yourself.
#
# ### Capstone: your own GPT · 结业项目：训练你自己的 GPT
#
# Any text in a file will do. Three commands in a terminal:
#
# ```
# python -m bigmodel_lib.train_gpt my_gpt --text my_book.txt
# python -m bigmodel_lib.train_gpt my_gpt --text my_book.txt --write "It was"
# python -m bigmodel_lib.train_gpt --help
# ```

# %% [markdown]
# The folder `my_gpt` then holds the plan, the tokeniser and the last checkpoint. Interrupt the training whenever you like, or switch the machine off: the first command goes on where the checkpoint was, to the very weights that it would have reached undisturbed. Here it happens in cells, with a plan that takes seconds.

# %%
import tempfile
from pathlib import Path

from bigmodel_lib.data.text import compressed_bits
from bigmodel_lib.device import by_device, pick_device
from bigmodel_lib.models.sampling import Sampler
from bigmodel_lib.train_gpt import PLANS, Plan, Project

place = tempfile.TemporaryDirectory()
folder = Path(place.name) / "my_gpt"
plan = Plan(V=384, T=64, L=2, D=48, H=3, steps=120, batch_size=8, save_every=40, warmup=10)
project = Project(folder, language_reference(), plan)
for record in project.steps():
    if record.step == 50:
        break  # here the power fails
print(
    f"stopped after step {record.step}; in the folder: {sorted(p.name for p in folder.iterdir())}"
)

# %%
again = Project(folder, language_reference())
claim("the step that it goes on after", again.run.step, low=40, high=40)
for _ in again.steps():
    pass
undisturbed = Project(folder.with_name("undisturbed"), language_reference(), plan)
for _ in undisturbed.steps():
    pass
pairs = zip(again.model.parameters(), undisturbed.model.parameters(), strict=True)
claim(
    "largest difference of a weight to an undisturbed run",
    max((a - b).abs().max() for a, b in pairs),
    low=0,
    high=0,
)

# %% [markdown]
# **Predict:** what will a model write that has seen the text for a few seconds? Will it predict the text better than gzip?

# %%
print(again.write("The statement", 60, Sampler(temperature=0.7)))
bits = again.measure(4000)
gzip, xz = (
    compressed_bits(name, again.test_text[:4000], known=again.train_text) for name in ("gzip", "xz")
)
claim("held-out text: bits a character of the GPT less those of gzip", bits - gzip, low=0)
print(f"{bits:.2f} bits a character; behind the training text gzip {gzip:.2f}, xz {xz:.2f}")
place.cleanup()

# %% [markdown]
# It has learned letters, spaces and line ends, hardly a word, and gzip predicts the text better: seconds are not enough. The plan `minute` trains a larger model for longer; whether that gets ahead of gzip, or of xz, is the last exercise. `small` takes the time of a lunch, and `GPT-2 small` is for a GPU and a large text. All three are the same code; only the numbers differ.

# %% tags=["machine"]
name = by_device(cpu="minute", gpu="GPT-2 small")
print(f'on this {pick_device().type}: --plan "{name}"')
print(PLANS[name])

# %% [markdown]
# ### Reading list · 阅读书目
#
# Primary sources, in the order of the chapters that use them:
#
# 1. Vaswani et al. 2017, *Attention Is All You Need*, arXiv:1706.03762 (chapter 4)
# 2. Goodfellow et al. 2014, *Generative Adversarial Nets*, arXiv:1406.2661 (chapters 4 and 5)
# 3. Kingma & Welling 2013, *Auto-Encoding Variational Bayes*, arXiv:1312.6114 (chapter 2)
# 4. Radford et al. 2019, *Language Models are Unsupervised Multitask Learners* (chapters 2 and 6)
# 5. Ho et al. 2020, *Denoising Diffusion Probabilistic Models*, arXiv:2006.11239 (chapter 6)

# %% [markdown]
# 6. Brown et al. 2020, *Language Models are Few-Shot Learners*, arXiv:2005.14165 (chapter 2)
# 7. Kaplan et al. 2020, arXiv:2001.08361, and Hoffmann et al. 2022, arXiv:2203.15556 (sections 1.2 and 8.2)
# 8. Radford et al. 2021, *Learning Transferable Visual Models*, arXiv:2103.00020 (section 7.1)
# 9. Adebayo et al. 2018, *Sanity Checks for Saliency Maps*, arXiv:1810.03292 (section 7.2)
# 10. Olsson et al. 2022, *In-context Learning and Induction Heads*, arXiv:2209.11895 (section 7.2)
# 11. Hu et al. 2021, *LoRA*, arXiv:2106.09685 (section 7.3)
# 12. Madry et al. 2018, *Towards Deep Learning Models Resistant to Adversarial Attacks*, arXiv:1706.06083 (section 8.3)

# %% [markdown]
# ## Summary · 小结
#
# - What was achieved can be read from the chapters themselves: each claim with its value and the range that would have made it false.
# - A law fitted to small runs says what a larger one will be worth, with an interval, before it is trained.
# - A network that reads nearly all clean digits can be wrong on nearly all of them after a small change in the right direction; noise of that size does nothing. Hardening helps and ends nothing.
# - Confidence that is calibrated on inputs like those of the training need not be on others.
# - What a text repeats often enough, a model knows by heart.

# %% [markdown]
# ## Exercises · 练习
#
# 1. Which section's claims would you have made stricter? Change one in its chapter and run it.
# 2. Leave the largest budget out of the fit. Does the interval still hold the new run? Does it grow?
# 3. Attack the hardened network with 1, 5, 30 steps. Where does the accuracy stop falling?
# 4. Replace turning by noise, by blur, by a shift of three pixels. For which is the ensemble most needed?
# 5. Plant a code of four digits. How many copies does it need? And with dropout?
# 6. Train a GPT on a text of your own with the plan `minute`, kill it in the middle, go on, and let it write. Is it ahead of gzip? Of xz? If not, what does `small` bring?

# %% [markdown]
# **The library's code:** `report_card.py` and `chapters.py` (8.1), `isoflop.py` and `cached/scaling.py` (8.2), `attacks.py`, `cached/robust.py`, `widgets/adversarial_lab.py` (8.3), `train_gpt/` (8.4).
