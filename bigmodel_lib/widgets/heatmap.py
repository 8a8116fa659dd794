"""A heatmap in the page whose cells tell their values, by mouse and by keyboard."""

from pathlib import Path

import anywidget
import numpy as np
import traitlets

from bigmodel_lib.language import _

HERE = Path(__file__).parent


class Heatmap(anywidget.AnyWidget):
    """Values 0 to 1 as a grid; hover over a cell, or move with the arrow keys, to read it."""

    _esm = HERE / "heatmap.js"
    _css = HERE / "heatmap.css"
    values = traitlets.Bytes().tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    masked = traitlets.Unicode().tag(sync=True)

    def __init__(self):
        hint = _("hover over a cell, or focus the grid and use the arrow keys")
        super().__init__(hint=hint, masked=_("masked"))

    def show(self, values, rows: list[str], columns: list[str], title: str) -> None:
        """Show values (T, S), NaN where masked, under the names of T rows and S columns.

        Raises:
            ValueError: as many names as rows and columns are needed.
        """
        values = np.asarray(values, dtype=np.float32)
        if values.shape != (len(rows), len(columns)):
            raise ValueError(
                f"need values ({len(rows)}, {len(columns)}) for the names given, got {values.shape}"
            )
        with self.hold_sync():  # one message, or the page would draw half a change
            self.values, self.rows, self.columns = values.tobytes(), rows, columns
            self.title = title
