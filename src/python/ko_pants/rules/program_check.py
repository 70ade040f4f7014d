"""Compiles one program of an image for one platform, and vets it, without making a layer of it."""

from __future__ import annotations

from pants.base.build_root import BuildRoot
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import program_inputs
from ko_pants.errors import KoPantsError
from ko_pants.golang.toolchain import level_problem
from ko_pants.products import (
    GoExecutableRequest,
    ProgramCheck,
    ProgramCheckRequest,
)
from ko_pants.rules.go_compile import Compilation, try_to_compile
from ko_pants.rules.go_vet import vet_program
from ko_pants.rules.program_inputs import inputs_request


async def _compiled(request: GoExecutableRequest, root: str) -> Compilation:
    build = request.build
    assert build is not None
    problem = level_problem(request.go.toolchain.name if request.go else "", request.platform)
    if problem:
        raise KoPantsError(f"{build.owner}: {problem}")
    (inputs,) = await program_inputs([inputs_request(request)])
    return await try_to_compile(request, build, inputs, root)


@rule(desc="Check Go program", level=LogLevel.DEBUG)
async def check_program(request: ProgramCheckRequest, build_root: BuildRoot) -> ProgramCheck:
    """Compile with the process that `publish` compiles with, so that nothing is compiled twice.

    What is wrong with the program is part of the result and no error, so that the check of another
    platform or program goes on.
    """
    executable = request.executable
    assert executable.build is not None
    try:
        compilation = await _compiled(executable, build_root.path)
        if not compilation.succeeded:
            return ProgramCheck(build_errors=compilation.errors)
        if request.vet is None:
            return ProgramCheck()
        findings = await vet_program(executable, executable.build, compilation, request.vet)
    except KoPantsError as e:
        return ProgramCheck(problem=str(e))
    return ProgramCheck(findings=findings)
