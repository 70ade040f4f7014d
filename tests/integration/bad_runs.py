"""What tests of a user's mistakes have in common."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from integration.workspace import Run


def assert_no_traceback(run: Run) -> None:
    """The output has no traceback."""
    for sign in ("Traceback (most recent call last)", 'File "', "site-packages", "assert "):
        assert sign not in run.output, run.output


def files_below(directory: Path) -> dict[str, bytes]:
    """The files below a directory, by path; without those that begin with a dot."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def unwritable_directory(place: Path) -> Path:
    """A directory in which this user can make no file: `place`, or one of the system for root."""
    if os.geteuid() != 0:
        place.mkdir(mode=0o555)
        return place
    # Permissions do not stop root, but not even root can make files in sysfs.
    system = Path("/sys/kernel")
    if not system.is_dir():
        pytest.skip("no sysfs, and root can write everywhere else")
    return system
