"""The directory of a KOCACHE: whether it can be used, its locks, and the time of the last pruning.

`<root>/ko-pants/` has what no other tool reads: 16 lock files, the stamp `pruned`, `last-run.json`,
and `records/` (`explanation/store.py`).
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from typing import Callable

from ko_pants.errors import KoPantsError
from ko_pants.kocache.locks import exclusive_lock
from ko_pants.kocache.problems import Problems, log_warning
from ko_pants.kocache.shared_files import DAY_SECONDS, make_directories, reason

_LOCK_FILES = 16


class KoCacheUnusable(KoPantsError):
    """KOCACHE names something that cannot be a cache directory."""


class CacheRoot:
    """The root directory of one cache. To make this object touches nothing on disk.

    :param path: the directory, `$KOCACHE` as ko spells it.
    :param warn: called with one line, at most once for each file or kind of failure.
    """

    def __init__(self, path: str, warn: Callable[[str], None] = log_warning) -> None:
        self.path = path
        self.problems = Problems(path, warn)

    def state_file(self, name: str) -> str:
        """The path of a file in `ko-pants/`."""
        return os.path.join(self.path, "ko-pants", name)

    def make_state_directory(self) -> None:
        """Create `ko-pants/` if it is absent.

        :raises OSError: it cannot be created, or is a symbolic link.
        """
        make_directories(self.path, "ko-pants")

    def check_usable(self, *, writable: bool = False) -> None:
        """Make sure that the root is a directory, and create it if it is absent.

        A cache that can be read and not written is usable, unless `writable` is asked for.

        :raises KoCacheUnusable: the root is something else, or cannot be created, read or written.
        """
        hint = "set KOCACHE (or option [ko].kocache) to a directory that can be created and written"
        if not self.path:
            raise KoCacheUnusable(f"KOCACHE is empty: {hint}")
        try:
            os.makedirs(self.path, exist_ok=True)
        except FileExistsError:
            raise KoCacheUnusable(
                f"KOCACHE is {self.path}, which is not a directory: remove it, or {hint}"
            ) from None
        except (OSError, ValueError) as error:
            raise KoCacheUnusable(
                f"KOCACHE is {self.path}, which cannot be created ({reason(error)}): {hint}"
            ) from None
        mode = os.R_OK | os.X_OK | (os.W_OK if writable else 0)
        if not os.access(self.path, mode, effective_ids=os.access in os.supports_effective_ids):
            raise KoCacheUnusable(
                f"KOCACHE is {self.path}, which this user cannot "
                f"{'write' if writable else 'read'}: change its permissions, or {hint}"
            )

    def maps_lock(self, directory: str) -> contextlib.AbstractContextManager[bool]:
        """The lock that every writer of the maps in `directory` (relative to the root) holds.

        It yields False where the file system has no locks.

        :raises LockBusy: somebody else has held the lock for 30 seconds.
        :raises OSError: the lock file cannot be created.
        """
        self.make_state_directory()
        number = zlib.crc32(directory.encode()) % _LOCK_FILES
        return exclusive_lock(self.state_file(f"lock-{number:02}"), self.problems.no_locks)

    def claim_daily_pruning(self) -> bool:
        """True if the caller is to prune now, because nobody has done so for a day.

        In a new cache the day begins with the first call.
        """
        stamp = self.state_file("pruned")
        try:
            age_seconds = time.time() - os.lstat(stamp).st_mtime
        except OSError:
            with contextlib.suppress(OSError):
                self.make_state_directory()
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(os.open(stamp, flags, 0o666))
            return False
        if age_seconds <= DAY_SECONDS:
            return False
        try:
            os.utime(stamp, follow_symlinks=False)
        except OSError:
            return False
        return True
