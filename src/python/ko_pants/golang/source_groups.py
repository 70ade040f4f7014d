"""Which files stand together as the sources of a package.

A package is a directory, and a build reads all of its files or none, but for build constraints and
tests.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Collection, Iterable, Mapping

from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.module_directories import MODULE_FILES
from ko_pants.golang.repo_paths import parents

_KODATA = "kodata"
_TEST_ENDING = "_test.go"
# They say what packages there are, so images depend on them for reasons of their own.
_ALONE = frozenset(
    {*map(posixpath.basename, MODULE_FILES), "go.sum", "go.work.sum", ".ko.yaml"},
)


@dataclass(frozen=True, order=True)
class SourceGroup:
    """Files that stand together.

    :param directory: relative to the repo's root; all of the files are in it or below it.
    :param tests: they are for tests alone, those of all packages.
    """

    directory: str
    tests: bool = False


def embed_filters(
    directories: Iterable[GoDirectory], *, tests: bool | None = None
) -> dict[str, EmbedFilter]:
    """What the Go files of directories embed, on whatever platform, by directory.

    :param tests: look at `_test.go` files alone, or at all others; None for both.
    """
    found = {}
    for directory in directories:
        patterns = {
            pattern
            for file in directory.files
            if tests is None or file.name.endswith(_TEST_ENDING) == tests
            for pattern in file.embed_patterns
        }
        if patterns:
            found[directory.path] = EmbedFilter(directory.path, tuple(sorted(patterns)))
    return found


def embedder(
    path: str, embeds: Mapping[str, EmbedFilter], modules: Collection[str] = ()
) -> str | None:
    """The innermost directory whose package embeds a file; None if there is none.

    :param embeds: by directory.
    :param modules: directories with a go.mod. Go embeds nothing from a module within a module.
    """
    for directory in parents(posixpath.dirname(path)):
        if directory in embeds and embeds[directory].matches(path):
            return directory
        if directory in modules:
            return None
    return None


@dataclass(frozen=True)
class EmbeddingPackages:
    """What the packages of some directories embed, on whatever platform, by directory.

    :param embeds: what their Go files embed, but for tests.
    :param test_embeds: what their tests embed.
    :param modules: those of the directories that have a go.mod.
    """

    embeds: Mapping[str, EmbedFilter]
    test_embeds: Mapping[str, EmbedFilter]
    modules: frozenset[str]

    @classmethod
    def of(cls, directories: Collection[GoDirectory]) -> EmbeddingPackages:
        """What analyses of directories say."""
        return cls(
            embed_filters(directories, tests=False),
            embed_filters(directories, tests=True),
            frozenset(directory.path for directory in directories if directory.has_go_mod),
        )

    def globs(self) -> dict[str, list[str]]:
        """Pants globs by directory, relative to it, that match all files that are embedded."""
        found: dict[str, list[str]] = {}
        for embeds in (self.embeds, self.test_embeds):
            for directory, embed in embeds.items():
                found.setdefault(directory, []).extend(embed.globs())
        return found

    def has_embedded(self, path: str) -> bool:
        """True if one of the packages embeds a file, in a test or not."""
        return any(embedder(path, e) is not None for e in (self.embeds, self.test_embeds))


class SourceGrouping:
    """Tells the group of each file of some packages.

    :param matched: the files that belong to the packages by their place, relative to the repo's
        root. Others are there because a package embeds them.
    :param packages: what they embed.
    :param root: the directory that all files are below.
    """

    def __init__(
        self, matched: Collection[str], packages: EmbeddingPackages, root: str = ""
    ) -> None:
        self._matched = matched
        self._depth = len(root.split("/")) if root else 0
        self._tests = SourceGroup(root, tests=True)
        self._embeds = packages.embeds
        self._test_embeds = packages.test_embeds
        self._modules = {
            *packages.modules,
            *(posixpath.dirname(path) for path in matched if posixpath.basename(path) == "go.mod"),
        }

    def group_of(self, path: str) -> SourceGroup | None:
        """The group of a file; None for one that stands alone, such as go.mod.

        - The files below a directory `kodata` are a group.
        - A file that has its place in the packages is in the group of its directory.
        - Another is in the group of the innermost package that embeds it.
        - What only tests read is apart, that of all packages together: no image depends on it,
          and Pants asks each target for its dependencies.
        """
        directory, name = posixpath.split(path)
        if name in _ALONE:
            return None
        parts = directory.split("/")
        if _KODATA in parts[self._depth :]:
            return SourceGroup("/".join(parts[: parts.index(_KODATA, self._depth) + 1]))
        is_test = name.endswith(_TEST_ENDING)
        if path in self._matched and not is_test:
            return SourceGroup(directory)
        package = embedder(path, self._embeds, self._modules)
        if path in self._matched:
            # A program can embed a test file.
            return self._tests if package is None else SourceGroup(directory)
        if package is not None:
            return SourceGroup(package)
        package = embedder(path, self._test_embeds, self._modules)
        return SourceGroup(directory) if package is None else self._tests
