"""Temporary directories: made, and swept after processes that are gone."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from ko_pants.publishing.temporary import make_directory


def test_what_dead_processes_left_is_deleted_after_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    old, fresh = (tmp_path / f"ko_pants_blobs_{ended.pid}_{name}" for name in ("old", "fresh"))
    alive = tmp_path / f"ko_pants_blobs_{os.getpid()}_alive"
    foreign = tmp_path / "ko_pants_other"
    for directory in (old, fresh, alive, foreign):
        directory.mkdir()
        (directory / "blob").write_text("x")
    for directory in (old, alive, foreign):
        os.utime(directory, (0, 0))

    made = make_directory("blobs")

    assert os.path.isdir(made)
    assert not old.exists()
    assert fresh.exists()
    assert alive.exists()
    assert foreign.exists()
