"""The search for the first-party closure of a main package, without running Go.

The caller drives the search, and analyzes directories in whatever way (and with the cache) it has:

    search = ClosureSearch(workspace, "cmd/app", platforms)
    wanted = search.start()
    while wanted:
        wanted = search.step({path: <the GoDirectory of path> for path in wanted})
    closure = search.finish()

One closure serves all platforms of an image: it is their union. It is a pure function of the
analyses: a search over equal analyses gives an equal closure.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Collection, Iterable, Mapping

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.closure import Closure
from ko_pants.golang.directory import DEFAULT_PROFILE, READABLE_ENDINGS, GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.import_path import import_path_of, places_of, resolve_import
from ko_pants.golang.repo_paths import is_within, join
from ko_pants.golang.source_file import GoFile, OtherFile
from ko_pants.golang.workspace import Workspace
from ko_pants.oci.platform import Platform


@dataclass(frozen=True)
class Package:
    """A directory that the search has reached, with its analysis.

    A mask is a set of platforms, see `BuildContext`.

    :param masks: its Go files, each with the platforms for which Go may use it.
    :param paths: of its Go files, relative to the repo's root, in the order of `masks`.
    :param others: its other files, with path and platforms.
    :param imports: import paths, each with the platforms for which a file of the package has it.
    """

    directory: GoDirectory
    masks: tuple[tuple[GoFile, int], ...]
    paths: tuple[str, ...]
    others: tuple[tuple[OtherFile, str, int], ...]
    imports: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, directory: GoDirectory, context: BuildContext) -> Package:
        """The package of a directory, for the platforms of a context. Many searches share it."""
        found = directory.derived.get(context)
        if not isinstance(found, Package):
            found = directory.derived[context] = cls._of(directory, context)
        return found

    @classmethod
    def _of(cls, directory: GoDirectory, context: BuildContext) -> Package:
        masks = tuple((file, context.mask(file)) for file in directory.files)
        imports: dict[str, int] = {}
        for file, mask in masks:
            if mask:
                for import_path in file.imports:
                    imports[import_path] = imports.get(import_path, 0) | mask
        paths = tuple(join(directory.path, file.name) for file in directory.files)
        others = tuple(
            (file, join(directory.path, file.name), context.mask(file))
            for file in directory.other_files
        )
        return cls(directory, masks, paths, others, tuple(imports.items()))

    def imports_for(self, platforms: int) -> list[tuple[str, int]]:
        """What it imports on some of the platforms, each with these platforms."""
        return [(path, mask & platforms) for path, mask in self.imports if mask & platforms]

    def built(self, platforms: int) -> list[tuple[GoFile, str]]:
        """The Go files, with their paths, that Go may use for at least one of the platforms."""
        return [
            (file, path) for (file, mask), path in zip(self.masks, self.paths) if mask & platforms
        ]

    def others_for(self, platforms: int, *, is_main: bool) -> list[tuple[OtherFile, str]]:
        """The files, with their paths, that Go may use beside its Go files on such platforms."""
        return [
            (file, path)
            for file, path, mask in self.others
            if mask & platforms and (file.name != DEFAULT_PROFILE or is_main)
        ]


class ClosureSearch:
    """A breadth-first search over the import graph; see the example of this module.

    :param tags: those of `-tags`.
    :param extra_imports: import paths that are searched too. Third-party modules may import
        packages of the repo (a fork that a `replace` names, say), which only Go can see:
        `missing_imports` finds them in what Go reports.
    """

    def __init__(
        self,
        workspace: Workspace,
        main_directory: str,
        platforms: Collection[Platform],
        tags: Collection[str] = (),
        extra_imports: Iterable[str] = (),
    ) -> None:
        self._workspace = workspace
        self._main = main_directory
        self._context = BuildContext.of(platforms, tags)
        self._extra = tuple(sorted(set(extra_imports)))
        # Directory -> its analysis; the nested modules are among them.
        self._known: dict[str, GoDirectory] = {}
        self._nested: set[str] = set()
        self._boundaries = set(workspace.boundaries)
        # Directory -> mask of the platforms that reach it; directory -> its package.
        self._reached: dict[str, int] = {}
        self._packages: dict[str, Package] = {}
        # Directories of packages with files that include others.
        self._including: set[str] = set()
        # Import path -> the directories where it may be.
        self._resolved: dict[str, tuple[str, ...]] = {}
        # Import paths, with platforms, that wait for the analysis of directories above them.
        self._waiting: list[tuple[str, int]] = []
        self._third_party: set[str] = set()

    def start(self) -> tuple[str, ...]:
        """The first directories to analyze.

        :raises KoPantsError: the main package is in no module of the workspace.
        """
        import_path_of(self._main, self._workspace)
        everywhere = self._context.all_platforms
        self._reached[self._main] = everywhere
        wanted = self._follow([(import_path, everywhere) for import_path in self._extra])
        return tuple(sorted({self._main, *wanted}))

    def step(self, analyzed: Mapping[str, GoDirectory]) -> tuple[str, ...]:
        """Take in analyses; the directories to analyze next, none at the end.

        A directory that does not exist is analyzed as one without files.
        """
        self._known.update(analyzed)
        nested = [path for path, directory in analyzed.items() if directory.has_go_mod]
        self._nested.update(nested)
        self._boundaries.update(nested)
        imports, self._waiting = self._waiting, []
        for path, directory in analyzed.items():
            if any(file.includes for file in directory.other_files):
                self._including.add(path)
            if path in self._reached:
                imports += self._package(path).imports_for(self._reached[path])
        wanted = self._follow(imports)
        for path in self._including.intersection(self._reached):
            for included in self._included_files(path):
                if included.endswith(READABLE_ENDINGS):
                    wanted.add(posixpath.dirname(included))
        return tuple(sorted(wanted - self._known.keys()))

    @property
    def searched(self) -> tuple[str, ...]:
        """Every directory that was analyzed, sorted, with or without files."""
        return tuple(sorted(self._known))

    @property
    def analyzed(self) -> tuple[GoDirectory, ...]:
        """The analyses of these directories, in the same order."""
        return tuple(directory for _, directory in sorted(self._known.items()))

    def _package(self, path: str) -> Package:
        package = self._packages.get(path)
        if package is None:
            package = self._packages[path] = Package.of(self._known[path], self._context)
        return package

    def _follow(self, imports: list[tuple[str, int]]) -> set[str]:
        """Follow import paths, each with platforms; the directories that have to be analyzed."""
        wanted: set[str] = set()
        while imports:
            import_path, platforms = imports.pop()
            targets = self._resolved.get(import_path)
            if targets is None:
                unknown = self._unknown_directories(import_path)
                if unknown:
                    wanted |= unknown
                    self._waiting.append((import_path, platforms))
                    continue
                targets = self._resolve(import_path)
            for target in targets:
                reached = self._reached.get(target, 0)
                added = platforms & ~reached
                if not added:
                    continue
                self._reached[target] = reached | added
                # A package comes up again when a platform reaches it that did not before.
                if target in self._known:
                    imports += self._package(target).imports_for(added)
                else:
                    wanted.add(target)
        return wanted

    def _unknown_directories(self, import_path: str) -> set[str]:
        """The directories that may be the root of a nested module, and so hide a package."""
        return {
            directory
            for place in places_of(import_path, self._workspace.module_set)
            for directory in place.below_module
            if directory not in self._known and directory not in self._boundaries
        }

    def _resolve(self, import_path: str) -> tuple[str, ...]:
        """Where Go looks for a package in the repo: in every module whose path is a prefix.

        If two modules have the package, Go has to see both to report an ambiguous import.
        """
        modules = self._workspace.module_set
        candidates, third_party = resolve_import(import_path, modules, self._boundaries)
        if third_party:
            self._third_party.add(import_path)
        self._resolved[import_path] = candidates
        return candidates

    def finish(self) -> Closure:
        """The closure, once `step` wants nothing more."""
        files: set[str] = set()
        included: set[str] = set()
        directories: list[str] = []
        embeds: list[EmbedFilter] = []
        for path, package in sorted(self._packages.items()):
            if path not in self._reached or not package.directory.files:
                continue
            directories.append(path)
            built = package.built(self._reached[path])
            # If Go has nothing to build it reports why, for which it has to see all files.
            files.update([file_path for _, file_path in built] or package.paths)
            if package.others:
                files.update(file_path for _, file_path in self._other_files(path, package))
            if path in self._including:
                included.update(self._included_files(path))
            patterns = sorted({p for file, _ in built for p in file.embed_patterns})
            if patterns:
                embeds.append(EmbedFilter(path, tuple(patterns), self._boundaries_below(path)))
        return Closure(
            import_path=import_path_of(self._main, self._workspace),
            directory=self._main,
            directories=tuple(directories),
            # Of two sorted lists, which is what makes it linear.
            files=tuple(sorted((*self._workspace.files, *sorted(files)))),
            optional_files=self._optional_files(files, included),
            embeds=tuple(embeds),
            third_party=tuple(sorted(self._third_party)),
        )

    def _optional_files(self, files: set[str], included: set[str]) -> tuple[str, ...]:
        of_modules = self._workspace.optional_files
        added = included.difference(files, of_modules, self._workspace.files)
        # All closures of a workspace share the first, unless one has something of its own.
        return tuple(sorted((*of_modules, *sorted(added)))) if added else of_modules

    def _other_files(self, path: str, package: Package) -> list[tuple[OtherFile, str]]:
        return package.others_for(self._reached[path], is_main=path == self._main)

    def _included_files(self, path: str) -> set[str]:
        """The paths in the repo that the files of a package include, and those that these include.

        A plain name may be a header of the toolchain, so the paths need not exist. The assembler
        runs in the package's directory, so every path is relative to it, in whatever file it is.
        """
        found: set[str] = set()
        others = self._other_files(path, self._package(path))
        pending = [include for file, _ in others for include in file.includes]
        while pending:
            target = posixpath.normpath(posixpath.join(path, pending.pop()))
            if target in found or target.startswith(("../", "/")):
                continue
            found.add(target)
            directory, name = posixpath.split(target)
            if directory in self._known:
                there = self._known[directory].other_files
                pending += [include for f in there if f.name == name for include in f.includes]
        return found

    def _boundaries_below(self, path: str) -> tuple[str, ...]:
        below = set(self._workspace.module_set.boundaries_below(path))
        below.update(b for b in self._nested if b != path and is_within(b, path))
        return tuple(sorted(below))
