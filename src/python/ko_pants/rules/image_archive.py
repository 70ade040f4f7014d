"""Files of an image as a directory or as a tar, whose blobs are in the engine's store already."""

from __future__ import annotations

import pkgutil
import posixpath
from typing import Sequence

from pants.engine.fs import CreateDigest, Digest, FileContent, FileDigest, FileEntry
from pants.engine.process import Process
from pants.util.logging import LogLevel

from ko_pants.engine import create_digest, host_tools, run_process_here
from ko_pants.errors import KoPantsError
from ko_pants.oci.archives import ImageFile
from ko_pants.products import HostToolsRequest
from ko_pants.rules.named_caches import PYTHON_CACHE_NAME

_PYTHON_LINKS = ".ko_pants/python"
_TOOL = ".ko_pants/tool"


async def write_image_files(files: Sequence[ImageFile], directory: str = "") -> Digest:
    """The files, below a directory."""
    return await create_digest(
        CreateDigest(
            FileContent(posixpath.join(directory, file.path), file.content)
            if file.blob is None
            else FileEntry(
                posixpath.join(directory, file.path),
                FileDigest(file.blob.digest.partition(":")[2], file.blob.size),
            )
            for file in files
        )
    )


async def write_archive(owner: str, path: str, files: Sequence[ImageFile]) -> Digest:
    """A tar of the files at `path`. The same files give the same bytes.

    :raises KoPantsError: it cannot be written; the text names `owner`.
    """
    tools = await host_tools(HostToolsRequest(python_only=True))
    content = pkgutil.get_data("ko_pants", "oci/archive_tool.py") or b""
    tool = await create_digest(CreateDigest([FileContent("archive_tool.py", content)]))
    inputs = await write_image_files(files)
    result = await run_process_here(
        Process(
            (
                f"{_PYTHON_LINKS}/{tools.python}",
                *("-I", "-S", f"{_TOOL}/archive_tool.py", path),
                *(file.path for file in files),
            ),
            input_digest=inputs,
            immutable_input_digests={_TOOL: tool},
            append_only_caches={PYTHON_CACHE_NAME: _PYTHON_LINKS},
            output_files=(path,),
            output_directories=(),
            description=f"Write {posixpath.basename(path)} of {owner}",
            level=LogLevel.INFO,
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{owner}: {path} cannot be written: "
            + result.stderr.decode("utf-8", "replace").strip()
        )
    return result.output_digest
