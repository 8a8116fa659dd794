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
# # Assignment 9: questions · 第九章作业：常见问题
#
# Five tasks, 14 points, about 75 minutes. Read chapter 9 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch.nn.functional as F

from bigmodel_lib.costs import Training
from bigmodel_lib.exercises import chapter_9 as tasks
from bigmodel_lib.widgets import ResourceCalculator

student = "your name or number"

# %% [markdown]
# ## 1. Days of training (2 points)
#
# Set your model, text, number of A100s and utilisation in the calculator. For how many days does it train?

# %%
N, D, n, utilisation = tasks.days.numbers(student)
print(f"N = {N:.3g}, D = {D:.3g}, n = {n}, utilisation {utilisation}")
ResourceCalculator(device="A100")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "days", "locked": false, "schema_version": 3, "solution": true, "task": false}
days = None
### BEGIN SOLUTION
days = Training(N, D, "A100", n, utilisation, watts=400).days
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "days-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.days.check(days, student)
### BEGIN HIDDEN TESTS
tasks.days.grade(days, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Predict: what checkpointing costs (2 points)
#
# With activation checkpointing, no layer stores what its gradient needs: it is computed again on the way back. The way back alone is twice the work of the way forward. How much work is a step now?

# %%
(layers,) = tasks.recomputing.numbers(student)
print(f"{layers} layers")
for letter, text in tasks.recomputing.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "recomputing", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "recomputing-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.recomputing.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.recomputing.grade(prediction, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. What a ring sends (2 points)
#
# Your $n$ machines train one model; after each step they average their gradients (float32) by a ring: in $n - 1$ moves each passes a piece of $1/n$ on, until every sum is somewhere, and in $n - 1$ more until every sum is everywhere. How many GB ($10^9$ bytes) does each machine send?

# %%
n, millions = tasks.traffic.numbers(student)
print(f"{n} machines, {millions} million parameters")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "traffic", "locked": false, "schema_version": 3, "solution": true, "task": false}
gigabytes = None
### BEGIN SOLUTION
moves, piece = 2 * (n - 1), millions * 1e6 * 4 / n
gigabytes = moves * piece / 1e9
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "traffic-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.traffic.check(gigabytes, student)
### BEGIN HIDDEN TESTS
tasks.traffic.grade(gigabytes, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Gradient accumulation (4 points)
#
# Write `accumulate(model, x, y, parts)`: leave in the weights the gradient of the mean squared error over *all* rows, although only one of `parts` pieces, cut by `tensor_split`, fits into memory at a time. Eleven rows in three pieces are 4, 4 and 3.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "accumulate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def accumulate(model, x, y, parts):
    ### BEGIN SOLUTION
    model.zero_grad()
    for a, b in zip(x.tensor_split(parts), y.tensor_split(parts), strict=True):
        loss = F.mse_loss(model(a), b)
        (loss * len(a) / len(x)).backward()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "accumulate-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.accumulation.check(accumulate, student)
### BEGIN HIDDEN TESTS
tasks.accumulation.grade(accumulate, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Explain: large models and deep learning (4 points)
#
# In five sentences at most: is every large model deep learning, is all deep learning large, and what, apart from the size, changed between a network of 1989 and one of today?
#
# | points | for |
# |---|---|
# | 1 | deep learning also has small models, with an example from the chapters |
# | 1 | today's large models are deep networks, trained by the same method |
# | 1 | one thing apart from size that changed: architecture, data, objective or hardware |
# | 1 | a reason or a measurement for it, not the name alone |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "relation", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# Today's large models are deep networks trained by gradient descent through backpropagation, so they are one part of deep learning. The other part is small: the digit recognisers of these chapters have far fewer than a hundred thousand parameters and are deep learning as well. Apart from size, the architecture changed: attention lets every position reach every other in one step, and the gradient between distant places no longer has to pass through all in between, as chapter 2 measured. The objective changed, too: predicting the next token needs no labels, so all text is training data.
