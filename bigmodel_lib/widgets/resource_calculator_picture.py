"""The picture of ResourceCalculator: each figure on its axis, with its formula and its source."""

from dataclasses import dataclass

from bigmodel_lib.costs import DEVICES, PUBLISHED, Published, Training, misses
from bigmodel_lib.language import _
from bigmodel_lib.plots import GREY, ORANGE
from bigmodel_lib.widgets.canvas import Canvas


@dataclass(frozen=True)
class ResourceView:
    """What the picture shows.

    Attributes:
        training: the reader's.
        published: the published run that it is, or None.
    """

    training: Training
    published: Published | None


@dataclass(frozen=True)
class Row:
    """A figure: property of `Training`, what it is divided by, axis, name, formula, source."""

    name: str
    unit: float
    limits: tuple[float, float]
    title: str
    formula: str
    source: str


TIME = "FLOPs / (n · utilisation · {peak:.3g} FLOPs a second)"
PATTERSON = "Patterson et al. 2021, section 2"
RAJBHANDARI = "Rajbhandari et al. 2020, section 3; without activations"
ROWS = (
    Row("memory", 1e9, (1e-4, 1e4), "memory, GB a device", "16 N / n", RAJBHANDARI),
    Row("flops", 1, (1e14, 1e28), "arithmetic, FLOPs", "6 N D", "Kaplan et al. 2020, section 2.1"),
    Row("days", 1, (1e-6, 1e6), "time, days", TIME, "{device_source}"),
    Row("money", 1, (1e-4, 1e11), "money, $", "device hours · price", "the price is yours to set"),
    Row("kwh", 1e3, (1e-7, 1e7), "energy, MWh", "device hours · watts · PUE", PATTERSON),
    Row("co2", 1e3, (1e-7, 1e7), "CO₂ equivalent, t", "energy · grid", PATTERSON),
)


class ResourcePicture:
    """Keeps the figure and its artists, and brings them up to date."""

    def __init__(self):
        self.canvas = Canvas(960, 560)
        height = 1 / len(ROWS)
        legend = _("orange: this training; grey: published runs")
        self.canvas.figure.text(0.49, 0.945, legend, fontsize=8, ha="right", color="#333333")
        self._rows = [self._build(row, 1 - (i + 1) * height) for i, row in enumerate(ROWS)]

    def _build(self, row: Row, bottom: float):
        ax = self.canvas.figure.add_axes((0.02, bottom + 0.055, 0.47, 0.04))
        ax.set(xscale="log", xlim=row.limits, ylim=(-1, 1), yticks=[])
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(labelsize=7, pad=1)
        ax.minorticks_off()
        ax.set_title(_(row.title), fontsize=9, loc="left", pad=3)
        known = [getattr(one.training, row.name) / row.unit for one in PUBLISHED.values()]
        ax.plot(known, [0] * len(known), "o", color=GREY, ms=5, alpha=0.7)
        (own,) = ax.plot([], [], "D", color=ORANGE, ms=8, mec="white", clip_on=False, zorder=5)
        place = ax.get_yaxis_transform()
        value = ax.text(1.03, 1.2, "", transform=place, fontsize=11, weight="bold", va="center")
        lines = ax.text(1.265, 1.2, "", transform=place, fontsize=8, va="center", color="#333333")
        self.canvas.moving(own, value)
        self.canvas.seldom(lines)
        return own, value, lines

    def draw(self, view: ResourceView) -> str:
        """Update every artist; returns what the picture shows in words."""
        training, device = view.training, DEVICES[view.training.device]
        changed = False
        for row, (own, value, lines) in zip(ROWS, self._rows, strict=True):
            figure = getattr(training, row.name) / row.unit
            own.set_data([figure], [0])
            value.set_text(_figure(figure))
            formula = _(row.formula).format(peak=device.flops)
            source = _(row.source).format(device_source=device.source)
            told = f"= {formula}\n{source}{_beside(view, row)}"
            if told != lines.get_text():
                lines.set_text(told)
                changed = True
        if changed:  # a device's or a published run's lines come again
            self.canvas.relabel(tuple(lines.get_text() for _own, _value, lines in self._rows))
        return _summary(view)


def _beside(view: ResourceView, row: Row) -> str:
    """What was published for this figure, where the training is a published one."""
    if view.published is None or row.name not in view.published.figures:
        return ""
    figure = view.published.figures[row.name] / row.unit
    return "\n" + _("published: {figure}, {source}").format(
        figure=_figure(figure), source=view.published.source
    )


def _figure(value: float) -> str:
    """Three digits, with a comma where thousands are."""
    return f"{value:,.0f}" if 100 <= value < 1e7 else f"{value:.3g}"


def _summary(view: ResourceView) -> str:
    training = view.training
    text = _(
        "N = {N:.3g} parameters, D = {D:.3g} tokens on {n:,} × {device}: {days} days, "
        "{hours} device hours, {money} $, {mwh} MWh, {co2} t of CO₂ equivalent; each device "
        "holds {memory} GB of {has:.0f} GB"
    ).format(
        N=training.N, D=training.D, n=training.n, device=training.device,
        days=_figure(training.days), hours=_figure(training.device_hours),
        money=_figure(training.money), mwh=_figure(training.kwh / 1e3),
        co2=_figure(training.co2 / 1e3), memory=_figure(training.memory / 1e9),
        has=DEVICES[training.device].memory / 1e9,
    )  # fmt: skip
    if view.published is None:
        return text
    worst = max(map(abs, misses(view.published).values()))
    met = _("; published figures met within {worst:.1%}").format(worst=worst)
    told = f" ({_(view.published.told)})" if view.published.told else ""
    return text + met + told
