"""A pause of a rule, in which the engine's few threads work on other targets."""

from __future__ import annotations

import time

from pants.engine.rules import _uncacheable_rule

from ko_pants.products import Paused, PauseRequest


@_uncacheable_rule
async def pause_rule(request: PauseRequest) -> Paused:
    """Wait for some seconds; see `PauseRequest`."""
    if request.seconds:
        time.sleep(request.seconds)
    return Paused()
