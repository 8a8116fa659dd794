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
# # Assignment 5: project · 第五章作业：项目实践
#
# Six tasks, 18 points, about 90 minutes. Read chapter 5 first. Each check answers at once, with a hint; some of its tests run only where the work is graded. **Predictions** are noted, not judged, until then.
#
# Your numbers are drawn from your name: write it into the next cell, run it, and do not change it later.

# %%
import torch
import torch.nn.functional as F

from bigmodel_lib.exercises import chapter_5 as tasks
from bigmodel_lib.models.gan import MLPGenerator
from bigmodel_lib.widgets import GANLab

student = "your name or number"

# %% [markdown]
# ## 1. Parameters of the generator (2 points)
#
# The article's generator has two dense layers: noise width $Z$ to $h$, then to 784 pixels. How many parameters has it, with your $Z$ and $h$? Work it out before you build it.

# %%
Z, h = tasks.parameters.numbers(student)
print(f"Z = {Z}, h = {h}")

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "parameters", "locked": false, "schema_version": 3, "solution": true, "task": false}
count = None
### BEGIN SOLUTION
count = sum(w.numel() for w in MLPGenerator(Z, (h,)).parameters())
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "parameters-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.parameters.check(count, student)
### BEGIN HIDDEN TESTS
tasks.parameters.grade(count, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. The discriminator's loss (4 points)
#
# Write `d_loss(D, G, real, z)` for networks `D` (data to scores, without sigmoid) and `G` (noise to data): the mean of $-\log\sigma(D(x))$ over real data plus the mean of $-\log(1 - \sigma(D(G(z))))$ over generated data. After `backward()`, no weight of `G` may hold a gradient. (Section 5.2 writes both with `F.softplus`, which is stable.)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "d-loss", "locked": false, "schema_version": 3, "solution": true, "task": false}
def d_loss(D, G, real, z):
    ### BEGIN SOLUTION
    fake = G(z).detach()
    return F.softplus(-D(real)).mean() + F.softplus(D(fake)).mean()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "d-loss-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.discriminator_loss.check(d_loss, student)
### BEGIN HIDDEN TESTS
tasks.discriminator_loss.grade(d_loss, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The generator's steps (4 points)
#
# Write `train(G, D, optimizer, noises)`: for each noise in the list, one step of the optimiser, which owns the weights of `G`, on the non-saturating loss $-\log\sigma(D(G(z)))$, averaged. Each step must use its own gradient alone.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "train", "locked": false, "schema_version": 3, "solution": true, "task": false}
def train(G, D, optimizer, noises):
    ### BEGIN SOLUTION
    for z in noises:
        optimizer.zero_grad()
        loss = F.softplus(-D(G(z))).mean()
        loss.backward()
        optimizer.step()
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "train-check", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
tasks.generator_steps.check(train, student)
### BEGIN HIDDEN TESTS
tasks.generator_steps.grade(train, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A batch size for the lab (2 points)
#
# The lab opens with your number of *D steps per G step*. Which *batch size* makes the discriminator look at your number of images, real and generated together, for each step of the generator? Try it: *Step* once, and see how the losses settle with a small and a large batch.

# %%
n, wanted = tasks.batch.numbers(student)
print(f"D steps per G step: {n}, images for each step of G: {wanted}")
GANLab(architecture="article", d_steps=n)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "batch", "locked": false, "schema_version": 3, "solution": true, "task": false}
batch = None
### BEGIN SOLUTION
batch = wanted / n / 2
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "batch-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.batch.check(batch, student)
### BEGIN HIDDEN TESTS
tasks.batch.grade(batch, student)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Predict: which loss pushes harder? (2 points)
#
# Early in training, $D$ is sure that an image is fake: its score $s$ is far below 0. Compare the slopes, with respect to $s$, of the saturating loss $\log(1 - \sigma(s))$ and of the non-saturating $-\log\sigma(s)$.

# %%
(s,) = tasks.pushes.numbers(student)
print(f"s = {s}")
for letter, text in tasks.pushes.options.items():
    print(letter, text)

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "pushes", "locked": false, "schema_version": 3, "solution": true, "task": false}
prediction = None
### BEGIN SOLUTION
prediction = "b"
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "pushes-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
tasks.pushes.check(prediction, student)
### BEGIN HIDDEN TESTS
tasks.pushes.grade(prediction, student)
### END HIDDEN TESTS

# %%
score = torch.tensor(s, requires_grad=True)
losses = {"saturating": -F.softplus(score), "non-saturating": F.softplus(-score)}
for name, loss in losses.items():
    (slope,) = torch.autograd.grad(loss, score)
    print(f"{name}: slope {slope.item():.3g}")

# %% [markdown]
# ## 6. Explain: who owns which gradient? (4 points)
#
# The article stacks generator and discriminator and trains the stack. In six sentences at most: what goes wrong when the discriminator is not frozen there, and what does `detach` do in the other half of the step?
#
# | points | for |
# |---|---|
# | 1 | in the stack, the generator's loss also reaches the discriminator's weights |
# | 1 | it would teach the discriminator to call generated images real |
# | 1 | the gradient must still pass *through* the discriminator to the generator |
# | 1 | `detach` keeps the discriminator's loss from teaching the generator, and saves work |

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "gradients", "locked": false, "points": 4, "schema_version": 3, "solution": true, "task": false}
# The stack is trained to have generated images called real. If all its weights may move, the discriminator learns that too, the easy way: it calls everything real, and is no judge any more. So its weights are frozen, while the gradient still passes through it, since that is all that tells the generator which way to move its pixels. In the discriminator's own half, detach cuts the graph at the images: the generator gets no gradient from a loss that wants its images to be called fake, and the backward pass through it is saved.
