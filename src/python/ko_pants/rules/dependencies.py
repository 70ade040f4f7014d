"""What an image depends on: the targets that own the files of its program's closure.

So `--changed-since`, `dependencies` and `dependents` know every file that can change the image,
through `go:embed`, `replace` and go.work too, and no other file.
"""

from __future__ import annotations

import dataclasses
import posixpath
from dataclasses import dataclass
from typing import Collection

from pants.engine.addresses import Address, UnparsedAddressInputs
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    InferDependenciesRequest,
    InferredDependencies,
    Target,
)
from pants.engine.unions import UnionRule

from ko_pants.build_fields import GoExecutablePackageField, GoOciImageDelveField
from ko_pants.disk.answers import ask
from ko_pants.engine import hidden_files, targets_of
from ko_pants.errors import KoPantsError
from ko_pants.files_fields import (
    GoOciImageFilesField,
    OciFilesTargetsField,
)
from ko_pants.golang.disk_questions import HasEntry
from ko_pants.golang.repo_paths import join
from ko_pants.layer_fields import GoOciImageKodataField
from ko_pants.oci.platform import Platform, go_platforms
from ko_pants.products import GoBuild, GoClosureRequest, HiddenFilesRequest
from ko_pants.rules.binary import build_here, executable_build, find_program
from ko_pants.rules.disk_closure import closure_on_disk
from ko_pants.rules.file_owners import owners_of_files
from ko_pants.rules.go_closure import closure_request
from ko_pants.rules.go_tool import tool_closure
from ko_pants.rules.go_work_dependencies import depends_on_module_files
from ko_pants.rules.image import wanted_platforms
from ko_pants.rules.image_base import base_target
from ko_pants.rules.image_layers import kodata_directory
from ko_pants.rules.inference_context import InferenceContext
from ko_pants.rules.inference_field_sets import TargetFieldSet
from ko_pants.rules.oci_files import targets_of_field
from ko_pants.rules.repo_files import existing_files
from ko_pants.rules.template_values import filled_builds
from ko_pants.target_types import (
    GoExecutableEnvField,
    GoExecutableFlagsField,
    GoExecutableLdflagsField,
    GoExecutableMainField,
    GoExecutableTarget,
    GoOciImageBaseImageField,
    GoOciImageBinariesField,
    GoOciImageBinaryField,
    GoOciImagePlatformsField,
    GoOciImageTarget,
    OciFilesTarget,
)


@dataclass(frozen=True)
class ImageInferenceFieldSet(TargetFieldSet):
    """What an image's dependencies come from."""

    target_type = GoOciImageTarget

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
class ExecutableInferenceFieldSet(TargetFieldSet):
    """What an executable's dependencies come from."""

    target_type = GoExecutableTarget

    main: GoExecutableMainField
    flags: GoExecutableFlagsField
    ldflags: GoExecutableLdflagsField
    env: GoExecutableEnvField
    package: GoExecutablePackageField


class InferExecutableDependencies(InferDependenciesRequest[ExecutableInferenceFieldSet]):
    infer_from = ExecutableInferenceFieldSet


@dataclass(frozen=True)
class FilesInferenceFieldSet(TargetFieldSet):
    """What the dependencies of an `oci_files` come from."""

    target_type = OciFilesTarget

    targets: OciFilesTargetsField


class InferFilesDependencies(InferDependenciesRequest[FilesInferenceFieldSet]):
    infer_from = FilesInferenceFieldSet


async def _closure_files(
    build: GoBuild, wanted: GoClosureRequest, context: InferenceContext
) -> Collection[str]:
    """The files of a closure, but those on which their go.work depends."""
    if build.package:
        # Looked at here, so that Pants infers again when these files change.
        await hidden_files(HiddenFilesRequest())
        _, closure = await tool_closure(build, wanted, context.root)
    else:
        try:
            closure = closure_on_disk(wanted, context.root)
        except KoPantsError as e:
            raise KoPantsError(f"{build.owner}: {e}") from None
    of_go_work = closure.workspace.module_set.files_of_go_work
    go_work = join(closure.workspace.directory, "go.work")
    if not of_go_work or not await depends_on_module_files(go_work, context.owners):
        return closure.files
    files = [path for path in closure.closure.files if path not in of_go_work]
    if closure.closure.optional_files is not closure.workspace.optional_files:
        files += (path for path in closure.closure.optional_files if path not in of_go_work)
    own = closure.workspace.main_module.directory
    return [*files, *closure.embedded, join(own, "go.mod"), join(own, "go.sum")]


async def _closure_owners(
    build: GoBuild, platforms: tuple[Platform, ...], context: InferenceContext
) -> tuple[Address, ...]:
    """The owners of the closure's files."""
    platforms = platforms or go_platforms()
    outside = context.outside
    # The linker's flags do not decide which files there are, and templates in them may ask git.
    if build.ldflags:
        build = dataclasses.replace(build, ldflags=())
    builds = await filled_builds(build, platforms, outside, context.settings)
    requests = (closure_request(b, platforms, outside.variables) for b in dict.fromkeys(builds))
    files: dict[str, None] = {}
    for wanted in dict.fromkeys(requests):
        files.update(dict.fromkeys(await _closure_files(build, wanted, context)))
    return await owners_of_files(files, context.owners)


async def _tree_owners(directory: str | None, context: InferenceContext) -> tuple[Address, ...]:
    """The owners of the files below a directory of the repo; None stands for none."""
    if directory is None:
        return ()
    # Most programs have no kodata, and Pants would look for it in each directory on the way.
    above, _, name = directory.rpartition("/")
    if not ask(context.root, HasEntry(above, name)):
        return ()
    return await owners_of_files(await existing_files((), trees=(directory,)), context.owners)


async def _programs(
    field_set: ImageInferenceFieldSet, context: InferenceContext
) -> list[GoBuild | Target]:
    """The programs of an image; the first is the entrypoint."""
    binary, address = field_set.binary, field_set.address
    found: list[GoBuild | Target] = []
    if binary.value:
        owner = f"{address}, field `{binary.alias}`"
        found.append(await find_program(binary.value, address, owner))
    else:
        found.append(build_here(address, context.ko_yaml))
    for value in field_set.binaries.value or ():
        owner = f"{address}, field `{field_set.binaries.alias}`"
        found.append(await find_program(value, address, owner))
    return found


async def _named_addresses(field_set: ImageInferenceFieldSet) -> list[Address]:
    """The targets that the fields about programs name."""
    values = (field_set.binary.value, *(field_set.binaries.value or ()), field_set.delve.value)
    named = [value for value in values if value]
    if not named:
        return []
    targets = await targets_of(
        UnparsedAddressInputs(
            named,
            owning_address=field_set.address,
            description_of_origin=f"the programs of {field_set.address}",
        )
    )
    return [target.address for target in targets]


@rule
async def infer_image_dependencies(
    request: InferImageDependencies, context: InferenceContext
) -> InferredDependencies:
    """The owners of the program's files, and the targets of `binary` and `base_image`."""
    field_set = request.field_set
    settings = context.settings
    found: list[Address] = []
    base = await base_target(field_set.base_image, settings)
    if base is not None:
        found.append(base.address)
    programs = await _programs(field_set, context)
    found += await _named_addresses(field_set)
    for program in programs:
        if isinstance(program, GoBuild):
            platforms = wanted_platforms(field_set.address, field_set.platforms, settings)
            found += await _closure_owners(program, platforms, context)
    build = programs[0] if isinstance(programs[0], GoBuild) else None
    found += await _tree_owners(kodata_directory(field_set.kodata, build), context)
    found += [target.address for target in await targets_of_field(field_set.files)]
    if context.ko_yaml.path:
        found += await owners_of_files((context.ko_yaml.path,), context.owners)
    return InferredDependencies(
        address for address in dict.fromkeys(found) if address != field_set.address
    )


@rule
async def infer_executable_dependencies(
    request: InferExecutableDependencies, context: InferenceContext
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
    platforms = tuple(Platform.parse(p) for p in context.settings.platforms if p != "all")
    found = await _closure_owners(build, platforms, context)
    kodata = posixpath.join(build.directory, "kodata")
    return InferredDependencies(dict.fromkeys((*found, *await _tree_owners(kodata, context))))


@rule
async def infer_files_dependencies(request: InferFilesDependencies) -> InferredDependencies:
    """The targets of the field `targets`; the files of `sources` are its own."""
    return InferredDependencies(
        target.address for target in await targets_of_field(request.field_set.targets)
    )


def rules() -> list[object]:
    """Inference, announced to the union of Pants that it belongs to."""
    return [
        *collect_rules(),
        UnionRule(InferDependenciesRequest, InferImageDependencies),
        UnionRule(InferDependenciesRequest, InferExecutableDependencies),
        UnionRule(InferDependenciesRequest, InferFilesDependencies),
    ]
