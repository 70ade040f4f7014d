"""`tailor`: proposes a `go_oci_image` for each main package, and a `go_sources` for each module."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Iterable, Sequence

from pants.build_graph.address import ResolveError
from pants.core.goals.tailor import (
    AllOwnedSources,
    PutativeTarget,
    PutativeTargets,
    PutativeTargetsRequest,
)
from pants.engine.fs import PathGlobs
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllUnexpandedTargets, RegisteredTargetTypes
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from ko_pants.engine import analyzed_directories, go_modules, paths_of_globs
from ko_pants.errors import KoPantsError
from ko_pants.golang.directory import main_package_problem
from ko_pants.golang.go_mod import parse_go_mod
from ko_pants.golang.import_path import app_name
from ko_pants.golang.repo_paths import parents
from ko_pants.literal_globs import literal_glob
from ko_pants.oci.platform import ALL, Platform, go_platforms
from ko_pants.products import GoBuild, GoDirectoryRequest, GoModulesRequest
from ko_pants.rules.binary import find_binary, find_program
from ko_pants.rules.settings import Settings
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import (
    GoOciImageBinariesField,
    GoOciImageBinaryField,
    GoOciImageTarget,
    GoSourcesTarget,
)

_GO_MOD = "go.mod"
_MODULE_FILES = (_GO_MOD, "go.work")
# The target of Pants' Go backend that owns a go.mod.
_GO_MOD_TARGET = "go_mod"
_SOURCES_NAME = "go"
_MAJOR_VERSION = re.compile(r"/v[0-9]+$")
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
    """The main packages that are in an image already."""
    found: set[str] = set()
    for target in targets:
        if not target.has_field(GoOciImageBinaryField):
            continue
        owner = str(target.address)
        try:
            programs = [await find_binary(target[GoOciImageBinaryField])]
            for value in target[GoOciImageBinariesField].value or ():
                programs.append(await find_program(value, target.address, owner))
        except (KoPantsError, ResolveError):
            # `package` and `publish` say what is wrong with it.
            continue
        found.update(p.directory for p in programs if isinstance(p, GoBuild))
    return frozenset(found)


async def _in_modules(directories: Iterable[str]) -> tuple[str, ...]:
    """Those directories that are in a module: Go builds no others."""
    above = {directory: tuple(parents(directory)) for directory in directories}
    wanted = sorted({posixpath.join(path, _GO_MOD) for paths in above.values() for path in paths})
    found = await paths_of_globs(PathGlobs(map(literal_glob, wanted)))
    modules = {posixpath.dirname(path) for path in found.files}
    return tuple(directory for directory, paths in above.items() if modules.intersection(paths))


async def _root_name() -> str:
    """The last element of the path of the module at the build root, without a version.

    :raises KoPantsError: its go.mod is malformed.
    """
    (found,) = await go_modules([GoModulesRequest(("",))])
    content = dict(found.files).get(_GO_MOD, b"")
    path = parse_go_mod(content, _GO_MOD).module
    return app_name(_MAJOR_VERSION.sub("", path))


@dataclass(frozen=True)
class _Names:
    """The names of targets: those that are taken, and those that tell images apart.

    :param taken: addresses, as `directory:name`.
    :param go_backend: Pants' Go backend proposes targets as well.
    :param repository: the template that names an image, where its own name does not.
    """

    taken: frozenset[str]
    go_backend: bool
    repository: str

    def image(self, directory: str, root_name: str) -> PutativeTarget:
        """The image of a main package.

        Its name is that of the directory, because the name is the repository by default. If that is
        another target's name, then the repository is said in its own field.
        """
        kwargs: dict[str, str] = {}
        name = posixpath.basename(directory)
        if not directory:
            # Pants calls a target at the build root `root` unless the name is a field.
            name = root_name if self._is_free("", root_name) else f"{root_name}-image"
            kwargs = {"name": name}
        elif self.go_backend or not self._is_free(directory, name):
            name = "image"
            if self.repository:
                kwargs = {"repository": self.repository}
        return PutativeTarget.for_target_type(GoOciImageTarget, directory, name, (), kwargs)

    def sources(self, directory: str, files: Sequence[str]) -> PutativeTarget:
        """The owner of the files of modules."""
        name = _SOURCES_NAME if self._is_free(directory, _SOURCES_NAME, ()) else "go-sources"
        kwargs = {} if directory else {"name": name}
        return PutativeTarget.for_target_type(GoSourcesTarget, directory, name, files, kwargs)

    def _is_free(
        self, directory: str, name: str, proposed: Sequence[str] = (_SOURCES_NAME,)
    ) -> bool:
        return f"{directory}:{name}" not in self.taken and name not in proposed


def _names(
    targets: AllUnexpandedTargets, registered: RegisteredTargetTypes, settings: Settings
) -> _Names:
    template = settings.default_repository
    return _Names(
        frozenset(f"{t.address.spec_path}:{t.address.target_name}" for t in targets),
        _GO_MOD_TARGET in registered.aliases,
        template.replace("{name}", "{directory}") if "{name}" in template else "",
    )


def _unowned_modules(paths: Iterable[str], owned: AllOwnedSources) -> dict[str, list[str]]:
    """The module files that nobody owns, by directory.

    A directory below another one is left out: the owner of that owns its files as well.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        directory, name = posixpath.split(path)
        if name in _MODULE_FILES and path not in owned and not is_ignored(directory):
            found.setdefault(directory, []).append(name)
    return {
        directory: names
        for directory, names in found.items()
        if not any(p in found for p in parents(directory) if p != directory)
    }


@rule(desc="Find Go programs without an image", level=LogLevel.DEBUG)
async def propose_targets(
    request: PutativeKoTargetsRequest,
    ko: KoSubsystem,
    settings: Settings,
    owned: AllOwnedSources,
    targets: AllUnexpandedTargets,
    registered: RegisteredTargetTypes,
) -> PutativeTargets:
    """Only if `[ko].tailor` is set: not every main package is a service.

    With Pants' Go backend, `go_mod` and `go_package` own the files, and its own `tailor` proposes
    them.
    """
    if not ko.tailor:
        return PutativeTargets()
    paths = (await paths_of_globs(request.path_globs("*.go", *_MODULE_FILES))).files
    programs = {posixpath.dirname(p) for p in paths if p.endswith(".go")}
    platforms = [Platform.parse(p) for p in settings.platforms if p != ALL] or go_platforms()
    mains = await _in_modules(await _main_packages(programs, platforms))
    known = await _directories_of_images(targets)
    new = [directory for directory in mains if directory not in known]
    root_name = await _root_name() if "" in new else ""
    names = _names(targets, registered, settings)
    modules = {} if names.go_backend else _unowned_modules(paths, owned)
    return PutativeTargets(
        [
            *(names.image(directory, root_name) for directory in new),
            *(names.sources(directory, files) for directory, files in modules.items()),
        ]
    )


def rules() -> list[object]:
    """The rule, and that it proposes targets."""
    return [*collect_rules(), UnionRule(PutativeTargetsRequest, PutativeKoTargetsRequest)]
