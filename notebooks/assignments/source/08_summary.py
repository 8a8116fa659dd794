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
# # Assignment 8: summary · 第八章作业：总结
#
# Five tasks, 14 points, about 75 minutes. Read chapter 8 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch
import torch.nn.functional as F

from bigmodel_lib.exercises import chapter_8 as tasks
from bigmodel_lib.widgets import AdversarialLab

student = "your name or number"

# %% [markdown]
# ## 1. A point on an IsoFLOP curve (2 points)
#
# All models on the curve get the same training budget $C$. How many tokens does one with $N$ parameters see?

# %%
C, N = tasks.tokens.numbers(student)
print(f"C = {C:.3g} FLOPs, N = {N:.3g} parameters")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "tokens", "locked": false, "schema_version": 3, "solution": true, "task": false}
tokens = None
### BEGIN SOLUTION
tokens = C / (6 * N)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "tokens-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.tokens.check(tokens, student)
### BEGIN HIDDEN TESTS
tasks.tokens.grade(tokens, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The calibration error (2 points)
#
# Predictions were sorted by how sure the network was. What is the expected calibration error?

# %%
bins = tasks.calibration.numbers(student)
for count, confidence, accuracy in bins:
    print(f"{count} predictions, {confidence:.2f} sure on average, {accuracy:.2f} right")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "calibration", "locked": false, "schema_version": 3, "solution": true, "task": false}
error = None
### BEGIN SOLUTION
total = sum(count for count, _, _ in bins)
error = sum(count * abs(right - sure) for count, sure, right in bins) / total
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "calibration-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.calibration.check(error, student)
### BEGIN HIDDEN TESTS
tasks.calibration.grade(error, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Predict: many small pushes (2 points)
#
# A linear score $w \cdot x$ has random weights. An attack moves each pixel by $\varepsilon$ in the worst direction. The picture gets your $k$ times as many pixels, weights of the same kind. How does the change of the score grow?

# %%
(k,) = tasks.dimension.numbers(student)
print(f"k = {k}")
for letter, text in tasks.dimension.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "dimension", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "dimension-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.dimension.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.dimension.grade(prediction, student)
### END HIDDEN TESTS

# %%
few, many = (0.1 * torch.randn(pixels).abs().sum() for pixels in (1000, 1000 * k))
print(f"change of the score: {few:.1f}, then {many:.1f}: {many / few:.1f} times")

# %% [markdown]
# ## 4. The fast gradient sign method (4 points)
#
# Write `attack(model, x, labels, epsilon)`: the inputs `(B, k)`, each entry moved by `epsilon` so that the cross-entropy grows, as far as one gradient can tell, and kept within −1 to 1.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "attack", "locked": false, "schema_version": 3, "solution": true, "task": false}
def attack(model, x, labels, epsilon):
    ### BEGIN SOLUTION
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), labels)
    (gradient,) = torch.autograd.grad(loss, x)
    moved = x.detach() + epsilon * gradient.sign()
    return moved.clamp(-1, 1)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "attack-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.attack.check(attack, student)
### BEGIN HIDDEN TESTS
tasks.attack.grade(attack, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Explain: sure and wrong (4 points)
#
# Attack a digit of your choice in the lab, by *FGSM*, by *noise* of the same size, and on the *hardened* network. In six sentences at most: what did you find, and what does it say about a network that is "99 % sure"?

# %%
AdversarialLab(attack="FGSM")

# %% [markdown]
# | points | for |
# |---|---|
# | 1 | figures of your own: digit, ε, what both attacks do to the standard network |
# | 1 | noise of the same size does far less than the attack |
# | 1 | the hardened network holds out longer, and what was paid for that |
# | 1 | being sure is no evidence where inputs are not like those of training |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "sure", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# (With digit, ε and percentages read from the lab.) The attack made the standard network read another digit at a small ε, and be sure of it; noise of the same size hardly changed the answer, since its many small pushes cancel. The hardened network needed a larger ε before it gave way; it was trained on attacked pictures, which takes longer and costs some accuracy on clean ones. So "99 % sure" says how the scores compare, not how often such an answer is right: that was measured on inputs like those of training, and an attacked picture is none.
