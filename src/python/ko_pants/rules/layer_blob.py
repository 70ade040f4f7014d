"""From a content to the bytes of its layer: the layer process."""

from __future__ import annotations

import json

from pants.engine.fs import CreateDigest, FileContent
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import create_digest, run_process
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor, sorted_pairs
from ko_pants.process_log import note_layer
from ko_pants.products import LayerBlob, LayerBlobRequest, ResultSource
from ko_pants.rules.host_tools import PYTHON_CACHE_NAME
from ko_pants.rules.single_file import single_file

_PYTHON_LINKS = ".ko_pants/python"
_TOOL = ".ko_pants/tool"

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


async def _read_result(result: FallibleProcessResult, name: str, media_type: str) -> LayerBlob:
    """The layer that the process wrote.

    :raises KoPantsError: the process failed; its own message.
    """
    if result.exit_code:
        stderr = result.stderr.decode("utf-8", "replace").strip()
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
    result = await run_process(
        Process(
            (
                f"{_PYTHON_LINKS}/{layer.settings.python}",
                "-I",
                "-S",
                f"{_TOOL}/{ENTRY_POINT}",
                json.dumps(spec, sort_keys=True),
            ),
            input_digest=content.inputs,
            immutable_input_digests={_TOOL: tool},
            append_only_caches={PYTHON_CACHE_NAME: _PYTHON_LINKS},
            output_files=("layer",),
            description=f"Make layer of {name}",
            level=LogLevel.INFO,
        )
    )
    return await _read_result(result, name, encoding.media_type)
