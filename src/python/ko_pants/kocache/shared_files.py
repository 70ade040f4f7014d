"""Files that several processes read and write at once: bounded reads, atomic writes, last use.

No symbolic link is followed for writing, so that nothing outside of the directory is changed. Reads
follow links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from typing import Iterable, Optional, Tuple

DAY_SECONDS = 24 * 3600

_TEMPORARY = ".ko-pants.tmp"

# Inode, modification time in nanoseconds, size in bytes; None if the file is absent. It tells one
# content of a path from the next. This is a plain tuple because each lookup makes four.
FileState = Optional[Tuple[int, int, int]]


class NotReadable(Exception):
    """Something is there and cannot be used; the message says what."""


def file_state(path: str) -> FileState:
    """The state of the file that `path` names; None as well if nothing can be found out."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def note_use(paths: Iterable[str], states: Iterable[FileState]) -> None:
    """Record in their modification times that files are in use, to the day.

    Pruning by age reads those times. A file that cannot be changed stays as it is.

    :param states: of the paths, in their order.
    """
    yesterday = (time.time() - DAY_SECONDS) * 1e9
    for path, state in zip(paths, states):
        if state is not None and state[1] < yesterday:
            with contextlib.suppress(OSError):
                os.utime(path, follow_symlinks=False)


def read_regular(path: str, max_bytes: int) -> bytes | None:
    """The content of a regular file, or None if there is none.

    :raises NotReadable: it is no regular file, has more than `max_bytes`, is not permitted to be
        read, or reading it fails.
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
        # ko writes in place, so the file may grow meanwhile: read on to its end.
        chunks = []
        left = max_bytes
        while left > 0:
            chunk = os.read(fd, min(left, status.st_size + 1))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)
    except OSError as error:
        raise NotReadable(reason(error)) from None
    finally:
        os.close(fd)


def make_directories(root: str, relative: str) -> str:
    """Create a directory below `root` if it is absent; the path of it.

    `root` itself may be a symbolic link: the user chose it.

    :param relative: its path, relative to `root`.
    :raises OSError: it cannot be created, or it or one above it, below `root`, is a symbolic link.
    """
    if not os.path.lexists(root):
        os.makedirs(root, exist_ok=True)
    path = root
    for name in relative.split("/"):
        path = os.path.join(path, name)
        if not os.path.lexists(path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, f"{path} is a symbolic link, which is not followed", path)
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return path


def is_below_link(root: str, relative: str) -> bool:
    """True if a path below `root` is a symbolic link, or leads through one."""
    path = root
    for name in relative.split("/"):
        path = os.path.join(path, name)
        if os.path.islink(path):
            return True
    return False


def write_atomically(path: str, content: bytes, *, locked: bool, durable: bool = True) -> None:
    """Replace `path` by a file with `content`, whole or not at all, also after a power cut.

    The directory's entry is durable after `sync_directory()`.

    :param locked: the caller holds the lock of this path. The temporary file then has a fixed name,
        so that the next write removes what a killed writer left.
    :param durable: False does without the wait for the disk. After a power cut the file may be
        empty.
    :raises OSError: nothing was replaced.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}{_TEMPORARY}")
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
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def create_atomically(path: str, content: bytes) -> None:
    """As `write_atomically()`, but a file that is already there stays as it is.

    :raises OSError: nothing was written.
    """
    temporary = f"{path}{_TEMPORARY}.{os.getpid()}-{os.urandom(6).hex()}"
    write_atomically(temporary, content, locked=False)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)


def is_temporary(name: str) -> bool:
    """True for the names of unfinished writes."""
    return _TEMPORARY in name


def sync_directory(path: str) -> None:
    """Make renames in `path` survive a power cut, if the file system can do so."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def reason(error: Exception) -> str:
    """What the system says about `error`, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
