from __future__ import annotations

import pytest

from ko_pants.golang.constraints import Tag
from ko_pants.golang.directory import (
    CONTENT_GLOBS,
    NAME_GLOBS,
    analyze_directory,
    main_package_problem,
)
from ko_pants.golang.source_file import OtherFile
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
WINDOWS = Platform("windows", "amd64")
MAIN = b"package main\n\nfunc main() {}\n"


def problem(files: dict[str, bytes], *platforms: Platform) -> str | None:
    return main_package_problem(analyze_directory("cmd/x", files), platforms or (LINUX,))


def test_only_what_a_build_reads() -> None:
    contents = {
        "b.go": MAIN,
        "a.go": b"package main\n",
        "notes.txt": b"",
        **dict.fromkeys(("a.h", "x_arm64.s", "b.hh", "c.hpp", "d.hxx"), b""),
    }
    names = ["README.md", "x.syso", "x.c", "default.pgo", "other.pgo", "x.S", "y.cc"]
    directory = analyze_directory("d", contents, names)
    assert directory.path == "d"
    assert [f.name for f in directory.files] == ["a.go", "b.go"]
    assert [f.name for f in directory.other_files] == [
        *("a.h", "b.hh", "c.hpp", "d.hxx", "default.pgo", "x.syso", "x_arm64.s"),
    ]


def test_the_heads_of_assembly_count() -> None:
    directory = analyze_directory("d", {"x.s": b'//go:build arm64\n\n#include "y.h"\n'})
    assert directory.other_files == (OtherFile("x.s", Tag("arm64"), ("y.h",)),)
    assert directory.files == ()


def test_what_is_looked_for() -> None:
    assert set(CONTENT_GLOBS) == {"*.go", "*.s", "*.h", "*.hh", "*.hpp", "*.hxx"}
    assert set(NAME_GLOBS) == {"*.syso", "default.pgo", "go.mod"}


@pytest.mark.parametrize(
    "files",
    [
        {"main.go": MAIN},
        {"main.go": MAIN, "gen.go": b"//go:build ignore\n\npackage gen\n"},
        {"main.go": MAIN, "doc.go": b"package documentation\n", "x_test.go": b"package x\n"},
        {"main_linux.go": MAIN},
        # Go tells more about these than we could.
        {"main.go": b"syntax error"},
        {"main.go": MAIN, "other.go": b"package other\n"},
    ],
)
def test_programs(files: dict[str, bytes]) -> None:
    assert problem(files) is None


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "cmd/x has no Go files; expected a directory with `package main`"),
        ({"_x.go": MAIN}, "cmd/x has no Go files; expected a directory with `package main`"),
        ({".x.go": MAIN}, "cmd/x has no Go files; expected a directory with `package main`"),
        (
            {"x_test.go": MAIN, "_x.go": MAIN},
            "cmd/x has only test files; expected a directory with `package main`",
        ),
        (
            {"x.go": b"package foo\n", "w.go": b"syntax error"},
            "cmd/x is `package foo` (x.go), not a program; expected a directory with "
            "`package main`",
        ),
        (
            {"y_windows.go": MAIN, "x_windows.go": MAIN},
            "cmd/x has no Go files for linux/amd64: build constraints or cgo exclude all of "
            "x_windows.go, y_windows.go (CGO_ENABLED=0)",
        ),
        ({"x_windows.go": MAIN}, "no Go files for linux/amd64"),
        ({"x.go": b'package main\nimport "C"\n'}, "build constraints or cgo exclude all of x.go"),
        ({"x.go": b"package documentation\n"}, "no Go files for linux/amd64"),
    ],
)
def test_no_programs(files: dict[str, bytes], text: str) -> None:
    found = problem(files)
    assert found is not None
    assert text in found


def test_a_program_for_some_of_the_platforms_only() -> None:
    found = problem({"main_linux.go": MAIN, "x.go": b"package main\n"}, LINUX)
    assert found is None
    found = problem({"main_linux.go": MAIN}, LINUX, WINDOWS)
    assert found is not None
    assert "no Go files for windows/amd64" in found
    found = problem({"main_linux.go": MAIN, "lib_windows.go": b"package lib\n"}, LINUX, WINDOWS)
    assert found is not None
    assert "`package lib` (lib_windows.go)" in found


def test_tags_are_named() -> None:
    directory = analyze_directory("", {"x.go": b"//go:build !fast\n\npackage main\n"})
    assert main_package_problem(directory, [LINUX], ["fast", "a"]) == (
        "the repo's root has no Go files for linux/amd64: build constraints or cgo exclude all of "
        "x.go (CGO_ENABLED=0, tags a,fast)"
    )
    assert main_package_problem(directory, [LINUX], ["slow"]) is None
