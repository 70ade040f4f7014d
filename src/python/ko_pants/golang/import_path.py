"""Import paths: which directories of the repo they mean, and the other way round."""

from __future__ import annotations

import itertools
import posixpath
from typing import Collection, Iterator

from ko_pants.errors import KoPantsError
from ko_pants.golang.repo_paths import join, nearest, parents
from ko_pants.golang.workspace import ModuleSet, PackagePlace, Workspace


def prefixes(import_path: str) -> Iterator[str]:
    """The paths that a module with this package can have, the longest first."""
    while import_path:
        yield import_path
        import_path = import_path.rpartition("/")[0]


def has_prefix(import_path: str, module: str) -> bool:
    """True for the import path of a package that a module with this path can have."""
    return import_path == module or import_path.startswith(module + "/")


def import_path_of(directory: str, workspace: Workspace) -> str:
    """The import path of the package in a directory.

    :raises KoPantsError: the directory is in none of the workspace's modules.
    """
    # A module ends where a go.mod below it begins another one, whether go.work uses that or not.
    root = nearest(directory, workspace.module_set.roots)
    # A module that replaces another one may lie in the directory of a main module.
    owners = workspace.module_set.by_directory.get(root, ()) if root is not None else ()
    if not owners:
        raise KoPantsError(f"{directory or '.'} is in no module of the workspace")
    rest = directory[len(root or "") :].strip("/")
    return join(owners[0].path, rest) if rest else owners[0].path


def candidate_directories(
    import_path: str, workspace: Workspace, boundaries: Collection[str] | None = None
) -> list[str]:
    """The directories of the workspace that may hold a package, longest module path first.

    :param boundaries: a set of `workspace.boundaries`, for a caller that asks many times.
    """
    nested = frozenset(workspace.boundaries) if boundaries is None else boundaries
    return _candidates(import_path, workspace.module_set, nested)


def _candidates(import_path: str, modules: ModuleSet, boundaries: Collection[str]) -> list[str]:
    return [
        place.directory
        for place in places_of(import_path, modules)
        # Another module that begins in between has the package, or nobody.
        if not any(directory in boundaries for directory in place.below_module)
    ]


def resolve_import(
    import_path: str, modules: ModuleSet, boundaries: Collection[str]
) -> tuple[tuple[str, ...], bool]:
    """Where Go looks for a package in the repo: in every module whose path is a prefix.

    If two modules have the package, Go has to see both to report an ambiguous import. The other
    result is True if the package may also come from a module outside of the repo.

    :param boundaries: directories where other modules begin; a set.
    """
    # Go refuses relative imports in modules.
    if import_path.startswith("."):
        return (), False
    candidates = _candidates(import_path, modules, boundaries)
    outside = any(prefix in modules.required_paths for prefix in prefixes(import_path))
    # Other paths without a dot in the first element are the standard library's.
    if not outside and (candidates or "." not in import_path.partition("/")[0]):
        return tuple(candidates), False
    if modules.vendor is None:
        return tuple(candidates), True
    return (*candidates, join(modules.vendor, import_path)), False


def places_of(import_path: str, modules: ModuleSet) -> tuple[PackagePlace, ...]:
    """Where the modules may have a package, longest module path first."""
    known = modules.places.get(import_path)
    if known is None:
        known = modules.places[import_path] = tuple(_places(import_path, modules))
    return known


def _places(import_path: str, modules: ModuleSet) -> Iterator[PackagePlace]:
    for prefix in prefixes(import_path):
        for module in modules.by_path.get(prefix, ()):
            rest = import_path[len(prefix) + 1 :]
            if rest.startswith("/"):
                continue  # Go refuses a doubled slash
            directory = join(module.directory, rest) if rest else module.directory
            above = parents(directory)
            below = tuple(itertools.takewhile(lambda d, m=module: d != m.directory, above))  # type: ignore[misc]
            yield PackagePlace(directory, below)


def app_name(import_path: str) -> str:
    """The file name of a program in `/ko-app/`: the last element of its import path, as in ko."""
    return posixpath.basename(import_path) or "ko-app"
