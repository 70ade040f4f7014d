"""What SBOMs and provenance cost in a first publish, where everything has to be made and uploaded.

The registry has no referrers API, so that lists of referrers are kept in tags: the dearer case.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Mapping

from bench.measure import OURS, Outcome, once
from bench.monorepo import PLATFORMS, Shape
from bench.tools import Ours

if TYPE_CHECKING:
    from bench.rows import Bench

# Name of a line -> what is added to [ko].
_VARIANTS: Mapping[str, str] = {
    OURS: 'sbom = ["spdx"]\n',
    f"{OURS}, no SBOM": "",
    f"{OURS}, SPDX, CycloneDX and provenance": (
        'sbom = ["spdx", "cyclonedx"]\nprovenance = true\n'
    ),
}


def measure(bench: Bench) -> Outcome:
    """A cold publish of all services for two platforms, with each variant in turn."""
    shape = Shape(services=bench.options.services)
    workspace = bench.make("sbom", shape, platforms=PLATFORMS[:2], with_ko=False)
    (tool,) = (tool for tool in workspace.tools if isinstance(tool, Ours))
    outcome = Outcome({name: [] for name in _VARIANTS})
    for number in range(bench.options.cold_runs):
        # The order changes, so that no variant always has the same neighbour.
        names = list(_VARIANTS)
        for name in (*names[number % 3 :], *names[: number % 3]):
            tool.options = _VARIANTS[name]
            tool.forget()
            tool.start()
            workspace.registry.reset()
            sample = once(workspace.registry, partial(tool.publish_all, workspace.services))
            bench.say(f"    {name}: {sample.seconds:.2f} s, {sample.requests} requests")
            outcome.samples[name].append(sample)
    return outcome
