"""Temporary directories of a run, and the remains of runs that were killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time

_NAME = re.compile(r"ko_pants_[a-z]+_(\d+)_\w+")
_HOUR_SECONDS = 3600.0


def make_directory(kind: str) -> str:
    """A new directory, named after this process; what dead processes of ours left is deleted.

    :param kind: a lower-case word.
    """
    _sweep(tempfile.gettempdir())
    return tempfile.mkdtemp(prefix=f"ko_pants_{kind}_{os.getpid()}_")


def _sweep(place: str) -> None:
    for entry in os.scandir(place):
        match = _NAME.fullmatch(entry.name)
        if not match or _is_alive(int(match[1])):
            continue
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        # A process of another container may share the directory and not be seen: leave it time.
        if state.st_uid == os.geteuid() and time.time() - state.st_mtime > _HOUR_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
