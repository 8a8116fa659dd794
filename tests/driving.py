"""How tests move an explorer's controls, without a kernel and as its loop would."""

import io

import ipywidgets
import matplotlib.image
import numpy as np

PNG = b"\x89PNG"
MOST = 40  # options of a control; of a longer list every second or third one


def values_of(control: ipywidgets.Widget) -> list:
    """Values over a control's whole range: its options, both states, or ends and middle."""
    if isinstance(control, ipywidgets.Dropdown | ipywidgets.SelectionSlider | ipywidgets.Select):
        values = [value for _, value in control._options_full]
        return [*values[: -1 : 1 + len(values) // MOST], values[-1]]
    if isinstance(control, ipywidgets.Checkbox | ipywidgets.ToggleButton):
        return [not control.value, control.value]
    if isinstance(control, ipywidgets.FloatLogSlider):
        return [
            control.base**e for e in (control.min, (control.min + control.max) / 2, control.max)
        ]
    if isinstance(control, ipywidgets.IntRangeSlider | ipywidgets.FloatRangeSlider):
        middle = (control.min + control.max) // 2
        return [(control.min, middle), (middle, control.max), (control.min, control.max)]
    middle = (control.min + control.max) / 2
    is_float = isinstance(control, ipywidgets.FloatSlider | ipywidgets.BoundedFloatText)
    return [control.min, middle if is_float else int(middle), control.max]


def drive(explorer, name: str) -> None:
    """Move one control over its range and back: pictures are drawn, and not all are the same."""
    control, seen = explorer.controls[name], set()
    before = control.value
    for value in values_of(control):
        control.value = value
        explorer.run()
        assert explorer.error is None
        assert bytes(explorer.picture.value).startswith(PNG)
        seen.add(bytes(explorer.picture.value))
    assert len(seen) > 1
    control.value = before


def pixels(explorer) -> np.ndarray:
    """RGB of an explorer's picture (height, width, 3), 0 to 255."""
    file = io.BytesIO(explorer.picture.value)
    return 255 * matplotlib.image.imread(file, format="png")[..., :3]


def cell(explorer, ax, at: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """RGB in the middle of a cell (row from the top, column) of a table that fills the axes."""
    box = ax.bbox
    across = box.x0 + (at[1] + 0.5) / shape[1] * box.width
    upwards = box.y1 - (at[0] + 0.5) / shape[0] * box.height
    return pixels(explorer)[::-1][int(upwards), int(across)]


def click(explorer, *names: str) -> None:
    """Press buttons, in this order."""
    for name in names:
        explorer.controls[name].click()


def tick(explorer, times: int = 1) -> None:
    """What the kernel's loop does between two messages, so many times."""
    for _ in range(times):
        explorer._tick()


def settle(explorer) -> None:
    """Ticks until there is nothing to do, as in the kernel's loop."""
    for _ in range(1000):
        if not explorer._tick():
            return
    raise AssertionError("the explorer never rests")
