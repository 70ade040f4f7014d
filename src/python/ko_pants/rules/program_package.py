"""The import path of the program in an image, without compiling it."""

from __future__ import annotations

import dataclasses

from pants.engine.rules import rule
from pants.engine.target import WrappedTargetRequest

from ko_pants.engine import wrapped_target
from ko_pants.golang.import_path import import_path_of
from ko_pants.products import GoBuild, ProgramPackage, ProgramPackageRequest
from ko_pants.rules.binary import find_binary
from ko_pants.rules.go_closure import closure_request, workspace_of
from ko_pants.target_types import GoOciImageBinaryField


@rule
async def find_program_package(request: ProgramPackageRequest) -> ProgramPackage:
    """Follow the field `binary` to a directory, and this to a module of the repo."""
    address = request.address
    target = (await wrapped_target(WrappedTargetRequest(address, __name__))).target
    try:
        found = await find_binary(target[GoOciImageBinaryField])
        if not isinstance(found, GoBuild):
            return ProgramPackage(address)
        # The linker's flags can have templates in them; they say nothing of modules.
        build = dataclasses.replace(found, ldflags=())
        workspace = await workspace_of(closure_request(build, (), request.variables))
        import_path = build.package or import_path_of(build.directory, workspace)
    except Exception as e:
        # Whatever is wrong with one image, the others are found. Its own build will say it again.
        return ProgramPackage(address, problem=str(e).strip() or type(e).__name__)
    modules = tuple((module.path, module.directory) for module in workspace.modules)
    return ProgramPackage(address, import_path, modules)
