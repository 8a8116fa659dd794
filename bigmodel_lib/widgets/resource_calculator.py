"""ResourceCalculator: model, text and hardware → memory, days, money, energy and CO₂."""

import ipywidgets

from bigmodel_lib.costs import DEVICES, PUBLISHED, Training
from bigmodel_lib.language import _
from bigmodel_lib.widgets.base import Explorer, RefusedError, described
from bigmodel_lib.widgets.resource_calculator_picture import ResourcePicture, ResourceView

OWN = "your own"
NAMES = ("N", "D", "device", "n", "utilisation", "watts", "pue", "grid", "price")


class ResourceCalculator(Explorer):
    """Choose a model, its text and its hardware; see what the training costs, and why.

    Args:
        choice: what the controls say first, such as `preset="GPT-3, 175 B"`, or `N=7e9, n=64`.

    Raises:
        ValueError: a choice that names no control, or values that cannot be.
    """

    def __init__(self, **choice):
        self.controls = controls = _controls()
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
    return next((name for name, one in PUBLISHED.items() if one.training == training), OWN)


def _controls() -> dict[str, ipywidgets.Widget]:
    power, number, choice = ipywidgets.FloatLogSlider, ipywidgets.FloatSlider, ipywidgets.Dropdown
    counts = {2**power for power in range(16)} | {one.training.n for one in PUBLISHED.values()}
    later = {"continuous_update": False}
    return {
        "preset": described(
            choice, "published run", options=[(_(OWN), OWN), *((name, name) for name in PUBLISHED)]
        ),
        "N": described(power, "parameters N", min=6, max=13, step=0.05, readout_format=".3s"),
        "D": described(power, "tokens D", min=8, max=14, step=0.05, readout_format=".3s"),
        "device": described(choice, "device", options=[(name, name) for name in DEVICES]),
        "n": described(
            ipywidgets.SelectionSlider,
            "devices n",
            options=[(f"{count:,}", count) for count in sorted(counts)],
            **later,
        ),
        "utilisation": described(
            number, "utilisation", min=0.01, max=0.8, step=0.0001, readout_format=".1%"
        ),
        "watts": described(
            number, "watts a device", min=50, max=1500, step=1, readout_format=".0f"
        ),
        "pue": described(number, "PUE", min=1, max=2, step=0.01),
        "grid": described(
            number, "grid, kg CO₂/kWh", min=0, max=1, step=0.001, readout_format=".3f"
        ),
        "price": described(number, "price, $ an hour", min=0, max=20, step=0.05),
    }


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [
        ("preset", "N", "D"),
        ("device", "n", "utilisation"),
        ("watts", "pue", "grid", "price"),
    ]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
