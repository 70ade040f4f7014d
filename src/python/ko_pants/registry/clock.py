"""Time and chance as the registry client uses them."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Clock:
    """The functions that read the time, wait, and draw a random number; tests replace them.

    `monotonic` and `wall` (Unix time) return seconds, `sleep` takes seconds, `random` returns a
    number in [0, 1).
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
