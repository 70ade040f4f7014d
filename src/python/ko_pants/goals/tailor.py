"""`tailor`: proposes a `go_oci_image` for each main package, and a `go_sources` for each module."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Iterable, Sequence

from pants.build_graph.address import ResolveError
from pants.core.goals.tailor import (
    AllOwnedSources,
    PutativeTarget,
    PutativeTargets,
    PutativeTargetsRequest,
)
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllUnexpandedTargets
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from ko_pants.engine import analyzed_directories, paths_of_globs
from ko_pants.errors import KoPantsError
from ko_pants.golang.directory import main_package_problem
from ko_pants.oci.platform import Platform, go_platforms
from ko_pants.products import GoBuild, GoDirectoryRequest
from ko_pants.rules.binary import find_binary
from ko_pants.rules.settings import Settings
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import GoOciImageBinaryField, GoOciImageTarget, GoSourcesTarget

_GO_MOD = "go.mod"
# Directories that `go build ./...` passes over.
_IGNORED_NAMES = ("testdata", "vendor")


@dataclass(frozen=True)
class PutativeKoTargetsRequest(PutativeTargetsRequest):
    """What is missing in these directories?"""


def is_ignored(directory: str) -> bool:
    """True for what `go build ./...` passes over."""
    return any(
        part in _IGNORED_NAMES or part.startswith(("_", "."))
        for part in directory.split("/")
        if part
    )


async def _main_packages(
    directories: Iterable[str], platforms: Sequence[Platform]
) -> tuple[str, ...]:
    """Those directories that are programs for one of the platforms."""
    wanted = sorted(d for d in directories if not is_ignored(d))
    analyzed = await analyzed_directories(map(GoDirectoryRequest, wanted))
    return tuple(
        a.directory.path
        for a in analyzed
        if any(main_package_problem(a.directory, [platform]) is None for platform in platforms)
    )


async def _directories_of_images(targets: AllUnexpandedTargets) -> frozenset[str]:
    """The main packages that have an image already."""
    found = set()
    for target in targets:
        if not target.has_field(GoOciImageBinaryField):
            continue
        try:
            binary = await find_binary(target[GoOciImageBinaryField])
        except (KoPantsError, ResolveError):
            # `package` and `publish` say what is wrong with it.
            continue
        if isinstance(binary, GoBuild):
            found.add(binary.directory)
    return frozenset(found)


def _image_of(directory: str) -> PutativeTarget:
    # A target at the build root has no name by default.
    name = None if directory else "image"
    return PutativeTarget.for_target_type(GoOciImageTarget, directory, name, ())


def _sources_of(module: str) -> PutativeTarget:
    return PutativeTarget.for_target_type(GoSourcesTarget, module, "go", (_GO_MOD,))


@rule(desc="Find Go programs without an image", level=LogLevel.DEBUG)
async def propose_targets(
    request: PutativeKoTargetsRequest,
    ko: KoSubsystem,
    settings: Settings,
    owned: AllOwnedSources,
    targets: AllUnexpandedTargets,
) -> PutativeTargets:
    """Only if `[ko].tailor` is set: not every main package is a service."""
    if not ko.tailor:
        return PutativeTargets()
    paths = (await paths_of_globs(request.path_globs("*.go", _GO_MOD))).files
    modules = [posixpath.dirname(p) for p in paths if posixpath.basename(p) == _GO_MOD]
    programs = {posixpath.dirname(p) for p in paths if p.endswith(".go")}
    platforms = [Platform.parse(p) for p in settings.platforms if p != "all"] or go_platforms()
    mains = await _main_packages(programs, platforms)
    known = await _directories_of_images(targets)
    return PutativeTargets(
        [
            *(_image_of(directory) for directory in mains if directory not in known),
            *(
                _sources_of(module)
                for module in modules
                if not is_ignored(module) and posixpath.join(module, _GO_MOD) not in owned
            ),
        ]
    )


def rules() -> list[object]:
    """The rule, and that it proposes targets."""
    return [*collect_rules(), UnionRule(PutativeTargetsRequest, PutativeKoTargetsRequest)]
