"""Which results of processes a run counts."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, Iterator, Optional

import pytest

from ko_pants import process_log
from ko_pants.process_log import note_compile, note_known_layer, note_layer, noted, take_work


@pytest.fixture(autouse=True)
def _no_notes() -> Iterator[None]:
    process_log._notes.clear()
    yield
    process_log._notes.clear()


class Metadata(str):
    """A source, and how long the process took."""

    total_elapsed_ms: Optional[int] = None


def metadata(source: str, milliseconds: Optional[int]) -> Metadata:
    made = Metadata(source)
    made.total_elapsed_ms = milliseconds
    return made


def as_noted(metadata: Any) -> str:
    """The tests note the source itself."""
    return str(metadata)


def test_results_by_source() -> None:
    for source in ("ran", "ran", "hit_locally", "hit_remotely", "memoized"):
        result = SimpleNamespace(metadata=source)
        assert noted(result) is result
    note_compile("a", Metadata("ran"))
    note_compile("b", "hit_remotely")
    note_compile("in memory", "memoized")
    note_layer("x", "hit_locally")
    note_known_layer("y")
    work = take_work(0, as_noted)
    assert work.processes == {"ran": 2, "local cache": 1, "remote cache": 1}
    assert work.compiles == {"a": "ran", "b": "remote cache"}
    assert work.layers == {"x": "local cache", "y": "kocache"}


@pytest.mark.parametrize("made_first", [True, False])
def test_a_layer_whose_bytes_were_wanted_was_not_skipped(*, made_first: bool) -> None:
    if made_first:
        note_layer("x", Metadata("ran"))
    note_known_layer("x")
    if not made_first:
        note_layer("x", Metadata("ran"))
    assert take_work(0, as_noted).layers == {"x": "ran"}


def test_what_was_noted_before_the_run_is_not_counted() -> None:
    note_compile("before", Metadata("ran"))
    note_known_layer("before")
    started = time.time()
    note_compile("after", Metadata("ran"))
    note_known_layer("after")
    work = take_work(started, as_noted)
    assert (set(work.compiles), set(work.layers)) == ({"after"}, {"after"})


def test_notes_are_taken_once() -> None:
    note_compile("a", Metadata("ran"))
    assert take_work(0, as_noted).compiles
    assert not take_work(0, as_noted).compiles


def test_the_times_of_processes_that_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ko_pants.process_log.time.time", lambda: 1000.0)
    note_compile("a", metadata("ran", 1500))
    note_compile("cached", metadata("hit_locally", 1500))
    note_layer("x", metadata("ran", 250))
    note_layer("of a worker", metadata("ran", None))
    noted(SimpleNamespace(metadata=metadata("ran", 10)))
    assert take_work(0, as_noted).times == {
        "a": (998.5, 1000.0),
        "x": (999.75, 1000.0),
        "of a worker": (1000.0, 1000.0),
    }
