"""Where files go in an image, with which modes and owners: the texts of BUILD files, parsed."""

from __future__ import annotations

import posixpath
import re
from typing import AbstractSet, Iterable, Mapping

from ko_pants.errors import KoPantsError

_MODE = re.compile(r"[0-7]{3,4}")
_OWNER = re.compile(r"([0-9]{1,10}):([0-9]{1,10})")
# The highest number means "leave it as it is" to chown(2).
_MAX_ID = (1 << 32) - 2
_NOT_IN_WINDOWS_NAMES = re.compile(r'[\\:*?"<>|\x00-\x1f]')


def parse_mode(text: str) -> int:
    """Permission bits from octal digits, such as `0644`.

    :raises KoPantsError: it is something else.
    """
    if not _MODE.fullmatch(text):
        raise KoPantsError(f"expected three or four octal digits such as '0644'; found {text!r}")
    return int(text, 8)


def parse_owner(text: str) -> tuple[int, int]:
    """User and group id from `uid:gid`.

    :raises KoPantsError: it is something else. Names mean nothing: an image need not have a
        `/etc/passwd`, and a layer holds numbers.
    """
    match = _OWNER.fullmatch(text)
    ids = (int(match.group(1)), int(match.group(2))) if match else None
    if ids is None or max(ids) > _MAX_ID:
        raise KoPantsError(
            f"expected the numbers of user and group such as '1000:1000', up to {_MAX_ID}; "
            f"found {text!r}"
        )
    return ids


def _without_slash(text: str) -> str:
    return text[:-1] if text.endswith("/") else text


def parse_place(text: str) -> str:
    """An absolute path in the image, without a slash at the end unless it is `/`.

    :raises KoPantsError: it is not absolute, or it has `.`, `..` or an empty part.
    """
    path = _without_slash(text)
    if text != "/" and not (path.startswith("/") and _is_clean(path[1:])):
        raise KoPantsError(
            "expected an absolute path in the image, without '.' and '..', such as '/etc/app'; "
            f"found {text!r}"
        )
    return path or "/"


def parse_relative(text: str) -> str:
    """A relative path that stays below where it begins, without a slash at the end.

    :raises KoPantsError: it is something else.
    """
    path = _without_slash(text)
    if not _is_clean(path):
        raise KoPantsError(
            f"expected a relative path without '.' and '..', such as 'config'; found {text!r}"
        )
    return path


def check_renames(renames: Mapping[str, str]) -> None:
    """Make sure that each file gets a path of its own.

    :raises KoPantsError: a path is not relative, or two files get the same.
    """
    taken: dict[str, str] = {}
    for old, new in renames.items():
        parse_relative(old)
        other = taken.setdefault(parse_relative(new), old)
        if other != old:
            raise KoPantsError(
                f"found {new!r} for {other!r} and for {old!r}; expected a path of its own for each"
            )


def _is_clean(path: str) -> bool:
    return "\0" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def join_place(at: str, path: str) -> str:
    """The absolute path of a file below a place of the image."""
    return posixpath.join(at, path)


def directories_of(paths: Iterable[str]) -> frozenset[str]:
    """Every directory above these absolute paths, without `/`."""
    found: set[str] = set()
    for path in paths:
        directory = posixpath.dirname(path)
        while directory not in found and directory not in ("/", ""):
            found.add(directory)
            directory = posixpath.dirname(directory)
    return frozenset(found)


def clashes(
    paths: AbstractSet[str],
    directories: AbstractSet[str],
    other_paths: AbstractSet[str],
    other_directories: AbstractSet[str],
) -> list[str]:
    """The paths at which one tree has a file and the other has a file or a directory, sorted."""
    return sorted((paths & other_paths) | (paths & other_directories) | (directories & other_paths))


def windows_problem(paths: Iterable[str]) -> str:
    """What keeps absolute paths from being files of Windows; empty for nothing.

    Some characters are in no name there, and names that differ only in case are one.
    """
    known: dict[str, str] = {}
    for path in sorted(paths):
        if _NOT_IN_WINDOWS_NAMES.search(path) or any(
            part.endswith((".", " ")) for part in path.split("/")
        ):
            return f"has the file {path}, a name that Windows does not have"
        other = known.setdefault(path.lower(), path)
        if other != path:
            return f"has the files {other} and {path}, which are one for Windows"
    return ""
