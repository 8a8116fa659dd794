"""Pictures of how large models have become, and of how large they should be."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation

from bigmodel_lib.data.landmarks import FAMILIES
from bigmodel_lib.growth import Growth
from bigmodel_lib.language import _
from bigmodel_lib.plots.show import BLUE, GREEN, GREY, ORANGE, PURPLE
from bigmodel_lib.scaling import FLOPS_PER_PARAMETER, Frontier

SKY, GOLD = "#56B4E9", "#E69F00"  # Wong 2011, as the others
# Colour by what a family is for, marker by family: one can be told without the other
FAMILY_STYLES = dict(
    zip(
        FAMILIES,
        (
            *(("black", "o"), ("black", "s"), (BLUE, "^"), (GREEN, "o"), (GREY, "D")),
            *((GOLD, "v"), (ORANGE, "o"), (GOLD, "D"), (BLUE, "s")),
            *((PURPLE, "P"), (SKY, ">"), (GREEN, "X"), (GREY, "h")),
        ),
        strict=True,
    )
)


def short_number(value: float) -> str:
    """Three digits and a letter: 18.6 K, 60 M, 175 B, 1.57 T."""
    for power, letter in ((12, "T"), (9, "B"), (6, "M"), (3, "K")):
        if abs(value) >= 0.9995 * 10**power:
            return f"{value / 10**power:.3g} {letter}"
    return f"{value:.3g}"


def timeline(
    years: Sequence[int],
    sizes: Sequence[float],
    families: Sequence[str],
    *,
    growth: Growth | None = None,
    names: Mapping[int, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Sizes by year on a log axis, a marker for each family.

    Args:
        years, sizes, families: of each model; families of FAMILY_STYLES.
        growth: an exponential to draw, with the band of its confidence interval.
        names: what to write beside some of the models, by their index.
    """
    ax = plt.gca() if ax is None else ax
    years, sizes = np.asarray(years), np.asarray(sizes)
    if growth is not None:
        _draw_growth(growth, years, ax)
    for family, (colour, marker) in FAMILY_STYLES.items():
        chosen = np.array([own == family for own in families], dtype=bool)
        if chosen.any():
            style = {"color": colour, "marker": marker, "mec": "white", "mew": 0.5, "ls": "none"}
            ax.plot(years[chosen], sizes[chosen], ms=7, label=_(family), **style)
    for index, name in (names or {}).items():
        beside(name_label(ax), name, years[index], sizes[index], (years.min() + years.max()) / 2)
    ax.set_yscale("log")
    ax.set(xlabel=_("year"), ylabel=_("parameters"))
    ax.legend(loc="upper left", fontsize=8, frameon=False, ncols=2)
    return ax


def name_label(ax: Axes) -> Annotation:
    """A label without a text or a place yet, for `beside`."""
    style = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    return ax.annotate("", (0, 0), xytext=(0, 0), **style)


def beside(label: Annotation, name: str, year: float, size: float, middle: float) -> None:
    """Put a name beside its point: on the right, and after the middle year on the left."""
    left = year > middle
    label.set_text(name)
    label.xy = (year, size)
    label.set_position((-10 if left else 10, 0))
    label.set_ha("right" if left else "left")


def growth_label(growth: Growth) -> str:
    """The doubling time in words, with its confidence interval; or that growth is not sure."""
    low, high = growth.slope_range
    if growth.slope <= 0:
        text = _("no growth ({level:.0%}: {low:+.2g} to {high:+.2g} doublings a year)")
        return text.format(level=growth.level, low=low, high=high)
    fastest, slowest = growth.doubling_range
    if low <= 0:
        text = _("doubling every {time:.2g} years ({level:.0%}: {low:.2g} or more, or never)")
    else:
        text = _("doubling every {time:.2g} years ({level:.0%}: {low:.2g} to {high:.2g})")
    return text.format(time=growth.doubling_time, level=growth.level, low=fastest, high=slowest)


def _draw_growth(growth: Growth, years: np.ndarray, ax: Axes) -> None:
    span = np.linspace(years.min(), years.max(), 101)
    ax.fill_between(span, *growth.size_range(span), color=GREY, alpha=0.2, lw=0)
    ax.plot(span, growth.size(span), color=GREY, lw=1.5, label=growth_label(growth))


def optimal_sizes(
    frontiers: Mapping[str, Frontier],
    budgets,
    *,
    models: Mapping[str, tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The best size for each budget by several laws, and models that were trained.

    Args:
        frontiers: a line each, six at most, by name.
        budgets: FLOPs (n,).
        models: parameters and tokens by name; drawn at the budget 6ND.
    """
    ax = plt.gca() if ax is None else ax
    looks = ((ORANGE, "-"), (GOLD, "--"), (BLUE, "-"), (SKY, "--"), (PURPLE, ":"), (GREEN, "-"))
    for (name, frontier), (colour, dash) in zip(frontiers.items(), looks, strict=False):
        ax.plot(budgets, frontier.optimum(budgets)[0], color=colour, ls=dash, lw=1.8, label=_(name))
    halo = [withStroke(linewidth=2, foreground="white")]  # some names lie across a line
    for name, (N, D) in (models or {}).items():
        C = FLOPS_PER_PARAMETER * N * D
        ax.plot(C, N, "o", color="black", ms=5, mec="white", mew=0.5)
        style = {"textcoords": "offset points", "va": "center", "fontsize": 7, "path_effects": halo}
        ax.annotate(name, (C, N), xytext=(6, 0), **style)
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel=_("training compute C (FLOPs)"), ylabel=_("best size N (parameters)"))
    ax.legend(loc="upper left", fontsize=8, frameon=False)
    return ax
