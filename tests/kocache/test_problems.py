"""The warnings, word by word: they are all that a user sees of a damaged cache."""

from __future__ import annotations

import errno
import logging

import pytest

from ko_pants.kocache.locks import LockBusy
from ko_pants.kocache.problems import Problems, log_warning

FULL = OSError(errno.ENOSPC, "No space left on device")
DENIED = OSError(errno.EACCES, "Permission denied", "/cache/x")


def test_each_problem_is_told_once() -> None:
    told: list[str] = []
    problems = Problems("/cache", told.append)
    for _ in range(2):
        problems.unreadable("/cache/map", "it is empty")
        problems.unreadable("/cache/map", "it is not a regular file")
        problems.unreadable("/cache/other", "it is empty")
        problems.not_deleted("/cache/map", DENIED)
        problems.not_deleted("/cache/other", DENIED)
        problems.no_locks(OSError(errno.ENOLCK, "No locks available"))
        problems.not_written(FULL)
        problems.not_written(DENIED)
        problems.not_written(LockBusy(errno.EAGAIN, "another process has held the lock"))
    again = "what was built now is built again by the next run"
    assert told == [
        "KOCACHE: /cache/map: it is empty; it is taken as absent until rewritten",
        "KOCACHE: /cache/other: it is empty; it is taken as absent until rewritten",
        "KOCACHE: /cache/map: not deleted (Permission denied)",
        "KOCACHE: /cache/other: not deleted (Permission denied)",
        "KOCACHE: /cache: no file locks here (No locks available); what concurrent runs record at "
        "the same moment may be lost and is built again",
        f"KOCACHE: /cache: not updated (No space left on device); {again} unless the directory can "
        "be written",
        f"KOCACHE: /cache: not updated (Permission denied); {again} unless the directory can be "
        "written",
        f"KOCACHE: /cache: not updated (another process has held the lock); {again}",
    ]


def test_a_busy_lock_does_not_hide_that_there_are_no_resources() -> None:
    told: list[str] = []
    problems = Problems("/cache", told.append)
    problems.not_written(LockBusy(errno.EAGAIN, "busy"))
    problems.not_written(OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    assert len(told) == 2


def test_without_another_receiver_they_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    log_warning("something is damaged")
    assert caplog.record_tuples == [("ko_pants.kocache", logging.WARNING, "something is damaged")]
