"""From a main package to its first-party closure, without running Go.

It is a search over the analyses of directories, which all images and platforms share, and over the
module files of the repo. After an edit of one file, one directory is analyzed again.
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Mapping

from pants.engine.rules import rule

from ko_pants.engine import analyzed_directories, go_modules
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_flags import build_settings, check_goflags, profile_path
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.workspace import find_workspace
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoModulesRequest,
)
from ko_pants.rules.repo_files import existing_files, matching_files


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


async def _with_profile(closure: Closure, profile: str, module: str) -> Closure:
    """The closure with the file that `-pgo` names.

    :raises KoPantsError: it is outside of the repo, or does not exist.
    """
    path = profile_path(profile, module)
    if not await existing_files([path]):
        raise KoPantsError(
            f"the flag -pgo names {profile!r}, and {path} does not exist; expected a path relative "
            f"to {posixpath.join(module, 'go.mod')}"
        )
    return dataclasses.replace(closure, files=tuple(sorted({*closure.files, path})))


@rule
async def find_go_closure(request: GoClosureRequest) -> GoClosure:
    """Search the import graph from a main package.

    :raises KoPantsError: the package is in no module, or a module file is malformed.
    """
    modules = await go_modules(GoModulesRequest())
    workspace = find_workspace(
        request.directory,
        dict(modules.files),
        mod=request.mod,
        use_go_work=request.use_go_work,
    )
    search = ClosureSearch(
        workspace,
        request.directory,
        request.platforms,
        request.tags,
        extra_imports=request.extra_imports,
    )
    wanted = search.start()
    while wanted:
        analyzed = await analyzed_directories(GoDirectoryRequest(path) for path in wanted)
        wanted = search.step({a.directory.path: a.directory for a in analyzed})
    closure = search.finish()
    if request.profile:
        module = workspace.main_module.directory
        closure = await _with_profile(closure, request.profile, module)
    embedded: tuple[str, ...] = ()
    if closure.embeds:
        found = await matching_files({e.directory: e.globs() for e in closure.embeds})
        embedded = tuple(path for path in found if closure.is_embedded(path))
    return GoClosure(closure, workspace, embedded)
