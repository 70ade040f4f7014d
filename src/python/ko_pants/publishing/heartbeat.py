"""A thread that looks every moment at something that takes long, and ends with it."""

from __future__ import annotations

import threading
import time
from typing import Callable


class Heartbeat:
    """Calls a function again and again, from `start` until it says that there is nothing to do.

    There is no thread before `start`, and none after the end. Thread-safe.

    :param beat: returns the seconds until the next call; None if nothing goes on any more.
    :param seconds: before the first call.
    """

    def __init__(self, beat: Callable[[], float | None], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running = False
        self._again = False

    def start(self) -> None:
        """Have the function called; nothing new if it is called already."""
        with self._lock:
            self._again = True
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._run, name="ko_pants progress", daemon=True).start()

    def _run(self) -> None:
        seconds = self._seconds
        while True:
            time.sleep(seconds)
            with self._lock:
                self._again = False
            following = self._beat()
            if following is not None:
                seconds = following
                continue
            with self._lock:
                # Something may have begun while the function said that nothing goes on.
                if not self._again:
                    self._running = False
                    return
            seconds = self._seconds
