"""What every explorer shares: controls, a picture, a line that says what it shows, a status.

The design follows from how Jupyter delivers messages. Sliders and buttons may arrive in other
threads than the one that runs cells, several at once. So an observer only notes which control
moved; one asyncio task on the kernel's main loop does the work in small slices, draws, and
gives way to the kernel between two slices. It ends when there is nothing to do.
"""

import asyncio
import base64
import html
import time
from collections import deque
from collections.abc import Mapping

import ipywidgets
from ipywidgets import Widget

from bigmodel_lib.language import _

SLICE = 0.020  # seconds of work between two looks at the kernel's messages
FIRST = 0.005  # of the first slice after a change, whose picture a reader waits for
FRAME = 1 / 12  # seconds between two pictures, at least
SHARE = 0.12  # of the time that drawing may take from the work, at most
GOOD, BAD = "#1b7837", "#b2182b"


class RefusedError(ValueError):
    """A setting that cannot be; says which control, and why."""

    def __init__(self, control: str, reason: str):
        super().__init__(reason)
        self.control, self.reason = control, reason


class Explorer(ipywidgets.VBox):
    """Base class of the explorers.

    A subclass builds its controls, calls `super().__init__`, and defines

    - `apply(name)`: take over a control's value, or obey a button; raise RefusedError for what
      cannot be, and change nothing then;
    - `work()`: at most `self.slice` seconds of steps; returns whether there is more to do;
    - `compute()`: what the picture shows, as plain data;
    - `draw(data)`: bring the picture's artists up to date; returns the summary line;
    - `render()`: the PNG bytes.

    Args:
        controls: ipywidgets controls by name. Those with a value are observed, buttons listened
            to; controls named in `passive` are only read.
        layout_rows: what is shown, from top to bottom, around the picture.

    Attributes:
        controls, picture, summary, status: the parts that a reader sees.
        error: the last exception, or None.
        breath: seconds to wait between two slices of work.
        slice: seconds that the present slice may take.
    """

    breath = 0.0
    slice = SLICE

    def __init__(
        self,
        controls: dict[str, Widget],
        layout_rows: list[Widget],
        passive: tuple[str, ...] = (),
    ):
        self.controls = controls
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.summary = ipywidgets.HTML()
        self.status = ipywidgets.HTML()
        self.error: Exception | None = None
        self._wishes: deque[str] = deque()
        self._refused: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None
        self._next_frame = 0.0
        self._note = ""
        for name in controls.keys() - set(passive):
            self._listen(name, controls[name])
        rows = [*layout_rows, self.status, self.picture, self.summary]
        super().__init__(rows, layout={"max_width": "1000px"})
        self._show()

    # --- what a subclass defines ---

    def apply(self, name: str) -> None:
        """Take over the value of a control, or obey a button."""

    def work(self) -> bool:
        """At most `self.slice` seconds of work; whether there is more to do."""
        return False

    def compute(self):
        """What the picture shows, as plain data."""

    def draw(self, data) -> str:
        """Bring the picture's artists up to date; returns the line that says what they show."""
        raise TypeError(f"{type(self).__name__} must define draw()")

    def render(self) -> bytes:
        """The picture as PNG bytes."""
        raise TypeError(f"{type(self).__name__} must define render()")

    def steps(self, count: int) -> None:
        """Take so many steps at once, for `run`."""

    # --- from controls to wishes: any thread ---

    def _listen(self, name: str, control: Widget) -> None:
        def wish(_change):
            self._wishes.append(name)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._start)

        if isinstance(control, ipywidgets.Button):
            control.on_click(wish)
        else:
            control.observe(wish, "value")

    def show_values(self, values: Mapping[str, object]) -> None:
        """Let controls say what is so; what they wish for is then nothing new."""
        for name, value in values.items():
            self.controls[name].value = value
            while name in self._wishes:
                self._wishes.remove(name)

    # --- from wishes to pictures: the kernel's main loop ---

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._go_on())

    async def _go_on(self) -> None:
        while self._tick():
            await asyncio.sleep(self.breath)

    def _tick(self) -> bool:
        try:
            moved = self._apply_wishes()
            self.slice = FIRST if moved else SLICE
            busy = self.work()
            if moved or not busy or time.monotonic() >= self._next_frame:
                self._show()
        except Exception as error:  # shown to the reader and kept: nobody awaits this task
            self.fail(error)
            busy = False
        return busy or bool(self._wishes)

    def _apply_wishes(self) -> bool:
        """Obey what was wished, in order; of a slider's many values only the last counts."""
        moved = bool(self._wishes)
        while self._wishes:
            name = self._wishes.popleft()
            if name not in self._wishes or isinstance(self.controls[name], ipywidgets.Button):
                self._apply_one(name)
        return moved

    def _apply_one(self, name: str) -> None:
        try:
            self.apply(name)
        except RefusedError as refusal:
            self._mark(refusal.control, refusal.reason)
        else:
            self.error = None
            self.accept(name)

    def _mark(self, name: str, reason: str) -> None:
        self._refused[name] = reason
        self.controls[name].layout.border = f"2px solid {BAD}"
        self._say()

    def accept(self, *names: str) -> None:
        """These controls hold values that can be: none of them is red."""
        for name in names:
            self._refused.pop(name, None)
            self.controls[name].layout.border = None
        self._say()

    def fail(self, error: Exception) -> None:
        """Show an error in the status line, and keep it."""
        self.error = error
        self._say()

    def say(self, note: str) -> None:
        """Show the state in the status line."""
        self._note = note
        self._say()

    def _say(self) -> None:
        lines = [(f"{self._name(name)}: {why}", BAD) for name, why in self._refused.items()]
        if self.error is not None:
            lines.append((f"{type(self.error).__name__}: {self.error}", BAD))
        lines.append((self._note, GOOD))
        self.status.value = "<br>".join(
            f'<span style="color:{colour}">{html.escape(text)}</span>' for text, colour in lines
        )

    def _name(self, name: str) -> str:
        return getattr(self.controls[name], "description", "") or name

    def _show(self) -> None:
        start = time.monotonic()
        summary = self.draw(self.compute())
        self.picture.value = self.render()
        self.summary.value = html.escape(summary)
        took = time.monotonic() - start
        self._next_frame = start + max(FRAME, took / SHARE)

    # --- for programs ---

    def run(self, steps: int = 0) -> None:
        """Obey the controls, take steps, draw; without a kernel, and raising what went wrong.

        Args:
            steps: training steps, for an explorer that trains.

        Raises:
            RefusedError: a control holds a value that cannot be.
            Exception: whatever the work raised.
        """
        while self._wishes:
            self._apply_one(self._wishes.popleft())
        for name, reason in self._refused.items():
            raise RefusedError(name, reason)
        self.error = None
        self.steps(steps)
        self._show()
        self._say()

    def _repr_mimebundle_(self, include=None, exclude=None):
        """The live view, and beside it a still picture for wherever no kernel runs."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:  # displayed by a plain program: a still is all it can show
            self._loop = None
        bundle = dict(super()._repr_mimebundle_(include=include, exclude=exclude))
        bundle["image/png"] = base64.b64encode(self.picture.value).decode()
        bundle["text/plain"] = f"{type(self).__name__}: {html.unescape(self.summary.value)}"
        return bundle, {"image/png": {"alt": html.unescape(self.summary.value)}}


def described(control: type[Widget], description: str, **traits) -> Widget:
    """A control whose whole description shows, and which reports a change once it is made."""
    style = {"description_width": "initial"}
    layout = traits.pop("layout", {"width": "285px"})
    return control(description=_(description), style=style, layout=layout, **traits)


def powers(low: int, high: int, a_decade: int, *more: float) -> list[tuple[str, float]]:
    """Options of a slider from 10^low to 10^high that also offers the numbers given.

    A FloatLogSlider reports the step next to what it is given, as soon as a page shows it; these
    options stay what they are.

    Args:
        low, high: exponents of ten.
        a_decade: steps to each factor of ten.
        more: values between the steps.

    Raises:
        ValueError: one of `more` lies outside.
    """
    for value in more:
        if not 10.0**low <= value <= 10.0**high:
            raise ValueError(f"need a number from 1e{low} to 1e{high}, got {value:g}")
    steps = range(low * a_decade, high * a_decade + 1)
    values = {10.0 ** (step / a_decade) for step in steps} | set(more)
    return [(f"{value:.3g}", value) for value in sorted(values)]


def button(text: str, kind: type[Widget] = ipywidgets.Button) -> Widget:
    """A button, a ToggleButton or a FileUpload, as wide as its text."""
    return kind(description=_(text), layout={"width": "auto"})
