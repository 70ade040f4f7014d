"""From a main package or a prebuilt file to one executable, for one platform."""

from __future__ import annotations

import posixpath

from pants.base.build_root import BuildRoot
from pants.engine.fs import Digest, FileEntry
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import digest_entries, program_inputs, run_process
from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import inspect_executable
from ko_pants.golang.go_build import BUILD_INFO_PATH, head_argv
from ko_pants.golang.import_path import app_name
from ko_pants.golang.toolchain import level_problem
from ko_pants.process_log import note_compile
from ko_pants.products import (
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    PrebuiltFile,
    ResultSource,
)
from ko_pants.rules.go_compile import compile_package
from ko_pants.rules.program_inputs import inputs_request
from ko_pants.rules.single_file import single_file


async def _output_files(outputs: Digest) -> tuple[FileEntry, FileEntry]:
    """The executable, and the file `build-info`. No bytes are read."""
    files = [entry for entry in await digest_entries(outputs) if isinstance(entry, FileEntry)]
    (executable,) = (file for file in files if file.path != BUILD_INFO_PATH)
    (build_info,) = (file for file in files if file.path == BUILD_INFO_PATH)
    return executable, build_info


async def _compiled(request: GoExecutableRequest, build: GoBuild, root: str) -> GoExecutable:
    (inputs,) = await program_inputs([inputs_request(request)])
    problem = level_problem(request.go.toolchain.name if request.go else "", request.platform)
    if problem:
        raise KoPantsError(f"{build.owner}: {problem}")
    result = await compile_package(request, build, inputs, root)
    entry, build_info = await _output_files(result.output_digest)
    import_path = inputs.import_path
    header = inspect_executable(result.stdout)
    if build.package and header.format == "unknown":
        # Go writes an archive for a library.
        raise KoPantsError(f"{build.owner}: {import_path} is no program; expected `package main`")
    file_digest = f"sha256:{entry.file_digest.fingerprint}"
    note_compile(file_digest, result.metadata)
    return GoExecutable(
        digest=result.output_digest,
        path=entry.path,
        file_digest=file_digest,
        size=entry.file_digest.serialized_bytes_length,
        header=header,
        import_path=import_path,
        app_name=app_name(import_path),
        platform=request.platform,
        compiled=True,
        source=ResultSource(result.metadata),
        build_info=build_info,
        request=request,
    )


async def _head_of(prebuilt: PrebuiltFile) -> FallibleProcessResult:
    """Have a process print the head of a file.

    :raises KoPantsError: the file cannot be read.
    """
    result = await run_process(
        Process(
            head_argv(prebuilt.path),
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
    return result


async def _prebuilt(request: GoExecutableRequest, prebuilt: PrebuiltFile) -> GoExecutable:
    result = await _head_of(prebuilt)
    entry = await single_file(prebuilt.digest)
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


@rule(desc="Build Go executable", level=LogLevel.DEBUG)
async def go_executable(request: GoExecutableRequest, build_root: BuildRoot) -> GoExecutable:
    """Compile a main package, or inspect a prebuilt file.

    :raises KoPantsError: not a main package, a build that fails (Go's own message), or a prebuilt
        file that cannot be read. The text names the target and the field.
    """
    if request.prebuilt is not None:
        return await _prebuilt(request, request.prebuilt)
    assert request.build is not None
    return await _compiled(request, request.build, build_root.path)
