"""The closures of many main packages of the same modules, each package looked at once.

`ClosureSearch` begins anew for each main package. Here the closure of a package is what it has
itself and the closures of what it imports, and these are remembered. The result is the same.

A set of packages is an `int` with a bit for each, so that thousands of closures take little memory.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Tuple

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import Package
from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.import_path import places_of, resolve_import
from ko_pants.golang.repo_paths import is_within
from ko_pants.golang.workspace import ModuleSet

# A directory, with the mask of the platforms for which something imports it.
_Reached = Tuple[str, int]


@dataclass(frozen=True)
class _Imports:
    """What a package imports on some platforms.

    :param targets: the packages of the repo.
    :param nested: directories where other modules begin, of those that were looked at.
    :param third_party: import paths that come from modules outside of the repo.
    """

    targets: tuple[_Reached, ...]
    nested: frozenset[str]
    third_party: frozenset[str]


@dataclass(frozen=True)
class _Part:
    """What a package gives to a closure: its files, and the patterns of the files it embeds.

    A directory without Go files gives nothing.
    """

    files: tuple[str, ...]
    patterns: tuple[str, ...]


class ImportGraph:
    """Closures of main packages; safe for threads.

    :param modules: those of the main packages.
    :param context: the platforms and tags of all of them.
    :param analyze: the analysis of a directory. It has to stay the same as long as this object is
        used, and what it raises goes to the caller.
    """

    def __init__(
        self, modules: ModuleSet, context: BuildContext, analyze: Callable[[str], GoDirectory]
    ) -> None:
        self._modules = modules
        self._context = context
        self._ask = analyze
        self._analyses: dict[str, GoDirectory] = {}
        self._lock = threading.Lock()
        self._boundaries = frozenset(modules.boundaries)
        # By number: the package, and what it imports. `_closures` has the number's bit, too.
        self._reached: list[_Reached] = []
        self._imports: list[_Imports] = []
        self._closures: dict[_Reached, int] = {}
        self._parts: dict[tuple[str, int, bool], _Part] = {}
        # The packages that have something rare, as a set.
        self._with_imports_outside = 0
        self._including = 0

    def closure(self, main: str, import_path: str) -> Closure | None:
        """The closure of a main package; None if it takes a `ClosureSearch` to find it.

        That is so where packages import each other, and where assembly includes files.

        :param main: its directory.
        :param import_path: its import path.
        """
        with self._lock:
            reached = self._closed((main, self._context.all_platforms))
            if reached is None or reached & self._including:
                return None
            return self._finish(main, import_path, reached)

    def _analyze(self, directory: str) -> GoDirectory:
        found = self._analyses.get(directory)
        if found is None:
            found = self._analyses[directory] = self._ask(directory)
        return found

    def _closed(self, main: _Reached) -> Optional[int]:
        """The closure of a package as a set; None if packages import each other."""
        known = self._closures.get(main)
        if known is not None:
            return known
        # Depth first. A package that is open imports those that are on the stack after it.
        opened = {main: self._look(main)}
        stack: List[Tuple[_Reached, Iterator[_Reached]]] = [(main, iter(opened[main].targets))]
        while stack:
            package, rest = stack[-1]
            target = next((t for t in rest if t not in self._closures), None)
            if target is None:
                self._close(package, opened.pop(package))
                stack.pop()
            elif target in opened:
                return None
            else:
                opened[target] = self._look(target)
                stack.append((target, iter(opened[target].targets)))
        return self._closures[main]

    def _close(self, package: _Reached, imports: _Imports) -> None:
        """Number a package whose imports all have their closures."""
        bit = 1 << len(self._reached)
        self._reached.append(package)
        self._imports.append(imports)
        closure = bit
        for target in imports.targets:
            closure |= self._closures[target]
        self._closures[package] = closure
        if imports.nested or imports.third_party:
            self._with_imports_outside |= bit
        if any(file.includes for file in self._analyze(package[0]).other_files):
            self._including |= bit

    def _look(self, package: _Reached) -> _Imports:
        directory, platforms = package
        analysis = self._analyze(directory)
        targets: dict[str, int] = {}
        third_party: set[str] = set()
        nested = {directory} if analysis.has_go_mod else set()
        for import_path, mask in Package.of(analysis, self._context).imports_for(platforms):
            below = {d for p in places_of(import_path, self._modules) for d in p.below_module}
            found = {d for d in below - self._boundaries if self._analyze(d).has_go_mod}
            nested |= found
            boundaries = self._boundaries | found if found else self._boundaries
            candidates, outside = resolve_import(import_path, self._modules, boundaries)
            if outside:
                third_party.add(import_path)
            for target in candidates:
                targets[target] = targets.get(target, 0) | mask
        return _Imports(tuple(targets.items()), frozenset(nested), frozenset(third_party))

    def _finish(self, main: str, import_path: str, reached: int) -> Closure:
        masks: dict[str, int] = {}
        for number in _numbers(reached):
            directory, mask = self._reached[number]
            masks[directory] = masks.get(directory, 0) | mask
        outside = [self._imports[n] for n in _numbers(reached & self._with_imports_outside)]
        nested = {directory for imports in outside for directory in imports.nested}
        third_party = {path for imports in outside for path in imports.third_party}
        directories, files, embeds = [], list(self._modules.files), []
        for directory, mask in sorted(masks.items()):
            part = self._part(directory, mask, is_main=directory == main)
            if not part.files:
                continue
            directories.append(directory)
            files += part.files
            if part.patterns:
                below = self._boundaries_below(directory, nested)
                embeds.append(EmbedFilter(directory, part.patterns, below))
        return Closure(
            import_path=import_path,
            directory=main,
            directories=tuple(directories),
            files=tuple(sorted(files)),
            optional_files=self._modules.optional_files,
            embeds=tuple(embeds),
            third_party=tuple(sorted(third_party)),
        )

    def _part(self, directory: str, platforms: int, *, is_main: bool) -> _Part:
        part = self._parts.get((directory, platforms, is_main))
        if part is None:
            package = Package.of(self._analyze(directory), self._context)
            built = package.built(platforms)
            # A directory without Go files is no package, and then the others do not count.
            others = package.others_for(platforms if package.paths else 0, is_main=is_main)
            # If Go has nothing to build it reports why, for which it has to see all files.
            files = [path for _, path in built] or package.paths
            part = self._parts[directory, platforms, is_main] = _Part(
                (*files, *(path for _, path in others)),
                tuple(sorted({p for file, _ in built for p in file.embed_patterns})),
            )
        return part

    def _boundaries_below(self, directory: str, nested: set[str]) -> tuple[str, ...]:
        below = {d for d in nested if d != directory and is_within(d, directory)}
        return tuple(sorted(below.union(self._modules.boundaries_below(directory))))


def _numbers(bits: int) -> Iterator[int]:
    """The numbers of a set."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
