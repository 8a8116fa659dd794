"""Pictures: arrays in, Axes out. Colours are safe for colour-blind readers (Wong 2011)."""

from importlib import import_module

from bigmodel_lib.plots.attribution import attribution_map, map_colours
from bigmodel_lib.plots.calibration import reliability_diagram
from bigmodel_lib.plots.images import image_grid, mosaic
from bigmodel_lib.plots.show import BLUE, GREEN, GREY, ORANGE, PURPLE, show, table
from bigmodel_lib.plots.training import class_bars, mark_changes, score_histogram, training_curves

# Imported when asked for: they import what they draw, and few need them
LATER = {
    "computation_graph": "graph",
    "optimal_sizes": "landmarks",
    "short_number": "landmarks",
    "timeline": "landmarks",
}

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PURPLE",
    "attribution_map",
    "class_bars",
    "computation_graph",
    "image_grid",
    "map_colours",
    "mark_changes",
    "mosaic",
    "optimal_sizes",
    "reliability_diagram",
    "score_histogram",
    "short_number",
    "show",
    "table",
    "timeline",
    "training_curves",
]


def __getattr__(name: str):
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})
