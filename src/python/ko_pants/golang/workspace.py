"""The modules of the repo that matter to one main package, as a run of the go tool sees them.

Source: the Go Modules Reference (go.dev/ref/mod), and cmd/go's modload for what it leaves open.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Collection, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_mod import GoMod, parse_go_mod
from ko_pants.golang.go_work import GoWork, parse_go_work
from ko_pants.golang.replacements import local_replacements
from ko_pants.golang.repo_paths import is_within, join, nearest, parents, resolve_directory
from ko_pants.golang.vendor import VendorDirectory, find_vendor


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
class Workspace:
    """The modules that matter to one main package.

    :param directory: of go.work; without one, of the main module.
    :param main_module: the module that holds the main package.
    :param modules: all modules of the repo that the build can use, longest path first.
    :param boundaries: directories with a go.mod below one of `modules`: not part of that module.
    :param vendor: the vendor directory that Go builds from, or None.
    :param required: paths of the modules outside of the repo that go.mod files or
        vendor/modules.txt name.
    :param files: the go.mod, go.work and vendor/modules.txt files that Go reads.
    :param optional_files: go.sum and go.work.sum; they need not exist.
    """

    directory: str
    main_module: LocalModule
    modules: tuple[LocalModule, ...]
    boundaries: tuple[str, ...]
    vendor: str | None
    required: tuple[str, ...]
    files: tuple[str, ...]
    optional_files: tuple[str, ...]


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
    go_mod_directories = {
        posixpath.dirname(path) for path in files if posixpath.basename(path) == "go.mod"
    }
    root = nearest(directory, go_mod_directories)
    if root is None:
        raise KoPantsError(
            f"no go.mod in {_named(directory)} or a directory above it; expected a Go module: run "
            "`go mod init example.com/name` at the module's root"
        )
    work = _find_go_work(directory, files) if use_go_work else None
    mains = _main_modules(directory, root, work, files, go_mod_directories)
    parent = root if work is None else work.directory
    go = mains[root].go if work is None else work.go
    vendor = find_vendor(parent, files, go=go, for_workspace=work is not None, mod=mod)
    modules = _modules(work, mains, go_mod_directories, vendored=vendor is not None)
    return Workspace(
        directory=parent,
        main_module=next(m for m in modules if m.main and m.directory == root),
        modules=modules,
        boundaries=_boundaries(modules, go_mod_directories),
        vendor=vendor.directory if vendor else None,
        required=_required(mains, vendor, modules),
        files=_module_files(work, vendor, modules),
        optional_files=_sum_files(work, mains),
    )


def _named(directory: str) -> str:
    return directory or "the repo's root"


def _read_go_mod(directory: str, files: Mapping[str, bytes]) -> GoMod:
    path = join(directory, "go.mod")
    return parse_go_mod(files[path], path)


def _find_go_work(directory: str, files: Mapping[str, bytes]) -> GoWork | None:
    paths = (join(parent, "go.work") for parent in parents(directory))
    path = next((path for path in paths if path in files), None)
    return None if path is None else parse_go_work(files[path], path)


def _main_modules(
    directory: str,
    root: str,
    work: GoWork | None,
    files: Mapping[str, bytes],
    go_mod_directories: Collection[str],
) -> dict[str, GoMod]:
    """The go.mod of each main module, by its directory; `root` is that of the main package.

    :raises KoPantsError: go.work uses a module that does not exist, or does not use `root`.
    """
    if work is None:
        return {root: _read_go_mod(root, files)}
    mains = {}
    for use in work.uses:
        used = resolve_directory(work.directory, use, where=work.where, what="`use` of")
        if used not in go_mod_directories:
            raise KoPantsError(
                f"{work.where}: `use` of {use!r}, but {join(used, 'go.mod')} does not exist; "
                "create it or remove the line"
            )
        mains[used] = _read_go_mod(used, files)
    if root not in mains:
        raise KoPantsError(
            f"{_named(directory)} is in the module {root or '.'}, which {work.where} does not use; "
            f"run `go work use ./{posixpath.relpath(root or '.', work.directory or '.')}`, or set "
            "GOWORK=off"
        )
    return mains


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
    return tuple(
        sorted(
            nested
            for nested in go_mod_directories
            if any(
                nested != directory and is_within(nested, directory) for directory in directories
            )
        )
    )


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
