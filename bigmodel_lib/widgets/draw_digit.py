"""DrawDigit: draw a digit, and see what the network reads and which ink it depends on."""

from dataclasses import dataclass

import ipywidgets
import numpy as np
import torch
from torch import Tensor, nn

from bigmodel_lib.attribution import METHODS, attribute, fits
from bigmodel_lib.cached.vision import RecogniserCNN, RecogniserViT
from bigmodel_lib.data.digits import LabelledImages
from bigmodel_lib.data.strokes import parse_strokes, strokes_to_image
from bigmodel_lib.language import _
from bigmodel_lib.widgets.base import Explorer, RefusedError, button, described
from bigmodel_lib.widgets.draw_digit_picture import DrawDigitPicture, DrawDigitView
from bigmodel_lib.widgets.draw_pad import DrawPad
from bigmodel_lib.widgets.images import images_for

PREDICTED = -1  # explain the class that the network gives


@dataclass(frozen=True, eq=False)
class _Page:
    """What is drawn: strokes (n, 2) each, on a test digit (1, 1, 28, 28) or on nothing."""

    strokes: list[np.ndarray]
    digit: Tensor | None = None
    name: str = ""


class DrawDigit(Explorer):
    """Draw on the pad; the network's answer and an attribution map follow the pen.

    Left the pad, then what the network sees of it, the map, and the ten probabilities.

    Args:
        models: by name, images (B, 1, 28, 28) in [-1, 1] → scores (B, 10), in evaluation mode;
            the cached CNN and Vision Transformer if not given.
        recipe: what the controls say first, such as `method="occlusion"` or `index=7`.

    Raises:
        ValueError: a recipe that names no control, or a combination that cannot be.
        CheckpointError: no cached model, if none was given.
    """

    def __init__(self, models: dict[str, nn.Module] | None = None, **recipe):
        self.models = _cached_models() if models is None else models
        controls = _controls(tuple(self.models), images_for("index", "digits", "test"))
        for name, value in recipe.items():
            if name not in controls:
                raise ValueError(f"need settings in {tuple(controls)}, got {name!r}")
            controls[name].value = value
        self.controls = controls
        self._asked = self._check_method("method")
        self._page = self._load()
        self._picture = DrawDigitPicture()
        super().__init__(controls, _rows(controls))
        controls["pad"].layout.flex = "0 0 auto"
        self.picture.layout.flex, self.picture.layout.min_width = "1 1 0", "340px"
        layout = {"flex_flow": "row wrap", "align_items": "flex-start"}  # below it on a phone
        beside = ipywidgets.HBox([controls["pad"], self.picture], layout=layout)
        self.children = (*self.children[:-3], self.status, beside, self.summary)
        self._show_page()
        self.apply("pen")
        self.say(_("draw on the black square, or choose a test digit and add to it"))

    # --- from controls to what is shown

    def _value(self, name: str):
        return self.controls[name].value

    def _check_method(self, moved: str) -> tuple[str, str]:
        network, method = self._value("network"), self._value("method")
        if not fits(self.models[network], method):
            text = _("{method} needs convolutions, and {network} has none")
            raise RefusedError(moved, text.format(method=_(method), network=network))
        return network, method

    def _load(self) -> _Page:
        digits, index = images_for("index", "digits", "test"), self._value("index")
        text = _("test digit {index}, a {label}")
        name = text.format(index=index, label=int(digits.labels[index]))
        return _Page([], digits.images[index : index + 1], name)

    def apply(self, name: str) -> None:
        """Take over a control's value, or obey a button."""
        if name == "pad":
            try:
                strokes = parse_strokes(self._value("pad"))
            except ValueError as error:
                raise RefusedError("pad", str(error)) from error
            self._page = _Page(strokes, self._page.digit, self._page.name)
        elif name in ("network", "method"):
            self._asked = self._check_method(name)
            self.accept("network", "method")  # they were checked together
        elif name in ("index", "load", "clear"):
            self._page = _Page([]) if name == "clear" else self._load()
            self._show_page()
            self.accept("pad")
        elif name == "pen":
            self.controls["pad"].pen = self._value("pen") / 100

    def _show_page(self) -> None:
        pad = self.controls["pad"]
        pad.show(self._page.digit)
        self.show_values({"pad": pad.value})  # a page without strokes is no news

    # --- picture

    def compute(self) -> DrawDigitView:
        """What the picture shows."""
        network, method = self._asked
        model, page = self.models[network], self._page
        image = strokes_to_image(page.strokes, self._value("pen") / 100, page.digit)
        with torch.no_grad():
            probabilities = model(image)[0].softmax(dim=0)
        explained = self._value("explained")
        if explained == PREDICTED:
            explained = int(probabilities.argmax())
        return DrawDigitView(
            image=image[0, 0].numpy(),
            probabilities=probabilities.numpy(),
            explained=explained,
            map=attribute(model, image, torch.tensor([explained]), method)[0].numpy(),
            method=method,
            network=network,
            page=page.name if page.digit is not None else "",
            strokes=len(page.strokes),
        )

    def draw(self, data: DrawDigitView) -> str:
        """Bring the picture up to date; returns what it shows in words."""
        return self._picture.draw(data)

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        return self._picture.canvas.png()


def _cached_models() -> dict[str, nn.Module]:
    return {"CNN": RecogniserCNN().load()[0], "ViT": RecogniserViT().load()[0]}


def _controls(networks: tuple[str, ...], digits: LabelledImages) -> dict[str, ipywidgets.Widget]:
    classes = [(_("the predicted one"), PREDICTED), *((str(n), n) for n in range(10))]
    methods = [(_(name), name) for name in METHODS]
    return {
        "pad": DrawPad(),
        "network": described(ipywidgets.Dropdown, "network", options=networks),
        "method": described(
            ipywidgets.Dropdown, "method", options=methods, value="integrated gradients"
        ),
        "explained": described(
            ipywidgets.Dropdown, "digit explained", options=classes, value=PREDICTED
        ),
        "pen": described(
            ipywidgets.IntSlider, "pen width, %", value=16, min=4, max=30
        ),
        "index": described(
            ipywidgets.BoundedIntText, "test digit", value=18, min=0, max=len(digits) - 1,
            layout={"width": "150px"},
        ),
        "load": button("show it"),
        "clear": button("clear the page"),
    }  # fmt: skip


def _rows(controls: dict[str, ipywidgets.Widget]) -> list[ipywidgets.Widget]:
    digit = ipywidgets.HBox([controls["index"], controls["load"]])
    columns = [
        [controls["network"], controls["method"]],
        [controls["explained"], controls["pen"]],
        [digit, controls["clear"]],
    ]
    boxes = [ipywidgets.VBox(column) for column in columns]
    return [ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap"})]
