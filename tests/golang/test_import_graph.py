"""The closures of many main packages from one graph are those that a search finds for each.

The tests of `ClosureSearch` compare them too, for every tree that they have; see `trees.py`.
"""

from __future__ import annotations

from typing import Mapping

from golang.trees import PLATFORMS, Tree, run_search
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.closure import Closure
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.directory import GoDirectory, analyze_directory
from ko_pants.golang.import_graph import ImportGraph
from ko_pants.golang.import_path import import_path_of

MANY = 8


def graph_of(tree: Tree) -> ImportGraph:
    modules = tree.workspace("p0").module_set
    return ImportGraph(modules, BuildContext.of(PLATFORMS), tree.analyze)


def in_graph(graph: ImportGraph, tree: Tree, main: str) -> Closure | None:
    return graph.closure(main, import_path_of(main, tree.workspace(main)))


def searched(tree: Tree, main: str) -> Closure:
    return run_search(ClosureSearch(tree.workspace(main), main, PLATFORMS), tree.analyze)


def go_file(imports: list[str], embeds: bool = False) -> str:
    lines = [f'import _ "{path}"' for path in imports]
    lines += ['import _ "embed"', "//go:embed data", "var s string"] if embeds else []
    return "package main\n" + "\n".join(lines) + "\n"


@st.composite
def trees(draw: st.DrawFn) -> Mapping[str, str]:
    """Packages that import later ones, on some platforms; nested modules and packages outside."""
    files = {"go.mod": "module m\nrequire r.com/r v1.0.0\n"}
    for number in range(MANY):
        suffixes = draw(
            st.lists(st.sampled_from(("", "_linux", "_windows", "_arm64", "_test")), unique=True)
        )
        for suffix in suffixes:
            later = [f"m/p{n}" for n in range(number + 1, MANY)] + [f"m/p{MANY - 1}/sub/x"]
            imports = st.lists(st.sampled_from([*later, "fmt", "r.com/r/x"]), unique=True)
            files[f"p{number}/a{suffix}.go"] = go_file(draw(imports), draw(st.booleans()))
        if draw(st.booleans()):
            files[f"p{number}/data/x.txt"] = ""
        if draw(st.integers(0, 5)) == 0:
            files[f"p{number}/default.pgo"] = ""
    files[f"p{MANY - 1}/sub/x/x.go"] = go_file(["fmt"], embeds=True)
    for directory in (f"p{MANY - 1}/sub", f"p{MANY - 2}", f"p{MANY - 1}/data"):
        if draw(st.integers(0, 3)) == 0:
            files[f"{directory}/go.mod"] = "module other\n"
    return files


@given(trees(), st.permutations(range(MANY - 2)))
def test_each_closure_is_that_of_a_search(files: Mapping[str, str], mains: list[int]) -> None:
    tree = Tree(files)
    graph = graph_of(tree)
    for main in mains:
        assert in_graph(graph, tree, f"p{main}") == searched(tree, f"p{main}")


def test_each_directory_is_analyzed_once_for_all() -> None:
    files = {f"p{n}/a.go": go_file([f"m/p{m}" for m in range(n + 1, MANY)]) for n in range(MANY)}
    tree = Tree({"go.mod": "module m\n", **files})
    asked: list[str] = []
    modules = tree.workspace("p0").module_set

    def analyze(directory: str) -> GoDirectory:
        asked.append(directory)
        return tree.analyze(directory)

    graph = ImportGraph(modules, BuildContext.of(PLATFORMS), analyze)
    for main in range(MANY):
        assert in_graph(graph, tree, f"p{main}") == searched(tree, f"p{main}")
    assert sorted(asked) == [f"p{n}" for n in range(MANY)]


def test_packages_that_import_each_other_take_a_search() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "p0/a.go": go_file(["m/p1", "m/p3"]),
            "p1/a.go": go_file(["m/p2"]),
            "p2/a.go": go_file(["m/p1"]),
            "p3/a.go": go_file([]),
            "p4/a.go": go_file(["m/p4"]),
        }
    )
    graph = graph_of(tree)
    for _ in range(2):
        assert in_graph(graph, tree, "p0") is None
        assert in_graph(graph, tree, "p2") is None
        assert in_graph(graph, tree, "p4") is None
        assert in_graph(graph, tree, "p3") == searched(tree, "p3")


def test_assembly_that_includes_files_takes_a_search() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "p0/a.go": go_file(["m/p1"]),
            "p1/a.go": go_file([]),
            "p1/a.s": '#include "../shared.inc"\n',
            "p2/a.go": go_file([]),
        }
    )
    graph = graph_of(tree)
    assert in_graph(graph, tree, "p0") is None
    assert in_graph(graph, tree, "p2") == searched(tree, "p2")


def test_a_long_chain_of_imports() -> None:
    many = 1500  # more than Python's calls within calls
    modules = Tree({"go.mod": "module m\n", "p0/a.go": ""}).workspace("p0").module_set

    def analyze(directory: str) -> GoDirectory:
        number = int(directory[1:])
        imports = [f"m/p{number + 1}"] if number < many - 1 else []
        return analyze_directory(directory, {"a.go": go_file(imports).encode()})

    closure = ImportGraph(modules, BuildContext.of(PLATFORMS), analyze).closure("p0", "m/p0")
    assert closure is not None
    assert len(closure.directories) == many
