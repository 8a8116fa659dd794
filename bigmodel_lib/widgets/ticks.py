"""The small ticks of an axis as one artist."""

import numpy as np
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator


class SmallTicks(Line2D):
    """Draws an axis' minor ticks at once, where they are and as they look now.

    Matplotlib makes an artist of each, and measures and draws them one by one: forty of them, on
    a log axis, take longer than all numbers beside it.

    Args:
        axis: whose minor ticks carry no numbers; it does not draw them any more.
    """

    def __init__(self, axis: Axis):
        super().__init__([], [])
        (tick, *_others) = axis.get_minor_ticks(1)
        self.update_from(tick.tick1line)
        self._axis, self._locator = axis, axis.get_minor_locator()
        axis.set_minor_locator(NullLocator())
        axis.axes.add_artist(self)
        self.set_clip_on(False)

    def draw(self, renderer) -> None:
        """Draw those within the limits of the axis."""
        low, high = sorted(self._axis.get_view_interval())
        at = np.asarray(self._locator())
        at = at[(low <= at) & (at <= high)]
        beside = np.zeros(len(at))  # on the edge of the axes
        self.set_data(*((at, beside) if self._axis.axis_name == "x" else (beside, at)))
        super().draw(renderer)
