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
# # Assignment 3: algorithms · 第三章作业：核心算法与步骤
#
# Six tasks, 18 points, about 90 minutes. Read chapter 3 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch
import torch.nn.functional as F

from bigmodel_lib.exercises import chapter_3 as tasks
from bigmodel_lib.widgets import BackpropStepper

student = "your name or number"

# %% [markdown]
# ## 1. Recall from a confusion matrix (2 points)
#
# A test for an illness was tried on people of whom one knows who is ill. Which share of the ill does it find?

# %%
tp, fp, fn, tn = tasks.recall.numbers(student)
print(f"ill: {tp} found, {fn} missed; healthy: {fp} called ill, {tn} called healthy")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "recall", "locked": false, "schema_version": 3, "solution": true, "task": false}
recall = None
### BEGIN SOLUTION
recall = tp / (tp + fn)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "recall-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.recall.check(recall, student)
### BEGIN HIDDEN TESTS
tasks.recall.grade(recall, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Standardise without a leak (3 points)
#
# Write `standardise(train, test)`: tables (rows, columns) to the pair of both tables, each column with mean 0 and standard deviation 1 *as far as that can be known before the test rows are seen*. The deviation is the one of the given rows (`correction=0`).

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "standardise", "locked": false, "schema_version": 3, "solution": true, "task": false}
def standardise(train, test):
    ### BEGIN SOLUTION
    mean = train.mean(dim=0)
    std = train.std(dim=0, correction=0)
    return (train - mean) / std, (test - mean) / std
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "standardise-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false}
tasks.standardise.check(standardise, student)
### BEGIN HIDDEN TESTS
tasks.standardise.grade(standardise, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. A gradient in the stepper (2 points)
#
# Walk through the neuron $(\tanh(w x + b) - t)^2$ with your values: forward, then backward. Which gradient arrives at $w$? (Set the four sliders; work it out, or read it.)

# %%
w, x, b, t = tasks.stepper.numbers(student)
print(f"w = {w}, x = {x}, b = {b}, t = {t}")
BackpropStepper()

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "stepper", "locked": false, "schema_version": 3, "solution": true, "task": false}
slope = None
### BEGIN SOLUTION
y = torch.tensor(w * x + b).tanh().item()
slope = 2 * (y - t) * (1 - y**2) * x
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "stepper-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.stepper.check(slope, student)
### BEGIN HIDDEN TESTS
tasks.stepper.grade(slope, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A gradient by hand (4 points)
#
# Scores are $s = W x$, the loss is the cross-entropy of $\operatorname{softmax}(s)$ with the true class, averaged over the rows. Write `gradient(W, X, t)`: weights `(C, k)`, rows `(n, k)`, classes `(n,)` to the loss's gradient with respect to $W$, `(C, k)`, by formula: without autograd.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "gradient", "locked": false, "schema_version": 3, "solution": true, "task": false}
def gradient(W, X, t):
    ### BEGIN SOLUTION
    p = (X @ W.T).softmax(dim=1)
    error = p - F.one_hot(t, len(W))
    return error.T @ X / len(X)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "gradient-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.gradient.check(gradient, student)
### BEGIN HIDDEN TESTS
tasks.gradient.grade(gradient, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Predict: the best of many guessers (2 points)
#
# Your $k$ models know nothing: each guesses, for $n$ validation rows of two classes, by a coin. You keep the one with the best accuracy *on these rows*. What is that accuracy, on average?

# %%
k, n = tasks.luck.numbers(student)
print(f"k = {k}, n = {n}")
for letter, text in tasks.luck.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "luck", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "luck-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.luck.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.luck.grade(prediction, student)
### END HIDDEN TESTS

# %%
guesses = torch.randint(2, (1000, k, n), dtype=torch.float32)  # right or wrong, 1,000 times
best = guesses.mean(dim=2).amax(dim=1)
print(f"the best of {k}: {best.mean():.3f} on average, up to {best.max():.3f}")

# %% [markdown]
# ## 6. Explain: efficient or hungry? (5 points)
#
# The article calls large models *computationally efficient* and, some lines on, *hungry for compute*. In six sentences at most: what would each have to mean to be true, and how did chapter 3 measure it?
#
# | points | for |
# |---|---|
# | 1 | "efficient" and "hungry" need a unit: a sample, a task, a unit of accuracy |
# | 1 | a reading under which "hungry" holds, with a measured figure from the chapter |
# | 1 | a reading under which "efficient" holds, or the reason why none was found |
# | 2 | a fair comparison: the same task, the same data, the best small model beside it |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "efficient", "locked": false, "points": 5, "schema_version": 3, "solution": true, "task": false}
# Both words need a unit. A sample costs the larger network more floating-point operations, time and memory, in training and in use: by that measure it is hungry, as the table in section 3.3 shows. Per unit of accuracy it depends on where one stands: where a small model stops improving, the larger one is the only way to the last points, and reuse spreads its cost over several tasks. A fair comparison takes the same rows, tunes both, and puts the simple model beside: on the digits it was nearly as accurate for a small part of the cost.
