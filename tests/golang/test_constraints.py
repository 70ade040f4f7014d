from __future__ import annotations

import random
from pathlib import Path

import pytest
from golang.trees import find_go, go_minor, run_go_list, write_tree

from ko_pants.golang.constraints import may_build
from ko_pants.golang.source_file import OtherFile, parse_go_file
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")
WINDOWS = Platform("windows", "amd64")
DARWIN = Platform("darwin", "arm64")
ILLUMOS = Platform("illumos", "amd64")


def built(name: str, head: str, platform: Platform, **how: object) -> bool:
    file = parse_go_file(name, f"{head}\npackage p\n".encode())
    return may_build(file, [platform], **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "on"),
    [
        ("x.go", {LINUX, ARM, WINDOWS, ILLUMOS}),
        ("x_linux.go", {LINUX, ARM}),
        ("x_linux_arm.go", {ARM}),
        ("x_arm.go", {ARM}),
        ("x_windows_amd64.go", {WINDOWS}),
        ("linux.go", {LINUX, ARM, WINDOWS, ILLUMOS}),
        ("linux_arm.go", {ARM}),
        ("x_linux_extra.go", {LINUX, ARM, WINDOWS, ILLUMOS}),
        ("x_unix.go", {LINUX, ARM, WINDOWS, ILLUMOS}),
        ("x_solaris.go", {ILLUMOS}),
        ("x_linux.windows.go", {LINUX, ARM}),
        ("x_linux_test.go", set()),
        ("x_test.go", set()),
        ("_x.go", set()),
        (".x.go", set()),
        ("x_plan9.go", set()),
    ],
)
def test_file_names(name: str, on: set[Platform]) -> None:
    assert {p for p in (LINUX, ARM, WINDOWS, ILLUMOS) if built(name, "", p)} == on


@pytest.mark.parametrize(
    ("head", "on"),
    [
        ("//go:build linux\n", {LINUX, ARM}),
        ("//go:build !linux\n", {WINDOWS, DARWIN}),
        ("//go:build unix && !arm\n", {LINUX, DARWIN}),
        ("//go:build (linux && arm) || windows\n", {ARM, WINDOWS}),
        ("//go:build linux && arm || windows\n", {ARM, WINDOWS}),
        ("//go:build ignore\n", set()),
        ("//go:build cgo\n", set()),
        ("//go:build !cgo && gc\n", {LINUX, ARM, WINDOWS, DARWIN}),
        ("//go:build gccgo\n", set()),
        ("// Copyright\n\n/* text\n//go:build windows\n*/\n//go:build linux\n", {LINUX, ARM}),
        ("// +build linux,arm windows\n", {ARM, WINDOWS}),
        ("// +build linux\n// +build arm\n", {ARM}),
        ("//+build !windows\n", {LINUX, ARM, DARWIN}),
        ("//go:build linux\n// +build windows\n", {LINUX, ARM}),
        # A `+build` line next to the package clause is documentation.
        ("// +build windows", {LINUX, ARM, WINDOWS, DARWIN}),
        # Not directives.
        ("//go:buildings\n", {LINUX, ARM, WINDOWS, DARWIN}),
        ("/* //go:build windows */\n", {LINUX, ARM, WINDOWS, DARWIN}),
        # Go rejects these, so that it has to see them.
        ("//go:build linux &&\n", {LINUX, ARM, WINDOWS, DARWIN}),
        ("//go:build !!linux\n", {LINUX, ARM, WINDOWS, DARWIN}),
        ("//go:build linux\n//go:build arm\n", {LINUX, ARM, WINDOWS, DARWIN}),
        ("//go:build " + "(" * 5000 + "\n", {LINUX, ARM, WINDOWS, DARWIN}),
    ],
)
def test_constraint_lines(head: str, on: set[Platform]) -> None:
    assert {p for p in (LINUX, ARM, WINDOWS, DARWIN) if built("x.go", head, p)} == on


def test_crlf_and_byte_order_mark() -> None:
    content = b"\xef\xbb\xbf//go:build windows\r\n\r\npackage p\r\n"
    assert not may_build(parse_go_file("x.go", content), [LINUX])
    assert may_build(parse_go_file("x.go", content), [WINDOWS])


@pytest.mark.parametrize("tag", ["goexperiment.rangefunc", "boringcrypto", "amd64.v3"])
def test_what_only_the_toolchain_knows_is_kept_either_way(tag: str) -> None:
    assert built("x.go", f"//go:build {tag}\n", LINUX)
    assert built("x.go", f"//go:build !{tag}\n", LINUX)


def test_features_of_another_architecture_do_not_hold() -> None:
    assert not built("x.go", "//go:build arm64.v9.0\n", LINUX)


def test_release_tags() -> None:
    assert built("x.go", "//go:build go1.21\n", LINUX, go_minor=21)
    assert not built("x.go", "//go:build go1.22\n", LINUX, go_minor=21)
    assert not built("x.go", "//go:build !go1.21\n", LINUX, go_minor=21)
    assert built("x.go", "//go:build go1.99\n", LINUX)


def test_user_tags() -> None:
    assert not built("x.go", "//go:build netgo\n", LINUX)
    assert built("x.go", "//go:build netgo\n", LINUX, tags=["netgo"])


def test_one_platform_of_several_is_enough() -> None:
    assert may_build(parse_go_file("x_windows.go", b"package p\n"), [LINUX, WINDOWS])


def test_assembly_for_a_c_compiler_is_out() -> None:
    assert may_build(OtherFile("x.s"), [LINUX])
    assert not may_build(OtherFile("x.S"), [LINUX])


def test_go_agrees_on_generated_files(tmp_path: Path) -> None:
    """Hundreds of names and constraints at random (fixed seed), against `go list`."""
    go = find_go()
    minor = go_minor(go)
    random.seed(20)
    words = ["linux", "windows", "arm64", "amd64", "darwin", "test", "x", "unix", "js", "386"]
    tags = [*words, "cgo", "gc", "go1.20", "go1.99", "mytag", "ignore", "freebsd"]

    def expression(depth: int) -> str:
        kind = random.randrange(4) if depth else 0
        if kind == 1:
            return f"!({expression(depth - 1)})"
        if kind >= 2:
            operator = random.choice([" && ", " || "])
            return f"({expression(depth - 1)}{operator}{expression(depth - 1)})"
        return random.choice(["", "!"]) + random.choice(tags)

    def plus_build() -> str:
        clauses = [
            ",".join(
                random.choice(["", "!"]) + random.choice(tags) for _ in range(random.randint(1, 3))
            )
            for _ in range(random.randint(1, 3))
        ]
        return "// +build " + " ".join(clauses)

    files: dict[str, str] = {"go.mod": "module example.com/m\n\ngo 1.21\n", "p/plain.go": ""}
    for index in range(300):
        name = "_".join(["f", *random.choices(words, k=random.randrange(3))])
        head = random.choice(["", "// About.\n", "/* About.\n*/\n", "// About.\n\n"])
        style = random.randrange(3)
        if style == 1:
            head += f"//go:build {expression(3)}\n"
        elif style == 2:
            head += "\n".join(plus_build() for _ in range(random.randint(1, 2))) + "\n"
        head += random.choice(["", "\n", "// Package p.\n"])
        files[f"p/{index}{name}.go"] = head
    write_tree(tmp_path, {k: v + ("package p\n" if k[0] == "p" else "") for k, v in files.items()})
    parsed = [
        parse_go_file(path.name, path.read_bytes()) for path in sorted((tmp_path / "p").iterdir())
    ]
    for platform in (LINUX, WINDOWS, DARWIN):
        listed = run_go_list(go, tmp_path, "p", platform, ["-tags=mytag"])
        expected = set(listed[0]["GoFiles"])
        mine = {f.name for f in parsed if may_build(f, [platform], ["mytag"], minor)}
        assert mine == expected
        assert 60 < len(expected) < len(parsed)
