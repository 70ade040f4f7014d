"""The closure of a main package for its dependencies, read from the disk itself.

It has the files of `complete_closure`, also those that Pants ignores. No file of it is stored, and
the engine has no node for its directories. A compile does not use it: what that reads, Pants has
to know as well.
"""

from __future__ import annotations

from typing import Dict, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.disk.answers import ask, last_change
from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.build_flags import profile_path
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.disk_questions import FilesOf, ModuleFilesOf, ModulesOf, PackageHeads
from ko_pants.golang.import_graph import ImportGraph
from ko_pants.golang.import_path import import_path_of
from ko_pants.golang.input_views import Embedded, NamedFiles
from ko_pants.golang.repo_paths import parents
from ko_pants.golang.workspace import ModuleSet, Workspace, module_set_directory, workspace_in
from ko_pants.products import GoClosure, GoClosureRequest
from ko_pants.rules.complete_closure import check_profile
from ko_pants.rules.go_closure import with_profile

_Graphs = Dict[Tuple[ModuleSet, BuildContext], ImportGraph]
_graphs: BoundedMemory[str, tuple[str, _Graphs]] = BoundedMemory(
    name="rules.disk_closure: import graphs",
    bound=16,
    holds="the closures of packages, by the repo's root, as long as no file says anything else",
)


def closure_on_disk(request: GoClosureRequest, root: str) -> GoClosure:
    """The closure as `complete_closure` finds it. The caller has asked for `disk_look`.

    :param root: the build root.
    :raises KoPantsError: see `complete_closure`.
    """
    workspace = _workspace(request, root)
    closure = _closure(request, workspace, root)
    if request.profile:
        path = profile_path(request.profile, workspace.main_module.directory)
        check_profile(request, workspace, ask(root, FilesOf(NamedFiles((path,)))))
        closure = with_profile(closure, path)
    embedded = {path for e in closure.embeds for path in ask(root, FilesOf(Embedded(e)))}
    return GoClosure(closure, workspace, embedded=tuple(sorted(embedded)))


def _workspace(request: GoClosureRequest, root: str) -> Workspace:
    above: dict[str, bytes] = {}
    for directory in parents(request.directory):
        above.update(ask(root, ModuleFilesOf(directory)))
    directory = module_set_directory(request.directory, above, use_go_work=request.use_go_work)
    modules = ask(root, ModulesOf(directory, request.mod, request.use_go_work))
    return workspace_in(modules, request.directory, above)


def _closure(request: GoClosureRequest, workspace: Workspace, root: str) -> Closure:
    """The closure from the graph that all images with these modules share, else from a search."""
    context = BuildContext.of(request.platforms, request.tags)
    graph = _graph(root, workspace.module_set, context)
    import_path = import_path_of(request.directory, workspace)
    return graph.closure(request.directory, import_path) or _search(request, workspace, root)


def _graph(root: str, modules: ModuleSet, context: BuildContext) -> ImportGraph:
    change = last_change(root)
    known = _graphs.get(root)
    if known is None or known[0] != change:
        known = (change, {})
        _graphs.put(root, known)
    graph = known[1].get((modules, context))
    if graph is None:
        graph = ImportGraph(modules, context, lambda path: ask(root, PackageHeads(path)))
        # Rules run in several threads, and all of them shall use one.
        graph = known[1].setdefault((modules, context), graph)
    return graph


def _search(request: GoClosureRequest, workspace: Workspace, root: str) -> Closure:
    search = ClosureSearch(workspace, request.directory, request.platforms, request.tags)
    wanted = search.start()
    while wanted:
        wanted = search.step({path: ask(root, PackageHeads(path)) for path in wanted})
    return search.finish()
