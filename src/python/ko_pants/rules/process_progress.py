"""Says which processes take long, where Pants has no user interface that shows them.

Without a terminal, Pants says that a process starts, and nothing more for a minute.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass
from typing import Callable, Iterator, Protocol

from ko_pants.publishing.heartbeat import Heartbeat
from ko_pants.publishing.progress import DEFAULT_INTERVAL_SECONDS
from ko_pants.rules.session_terminal import SessionOutput

_MAX_NAMED = 2


class Output(Protocol):
    """Where lines go; see `SessionOutput`."""

    def say(self, line: str) -> None:
        """Write a line."""

    def is_plain(self) -> bool:
        """True if a line can be written, and nothing else shows what goes on."""


@dataclass(frozen=True)
class _Running:
    description: str
    began: float
    output: Output


class ProcessProgress:
    """The processes that run, or wait for a free core. Thread-safe.

    :param clock: seconds from any moment on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._heartbeat: Heartbeat | None = None
        #: Between two lines; 0 for none.
        self.interval_seconds: float = DEFAULT_INTERVAL_SECONDS

    def set_interval(self, seconds: float) -> None:
        """The option `[ko].progress_interval`."""
        with self._lock:
            if seconds != self.interval_seconds:
                self.interval_seconds = seconds
                self._heartbeat = None

    @contextlib.contextmanager
    def shown(self, description: str, output: Output) -> Iterator[None]:
        """Within it a rule waits for a process."""
        number = next(self._numbers)
        with self._lock:
            self._running[number] = _Running(description, self._clock(), output)
            if self.interval_seconds:
                if self._heartbeat is None:
                    self._heartbeat = Heartbeat(self.look, self.interval_seconds)
                self._heartbeat.start()
        try:
            yield
        finally:
            with self._lock:
                del self._running[number]

    def look(self) -> float | None:
        """Say what has taken long; returns the seconds until the next look, or None for none."""
        with self._lock:
            running = sorted(self._running.values(), key=lambda each: each.began)
        if not running or not self.interval_seconds:
            return None
        line = self._line(running)
        if line and running[0].output.is_plain():
            running[0].output.say(line)
        return self.interval_seconds

    def _line(self, running: list[_Running]) -> str:
        now = self._clock()
        long = [each for each in running if now - each.began >= self.interval_seconds]
        named = [f"{each.description} ({now - each.began:.0f} s)" for each in long[:_MAX_NAMED]]
        if not named:
            return ""
        if len(running) > len(named):
            named.append(f"{len(running) - len(named)} more")
        # Whether one runs or waits for a free core, only the engine knows.
        return f"Not done yet: {', '.join(named)}"


#: Of this daemon. Nothing of it outlives the processes that it shows.
process_progress = ProcessProgress()


def shown(description: str) -> contextlib.AbstractContextManager[None]:
    """Within it the rule that calls waits for a process."""
    return process_progress.shown(description, SessionOutput())
