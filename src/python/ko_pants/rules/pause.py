"""A pause of a rule, in which the engine's few threads work on other targets."""

from __future__ import annotations

import itertools
import time

from pants.engine.rules import _uncacheable_rule

from ko_pants.products import Paused, PauseRequest

# The engine remembers requests by value.
_numbers = itertools.count()


def no_pause() -> PauseRequest:
    """A pause that is over at once. Every rule that waits again and again asks for one beside it.

    A thread of the engine that has nothing to do watches the clock and the ends of processes. Each
    step of a rule that waits wakes the next one on the same thread, so this thread is never idle,
    and no other one is woken for a single step. Then Pants' user interface stands still, and
    processes that have ended are not noticed. Two steps at once wake a second thread.
    """
    return PauseRequest(next(_numbers))


@_uncacheable_rule
async def pause_rule(request: PauseRequest) -> Paused:
    """Wait; see `PauseRequest`."""
    left = request.until - time.monotonic()
    if left > 0:
        time.sleep(left)
    return Paused()
