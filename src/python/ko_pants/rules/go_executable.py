"""Compiles a main package for one platform, or takes a prebuilt file.

The process's input is the first-party closure, nothing else of the repo, and of go.mod and go.sum
what it reads; its cache key has the toolchain's identity, not its path. Its standard output is the
head of the executable: build id and headers come along with a cached result, the file itself stays
in the store.
"""

from __future__ import annotations

import posixpath

from pants.engine.fs import Digest, FileEntry, MergeDigests, PathGlobs
from pants.engine.process import Process
from pants.engine.rules import collect_rules, rule
from pants.util.frozendict import FrozenDict
from pants.util.logging import LogLevel

from ko_pants.engine import (
    analysed_directories,
    digest_entries,
    digest_of_globs,
    go_closure,
    merge_digests,
    module_files,
    run_process,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang import go_build
from ko_pants.golang.closure import missing_imports
from ko_pants.golang.directory import main_package_problem
from ko_pants.golang.executable import inspect_executable
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoBuild,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoExecutable,
    GoExecutableRequest,
    ModuleFiles,
    ModuleFilesRequest,
    PrebuiltFile,
    ResultSource,
)
from ko_pants.rules.host_tools import GO_CACHES

# A third-party module that imports the repo's own packages is rare, a chain of them rarer; so are
# modules that only some architectures need.
_MAX_TRIES = 7


def closure_request(request: GoExecutableRequest) -> GoClosureRequest:
    """The closure of a request's main package for all platforms of its image."""
    build = request.build
    assert build is not None
    env = {**request.environment, **dict(build.env)}
    settings = go_build.build_settings(build.flags, env)
    return GoClosureRequest(
        build.directory,
        request.platforms,
        tags=settings.tags,
        mod=settings.mod,
        use_go_work=settings.use_go_work,
    )


def _module_files_request(
    request: GoExecutableRequest,
    wanted: GoClosureRequest,
    closure: GoClosure,
    listed: tuple[Platform, ...],
) -> ModuleFilesRequest:
    build = request.build
    assert build is not None
    return ModuleFilesRequest(
        closure.closure.import_path,
        closure.workspace,
        closure.closure.third_party,
        listed,
        wanted.tags,
        wanted.mod,
        request.go,
        FrozenDict({**request.environment, **dict(build.env)}),
    )


def _found_all_packages(stderr: str) -> bool:
    """True if Go came as far as compiling (`# <package>`), so that no module was missing."""
    return any(line.startswith("# ") for line in stderr.splitlines())


async def _compile(
    request: GoExecutableRequest,
    build: GoBuild,
    wanted: GoClosureRequest,
    closure: GoClosure,
) -> GoExecutable:
    platform = request.platform
    name = app_name(closure.closure.import_path)
    if platform.os == "windows":
        name += ".exe"
    module = closure.workspace.main_module.directory
    package = posixpath.relpath(build.directory or ".", module or ".")
    flags = build.flags
    if build.ldflags:
        flags += (f"-ldflags={' '.join(build.ldflags)}",)
    # Whose modules are in go.mod: those of a platform of each system, of this platform, all.
    systems = {p.os: p for p in reversed(request.platforms)}
    widening = iter((tuple(systems[name] for name in sorted(systems)), (platform,), ()))
    listed = next(widening)
    for _ in range(_MAX_TRIES):
        part = ModuleFiles()
        if listed:
            part = await module_files(_module_files_request(request, wanted, closure, listed))
        sources = await digest_of_globs(
            PathGlobs([path for path in closure.files if path not in part.paths])
        )
        if part.paths:
            sources = await merge_digests(MergeDigests([sources, part.digest]))
        result = await run_process(
            Process(
                go_build.build_argv(
                    request.go,
                    module or ".",
                    package if package == "." else f"./{package}",
                    name,
                    flags,
                    reduced=bool(part.paths),
                ),
                input_digest=sources,
                env=go_build.build_environment(platform, request.environment, dict(build.env)),
                append_only_caches=GO_CACHES,
                output_files=(f"{go_build.OUTPUT_DIRECTORY}/{name}",),
                description=f"Compile {closure.closure.import_path} for {platform}",
                level=LogLevel.INFO,
            )
        )
        if result.stdout:
            break
        stderr = result.stderr.decode("utf-8", "replace").strip()
        extra = missing_imports(stderr, closure.workspace, closure.closure)
        extra = tuple(path for path in extra if path not in wanted.extra_imports)
        if extra:
            wanted = _with_extra(wanted, extra)
            closure = await go_closure(wanted)
        elif part.paths and not result.exit_code:
            listed = next(widening)
        elif part.paths and not _found_all_packages(stderr):
            listed = ()
        else:
            raise KoPantsError(
                f"{build.owner}: `go build` failed for {platform} in "
                f"{build.directory or 'the build root'}:\n{stderr}"
            )
    else:
        raise KoPantsError(f"{build.owner}: `go build` failed for {platform}:\n{stderr}")
    entry = await one_file(result.output_digest)
    return GoExecutable(
        digest=result.output_digest,
        path=entry.path,
        file_digest=f"sha256:{entry.file_digest.fingerprint}",
        size=entry.file_digest.serialized_bytes_length,
        header=inspect_executable(result.stdout),
        import_path=closure.closure.import_path,
        app_name=app_name(closure.closure.import_path),
        platform=platform,
        compiled=True,
        source=ResultSource(result.metadata),
    )


async def _prebuilt(request: GoExecutableRequest, prebuilt: PrebuiltFile) -> GoExecutable:
    result = await run_process(
        Process(
            ("/bin/sh", "-c", go_build.HEAD_SCRIPT, "head", prebuilt.path),
            input_digest=prebuilt.digest,
            env={"PATH": "/usr/bin:/bin"},
            description=f"Inspect {prebuilt.path}",
            level=LogLevel.DEBUG,
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{prebuilt.owner}: {prebuilt.path} cannot be read: "
            + result.stderr.decode("utf-8", "replace").strip()
        )
    entry = await one_file(prebuilt.digest)
    return GoExecutable(
        digest=prebuilt.digest,
        path=entry.path,
        file_digest=f"sha256:{entry.file_digest.fingerprint}",
        size=entry.file_digest.serialized_bytes_length,
        header=inspect_executable(result.stdout),
        import_path=prebuilt.path,
        app_name=posixpath.basename(prebuilt.path),
        platform=request.platform,
        compiled=False,
        source=ResultSource(result.metadata),
    )


async def one_file(digest: Digest) -> FileEntry:
    """The one file of a digest; its own digest and size without its bytes."""
    entries = await digest_entries(digest)
    (entry,) = (e for e in entries if isinstance(e, FileEntry))
    return entry


def _with_extra(request: GoClosureRequest, extra: tuple[str, ...]) -> GoClosureRequest:
    import dataclasses

    return dataclasses.replace(request, extra_imports=(*request.extra_imports, *extra))


def app_name(import_path: str) -> str:
    """The file name in `/ko-app/`: the last element of the import path, as in ko."""
    return posixpath.basename(import_path) or "ko-app"


@rule(desc="Build Go executable", level=LogLevel.DEBUG)
async def go_executable(request: GoExecutableRequest) -> GoExecutable:
    """Yield one executable.

    :raises KoPantsError: not a main package, or Go's own message; a prebuilt file that is
        not there. The text names target and field.
    """
    if request.prebuilt is not None:
        return await _prebuilt(request, request.prebuilt)
    build = request.build
    assert build is not None
    wanted = closure_request(request)
    try:
        closure = await go_closure(wanted)
    except KoPantsError as e:
        raise KoPantsError(f"{build.owner}: {e}") from None
    (analysed,) = await analysed_directories([GoDirectoryRequest(build.directory)])
    problem = main_package_problem(analysed.directory, request.platforms, wanted.tags)
    if problem:
        raise KoPantsError(f"{build.owner}: {problem}")
    return await _compile(request, build, wanted, closure)


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
