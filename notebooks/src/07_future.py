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
# # 7 Where it goes next · 未来应用展望
#
# **The question:** the article expects three things of the future: that large models reach into medicine, finance and education, that they become interpretable, and that they become cheaper. What of this can be tried today, on two cores, and what does an honest trial say?
#
# **You will be able to** build one space for pictures, words and sounds; judge a medical classifier, a forecast and a model of a student against what could beat it; ask a network why, and check whether the answer means anything; find the heads that copy; and choose among a dozen ways to make a model cheaper.
#
# **It takes** two hours and a half to read, about a minute to run on two cores, and under 1.2 GB of memory.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bigmodel_lib import plots
from bigmodel_lib.claims import claim
from bigmodel_lib.device import seed_everything

seed_everything(0)
torch.set_num_threads(1)  # small networks: a second thread costs more than it brings

# %% [markdown]
# ## 7.1 Fusion across domains · 跨领域融合
#
# The article expects large models to join fields, and names **medicine**, **finance** and **education**. First the joining itself: kinds of things that have nothing in common, a picture, a written word and a sound, in **one space**, where nearness means "says the same". Then each of the three fields, with real or exact data and an opponent.
#
# ### One space for pictures, words and sounds · 统一嵌入空间
#
# Three encoders: a CNN for images, a GRU over letters for words, convolutions over time for sounds. Each ends in a vector of length 1.

# %% [markdown]
# Pairs that belong together shall point the same way, others not. In a batch of $B$ pairs, $s_{ij} = u_i \cdot v_j / \tau$, with $u_i$ and $v_j$ the vectors of thing $i$ of one kind and thing $j$ of the other, and $\tau$ the **temperature**. **InfoNCE** (van den Oord et al. 2018) asks of each: which of the batch is its partner?
#
# $$L = \frac{1}{2B}\sum_i \Big[\log\sum_j e^{s_{ij}} + \log\sum_j e^{s_{ji}} - 2 s_{ii}\Big]$$
#
# Both ways, with $\tau$ learned: that is CLIP (Radford et al. 2021).

# %%
from bigmodel_lib.cached import vision
from bigmodel_lib.cached.space import DigitSpace, held_out, spoken_digits
from bigmodel_lib.cached.speech import DigitRecogniser
from bigmodel_lib.data.digit_words import DIGIT_WORDS, UNSEEN, digit_words, encode_words
from bigmodel_lib.data.digits import load_digits, shrink
from bigmodel_lib.models.contrastive import SharedSpace, info_nce, modality_gap
from bigmodel_lib.training.contrastive import (
    ContrastiveRun,
    ContrastiveSettings,
    Things,
    least_loss,
    recall_at_1,
    recall_through_labels,
)
from bigmodel_lib.training.speech import batch, edit_distance, recognise

scores = torch.randn(5, 5)
own = torch.arange(5)
both = [nn.functional.cross_entropy(s, own) for s in (scores, scores.T)]
off = abs(info_nce(scores) - sum(both) / 2)
claim("InfoNCE less the mean of two cross-entropies", off, high=1e-5)

# %% [markdown]
# The digits have words in six languages. Training shows **image with word** and **sound with word**, never image with sound. It took half a minute, once: `make models NAME=digit_space`.

# %%
space, facts = DigitSpace().load()
print(f"{facts.parameters:,} parameters, {facts.seconds:.0f} s of training, torch {facts.torch}")
print(facts.settings)
things = held_out()  # new images, and people that were not heard in training
for kind, thing in things.items():
    print(kind, tuple(thing.x.shape))
print({language: words[7] for language, words in DIGIT_WORDS.items()})

# %% [markdown]
# **Train it anew?** The first steps, live, on fewer sounds. What can the loss reach? In a batch of 64, about six pairs are of the same digit, and nobody can tell these apart. Who knows each digit and no more pays $\log n_i$, with $n_i$ the number of pairs in the batch that have $i$'s digit: the **floor**. (Printed are sums over the two kinds of pairs.)

# %%
torch.manual_seed(0)
fresh = DigitSpace().make(None)
run = DigitSpace().run(fresh, None, utterances=100)
for step in run.take(3):
    print(f"loss {step['loss']:.2f}, floor {step['floor']:.2f}, τ {step['temperature']:.3f}")


# %%
@torch.no_grad()
def above_floor(space, things, a: str, b: str, batches: int = 20) -> float:
    """Held-out loss less its floor, in nats."""
    u, v = (Things(space.embed(k, things[k].x), things[k].labels) for k in (a, b))
    drawn = torch.randint(10, (batches, 64), generator=torch.Generator().manual_seed(0))
    losses = [info_nce(space.scores(u.draw(n), v.draw(n))) - least_loss(n) for n in drawn]
    return float(torch.stack(losses).mean())


# %% [markdown]
# **Predict:** image and sound were never shown together. How far above the floor are they, beside the pairs that were?

# %%
kinds = [("image", "word"), ("sound", "word"), ("image", "sound")]
for a, b in kinds:
    before, after = (above_floor(model.eval(), things, a, b) for model in (fresh, space))
    claim(f"{a} and {b}, held out: nats above the floor (before: {before:.1f})", after, high=0.25)

# %% [markdown]
# The word is the bridge: what lies near the same word lies near each other.

# %%
with torch.no_grad():
    u = {kind: space.embed(kind, thing.x) for kind, thing in things.items()}
one = {kind: [int((t.labels == n).nonzero()[0]) for n in range(10)] for kind, t in things.items()}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
for ax, (a, b) in zip(axes, kinds, strict=True):
    shown = ax.imshow(u[a][one[a]] @ u[b][one[b]].T, vmin=-1, vmax=1, cmap="PuOr")
    _ = ax.set(xlabel=b, ylabel=a, xticks=range(10), yticks=range(10), title=f"{a} and {b}")
_ = axes[2].set_title("image and sound (never paired)")
_ = figure.colorbar(shown, ax=axes, label="cosine")
plots.show(figure, alt="Three 10 by 10 tables of cosines, each with a dark diagonal.")

# %% [markdown]
# *In the picture:* one held-out thing of each digit. The diagonal stands out in all three, also in the one that was never trained.

# %% [markdown]
# #### Retrieval · 检索
#
# Ask with one kind, and take the nearest of the other: right if it is the same digit (**recall at 1**). Chance is about one in ten. Distances between raw pixels and raw sound mean nothing, so nearest neighbours cannot cross at all. The strong opponent can: **two classifiers**, each trained with labels, which meet in the name of the digit. Chapter 6 has both.

# %%
cnn, _ = vision.RecogniserCNN().load()
ear, _ = DigitRecogniser().load()
with torch.no_grad():
    read = cnn(things["image"].x).argmax(1)
spoken, _ = spoken_digits(240, 20, seed=1_000_003)
heard = recognise(ear, batch([one.sound for one in spoken]))
said = {
    "image": read,
    "word": things["word"].labels,  # a dictionary
    "sound": torch.tensor([int(text[0]) if text else 10 for text in heard]),
}

# %% [markdown]
# **Predict:** the space, or the classifiers?

# %%
rows = {}
for a, b in [(a, b) for a in u for b in u if a != b]:
    labels = things[a].labels, things[b].labels
    rows[f"{a} → {b}"] = {
        "trained together": "no" if "word" not in (a, b) else "yes",
        "one space": recall_at_1(u[a], u[b], *labels),
        "two classifiers": recall_through_labels(said[a], said[b], *labels),
    }
plots.table(rows)
never = min(rows["image → sound"]["one space"], rows["sound → image"]["one space"])
claim("recall of the pair never trained together, the worse way", never, low=0.95)
gains = [row["one space"] - row["two classifiers"] for row in rows.values()]
claim("most that the space is ahead of the classifiers", max(gains), high=0.005)
claim("most that it is behind", -min(gains), high=0.03)

# %% [markdown]
# The classifiers are never behind: where there are ten names, and labels for all, the space earns nothing. It pays where nobody has a list of names. So, new words:
#
# #### Classes given by words · 零样本分类
#
# CLIP sorts images by *writing down* the classes. Ours has read six languages; here are the words of three others. Opponent: the known word with the fewest edits a letter (replaced, put in, left out), and the classifier. **Predict:** which language fails?

# %%
known, meanings = digit_words()


def by_edits(word: str) -> int:
    """The meaning of the known word with the fewest edits a letter; of several, most of them."""
    edits = [edit_distance(word, other) / max(len(word), len(other)) for other in known]
    return int(meanings[torch.tensor(edits) == min(edits)].mode().values)


rows = {}
for language in ("English", *UNSEEN):
    words, labels = digit_words((language,))
    with torch.no_grad():
        v = space.embed("word", encode_words(words))
    edits = torch.tensor([by_edits(word) for word in words])
    rows[language] = {
        "one space": recall_at_1(u["image"], v, things["image"].labels, labels),
        "edits and classifier": recall_through_labels(
            said["image"], edits, things["image"].labels, labels
        ),
        "in training": "yes" if language not in UNSEEN else "no",
    }
plots.table(rows)
claim("images by English words", rows["English"]["one space"], low=0.95)
claim("by Italian words, never read", rows["Italian"]["one space"], low=0.7)
claim("by Finnish words", rows["Finnish"]["one space"], high=0.5)
claim("by Finnish words, edits", rows["Finnish"]["edits and classifier"], high=0.5)

# %% [markdown]
# *Zero-shot* is no magic. Italian looks like Spanish and French: letters carry over, and counting edits does even better than the network. Dutch looks like German; there edits find only half of the words (*een* is nearest to *seven*), the network more. With ten words a language, a word or two decides. Finnish has no relative here, and both come close to chance. A model is open to new words only as far as they resemble what it has read.

# %% [markdown]
# #### Temperature · 温度
#
# $\tau$ says how sharp "nearest" is. A small space (pixels and numbered words through small networks), trained at three fixed temperatures, and twice with $\tau$ learned, from either end. **Predict** what each does to recall and to the loss on new images, early and late.

# %%
small = {}
for split in ("train", "test"):
    part = load_digits("digits", split)
    images = Things(shrink(part.images).flatten(1), part.labels)
    small[split] = {"image": images, "word": Things(torch.eye(60), meanings)}


def small_run(temperature: float, learned: bool) -> ContrastiveRun:
    torch.manual_seed(0)
    image = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    encoders = {"image": image, "word": nn.Linear(60, 16)}
    space = SharedSpace(encoders, temperature, learned)
    settings = ContrastiveSettings(lr=1e-2)
    return ContrastiveRun(space, small["train"], [("image", "word")], settings=settings)


# %%
starts = {
    "cold": (0.01, False), "middle": (0.1, False), "hot": (1.0, False),
    "learned, from cold": (0.01, True), "learned, from hot": (1.0, True),
}  # fmt: skip


@torch.no_grad()
def worth(space: SharedSpace, steps: int) -> dict[str, float]:
    """Temperature, and recall and loss of images and words of the test split."""
    test = small["test"]
    a, b = (space.embed(k, test[k].x) for k in ("image", "word"))
    return {
        f"τ, {steps} steps": space.temperature,
        f"recall, {steps}": recall_at_1(a, b, test["image"].labels, test["word"].labels),
        f"above floor, {steps}": above_floor(space, test, "image", "word"),
    }


# %%
rows = {name: {} for name in starts}
for name, start in starts.items():
    run = small_run(*start)
    for steps in (60, 250):
        _ = list(run.take(steps - run.step))
        rows[name] |= worth(run.model, steps)
plots.table(rows)

# %%
late = {name: row["above floor, 250"] for name, row in rows.items()}
early = {name: row["above floor, 60"] for name, row in rows.items()}
claim("hot, 250 steps: nats above the floor", late["hot"], low=0.8)
claim("cold, 60 steps: nats above the middle", early["cold"] - early["middle"], low=0.1)
claim("cold, 250 steps: nats above the middle", late["cold"] - late["middle"], high=0.15)
claim("learned from hot: τ", rows["learned, from hot"]["τ, 250 steps"], high=0.4)
claim("learned from cold: τ", rows["learned, from cold"]["τ, 250 steps"], low=0.015)
recalls = [row["recall, 250"] for row in rows.values()]
claim("recall after 250 steps: best less worst", max(recalls) - min(recalls), high=0.05)

# %% [markdown]
# Too **hot**, and no angle is enough: a cosine ends at 1, so the right word has at most $e^{2/\tau}$ times the weight of a wrong one, and the loss stays far above its floor. Too **cold** is slow at first, when every error counts as a certain one; later it catches up here. Recall, which sees order alone, hardly differs in the end. A learned $\tau$ moves inwards from either end.

# %% [markdown]
# #### The modality gap · 模态间隙
#
# Liang et al. (2022) looked at CLIP's space: images in one cone, texts in another. The gap is the distance of the two centres, $\lVert\bar u - \bar v\rVert$.

# %%
spaces, gaps = {}, {}
for name, model in {"before training": fresh, "after training": space}.items():
    with torch.no_grad():
        w = spaces[name] = {k: model.eval().embed(k, thing.x) for k, thing in things.items()}
    gaps[name] = {f"{a}, {b}": modality_gap(w[a], w[b]) for a, b in kinds}
plots.table(gaps)
most, least = max(gaps["after training"].values()), min(gaps["before training"].values())
claim("largest gap after, over the smallest before", most / least, high=0.5)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
looks = list(zip(u, (plots.BLUE, plots.ORANGE, plots.GREEN), "osv", strict=True))
for ax, (name, w) in zip(axes, spaces.items(), strict=True):
    everything = torch.cat(list(w.values()))
    axis = torch.linalg.svd(everything - everything.mean(0), full_matrices=False).Vh[:2].T
    for kind, colour, mark in looks:
        _ = ax.scatter(*(w[kind] @ axis).T, s=14, alpha=0.5, c=colour, marker=mark, label=kind)
    _ = ax.set(xlabel="first principal axis", ylabel="second", title=name)
_ = axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plots.show(figure, alt="Before: three separate clouds. After: clusters by digit, mixed kinds.")

# %% [markdown]
# *In the picture:* before training, each kind sits in its own cone, far from the others: random networks do that. After it, the clouds of the kinds lie on each other, one for each digit. CLIP keeps a gap; ours nearly closes it. A likely reason: its loss comes close to the floor, with little left to gain by keeping kinds apart.

# %% [markdown]
# ### Medicine · 医学
#
# Is a lump in the breast malignant? A fine needle takes some cells; a person outlines their nuclei under a microscope; a program measures ten properties of each nucleus. The table has mean, standard error and largest values of each: 30 numbers for 569 patients (Wolberg, Street & Mangasarian 1995).
#
# > **Not for clinical use.** This is a teaching example on an old, clean, small table. Nothing here may inform the care of anyone.

# %%
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bigmodel_lib.comparing import corrected_resampled_t
from bigmodel_lib.data.tables import load_table
from bigmodel_lib.decisions import (
    best_threshold,
    confusion,
    mean_cost,
    net_benefit,
    predictive_value,
)
from bigmodel_lib.metrics import reliability
from bigmodel_lib.training.table_estimator import TableNetwork

cancer = load_table("breast cancer")
x, malignant = cancer.x, (cancer.y == cancer.class_names.index("malignant")).astype(int)
print(f"{len(x)} patients, {x.shape[1]} measures, {malignant.sum()} malignant")
claim("share of malignant lumps in the table", malignant.mean(), 0.3, 0.45)

# %% [markdown]
# #### Nested cross-validation · 嵌套交叉验证
#
# Three methods, each with a setting to choose. Choosing by the folds that one reports picks the luckiest (chapter 3). So **two loops**: the outer one holds a fifth of the patients back; on the rest alone, an inner one tries each setting on two halves, and the best is trained again. The outer fifth is used once. Five folds, twice over: ten scores for each method.
#
# **Predict:** network, boosted trees or logistic regression?

# %%
network = make_pipeline(StandardScaler(), TableNetwork())
linear = make_pipeline(StandardScaler(), LogisticRegression())
trees = HistGradientBoostingClassifier(
    max_iter=50, max_leaf_nodes=6, min_samples_leaf=5, max_features=0.2, random_state=0
)
methods = {
    "network": (network, {"tablenetwork__weight_decay": [0.3, 1.0]}),
    "logistic regression": (linear, {"logisticregression__C": [0.1, 1.0, 10.0]}),
    "boosted trees": (trees, {"learning_rate": [0.1, 0.2]}),
}

# %%
outer = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(x, malignant))
scoring = {"nats": "neg_log_loss", "area under the ROC curve": "roc_auc", "right": "accuracy"}
folds = {}
for name, (model, grid) in methods.items():
    search = GridSearchCV(model, grid, cv=2, scoring="neg_log_loss")
    folds[name] = cross_validate(
        search, x, malignant, cv=outer, scoring=scoring, return_estimator=True
    )

# %% [markdown]
# **Log loss** is the mean of $-\ln$ of the probability that was given to what turned out true, in nats; it sees overconfidence, which accuracy does not. Are the differences more than luck? The ten folds share patients, so a plain $t$ test is too sure. The **corrected** one (Nadeau & Bengio 2003):
#
# $$t = \bar d \Big/ \sqrt{\left(\tfrac1J + \tfrac{n_2}{n_1}\right) s^2}$$
#
# $\bar d$ and $s^2$ are mean and variance of the $J$ differences, $n_2/n_1$ test rows over training rows.

# %%
rows, against = {}, {}
nats = {name: -found["test_nats"] for name, found in folds.items()}
for name, found in folds.items():
    row = {label: float(found[f"test_{label}"].mean()) for label in list(scoring)[1:]}
    row = {"log loss, nats": float(nats[name].mean()), **row}
    row["less than the network"] = "·"
    if name != "network":
        c = against[name] = corrected_resampled_t(nats["network"] - nats[name], 1 / 4)
        row["less than the network"] = f"{c.difference:+.3f} ({c.low:+.3f} to {c.high:+.3f})"
    rows[name] = row
plots.table(rows)

# %%
plain = corrected_resampled_t(nats["network"] - nats["boosted trees"], 1e-9)
corrected = against["boosted trees"]
wider = (corrected.high - corrected.low) / (plain.high - plain.low)
claim("correction: how many times wider the interval is", wider, 1.5, 2.5)
best = max(row["area under the ROC curve"] for row in rows.values())
claim("best area under the ROC curve", best, low=0.985)
least = min(comparison.p for comparison in against.values())
claim("network against the other two: the smaller p", least, low=0.05)


# %% [markdown]
# All three are good, and no interval excludes zero: **on this table nobody can say which is best**. Logistic regression, 31 numbers, does as well as the network; a fair report says so, and recommends the simpler one. That is common: on small tables of measures that experts chose, there is little left for a network to find.

# %% [markdown]
# #### May the probabilities be believed? · 校准
#
# Each patient was in an outer test fold twice; take the first time. The diagram and the expected calibration error (ECE) are those of chapter 3. But 569 patients in ten bins leave noise, so even a perfect forecaster has an ECE above 0. How much? Draw the outcomes *from* the stated probabilities, many times, and look.

# %%
def out_of_fold(name: str, rows_of=lambda rows: x[rows]) -> np.ndarray:
    """Probability of malignant (N,), from models that did not see the patient."""
    p = np.empty(len(x))
    for (_, test_rows), model in zip(outer[:5], folds[name]["estimator"][:5], strict=True):
        p[test_rows] = model.predict_proba(rows_of(test_rows))[:, 1]
    return p


def calibration(p: np.ndarray, truth: np.ndarray):
    both = torch.from_numpy(np.column_stack([1 - p, p]))
    return reliability(both, torch.from_numpy(truth))


p = {name: out_of_fold(name) for name in methods}

# %%
rng, perfect = np.random.default_rng(0), {}
for name, forecast in p.items():
    drawn = [(rng.random(len(x)) < forecast).astype(int) for _ in range(100)]
    perfect[name] = np.quantile([calibration(forecast, one).error for one in drawn], 0.95)
found = {name: calibration(forecast, malignant) for name, forecast in p.items()}

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), sharey=True)
for ax, (name, one) in zip(axes, found.items(), strict=True):
    plots.reliability_diagram(one.confidence, one.accuracy, one.share, ax=ax)
    ax.set_title(f"{name}: ECE {one.error:.3f}\n(perfect: up to {perfect[name]:.3f})")
    ax.set(xlim=(0.48, 1.02), ylim=(0.4, 1.04), xlabel="confidence")
    ax.get_legend().set_loc("lower right")
    ax.label_outer()
alt = (
    "Three reliability diagrams. The largest dot, nearly all patients, sits on the diagonal at the"
    " top right; the few small dots lie near it, more often above."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* almost all patients are in the last bin, and that one is on the diagonal. The others hold a few patients each; above the diagonal a model is too modest. A perfect forecaster with these probabilities would stay below the stated ECE in 95 of 100 tables of this size; none of the three is clearly above it. They may be believed, *on patients like these*.

# %%
excess = {name: found[name].error - perfect[name] for name in methods}
most = max(excess.values())
claim("ECE above what a perfect forecaster may have, worst of three", most, high=0.01)
spread = max(one.error for one in found.values()) - min(one.error for one in found.values())
claim("calibration error: the worst of the three less the best", spread, high=0.03)

# %% [markdown]
# #### What a threshold costs · 阈值的代价
#
# A probability decides nothing. Let a missed cancer cost $c_0$ and a false alarm $c_1$. Alarm from a probability
#
# $$t = \frac{c_1}{c_0 + c_1}$$
#
# upwards, where both choices cost the same on average (Elkan 2001); ½ is right for equal costs only. **Predict:** if a miss costs as much as 20 false alarms, how much does the habit of ½ cost?

# %%
forecast, rows = p["logistic regression"], {}
for ratio in (1, 5, 20, 100):
    t = best_threshold(missed=ratio, false_alarm=1)
    count = confusion(forecast, malignant, t)
    rows[f"a miss costs {ratio}"] = {
        "threshold t": float(t),
        **{kind: count[kind] for kind in ("missed", "false alarms")},
        "cost of 100 patients at t": 100 * mean_cost(forecast, malignant, t, ratio, 1),
        "at ½": 100 * mean_cost(forecast, malignant, 0.5, ratio, 1),
    }
plots.table(rows)


# %% [markdown]
# How sure is that, with so few patients? The **bootstrap** (Efron 1979) draws 569 patients with replacement, again and again, and takes the middle 95 % of the results.

# %%
def saved(q, y, ratio: float = 20.0) -> float:
    """Cost at ½ less cost at t, in false alarms for each patient."""
    t = best_threshold(ratio, 1)
    return mean_cost(q, y, 0.5, ratio, 1) - mean_cost(q, y, t, ratio, 1)


draws = np.random.default_rng(0).integers(len(x), size=(500, len(x)))
low, high = np.quantile([saved(forecast[rows], malignant[rows]) for rows in draws], (0.025, 0.975))
now = saved(forecast, malignant)
print(f"saved: {now:.2f} false alarms a patient, interval {low:.2f} to {high:.2f}")
claim("saved by the right threshold where a miss costs 20, false alarms a patient", now, low=0.0)
claim("width of its interval over the saving", (high - low) / now, low=1.0)

# %% [markdown]
# On these patients the threshold pays, but the interval is wider than the saving: all of it hangs on the few cancers that ½ misses.

# %% [markdown]
# **Is a model of use at all?** To act from $t$ upwards says that a found case is worth $(1-t)/t$ false alarms. In that currency, the *net benefit* is (Vickers & Elkin 2006)
#
# $$\frac{\text{TP}}{N} - \frac{\text{FP}}{N}\cdot\frac{t}{1-t}$$
#
# with TP true and FP false alarms of $N$ patients. Rivals without any model: treat all; treat none. And a fourth, simplest one: the single measure *worst perimeter*.

# %%
columns = [22]  # worst perimeter
single = make_pipeline(StandardScaler(), LogisticRegression())
one = np.empty(len(x))
for train_rows, test_rows in outer[:5]:
    single.fit(x[train_rows][:, columns], malignant[train_rows])
    one[test_rows] = single.predict_proba(x[test_rows][:, columns])[:, 1]
thresholds = np.linspace(0.02, 0.9, 45)
forecasts = {**p, "worst perimeter alone": one, "treat all": np.ones(len(x))}
curves = {
    name: np.array([net_benefit(q, malignant, t) for t in thresholds])
    for name, q in forecasts.items()
}

# %%
styles = [plots.BLUE, plots.ORANGE, plots.GREEN, plots.PURPLE, plots.GREY]
marks = ["-", "--", "-.", ":", (0, (1, 3))]
figure, ax = plt.subplots(figsize=(7, 3.4))
for (name, curve), colour, line in zip(curves.items(), styles, marks, strict=True):
    ax.plot(thresholds, curve, color=colour, ls=line, lw=2, label=name)
ax.axhline(0, color="black", lw=1, label="treat none")
ax.set(xlabel="threshold t", ylabel="net benefit", xlim=(0, 0.9), ylim=(-0.05, 0.4))
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
alt = (
    "Net benefit against the threshold: the three models lie together and highest, one measure"
    " alone below them, treat all falls fast below zero."
)
plots.show(figure, alt=alt)

# %%
gain = {name: curves[name] - np.maximum(curves["treat all"], 0) for name in p}
worst = min(g[thresholds > 0.04].min() for g in gain.values())
claim("net benefit over the better of all and none, lowest above t = 0.04", worst, low=0.0)
middle = np.abs(thresholds - 0.3).argmin()
distance = max(c[middle] for c in (curves[n] for n in p)) - min(curves[n][middle] for n in p)
over_one = min(curves[n][middle] for n in p) - curves["worst perimeter alone"][middle]
claim("between the three models, at t = 0.3", distance, high=0.02)
claim("from one measure alone to the worst of the three, at t = 0.3", over_one, low=0.0)
most = curves["worst perimeter alone"][middle] / max(curves[n][middle] for n in p)
claim("share of the best of them that one measure has, at t = 0.3", most, 0.75, 1)

# %% [markdown]
# *In the picture:* the three models are of nearly the same use, and of more use than treating all or none. One measure alone gets most of the way.

# %% [markdown]
# #### What such a table cannot show · 这样的数据说明不了什么
#
# - **Another hospital.** All patients came to one, in the years before 1995. No external validation, no passing of time.
# - **Another population.** 37 % are malignant, since these lumps were suspicious enough for a needle. Of women who are screened, some 6 in 1,000 have cancer.
# - **The hard part.** Experts chose and outlined the nuclei; a network that reads the slide itself is not tested here.
# - **Whether anyone lives longer**, which is what counts.

# %% [markdown]
# Two of these can be measured. **Predict:** a laboratory whose microscope measures 10 % larger. What becomes of the network?

# %%
lengths = np.array([i for i in range(30) if i % 10 in (0, 2)])  # radius and perimeter
areas = np.array([i for i in range(30) if i % 10 == 3])


def other_laboratory(rows: np.ndarray, factor: float) -> np.ndarray:
    """The same cells by another magnification: lengths grow by the factor, areas by its square."""
    moved = x[rows].copy()
    moved[:, lengths] *= factor
    moved[:, areas] *= factor**2
    return moved


# %%
factors, shift = (0.9, 0.95, 1.0, 1.05, 1.1), {}
for name in methods:
    for factor in factors:
        q = out_of_fold(name, lambda rows, factor=factor: other_laboratory(rows, factor))
        count = confusion(q, malignant, 0.5)
        shift[name, factor] = {
            "missed, %": 100 * count["missed"] / malignant.sum(),
            "false alarms, %": 100 * count["false alarms"] / (malignant == 0).sum(),
            "mean probability, %": 100 * float(q.mean()),
            "ECE": calibration(q, malignant).error,
            "log loss, nats": float(log_loss(malignant, q)),
        }
plots.table({f"{name}, {f:.0%}": row for (name, f), row in shift.items() if f in (0.9, 1.0, 1.1)})

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharex=True)
kinds = ("missed, %", "false alarms, %", "mean probability, %")
for ax, kind in zip(axes, kinds, strict=True):
    for name, colour, line in zip(methods, styles, ("o-", "s--", "^-."), strict=False):
        ax.plot(factors, [shift[name, f][kind] for f in factors], line, color=colour, label=name)
    ax.set(xlabel="magnification", ylabel=kind)
axes[2].axhline(100 * malignant.mean(), color=plots.GREY, lw=1, label="truly malignant")
axes[2].legend(frameon=False, fontsize=8)
figure.tight_layout()
alt = (
    "Against magnification: misses rise to the left, false alarms to the right; the mean"
    " probability of malignant climbs with it and crosses the true share near 1."
)
plots.show(figure, alt=alt)

# %%
network_at = {factor: shift["network", factor] for factor in factors}
alarms = network_at[1.1]["false alarms, %"] - network_at[1.0]["false alarms, %"]
missed = network_at[0.9]["missed, %"] - network_at[1.0]["missed, %"]
drift = network_at[1.1]["mean probability, %"] - network_at[0.9]["mean probability, %"]
blind = network_at[1.1]["ECE"] - network_at[1.0]["ECE"]
claim("network at 110 %: false alarms, percentage points more", alarms, low=2)
claim("at 90 %: misses, percentage points more", missed, low=2)
claim("mean probability, percentage points from 90 % to 110 %", drift, low=3)
claim("ECE at 110 % less that at 100 %", blind, high=0.02)

# %% [markdown]
# *In the picture:* nothing about the patients changed, and no cross-validation could have warned: all folds share one microscope. The network's ECE hardly warns either: it asks how sure, not of *which* class. The mean probability of malignant, beside how many are, does.
#
# **Prevalence** is the second trap. With sensitivity and specificity as found here, Bayes' rule says how many alarms are true where cancer is rare:

# %%
count = confusion(p["network"], malignant, 0.5)
sensitivity = count["found"] / malignant.sum()
specificity = count["left alone"] / (malignant == 0).sum()
values = {share: predictive_value(sensitivity, specificity, share) for share in (0.37, 0.1, 0.006)}
plots.table({f"{share:.1%} malignant": {"alarms that are true": v} for share, v in values.items()})
claim("alarms that are true, here", values[0.37], low=0.9)
claim("alarms that are true where 6 of 1,000 are ill", values[0.006], high=0.5)

# %% [markdown]
# The same model: here nearly every alarm is right, in screening most would be wrong. A paper that reports accuracy on a table like this one has not begun to answer whether the model helps. What it takes is in the guidelines: TRIPOD+AI (Collins et al. 2024) for reporting a prediction model, external validation, and a trial.

# %% [markdown]
# ### Finance · 金融
#
# Can a model foresee tomorrow's return? And its **volatility**, how far it will swing?
#
# > **No investment advice.** The market below is simulated. Nothing here says what to buy or sell.

# %% [markdown]
# We make the market ourselves, so that the truth is known: a GARCH process (Bollerslev 1986). The return of day $t$, in percent, is $r_t = \sigma_t \varepsilon_t$, with $\varepsilon_t$ of mean 0 and variance 1 drawn anew each day (from Student's $t$ with 6 degrees of freedom, whose tails are fat), and
#
# $$\sigma^2_t = \omega + \alpha\, r^2_{t-1} + \beta\, \sigma^2_{t-1}$$
#
# A wild day ($\alpha$) makes the next one wild, for long ($\beta$). $\omega$ sets the level.

# %%
import tempfile
from datetime import date, timedelta
from pathlib import Path

from arch import arch_model
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, TimeSeriesSplit, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from bigmodel_lib.data.markets import Garch, make_market, past_variances, read_prices
from bigmodel_lib.forecasting import clark_west, diebold_mariano, qlike
from bigmodel_lib.models.rnn import GRU
from bigmodel_lib.models.sequence import SequenceClassifier
from bigmodel_lib.training.forecast import ForecastRun, ForecastSettings
from bigmodel_lib.training.schedule import cosine

# %%
garch = Garch()
market = make_market(4000, garch)
r = market.returns
print(garch)
print(f"half of a disturbance is gone after {garch.half_life:.0f} days")


def autocorrelation(series, lag: int) -> float:
    return float(np.corrcoef(series[:-lag], series[lag:])[0, 1])


# %% [markdown]
# Real returns of shares, currencies and commodities share three *stylised facts* (Cont 2001): extreme days are far more frequent than a normal law allows (**fat tails**); returns do not tell the next return (**no autocorrelation**); their size tells the next size (**clustering**). Does our market have them? A random walk of normal steps has the second only.

# %%
band = 1.96 / np.sqrt(len(r))  # of pure noise, 95 %
lags = np.arange(1, 41)
of_returns = np.array([autocorrelation(r, k) for k in lags])
of_sizes = np.array([autocorrelation(np.abs(r), k) for k in lags])
beyond = np.mean(np.abs(r - r.mean()) > 4 * r.std()) / (2 * stats.norm.sf(4))
claim("days beyond 4 standard deviations, over a normal law's", beyond, low=10)
claim("kurtosis above that of a normal law", stats.kurtosis(r), low=1)
claim("mean autocorrelation of sizes, lags 1 to 20", of_sizes[:20].mean(), low=0.05)
claim("mean autocorrelation of returns, lags 1 to 20", of_returns[:20].mean(), -0.03, 0.03)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.9), width_ratios=(3, 2))
axes[0].plot(r, color=plots.GREY, lw=0.5, label="return")
both = 2 * np.sqrt(market.variance)[:, None] * [1, -1]
axes[0].plot(both, color=plots.ORANGE, lw=1, label=["±2σ, known here only", None])
axes[0].set(xlabel="day", ylabel="return, %")
axes[0].legend(frameon=False, fontsize=8, loc="upper right")
axes[1].plot(lags, of_sizes, "s-", ms=3, color=plots.ORANGE, label="of their sizes |r|")
axes[1].plot(lags, of_returns, "o-", ms=3, color=plots.BLUE, label="of returns")
axes[1].axhspan(-band, band, color=plots.GREY, alpha=0.25, label="noise, 95 %")
axes[1].set(xlabel="lag, days", ylabel="autocorrelation", ylim=(None, 0.28))
axes[1].legend(frameon=False, fontsize=8, loc="upper right")
figure.tight_layout()
alt = "Left, returns, calm and wild, in a band of 2σ. Right, autocorrelations: only sizes remember."
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* left, calm and wild times, and the band $\pm 2\sigma_t$ that made them; right, sizes remember, returns do not.

# %% [markdown]
# **Your own prices.** `read_prices` takes a CSV of daily prices, and says what is wrong with it. Here is one that we write ourselves, and the same with a hole in it; put your own file's path in its place, and let `r` be its returns (2,500 or more). The tests of returns then run on it, though not what needs the known truth: the column *by the truth*, and the volatility.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "prices.csv"
    days = [date(2020, 1, 1) + timedelta(days=i) for i in range(300)]
    rows = [f"{day},{price}" for day, price in zip(days, market.prices[:300].tolist(), strict=True)]
    path.write_text("\n".join(["Date,Close", *rows]))
    own = read_prices(path)
    print(f"{len(own.returns)} returns, {own.dates[0]} to {own.dates[-1]}")
    path.write_text("\n".join(["Date,Close", *rows[:100], f"{days[100]},", *rows[101:]]))
    try:
        read_prices(path)
    except ValueError as error:
        print("refused:", str(error).removeprefix(folder + "/"))


# %% [markdown]
# #### Returns against the random walk · 收益率与随机游走
#
# If prices are a **random walk**, the best forecast of each return is 0. Rivals: an autoregression (AR) on the last 5 returns; boosted trees on 20; a GRU that reads 20. The test is **walk-forward**: learn from all days up to some day, forecast the next 500, move on. **Predict:** on a market where *nothing* can be foreseen, which will look best?

# %%
def windows(series: np.ndarray, T: int) -> np.ndarray:
    """The last T values before each day (N, T), for days T, T + 1, …"""
    return np.lib.stride_tricks.sliding_window_view(series, T)[:-1]


# %%
class GRUForecast:
    """A GRU that reads the window and forecasts a mean; fit and predict as scikit-learn's."""

    def fit(self, x, y):
        torch.manual_seed(0)
        self.network = SequenceClassifier(GRU(1, 8), 8, C=1)
        run = ForecastRun(self.network, self.read(x), torch.tensor(y).float())
        for _ in cosine(run, 40, lr=1e-2):
            pass
        return self

    def read(self, x):
        return torch.tensor(x[:, :, None]).float()

    @torch.no_grad()
    def predict(self, x):
        return self.network(self.read(x))[:, 0].double().numpy()


# %%
class AR5(LinearRegression):
    """Least squares on the last 5 values of the window."""

    def fit(self, x, y):
        return super().fit(x[:, -5:], y)

    def predict(self, x):
        return super().predict(x[:, -5:])


def walk_forward(model, x, y, folds: int = 4, size: int = 500) -> np.ndarray:
    """Forecasts of the last folds · size days, each by a model fitted to the days before."""
    parts = TimeSeriesSplit(folds, test_size=size).split(x)
    return np.concatenate([model.fit(x[a], y[a]).predict(x[b]) for a, b in parts])


trees = HistGradientBoostingRegressor(max_iter=30, max_leaf_nodes=6, random_state=0)
models = {"AR on 5 days": AR5(), "boosted trees": trees, "GRU": GRUForecast()}

# %%
x, y = windows(r, 20), r[20:]
forecasts = {name: walk_forward(model, x, y) for name, model in models.items()}
tested = y[-2000:]
GAIN, TRULY = "less squared error than the walk, %", "on average, by the truth"
P = "p of DM, one-sided"


# %% [markdown]
# **Could an advantage be luck?** The test is that of Diebold & Mariano (1995). Let $d_t$ be the walk's loss less the model's on day $t$, over $n$ days, and $V$ the variance of $\sqrt n\,\bar d$, which counts that neighbouring days depend on each other:
#
# $$\text{DM} = \frac{\bar d}{\sqrt{V/n}}$$
#
# For forecasts of $h$ days ahead, Harvey, Leybourne & Newbold (1997) multiply it by $\sqrt{(n+1-2h+h(h-1)/n)/n}$ and compare with Student's $t$. Positive: the model is better. A small $p$ says that a model *no better* than the walk would seldom look so good.

# %%
def against_walk(forecasts: dict, target: np.ndarray) -> dict:
    table, n = {}, len(target)
    for name, forecast in forecasts.items():
        losses = (target - forecast) ** 2
        dm = diebold_mariano(target**2, losses).statistic
        table[name] = {
            GAIN: 100 * float(1 - losses.mean() / np.mean(target**2)),
            TRULY: -100 * float(np.mean(forecast**2)) / garch.long_run_variance,
            "DM": dm,
            P: float(stats.t(n - 1).sf(dm)),  # one-sided: of being better
            "Clark-West p": clark_west(target, np.zeros(n), forecast).p,
        }
    return table


table = against_walk(forecasts, tested)
plots.table(table)

# %%
largest = max(row[GAIN] for row in table.values())
smallest = min(row[P] for row in table.values())
truly = max(row[TRULY] for row in table.values())
claim("largest advantage over the walk, %", largest, high=1)
claim("smallest p of the three, times 3, as the luckiest was chosen", 3 * smallest, low=0.05)
claim("by the truth: the best model's advantage, %", truly, high=0)

# %% [markdown]
# By the truth, every one of them loses: the mean of $r_t$ given the past is 0, so a forecast $f$ costs $f^2$ on average (second column). An advantage in the first column is luck, and DM rightly finds none that luck could not explain.

# %% [markdown]
# A larger model pays that price for fitting noise; **Clark & West** (2007) add it back, to ask if there is anything to find. Some of *their* $p$ may look good: three models, two tests, six chances, on one history. Are the tests wrong, or was it chance? Ask fresh markets.

# %%
better = {"DM": [], "Clark-West": []}
for seed in range(1, 61):
    fresh = make_market(2520, garch, seed=seed).returns
    forecast, target = walk_forward(AR5(), windows(fresh, 20), fresh[20:]), fresh[-2000:]
    row = against_walk({"AR": forecast}, target)["AR"]
    better["DM"].append(row[P] < 0.05)
    better["Clark-West"].append(row["Clark-West p"] < 0.05)
for name, found in better.items():
    claim(f"share of 60 markets where {name} prefers the AR at 5 %", np.mean(found), high=0.12)
rarer = np.mean(better["Clark-West"]) - np.mean(better["DM"])
claim("by how much rarer with DM than with Clark-West", rarer, low=0.0)

# %% [markdown]
# About as often as promised, DM less often still, as it leaves the price of fitting in. So **no model beats the walk** in this market; who tries enough models on one history will find one that seems to.
#
# But could these tests see anything at all? **Give them something to find:** let each return carry on a tenth of the one before.

# %%
carried = r.copy()
for t in range(1, len(r)):
    carried[t] += 0.1 * carried[t - 1]
by_ar = walk_forward(AR5(), windows(carried, 20), carried[20:])
row = against_walk({"AR on 5 days": by_ar}, carried[-2000:])["AR on 5 days"]
claim("a tenth carried on, AR: p of DM", row[P], high=0.01)
claim("its Clark-West p", row["Clark-West p"], high=0.01)
claim("share of the squared error that it removes, %", row[GAIN], 0, 5)

# %% [markdown]
# The tests see it at once, though the model removes little of the squared error: a forecast can be real and tiny. In real markets such a pattern would have to outlast its own trading costs, and everybody else who looks for it.

# %% [markdown]
# #### The leak · 数据泄漏
#
# Now a classic mistake. Forecast the return of the next **20 days** from the returns over the last 20, 60, 120 and 250, on the same market of which nothing can be foreseen, by the mean of the 3 most similar pasts. Yesterday's target shares 19 of its 20 days with today's. **Predict:** what will a shuffled 5-fold cross-validation say?

# %%
total = np.concatenate([[0.0], np.cumsum(r)])
now = np.arange(250, len(r) - 20)
past = np.column_stack([total[now] - total[now - n] for n in (20, 60, 120, 250)])
ahead = total[now + 20] - total[now]
similar = KNeighborsRegressor(3)

# %%
shuffled = KFold(5, shuffle=True, random_state=0)
scores = {}
scores["shuffled folds"] = r2_score(ahead, cross_val_predict(similar, past, ahead, cv=shuffled))
for name, gap in (("walk-forward", 0), ("walk-forward, 20 days left out between", 20)):
    parts = list(TimeSeriesSplit(5, gap=gap).split(past))
    guess = [similar.fit(past[a], ahead[a]).predict(past[b]) for a, b in parts]
    scores[name] = r2_score(np.concatenate([ahead[b] for _, b in parts]), np.concatenate(guess))
plots.table({name: {"R²": float(score)} for name, score in scores.items()})

# %%
gap = scores["shuffled folds"] - scores["walk-forward, 20 days left out between"]
claim("R² that shuffled folds promise where there is none", scores["shuffled folds"], low=0.3)
claim("R² when walking forward", scores["walk-forward, 20 days left out between"], high=0.0)
claim("the leak: promised less kept", gap, low=0.5)

# %% [markdown]
# Shuffled folds put day 1,000 into the test and days 999 and 1,001 into the training set: nearly the same inputs, nearly the same target. The most similar past *is* the day before, and the model copies its answer. Walking forward, $R^2$ is below 0: worse than the mean. So split in time, and leave a gap as long as the targets overlap (*purging*): it matters little here, where the folds are long, and much where they are short. A back-test that was shuffled is worth nothing.

# %% [markdown]
# #### Volatility, which can be foreseen · 可预测的波动率
#
# $\sigma^2_t$ *is* a function of the past. Rivals: a **constant**, the mean of $r^2$ so far; **HAR** (after Corsi 2009), a regression on the mean of $r^2$ over a day, a week, a month and, added by us, a quarter; a **network**, one hidden layer, on the logarithms of the same means and of the falls alone; and **GARCH(1,1)**, fitted by `arch` (Sheppard). Fit on 2,500 days, forecast the next 1,500, day by day.

# %% [markdown]
# **Predict:** can the network beat GARCH in a market that *is* GARCH?

# %%
CUT, SPANS = 2500, (1, 5, 22, 66)


FIRST = CUT - max(SPANS)  # of the test, in rows of past_variances


def by_network(returns: np.ndarray) -> np.ndarray:
    means = np.log(past_variances(returns, SPANS, falls=True)[:-1] + 0.1)  # 0.1: log 0 is no input
    x = torch.tensor((means - means[:FIRST].mean(0)) / means[:FIRST].std(0)).float()
    y = torch.tensor(returns[max(SPANS) :] ** 2).float()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(x.shape[1], 16), nn.Tanh(), nn.Linear(16, 1))
    settings = ForecastSettings(weight_decay=0.1, batch_size=256)
    run = ForecastRun(net, x[:FIRST], y[:FIRST], loss="QLIKE", settings=settings)
    for _ in cosine(run, 300, lr=1e-2):
        pass
    with torch.no_grad():
        return net(x)[FIRST:, 0].exp().double().numpy()


# %%
def by_har(returns: np.ndarray) -> np.ndarray:
    means, target = past_variances(returns, SPANS)[:-1], returns[max(SPANS) :] ** 2
    line = LinearRegression().fit(means[:FIRST], target[:FIRST])
    return np.maximum(line.predict(means[FIRST:]), 0.1 * target[:FIRST].mean())  # never below 0


def by_garch(returns: np.ndarray, o: int = 0) -> np.ndarray:
    """GARCH(1,1); with o = 1 falls may count more than rises (GJR)."""
    model = arch_model(returns, mean="Zero", p=1, o=o, q=1, dist="t", rescale=False)
    fitted = model.fit(last_obs=CUT, disp="off")
    return np.asarray(model.fix(fitted.params).conditional_volatility)[CUT:] ** 2


# %%
def volatility_forecasts(returns: np.ndarray) -> dict:
    constant = np.full(len(returns) - CUT, np.mean(returns[:CUT] ** 2))
    made = {"constant": constant, "HAR": by_har(returns), "network": by_network(returns)}
    return {**made, "GARCH": by_garch(returns), "GJR": by_garch(returns, o=1)}


# %% [markdown]
# **How to score a variance that nobody sees?** Only $r^2$ is seen: right on average, but one day's $r^2$ is a very noisy measure of $\sigma^2$. A loss that still ranks forecasts rightly is **QLIKE** (Patton 2011):
#
# $$\log \hat\sigma^2_t + \frac{r_t^2}{\hat\sigma^2_t}$$
#
# Its mean is least for the true variance. We show it less that of the truth, once with $r^2$, as one would have to in a real market, and once with the true $\sigma^2$ in its place. A positive DM is better than GARCH. (GJR has one term more; its turn comes below.)

# %%
def volatility_table(made, forecasts: dict) -> dict:
    seen, truth, table = made.returns[CUT:] ** 2, made.variance[CUT:], {}
    for name, forecast in {**forecasts, "the truth": truth}.items():
        losses = qlike(seen, forecast)
        above = {"by r²": losses - qlike(seen, truth)}
        above["by σ²"] = qlike(truth, forecast) - qlike(truth, truth)
        table[name] = {f"above the truth, {k}": float(v.mean()) for k, v in above.items()}
        dm = "·"
        if name != "GARCH":
            garch_loss = qlike(seen, forecasts["GARCH"])
            dm = diebold_mariano(garch_loss, losses, lags=10).statistic
        table[name]["DM against GARCH"] = dm
    return table


# %%
plain = volatility_table(market, volatility_forecasts(r))
plots.table(plain)

# %%
true = "above the truth, by σ²"
claim("constant volatility, DM against GARCH", plain["constant"]["DM against GARCH"], high=-2)
removed = {name: 1 - row[true] / plain["constant"][true] for name, row in plain.items()}
claim("of what can be foreseen, GARCH foresees", removed["GARCH"], low=0.9)
claim("the network", removed["network"], low=0.7)
claim("network's loss less GARCH's", plain["network"][true] - plain["GARCH"][true], low=0)
gain = np.corrcoef(market.variance[CUT:], r[CUT:] ** 2)[0, 1] ** 2
claim("share of the variance of r² that even the truth explains", gain, high=0.35)

# %% [markdown]
# GARCH wins: it has four numbers to learn, and the right form. The network must find the form, too. Note the last line: even the true $\sigma^2$ explains little of $r^2$, so a low $R^2$ is no fault of a volatility model (Andersen & Bollerslev 1998).

# %% [markdown]
# **And where the textbook is wrong?** In real share prices a fall raises volatility more than a rise of the same size does (Glosten, Jagannathan & Runkle 1993). GARCH squares the return, and cannot know. Let $\gamma$ be what a fall adds to $\alpha$:

# %%
levered = make_market(4000, Garch(alpha=0.02, gamma=0.16, beta=0.88))
foreseen = volatility_forecasts(levered.returns)
falls = volatility_table(levered, foreseen)
plots.table(falls)
lead = falls["GARCH"][true] - falls["network"][true]
claim("where falls count more: GARCH's loss less the network's", lead, low=0)
claim("DM of GJR, which knows of falls, against GARCH", falls["GJR"]["DM against GARCH"], low=1.5)
claim("GJR's loss less the network's", falls["GJR"][true] - falls["network"][true], high=0)

# %%
fell = levered.returns[CUT - 1 : -1] < 0  # the day before
ratio = foreseen["network"] / foreseen["GARCH"]
after = ratio[fell].mean() / ratio[~fell].mean()
claim("network's σ² over GARCH's, after falls against after rises", after, low=1.02)

# %%
figure, ax = plt.subplots(figsize=(9, 3))
shown = slice(0, 300)
truth = np.sqrt(levered.variance[CUT:])[shown]
ax.plot(truth, color="black", lw=1.5, label="truth")
lines = (("network", plots.BLUE, "-"), ("GARCH", plots.ORANGE, "--"), ("constant", plots.GREY, ":"))
for name, colour, line in lines:
    ax.plot(np.sqrt(foreseen[name])[shown], line, color=colour, lw=1.2, label=name)
ax.set(xlabel="day after the last that was learned from", ylabel="σ, % a day", ylim=(0, 2.1))
ax.legend(frameon=False, ncol=4, fontsize=8)
alt = "True volatility over 300 days: network and GARCH follow it, a constant does not."
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* both follow the truth, and where falls have raised it, the network goes along, even a little too far, and GARCH stays below. By $r^2$ alone, even some years of days hardly prove that lead: see its DM. But an econometrician who knows of falls writes one term more (GJR) and beats both. **Knowledge of the form is worth more than flexibility**, as long as data are few.

# %% [markdown]
# What a simulation cannot show: real markets change their rules, move together, and answer to those who trade on forecasts.

# %% [markdown]
# ### Education · 教育
#
# A tutor, human or program, must guess what a student can do, from right and wrong answers alone. That is **knowledge tracing**: forecast the next answer. With real students nobody knows what they know. So we make students of whom we know it, in three worlds:
#
# - **ability**: one number a student, $\theta$, which stays;
# - **mastery**: five skills, each mastered or not, learned by practice;
# - **chain**: the same, but each skill can be learned only after the one before.

# %%
from bigmodel_lib.data.students import WORLDS, make_students
from bigmodel_lib.models.tracing import (
    DeepTracer,
    ItemResponse,
    counts,
    fit_items,
    fit_mastery,
    forecast_mastery,
    share_so_far,
)
from bigmodel_lib.training.tracing import TracingRun, TracingSettings, forecast_scores

worlds = {world: make_students(world, N=1400, T=40).split(1000) for world in WORLDS}
tests = {world: test for world, (_, test) in worlds.items()}
for world, test in tests.items():
    N, T = test.right.shape
    print(f"{world}: {test.right.mean():.0%} right; {N} students held out, {T} answers each")

# %% [markdown]
# Two truths are known for each answer: how probable it was given the student's hidden state; and the **best forecast**, by whoever knows the world's rules but sees only the earlier answers (Bayes' rule, exactly). Nothing that reads answers can beat the second on average. One student of the chain:

# %%
test, one = tests["chain"], 3
figure, ax = plt.subplots(figsize=(8, 3))
step, right = torch.arange(1, T + 1), test.right[one] > 0.5
_ = ax.step(step, test.knows[one], where="mid", color=plots.GREY, label="who sees the mind")
_ = ax.plot(step, test.best[one], "o-", ms=3, color=plots.BLUE, label="best from answers")
_ = ax.plot(step[right], 1.06 + 0 * step[right], "|", color=plots.GREEN, label="right")
_ = ax.plot(step[~right], -0.06 + 0 * step[~right], "x", ms=5, color=plots.ORANGE, label="wrong")
_ = ax.set(xlabel="answer", ylabel="probability of right", ylim=(-0.15, 1.15))
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plots.show(
    figure,
    alt="The true probability jumps between two levels; the best forecast follows more slowly.",
)

# %% [markdown]
# *In the picture:* grey jumps with the skill asked for and when one is learned; blue must infer this from the marks at top and bottom. Slips and guesses blur it.
#
# **Item response theory** (Rasch 1960, Lord 1980): student $\theta$, item $i$ of difficulty $b_i$ and slope $a_i$,
#
# $$P(\text{right}) = \sigma\big(a_i(\theta - b_i)\big), \qquad \theta \sim N(0, 1)$$
#
# $\sigma$ is the logistic function here. Rasch has one slope for all. The items come from the marginal likelihood, a sum over $\theta$ (Bock & Aitkin 1981).

# %% [markdown]
# **Bayesian knowledge tracing** (Corbett & Anderson 1995). $L$ is the probability that the skill is mastered, $s$ slip, $g$ guess, $r$ the rate of learning:
#
# $$P(\text{right}) = L(1-s) + (1-L)\,g, \qquad L \leftarrow L' + (1-L')\,r$$
#
# where $L'$ is $L$ after the answer, by Bayes' rule. It is a hidden Markov model with two states, so expectation-maximisation finds the rates: up to rounding, no round may lower the likelihood.

# %%
rates, likelihoods = fit_mastery(worlds["mastery"][0])
rises = torch.tensor(likelihoods).diff()
claim("smallest rise of the log-likelihood in a round, in nats", rises.min(), low=-0.5)
for name in ("known", "learn", "guess", "slip"):
    print(f"{name:>6}", [round(value, 2) for value in getattr(rates, name).tolist()])


# %% [markdown]
# **Deep knowledge tracing** (Piech et al. 2015): a GRU reads pairs (item, right or wrong) and gives a probability for each item. It is told nothing of skills or abilities.
#
# Opponents: the **share right so far**; and **performance factors**, a logistic regression on the item and on how often this skill went right and wrong before (after Pavlik et al. 2009, with logarithms of the counts).

# %%
def by_deep(train, test) -> torch.Tensor:
    torch.manual_seed(0)
    settings = TracingSettings(1e-2, 0.05, warmup=10, schedule=120, batch_size=50)
    run = TracingRun(DeepTracer(train.I), train, settings=settings)
    for _ in run.take(settings.schedule):
        pass
    return run.model.forecast(test)


def by_counts(train, test) -> torch.Tensor:
    x, y = counts(train).flatten(0, 1).numpy(), train.right.flatten().numpy()
    regression = LogisticRegression(max_iter=300).fit(x, y)
    p = regression.predict_proba(counts(test).flatten(0, 1).numpy())[:, 1]
    return torch.from_numpy(p).float().reshape(test.right.shape)


# %%
methods = {
    "share right so far": lambda train, test: share_so_far(test.right),
    "performance factors": by_counts,
    "Rasch": lambda train, test: fit_items(ItemResponse(train.I), train).forecast(test),
    "two-parameter IRT": lambda train, test: fit_items(
        ItemResponse(train.I, slopes=True), train
    ).forecast(test),
    "Bayesian tracing": lambda train, test: forecast_mastery(test, fit_mastery(train)[0]),
    "deep tracing": by_deep,
    "best from answers": lambda train, test: test.best,
    "who sees the mind": lambda train, test: test.knows,
}

# %% [markdown]
# **Predict:** each world has one of these as its truth, except the chain. Who wins where? And can the network, which may learn any rule, beat a model that *is* the rule?

# %%
area, nats, p = {}, {}, {}
for name, method in methods.items():
    found = {}
    for world, parts in worlds.items():
        p[name, world] = method(*parts)
        found[world] = forecast_scores(p[name, world], parts[1].right)
    area[name] = {f"{world}: area": found[world][0] for world in WORLDS}
    nats[name] = {world: found[world][1] for world in WORLDS}
plots.table({name: {**area[name], **nats[name]} for name in methods})

# %% [markdown]
# *Area* under the ROC curve, 0.5 for guessing; then *log loss*, nats an answer, on held-out students. What counts is the distance to the best from answers:

# %%
figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True)
rivals = list(methods)[:6]
for ax, world in zip(axes, WORLDS, strict=True):
    above = [nats[name][world] - nats["best from answers"][world] for name in rivals]
    colours = [plots.ORANGE if a == min(above) else plots.GREY for a in above]
    _ = ax.hlines(range(6), 0, above, color=colours)
    _ = ax.scatter(above, range(6), color=colours)
    _ = ax.set(title=world, xlabel="nats above the best", yticks=range(6), yticklabels=rivals)
    ax.locator_params(axis="x", nbins=4)
_ = axes[0].invert_yaxis()
plots.show(figure, alt="Nearest to the best: two-parameter IRT, Bayesian tracing, deep tracing.")

# %% [markdown]
# *In the picture:* orange is the nearest to the best possible, at 0. Item response theory wins the world of ability, Bayesian tracing that of mastery: each is the rule there. In the chain both are wrong, and the network wins.

# %%
for world, truth in (("ability", "two-parameter IRT"), ("mastery", "Bayesian tracing")):
    gap = nats[truth][world] - nats["best from answers"][world]
    claim(f"{world}: {truth}, nats above the best", gap, high=0.004)
    behind = nats["deep tracing"][world] - nats[truth][world]
    claim(f"{world}: deep tracing behind it, nats", behind, low=0.001)


# %%
def per_student(name: str, world: str) -> torch.Tensor:
    right = tests[world].right
    return -(right * p[name, world].log() + (1 - right) * (1 - p[name, world]).log()).mean(1)


ahead = per_student("Bayesian tracing", "chain") - per_student("deep tracing", "chain")
print(f"{ahead.mean():.4f} ± {2 * ahead.std() / len(ahead) ** 0.5:.4f} nats an answer")
claim("chain: deep tracing ahead of Bayesian tracing", ahead.mean(), low=0.002)
left = nats["deep tracing"]["chain"] - nats["best from answers"]["chain"]
claim("chain: what even deep tracing leaves, nats", left, low=0.01)

# %% [markdown]
# The network's gain in the chain is small beside what is left: with a thousand students it finds only part of the rule. Where somebody *knows* the rule, a model of a few numbers is better, and its numbers mean something.
#
# #### Abilities found again · 能力还原
#
# What a tutor wants is not the next answer but $\theta$. **Predict:** of one hundred 95 % intervals from forty answers, how many hold the truth?

# %%
train, test = worlds["ability"]
mean, sd = fit_items(ItemResponse(train.I, slopes=True), train).ability(test)
inside = ((test.ability - mean).abs() < 1.96 * sd).double().mean()
figure, ax = plt.subplots(figsize=(4.2, 4))
some = slice(None, 80)
_ = ax.errorbar(
    test.ability[some], mean[some], 1.96 * sd[some], fmt="o", ms=3, color=plots.BLUE, alpha=0.6
)
_ = ax.axline((0, 0), slope=1, color=plots.GREY)
_ = ax.set(xlabel="true ability θ", ylabel="found: mean and 95 % interval")
plots.show(figure, alt="Found abilities lie along the diagonal, pulled towards zero at both ends.")
claim("share of intervals that hold the true ability", inside, 0.91, 0.985)
correlation = torch.corrcoef(torch.stack((test.ability, mean)))[0, 1]
claim("correlation of found and true ability", correlation, low=0.85)

# %% [markdown]
# *In the picture:* dots follow the diagonal; the strongest and weakest are pulled towards the middle, since forty answers leave doubt, and in doubt the prior $N(0, 1)$ counts. The intervals say so honestly; a mere share of right answers comes without them.

# %% [markdown]
# **What this cannot show.** Our students do not forget, tire, copy or give up; they answer items at random, not those that a tutor chose; nobody is left out of the data. Whether a tracer *helps anyone learn* needs real students and a trial. And a forecast that a student will fail can become the reason.

# %% [markdown]
# ## 7.2 Better interpretability · 可解释性提升
#
# The article expects that it will become essential to explain what a model does. What can be had today? We look from outside first: **which pixels** did an answer depend on? Then, further below, from inside: what do the layers hold, and which part does what?
#
# Pictures that explain are easy to make and easy to believe. So we test each of them, and let plain methods compete.

# %% [markdown]
# ### Which pixels? · 归因：哪些像素起作用
#
# The networks are the two of section 6.2. We write an image as **ink** $x$, 0 on blank paper and 1 at its blackest, and explain one number: the score $s_c(x)$ of a digit $c$, before the softmax.
#
# An *attribution* gives each pixel a share in that score. Methods differ in what they take for a share.

# %%
from captum import attr

from bigmodel_lib.attribution import METHODS, OnInk, attribute, patch_numbers, to_ink
from bigmodel_lib.cached.vision import RecogniserCNN, RecogniserViT

cnn, vit = RecogniserCNN().load()[0], RecogniserViT().load()[0]
images = load_digits("digits", "test").images[:60]
ink = to_ink(images)  # (B, 1, 28, 28), 0 to 1
score = OnInk(cnn)  # ink → ten scores
with torch.no_grad():
    classes = score(ink).argmax(dim=1)  # c: what the CNN reads
    gain = (score(ink) - score(0 * ink)).gather(1, classes[:, None])[:, 0]
print(f"score of the digit that is read, above that of blank paper: {gain.mean():.1f} on average")

# %% [markdown]
# **Saliency** asks how much the score would change if a pixel had a little more ink (Simonyan et al. 2014):
#
# $$\left|\frac{\partial s_c(x)}{\partial x_i}\right|$$
#
# $i$ numbers the pixels. One backward pass gives all of them. By hand, and by **Captum**, the library that we use for all methods:

# %%
x = ink.clone().requires_grad_()
chosen = score(x).gather(1, classes[:, None])  # (B, 1), s_c of each image
(gradient,) = torch.autograd.grad(chosen.sum(), x)
saliency = gradient.abs()

by_captum = attr.Saliency(score).attribute(x, target=classes)
torch.testing.assert_close(saliency, by_captum)
claim("largest difference to Captum's saliency", (saliency - by_captum).abs().max(), 0, 1e-6)


# %% [markdown]
# A gradient tells what a *little* ink would do, here. The answer arose from *all* the ink. **Integrated gradients** (Sundararajan et al. 2017, eq. 1) walks from blank paper to the image and adds up what each pixel contributes on the way:
#
# $$\mathrm{IG}_i = x_i \int_0^1 \frac{\partial s_c(\alpha x)}{\partial x_i}\, d\alpha$$
#
# $\alpha$ is how far we are. The integral becomes a weighted sum over $n$ points (Gauss and Legendre's).

# %%
def integrated(n: int) -> torch.Tensor:
    points, weights = np.polynomial.legendre.leggauss(n)  # for −1 to 1
    total = torch.zeros_like(ink)
    for alpha, weight in zip((points + 1) / 2, weights / 2, strict=True):
        x = (alpha * ink).float().requires_grad_()
        chosen = score(x).gather(1, classes[:, None])
        total += weight * torch.autograd.grad(chosen.sum(), x)[0]
    return ink * total


by_captum = attr.IntegratedGradients(score).attribute(ink, target=classes, n_steps=32)
torch.testing.assert_close(integrated(32), by_captum.float(), atol=1e-4, rtol=1e-4)


# %% [markdown]
# Its promise is **completeness**: the shares add up to what is to be explained,
#
# $$\sum_i \mathrm{IG}_i = s_c(x) - s_c(0).$$
#
# **Predict.** *Input × gradient*, $x_i \, \partial s_c / \partial x_i$, looks at the end of the walk only. Are its shares complete, too? And what do more points do?

# %%
def gap(shares: torch.Tensor) -> float:
    """How far the sums are from what they should be, over what they should be, on average."""
    return float((shares.sum((1, 2, 3)) - gain).abs().mean() / gain.mean())


gaps = {f"integrated gradients, {n} points": gap(integrated(n)) for n in (4, 16, 64)}
gaps["input × gradient"] = gap(ink * gradient)
plots.table({name: {"gap, share of the score": value} for name, value in gaps.items()})
claim("gap of 64 points, share of the score", gaps["integrated gradients, 64 points"], high=0.02)
claim("gap of input × gradient, share of the score", gaps["input × gradient"], low=0.2)

# %% [markdown]
# Complete, up to the error of the sum; and a single gradient is not. Completeness says that nothing was lost. It does not say that the shares went to the right pixels.
#
# **Without gradients.** *Occlusion* (Zeiler & Fergus 2014) blanks a window of 4 by 4 pixels at each place and notes how far the score falls. *Shapley values* (Shapley 1953; for networks Lundberg & Lee 2017) do so for every combination of patches, and divide fairly.

# %% [markdown]
# Let $P$ patches enter in a random order; a patch's **Shapley value** is what it adds to the score when its turn comes, on average over all orders:
#
# $$\varphi_i = \sum_{S \not\ni i} \frac{1}{P \binom{P-1}{|S|}}\,\bigl(s_c(S \cup i) - s_c(S)\bigr)$$
#
# $S$ runs through the sets of patches without patch $i$; the others are blank. For 9 patches there are 512 sets, and we can afford them all:

# %%
P, players = 9, patch_numbers(28, 28, side=10)  # 3 by 3 patches
number = torch.arange(2**P)
kept = (number[:, None] >> torch.arange(P)) & 1  # (512, 9): who is in the set
with torch.no_grad():
    value = score(ink[:1] * kept[:, players][:, None])[:, classes[0]]  # (512,), s_c of each set
size = kept.sum(dim=1).tolist()
weight = torch.tensor([1 / (P * math.comb(P - 1, min(s, P - 1))) for s in size])
exact = torch.zeros(P)
for i in range(P):
    without = number[kept[:, i] == 0]
    exact[i] = (weight[without] * (value[without + 2**i] - value[without])).sum()
claim("sum of Shapley values minus the gain", exact.sum() - gain[0], -1e-3, 1e-3)

# %% [markdown]
# With 16 patches it would be 65,536 sets, so one *samples*: a few random orders (as below, and in the pictures), or a regression on random sets, *Kernel SHAP*. How far off are they with about 450 looks at the network?

# %%
settings = {"target": classes[:1], "feature_mask": players[None, None]}
sampled = {
    "50 random orders": attr.ShapleyValueSampling(score).attribute(
        ink[:1], n_samples=50, **settings
    ),
    "Kernel SHAP, 450 sets": attr.KernelShap(score).attribute(ink[:1], n_samples=450, **settings),
}
first = [(players == i).nonzero()[0].tolist() for i in range(P)]  # a pixel of each patch
errors = {}
for name, shares in sampled.items():
    values = torch.stack([shares[0, 0, row, column] for row, column in first])
    errors[name] = float((values - exact).norm() / exact.norm())
for name, error in errors.items():
    claim(f"{name}: error, share of the values' size", error, 0.1, 0.7)

# %% [markdown]
# Rough, both: with that many looks, a good part of the values is still noise.
#
# **Through the layers.** Two more, for networks with convolutions:
#
# - *Grad-CAM* (Selvaraju et al. 2017) takes the last feature maps, 7 by 7 here, weighs each by its mean gradient, and keeps what is positive;
# - *guided backprop* (Springenberg et al. 2015) is a gradient that drops negative values at every ReLU on its way back.
#
# Our library gives each a name, its unit, and says whether it has a sign:

# %%
maps = {name: attribute(cnn, images, classes, name) for name in METHODS}  # (B, 28, 28) each
plots.table(
    {
        name: {"sign": "for and against" if m.signed else "none", "unit": m.unit}
        for name, m in METHODS.items()
    }
)

# %% [markdown]
# *In the picture:* four digits and their maps. Signed maps are red where ink speaks for the digit and blue where it speaks against it; unsigned ones are dark where the score depends on the pixel. Each map has its own scale. **Which one would you believe?**

# %%
rows = [int((classes == digit).nonzero()[0]) for digit in (0, 3, 4, 7)]
figure, axes = plt.subplots(4, 8, figsize=(11, 6))
for line, row in zip(axes, rows, strict=True):
    line[0].imshow(images[row, 0], cmap="gray", vmin=-1, vmax=1)
    for ax, (name, values) in zip(line[1:], maps.items(), strict=True):
        plots.attribution_map(values[row], METHODS[name].signed, ax=ax)
for ax, title in zip(axes[0], ("image", *(n.replace(" ", "\n", 1) for n in maps)), strict=True):
    ax.set_title(title, fontsize=9)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
alt = (
    "Rows for the digits 0, 3, 4 and 7: the image, then seven maps. Saliency is speckled all "
    "over; input times gradient and integrated gradients are red and blue specks on the ink; "
    "occlusion and Grad-CAM are smooth blobs; Shapley values are 16 squares."
)
plots.show(figure, alt=alt)

# %% [markdown]
# The specks have a grid of two pixels: the CNN's first layer steps by two, so neighbours get different weights. That is true of the network, and no eye would have guessed it. Seven methods, seven answers: they can't all show "what the network looks at".

# %% [markdown]
# ### First test: take the pixels away · 删除与插入
#
# If a map is right, wiping out its highest pixels first should break the answer fast (*deletion*), and putting them on an empty page should bring the answer up fast (*insertion*; Petsiuk et al. 2018). The measure is the mean probability of the digit along the way.
#
# Two opponents: a **random** order, and the **ink** itself, darkest pixel first, which knows nothing of the network. **Predict.** Which methods beat the ink?

# %%
from bigmodel_lib.attribution import deletion_curve

ranked = {
    **maps,
    "ink": ink[:, 0],
    "random": torch.rand(ink[:, 0].shape, generator=torch.Generator().manual_seed(0)),
}
curves = {
    kind: {
        name: deletion_curve(cnn, images, classes, ranking, insert=kind == "insertion")
        for name, ranking in ranked.items()
    }
    for kind in ("deletion", "insertion")
}
area = {kind: {n: float(c.mean()) for n, c in named.items()} for kind, named in curves.items()}
plots.table({name: {kind: area[kind][name] for kind in area} for name in ranked})

# %%
shown = {
    "integrated gradients": (plots.BLUE, "-"),
    "occlusion": (plots.GREEN, "-"),
    "saliency": (plots.ORANGE, "-"),
    "Grad-CAM": (plots.PURPLE, "-"),
    "ink": ("black", "--"),
    "random": (plots.GREY, ":"),
}
alt = (
    "Two panels of probability against pixels. Deletion: integrated gradients falls steepest; "
    "saliency, Grad-CAM and ink fall alike. Insertion: integrated gradients rises first, "
    "occlusion and ink follow closely, saliency and Grad-CAM lie far below the ink."
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
for ax, (kind, named) in zip(axes, curves.items(), strict=True):
    for name, (colour, dash) in shown.items():
        mean = named[name].mean(dim=0)
        ax.plot(np.linspace(0, 100, len(mean)), mean, color=colour, ls=dash, lw=2, label=name)
    verb = "wiped out" if kind == "deletion" else "put on the page"
    ax.set(title=kind, xlabel=f"pixels {verb}, %")
axes[0].set_ylabel("probability of the digit")
axes[1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* left, lower is better; right, higher. All methods beat chance. But hold them against the dashed line. And see how integrated gradients sinks below what blank paper gets, at the far right: wiping out only what speaks *for* the digit leaves what speaks against it.

# %%
wiped, filled = area["deletion"], area["insertion"]
worst = max(wiped[name] for name in METHODS)
claim("random's deletion area minus that of the worst method", wiped["random"] - worst, low=0.02)
lead = wiped["ink"] - wiped["integrated gradients"]
claim("integrated gradients' lead over ink in deletion", lead, low=0.1)
lead = filled["integrated gradients"] - filled["ink"]
claim("integrated gradients' lead over ink in insertion", lead, low=0.02)
for name in ("saliency", "Grad-CAM"):
    lead = filled["ink"] - filled[name]
    claim(f"the ink's lead over {name} in insertion", lead, low=0.1)
    claim(f"{name} minus ink in deletion", wiped[name] - wiped["ink"], -0.1, 0.1)

# %%
claim("occlusion's lead over ink in deletion", wiped["ink"] - wiped["occlusion"], low=0.05)
claim("and in insertion", filled["occlusion"] - filled["ink"], low=0.0)
others = max(filled[n] for n in METHODS if n not in ("integrated gradients", "occlusion"))
claim("the ink's lead over the best other method in insertion", filled["ink"] - others, low=0.0)

# %% [markdown]
# Plain ink, which never saw the network, **beats saliency and Grad-CAM** at insertion and equals them at deletion. Only integrated gradients and occlusion are ahead on both counts, occlusion by little at insertion.
#
# Be careful even so. A half-wiped digit is like nothing in training, and a ranking by gradients may break the answer as an attack does (chapter 8), not because the digit is gone. The test favours who plays by its rules.

# %% [markdown]
# ### Second test: destroy the network · 随机化权重检验
#
# An explanation of a network must change when the network does. Adebayo et al. (2018) put random weights into one layer after the other, from the answer down, and compare each new map with the first by **rank correlation** (1: same order of pixels; 0: unrelated) and, at the end, by **SSIM**, a likeness of structure that is 1 for equal pictures (Wang et al. 2004).

# %% [markdown]
# One control of our own: ink × random numbers, a "map" without any network. **Predict.** Which methods will hardly notice?

# %%
from bigmodel_lib.attribution import cascade, fits, rank_correlation, structural_similarity

B = 24
small, asked = images[:B], classes[:B]
noise = torch.randn(small[:, 0].shape, generator=torch.Generator().manual_seed(0))
control = ink[:B, 0] * noise
steps = list(cascade(cnn))
alike, structure = {}, {}
for name in METHODS:
    before = maps[name][:B]
    after = [attribute(ruin, small, asked, name) for _layer, ruin in steps]
    alike[name] = [float(rank_correlation(before, a).nanmean()) for a in after]
    structure[name] = float(structural_similarity(before, after[-1]).nanmean())
chance = {n: float(rank_correlation(maps[n][:B], control).nanmean()) for n in METHODS}

# %%
names = ["trained", "+ answer", "+ hidden", "+ 2nd conv.", "+ 1st conv."]
left = ("saliency", "Grad-CAM", "guided backprop")
right = ("input × gradient", "integrated gradients", "occlusion", "Shapley values")
colours = (plots.BLUE, plots.GREEN, plots.ORANGE, plots.PURPLE)
alt = (
    "Two panels of rank correlation against layers at random. Left: saliency and Grad-CAM drop "
    "soon, guided backprop stays high for two layers. Right: four methods stay high to the "
    "end, each near its dotted line."
)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10.5, 3.4), sharey=True)
for ax, group in zip(axes, (left, right), strict=True):
    for name, colour in zip(group, colours, strict=False):
        ax.plot(range(5), [1, *alike[name]], "o-", color=colour, label=name)
        ax.axhline(chance[name], color=colour, ls=":", lw=1.5)
    ax.set_xticks(range(5), names, rotation=20)
    ax.set_xlabel("layers at random")
    ax.legend(fontsize=8, frameon=False)
axes[0].set_ylabel("rank correlation with\nthe trained network's map")
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* dotted, what ink × random numbers would reach. Left: saliency and Grad-CAM fall to theirs or below within two layers, as they should. Guided backprop keeps much of its map while the two layers that hold the *answer* are noise. Right: four methods that multiply by the ink, or take it away, stay high to the end, and end where ink × noise is (two of the lines lie on each other).

# %%
plots.table(
    {
        name: {
            "answer and hidden layer random": alike[name][1],
            "all random": alike[name][-1],
            "ink × noise": chance[name],
            "all random, SSIM": structure[name],
        }
        for name in METHODS
    }
)

# %%
claim("saliency's likeness, two layers random", alike["saliency"][1], high=0.3)
claim("Grad-CAM's likeness, two layers random", alike["Grad-CAM"][1], -0.3, 0.3)
stays = alike["guided backprop"][1]
claim("guided backprop's likeness, two layers random", stays, low=0.4)
for name in ("input × gradient", "integrated gradients"):
    claim(f"{name}: likeness, all random", alike[name][-1], low=0.7)
    excess = alike[name][-1] - chance[name]
    claim(f"{name}: the same, above ink × noise", excess, -0.1, 0.1)
for name in ("occlusion", "Shapley values"):
    excess = alike[name][-1] - chance[name]
    claim(f"{name}: likeness, all random, above ink × noise", excess, -0.15, 0.15)

# %% [markdown]
# **What fails.** *Guided backprop* hardly sees the answer's layers: its maps draw edges, not reasons. That is what Adebayo et al. found on photographs.
#
# *Input × gradient, integrated gradients, occlusion, Shapley values* keep the digit's shape whatever the network. Their likeness says nothing, high or low: ink × noise has it too. So **a map that looks like the digit is no evidence**. The two tests disagree on the winners: saliency passes here and lost there.

# %% [markdown]
# **Another network, another reason?** The Vision Transformer reads the same digits. *Predict:* how alike are its maps and the CNN's, by the same method, and how alike is either to ink × noise?

# %%
with torch.no_grad():
    both = vit(small).argmax(dim=1) == asked
rows = {}
for name in [name for name in METHODS if fits(vit, name)]:
    other = attribute(vit, small, asked, name)
    rows[name] = {
        "CNN and ViT": float(rank_correlation(maps[name][:B], other)[both].nanmean()),
        "CNN and ink × noise": chance[name],
    }
plots.table(rows)
claim("share of the digits that both read alike", both.double().mean(), low=0.85)
claim("saliency: likeness of CNN and ViT", rows["saliency"]["CNN and ViT"], high=0.5)
excess = np.subtract(*rows["integrated gradients"].values())
claim("integrated gradients: CNN and ViT, above ink × noise", excess, -0.1, 0.15)

# %% [markdown]
# Two networks that agree on nearly every digit share little more of their maps than the shape of the digit itself, as ink × noise has it. An attribution explains **this** network, not the task.

# %% [markdown]
# ### Draw a digit · 手写一个数字
#
# Clear the page and draw: mouse, finger, pen, or arrow keys and space. **Try, and predict first:**
#
# 1. Show test digit 0, a 1. Add strokes until the network reads another digit. Where is the map red for the new one?
# 2. Keep a drawing and walk through the methods. Do they agree?
# 3. Explain a digit that is *not* read. What speaks against it?
# 4. Clear the page. What does the network read?

# %%
from bigmodel_lib.widgets import DrawDigit

DrawDigit()

# %% [markdown]
# *In the picture:* what the network sees of the page, scaled and centred as the training digits are; the map; the ten probabilities.
#
# <details><summary>What you should see</summary>
#
# 1. A loop at its upper left makes an 8 of it; integrated gradients is red on the loop, and on much of the old ink.
# 2. On where the digit is: yes. On which part of it counts: no.
# 3. Blue ink: a closed side speaks against a 3.
# 4. It must name a digit, and does so with confidence: the softmax has no "none of these".
#
# </details>

# %% [markdown]
# ### Attention rollout · 注意力展开
#
# A Transformer seems to say by itself where it looks: its attention weights. But the last layer looks at *states*, and each of these is already a mixture of patches. **Rollout** (Abnar & Zuidema 2020) multiplies the mixtures:
#
# $$R = \tilde A_L \cdots \tilde A_2 \tilde A_1, \qquad \tilde A_l = \tfrac12 \bar A_l + \tfrac12 I$$
#
# with $\bar A_l$ the weights of layer $l$, mean over its heads, and $I$ for the residual path, which hands half of a state on as it was.

# %%
from matplotlib.colors import ListedColormap

from bigmodel_lib.models.vit import patches
from bigmodel_lib.patching import record_attention
from bigmodel_lib.rollout import on_pixels, rollout

vit, _facts = RecogniserViT().load()
test = load_digits("digits", "test")
images, labels = test.images[:100], test.labels[:100]
with record_attention(vit) as weights, torch.no_grad():
    answers = vit(images).argmax(dim=1)
mixed = rollout(weights)  # (B, T, T): row i says what state i is mixed of
claim("rows of the rollout sum to 1: largest error", (mixed.sum(2) - 1).abs().max(), high=1e-5)
T = mixed.shape[1]
by_hand = (weights[1].mean(1) + torch.eye(T)) / 2 @ (weights[0].mean(1) + torch.eye(T)) / 2
torch.testing.assert_close(rollout(weights[:2]), by_hand)

# %% [markdown]
# The class is read from the mean of all 16 states, so a patch's importance is the mean of its column. Three opponents: **attention of the last layer** alone; the **gradient** of the answer's log-probability, summed over a patch; and, cheapest of all, the **ink** in a patch, which asks no network.

# %%
looked_at = images.clone().requires_grad_()
log_p = vit(looked_at).log_softmax(dim=1)[range(len(images)), answers].sum()
(gradient,) = torch.autograd.grad(log_p, looked_at)
importance = {
    "rollout": mixed.mean(dim=1),
    "last layer": weights[-1].mean(dim=(1, 2)),
    "gradient": patches(gradient.abs(), vit.P).sum(dim=2),
    "ink": patches(images + 1, vit.P).sum(dim=2),
    "random": torch.rand(len(images), T),
}

# %%
shown = [int((labels == digit).nonzero()[0]) for digit in (2, 3, 4, 6, 7)]
orange = ListedColormap([plots.ORANGE])
alt = (
    "Five digits under grids of 4 by 4 orange patches. Rollout is strong on strokes; the last "
    "layer's attention and the gradient pick other patches."
)

# %%
figure, axes = plt.subplots(3, 5, figsize=(7, 4.4), layout="constrained")
for row, name in zip(axes, ("rollout", "last layer", "gradient"), strict=True):
    for ax, i in zip(row, shown, strict=True):
        ax.imshow(images[i, 0], cmap="gray", vmin=-1, vmax=1, extent=(0, 4, 4, 0))
        grid = importance[name][i].view(4, 4)
        strength = 0.75 * grid / grid.max()  # how opaque the orange is
        ax.imshow(grid > -1, cmap=orange, alpha=strength, extent=(0, 4, 4, 0))
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* the more orange, the more a patch counts. All three look reasonable, and they do not agree. So looks decide nothing. **Deletion** again, which could show a map to be useless (Samek et al. 2015 did it with patches first): take patches away, the most important first, and watch the probability of the answer. A good map makes it fall fast; a useless one does no better than random order.
#
# **Predict:** does any of them beat the ink?

# %%
curves = {}
for name, scores in importance.items():
    ranking = on_pixels(scores, vit.P, width=28)
    curves[name] = deletion_curve(vit, images, answers, ranking, n=T).mean(0)
figure, ax = plt.subplots(figsize=(6, 3))
colours = (plots.BLUE, plots.ORANGE, plots.GREEN, plots.PURPLE, plots.GREY)
for (name, curve), colour in zip(curves.items(), colours, strict=True):
    _ = ax.plot(curve, color=colour, label=f"{name}, mean {curve.mean():.2f}")
ax.set(xlabel="patches taken away, most important first", ylabel="p(answer)", ylim=(0, 1))
ax.legend()
alt = "p(answer) against patches taken away: rollout falls fastest, random order slowest."
plots.show(figure, alt=alt)

# %%
left = {name: float(curve.mean()) for name, curve in curves.items()}
claim("rollout below random order, in mean p(answer)", left["random"] - left["rollout"], low=0.1)
claim("rollout below the last layer alone", left["last layer"] - left["rollout"], low=0.03)
claim("rollout below the gradient", left["gradient"] - left["rollout"], low=0.01)
claim("rollout below the ink", left["ink"] - left["rollout"], low=0.0)
lead = {name: left["random"] - value for name, value in left.items()}
claim("share of rollout's lead that ink alone has", lead["ink"] / lead["rollout"], low=0.5)

# %% [markdown]
# Rollout wins, but most of its lead over chance is had by counting ink. (A digit with holes is nothing that the network was trained on, so compare curves with each other only.) And it can't say *why this class*: values, MLPs and the last layer never enter. Give the network a random last layer, so that it only guesses, and the map stays the same.

# %%
broken, _facts = RecogniserViT().load()
torch.nn.init.normal_(broken.head.weight)
with record_attention(broken) as others, torch.no_grad():
    right = (broken(images).argmax(dim=1) == labels).double().mean()
claim("digits that it still reads, share", right, high=0.4)
claim("change of its rollout", (rollout(others) - mixed).abs().max(), 0, 0)

# %% [markdown]
# ### Linear probes · 线性探针
#
# Does a hidden state *know* something? Train the simplest reader on it, a linear **probe** (Alain & Bengio 2016): class $= \arg\max\, W h$, with $h$ the state of one token. If it reads a property on new data, the property is there.
#
# Is it? Chapter 6's translator reads English number words. The property: which **power of ten** a word stands for. *Five* is $10^0$ in *twenty-five* and $10^5$ in *five hundred thousand*, so one must see what follows.

# %%
from bigmodel_lib.cached.language import LanguageGPT, NumberTranslator
from bigmodel_lib.data import numbers
from bigmodel_lib.data.text import language_reference, split_paragraphs
from bigmodel_lib.models.bpe import BytePairEncoding
from bigmodel_lib.models.translator import pad_rows
from bigmodel_lib.patching import record
from bigmodel_lib.probes import LinearProbe, by_type, control_labels
from bigmodel_lib.training.translation import draw_numbers

translator, _facts = NumberTranslator().load()
torch.manual_seed(1)
untrained = NumberTranslator().make(None).eval()
seed_everything(0)
texts = [numbers.to_english(n) for n in draw_numbers(600, digits=7)]
new_texts = [numbers.to_english(n) for n in draw_numbers(400, digits=7, held_out=True)]
for text in texts[:3]:
    print(text, numbers.powers(text))


# %%
def states(model, texts) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """States of each word (N, D) after no, one and two layers; words (N,); powers (N,)."""
    ids = pad_rows([numbers.encode(text) for text in texts])
    with record(model, "dropout", "encoder.0", "encoder.1") as kept, torch.no_grad():
        model.encode(ids)
    is_word = ids != numbers.PAD
    powers = torch.tensor([power for text in texts for power in numbers.powers(text)])
    return [state[is_word] for state in kept.values()], ids[is_word], powers


# %% [markdown]
# High accuracy alone proves little: a probe can learn by itself. Three comparisons (the third is Hewitt & Liang 2019):
#
# - a **table** that gives each word its most frequent power, and sees no context;
# - the same network **untrained**;
# - a **control task**: each word gets a random label, once and for all. It means nothing, so what the probe reads there is its own work. **Selectivity** = accuracy − control accuracy.

# %%
V, found = len(numbers.VOCABULARY), {}
for name, model in (("trained", translator), ("untrained", untrained)):
    (hidden, words, powers), (new, new_words, new_powers) = (
        states(model, part) for part in (texts, new_texts)
    )
    shares = powers.bincount()
    control, new_control = (control_labels(w, V, shares) for w in (words, new_words))
    for layer, (h, g) in enumerate(zip(hidden, new, strict=True)):
        real = LinearProbe(h, powers).accuracy(g, new_powers)
        empty = LinearProbe(h, control).accuracy(g, new_control)
        found[name, layer] = real, empty
print(len(words.unique()), "different words, states of", hidden[0].shape[1], "numbers")

# %%
table = float((by_type(words, powers, V)[new_words] == new_powers).double().mean())
plots.table({
    f"{name}, {layer} layers": {"power of ten": a, "control": b, "selectivity": a - b}
    for (name, layer), (a, b) in found.items()
})  # fmt: skip

# %%
claim("last layer: powers of ten read right", found["trained", 2][0], low=0.95)
claim("ahead of the untrained network", found["trained", 2][0] - found["untrained", 2][0], low=0.15)
claim("table without context", table, high=0.65)
claim("before any layer: ahead of the table", found["trained", 0][0] - table, -0.03, 0.03)
claim("control task, right in the worst case", min(b for _, b in found.values()), low=0.97)
claim("selectivity of the last layer", found["trained", 2][0] - found["trained", 2][1], high=0.02)

# %% [markdown]
# The property *is* built by training: without layers the probe knows what the table knows, and with each layer more. But look at the control: meaningless labels are read almost without error, from all states. The few dozen words fit into a state of 64 numbers, so such a probe can learn any label of a word by heart, and selectivity can't tell anything here. It needs **more words than width**.

# %% [markdown]
# Now chapter 6's GPT. The property: does a token stand in an **indented** line, as examples and lists do? The spaces at the line's beginning tell, and they may be long past.
#
# **Predict:** what will the probe make of the control task, with more words than the state has numbers?

# %%
gpt, facts = LanguageGPT().load()
print(f"{gpt.config.V:,} tokens, width {gpt.config.D}")
encoding = BytePairEncoding(facts.vocabulary)
ids = torch.tensor(encoding.encode(split_paragraphs(language_reference())[1]))[: 51 * 256]
line, indented = b"", []
for token in ids.tolist():
    line = (line + encoding.tokens[token]).split(b"\n")[-1]
    indented.append(line.startswith(b"   "))
indented = torch.tensor(indented).long()
cut = len(ids) * 3 // 4  # tokens before it train the probe
torch.manual_seed(1)
fresh = LanguageGPT().make(facts.vocabulary).eval()

# %%
control, read = control_labels(ids, encoding.V, indented.bincount()), {}
with torch.no_grad():
    with record(gpt, "dropout", "blocks.3") as kept:
        gpt(ids.view(-1, 256))
    with record(fresh, "blocks.3") as bare:
        fresh(ids.view(-1, 256))
found_in = {
    "before any layer": kept["dropout"],
    "four layers": kept["blocks.3"],
    "four layers, untrained": bare["blocks.3"],
}

# %%
for name, state in found_in.items():
    h = state.flatten(0, 1)
    real, empty = (
        LinearProbe(h[:cut], y[:cut]).accuracy(h[cut:], y[cut:]) for y in (indented, control)
    )
    read[name] = {"indented": real, "control": empty, "selectivity": real - empty}
plots.table(read)

# %%
guess = by_type(ids[:cut], indented[:cut], encoding.V)[ids[cut:]]
guess = float((guess == indented[cut:]).double().mean())
last, first, bare = (
    read[name] for name in ("four layers", "before any layer", "four layers, untrained")
)
claim("four layers, ahead of a table of tokens", last["indented"] - guess, low=0.15)
claim("ahead of the untrained network", last["indented"] - bare["indented"], low=0.15)
claim("selectivity of four layers", last["selectivity"], low=0.05)
claim("selectivity before any layer", first["selectivity"], high=0.0)
claim("selectivity untrained", bare["selectivity"], high=0.03)

# %% [markdown]
# Here the control works. Before any layer nonsense is read *better* than the property, in the untrained network about as well; in the trained last layer the property wins clearly. Training put it there.
#
# A probe shows that something *can be read*. Whether the network *uses* it takes an intervention, next.

# %% [markdown]
# ### Induction heads · 归纳头
#
# Now a network small enough to be explained in full: attention only, no MLP, no norm (Elhage et al. 2021). Each **head** reads the stream and adds to it; the scores are a sum with one term per head:
#
# $$\text{logits} = \Bigl(E + \sum_{l,h} \text{head}_{l.h}\Bigr) W_U$$
#
# with $E$ the embedded tokens and $W_U$ the map to scores. Its text: different letters in random order, then the same again. The distance $R$, from 8 to 16, is drawn anew each time, so no letter's neighbour and no fixed distance can be learned.

# %%
from bigmodel_lib.cached.induction import OneLayer, TwoLayers
from bigmodel_lib.data.repeats import repeated_sequences, spell
from bigmodel_lib.heads import copying, prefix_matching, previous_token
from bigmodel_lib.patching import in_head, patch
from bigmodel_lib.training.induction import letter_losses

two_file, one_file = TwoLayers().load(), OneLayer().load()
(two, facts), (one, one_facts) = two_file, one_file
for each in (facts, one_facts):
    sizes = each.settings["sizes"]
    print(f"{sizes}: {each.parameters:,} parameters, {each.seconds:.0f} s of training")
generator = torch.Generator().manual_seed(0)
R = 14
ids = repeated_sequences(torch.full((256,), R), 2 * R, generator=generator)
print(spell(ids[0]))

# %% [markdown]
# **Train it anew?** `make models NAME=induction_two_layers` does all of it, in less than a minute. The first steps, live:

# %%
recipe = TwoLayers()
torch.manual_seed(recipe.settings["seed"])
run = recipe.run(recipe.make(None), None)
first = [step["loss"] for step in run.take(3)]
print("loss of the first steps, nats a letter:", [round(loss, 2) for loss in first])
claim("at first all letters are alike: loss over ln 26", first[0] / math.log(26), 0.95, 1.05)

# %% [markdown]
# The best answer is known exactly. While nothing has repeated, letter $t$ (counted from 0) is one of the $26 - t$ not yet seen; from $t = 8$ on the repeat may begin, with probability $h_t = 1/(17 - t)$ if it has not yet. Behind the repeat's first letter, nothing is uncertain.
#
# **Predict:** both models have four heads. One has all of them in one layer. Which can do it?

# %%
t = torch.arange(2 * R).float()
h = torch.where(t >= 8, 1 / (17 - t).clamp(min=1), 0.0)  # the repeat begins now
best = -((1 - h) / (26 - t).clamp(min=1)).log()
best[R], best[R + 1 :] = -h[R].log(), 0.0
with torch.no_grad():
    losses = {name: letter_losses(m, ids).mean(0) for name, m in (("two", two), ("one", one))}

# %%
figure, ax = plt.subplots(figsize=(7, 2.8))
_ = ax.plot(t[1:], losses["one"], color=plots.ORANGE, label="one layer")
_ = ax.plot(t[1:], losses["two"], color=plots.BLUE, label="two layers")
_ = ax.plot(t[1:], best[1:], "--", color=plots.GREY, label="best possible")
ax.axvline(R, color=plots.GREY, lw=0.5)
ax.set(xlabel="letter t; at 14 the repeat begins", ylabel="nats", ylim=(-0.1, 5))
ax.legend(loc="lower left")
alt = "Loss of each letter: from the repeat on, two layers fall to zero, one layer stays near 2."
plots.show(figure, alt=alt)

# %%
repeat = slice(R, None)  # losses start at letter 1, so this is from letter R + 1 on
claim("two layers on repeated letters, nats", losses["two"][repeat].mean(), high=0.1)
claim("one layer, nats", losses["one"][repeat].mean(), low=1.5)
more = losses["one"] - losses["two"]  # entry i is of letter i + 1
claim("one layer pays more for letters 9 to 13, nats each", more[8:13].mean(), low=0.1)
claim("and less for the first repeated letter", -more[R - 1], low=0.3)

# %% [markdown]
# *In the picture:* from the second repeated letter on, two layers are sure. One layer guesses among the letters seen; it does so from letter 8 on, which costs it dearly until the repeat comes, and wins it the first repeated letter. Why no more? To go on, one has to find *the letter that followed this one last time*. In one layer a head can look for this letter, and then copies this letter, not the next.

# %% [markdown]
# #### It comes all at once · 相变
#
# While they trained, the recipe noted the loss of early letters (5 to 8) and late ones (the last 8), and where each head looked. **In-context learning score** = late − early (Olsson et al. 2022): the further below 0, the more the text before helps.

# %%
past, other = two.history, one.history
lines = {"previous 0.1": plots.GREEN, "prefix 1.0": plots.BLUE, "prefix 1.1": plots.PURPLE}
alt = (
    "Left: the score of two layers drops suddenly to about -3, that of one layer drifts to about "
    "-1. Right: at the same steps the heads' scores rise."
)

# %%
figure, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name, seen, colour in (("one layer", other, plots.ORANGE), ("two layers", past, plots.BLUE)):
    _ = left_ax.plot(seen["step"], seen["late"] - seen["early"], color=colour, label=name)
left_ax.set(xlabel="step", ylabel="late − early, nats", title="in-context learning score")
for name, colour in lines.items():
    label = f"{name.split()[0]}, head {name[-3:]}"
    _ = right_ax.plot(past["step"], past[name], color=colour, label=label)
right_ax.set(xlabel="step", ylabel="weight there", ylim=(0, 1), title="where the heads look")
_ = left_ax.legend(), right_ax.legend()
plots.show(figure, alt=alt)


# %%
def halfway(values) -> float:
    """The first step at which a curve has gone half of its way."""
    half = (values[0] + values[-1]) / 2
    passed = (values - half) * (values[-1] - values[0]) > 0
    return float(past["step"][passed.nonzero()[0]])


# %%
score = past["late"] - past["early"]
jump = halfway(score)
claim("two layers: in-context learning score at the end", score[-1], high=-2.5)
claim("one layer's", other["late"][-1] - other["early"][-1], low=-1.5)
delay = halfway(past["prefix 1.0"]) - jump
claim("steps from the score's half way to that of head 1.0, of 1,200", delay, -150, 150)
quarter, three = ((score < part * score[-1]).nonzero()[0] for part in (0.25, 0.75))
claim(
    "half of the gain happens within so much of training", (three - quarter) / len(score), high=0.2
)

# %% [markdown]
# *In the pictures:* at first both models learn alike, and slowly. Then the one with two layers falls, within a small part of the training, and at the same time its heads begin to look at two special places. That coincidence is a hint, not a proof.

# %% [markdown]
# What are these places? (Head 0.1 is head 1 of layer 0, both counted from 0.)
#
# - **previous token**: the weight on the letter just before;
# - **prefix matching**: the weight on the letter that followed this one when it last occurred.
#
# A third score is read from the weights alone. **Copying**: does looking at a letter make that letter likelier? $\sum\lambda / \sum|\lambda|$ over the eigenvalues $\lambda$ of $W_E W_V W_O W_U$, 1 for a pure copier ($W_E$ embeds a letter, $W_V$ and $W_O$ are the head's value and output).

# %%
model = two.model
points = ["layers.0.pattern", "layers.1.pattern"]
with record(model, *points) as kept, torch.no_grad():
    model(ids)
rows = {}
for layer, pattern in enumerate(kept.values()):
    scores = previous_token(pattern), prefix_matching(pattern, torch.full((256,), R))
    for head in range(model.H):
        a, b = (float(score[head]) for score in scores)
        c = copying(model, layer, head)
        rows[f"{layer}.{head}"] = {"previous token": a, "prefix matching": b, "copying": c}
plots.table(rows)

# %%
claim("head 0.1: weight on the previous letter", rows["0.1"]["previous token"], low=0.3)
by_layer = [[row for name, row in rows.items() if name[0] == layer] for layer in "01"]
claim("layer 1: least prefix matching", min(r["prefix matching"] for r in by_layer[1]), low=0.6)
claim("layer 1: least copying", min(r["copying"] for r in by_layer[1]), low=0.3)
claim("layer 0: most prefix matching", max(r["prefix matching"] for r in by_layer[0]), high=0.2)

# %%
short = repeated_sequences(torch.tensor([8]), 16, generator=generator)
with record(model, *points) as kept, torch.no_grad():
    model(short)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, (layer, head) in zip(axes, ((0, 1), (1, 0)), strict=True):
    drawn = ax.imshow(kept[points[layer]][0, head], cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(16), spell(short[0]))
    ax.set_yticks(range(16), spell(short[0]))
    ax.set(xlabel="looks at", ylabel="letter", title=f"head {layer}.{head}")
figure.colorbar(drawn, ax=axes, label="weight")
alt = (
    "Attention of two heads on eight letters and their repeat. Head 0.1: dark just below the "
    "diagonal. Head 1.0: from row 8 on, dark seven places to the left of the diagonal."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* read a row. Left, head 0.1: each letter looks mostly at the one before it. Right, head 1.0, lower half: each repeated letter looks at the letter that *followed* it the first time, and that is the answer, to be copied. In its upper half there is nothing to find yet, and it looks anywhere.

# %% [markdown]
# #### The proof: patching · 激活修补
#
# The story so far: (1) head 0.1 writes at each letter which letter stood before it; (2) the heads of layer 1 look for the place that says "before me stood the letter I have now", and copy the letter there. It predicts what happens when we **interfere**.

# %% [markdown]
# A **clean** text ends in the middle of the repeat. In the **corrupted** one a single letter differs: the one before the answer's first occurrence. The answer itself is still there. Now run the corrupted text, but put back *one head's* output from the clean run, and see how much of the right score comes back (Meng et al. 2022):
#
# $$\text{restored} = \frac{s_\text{patched} - s_\text{corrupted}}{s_\text{clean} - s_\text{corrupted}}$$
#
# with $s$ the score of the right letter, less the mean of all.

# %%
clean = repeated_sequences(torch.full((64,), R), R + 7, generator=generator)  # ends at letter 6
answer, place = clean[:, 7], 7
unused = F.one_hot(clean, 26).sum(1).argmin(1)  # a letter that does not occur
corrupted = clean.clone()
corrupted[:, place - 1] = unused

# %%
print("clean    ", spell(clean[0]), "→", spell(answer[:1]))
print("corrupted", spell(corrupted[0]))
heads = ["layers.0.heads", "layers.1.heads"]
with record(model, "embedding", *heads, *points) as kept, torch.no_grad():
    logits = model(clean)
    was = dict(kept)
    corrupted_logits = model(corrupted)
    became = dict(kept)


# %%
def mean_score(logits) -> float:
    last = logits[:, -1]
    return float((last.gather(1, answer[:, None])[:, 0] - last.mean(1)).mean())


@torch.no_grad()
def restored(edits) -> float:
    """Share of the score that comes back when the corrupted run is patched so."""
    with patch(model, edits):
        s = mean_score(model(corrupted))
    low, high = mean_score(corrupted_logits), mean_score(logits)
    return (s - low) / (high - low)


# %%
p = [x[:, -1].softmax(1).gather(1, answer[:, None]).mean() for x in (logits, corrupted_logits)]
claim("p(answer), clean", p[0], low=0.9)
claim("p(answer), one letter changed", p[1], high=0.3)
everything = {name: was[name] for name in (*heads, "embedding")}
claim("everything put back", restored(everything), 1 - 1e-5, 1 + 1e-5)
claim("nothing put back", restored({}), -1e-5, 1e-5)

# %% [markdown]
# **Predict:** which of the four heads bring it back? And a sharper question: layer 1 reads the stream three times, for its **queries**, **keys** and **values**. Through which of them does it hear of head 0.1?

# %%
by_head = {
    f"{layer}.{head}": restored({heads[layer]: in_head(head, was[heads[layer]][:, head])})
    for layer in range(2)
    for head in range(2)
}
news = was[heads[0]][:, 1] - became[heads[0]][:, 1]  # (B, T, D), what head 0.1 says differently
news = news * F.one_hot(torch.tensor(place), news.shape[1])[:, None]  # at the answer's place only
ways = ("query", "key", "value")
by_way = {way: restored({f"layers.1.{way}_input": lambda x: x + news}) for way in ways}
patterns = restored({points[1]: was[points[1]]})

# %%
figure, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left_ax.bar(by_head.keys(), by_head.values(), color=plots.BLUE)
left_ax.set(xlabel="head put back", ylabel="share restored", ylim=(-0.1, 1.1))
right_ax.bar(by_way.keys(), by_way.values(), color=plots.GREEN)
right_ax.set(xlabel="way from head 0.1 into layer 1", ylim=(-0.1, 1.1))
for ax in (left_ax, right_ax):
    ax.axhline(0, color=plots.GREY, lw=0.8)
alt = (
    "Left: head 0.1 restores most, 0.0 little, 1.0 and 1.1 together all. Right: through the keys "
    "nearly all of it comes back, through queries and values nothing."
)
plots.show(figure, alt=alt)

# %%
claim("head 0.1 alone restores", by_head["0.1"], low=0.6)
claim("head 0.0 alone", by_head["0.0"], high=0.35)
claim("shares of 1.0 and 1.1, added up", by_head["1.0"] + by_head["1.1"], 0.9, 1.1)
claim("head 0.1 through the keys of layer 1, at one letter only", by_way["key"], low=0.6)
claim("through queries or values: most", max(abs(by_way["query"]), abs(by_way["value"])), high=0.1)
claim("only where layer 1 looks put back, not what it finds there", patterns, low=0.9)

# %% [markdown]
# *In the picture:* what the story says. One head of layer 0, at one letter, brings the answer back, and only through the **keys**: it labels the place, layer 1 finds the label. This is **K-composition** (Elhage et al. 2021). What layer 1 finds there was never missing: putting back only *where* it looks is enough. The two heads of layer 1 share the work, and their shares add up, because the scores are a sum.

# %% [markdown]
# #### The other direction: ablation · 消融
#
# Patching shows that a head is enough. Is it needed? Replace its output by its **mean** over many texts, which tells nothing about this one.

# %%
with record(model, *heads) as kept, torch.no_grad():
    before = letter_losses(model, ids)
    usual = {name: value.mean(0) for name, value in kept.items()}  # (H, T, D)
ablated = {"none": before}
for layer in range(2):
    for head in range(2):
        edit = in_head(head, usual[heads[layer]][head])
        with patch(model, {heads[layer]: edit}), torch.no_grad():
            ablated[f"{layer}.{head}"] = letter_losses(model, ids)
nats = {
    name: {"first time": float(x[:, : R - 1].mean()), "repeated": float(x[:, R:].mean())}
    for name, x in ablated.items()
}

# %%
nats["one layer"] = {
    "first time": float(losses["one"][: R - 1].mean()),
    "repeated": float(losses["one"][R:].mean()),
}
plots.table(nats)

# %%
repeated = {name: row["repeated"] for name, row in nats.items()}
for name in ("0.1", "1.0", "1.1"):
    more = repeated[name] - repeated["none"]
    claim(f"without head {name}: nats more on repeated letters", more, low=0.5)
claim("without head 0.0", repeated["0.0"] - repeated["none"], high=0.5)
worst = max(nats[name]["first time"] for name in ablated) - nats["none"]["first time"]
claim("on letters seen the first time: most that any ablation costs", worst, high=0.5)
claim(
    "loss without head 0.1, over that of one layer",
    repeated["0.1"] / repeated["one layer"],
    0.95,
    1.5,
)

# %% [markdown]
# Without head 0.1 the two-layer network is no better than one layer, while on new letters no cut costs more than a fraction of a nat. Is it a rule that was learned, or the distances of training, 8 to 16? Try others.

# %%
share = {}
for distance in (4, 6, 12, 18, 20):
    some = repeated_sequences(torch.full((256,), distance), 40, generator=generator)
    with torch.no_grad():
        hits = [m(some[:, :-1]).argmax(2) == some[:, 1:] for m in (two, one)]
    right = [float(hit[:, distance:].double().mean()) for hit in hits]
    share[f"distance {distance}"] = dict(zip(("two layers", "one layer"), right, strict=True))
plots.table(share)

# %%
claim("distance 12, seen in training: right", share["distance 12"]["two layers"], low=0.98)
unseen = [share[f"distance {d}"]["two layers"] for d in (4, 6, 18, 20)]
claim("distances never seen: right, at worst", min(unseen), low=0.6)
claim("and not always", min(unseen), high=0.98)
ones = [share[f"distance {d}"]["one layer"] for d in (18, 20)]
claim("one layer, longer distances: right", max(ones), high=0.2)

# %% [markdown]
# A rule, with frayed edges: it works at distances never trained, but less surely, because the heads also use positions. Large language models have such heads, too; Olsson et al. (2022) find them forming in the same sudden way, and argue that they carry much of learning from the prompt. There the evidence is weaker than here, as they say themselves: MLPs, norms and hundreds of heads make "in full" impossible so far.

# %% [markdown]
# ## 7.3 Better algorithms · 算法优化
#
# The article hopes for algorithms that compute faster and need less. A dozen of them follow. Each is a trade: time, memory, file size, accuracy; so each is measured on all that it touches, and one table at the end collects the lot.
#
# The patients are networks that you know: CNN and Vision Transformer on digits (moved by up to three pixels, so that errors show), and the GPT of chapter 6.

# %%
import time

from bigmodel_lib.cached.efficiency import moved_digits, networks
from bigmodel_lib.compression import share_right
from bigmodel_lib.device import pick_device

device = pick_device()
nets = {name: net.to(device) for name, net in networks().items()}
cnn, vit = nets["16 labels"], RecogniserViT().load(device)[0]
gpt, facts = LanguageGPT().load(device)
images, labels = (x.to(device) for x in moved_digits())
rows = {}  # technique → its line in the table


def right(net) -> float:
    return share_right(net, images, labels)


# %% [markdown]
# Time is the fastest of a few passes; on a GPU one has to wait for the last kernel before stopping the clock. Bytes are counted by `MemoryMeter`, which sees every tensor that is made, and which of them autograd **keeps for the backward pass**.

# %%
@torch.no_grad()
def seconds(work, passes: int = 4) -> float:
    taken = []
    for _ in range(passes):
        start = time.perf_counter()
        work()
        if device.type != "cpu":
            torch.accelerator.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken)


# %%
def note(technique, on, *, time=None, memory=None, file=None, quality=""):
    as_text = {"time ×": time, "memory ×": memory, "file ×": file}
    cells = {name: "" if x is None else f"{x:.2f}" for name, x in as_text.items()}
    rows[technique] = {"on": on, **cells, "quality": quality}


# %% [markdown]
# ### Without changing the function · 不改变函数
#
# The first five compute the same as before, up to rounding.
#
# **Mixed precision** runs the large products in 16 bits. `bfloat16` has the range of `float32`, and 8 significant bits instead of 24. A CPU without instructions for it gets slower; a GPU has units made for it, which is why `autocast(device)` of our library is off on a CPU. Here we switch it on by hand, to see what it does to answers and memory.

# %%
from torch.utils.checkpoint import checkpoint

from bigmodel_lib.device import autocast, by_device
from bigmodel_lib.memory import MemoryMeter
from bigmodel_lib.models.attention import attention, fused_attention
from bigmodel_lib.models.quantised import stored_bytes
from bigmodel_lib.models.sampling import Sampler, cached_next_logits, generate, next_logits

half = by_device(cpu=torch.autocast("cpu", dtype=torch.bfloat16), gpu=autocast(device))


def kept_bytes(net, x) -> int:
    with MemoryMeter(net, x) as meter:
        net(x)
    return meter.kept


with torch.no_grad(), half:
    in_half = vit(images).argmax(dim=1)
with torch.no_grad():
    changed = int((in_half != vit(images).argmax(dim=1)).sum())
claim("answers of the ViT that 16 bits change, of 360", changed, high=4)

# %%
plain = kept_bytes(vit, images[:64])
with half:
    mixed = kept_bytes(vit, images[:64])
claim("kept for the backward pass: mixed over float32", mixed / plain, 0.5, 0.9)
plain_s = seconds(lambda: vit(images[:32]), 10)
with half:
    mixed_s = seconds(lambda: vit(images[:32]), 10)
note(
    "mixed precision", "ViT", time=mixed_s / plain_s, memory=mixed / plain,
    quality=f"{changed} of 360 answers change",
)  # fmt: skip

# %% [markdown]
# Not half: norms and softmax stay in float32, where rounding would hurt.
#
# **`torch.compile`** reads the Python code once, joins operations that follow each other into one loop over memory, and writes C++ for a CPU, Triton for a GPU. The first call takes long, so on a CPU it is off. To see it, set `COMPILE = True`.

# %%
COMPILE = by_device(cpu=False, gpu=True)
if COMPILE:
    compiled = torch.compile(vit)
    with torch.no_grad():
        error = float((compiled(images) - vit(images)).abs().max())
    claim("compiled: largest change of a score", error, high=1e-3)
    faster = seconds(lambda: compiled(images)) / seconds(lambda: vit(images))
    note("torch.compile", "ViT", time=faster, quality="the same")
else:
    print("not compiled: COMPILE is False")

# %% [markdown]
# **Fused attention** (Dao et al. 2022) walks over the keys block by block with a running softmax. The T × T weights, which plain attention (chapter 4) writes to memory and keeps for the backward pass, never exist.

# %%
B, H, T, d = by_device(cpu=(1, 4, 1024, 32), gpu=(4, 8, 4096, 64))
q, k, v = torch.randn(3, B, H, T, d, device=device, requires_grad=True).unbind()
with MemoryMeter(q) as naive:
    expected = attention(q, k, v, causal=True)[0]
with MemoryMeter(q) as fused:
    output = fused_attention(q, k, v, causal=True)
error = float((output - expected).detach().abs().max())
claim("fused against naive: largest difference", error, high=1e-4)
claim("kept for the backward pass: naive over fused", naive.kept / fused.kept, low=10)
part = seconds(lambda: fused_attention(q, k, v, causal=True))
whole = seconds(lambda: attention(q, k, v, causal=True))
note("fused attention", f"T = {T}", time=part / whole, memory=fused.kept / naive.kept,
     quality="the same")  # fmt: skip

# %% [markdown]
# **KV cache.** A GPT that writes needs keys and values of all earlier tokens again. Keeping them takes
#
# $$2 \cdot L \cdot B \cdot S \cdot D \cdot b \;\text{bytes}$$
#
# (two kinds, $L$ layers, $B$ texts, $S$ tokens so far, width $D$, $b$ bytes a number). **Predict:** for our GPT and two texts of 200 tokens, more or less than its weights?

# %%
B, S, sizes = 2, 200, gpt.config
cache = gpt.empty_cache()
with torch.no_grad():
    gpt(torch.randint(sizes.V, (B, S), device=device), cache)
formula = 2 * sizes.L * B * S * sizes.D * 4
measured = sum(layer.nbytes for layer in cache)
claim("KV cache: bytes measured, over the formula", measured / formula, 1, 1)
print(f"{measured:,} bytes; the weights take {stored_bytes(gpt):,}")


# %%
def write(source, prompt, count: int = 60) -> list[int]:
    generator = torch.Generator().manual_seed(0)
    drawn = generate(source(gpt), prompt, Sampler(), generator=generator)
    return [int(token) for token, _ in zip(drawn, range(count), strict=False)]


prompt = torch.zeros(1, 8, dtype=torch.int64, device=device)
without_s = seconds(lambda: write(next_logits, prompt), 1)
with_s = seconds(lambda: write(cached_next_logits, prompt), 1)
note("KV cache", "GPT, 60 tokens", time=with_s / without_s,
     memory=1 + measured / (B * S) * (60 + 8) / stored_bytes(gpt), quality="the same")  # fmt: skip

# %% [markdown]
# **Activation checkpointing** (Chen et al. 2016) goes the other way: it keeps only what enters each block, and computes the inside of the block again when the backward pass needs it. Memory falls, and time grows by one more forward pass. The gradients must not change.

# %%
x = torch.randn(2, 192, sizes.D, device=device)
weights = list(gpt.blocks.parameters())


def through(wrap) -> torch.Tensor:
    y = x.clone().requires_grad_()
    for block in gpt.blocks:
        y = wrap(block, y)
    return y.square().mean()


def again(block, y):
    return checkpoint(block, y, use_reentrant=False)


# %%
gradients, kept, taken = {}, {}, {}
ways = {"plain": lambda block, y: block(y), "checkpointed": again}
for name, wrap in ways.items():
    with MemoryMeter(gpt, x) as meter:
        loss = through(wrap)
    kept[name] = meter.kept
    start = time.perf_counter()
    gradients[name] = torch.autograd.grad(through(wrap), weights)
    taken[name] = time.perf_counter() - start

# %%
pairs = zip(gradients["plain"], gradients["checkpointed"], strict=True)
largest = max(float((a - b).abs().max()) for a, b in pairs)
claim("largest difference of a gradient", largest, 0, 1e-6)
less = kept["checkpointed"] / kept["plain"]
claim("kept for the backward pass, over plain", less, high=0.2)
note("checkpointing", "GPT, training", time=taken["checkpointed"] / taken["plain"], memory=less,
     quality="the same")  # fmt: skip

# %% [markdown]
# ### Fewer bits, fewer weights · 量化与剪枝
#
# The next change the network, so accuracy is at stake: first whole numbers, used in two ways, then zeros.
#
# **Quantisation** stores each weight as a whole number $q$ with $w \approx s\,q$. Ours is symmetric, with one scale $s = \max|w| / 127$ for each output channel, so that one large weight spoils only its own row. Rounding errs by at most $s/2$.

# %%
import copy

from bigmodel_lib.cached.vision import shifted_digits
from bigmodel_lib.compression import file_bytes
from bigmodel_lib.models import bpe
from bigmodel_lib.models.quantised import DynamicInt8Linear, dequantise, quantise, quantised
from bigmodel_lib.training.prune import make_permanent, prunable, prune_smallest
from bigmodel_lib.training.text import token_nats

w = cnn.body[7].weight.detach()
q, s = quantise(w)
error = ((dequantise(q, s) - w).abs() / s[:, None]).max()
claim("largest error, in steps s", float(error), 0.4, 0.5001)
zero = torch.zeros(len(s), dtype=torch.int32, device=device)
theirs = torch.fake_quantize_per_channel_affine(w, s, zero, 0, -127, 127)
other = (dequantise(q, s) - theirs).abs() > s[:, None] / 2
claim("share of weights that PyTorch rounds to another number", other.double().mean(), high=1e-3)

# %% [markdown]
# Two ways to use it. **Weight-only**: whole numbers lie in memory, floats are made from them at each call. **Dynamic**: the inputs are rounded as well, row by row, and whole numbers are multiplied, which needs hardware with int8 instructions to pay. On the GPT we judge by what held-out text costs, in nats a token.

# %%
train_text, test_text = split_paragraphs(language_reference())
encoding = bpe.BytePairEncoding(facts.vocabulary)
known = encoding.encode(train_text)
held_out = torch.tensor(encoding.encode(test_text)[:513], device=device)


def nats(net) -> float:
    return float(token_nats(net, held_out, 1, 256).mean())


# %%
before, base_s = nats(gpt), seconds(lambda: gpt(held_out[None, :256]))
for kind, name in (
    (lambda net: quantised(net), "int8, weight-only"),
    (lambda net: quantised(net, DynamicInt8Linear), "int8, dynamic"),
):
    small = kind(gpt)
    cost, part = nats(small), stored_bytes(small) / stored_bytes(gpt)
    claim(f"{name}: nats a token more than float32", cost - before, -0.01, 0.02)
    small_s = seconds(lambda net=small: net(held_out[None, :256]))
    note(name, "GPT", time=small_s / base_s, memory=part, file=part,
         quality=f"{before:.3f} → {cost:.3f} nats a token")  # fmt: skip


# %% [markdown]
# Three quarters of what was quantised is gone, and the text costs the same. (Embeddings stay in float32 here.) How far down can one go? **Predict** for the CNN: at how many bits does it break?

# %%
def with_bits(net, bits: int):
    rough = copy.deepcopy(net)
    with torch.no_grad():
        for layer in prunable(rough).values():
            layer.weight.copy_(dequantise(*quantise(layer.weight, bits)))
    return rough


bits = [2, 3, 4, 5, 6, 8]
by_bits = [right(with_bits(cnn, b)) for b in bits]
claim("8 bits: accuracy lost", right(cnn) - by_bits[-1], high=0.006)
claim("2 bits: accuracy lost", right(cnn) - by_bits[0], low=0.05)


# %% [markdown]
# **Pruning** sets the smallest weights to 0 (Han et al. 2015): the same share in each layer, or, **globally**, the smallest of the whole network. Then one may train what is left a little more, with the zeros kept at 0. **Predict:** how many of the CNN's numbers can go?

# %%
def pruned(share: float, steps: int = 0, globally: bool = True):
    net = copy.deepcopy(cnn)
    prune_smallest(net, share, globally=globally)
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(net.train().parameters(), lr=2e-3)
    for _ in range(steps):
        x, y = (part.to(device) for part in shifted_digits(64))
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    make_permanent(net.eval())
    return net


# %%
shares, steps = [0.5, 0.7, 0.8, 0.9, 0.95], by_device(cpu=30, gpu=400)
tuned_nets = {share: pruned(share, steps) for share in shares[2:]}
curves = {
    "in each layer": [right(pruned(share, globally=False)) for share in shares],
    "globally": [right(pruned(share)) for share in shares],
    "globally, then trained on": [right(tuned_nets[share]) for share in shares[2:]],
}
regained = curves["globally, then trained on"][1] - curves["globally"][3]
claim("90 % pruned: accuracy that training on regains", regained, low=0.3)
claim("90 % pruned and trained on: accuracy", curves["globally, then trained on"][1], low=0.93)
lead = curves["globally"][1] - curves["in each layer"][1]
claim("70 % pruned, not trained on: lead of global over layer by layer", lead, low=0.1)

# %% [markdown]
# *In the picture:* left, accuracy stays flat for most of the way down in bits, then falls off a cliff. Right, the same with weights removed; one threshold for the whole network is far better than one for each layer, and a few steps of training move the cliff far to the right.

# %%
figure, (left, other) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
left.plot(bits, by_bits, "o-", color=plots.BLUE)
left.set(xlabel="bits a weight", ylabel="held-out digits read right", xticks=bits, ylim=(0, 1.03))
left.invert_xaxis()
styles = zip(curves.items(), "s^o", (plots.GREY, plots.ORANGE, plots.GREEN), strict=True)
for (name, values), marker, colour in styles:
    other.plot(shares[-len(values) :], values, f"{marker}-", color=colour, label=name)
other.set(xlabel="share of the weights that is 0")
other.legend(frameon=False, loc="center left")
for ax in (left, other):
    ax.grid(alpha=0.3)
plots.show(figure, alt="Accuracy against bits, flat down to few; and against the share pruned, "
           "where training on keeps it high up to 90 or 95 percent.")  # fmt: skip

# %% [markdown]
# Why is layer by layer so much worse? The first layer is small, and cannot spare half of its weights:

# %%
first = copy.deepcopy(cnn)
with torch.no_grad():
    size = first.body[0].weight.abs()
    first.body[0].weight.mul_(size > size.median())
lost = right(cnn) - right(first)
claim("half of the first layer removed, nothing else: accuracy lost", lost, low=0.1)

# %%
sparse = tuned_nets[0.9]
time_part = seconds(lambda: sparse(images), 20) / seconds(lambda: cnn(images), 20)
note("90 % pruned, trained on", "CNN", time=time_part, file=file_bytes(sparse) / file_bytes(cnn),
     quality=f"{right(cnn):.1%} → {right(sparse):.1%} right")  # fmt: skip

# %% [markdown]
# The file shrinks; the time does not, but for what else the machine had to do while we measured. The kernels multiply zeros as patiently as anything else: only hardware or formats made for sparse matrices turn pruning into speed.

# %% [markdown]
# ### A small student of a large teacher · 知识蒸馏
#
# **Distillation** (Hinton et al. 2015) trains a small network not on labels alone but on all of a large one's scores: this 4 looks a little like a 9. A temperature $\tau$ makes the small probabilities visible:
#
# $$\tau^2 \; \mathrm{KL}\big(\mathrm{softmax}(t/\tau) \,\|\, \mathrm{softmax}(s/\tau)\big)$$
#
# $t$ and $s$ are the scores of teacher and student. The students of our file learned for as long and on the same images as each other.

# %%
plots.table({
    f"{channels} channels": {
        "file, kB": file_bytes(nets[f"{channels} labels"]) / 1000,
        "from labels, % right": 100 * right(nets[f"{channels} labels"]),
        "from the teacher, % right": 100 * right(nets[f"{channels} teacher"]),
    }
    for channels in (8, 4, 2)
})  # fmt: skip

# %%
student = nets["8 teacher"]
time_part = seconds(lambda: student(images)) / seconds(lambda: cnn(images))
note("distillation, 8 channels", "CNN", time=time_part, file=file_bytes(student) / file_bytes(cnn),
     quality=f"{right(cnn):.1%} → {right(student):.1%} right")  # fmt: skip

# %% [markdown]
# **Train them anew?** `make models NAME=digit_students` trains all six at once, in less than a minute, and measures every way to compress them. The first steps, live:

# %%
from bigmodel_lib.cached.efficiency import DigitStudents
from bigmodel_lib.training.distil import distillation_loss

recipe = DigitStudents()
torch.manual_seed(recipe.settings["seed"])
run = recipe.run(recipe.make(None), None)
with torch.no_grad():
    scores = run.model.students["8 labels"](images.cpu())
    start = F.cross_entropy(scores, labels.cpu()).item()
print("mean loss of the six, first steps:", [round(step["loss"], 2) for step in run.take(3)])
claim("before training a student guesses: loss over ln 10", start / math.log(10), 0.95, 1.05)

# %% [markdown]
# Back to the table. The teacher hardly helps here: there are labels enough. And one seed proves little. So: six seeds, a student of one hidden layer, and only 50 digits to learn from, each either with its label or with the teacher's scores. **Predict** which half of the students is better.

# %%
train, test = (load_digits("digits", part).to(device) for part in ("train", "test"))
with torch.no_grad():
    answers = cnn(train.images)
tiny, tiny_test = (F.avg_pool2d(part.images, 2).flatten(1) for part in (train, test))


# %%
def student_right(seed: int, taught: bool, steps: int = 150) -> float:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10)).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3, fused=True)
    rows = torch.randperm(len(train), device=device)[:50]
    for _ in range(steps):
        scores = net(tiny[rows])
        loss = F.cross_entropy(scores, train.labels[rows])
        if taught:
            loss = distillation_loss(scores, answers[rows], temperature=4.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return share_right(net, tiny_test, test.labels)


# %%
by_label, by_teacher = (
    torch.tensor([student_right(seed, taught) for seed in range(6)]) for taught in (False, True)
)
gain = by_teacher - by_label
error = float(gain.std() / math.sqrt(len(gain)))
print(f"right: from labels {by_label.mean():.3f}, from the teacher {by_teacher.mean():.3f}")
claim("the teacher's students ahead, in standard errors", float(gain.mean()) / error, low=2)


# %% [markdown]
# Where labels are few, the teacher's scores are worth more than they. (It learned from many digits itself, and hands on some of that.)

# %% [markdown]
# ### Adapting with one percent of the weights: LoRA · 低秩适应
#
# A trained layer $W_0$ stays as it is, and learns a correction of low rank beside it (Hu et al. 2021, eq. 3, with their scaling):
#
# $$h = W_0 x + \tfrac{\alpha}{r} B A x$$
#
# $x$ has $I$ numbers and $h$ has $O$; $r$ is the rank, $\alpha$ a fixed factor. $A$ is $r \times I$, $B$ is $O \times r$: $r(I + O)$ numbers instead of $I \cdot O$. $B$ begins at 0. Afterwards $W_0 + \frac{\alpha}{r}BA$ is one matrix again, and costs nothing extra.

# %% [markdown]
# The task: our ViT meets digits of **half the size**. Adapt the last layer only, everything, or a LoRA of rank 1 with the last layer. **Predict** how far each gets.

# %%
def half_size(x):
    return F.pad(F.avg_pool2d(x, 2), [7] * 4, value=-1.0)


# %%
def adapt(net, lr: float, steps: int = 60):
    torch.manual_seed(0)
    learning = [p for p in net.train().parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=lr, fused=True)
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = lr * (1 - i / steps)
        rows = torch.randint(len(train), (32,), device=device)
        loss = F.cross_entropy(net(half_size(train.images[rows])), train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


# %%
from bigmodel_lib.models.lora import add_lora, merge_lora, trainable

head, lora, full = (copy.deepcopy(vit) for _ in range(3))
head.requires_grad_(False)
add_lora(lora, r=1, where=lambda name: "mlp" not in name and name != "head")
for net in (head, lora):
    net.head.requires_grad_(True)

# %%
half_test, total = half_size(test.images), trainable(vit)
score = 100 * share_right(vit, half_test, test.labels)
adapted = {"not adapted": {"learns, %": 0.0, "right, %": score}}
for name, net, lr in (("head only", head, 3e-2), ("LoRA", lora, 3e-2), ("everything", full, 2e-3)):
    part = 100 * trainable(net) / total
    score = 100 * share_right(adapt(net, lr), half_test, test.labels)
    adapted[name] = {"learns, %": part, "right, %": score}
plots.table(adapted)

# %%
claim("LoRA: share of the weights that learn, %", adapted["LoRA"]["learns, %"], 1, 2)
lead = adapted["LoRA"]["right, %"] - adapted["head only"]["right, %"]
claim("LoRA over the head only, percentage points", lead, low=3)
gap = adapted["everything"]["right, %"] - adapted["LoRA"]["right, %"]
claim("everything over LoRA, percentage points", gap, -10, 15)

# %%
with torch.no_grad():
    two_paths = lora.double()(half_test.double())
    merge_lora(lora)
    difference = float((lora(half_test.double()) - two_paths).abs().max())
claim("merged against two paths: largest difference of a score", difference, high=1e-10)
ours, whole = (adapted[name]["right, %"] for name in ("LoRA", "everything"))
note("LoRA, rank 1", "ViT", file=adapted["LoRA"]["learns, %"] / 100,
     quality=f"{ours:.1f} % right; all weights: {whole:.1f} %")  # fmt: skip

# %% [markdown]
# The learning rates are each method's own: small corrections want large steps. What has to be stored for each new task is the correction alone.

# %% [markdown]
# ### Many experts, few at work: mixture of experts · 混合专家
#
# A **router** scores $E$ small networks and sends each token to the best $k$ of them (Shazeer et al. 2017). So a model can hold more than it uses for one token. Left alone, a router sends everything to a few favourites; the loss $E \sum_i f_i P_i$ ($f_i$ the share of tokens that expert $i$ gets, $P_i$ its mean probability) is 1 when all get the same (Fedus et al. 2021).

# %% [markdown]
# The task: the next letter, from eight before it. The middle layer is one of
#
# - a dense one as large as what a token *uses* (64 hidden units),
# - 8 experts of 32, of which a token visits 2,
# - a dense one as large as all experts *together* (256).
#
# **Predict** the order.

# %%
alphabet = sorted(set(train_text + test_text))
letters = {letter: number for number, letter in enumerate(alphabet)}
to_learn, to_test = (
    torch.tensor([letters[letter] for letter in part], device=device)
    for part in (train_text, test_text)
)


# %%
class NextLetter(nn.Module):
    def __init__(self, middle):
        super().__init__()
        self.embed, self.norm = nn.Embedding(len(letters), 16), nn.LayerNorm(128)
        self.middle, self.out = middle, nn.Linear(128, len(letters))

    def forward(self, ids):  # (B, 8)
        x = self.embed(ids).flatten(1)
        return self.out(x + self.middle(self.norm(x)))


# %%
def windows(ids, count):
    starts = torch.randint(len(ids) - 8, (count, 1), device=device)
    return (ids[starts + torch.arange(9, device=device)]).split([8, 1], dim=1)


# %%
from bigmodel_lib.models.moe import MixtureOfExperts, active_parameters, balance_loss


def learn(middle, steps: int = 200) -> nn.Module:
    torch.manual_seed(1)
    net = NextLetter(middle).to(device)
    optimizer = torch.optim.AdamW(net.parameters(), lr=6e-3, fused=True)
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = 6e-3 * (1 - i / steps)
        x, y = windows(to_learn, 128)
        loss = F.cross_entropy(net(x), y[:, 0])
        if isinstance(net.middle, MixtureOfExperts):
            loss = loss + 0.05 * balance_loss(net)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


# %%
def dense(W: int) -> nn.Module:
    return nn.Sequential(nn.Linear(128, W), nn.ReLU(), nn.Linear(W, 128))


torch.manual_seed(0)
middles = {
    "dense, 64": dense(64),
    "8 experts, top 2": MixtureOfExperts(128, 8, 2, 32),
    "dense, 256": dense(256),
}
learned = {name: learn(middle) for name, middle in middles.items()}

# %%
torch.manual_seed(2)
x, y = windows(to_test, 4000)
with torch.no_grad():
    bits_a_letter = {
        name: float(F.cross_entropy(net(x), y[:, 0])) / math.log(2) for name, net in learned.items()
    }

# %%
plots.table({
    name: {
        "parameters": sum(p.numel() for p in net.parameters()),
        "active": active_parameters(net),
        "bits a letter": bits_a_letter[name],
    }
    for name, net in learned.items()
})  # fmt: skip

# %%
experts = learned["8 experts, top 2"]
lead = bits_a_letter["dense, 64"] - bits_a_letter["8 experts, top 2"]
claim("bits a letter saved against a dense net of equal active size", lead, low=0.02)
gap = bits_a_letter["8 experts, top 2"] - bits_a_letter["dense, 256"]
claim("bits a letter lost against a dense net of equal total size", gap, low=0.0)
most = experts.middle.routing.load.max()
claim("largest share of the visits that an expert gets", most, 0.125, 0.4)

# %%
large = learned["dense, 256"]
time_part = seconds(lambda: experts(x)) / seconds(lambda: large(x))
share = active_parameters(experts) / trainable(experts)
old, new = bits_a_letter["dense, 256"], bits_a_letter["8 experts, top 2"]
note("mixture of experts", "letters, over dense 256", time=time_part,
     memory=stored_bytes(experts) / stored_bytes(large),
     quality=f"{old:.2f} → {new:.2f} bits, {share:.0%} active")  # fmt: skip

# %% [markdown]
# In between, as it should be: better than a net that computes as much for each token, not as good as one that uses all its weights on every token. Memory has to hold all experts, and sorting tokens by expert takes time, which only large experts repay.

# %% [markdown]
# ### Guess ahead, check at once: speculative decoding · 推测解码
#
# A GPT that writes is slow because tokens come one by one, and a pass over four tokens need not take much longer than one over a single token. So let a cheap model guess $n$ tokens; the large model scores all of them in one pass. With $p$ its probabilities and $q$ the guesser's, keep a guess $x$ with probability
#
# $$\min\left(1, \frac{p(x)}{q(x)}\right)$$
#
# At the first that falls, draw from $\max(0, p - q)$, normalised, and stop (Leviathan et al. 2022; Chen et al. 2023).

# %% [markdown]
# **The text is exactly as probable as without guessing.** $x$ comes out as a kept guess with probability $q(x)\min(1, p(x)/q(x)) = \min(p(x), q(x))$; the second draw adds what is missing to $p(x)$.

# %% [markdown]
# Proof by exhaustion: our program asks a `Chance` for each random choice, so we can run it on *every* path, and add up what each outcome is worth. Three tokens, two guesses, tables for models:

# %%
generator = torch.Generator().manual_seed(0)
p_table, q_table = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64).softmax(-1)


def check_table(ids, n):  # behind each of the last n + 1 tokens
    return p_table[ids[-n - 1 :]]


# %%
import itertools

from bigmodel_lib.models.chance import Chance, outcomes
from bigmodel_lib.models.ngram import KneserNey
from bigmodel_lib.models.speculative import (
    gpt_checker,
    overlap,
    speculative,
    speedup,
    tokens_a_step,
)


def first_two(chance) -> tuple[int, ...]:
    steps, tokens = speculative(check_table, lambda ids: q_table[ids[-1]], [0], 2, chance), []
    while len(tokens) < 2:
        tokens += next(steps)
    return tuple(tokens[:2])


exact = outcomes(first_two)
pairs = itertools.product(range(3), repeat=2)
wanted = {(a, b): float(p_table[0, a] * p_table[a, b]) for a, b in pairs}
worst = max(abs(exact[pair] - wanted[pair]) for pair in wanted)
claim("largest error of a probability, over all outcomes", worst, 0, 1e-12)

# %% [markdown]
# And by luck: 2,000 second tokens of the same program against the wanted frequencies. The χ² test gives the probability of differing at least so much by chance; guesses taken unchecked must fail it.

# %%
chance = Chance(torch.Generator().manual_seed(1))
drawn = torch.tensor([first_two(chance)[1] for _ in range(2000)]).bincount(minlength=3)
unchecked = torch.multinomial(q_table[0], 2000, replacement=True, generator=generator)
unchecked = q_table[unchecked].cumsum(1)  # a second guess behind each first one
second = (torch.rand(2000, 1, generator=generator) > unchecked).sum(1).bincount(minlength=3)
expected = 2000 * (p_table[0] @ p_table)
claim("χ² test, checked guesses: p-value", stats.chisquare(drawn, expected).pvalue, low=0.001)
claim("χ² test, unchecked guesses: p-value", stats.chisquare(second, expected).pvalue, high=0.001)

# %% [markdown]
# Now for speed. The guesser of our GPT is a **3-gram** (chapter 6): it costs a table look-up. If guesses are kept with probability $\alpha$, and one costs $c$ passes of the large model, then a step brings $\frac{1-\alpha^{n+1}}{1-\alpha}$ tokens, and writing gets faster by
#
# $$\frac{1-\alpha^{n+1}}{(1-\alpha)(nc+1)}$$
#
# (Leviathan et al. 2022, theorem 3.8). $\alpha$ is the mean of $\sum_x \min(p(x), q(x))$. **Predict** $\alpha$.

# %%
three_gram = KneserNey(known, 3, encoding.V)
start, n, count = encoding.encode("The following is an"), 2, 80


def guess(ids):
    return three_gram.distribution(ids[-2:])


# %%
def speculated(n: int) -> list[list[int]]:
    """Steps until so many tokens are written, and the tokens of each."""
    luck = Chance(torch.Generator().manual_seed(0))
    steps = speculative(gpt_checker(gpt), guess, start, n, luck)
    made = [next(steps)]
    while sum(map(len, made)) < count:
        made.append(next(steps))
    return made


# %%
def alone() -> list[int]:
    return write(cached_next_logits, torch.tensor([start], device=device), count)


# %%
steps = speculated(n)
text = start + list(itertools.chain(*steps))
ps = gpt_checker(gpt)(text, len(text) - len(start) - 1).cpu().double()
qs = torch.stack([guess(text[:i]) for i in range(len(start) + 1, len(text) + 1)])
alpha = float(overlap(ps, qs).mean())
per_step = sum(map(len, steps)) / len(steps)
claim("α: mean acceptance of a 3-gram's guess", alpha, 0.2, 0.8)
claim("tokens a step, over the formula", per_step / tokens_a_step(alpha, n), 0.7, 1.3)

# %%
unseen = held_out[:60].tolist()  # contexts that the guesser has not met yet
guess_s = seconds(lambda: [guess(unseen[i : i + 2]) for i in range(50)], 1) / 50
pass_s = seconds(alone, 2) / count
ours_s = seconds(lambda: speculated(n), 2) / sum(map(len, speculated(n)))
note("speculative decoding", "GPT, 3-gram guesses", time=ours_s / pass_s,
     quality="the same distribution")  # fmt: skip

# %% tags=["machine"]
c = guess_s / pass_s
print(f"c = {c:.2f}; faster by formula {speedup(alpha, n, c):.2f}, measured {pass_s / ours_s:.2f}")

# %% [markdown]
# The formula is the more cheerful, since it supposes that a pass over $n + 1$ tokens takes as long as one over a single token. That is nearly so on a GPU, where a pass waits for the weights to arrive from memory; on this CPU the arithmetic takes time as well.

# %% [markdown]
# ### All in one table · 一览
#
# Each line compares *with* to *without*: below 1 is a saving. **Time and memory come from the device named above the table**; on a GPU the same cells run larger and print its own. An empty cell was not touched by the technique.

# %% tags=["machine"]
print(f"measured on: {device.type}, {torch.get_num_threads()} thread(s), torch {torch.__version__}")
plots.table(rows)

# %% [markdown]
# **On a GPU**, start the kernel where PyTorch sees one; nothing else changes. `pick_device()` finds it, `by_device` takes the larger sizes, `autocast(device)` the 16-bit type that the card has, `torch.compile` is on, and fused attention picks the card's own kernel. There 16 bits and whole numbers run on units made for them, so lines that read above 1 on a CPU should fall below it. We had none to measure on: the figures saved here are a CPU's.

# %% [markdown]
# ### Combine them · 自由组合
#
# 1. *int8*: what changes in size, accuracy, time?
# 2. *pruned* 50, then 80 %. Then 8 *channels* and the teacher: which is smaller at the same accuracy?
# 3. *rank* 50 %, then also *pruned*. Why can't that be?
# 4. *images a pass* 1, then 360.

# %%
from bigmodel_lib.widgets import EfficiencyLab

EfficiencyLab(precision="int8")

# %% [markdown]
# *In the picture:* left, file size against the share misread, both on log axes; small points are combinations measured in advance, the line the best trade-offs, the orange ring yours. Right, your combinations against time, measured as you move.

# %% [markdown]
# <details><summary>What you should see</summary>
#
# 1. A quarter of the size, the same accuracy, no less time: the CPU still multiplies floats.
# 2. Without training on, pruning breaks the network long before a smaller network that was trained as such.
# 3. A product of two factors has no zeros.
# 4. Alone, an image costs several times as much: starting the kernels takes longer than they run.
#
# </details>

# %% [markdown]
# ## Summary · 小结
#
# - One space for pictures, words and sounds needs no pair of every kind: what both were tied to joins them.
# - In medicine, finance and education the first question is what could have won anyway. On a small table a network is no better than logistic regression; in our market returns cannot be predicted, their volatility can; a model of students is as good as its match with how they learn.
# - A map of what mattered is worth something only if it changes when the network does. Some well-known ones do not.
# - An induction head can be found, and then proven, by putting activations from one run into another.
# - Cheaper is measured in four units: time, memory, size, accuracy. Few techniques win in all.

# %% [markdown]
# ## Exercises · 练习
#
# **Domains**
#
# 1. Train the space without the sounds of two digits. Which retrieval suffers?
# 2. Choose what a miss costs in the breast-cancer data, and find the threshold. How wide is its interval?
# 3. Shuffle the folds of the volatility forecast. What does it gain, and why is that gain false?
# 4. Change how the simulated students learn until item response theory wins.
#
# **Inside and cheaper**
#
# 5. Draw a 7 that reads as a 1. Which stroke decides, by which method?
# 6. Cut the head that looks at the previous letter, and predict which distances survive.
# 7. Give LoRA ranks 1, 2, 8. Where does it stop paying?
# 8. Let a worse draft model propose in speculative decoding. What happens to the text, and what to the speed?

# %% [markdown]
# ## Sources · 出处
#
# **One space.** Radford et al. 2021, arXiv:2103.00020; van den Oord et al. 2018, arXiv:1807.03748; Liang et al. 2022, arXiv:2203.02053.
#
# **Medicine.** Wolberg, Street & Mangasarian 1995; Nadeau & Bengio 2003; Efron 1979; Elkan 2001; Vickers & Elkin 2006; Collins et al. 2024 (TRIPOD+AI).
#
# **Finance.** Bollerslev 1986; Cont 2001; Diebold & Mariano 1995; Harvey, Leybourne & Newbold 1997; Clark & West 2007; Corsi 2009; Patton 2011; Andersen & Bollerslev 1998; Glosten, Jagannathan & Runkle 1993.
#
# **Education.** Rasch 1960; Lord 1980; Bock & Aitkin 1981; Corbett & Anderson 1995; Pavlik et al. 2009; Piech et al. 2015, arXiv:1506.05908.

# %% [markdown]
# **Which pixels.** Simonyan, Vedaldi & Zisserman 2014, *Deep Inside Convolutional Networks*, [arXiv:1312.6034](https://arxiv.org/abs/1312.6034); Zeiler & Fergus 2014, *Visualizing and Understanding Convolutional Networks*, [arXiv:1311.2901](https://arxiv.org/abs/1311.2901); Springenberg et al. 2015, *Striving for Simplicity*, [arXiv:1412.6806](https://arxiv.org/abs/1412.6806); Sundararajan, Taly & Yan 2017, *Axiomatic Attribution for Deep Networks*, [arXiv:1703.01365](https://arxiv.org/abs/1703.01365); Selvaraju et al. 2017, *Grad-CAM*, [arXiv:1610.02391](https://arxiv.org/abs/1610.02391); Lundberg & Lee 2017, *A Unified Approach to Interpreting Model Predictions*, [arXiv:1705.07874](https://arxiv.org/abs/1705.07874); Petsiuk, Das & Saenko 2018, *RISE*, [arXiv:1806.07421](https://arxiv.org/abs/1806.07421); Adebayo et al. 2018, *Sanity Checks for Saliency Maps*, [arXiv:1810.03292](https://arxiv.org/abs/1810.03292); Kokhlikyan et al. 2020, *Captum*, [arXiv:2009.07896](https://arxiv.org/abs/2009.07896).

# %% [markdown]
# **Inside.** Samek et al. 2015, arXiv:1509.06321; Abnar & Zuidema 2020, arXiv:2005.00928; Alain & Bengio 2016, arXiv:1610.01644; Hewitt & Liang 2019, arXiv:1909.03368; Elhage et al. 2021, *A Mathematical Framework for Transformer Circuits*; Olsson et al. 2022, arXiv:2209.11895; Meng et al. 2022, arXiv:2202.05262.
#
# **Cheaper.** Dao et al. 2022, arXiv:2205.14135; Chen et al. 2016, arXiv:1604.06174; Han et al. 2015, arXiv:1506.02626; Hinton et al. 2015, arXiv:1503.02531; Hu et al. 2021, arXiv:2106.09685; Shazeer et al. 2017, arXiv:1701.06538; Fedus et al. 2021, arXiv:2101.03961; Leviathan et al. 2022, arXiv:2211.17192; Chen et al. 2023, arXiv:2302.01318.

# %% [markdown]
# **The library's code:** `models/contrastive.py`, `comparing.py`, `decisions.py`, `forecasting.py`, `data/markets.py`, `data/students.py`, `models/tracing.py` (7.1); `attribution/`, `widgets/draw_digit.py`, `patching.py`, `heads.py`, `probes.py`, `rollout.py` (7.2); `models/lora.py`, `models/moe.py`, `models/quantised.py`, `models/speculative.py`, `training/prune.py`, `training/distil.py` (7.3).
