"""The first run of a daemon: everything is in caches on disk, and nothing in pantsd's memory.

As after a reboot. Pants' own start is not measured: `pants roots` starts pantsd before each run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.measure import OURS, Outcome, once
from bench.tools import Ours

if TYPE_CHECKING:
    from bench.rows import Bench

_SECOND = f"{OURS}, second run"


def measure(bench: Bench) -> Outcome:
    """The first and the second publish of a new daemon, and the CPU time of the daemon in each."""
    workspace = bench.fleet()
    (tool,) = (tool for tool in workspace.tools if isinstance(tool, Ours))
    outcome = Outcome({OURS: [], _SECOND: []})
    cpu: dict[str, list[float]] = {OURS: [], _SECOND: []}
    for _ in range(bench.options.runs):
        tool.stop()
        tool.start()
        for name, samples in outcome.samples.items():
            before = tool.cpu_seconds()
            samples.append(once(workspace.registry, partial(tool.publish_all, workspace.services)))
            cpu[name].append(tool.cpu_seconds() - before)
            bench.say(f"    {name}: {samples[-1].seconds:.2f} s, {cpu[name][-1]:.2f} s of CPU")
    for name, seconds in cpu.items():
        median = sorted(seconds)[len(seconds) // 2]
        outcome.figures[f"CPU seconds of pantsd, {name}"] = round(median, 2)
    return outcome
