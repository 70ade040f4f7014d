"""What the compile of a program reads, without compiling it: for records, see `explanation/`.

A compile asks for the same, so that nothing here is done twice.
"""

from __future__ import annotations

import dataclasses

from pants.engine.rules import rule

from ko_pants.engine import build_closure
from ko_pants.products import (
    GoExecutableRequest,
    ProgramInputs,
    ProgramInputsRequest,
)
from ko_pants.rules.go_compile import closure_of, compile_sources


def inputs_request(request: GoExecutableRequest) -> ProgramInputsRequest:
    """The request for what a compile reads: the same for all of its platforms, if they can share.

    :param request: one with `build`.
    """
    build, platform = request.build, request.platforms[0]
    assert build is not None
    if build.ldflags or build.environment:
        build = dataclasses.replace(build, ldflags=(), environment="")
    if build is not request.build or platform is not request.platform or request.anew:
        request = dataclasses.replace(request, platform=platform, build=build, anew=False)
    return ProgramInputsRequest(request)


@rule
async def find_program_inputs(request: ProgramInputsRequest) -> ProgramInputs:
    """The files that the first try of the compile gets. Where Go says that it lacks a package of
    the repo that only another module imports, a later try gets more; these are not here.

    :raises KoPantsError: as the compile, before it runs Go.
    """
    of = request.request
    assert of.build is not None
    found = await build_closure(closure_of(of))
    part, sources = await compile_sources(of, of.build, found)
    return ProgramInputs(found, part, sources)
