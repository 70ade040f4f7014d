"""When images are compiled: in waves, so that layers are made and uploaded beside compiles.

Pants starts processes in the order in which they were asked for. If all images asked for their
compiles at once, the first layer would be made after the last compile, and a slow network would be
idle until then. So an image waits until most compiles of those before it are done.

An executable never waits for a gate, so a gate that waits for executables cannot wait for itself.
"""

from __future__ import annotations

from pants.engine.internals.session import RunId
from pants.engine.rules import _uncacheable_rule
from pants.option.global_options import GlobalOptions

from ko_pants.compile_waves import FREE_WAVES, Waves
from ko_pants.engine import go_executables
from ko_pants.process_log import SOURCES
from ko_pants.products import (
    CompileGateOpened,
    CompileGateRequest,
    CompileWaves,
    CompileWavesRequest,
    GoExecutableRequest,
)

_RAN = "ran"


async def _ran(request: GoExecutableRequest, run: RunId) -> bool:
    """Wait for an executable; False if nothing had to be compiled."""
    try:
        (executable,) = await go_executables([request])
    except Exception:
        # The image that wants it says so.
        return True
    metadata = executable.source.metadata
    return metadata is not None and SOURCES[metadata.source(run).value] == _RAN


@_uncacheable_rule
async def waves_of_run(
    request: CompileWavesRequest, options: GlobalOptions, run: RunId
) -> CompileWaves:
    """One object for all images of a run."""
    if options.remote_execution:
        return CompileWaves(run, Waves(options.process_execution_remote_parallelism))
    return CompileWaves(run, Waves(options.process_execution_local_parallelism))


@_uncacheable_rule
async def open_compile_gate(request: CompileGateRequest, run: RunId) -> CompileGateOpened:
    """Wait for the last compiles of every second earlier wave, up to the one before the last.

    Each second wave waits for other ones, so a compile that takes long holds up one half of them at
    most. Where executables come from a cache, the wait for each is a round trip to it. So the waves
    that are under way are doubled as long as nothing is compiled.
    """
    if request.run != run:
        # A daemon begins a run with the requests of the run before. An edit would else have it
        # compile what nobody has asked for.
        return CompileGateOpened()
    under_way = FREE_WAVES
    wave = request.wave % FREE_WAVES
    while wave <= request.wave - under_way:
        ran = await _ran(request.waves.last(wave), run)
        under_way = FREE_WAVES if ran else 2 * under_way
        wave += FREE_WAVES
    return CompileGateOpened()
