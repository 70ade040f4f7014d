"""Watches over uploads while images are still built: says how far they are, and ends them.

Nobody waits for uploads before all images are built. Then the process of an image waits for them,
and shows lines itself: see `commit_gate`.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, Protocol

from ko_pants.publishing.heartbeat import Heartbeat
from ko_pants.publishing.progress import Progress

_LOOK_SECONDS = 0.2


class Terminal(Protocol):
    """Where the user of a run reads."""

    def say(self, line: str) -> None:
        """Show a line."""

    def is_over(self) -> bool:
        """True if the run has ended, or the user has interrupted it."""

    def at_end(self, act: Callable[[], object]) -> None:
        """Have `act` called at the end of the run, before `say` says nothing any more."""


class UploadWatch:
    """Looks at the uploads of one run several times a second, as long as there are any.

    :param terminal: finds it, when the first upload begins; None if nobody reads, and then nothing
        is watched.
    :param interval_seconds: between two lines; 0 for none.
    :param interrupt: ends all uploads; returns what is where.
    :param clock: seconds from any moment on.
    """

    def __init__(
        self,
        progress: Progress,
        terminal: Callable[[], Terminal] | None,
        interval_seconds: float,
        interrupt: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress = progress
        self._find_terminal = terminal
        self._terminal: Terminal | None = None
        self._interval_seconds = interval_seconds
        self._interrupt = interrupt
        self._clock = clock
        self._heartbeat = Heartbeat(self.look, _LOOK_SECONDS)
        self._due = 0.0
        self._is_left = False
        self._lock = threading.Lock()
        self._is_ended = False

    def start(self) -> None:
        """An upload begins. Called by a rule."""
        if self._find_terminal is None or self._is_left:
            return
        if self._terminal is None:
            self._terminal = self._find_terminal()
            self._due = self._clock() + self._interval_seconds
            self._terminal.at_end(self.look)
        self._heartbeat.start()

    def leave(self) -> None:
        """From now on somebody waits for the uploads."""
        self._is_left = True

    def look(self) -> float | None:
        """One look; returns the seconds until the next, or None if there is nothing to watch."""
        if self._terminal is None or self._is_left or not self._progress.is_going_on:
            return None
        if self._terminal.is_over():
            self._end()
            return None
        now = self._clock()
        if self._interval_seconds and now >= self._due:
            self._due = now + self._interval_seconds
            line = self._progress.line(self._interval_seconds)
            if line:
                self._terminal.say(line)
        return _LOOK_SECONDS

    def _end(self) -> None:
        with self._lock:
            if self._is_ended:
                return
            self._is_ended = True
        assert self._terminal is not None
        self._terminal.say(f"Interrupted: {self._interrupt()}.")
