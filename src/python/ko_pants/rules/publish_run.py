"""The run of the publish goal: one publisher and one gate for all of its images."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable

from pants.base.build_root import BuildRoot
from pants.engine.internals.session import RunId
from pants.engine.rules import _uncacheable_rule, collect_rules

from ko_pants.engine import settle
from ko_pants.long_lived_heap import spare_long_lived_objects
from ko_pants.products import ArrivalsRequest, Settled, SettleRequest
from ko_pants.publishing.commit_gate import CommitGate
from ko_pants.publishing.publisher import Publication, Publisher, RepositoryMemory
from ko_pants.rules.layer import open_kocache
from ko_pants.rules.registry_access import RegistryAccess
from ko_pants.rules.settings import Settings

# Of the process: a number is never given twice.
_numbers = itertools.count()


class PublishRun:
    """The publisher and the gate of one run of Pants.

    :param expected: publications of the run before, which most likely are those of this run.
    """

    def __init__(self, publisher: Publisher, expected: int = 0) -> None:
        self.publisher = publisher
        self.expected = expected
        self.wave = next(_numbers)
        self._lock = threading.Lock()
        self._moving: list[Publication] = []
        self._moved: dict[int, str | None] = {}
        self._gate: CommitGate | None = None

    def enter_gate(self, publication: Publication) -> tuple[str, ...]:
        """The process that waits until the publication's tags have moved."""
        with self._lock:
            if self._gate is None:
                self._gate = CommitGate(self._commit)
            self._moving.append(publication)
            return self._gate.enter(len(self._moving) - 1)

    def _commit(self, number: int, report: Callable[[str], None]) -> str | None:
        """Move the tags of the image that knocked, and with them those of all that will knock.

        When a file changes in the middle of a run, the engine asks for an image anew: then two
        publications have the same name, and only the one that knocks is meant.
        """
        if number not in self._moved:
            names = Counter(p.destination.names for p in self._moving)
            batch = [
                n
                for n, p in enumerate(self._moving)
                if n == number or (n not in self._moved and names[p.destination.names] == 1)
            ]
            failures = self.publisher.commit([self._moving[n] for n in batch], report)
            self._moved.update({n: failures.get(i) for i, n in enumerate(batch)})
        return self._moved[number]

    def close(self) -> None:
        """End what an earlier run has left, if it failed."""
        self.publisher.close()
        if self._gate is not None:
            self._gate.close()


# Seconds without an arrival after which no other image is waited for, and what is added to them as
# a part of the time that the arrivals have taken.
_FIRST_PAUSE = 0.002
_PAUSES = 0.05
_LONGEST_PAUSE = 0.02


@dataclass(frozen=True)
class _Known:
    """A run that this process has begun with, and whose it is."""

    run_id: RunId
    access: RegistryAccess
    run: PublishRun


_known: list[_Known] = []
_known_lock = threading.Lock()
_memory: dict[str, RepositoryMemory] = {}


def find_run(run_id: RunId, access: RegistryAccess, root: str) -> PublishRun:
    """The run of these, or a new one, which ends those of earlier runs of Pants.

    The engine may ask twice in one run, for two that wait for the answer, and then keep the first.
    """
    with _known_lock:
        expected = 0
        for known in list(_known):
            if known.run_id != run_id:
                _known.remove(known)
                expected = known.run.publisher.arrivals
                known.run.close()
            elif known.access is access:
                return known.run
        publisher = Publisher(access.client, layout_root=root, memory=_memory)
        run = PublishRun(publisher, expected)
        _known.append(_Known(run_id, access, run))
        return run


@_uncacheable_rule
async def publish_run(
    access: RegistryAccess, build_root: BuildRoot, settings: Settings, run_id: RunId
) -> PublishRun:
    """One for all images of a run."""
    spare_long_lived_objects()
    open_kocache(settings.kocache).begin_run()
    return find_run(run_id, access, build_root.path)


@_uncacheable_rule
async def await_arrivals(request: ArrivalsRequest, run: PublishRun) -> Settled:
    """Step back as long as publications arrive.

    A rule that waits for an answer holds one of the engine's few threads: all others shall have
    asked their questions before. Those that arrive together wait here together, and the longer they
    have been arriving, the longer the next is waited for.
    """
    publisher = run.publisher
    started = time.monotonic()
    arrived = -1
    while arrived != publisher.arrivals != run.expected:
        arrived = publisher.arrivals
        publisher.ask()
        pause = _FIRST_PAUSE + _PAUSES * (time.monotonic() - started)
        await settle(SettleRequest(next(_numbers), min(pause, _LONGEST_PAUSE)))
    publisher.ask()
    run.wave = next(_numbers)
    return Settled()


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
