"""From a main package to its first-party closure, without running Go.

It is a search over the analyses of directories, which all images and platforms share, and over the
module files of the repo. After an edit of one file, one directory is analyzed again.
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Iterable, Mapping

from pants.engine.rules import rule

from ko_pants.disk.disk import HiddenFile
from ko_pants.engine import analyzed_directories, go_module_set
from ko_pants.golang.build_flags import build_settings, check_goflags, profile_path
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.input_views import Embedded, NamedFiles, PackageDirectory
from ko_pants.golang.module_directories import (
    module_file_paths,
)
from ko_pants.golang.repo_paths import parents
from ko_pants.golang.workspace import (
    Workspace,
    module_set_directory,
    workspace_in,
)
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoModuleSet,
    GoModuleSetRequest,
)
from ko_pants.rules.go_module_set import hidden_module_files, module_files_of


def closure_request(
    build: GoBuild, platforms: tuple[Platform, ...], outside: Mapping[str, str]
) -> GoClosureRequest:
    """The request for the closure of a main package for all platforms of its image.

    :param outside: variables from the environment of Pants.
    :raises KoPantsError: a flag in GOFLAGS that is refused; the text names the target.
    """
    env = {**outside, **dict(build.env)}
    where = f"{build.owner}: GOFLAGS (of the environment, or in option [ko].go_env_vars)"
    check_goflags(env.get("GOFLAGS", ""), where=where)
    settings = build_settings(build.flags, env)
    return GoClosureRequest(
        build.directory,
        platforms,
        tags=settings.tags,
        mod=settings.mod,
        use_go_work=settings.use_go_work,
        profile=settings.profile,
    )


async def _workspace(request: GoClosureRequest) -> tuple[Workspace, GoModuleSet]:
    hidden = hidden_module_files(request.hidden)
    above = await module_files_of(tuple(parents(request.directory)), hidden)
    directory = module_set_directory(request.directory, above, use_go_work=request.use_go_work)
    found = await go_module_set(
        GoModuleSetRequest(directory, request.mod, request.use_go_work, hidden)
    )
    return workspace_in(found.modules, request.directory, above), found


def with_profile(closure: Closure, path: str) -> Closure:
    """The closure with the file that `-pgo` names."""
    return dataclasses.replace(closure, files=tuple(sorted({*closure.files, path})))


async def workspace_of(request: GoClosureRequest) -> Workspace:
    """The modules that matter to a main package.

    :raises KoPantsError: as `find_go_closure`.
    """
    workspace, _ = await _workspace(request)
    return workspace


def _own_files(directory: str, closure: Closure, workspace: Workspace) -> tuple[str, ...]:
    """Files that Go may look for beside those that all main packages of a workspace share."""
    included: Iterable[str] = ()
    if closure.optional_files is not workspace.optional_files:
        included = sorted(set(closure.optional_files).difference(workspace.optional_files))
    return (*module_file_paths(parents(directory)), *included)


@rule
async def find_go_closure(request: GoClosureRequest) -> GoClosure:
    """Search the import graph from a main package; without the embedded files.

    :raises KoPantsError: the package is in no module, or a module file is malformed.
    """
    workspace, module_set = await _workspace(request)
    search = ClosureSearch(
        workspace,
        request.directory,
        request.platforms,
        request.tags,
        extra_imports=request.extra_imports,
    )
    hidden: dict[str, list[HiddenFile]] = {}
    for file in request.hidden:
        hidden.setdefault(posixpath.dirname(file.path), []).append(file)
    wanted = search.start()
    while wanted:
        analyzed = await analyzed_directories(
            GoDirectoryRequest(path, tuple(hidden.get(path, ()))) for path in wanted
        )
        wanted = search.step({a.directory.path: a.directory for a in analyzed})
    closure = search.finish()
    profile: tuple[str, ...] = ()
    if request.profile:
        profile = (profile_path(request.profile, workspace.main_module.directory),)
        closure = with_profile(closure, *profile)
    return GoClosure(
        closure,
        workspace,
        hidden=request.hidden,
        views=(
            *(PackageDirectory(path) for path in search.searched),
            *(Embedded(embed) for embed in closure.embeds),
            module_set.view,
            NamedFiles(_own_files(request.directory, closure, workspace)),
            NamedFiles(profile),
        ),
        analyzed=search.analyzed,
    )
