"""Checks the programs of an image: compiles them for all of its platforms, and vets them."""

from __future__ import annotations

from typing import Sequence

from pants.build_graph.address import ResolveError
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import analyzed_directories, build_closure, program_checks
from ko_pants.errors import KoPantsError
from ko_pants.golang.vet_platforms import vet_platforms
from ko_pants.oci.image import BaseImage, scratch_base
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoDirectoryRequest,
    GoExecutableRequest,
    ImageCheck,
    ImageCheckRequest,
    ProgramCheckRequest,
)
from ko_pants.registry.errors import RegistryError
from ko_pants.rules.binary import find_binary, find_program
from ko_pants.rules.debugger import delve_program, for_debugging, is_debug_image
from ko_pants.rules.go_compile import closure_of
from ko_pants.rules.image import wanted_platforms
from ko_pants.rules.image_base import image_base
from ko_pants.rules.image_programs import program_requests
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet


async def _base(
    field_set: GoOciImageFieldSet, settings: Settings, outside: GoEnvironment
) -> tuple[BaseImage, str]:
    """The base of the image, and a warning where its registry does not hand it over.

    A base can have variants of the platforms that the target names, such as `linux/arm64/v8`. So it
    decides what `publish` compiles. Without it, the platforms of the target will do.

    :raises KoPantsError: there is no such base, or no platform is known without it.
    """
    wanted = wanted_platforms(field_set.address, field_set.platforms, settings)
    try:
        return await image_base(field_set, settings, wanted, outside), ""
    except KoPantsError as e:
        # The error of the registry is in it, with the field that names the base.
        if not wanted or not isinstance(e.__context__, RegistryError):
            raise
        return scratch_base(wanted), str(e).partition(f"{field_set.address}, ")[2] or str(e)


async def _compiled_programs(field_set: GoOciImageFieldSet) -> list[GoBuild]:
    """The programs of the image that are compiled. What other targets yield is not asked for."""
    found = [await find_binary(field_set.binary)]
    for value in field_set.binaries.value or ():
        owner = f"{field_set.address}, field `{field_set.binaries.alias}`"
        found.append(await find_program(value, field_set.address, owner))
    return [build for build in found if isinstance(build, GoBuild)]


async def _delve(field_set: GoOciImageFieldSet, program: GoBuild) -> GoBuild | None:
    """Delve, where it is compiled."""
    field = field_set.delve
    if not field.value:
        return (await delve_program(field_set, program))[0]
    owner = f"{field_set.address}, field `{field.alias}`"
    found = await find_program(field.value, field_set.address, owner)
    return found if isinstance(found, GoBuild) else None


async def _requests(
    field_set: GoOciImageFieldSet, base: BaseImage, settings: Settings, outside: GoEnvironment
) -> list[GoExecutableRequest]:
    """What the image is compiled from, as `programs_of_image` asks for it."""
    debug = is_debug_image(field_set, base, settings)
    builds = await _compiled_programs(field_set)
    if not builds:
        return []
    programs = [(build, None) for build in builds]
    found = for_debugging(field_set, list(programs), settings, debug=debug)
    delve = await _delve(field_set, builds[0]) if debug else None
    if delve is not None:
        found.append((delve, None))
    platforms = tuple(m.platform for m in base.manifests)
    _, requests = await program_requests(field_set, found, platforms, outside, settings)
    return requests


async def _vetted(requests: Sequence[GoExecutableRequest]) -> list[GoExecutableRequest]:
    """Those of the requests for one program whose platforms stand for all."""
    found = await build_closure(closure_of(requests[0]))
    hidden = found.closure.hidden
    analyzed = await analyzed_directories(
        GoDirectoryRequest(path, tuple(f for f in hidden if f.path.rpartition("/")[0] == path))
        for path in found.closure.closure.directories
    )
    platforms = vet_platforms(
        [request.platform for request in requests],
        [a.directory for a in analyzed],
        found.request.tags,
    )
    return [request for request in requests if request.platform in platforms]


async def _to_vet(requests: Sequence[GoExecutableRequest]) -> list[GoExecutableRequest]:
    """Those of the requests for all programs of an image whose program is vetted."""
    by_build: dict[GoBuild, list[GoExecutableRequest]] = {}
    for request in requests:
        # A package of another module is not vetted.
        if request.build is not None and not request.build.package:
            by_build.setdefault(request.build, []).append(request)
    found = []
    for of_build in by_build.values():
        try:
            found += await _vetted(of_build)
        except KoPantsError:
            # The check of the program says what is wrong with it.
            continue
    return found


async def _checked(
    request: ImageCheckRequest, settings: Settings, outside: GoEnvironment
) -> ImageCheck:
    field_set = request.field_set
    base, warning = await _base(field_set, settings, outside)
    requests = await _requests(field_set, base, settings, outside)
    vetted = await _to_vet(requests) if request.vet is not None else []
    checks = await program_checks(
        ProgramCheckRequest(r, request.vet if r in vetted else None) for r in requests
    )
    platforms: list[Platform] = [r.platform for r in requests]
    return ImageCheck(str(field_set.address), tuple(zip(platforms, checks)), warning=warning)


@rule(desc="Check the programs of an image", level=LogLevel.DEBUG)
async def check_image(
    request: ImageCheckRequest, settings: Settings, outside: GoEnvironment
) -> ImageCheck:
    """What is wrong is part of the result and no error, so that checks of other images go on."""
    try:
        return await _checked(request, settings, outside)
    except (KoPantsError, ResolveError) as e:
        return ImageCheck(str(request.field_set.address), problem=str(e))
