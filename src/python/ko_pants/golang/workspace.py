"""The modules of the repo that matter to one main package, as a run of the go tool sees them.

Source: the Go Modules Reference (go.dev/ref/mod), and cmd/go's modload for what it leaves open.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import posixpath
from dataclasses import dataclass
from functools import cached_property
from typing import Collection, Container, Iterable, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_mod import GoMod, parse_go_mod
from ko_pants.golang.go_work import GoWork, parse_go_work
from ko_pants.golang.replacements import local_replacements
from ko_pants.golang.repo_paths import join, nearest, parents, resolve_directory
from ko_pants.golang.vendor import VendorDirectory, find_vendor


class ModulesNotFound(KoPantsError):
    """go.work uses directories whose go.mod is not among the files that are known.

    :param paths: of all these go.mod files.
    """

    def __init__(self, message: str, paths: tuple[str, ...]) -> None:
        super().__init__(message)
        self.paths = paths


@dataclass(frozen=True)
class LocalModule:
    """A module in the repo: the import path of its root package, and its directory.

    A module that replaces another one has the path of the replaced one. `main` is True for those
    that Go builds from: the one module, or those that go.work uses.
    """

    path: str
    directory: str
    main: bool


@dataclass(frozen=True)
class PackagePlace:
    """Where a module may have a package.

    :param below_module: the directory and those above it, without that of the module and those
        above that.
    """

    directory: str
    below_module: tuple[str, ...]


@dataclass(frozen=True)
class ModuleSet:
    """Modules that are built together: those of a go.work, or one with its replacements.

    All main packages in them share one object, so what is looked up often is an index of it.

    :param directory: of go.work; without one, of the main module.
    :param modules: all modules of the repo that a build can use, longest path first.
    :param boundaries: directories with a go.mod below one of `modules`: not part of that module.
        Sorted.
    :param vendor: the vendor directory that Go builds from, or None.
    :param required: paths of the modules outside of the repo that go.mod files or
        vendor/modules.txt name.
    :param files: the go.mod, go.work and vendor/modules.txt files that Go reads, sorted.
    :param optional_files: go.sum and go.work.sum, sorted; they need not exist.
    """

    directory: str
    modules: tuple[LocalModule, ...]
    boundaries: tuple[str, ...]
    vendor: str | None
    required: tuple[str, ...]
    files: tuple[str, ...]
    optional_files: tuple[str, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.directory, self.modules, self.required))

    @cached_property
    def places(self) -> dict[str, tuple[PackagePlace, ...]]:
        """Filled by `import_path.places_of`: all programs ask for the same import paths."""
        return {}

    @cached_property
    def by_path(self) -> Mapping[str, tuple[LocalModule, ...]]:
        """The modules by their path; those of one path in the order of `modules`."""
        found: dict[str, tuple[LocalModule, ...]] = {}
        for module in self.modules:
            found[module.path] = (*found.get(module.path, ()), module)
        return found

    @cached_property
    def by_directory(self) -> Mapping[str, tuple[LocalModule, ...]]:
        """The modules by their directory, main modules first."""
        found: dict[str, tuple[LocalModule, ...]] = {}
        for module in sorted(self.modules, key=lambda m: not m.main):
            found[module.directory] = (*found.get(module.directory, ()), module)
        return found

    @cached_property
    def roots(self) -> frozenset[str]:
        """The directories where a module begins, whether it is one of `modules` or not."""
        return frozenset((*self.boundaries, *self.by_directory))

    @cached_property
    def required_paths(self) -> frozenset[str]:
        """`required`, as a set."""
        return frozenset(self.required)

    @cached_property
    def files_of_go_work(self) -> frozenset[str]:
        """The module files that every build with the go.work reads, but go.work; empty without one.

        They are go.mod and go.sum of the modules that it uses, and go.work.sum.
        """
        if join(self.directory, "go.work") not in self.files:
            return frozenset()
        mains = (join(module.directory, "go.mod") for module in self.modules if module.main)
        return frozenset((*mains, *self.optional_files))

    def boundaries_below(self, directory: str) -> tuple[str, ...]:
        """The `boundaries` below a directory, sorted."""
        if not directory:
            return tuple(b for b in self.boundaries if b)
        # "0" is the character behind "/".
        first = bisect.bisect_left(self.boundaries, directory + "/")
        return self.boundaries[first : bisect.bisect_left(self.boundaries, directory + "0")]


@dataclass(frozen=True)
class Workspace:
    """The modules that matter to one main package.

    :param main_module: the module that holds the main package.
    :param module_set: what it shares with other main packages; the properties are of this.
    """

    main_module: LocalModule
    module_set: ModuleSet

    @property
    def directory(self) -> str:
        """That of go.work; without one, that of the main module."""
        return self.module_set.directory

    @property
    def modules(self) -> tuple[LocalModule, ...]:
        """All modules of the repo that the build can use, longest path first."""
        return self.module_set.modules

    @property
    def boundaries(self) -> tuple[str, ...]:
        """Directories with a go.mod below one of `modules`: not part of that module."""
        return self.module_set.boundaries

    @property
    def vendor(self) -> str | None:
        """The vendor directory that Go builds from, or None."""
        return self.module_set.vendor

    @property
    def required(self) -> tuple[str, ...]:
        """Paths of the modules outside of the repo that module files name."""
        return self.module_set.required

    @property
    def files(self) -> tuple[str, ...]:
        """The go.mod, go.work and vendor/modules.txt files that Go reads."""
        return self.module_set.files

    @property
    def optional_files(self) -> tuple[str, ...]:
        """go.sum and go.work.sum; they need not exist."""
        return self.module_set.optional_files


def find_workspace(
    directory: str,
    files: Mapping[str, bytes],
    *,
    mod: str = "",
    use_go_work: bool = True,
) -> Workspace:
    """The modules that matter to the main package in `directory`.

    :param files: the repo's go.mod, go.work and vendor/modules.txt files, by path. Only those
        that matter are read, so that a malformed one elsewhere in the repo does no harm.
    :param mod: the value of `-mod`; `""` if there is none.
    :param use_go_work: False for GOWORK=off.
    :raises KoPantsError: no module, a malformed file, a module outside of the repo, or a module
        that go.work does not use.
    """
    root = module_set_directory(directory, files, use_go_work=use_go_work)
    modules = find_module_set(root, files, mod=mod, use_go_work=use_go_work)
    return workspace_in(modules, directory, files)


def module_set_directory(
    directory: str, files: Mapping[str, bytes], *, use_go_work: bool = True
) -> str:
    """The directory of the go.work that the main package in `directory` is built with, else of its
    go.mod.

    :param files: as for `find_workspace`; those of `directory` and the directories above suffice.
    :raises KoPantsError: there is no go.mod.
    """
    root = nearest(directory, _go_mod_directories(files))
    if root is None:
        raise KoPantsError(
            f"no go.mod in {_named(directory)} or a directory above it; expected a Go module: run "
            "`go mod init example.com/name` at the module's root"
        )
    if not use_go_work:
        return root
    works = {posixpath.dirname(path) for path in files if posixpath.basename(path) == "go.work"}
    above = nearest(directory, works)
    return root if above is None else above


def find_module_set(
    directory: str, files: Mapping[str, bytes], *, mod: str = "", use_go_work: bool = True
) -> ModuleSet:
    """The modules that are built together.

    :param directory: see `module_set_directory`. The other parameters are those of
        `find_workspace`.
    :raises KoPantsError: as for `find_workspace`.
    """
    go_mod_directories = _go_mod_directories(files)
    path = join(directory, "go.work")
    work = parse_go_work(files[path], path) if use_go_work and path in files else None
    mains = _main_modules(directory, work, files, go_mod_directories)
    go = mains[directory].go if work is None else work.go
    vendor = find_vendor(directory, files, go=go, for_workspace=work is not None, mod=mod)
    modules = _modules(work, mains, go_mod_directories, vendored=vendor is not None)
    return ModuleSet(
        directory=directory,
        modules=modules,
        boundaries=_boundaries(modules, go_mod_directories),
        vendor=vendor.directory if vendor else None,
        required=_required(mains, vendor, modules),
        files=_module_files(work, vendor, modules),
        optional_files=_sum_files(work, mains),
    )


def workspace_in(modules: ModuleSet, directory: str, files: Mapping[str, bytes]) -> Workspace:
    """The workspace of the main package in `directory`.

    :param files: the module files of `directory` and of the directories above it, by path.
    :raises KoPantsError: the module of the main package is none of `modules`.
    """
    found = _go_mod_directories(files)
    root = nearest(directory, found)
    main = next((m for m in modules.by_directory.get(root or "", ()) if m.main), None)
    if main is None or root is None:
        go_work = join(modules.directory, "go.work")
        raise KoPantsError(
            f"{_named(directory)} is in the module {root or '.'}, which {go_work} does not use; "
            f"run `go work use ./{posixpath.relpath(root or '.', modules.directory or '.')}`, or "
            "set GOWORK=off"
        )
    # A go.mod above the main package may be of a module that go.work does not use.
    others = [
        d for d in found if d not in modules.roots and _is_below_one_of(d, modules.by_directory)
    ]
    if others:
        boundaries = tuple(sorted((*modules.boundaries, *others)))
        modules = dataclasses.replace(modules, boundaries=boundaries)
    return Workspace(main, modules)


def _go_mod_directories(files: Iterable[str]) -> set[str]:
    return {posixpath.dirname(path) for path in files if posixpath.basename(path) == "go.mod"}


def _named(directory: str) -> str:
    return directory or "the repo's root"


def _read_go_mod(directory: str, files: Mapping[str, bytes]) -> GoMod:
    path = join(directory, "go.mod")
    return parse_go_mod(files[path], path)


def _main_modules(
    directory: str,
    work: GoWork | None,
    files: Mapping[str, bytes],
    go_mod_directories: Collection[str],
) -> dict[str, GoMod]:
    """The go.mod of each main module, by its directory.

    :param directory: of the only one, if there is no go.work.
    :raises ModulesNotFound: go.work uses modules that are none of `files`.
    """
    if work is None:
        return {directory: _read_go_mod(directory, files)}
    used = {
        use: resolve_directory(work.directory, use, where=work.where, what="`use` of")
        for use in work.uses
    }
    missing = {use: join(d, "go.mod") for use, d in used.items() if d not in go_mod_directories}
    if missing:
        use, path = next(iter(missing.items()))
        raise ModulesNotFound(
            f"{work.where}: `use` of {use!r}, but {path} does not exist; create it or remove the "
            "line",
            tuple(missing.values()),
        )
    return {d: _read_go_mod(d, files) for d in used.values()}


def _modules(
    work: GoWork | None,
    mains: Mapping[str, GoMod],
    go_mod_directories: Collection[str],
    *,
    vendored: bool,
) -> tuple[LocalModule, ...]:
    """Main modules and local replacements, longest path first. Vendored builds replace nothing."""
    modules = [LocalModule(go_mod.module, d, True) for d, go_mod in mains.items()]
    main_paths = {module.path for module in modules}
    for replacement in () if vendored else local_replacements(work, mains):
        if replacement.path in main_paths:
            continue
        directory = resolve_directory(
            replacement.base,
            replacement.target,
            where=replacement.where,
            what=f"the replacement of {replacement.path}",
        )
        # Without a go.mod there, the replacement is broken. Go reports it if it needs the module.
        if directory in go_mod_directories:
            modules.append(LocalModule(replacement.path, directory, False))
    return tuple(sorted(modules, key=lambda m: (-len(m.path), m.path, m.directory)))


def _boundaries(
    modules: Collection[LocalModule], go_mod_directories: Collection[str]
) -> tuple[str, ...]:
    directories = {module.directory for module in modules}
    return tuple(sorted(d for d in go_mod_directories if _is_below_one_of(d, directories)))


def _is_below_one_of(directory: str, others: Container[str]) -> bool:
    return any(parent in others for parent in itertools.islice(parents(directory), 1, None))


def _required(
    mains: Mapping[str, GoMod], vendor: VendorDirectory | None, modules: Collection[LocalModule]
) -> tuple[str, ...]:
    paths = {require.path for go_mod in mains.values() for require in go_mod.requires}
    if vendor is not None:
        paths.update(vendor.modules)
    return tuple(sorted(paths - {module.path for module in modules}))


def _module_files(
    work: GoWork | None, vendor: VendorDirectory | None, modules: Collection[LocalModule]
) -> tuple[str, ...]:
    paths = {join(module.directory, "go.mod") for module in modules}
    if work is not None:
        paths.add(work.where)
    if vendor is not None:
        paths.add(vendor.modules_txt)
    return tuple(sorted(paths))


def _sum_files(work: GoWork | None, mains: Mapping[str, GoMod]) -> tuple[str, ...]:
    paths = [join(directory, "go.sum") for directory in mains]
    if work is not None:
        paths.append(join(work.directory, "go.work.sum"))
    return tuple(sorted(paths))
