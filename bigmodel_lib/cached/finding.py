"""What this package defines of one kind, by name: recipes of models, series of records."""

import importlib
import pkgutil
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).parent
Kind = TypeVar("Kind")


def found(base: type[Kind]) -> dict[str, Kind]:
    """One of each subclass of `base` in this package, by its `name`.

    Raises:
        ValueError: two of one name.
    """
    modules = [f"{__package__}.{module.name}" for module in pkgutil.iter_modules([str(HERE)])]
    by_name: dict[str, Kind] = {}
    for kind in (kind for module in modules for kind in _made_in(module, base)):
        if kind.name in by_name:
            one = base.__name__
            raise ValueError(f"need one {one} of each name, got two of {kind.name!r}")
        by_name[kind.name] = kind()
    return by_name


def _made_in(module: str, base: type[Kind]) -> list[type[Kind]]:
    """The subclasses that a module defines; those without a name are what others share."""
    return [
        kind
        for kind in vars(importlib.import_module(module)).values()
        if isinstance(kind, type) and issubclass(kind, base) and hasattr(kind, "name")
        if kind.__module__ == module
    ]
