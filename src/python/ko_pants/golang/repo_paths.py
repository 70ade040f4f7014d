"""Directories of the repo: relative to its root, with `/` as separator; the root itself is `""`."""

from __future__ import annotations

import posixpath
from typing import Container, Iterator

from ko_pants.errors import KoPantsError


def join(directory: str, name: str) -> str:
    """The path of a file or directory `name` in `directory`."""
    return f"{directory}/{name}" if directory else name


def is_within(path: str, directory: str) -> bool:
    """True if a path is the directory or below it. Every path is within `""`."""
    return not directory or path == directory or path.startswith(directory + "/")


def parents(directory: str) -> Iterator[str]:
    """The directory, its parent and so on, up to and including the repo's root."""
    while directory:
        yield directory
        directory = directory.rpartition("/")[0]
    yield ""


def nearest(directory: str, candidates: Container[str]) -> str | None:
    """The first of the directory and its parents that is a candidate; None if none is."""
    return next((parent for parent in parents(directory) if parent in candidates), None)


def resolve_directory(base: str, target: str, *, where: str, what: str) -> str:
    """The directory of the repo that a file names by a relative path.

    :param base: the directory that holds the file.
    :param target: the path as the file has it.
    :param where: path of the file, and its line after a colon if known, for messages.
    :param what: what the path is, for messages: "`use` of", say.
    :raises KoPantsError: an absolute path, or one that leaves the repo.
    """
    if target.startswith("/"):
        raise KoPantsError(
            f"{where}: {what} {target!r} is an absolute path; expected one relative to "
            f"{posixpath.basename(where.partition(':')[0])}, within the repo"
        )
    path = posixpath.normpath(posixpath.join(base, target))
    if path == ".." or path.startswith("../"):
        raise KoPantsError(
            f"{where}: {what} {target!r} is outside of the repo; move the module into the repo, "
            "or require a published version of it"
        )
    return "" if path == "." else path
