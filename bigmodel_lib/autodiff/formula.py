"""A formula as text, turned into a graph of Values: read by Python's parser, never executed."""

import ast
import math
import operator
from collections.abc import Mapping

import numpy as np

from bigmodel_lib.autodiff.graph import FUNCTIONS
from bigmodel_lib.autodiff.scalars import Value
from bigmodel_lib.language import _

LONGEST = 200  # characters: Python's parser recurses, so nesting must have an end
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class FormulaError(ValueError):
    """A text that is no formula, with the reason in a reader's words."""


class Formula:
    """A formula such as "u = w*x + b; (tanh(u) - t)**2": assignments, then the result.

    It may hold numbers, names, + - * / **, brackets, and the functions of `FUNCTIONS`. A name
    that is not assigned is an input. A result that has a name is one node, however often used.

    Args:
        text: Python's notation; statements are parted by ";" or lines.

    Attributes:
        inputs: names, in the order in which they first stand in the text.

    Raises:
        FormulaError: anything else; nothing of the text is executed.
    """

    def __init__(self, text: str):
        if len(text) > LONGEST:
            reason = _("need at most {most} characters, got {count}")
            raise FormulaError(reason.format(most=LONGEST, count=len(text)))
        try:
            self._statements = ast.parse(text.strip()).body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            reason = _("this is no formula: {error}")
            raise FormulaError(reason.format(error=getattr(error, "msg", error))) from error
        self.inputs: tuple[str, ...] = ()
        with np.errstate(all="ignore"):  # 1/(a − 1) is a formula, though not at a = 1
            self({})  # finds the inputs, and refuses what is no formula

    def __call__(self, inputs: Mapping[str, float]) -> Value:
        """Compute the formula.

        Args:
            inputs: numbers by name; 1 for those that are left out.

        Returns:
            The result. Inputs carry their names, and so do results that were assigned. Not
            finite, with NumPy's warning, where there is no value.
        """
        known: dict[str, Value] = {}
        self._given, self._assigned, result = inputs, set(), None
        for statement in self._statements:
            result = self._statement(statement, known)
        if result is None or not result.parents:
            raise FormulaError(_("need at least one operation, such as a*b"))
        if not self.inputs:
            raise FormulaError(_("need at least one name, such as x: it becomes an input"))
        return result

    def _statement(self, statement: ast.stmt, known: dict[str, Value]) -> Value:
        match statement:
            case ast.Expr(value=value):
                return self._value(value, known)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                result = self._value(value, known)
                if name in known or name in FUNCTIONS:
                    raise FormulaError(_("{name} has a meaning already").format(name=name))
                result.name = result.name or name
                known[name] = result
                return result
        raise FormulaError(
            _("need a formula or name = formula, got {got}").format(got=_as_text(statement))
        )

    def _value(self, node: ast.expr, known: dict[str, Value]) -> Value:
        match node:
            case ast.Constant():
                return Value(_number(node))
            case ast.Name(id=name):
                return self._named(name, known)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
                return Value(-_number(node.operand))
            case ast.UnaryOp(op=ast.USub(), operand=a):
                return -self._value(a, known)
            case ast.BinOp(left=a, op=ast.Pow(), right=n):
                return self._value(a, known) ** _exponent(n)
            case ast.BinOp(left=a, op=op, right=b) if type(op) in OPERATORS:
                return OPERATORS[type(op)](self._value(a, known), self._value(b, known))
            case ast.Call(func=ast.Name(id=name), args=[a], keywords=[]) if name in FUNCTIONS:
                return self._value(a, known).apply(name)
        raise FormulaError(_refusal(node))

    def _named(self, name: str, known: dict[str, Value]) -> Value:
        if name in FUNCTIONS:
            raise FormulaError(_("{name} is a function: write {name}(…)").format(name=name))
        if name not in known:
            known[name] = Value(self._given.get(name, 1.0), name=name)
            if name not in self.inputs:
                self.inputs = (*self.inputs, name)
        return known[name]


def _number(node: ast.Constant) -> float:
    value = node.value
    if type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise FormulaError(_("need a number, got {got}").format(got=_as_text(node)))


def _exponent(node: ast.expr) -> float:
    match node:
        case ast.Constant():
            return _number(node)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return -_number(node.operand)
    reason = _("need a number as exponent, got {got}; x**y is exp(y*log(x))")
    raise FormulaError(reason.format(got=_as_text(node)))


def _refusal(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor):
        return _("write powers with **, not with ^")
    if isinstance(node, ast.Call):
        known = ", ".join(FUNCTIONS)
        reason = _("unknown: {got}; there are {known}, each of one number")
        return reason.format(got=_as_text(node), known=known)
    return _("only + − * / ** and functions may be used, got {got}").format(got=_as_text(node))


def _as_text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 30 else f"{text[:29]}…"
