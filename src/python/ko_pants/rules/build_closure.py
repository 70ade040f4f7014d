"""What the compiles of a main package read: found and checked once for all of its platforms."""

from __future__ import annotations

import posixpath

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule

from ko_pants.engine import analyzed_directories
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import check_go_work
from ko_pants.golang.directory import main_package_problem
from ko_pants.products import (
    BuildClosure,
    BuildClosureRequest,
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
)
from ko_pants.rules.complete_closure import complete_closure
from ko_pants.rules.go_closure import closure_request
from ko_pants.rules.go_tool import tool_closure


async def _main_package_problem(build: GoBuild, wanted: GoClosureRequest) -> str:
    """Why the directory has no main package for some platform; empty if it has one for each."""
    hidden = tuple(f for f in wanted.hidden if posixpath.dirname(f.path) == build.directory)
    (analyzed,) = await analyzed_directories([GoDirectoryRequest(build.directory, hidden)])
    return main_package_problem(analyzed.directory, wanted.platforms, wanted.tags) or ""


async def _closure_and_problem(
    build: GoBuild, wanted: GoClosureRequest, root: str
) -> tuple[GoClosureRequest, GoClosure, str]:
    if build.package:
        return (*await tool_closure(build, wanted, root), "")
    try:
        wanted, closure = await complete_closure(wanted, root)
    except KoPantsError as e:
        raise KoPantsError(f"{build.owner}: {e}") from None
    return wanted, closure, await _main_package_problem(build, wanted)


@rule
async def find_build_closure(request: BuildClosureRequest, build_root: BuildRoot) -> BuildClosure:
    """Look for the files, also for those that Pants does not see.

    :raises KoPantsError: not a main package, or something that Go reads and Pants cannot. The text
        names the target.
    """
    build, root = request.build, build_root.path
    wanted = closure_request(build, request.platforms, request.environment)
    wanted, closure, problem = await _closure_and_problem(build, wanted, root)
    variables = {**request.environment, **dict(build.env)}
    try:
        check_go_work(variables.get("GOWORK", ""), root, closure.workspace)
    except KoPantsError as e:
        raise KoPantsError(f"{build.owner}: {e}") from None
    if problem:
        raise KoPantsError(f"{build.owner}: {problem}")
    return BuildClosure(wanted, closure)
