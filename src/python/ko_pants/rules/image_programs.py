"""The programs of an image: its entrypoint and those of `binaries`, for every platform at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence

from ko_pants.compile_waves import FREE_WAVES
from ko_pants.engine import (
    compile_gate,
    compile_waves,
    go_executables,
    hidden_files,
    host_tools,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import executable_problem
from ko_pants.oci.image import BaseImage
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    CompileGateRequest,
    CompileWavesRequest,
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HiddenFilesRequest,
    HostTools,
    HostToolsRequest,
    PrebuiltFile,
)
from ko_pants.rules.binary import resolve_binary, resolve_program
from ko_pants.rules.debugger import DEBUGGER, delve_program, for_debugging, is_debug_image
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.rules.template_values import filled_builds
from ko_pants.target_types import GoOciImageFieldSet


@dataclass(frozen=True)
class Programs:
    """The executables of an image.

    :param build: how the entrypoint is compiled; None if it is prebuilt.
    :param executables: of each platform, in the order of the base; the first is the entrypoint.
    :param debugger: the name of the one that is Delve; empty if there is none.
    """

    build: GoBuild | None
    tools: HostTools
    executables: tuple[tuple[GoExecutable, ...], ...]
    debugger: str = ""

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms of the image, in the order of the base."""
        return tuple(entrypoint.platform for entrypoint, *_ in self.executables)


async def program_requests(
    field_set: GoOciImageFieldSet,
    found: Sequence[tuple[GoBuild | None, PrebuiltFile | None]],
    platforms: tuple[Platform, ...],
    outside: GoEnvironment,
    settings: Settings,
) -> tuple[HostTools, list[GoExecutableRequest]]:
    """The requests for programs of an image: those of the first for all platforms, and so on.

    :param platforms: those of the image, in the order of the base.
    :raises KoPantsError: there is no Go, or a template that cannot be filled in.
    """
    owner = f"{field_set.address}, field `{field_set.environment.alias}`"
    environment = field_set.environment.value or ""
    tools = await host_tools(
        HostToolsRequest(all(b is None for b, _ in found), environment, owner=owner)
    )
    hidden = await hidden_files(HiddenFilesRequest())
    requests: list[GoExecutableRequest] = []
    for build, prebuilt in found:
        builds: Sequence[GoBuild | None] = [None] * len(platforms)
        go = tools.go
        if build is not None and build.environment not in ("", environment):
            # That of the program, where it has one.
            go = (await host_tools(HostToolsRequest(False, build.environment, build.owner))).go
        elif build is not None and environment:
            build = replace(build, environment=environment)
        if build is not None:
            builds = await filled_builds(build, platforms, outside, settings)
        requests += [
            GoExecutableRequest(
                platform, platforms, of_platform, prebuilt, go, outside.variables, hidden
            )
            for platform, of_platform in zip(platforms, builds)
        ]
    return tools, requests


@dataclass(frozen=True)
class WantedPrograms:
    """The programs that an image wants; none of them is compiled yet.

    :param found: each program, as its target says: a build or a prebuilt file. The first is the
        entrypoint.
    :param requests: of each program, for each platform.
    :param debug: the last program is Delve.
    """

    found: tuple[tuple[GoBuild | None, PrebuiltFile | None], ...]
    tools: HostTools
    requests: tuple[tuple[GoExecutableRequest, ...], ...]
    debug: bool


async def wanted_programs(
    field_set: GoOciImageFieldSet,
    base: BaseImage,
    outside: GoEnvironment,
    settings: Settings,
) -> WantedPrograms:
    """What is to be built, or found, for an image.

    :raises KoPantsError: a field names what yields no executable; a template cannot be filled in.
    """
    found = [await resolve_binary(field_set.binary)]
    for value in field_set.binaries.value or ():
        owner = f"{field_set.address}, field `{field_set.binaries.alias}`"
        found.append(await resolve_program(value, field_set.address, owner))
    debug = is_debug_image(field_set, base, settings)
    found = for_debugging(field_set, found, settings, debug=debug)
    if debug:
        found.append(await delve_program(field_set, found[0][0]))
    platforms = tuple(m.platform for m in base.manifests)
    tools, flat = await program_requests(field_set, found, platforms, outside, settings)
    count = len(platforms)
    requests = [tuple(flat[at : at + count]) for at in range(0, len(flat), count)]
    return WantedPrograms(tuple(found), tools, tuple(requests), debug)


async def _wait_for_turn(requests: Sequence[GoExecutableRequest]) -> None:
    """Wait until it is the turn of an image to be compiled; see `rules.compile_gate`.

    What runs in an environment of its own has another queue, and what is there is not compiled.
    """
    compiles = [r for r in requests if r.build is not None and not r.build.environment]
    if not compiles:
        return
    found = await compile_waves(CompileWavesRequest())
    wave = found.waves.join(compiles)
    if wave >= FREE_WAVES:
        await compile_gate(CompileGateRequest(found.run, wave, found.waves))


async def programs_of_image(
    field_set: GoOciImageFieldSet,
    base: BaseImage,
    outside: GoEnvironment,
    settings: Settings,
) -> Programs:
    """Build, or find, every program of an image for every platform of its base.

    :raises KoPantsError: a field names what yields no executable, a program does not run on a
        platform, or two have one name. The text names target and field.
    """
    wanted = await wanted_programs(field_set, base, outside, settings)
    requests = [request for of_program in wanted.requests for request in of_program]
    await _wait_for_turn(requests)
    executables = await go_executables(requests)
    count = len(base.manifests)
    by_program = [executables[at : at + count] for at in range(0, len(executables), count)]
    if wanted.debug:
        by_program[-1] = tuple(replace(e, app_name=DEBUGGER) for e in by_program[-1])
    _check_programs(field_set, base, by_program, debug=wanted.debug)
    debugger = DEBUGGER if wanted.debug else ""
    return Programs(wanted.found[0][0], wanted.tools, tuple(zip(*by_program)), debugger)


def _check_programs(
    field_set: GoOciImageFieldSet,
    base: BaseImage,
    by_program: Sequence[Sequence[GoExecutable]],
    *,
    debug: bool,
) -> None:
    """Make sure that all programs can be in the image.

    :param by_program: the executables of each program, for each platform; Delve is the last.
    """
    owner = str(field_set.address)
    fields = [field_set.binary.alias, *[field_set.binaries.alias] * (len(by_program) - 1)]
    if debug:
        fields[-1] = field_set.delve.alias
    for field, executables in zip(fields, by_program):
        _check_executables(owner, field, base, executables)
    _check_names(owner, fields[-1], [executables[0] for executables in by_program])


def _check_executables(
    owner: str, field: str, base: BaseImage, executables: Sequence[GoExecutable]
) -> None:
    """Make sure that each executable runs on its platform of the base.

    :raises KoPantsError: one does not; the text says what was found and what was wanted.
    """
    for executable in executables:
        problem = executable_problem(
            executable.header, executable.platform, needs_static=not base.name
        )
        if problem:
            raise KoPantsError(f"{owner}, field `{field}`: {executable.path}: {problem}")


def _check_names(owner: str, field: str, programs: Sequence[GoExecutable]) -> None:
    """Make sure that each program has a path of its own.

    :raises KoPantsError: two have one.
    """
    known: dict[str, GoExecutable] = {}
    for program in programs:
        other = known.setdefault(program.app_name, program)
        if other is not program:
            raise KoPantsError(
                f"{owner}, field `{field}`: two programs are /ko-app/{program.app_name}: "
                f"{other.import_path} and {program.import_path}; expected another name for each: "
                "the last part of the import path, or the file name of a prebuilt executable"
            )
