"""From a main package to its first-party closure, without running Go.

The third step after `go_sources`: a search over analysed directories and module files. An edit of
one file re-analyses one directory; images and platforms cost nothing.
"""

from __future__ import annotations

from pants.engine.fs import PathGlobs
from pants.engine.rules import collect_rules, rule

from ko_pants.engine import analysed_directories, go_modules, paths_of_globs
from ko_pants.golang.closure import ClosureSearch
from ko_pants.golang.modules import find_workspace
from ko_pants.products import GoClosure, GoClosureRequest, GoDirectoryRequest, GoModulesRequest


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
