"""What an image depends on: the targets that own the files of its program's closure.

So `--changed-since`, `dependencies` and `dependents` know every file that can change the image,
through `go:embed`, `replace` and go.work too, and no other file.
"""

from __future__ import annotations

import dataclasses
import posixpath
from dataclasses import dataclass
from typing import Collection, Iterable, Sequence

from pants.base.build_root import BuildRoot
from pants.engine.addresses import Address, UnparsedAddressInputs
from pants.engine.internals.native_engine import IntrinsicError
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    FieldSet,
    GeneratedTargets,
    GenerateTargetsRequest,
    InferDependenciesRequest,
    InferredDependencies,
    SourcesPaths,
    SourcesPathsRequest,
    Target,
)
from pants.engine.unions import UnionMembership, UnionRule

from ko_pants.build_fields import GoExecutablePackageField, GoOciImageDelveField
from ko_pants.engine import (
    analyzed_directories,
    hidden_files,
    ko_yaml,
    source_paths,
    targets_of,
)
from ko_pants.errors import KoPantsError
from ko_pants.files_fields import (
    GoOciImageFilesField,
    OciFilesDependenciesField,
    OciFilesTargetsField,
)
from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.embed import EmbedFilter
from ko_pants.golang.repo_paths import join
from ko_pants.layer_fields import GoOciImageKodataField
from ko_pants.oci.platform import Platform, go_platforms
from ko_pants.products import (
    GoBuild,
    GoClosureRequest,
    GoDirectoryRequest,
    HiddenFilesRequest,
    KoYamlRequest,
)
from ko_pants.rules.binary import executable_build, find_binary, find_program
from ko_pants.rules.complete_closure import complete_closure
from ko_pants.rules.file_owners import owners_of_files
from ko_pants.rules.go_closure import closure_request
from ko_pants.rules.go_tool import tool_closure
from ko_pants.rules.go_work_dependencies import depends_on_module_files
from ko_pants.rules.image import wanted_platforms
from ko_pants.rules.image_base import base_target
from ko_pants.rules.image_layers import kodata_directory
from ko_pants.rules.oci_files import targets_of_field
from ko_pants.rules.repo_files import existing_files, matching_files
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.rules.template_values import filled_builds
from ko_pants.target_types import (
    GoExecutableDependenciesField,
    GoExecutableEnvField,
    GoExecutableFlagsField,
    GoExecutableLdflagsField,
    GoExecutableMainField,
    GoOciImageBaseImageField,
    GoOciImageBinariesField,
    GoOciImageBinaryField,
    GoOciImageDependenciesField,
    GoOciImagePlatformsField,
    GoSourceField,
    GoSourcesField,
    GoSourcesTarget,
    GoSourceTarget,
)


@dataclass(frozen=True)
class ImageInferenceFieldSet(FieldSet):
    """What an image's dependencies come from."""

    required_fields = (GoOciImageDependenciesField, GoOciImageBinaryField)

    binary: GoOciImageBinaryField
    binaries: GoOciImageBinariesField
    delve: GoOciImageDelveField
    platforms: GoOciImagePlatformsField
    files: GoOciImageFilesField
    kodata: GoOciImageKodataField
    base_image: GoOciImageBaseImageField


class InferImageDependencies(InferDependenciesRequest[ImageInferenceFieldSet]):
    infer_from = ImageInferenceFieldSet


@dataclass(frozen=True)
class ExecutableInferenceFieldSet(FieldSet):
    """What an executable's dependencies come from."""

    required_fields = (GoExecutableDependenciesField, GoExecutableMainField)

    main: GoExecutableMainField
    flags: GoExecutableFlagsField
    ldflags: GoExecutableLdflagsField
    env: GoExecutableEnvField
    package: GoExecutablePackageField


class InferExecutableDependencies(InferDependenciesRequest[ExecutableInferenceFieldSet]):
    infer_from = ExecutableInferenceFieldSet


@dataclass(frozen=True)
class FilesInferenceFieldSet(FieldSet):
    """What the dependencies of an `oci_files` come from."""

    required_fields = (OciFilesDependenciesField, OciFilesTargetsField)

    targets: OciFilesTargetsField


class InferFilesDependencies(InferDependenciesRequest[FilesInferenceFieldSet]):
    infer_from = FilesInferenceFieldSet


class GenerateGoSources(GenerateTargetsRequest[GoSourcesTarget]):
    generate_from = GoSourcesTarget


async def _closure_files(build: GoBuild, wanted: GoClosureRequest, root: str) -> Collection[str]:
    """The files of a closure, but those on which their go.work depends."""
    if build.package:
        _, closure = await tool_closure(build, wanted, root)
    else:
        try:
            _, closure = await complete_closure(wanted, root, looked=True)
        except KoPantsError as e:
            raise KoPantsError(f"{build.owner}: {e}") from None
    of_go_work = closure.workspace.module_set.files_of_go_work
    go_work = join(closure.workspace.directory, "go.work")
    if not of_go_work or not await depends_on_module_files(go_work):
        return closure.files
    files = [path for path in closure.closure.files if path not in of_go_work]
    if closure.closure.optional_files is not closure.workspace.optional_files:
        files += (path for path in closure.closure.optional_files if path not in of_go_work)
    own = closure.workspace.main_module.directory
    return [*files, *closure.embedded, join(own, "go.mod"), join(own, "go.sum")]


async def _closure_owners(
    build: GoBuild,
    platforms: tuple[Platform, ...],
    outside: GoEnvironment,
    settings: Settings,
    root: str,
) -> tuple[Address, ...]:
    """The owners of the closure's files."""
    platforms = platforms or go_platforms()
    # The linker's flags do not decide which files there are, and templates in them may ask git.
    builds = await filled_builds(
        dataclasses.replace(build, ldflags=()), platforms, outside, settings
    )
    # Looked at here, so that Pants infers again when these files change.
    await hidden_files(HiddenFilesRequest())
    files: dict[str, None] = {}
    for wanted in dict.fromkeys(closure_request(b, platforms, outside.variables) for b in builds):
        files.update(dict.fromkeys(await _closure_files(build, wanted, root)))
    return await owners_of_files(files)


async def _tree_owners(directory: str | None) -> tuple[Address, ...]:
    """The owners of the files below a directory of the repo; None stands for none."""
    if directory is None:
        return ()
    return await owners_of_files(await existing_files((), trees=(directory,)))


async def _configuration_owners() -> tuple[Address, ...]:
    """The owners of `.ko.yaml`, if there is one."""
    path = (await ko_yaml(KoYamlRequest())).path
    return await owners_of_files((path,)) if path else ()


@rule
async def infer_image_dependencies(
    request: InferImageDependencies,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> InferredDependencies:
    """The owners of the program's files, and the targets of `binary` and `base_image`."""
    field_set = request.field_set
    found: list[Address] = []
    base = await base_target(field_set.base_image, settings)
    if base is not None:
        found.append(base.address)
    programs = [await find_binary(field_set.binary)]
    named = [field_set.binary.value] if field_set.binary.value else []
    for value in field_set.binaries.value or ():
        owner = f"{field_set.address}, field `{field_set.binaries.alias}`"
        programs.append(await find_program(value, field_set.address, owner))
        named.append(value)
    if field_set.delve.value:
        named.append(field_set.delve.value)
    if named:
        targets = await targets_of(
            UnparsedAddressInputs(
                named,
                owning_address=field_set.address,
                description_of_origin=f"the programs of {field_set.address}",
            )
        )
        found += [target.address for target in targets]
    build = programs[0] if isinstance(programs[0], GoBuild) else None
    for program in programs:
        if isinstance(program, GoBuild):
            platforms = wanted_platforms(field_set.address, field_set.platforms, settings)
            found += await _closure_owners(program, platforms, outside, settings, build_root.path)
    found += await _tree_owners(kodata_directory(field_set.kodata, build))
    found += [target.address for target in await targets_of_field(field_set.files)]
    found += await _configuration_owners()
    return InferredDependencies(
        address for address in dict.fromkeys(found) if address != field_set.address
    )


@rule
async def infer_executable_dependencies(
    request: InferExecutableDependencies,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> InferredDependencies:
    """The owners of the program's files, for the default platforms."""
    field_set = request.field_set
    build = await executable_build(
        field_set.address,
        field_set.main,
        field_set.flags,
        field_set.ldflags,
        field_set.env,
        field_set.package,
    )
    platforms = tuple(Platform.parse(p) for p in settings.platforms if p != "all")
    found = await _closure_owners(build, platforms, outside, settings, build_root.path)
    kodata = posixpath.join(build.directory, "kodata")
    return InferredDependencies(dict.fromkeys((*found, *await _tree_owners(kodata))))


@rule
async def infer_files_dependencies(request: InferFilesDependencies) -> InferredDependencies:
    """The targets of the field `targets`; the files of `sources` are its own."""
    return InferredDependencies(
        target.address for target in await targets_of_field(request.field_set.targets)
    )


def _embeds(directories: Iterable[GoDirectory]) -> list[EmbedFilter]:
    """What the files of directories embed, on whatever platform."""
    patterns = {
        directory.path: {p for file in directory.files for p in file.embed_patterns}
        for directory in directories
    }
    return [EmbedFilter(path, tuple(sorted(found))) for path, found in patterns.items() if found]


def _cannot_walk(generator: Target, what: str, error: IntrinsicError) -> KoPantsError:
    """Pants follows every link, and takes no absolute one and none that leads back to itself."""
    return KoPantsError(
        f"{generator.address}, field `sources`: Pants cannot look for {what}: {error}. If it "
        "is a symbolic link, make it a relative one that stays in the repository, or have "
        "Pants ignore it: add its path to [GLOBAL].pants_ignore in pants.toml, for example "
        'pants_ignore.add = ["/path/of/the/link"]'
    )


async def _matching_sources(generator: Target) -> SourcesPaths:
    """The files that the globs of a generator match.

    :raises KoPantsError: Pants cannot walk the tree.
    """
    try:
        return await source_paths(SourcesPathsRequest(generator[GoSourcesField]))
    except IntrinsicError as e:
        raise _cannot_walk(generator, "files there", e) from None


async def _embedded_sources(generator: Target, embeds: list[EmbedFilter]) -> set[str]:
    """The files that packages embed, as far as Pants sees them.

    :raises KoPantsError: Pants cannot walk a directory that a package embeds.
    """
    try:
        found = await matching_files({embed.directory: embed.globs() for embed in embeds})
    except IntrinsicError as e:
        raise _cannot_walk(generator, "the files that its packages embed", e) from None
    return {path for path in found if any(embed.matches(path) for embed in embeds)}


# The engine holds some 100 KB for a directory while it reads it.
_AT_A_TIME = 64


async def _analyzed(directories: Sequence[str]) -> list[GoDirectory]:
    found: list[GoDirectory] = []
    for start in range(0, len(directories), _AT_A_TIME):
        requests = [GoDirectoryRequest(d) for d in directories[start : start + _AT_A_TIME]]
        found += [analyzed.directory for analyzed in await analyzed_directories(requests)]
    return found


@rule
async def generate_go_sources(
    request: GenerateGoSources, union_membership: UnionMembership
) -> GeneratedTargets:
    """One target for each file that the field's globs match or that such a Go file embeds."""
    generator = request.generator
    paths = await _matching_sources(generator)
    directories = {posixpath.dirname(path) for path in paths.files if path.endswith(".go")}
    embeds = _embeds(await _analyzed(sorted(directories)))
    files = set(paths.files)
    if embeds:
        files |= await _embedded_sources(generator, embeds)
    root = generator.address.spec_path
    names = sorted(posixpath.relpath(path, root or ".") for path in files)
    return GeneratedTargets(
        generator,
        (
            GoSourceTarget(
                {**request.template, GoSourceField.alias: name},
                request.template_address.create_file(name),
                union_membership,
            )
            for name in names
        ),
    )


def rules() -> list[object]:
    """Inference and generation, announced to the unions of Pants that they belong to."""
    return [
        *collect_rules(),
        UnionRule(InferDependenciesRequest, InferImageDependencies),
        UnionRule(InferDependenciesRequest, InferExecutableDependencies),
        UnionRule(InferDependenciesRequest, InferFilesDependencies),
        UnionRule(GenerateTargetsRequest, GenerateGoSources),
    ]
