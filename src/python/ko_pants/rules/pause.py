"""A pause of a rule, in which the engine's few threads work on other targets."""

from __future__ import annotations

import time

from pants.engine.rules import _uncacheable_rule

from ko_pants.products import Paused, PauseRequest


@_uncacheable_rule
async def pause_rule(request: PauseRequest) -> Paused:
    """Wait; see `PauseRequest`."""
    left = request.until - time.monotonic()
    if left > 0:
        time.sleep(left)
    return Paused()
