"""Files that several processes read and write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from kocache.samples import age, ordinary_user

from ko_pants.kocache import shared_files
from ko_pants.kocache.shared_files import (
    NotReadable,
    create_atomically,
    file_state,
    is_temporary,
    note_use,
    read_regular,
    reason,
    sync_directory,
    write_atomically,
)


def test_a_regular_file_up_to_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_regular(str(path), 3) is None
    for content in (b"", b"a", b"abc"):
        path.write_bytes(content)
        assert read_regular(str(path), 3) == content
    path.write_bytes(b"abcd")
    with pytest.raises(NotReadable, match=r"^it has 4 bytes, more than 3$"):
        read_regular(str(path), 3)


def test_what_is_no_regular_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(NotReadable, match=r"^it is not a regular file$"):
            read_regular(str(path), 3)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(NotReadable, match=r"^Too many levels of symbolic links$"):
        read_regular(str(tmp_path / "loop"), 3)
    with pytest.raises(NotReadable, match="null byte"):
        read_regular("a\0b", 3)


def test_reading_goes_on_to_the_end_of_a_growing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    read = os.read

    def grow(fd: int, count: int) -> bytes:
        content = read(fd, count)
        with path.open("ab") as file:
            file.write(b"xyz")
        return content

    monkeypatch.setattr(os, "read", grow)
    assert read_regular(str(path), 8) == b"abcxyzxy"
    path.write_bytes(b"abc")
    assert read_regular(str(path), 7) == b"abcxyzx"


def test_an_error_while_reading_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int, count: int) -> bytes:
        raise OSError(5, "Input/output error")

    path = tmp_path / "file"
    path.write_bytes(b"abc")
    monkeypatch.setattr(os, "read", broken)
    with pytest.raises(NotReadable, match=r"^Input/output error$"):
        read_regular(str(path), 8)


def test_files_are_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    before = len(os.listdir("/proc/self/fd"))
    for locked in (True, False):
        write_atomically(path, b"content", locked=locked)
    read_regular(path, 100)
    with pytest.raises(NotReadable):
        read_regular(path, 1)
    create_atomically(path + "2", b"")
    sync_directory(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("locked", [True, False])
def test_a_write_replaces_the_file(tmp_path: Path, locked: bool) -> None:
    path = tmp_path / "file"
    for content in (b"first" * 1000, b"", b"third"):
        before = file_state(str(path))
        write_atomically(str(path), content, locked=locked)
        assert path.read_bytes() == content
        assert file_state(str(path)) != before
    assert os.listdir(tmp_path) == ["file"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_write_goes_on_after_a_short_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data)[:3]))
    write_atomically(str(tmp_path / "file"), b"0123456789", locked=True)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


@pytest.mark.parametrize("locked", [True, False])
def test_a_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(str(path), b"new", locked=locked)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_content_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_sync(fd: int) -> None:
        order.append("sync")
        fsync(fd)

    def note_name(source: str, target: str) -> None:
        order.append("name")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_name)
    write_atomically(str(tmp_path / "file"), b"content", locked=True)
    sync_directory(str(tmp_path))
    assert order == ["sync", "name", "sync"]


def test_a_writer_with_the_lock_takes_over_what_a_killed_one_left(tmp_path: Path) -> None:
    left = tmp_path / ".file.ko-pants.tmp"
    left.write_bytes(b"half")
    write_atomically(str(tmp_path / "file"), b"whole", locked=True)
    assert os.listdir(tmp_path) == ["file"]


def test_a_writer_without_the_lock_leaves_the_unfinished_file_of_another(tmp_path: Path) -> None:
    left = tmp_path / ".file.ko-pants.tmp"
    left.write_bytes(b"half")
    write_atomically(str(tmp_path / "file"), b"whole", locked=False)
    assert left.read_bytes() == b"half"
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_creating_leaves_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    create_atomically(str(path), b"first")
    create_atomically(str(path), b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_unfinished_writes_have_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def killed(source: str, target: str) -> None:
        names.append(os.path.basename(source))
        raise OSError(5, "killed")

    monkeypatch.setattr(os, "rename", killed)
    for locked in (True, False, False):
        with pytest.raises(OSError, match="killed"):
            write_atomically(str(tmp_path / "file"), b"", locked=locked)
    assert len(set(names)) == 3
    assert all(map(is_temporary, names))
    assert names[0] == ".file.ko-pants.tmp"
    assert not is_temporary("file")


def test_a_directory_that_cannot_be_synced_is_no_error(tmp_path: Path) -> None:
    sync_directory(str(tmp_path / "absent"))
    (tmp_path / "file").touch()
    sync_directory(str(tmp_path / "file"))


def test_state_tells_inode_time_and_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    status = path.stat()
    assert file_state(str(path)) == (status.st_ino, status.st_mtime_ns, 3)
    assert file_state(str(tmp_path / "absent")) is None
    assert file_state("a\0b") is None


def test_use_is_noted_once_a_day(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("absent", "fresh", "old", "older")]
    for path, days in zip(paths[1:], (0.9, 1.1, 50)):
        path.touch()
        age(path, days)
    fresh = paths[1].stat().st_mtime
    now = time.time()
    names = [str(path) for path in paths]
    note_use(names, [file_state(name) for name in names])
    assert paths[1].stat().st_mtime == fresh
    assert all(path.stat().st_mtime >= now - 1 for path in paths[2:])


def test_use_of_what_cannot_be_changed_is_not_noted(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    age(path, 2)
    before = file_state(str(path))
    assert before is not None
    with ordinary_user():
        note_use([str(path)], [before])
    if os.geteuid() == 0:
        assert file_state(str(path)) == before
    note_use([str(tmp_path / "deleted meanwhile")], [before])


def test_reasons_have_no_path() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "/a")) == (
        "No such file or directory"
    )
    assert reason(OSError("strange")) == "strange"
    assert reason(ValueError("embedded null byte")) == "embedded null byte"


def test_a_day_has_86400_seconds() -> None:
    assert shared_files.DAY_SECONDS == 86_400
