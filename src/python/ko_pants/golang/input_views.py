"""Views of the disk: which files a part of a build reads, seen as the go tool or ko sees them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Callable, Iterator

from ko_pants.disk.disk import Disk, Entries, Kind, check_name
from ko_pants.errors import KoPantsError
from ko_pants.golang.directory import GO_ENDINGS, GO_NAMES
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.embedded_files import Tree, embedded_files
from ko_pants.golang.repo_paths import join

#: The entries of a directory; a view calls it for every directory that it depends on.
List = Callable[[str], Entries]


class View(ABC):
    """Some files of the repo. Subclasses are frozen dataclasses."""

    #: A file that comes or goes matters, and nobody else notices it.
    names_matter = False

    @abstractmethod
    def files(self, disk: Disk, entries: List) -> frozenset[str]:
        """The paths of the files on the disk.

        :raises KoPantsError: there is something that cannot be read as the go tool or ko reads it.
        """


@dataclass(frozen=True)
class PackageDirectory(View):
    """The files of a directory that can belong to a Go package."""

    path: str

    def files(self, disk: Disk, entries: List) -> frozenset[str]:
        return frozenset(self._files(disk, entries))

    def _files(self, disk: Disk, entries: List) -> Iterator[str]:
        for name, kind in entries(self.path).items():
            if kind is Kind.DIRECTORY or not _is_go_file(name):
                continue
            check_name(self.path, name)
            path = join(self.path, name)
            if kind is Kind.LINK:
                # Go follows a link to a file, and leaves out one to a directory.
                if disk.kind(disk.resolve(path)) is Kind.FILE:
                    yield path
            elif kind is Kind.OTHER:
                raise KoPantsError(
                    f"{path} is neither a file nor a directory nor a link; Go cannot read it. "
                    "Remove it"
                )
            else:
                yield path


def _is_go_file(name: str) -> bool:
    if name.startswith(("_", ".")) or name.endswith("_test.go"):
        return False
    return name.endswith(GO_ENDINGS) or name in GO_NAMES


@dataclass(frozen=True)
class Embedded(View):
    """The files that a package embeds."""

    names_matter = True

    embed: EmbedFilter

    def files(self, disk: Disk, entries: List) -> frozenset[str]:
        return frozenset(embedded_files(self.embed, Tree(entries, disk.resolve)))


@dataclass(frozen=True)
class NamedFiles(View):
    """Files by their paths, those that exist."""

    paths: tuple[str, ...]

    def files(self, disk: Disk, entries: List) -> frozenset[str]:
        found = set()
        for path in self.paths:
            directory, name = os.path.split(path)
            kind = entries(directory).get(name)
            if kind is Kind.LINK:
                kind = disk.kind(disk.resolve(path))
            if kind is Kind.FILE:
                found.add(path)
        return frozenset(found)


@dataclass(frozen=True)
class KodataTree(View):
    """The files of a kodata tree. Links are followed within the repo, as ko does."""

    path: str

    def files(self, disk: Disk, entries: List) -> frozenset[str]:
        found: set[str] = set()
        self._walk(disk, entries, self.path, (), found)
        return frozenset(found)

    def _walk(
        self, disk: Disk, entries: List, path: str, above: tuple[str, ...], found: set[str]
    ) -> None:
        real = disk.resolve(path) if disk.kind(path) is not None else path
        if real in above:
            raise KoPantsError(
                f"{path} is a symbolic link to a directory that contains it; the tree would have "
                "no end. Remove the link"
            )
        if real != path:
            # The directory that the link leads to is where files come and go.
            entries(real)
        for name, kind in entries(path).items():
            check_name(path, name)
            child = join(path, name)
            if kind is Kind.LINK:
                kind = disk.kind(disk.resolve(child)) or kind
            if kind is Kind.DIRECTORY:
                self._walk(disk, entries, child, (*above, real), found)
            elif kind is Kind.FILE:
                found.add(child)
            else:
                raise KoPantsError(
                    f"{child} is neither a file nor a directory nor a link: it cannot go into an "
                    "image. Remove it"
                )
