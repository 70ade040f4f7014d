"""A main package of a module outside of the repo, in the version that go.mod says.

Its input is module files alone, so no edit of the repo's code compiles it again.
"""

from __future__ import annotations

import dataclasses

from ko_pants.errors import KoPantsError
from ko_pants.golang.closure import Closure
from ko_pants.golang.input_views import NamedFiles
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.golang.repo_paths import join, parents
from ko_pants.golang.workspace import Workspace
from ko_pants.products import GoBuild, GoClosure, GoClosureRequest
from ko_pants.rules.go_closure import workspace_of
from ko_pants.rules.hidden_files import hidden_in


async def tool_closure(
    build: GoBuild, request: GoClosureRequest, root: str
) -> tuple[GoClosureRequest, GoClosure]:
    """The closure of `build.package`: module files, and no package of the repo.

    :param root: the build root.
    :raises KoPantsError: go.mod does not require its module, or it does not come from outside.
    """
    above = NamedFiles(tuple(module_file_paths(parents(request.directory))))
    request = dataclasses.replace(request, hidden=await hidden_in(root, [above]))
    workspace = await workspace_of(request)
    _check(build, workspace)
    files = (*workspace.files, *workspace.optional_files)
    hidden = await hidden_in(root, [NamedFiles(files)])
    closure = Closure(
        import_path=build.package,
        directory=build.directory,
        directories=(),
        files=workspace.files,
        optional_files=workspace.optional_files,
        embeds=(),
        third_party=(build.package,),
    )
    return request, GoClosure(closure, workspace, hidden=hidden)


def _check(build: GoBuild, workspace: Workspace) -> None:
    go_mod = join(workspace.main_module.directory, "go.mod")
    name = build.package.rpartition("/")[2]
    target = f"or name a target that yields {name}"
    if workspace.vendor is not None:
        raise KoPantsError(
            f"{build.owner}: {build.package} cannot be compiled for a module that is built from "
            f"{workspace.vendor}; expected a target that yields {name}"
        )
    if any(_provides(module.path, build.package) for module in workspace.modules):
        raise KoPantsError(
            f"{build.owner}: {build.package} is in a module of this repository, so it is no module "
            f"that {go_mod} requires from outside; expected a target that yields {name}, such as a "
            "`go_executable`"
        )
    if not any(_provides(path, build.package) for path in workspace.required):
        raise KoPantsError(
            f"{build.owner}: {go_mod} does not require a module with {build.package}; run "
            f"`go get -tool {build.package}@latest` there (before Go 1.24, `go get` it and import "
            f"it in a file with `//go:build tools`), {target}"
        )


def _provides(module: str, package: str) -> bool:
    return package == module or package.startswith(f"{module}/")
