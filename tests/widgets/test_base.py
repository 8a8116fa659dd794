"""What every explorer shares, shown on the smallest one."""

import asyncio
import threading

import ipywidgets
import pytest

from bigmodel_lib.widgets.base import FIRST, SLICE, Explorer, RefusedError, button


class Square(Explorer):
    """Shows the square of a number; refuses 13; breaks at 7; counts when playing."""

    def __init__(self):
        self.seen, self.count, self.playing = [], 0, False
        controls = {
            "number": ipywidgets.IntSlider(value=2, min=0, max=100, description="number"),
            "play": ipywidgets.Button(description="Play"),
            "quiet": ipywidgets.Checkbox(),
        }
        super().__init__(controls, list(controls.values()), passive=("quiet",))

    def apply(self, name):
        if name == "play":
            self.playing = True
        elif self.controls["number"].value == 13:
            raise RefusedError("number", "13 brings bad luck")
        else:
            self.seen.append(self.controls["number"].value)

    def work(self):
        if self.playing:
            self.steps(1)
        self.playing = self.playing and self.count < 5
        return self.playing

    def steps(self, count):
        if self.seen and self.seen[-1] == 7:
            raise ArithmeticError("7 breaks it <here>")
        self.count += count

    def compute(self):
        return (self.seen or [2])[-1] ** 2

    def draw(self, data):
        self.drawn = data
        return f"the square is {data}"

    def render(self):
        return str(self.drawn).encode()


async def settle(explorer):
    """Give the kernel's loop time until the explorer has nothing more to do."""
    await asyncio.sleep(0)
    while explorer._task is not None and not explorer._task.done():
        await asyncio.sleep(0.001)


def shown(explorer, action):
    """Display the explorer in a running loop, as a kernel does, act, and wait."""

    async def session():
        explorer._repr_mimebundle_()
        action()
        await settle(explorer)

    asyncio.run(session())


def move(explorer, *values):
    for value in values:
        explorer.controls["number"].value = value


def test_it_begins_with_a_picture():
    square = Square()
    assert square.picture.value == b"4"
    assert square.summary.value == "the square is 4"


def test_without_a_kernel_run_obeys_the_controls():
    square = Square()
    move(square, 5)
    assert square.picture.value == b"4"  # observers only note
    square.run(steps=3)
    assert (square.picture.value, square.count) == (b"25", 3)


def test_a_slider_moves_the_picture():
    square = Square()
    shown(square, lambda: move(square, 9))
    assert square.picture.value == b"81"


def test_of_many_values_only_the_last_is_taken():
    square = Square()
    shown(square, lambda: move(square, *range(20, 60)))
    assert square.seen == [59]


def test_observers_in_other_threads_do_no_work_there():
    square = Square()
    workers = []
    square.compute = lambda: workers.append(threading.current_thread()) or 1

    def act():
        thread = threading.Thread(target=move, args=(square, 11))
        thread.start()
        thread.join()

    shown(square, act)
    assert square.seen == [11]
    assert set(workers) == {threading.main_thread()}


def test_a_refused_value_turns_red_and_the_last_good_picture_stays():
    square = Square()
    shown(square, lambda: move(square, 5))
    shown(square, lambda: move(square, 13))
    assert square.picture.value == b"25"
    assert "#b2182b" in square.controls["number"].layout.border_top
    assert "number: 13 brings bad luck" in square.status.value
    shown(square, lambda: move(square, 14))
    assert square.controls["number"].layout.border_top is None
    assert "bad luck" not in square.status.value
    assert square.picture.value == b"196"


def test_headless_a_refused_value_raises():
    square = Square()
    move(square, 13)
    with pytest.raises(RefusedError, match="bad luck"):
        square.run()
    with pytest.raises(RefusedError, match="bad luck"):  # and goes on to, until it is changed
        square.run()
    move(square, 3)
    square.run()
    assert square.picture.value == b"9"


def test_an_error_while_playing_is_shown_kept_and_does_not_end_the_explorer():
    square = Square()
    shown(square, lambda: (move(square, 7), square.controls["play"].click()))
    assert isinstance(square.error, ArithmeticError)
    assert "ArithmeticError: 7 breaks it &lt;here&gt;" in square.status.value
    shown(square, lambda: (move(square, 8), square.controls["play"].click()))
    assert square.error is None
    assert square.count == 5
    assert square.picture.value == b"64"


def test_headless_an_error_raises():
    square = Square()
    move(square, 7)
    with pytest.raises(ArithmeticError, match="7 breaks it"):
        square.run(steps=1)


def test_the_task_ends_when_there_is_nothing_to_do():
    square = Square()
    shown(square, square.controls["play"].click)
    assert square.count == 5
    assert square._task.done()


def test_saved_it_is_a_still_with_a_text():
    square = Square()
    data, metadata = square._repr_mimebundle_()
    assert data["image/png"] == "NA=="  # base64 of b"4"
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["alt"] == "the square is 4"
    assert "the square is 4" in data["text/plain"]


def test_values_that_an_explorer_shows_itself_are_no_wishes():
    square = Square()
    square.controls["number"].value = 4  # the reader's hand, a moment before
    square.show_values({"number": 9})
    square.run()
    assert square.controls["number"].value == 9
    assert square.seen == []


def test_a_button_is_as_wide_as_its_text_and_may_be_a_toggle():
    assert button("Play").layout.width == "auto"
    assert button("Slow", ipywidgets.ToggleButton).value is False


def test_the_slice_that_answers_a_change_is_short_and_the_next_ones_are_not():
    square, slices = Square(), []
    work = square.work
    square.work = lambda: slices.append(square.slice) or work()
    square.controls["play"].click()
    move(square, 3)
    while square._tick():
        pass
    assert slices == [FIRST, *[SLICE] * 4]
    assert FIRST < SLICE
