"""Processes of the go tool: the one place that knows what each kind of toolchain needs."""

from __future__ import annotations

from typing import Mapping

from pants.engine.fs import EMPTY_DIGEST, Digest
from pants.engine.process import FallibleProcessResult, Process
from pants.util.logging import LogLevel

from ko_pants.engine import run_process
from ko_pants.errors import KoPantsError
from ko_pants.golang import go_build
from ko_pants.golang.private_environment import FILE_VARIABLE
from ko_pants.golang.toolchain import LINKED
from ko_pants.products import GoTools
from ko_pants.rules.lost_results import scope_of
from ko_pants.rules.named_caches import GO_CACHES

# Where the named caches of a linked toolchain are absent or have another content. GOPATH is none of
# them: what a worker downloads with credentials of one user is not for another.
_CACHES = {"ko_pants_gocache": go_build.GO_CACHE}


def go_process(
    tools: GoTools,
    argv: tuple[str, ...],
    *,
    env: Mapping[str, str],
    description: str,
    input_digest: Digest = EMPTY_DIGEST,
    modules: Digest = EMPTY_DIGEST,
    output_files: tuple[str, ...] = (),
    output_directories: tuple[str, ...] = (),
    level: LogLevel = LogLevel.INFO,
    anew: bool = False,
) -> Process:
    """A process of `golang.go_build`.

    :param modules: the module cache, if the process is not to download modules.
    :param anew: no cache of Pants is asked.
    """
    toolchain = tools.toolchain
    caches = GO_CACHES
    inputs: dict[str, Digest] = {}
    if toolchain.source != LINKED:
        caches = _CACHES
        env = {name: value for name, value in env.items() if name != FILE_VARIABLE}
        env["PATH"] = ":".join(toolchain.search_path)
        if tools.goroot != EMPTY_DIGEST:
            inputs[go_build.GO_ROOT] = tools.goroot
        if modules != EMPTY_DIGEST:
            inputs[go_build.MODULES] = modules
    return Process(
        argv,
        input_digest=input_digest,
        immutable_input_digests=inputs,
        env=env,
        append_only_caches=caches,
        output_files=output_files,
        output_directories=output_directories,
        description=description,
        level=level,
        cache_scope=scope_of(anew),
    )


async def run_go(owner: str, tools: GoTools, process: Process) -> FallibleProcessResult:
    """Run it where `tools` says.

    :param owner: what a user calls the program, for errors.
    :raises KoPantsError: the worker has another Go than the one that is wanted.
    """
    result = await run_process(process, tools.execution)
    if result.exit_code == go_build.TOOLCHAIN_PROBLEM:
        raise KoPantsError(f"{owner}: {result.stderr.decode('utf-8', 'replace').strip()}")
    return result
