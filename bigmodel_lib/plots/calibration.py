"""May a classifier's probabilities be believed? A picture of how sure it is and how right."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREY, ORANGE


def reliability_diagram(confidence, accuracy, share, *, ax: Axes | None = None) -> Axes:
    """Accuracy against confidence, bin by bin, beside the diagonal of a calibrated classifier.

    Args:
        confidence, accuracy, share: of each bin (bins,), see `metrics.Reliability`; NaN where a
            bin is empty. A dot's area grows with the share of the predictions in its bin.
    """
    ax = plt.gca() if ax is None else ax
    confidence, accuracy, share = map(np.asarray, (confidence, accuracy, share))
    ax.plot([0, 1], [0, 1], "--", color=GREY, lw=1, label=_("calibrated"))
    ax.vlines(confidence, accuracy, confidence, color=ORANGE, lw=2, label=_("gap"))
    ax.scatter(confidence, accuracy, s=15 + 300 * share, color=BLUE, zorder=3, label=_("bin"))
    ax.set_xlabel(_("confidence (probability of the predicted class)"))
    ax.set_ylabel(_("accuracy (share of right predictions)"))
    ax.set(xlim=(0, 1.03), ylim=(0, 1.03))
    legend = ax.legend(loc="upper left", frameon=False)
    legend.legend_handles[-1].set_sizes([40])  # of a bin of any share
    return ax
