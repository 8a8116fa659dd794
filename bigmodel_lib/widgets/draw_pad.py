"""A square in the page to draw on, by mouse, touch or pen, or by the keyboard."""

from pathlib import Path

import anywidget
import traitlets
from torch import Tensor

from bigmodel_lib.attribution import to_ink
from bigmodel_lib.language import _

HERE = Path(__file__).parent


class DrawPad(anywidget.AnyWidget):
    """White strokes on black, on an empty page or on an image.

    Attributes:
        value: strokes, lists of points [x, y], 0 to 1 from the left and from the top. Whatever
            the page sends arrives here unchecked; `parse_strokes` checks it.
        pen: width, in sides of the square.
        backdrop: ink of the image below, 28 by 28 bytes, or none.
        wipes: how often the strokes were taken away from here; a page in the middle of a stroke
            then keeps that one only.
    """

    _esm = HERE / "draw_pad.js"
    _css = HERE / "draw_pad.css"
    value = traitlets.Any().tag(sync=True)  # Any: a wrong type must reach the status line
    pen = traitlets.Float(0.16).tag(sync=True)
    backdrop = traitlets.Bytes().tag(sync=True)
    wipes = traitlets.Int(0).tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    words = traitlets.Dict().tag(sync=True)

    def __init__(self):
        super().__init__(value=[], description=_("drawing"), words=_words())

    def show(self, image: Tensor | None) -> None:
        """Take the strokes away, and show an image (1, 1, 28, 28) in [-1, 1] or an empty page."""
        grey = b"" if image is None else (to_ink(image) * 255).round().byte().numpy().tobytes()
        with self.hold_sync():
            self.backdrop, self.value, self.wipes = grey, [], self.wipes + 1


def _words() -> dict[str, str]:
    return {
        "label": _(
            "drawing pad: draw with mouse, finger or pen; or move with the arrow keys, with shift "
            "by four, press space to lower or lift the pen, backspace to take back a stroke, "
            "delete to clear"
        ),
        "hint": _(
            "draw here · keys: arrows move (shift: by four), space lowers and lifts the pen, "
            "backspace takes back, delete clears"
        ),
        "place": _("column {x}, row {y} of 28"),
        "down": _("pen down"),
        "up": _("pen up"),
        "strokes": _("strokes: {count}"),
    }
