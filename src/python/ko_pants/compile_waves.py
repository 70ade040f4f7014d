"""In which order a run compiles: in waves, so that layers and uploads need not wait for the end."""

from __future__ import annotations

import threading
from typing import Generic, Iterable, TypeVar

R = TypeVar("R")

#: So many waves begin at once, and so many are under way at any time: one that is compiled, and one
#: that is queued behind it, so that no CPU waits while the next one gets ready.
FREE_WAVES = 2

# With as many, a wave of many images is a small part of a run, and many images are few waves.
_GROWTH = 8


class Waves(Generic[R]):
    """Compiles in the order in which images asked for them. Thread-safe.

    A wave has more compiles than run at once, and those of many images grow: the first uploads
    begin early, and a run has few waves.

    :param parallelism: how many processes run at once.
    """

    def __init__(self, parallelism: int) -> None:
        self._smallest = parallelism + parallelism // 2 + 1
        self._lock = threading.Lock()
        self._known: set[R] = set()
        self._room = 0
        # The last compile of each wave.
        self._last: list[R] = []

    def join(self, compiles: Iterable[R]) -> int:
        """The number of the wave of an image; 0 if it waits for no compile of its own."""
        with self._lock:
            new = [wanted for wanted in compiles if wanted not in self._known]
            if not new:
                return 0
            if self._room <= 0:
                self._room = max(self._smallest, len(self._known) // _GROWTH)
                self._last.append(new[-1])
            else:
                self._last[-1] = new[-1]
            self._known.update(new)
            self._room -= len(new)
            return len(self._last) - 1

    def last(self, wave: int) -> R:
        """The compile of a wave that begins last: processes begin in the order of the requests."""
        return self._last[wave]
