"""Files of an image as a directory or as a tar, whose blobs are in the engine's store already."""

from __future__ import annotations

import posixpath
from typing import Sequence

from pants.engine.fs import CreateDigest, Digest, FileContent, FileDigest, FileEntry

from ko_pants.engine import create_digest, host_tools, run_process_here
from ko_pants.errors import KoPantsError
from ko_pants.oci.archives import ImageFile
from ko_pants.products import HostToolsRequest
from ko_pants.rules.python_process import tool_digest, tool_process


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
    result = await run_process_here(
        tool_process(
            tools.python,
            await tool_digest("oci/archive_tool.py"),
            ("archive_tool.py", path, *(file.path for file in files)),
            input_digest=await write_image_files(files),
            output_files=(path,),
            description=f"Write {posixpath.basename(path)} of {owner}",
        )
    )
    if result.exit_code:
        raise KoPantsError(
            f"{owner}: {path} cannot be written: "
            + result.stderr.decode("utf-8", "replace").strip()
        )
    return result.output_digest
