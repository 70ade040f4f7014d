"""Lets a rule that holds one of the engine's few threads step back until others have had it."""

from __future__ import annotations

import time

from pants.engine.rules import _uncacheable_rule, collect_rules

from ko_pants.products import Settled, SettleRequest


@_uncacheable_rule
async def settled(request: SettleRequest) -> Settled:
    """Nothing: see `SettleRequest`."""
    if request.pause:
        time.sleep(request.pause)
    return Settled()


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
