"""Progress of long transfers as lines of text; silent for short ones."""

from __future__ import annotations

import time
from typing import Callable


class TransferProgress:
    """Emits `<label>: 12.3 of 80.0 MB, 4.1 MB/s` for a transfer that takes longer than `after`.

    Give it to `push_blob(progress=...)`. Callers that do not write to a terminal pass none. Times
    are seconds; MB are 10**6 bytes.
    """

    def __init__(
        self,
        label: str,
        total: int,
        emit: Callable[[str], None],
        *,
        after: float = 3.0,
        every: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._label = label
        self._total = total
        self._emit = emit
        self._every = every
        self._clock = clock
        self._start = clock()
        self._next = self._start + after

    def __call__(self, sent: int) -> None:
        """`sent` bytes are there so far."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._every
        rate = sent / max(now - self._start, 1e-9) / 1e6
        self._emit(
            f"{self._label}: {sent / 1e6:.1f} of {self._total / 1e6:.1f} MB, {rate:.1f} MB/s"
        )
