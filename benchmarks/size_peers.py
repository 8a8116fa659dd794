"""Labs on sizes and costs, drawn with pyplot: a GPT's parts, a bill, trade-offs, growth."""

import functools

import matplotlib.pyplot as plt
import numpy as np

from bigmodel_lib.cached.efficiency import measured
from bigmodel_lib.costs import DEVICES, PUBLISHED
from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, timeline
from bigmodel_lib.plots.landmarks import growth_label
from bigmodel_lib.widgets import efficiency_lab
from bigmodel_lib.widgets import model_builder_picture as builder_picture
from bigmodel_lib.widgets.efficiency_lab_picture import LOWEST, percent
from bigmodel_lib.widgets.resource_calculator_picture import ROWS


def builder(view) -> None:
    """Parameters, memory and FLOPs by part, and memory and FLOPs beside known models."""
    panels = [["parameters", "held"], ["memory", "held"], ["memory", "spent"], ["flops", "spent"]]
    figure, axes = plt.subplot_mosaic(panels, figsize=(9.6, 5.9))
    figure.subplots_adjust(hspace=0.6, wspace=0.45)
    costs, names = view.costs, builder_picture
    by_part(axes["parameters"], names.PARAMETERS_ROWS, [costs.parameters], names.PARAMETERS)
    by_part(axes["memory"], names.MEMORY_ROWS, [costs.training, costs.serving], names.MEMORY)
    by_part(axes["flops"], names.FLOPS_ROWS, [costs.flops], names.FLOPS)
    for ax, title in zip(axes.values(), TITLES, strict=True):
        ax.set_title(title, fontsize=9, loc="left")
    known = [view.known[name] for name in view.known]
    held, spent = axes["held"], axes["spent"]
    for name, size in names.DEVICES.items():
        axes["memory"].axvline(size, color=GREY, lw=0.8, ls="--")
        held.axhline(size, color=GREY, lw=0.8, ls="--")
        held.text(1.3e4, size, name, fontsize=7)
    beside(held, known, costs, "training", ("^", ORANGE), "to train")
    beside(held, known, costs, "serving", ("v", BLUE), "to serve")
    beside(spent, known, costs, "flops", ("o", GREEN), "forward")
    spent.plot(names.KNOWN, 2 * np.array(names.KNOWN), "--", color=GREY, label="2 × parameters")
    for name in names.NAMED:
        spent.text(view.known[name].parameters.total, view.known[name].flops.total, name, size=7)
    for ax, ends in ((held, names.MEMORY_BESIDE), (spent, names.FLOPS_BESIDE)):
        ax.set(xscale="log", yscale="log", xlim=names.KNOWN, ylim=ends)
        ax.legend(fontsize=7, ncols=2)
    spent.set_xlabel("parameters")


TITLES = ("parameters by part", "memory, bytes", "memory, bytes", "FLOPs a token", "FLOPs a token")


def by_part(ax, names, costs, limits) -> None:
    """A dot for each part and each sum on a log axis, with its number and its share."""
    rows = [(value, value / cost.total) for cost in costs for value in vars(cost).values()]
    for row, name in enumerate(names):
        if name == "all":
            rows.insert(row, (costs[row > 5 and len(costs) > 1].total, 1.0))
    for row, (value, share) in enumerate(rows):
        ax.plot(value or np.nan, row, "o", color=GREEN)
        text = f"{value:.3g}  {share:.0%}"
        ax.text(1.02, row, text, transform=ax.get_yaxis_transform(), fontsize=8, va="center")
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xscale="log", xlim=limits)
    ax.invert_yaxis()


def beside(ax, known, own, what: str, look, label: str) -> None:
    """One kind of cost over parameters, of known models and of the reader's."""
    marker, colour = look
    sizes = [costs.parameters.total for costs in known]
    totals = [getattr(costs, what).total for costs in known]
    ax.plot(sizes, totals, marker, color=GREY, label=f"known {label}")
    own_total = getattr(own, what).total
    ax.plot(own.parameters.total, own_total, marker, color=colour, ms=10, label=f"yours {label}")


def calculator(view) -> None:
    """Six figures, each on an axis with those of published runs, with formula and source."""
    figure, axes = plt.subplots(len(ROWS), 1, figsize=(9.6, 5.6))
    figure.subplots_adjust(right=0.5, hspace=4)
    figure.suptitle("orange: this training; grey: published runs", fontsize=9)
    training, device = view.training, DEVICES[view.training.device]
    for ax, row in zip(axes, ROWS, strict=True):
        known = [getattr(one.training, row.name) / row.unit for one in PUBLISHED.values()]
        own = getattr(training, row.name) / row.unit
        ax.plot(known, np.zeros(len(known)), "o", color=GREY, alpha=0.7)
        ax.plot(own, 0, "D", color=ORANGE, ms=8)
        ax.set(xscale="log", xlim=row.limits, yticks=[])
        ax.tick_params(labelsize=7)
        ax.minorticks_off()
        ax.set_title(row.title, fontsize=9, loc="left")
        place = {"transform": ax.transAxes, "va": "center"}
        ax.text(1.03, 0.5, f"{own:,.3g}", fontsize=11, weight="bold", **place)
        told = f"= {row.formula}\n{row.source}".format(
            peak=device.flops, device_source=device.source
        )
        if view.published and row.name in view.published.figures:
            figure_told = view.published.figures[row.name] / row.unit
            told += f"\npublished: {figure_told:,.3g}, {view.published.source}"
        ax.text(1.27, 0.5, told, fontsize=8, **place)


def efficiency(view) -> None:
    """Misread digits against size, and against time."""
    _figure, (size, time) = plt.subplots(1, 2, figsize=(9.6, 4.4))
    known = field()
    for precision, marker, colour in LOOKS:
        rows = [i for i, name in enumerate(known.precision) if name == precision]
        points = known.bytes[rows] / 1000, percent(known.wrong[rows])
        size.plot(*points, marker, color=colour, ms=4, alpha=0.75, label=precision)
    best = known.bytes[known.front] / 1000, percent(known.wrong[known.front])
    size.step(*best, where="post", color="black", lw=1.2, label="best trade-offs")
    now = {"marker": "o", "mfc": "none", "mec": ORANGE, "mew": 3, "ms": 13, "ls": "none"}
    size.plot(view.bytes / 1000, percent(view.wrong), **now)
    size.set(xlabel="file, kB", xlim=(0.5, 400))
    time.plot(view.tried[:, 0], percent(view.tried[:, 1]), "o", color=GREY, label="tried before")
    time.plot(view.micros, percent(view.wrong), label="now", **now)
    time.axvline(view.original, color="black", ls="--", label="16 channels, uncompressed")
    time.set(xlabel="time for an image, µs, measured here and now", xlim=(1, 30_000))
    titles = view.name, f"images a pass: {view.batch}"
    for ax, title in zip((size, time), titles, strict=True):
        ax.set(xscale="log", yscale="log", ylim=(0.8 * LOWEST, 110))
        ax.set_ylabel("held-out digits misread, %")
        ax.set_title(title, fontsize=10)
        ax.grid(alpha=0.25)
        ax.legend(fontsize=8)


LOOKS = (("float32", "o", BLUE), ("bfloat16", "s", GREEN), ("int8", "^", PURPLE))


@functools.cache
def field():
    """What was measured in advance: the same in every picture."""
    return efficiency_lab._field(measured())


def scaling(view) -> None:
    """Parameters by year, the fitted growth, and some names."""
    _figure, ax = plt.subplots(figsize=(9.6, 5.2))
    timeline(view.years, view.sizes, view.families, growth=view.growth, names=view.names, ax=ax)
    named = list(view.names)
    ax.plot(view.years[named], view.sizes[named], "o", mfc="none", mec="black", ms=13)
    title = growth_label(view.growth) if view.growth else "too few models to fit a line"
    ax.set_title(f"{view.title}: {title}", fontsize=9, loc="left")
    ax.set_ylabel(f"parameters: {view.count}")
