"""The first-party closure of a main package: what `go build` of it can read in the repo.

The search is driven by the caller, which analyses directories in whatever way (and caches) it has:

    search = ClosureSearch(workspace, "cmd/app", platforms)
    wanted = search.start()
    while wanted:
        wanted = search.step({path: <the GoDirectory of path> for path in wanted})
    closure = search.finish()

One closure serves all platforms of an image (their union). The result is a pure function of the
analyses: a repeated search over equal ones gives an equal closure.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Collection, Iterable, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.golang.constraints import BuildContext
from ko_pants.golang.directory import PROFILE, GoDirectory
from ko_pants.golang.embed import EmbedFilter, embed_globs
from ko_pants.golang.modules import Workspace, find_module_root, is_within
from ko_pants.golang.source_file import GoFile
from ko_pants.oci.platform import Platform


@dataclass(frozen=True)
class Closure:
    """What one main package is built from; all paths relative to the repo's root and sorted.

    :param import_path: of the main package.
    :param directory: of the main package.
    :param directories: of all first-party (and vendored) packages.
    :param files: Go, assembly, header and object files, go.mod, go.work, vendor/modules.txt.
    :param optional_files: go.sum, go.work.sum, and files that assembly includes; they may not
        exist.
    :param embeds: the embedded files, per package that has some.
    :param third_party: import paths that come from modules outside of the repo.
    :param modules: paths of those modules, as far as go.mod files name them.
    """

    import_path: str
    directory: str
    directories: tuple[str, ...]
    files: tuple[str, ...]
    optional_files: tuple[str, ...]
    embeds: tuple[EmbedFilter, ...]
    third_party: tuple[str, ...]
    modules: tuple[str, ...]

    def embed_globs(self) -> tuple[str, ...]:
        """Globs that take in at least the embedded files; filter with `is_embedded`."""
        return embed_globs(self.embeds)

    def is_embedded(self, path: str) -> bool:
        """True if a package embeds the file `path`."""
        return any(embed.matches(path) for embed in self.embeds)

    def contains(self, path: str) -> bool:
        """True if a change of the file `path` can change the build."""
        return path in self.files or path in self.optional_files or self.is_embedded(path)


def import_path_of(directory: str, workspace: Workspace) -> str:
    """The import path of a package in one of the workspace's modules.

    :raises KoPantsError: the directory is in none of them.
    """
    if not any(is_within(directory, b) for b in workspace.boundaries if b != directory):
        for module in sorted(workspace.modules, key=lambda m: -len(m.directory)):
            if is_within(directory, module.directory):
                rest = directory[len(module.directory) :].strip("/")
                return f"{module.path}/{rest}" if rest else module.path
    raise KoPantsError(f"{directory or '.'} is in no module of the workspace")


def _has_prefix(import_path: str, module: str) -> bool:
    return import_path == module or import_path.startswith(module + "/")


class ClosureSearch:
    """A breadth-first search over the import graph; see the module's example.

    :param extra_imports: import paths that are searched too. Third-party modules may import
        packages of the repo (a fork that a `replace` names, say), which only Go can see;
        `missing_imports` finds them in what it reports.
    """

    def __init__(
        self,
        workspace: Workspace,
        main_directory: str,
        platforms: Collection[Platform],
        tags: Collection[str] = (),
        go_minor: int | None = None,
        extra_imports: Iterable[str] = (),
    ) -> None:
        self._workspace = workspace
        self._main = main_directory
        self._context = BuildContext.of(platforms, tags, go_minor)
        self._extra = tuple(sorted(set(extra_imports)))
        self._boundaries = frozenset(workspace.boundaries)
        # Import path -> where it may be; directory -> platforms that reach it; and the analyses.
        self._resolved: dict[str, tuple[str, ...]] = {}
        self._third_party: set[str] = set()
        self._reached: dict[str, int] = {}
        self._directories: dict[str, GoDirectory] = {}
        # Per directory: its files, and what they import, with the platforms for which they count.
        self._masks: dict[str, tuple[tuple[GoFile, int], ...]] = {}
        self._imports: dict[str, tuple[tuple[str, int], ...]] = {}

    def start(self) -> tuple[str, ...]:
        """The first directories to analyse.

        :raises KoPantsError: the main package is in no module of the workspace.
        """
        import_path_of(self._main, self._workspace)
        everywhere = self._context.all
        wanted = {self._main}
        self._reached[self._main] = everywhere
        for import_path in self._extra:
            for directory in self._resolve(import_path):
                self._reached[directory] = everywhere
                wanted.add(directory)
        return tuple(sorted(wanted))

    def step(self, analysed: Mapping[str, GoDirectory]) -> tuple[str, ...]:
        """Take in analyses and name the directories wanted next; empty at the end.

        A directory that does not exist is analysed as one without files.
        """
        pending: list[tuple[str, int]] = []
        for path, directory in analysed.items():
            if path in self._reached and path not in self._directories:
                self._directories[path] = directory
                masks = tuple((f, self._context.mask(f)) for f in directory.files)
                imports: dict[str, int] = {}
                for file, mask in masks:
                    if mask:
                        for import_path in file.imports:
                            imports[import_path] = imports.get(import_path, 0) | mask
                self._masks[path] = masks
                self._imports[path] = tuple(imports.items())
                pending.append((path, self._reached[path]))
        wanted: set[str] = set()
        # A directory comes up again where a platform reaches it that did not before.
        while pending:
            path, platforms = pending.pop()
            for import_path, mask in self._imports[path]:
                built_for = mask & platforms
                if not built_for:
                    continue
                targets = self._resolved.get(import_path)
                for target in self._resolve(import_path) if targets is None else targets:
                    reached = self._reached.get(target, 0)
                    added = built_for & ~reached
                    if not added:
                        continue
                    self._reached[target] = reached | added
                    if target in self._directories:
                        pending.append((target, added))
                    else:
                        wanted.add(target)
        return tuple(sorted(wanted))

    def finish(self) -> Closure:
        """The closure, once `step` wants nothing more."""
        files = set(self._workspace.files)
        optional = set(self._workspace.optional_files)
        directories: list[str] = []
        embeds: list[EmbedFilter] = []
        for path, directory in sorted(self._directories.items()):
            if not directory.files:
                continue
            directories.append(path)
            platforms = self._reached[path]
            built = [file for file, mask in self._masks[path] if mask & platforms]
            # With nothing to build Go reports why, and looks for the package no further: it has to
            # see the same files.
            names = [file.name for file in built or directory.files]
            others = [
                file
                for file in directory.other_files
                if self._context.mask(file) & platforms
                and (file.name != PROFILE or path == self._main)
            ]
            names += [file.name for file in others]
            files.update(f"{path}/{name}" if path else name for name in names)
            for other in others:
                optional.update(self._included(path, other.includes))
            patterns = sorted({pattern for file in built for pattern in file.embed_patterns})
            if patterns:
                below = (b for b in self._workspace.boundaries if b != path and is_within(b, path))
                embeds.append(EmbedFilter(path, tuple(patterns), tuple(below)))
        modules = {
            max(prefixes, key=len)
            for prefixes in (
                [m for m in self._workspace.required if _has_prefix(import_path, m)]
                for import_path in self._third_party
            )
            if prefixes
        }
        return Closure(
            import_path=import_path_of(self._main, self._workspace),
            directory=self._main,
            directories=tuple(directories),
            files=tuple(sorted(files)),
            optional_files=tuple(sorted(optional - files)),
            embeds=tuple(embeds),
            third_party=tuple(sorted(self._third_party)),
            modules=tuple(sorted(modules)),
        )

    def _included(self, directory: str, includes: Iterable[str]) -> Iterable[str]:
        """Files that assembly includes by a relative path; a plain name may be the toolchain's."""
        for include in includes:
            path = posixpath.normpath(posixpath.join(directory, include))
            if not path.startswith(("../", "/")):
                yield path

    def _resolve(self, import_path: str) -> tuple[str, ...]:
        """Where Go looks for a package in the repo: in every module whose path is a prefix.

        Two modules that both have the package make Go report an ambiguous import, so that all of
        them belong to the build.
        """
        candidates: list[str] = []
        if import_path != "C" and not import_path.startswith((".", "/")):
            candidates = candidate_directories(import_path, self._workspace, self._boundaries)
            outside = any(_has_prefix(import_path, m) for m in self._workspace.required)
            # Other paths without a dot in the first element are the standard library's.
            if outside or (not candidates and "." in import_path.partition("/")[0]):
                if self._workspace.vendor is not None:
                    candidates.append(f"{self._workspace.vendor}/{import_path}")
                else:
                    self._third_party.add(import_path)
        self._resolved[import_path] = tuple(candidates)
        return self._resolved[import_path]


def candidate_directories(
    import_path: str, workspace: Workspace, boundaries: Collection[str] | None = None
) -> list[str]:
    """Directories of the workspace's modules that may hold a package, longest module first."""
    nested = frozenset(workspace.boundaries) if boundaries is None else boundaries
    found = []
    for module in workspace.modules:
        if not _has_prefix(import_path, module.path):
            continue
        rest = import_path[len(module.path) + 1 :]
        directory = posixpath.join(module.directory, rest) if rest else module.directory
        if rest:
            owner = find_module_root(directory, {module.directory, *nested})
            if owner != module.directory:
                continue
        found.append(directory)
    return found


_QUOTED_IMPORT = re.compile(r"[\w.~+-]+(?:/[\w.~+-]+)*")


def missing_imports(stderr: str, workspace: Workspace, closure: Closure) -> tuple[str, ...]:
    """First-party import paths that Go named in an error and that the closure has not.

    Packages of the repo that only third-party modules import come to light so; search again with
    them as `extra_imports`. Empty if the error has another cause.
    """
    have = set(closure.directories)
    found = set()
    for word in _QUOTED_IMPORT.findall(stderr):
        path = word.rstrip(".")
        if any(d not in have for d in candidate_directories(path, workspace)):
            found.add(path)
    return tuple(sorted(found))
