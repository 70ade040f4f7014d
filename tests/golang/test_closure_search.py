"""Which files a main package is built from."""

from __future__ import annotations

import pytest
from golang.trees import PLATFORMS, Tree

from ko_pants.errors import KoPantsError
from ko_pants.golang.closure_search import ClosureSearch
from ko_pants.golang.embed import EmbedFilter
from ko_pants.oci.platform import Platform

LINUX = [Platform("linux", "amd64")]

MONOREPO = {
    "go.mod": "module example.com/mono\ngo 1.21\nrequire github.com/third/party v1.0.0\n",
    "go.sum": "",
    "README.md": "",
    "cmd/app/main.go": 'package main\nimport (\n"fmt"\n"example.com/mono/internal/a"\n)\n',
    "cmd/app/main_test.go": 'package main\nimport "example.com/mono/testonly"\n',
    "cmd/app/default.pgo": "profile",
    "cmd/other/main.go": 'package main\nimport "example.com/mono/internal/a"\n',
    "internal/a/a.go": 'package a\nimport "example.com/mono/internal/b"\n',
    "internal/a/a_windows.go": 'package a\nimport "example.com/mono/internal/win"\n',
    "internal/a/default.pgo": "not of a program",
    "internal/b/b.go": 'package b\nimport _ "embed"\n//go:embed data/*.txt\nvar s string\n'
    'import_ "no"\n',
    "internal/b/data/one.txt": "1",
    "internal/b/data/two.md": "2",
    "internal/b/asm_arm64.s": '#include "textflag.h"\n#include "../shared.inc"\n',
    "internal/b/b.h": "",
    "internal/shared.inc": "",
    "internal/win/win.go": 'package win\nimport "github.com/third/party/sub"\n',
    "testonly/t.go": "package testonly\n",
}


def paths(tree: Tree, directory: str, platforms: list[Platform]) -> set[str]:
    return set(tree.closed(tree.closure(directory, platforms)))


def test_what_is_reached_and_nothing_else() -> None:
    assert paths(Tree(MONOREPO), "cmd/app", LINUX) == {
        *("go.mod", "go.sum", "cmd/app/main.go", "cmd/app/default.pgo", "internal/a/a.go"),
        *("internal/b/b.go", "internal/b/b.h", "internal/b/data/one.txt"),
    }


def test_platforms_add_up() -> None:
    tree = Tree(MONOREPO)
    windows = [Platform("windows", "amd64")]
    arm = [Platform("linux", "arm64")]
    assert paths(tree, "cmd/app", arm) - paths(tree, "cmd/app", LINUX) == {
        *("internal/b/asm_arm64.s", "internal/shared.inc"),
    }
    assert paths(tree, "cmd/app", windows) - paths(tree, "cmd/app", LINUX) == {
        *("internal/a/a_windows.go", "internal/win/win.go"),
    }
    union = set().union(*(paths(tree, "cmd/app", p) for p in (LINUX, windows, arm)))
    assert paths(tree, "cmd/app", [*LINUX, *windows, *arm]) == union


def test_a_file_counts_only_where_its_package_is_reached() -> None:
    """A package that only windows imports brings no linux file along."""
    tree = Tree(
        {
            "go.mod": "module m\ngo 1.21\n",
            "main.go": "package main\n",
            "main_windows.go": 'package main\nimport "m/w"\n',
            "main_linux.go": 'package main\nimport "m/late"\n',
            "w/w_linux.go": "package w\n",
            "w/w_windows.go": 'package w\nimport "m/late"\n',
            "late/late_windows.go": 'package late\nimport "m/last"\n',
            "late/late_linux.go": "package late\n",
            "last/last.go": "package last\n",
            "last/last_linux.go": "package last\n",
        }
    )
    both = [Platform("linux", "amd64"), Platform("windows", "amd64")]
    unused = {"w/w_linux.go", "last/last_linux.go"}
    assert paths(tree, "", both) == set(tree.files) - unused


def test_platforms_of_an_import_add_up_over_the_files_of_a_package() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "a_windows.go": 'package main\nimport "m/x"\n',
            "b_linux.go": 'package main\nimport "m/x"\n',
            "x/x_linux.go": "package x\n",
            "x/x_windows.go": "package x\n",
        }
    )
    assert paths(tree, "", [Platform("linux", "amd64"), Platform("windows", "amd64")]) == set(
        tree.files
    )


def test_imports_for_platforms_that_do_not_reach_the_package_do_not_count() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "main.go": "package main\n",
            "main_windows.go": 'package main\nimport "m/w"\n',
            "w/w_linux.go": 'package w\nimport "example.com/linux"\n',
            "w/w_windows.go": 'package w\nimport ("example.com/windows"; "m/z")\n',
            "z/z.go": "package z\n",
        }
    )
    closure = tree.closure("", [Platform("linux", "amd64"), Platform("windows", "amd64")])
    assert closure.third_party == ("example.com/windows",)
    assert closure.directories == ("", "w", "z")


def test_no_directory_is_wanted_twice() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "main.go": 'package main\nimport "m/a"\n',
            "main_windows.go": 'package main\nimport "m/b"\n',
            "a/a_linux.go": 'package a\nimport "m/b"\n',
            "b/b.go": 'package b\nimport "m/a"\nimport "m/c"\n',
            "c/c_linux.go": 'package c\nimport "m/a"\n',
            "c/c_windows.go": 'package c\nimport "m/b"\n',
        }
    )
    search = ClosureSearch(tree.workspace(""), "", PLATFORMS)
    wanted = list(search.start())
    seen = list(wanted)
    while wanted:
        wanted = list(search.step({path: tree.analyze(path) for path in wanted}))
        seen += wanted
    assert sorted(seen) == ["", "a", "b", "c"]


def test_what_the_closure_says() -> None:
    closure = Tree(MONOREPO).closure("cmd/app")
    assert closure.import_path == "example.com/mono/cmd/app"
    assert closure.third_party == ("github.com/third/party/sub",)
    assert closure.directories == ("cmd/app", "internal/a", "internal/b", "internal/win")
    assert closure.directory == "cmd/app"
    assert closure.embeds == (EmbedFilter("internal/b", ("data/*.txt",)),)
    assert closure.optional_files == ("go.sum", "internal/b/textflag.h", "internal/shared.inc")
    assert list(closure.files) == sorted(set(closure.files))


def test_user_tags() -> None:
    files = {
        **MONOREPO,
        "cmd/app/debug.go": "//go:build debug\n\npackage main\n"
        'import "example.com/mono/testonly"\n',
    }
    tree = Tree(files)
    assert "testonly/t.go" not in tree.closed(tree.closure("cmd/app"))
    assert "testonly/t.go" in tree.closed(tree.closure("cmd/app", tags=["debug"]))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("internal/b/b.go", MONOREPO["internal/b/b.go"] + "func F() { println(2) }\n"),
        ("cmd/app/main_test.go", 'package main\nimport "example.com/mono/cmd/other"\n'),
        ("README.md", "more"),
        ("cmd/other/main.go", "package main\n"),
        ("cmd/app/ignored.go", '//go:build ignore\n\npackage main\nimport "m"\n'),
        ("unrelated/go.mod", "malformed"),
    ],
)
def test_edits_that_leave_the_closure_equal(path: str, content: str) -> None:
    before = Tree(MONOREPO).closure("cmd/app")
    after = Tree({**MONOREPO, path: content}).closure("cmd/app")
    assert before == after
    assert hash(before) == hash(after)


def test_a_package_that_is_excluded_altogether_is_left_for_go_to_report() -> None:
    tree = Tree(
        {
            "go.mod": "module m\ngo 1.21\n",
            "main.go": 'package main\nimport "m/x"\n',
            "x/x_windows.go": 'package x\nimport "m/y"\n',
            "y/y.go": "package y\n",
        }
    )
    assert paths(tree, "", LINUX) == {"go.mod", "main.go", "x/x_windows.go"}


def test_nested_modules_are_others() -> None:
    tree = Tree(
        {
            "go.mod": "module m\ngo 1.21\n",
            "main.go": 'package main\nimport "m/nested/x"\nimport "m/nestedx"\n',
            "nested/go.mod": "module m/nested\n",
            "nested/x/x.go": "package x\n",
            "nestedx/x.go": "package x\n",
        }
    )
    assert paths(tree, "", LINUX) == {"go.mod", "main.go", "nestedx/x.go"}


def test_the_longest_module_and_every_other_that_has_the_package() -> None:
    """Go reports an ambiguous import, for which it has to see both."""
    tree = Tree(
        {
            "app/go.mod": "module example.com/m\ngo 1.21\nrequire example.com/m/sub v1.0.0\n"
            "replace example.com/m/sub => ../sub\n",
            "app/main.go": "package main\n"
            'import "example.com/m/sub/x"\nimport "example.com/m/sub/y"\n',
            "app/sub/x/x.go": "package x\n",
            "sub/go.mod": "module anything\n",
            "sub/x/x.go": "package x\n",
            "sub/y/y.go": "package y\n",
        }
    )
    assert paths(tree, "app", LINUX) == set(tree.files)


def test_module_paths_without_a_dot() -> None:
    tree = Tree(
        {
            "go.mod": "module mono\ngo 1.21\n",
            "main.go": 'package main\nimport (\n"fmt"\n"mono/a"\n"monolith/b"\n"crypto/tls"\n)\n',
            "a/a.go": "package a\n",
        }
    )
    closure = tree.closure("")
    assert closure.third_party == ()
    assert closure.directories == ("", "a")


def test_imports_that_are_no_paths() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "x.go": 'package main\nimport ("./y"; "../z.com/x"; "/z.com"; "unsafe")\n',
        }
    )
    assert tree.closure("").directories == ("",)
    assert tree.closure("").third_party == ()


def test_cycles_end() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "main.go": 'package main\nimport "m/a"\n',
            "a/a.go": 'package a\nimport "m/b"\n',
            "b/b.go": 'package b\nimport "m/a"\nimport "m"\n',
        }
    )
    assert tree.closure("").directories == ("", "a", "b")


def test_includes_of_assembly_may_be_anywhere_in_the_repo() -> None:
    tree = Tree(
        {
            "go.mod": "module m\n",
            "a/main.go": "package main\n",
            "a/x.s": '#include "../../out.h"\n#include "/abs.h"\n#include "../b/./c.h"\n'
            '#include "go_asm.h"\n#include "y.h"\n',
            "a/y.h": "",
            "a/z_windows.s": '#include "only_windows.h"\n',
        }
    )
    assert tree.closure("a", LINUX).optional_files == ("a/go_asm.h", "b/c.h", "go.sum")


def test_included_files_include_others() -> None:
    """All paths are relative to the package, where the assembler runs."""
    tree = Tree(
        {
            "go.mod": "module m\n",
            "a/main.go": "package main\n",
            "a/x.s": '#include "x_windows.h"\n#include "../b/c.h"\n#include "../d/d.inc"\n',
            "a/x_windows.h": '#include "y.inc"\n#include "x_windows.h"\n',
            "b/c.h": '#include "../b/d.h"\n#include "e.h"\n',
            "b/d.h": '#include "../e/e.h"\n',
            "b/unused.h": '#include "../unused.h"\n',
            "b/b.go": 'package b\nimport _ "m/unused"\n',
            "e/e.h": '#include "f.h"\n#include "../b/c.h"\n',
        }
    )
    closure = tree.closure("a", LINUX)
    assert closure.directories == ("a",)
    assert closure.files == ("a/main.go", "a/x.s", "go.mod")
    assert closure.optional_files == (
        *("a/e.h", "a/f.h", "a/x_windows.h", "a/y.inc", "b/c.h", "b/d.h", "d/d.inc", "e/e.h"),
        "go.sum",
    )


def test_a_directory_of_headers_may_be_a_package_too() -> None:
    files = {
        "go.mod": "module m\n",
        "a/main.go": 'package main\nimport _ "m/z"\n',
        "a/x.s": '#include "../b/c.h"\n',
        "b/c.h": "",
        "b/b.go": 'package b\nimport _ "m/c"\n',
        "c/c.go": "package c\n",
        "z/z.go": 'package z\nimport _ "m/b"\n',
    }
    closure = Tree(files).closure("a", LINUX)
    assert closure.directories == ("a", "b", "c", "z")
    assert set(closure.files) == files.keys()


def test_no_module() -> None:
    workspace = Tree({"a/go.mod": "module a\n"}).workspace("a")
    with pytest.raises(KoPantsError, match="b is in no module of the workspace"):
        ClosureSearch(workspace, "b", LINUX).start()


def test_a_directory_without_files_is_no_package() -> None:
    tree = Tree({"go.mod": "module m\n", "main.go": 'package main\nimport "m/none"\n'})
    assert tree.closure("").directories == ("",)


def test_each_step_wants_what_is_not_known_yet() -> None:
    tree = Tree(MONOREPO)
    search = ClosureSearch(tree.workspace("cmd/app"), "cmd/app", PLATFORMS)
    assert search.start() == ("cmd/app",)
    # A go.mod in the directory above would hide the package.
    wanted = search.step({"cmd/app": tree.analyze("cmd/app")})
    assert wanted == ("internal", "internal/a")
    wanted = search.step({path: tree.analyze(path) for path in wanted})
    assert wanted == ("internal/b", "internal/win")
    assert search.step({path: tree.analyze(path) for path in wanted}) == ()


def test_embedded_files_stop_at_nested_modules() -> None:
    files = {
        "go.mod": "module m\n",
        "main.go": 'package main\nimport ("embed"; "m/a")\n//go:embed *\nvar F embed.FS\n',
        "a/a.go": 'package a\nimport _ "embed"\n//go:embed y x\nvar F string\n',
        "a/x/go.mod": "module x\n",
        "ab/go.mod": "module ab\n",
    }
    assert Tree(files).closure("").embeds == (
        EmbedFilter("", ("*",), ("a/x", "ab")),
        EmbedFilter("a", ("x", "y"), ("a/x",)),
    )


def test_a_replacement_below_the_main_module_embeds_its_own_files() -> None:
    files = {
        "go.mod": "module m\ngo 1.21\nrequire x v1.0.0\nreplace x => ./a\n",
        "main.go": 'package main\nimport "x"\n',
        "a/go.mod": "module x\n",
        "a/a.go": 'package a\nimport _ "embed"\n//go:embed f.txt\nvar F string\n',
        "a/f.txt": "",
    }
    tree = Tree(files)
    assert paths(tree, "", LINUX) == set(files)
    assert tree.closure("").embeds == (EmbedFilter("a", ("f.txt",)),)


def test_vendored_packages() -> None:
    tree = Tree(
        {
            "m/go.mod": "module m\ngo 1.21\nrequire example.com/x v1.0.0\n",
            "m/main.go": 'package main\nimport ("fmt"; "example.com/x/y"; "example.com/none")\n',
            "m/vendor/modules.txt": "# example.com/x v1.0.0\n",
            "m/vendor/example.com/x/y/y.go": 'package y\nimport "short/z"\n',
            "m/vendor/short/z/z.go": "package z\n",
        }
    )
    closure = tree.closure("m")
    assert closure.directories == ("m", "m/vendor/example.com/x/y")
    assert closure.third_party == ()
    # A path without a dot is the standard library's, unless a module that is required has it.
    tree.files["m/vendor/modules.txt"] += b"# short v1.0.0\n"
    assert "m/vendor/short/z" in tree.closure("m").directories


def test_a_required_module_may_have_a_path_without_a_dot() -> None:
    files = {
        "go.mod": "module m\nrequire short v1.0.0\n",
        "main.go": 'package main\nimport ("fmt"; "short/x"; "shorter/x"; "net/x.y/z")\n',
        "b.go": 'package main\nimport ("short/x"; "m/a"; "example.com/y")\n',
        "a/a.go": "package a\n",
    }
    closure = Tree(files).closure("")
    assert closure.third_party == ("example.com/y", "short/x")


def test_a_file_that_no_platform_builds_imports_nothing() -> None:
    files = {
        "go.mod": "module m\n",
        "main.go": "package main\n",
        "x.go": '//go:build ignore\n\npackage main\nimport ("m/a"; "example.com/y")\n',
        "a/a.go": "package a\n",
    }
    closure = Tree(files).closure("")
    assert (closure.directories, closure.third_party) == (("",), ())


def test_extra_imports_are_followed() -> None:
    tree = Tree(MONOREPO)
    closure = tree.closure("cmd/app", PLATFORMS, extra_imports=["example.com/mono/testonly"])
    assert "testonly" in closure.directories
    unknown = tree.closure("cmd/app", extra_imports=["example.com/mono/none", "github.com/q/r"])
    assert unknown.directories == tree.closure("cmd/app").directories


def test_extra_imports_are_searched_on_all_platforms() -> None:
    files = {
        "go.mod": "module m\n",
        "main.go": "package main\n",
        "x/x_linux.go": 'package x\nimport "m/l"\n',
        "x/x_windows.go": 'package x\nimport "m/w"\n',
        "l/l.go": "package l\n",
        "w/w.go": "package w\n",
    }
    assert Tree(files).closure("", extra_imports=["m/x"]).directories == ("", "l", "w", "x")
