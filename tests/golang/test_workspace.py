"""Which modules of the repo are in play for a main package."""

from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.workspace import LocalModule, Workspace, find_workspace


def workspace(
    directory: str, files: dict[str, str], *, mod: str = "", use_go_work: bool = True
) -> Workspace:
    encoded = {path: text.encode() for path, text in files.items()}
    return find_workspace(directory, encoded, mod=mod, use_go_work=use_go_work)


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


def test_a_main_module_is_not_replaced() -> None:
    files = {
        "go.work": "go 1.22\nuse ./a\nuse ./b\n",
        "a/go.mod": "module a\nrequire b v1.0.0\nreplace b => ../other\nreplace c => ../other\n",
        "b/go.mod": "module b\n",
        "other/go.mod": "module b\n",
    }
    assert local(workspace("a", files)) == {"a": "a", "b": "b", "c": "other"}


def test_a_module_may_replace_another_too() -> None:
    files = {"go.mod": "module m\nrequire long/path v1.0.0\nreplace long/path => ./\n"}
    found = workspace("", files)
    assert local(found) == {"m": "", "long/path": ""}
    assert found.main_module == LocalModule("m", "", True)


def test_a_replacement_without_a_go_mod_is_left_for_go_to_report() -> None:
    files = {"go.mod": "module m\ngo 1.21\nrequire x v1.0.0\nreplace x => ./x\n"}
    found = workspace("", files)
    assert local(found) == {"m": ""}
    assert found.required == ("x",)


def test_modules_with_longer_paths_come_first() -> None:
    files = {
        "go.work": "go 1.22\nuse ./a\nuse ./b\nuse ./c\nuse ./d\n",
        "a/go.mod": "module m\n",
        "b/go.mod": "module m/zz\n",
        "c/go.mod": "module m/aa\n",
        "d/go.mod": "module m/aa/b\n",
    }
    found = workspace("a", files)
    assert [module.path for module in found.modules] == ["m/aa/b", "m/aa", "m/zz", "m"]
    assert all(module.main for module in found.modules)
    assert found.main_module == LocalModule("m", "a", True)


def test_boundaries_are_directories_below_modules_in_play() -> None:
    files = {
        "a/go.mod": "module a\ngo 1.21\nrequire b v1.0.0\nreplace b => ../b\n",
        "a/x/go.mod": "module x\n",
        "b/go.mod": "module b\n",
        "b/y/z/go.mod": "module z\n",
        "bb/go.mod": "module bb\n",
        "go.mod": "module root\n",
    }
    found = workspace("a", files)
    assert found.boundaries == ("a/x", "b/y/z")
    assert found.modules == (LocalModule("a", "a", True), LocalModule("b", "b", False))


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


def test_the_nearest_go_work_counts() -> None:
    files = {
        "go.work": "malformed (\n",
        "a/go.work": "use ./m\n",
        "a/m/go.mod": "module m\n",
        "a/m/inner/go.work.sum": "",
    }
    found = workspace("a/m/cmd", files)
    assert found.directory == "a"
    assert found.files == ("a/go.work", "a/m/go.mod")
    assert found.optional_files == ("a/go.work.sum", "a/m/go.sum")


def test_go_work_off() -> None:
    found = workspace("app/cmd", GO_WORK, use_go_work=False)
    assert local(found) == {"example.com/app": "app", "example.com/x": "x1"}
    assert found.directory == "app"


VENDORED = "# example.com/x v1.0.0\n## explicit\nexample.com/x\n"


@pytest.mark.parametrize(("mod", "used"), [("", True), ("vendor", True), ("mod", False)])
def test_vendor_of_a_module(mod: str, used: bool) -> None:
    files = {
        "m/go.mod": "module m\ngo 1.21\nrequire y v1.0.0\nreplace y => ../y\n",
        "m/vendor/modules.txt": VENDORED,
        "y/go.mod": "module y\n",
    }
    found = workspace("m/cmd", files, mod=mod)
    assert found.vendor == ("m/vendor" if used else None)
    assert ("m/vendor/modules.txt" in found.files) is used
    # What is vendored is not replaced too, and its modules count as required.
    assert local(found) == {"m": "m"} if used else {"m": "m", "y": "y"}
    assert found.required == (("example.com/x", "y") if used else ())


def test_defaults() -> None:
    files = {"go.mod": b"module m\ngo 1.21\n", "vendor/modules.txt": b"", "go.work": b"use .\n"}
    assert find_workspace("", files).files == ("go.mod", "go.work")
    del files["go.work"]
    assert find_workspace("", files).vendor == "vendor"


def test_the_language_version_decides_about_vendor() -> None:
    files = {"go.mod": "module m\ngo 1.13\n", "vendor/modules.txt": VENDORED}
    assert workspace("", files).vendor is None
    # In a workspace it is that of go.work.
    files["go.work"] = "go 1.22\nuse .\n"
    files["vendor/modules.txt"] = "## workspace\n" + VENDORED
    assert workspace("", files).vendor == "vendor"


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
        (
            "a",
            {"b/go.mod": "module b"},
            "no go.mod in a or a directory above it; expected a Go module: run `go mod init "
            "example.com/name` at the module's root",
        ),
        ("", {}, "no go.mod in the repo's root or a directory above it; expected"),
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
        (
            "other/cmd",
            GO_WORK,
            "other/cmd is in the module other, which go.work does not use; run `go work use "
            "./other`, or set GOWORK=off",
        ),
        (
            "w/x",
            {"w/go.work": "use ./a\n", "w/a/go.mod": "module a\n", "go.mod": "module m\n"},
            "w/x is in the module ., which w/go.work does not use; run `go work use ./..`, or",
        ),
        (
            "a",
            {"go.work": "use ./a\nuse ./b\n", "a/go.mod": "module a\n"},
            "go.work: `use` of './b', but b/go.mod does not exist; create it or remove the line",
        ),
        (
            "a",
            {"go.work": "use ../a\n", "a/go.mod": "module a\n"},
            "go.work: `use` of '../a' is outside of the repo",
        ),
        ("a", {"a/go.mod": "module\n"}, "a/go.mod:1: malformed `module`"),
    ],
)
def test_bad_workspaces(directory: str, files: dict[str, str], text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        workspace(directory, files)
    assert str(error.value).startswith(text)
