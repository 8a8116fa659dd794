"""What explorers that go on by themselves share, shown on the smallest one."""

import ipywidgets
import pytest

from bigmodel_lib.widgets.base import button
from bigmodel_lib.widgets.player import Player
from tests.driving import click, tick


class Counter(Player):
    """Counts while it plays; breaks at 1000."""

    def __init__(self):
        self.count, self.rung = 0, 0
        controls = {name: button(name) for name in ("play", "pause", "ring")}
        super().__init__(controls, [ipywidgets.HBox(list(controls.values()))])

    def apply(self, name):
        self.obey(name)

    def now(self):
        return self.count

    def _on_ring(self):
        self.rung += 1

    def steps(self, count):
        if self.count + count > 1000:
            raise ArithmeticError("cannot count further")
        self.count += count

    def draw(self, data):
        return f"{self.count}"

    def render(self):
        return b"picture"


def test_it_goes_on_from_play_to_pause():
    counter = Counter()
    assert counter.work() is False
    counter.count = -(10**9)  # far from its end
    click(counter, "play")
    tick(counter)
    first = counter.count
    assert first > -(10**9)
    tick(counter)
    assert counter.count > first
    click(counter, "pause")
    tick(counter)
    at = counter.count
    tick(counter, 2)
    assert (counter.count, counter.playing) == (at, False)
    assert f"paused at step {at}" in counter.status.value


def test_an_error_pauses_it_and_it_can_play_on():
    counter = Counter()
    click(counter, "play")
    tick(counter, 2)
    assert "cannot count further" in counter.status.value
    assert not counter.playing
    counter.count = -(10**9)
    click(counter, "play")
    tick(counter)
    assert counter.error is None
    assert counter.playing


def test_further_buttons_are_obeyed_by_name():
    counter = Counter()
    click(counter, "ring", "ring")
    tick(counter)
    assert counter.rung == 2


def test_headless_the_error_raises():
    with pytest.raises(ArithmeticError, match="cannot count further"):
        Counter().run(steps=1001)
