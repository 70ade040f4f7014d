"""Which files stand together as the sources of a package.

A package is a directory, and a build reads all of its files or none, but for build constraints and
tests.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Collection, Iterable, Mapping

from ko_pants.golang.constraints import Tag
from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.module_directories import MODULE_FILES
from ko_pants.golang.repo_paths import parents

_KODATA = "kodata"
_INTERNAL = "internal"
_IGNORE = Tag("ignore")
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


def _is_main(directory: GoDirectory) -> bool:
    """True if a directory has a main package, other than one that `go run` alone is meant for."""
    return any(
        file.package == "main"
        and file.constraint != _IGNORE
        and not file.name.startswith(("_", "."))
        and not file.name.endswith(_TEST_ENDING)
        for file in directory.files
    )


def lone_programs(mains: Collection[str]) -> frozenset[str]:
    """Those of the directories of main packages that have no other one below them."""
    with_others = {above for main in mains for above in parents(main) if above != main}
    return frozenset(mains) - with_others


def program_of(directory: str, programs: Collection[str]) -> str | None:
    """The program whose `internal` directory a package is in; None if there is none.

    Go lets only packages at and below the directory above `internal` import it.

    :param programs: directories of main packages.
    """
    below = directory
    for above in parents(directory):
        if above in programs:
            return above if posixpath.basename(below) == _INTERNAL else None
        below = above
    return None


@dataclass(frozen=True)
class EmbeddingPackages:
    """What the packages of some directories embed, on whatever platform, by directory.

    :param embeds: what their Go files embed, but for tests.
    :param test_embeds: what their tests embed.
    :param modules: those of the directories that have a go.mod.
    :param mains: those of the directories that have a main package.
    """

    embeds: Mapping[str, EmbedFilter]
    test_embeds: Mapping[str, EmbedFilter]
    modules: frozenset[str]
    mains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, directories: Collection[GoDirectory]) -> EmbeddingPackages:
        """What analyses of directories say."""
        return cls(
            embed_filters(directories, tests=False),
            embed_filters(directories, tests=True),
            frozenset(directory.path for directory in directories if directory.has_go_mod),
            frozenset(directory.path for directory in directories if _is_main(directory)),
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
    :param by_program: a main package and the packages of its `internal` directory are one group,
        if no other main package is below it.
    """

    def __init__(
        self,
        matched: Collection[str],
        packages: EmbeddingPackages,
        root: str = "",
        *,
        by_program: bool = False,
    ) -> None:
        self._programs = lone_programs(packages.mains) if by_program else frozenset()
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
        - A file that has its place in the packages is in the group of its directory, or of the
          program whose `internal` directory that is in.
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
            return self._of_package(directory)
        package = embedder(path, self._embeds, self._modules)
        if path in self._matched:
            # A program can embed a test file.
            return self._tests if package is None else self._of_package(directory)
        if package is not None:
            return self._of_package(package)
        package = embedder(path, self._test_embeds, self._modules)
        return SourceGroup(directory) if package is None else self._tests

    def _of_package(self, directory: str) -> SourceGroup:
        return SourceGroup(program_of(directory, self._programs) or directory)
