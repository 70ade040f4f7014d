from __future__ import annotations

import pytest

from ko_pants.golang.directory import analyze_directory, main_package_problem
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
WINDOWS = Platform("windows", "amd64")
MAIN = b"package main\n\nfunc main() {}\n"


def problem(files: dict[str, bytes], *platforms: Platform) -> str | None:
    return main_package_problem(analyze_directory("cmd/x", files), platforms or (LINUX,))


def test_only_what_a_build_reads() -> None:
    names = ["README.md", "x.syso", "x.c", "default.pgo", "asm_arm64.s", "x.S", "y.cc"]
    directory = analyze_directory("d", {"b.go": MAIN, "a.h": b"", "notes.txt": b""}, names)
    assert [f.name for f in directory.files] == ["b.go"]
    assert [f.name for f in directory.other_files] == [
        *("a.h", "asm_arm64.s", "default.pgo", "x.syso"),
    ]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({}, ""),
        ({"x.go": b"package p\n"}, "p"),
        ({"a.go": b"//go:build ignore\n\npackage main\n", "b.go": b"package p\n"}, "p"),
        ({"a.go": b"package documentation\n", "b.go": b"package p\n"}, "p"),
        ({"a_test.go": b"package p_test\n", "b.go": b"package p\n"}, "p"),
    ],
)
def test_package_name(files: dict[str, bytes], name: str) -> None:
    assert analyze_directory("d", files).package == name


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
        ({}, "cmd/x has no Go files"),
        ({"_x.go": MAIN}, "cmd/x has no Go files"),
        ({"x_test.go": MAIN}, "cmd/x has only test files"),
        ({"x.go": b"package foo\n"}, "cmd/x is `package foo` (x.go), not a program"),
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
    found = main_package_problem(directory, [LINUX], ["fast"])
    assert found is not None
    assert found.startswith("the repo's root has no Go files for linux/amd64")
    assert "tags fast" in found
