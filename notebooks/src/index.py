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
# # Large models by experiment · 大模型实验教程
#
# Nine chapters that teach large models by running them. You change a setting, see what happens, and check every statement yourself. Two processor cores and 2 GB of memory are enough; nothing needs a download.

# %% [markdown]
# ## The chapters · 目录
#
# | | Chapter | 章 | |
# |---|---|---|---|
# | 1 | [Background](01_background.ipynb) | 背景介绍 | with the scaling lab |
# | 2 | [Core concepts and how they connect](02_concepts.ipynb) | 核心概念与联系 | with the model builder and the VAE lab |
# | 3 | [Core algorithms and the steps in practice](03_algorithms.ipynb) | 核心算法原理 & 具体操作步骤 | with the pipeline lab |
# | 4 | [Mathematical models and formulas, explained by example](04_mathematics.ipynb) | 数学模型和公式 & 详细讲解 & 举例说明 | with the attention explorer |
# | 5 | [Project: code and a close reading of it](05_project.ipynb) | 项目实践：代码实例和详细解释说明 | with the GAN lab |
# | 6 | [Applications](06_applications.ipynb) | 实际应用场景 | with labs for sampling, translation, denoising, detection and sound |
# | 7 | [Where it goes next](07_future.ipynb) | 未来应用展望 | with DrawDigit and the efficiency lab |
# | 8 | [Summary: trends and challenges](08_summary.ipynb) | 总结：未来发展趋势与挑战 | with the adversarial lab; train your own GPT |
# | 9 | [Appendix: questions and answers](09_questions.ipynb) | 附录：常见问题与解答 | with the resource calculator and the gallery |

# %% [markdown]
# ## How to use a chapter · 使用方法
#
# - **Run it** from top to bottom: menu *Run*, *Run All Cells*. <kbd>Shift</kbd>+<kbd>Enter</kbd> runs one cell.
# - **Turn the knobs.** Where a chapter shows a picture with sliders, the picture follows them while the kernel runs. Without a kernel you see the last picture.
# - **Predict first.** Where a chapter asks what will happen, answer before you run the cell.
# - **Trust the claims.** Each prints a statement with the value that this machine measured, and fails if the statement is false.
# - **Break things.** Nothing here can harm your machine; *Kernel*, *Restart Kernel* brings everything back.

# %% [markdown]
# ## Is everything there? · 环境检查
#
# The next cell lists versions, device and memory, and the data on this machine. It says what is missing, and how to get it.

# %% tags=["machine"]
from bigmodel_lib.__main__ import check_up

print(check_up())
