from __future__ import annotations

import pytest
from golang.trees import Tree

from ko_pants.errors import KoPantsError
from ko_pants.golang.import_path import (
    app_name,
    candidate_directories,
    has_prefix,
    import_path_of,
)


@pytest.mark.parametrize(
    ("import_path", "module", "expected"),
    [
        ("m", "m", True),
        ("m/a", "m", True),
        ("ma", "m", False),
        ("m", "m/a", False),
        ("example.com/m/v2/x", "example.com/m", True),
    ],
)
def test_has_prefix(import_path: str, module: str, expected: bool) -> None:
    assert has_prefix(import_path, module) is expected


def test_import_path_of() -> None:
    tree = Tree({"a/go.mod": "module example.com/a\n", "a/b/go.mod": "module x\n"})
    assert import_path_of("a", tree.workspace("a")) == "example.com/a"
    assert import_path_of("a/Xc/dX", tree.workspace("a")) == "example.com/a/Xc/dX"
    for outside in ("b", "a/b/c", "ab"):
        with pytest.raises(KoPantsError) as error:
            import_path_of(outside, tree.workspace("a"))
        assert str(error.value) == f"{outside} is in no module of the workspace"


def test_import_path_of_the_repos_root() -> None:
    assert import_path_of("", Tree({"go.mod": "module m\n"}).workspace("")) == "m"
    assert import_path_of("a/b", Tree({"go.mod": "module m\n"}).workspace("")) == "m/a/b"
    with pytest.raises(KoPantsError, match=r"^\. is in no module"):
        import_path_of("", Tree({"a/go.mod": "module m\n"}).workspace("a"))


def test_the_import_path_is_that_of_the_innermost_module() -> None:
    files = {
        "go.work": "go 1.22\nuse .\nuse ./inner\n",
        "go.mod": "module example.com/a/long/path\n",
        "inner/go.mod": "module short\n",
    }
    workspace = Tree(files).workspace("")
    assert import_path_of("inner", workspace) == "short"
    assert import_path_of("outer", workspace) == "example.com/a/long/path/outer"


NESTED = {
    "go.work": "go 1.22\nuse .\nuse ./staging/api\nuse ./staging/api/tools\n",
    "go.mod": "module k.io/k\n",
    "staging/api/go.mod": "module k.io/api\n",
    "staging/api/tools/go.mod": "module tools\n",
    "staging/api/unused/go.mod": "module unused\n",
}


@pytest.mark.parametrize(
    ("directory", "import_path"),
    [
        ("", "k.io/k"),
        ("staging", "k.io/k/staging"),
        ("staging/apix/cmd", "k.io/k/staging/apix/cmd"),
        ("staging/api", "k.io/api"),
        ("staging/api/cmd/x", "k.io/api/cmd/x"),
        ("staging/api/tools", "tools"),
        ("staging/api/tools/cmd", "tools/cmd"),
    ],
)
def test_modules_within_modules_of_a_workspace(directory: str, import_path: str) -> None:
    workspace = Tree(NESTED).workspace(directory)
    assert import_path_of(directory, workspace) == import_path
    for outside in ("staging/api/unused", "staging/api/unused/cmd"):
        with pytest.raises(KoPantsError, match=f"^{outside} is in no module"):
            import_path_of(outside, workspace)


def test_the_import_path_is_that_of_the_main_module() -> None:
    files = {
        "go.mod": "module m\nrequire a.com/replaced v1.0.0\nreplace a.com/replaced => ./\n",
    }
    assert import_path_of("x", Tree(files).workspace("x")) == "m/x"


def test_candidates_stop_at_nested_modules() -> None:
    workspace = Tree({"go.mod": "module m\n", "n/go.mod": "module x\n"}).workspace("")
    assert candidate_directories("m/a", workspace) == ["a"]
    assert candidate_directories("m/a/n", workspace) == ["a/n"]
    assert candidate_directories("m", workspace) == [""]
    assert candidate_directories("m/n", workspace) == []
    assert candidate_directories("m/n/a", workspace) == []
    assert candidate_directories("mm/a", workspace) == []
    assert candidate_directories("m/n/a", workspace, boundaries=()) == ["n/a"]


def test_a_doubled_slash_leads_to_no_absolute_path() -> None:
    workspace = Tree({"go.mod": "module m\n"}).workspace("")
    assert candidate_directories("m//x", workspace) == []


def test_every_module_whose_path_is_a_prefix_is_a_candidate() -> None:
    files = {
        "go.work": "go 1.22\nuse ./a\nuse ./b\n",
        "a/go.mod": "module m\n",
        "b/go.mod": "module m/x\n",
        "b/nested/go.mod": "module nested\n",
    }
    workspace = Tree(files).workspace("a")
    assert candidate_directories("m/y", workspace) == ["a/y"]
    assert candidate_directories("m/x/nested/y", workspace) == ["a/x/nested/y"]
    assert candidate_directories("m/x/y", workspace) == ["b/y", "a/x/y"]
    assert candidate_directories("m/x", workspace) == ["b", "a/x"]


@pytest.mark.parametrize(
    ("import_path", "name"),
    [
        ("example.com/m/cmd/app", "app"),
        ("m", "m"),
        # As ko does, also for major versions.
        ("example.com/m/v2", "v2"),
        ("", "ko-app"),
    ],
)
def test_app_name(import_path: str, name: str) -> None:
    assert app_name(import_path) == name
