"""What the rules ask the engine: the one module that knows which Pants is running.

Each step has two spellings, one below the other: `Get` and `MultiGet` (Pants 2.17 to 2.31), and
call by name (2.32 and newer). Both engines read the source of a rule and of the plain async
functions that it calls, so the bodies of rules are the same for all versions.

The newer engine reads a rule when its decorator runs, and knows only what is defined by then. So
the order here is that of the pipeline: a rule of ours is imported before the function that calls
it, and after the functions that it calls itself. Rules import this module and this module imports
rules; that works because the package `ko_pants.rules` imports this module before any rule.
"""

from __future__ import annotations

import importlib
from typing import Any, Iterable

from pants.base.specs import RawSpecsWithoutFileOwners
from pants.core.goals.package import BuiltPackage, EnvironmentAwarePackageRequest
from pants.core.goals.publish import PublishProcesses
from pants.engine import rules as _engine_rules
from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.environment import EnvironmentName
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    DigestSubset,
    FileContent,
    MergeDigests,
    PathGlobs,
    Paths,
    RemovePrefix,
)
from pants.engine.internals.mapper import AddressFamilies
from pants.engine.internals.native_engine import ProcessExecutionEnvironment
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.target import (
    FieldSetsPerTarget,
    FieldSetsPerTargetRequest,
    HydratedSources,
    HydrateSourcesRequest,
    SourcesPaths,
    SourcesPathsRequest,
    Targets,
    WrappedTarget,
    WrappedTargetRequest,
)

from ko_pants.golang.source_groups import EmbeddingPackages
from ko_pants.local_execution import local_execution
from ko_pants.process_log import noted
from ko_pants.products import (
    AnalyzedDirectory,
    BaseImageRequest,
    BuildClosure,
    BuildClosureRequest,
    BuiltImage,
    ClientVariables,
    CompileGateOpened,
    CompileGateRequest,
    CompileWaves,
    CompileWavesRequest,
    DiskLook,
    DiskLookRequest,
    EmbeddingPackagesRequest,
    EnvironmentOptions,
    EnvironmentOptionsRequest,
    GitAnswer,
    GitAnswerRequest,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoExecutable,
    GoExecutableRequest,
    GoModules,
    GoModuleSet,
    GoModuleSetRequest,
    GoModulesRequest,
    Goroot,
    GorootRequest,
    HiddenDigest,
    HiddenDigestRequest,
    HiddenFiles,
    HiddenFilesRequest,
    HostTools,
    HostToolsRequest,
    ImageArtifacts,
    ImageArtifactsRequest,
    ImageBlobs,
    ImageBlobsRequest,
    ImageCheck,
    ImageCheckRequest,
    ImageDocuments,
    ImageDocumentsRequest,
    ImageInputs,
    ImagePackages,
    ImagePackagesRequest,
    KoYaml,
    KoYamlRequest,
    Layer,
    LayerBlob,
    LayerBlobRequest,
    LayerRequest,
    ListedInputs,
    LockFile,
    LockFileRequest,
    Losses,
    LossesRequest,
    Manifests,
    ManifestsRequest,
    ModuleFiles,
    ModuleFilesRequest,
    OwnedFiles,
    OwnedFilesRequest,
    OwnerDirectories,
    OwnerDirectoriesRequest,
    Packaging,
    PackagingRequest,
    PackedFiles,
    Paused,
    PauseRequest,
    ProgramCheck,
    ProgramCheckRequest,
    ProgramInputs,
    ProgramInputsRequest,
    ProgramPackage,
    ProgramPackageRequest,
    PublishPlan,
    PublishPlanRequest,
    QuestionsAnswered,
    QuestionsAnsweredRequest,
    RecordedImage,
    RecordedImageRequest,
    ResolvedBase,
    RunTime,
    RunTimeRequest,
    UploadShown,
    UploadShownRequest,
    YieldedFiles,
    YieldedFilesRequest,
)
from ko_pants.rules.containers import check_container
from ko_pants.rules.lost_results import is_cached, patient, run_anew, say_lost
from ko_pants.rules.process_progress import shown
from ko_pants.target_types import GoOciImageFieldSet, OciFilesFieldSet

# Which spelling this Pants reads. mypy takes it for true (pyproject.toml), for the Pants that is
# installed for checks lacks the names of the newer one; `tests/test_engine_boundary.py` compares
# the two spellings, and loads the newer one.
HAS_GET = hasattr(_engine_rules, "Get")


def name_of_newer_pants(module: str, name: str) -> Any:
    """`name` of a module of Pants, or None where this Pants does not have it yet.

    The hook for what only newer versions have. A rule that needs it is defined if it is there.
    """
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None


# The module has moved: it is the second one up to 2.27.
_ENVIRONMENT_MODULES = ("pants.core.environments.rules", "pants.core.util_rules.environments")
EnvironmentNameRequest: Any = next(
    filter(None, (name_of_newer_pants(m, "EnvironmentNameRequest") for m in _ENVIRONMENT_MODULES))
)

if HAS_GET:
    from pants.engine.rules import Get, MultiGet
else:
    from pants.engine.rules import concurrently, implicitly

# Files

if HAS_GET:

    async def digest_of_globs(globs: PathGlobs) -> Digest:
        return await Get(Digest, PathGlobs, globs)

else:
    from pants.engine.intrinsics import path_globs_to_digest

    async def digest_of_globs(globs: PathGlobs) -> Digest:
        return await path_globs_to_digest(globs)


if HAS_GET:

    async def paths_of_globs(globs: PathGlobs) -> Paths:
        return await Get(Paths, PathGlobs, globs)

else:
    from pants.engine.intrinsics import path_globs_to_paths

    async def paths_of_globs(globs: PathGlobs) -> Paths:
        return await path_globs_to_paths(globs)


if HAS_GET:

    async def digest_contents(digest: Digest) -> DigestContents:
        return await Get(DigestContents, Digest, digest)

else:
    from pants.engine.intrinsics import get_digest_contents

    async def digest_contents(digest: Digest) -> DigestContents:
        return await get_digest_contents(digest)


if HAS_GET:

    async def contents_of_globs(globs: PathGlobs) -> DigestContents:
        return await Get(DigestContents, PathGlobs, globs)

else:

    async def contents_of_globs(globs: PathGlobs) -> DigestContents:
        return await get_digest_contents(**implicitly(globs))


if HAS_GET:

    async def digest_entries(digest: Digest) -> DigestEntries:
        return await Get(DigestEntries, Digest, digest)

else:
    from pants.engine.intrinsics import get_digest_entries

    async def digest_entries(digest: Digest) -> DigestEntries:
        return await get_digest_entries(digest)


if HAS_GET:

    async def create_digest(request: CreateDigest) -> Digest:
        return await Get(Digest, CreateDigest, request)

else:
    from pants.engine.intrinsics import create_digest as _create_digest

    async def create_digest(request: CreateDigest) -> Digest:
        return await _create_digest(request)


# Up to Pants 2.24 all collections have the same hash: that of `typing.Tuple`, and not that of their
# values. The engine keeps each request in a map, and would compare each with all that came before:
# 4 million times 3 µs for 2,000 images. Newer versions have the same hash as this.
if hash(CreateDigest()) == hash(CreateDigest([FileContent("a", b"")])):
    CreateDigest.__hash__ = tuple.__hash__  # type: ignore[assignment, method-assign]


if HAS_GET:

    async def digest_subset(digest: Digest, globs: PathGlobs) -> Digest:
        """The files of a digest that globs match. No file is read."""
        return await Get(Digest, DigestSubset(digest, globs))

else:
    from pants.engine.intrinsics import digest_subset_to_digest

    async def digest_subset(digest: Digest, globs: PathGlobs) -> Digest:
        """The files of a digest that globs match. No file is read."""
        return await digest_subset_to_digest(DigestSubset(digest, globs))


if HAS_GET:

    async def merge_digests(request: MergeDigests) -> Digest:
        return await Get(Digest, MergeDigests, request)

else:
    from pants.engine.intrinsics import merge_digests as _merge_digests

    async def merge_digests(request: MergeDigests) -> Digest:
        return await _merge_digests(request)


if HAS_GET:

    async def relocate(digest: Digest, prefix: str) -> Digest:
        """Take `prefix` off every path of a digest."""
        return await Get(Digest, RemovePrefix(digest, prefix))

else:
    from pants.engine.intrinsics import remove_prefix

    async def relocate(digest: Digest, prefix: str) -> Digest:
        """Take `prefix` off every path of a digest."""
        return await remove_prefix(RemovePrefix(digest, prefix))


if HAS_GET:

    async def add_prefix(digest: Digest, prefix: str) -> Digest:
        """Put `prefix` before every path of a digest."""
        return await Get(Digest, AddPrefix(digest, prefix))

else:
    from pants.engine.intrinsics import add_prefix as _add_prefix

    async def add_prefix(digest: Digest, prefix: str) -> Digest:
        """Put `prefix` before every path of a digest."""
        return await _add_prefix(AddPrefix(digest, prefix))


# Processes and environment


if HAS_GET:

    async def losses_of_run(request: LossesRequest) -> Losses:
        return await Get(Losses, LossesRequest, request)

else:
    from ko_pants.rules.lost_results import losses_of_run as _losses_of_run

    async def losses_of_run(request: LossesRequest) -> Losses:
        return await _losses_of_run(request)


if HAS_GET:

    async def _run_process(process: Process) -> FallibleProcessResult:
        return noted(await Get(FallibleProcessResult, Process, process))

else:
    from pants.engine.intrinsics import execute_process

    async def _run_process(process: Process) -> FallibleProcessResult:
        return noted(await execute_process(process, **implicitly()))


if HAS_GET:

    async def _run_process_in(
        process: Process, execution: ProcessExecutionEnvironment
    ) -> FallibleProcessResult:
        return noted(
            await Get(
                FallibleProcessResult, {process: Process, execution: ProcessExecutionEnvironment}
            )
        )

else:

    async def _run_process_in(
        process: Process, execution: ProcessExecutionEnvironment
    ) -> FallibleProcessResult:
        return noted(await execute_process(process, execution))


async def _run_anywhere(
    process: Process, execution: ProcessExecutionEnvironment | None
) -> FallibleProcessResult:
    if execution is None:
        return await _run_process(process)
    return await _run_process_in(process, execution)


async def run_process(
    process: Process, execution: ProcessExecutionEnvironment | None = None
) -> FallibleProcessResult:
    """Run a process; once more, without caches, if its result is lost: see `rules.lost_results`.

    :param execution: where it runs; by default, where the options of the run say.
    :raises KoPantsError: the container in which it should run cannot be had.
    """
    try:
        with shown(process.description):
            return await _run_anywhere(patient(process), execution)
    except Exception as e:
        check_container(process.description, execution, e)
        if not is_cached(process):
            raise
        say_lost(await losses_of_run(LossesRequest()), e)
    with shown(process.description):
        return await _run_anywhere(run_anew(process), execution)


if HAS_GET:

    async def run_process_here(process: Process) -> FallibleProcessResult:
        """Run a process on the machine where Pants runs: one that needs a file or link of it."""
        here = local_execution()
        return noted(
            await Get(FallibleProcessResult, {process: Process, here: ProcessExecutionEnvironment})
        )

else:

    async def run_process_here(process: Process) -> FallibleProcessResult:
        """Run a process on the machine where Pants runs: one that needs a file or link of it."""
        return noted(await execute_process(process, local_execution()))


if HAS_GET:

    async def run_processes_here(processes: Iterable[Process]) -> tuple[FallibleProcessResult, ...]:
        """Run processes on the machine where Pants runs."""
        here = local_execution()
        results = await MultiGet(
            Get(FallibleProcessResult, {p: Process, here: ProcessExecutionEnvironment})
            for p in processes
        )
        return tuple(map(noted, results))

else:

    async def run_processes_here(processes: Iterable[Process]) -> tuple[FallibleProcessResult, ...]:
        """Run processes on the machine where Pants runs."""
        here = local_execution()
        results = await concurrently(execute_process(p, here) for p in processes)
        return tuple(map(noted, results))


if HAS_GET:

    async def environment_vars(request: EnvironmentVarsRequest) -> ClientVariables:
        return await Get(ClientVariables, EnvironmentVarsRequest, request)

else:
    from ko_pants.rules.client_variables import client_variables

    async def environment_vars(request: EnvironmentVarsRequest) -> ClientVariables:
        return await client_variables(request, **implicitly())


# Targets

if HAS_GET:

    async def wrapped_target(request: WrappedTargetRequest) -> WrappedTarget:
        return await Get(WrappedTarget, WrappedTargetRequest, request)

else:
    from pants.engine.internals.graph import resolve_target

    async def wrapped_target(request: WrappedTargetRequest) -> WrappedTarget:
        return await resolve_target(request, **implicitly())


if HAS_GET:

    async def targets_of(request: UnparsedAddressInputs) -> Targets:
        return await Get(Targets, UnparsedAddressInputs, request)

else:
    from pants.engine.internals.graph import resolve_targets

    async def targets_of(request: UnparsedAddressInputs) -> Targets:
        return await resolve_targets(**implicitly({request: UnparsedAddressInputs}))


if HAS_GET:

    async def targets_at(addresses: Addresses) -> Targets:
        return await Get(Targets, Addresses, addresses)

else:

    async def targets_at(addresses: Addresses) -> Targets:
        return await resolve_targets(**implicitly({addresses: Addresses}))


if HAS_GET:

    async def targets_of_specs(specs: RawSpecsWithoutFileOwners) -> Targets:
        return await Get(Targets, RawSpecsWithoutFileOwners, specs)

else:

    async def targets_of_specs(specs: RawSpecsWithoutFileOwners) -> Targets:
        return await resolve_targets(**implicitly({specs: RawSpecsWithoutFileOwners}))


if HAS_GET:

    async def address_families(specs: RawSpecsWithoutFileOwners) -> AddressFamilies:
        return await Get(AddressFamilies, RawSpecsWithoutFileOwners, specs)

else:
    from pants.engine.internals.graph import address_families_from_raw_specs_without_file_owners

    async def address_families(specs: RawSpecsWithoutFileOwners) -> AddressFamilies:
        return await address_families_from_raw_specs_without_file_owners(specs, **implicitly())


if HAS_GET:

    async def hydrate_sources(request: HydrateSourcesRequest) -> HydratedSources:
        return await Get(HydratedSources, HydrateSourcesRequest, request)

else:
    from pants.engine.internals.graph import hydrate_sources as _hydrate_sources

    async def hydrate_sources(request: HydrateSourcesRequest) -> HydratedSources:
        return await _hydrate_sources(request, **implicitly())


if HAS_GET:

    async def source_paths(request: SourcesPathsRequest) -> SourcesPaths:
        return await Get(SourcesPaths, SourcesPathsRequest, request)

else:
    from pants.engine.internals.graph import resolve_source_paths

    async def source_paths(request: SourcesPathsRequest) -> SourcesPaths:
        return await resolve_source_paths(request, **implicitly())


if HAS_GET:

    async def field_sets_per_target(
        request: FieldSetsPerTargetRequest,  # type: ignore[type-arg]
    ) -> FieldSetsPerTarget:  # type: ignore[type-arg]
        return await Get(FieldSetsPerTarget, FieldSetsPerTargetRequest, request)

else:
    from pants.engine.internals.graph import find_valid_field_sets

    async def field_sets_per_target(
        request: FieldSetsPerTargetRequest,  # type: ignore[type-arg]
    ) -> FieldSetsPerTarget:  # type: ignore[type-arg]
        return await find_valid_field_sets(request, **implicitly())


if HAS_GET:

    async def built_package(request: EnvironmentAwarePackageRequest) -> BuiltPackage:
        return await Get(BuiltPackage, EnvironmentAwarePackageRequest, request)

else:
    from pants.core.goals.package import environment_aware_package

    async def built_package(request: EnvironmentAwarePackageRequest) -> BuiltPackage:
        return await environment_aware_package(request)


# Pants' environments

if HAS_GET:

    async def environment_name(name: str, owner: str) -> EnvironmentName:
        """The environment with this name, or its fallback; `owner` names it, for errors."""
        return await Get(
            EnvironmentName, {EnvironmentNameRequest(name, owner): EnvironmentNameRequest}
        )

else:
    from pants.core.environments.rules import resolve_environment_name

    async def environment_name(name: str, owner: str) -> EnvironmentName:
        """The environment with this name, or its fallback; `owner` names it, for errors."""
        return await resolve_environment_name(EnvironmentNameRequest(name, owner), **implicitly())


if HAS_GET:

    async def environment_options(request: EnvironmentOptionsRequest) -> EnvironmentOptions:
        return await Get(EnvironmentOptions, EnvironmentOptionsRequest, request)

else:
    from ko_pants.rules.environment_options import find_environment_options

    async def environment_options(request: EnvironmentOptionsRequest) -> EnvironmentOptions:
        return await find_environment_options(request, **implicitly())


if HAS_GET:

    async def environment_options_in(
        request: EnvironmentOptionsRequest, name: EnvironmentName
    ) -> EnvironmentOptions:
        """The options of another environment than the one that the step is asked in."""
        return await Get(
            EnvironmentOptions, {request: EnvironmentOptionsRequest, name: EnvironmentName}
        )

else:

    async def environment_options_in(
        request: EnvironmentOptionsRequest, name: EnvironmentName
    ) -> EnvironmentOptions:
        """The options of another environment than the one that the step is asked in."""
        return await find_environment_options(request, **implicitly({name: EnvironmentName}))


# Our own steps, in the order of the pipeline

if HAS_GET:

    async def ko_yaml(request: KoYamlRequest) -> KoYaml:
        return await Get(KoYaml, KoYamlRequest, request)

else:
    from ko_pants.rules.ko_yaml import read_ko_yaml

    async def ko_yaml(request: KoYamlRequest) -> KoYaml:
        return await read_ko_yaml(request, **implicitly())


if HAS_GET:

    async def yielded_files(requests: Iterable[YieldedFilesRequest]) -> tuple[YieldedFiles, ...]:
        return await MultiGet(Get(YieldedFiles, YieldedFilesRequest, r) for r in requests)

else:
    from ko_pants.rules.yielded_files import find_yielded_files

    async def yielded_files(requests: Iterable[YieldedFilesRequest]) -> tuple[YieldedFiles, ...]:
        return await concurrently(find_yielded_files(r, **implicitly()) for r in requests)


if HAS_GET:

    async def goroot(request: GorootRequest) -> Goroot:
        return await Get(Goroot, GorootRequest, request)

else:
    from ko_pants.rules.goroot import find_goroot

    async def goroot(request: GorootRequest) -> Goroot:
        return await find_goroot(request)


if HAS_GET:

    async def host_tools(request: HostToolsRequest) -> HostTools:
        return await Get(HostTools, HostToolsRequest, request)

else:
    from ko_pants.rules.host_tools import host_tools as _host_tools

    async def host_tools(request: HostToolsRequest) -> HostTools:
        return await _host_tools(request, **implicitly())


if HAS_GET:

    async def git_answers(requests: Iterable[GitAnswerRequest]) -> tuple[GitAnswer, ...]:
        return await MultiGet(Get(GitAnswer, GitAnswerRequest, r) for r in requests)

else:
    from ko_pants.rules.machine_values import ask_git

    async def git_answers(requests: Iterable[GitAnswerRequest]) -> tuple[GitAnswer, ...]:
        return await concurrently(ask_git(r, **implicitly()) for r in requests)


if HAS_GET:

    async def run_time(request: RunTimeRequest) -> RunTime:
        return await Get(RunTime, RunTimeRequest, request)

else:
    from ko_pants.rules.machine_values import time_of_run

    async def run_time(request: RunTimeRequest) -> RunTime:
        return await time_of_run(request)


if HAS_GET:

    async def hidden_digest(request: HiddenDigestRequest) -> HiddenDigest:
        return await Get(HiddenDigest, HiddenDigestRequest, request)

else:
    from ko_pants.rules.hidden_digest import make_hidden_digest

    async def hidden_digest(request: HiddenDigestRequest) -> HiddenDigest:
        return await make_hidden_digest(request, **implicitly())


if HAS_GET:

    async def hidden_files(request: HiddenFilesRequest) -> HiddenFiles:
        return await Get(HiddenFiles, HiddenFilesRequest, request)

else:
    from ko_pants.rules.hidden_files import hidden_files as _hidden_files

    async def hidden_files(request: HiddenFilesRequest) -> HiddenFiles:
        return await _hidden_files(request, **implicitly())


if HAS_GET:

    async def disk_look(request: DiskLookRequest) -> DiskLook:
        return await Get(DiskLook, DiskLookRequest, request)

else:
    from ko_pants.rules.disk_look import look_at_disk

    async def disk_look(request: DiskLookRequest) -> DiskLook:
        return await look_at_disk(request, **implicitly())


if HAS_GET:

    async def embedding_packages(request: EmbeddingPackagesRequest) -> EmbeddingPackages:
        return await Get(EmbeddingPackages, EmbeddingPackagesRequest, request)

else:
    from ko_pants.rules.embedding_packages import find_embedding_packages

    async def embedding_packages(request: EmbeddingPackagesRequest) -> EmbeddingPackages:
        return await find_embedding_packages(request, **implicitly())


if HAS_GET:

    async def owner_directories(request: OwnerDirectoriesRequest) -> OwnerDirectories:
        return await Get(OwnerDirectories, OwnerDirectoriesRequest, request)

else:
    from ko_pants.rules.owned_files import find_owner_directories

    async def owner_directories(request: OwnerDirectoriesRequest) -> OwnerDirectories:
        return await find_owner_directories(request)


if HAS_GET:

    async def owned_files(request: OwnedFilesRequest) -> OwnedFiles:
        return await Get(OwnedFiles, OwnedFilesRequest, request)

else:
    from ko_pants.rules.owned_files import find_owned_files

    async def owned_files(request: OwnedFilesRequest) -> OwnedFiles:
        return await find_owned_files(request)


if HAS_GET:

    async def go_modules(requests: Iterable[GoModulesRequest]) -> tuple[GoModules, ...]:
        return await MultiGet(Get(GoModules, GoModulesRequest, r) for r in requests)

else:
    from ko_pants.rules.go_modules import find_go_modules

    async def go_modules(requests: Iterable[GoModulesRequest]) -> tuple[GoModules, ...]:
        return await concurrently(find_go_modules(r, **implicitly()) for r in requests)


if HAS_GET:

    async def analyzed_directories(
        requests: Iterable[GoDirectoryRequest],
    ) -> tuple[AnalyzedDirectory, ...]:
        return await MultiGet(Get(AnalyzedDirectory, GoDirectoryRequest, r) for r in requests)

else:
    from ko_pants.rules.go_directory import analyze_go_directory

    async def analyzed_directories(
        requests: Iterable[GoDirectoryRequest],
    ) -> tuple[AnalyzedDirectory, ...]:
        return await concurrently(analyze_go_directory(r, **implicitly()) for r in requests)


if HAS_GET:

    async def go_module_set(request: GoModuleSetRequest) -> GoModuleSet:
        return await Get(GoModuleSet, GoModuleSetRequest, request)

else:
    from ko_pants.rules.go_module_set import find_go_module_set

    async def go_module_set(request: GoModuleSetRequest) -> GoModuleSet:
        return await find_go_module_set(request)


if HAS_GET:

    async def go_closure(request: GoClosureRequest) -> GoClosure:
        return await Get(GoClosure, GoClosureRequest, request)

else:
    from ko_pants.rules.go_closure import find_go_closure

    async def go_closure(request: GoClosureRequest) -> GoClosure:
        return await find_go_closure(request)


if HAS_GET:

    async def build_closure(request: BuildClosureRequest) -> BuildClosure:
        return await Get(BuildClosure, BuildClosureRequest, request)

else:
    from ko_pants.rules.build_closure import find_build_closure

    async def build_closure(request: BuildClosureRequest) -> BuildClosure:
        return await find_build_closure(request, **implicitly())


if HAS_GET:

    async def module_files(request: ModuleFilesRequest) -> ModuleFiles:
        return await Get(ModuleFiles, ModuleFilesRequest, request)

else:
    from ko_pants.rules.module_files import find_module_files

    async def module_files(request: ModuleFilesRequest) -> ModuleFiles:
        return await find_module_files(request)


if HAS_GET:

    async def program_inputs(
        requests: Iterable[ProgramInputsRequest],
    ) -> tuple[ProgramInputs, ...]:
        return await MultiGet(Get(ProgramInputs, ProgramInputsRequest, r) for r in requests)

else:
    from ko_pants.rules.program_inputs import find_program_inputs

    async def program_inputs(
        requests: Iterable[ProgramInputsRequest],
    ) -> tuple[ProgramInputs, ...]:
        return await concurrently(find_program_inputs(r) for r in requests)


if HAS_GET:

    async def listed_inputs(inputs: ImageInputs) -> ListedInputs:
        return await Get(ListedInputs, ImageInputs, inputs)

else:
    from ko_pants.rules.listed_inputs import list_inputs

    async def listed_inputs(inputs: ImageInputs) -> ListedInputs:
        return await list_inputs(inputs)


if HAS_GET:

    async def go_executables(requests: Iterable[GoExecutableRequest]) -> tuple[GoExecutable, ...]:
        return await MultiGet(Get(GoExecutable, GoExecutableRequest, r) for r in requests)

else:
    from ko_pants.rules.go_executable import go_executable

    async def go_executables(requests: Iterable[GoExecutableRequest]) -> tuple[GoExecutable, ...]:
        return await concurrently(go_executable(r, **implicitly()) for r in requests)


if HAS_GET:

    async def compile_waves(request: CompileWavesRequest) -> CompileWaves:
        return await Get(CompileWaves, CompileWavesRequest, request)

else:
    from ko_pants.rules.compile_gate import waves_of_run

    async def compile_waves(request: CompileWavesRequest) -> CompileWaves:
        return await waves_of_run(request, **implicitly())


if HAS_GET:

    async def compile_gate(request: CompileGateRequest) -> CompileGateOpened:
        return await Get(CompileGateOpened, CompileGateRequest, request)

else:
    from ko_pants.rules.compile_gate import open_compile_gate

    async def compile_gate(request: CompileGateRequest) -> CompileGateOpened:
        return await open_compile_gate(request, **implicitly())


if HAS_GET:

    async def program_checks(requests: Iterable[ProgramCheckRequest]) -> tuple[ProgramCheck, ...]:
        return await MultiGet(Get(ProgramCheck, ProgramCheckRequest, r) for r in requests)

else:
    from ko_pants.rules.program_check import check_program

    async def program_checks(requests: Iterable[ProgramCheckRequest]) -> tuple[ProgramCheck, ...]:
        return await concurrently(check_program(r, **implicitly()) for r in requests)


if HAS_GET:

    async def layer_blob(request: LayerBlobRequest) -> LayerBlob:
        return await Get(LayerBlob, LayerBlobRequest, request)

else:
    from ko_pants.rules.layer_blob import make_layer

    async def layer_blob(request: LayerBlobRequest) -> LayerBlob:
        return await make_layer(request)


if HAS_GET:

    async def layer_blobs(requests: Iterable[LayerBlobRequest]) -> tuple[LayerBlob, ...]:
        return await MultiGet(Get(LayerBlob, LayerBlobRequest, r) for r in requests)

else:

    async def layer_blobs(requests: Iterable[LayerBlobRequest]) -> tuple[LayerBlob, ...]:
        return await concurrently(make_layer(r) for r in requests)


if HAS_GET:

    async def layers(requests: Iterable[LayerRequest]) -> tuple[Layer, ...]:
        return await MultiGet(Get(Layer, LayerRequest, r) for r in requests)

else:
    from ko_pants.rules.layer import find_layer

    async def layers(requests: Iterable[LayerRequest]) -> tuple[Layer, ...]:
        return await concurrently(find_layer(r) for r in requests)


if HAS_GET:

    async def base_image(request: BaseImageRequest) -> ResolvedBase:
        return await Get(ResolvedBase, BaseImageRequest, request)

else:
    from ko_pants.rules.base_image import resolve_base_image

    async def base_image(request: BaseImageRequest) -> ResolvedBase:
        return await resolve_base_image(request, **implicitly())


if HAS_GET:

    async def lock_file(request: LockFileRequest) -> LockFile:
        return await Get(LockFile, LockFileRequest, request)

else:
    from ko_pants.rules.lock_file import read_lock_file

    async def lock_file(request: LockFileRequest) -> LockFile:
        return await read_lock_file(request, **implicitly())


if HAS_GET:

    async def packed_files(field_sets: Iterable[OciFilesFieldSet]) -> tuple[PackedFiles, ...]:
        return await MultiGet(Get(PackedFiles, OciFilesFieldSet, f) for f in field_sets)

else:
    from ko_pants.rules.oci_files import pack_files

    async def packed_files(field_sets: Iterable[OciFilesFieldSet]) -> tuple[PackedFiles, ...]:
        return await concurrently(pack_files(f, **implicitly()) for f in field_sets)


if HAS_GET:

    async def built_image(field_set: GoOciImageFieldSet) -> BuiltImage:
        return await Get(BuiltImage, GoOciImageFieldSet, field_set.without_names())

else:
    from ko_pants.rules.image import build_image

    async def built_image(field_set: GoOciImageFieldSet) -> BuiltImage:
        return await build_image(field_set.without_names(), **implicitly())


if HAS_GET:

    async def built_images(field_sets: Iterable[GoOciImageFieldSet]) -> tuple[BuiltImage, ...]:
        wanted = [field_set.without_names() for field_set in field_sets]
        return await MultiGet(Get(BuiltImage, GoOciImageFieldSet, f) for f in wanted)

else:

    async def built_images(field_sets: Iterable[GoOciImageFieldSet]) -> tuple[BuiltImage, ...]:
        wanted = [field_set.without_names() for field_set in field_sets]
        return await concurrently(build_image(f, **implicitly()) for f in wanted)


if HAS_GET:

    async def image_documents(request: ImageDocumentsRequest) -> ImageDocuments:
        return await Get(ImageDocuments, ImageDocumentsRequest, request)

else:
    from ko_pants.rules.image_documents import write_image_documents

    async def image_documents(request: ImageDocumentsRequest) -> ImageDocuments:
        return await write_image_documents(request)


if HAS_GET:

    async def image_checks(requests: Iterable[ImageCheckRequest]) -> tuple[ImageCheck, ...]:
        return await MultiGet(Get(ImageCheck, ImageCheckRequest, r) for r in requests)

else:
    from ko_pants.rules.image_check import check_image

    async def image_checks(requests: Iterable[ImageCheckRequest]) -> tuple[ImageCheck, ...]:
        return await concurrently(check_image(r, **implicitly()) for r in requests)


if HAS_GET:

    async def image_blobs(request: ImageBlobsRequest) -> ImageBlobs:
        return await Get(ImageBlobs, ImageBlobsRequest, request)

else:
    from ko_pants.rules.image_blobs import bring_image_blobs

    async def image_blobs(request: ImageBlobsRequest) -> ImageBlobs:
        return await bring_image_blobs(request, **implicitly())


if HAS_GET:

    async def image_artifacts(request: ImageArtifactsRequest) -> ImageArtifacts:
        return await Get(ImageArtifacts, ImageArtifactsRequest, request)

else:
    from ko_pants.rules.image_artifacts import describe_image

    async def image_artifacts(request: ImageArtifactsRequest) -> ImageArtifacts:
        return await describe_image(request)


if HAS_GET:

    async def packaging(request: PackagingRequest) -> Packaging:
        return await Get(Packaging, PackagingRequest, request)

else:
    from ko_pants.rules.packaging import find_packaging

    async def packaging(request: PackagingRequest) -> Packaging:
        return await find_packaging(request, **implicitly())


if HAS_GET:

    async def recorded_image(request: RecordedImageRequest) -> RecordedImage:
        return await Get(RecordedImage, RecordedImageRequest, request)

else:
    from ko_pants.rules.built_inputs import find_recorded_image

    async def recorded_image(request: RecordedImageRequest) -> RecordedImage:
        return await find_recorded_image(request, **implicitly())


if HAS_GET:

    async def publish_plan(request: PublishPlanRequest) -> PublishPlan:
        return await Get(PublishPlan, PublishPlanRequest, request)

else:
    from ko_pants.rules.publish_plan import plan_publication

    async def publish_plan(request: PublishPlanRequest) -> PublishPlan:
        return await plan_publication(request, **implicitly())


if HAS_GET:

    async def publish_plans(requests: Iterable[PublishPlanRequest]) -> tuple[PublishPlan, ...]:
        return await MultiGet(Get(PublishPlan, PublishPlanRequest, r) for r in requests)

else:

    async def publish_plans(requests: Iterable[PublishPlanRequest]) -> tuple[PublishPlan, ...]:
        return await concurrently(plan_publication(r, **implicitly()) for r in requests)


if HAS_GET:

    async def pauses(requests: Iterable[PauseRequest]) -> tuple[Paused, ...]:
        return await MultiGet(Get(Paused, PauseRequest, r) for r in requests)

else:
    from ko_pants.rules.pause import pause_rule

    async def pauses(requests: Iterable[PauseRequest]) -> tuple[Paused, ...]:
        return await concurrently(pause_rule(r) for r in requests)


if HAS_GET:

    async def upload_shown(request: UploadShownRequest) -> UploadShown:
        return await Get(UploadShown, UploadShownRequest, request)

else:
    from ko_pants.rules.shown_uploads import show_upload

    async def upload_shown(request: UploadShownRequest) -> UploadShown:
        return await show_upload(request, **implicitly())


if HAS_GET:

    async def questions_answered(request: QuestionsAnsweredRequest) -> QuestionsAnswered:
        return await Get(QuestionsAnswered, QuestionsAnsweredRequest, request)

else:
    from ko_pants.rules.publish_run import await_answers

    async def questions_answered(request: QuestionsAnsweredRequest) -> QuestionsAnswered:
        return await await_answers(request, **implicitly())


if HAS_GET:
    from ko_pants.goals.publish import PublishGoOciImageRequest

    async def image_publications(
        requests: Iterable[PublishGoOciImageRequest],
    ) -> tuple[PublishProcesses, ...]:
        return await MultiGet(Get(PublishProcesses, PublishGoOciImageRequest, r) for r in requests)

else:
    from ko_pants.goals.publish import PublishGoOciImageRequest, publish_image

    async def image_publications(
        requests: Iterable[PublishGoOciImageRequest],
    ) -> tuple[PublishProcesses, ...]:
        return await concurrently(publish_image(r, **implicitly()) for r in requests)


# Kubernetes manifests

if HAS_GET:

    async def program_packages(
        requests: Iterable[ProgramPackageRequest],
    ) -> tuple[ProgramPackage, ...]:
        return await MultiGet(Get(ProgramPackage, ProgramPackageRequest, r) for r in requests)

else:
    from ko_pants.rules.program_package import find_program_package

    async def program_packages(
        requests: Iterable[ProgramPackageRequest],
    ) -> tuple[ProgramPackage, ...]:
        return await concurrently(find_program_package(r) for r in requests)


if HAS_GET:

    async def image_packages(request: ImagePackagesRequest) -> ImagePackages:
        return await Get(ImagePackages, ImagePackagesRequest, request)

else:
    from ko_pants.rules.image_packages import find_image_packages

    async def image_packages(request: ImagePackagesRequest) -> ImagePackages:
        return await find_image_packages(request, **implicitly())


if HAS_GET:

    async def manifests(request: ManifestsRequest) -> Manifests:
        return await Get(Manifests, ManifestsRequest, request)

else:
    from ko_pants.rules.manifests import find_manifests

    async def manifests(request: ManifestsRequest) -> Manifests:
        return await find_manifests(request, **implicitly())
