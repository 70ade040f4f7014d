"""The modules that are built together: found once for all main packages in them."""

from __future__ import annotations

import posixpath
from typing import Iterable, Sequence

from pants.engine.rules import rule

from ko_pants.disk.disk import HiddenFile
from ko_pants.engine import go_modules
from ko_pants.golang.input_views import NamedFiles
from ko_pants.golang.module_directories import (
    MODULE_FILES,
    ModuleFilesSearch,
    module_file_paths,
)
from ko_pants.golang.workspace import find_module_set
from ko_pants.products import GoModuleSet, GoModuleSetRequest, GoModulesRequest

_NAMES = frozenset(posixpath.basename(name) for name in MODULE_FILES)


def hidden_module_files(hidden: Iterable[HiddenFile]) -> tuple[HiddenFile, ...]:
    """Those of hidden files that say something of modules."""
    return tuple(file for file in hidden if posixpath.basename(file.path) in _NAMES)


async def module_files_of(
    directories: Sequence[str], hidden: Sequence[HiddenFile]
) -> dict[str, bytes]:
    """The module files of each directory; a request for each, which other packages make too."""
    requests = []
    for directory in directories:
        names = module_file_paths([directory])
        of_directory = tuple(f for f in hidden if f.path in names) if hidden else ()
        requests.append(GoModulesRequest((directory,), of_directory))
    found = await go_modules(requests)
    return {path: content for modules in found for path, content in modules.files}


@rule
async def find_go_module_set(request: GoModuleSetRequest) -> GoModuleSet:
    """Read the module files of a workspace: once for all main packages in it.

    :raises KoPantsError: see `find_module_set`.
    """
    search = ModuleFilesSearch(request.directory, use_go_work=request.use_go_work)
    while wanted := search.wanted():
        search.add(wanted, await module_files_of(wanted, request.hidden))
    modules = find_module_set(
        request.directory, search.files, mod=request.mod, use_go_work=request.use_go_work
    )
    paths = (*module_file_paths(sorted(search.read)), *modules.optional_files)
    return GoModuleSet(modules, NamedFiles(paths))
