"""Programs that `go install` brings, such as ko, which tests skip without."""

from __future__ import annotations

import os
import shutil

import pytest


def find_go_peer(name: str) -> str:
    """The path of a program, from PATH or where `go install` puts it; skips the test without it."""
    gobin = os.environ.get("GOBIN", os.path.expanduser("~/go/bin"))
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), gobin]))
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
