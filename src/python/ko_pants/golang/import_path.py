"""Import paths: which directories of the repo they mean, and the other way round."""

from __future__ import annotations

import posixpath
from typing import Collection

from ko_pants.errors import KoPantsError
from ko_pants.golang.repo_paths import is_within, join, nearest
from ko_pants.golang.workspace import Workspace


def has_prefix(import_path: str, module: str) -> bool:
    """True for the import path of a package that a module with this path can have."""
    return import_path == module or import_path.startswith(module + "/")


def import_path_of(directory: str, workspace: Workspace) -> str:
    """The import path of the package in a directory.

    :raises KoPantsError: the directory is in none of the workspace's modules.
    """
    if not any(is_within(directory, b) for b in workspace.boundaries if b != directory):
        for module in sorted(workspace.modules, key=lambda m: -len(m.directory)):
            if is_within(directory, module.directory):
                rest = directory[len(module.directory) :].strip("/")
                return join(module.path, rest) if rest else module.path
    raise KoPantsError(f"{directory or '.'} is in no module of the workspace")


def candidate_directories(
    import_path: str, workspace: Workspace, boundaries: Collection[str] | None = None
) -> list[str]:
    """The directories of the workspace that may hold a package, longest module path first.

    :param boundaries: a set of `workspace.boundaries`, for a caller that asks many times.
    """
    nested = frozenset(workspace.boundaries) if boundaries is None else boundaries
    found = []
    for module in workspace.modules:
        if not has_prefix(import_path, module.path):
            continue
        rest = import_path[len(module.path) + 1 :]
        directory = posixpath.join(module.directory, rest) if rest else module.directory
        if nearest(directory, {module.directory, *nested}) == module.directory:
            found.append(directory)
    return found


def app_name(import_path: str) -> str:
    """The file name of a program in `/ko-app/`: the last element of its import path, as in ko."""
    return posixpath.basename(import_path) or "ko-app"
