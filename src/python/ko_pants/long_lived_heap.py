"""Keeps what the engine remembers out of Python's full garbage collections.

A daemon that knows five hundred images holds more than a million objects. Each run makes enough new
ones to have Python look through all of them, which takes a quarter of a second every second run and
finds nothing: what the engine holds is freed by its reference counts. So after a full collection
that took long, what it found alive is set aside (`gc.freeze`); what is made later is collected as
ever. Now and then everything is looked at again, so that no cycle stays for good.
"""

from __future__ import annotations

import gc
import time
from typing import Mapping

# Of about two hundred thousand objects; a shorter collection disturbs nobody.
_LONG_SECONDS = 0.03
_ALL_AGAIN = 20


class _LongLivedHeap:
    """The callback of `gc.callbacks`."""

    def __init__(self) -> None:
        self._started = 0.0
        self._set_aside = 0

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if info["generation"] != 2:
            return
        if phase == "start":
            self._started = time.perf_counter()
        elif time.perf_counter() - self._started > _LONG_SECONDS:
            self._set_aside += 1
            if self._set_aside % _ALL_AGAIN:
                gc.freeze()
            else:
                gc.unfreeze()


_heap = _LongLivedHeap()


def spare_long_lived_objects() -> None:
    """Begin with it; once per process."""
    if _heap not in gc.callbacks:
        gc.callbacks.append(_heap)
