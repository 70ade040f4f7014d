"""A file is replaced as a whole, or stays as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ko_pants.disk.replacement import replace_file
from ko_pants.errors import KoPantsError


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.json"
    before = os.umask(0o027)
    try:
        replace_file(str(path), b"x")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"x"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    path.chmod(0o604)
    with path.open("rb") as opened:
        replace_file(str(path), b"new")
        # The old file was not written to: another one has its name now.
        assert opened.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o604


def test_a_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path, link = tmp_path / "real" / "x.json", tmp_path / "link.json"
    path.write_bytes(b"old")
    link.symlink_to("real/x.json")
    replace_file(str(link), b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_a_write_that_fails_leaves_the_old_file(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"ko_pants.disk.replacement.os.{failing}", fail)
    with pytest.raises(KoPantsError) as e:
        replace_file(str(path), b"new")
    assert str(e.value).startswith(f"cannot write {path}: No space left on device")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_directory_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "x.json" / "y").mkdir(parents=True)
    with pytest.raises(KoPantsError, match=r"cannot write .*x\.json: Is a directory"):
        replace_file(str(tmp_path / "x.json"), b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
