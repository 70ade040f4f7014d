"""From a main package's third-party imports to the part of go.mod and go.sum that its build reads.

An update of a dependency changes the go.mod of all programs of a module. The part of those that do
not use it stays equal, and the engine stops there.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from pants.engine.fs import EMPTY_DIGEST, CreateDigest, Digest, FileContent, MergeDigests
from pants.engine.rules import rule

from ko_pants.engine import (
    create_digest,
    digest_contents,
    go_modules,
    merge_digests,
    relocate,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import build_environment
from ko_pants.golang.go_build import DOWNLOADED, download_argv, list_argv
from ko_pants.golang.go_errors import explain_go_errors
from ko_pants.golang.go_mod import parse_go_mod
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.golang.needed_modules import (
    can_be_reduced,
    reduce_go_mod,
    reduce_go_sum,
    with_replacements,
)
from ko_pants.golang.toolchain import LINKED, Toolchain
from ko_pants.local_execution import local_execution
from ko_pants.products import GoModulesRequest, GoTools, ModuleFiles, ModuleFilesRequest
from ko_pants.rules.go_process import go_process, run_go
from ko_pants.rules.hidden_files import with_hidden
from ko_pants.rules.repo_files import digest_of_files

# go.mod and go.sum are used as they are.
_UNREDUCED = ModuleFiles()


async def _files(request: ModuleFilesRequest, paths: tuple[str, ...]) -> Digest:
    """Module files as a digest, those that exist."""
    hidden = {file.path: file for file in request.hidden if file.path in paths}
    visible = await digest_of_files(tuple(path for path in paths if path not in hidden))
    return await with_hidden(visible, hidden.values())


@dataclass(frozen=True)
class _Listed:
    """What Go says of the imports of a closure.

    :param providers: the modules that provide the imports and what these import.
    :param modules: a module cache with them; empty where processes download modules themselves.
    """

    providers: frozenset[str] = frozenset()
    modules: Digest = EMPTY_DIGEST


def _downloader(request: ModuleFilesRequest) -> GoTools | None:
    """What downloads modules for processes that cannot; None where these can.

    :raises KoPantsError: there is none.
    """
    go = request.go
    if go.toolchain.source == LINKED:
        return None
    if go.problem:
        raise KoPantsError(
            f"{request.import_path} needs modules, which [ko].module_downloads says to download on "
            f"this machine: {go.problem}. Or set the option to `worker`"
        )
    if not go.downloader:
        return go
    return GoTools(Toolchain(go.downloader), execution=local_execution())


async def _list(request: ModuleFilesRequest) -> _Listed | None:
    """Ask Go for the modules of the imports; None if it cannot tell.

    :raises KoPantsError: it cannot tell, and there is another process that needs the modules.
    """
    if not request.imports:
        return _Listed()
    workspace = request.workspace
    sources = await _files(request, (*workspace.files, *workspace.optional_files))
    downloader = _downloader(request)
    make_argv = list_argv if downloader is None else download_argv
    go = downloader or request.go
    found: set[str] = set()
    trees: set[Digest] = set()
    for platform in request.platforms:
        argv = make_argv(
            go.toolchain, workspace.main_module.directory, request.tags, request.imports
        )
        process = go_process(
            go,
            argv,
            input_digest=sources,
            env=build_environment(platform, request.environment, {}),
            output_directories=() if downloader is None else (DOWNLOADED,),
            description=f"Find the modules of {request.import_path} for {platform}",
        )
        result = await run_go(request.import_path, go, process)
        if result.exit_code and downloader is None:
            return None
        if result.exit_code:
            text = explain_go_errors(result.stderr.decode("utf-8", "replace").strip())
            raise KoPantsError(
                f"the modules of {request.import_path} cannot be downloaded:\n{text}"
            )
        found.update(result.stdout.decode().split())
        if downloader is not None:
            trees.add(await relocate(result.output_digest, DOWNLOADED))
    modules = EMPTY_DIGEST
    if trees:
        modules = await merge_digests(MergeDigests(sorted(trees, key=lambda d: d.fingerprint)))
    return _Listed(frozenset(found), modules)


def _is_vendored(request: ModuleFilesRequest) -> bool:
    return request.workspace.vendor is not None or request.mod == "vendor"


@rule
async def find_module_files(request: ModuleFilesRequest) -> ModuleFiles:
    """go.mod and go.sum with only the needed modules, or nothing if all of both has to be used.

    :raises KoPantsError: a malformed go.mod.
    """
    directory = request.workspace.main_module.directory
    names = set(module_file_paths([directory]))
    hidden = tuple(file for file in request.hidden if file.path in names)
    (modules,) = await go_modules([GoModulesRequest((directory,), hidden)])
    path, sum_path = (posixpath.join(directory, name) for name in ("go.mod", "go.sum"))
    content = dict(modules.files)[path]
    go_mod = parse_go_mod(content, path)
    reducible = can_be_reduced(request.workspace, go_mod, request.mod)
    if not reducible and (request.go.toolchain.source == LINKED or _is_vendored(request)):
        return _UNREDUCED
    listed = await _list(request)
    if listed is None:
        return _UNREDUCED
    unreduced = ModuleFiles(modules=listed.modules)
    if not reducible:
        return unreduced
    needed = with_replacements(
        listed.providers.union(m.path for m in request.workspace.modules if not m.main), go_mod
    )
    reduced = reduce_go_mod(content, path, needed)
    if reduced is None:
        return unreduced
    sums = await digest_contents(await _files(request, (sum_path,)))
    files = [FileContent(path, reduced)]
    files += [FileContent(sum_path, reduce_go_sum(found.content, needed)) for found in sums]
    return ModuleFiles((path, sum_path), await create_digest(CreateDigest(files)), listed.modules)
