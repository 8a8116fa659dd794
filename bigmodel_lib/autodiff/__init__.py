"""Reverse-mode automatic differentiation from scratch: first of numbers, then of arrays.

For reading, and for networks small enough to look at; what trains the chapters' models is
PyTorch's, with which the tests compare every operation here.
"""

from bigmodel_lib.autodiff.arrays import Array
from bigmodel_lib.autodiff.formula import Formula, FormulaError
from bigmodel_lib.autodiff.graph import FUNCTIONS, Node, ordered
from bigmodel_lib.autodiff.scalars import Value

__all__ = ["FUNCTIONS", "Array", "Formula", "FormulaError", "Node", "Value", "ordered"]
