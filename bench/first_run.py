"""The first run of a daemon: everything is in caches on disk, and nothing in pantsd's memory.

As after a reboot. Pants' own start is not measured: `pants roots` starts pantsd before each run.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import OURS, Outcome, once
from bench.tools import Failure, Ours

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
            before = _cpu_seconds(tool)
            samples.append(once(workspace.registry, partial(tool.publish_all, workspace.services)))
            cpu[name].append(_cpu_seconds(tool) - before)
            bench.say(f"    {name}: {samples[-1].seconds:.2f} s, {cpu[name][-1]:.2f} s of CPU")
    for name, seconds in cpu.items():
        median = sorted(seconds)[len(seconds) // 2]
        outcome.figures[f"CPU seconds of pantsd, {name}"] = round(median, 2)
    return outcome


def _cpu_seconds(tool: Ours) -> float:
    """What the daemon has used since its start, in user and system mode; 0.0 without /proc."""
    if not os.path.exists("/proc/self/stat"):
        return 0.0
    pids = tool.daemons()
    if len(pids) != 1:
        raise Failure(f"expected one pantsd of {tool.setting.repo}, found {pids}")
    # The name in parentheses can have spaces; utime and stime are the 14th and 15th field.
    fields = Path(f"/proc/{pids[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
