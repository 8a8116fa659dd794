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
# # Assignment 2: concepts · 第二章作业：核心概念与联系
#
# Six tasks, 18 points, about 90 minutes. Read chapter 2 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch

from bigmodel_lib.counting import count_parameters
from bigmodel_lib.exercises import chapter_2 as tasks
from bigmodel_lib.models.transformer import GPTConfig
from bigmodel_lib.widgets import ModelBuilder

student = "your name or number"

# %% [markdown]
# ## 1. Memory to train (2 points)
#
# A model with your number of parameters is trained with Adam, everything in float32. How many GB ($10^9$ bytes) do weights, gradients and Adam's memory take together, without activations?

# %%
(millions,) = tasks.memory.numbers(student)
print(f"{millions} million parameters")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "memory", "locked": false, "schema_version": 3, "solution": true, "task": false}
gigabytes = None
### BEGIN SOLUTION
gigabytes = millions * 1e6 * 4 * (1 + 1 + 2) / 1e9
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "memory-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.memory.check(gigabytes, student)
### BEGIN HIDDEN TESTS
tasks.memory.grade(gigabytes, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Predict: twice the width (2 points)
#
# One layer of a Transformer, attention and MLP, has width $D$. How do its parameters grow when $D$ is doubled?

# %%
(D,) = tasks.width.numbers(student)
print(f"from D = {D} to {2 * D}")
for letter, text in tasks.width.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "width", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "width-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.width.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.width.grade(prediction, student)
### END HIDDEN TESTS

# %%
one, two = (count_parameters(GPTConfig(V=1, T=1, L=1, D=k * D, H=1)) for k in (1, 2))
print(f"{(two.attention + two.mlp) / (one.attention + one.mlp):.2f} times")

# %% [markdown]
# ## 3. The parameters of a GPT (4 points)
#
# Write `count(L, D, V, T)`: the parameters of a GPT with $L$ layers of width $D$, vocabulary $V$, context $T$, as GPT-2 has them: learned positions, biases everywhere, an MLP $4D$ wide, two normalisations a layer and one at the end, the output tied to the embedding. No model may be built in it.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "count", "locked": false, "schema_version": 3, "solution": true, "task": false}
def count(L, D, V, T):
    ### BEGIN SOLUTION
    attention = 4 * D**2 + 4 * D
    mlp = 8 * D**2 + 5 * D
    norms = 2 * 2 * D
    return V * D + T * D + L * (attention + mlp + norms) + 2 * D
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "count-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.count.check(count, student)
### BEGIN HIDDEN TESTS
tasks.count.grade(count, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The deepest model within a budget (2 points)
#
# In the builder, set *width D* to yours and *heads H* to 8, which divides each width; vocabulary and context stay those of GPT-2, 50,257 and 1,024. What is the largest number of layers with fewer parameters than your budget?

# %%
D, budget = tasks.layers.numbers(student)
print(f"D = {D}, fewer than {budget} million parameters")
ModelBuilder(preset="GPT-2 small")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "layers", "locked": false, "schema_version": 3, "solution": true, "task": false}
L = None
### BEGIN SOLUTION
L = (budget * 10**6 - count(0, D, 50257, 1024)) // (count(1, D, 0, 0) - count(0, D, 0, 0))
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "layers-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.layers.check(L, student)
### BEGIN HIDDEN TESTS
tasks.layers.grade(L, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. An image as a sequence of patches (4 points)
#
# Write `patches(images, P)`: images `(B, C, H, W)` to patches `(B, N, C * P * P)`, $N = (H/P)(W/P)$. Patches in reading order: the top row from left to right, then the next. In each patch one channel after the other, each channel row by row.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "patches", "locked": false, "schema_version": 3, "solution": true, "task": false}
def patches(images, P):
    ### BEGIN SOLUTION
    B, C, H, W = images.shape
    squares = images.reshape(B, C, H // P, P, W // P, P)
    squares = squares.permute(0, 2, 4, 1, 3, 5)
    return torch.flatten(squares.reshape(B, -1, C, P, P), 2)
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "patches-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.patches.check(patches, student)
### BEGIN HIDDEN TESTS
tasks.patches.grade(patches, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. Explain: two families? (4 points)
#
# The article sorts models into networks (CNN, RNN, Transformer) and generative models (GAN, VAE). In six sentences at most: what is wrong with that, and by which two questions would you sort instead?
#
# | points | for |
# |---|---|
# | 1 | GANs and VAEs are made of networks themselves: the two lists are not exclusive |
# | 1 | one question: how the layers connect (architecture) |
# | 1 | the other: what is minimised (training objective) |
# | 1 | an example that crosses the lists, such as a GAN with convolutions |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "families", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# GANs and VAEs consist of networks, so the same model stands in both of the article's lists. There are two independent questions. The first is how the layers connect: convolutions, recurrence, attention. The second is what training minimises: a game between two networks, a bound on the likelihood, the error of the next token. Every combination is possible: a generator and a discriminator made of convolutions are a GAN and CNNs at once, and a Transformer that predicts the next token is a generative model, too.
