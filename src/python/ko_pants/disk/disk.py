"""Directories and files of the repo, read from the disk itself.

Pants hides what `pants_ignore` and `.gitignore` name, follows links, and leaves out what is neither
file nor directory. The go tool does none of that. So whoever has to see what Go sees, looks here.
"""

from __future__ import annotations

import enum
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError

_CHUNK_BYTES = 1 << 20
# More than most source files have, so that one read is enough.
_FIRST_BYTES = 1 << 16
# A file system stamps changes with a clock that ticks every few milliseconds. What changed so
# recently may change again within the same tick, so its state says nothing.
_TICK_NANOSECONDS = 50_000_000
# HFS+, FAT and some network file systems stamp whole seconds, FAT every other one.
_COARSE_TICK_NANOSECONDS = 2_050_000_000
_SECOND_NANOSECONDS = 1_000_000_000
# Linux follows no more links than these on the way to a file, macOS no more than 32.
_MAX_LINKS = 40


class Kind(enum.Enum):
    """What an entry of a directory is. A link is not followed."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"


Entries = Mapping[str, Kind]
#: Changes when a file or directory does; None if it changed just now, or cannot be looked at.
State = Optional[Tuple[int, int, int]]
#: The state of what does not exist.
ABSENT: State = (0, 0, 0)


@dataclass(frozen=True)
class HiddenFile:
    """A file that is read although Pants does not see it.

    :param path: relative to the repo's root.
    :param fingerprint: sha256 of its content, in hexadecimal; `size` is in bytes.
    """

    path: str
    fingerprint: str
    size: int


_entries: BoundedMemory[str, tuple[State, Entries]] = BoundedMemory(
    name="disk: entries of directories",
    bound=50_000,
    holds="what a directory holds, with the state of the directory; it is read again when that has "
    "changed",
)
_fingerprints: BoundedMemory[str, tuple[State, str, int]] = BoundedMemory(
    name="disk: fingerprints of files",
    bound=50_000,
    holds="the digest of a file, with the state of the file; it is read again when that has "
    "changed",
)


class Disk:
    """The tree below one directory, the repo's root. Paths are relative to it.

    :param root: an absolute path.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def absolute(self, path: str) -> str:
        """The absolute path of a file or directory."""
        return f"{self.root}/{path}" if path else self.root

    def state(self, path: str) -> State:
        """What changes when the file or directory (links are followed) does."""
        try:
            status = os.stat(self.absolute(path))
        except (FileNotFoundError, NotADirectoryError):
            return ABSENT
        except OSError:
            return None
        return _state(status)

    def entries(self, path: str) -> Entries:
        """What a directory holds, by name; nothing if it is no directory.

        :raises KoPantsError: it cannot be read.
        """
        return self.entries_and_state(path)[0]

    def entries_and_state(self, path: str) -> tuple[Entries, State]:
        """The same, and the state that the directory had before it was read.

        :raises KoPantsError: it cannot be read.
        """
        absolute = self.absolute(path)
        state = self.state(path)
        known = _entries.get(absolute)
        if known is not None and state is not None and known[0] == state:
            return known[1], state
        found: dict[str, Kind] = {}
        try:
            with os.scandir(absolute) as entries:
                for entry in entries:
                    found[entry.name] = _kind(entry)
        except (FileNotFoundError, NotADirectoryError):
            return found, state
        except OSError as e:
            raise KoPantsError(f"{path or '.'} cannot be read: {e.strerror}") from None
        if state not in (None, ABSENT):
            _entries.put(absolute, (state, found))
        return found, state

    def resolve(self, path: str) -> str:
        """The path, relative to the root, of what a file, directory or link really is.

        :raises KoPantsError: a link that dangles, loops, leads out of the repo, or (it or another
            on the way) names an absolute path.
        """
        root = os.path.realpath(self.root)
        absolute = self.absolute(path)
        target = os.path.realpath(absolute)
        if target == os.path.normpath(os.path.join(root, path)) and os.path.exists(target):
            return path
        named = _absolute_target(root, path)
        if named is not None:
            raise KoPantsError(
                f"{path} is a symbolic link to the absolute path {named!r}; expected "
                "a relative link within the repo, so that every machine builds the same. Make it "
                "relative, or copy the file into the repo"
            )
        if target != root and not target.startswith(root + os.sep):
            raise KoPantsError(
                f"{path} is a symbolic link that leads out of the repo, to {target!r}; expected "
                "it to stay in the repo, so that every machine builds the same. Copy the file into "
                "the repo"
            )
        if not os.path.exists(target):
            raise KoPantsError(
                f"{path} is a symbolic link to {os.readlink(absolute)!r}, which does not exist; "
                "repair or remove it"
            )
        return os.path.relpath(target, root) if target != root else ""

    def kind(self, path: str) -> Kind | None:
        """What a path is; None if there is nothing. A link is not followed."""
        try:
            return _kind_of_mode(os.lstat(self.absolute(path)).st_mode)
        except OSError:
            return None

    def read(self, path: str) -> bytes:
        """The content of a file.

        :raises KoPantsError: it cannot be read.
        """
        try:
            # Without a file object, whose making takes as long as all of this.
            file = os.open(self.absolute(path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _content(file)
            finally:
                os.close(file)
        except OSError as e:
            raise KoPantsError(f"{path} cannot be read: {e.strerror}") from None

    def hidden_file(self, path: str) -> HiddenFile:
        """A file with the fingerprint that it has now.

        :raises KoPantsError: it cannot be read.
        """
        absolute = self.absolute(path)
        state = self.state(path)
        known = _fingerprints.get(absolute)
        if known is not None and state is not None and known[0] == state:
            return HiddenFile(path, known[1], known[2])
        digest, size = hashlib.sha256(), 0
        try:
            with open(absolute, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
        except OSError as e:
            raise KoPantsError(f"{path} cannot be read: {e.strerror}") from None
        if state not in (None, ABSENT):
            _fingerprints.put(absolute, (state, digest.hexdigest(), size))
        return HiddenFile(path, digest.hexdigest(), size)


def check_name(directory: str, name: str) -> None:
    """Refuse a name that the engine drops.

    :raises KoPantsError: the name is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise KoPantsError(
            f"the file name {os.fsencode(name)!r} in {directory or 'the root of the repo'} is not "
            "UTF-8, and Pants cannot read such a file; rename it"
        ) from None


def _content(file: int) -> bytes:
    content = os.read(file, _FIRST_BYTES)
    more = [content]
    while more[-1]:
        more.append(os.read(file, _CHUNK_BYTES))
    return content if len(more) == 2 else b"".join(more)


def _absolute_target(root: str, path: str) -> str | None:
    """The absolute path that a link names on the way to what `path` is; None if none does."""
    above, rest, links = root, path.split("/")[::-1], 0
    while rest and links < _MAX_LINKS:
        # There is no link in `above`, so that `..` leads to the directory above.
        step = os.path.normpath(os.path.join(above, rest.pop()))
        if not os.path.islink(step):
            above = step
            continue
        links += 1
        target = os.readlink(step)
        if os.path.isabs(target):
            return target
        rest += target.split("/")[::-1]
    return None


def _state(status: os.stat_result) -> State:
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    age = abs(time.time_ns() - changed)
    if age < _TICK_NANOSECONDS:
        return None
    if age < _COARSE_TICK_NANOSECONDS and changed % _SECOND_NANOSECONDS == 0:
        return None
    return (changed, status.st_ino, status.st_size)


def _kind(entry: os.DirEntry[str]) -> Kind:
    if entry.is_file(follow_symlinks=False):
        return Kind.FILE
    if entry.is_dir(follow_symlinks=False):
        return Kind.DIRECTORY
    return Kind.LINK if entry.is_symlink() else Kind.OTHER


def _kind_of_mode(mode: int) -> Kind:
    if stat.S_ISLNK(mode):
        return Kind.LINK
    if stat.S_ISDIR(mode):
        return Kind.DIRECTORY
    return Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER
