"""Results of processes that Pants cannot read any more, because a remote cache has lost them.

With `cache_content_behavior = "defer"`, Pants takes the results of processes from a remote cache
and leaves their bytes there. So bytes are missed late: when the head of an executable is read, when
a layer is made of the executable, when a layer is uploaded. Where the cache says that it has no
such blob, Pants itself runs the process again. Any other failure (the cache has ended, is damaged,
takes too long) reaches the rule that asked, as an exception. Then the process runs again without a
cache: its scope is the session, so its key is new.
"""

from __future__ import annotations

import dataclasses
import logging

from pants.engine.process import Process, ProcessCacheScope
from pants.engine.rules import _uncacheable_rule

from ko_pants.products import Losses, LossesRequest

logger = logging.getLogger(__name__)

# How long a process waits for the remote cache before it starts here, beside the question. Pants'
# default is not at all: then a fresh machine starts each compile, and breaks it off some
# milliseconds later, when the cache has answered.
_PATIENCE_MILLIS = 1000

_CACHED = (ProcessCacheScope.ALWAYS, ProcessCacheScope.SUCCESSFUL)


def scope_of(anew: bool) -> ProcessCacheScope:
    """Of a process, if no cache of Pants is to be asked for it."""
    return ProcessCacheScope.PER_SESSION if anew else ProcessCacheScope.SUCCESSFUL


def is_cached(process: Process) -> bool:
    """True if its result may come from a cache."""
    return process.cache_scope in _CACHED


def patient(process: Process) -> Process:
    """The process, with time for a remote cache to answer. No part of its cache key."""
    if not is_cached(process):
        return process
    return dataclasses.replace(process, remote_cache_speculation_delay_millis=_PATIENCE_MILLIS)


def run_anew(process: Process) -> Process:
    """The process with a cache key that is new, so that it runs."""
    return dataclasses.replace(process, cache_scope=scope_of(anew=True))


def say_lost(losses: Losses, error: BaseException) -> None:
    """Warn, once in a run."""
    if losses.is_first():
        logger.warning(
            f"Pants cannot bring the result of a process: {' '.join(str(error).split())}. If the "
            "result is on a remote cache, that has failed since the run began. What it does not "
            "hand over is made again. This is said once in a run."
        )


@_uncacheable_rule
async def losses_of_run(request: LossesRequest) -> Losses:
    """One object for all rules of a run."""
    return Losses()
