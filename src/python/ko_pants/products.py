"""What the rules hand to each other: requests and products, all frozen and compared by value."""

from __future__ import annotations

import functools
import posixpath
from dataclasses import dataclass, field
from typing import Mapping

from pants.engine.addresses import Address
from pants.engine.engine_aware import EngineAwareParameter
from pants.engine.fs import EMPTY_DIGEST, Digest, FileEntry
from pants.engine.internals.native_engine import ProcessExecutionEnvironment
from pants.engine.internals.session import RunId
from pants.engine.process import ProcessResultMetadata
from pants.source.filespec import FilespecMatcher
from pants.util.frozendict import FrozenDict

from ko_pants.artifacts.artifact import Artifact
from ko_pants.compile_waves import Waves
from ko_pants.disk.disk import HiddenFile
from ko_pants.explanation.record import Input
from ko_pants.explanation.store import ImagePlace
from ko_pants.golang.closure import Closure
from ko_pants.golang.directory import GoDirectory
from ko_pants.golang.executable import ExecutableHeader
from ko_pants.golang.input_views import NamedFiles, View
from ko_pants.golang.toolchain import Toolchain
from ko_pants.golang.workspace import ModuleSet, Workspace
from ko_pants.ko_yaml.configuration import KoConfiguration
from ko_pants.kocache.keys import build_key
from ko_pants.kubernetes.streams import ManifestFile
from ko_pants.layer_contents import LayerContent, TreeContent
from ko_pants.layers.encodings import LayerEncoding
from ko_pants.oci.base_lock import BaseLock
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import BaseImage, Image
from ko_pants.oci.image_config import History, ImageConfig
from ko_pants.oci.platform import Platform
from ko_pants.publishing.destinations import Destination
from ko_pants.target_types import GoOciImageFieldSet


class ClientVariables(FrozenDict[str, str]):
    """Environment variables of the machine where Pants runs: those that are set."""


@dataclass(frozen=True)
class EnvironmentOptionsRequest:
    """Ask for the `EnvironmentOptions` of the environment that the step is asked in."""


@dataclass(frozen=True)
class EnvironmentOptions:
    """The options of `[ko]` that one of Pants' environments can change, and where it runs things.

    :param toolchain: `golang.toolchain.SOURCES`.
    :param goroot: the address of the target with a toolchain, for `INPUT`.
    :param python: the Python of the layer process on a worker: a name on the path, or a path.
    :param module_downloads: where modules are downloaded: `local` or `worker`.
    """

    toolchain: str
    go_version: str
    go_build_id: str
    goroot: str
    search_path: tuple[str, ...]
    python: str
    module_downloads: str
    execution: ProcessExecutionEnvironment

    @property
    def is_local(self) -> bool:
        """True if its processes run on the machine where Pants runs, in no container."""
        return not self.execution.remote_execution and not self.execution.docker_image


@dataclass(frozen=True)
class GoTools:
    """How processes get Go, and where they run.

    :param goroot: the files of the toolchain, if it is an input.
    :param execution: where processes of Go run; None for where Pants runs them by itself.
    :param downloader: the name of the linked toolchain that downloads modules for them; empty if
        there is none, and where they download modules by themselves.
    :param problem: why there is no `downloader`.
    """

    toolchain: Toolchain
    goroot: Digest = EMPTY_DIGEST
    execution: ProcessExecutionEnvironment | None = None
    downloader: str = ""
    problem: str = ""


@dataclass(frozen=True)
class GorootRequest:
    """Ask for the Go toolchain that the target at `address` yields: an archive, or its files.

    :param python: `HostTools.python`, which unpacks it.
    """

    address: str
    python: str


@dataclass(frozen=True)
class Goroot:
    """The files of a toolchain, VERSION and `bin/go` among them; `version` is `go1.26.8`."""

    digest: Digest
    version: str


@dataclass(frozen=True)
class WorkerPython:
    """A Python for the layer process that is found by the process itself.

    :param command: a name on `search_path`, or a path; empty for the link on this machine.
    :param execution: where the process runs; None for where Pants runs it by itself.
    """

    command: str
    search_path: tuple[str, ...]
    execution: ProcessExecutionEnvironment | None = None


@dataclass(frozen=True)
class HostTools:
    """What processes need of the machine that they run on.

    Only what decides the bytes is here (a Go version and the toolchain's own build id, a Python
    version); where it lies on this machine is not, so a remote cache serves every machine.

    :param go: None if it was not asked for.
    :param python: the name of the link to Python in a named cache of this machine.
    :param layer_python: that of the layer process; None for the link.
    """

    go: GoTools | None
    python: str
    layer_python: WorkerPython | None = None


@dataclass(frozen=True)
class HostToolsRequest:
    """Ask for `HostTools`; with `python_only` no Go is looked for.

    :param environment: the name of one of Pants' environments; empty for the one of the goal.
    :param owner: target and field that name it, for errors.
    """

    python_only: bool = False
    environment: str = ""
    owner: str = field(compare=False, default="")


@dataclass(frozen=True)
class HiddenFilesRequest:
    """Ask for the files that builds read and that Pants does not see, as they are now."""


@dataclass(frozen=True)
class HiddenFiles:
    """The state of these files, of all builds that this daemon has done.

    :param change: stands for the last change that was seen of these files, and of the names of the
        files that are embedded, hidden or not; or for having forgotten where to look. A build may
        read what is newer than this. If that is undone, the files are the same again, and this is
        not. A build that looks at more than those before is no change.
    :param problems: what is there and cannot be read.
    """

    change: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class DiskLookRequest:
    """Ask for a look at what `disk.answers` knows of the repo."""


@dataclass(frozen=True)
class DiskLook:
    """What `disk.answers.ask` answers in this run.

    :param change: stands for the last change of an answer. An answer to a question that is new is
        no change.
    """

    change: str = ""


@dataclass(frozen=True)
class EmbeddingPackagesRequest:
    """Ask for the `EmbeddingPackages` of some directories.

    :param directories: those of the packages, sorted.
    """

    directories: tuple[str, ...]


@dataclass(frozen=True)
class OwnerDirectoriesRequest:
    """Ask for the directories whose BUILD files have targets that may own files."""


@dataclass(frozen=True)
class OwnerDirectories:
    """These directories, each with the targets that its BUILD files define, before generation."""

    by_directory: Mapping[str, tuple[Address, ...]]


@dataclass(frozen=True)
class OwnedFilesRequest:
    """Ask for what the targets of one directory own, with those that they generate."""

    directory: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class SourcesPattern:
    """A target whose globs may own several files.

    :param matcher: tells which paths they match.
    """

    address: Address
    matcher: FilespecMatcher


@dataclass(frozen=True)
class OwnedFiles:
    """What the targets of one directory own, by path relative to the repo's root.

    :param generated: the `go_source` targets of generators; these files exist.
    :param named: those of other targets that name one file, which need not exist.
    """

    directory: str
    generated: Mapping[str, Address]
    named: Mapping[str, tuple[Address, ...]]
    patterns: tuple[SourcesPattern, ...] = ()


@dataclass(frozen=True)
class HiddenDigestRequest:
    """Ask for hidden files as a digest."""

    files: tuple[HiddenFile, ...]


@dataclass(frozen=True)
class HiddenDigest:
    """Hidden files at their paths."""

    digest: Digest


@dataclass(frozen=True)
class GoDirectoryRequest:
    """Analyze the Go files of one directory of the repo ("" for its root).

    :param hidden: the files of the directory that Pants does not see.
    """

    path: str
    hidden: tuple[HiddenFile, ...] = ()


@dataclass(frozen=True)
class AnalyzedDirectory:
    """A `GoDirectory`, equal as long as no edit changes the import graph or the build's inputs."""

    directory: GoDirectory


@dataclass(frozen=True)
class GoModulesRequest:
    """Ask for the module files of some directories of the repo ("" for its root), sorted."""

    directories: tuple[str, ...]
    hidden: tuple[HiddenFile, ...] = ()


@dataclass(frozen=True)
class GoModules:
    """The module files that exist, by path, sorted: go.mod, go.work and vendor/modules.txt."""

    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class GoModuleSetRequest:
    """Ask for the modules that are built together.

    :param directory: of go.work, or of the only main module.
    :param hidden: the module files that Pants does not see, as far as known.
    """

    directory: str
    mod: str = ""
    use_go_work: bool = True
    hidden: tuple[HiddenFile, ...] = ()


@dataclass(frozen=True)
class GoModuleSet:
    """These modules, and where their module files can be."""

    modules: ModuleSet
    view: NamedFiles


@dataclass(frozen=True)
class GoClosureRequest:
    """Ask for the first-party closure of a main package, the union over `platforms`.

    :param extra_imports: first-party packages that only third-party modules import.
    :param hidden: the files that the build reads and that Pants does not see, as far as known.
    :param profile: the file that `-pgo` names, relative to the main module.
    """

    directory: str
    platforms: tuple[Platform, ...]
    tags: tuple[str, ...] = ()
    mod: str = ""
    use_go_work: bool = True
    extra_imports: tuple[str, ...] = ()
    hidden: tuple[HiddenFile, ...] = ()
    profile: str = ""


@dataclass(frozen=True)
class GoClosure:
    """The closure, and the modules that it was found in.

    :param embedded: the files that it embeds, which `complete_closure` adds.
    :param hidden: those of its files that Pants does not see.
    :param views: where hidden files can be.
    :param analyzed: the directories that were searched. No part of the value: where the closure is
        equal, nothing follows from them.
    """

    closure: Closure
    workspace: Workspace
    embedded: tuple[str, ...] = ()
    hidden: tuple[HiddenFile, ...] = ()
    views: tuple[View, ...] = ()
    analyzed: tuple[GoDirectory, ...] = field(default=(), compare=False, repr=False)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the build can read; go.sum and the like need not exist."""
        return (*self.closure.files, *self.closure.optional_files, *self.embedded)


@dataclass(frozen=True)
class ModuleFilesRequest:
    """Ask for the part of go.mod and go.sum that the build of a main package reads.

    :param import_path: of the main package.
    :param imports: what its closure imports of modules outside of the repo.
    :param platforms: those whose modules count.
    :param go: `HostTools.go`; `environment` is that of the build.
    """

    import_path: str
    workspace: Workspace
    imports: tuple[str, ...]
    platforms: tuple[Platform, ...]
    tags: tuple[str, ...]
    mod: str
    go: GoTools
    environment: FrozenDict[str, str]
    hidden: tuple[HiddenFile, ...] = ()


@dataclass(frozen=True)
class ModuleFiles:
    """What stands in for the files `paths` of the repo; nothing where they are used themselves.

    :param modules: a module cache with the modules that the build needs, for a process that cannot
        download any.
    """

    paths: tuple[str, ...] = ()
    digest: Digest = EMPTY_DIGEST
    modules: Digest = EMPTY_DIGEST


@dataclass(frozen=True)
class GoBuild:
    """How one main package is to be compiled; `owner` names target and field in errors.

    :param directory: of the main package.
    :param package: the import path of a main package of another module, which the go.mod of
        `directory` requires; empty for that in `directory`.
    :param environment: the name of the one of Pants' environments to compile in; empty for that
        of the image, or of the goal.
    """

    owner: str
    directory: str
    flags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    package: str = ""
    environment: str = ""


@dataclass(frozen=True)
class GitAnswerRequest:
    """Ask git one of `golang.git_values.QUESTIONS`, once in each run."""

    question: str


@dataclass(frozen=True)
class GitAnswer:
    """The values of `{{.Git.X}}` by name, or else why there are none."""

    values: FrozenDict[str, str] = field(default_factory=FrozenDict)
    problem: str = ""


@dataclass(frozen=True)
class RunTimeRequest:
    """Ask for the time of this run."""


@dataclass(frozen=True)
class RunTime:
    """The time of this run, in seconds since the epoch; the same for all targets."""

    seconds: int


@dataclass(frozen=True)
class PrebuiltFile:
    """An executable that some other target yields: one file of the repo or of another's output."""

    owner: str
    path: str
    digest: Digest


@dataclass(frozen=True)
class GoExecutableRequest:
    """Ask for one executable: compiled, or a prebuilt file, for `platform`.

    Go, its environment and hidden files come with the request. A step that looks at the machine is
    looked at in every run, with all steps above it: so only the step on top looks.

    :param platforms: all that the image wants; they share the closure.
    :param go: `HostTools.go`.
    :param environment: what `go build` gets from the outside.
    :param anew: no cache of Pants is asked, for what it has is lost; see `rules.lost_results`.
    """

    platform: Platform
    platforms: tuple[Platform, ...]
    build: GoBuild | None = None
    prebuilt: PrebuiltFile | None = None
    go: GoTools | None = None
    environment: FrozenDict[str, str] = field(default_factory=FrozenDict)
    hidden: HiddenFiles = HiddenFiles()
    anew: bool = False

    def __hash__(self) -> int:
        # Few requests are alike in these and not in the rest, which takes longer than all of these.
        return hash((self.platform, self.build, self.prebuilt, self.hidden))


@dataclass(frozen=True)
class BuildClosureRequest:
    """Ask for what compiles of a main package read, once for all platforms of its image.

    :param build: `ldflags` are left out, as they say nothing of files.
    :param hidden: as of `GoExecutableRequest`.
    """

    build: GoBuild
    platforms: tuple[Platform, ...]
    environment: FrozenDict[str, str]
    hidden: HiddenFiles


@dataclass(frozen=True)
class BuildClosure:
    """The closure with hidden files, checked, and the request that gives it."""

    request: GoClosureRequest
    closure: GoClosure


@dataclass(frozen=True)
class ProgramCheckRequest:
    """Ask for a `ProgramCheck`.

    :param executable: what an image would be built from.
    :param vet: the arguments of `go vet`; None if it is not run.
    """

    executable: GoExecutableRequest
    vet: tuple[str, ...] | None


@dataclass(frozen=True)
class ProgramCheck:
    """What is wrong with a program, if anything.

    :param problem: why it was not compiled; names target and field.
    :param build_errors: what `go build` says.
    :param findings: what `go vet` finds.
    """

    problem: str = ""
    build_errors: str = ""
    findings: str = ""


@dataclass(frozen=True)
class ImageCheckRequest:
    """Ask for an `ImageCheck`; `vet` is that of `ProgramCheckRequest`."""

    field_set: GoOciImageFieldSet
    vet: tuple[str, ...] | None


@dataclass(frozen=True)
class ImageCheck:
    """The checks of the programs of an image, for each of its platforms.

    :param problem: why nothing was compiled; names target and field.
    :param warning: what kept the check from compiling just what `publish` compiles. It names field
        or option, and not the target.
    """

    owner: str
    programs: tuple[tuple[Platform, ProgramCheck], ...] = ()
    problem: str = ""
    warning: str = ""


@dataclass(frozen=True)
class ProgramInputsRequest:
    """Ask what a compile reads. Nothing is compiled.

    :param request: as `inputs_request` makes it, so that platforms share the answer.
    """

    request: GoExecutableRequest


@dataclass(frozen=True)
class ProgramInputs:
    """What a compile reads of the repo, in its first try.

    :param found: what it was found in.
    :param module_files: the part of go.mod and go.sum that is in `sources`.
    :param sources: the input of its process.
    """

    found: BuildClosure
    module_files: ModuleFiles
    sources: Digest

    @property
    def import_path(self) -> str:
        """That of the main package."""
        return self.found.closure.closure.import_path

    @property
    def go_mod(self) -> str:
        """The path of the go.mod of the main module."""
        return posixpath.join(self.found.closure.workspace.main_module.directory, "go.mod")

    @functools.cached_property
    def embedded(self) -> frozenset[str]:
        """Paths of the files that the program embeds."""
        return frozenset(self.found.closure.embedded)


@dataclass(frozen=True)
class InputTree:
    """Files that are inputs of an image, as a digest: nobody has listed them yet.

    :param part: as of `explanation.record.Input`, like `of`, `platform` and `kind`.
    :param paths: the directory in the digest, and what stands for it in the names of the inputs.
    :param program: what the files are of, if they are those of a compile.
    """

    part: str
    of: str
    platform: str
    kind: str
    digest: Digest
    paths: tuple[str, str] = ("", "")
    program: ProgramInputs | None = None


@dataclass(frozen=True)
class ImageInputs:
    """What an image is made from.

    :param key: stands for all of it, and is all that is compared.
    :param inputs: those that are no files.
    """

    key: str
    inputs: tuple[Input, ...] = field(compare=False, repr=False)
    trees: tuple[InputTree, ...] = field(compare=False, repr=False)


@dataclass(frozen=True)
class ListedInputs:
    """What an image is made from, its files and the modules in its go.mod files among it."""

    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class ResultSource:
    """Where a result came from: a process that ran, or a cache. No part of the result's value.

    :param metadata: of the process; None where no process was asked (a hit in KOCACHE).
    """

    metadata: ProcessResultMetadata | None


@dataclass(frozen=True)
class CompileWavesRequest:
    """Ask for the `CompileWaves` of this run."""


@dataclass(frozen=True)
class CompileWaves:
    """The compiles of a run, in the order in which images asked for them.

    Those of all runs are equal: an image that has not changed is not made again for another run.

    :param run: the run.
    """

    run: RunId = field(compare=False)
    waves: Waves[GoExecutableRequest] = field(compare=False, repr=False)


@dataclass(frozen=True)
class CompileGateRequest:
    """Ask to wait until a wave of compiles may begin."""

    run: RunId
    wave: int
    waves: Waves[GoExecutableRequest] = field(compare=False, repr=False)


@dataclass(frozen=True)
class CompileGateOpened:
    """The wave may begin; for another run than the current one that is so at once."""


@dataclass(frozen=True)
class GoExecutable:
    """One file in a digest, what its head says, and what its layer is known by.

    :param digest: of all that its process wrote, if it was compiled: nobody needs a digest of the
        executable alone until its layer is made.
    :param path: of the file in `digest`.
    :param file_digest: `sha256:<hex>` of the file; `size` is in bytes.
    :param app_name: the name of the file in the image, in `/ko-app/`.
    :param compiled: it came straight from `go build`, so that its build id can be relied on.
    :param build_info: the file with what `go version -m` prints of the executable. None for a
        prebuilt file, which has to be read for that.
    :param request: what it was compiled for; None for a prebuilt file.
    """

    digest: Digest
    path: str
    file_digest: str
    size: int
    header: ExecutableHeader
    import_path: str
    app_name: str
    platform: Platform
    compiled: bool
    source: ResultSource = field(compare=False, default=ResultSource(None))
    build_info: FileEntry | None = None
    request: GoExecutableRequest | None = field(compare=False, default=None)

    @property
    def build_key(self) -> str:
        """What identifies its bytes in KOCACHE: the build id, or else the digest of the file."""
        return build_key(
            self.header.build_id if self.compiled else "", self.file_digest.partition(":")[2]
        )


@dataclass(frozen=True)
class LayerSettings:
    """What the rules need to find or make a layer, and what does not decide its bytes.

    :param python: `HostTools.python`: the version of Python that the layer process must have.
    :param worker_python: `HostTools.layer_python`.
    :param kocache: the directory of KOCACHE.
    :param trust_foreign: a descriptor of another producer in KOCACHE may be used.
    """

    python: str
    kocache: str
    trust_foreign: bool = False
    worker_python: WorkerPython | None = None


@dataclass(frozen=True)
class LayerRequest:
    """Ask for the layer of a content.

    :param platform: what `LayerContent.layer_platform` gives for the image's platform.
    """

    platform: Platform
    content: LayerContent
    encoding: LayerEncoding
    settings: LayerSettings


@dataclass(frozen=True)
class Layer:
    """diffID and descriptor (OCI family) of a layer; `LayerBlobRequest(request)` has the bytes."""

    request: LayerRequest
    diff_id: str
    descriptor: Descriptor
    source: ResultSource = field(compare=False, default=ResultSource(None))


@dataclass(frozen=True)
class LayerBlobRequest:
    """Ask for the bytes of a layer, whatever KOCACHE says of it.

    :param anew: no cache of Pants is asked, for what it has is lost; see `rules.lost_results`.
    """

    request: LayerRequest
    anew: bool = False


@dataclass(frozen=True)
class LayerBlob:
    """The bytes of a layer, as a digest of the one file `layer`."""

    digest: Digest
    diff_id: str
    descriptor: Descriptor
    source: ResultSource = field(compare=False, default=ResultSource(None))


@dataclass(frozen=True)
class BaseImageRequest:
    """Ask for a base image, reduced to the platforms that `wanted` matches.

    `platforms` empty means every platform of the base that Go can build for (`all`).

    :param digest: what a lock file says that the reference names; empty to ask the registry.
    """

    reference: str
    platforms: tuple[Platform, ...]
    digest: str = ""


@dataclass(frozen=True)
class ResolvedBase:
    """A `BaseImage` as a product."""

    base: BaseImage


@dataclass(frozen=True)
class KoYamlRequest:
    """Ask for the `.ko.yaml` that is in force."""


@dataclass(frozen=True)
class KoYaml:
    """What a `.ko.yaml` says, and ko's variables in the environment that stand for its keys.

    :param path: of the file, relative to the build root; empty if there is none.
    """

    path: str
    configuration: KoConfiguration


@dataclass(frozen=True)
class LockFileRequest:
    """Ask for the lock file of the `oci_base_image` at `address`.

    :param path: of the lock file, relative to the build root.
    """

    address: str
    path: str


@dataclass(frozen=True)
class LockFile:
    """A lock file as it is now.

    :param lock: None if it is missing or damaged.
    :param problem: then, what is wrong, and what to do.
    """

    lock: BaseLock | None
    problem: str = ""


@dataclass(frozen=True)
class YieldedFilesRequest:
    """Ask for the files that the target at `address` yields.

    :param owner: the target and the field that want them, for errors.
    """

    address: Address
    owner: str


@dataclass(frozen=True)
class YieldedFiles:
    """What a target packages, or else its sources.

    :param digest: its files, at their paths in the repo or below `dist/`.
    :param files: each of them by path, sorted. What a link leads to is in the place of the link.
    :param packages: the files and directories that it packages; None if these are sources.
    """

    digest: Digest
    files: tuple[tuple[str, FileEntry], ...]
    packages: tuple[str, ...] | None


@dataclass(frozen=True)
class PackedFiles:
    """What an `oci_files` target puts into an image.

    :param owner: its address.
    :param paths: of the files, in the image.
    :param directories: all that are above these, without `/`.
    """

    owner: str
    content: TreeContent
    paths: frozenset[str]
    directories: frozenset[str]


@dataclass(frozen=True)
class AddedLayer:
    """A layer that is added to the base, and its entry in the history of the image."""

    layer: Layer
    history: History


@dataclass(frozen=True)
class PlatformImage:
    """One platform of an image.

    :param executables: the programs in it; the first is the entrypoint.
    :param layers: on top of the base's, in their order.
    """

    platform: Platform
    executables: tuple[GoExecutable, ...]
    layers: tuple[AddedLayer, ...]


@dataclass(frozen=True)
class BuiltImage:
    """The image of a target: everything but the bytes of its layers.

    :param image: what `rules.image.compose` makes of the other fields.
    :param requests: those of its executables. An image that was compiled from other flags is
        another value, for it has another record, even if the executables are the same.
    """

    owner: str
    base: BaseImage
    config: ImageConfig
    platforms: tuple[PlatformImage, ...]
    image: Image
    requests: tuple[GoExecutableRequest | None, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every added layer, each once."""
        return tuple(dict.fromkeys(added.layer for p in self.platforms for added in p.layers))


@dataclass(frozen=True)
class ImageBlobsRequest:
    """Ask that the engine's store has every layer of an image.

    :param platforms: those that count; empty for all.
    """

    built: BuiltImage
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True)
class ImageBlobs:
    """It has; `built` is the image with its layers as they were made."""

    built: BuiltImage


@dataclass(frozen=True)
class ImageDocumentsRequest:
    """Ask for the files that `package` writes of each image.

    :param field_set: `without_names`.
    """

    field_set: GoOciImageFieldSet


@dataclass(frozen=True)
class ImageDocuments:
    """`image.json`, index, manifests and configs, below the output path of the target.

    :param image_digest: of the index or manifest, with `platforms` what `package` says of it.
    """

    digest: Digest
    image_digest: str
    platforms: str


@dataclass(frozen=True)
class WantedArtifacts:
    """What is made beside an image, as its target and the options say.

    :param sbom: formats, sorted: `cyclonedx`, `spdx`.
    :param builder_id: of provenance; `invocation_id` likewise, empty for none.
    """

    sbom: tuple[str, ...] = ()
    provenance: bool = False
    builder_id: str = ""
    invocation_id: str = ""

    def __bool__(self) -> bool:
        return bool(self.sbom) or self.provenance


@dataclass(frozen=True)
class ImageArtifactsRequest:
    """Ask for the SBOMs and the provenance of an image: for each platform, and for the index."""

    built: BuiltImage
    wanted: WantedArtifacts


@dataclass(frozen=True)
class ImageArtifacts:
    """These, in the order of the platforms; those of the index are last."""

    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True)
class PackagingRequest:
    """Ask what packages are made for in this run."""


@dataclass(frozen=True)
class Packaging:
    """What packages are made for.

    :param writes_files: their files may be written. False if they are only published: then nobody
        sees a file that `publish` does not look at.
    """

    writes_files: bool


@dataclass(frozen=True)
class RecordedImageRequest:
    """Ask for an image, and what it was made from.

    :param field_set: `without_names`.
    """

    field_set: GoOciImageFieldSet


@dataclass(frozen=True)
class RecordedImage:
    """An image, and what it was made from."""

    built: BuiltImage
    inputs: ImageInputs


@dataclass(frozen=True)
class PublishPlanRequest:
    """Ask what is to be published of the target at `address`."""

    address: Address


@dataclass(frozen=True)
class PublishPlan:
    """What a target publishes, and where to.

    :param field_set: what it was read from.
    :param place: what the record of its inputs is found by.
    """

    field_set: GoOciImageFieldSet
    built: BuiltImage
    destinations: tuple[Destination, ...]
    inputs: ImageInputs
    place: ImagePlace


@dataclass(frozen=True)
class QuestionsAnsweredRequest:
    """Ask to wait for answers to the images of a run that have come; their registries are asked.

    :param number: of the wait, counted up for each; images that come later begin another.
    """

    number: int


@dataclass(frozen=True)
class QuestionsAnswered:
    """Answers may have come; whose are missing yet waits again."""


@dataclass(frozen=True)
class PauseRequest:
    """Ask for a pause of this rule, in which the engine works on other targets.

    :param number: makes every pause a new one.
    :param until: when it ends (`time.monotonic`). A daemon begins a run with the pauses of the run
        before; these are over.
    """

    number: int
    until: float = 0.0


@dataclass(frozen=True)
class Paused:
    """The pause is over."""


@dataclass(frozen=True)
class UploadShownRequest(EngineAwareParameter):
    """Ask for a step that goes on as long as an image is uploaded, for Pants' user interface.

    :param number: makes each a new one.
    :param target: the address of the image.
    :param text: what the user reads.
    """

    number: int
    target: str
    text: str

    def debug_hint(self) -> str:
        """What Pants shows beside the name of the step."""
        return self.text


@dataclass(frozen=True)
class UploadShown:
    """The upload is over."""


@dataclass(frozen=True)
class ProgramPackageRequest:
    """Ask for the import path of the program of the `go_oci_image` at `address`.

    :param variables: the environment of `go build`.
    """

    address: Address
    variables: FrozenDict[str, str]


@dataclass(frozen=True)
class ProgramPackage:
    """The main package in an image.

    :param import_path: empty for a program that is not compiled from a main package of the repo,
        and where something is wrong with the target.
    :param modules: path and directory of the modules of the repo that its build can use.
    :param problem: what is wrong with the target.
    """

    address: Address
    import_path: str = ""
    modules: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class ImagePackagesRequest:
    """Ask which `go_oci_image` targets have which main package, of all targets of the repo."""

    variables: FrozenDict[str, str]


@dataclass(frozen=True)
class ImagePackages:
    """The main packages of all images, sorted by address."""

    packages: tuple[ProgramPackage, ...]

    @functools.cached_property
    def by_import_path(self) -> dict[str, list[Address]]:
        """The images of each import path."""
        found: dict[str, list[Address]] = {}
        for package in self.packages:
            if package.import_path:
                found.setdefault(package.import_path, []).append(package.address)
        return found


@dataclass(frozen=True)
class ManifestsRequest:
    """Ask for manifests with the images that they name.

    :param owner: what a user calls them, for errors.
    :param relative_to: the target that addresses such as `:image` are relative to.
    :param sources: the files.
    :param selector: a label selector; empty for all documents.
    """

    owner: str
    relative_to: Address
    sources: Digest
    selector: str = ""


@dataclass(frozen=True)
class Manifests:
    """Manifests, with the image of each reference; `files` are sorted by path."""

    owner: str
    files: tuple[ManifestFile, ...]
    images: FrozenDict[str, Address]


@dataclass(frozen=True)
class LossesRequest:
    """Ask for the `Losses` of this run."""


class Losses:
    """What the engine's store could not hand over in this run. Said once."""

    def __init__(self) -> None:
        self._said = False

    def is_first(self) -> bool:
        """True for the first loss of the run."""
        said, self._said = self._said, True
        return not said
