"""The first run of a daemon: everything is in caches on disk, and nothing in pantsd's memory.

As after a reboot. The start of pantsd is not measured: `pants roots` starts it before each run.
What Pants itself takes for as many targets, with a backend that does nothing, is measured too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.measure import OURS, Outcome, once
from bench.pants_alone import PantsAlone, pants_alone
from bench.tools import Ours, remove

if TYPE_CHECKING:
    from bench.rows import Bench

_SECOND = ", second run"


def measure(bench: Bench) -> Outcome:
    """The first and the second publish of a new daemon, and the CPU time of the daemon in each."""
    workspace = bench.fleet()
    (ours,) = (tool for tool in workspace.tools if isinstance(tool, Ours))
    place = workspace.place / "pants-alone"
    remove(place)
    alone = pants_alone(ours.setting, place, workspace.services)
    tools = {OURS: ours, PantsAlone.name: alone}
    names = [name + part for name in tools for part in ("", _SECOND)]
    outcome = Outcome({name: [] for name in names})
    cpu: dict[str, list[float]] = {name: [] for name in names}
    try:
        for _ in range(bench.options.runs):
            for tool_name, tool in tools.items():
                tool.stop()
                tool.start()
                for name in (tool_name, tool_name + _SECOND):
                    before = tool.cpu_seconds()
                    publish = partial(tool.publish_all, workspace.services)
                    sample = once(workspace.registry, publish)
                    outcome.samples[name].append(sample)
                    cpu[name].append(tool.cpu_seconds() - before)
                    bench.say(f"    {name}: {sample.seconds:.2f} s, {cpu[name][-1]:.2f} s of CPU")
    finally:
        alone.stop()
    for name, seconds in cpu.items():
        median = sorted(seconds)[len(seconds) // 2]
        outcome.figures[f"CPU seconds of pantsd, {name}"] = round(median, 2)
    return outcome
