"""An exclusive lock on a file, between processes and threads."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from typing import Callable, Iterator

# What `flock` says where the file system has no locks. Work goes on without one then: a record of
# another process may be lost, which is a miss.
_NO_LOCKS = frozenset(
    getattr(errno, name)
    for name in ("ENOLCK", "ESTALE", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL", "EIO")
)
_TIMEOUT_SECONDS = 30.0
_FIRST_PAUSE_SECONDS = 0.0005
_LONGEST_PAUSE_SECONDS = 0.02


class LockBusy(OSError):
    """Another process has held the lock for 30 seconds."""


@contextlib.contextmanager
def exclusive_lock(path: str, no_locks: Callable[[OSError], None]) -> Iterator[bool]:
    """Hold an exclusive `flock` on `path`. The kernel releases it when its holder dies.

    Yields True while the lock is held. Yields False, after a call of `no_locks`, where the file
    system has no locks.

    :raises LockBusy: somebody else has held the lock for 30 seconds.
    :raises OSError: the lock file cannot be created, or is a symbolic link.
    """
    fd: int | None = None
    try:
        fd = _acquire(path)
    except LockBusy:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        no_locks(error)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def _acquire(path: str) -> int:
    # Where a link leads is no place of ours: no file may be made there.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    pause = _FIRST_PAUSE_SECONDS
    while True:
        fd = os.open(path, flags, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The cache may have been deleted meanwhile. A lock on a file without a name excludes
            # nobody.
            if _is_same_file(fd, path):
                return fd
        except BlockingIOError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        if time.monotonic() > deadline:
            raise LockBusy(errno.EAGAIN, "another process has held the lock for 30 seconds", path)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _is_same_file(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
