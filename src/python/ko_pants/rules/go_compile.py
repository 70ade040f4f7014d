"""Compiles a main package for one platform with `go build`.

The input of the process is the first-party closure, nothing else of the repo, and of go.mod and
go.sum the part that the build reads. Its cache key has the identity of the toolchain, not its path.
Its standard output is the head of the executable, so that build id and headers come with a cached
result and the executable itself stays in the store. Its build info is an output file of its own,
for the same reason.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
from dataclasses import dataclass

from pants.engine.fs import EMPTY_DIGEST, Digest, MergeDigests
from pants.engine.process import FallibleProcessResult
from pants.util.frozendict import FrozenDict

from ko_pants.disk.disk import HiddenFile
from ko_pants.engine import merge_digests, module_files
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import build_environment
from ko_pants.golang.closure import missing_imports
from ko_pants.golang.go_build import BUILD_INFO_PATH, OUTPUT_DIRECTORY, build_argv
from ko_pants.golang.go_errors import explain_go_errors
from ko_pants.golang.import_path import app_name
from ko_pants.golang.toolchain import LINKED
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BuildClosure,
    BuildClosureRequest,
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoExecutableRequest,
    ModuleFiles,
    ModuleFilesRequest,
    ProgramInputs,
)
from ko_pants.rules.complete_closure import complete_closure
from ko_pants.rules.go_process import go_process, run_go
from ko_pants.rules.hidden_files import with_hidden
from ko_pants.rules.repo_files import digest_of_files

# Third-party modules that import packages of the repo are rare, and chains of them rarer. So are
# modules that only some architectures need.
_MAX_TRIES = 7


@dataclass(frozen=True)
class _Attempt:
    """What one try is given.

    :param platforms: those whose modules are in go.mod; none if go.mod is used as it is.
    """

    closure_request: GoClosureRequest
    closure: GoClosure
    platforms: tuple[Platform, ...]


def _first_attempt(request: GoExecutableRequest, found: BuildClosure) -> _Attempt:
    if _embeds_module_files(found.closure):
        return _Attempt(found.request, found.closure, ())
    # Few modules depend on the architecture, so one platform of each operating system will do.
    systems = {platform.os: platform for platform in reversed(request.platforms)}
    return _Attempt(found.request, found.closure, tuple(systems[os] for os in sorted(systems)))


def _embeds_module_files(closure: GoClosure) -> bool:
    """True if the program has go.mod or go.sum as they are in it, so that no part will do."""
    directory = closure.workspace.main_module.directory
    return any(posixpath.join(directory, name) in closure.embedded for name in ("go.mod", "go.sum"))


async def _module_part(
    request: GoExecutableRequest, build: GoBuild, attempt: _Attempt
) -> ModuleFiles:
    """The part of go.mod and go.sum that the try is given; none if it gets all of them."""
    assert request.go is not None
    linked = request.go.toolchain.source == LINKED
    if not attempt.platforms and linked:
        return ModuleFiles()
    part = await module_files(
        ModuleFilesRequest(
            attempt.closure.closure.import_path,
            attempt.closure.workspace,
            attempt.closure.closure.third_party,
            attempt.platforms or (request.platform,),
            attempt.closure_request.tags,
            attempt.closure_request.mod,
            request.go,
            FrozenDict({**request.environment, **dict(build.env)}),
            _hidden_module_files(attempt.closure),
        )
    )
    return part if attempt.platforms else ModuleFiles(modules=part.modules)


def _hidden_module_files(closure: GoClosure) -> tuple[HiddenFile, ...]:
    workspace = closure.workspace
    paths = {*workspace.files, *workspace.optional_files}
    return tuple(file for file in closure.hidden if file.path in paths)


async def _sources(closure: GoClosure, part: ModuleFiles) -> Digest:
    hidden = {file.path: file for file in closure.hidden if file.path not in part.paths}
    left_out = {*part.paths, *hidden}
    sources = await digest_of_files(path for path in closure.files if path not in left_out)
    sources = await with_hidden(sources, hidden.values())
    if not part.paths:
        return sources
    return await merge_digests(MergeDigests([sources, part.digest]))


def _output_name(import_path: str, platform: Platform) -> str:
    return app_name(import_path) + (".exe" if platform.os == "windows" else "")


@functools.lru_cache(maxsize=4096)
def relative_package(directory: str, module: str) -> str:
    """A directory as Go names a package of it when it runs in the directory of the module."""
    package = posixpath.relpath(directory or ".", module or ".")
    return package if package == "." else f"./{package}"


def _may_lack_modules(request: GoExecutableRequest, attempt: _Attempt, part: ModuleFiles) -> bool:
    """True if all of go.mod is there, and only the modules of some platforms."""
    has_modules = not part.paths and part.modules != EMPTY_DIGEST
    return has_modules and attempt.platforms not in ((), (request.platform,))


async def _run_go_build(
    request: GoExecutableRequest,
    build: GoBuild,
    attempt: _Attempt,
    part: ModuleFiles,
    sources: Digest,
) -> FallibleProcessResult:
    closure = attempt.closure
    may_lack_modules = bool(part.paths) or _may_lack_modules(request, attempt, part)
    import_path = closure.closure.import_path
    name = _output_name(import_path, request.platform)
    module = closure.workspace.main_module.directory
    package = build.package or relative_package(build.directory, module)
    flags = build.flags
    if build.ldflags:
        flags += (f"-ldflags={' '.join(build.ldflags)}",)
    assert request.go is not None
    argv = build_argv(
        request.go.toolchain, module or ".", package, name, flags, reduced=may_lack_modules
    )
    process = go_process(
        request.go,
        argv,
        input_digest=sources,
        modules=part.modules,
        env=build_environment(request.platform, request.environment, dict(build.env)),
        output_files=(BUILD_INFO_PATH, f"{OUTPUT_DIRECTORY}/{name}"),
        description=f"Compile {import_path} for {request.platform}",
        anew=request.anew,
    )
    return await run_go(build.owner, request.go, process)


def _found_all_packages(stderr: str) -> bool:
    """True if Go came as far as compiling (`# <package>`), so that no module was missing."""
    return any(line.startswith("# ") for line in stderr.splitlines())


def _with_missing_packages(attempt: _Attempt, stderr: str) -> GoClosureRequest | None:
    """The request for a closure with the packages that Go did not find; None if it found all."""
    request = attempt.closure_request
    missing = missing_imports(stderr, attempt.closure.workspace, attempt.closure.closure)
    extra = tuple(path for path in missing if path not in request.extra_imports)
    if not extra:
        return None
    return dataclasses.replace(request, extra_imports=(*request.extra_imports, *extra))


def _platforms_of_next_try(
    attempt: _Attempt, platform: Platform, failed: bool, stderr: str
) -> tuple[Platform, ...] | None:
    """Whose modules go.mod is to have after a try with a part of it; None if more do not help.

    :param failed: False if Go said that go.mod lacks a module.
    """
    if failed:
        return None if _found_all_packages(stderr) else ()
    return () if attempt.platforms == (platform,) else (platform,)


async def _next_attempt(
    request: GoExecutableRequest,
    attempt: _Attempt,
    part: ModuleFiles,
    result: FallibleProcessResult,
    root: str,
) -> _Attempt | None:
    """What to try after a failure; None if the program itself is at fault."""
    stderr = _stderr(result)
    # A package of another module has no closure in the repo.
    tool = request.build is not None and request.build.package
    closure_request = None if tool else _with_missing_packages(attempt, stderr)
    if closure_request is not None:
        return _Attempt(*await complete_closure(closure_request, root), attempt.platforms)
    if not part.paths:
        if not _may_lack_modules(request, attempt, part):
            return None
        return dataclasses.replace(attempt, platforms=(request.platform,))
    failed = bool(result.exit_code)
    platforms = _platforms_of_next_try(attempt, request.platform, failed, stderr)
    return None if platforms is None else dataclasses.replace(attempt, platforms=platforms)


def _stderr(result: FallibleProcessResult) -> str:
    return result.stderr.decode("utf-8", "replace").strip()


async def compile_sources(
    request: GoExecutableRequest, build: GoBuild, found: BuildClosure
) -> tuple[ModuleFiles, Digest]:
    """What the first try of `compile_package` gets: modules, and files of the repo.

    Nothing is compiled.

    :raises KoPantsError: a malformed go.mod, or modules that cannot be downloaded.
    """
    part = await _module_part(request, build, _first_attempt(request, found))
    return part, await _sources(found.closure, part)


@dataclass(frozen=True)
class Compilation:
    """The last try of a compile: what it was given, and what `go build` said.

    :param closure: what is compiled.
    :param modules: a module cache, for a process that downloads nothing.
    :param sources: the closure as files, with the part of go.mod and go.sum that was enough.
    """

    result: FallibleProcessResult
    closure: GoClosure
    sources: Digest
    modules: Digest

    @property
    def succeeded(self) -> bool:
        """True if there is an executable, whose head the process has printed."""
        return bool(self.result.stdout)

    @property
    def errors(self) -> str:
        """What Go says is wrong; see `explain`."""
        return self.explain(self.result)

    def explain(self, result: FallibleProcessResult) -> str:
        """What Go says on standard error, with paths relative to the build root."""
        module = self.closure.workspace.main_module.directory
        return explain_go_errors(_stderr(result), module, frozenset(self.closure.files))


async def _first_module_part(
    request: GoExecutableRequest, build: GoBuild, attempt: _Attempt, inputs: ProgramInputs
) -> ModuleFiles:
    """That of `inputs`, unless it has the modules of another platform alone."""
    assert request.go is not None
    if attempt.platforms or request.go.toolchain.source == LINKED:
        return inputs.module_files
    return await _module_part(request, build, attempt)


async def try_to_compile(
    request: GoExecutableRequest, build: GoBuild, inputs: ProgramInputs, root: str
) -> Compilation:
    """Run `go build`, and again if Go asks for a package or module that was not in its input.

    :param inputs: what the first try gets, found once for all platforms.
    :param root: the build root.
    """
    attempt = _first_attempt(request, inputs.found)
    part = await _first_module_part(request, build, attempt, inputs)
    sources = inputs.sources
    for left in reversed(range(_MAX_TRIES)):
        result = await _run_go_build(request, build, attempt, part, sources)
        compilation = Compilation(result, attempt.closure, sources, part.modules)
        if compilation.succeeded or not left:
            break
        following = await _next_attempt(request, attempt, part, result, root)
        if following is None:
            break
        attempt = following
        part = await _module_part(request, build, attempt)
        sources = await _sources(attempt.closure, part)
    return compilation


def closure_of(request: GoExecutableRequest) -> BuildClosureRequest:
    """The request that a compile makes for its closure."""
    assert request.build is not None
    return BuildClosureRequest(
        dataclasses.replace(request.build, ldflags=(), environment=""),
        request.platforms,
        request.environment,
        request.hidden,
    )


async def compile_package(
    request: GoExecutableRequest, build: GoBuild, inputs: ProgramInputs, root: str
) -> FallibleProcessResult:
    """Compile a main package.

    :param inputs: as of `try_to_compile`, like `root`.
    :raises KoPantsError: the build failed; Go's own message.
    """
    compilation = await try_to_compile(request, build, inputs, root)
    if compilation.succeeded:
        return compilation.result
    raise KoPantsError(
        f"{build.owner}: `go build` failed for {request.platform} in "
        f"{build.directory or 'the build root'}:\n{compilation.errors}"
    )
