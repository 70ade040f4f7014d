"""The engine's and our own steps, for Pants where rules call rules by name (2.32 and newer).

The engine reads each rule when its decorator runs, and follows helpers as far as it can see then.
So a rule of ours is imported before the helper that calls it, in the order of the pipeline; the
modules of later rules, imported further down, find the helpers that they need already here.
"""

# mypy: ignore-errors
# The Pants that is installed for checks is older and lacks these names; the tests of the boundary
# compare this module with `engine_get`, which is checked.

from __future__ import annotations

from typing import Iterable

from pants.core.goals.package import (
    BuiltPackage,
    EnvironmentAwarePackageRequest,
    environment_aware_package,
)
from pants.core.util_rules.env_vars import environment_vars_subset
from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.env_vars import EnvironmentVars, EnvironmentVarsRequest
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    MergeDigests,
    PathGlobs,
    Paths,
    RemovePrefix,
    Snapshot,
)
from pants.engine.internals.graph import (
    Owners,
    OwnersRequest,
    find_owners,
    resolve_source_paths,
    resolve_targets,
)
from pants.engine.internals.graph import hydrate_sources as _hydrate_sources
from pants.engine.intrinsics import create_digest as _create_digest
from pants.engine.intrinsics import (
    digest_to_snapshot,
    execute_process,
    get_digest_contents,
    get_digest_entries,
    path_globs_to_digest,
    path_globs_to_paths,
    remove_prefix,
)
from pants.engine.intrinsics import merge_digests as _merge_digests
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import concurrently, implicitly
from pants.engine.target import (
    HydratedSources,
    HydrateSourcesRequest,
    SourcesPaths,
    SourcesPathsRequest,
    Targets,
)

from ko_pants.products import (
    AnalyzedDirectory,
    BaseImageRequest,
    BuiltImage,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoExecutable,
    GoExecutableRequest,
    GoModules,
    GoModulesRequest,
    HostTools,
    HostToolsRequest,
    Layer,
    LayerBlob,
    LayerBlobRequest,
    LayerRequest,
    ModuleFiles,
    ModuleFilesRequest,
    Paused,
    PauseRequest,
    PublishPlan,
    PublishPlanRequest,
    QuestionsAsked,
    QuestionsAskedRequest,
    ResolvedBase,
)
from ko_pants.target_types import GoOciImageFieldSet

# Files


async def digest_of_globs(globs: PathGlobs) -> Digest:
    return await path_globs_to_digest(globs)


async def paths_of_globs(globs: PathGlobs) -> Paths:
    return await path_globs_to_paths(globs)


async def snapshot_of_digest(digest: Digest) -> Snapshot:
    return await digest_to_snapshot(digest)


async def digest_contents(digest: Digest) -> DigestContents:
    return await get_digest_contents(digest)


async def digest_entries(digest: Digest) -> DigestEntries:
    return await get_digest_entries(digest)


async def create_digest(request: CreateDigest) -> Digest:
    return await _create_digest(request)


async def merge_digests(request: MergeDigests) -> Digest:
    return await _merge_digests(request)


async def relocate(digest: Digest, prefix: str) -> Digest:
    """Take `prefix` off every path of a digest."""
    return await remove_prefix(RemovePrefix(digest, prefix))


# Processes and environment


async def run_process(process: Process) -> FallibleProcessResult:
    return await execute_process(process, **implicitly())


async def environment_vars(request: EnvironmentVarsRequest) -> EnvironmentVars:
    return await environment_vars_subset(request, **implicitly())


# Targets


async def targets_of(request: UnparsedAddressInputs) -> Targets:
    return await resolve_targets(**implicitly({request: UnparsedAddressInputs}))


async def targets_at(addresses: Addresses) -> Targets:
    return await resolve_targets(**implicitly({addresses: Addresses}))


async def hydrate_sources(request: HydrateSourcesRequest) -> HydratedSources:
    return await _hydrate_sources(request, **implicitly())


async def source_paths(request: SourcesPathsRequest) -> SourcesPaths:
    return await resolve_source_paths(request, **implicitly())


async def owners_of(request: OwnersRequest) -> Owners:
    return await find_owners(request, **implicitly())


async def package(request: EnvironmentAwarePackageRequest) -> BuiltPackage:
    return await environment_aware_package(request)


# Our own steps, in the order of the pipeline

from ko_pants.rules.host_tools import host_tools as _host_tools  # noqa: E402


async def host_tools(request: HostToolsRequest) -> HostTools:
    return await _host_tools(request, **implicitly())


from ko_pants.rules.go_modules import find_go_modules  # noqa: E402


async def go_modules(request: GoModulesRequest) -> GoModules:
    return await find_go_modules(request)


from ko_pants.rules.go_directory import analyze_go_directory  # noqa: E402


async def analyzed_directories(
    requests: Iterable[GoDirectoryRequest],
) -> tuple[AnalyzedDirectory, ...]:
    return await concurrently(analyze_go_directory(r) for r in requests)


from ko_pants.rules.go_closure import find_go_closure  # noqa: E402


async def go_closure(request: GoClosureRequest) -> GoClosure:
    return await find_go_closure(request)


from ko_pants.rules.module_files import find_module_files  # noqa: E402


async def module_files(request: ModuleFilesRequest) -> ModuleFiles:
    return await find_module_files(request)


from ko_pants.rules.go_executable import go_executable  # noqa: E402


async def go_executables(requests: Iterable[GoExecutableRequest]) -> tuple[GoExecutable, ...]:
    return await concurrently(go_executable(r) for r in requests)


from ko_pants.rules.layer_blob import make_layer  # noqa: E402


async def layer_blob(request: LayerBlobRequest) -> LayerBlob:
    return await make_layer(request)


async def layer_blobs(requests: Iterable[LayerBlobRequest]) -> tuple[LayerBlob, ...]:
    return await concurrently(make_layer(r) for r in requests)


from ko_pants.rules.layer import find_layer  # noqa: E402


async def layers(requests: Iterable[LayerRequest]) -> tuple[Layer, ...]:
    return await concurrently(find_layer(r) for r in requests)


from ko_pants.rules.base_image import resolve_base_image  # noqa: E402


async def base_image(request: BaseImageRequest) -> ResolvedBase:
    return await resolve_base_image(request, **implicitly())


from ko_pants.rules.image import build_image  # noqa: E402


async def built_image(field_set: GoOciImageFieldSet) -> BuiltImage:
    return await build_image(field_set, **implicitly())


async def built_images(field_sets: Iterable[GoOciImageFieldSet]) -> tuple[BuiltImage, ...]:
    return await concurrently(build_image(f, **implicitly()) for f in field_sets)


from ko_pants.rules.publish_plan import plan_publication  # noqa: E402


async def publish_plan(request: PublishPlanRequest) -> PublishPlan:
    return await plan_publication(request, **implicitly())


from ko_pants.rules.pause import pause_rule  # noqa: E402


async def pause(request: PauseRequest) -> Paused:
    return await pause_rule(request)


from ko_pants.rules.publish_run import await_questions  # noqa: E402


async def questions_asked(request: QuestionsAskedRequest) -> QuestionsAsked:
    return await await_questions(request, **implicitly())
