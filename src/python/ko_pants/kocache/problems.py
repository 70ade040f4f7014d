"""What a KOCACHE tells its user: each problem in one line, and once."""

from __future__ import annotations

import threading
from typing import Callable

from ko_pants.kocache.locks import LockBusy
from ko_pants.kocache.shared_files import reason


def log_warning(message: str) -> None:
    """Give `message` to the log of this package, as a warning."""
    import logging

    logging.getLogger("ko_pants.kocache").warning(message)


class Problems:
    """Warns of what is wrong with one cache. Threads may share it.

    :param root: the directory of the cache, named in the warnings.
    :param warn: called with one line, at most once for each file or kind of failure.
    """

    def __init__(self, root: str, warn: Callable[[str], None]) -> None:
        self._root = root
        self._warn = warn
        self._mutex = threading.Lock()
        self._told: set[str] = set()

    def unreadable(self, path: str, what: str) -> None:
        """Something on disk is taken as absent; `what` says why."""
        self._tell_once(path, f"KOCACHE: {path}: {what}; it is taken as absent until rewritten")

    def not_deleted(self, path: str, error: OSError) -> None:
        """Pruning could not delete a file."""
        self._tell_once(f"delete {path}", f"KOCACHE: {path}: not deleted ({reason(error)})")

    def no_locks(self, error: OSError) -> None:
        """The file system of the cache has no locks."""
        self._tell_once(
            "no locks",
            f"KOCACHE: {self._root}: no file locks here ({reason(error)}); what concurrent runs "
            "record at the same moment may be lost and is built again",
        )

    def not_written(self, error: OSError) -> None:
        """The cache was not updated."""
        busy = isinstance(error, LockBusy)
        self._tell_once(
            f"not written {'busy' if busy else error.errno}",
            f"KOCACHE: {self._root}: not updated ({reason(error)}); what was built now is built "
            "again by the next run" + ("" if busy else " unless the directory can be written"),
        )

    def _tell_once(self, what: str, message: str) -> None:
        with self._mutex:
            if what in self._told:
                return
            self._told.add(what)
        self._warn(message)
