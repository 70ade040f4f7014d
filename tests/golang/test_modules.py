from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.golang.modules import (
    GoMod,
    LocalModule,
    Replace,
    Require,
    Workspace,
    find_module_root,
    find_workspace,
    parse_go_mod,
    parse_go_work,
    parse_vendor_modules,
)

GO_MOD = b"""\
// A comment.
module "example.com/app" // another

go 1.22.3
toolchain go1.26.8
godebug default=go1.21

require example.com/one v1.0.0
require (
\texample.com/two/v2 v2.1.0 // indirect
\t`example.com/three` v0.0.0-20200101000000-abcdefabcdef
)
exclude example.com/one v0.9.0
retract [v1.0.0, v1.1.0]
tool example.com/one/cmd/x
replace example.com/one => ../one
replace (
\texample.com/two/v2 v2.1.0 => example.com/fork v1.0.0
\texample.com/three => ./three\r
)
ignore ./node_modules
"""


def test_go_mod() -> None:
    assert parse_go_mod(GO_MOD, "app/go.mod") == GoMod(
        "app/go.mod",
        "example.com/app",
        "1.22.3",
        "go1.26.8",
        (
            Require("example.com/one", "v1.0.0"),
            Require("example.com/two/v2", "v2.1.0"),
            Require("example.com/three", "v0.0.0-20200101000000-abcdefabcdef"),
        ),
        (
            Replace("example.com/one", "", "../one", "", 16),
            Replace("example.com/two/v2", "v2.1.0", "example.com/fork", "v1.0.0", 18),
            Replace("example.com/three", "", "./three", "", 19),
        ),
    )


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("go 1.21\n", 1, "no `module` directive"),
        ("module a b\n", 1, "malformed `module`"),
        ("module a\nmodule b\n", 2, "repeated `module`"),
        ("module a\nrequire x\n", 2, "malformed `require`"),
        ("module a\n\nrequire (\n\tx v1\n", 3, "no closing `)`"),
        ("module a\nreplace x ../y\n", 2, "malformed `replace`"),
        ("module a\nreplace x => y\n", 2, "has no version"),
        ("module a\nreplace (\nx => ../y v1.0.0\n)\n", 3, "has a version"),
        ('module "a\n', 1, "malformed string"),
        ('module "\\q"\n', 1, "malformed string"),
    ],
)
def test_malformed_go_mod(content: str, line: int, text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_go_mod(content.encode(), "dir/go.mod")
    assert str(error.value).startswith(f"dir/go.mod:{line}: ")
    assert text in str(error.value)


@given(st.one_of(st.binary(), st.text(alphabet='module"`()=>/ \n\\.x').map(str.encode)))
def test_go_mod_is_read_or_refused(content: bytes) -> None:
    try:
        parse_go_mod(content, "go.mod")
    except KoPantsError as refusal:
        error = str(refusal)
    else:
        return
    assert error.startswith("go.mod:")


def test_go_work() -> None:
    work = parse_go_work(
        b"go 1.22\nuse ./a\nuse (\n\t./b // b\n\t.\n)\nreplace x => ./x\n", "go.work"
    )
    assert (work.go, work.uses) == ("1.22", ("./a", "./b", "."))
    assert work.replaces == (Replace("x", "", "./x", "", 7),)
    with pytest.raises(KoPantsError, match=r"go.work:2: malformed `use`"):
        parse_go_work(b"go 1.22\nuse a b\n", "go.work")


def test_vendor_modules() -> None:
    text = b"# example.com/x v1.0.0\n## explicit; go 1.21\nexample.com/x\n# y v1 => ./y\n"
    assert parse_vendor_modules(text).modules == ("example.com/x", "y")
    assert not parse_vendor_modules(text).for_workspace
    assert parse_vendor_modules(b"## workspace\n" + text).for_workspace


@pytest.mark.parametrize(
    ("directory", "root"),
    [("a/b/c", "a"), ("a", "a"), ("ab", ""), ("", ""), ("x/y/z", "x/y")],
)
def test_module_root(directory: str, root: str) -> None:
    assert find_module_root(directory, {"", "a", "x/y"}) == root


def test_no_module_root() -> None:
    assert find_module_root("b/c", {"a"}) is None


def workspace(directory: str, files: dict[str, str], **how: object) -> Workspace:
    encoded = {path: text.encode() for path, text in files.items()}
    return find_workspace(directory, encoded, **how)  # type: ignore[arg-type]


def local(found: Workspace) -> dict[str, str]:
    return {module.path: module.directory for module in found.modules}


def test_one_module() -> None:
    found = workspace(
        "cmd/x", {"go.mod": "module m\ngo 1.21\n", "cmd/x/inner/go.mod": "module i\n"}
    )
    assert found.main_module == LocalModule("m", "", True)
    assert found.files == ("go.mod",)
    assert found.optional_files == ("go.sum",)
    assert found.boundaries == ("cmd/x/inner",)
    assert found.vendor is None


def test_local_replacements() -> None:
    files = {
        "app/go.mod": "module app\ngo 1.21\n"
        "require (\nexample.com/lib v1.0.0\nexample.com/v v1.0.0\n"
        "example.com/old v1.0.0\nexample.com/third v1.0.0\n)\n"
        "replace example.com/lib => ../lib\nreplace example.com/v v1.0.0 => ../v\n"
        "replace example.com/old v0.9.0 => ../old\nreplace example.com/unused => ../unused\n"
        "replace example.com/third => example.com/fork v1.0.0\n",
        **{
            f"{name}/go.mod": f"module example.com/{name}\n"
            for name in ("lib", "v", "old", "unused")
        },
        "broken/go.mod": "this is no go.mod",
    }
    found = workspace("app/cmd", files)
    assert local(found) == {"app": "app", "example.com/lib": "lib", "example.com/v": "v"}
    assert found.files == ("app/go.mod", "lib/go.mod", "v/go.mod")
    assert found.optional_files == ("app/go.sum",)
    assert found.required == ("example.com/old", "example.com/third")


def test_a_replacement_of_the_version_in_use_wins() -> None:
    files = {
        "go.mod": "module m\ngo 1.21\nrequire x v1.0.0\n"
        "replace x => ./a\nreplace x v1.0.0 => ./b\n",
        "a/go.mod": "module x\n",
        "b/go.mod": "module x\n",
    }
    assert local(workspace("", files)) == {"m": "", "x": "b"}


GO_WORK = {
    "go.work": "go 1.22\nuse ./app\nuse ./lib\nreplace example.com/x => ./x2\n",
    "app/go.mod": "module example.com/app\ngo 1.22\nrequire example.com/x v1.0.0\n"
    "replace example.com/x => ../x1\n",
    "lib/go.mod": "module example.com/lib\ngo 1.22\n",
    "x1/go.mod": "module example.com/x\n",
    "x2/go.mod": "module example.com/x\n",
    "other/go.mod": "module example.com/other\n",
}


def test_go_work_is_in_play() -> None:
    found = workspace("app/cmd", GO_WORK)
    assert local(found) == {
        "example.com/app": "app",
        "example.com/lib": "lib",
        "example.com/x": "x2",
    }
    assert found.directory == ""
    assert found.main_module.path == "example.com/app"
    assert found.files == ("app/go.mod", "go.work", "lib/go.mod", "x2/go.mod")
    assert found.optional_files == ("app/go.sum", "go.work.sum", "lib/go.sum")


def test_go_work_off() -> None:
    found = workspace("app/cmd", GO_WORK, use_go_work=False)
    assert local(found) == {"example.com/app": "app", "example.com/x": "x1"}
    assert found.directory == "app"


VENDORED = "# example.com/x v1.0.0\n## explicit\nexample.com/x\n"


@pytest.mark.parametrize(
    ("go", "mod", "text", "used"),
    [
        ("1.14", "", VENDORED, True),
        ("1.13", "", VENDORED, False),
        ("", "", VENDORED, False),
        ("1.21", "mod", VENDORED, False),
        ("1.21", "readonly", VENDORED, False),
        ("1.13", "vendor", VENDORED, True),
        ("1.22", "", "## workspace\n" + VENDORED, False),
    ],
)
def test_vendor_of_a_module(go: str, mod: str, text: str, used: bool) -> None:
    version = f"go {go}\n" if go else ""
    files = {"m/go.mod": f"module m\n{version}", "m/vendor/modules.txt": text}
    found = workspace("m/cmd", files, mod=mod)
    assert found.vendor == ("m/vendor" if used else None)
    assert ("m/vendor/modules.txt" in found.files) is used


def test_vendor_of_a_workspace() -> None:
    files = {**GO_WORK, "vendor/modules.txt": "## workspace\n" + VENDORED}
    assert workspace("app", files).vendor == "vendor"
    assert "example.com/x" not in local(workspace("app", files))
    # Not the vendor directory of a module in it, nor one that is not for a workspace.
    assert workspace("app", {**GO_WORK, "app/vendor/modules.txt": VENDORED}).vendor is None
    assert workspace("app", {**GO_WORK, "vendor/modules.txt": VENDORED}).vendor is None


@pytest.mark.parametrize(
    ("directory", "files", "text"),
    [
        ("a", {}, "no go.mod in a or a directory above it"),
        (
            "a",
            {"a/go.mod": "module a\ngo 1.21\nrequire x v1.0.0\nreplace x => ../../x\n"},
            "a/go.mod:4: the replacement of x '../../x' is outside of the repo",
        ),
        (
            "a",
            {"a/go.mod": "module a\ngo 1.21\nrequire x v1.0.0\nreplace x => /x\n"},
            "a/go.mod:4: the replacement of x '/x' is an absolute path",
        ),
        ("other", GO_WORK, "which go.work does not use; run `go work use ./other`"),
        (
            "a",
            {"go.work": "use ./a\nuse ./b\n", "a/go.mod": "module a\n"},
            "b/go.mod does not exist",
        ),
        ("a", {"go.work": "use ../a\n", "a/go.mod": "module a\n"}, "is outside of the repo"),
        ("a", {"a/go.mod": "module\n"}, "a/go.mod:1: malformed `module`"),
    ],
)
def test_bad_workspaces(directory: str, files: dict[str, str], text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        workspace(directory, files)
    assert text in str(error.value)
