"""Train your own GPT from raw text: `python -m bigmodel_lib.train_gpt --help`."""

from bigmodel_lib.train_gpt.plan import PLANS, Plan
from bigmodel_lib.train_gpt.project import Project, ProjectError

__all__ = ["PLANS", "Plan", "Project", "ProjectError"]
