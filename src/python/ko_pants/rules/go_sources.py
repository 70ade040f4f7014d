"""From the repo's files to the first-party closure of a main package, without running Go.

Three steps, each stopping the engine where its result is equal: a directory's analysis (equal after
an edit of function bodies), the module files of the repo, the search over both. An edit of one file
re-analyses one directory; images and platforms cost nothing.
"""

from __future__ import annotations

import posixpath

from pants.engine.fs import PathGlobs
from pants.engine.rules import collect_rules, rule

from ko_pants.engine import (
    analysed_directories,
    digest_contents,
    digest_of_globs,
    go_modules,
    paths_of_globs,
)
from ko_pants.golang.closure import ClosureSearch
from ko_pants.golang.directory import CONTENT_GLOBS, NAME_GLOBS, analyze_directory
from ko_pants.golang.modules import find_workspace
from ko_pants.products import (
    AnalysedDirectory,
    GoClosure,
    GoClosureRequest,
    GoDirectoryRequest,
    GoModules,
    GoModulesRequest,
)


@rule
async def analyse_go_directory(request: GoDirectoryRequest) -> AnalysedDirectory:
    """Read the heads of one directory's Go files. A missing directory has none."""
    contents = await digest_contents(
        await digest_of_globs(
            PathGlobs([posixpath.join(request.path, glob) for glob in CONTENT_GLOBS])
        )
    )
    names = await paths_of_globs(
        PathGlobs([posixpath.join(request.path, glob) for glob in NAME_GLOBS])
    )
    return AnalysedDirectory(
        analyze_directory(
            request.path,
            {posixpath.basename(file.path): file.content for file in contents},
            [posixpath.basename(path) for path in names.files],
        )
    )


@rule
async def find_go_modules(request: GoModulesRequest) -> GoModules:
    """Every go.mod, go.work and vendor/modules.txt of the repo."""
    contents = await digest_contents(
        await digest_of_globs(
            PathGlobs(["**/go.mod", "**/go.work", "**/vendor/modules.txt"]),
        )
    )
    return GoModules(tuple(sorted((file.path, file.content) for file in contents)))


@rule
async def find_go_closure(request: GoClosureRequest) -> GoClosure:
    """Search the import graph from a main package, breadth first.

    :raises KoPantsError: no module, or a malformed go.mod.
    """
    modules = await go_modules(GoModulesRequest())
    workspace = find_workspace(
        request.directory,
        dict(modules.files),
        mod=request.mod,
        use_go_work=request.use_go_work,
    )
    search = ClosureSearch(
        workspace,
        request.directory,
        request.platforms,
        request.tags,
        extra_imports=request.extra_imports,
    )
    wanted = search.start()
    while wanted:
        analysed = await analysed_directories(GoDirectoryRequest(path) for path in wanted)
        wanted = search.step({a.directory.path: a.directory for a in analysed})
    closure = search.finish()
    embedded: tuple[str, ...] = ()
    if closure.embeds:
        found = await paths_of_globs(PathGlobs(closure.embed_globs()))
        embedded = tuple(path for path in found.files if closure.is_embedded(path))
    return GoClosure(closure, workspace, embedded)


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
