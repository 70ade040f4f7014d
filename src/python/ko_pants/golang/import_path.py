"""Import paths: which directories of the repo they mean, and the other way round."""

from __future__ import annotations

import posixpath
from typing import Collection, Container, Iterator

from ko_pants.errors import KoPantsError
from ko_pants.golang.repo_paths import join, nearest, parents
from ko_pants.golang.workspace import Workspace


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
    by_path = workspace.module_set.by_path
    found = []
    for prefix in prefixes(import_path):
        for module in by_path.get(prefix, ()):
            rest = import_path[len(prefix) + 1 :]
            directory = posixpath.join(module.directory, rest) if rest else module.directory
            if _is_in(directory, module.directory, nested):
                found.append(directory)
    return found


def _is_in(directory: str, module: str, nested: Container[str]) -> bool:
    """True if no other module begins between the module's directory and one below it."""
    for parent in parents(directory):
        if parent == module:
            return True
        if parent in nested:
            return False
    return False


def app_name(import_path: str) -> str:
    """The file name of a program in `/ko-app/`: the last element of its import path, as in ko."""
    return posixpath.basename(import_path) or "ko-app"
