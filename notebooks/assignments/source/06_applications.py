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
# # Assignment 6: applications · 第六章作业：实际应用场景
#
# Six tasks, 18 points, about 90 minutes. Read chapter 6 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch

from bigmodel_lib.exercises import chapter_6 as tasks
from bigmodel_lib.widgets import SpectrogramLab

student = "your name or number"

# %% [markdown]
# ## 1. A word error rate (2 points)
#
# A speaker said one sequence of digits, the recogniser heard another. What is the word error rate, as a share? A digit is a word.

# %%
said, heard = tasks.word_errors.numbers(student)
print(f"said  {said}\nheard {heard}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "words", "locked": false, "schema_version": 3, "solution": true, "task": false}
rate = None
### BEGIN SOLUTION
lost, changed = len(said) - len(heard), 1
rate = (lost + changed) / len(said)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "words-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.word_errors.check(rate, student)
### BEGIN HIDDEN TESTS
tasks.word_errors.grade(rate, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. A window for the spectrogram (2 points)
#
# Sound with 8,000 samples a second shall be cut so that the frequencies of the spectrogram lie your number of hertz apart. Which *window* does that take? Try it: what happens to the short sounds?

# %%
(spacing,) = tasks.window.numbers(student)
print(f"{spacing} Hz apart")
SpectrogramLab()

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "window", "locked": false, "schema_version": 3, "solution": true, "task": false}
samples = None
### BEGIN SOLUTION
samples = 8000 / spacing
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "window-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.window.check(samples, student)
### BEGIN HIDDEN TESTS
tasks.window.grade(samples, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Predict: more noise (2 points)
#
# The signal-to-noise ratio falls by your $n$ decibels, and the signal stays as it is. What happens to the noise?

# %%
(n,) = tasks.louder.numbers(student)
print(f"n = {n}")
for letter, text in tasks.louder.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "louder", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "louder-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.louder.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.louder.grade(prediction, student)
### END HIDDEN TESTS

# %%
noise = torch.randn(8000)
factors = {"a": 10 ** (n / 10), "b": 10 ** (n / 20), "c": n, "d": 2 ** (n / 10)}
for letter, factor in factors.items():
    power = (factor * noise).square().mean() / noise.square().mean()
    print(f"{letter}: {10 * power.log10():.1f} dB more")

# %% [markdown]
# ## 4. Nucleus sampling (4 points)
#
# Write `nucleus(probabilities, p)`: the distribution `(V,)` of the next token to the one that top-p samples from: the smallest set of likeliest tokens that have at least $p$ together, shared out anew; 0 for all others, each at its old place.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "nucleus", "locked": false, "schema_version": 3, "solution": true, "task": false}
def nucleus(probabilities, p):
    ### BEGIN SOLUTION
    ranked, order = probabilities.sort(descending=True)
    before = ranked.cumsum(0) - ranked
    ranked = ranked * (before < p)
    kept = torch.zeros_like(probabilities)
    kept[order] = ranked
    return kept / kept.sum()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "nucleus-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.nucleus.check(nucleus, student)
### BEGIN HIDDEN TESTS
tasks.nucleus.grade(nucleus, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Intersection over union (4 points)
#
# Write `iou(a, b)`: boxes `(n, 4)`, each $(x_1, y_1, x_2, y_2)$ with $x_1 < x_2$ and $y_1 < y_2$, to the intersection over union `(n,)` of each box in `a` with the one in the same row of `b`.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "iou", "locked": false, "schema_version": 3, "solution": true, "task": false}
def iou(a, b):
    ### BEGIN SOLUTION
    low = torch.maximum(a[:, :2], b[:, :2])
    high = torch.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(dim=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(dim=1) for box in (a, b)]
    return both / (areas[0] + areas[1] - both)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "iou-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.overlap.check(iou, student)
### BEGIN HIDDEN TESTS
tasks.overlap.grade(iou, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Explain: a model against gzip (4 points)
#
# Chapter 6 compares a language model with `gzip` and `xz`, in bits per character. In five sentences at most: why can the two be compared, and what has to be watched to make it fair?
#
# | points | for |
# |---|---|
# | 1 | a model that predicts is a compressor: $-\log_2 p$ bits for each character |
# | 1 | the same held-out text for both, with repeats removed before the split |
# | 1 | what each one may have seen before: the training text |
# | 1 | what is not counted: the size of the model, or the time |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "gzip", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# Who predicts can compress: a character to which the model gives probability p can be written with −log₂ p bits, so the mean of that is bits per character, which a file's size gives for gzip. Both must be measured on the same held-out text, and repeats must be dropped before the split, or the test text was seen. The compressor has to see the training text first, too, as the model did. Even so the model's own size and its time are not counted, and both are much larger.
