"""From executables to their build info, for SBOMs and provenance.

A compile has written it to a small file, so that the executable itself stays in the store, or in a
remote cache. A prebuilt file is read by a process, once for its content.
"""

from __future__ import annotations

import dataclasses
from typing import Collection, Sequence

from pants.engine.fs import CreateDigest, Digest, FileDigest, FileEntry
from pants.engine.process import Process
from pants.util.logging import LogLevel

from ko_pants.engine import (
    create_digest,
    digest_contents,
    go_executables,
    host_tools,
    losses_of_run,
    run_processes_here,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_info import BuildInfo, parse_build_info
from ko_pants.products import GoExecutable, HostToolsRequest, LossesRequest
from ko_pants.rules.lost_results import say_lost
from ko_pants.rules.python_process import tool_digest, tool_process


def _read_process(executable: GoExecutable, python: str, tool: Digest) -> Process:
    return tool_process(
        python,
        tool,
        ("build_info_tool.py", executable.path),
        input_digest=executable.digest,
        description=f"Read build info of {executable.path}",
        level=LogLevel.DEBUG,
    )


async def _read_printed(executables: Sequence[GoExecutable]) -> dict[Digest | FileDigest, bytes]:
    """The bytes of the files that compiles have written; compiled again if they are lost."""
    files = {e.build_info.file_digest for e in executables if e.build_info is not None}
    if not files:
        return {}
    try:
        return await _contents(files)
    except Exception as e:
        say_lost(await losses_of_run(LossesRequest()), e)
    requests = [e.request for e in executables if e.request is not None]
    anew = await go_executables(dataclasses.replace(r, anew=True) for r in requests)
    return await _contents({e.build_info.file_digest for e in anew if e.build_info is not None})


async def _contents(files: Collection[FileDigest]) -> dict[Digest | FileDigest, bytes]:
    names = {file.fingerprint: file for file in files}
    digest = await create_digest(CreateDigest(FileEntry(n, names[n]) for n in sorted(names)))
    return {names[file.path]: file.content for file in await digest_contents(digest)}


async def _read_files(executables: Sequence[GoExecutable]) -> tuple[bytes, ...]:
    """What `go version -m` prints of each, read from the executables themselves.

    :raises KoPantsError: one of them cannot be read.
    """
    tools = await host_tools(HostToolsRequest(python_only=True))
    tool = await tool_digest("golang/build_info_tool.py")
    results = await run_processes_here(_read_process(e, tools.python, tool) for e in executables)
    for executable, result in zip(executables, results):
        if result.exit_code:
            raise KoPantsError(
                f"the build info of {executable.path} cannot be read: "
                + result.stderr.decode("utf-8", "replace").strip()
            )
    return tuple(result.stdout for result in results)


async def build_infos(executables: Sequence[GoExecutable]) -> tuple[BuildInfo | None, ...]:
    """The build info of each executable; None for one that has none.

    Of executables with one content, one is asked for. Nothing is read of those that were compiled
    but what their compiles have printed. It looks at the machine if one is prebuilt, so ask for it
    only where it is wanted.

    :raises KoPantsError: a prebuilt file cannot be read; the text names it.
    """
    prebuilt = {e.digest: e for e in executables if e.build_info is None}
    texts = await _read_printed(executables)
    if prebuilt:
        texts.update(zip(prebuilt, await _read_files(tuple(prebuilt.values()))))
    infos = {
        digest: parse_build_info(text.decode("utf-8", "replace")) for digest, text in texts.items()
    }
    return tuple(
        infos[e.digest if e.build_info is None else e.build_info.file_digest] for e in executables
    )
