"""ResourceCalculator: model, text and hardware → memory, days, money, energy and CO₂."""

import ipywidgets

from bigmodel_lib.costs import DEVICES, PUBLISHED, Training
from bigmodel_lib.language import _
from bigmodel_lib.widgets.base import Explorer, RefusedError, described, powers
from bigmodel_lib.widgets.resource_calculator_picture import ResourcePicture, ResourceView

OWN = "your own"
# A page shows a number at the nearest step of its slider, and reports that back.
STEPS = {"utilisation": 0.0001, "watts": 1, "pue": 0.01, "grid": 0.001, "price": 0.05}
NAMES = ("N", "D", "device", "n", "utilisation", "watts", "pue", "grid", "price")


class ResourceCalculator(Explorer):
    """Choose a model, its text and its hardware; see what the training costs, and why.

    Args:
        choice: what the controls say first, such as `preset="GPT-3, 175 B"`, or `N=7e9, n=64`.

    Raises:
        ValueError: a choice that names no control, or values that cannot be.
    """

    def __init__(self, **choice):
        self.controls = controls = _controls(choice)
        for name in choice:
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
        controls["preset"].value = choice.get("preset", "LLaMA, 65 B")
        first = _values(controls["preset"].value) if controls["preset"].value != OWN else {}
        for name, value in (first | choice).items():
            controls[name].value = value
        self._training = self._read()
        controls["preset"].value = _name_of(self._training)
        self._picture = ResourcePicture()
        super().__init__(controls, _rows(controls))

    def apply(self, name: str) -> None:
        """Take over a control's value; a device brings its own watts."""
        preset = self.controls["preset"].value
        if name == "preset" and preset != OWN:
            self.show_values(_values(preset))
        if name == "device":
            self.show_values({"watts": DEVICES[self.controls["device"].value].watts})
        self._training = self._read()
        self.show_values({"preset": _name_of(self._training)})
        self.accept(*self.controls)  # they were checked together

    def _read(self) -> Training:
        training = Training(**{name: self.controls[name].value for name in NAMES})
        published = PUBLISHED.get(_name_of(training))
        training = published.training if published else training
        if training.n < training.fewest:
            reason = _(
                "{n:,} × {device} hold {has:,.0f} GB, the training state takes {needs:,.0f} GB: "
                "needs {fewest:,} at least"
            )
            has = training.n * DEVICES[training.device].memory / 1e9
            needs = training.n * training.memory / 1e9
            raise RefusedError("n", reason.format(
                n=training.n, device=training.device, has=has, needs=needs, fewest=training.fewest
            ))  # fmt: skip
        return training

    def compute(self) -> ResourceView:
        """What the picture shows."""
        name = self.controls["preset"].value
        return ResourceView(self._training, None if name == OWN else PUBLISHED[name])

    def draw(self, data: ResourceView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _values(preset: str) -> dict[str, object]:
    training = PUBLISHED[preset].training
    return {name: getattr(training, name) for name in NAMES}


def _name_of(training: Training) -> str:
    return next((name for name, one in PUBLISHED.items() if _same(training, one.training)), OWN)


def _same(one: Training, other: Training) -> bool:
    """Equal, as far as the sliders' steps can tell."""
    return all(
        abs(getattr(one, name) - getattr(other, name)) <= STEPS[name] / 2
        if name in STEPS
        else getattr(one, name) == getattr(other, name)
        for name in NAMES
    )


def _controls(choice: dict[str, object]) -> dict[str, ipywidgets.Widget]:
    pick, menu = ipywidgets.SelectionSlider, ipywidgets.Dropdown
    later = {"continuous_update": False}
    runs = [one.training for one in PUBLISHED.values()]
    counts = sorted({2**power for power in range(16)} | {run.n for run in runs})

    def sizes(name: str, low: int, high: int) -> list[tuple[str, float]]:
        given = [choice[name]] if name in choice else []
        return powers(low, high, 20, *(getattr(run, name) for run in runs), *given)

    def number(name: str, text: str, low: float, high: float, readout: str) -> ipywidgets.Widget:
        range_ = {"min": low, "max": high, "step": STEPS[name], "readout_format": readout}
        return described(ipywidgets.FloatSlider, text, **range_)

    return {
        "preset": described(
            menu, "published run", options=[(_(OWN), OWN), *((name, name) for name in PUBLISHED)]
        ),
        "N": described(pick, "parameters N", options=sizes("N", 6, 13)),
        "D": described(pick, "tokens D", options=sizes("D", 8, 14)),
        "device": described(menu, "device", options=[(name, name) for name in DEVICES]),
        "n": described(
            pick, "devices n", options=[(f"{count:,}", count) for count in counts], **later
        ),
        "utilisation": number("utilisation", "utilisation", 0.01, 0.8, ".1%"),
        "watts": number("watts", "watts a device", 50, 1500, ".0f"),
        "pue": number("pue", "PUE", 1, 2, ".2f"),
        "grid": number("grid", "grid, kg CO₂/kWh", 0, 1, ".3f"),
        "price": number("price", "price, $ an hour", 0, 20, ".2f"),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [
        ("preset", "N", "D"),
        ("device", "n", "utilisation"),
        ("watts", "pue", "grid", "price"),
    ]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
