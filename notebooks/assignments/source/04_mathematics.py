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
# # Assignment 4: mathematics · 第四章作业：数学模型和公式
#
# Seven tasks, 19 points, about 90 minutes. Read chapter 4 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import math

import torch

from bigmodel_lib.exercises import chapter_4 as tasks
from bigmodel_lib.widgets import GAN1D, AttentionExplorer

student = "your name or number"

# %% [markdown]
# ## 1. The size of a score (2 points)
#
# Query and key have $d$ entries each, all independent, with mean 0 and standard deviation $s$. What is the standard deviation of the score $q \cdot k$, before any scaling?

# %%
d, s = tasks.score_size.numbers(student)
print(f"d = {d}, s = {s}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "score-size", "locked": false, "schema_version": 3, "solution": true, "task": false}
size = None
### BEGIN SOLUTION
size = math.sqrt(d) * s**2
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "score-size-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.score_size.check(size, student)
### BEGIN HIDDEN TESTS
tasks.score_size.grade(size, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The weights of attention (3 points)
#
# Write `weights(q, k)`: queries `(B, H, T, d)` and keys `(B, H, S, d)` to weights `(B, H, T, S)`, by the formula that is right, not by the one that the article prints. No mask.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "weights", "locked": false, "schema_version": 3, "solution": true, "task": false}
def weights(q, k):
    ### BEGIN SOLUTION
    d = q.shape[-1]
    scores = q @ k.transpose(-2, -1) / math.sqrt(d)
    return scores.softmax(dim=-1)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "weights-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
tasks.weights.check(weights, student)
### BEGIN HIDDEN TESTS
tasks.weights.grade(weights, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A temperature in the explorer (2 points)
#
# The explorer opens with one head of your width $d$ and the *article*'s rule. Read the entropy; then *scale scores by* 1/√d, and move the *temperature* until the entropy is the same. At which temperature is that? (10 % off is near enough.)

# %%
(d,) = tasks.temperature.numbers(student)
print(f"d = {d}")
AttentionExplorer(D=64, H=1, d=d, rule="article")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "temperature", "locked": false, "schema_version": 3, "solution": true, "task": false}
found = None
### BEGIN SOLUTION
found = math.sqrt(d)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "temperature-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.temperature.check(found, student)
### BEGIN HIDDEN TESTS
tasks.temperature.grade(found, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The best discriminator (2 points)
#
# Real numbers follow the normal distribution with mean 0 and standard deviation 1, generated ones that with your *mean* and *std*. What does the best discriminator say at $x$? Compute it by hand or in a cell; `GAN1D` shows such curves.

# %%
x, mean, std = tasks.best_discriminator.numbers(student)
print(f"x = {x}, mean = {mean}, std = {std}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "best", "locked": false, "schema_version": 3, "solution": true, "task": false}
best = None
### BEGIN SOLUTION
p = math.exp(-(x**2) / 2)
q = math.exp(-(((x - mean) / std) ** 2) / 2) / std
best = p / (p + q)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "best-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.best_discriminator.check(best, student)
### BEGIN HIDDEN TESTS
tasks.best_discriminator.grade(best, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Predict: the article's signs (2 points)
#
# The article prints $V = \mathbb{E}_x[-\log D(x)] + \mathbb{E}_z[-\log D(G(z))]$, and lets $D$ maximise it. At a place with densities $p$ (real) and $q$ (generated), where does $D$ go?

# %%
p, q = tasks.signs.numbers(student)
print(f"p = {p}, q = {q}")
for letter, text in tasks.signs.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "signs", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "a"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "signs-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.signs.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.signs.grade(prediction, student)
### END HIDDEN TESTS

# %% [markdown]
# Now see it: this lab opens with the article's signs. Press *Play*.

# %%
GAN1D(objective="the article's signs")

# %% [markdown]
# ## 6. Adam from its formula (4 points)
#
# Write `adam(gradients, eta)`: gradients `(n, k)` of $n$ steps, as if they were known beforehand, to the sum `(k,)` of what Adam subtracts from the $k$ parameters, with $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\varepsilon = 10^{-8}$.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "adam", "locked": false, "schema_version": 3, "solution": true, "task": false}
def adam(gradients, eta):
    ### BEGIN SOLUTION
    m = r = torch.zeros_like(gradients[0])
    total = torch.zeros_like(gradients[0])
    for n, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        r = 0.999 * r + 0.001 * g**2
        m_hat = m / (1 - 0.9**n)
        r_hat = r / (1 - 0.999**n)
        total = total + eta * m_hat / (r_hat.sqrt() + 1e-8)
    return total
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "adam-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.adam_steps.check(adam, student)
### BEGIN HIDDEN TESTS
tasks.adam_steps.grade(adam, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. Explain: why the root? (4 points)
#
# In five sentences at most: why are scores divided by $\sqrt d$, what would go wrong without, and what goes wrong with $d$ instead?
#
# | points | for |
# |---|---|
# | 1 | the variance of a score grows as $d$, its standard deviation as $\sqrt d$ |
# | 1 | without scaling: weights saturate, and the gradient of softmax vanishes |
# | 1 | with $d$: scores shrink as $1/\sqrt d$, weights become uniform, whatever the match |
# | 1 | a measurement of your own (the explorer's entropy or gradient) that shows one of these |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "why-root", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# A score is a sum of d independent products, so its variance grows as d and its standard deviation as √d. Unscaled, the largest score takes nearly all weight: softmax saturates, and its gradient vanishes. Divided by d, scores shrink as 1/√d, so all weights tend to 1/S and attention averages blindly. In the explorer, with d = 64, the article's rule gave almost the highest possible entropy, and no scaling a much lower one.
