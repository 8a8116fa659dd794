"""Pictures of attribution maps."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def map_colours(signed: bool) -> str:
    """The colour map for values round 0 (red above, blue below), or for sizes (dark: large)."""
    return "RdBu_r" if signed else "Purples"


def attribution_map(values, signed: bool, *, ax: Axes | None = None) -> Axes:
    """Show a map (h, w), its largest size in full colour and 0 in white.

    Raises:
        ValueError: not a map, or values below 0 in one that has no sign.
    """
    values = np.asarray(values)
    if values.ndim != 2 or (not signed and values.min() < 0):
        raise ValueError(
            f"need a map (h, w), at least 0 where unsigned, got shape {values.shape} and least "
            f"value {values.min()}"
        )
    ax = plt.gca() if ax is None else ax
    most = float(np.abs(values).max()) or 1.0  # a map of zeros is white
    limits = {"vmin": -most if signed else 0, "vmax": most}
    ax.imshow(values, cmap=map_colours(signed), interpolation="nearest", **limits)
    return ax
