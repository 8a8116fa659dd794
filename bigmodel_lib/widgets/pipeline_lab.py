"""PipelineLab: choose how data are prepared and a network trained; see the curves that follow."""

import dataclasses
import functools
import time

import ipywidgets
import numpy as np
import torch

from bigmodel_lib.data.tables import (
    SCALINGS,
    TABLES,
    Table,
    condition_number,
    load_table,
    preprocess,
    split_rows,
)
from bigmodel_lib.language import _
from bigmodel_lib.training.run import NotFiniteError
from bigmodel_lib.training.table import OPTIMIZERS, TableRun, TableSettings, table_network
from bigmodel_lib.widgets.base import Explorer, RefusedError, button, described
from bigmodel_lib.widgets.pipeline_lab_picture import PipelineLabPicture, PipelineView

ALL = "all"
LAST = 2000  # steps at most
table_for = functools.lru_cache(load_table)


class PipelineLab(Explorer):
    """From a table to learning curves, by the reader's choices.

    Every choice but the number of steps starts the training anew; it then goes on by itself up
    to that number. A run can be kept, and stays behind the next ones for comparison.

    Args:
        recipe: what the controls say first, such as `data="wine"`, `scaling="raw"`, `lr=0.1` or
            `leak=True`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
    """

    def __init__(self, **recipe):
        controls = _controls()
        for name, value in recipe.items():
            if name not in SETTINGS:
                raise ValueError(f"need settings in {SETTINGS}, got {name!r}")
            controls[name].value = value
        self.controls, self.kept = controls, None
        self._start_anew("data")
        self._picture = PipelineLabPicture()
        super().__init__(controls, _rows(controls))
        self.say(_("at the start"))

    # --- from controls to a run ---

    def _value(self, name: str):
        return self.controls[name].value

    def _start_anew(self, moved: str) -> None:
        table = table_for(self._value("data"))
        rows = self._split(table, moved)
        x, y = self._prepare(table, rows, moved), table.y
        parts = {
            part: (torch.tensor(x[index], dtype=torch.float32), torch.tensor(y[index]))
            for part, index in rows.items()
        }
        width, seed = self._value("width"), self._value("seed")
        network = table_network(x.shape[1], len(table.class_names), width, seed)
        settings = TableSettings(**{name: self._value(name) for name in _LEARNING})
        optimizer = self._value("optimizer")
        self.run_now = TableRun(
            network,
            parts,
            optimizer=optimizer,
            settings=settings,
            seed=seed,
            keep_every=5,  # one that diverges goes back there: its curves shall show the way up
        )
        self._facts = {
            "label": self._label(),
            "spread": x[rows["train"]].std(axis=0),
            "condition": condition_number(x[rows["train"]]),
            "chance": np.bincount(y[rows["test"]]).max() / len(rows["test"]),
        }
        self.diverged: int | None = None

    def _split(self, table: Table, moved: str) -> dict[str, np.ndarray]:
        shares = self._value("validation") / 100, self._value("test") / 100
        try:
            return split_rows(table.y, *shares, seed=self._value("seed"))
        except ValueError as error:
            raise RefusedError(moved, str(error)) from error

    def _prepare(self, table: Table, rows: dict[str, np.ndarray], moved: str) -> np.ndarray:
        seen = np.arange(len(table.y)) if self._value("leak") else rows["train"]
        keep = None if self._value("keep") == ALL else self._value("keep")
        try:
            return preprocess(table.x, table.y, seen, self._value("scaling"), keep)
        except ValueError as error:
            raise RefusedError("keep" if keep else moved, str(error)) from error

    def _label(self) -> str:
        layer = _("{width} hidden units") if self._value("width") else _("no hidden layer")
        parts = [
            _(self._value("data")),
            _(self._value("scaling")),
            _("all features")
            if self._value("keep") == ALL
            else _("best {keep} features").format(keep=self._value("keep")),
            *([_("LEAK")] if self._value("leak") else []),
            f"{self._value('optimizer')} {self._value('lr'):.1e}",
            layer.format(width=self._value("width")),
        ]
        return ", ".join(parts)

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name in _BUTTONS:
            getattr(self, f"_on_{name}")()
        elif name != "steps" or self.target < self.run_now.step:
            self._start_anew(name)
            self.accept(*SETTINGS)  # they were checked together

    def _on_keep_run(self) -> None:
        self.kept = self._view()
        self.say(_("kept; now change a setting"))

    def _on_forget(self) -> None:
        self.kept = None
        self.say(_("only the present run is shown"))

    # --- work and picture ---

    @property
    def target(self) -> int:
        """The step at which the training ends."""
        return self._value("steps")

    def work(self) -> bool:
        """Steps towards the last one, for one slice of time."""
        if not self._behind():
            return False
        end = time.monotonic() + self.slice
        self._advance()
        while self._behind() and time.monotonic() < end:
            self._advance()
        self._tell()
        return self._behind()

    def _behind(self) -> bool:
        return self.diverged is None and self.run_now.step < self.target

    def _advance(self) -> None:
        step = self.run_now.step + 1
        try:
            next(self.run_now)
        except NotFiniteError:  # an answer to the reader's choice, not a fault
            self.diverged = step

    def _tell(self) -> None:
        if self.diverged is not None:
            text = _("diverged at step {step}: the loss is no number any more")
            self.say(text.format(step=self.diverged))
        elif self._behind():
            self.say(_("training"))
        else:
            self.say(_("trained to step {step}").format(step=self.run_now.step))

    def steps(self, count: int) -> None:
        """Train to the step that the control asks for, and so many further."""
        self.show_values({"steps": min(self.target + count, LAST)})
        while self._behind():
            self._advance()
        self._tell()

    def _view(self) -> PipelineView:
        run = self.run_now
        return PipelineView(
            step=run.step,
            last=self.target,
            history={name: column.numpy() for name, column in run.history.items()},
            now={name: value.item() for name, value in run.measure().items()},
            diverged=self.diverged,
            **self._facts,
        )

    def compute(self) -> dict[str, PipelineView]:
        """What the picture shows: the present run, and the kept one if there is one."""
        return {"now": self._view(), **({"kept": self.kept} if self.kept else {})}

    def draw(self, data: dict[str, PipelineView]) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


_LEARNING = tuple(field.name for field in dataclasses.fields(TableSettings))
_PREPARATION = ("data", "scaling", "keep", "leak", "validation", "test")
SETTINGS = (*_PREPARATION, "optimizer", *_LEARNING, "width", "seed", "steps")
_BUTTONS = {"keep_run": "Keep for comparison", "forget": "Forget"}


def _controls() -> dict[str, ipywidgets.Widget]:
    choice, ints = ipywidgets.Dropdown, ipywidgets.IntSlider
    logs, picks = ipywidgets.FloatLogSlider, ipywidgets.SelectionSlider
    first = TableSettings(lr=0.1)
    share = {"value": 20, "min": 5, "max": 45, "step": 5, "continuous_update": False}

    def choices(names) -> list[tuple[str, str]]:
        return [(_(name), name) for name in names]

    kept = [(_(ALL), ALL), *((str(count), count) for count in (2, 5, 10, 20, 50, 200))]
    return {
        "data": described(choice, "data", options=choices(TABLES)),
        "scaling": described(choice, "scaling", options=choices(SCALINGS), value="standardised"),
        "keep": described(choice, "features kept", options=kept),
        "leak": described(
            ipywidgets.Checkbox, "leak: prepare with all rows", value=False, indent=False
        ),
        "validation": described(ints, "validation rows, %", **share),
        "test": described(ints, "test rows, %", **share),
        "optimizer": described(choice, "optimiser", options=list(OPTIMIZERS), value="SGD"),
        "lr": described(
            logs, "learning rate", value=first.lr, base=10, min=-6, max=2, readout_format=".1e"
        ),
        "weight_decay": described(
            picks,
            "weight decay",
            options=[0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0],
            value=first.weight_decay,
        ),
        "batch_size": described(
            picks,
            "rows a step",
            options=[2**power for power in range(10)],
            value=first.batch_size,
        ),
        "width": described(
            picks, "hidden units", options=[0, 2, 4, 8, 16, 32, 64, 128, 256], value=16
        ),
        "seed": described(ipywidgets.BoundedIntText, "seed", value=0, min=0, max=2**31 - 1),
        "steps": described(ints, "steps", value=300, min=1, max=LAST, layout={"width": "400px"}),
        **{name: button(text) for name, text in _BUTTONS.items()},
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    def pick(*names: str) -> list[ipywidgets.Widget]:
        return [controls[name] for name in names]

    wrap = {"flex_flow": "row wrap"}
    columns = [
        pick("data", "scaling", "keep", "leak"),
        pick("validation", "test", "seed", "width"),
        pick("optimizer", "lr", "weight_decay", "batch_size"),
    ]
    return [
        ipywidgets.HBox([ipywidgets.VBox(column) for column in columns], layout=wrap),
        ipywidgets.HBox(pick("steps", *_BUTTONS), layout=wrap),
    ]
