"""Pictures of a training run."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREY, ORANGE


def training_curves(
    history: Mapping[str, Sequence[float]],
    names: Mapping[str, str],
    *,
    ylabel: str,
    smooth: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """One line for each named value of a run's history, against the step.

    Args:
        history: of a `Run`: "step" and other columns of one length.
        names: which columns (two at most), and the label of each.
        ylabel: with unit.
        smooth: steps in the running mean; with more than 1 the raw values stay behind it, faint.
            A history shorter than that is shown raw.
    """
    ax = plt.gca() if ax is None else ax
    steps = np.asarray(history["step"])
    for (name, label), colour in zip(names.items(), (BLUE, ORANGE), strict=False):
        values = np.asarray(history[name])
        if 1 < smooth <= len(values):
            ax.plot(steps, values, color=colour, lw=0.5, alpha=0.25)
            values = np.convolve(values, np.ones(smooth) / smooth, mode="valid")
        ax.plot(steps[len(steps) - len(values) :], values, color=colour, label=label, lw=1.5)
    ax.set_xlabel(_("step"))
    ax.set_ylabel(ylabel)
    ax.legend(loc="upper right", frameon=False, ncols=len(names))
    return ax


def mark_changes(changes: Sequence, *, ax: Axes, last: int = 5) -> list:
    """A dotted line at each step where a setting changed; the last few carry its name."""
    artists = [ax.axvline(change.step, color=GREY, lw=1, ls=":") for change in changes]
    for place, change in enumerate(changes[-last:] if last else ()):
        new = f"{change.new:.3g}" if isinstance(change.new, float) else change.new
        text = ax.annotate(
            f"{change.name} → {new}",
            (change.step, 0.98 - 0.085 * place),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize=7,
            va="top",
            color="#333333",
            bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5},
        )
        artists.append(text)
    return artists


def score_histogram(real, fake, *, xlabel: str, bins=30, ax: Axes | None = None) -> Axes:
    """Outlines of the discriminator's scores for real (N,) and generated (M,) images."""
    ax = plt.gca() if ax is None else ax
    edges = np.histogram_bin_edges(np.concatenate([real, fake]), bins)  # the same for both
    for scores, label, colour in ((real, _("real"), BLUE), (fake, _("generated"), ORANGE)):
        counts, _edges = np.histogram(scores, edges)
        ax.stairs(counts / len(scores), edges, color=colour, label=label, lw=1.5)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(_("share of images"))
    ax.legend(loc="upper center", frameon=False, ncols=2)
    return ax


def class_bars(shares, class_names: Sequence[str], *, ax: Axes | None = None) -> Axes:
    """Share of the generated images in each class (C,), beside the fair share."""
    ax = plt.gca() if ax is None else ax
    ax.bar(range(len(shares)), shares, color=ORANGE)
    ax.axhline(1 / len(shares), color=GREY, ls="--", lw=1, label=_("fair share"))
    ax.set_xticks(range(len(shares)), class_names)
    ax.set_xlabel(_("class, as the classifier reads it"))
    ax.set_ylabel(_("share of images"))
    ax.legend(loc="upper right", frameon=False)
    return ax
