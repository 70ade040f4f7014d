"""The root directory: usable or not, its locks, the time of the last pruning."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from kocache.samples import HERE, Caches, age, ordinary_user

from ko_pants.errors import KoPantsError
from ko_pants.kocache import locks
from ko_pants.kocache.locks import LockBusy
from ko_pants.kocache.root import CacheRoot, KoCacheUnusable

HINT = r"set KOCACHE \(or option \[ko\]\.kocache\) to a directory that can be created and written"


def test_an_absent_root_is_created_by_the_check(caches: Caches) -> None:
    root = caches.root()
    assert not caches.path.exists()
    for _ in range(2):
        root.check_usable(writable=True)
    assert caches.path.is_dir()
    assert os.listdir(caches.path) == []


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("", f"^KOCACHE is empty: {HINT}$"),
        ("file", f"^KOCACHE is .*/file, which is not a directory: remove it, or {HINT}$"),
        (
            "file/below",
            rf"^KOCACHE is .*/file/below, which cannot be created \(Not a directory\): {HINT}$",
        ),
        (
            "a\0b",
            rf"^KOCACHE is .*/a\0b, which cannot be created \(embedded null byte\): {HINT}$",
        ),
    ],
)
def test_an_unusable_root_is_named(tmp_path: Path, root: str, message: str) -> None:
    (tmp_path / "file").write_text("")
    for writable in (False, True):
        with pytest.raises(KoCacheUnusable, match=message) as caught:
            CacheRoot(str(tmp_path / root) if root else "").check_usable(writable=writable)
    assert isinstance(caught.value, KoPantsError)


def test_a_root_that_can_be_read_only_is_usable_for_reading(caches: Caches) -> None:
    root = caches.root()
    root.check_usable()
    caches.make_read_only()
    with ordinary_user():
        root.check_usable()
        with pytest.raises(KoCacheUnusable, match="which this user cannot write: change its perm"):
            root.check_usable(writable=True)
    root.check_usable()


@pytest.mark.parametrize("mode", [0o300, 0o600])
def test_a_root_that_cannot_be_read_or_entered_is_unusable(caches: Caches, mode: int) -> None:
    root = caches.root()
    root.check_usable()
    caches.make_read_only()
    if os.geteuid() == 0:
        os.chown(caches.path, 65534, 65534)
    os.chmod(caches.path, mode)
    with ordinary_user(), pytest.raises(KoCacheUnusable, match=f"cannot read: .* or {HINT}$"):
        root.check_usable()


def test_writers_of_one_directory_exclude_each_other(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "_TIMEOUT_SECONDS", 0.0)
    with caches.root().maps_lock(HERE) as held:
        assert held
        with pytest.raises(LockBusy), caches.root().maps_lock(HERE):
            raise AssertionError("two have the lock")
    with caches.root().maps_lock(HERE) as held:
        assert held


def test_directories_share_sixteen_lock_files(caches: Caches) -> None:
    """Their names are the same in all versions, or two versions would not exclude each other."""
    for number in range(300):
        with caches.root().maps_lock(f"bin/example.com/{number}/linux/amd64"):
            pass
    names = sorted(os.listdir(caches.path / "ko-pants"))
    assert names == [f"lock-{number:02}" for number in range(16)]
    (caches.path / "ko-pants/lock-04").unlink()
    with caches.root().maps_lock(HERE):
        assert (caches.path / "ko-pants/lock-04").exists()


def test_a_file_system_without_locks_is_one_warning(
    caches: Caches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(fd: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    root = caches.root()
    for _ in range(2):
        with root.maps_lock(HERE) as held:
            assert not held
    assert len(caches.warnings) == 1
    assert "No locks available" in caches.warnings[0]


def test_pruning_is_due_a_day_after_the_last(caches: Caches) -> None:
    root = caches.root()
    stamp = caches.path / "ko-pants" / "pruned"
    assert not root.claim_daily_pruning(), "a new cache has nothing to prune"
    assert stamp.read_bytes() == b""
    assert not root.claim_daily_pruning()
    age(stamp, 0.99)
    assert not root.claim_daily_pruning()
    age(stamp, 1.01)
    assert root.claim_daily_pruning()
    assert stamp.stat().st_mtime > time.time() - 3600
    assert not caches.root().claim_daily_pruning(), "one run a day does it"


def test_pruning_is_never_due_where_nothing_can_be_written(caches: Caches) -> None:
    caches.path.mkdir()
    caches.make_read_only()
    with ordinary_user():
        assert not caches.root().claim_daily_pruning()
    os.chmod(caches.path, 0o755)
    caches.root().claim_daily_pruning()
    age(caches.path / "ko-pants", 3)
    caches.make_read_only()
    is_owner = os.geteuid() != 0  # who may change the times of a file that is read-only
    with ordinary_user():
        assert caches.root().claim_daily_pruning() is is_owner


def outside(caches: Caches) -> Path:
    """A directory beside the cache, and the cache's own directory for its state."""
    place = caches.path.parent / "outside"
    place.mkdir()
    (caches.path / "ko-pants").mkdir(parents=True)
    return place


def test_a_lock_file_that_is_a_link_creates_nothing_elsewhere(caches: Caches) -> None:
    place = outside(caches)
    for number in range(16):
        (caches.path / f"ko-pants/lock-{number:02}").symlink_to(place / f"made-{number}")
    with pytest.raises(OSError, match="symbolic links"), caches.root().maps_lock(HERE):
        raise AssertionError("the lock is held")
    assert os.listdir(place) == []


@pytest.mark.parametrize("exists", [True, False])
def test_a_stamp_that_is_a_link_changes_nothing_elsewhere(caches: Caches, exists: bool) -> None:
    target = outside(caches) / "pruned"
    if exists:
        target.touch()
        os.utime(target, (1, 1))
    stamp = caches.path / "ko-pants/pruned"
    stamp.symlink_to(target)
    root = caches.root()
    assert not root.claim_daily_pruning()
    os.utime(stamp, (1, 1), follow_symlinks=False)
    assert root.claim_daily_pruning()
    assert not root.claim_daily_pruning()
    assert target.exists() is exists
    assert not exists or target.stat().st_mtime == 1


@pytest.mark.parametrize("exists", [True, False])
def test_a_state_directory_that_is_a_link_is_not_used(caches: Caches, exists: bool) -> None:
    place = caches.path.parent / "outside"
    if exists:
        place.mkdir()
    caches.path.mkdir()
    (caches.path / "ko-pants").symlink_to(place)
    with pytest.raises(OSError, match="is a symbolic link, which is not followed"):
        caches.root().make_state_directory()
    assert not exists or os.listdir(place) == []


def test_a_root_that_is_a_link_is_what_the_user_chose(caches: Caches) -> None:
    place = caches.path.parent / "disk"
    place.mkdir()
    caches.path.symlink_to(place)
    with caches.root().maps_lock(HERE) as held:
        assert held
    assert os.listdir(place) == ["ko-pants"]
