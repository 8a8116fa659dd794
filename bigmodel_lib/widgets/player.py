"""What explorers that go on by themselves share: Play, Pause, and all that stops them."""

import time

from bigmodel_lib.language import _
from bigmodel_lib.widgets.base import SLICE, Explorer


class Player(Explorer):
    """An explorer that takes steps while it plays, until Pause or an error stops it.

    A subclass defines, beside what `Explorer` asks for, `steps(count)`, `now()`, and a method
    `_on_NAME()` for each further button NAME.

    Attributes:
        playing: whether it goes on by itself.
    """

    playing = False

    def now(self) -> int:
        """The step that it is at."""
        raise TypeError(f"{type(self).__name__} must define now()")

    def obey(self, button: str) -> None:
        """Do what a button asks for."""
        getattr(self, f"_on_{button}")()

    def _on_play(self) -> None:
        self.playing = True
        self.say(_("playing"))

    def _on_pause(self) -> None:
        self.stop(_("paused at step {step}").format(step=self.now()))

    def stop(self, note: str) -> None:
        """Play no further, and say why."""
        self.playing = False
        self.say(note)

    def work(self) -> bool:
        """Steps for one slice of time."""
        if not self.playing:
            return False
        end = time.monotonic() + SLICE
        while time.monotonic() < end:
            self.one_step()
        return True

    def one_step(self) -> None:
        """A step between two pictures, without what only a picture needs."""
        self.steps(1)

    def fail(self, error: Exception) -> None:
        """An error pauses; everything else goes on."""
        self.playing = False
        super().fail(error)
