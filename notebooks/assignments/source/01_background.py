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
# # Assignment 1: background · 第一章作业：背景介绍
#
# Five tasks, 14 points, about 60 minutes. Read chapter 1 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import math

from bigmodel_lib.exercises import chapter_1 as tasks
from bigmodel_lib.scaling import HOFFMANN
from bigmodel_lib.widgets import ScalingLab

student = "your name or number"

# %% [markdown]
# ## 1. A doubling time (2 points)
#
# Two models, two years. If sizes grew by the same factor every year, in how many years did they double?

# %%
y1, n1, y2, n2 = tasks.doubling.numbers(student)
print(f"{y1}: {n1:.3g} parameters; {y2}: {n2:.3g} parameters")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "doubling", "locked": false, "schema_version": 3, "solution": true, "task": false}
years = None
### BEGIN SOLUTION
years = (y2 - y1) / math.log2(n2 / n1)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "doubling-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.doubling.check(years, student)
### BEGIN HIDDEN TESTS
tasks.doubling.grade(years, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The power of a power law (4 points)
#
# Errors that follow $a N^{-b}$ were measured at several sizes, each with an unknown factor near 1. Write `power(N, error)`: two tensors `(n,)` to the $b$ that fits best: the line of least squares through the logarithms.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "power", "locked": false, "schema_version": 3, "solution": true, "task": false}
def power(N, error):
    ### BEGIN SOLUTION
    x = N.log() - N.log().mean()
    y = error.log() - error.log().mean()
    return -(x * y).sum() / (x * x).sum()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "power-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.power.check(power, student)
### BEGIN HIDDEN TESTS
tasks.power.grade(power, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Predict: a hundred times the compute (2 points)
#
# You have a training budget of $C$ FLOPs, and spend it as well as possible, by the law of Hoffmann et al. (2022). Now you get 100 times as much. How does the best model change?

# %%
(C,) = tasks.hundred.numbers(student)
print(f"C = {C:.0e} FLOPs")
for letter, text in tasks.hundred.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "hundred", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "hundred-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.hundred.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.hundred.grade(prediction, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The best size for a budget (2 points)
#
# Set *training compute* to your budget, and the law to *Hoffmann 2022, approach 3*. How many parameters should the model have? (10 % off is near enough. Then look what became of your prediction.)

# %%
(C,) = tasks.size.numbers(student)
print(f"C = {C:.0e} FLOPs")
ScalingLab(view="laws")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "size", "locked": false, "schema_version": 3, "solution": true, "task": false}
N = None
### BEGIN SOLUTION
N, tokens = HOFFMANN.frontier.optimum(C)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "size-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.size.check(N, student)
### BEGIN HIDDEN TESTS
tasks.size.grade(N, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Explain: large, in the 1980s? (4 points)
#
# The article says that large models date from the 1980s. In five sentences at most: is that so, and what would you need to know to answer?
#
# | points | for |
# |---|---|
# | 1 | what "large" is to mean: a number, or a place beside the models of the time |
# | 1 | the largest networks of the 1980s in parameters, with a source |
# | 1 | how far that is from the article's own definition (section 2.1) |
# | 1 | what did begin then, such as training by backpropagation |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "eighties", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# It depends on what large means; the article itself says billions of parameters. The largest networks of the 1980s in the table of chapter 1 had at most some hundred thousand (each row names its paper), ten thousand times fewer. So no model of the 1980s was large by the article's own definition. What did begin then is the method: networks with hidden layers, trained by backpropagation, which today's models still use.
