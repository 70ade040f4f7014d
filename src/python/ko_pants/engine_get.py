"""The engine's and our own steps, for Pants with `Get` and `MultiGet` (2.17 to 2.31)."""

from __future__ import annotations

from typing import Iterable

from pants.core.goals.package import BuiltPackage, EnvironmentAwarePackageRequest
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
from pants.engine.internals.graph import Owners, OwnersRequest
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import Get, MultiGet
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
    return await Get(Digest, PathGlobs, globs)


async def paths_of_globs(globs: PathGlobs) -> Paths:
    return await Get(Paths, PathGlobs, globs)


async def snapshot_of_digest(digest: Digest) -> Snapshot:
    return await Get(Snapshot, Digest, digest)


async def digest_contents(digest: Digest) -> DigestContents:
    return await Get(DigestContents, Digest, digest)


async def digest_entries(digest: Digest) -> DigestEntries:
    return await Get(DigestEntries, Digest, digest)


async def create_digest(request: CreateDigest) -> Digest:
    return await Get(Digest, CreateDigest, request)


async def merge_digests(request: MergeDigests) -> Digest:
    return await Get(Digest, MergeDigests, request)


async def relocate(digest: Digest, prefix: str) -> Digest:
    """Take `prefix` off every path of a digest."""
    return await Get(Digest, RemovePrefix(digest, prefix))


# Processes and environment


async def run_process(process: Process) -> FallibleProcessResult:
    return await Get(FallibleProcessResult, Process, process)


async def environment_vars(request: EnvironmentVarsRequest) -> EnvironmentVars:
    return await Get(EnvironmentVars, EnvironmentVarsRequest, request)


# Targets


async def targets_of(request: UnparsedAddressInputs) -> Targets:
    return await Get(Targets, UnparsedAddressInputs, request)


async def targets_at(addresses: Addresses) -> Targets:
    return await Get(Targets, Addresses, addresses)


async def hydrate_sources(request: HydrateSourcesRequest) -> HydratedSources:
    return await Get(HydratedSources, HydrateSourcesRequest, request)


async def source_paths(request: SourcesPathsRequest) -> SourcesPaths:
    return await Get(SourcesPaths, SourcesPathsRequest, request)


async def owners_of(request: OwnersRequest) -> Owners:
    return await Get(Owners, OwnersRequest, request)


async def package(request: EnvironmentAwarePackageRequest) -> BuiltPackage:
    return await Get(BuiltPackage, EnvironmentAwarePackageRequest, request)


# Our own steps, in the order of the pipeline


async def host_tools(request: HostToolsRequest) -> HostTools:
    return await Get(HostTools, HostToolsRequest, request)


async def go_modules(request: GoModulesRequest) -> GoModules:
    return await Get(GoModules, GoModulesRequest, request)


async def analyzed_directories(
    requests: Iterable[GoDirectoryRequest],
) -> tuple[AnalyzedDirectory, ...]:
    return await MultiGet(Get(AnalyzedDirectory, GoDirectoryRequest, r) for r in requests)


async def go_closure(request: GoClosureRequest) -> GoClosure:
    return await Get(GoClosure, GoClosureRequest, request)


async def module_files(request: ModuleFilesRequest) -> ModuleFiles:
    return await Get(ModuleFiles, ModuleFilesRequest, request)


async def go_executables(requests: Iterable[GoExecutableRequest]) -> tuple[GoExecutable, ...]:
    return await MultiGet(Get(GoExecutable, GoExecutableRequest, r) for r in requests)


async def layers(requests: Iterable[LayerRequest]) -> tuple[Layer, ...]:
    return await MultiGet(Get(Layer, LayerRequest, r) for r in requests)


async def layer_blob(request: LayerBlobRequest) -> LayerBlob:
    return await Get(LayerBlob, LayerBlobRequest, request)


async def layer_blobs(requests: Iterable[LayerBlobRequest]) -> tuple[LayerBlob, ...]:
    return await MultiGet(Get(LayerBlob, LayerBlobRequest, r) for r in requests)


async def base_image(request: BaseImageRequest) -> ResolvedBase:
    return await Get(ResolvedBase, BaseImageRequest, request)


async def built_image(field_set: GoOciImageFieldSet) -> BuiltImage:
    return await Get(BuiltImage, GoOciImageFieldSet, field_set)


async def built_images(field_sets: Iterable[GoOciImageFieldSet]) -> tuple[BuiltImage, ...]:
    return await MultiGet(Get(BuiltImage, GoOciImageFieldSet, f) for f in field_sets)


async def publish_plan(request: PublishPlanRequest) -> PublishPlan:
    return await Get(PublishPlan, PublishPlanRequest, request)


async def pause(request: PauseRequest) -> Paused:
    return await Get(Paused, PauseRequest, request)


async def questions_asked(request: QuestionsAskedRequest) -> QuestionsAsked:
    return await Get(QuestionsAsked, QuestionsAskedRequest, request)
