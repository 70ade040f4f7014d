"""Temporary directories of a run. Those of killed processes are deleted by a later run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time

_NAME = re.compile(r"ko_pants_[a-z]+_(\d+)_\w+")
_HOUR_SECONDS = 3600.0


def make_directory(kind: str) -> str:
    """Make a directory whose name has the id of this process; delete those of dead processes.

    :param kind: a lower-case word in the name of the directory.
    """
    _sweep(tempfile.gettempdir())
    return tempfile.mkdtemp(prefix=f"ko_pants_{kind}_{os.getpid()}_")


def _sweep(place: str) -> None:
    for entry in os.scandir(place):
        match = _NAME.fullmatch(entry.name)
        if not match or is_alive(int(match[1])):
            continue
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        # A process in another container can share /tmp and be invisible here: wait for an hour.
        if state.st_uid == os.geteuid() and time.time() - state.st_mtime > _HOUR_SECONDS:
            shutil.rmtree(entry.path, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """True if there is such a process, also if it is somebody else's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
