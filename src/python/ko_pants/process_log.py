"""Which processes ran, and which a cache made needless: what the report of a run is made from.

A rule whose inputs have not changed is not run again, and its products are those of an earlier run.
So the rules that do run note what happened. A note costs a microsecond.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Protocol, TypeVar

from ko_pants.daemon_memory import BoundedMemory

_PROCESS = "process"
_COMPILE = "compile"
_LAYER = "layer"
_KNOWN_LAYER = "known layer"

#: Where the result of a process came from, as Pants spells it, and as the documented output does.
SOURCES: Mapping[str, str] = {
    "ran": "ran",
    "hit_locally": "local cache",
    "hit_remotely": "remote cache",
    "memoized": "memoized",
}
KOCACHE = "kocache"
_MEMOIZED = "memoized"
_RAN = "ran"

# The first build of 2,000 images for five platforms makes half as many.
_MAX_NOTES = 100_000


@dataclass(frozen=True)
class _Note:
    """One result.

    :param kind: one of the names above.
    :param key: tells executables and layers apart.
    :param metadata: `ProcessResultMetadata` of Pants; None for a layer that KOCACHE knew.
    :param time: in seconds since the epoch.
    """

    kind: str
    key: str
    metadata: Any
    time: float


_numbers = itertools.count()
_notes: BoundedMemory[int, _Note] = BoundedMemory(
    name="process_log: notes",
    bound=_MAX_NOTES,
    holds="where results of processes came from, until the next report of a run; a note says when "
    "it was made, so that no other run counts it",
)


def _put(kind: str, key: str, metadata: Any) -> None:
    _notes.put(next(_numbers), _Note(kind, key, metadata, time.time()))


class _Result(Protocol):
    @property
    def metadata(self) -> Any:
        """`ProcessResultMetadata` of Pants."""


R = TypeVar("R", bound=_Result)


def noted(result: R) -> R:
    """The same result. Its process is noted, whatever it did."""
    _put(_PROCESS, "", result.metadata)
    return result


def note_compile(key: str, metadata: Any) -> None:
    """An executable was compiled, or a cache had it; `key` is the digest of the file."""
    _put(_COMPILE, key, metadata)


def note_layer(key: str, metadata: Any) -> None:
    """The layer process of a layer was asked for; `key` is the layer's diffID."""
    _put(_LAYER, key, metadata)


def note_known_layer(key: str) -> None:
    """KOCACHE knew a layer; `key` is its diffID."""
    _put(_KNOWN_LAYER, key, None)


@dataclass(frozen=True)
class Work:
    """What was done in one run. The keys are the values of `SOURCES`.

    :param processes: source -> number of processes of any kind, without those in memory.
    :param compiles: digest of an executable -> source.
    :param layers: diffID -> source, or `KOCACHE` where no process was asked for it.
    :param times: digest of an executable or diffID -> begin and end of its process, if it ran, in
        seconds since the epoch.
    """

    processes: Mapping[str, int]
    compiles: Mapping[str, str]
    layers: Mapping[str, str]
    times: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def take_work(since: float, source_of: Callable[[Any], str]) -> Work:
    """What was noted since a time, in seconds since the epoch. All notes are forgotten.

    :param source_of: the source of a result, as Pants spells it, in the run that asks.
    """
    processes: Counter[str] = Counter()
    compiles: dict[str, str] = {}
    layers: dict[str, str] = {}
    times: dict[str, tuple[float, float]] = {}
    notes = _notes.values()
    _notes.clear()
    for note in notes:
        if note.time < since:
            continue
        if note.kind == _KNOWN_LAYER:
            layers.setdefault(note.key, KOCACHE)
            continue
        source = SOURCES[source_of(note.metadata)]
        if source == _MEMOIZED:
            continue
        if note.kind == _PROCESS:
            processes[source] += 1
        else:
            (compiles if note.kind == _COMPILE else layers)[note.key] = source
            if source == _RAN:
                times[note.key] = _time_of(note)
    return Work(processes, compiles, layers, times)


def _time_of(note: _Note) -> tuple[float, float]:
    """Begin and end of a process; they are equal where a remote worker does not say how long."""
    return note.time - (note.metadata.total_elapsed_ms or 0) / 1000, note.time
