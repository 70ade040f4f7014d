"""Temporary directories: made for this process, and deleted after processes that have ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ko_pants.publishing import temporary
from ko_pants.publishing.temporary import make_directory


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which temporary directories are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def left_over(place: Path, pid: object, name: str = "old", mtime: float = 0.0) -> Path:
    """A directory with a file, as the process `pid` left it at `mtime`."""
    directory = place / f"ko_pants_blobs_{pid}_{name}"
    directory.mkdir()
    (directory / "blob").write_text("x")
    os.utime(directory, (mtime, mtime))
    return directory


def test_the_name_tells_the_kind_and_the_process(place: Path) -> None:
    made = Path(make_directory("blobs"))
    assert made.is_dir()
    assert made.parent == place
    assert made.name.startswith(f"ko_pants_blobs_{os.getpid()}_")


def test_what_dead_processes_left_is_deleted_after_an_hour(place: Path, ended: int) -> None:
    old = left_over(place, ended)
    fresh = left_over(place, ended, "fresh", mtime=time.time())
    alive = left_over(place, os.getpid(), "alive")
    foreign = place / "ko_pants_other"
    foreign.mkdir()
    os.utime(foreign, (0, 0))

    made = make_directory("blobs")

    assert os.path.isdir(made)
    assert not old.exists()
    assert fresh.exists()
    assert alive.exists()
    assert foreign.exists()


def test_an_hour_is_3600_seconds(place: Path, ended: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        @staticmethod
        def time() -> float:
            return 1_000_000.0

    monkeypatch.setattr(temporary, "time", Clock)
    kept = left_over(place, ended, "kept", mtime=1_000_000.0 - 3600.0)
    deleted = left_over(place, ended, "deleted", mtime=1_000_000.0 - 3600.5)
    make_directory("blobs")
    assert kept.exists()
    assert not deleted.exists()


def test_directories_of_other_users_are_kept(
    place: Path, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = left_over(place, ended)
    other_user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other_user)
    make_directory("blobs")
    assert old.exists()


def test_directories_of_a_process_of_another_user_are_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = left_over(place, 4711)

    def kill(pid: int, signal: int) -> None:
        raise PermissionError(pid)

    monkeypatch.setattr(os, "kill", kill)
    make_directory("blobs")
    assert old.exists()


def test_a_number_that_is_no_process_id_does_no_harm(place: Path) -> None:
    old = left_over(place, 10**30)
    make_directory("blobs")
    assert old.exists()


def test_a_link_with_the_name_of_a_directory_is_not_followed(place: Path, ended: int) -> None:
    target = place / "target"
    target.mkdir()
    (target / "file").write_text("x")
    link = place / f"ko_pants_blobs_{ended}_link"
    link.symlink_to(target)
    os.utime(link, (0, 0), follow_symlinks=False)
    assert os.path.isdir(make_directory("blobs"))
    assert (target / "file").exists()


def test_a_directory_that_another_process_deletes_first_does_not_stop_the_others(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directories = {pid: left_over(place, pid) for pid in (1001, 1002, 1003)}
    asked: list[int] = []

    def kill(pid: int, signal: int) -> None:
        if not asked:
            shutil.rmtree(directories[pid])
        asked.append(pid)
        raise ProcessLookupError(pid)

    monkeypatch.setattr(os, "kill", kill)
    make_directory("blobs")
    assert sorted(asked) == [1001, 1002, 1003]
    assert not any(directory.exists() for directory in directories.values())
