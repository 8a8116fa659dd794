"""A process that does not outlive the one that started it."""

import os
import threading
import time


def end_with_the_parent(every: float = 1.0) -> None:
    """Leave when the process that started this one is gone: nobody would stop it then.

    Args:
        every: seconds between two looks.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
