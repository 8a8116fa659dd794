"""Statements that a notebook makes, each measured by the cell that makes it."""

import math


class ClaimError(AssertionError):
    """A statement that its own measurement contradicts."""


def claim(
    statement: str, value: float, low: float | None = None, high: float | None = None
) -> None:
    """Print a statement with its measured value; raise if the value is out of its range.

    Args:
        statement: what is claimed, in words, with the unit of the value.
        value: the measurement: a number, or a tensor or array of one element.
        low, high: the range, both ends included, in which the statement is true.

    Raises:
        ClaimError: the value is outside of the range, or is not a number (NaN).
        ValueError: no bound was given, or low > high.
    """
    if low is None and high is None:
        raise ValueError(f"need low, high or both, or nothing is claimed: {statement!r}")
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if not low <= high:
        raise ValueError(f"need low <= high, got low={low} and high={high}")
    value = float(value.item() if hasattr(value, "item") else value)
    found = f"{statement}: measured {_number(value)}, claimed {_range(low, high)}"
    if not low <= value <= high:  # NaN compares false, so it fails here too
        raise ClaimError(f"false: {found}")
    print(f"✓ {found}")


def _range(low: float, high: float) -> str:
    if low == high:
        return f"exactly {_number(low)}"
    if math.isinf(high):
        return f"at least {_number(low)}"
    if math.isinf(low):
        return f"at most {_number(high)}"
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    """Whole numbers in full, others with four digits."""
    whole = math.isfinite(value) and value == int(value) and abs(value) < 1e9
    return f"{value:,.0f}" if whole else f"{value:.4g}"
