"""A lock that excludes others, and what happens where there is none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from ko_pants.kocache.locks import LockBusy, exclusive_lock


def nobody(error: OSError) -> None:
    raise AssertionError(f"there are locks here: {error}")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def nothing() -> None:
    pass


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self._last_pause, self._at_last_pause = 0, nothing
        monkeypatch.setattr("time.monotonic", lambda: self.now)
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        if len(self.pauses) == self._last_pause:
            self._at_last_pause()

    def after(self, pauses: int, what: Callable[[], None]) -> None:
        """Let something happen after so many pauses."""
        self._last_pause, self._at_last_pause = pauses, what


def test_a_lock_excludes_another_until_it_is_released(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    with exclusive_lock(path, nobody) as held:
        assert held
        busy = pytest.raises(LockBusy, match="held the lock for 30 seconds")
        with busy, exclusive_lock(path, nobody):
            raise AssertionError("two have the lock")
        assert 30 < clock.now - 1000 < 30.1
    with exclusive_lock(path, nobody) as held:
        assert held


def test_a_waiting_writer_asks_often_and_ever_less(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    clock.after(9, lambda: os.close(fd))
    before = len(os.listdir("/proc/self/fd"))
    with exclusive_lock(path, nobody) as held:
        assert held
        assert len(os.listdir("/proc/self/fd")) == before, "one closed, one opened"
    assert clock.pauses[:5] == [0.0005, 0.001, 0.002, 0.004, 0.008]
    assert clock.pauses[-2:] == [0.02, 0.02]


def test_the_lock_of_a_process_that_dies_is_free(path: str) -> None:
    script = (
        "import fcntl, os, sys\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, path], check=True)
    with exclusive_lock(path, nobody) as held:
        assert held


def test_an_exception_releases_the_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyError), exclusive_lock(path, nobody):
        raise KeyError
    with exclusive_lock(path, nobody) as held:
        assert held
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_on_a_deleted_file_does_not_count(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another has deleted the cache, and made it anew with a lock of its own."""
    clock = Clock(monkeypatch)
    flock = fcntl.flock
    deleted: list[int] = []

    def delete_then_lock(fd: int, operation: int) -> None:
        if not deleted:
            os.unlink(path)
            deleted.append(os.open(path, os.O_RDWR | os.O_CREAT))
            flock(deleted[0], fcntl.LOCK_EX)
            clock.after(3, lambda: os.close(deleted[0]))
        flock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", delete_then_lock)
    with exclusive_lock(path, nobody) as held:
        assert held
        assert len(clock.pauses) == 3, "it waited for the one that has the file's name"


def test_a_lock_on_a_file_without_a_name_does_not_count(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    flock = fcntl.flock
    times: list[int] = []

    def lock_then_delete(fd: int, operation: int) -> None:
        flock(fd, operation)
        times.append(fd)
        if len(times) == 1:
            os.unlink(path)

    monkeypatch.setattr(fcntl, "flock", lock_then_delete)
    with exclusive_lock(path, nobody) as held:
        assert held
        assert os.path.exists(path)
    assert len(times) == 2


@pytest.mark.parametrize("name", ["ENOLCK", "ESTALE", "ENOSYS", "EOPNOTSUPP", "EINVAL", "EIO"])
def test_where_there_are_no_locks_work_goes_on_and_is_told(
    path: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def no_locks(fd: int, operation: int) -> None:
        raise OSError(getattr(errno, name), "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    told: list[OSError] = []
    before = len(os.listdir("/proc/self/fd"))
    with exclusive_lock(path, told.append) as held:
        assert not held
    assert [error.strerror for error in told] == ["no locks"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_another_error_is_raised(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotADirectoryError), exclusive_lock("/dev/null/lock", nobody):
        raise AssertionError("there is no such lock")

    def refused(fd: int, operation: int) -> None:
        raise PermissionError(errno.EACCES, "refused")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(PermissionError), exclusive_lock(path, nobody):
        raise AssertionError("there is no such lock")
