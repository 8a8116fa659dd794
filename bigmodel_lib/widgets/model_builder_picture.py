"""The picture of ModelBuilder: a GPT's parameters, memory and arithmetic, beside known models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bigmodel_lib.counting import Flops, Parameters, ServingMemory, TrainingMemory
from bigmodel_lib.language import _
from bigmodel_lib.models.transformer import GPTConfig
from bigmodel_lib.plots import BLUE, GREEN, GREY, ORANGE
from bigmodel_lib.widgets.canvas import Canvas

# Memory that a reader may know, in bytes
DEVICES = {
    "free cloud notebook, 2 GB": 2e9,
    "laptop, 16 GB": 16e9,
    "desktop GPU, 24 GB": 24e9,
    "data-centre GPU, 80 GB": 80e9,
}
NAMED = ("GPT-2 small", "GPT-2 XL", "GPT-3 13B", "GPT-3 175B")  # more names would overlap
# The axes hold whatever the controls can ask for, so that none ever moves
PARAMETERS, MEMORY, FLOPS = (1e2, 1e12), (1e3, 1e15), (1e3, 1e13)
KNOWN, MEMORY_BESIDE, FLOPS_BESIDE = (1e4, 2e12), (3e4, 1e15), (1e4, 1e13)
UNITS = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
SHORT = {0: "", 3: "k", 6: "M", 9: "B", 12: "T"}  # of numbers: B is a billion, 10⁹


@dataclass(frozen=True)
class Costs:
    """What one model costs.

    Attributes:
        config: its sizes.
        parameters: numbers, by part.
        training: bytes, by part; activations not counted.
        serving: bytes, by part.
        flops: of a token, forward, by part.
    """

    config: GPTConfig
    parameters: Parameters
    training: TrainingMemory
    serving: ServingMemory
    flops: Flops


@dataclass(frozen=True)
class BuildView:
    """What the picture shows.

    Attributes:
        costs: of the reader's model.
        known: of known models, by name, trained and served in the same way.
        B: sequences that are served at once.
    """

    costs: Costs
    known: Mapping[str, Costs]
    B: int


class _Parts:
    """Named values as dots on a log axis, with their number and share at the right."""

    def __init__(self, canvas: Canvas, ax: Axes, names: Sequence[str], limits):
        self.ax, rows = ax, range(len(names))
        ax.set(xscale="log", xlim=limits, ylim=(len(names) - 0.5, -0.5))
        ax.set_yticks(rows, names, fontsize=8)
        ax.tick_params(axis="y", length=0)
        ax.hlines(rows, *limits, color="#eeeeee", lw=1, zorder=0)
        self._dots = [ax.plot([], [], "o", ms=6)[0] for _row in rows]
        self._texts = [
            ax.text(1.01, row, "", transform=ax.get_yaxis_transform(), fontsize=8, va="center")
            for row in rows
        ]
        canvas.moving(*self._dots, *self._texts)

    def show(self, values: Sequence[float], texts: Sequence[str], colours: Sequence[str]) -> None:
        for row, (value, text, colour) in enumerate(zip(values, texts, colours, strict=True)):
            self._dots[row].set_data([value] if value else [], [row] if value else [])
            self._dots[row].set_color(colour)
            self._texts[row].set_text(text)


class ModelBuilderPicture:
    """Keeps the figure and its artists, and brings them up to date.

    Args:
        known: names of the known models.
    """

    def __init__(self, known: Sequence[str]):
        self.canvas = Canvas(960, 590)
        self._names = tuple(known)
        flops = _("FLOPs a token, forward")
        self._parameters = self._parts((0.775, 0.175), PARAMETERS_ROWS, PARAMETERS, SHORT)
        self._parameters.ax.set_title(_("parameters by part"), fontsize=9, loc="left")
        self._memory = self._parts((0.36, 0.325), MEMORY_ROWS, MEMORY, UNITS)
        self._flops = self._parts((0.065, 0.205), FLOPS_ROWS, FLOPS, UNITS)
        self._flops.ax.set_title(flops, fontsize=9, loc="left")
        self._beside_memory = self._beside((0.535, 0.415), MEMORY_BESIDE, _("memory, bytes"))
        self._beside_flops = self._beside((0.075, 0.385), FLOPS_BESIDE, flops)
        self._build_memory()
        self._build_devices()
        self._build_flops()

    def draw(self, view: BuildView) -> str:
        """Update every artist; returns what the picture shows in words."""
        self._draw_parts(view.costs)
        self._draw_beside(view)
        return _summary(view)

    # --- what never changes ---

    def _parts(self, place, rows, limits, units: Mapping[int, str]) -> _Parts:
        bottom, height = place
        ax = self.canvas.figure.add_axes((0.115, bottom, 0.275, height))
        ax.spines[["top", "right", "left"]].set_visible(False)
        parts = _Parts(self.canvas, ax, [_(name) for name in rows], limits)
        _label_powers(ax.xaxis, limits, units)
        return parts

    def _beside(self, place, limits, title: str) -> Axes:
        bottom, height = place
        ax = self.canvas.figure.add_axes((0.57, bottom, 0.42, height))
        ax.spines[["top", "right"]].set_visible(False)
        ax.set(xscale="log", yscale="log", xlim=KNOWN, ylim=limits)
        ax.set_title(title, fontsize=9, loc="left")
        _label_powers(ax.xaxis, KNOWN, SHORT)
        _label_powers(ax.yaxis, limits, UNITS)
        return ax

    def _build_devices(self) -> None:
        parts, beside = self._memory.ax, self._beside_memory
        for name, size in DEVICES.items():
            parts.axvline(size, color=GREY, lw=0.8, ls="--", zorder=0)
            beside.axhline(size, color=GREY, lw=0.8, ls="--", zorder=0)
            up, side = (1.1, "bottom") if size > 20e9 else (0.85, "top")  # 16 and 24 lie close
            beside.text(1.3 * KNOWN[0], size * up, _(name), fontsize=7, va=side, color="#444444")
        parts.axhline(4.5, color="#999999", lw=0.6)  # between training and serving
        sizes = ", ".join(f"{size / 1e9:.0f}" for size in DEVICES.values())
        title = _("memory in bytes; lines: {sizes} GB").format(sizes=sizes)
        parts.set_title(title, fontsize=9, loc="left")

    def _build_memory(self) -> None:
        ax = self._beside_memory
        self._known_train = self._dots(ax, "^", GREY, _("known, to train"))
        self._known_serve = self._dots(ax, "v", "#bbbbbb", _("known, to serve"))
        self._own_train = self._dots(ax, "^", ORANGE, _("yours, to train"), size=10)
        self._own_serve = self._dots(ax, "v", BLUE, _("yours, to serve"), size=10)
        self._legend(ax)

    def _build_flops(self) -> None:
        ax = self._beside_flops
        ends = np.array(KNOWN)
        ax.plot(ends, 2 * ends, color=GREY, lw=0.8, ls="--", zorder=0, label=_("2 × parameters"))
        self._known_flops = self._dots(ax, "o", GREY, _("known models"))
        self._own_flops = self._dots(ax, "o", GREEN, _("yours"), size=10)
        self._labels = {name: ax.text(0, 0, name, fontsize=7, ha="right") for name in NAMED}
        ax.set_xlabel(_("parameters"), fontsize=8, labelpad=1)
        self._legend(ax)

    def _dots(self, ax: Axes, marker: str, colour: str, label: str, size: int = 6):
        (dots,) = ax.plot([], [], marker, color=colour, ms=size, mec="white", mew=0.6, label=label)
        self.canvas.moving(dots)
        return dots

    def _legend(self, ax: Axes) -> None:
        ax.legend(fontsize=7, frameon=False, loc="upper left", ncols=2, borderpad=0,
                  handletextpad=0.3, columnspacing=1)  # fmt: skip

    # --- what changes with every frame ---

    def _draw_parts(self, costs: Costs) -> None:
        parameters = _values(costs.parameters)
        self._parameters.show(parameters, _shares(parameters, SHORT), [GREEN] * len(parameters))
        flops = _values(costs.flops)
        self._flops.show(flops, _shares(flops, UNITS), [GREEN] * len(flops))
        memory = [*_values(costs.training), *_values(costs.serving)]
        texts = [short(value, UNITS) + "B" for value in memory]
        self._memory.show(memory, texts, [ORANGE] * 5 + [BLUE] * 3)

    def _draw_beside(self, view: BuildView) -> None:
        known = [view.known[name] for name in self._names]
        sizes = [costs.parameters.total for costs in known]
        self._known_train.set_data(sizes, [costs.training.total for costs in known])
        self._known_serve.set_data(sizes, [costs.serving.total for costs in known])
        self._known_flops.set_data(sizes, [costs.flops.total for costs in known])
        for name, text in self._labels.items():
            costs = view.known[name]
            text.set_position((costs.parameters.total / 1.3, 1.3 * costs.flops.total))
        own = view.costs
        N = [own.parameters.total]
        self._own_train.set_data(N, [own.training.total])
        self._own_serve.set_data(N, [own.serving.total])
        self._own_flops.set_data(N, [own.flops.total])


PARAMETERS_ROWS = ("embedding", "positions", "attention", "MLP", "norms", "all")
FLOPS_ROWS = ("projections", "q · k", "weights · v", "MLP", "logits", "all")
MEMORY_ROWS = (
    *("train: weights", "gradients", "float32 copy", "Adam's moments", "all"),
    *("serve: weights", "KV cache", "all"),
)


def _values(parts) -> list[float]:
    """All parts, and their sum."""
    return [*vars(parts).values(), parts.total]


def _shares(values: Sequence[float], units: Mapping[int, str]) -> list[str]:
    *parts, total = values
    shares = [f"{short(part, units)}  {_percent(part / total)}" for part in parts]
    return [*shares, short(total, units)]


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"


def short(value: float, units: Mapping[int, str]) -> str:
    """Three digits and a unit's letter: 124439808 is 124 M."""
    if value < 1000:
        return f"{value:.3g} "
    power = min(3 * int(math.log10(value) // 3), max(units))
    text = f"{value / 10**power:.3g}"
    if text == "1e+03" and power + 3 in units:  # rounded up to the next unit
        power, text = power + 3, "1"
    return f"{float(text):g} {units[power]}"


def _label_powers(axis, limits, units: Mapping[int, str]) -> None:
    powers = range(math.ceil(math.log10(limits[0])), math.floor(math.log10(limits[1])) + 1)
    ticks = [power for power in powers if power % 3 == 0]
    axis.set_ticks([10.0**power for power in ticks], [f"1 {units[power]}" for power in ticks])
    axis.set_tick_params(labelsize=8)
    axis.minorticks_off()


def _summary(view: BuildView) -> str:
    text = _(
        "L = {L}, D = {D}, H = {H}, V = {V:,}, T = {T:,}: {N:,} parameters; training holds "
        "{train}B without activations ({train_fits}); serving {B} × {T:,} tokens {serve}B "
        "({serve_fits}); {flops}FLOPs a token, forward; next in size: {nearest}"
    )
    costs = view.costs
    N = costs.parameters.total
    nearest = min(view.known, key=lambda name: abs(math.log(view.known[name].parameters.total / N)))
    return text.format(
        L=costs.config.L, D=costs.config.D, H=costs.config.H, V=costs.config.V, T=costs.config.T,
        N=N, train=short(costs.training.total, UNITS), train_fits=_fits(costs.training.total),
        B=view.B, serve=short(costs.serving.total, UNITS), serve_fits=_fits(costs.serving.total),
        flops=short(costs.flops.total, UNITS), nearest=nearest,
    )  # fmt: skip


def _fits(size: float) -> str:
    """The smallest device that holds so many bytes."""
    for name, memory in DEVICES.items():
        if size <= memory:
            return _("fits: {device}").format(device=_(name))
    count = math.ceil(size / max(DEVICES.values()))
    return _("needs {count:,} GPUs of 80 GB at least").format(count=count)
