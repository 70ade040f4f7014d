"""From a main package's third-party imports to the part of go.mod and go.sum that its build reads.

An update of a dependency changes the go.mod of all programs of a module. The part of those that do
not use it stays equal, and the engine stops there.
"""

from __future__ import annotations

import posixpath

from pants.engine.fs import CreateDigest, Digest, FileContent
from pants.engine.process import Process
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import create_digest, digest_contents, go_modules, run_process
from ko_pants.golang.build_environment import build_environment
from ko_pants.golang.go_build import list_argv
from ko_pants.golang.go_mod import parse_go_mod
from ko_pants.golang.module_directories import module_file_paths
from ko_pants.golang.needed_modules import (
    can_be_reduced,
    reduce_go_mod,
    reduce_go_sum,
    with_replacements,
)
from ko_pants.products import GoModulesRequest, ModuleFiles, ModuleFilesRequest
from ko_pants.rules.hidden_files import with_hidden
from ko_pants.rules.host_tools import GO_CACHES
from ko_pants.rules.repo_files import digest_of_files

# go.mod and go.sum are used as they are.
_UNREDUCED = ModuleFiles()


async def _files(request: ModuleFilesRequest, paths: tuple[str, ...]) -> Digest:
    """Module files as a digest, those that exist."""
    hidden = {file.path: file for file in request.hidden if file.path in paths}
    visible = await digest_of_files(tuple(path for path in paths if path not in hidden))
    return await with_hidden(visible, hidden.values())


async def _providers(request: ModuleFilesRequest) -> frozenset[str] | None:
    """The modules that provide the imports and what these import; None if Go cannot tell."""
    if not request.imports:
        return frozenset()
    workspace = request.workspace
    sources = await _files(request, (*workspace.files, *workspace.optional_files))
    found: set[str] = set()
    for platform in request.platforms:
        result = await run_process(
            Process(
                list_argv(
                    request.go, workspace.main_module.directory, request.tags, request.imports
                ),
                input_digest=sources,
                env=build_environment(platform, request.environment, {}),
                append_only_caches=GO_CACHES,
                description=f"Find the modules of {request.import_path} for {platform}",
                level=LogLevel.INFO,
            )
        )
        if result.exit_code:
            return None
        found.update(result.stdout.decode().split())
    return frozenset(found)


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
    if not can_be_reduced(request.workspace, go_mod, request.mod):
        return _UNREDUCED
    providers = await _providers(request)
    if providers is None:
        return _UNREDUCED
    needed = with_replacements(
        providers.union(m.path for m in request.workspace.modules if not m.main), go_mod
    )
    reduced = reduce_go_mod(content, path, needed)
    if reduced is None:
        return _UNREDUCED
    sums = await digest_contents(await _files(request, (sum_path,)))
    files = [FileContent(path, reduced)]
    files += [FileContent(sum_path, reduce_go_sum(found.content, needed)) for found in sums]
    return ModuleFiles((path, sum_path), await create_digest(CreateDigest(files)))
