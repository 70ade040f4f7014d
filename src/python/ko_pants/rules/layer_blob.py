"""From a content to the bytes of its layer: the layer process."""

from __future__ import annotations

import dataclasses
import json
import re

from pants.engine.fs import CreateDigest, Digest, FileContent, PathGlobs
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import (
    create_digest,
    digest_subset,
    go_executables,
    losses_of_run,
    run_process,
)
from ko_pants.errors import KoPantsError
from ko_pants.layer_contents import LayerContent
from ko_pants.literal_globs import literal_glob
from ko_pants.oci.descriptor import Descriptor, sorted_pairs
from ko_pants.process_log import note_layer
from ko_pants.products import (
    LayerBlob,
    LayerBlobRequest,
    LossesRequest,
    ResultSource,
    WorkerPython,
)
from ko_pants.rules.lost_results import run_anew, say_lost
from ko_pants.rules.named_caches import PYTHON_CACHE_NAME
from ko_pants.rules.python_process import PYTHON_LINKS, TOOL
from ko_pants.rules.single_file import single_file

# $1: the Python of a worker, then its arguments.
_FIND_PYTHON = """\
command -v "$1" > /dev/null || {
  echo "the worker has no \\`$1\\` in $PATH: install it there, or name one of the same version in \\
[ko].worker_python" >&2
  exit 1
}
exec "$@"
"""

_tools: BoundedMemory[str, CreateDigest] = BoundedMemory(
    name="rules.layer_blob: tools",
    bound=8,
    holds="the files of the layer process by encoding: modules of this plugin and a compressor, "
    "which the daemon has loaded in this version, too",
)


def _tool(encoding: str) -> CreateDigest:
    """The files of the layer process; one object per daemon, so that they are hashed once."""
    found = _tools.get(encoding)
    if found is not None:
        return found
    from ko_pants.layers.tool_files import tool_files

    files = tool_files(encoding)
    return _tools.setdefault(
        encoding, CreateDigest(FileContent(path, content) for path, content in files.items())
    )


def python_argv(
    link: str, worker: WorkerPython | None, arguments: tuple[str, ...]
) -> tuple[str, ...]:
    """The arguments of a process of Python."""
    if worker is None or not worker.command:
        return (f"{PYTHON_LINKS}/{link}", *arguments)
    return ("/bin/sh", "-c", _FIND_PYTHON, "python", worker.command, *arguments)


def _explain(stderr: str, worker: WorkerPython) -> str:
    """What the layer process says of another Python, for one that is no link."""
    found = re.search(r"this is Python cp(\d)(\d+) in the place of cp(\d)(\d+)", stderr)
    if found is None:
        return stderr
    return (
        f"`{worker.command}` on the worker is Python {found[1]}.{found[2]}; expected "
        f"{found[3]}.{found[4]}, with which Pants runs, because the compressor is an extension "
        "module for that. Install it there, and name it in [ko].worker_python"
    )


async def _read_result(
    result: FallibleProcessResult, name: str, media_type: str, worker: WorkerPython | None
) -> LayerBlob:
    """The layer that the process wrote.

    :raises KoPantsError: the process failed; its own message.
    """
    if result.exit_code:
        stderr = result.stderr.decode("utf-8", "replace").strip()
        if worker is not None:
            stderr = _explain(stderr, worker)
        raise KoPantsError(f"the layer of {name} cannot be made: {stderr}")
    entry = await single_file(result.output_digest)
    written = json.loads(result.stdout)
    note_layer(written["diff_id"], result.metadata)
    descriptor = Descriptor(
        media_type,
        f"sha256:{entry.file_digest.fingerprint}",
        entry.file_digest.serialized_bytes_length,
        annotations=sorted_pairs(written["annotations"]),
    )
    return LayerBlob(
        result.output_digest, written["diff_id"], descriptor, ResultSource(result.metadata)
    )


async def _depend_on_compile(content: LayerContent) -> None:
    """Make a step of the engine depend on the compile of the executable that it reads.

    The compile has long been done. If a remote cache has lost both layer and executable, the engine
    runs the layer process again, misses the executable, and marks the compile as not done. But it
    does again only what a step depends on: without this it tried the layer process for ever.
    """
    if content.compiled_for is None:
        return
    try:
        await go_executables([content.compiled_for])
    except Exception:
        # An equal executable, compiled for another target, which does not compile any more.
        return


async def _input_of(content: LayerContent, files: Digest) -> Digest:
    """What the layer process gets of `content.inputs`, or of what was made in its place.

    No bytes are read. It is left to this step, which few runs come to.
    """
    if not content.only_file:
        return files
    return await digest_subset(files, PathGlobs([literal_glob(content.only_file)]))


async def _compiled_anew(content: LayerContent) -> Digest:
    """The input of the layer process, compiled again if that is how it was made."""
    files = content.inputs
    if content.compiled_for is not None:
        request = dataclasses.replace(content.compiled_for, anew=True)
        (executable,) = await go_executables([request])
        files = executable.digest
    return await _input_of(content, files)


async def _run_layer_process(
    request: LayerBlobRequest, process: Process, name: str
) -> FallibleProcessResult:
    """Run it, and if its input cannot be read, make that again.

    :param process: still without its input.
    :raises KoPantsError: the input is no result of ours, and is lost.
    """
    content, worker = request.request.content, request.request.settings.worker_python
    execution = None if worker is None else worker.execution
    if not request.anew:
        await _depend_on_compile(content)
        try:
            inputs = await _input_of(content, content.inputs)
            return await run_process(dataclasses.replace(process, input_digest=inputs), execution)
        except KoPantsError:
            raise
        except Exception as e:
            say_lost(await losses_of_run(LossesRequest()), e)
    inputs = await _compiled_anew(content)
    try:
        return await run_process(
            run_anew(dataclasses.replace(process, input_digest=inputs)), execution
        )
    except Exception as e:
        lost = " ".join(str(e).split())
    raise KoPantsError(
        f"the layer of {name} cannot be made: Pants cannot read the files that go into it: {lost}. "
        "If a process of another backend made them, and Pants has left them on a remote cache, run "
        "again when the cache is back, or once without it: --no-local-cache --no-remote-cache-read"
    )


@rule(desc="Make layer", level=LogLevel.DEBUG)
async def make_layer(request: LayerBlobRequest) -> LayerBlob:
    """Run the layer process.

    The tool travels as input files, and Python is reached through a named cache. So the cache key
    is the same on every machine with the same operating system, CPU, Python and compressor.

    :raises KoPantsError: the process failed; its own message.
    """
    from ko_pants.layers.tool_files import ENTRY_POINT

    layer = request.request
    content, encoding = layer.content, layer.encoding
    name = content.name(layer.platform)
    spec = {
        "content": content.spec(),
        "os": layer.platform.os,
        "python": layer.settings.python,
        **encoding.tool_spec(),
        "output": "layer",
    }
    tool = await create_digest(_tool(encoding.name))
    worker = layer.settings.worker_python
    arguments = ("-I", "-S", f"{TOOL}/{ENTRY_POINT}", json.dumps(spec, sort_keys=True))
    is_linked = worker is None or not worker.command
    process = Process(
        python_argv(layer.settings.python, worker, arguments),
        immutable_input_digests={TOOL: tool},
        env={"PATH": ":".join(worker.search_path)} if worker and worker.command else {},
        append_only_caches={PYTHON_CACHE_NAME: PYTHON_LINKS} if is_linked else {},
        output_files=("layer",),
        description=f"Make layer of {name}{content.large}",
        level=LogLevel.INFO,
    )
    result = await _run_layer_process(request, process, name)
    return await _read_result(result, name, encoding.media_type, worker)
