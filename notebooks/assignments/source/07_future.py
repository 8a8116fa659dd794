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
# # Assignment 7: what comes next · 第七章作业：未来应用展望
#
# Six tasks, 18 points, about 90 minutes. Read chapter 7 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch

from bigmodel_lib.exercises import chapter_7 as tasks

student = "your name or number"

# %% [markdown]
# ## 1. What LoRA trains (2 points)
#
# In each of $L$ layers of width $D$, the $D \times D$ matrices of queries and of values are frozen, and get an addition $BA$ of rank $r$, which is trained. How many parameters are trained?

# %%
D, L, r = tasks.lora.numbers(student)
print(f"D = {D}, L = {L}, r = {r}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "lora", "locked": false, "schema_version": 3, "solution": true, "task": false}
trained = None
### BEGIN SOLUTION
trained = L * 2 * (D * r + r * D)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "lora-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.lora.check(trained, student)
### BEGIN HIDDEN TESTS
tasks.lora.grade(trained, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Predict: LoRA before the first step (2 points)
#
# $A$ starts at random, $B$ at 0, as Hu et al. (2021) have it. What does the model answer before the first step of training?

# %%
(r,) = tasks.start.numbers(student)
print(f"r = {r}")
for letter, text in tasks.start.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "start", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "a"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "start-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.start.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.start.grade(prediction, student)
### END HIDDEN TESTS

# %%
W, A, B = torch.randn(8, 8), torch.randn(r, 8), torch.zeros(8, r)
x = torch.randn(5, 8)
print("largest change of the output:", (x @ (W + B @ A).T - x @ W.T).abs().max().item())

# %% [markdown]
# ## 3. The cache of keys and values (2 points)
#
# A GPT with $L$ layers of width $D$ writes $B$ texts at once, each $T$ tokens long so far. How many GB ($10^9$ bytes) does its cache take in 16 bits?

# %%
L, D, T, B = tasks.cache.numbers(student)
print(f"L = {L}, D = {D}, T = {T}, B = {B}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "cache", "locked": false, "schema_version": 3, "solution": true, "task": false}
gigabytes = None
### BEGIN SOLUTION
numbers = 2 * L * D * T * B
gigabytes = numbers * 2 / 1e9
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "cache-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.cache.check(gigabytes, student)
### BEGIN HIDDEN TESTS
tasks.cache.grade(gigabytes, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Eight bits (4 points)
#
# Write `eight_bits(w)`: a matrix `(rows, k)` to what is left of it after 8 bits. A row's step is its largest absolute value / 127; each entry becomes the nearest whole multiple of it, as a float again.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "eight-bits", "locked": false, "schema_version": 3, "solution": true, "task": false}
def eight_bits(w):
    ### BEGIN SOLUTION
    step = w.abs().amax(dim=1, keepdim=True) / 127
    return (w / step).round() * step
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "eight-bits-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.eight_bits.check(eight_bits, student)
### BEGIN HIDDEN TESTS
tasks.eight_bits.grade(eight_bits, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. The loss of distillation (4 points)
#
# Write `distil(student_scores, teacher_scores, T)`: scores `(n, C)` and a temperature to $T^2\,\mathrm{KL}(p \,\|\, q)$, averaged over the rows; $p$ are the teacher's probabilities and $q$ the student's, both from scores divided by $T$.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "distil", "locked": false, "schema_version": 3, "solution": true, "task": false}
def distil(student_scores, teacher_scores, T):
    ### BEGIN SOLUTION
    p = (teacher_scores / T).softmax(dim=1)
    log_q = (student_scores / T).log_softmax(dim=1)
    divergence = (p * (p.log() - log_q)).sum(dim=1)
    return T**2 * divergence.mean()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "distil-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.distillation.check(distil, student)
### BEGIN HIDDEN TESTS
tasks.distillation.grade(distil, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Explain: may one trust a saliency map? (4 points)
#
# A map shows which pixels a network looked at, and it looks plausible. In five sentences at most: why is that no proof, and which test would you run?
#
# | points | for |
# |---|---|
# | 1 | plausible to a reader is not the same as faithful to the network |
# | 1 | some maps stay nearly the same for a network with random weights: edges of the image |
# | 1 | a test: compare with the map under randomised weights, or change what the map names |
# | 1 | what the result of the test would have to be, to trust the map |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "saliency", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# A map is plausible when it shows what a reader would look at, and faithful when it shows what the network used; the two can differ. A method that mostly finds the edges of the image gives nearly the same map for an untrained network, so its map says little about what was learned. I would compute the map again with randomised weights: it has to change a great deal. And I would cover the pixels that it names: the score has to fall much further than with as many pixels chosen at random.
