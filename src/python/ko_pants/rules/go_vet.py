"""Vets the packages of the repo that a main package is made of.

The process has the inputs of the compile that succeeded, and shares GOCACHE with it, so that it
compiles no dependency again. Test files are not among the inputs.
"""

from __future__ import annotations

from typing import Sequence

from ko_pants.golang.build_environment import build_environment
from ko_pants.golang.build_flags import vet_build_flags
from ko_pants.golang.go_build import vet_argv
from ko_pants.products import GoBuild, GoExecutableRequest
from ko_pants.rules.go_compile import Compilation, relative_package
from ko_pants.rules.go_process import go_process, run_go


async def vet_program(
    request: GoExecutableRequest,
    build: GoBuild,
    compilation: Compilation,
    checks: Sequence[str],
) -> str:
    """What `go vet` finds, with paths relative to the build root; empty if it finds nothing.

    :param compilation: one that has succeeded.
    :param checks: arguments of `go vet`.
    :raises KoPantsError: the worker has another Go than the one that is wanted.
    """
    assert request.go is not None
    found = compilation.closure
    module = found.workspace.main_module.directory
    argv = vet_argv(
        request.go.toolchain,
        module or ".",
        relative_package(build.directory, module),
        vet_build_flags(build.flags),
        checks,
    )
    process = go_process(
        request.go,
        argv,
        input_digest=compilation.sources,
        modules=compilation.modules,
        env=build_environment(request.platform, request.environment, dict(build.env)),
        description=f"Vet {found.closure.import_path} for {request.platform}",
    )
    result = await run_go(build.owner, request.go, process)
    if not result.exit_code:
        return ""
    text = compilation.explain(result)
    return text or f"`go vet` failed without a message (exit code {result.exit_code})"
