"""The files that a package embeds, found in a tree as the go tool finds them.

Source: cmd/go's load.resolveEmbed and isBadEmbedName, and golang.org/x/mod/module.CheckFilePath.
"""

from __future__ import annotations

import re
from typing import Callable, Iterator, Mapping

from ko_pants.disk.disk import Kind, check_name
from ko_pants.errors import KoPantsError
from ko_pants.golang.embed import EmbedFilter, component_pattern, pattern_components
from ko_pants.golang.repo_paths import join, parents

Entries = Callable[[str], Mapping[str, Kind]]

_VERSION_CONTROL = frozenset({".bzr", ".git", ".hg", ".svn"})
_ASCII_PUNCTUATION = frozenset("!#$%&()+,-.=@[]^_{}~ ")
_RESERVED = re.compile(r"(?:con|com[1-9]|aux|lpt[1-9]|nul|prn)(?:\..*)?", re.IGNORECASE)


def embedded_files(embed: EmbedFilter, entries: Entries) -> tuple[str, ...]:
    """The paths of the files, relative to the repo's root, sorted.

    :param entries: what a directory holds, by name; nothing if there is no such directory.
    :raises KoPantsError: Go refuses to embed what a pattern matches.
    """
    found: set[str] = set()
    for pattern in embed.patterns:
        everything, parts = pattern_components(pattern)
        if not parts:
            continue
        for path, kind in _matches(embed.directory, parts, entries):
            _check(embed, pattern, path, kind, entries)
            if kind is Kind.FILE:
                found.add(path)
            else:
                found.update(_walk(path, everything, entries))
    return tuple(sorted(found))


def is_bad_name(name: str) -> bool:
    """True for a name that no module can have, so that Go does not embed it."""
    if name in _VERSION_CONTROL or not name or name.endswith(".") or _RESERVED.fullmatch(name):
        return True
    return not all(
        c in _ASCII_PUNCTUATION or (c.isalnum() if c.isascii() else c.isalpha()) for c in name
    )


def _matches(directory: str, parts: list[str], entries: Entries) -> Iterator[tuple[str, Kind]]:
    """Every path that the components match, as path.Match does, with its kind."""
    pattern = component_pattern(parts[0])
    if pattern is None:
        return
    for name, kind in sorted(entries(directory).items()):
        if not pattern.fullmatch(name):
            continue
        path = join(directory, name)
        if len(parts) == 1:
            yield path, kind
        elif kind in (Kind.DIRECTORY, Kind.LINK):
            yield from _matches(path, parts[1:], entries)


def _check(embed: EmbedFilter, pattern: str, path: str, kind: Kind, entries: Entries) -> None:
    where = f"{embed.directory or '.'}: `//go:embed {pattern}`"
    what = "directory" if kind is Kind.DIRECTORY else "file"
    if kind in (Kind.LINK, Kind.OTHER):
        raise KoPantsError(
            f"{where}: cannot embed the irregular file {path} (a link, a pipe or the like); Go "
            "embeds regular files alone. Copy the file, or change the pattern"
        )
    for place in parents(path):
        if place == embed.directory:
            break
        if "go.mod" in entries(place):
            raise KoPantsError(
                f"{where}: cannot embed the {what} {path}: it is in a different module, {place}"
            )
        name = place.rpartition("/")[2]
        above, _, last = place.rpartition("/")
        if place != path and entries(above).get(last) is not Kind.DIRECTORY:
            raise KoPantsError(f"{where}: cannot embed the {what} {path}: {place} is no directory")
        if is_bad_name(name):
            raise KoPantsError(f"{where}: cannot embed the {what} {path}: invalid name {name}")


def _walk(directory: str, everything: bool, entries: Entries) -> Iterator[str]:
    for name, kind in entries(directory).items():
        if is_bad_name(name) or (name.startswith((".", "_")) and not everything):
            continue
        path = join(directory, name)
        if kind is Kind.DIRECTORY:
            if "go.mod" not in entries(path):
                yield from _walk(path, everything, entries)
        elif kind is Kind.FILE:
            check_name(directory, name)
            yield path
