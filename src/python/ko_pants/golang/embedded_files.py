"""The files that a package embeds, found in a tree as the go tool finds them.

Source: cmd/go's load.resolveEmbed and isBadEmbedName, and golang.org/x/mod/module.CheckFilePath.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Callable, Iterator, Mapping

from ko_pants.disk.disk import Kind
from ko_pants.errors import KoPantsError
from ko_pants.golang.embed import EmbedFilter, component_pattern, pattern_components
from ko_pants.golang.repo_paths import join, parents


@dataclass(frozen=True)
class Tree:
    """How to look at the repo; paths are relative to its root.

    :param entries: what a directory holds, by name; nothing if there is no such directory.
    :param resolve: what a link leads to. It raises `KoPantsError` for a link that dangles or leaves
        the repo.
    """

    entries: Callable[[str], Mapping[str, Kind]]
    resolve: Callable[[str], object]

    def is_module(self, directory: str) -> bool:
        """True if a directory has a go.mod, so that another module begins there.

        :raises KoPantsError: its go.mod is a link that no other machine can follow.
        """
        kind = self.entries(directory).get("go.mod")
        if kind is Kind.LINK:
            self.resolve(join(directory, "go.mod"))
        return kind is not None


_VERSION_CONTROL = frozenset({".bzr", ".git", ".hg", ".svn"})
_ASCII_PUNCTUATION = frozenset("!#$%&()+,-.=@[]^_{}~ ")
_REGULAR = "Go embeds regular files alone. Copy the file, or change the pattern"
_RESERVED = re.compile(r"(?:con|com[1-9]|aux|lpt[1-9]|nul|prn)(?:\..*)?", re.IGNORECASE)


def embedded_files(embed: EmbedFilter, tree: Tree) -> tuple[str, ...]:
    """The paths of the files, relative to the repo's root, sorted.

    :raises KoPantsError: Go refuses to embed what a pattern matches.
    """
    found: set[str] = set()
    for pattern in embed.patterns:
        _, parts = pattern_components(pattern)
        if not parts:
            continue
        for path, kind in _matches(embed.directory, parts, tree):
            _check(embed, pattern, path, kind, tree)
            if kind is Kind.FILE:
                found.add(path)
            else:
                found.update(_walk(embed, pattern, path, tree))
    return tuple(sorted(found))


def is_bad_name(name: str) -> bool:
    """True for a name that no module can have, so that Go does not embed it."""
    if name in _VERSION_CONTROL or not name or name.endswith(".") or _RESERVED.fullmatch(name):
        return True
    return not all(
        c in _ASCII_PUNCTUATION or (c.isalnum() if c.isascii() else c.isalpha()) for c in name
    )


def _matches(directory: str, parts: list[str], tree: Tree) -> Iterator[tuple[str, Kind]]:
    """Every path that the components match, as path.Match does, with its kind."""
    pattern = component_pattern(parts[0])
    if pattern is None:
        return
    for name, kind in sorted(tree.entries(directory).items()):
        if not pattern.fullmatch(name):
            continue
        path = join(directory, name)
        if len(parts) == 1:
            yield path, kind
        elif kind in (Kind.DIRECTORY, Kind.LINK):
            yield from _matches(path, parts[1:], tree)


def _check(embed: EmbedFilter, pattern: str, path: str, kind: Kind, tree: Tree) -> None:
    what = "directory" if kind is Kind.DIRECTORY else "file"
    if kind in (Kind.LINK, Kind.OTHER):
        found = "symbolic link" if kind is Kind.LINK else "pipe, a socket or a device"
        raise _refusal(embed, pattern, "irregular file", path, f"it is a {found}; {_REGULAR}")
    for place in parents(path):
        if place == embed.directory:
            break
        if tree.is_module(place):
            raise _refusal(embed, pattern, what, path, f"it is in a different module, {place}")
        above, _, name = place.rpartition("/")
        if place != path and tree.entries(above).get(name) is not Kind.DIRECTORY:
            raise _refusal(embed, pattern, what, path, f"{place} is no directory")
        if is_bad_name(name):
            raise _refusal(embed, pattern, what, path, f"invalid name {name}")


def _walk(embed: EmbedFilter, pattern: str, directory: str, tree: Tree) -> Iterator[str]:
    """The files below a directory that a pattern matches; links and the like are left out."""
    everything, _ = pattern_components(pattern)
    for name, kind in sorted(tree.entries(directory).items()):
        hidden = name.startswith((".", "_"))
        bad = is_bad_name(name)
        if bad and kind is not Kind.DIRECTORY and not hidden:
            raise _refusal(embed, pattern, "file", join(directory, name), f"invalid name {name}")
        if bad or (hidden and not everything):
            continue
        path = join(directory, name)
        if kind is Kind.DIRECTORY:
            if not tree.is_module(path):
                yield from _walk(embed, pattern, path, tree)
        elif kind is Kind.FILE:
            yield path


def _refusal(embed: EmbedFilter, pattern: str, what: str, path: str, why: str) -> KoPantsError:
    text = (
        f"{embed.directory or '.'}: `//go:embed {pattern}`: cannot embed the {what} {path}: {why}"
    )
    # A name that is not UTF-8 is shown with escapes such as \xe9.
    return KoPantsError(os.fsencode(text).decode("utf-8", "backslashreplace"))
