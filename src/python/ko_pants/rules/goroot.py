"""From a target to a Go toolchain as files, for processes that have it as an input."""

from __future__ import annotations

from pants.engine.addresses import UnparsedAddressInputs
from pants.engine.fs import Digest, PathGlobs
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import (
    digest_contents,
    digest_subset,
    relocate,
    run_process_here,
    targets_of,
    yielded_files,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.toolchain import meets_minimum, parse_version
from ko_pants.literal_globs import literal_glob
from ko_pants.products import Goroot, GorootRequest, YieldedFiles, YieldedFilesRequest
from ko_pants.rules.python_process import tool_digest, tool_process

_OPTION = "option [ko].goroot"
_OUT = ".ko_pants/goroot"
_COMMAND = "bin/go"


async def _files_of(address: str) -> YieldedFiles:
    targets = await targets_of(
        UnparsedAddressInputs([address], owning_address=None, description_of_origin=_OPTION)
    )
    if len(targets) != 1:
        raise KoPantsError(f"{_OPTION}: expected one target, found {len(targets)} in {address!r}")
    try:
        (files,) = await yielded_files([YieldedFilesRequest(targets[0].address, _OPTION)])
    except KoPantsError:
        raise
    except Exception as e:
        # A server that does not answer, or a file with another digest than the target says.
        said = " ".join(str(e).split())
        raise KoPantsError(f"{_OPTION}, {address}: cannot be had: {said}") from None
    return files


async def _unpack(request: GorootRequest, path: str, archive: Digest) -> Digest:
    """The GOROOT in an archive.

    :raises KoPantsError: it has none.
    """
    result = await run_process_here(
        tool_process(
            request.python,
            await tool_digest("golang/goroot_tool.py"),
            ("goroot_tool.py", path, _OUT),
            input_digest=archive,
            output_directories=(_OUT,),
            description=f"Unpack {path}",
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{_OPTION}, {request.address}: {path} cannot be unpacked: "
            + result.stderr.decode("utf-8", "replace").strip()
        )
    return await relocate(result.output_digest, _OUT)


async def _tree(request: GorootRequest, files: YieldedFiles) -> Digest:
    """The GOROOT among the files of a target.

    :raises KoPantsError: there is none.
    """
    paths = {path for path, _ in files.files}
    roots = [
        path[: -len(_COMMAND)]
        for path in sorted(paths, key=len)
        if f"/{path}".endswith(f"/{_COMMAND}") and path[: -len(_COMMAND)] + "VERSION" in paths
    ]
    if not roots:
        raise KoPantsError(
            f"{_OPTION}, {request.address}: found {len(paths)} files and no GOROOT among them; "
            "expected VERSION, bin/go and what belongs to them, or an archive with these"
        )
    root = roots[0].rstrip("/")
    if not root:
        return files.digest
    found = await digest_subset(files.digest, PathGlobs([f"{literal_glob(root)}/**"]))
    return await relocate(found, root)


@rule(desc="Find Go toolchain", level=LogLevel.DEBUG)
async def find_goroot(request: GorootRequest) -> Goroot:
    """The toolchain, unpacked, and its version.

    :raises KoPantsError: the target has none, or one that is too old.
    """
    files = await _files_of(request.address)
    paths = [path for path, _ in files.files]
    if len(paths) == 1:
        tree = await _unpack(request, paths[0], files.digest)
    else:
        tree = await _tree(request, files)
    (version_file,) = await digest_contents(await digest_subset(tree, PathGlobs(["VERSION"])))
    text = version_file.content.decode("utf-8", "replace").split("\n")[0].strip()
    version = parse_version(text)
    if version is None or not meets_minimum(version):
        raise KoPantsError(
            f"{_OPTION}, {request.address}: found {text or 'no version'}; expected Go 1.21 or newer"
        )
    return Goroot(tree, f"go{'.'.join(map(str, version))}")
