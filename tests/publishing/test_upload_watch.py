"""What is seen and said of uploads while images are still built."""

from __future__ import annotations

import threading
from typing import Callable

import pytest
from publishing.test_progress import MB, Clock, begin

from ko_pants.publishing.heartbeat import Heartbeat
from ko_pants.publishing.progress import Progress
from ko_pants.publishing.upload_watch import UploadWatch

SECONDS = 60.0


class Screen:
    """A terminal that keeps what it shows."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.over = False

    def say(self, line: str) -> None:
        self.lines.append(line)

    def is_over(self) -> bool:
        return self.over

    def at_end(self, act: Callable[[], object]) -> None:
        self.end = act


class Unmoved(Heartbeat):
    """One that has no thread."""

    def start(self) -> None:
        pass


class Watched:
    """A watch that looks when a test does."""

    def __init__(self, interval: float = 5.0) -> None:
        self.clock = Clock()
        self.screen = Screen()
        self.progress = Progress(self.clock)
        self.interrupts = 0
        self.watch = UploadWatch(
            self.progress, lambda: self.screen, interval, self.interrupt, self.clock
        )
        self.watch._heartbeat = Unmoved(lambda: None, 0.0)

    def interrupt(self) -> str:
        self.interrupts += 1
        return "no tag has moved"


def threads() -> set[threading.Thread]:
    """The threads that look."""
    return {thread for thread in threading.enumerate() if thread.name == "ko_pants progress"}


def test_a_line_every_few_seconds() -> None:
    watched = Watched()
    image = begin(watched.progress)
    watched.watch.start()
    for _ in range(100):
        watched.clock.now += 0.2
        assert watched.watch.look() is not None
    assert len(watched.screen.lines) == 4
    assert all(line.startswith("Uploading web (") for line in watched.screen.lines)
    image.done("a")
    image.done("b")
    assert watched.watch.look() is None


def test_an_interval_of_0_says_nothing() -> None:
    watched = Watched(0)
    begin(watched.progress)
    watched.watch.start()
    watched.clock.now += 1000
    assert watched.watch.look() is not None
    assert watched.screen.lines == []


def test_who_waits_for_uploads_says_it_himself() -> None:
    watched = Watched()
    begin(watched.progress)
    watched.watch.start()
    watched.watch.leave()
    watched.clock.now += 1000
    assert watched.watch.look() is None
    assert watched.screen.lines == []


def test_a_run_that_the_user_ends_ends_its_uploads_and_says_what_is_where() -> None:
    watched = Watched()
    begin(watched.progress, a=5 * MB)
    watched.watch.start()
    watched.screen.over = True
    watched.screen.end()
    assert watched.watch.look() is None
    assert watched.interrupts == 1
    assert watched.screen.lines == ["Interrupted: no tag has moved."]


def test_where_nobody_reads_there_is_no_thread() -> None:
    progress = Progress()
    begin(progress)
    before = threads()
    UploadWatch(progress, None, 5.0, lambda: "").start()
    assert threads() <= before


def test_a_heartbeat_ends_and_begins_again() -> None:
    beats: list[int] = []
    done = threading.Event()

    def beat() -> float | None:
        beats.append(1)
        if len(beats) % 3:
            return 0.0
        done.set()
        return None

    heartbeat = Heartbeat(beat, 0.0)
    before = threads()
    for expected in (3, 6):
        heartbeat.start()
        assert done.wait(SECONDS)
        done.clear()
        for thread in threads() - before:
            thread.join(SECONDS)
        assert len(beats) == expected


@pytest.mark.parametrize("count", [1, 5])
def test_a_second_start_begins_no_second_thread(count: int) -> None:
    release = threading.Event()

    def beat() -> None:
        assert release.wait(SECONDS)

    heartbeat = Heartbeat(beat, 0.0)
    before = threads()
    for _ in range(count):
        heartbeat.start()
    (thread,) = threads() - before
    release.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
