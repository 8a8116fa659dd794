"""Pictures: arrays in, Axes out. Colours are safe for colour-blind readers (Wong 2011)."""

from bigmodel_lib.plots.attribution import attribution_map, map_colours
from bigmodel_lib.plots.calibration import reliability_diagram
from bigmodel_lib.plots.graph import computation_graph
from bigmodel_lib.plots.images import image_grid, mosaic
from bigmodel_lib.plots.landmarks import optimal_sizes, short_number, timeline
from bigmodel_lib.plots.show import BLUE, GREEN, GREY, ORANGE, PURPLE, show, table
from bigmodel_lib.plots.training import class_bars, mark_changes, score_histogram, training_curves

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
