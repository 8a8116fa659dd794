"""ModelBuilder: a GPT of the reader's own sizes, and what it costs, counted by formula."""

import ipywidgets

from bigmodel_lib.counting import (
    BYTES_TO_TRAIN,
    count_parameters,
    forward_flops,
    serving_memory,
    training_memory,
)
from bigmodel_lib.language import _
from bigmodel_lib.models.transformer import PRESETS, GPTConfig
from bigmodel_lib.widgets.base import Explorer, RefusedError, described
from bigmodel_lib.widgets.model_builder_picture import BuildView, Costs, ModelBuilderPicture

SIZES = ("L", "D", "H", "V", "T")
OWN = "your own"
# Bytes of a weight, and of a number in the cache of keys and values
TO_SERVE = {"float32": (4, 4), "16 bit": (2, 2), "8-bit weights": (1, 2)}


class ModelBuilder(Explorer):
    """Choose the five sizes of a GPT, and see parameters, memory and FLOPs, all by formula.

    Args:
        choice: what the controls say first, such as `preset="GPT-3 175B"`, or `L=6, D=384, H=6`.

    Raises:
        ValueError: a choice that names no control, or sizes that cannot be.
    """

    def __init__(self, **choice):
        self.controls = controls = _controls()
        for name in choice:
            if name not in controls:
                raise ValueError(f"need choices in {tuple(controls)}, got {name!r}")
        controls["preset"].value = choice.get("preset", "GPT-2 small")
        first = _sizes(controls["preset"].value) if controls["preset"].value != OWN else {}
        for name, value in (first | choice).items():
            controls[name].value = value
        self._config = self._read_config()
        controls["preset"].value = _name_of(self._config)
        self._picture = ModelBuilderPicture(list(PRESETS))
        super().__init__(controls, _rows(controls))

    def apply(self, name: str) -> None:
        """Take over a control's value."""
        if name == "preset" and self.controls["preset"].value != OWN:
            self.show_values(_sizes(self.controls["preset"].value))
        self._config = self._read_config()
        self.show_values({"preset": _name_of(self._config)})
        self.accept(*self.controls)  # they were checked together

    def _read_config(self) -> GPTConfig:
        sizes = {name: self.controls[name].value for name in SIZES}
        if sizes["D"] % sizes["H"]:
            reason = _("{H} heads do not divide the width {D}: each needs an equal part of it")
            raise RefusedError("H", reason.format(**sizes))
        return GPTConfig(**sizes)

    def compute(self) -> BuildView:
        """What the picture shows."""
        B = self.controls["B"].value
        how = B, self.controls["train"].value, self.controls["serve"].value
        known = {name: costs_of(config, *how) for name, config in PRESETS.items()}
        return BuildView(costs=costs_of(self._config, *how), known=known, B=B)

    def draw(self, data: BuildView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def costs_of(config: GPTConfig, B: int, train: str, serve: str) -> Costs:
    """What a model costs.

    Args:
        config: its sizes.
        B: sequences of full length that are served at once.
        train: a precision in `counting.BYTES_TO_TRAIN`.
        serve: a name in TO_SERVE.
    """
    parameters = count_parameters(config)
    weight_bytes, cache_bytes = TO_SERVE[serve]
    return Costs(
        config=config,
        parameters=parameters,
        training=training_memory(parameters.total, train),
        serving=serving_memory(config, B, weight_bytes=weight_bytes, cache_bytes=cache_bytes),
        flops=forward_flops(config),
    )


def _sizes(preset: str) -> dict[str, int]:
    return {name: getattr(PRESETS[preset], name) for name in SIZES}


def _name_of(config: GPTConfig) -> str:
    return next((name for name, known in PRESETS.items() if known == config), OWN)


def _controls() -> dict[str, ipywidgets.Widget]:
    ints, ladder, choice = ipywidgets.IntSlider, ipywidgets.SelectionSlider, ipywidgets.Dropdown
    widths = {64, 128, 192, 256, 384, 512, 640, 3072, 6144, 8192, 16384}
    widths |= {config.D for config in PRESETS.values()}
    vocabularies = {2**power for power in range(8, 19)} | {config.V for config in PRESETS.values()}
    names = [(_(name), name) for name in BYTES_TO_TRAIN]
    return {
        "preset": described(choice, "start from", options=[(_(OWN), OWN), *_same(PRESETS)]),
        "L": described(ints, "layers L", value=12, min=1, max=128),
        "D": described(ladder, "width D", options=_thousands(widths)),
        "H": described(ints, "heads H", value=12, min=1, max=128),
        "V": described(ladder, "vocabulary V", options=_thousands(vocabularies)),
        "T": described(ladder, "context T", options=_thousands(2**p for p in range(6, 18))),
        "B": described(ladder, "sequences served at once", options=[2**p for p in range(9)]),
        "train": described(choice, "train in", options=names, value="mixed"),
        "serve": described(
            choice, "serve in", options=[(_(n), n) for n in TO_SERVE], value="16 bit"
        ),
    }


def _same(names) -> list[tuple[str, str]]:
    return [(name, name) for name in names]  # a proper name is the same in every language


def _thousands(values) -> list[tuple[str, int]]:
    return [(f"{value:,}", value) for value in sorted(values)]


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    columns = [("preset", "train", "serve"), ("L", "D", "H"), ("V", "T", "B")]
    boxes = [ipywidgets.VBox([controls[name] for name in column]) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
