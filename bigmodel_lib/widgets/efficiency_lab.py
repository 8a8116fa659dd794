"""EfficiencyLab: make a network smaller in several ways at once, and see what is left of it."""

import functools
import time

import ipywidgets
import numpy as np
import torch
from torch import nn

from bigmodel_lib.cached.efficiency import (
    LABELS,
    TEACHER,
    WHOLE,
    Choice,
    Cost,
    cost_of,
    measured,
    moved_digits,
    networks,
)
from bigmodel_lib.compression import PRECISIONS, Compression, compress, dtype_of, pareto
from bigmodel_lib.language import _
from bigmodel_lib.widgets.base import Explorer, RefusedError, described
from bigmodel_lib.widgets.efficiency_lab_picture import EfficiencyPicture, EfficiencyView, Field

RANKS = (100, 75, 50, 25, 10)  # percent
BATCHES = (1, 8, 64, 360)
CHANNELS = (16, 8, 4, 2)
TIMED = 0.005  # seconds in which passes are timed, or more for FEWEST of them
FEWEST = 2
ORIGINAL = Choice()


class EfficiencyLab(Explorer):
    """Choose network, precision, pruning and rank; see size, time and errors.

    Size, operations and errors of the choice are measured at once, time on this machine. The
    small points are combinations that were measured in advance, the line the best of them.

    Args:
        recipe: what the controls say first, such as `precision="int8"` or `pruned=50`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
        CheckpointError: no cached networks.
    """

    def __init__(self, **recipe):
        controls = _controls()
        for name, value in recipe.items():
            if name not in controls:
                raise ValueError(f"need settings in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self._networks = networks()
        self._known = functools.lru_cache(128)(self._make)
        self._tried: dict[tuple[Choice, int], float] = {}
        self._field = _field(measured())
        self._set(self._choice("channels"))
        self._picture = EfficiencyPicture(self._field)
        super().__init__(controls, _rows(controls))
        self.say(_("combine what you like"))

    # --- from controls to networks ---

    def _value(self, name: str):
        return self.controls[name].value

    def _choice(self, moved: str) -> Choice:
        channels, source = self._value("channels"), self._value("source")
        pruned, rank = self._value("pruned"), self._value("rank")

        def refuse(names: tuple[str, str], reason: str):
            raise RefusedError(moved if moved in names else names[0], reason)

        if channels == WHOLE and source == TEACHER:
            text = _("the network of {channels} channels is the teacher: who would teach it?")
            refuse(("source", "channels"), text.format(channels=WHOLE))
        if pruned and rank < 100:
            refuse(("pruned", "rank"), _("a matrix with zeros has factors without: choose one"))
        if round(rank / 100 * 2 * channels) < 1:
            text = _("{rank} % of a rank of {most} rounds to none: nothing would pass")
            refuse(("rank", "channels"), text.format(rank=rank, most=2 * channels))
        how = Compression(self._value("precision"), pruned / 100, rank / 100)
        return Choice(channels, source, how)

    def _make(self, choice: Choice) -> tuple[nn.Module, Cost]:
        model = compress(self._networks[choice.network], choice.how)
        return model, cost_of(model)

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        self._set(self._choice(name))
        self.accept(*self.controls)  # they were checked together

    def _set(self, choice: Choice) -> None:
        self._now, batch = choice, self._value("batch")
        for one in (choice, ORIGINAL):  # the yardstick of the time, once for each batch size
            if one is choice or (one, batch) not in self._tried:
                self._tried[one, batch] = micros(self._known(one)[0], batch)

    # --- picture ---

    def compute(self) -> EfficiencyView:
        """What the picture shows."""
        choice, batch = self._now, self._value("batch")
        cost = self._known(choice)[1]
        tried = [
            (taken, 1 - self._known(one)[1].accuracy)
            for (one, size), taken in self._tried.items()
            if size == batch and one != choice
        ]
        better = (self._field.bytes <= cost.bytes) & (self._field.wrong < 1 - cost.accuracy)
        smaller = (self._field.bytes < cost.bytes) & (self._field.wrong <= 1 - cost.accuracy)
        return EfficiencyView(
            name=in_words(choice),
            bytes=int(cost.bytes),
            flops=int(cost.flops),
            wrong=1 - cost.accuracy,
            micros=self._tried[choice, batch],
            kept=cost.bytes / self._known(ORIGINAL)[1].bytes,
            is_best=not (better | smaller).any(),
            tried=np.array(tried).reshape(-1, 2),
            batch=batch,
            original=self._tried[ORIGINAL, batch],
        )

    def draw(self, data: EfficiencyView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


@torch.no_grad()
def micros(model: nn.Module, batch: int) -> float:
    """Microseconds for an image, by the fastest of a few passes."""
    images = moved_digits()[0][:batch].to(dtype_of(model))
    taken, start = [], time.perf_counter()
    while len(taken) < FEWEST or time.perf_counter() - start < TIMED:
        before = time.perf_counter()
        model(images)
        taken.append(time.perf_counter() - before)
    return 1e6 * min(taken) / batch


def in_words(choice: Choice) -> str:
    """A combination in the reader's language."""
    source = {LABELS: _("from labels"), TEACHER: _("from the teacher")}[choice.source]
    parts = [_("{channels} channels").format(channels=choice.channels), source]
    parts.append(choice.how.precision)
    if choice.how.pruned:
        parts.append(_("{share} pruned").format(share=f"{choice.how.pruned:.0%}"))
    if choice.how.rank < 1:
        parts.append(_("rank {share}").format(share=f"{choice.how.rank:.0%}"))
    return ", ".join(parts)


def _field(found: dict[Choice, Cost]) -> Field:
    sizes = [cost.bytes for cost in found.values()]
    front = pareto(sizes, [cost.accuracy for cost in found.values()])
    wrong = 1 - np.array([cost.accuracy for cost in found.values()])
    return Field([choice.how.precision for choice in found], np.array(sizes), wrong, front)


def _controls() -> dict[str, ipywidgets.Widget]:
    menu, slider = ipywidgets.Dropdown, ipywidgets.SelectionSlider
    sources = [(_("labels"), LABELS), (_("the teacher's answers"), TEACHER)]
    ranks = [(f"{rank} %", rank) for rank in RANKS]
    return {
        "channels": described(menu, "channels", options=CHANNELS, value=WHOLE),
        "source": described(menu, "learned from", options=sources, value=LABELS),
        "precision": described(menu, "precision", options=list(PRECISIONS), value="float32"),
        "pruned": described(
            ipywidgets.IntSlider, "pruned, %", value=0, min=0, max=95, step=5,
            continuous_update=False,
        ),
        "rank": described(
            slider, "rank of the matrices", options=ranks, value=100, continuous_update=False
        ),
        "batch": described(menu, "images a pass", options=BATCHES, value=64),
    }  # fmt: skip


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("channels", "source"), ("precision", "pruned"), ("rank", "batch")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
