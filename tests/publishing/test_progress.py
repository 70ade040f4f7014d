"""Lines of progress, by a clock that tests turn."""

from __future__ import annotations

import pytest

from ko_pants.publishing.progress import ImageProgress, Progress

MB = 1_000_000


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress(clock)


def begin(progress: Progress, name: str = "web", **sizes: int) -> ImageProgress:
    return progress.begin(name, "linux/amd64, linux/arm64", sizes or {"a": 100 * MB, "b": 20 * MB})


def test_a_line_has_image_bytes_rate_and_what_is_left(progress: Progress, clock: Clock) -> None:
    image = begin(progress)
    clock.now += 4
    image.sent("a", 40 * MB)
    assert progress.line() == (
        "Uploading web (linux/amd64, linux/arm64): 40.0 of 120.0 MB, 10.0 MB/s, 8 s left"
    )


def test_the_rate_is_that_of_the_last_lines(progress: Progress, clock: Clock) -> None:
    image = begin(progress, a=10_000 * MB)
    for line in range(10):
        clock.now += 5
        image.sent("a", (line + 1) * 100 * MB)
        progress.line()
    for line in range(4):
        clock.now += 5
        image.sent("a", 1000 * MB + (line + 1) * 5 * MB)
        text = progress.line()
    # The network is slow by now: nobody is told of the 20 MB/s of the beginning.
    assert text.endswith(": 1020.0 of 10000.0 MB, 1.0 MB/s, 150 min left")


def test_nothing_is_promised_of_a_registry_that_takes_nothing(
    progress: Progress, clock: Clock
) -> None:
    begin(progress)
    clock.now += 60
    assert progress.line().endswith(": 0.0 of 120.0 MB, 0.0 MB/s")


def test_an_upload_that_is_shorter_than_the_interval_has_no_line(
    progress: Progress, clock: Clock
) -> None:
    image = begin(progress)
    clock.now += 4.9
    assert progress.line(5) == ""
    clock.now += 0.1
    assert progress.line(5)
    image.done("a")
    image.done("b")
    assert progress.line(5) == ""
    assert not progress.is_going_on


def test_what_was_mounted_need_not_be_sent(progress: Progress, clock: Clock) -> None:
    image = begin(progress)
    image.done("a")
    assert (progress.sent_bytes, progress.total_bytes) == (0, 20 * MB)
    image.sent("b", 20 * MB)
    image.done("b")
    assert (progress.sent_bytes, progress.total_bytes) == (20 * MB, 20 * MB)


def test_a_new_attempt_begins_again(progress: Progress, clock: Clock) -> None:
    image = begin(progress)
    image.sent("a", 60 * MB)
    clock.now += 10
    image.sent("a", 10 * MB)
    assert progress.sent_bytes == 10 * MB
    assert "10.0 of 120.0 MB, 1.0 MB/s" in progress.line()


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["web"], "Uploading web (linux/amd64, linux/arm64): "),
        # To two destinations.
        (["web", "web"], "Uploading web (linux/amd64, linux/arm64): "),
        (["web", "api"], "Uploading web and api: "),
        (["web", "api", "job", "cart"], "Uploading web, api and 2 more: "),
    ],
)
def test_images_are_named(progress: Progress, clock: Clock, names: list[str], shown: str) -> None:
    for name in names:
        begin(progress, name)
    assert progress.line().startswith(shown)


def test_an_image_that_cannot_be_brought_is_not_waited_for(progress: Progress) -> None:
    begin(progress, "web").fail()
    assert progress.line() == ""
    assert not progress.is_going_on


def test_the_uploads_of_an_image_are_found(progress: Progress) -> None:
    first, second, _ = begin(progress, "web"), begin(progress, "web"), begin(progress, "api")
    assert progress.uploads_of("web") == [first, second]
    assert first.size == 120 * MB
    first.fail()
    assert progress.uploads_of("web") == [second]
    assert progress.uploads_of("job") == []


def test_what_is_there_is_told(progress: Progress) -> None:
    assert progress.where() == ""
    image = begin(progress)
    image.sent("a", 100 * MB)
    image.done("a")
    image.sent("b", 5 * MB)
    assert progress.where() == (
        "1 of 2 missing blobs are there by now (100.0 of 120.0 MB), and the next run reuses them"
    )


def test_a_blob_that_the_registry_lost_meanwhile_does_not_count(progress: Progress) -> None:
    image = begin(progress)
    image.sent("c", 7 * MB)
    image.done("c")
    assert (progress.sent_bytes, progress.blobs_there) == (0, 0)
