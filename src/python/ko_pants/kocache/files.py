"""Files of a cache that several processes share: bounded reads, atomic writes, a lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Callable, Iterator

# Where a file system offers no lock. Without it a record of another process may be lost, which is
# a miss; with it nothing is.
_NO_LOCK = frozenset(
    getattr(errno, name)
    for name in ("ENOLCK", "ESTALE", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL", "EIO")
)
_LOCK_TIMEOUT_SECONDS = 30.0


class LockBusy(OSError):
    """Another process has held the lock for 30 seconds."""


class NotReadable(Exception):
    """Something is there and cannot be used; the message says what."""


def read_regular(path: str, max_bytes: int) -> bytes | None:
    """The content of a regular file, or None if there is none.

    :raises NotReadable: no regular file, more than `max_bytes`, no permission, or an I/O error.
    """
    try:
        # O_NONBLOCK: opening a FIFO that somebody left here must not wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise NotReadable(reason(error)) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise NotReadable("it is not a regular file")
        if status.st_size > max_bytes:
            raise NotReadable(f"it has {status.st_size} bytes, more than {max_bytes}")
        chunks = []
        left = max_bytes
        while left > 0:
            chunk = os.read(fd, min(left, max(status.st_size, 1) + 1))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise NotReadable(reason(error)) from None
    finally:
        os.close(fd)


def write_atomically(path: str, content: bytes, *, locked: bool) -> None:
    """Replace `path` by a file with `content`, whole or not at all, also after a power cut.

    The directory's entry is durable after `sync_directory()`. With `locked` the caller holds the
    lock of this path, and the temporary file has a fixed name, which the next write takes over from
    a writer that was killed.

    :raises OSError: nothing was replaced.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.ko-pants.tmp")
    if locked:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    else:
        temporary += f".{os.getpid()}-{os.urandom(6).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o666)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def create_atomically(path: str, content: bytes) -> None:
    """As `write_atomically()`, but a file that is there already stays.

    :raises OSError: nothing was written.
    """
    temporary = f"{path}.ko-pants.tmp.{os.getpid()}-{os.urandom(6).hex()}"
    write_atomically(temporary, content, locked=False)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def is_temporary(name: str) -> bool:
    """True for the names that unfinished writes leave."""
    return ".ko-pants.tmp" in name


def sync_directory(path: str) -> None:
    """Make renames in `path` durable; a file system that cannot is left as it is."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def locked(path: str, no_lock: Callable[[OSError], None]) -> Iterator[bool]:
    """Hold an exclusive `flock` on `path`, across processes and threads.

    The kernel drops it when its holder dies. Yields False, after calling `no_lock`, where the file
    system has no locks.

    :raises LockBusy: not to be had within 30 seconds.
    :raises OSError: the lock file cannot be created.
    """
    fd = -1
    try:
        fd = _acquire(path)
    except LockBusy:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCK:
            raise
        no_lock(error)
    try:
        yield fd >= 0
    finally:
        if fd >= 0:
            os.close(fd)


def _acquire(path: str) -> int:
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    pause = 0.0005
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have deleted the cache in between: a lock on a file without a name
            # excludes nobody.
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
        pause = min(pause * 2, 0.02)


def _is_same_file(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def reason(error: Exception) -> str:
    """What the system says about `error`, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
