"""GPU-enabled implementations behind the nine chapter notebooks on large models.

Import what you need from the submodules; each chapter shows which:
`autodiff`, `device`, `models`, `data`, `training`, `claims`, `metrics`, `plots`, `widgets`.
"""

__version__ = "0.1.0"
