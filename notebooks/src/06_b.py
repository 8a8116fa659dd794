# %%
import time

import matplotlib.pyplot as plt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from bigmodel_lib import plots
from bigmodel_lib.cached import vision
from bigmodel_lib.claims import claim
from bigmodel_lib.data.digits import load_digits, shrink
from bigmodel_lib.data.scenes import FRAMES, held_out_scenes, make_scene, stacked
from bigmodel_lib.detection import average_precision, by_components, matches
from bigmodel_lib.device import seed_everything
from bigmodel_lib.metrics import GeneratorJudge, frechet_distance
from bigmodel_lib.models.boxes import iou, non_maximum_suppression
from bigmodel_lib.models.detector import candidates, decode, detect
from bigmodel_lib.widgets import DenoisingLab, DetectorLab

seed_everything(0)
torch.set_num_threads(1)

# %% [markdown]
# ## 6.2 Computer vision · 计算机视觉
#
# Three tasks on one set of handwritten digits (Alpaydin & Kaynak 1998): say **which** digit an image shows (*recognition*), **draw** a wanted digit (*generation*), and find **which digits are where** in a picture of several (*detection*).
#
# The models were trained once, on one thread, from seeds; their files lie in the package, and `make models` makes them anew. `load` gives a model and its facts:

# %%
train, test = load_digits("digits", "train"), load_digits("digits", "test")
recipes = {
    recipe.name: recipe
    for recipe in (
        *(vision.RecogniserCNN(), vision.RecogniserViT()),
        *(vision.DigitGAN(), vision.DigitVAE(), vision.DigitDiffusion()),
        vision.DigitDetector(),
    )
}
loaded = {name: recipe.load() for name, recipe in recipes.items()}
models = {name: model for name, (model, _facts) in loaded.items()}
plots.table(
    {
        name: {"parameters": facts.parameters, "seconds of training": facts.seconds}
        for name, (_model, facts) in loaded.items()
    }
)
print("trained with torch", loaded["digit_cnn"][1].torch)

# %% [markdown]
# **Train one anew?** A few steps here show how it goes; set `steps` to `recipe.settings["steps"]` for the whole way. The rate of learning falls along a half cosine that ends at the last step.

# %%
steps = 20
recipe = recipes["digit_cnn"]
torch.manual_seed(recipe.settings["seed"])
fresh = recipe.make(None)
run = recipe.run(fresh, None)
records = [record["loss"] for _, record in zip(range(steps), recipe.steps(run), strict=False)]
progress = records[-1] / records[0]
claim("loss after 20 steps of training anew, over that of the first", progress, high=0.8)

# %% [markdown]
# ### Recognition · 图像识别
#
# A **convolutional network** (chapter 2) slides small filters over the image. A **Vision Transformer** (ViT; Dosovitskiy et al. 2020) cuts the image into 16 *patches* of 7 by 7 pixels and treats them as the words of a sentence: each patch looks at all others by attention (chapter 4). Both learned from 1,437 digits that were moved by up to three pixels at random, so that place does not matter.
#
# **Predict.** Two methods without hidden layers: *k-nearest neighbours* takes the majority of the 3 most similar training images; *logistic regression* weighs each pixel for each digit. How far behind will they be?

# %%
def accuracy(answers: torch.Tensor) -> float:
    return float((answers == test.labels).double().mean())


def pixels(images: torch.Tensor):
    return shrink(images).flatten(1).numpy()  # the 64 numbers that each image was made of


answers = {}
with torch.no_grad():
    for name, key in (("CNN", "digit_cnn"), ("Vision Transformer", "digit_vit")):
        answers[name] = models[key](test.images).argmax(dim=1)
for name, method in (
    ("3 nearest neighbours", KNeighborsClassifier(3)),
    ("logistic regression", LogisticRegression(max_iter=500)),
):
    method.fit(pixels(train.images), train.labels)
    answers[name] = torch.from_numpy(method.predict(pixels(test.images)))
right = {name: accuracy(answer) for name, answer in answers.items()}
plots.table({name: {"right, %": 100 * share} for name, share in right.items()})

# %%
claim("held-out digits that the CNN reads right", right["CNN"], low=0.98)
vit = right["Vision Transformer"]
claim("held-out digits that the Vision Transformer reads right", vit, low=0.98)
lead = right["CNN"] - right["logistic regression"]
claim("the CNN's lead over logistic regression", lead, low=0.0)

# %% [markdown]
# On digits this small and clean, the nearest neighbours are as good as the networks: a strong, honest baseline. Networks pull ahead where pictures vary in ways that pixel distance does not forgive. Move each test digit two pixels to the right, and ask all four again:

# %%
moved = torch.roll(test.images, 2, dims=3)
moved[..., :2] = -1  # what came round the edge
shares = {}
with torch.no_grad():
    for name, key in (("CNN", "digit_cnn"), ("Vision Transformer", "digit_vit")):
        shares[name] = accuracy(models[key](moved).argmax(dim=1))
neighbours = KNeighborsClassifier(3).fit(pixels(train.images), train.labels)
shares["3 nearest neighbours"] = accuracy(torch.from_numpy(neighbours.predict(pixels(moved))))
plots.table({name: {"right when moved, %": 100 * share} for name, share in shares.items()})
claim(
    "the CNN's lead over nearest neighbours on moved digits",
    shares["CNN"] - shares["3 nearest neighbours"],
    low=0.01,
)

# %% [markdown]
# *In the picture:* every held-out digit that CNN or ViT got wrong; above each the truth, then what the CNN and the ViT say. Would you have read them?

# %%
wrong = (answers["CNN"] != test.labels) | (answers["Vision Transformer"] != test.labels)
rows = wrong.nonzero()[:12, 0].tolist()
figure, axes = plt.subplots(1, max(len(rows), 2), figsize=(1.1 * max(len(rows), 2), 1.7))
for ax, row in zip(axes, rows, strict=False):
    ax.imshow(test.images[row, 0], cmap="gray", vmin=-1, vmax=1)
    said = f"{answers['CNN'][row]}, {answers['Vision Transformer'][row]}"
    ax.set_title(f"is {test.labels[row]}\n{said}", fontsize=9)
for ax in axes:
    ax.set_axis_off()
alt = f"{len(rows)} digits that at least one of the networks misread, most of unusual shape."
plots.show(figure, alt=alt)

# %% [markdown]
# ### Generation · 图像生成
#
# Three ways to draw a wanted digit from noise:
#
# - the conditional **GAN** of chapter 5: noise and label, one pass;
# - a conditional **VAE** (chapter 2): a random code and the label go through the decoder, one pass;
# - **diffusion** (chapter 3): begin with pure noise, and take many small steps back, each by a network that predicts the noise from the picture $x_t$, the time $t$ and the label.
#
# The diffusion works on the digits' own 8 by 8 pixels, and its results are enlarged as the digits were.

# %% [markdown]
# A picture at time $t$ is a mixture, $x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\varepsilon$: $x_0$ the digit, $\varepsilon$ the noise, $\bar\alpha_t$ the share of the digit's variance that is left (Ho et al. 2020, eq. 4). From the predicted noise follows a guess $\hat x_0$; a step mixes it anew, with less noise, for an earlier time $s$:
#
# $$x_s = \sqrt{\bar\alpha_s}\,\hat x_0 + \sqrt{1-\bar\alpha_s-\sigma^2}\;\varepsilon_\theta + \sigma z$$
#
# $\varepsilon_\theta$ is the network's answer, $z$ fresh noise, and $\sigma$ grows with $\eta$ (Song et al. 2021, eq. 12). $\eta = 1$ is **DDPM**, $\eta = 0$ **DDIM**, which draws nothing anew and can take large steps.

# %%
labels = torch.arange(10).repeat(30)
judge = GeneratorJudge(train, test)
drawn, seconds = {}, {}
for name, key, how in (
    ("GAN", "digit_gan", {}),
    ("VAE", "digit_vae", {}),
    ("diffusion, 50 steps", "digit_diffusion", {"steps": 50}),
):
    start = time.process_time()
    drawn[name] = recipes[key].draw(models[key], labels, **how)
    seconds[name] = time.process_time() - start
reports = {name: judge(images) for name, images in drawn.items()}
reports["real, held out"] = judge(test.images)

# %% [markdown]
# **Predict.** Which of the three is best, by which measure? The judge is a classifier (chapter 5): *Fréchet distance* in its feature space (0: like the training data), *precision* (do images look real?), *recall* (is every kind of real image there?), *as wanted* (does the classifier read the digit that was asked for?).

# %%
wanted = {
    name: float((judge.look(images)[1].argmax(dim=1) == labels).double().mean())
    for name, images in drawn.items()
}
read = judge.look(test.images)[1].argmax(dim=1)
wanted["real, held out"] = float((read == test.labels).double().mean())
plots.table(
    {
        name: {
            "Fréchet distance": report.frechet,
            "precision": report.precision,
            "recall": report.recall,
            "as wanted": wanted[name],
            "novelty": report.novelty if name in drawn else "–",
        }
        for name, report in reports.items()
    }
)

# %%
share = wanted["diffusion, 50 steps"]
claim("share of diffusion's digits that are read as wanted", share, low=0.95)
gan, diffusion = reports["GAN"], reports["diffusion, 50 steps"]
claim("precision of diffusion minus the GAN's", diffusion.precision - gan.precision, low=0.0)
claim("Fréchet distance of the GAN over diffusion's", gan.frechet / diffusion.frechet, high=0.8)
claim("novelty of diffusion (1: no copying)", diffusion.novelty, high=0.9)

# %% [markdown]
# No model wins everywhere. Diffusion's digits are the surest to be what was asked for, and most of them pass for real; but they lie nearer to the images it learned from than chance would have it (*novelty* below 1), so it copies a little. The GAN comes closest in Fréchet distance, which compares mean and spread of the features: a small shift of all images counts there, and precision forgives it. One number is not enough.

# %% [markdown]
# *In the picture:* three drawings of each digit by each model. The VAE's are blurred, as its decoder must serve all codes near a place, and draws their mean; the other two are sharper.

# %%
figure, axes = plt.subplots(1, 3, figsize=(15, 2.1))
for ax, (name, images) in zip(axes, drawn.items(), strict=True):
    plots.image_grid(images[:30], columns=10, title=name, ax=ax)
alt = "Three panels, each with three rows of the digits 0 to 9, by GAN, VAE and diffusion."
plots.show(figure, alt=alt)

# %% [markdown]
# #### Quality against steps · 质量与步数
#
# **Predict.** Diffusion was trained for 200 small steps, and can take few large ones. With fresh noise in each step (DDPM) or without (DDIM): which suffers more when steps are few?

# %%
def distance(steps: int, eta: float) -> float:
    images = recipes["digit_diffusion"].draw(
        models["digit_diffusion"], labels, steps=steps, eta=eta
    )
    return frechet_distance(judge.real_features, judge.look(images)[0])


counts = (1, 2, 5, 10, 20, 50)
curves = {
    name: [distance(steps, eta) for steps in counts]
    for name, eta in (("DDIM, η = 0", 0.0), ("DDPM, η = 1", 1.0))
}

# %%
figure, ax = plt.subplots(figsize=(7, 3.4))
for (name, values), colour in zip(curves.items(), (plots.BLUE, plots.ORANGE), strict=True):
    ax.plot(counts, values, "o-", color=colour, label=name)
for name, dash in (("GAN", "--"), ("VAE", ":"), ("real, held out", "-")):
    ax.axhline(reports[name].frechet, color=plots.GREY, ls=dash, lw=1.5, label=name)
ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="Fréchet distance")
ax.set_xticks(counts, map(str, counts))
ax.minorticks_off()
ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
alt = (
    "Fréchet distance against steps, both on log axes: both samplers fall steeply in the first "
    "steps and flatten; horizontal lines for GAN, VAE and real held-out digits."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* lower is better. The first steps buy most; after some tens, more steps bring little or nothing. Each step is one pass through the network, so time grows with their number, while GAN and VAE need a single pass. Fresh noise helps our small network a little at any number of steps; with large networks on photographs, DDIM is ahead where steps are few (Song et al. 2021, section 5).

# %%
ddim, ddpm = curves.values()
claim("DDIM's distance in 1 step over that in 20 steps", ddim[0] / ddim[4], low=3)
claim("DDIM's distance in 20 steps over that in 50", ddim[4] / ddim[5], 0.5, 2.0)
claim("DDPM's distance over DDIM's, in 20 steps", ddpm[4] / ddim[4], 0.4, 1.05)

# %% tags=["machine"]
plots.table(
    {name: {"ms per image": 1000 * value / len(labels)} for name, value in seconds.items()}
)

# %% [markdown]
# #### From noise to digit · 从噪声到数字
#
# **Try, and predict first:**
#
# 1. Walk *look at step* from 0 to 100 %. When does the lower row first show the digit, and when the upper one?
# 2. One step only. What does the network draw when it must guess the digit from pure noise?
# 3. $\eta$ from 0 to 1 with the same seed: the start is the same. Is the end?

# %%
DenoisingLab()

# %% [markdown]
# *In the picture:* above, one drawing on its way; below, what the network takes to be behind it; at the bottom, twelve drawings at the step looked at.
#
# <details><summary>What you should see</summary>
#
# 1. The guess settles early, from a blur to a digit; the picture itself clears up late.
# 2. Black and white squares: pure noise holds almost nothing of a digit, so the guess divides the network's small error by a number near 0, and is cut off at black and white. A second step mends most of it.
# 3. No: fresh noise leads each drawing elsewhere.
#
# </details>

# %% [markdown]
# ### Detection · 目标检测
#
# A *scene* holds one to six digits of different sizes, which may overlap. Because we compose it, we know the exact *box* of each: left, top, right, bottom of its ink, in pixels. Training scenes are made of training digits, test scenes of test digits.
#
# *In the picture:* test scenes with their true boxes.

# %%
scenes = held_out_scenes()


def frame(ax, boxes, names, colour):
    for (left, top, right, bottom), name in zip(boxes.tolist(), names, strict=True):
        ax.add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False, ec=colour))
        ax.text(left + 0.5, top + 0.5, name, color=colour, va="top", fontsize=8, weight="bold")


def show_scenes(boxes_of, alt: str) -> None:
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.3))
    for ax, scene in zip(axes, scenes, strict=False):
        ax.imshow(scene.image[0], cmap="gray", vmin=-1, vmax=1, extent=(0, 64, 64, 0))
        for boxes, names, colour in boxes_of(scene):
            frame(ax, boxes, names, colour)
        ax.set_axis_off()
    plots.show(figure, alt=alt)


GOLD, SKY = "#E69F00", "#56B4E9"
show_scenes(
    lambda scene: [(scene.boxes, map(str, scene.labels.tolist()), GOLD)],
    "Five black squares with one to six white digits of several sizes, some overlapping, each "
    "in a box with its number.",
)

# %% [markdown]
# The detector looks once at the whole picture and answers at each cell of a grid of 16 by 16 (CenterNet, Zhou et al. 2019; FCOS, Tian et al. 2019):
#
# - for each of the 10 digits, the probability that one is **centred** here;
# - the **offset** of the centre from the cell's middle, and the **size** of the box.
#
# No box shapes are given in advance, hence *anchor-free*. Nearly all cells are empty; the **focal loss** keeps them from drowning the few others: with $p$ the probability of the truth, $-(1-p)^2 \log p$ hardly counts what is already certain (Lin et al. 2017).

# %%
detector = models["digit_detector"]
with torch.no_grad():
    boxes, probabilities = decode(detector(stacked(scenes[:1])))  # (1, 256, 4), (1, 256, 10)
heat = probabilities[0].max(dim=1).values.view(16, 16)
cells = candidates(boxes[0], probabilities[0], score=0.1)
figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
axes[0].imshow(heat, cmap="viridis", vmin=0, vmax=1)
kept = non_maximum_suppression(cells.boxes, cells.scores, 0.5)
for ax, chosen in ((axes[1], torch.arange(len(cells.scores))), (axes[2], kept)):
    ax.imshow(scenes[0].image[0], cmap="gray", vmin=-1, vmax=1, extent=(0, 64, 64, 0))
    frame(ax, cells.boxes[chosen], map(str, cells.labels[chosen].tolist()), SKY)
titles = ("best class at each cell", f"{len(cells.scores)} boxes", f"{len(kept)} after suppression")
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
    ax.set_axis_off()
alt = (
    "Left a grid of 16 by 16 cells with bright spots at the centres of digits; middle the scene "
    "with several boxes on each digit; right one box on each."
)
plots.show(figure, alt=alt)

# %% [markdown]
# *In the picture:* left, how sure the detector is at each cell (bright: sure). Middle: around a centre, several cells claim the same digit. Right: **non-maximum suppression** has kept the best.
#
# How much two boxes overlap is their *intersection over union*, $\mathrm{IoU} = |A \cap B| / |A \cup B|$. Suppression keeps the box with the best score, drops all that overlap it by more than a limit, and goes on with what is left. As a plain loop:

# %%
def plain_suppression(boxes, scores, most):
    left, kept = list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda i: scores[i])
        kept.append(best)
        overlaps = iou(boxes[best : best + 1], boxes)[0]
        left = [i for i in left if i != best and overlaps[i] <= most]
    return kept


everything = candidates(boxes[0], probabilities[0], score=0.001)
by_loop = plain_suppression(everything.boxes, everything.scores, 0.5)
by_library = non_maximum_suppression(everything.boxes, everything.scores, 0.5).tolist()
claim("boxes that loop and library keep alike", float(by_loop == by_library), 1, 1)

# %% [markdown]
# **How good is it?** A box is right if its digit is, and its IoU with a true box that no better one has taken is at least 0.5. Sort all boxes by score: going down, *recall* (share of the digits found) grows and *precision* (share of the boxes that are right) falls. **Average precision** (AP) is the area below that curve, the mean over the ten digits. AP at 0.5:0.95 is the mean over ten ever stricter limits. Both come from `pycocotools`, the evaluator of the COCO benchmark.
#
# The baseline is the way of old: each connected patch of ink is a digit, which a classifier reads.
#
# **Predict.** Where will the baseline fail?

# %%
found = {
    "detector": detect(detector, stacked(scenes)),
    "patches of ink + CNN": [by_components(scene, models["digit_cnn"]) for scene in scenes],
}
average = {name: average_precision(scenes, boxes) for name, boxes in found.items()}
plots.table(
    {name: {"AP at 0.5": a.ap50, "AP at 0.5:0.95": a.ap} for name, a in average.items()}
)
claim("the detector's average precision at 0.5", average["detector"].ap50, low=0.9)
claim("the detector's average precision at 0.5:0.95", average["detector"].ap, low=0.7)
claim(
    "the detector's lead over patches of ink, at 0.5",
    average["detector"].ap50 - average["patches of ink + CNN"].ap50,
    low=0.3,
)

# %%
def share_found(boxes, crowded: bool) -> float:
    chosen = [i for i, scene in enumerate(scenes) if (len(scene.labels) >= 5) == crowded]
    hits = sum(int(matches(scenes[i], boxes[i]).sum()) for i in chosen)
    return hits / sum(len(scenes[i].labels) for i in chosen)


plots.table(
    {
        name: {
            "found, 1 to 4 digits": share_found(boxes, False),
            "found, 5 or 6 digits": share_found(boxes, True),
        }
        for name, boxes in found.items()
    }
)

# %% [markdown]
# Where digits touch, their ink is one patch, and the baseline takes it for one digit. *In the picture:* what the detector finds (blue, score at least 0.3) and what the patches give (gold).

# %%
def both(scene):
    place = next(i for i, other in enumerate(scenes) if other is scene)
    for name, colour in (("patches of ink + CNN", GOLD), ("detector", SKY)):
        each = found[name][place]
        sure = each.scores >= 0.3
        yield each.boxes[sure], map(str, each.labels[sure].tolist()), colour


show_scenes(
    both,
    "The five scenes again: blue boxes frame each digit, gold boxes whole groups that touch.",
)

# %% [markdown]
# **Try, and predict first:**
#
# 1. Move the score threshold up and down: which way does the point travel on the curve, and why?
# 2. Suppress never (IoU 1). Which falls, precision or recall?
# 3. Suppress at every touch (IoU 0), in a scene of six. What is lost now?
# 4. Six digits: make all frames as small as possible, then all as large as possible. Which is harder?

# %%
DetectorLab()

# %% [markdown]
# *In the picture:* left, the scene with what is found: digit and score; blue boxes are right, orange ones wrong. Right, precision against recall over 60 held-out scenes, and where the present threshold stands on it.
#
# <details><summary>What you should see</summary>
#
# 1. Lower: to the right and down. More digits are found, and more boxes are wrong.
# 2. Precision: the second and third box on one digit count as wrong.
# 3. Recall: neighbours that overlap suppress each other.
# 4. Large ones: six of them have no room, and hide each other. The next cell measures it.
#
# </details>

# %%
by_size = {}
for side in FRAMES:
    crowd = [make_scene(test, seed, count=6, frames=(side, side)) for seed in range(30)]
    by_size[side] = average_precision(crowd, detect(detector, stacked(crowd))).ap50
small, large = by_size.values()
claim("average precision of six small digits minus that of six large ones", small - large, low=0)

# %% [markdown]
# **Sources of 6.2.** Dosovitskiy et al. 2020, *An Image is Worth 16x16 Words*, [arXiv:2010.11929](https://arxiv.org/abs/2010.11929); Ho, Jain & Abbeel 2020, *Denoising Diffusion Probabilistic Models*, [arXiv:2006.11239](https://arxiv.org/abs/2006.11239); Song, Meng & Ermon 2021, *Denoising Diffusion Implicit Models*, [arXiv:2010.02502](https://arxiv.org/abs/2010.02502); Lin et al. 2017, *Focal Loss*, [arXiv:1708.02002](https://arxiv.org/abs/1708.02002); Zhou, Wang & Krähenbühl 2019, *Objects as Points*, [arXiv:1904.07850](https://arxiv.org/abs/1904.07850); Tian et al. 2019, *FCOS*, [arXiv:1904.01355](https://arxiv.org/abs/1904.01355); Lin et al. 2014, *Microsoft COCO*, [arXiv:1405.0312](https://arxiv.org/abs/1405.0312).
#
# **The code:** [data/scenes.py](../bigmodel_lib/data/scenes.py), [models/detector.py](../bigmodel_lib/models/detector.py), [models/boxes.py](../bigmodel_lib/models/boxes.py), [detection.py](../bigmodel_lib/detection.py), [models/vit.py](../bigmodel_lib/models/vit.py), [models/denoiser.py](../bigmodel_lib/models/denoiser.py), [cached/vision.py](../bigmodel_lib/cached/vision.py).
