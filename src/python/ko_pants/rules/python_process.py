"""Processes of Python that run one module of this plugin, which travels as an input file."""

from __future__ import annotations

import pkgutil
import posixpath

from pants.engine.fs import CreateDigest, Digest, FileContent
from pants.engine.process import Process
from pants.util.logging import LogLevel

from ko_pants.engine import create_digest
from ko_pants.rules.named_caches import PYTHON_CACHE_NAME

#: Where a process finds the links to Python, and the files of its tool.
PYTHON_LINKS = ".ko_pants/python"
TOOL = ".ko_pants/tool"


async def tool_digest(module: str) -> Digest:
    """One module of this plugin as the files of a tool.

    :param module: its path in the package, such as `oci/archive_tool.py`. It needs the standard
        library only.
    """
    content = pkgutil.get_data("ko_pants", module) or b""
    return await create_digest(CreateDigest([FileContent(posixpath.basename(module), content)]))


def tool_process(
    python: str,
    tool: Digest,
    argv: tuple[str, ...],
    *,
    input_digest: Digest,
    description: str,
    output_files: tuple[str, ...] = (),
    output_directories: tuple[str, ...] = (),
    level: LogLevel = LogLevel.INFO,
) -> Process:
    """Run a tool.

    :param python: the name of a link to Python.
    :param argv: name of the tool's file, then its arguments.
    """
    return Process(
        (f"{PYTHON_LINKS}/{python}", "-I", "-S", f"{TOOL}/{argv[0]}", *argv[1:]),
        input_digest=input_digest,
        immutable_input_digests={TOOL: tool},
        append_only_caches={PYTHON_CACHE_NAME: PYTHON_LINKS},
        output_files=output_files,
        output_directories=output_directories,
        description=description,
        level=level,
    )
