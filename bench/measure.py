"""Timing: tools take turns on the same state. The first turns are dropped; medians are reported."""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional, Sequence

from bench.registry import Registry, Requests

OURS = "ko_pants"


@dataclass(frozen=True)
class Sample:
    """One run: its wall time in seconds, and the requests that the registry got.

    :param cpu_seconds: user and system time of the programs that ran, and of pantsd with its
        processes; not of the registry.
    """

    seconds: float
    requests: Requests
    cpu_seconds: float = 0.0


@dataclass
class Outcome:
    """What a row measured: samples by tool (ours first), and other figures by name."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def median_seconds(samples: Sequence[Sample]) -> float:
    """The median of the times."""
    return statistics.median(sample.seconds for sample in samples)


def median_ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    """The median of the ratios ours / theirs of each turn. Other work on the machine slows both."""
    return statistics.median(a.seconds / b.seconds for a, b in zip(ours, theirs))


def typical_requests(samples: Sequence[Sample]) -> Requests:
    """The requests of the run whose number of requests is the median."""
    return sorted((s.requests for s in samples), key=lambda r: r.total)[len(samples) // 2]


def no_daemon() -> float:
    """Of a tool without a daemon; see `once`."""
    return 0.0


def once(
    registry: Registry, action: Callable[[], None], daemon: Callable[[], float] = no_daemon
) -> Sample:
    """Time one action and count its requests.

    :param daemon: what a daemon that works for the action has used of the CPU until now.
    """
    position = registry.position()
    cpu = _cpu_of_children() + daemon()
    started = time.perf_counter()
    action()
    seconds = time.perf_counter() - started
    cpu = _cpu_of_children() + daemon() - cpu
    return Sample(seconds, registry.requests_since(position), cpu)


def _cpu_of_children() -> float:
    """What the programs that this process ran, and waited for, have used."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def median_cpu_ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    """As `median_ratio`, of CPU seconds, which other work on the machine changes little."""
    return statistics.median(a.cpu_seconds / b.cpu_seconds for a, b in zip(ours, theirs))


def take_turns(
    registry: Registry,
    actions: Mapping[str, Callable[[], None]],
    *,
    runs: int,
    warm_up: int = 1,
    before_turn: Optional[Callable[[], None]] = None,
    before_each: Optional[Callable[[], None]] = None,
    say: Callable[[str], None] = print,
    daemons: Optional[Mapping[str, Callable[[], float]]] = None,
) -> dict[str, list[Sample]]:
    """Run every action once per turn, in an order that is reversed from turn to turn.

    :param daemons: for the actions that have a daemon, see `once`.
    :param before_turn: runs before each turn and changes something for all, such as an edit.
    :param before_each: runs before each action and resets its surroundings, such as the registry.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in actions}
    for turn in range(warm_up + runs):
        if before_turn is not None:
            before_turn()
        for name in sorted(actions, key=list(actions).index, reverse=bool(turn % 2)):
            if before_each is not None:
                before_each()
            sample = once(registry, actions[name], (daemons or {}).get(name, no_daemon))
            say(f"    {name}: {sample.seconds:.2f} s, {sample.requests} requests")
            if turn >= warm_up:
                samples[name].append(sample)
    return samples
