"""Lines about processes that take long, by a clock that tests turn."""

from __future__ import annotations

import contextlib
import threading

import pytest
from publishing.test_progress import Clock

from ko_pants.rules.process_progress import ProcessProgress

SECONDS = 20.0


class Output:
    """Where a run writes."""

    def __init__(self, *, plain: bool = True) -> None:
        self.lines: list[str] = []
        self.plain = plain

    def say(self, line: str) -> None:
        self.lines.append(line)

    def is_plain(self) -> bool:
        return self.plain


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> ProcessProgress:
    made = ProcessProgress(clock)
    # Its thread does not look before the test is over.
    made.set_interval(SECONDS)
    return made


def test_what_takes_long_is_named_with_its_seconds(progress: ProcessProgress, clock: Clock) -> None:
    output = Output()
    with progress.shown("Compile web for linux/amd64", output):
        clock.now += SECONDS - 1
        progress.look()
        assert output.lines == []
        clock.now += 1
        assert progress.look() == SECONDS
        clock.now += SECONDS
        progress.look()
    assert progress.look() is None
    assert output.lines == [
        "Not done yet: Compile web for linux/amd64 (20 s)",
        "Not done yet: Compile web for linux/amd64 (40 s)",
    ]


def test_many_processes_are_one_line(progress: ProcessProgress, clock: Clock) -> None:
    output = Output()
    with contextlib.ExitStack() as stack:
        for name in "abcde":
            stack.enter_context(progress.shown(f"Compile {name}", output))
            clock.now += 1
        clock.now += SECONDS
        stack.enter_context(progress.shown("Compile late", output))
        progress.look()
    assert output.lines == ["Not done yet: Compile a (25 s), Compile b (24 s), 4 more"]


def test_where_pants_shows_what_goes_on_nothing_is_said(
    progress: ProcessProgress, clock: Clock
) -> None:
    output = Output(plain=False)
    with progress.shown("Compile web", output):
        clock.now += 100
        assert progress.look() == SECONDS
    assert output.lines == []


def test_a_process_whose_rule_is_dropped_is_gone(progress: ProcessProgress) -> None:
    with contextlib.suppress(GeneratorExit), progress.shown("Compile web", Output()):
        raise GeneratorExit
    assert progress.look() is None


def test_without_lines_there_is_no_thread(progress: ProcessProgress, clock: Clock) -> None:
    progress.set_interval(0)
    before = set(threading.enumerate())
    output = Output()
    with progress.shown("Compile web", output):
        clock.now += 100
        assert progress.look() is None
        assert set(threading.enumerate()) <= before
    assert output.lines == []
