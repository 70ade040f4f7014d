"""Which files a build for a platform may use."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path
from typing import Iterable

import pytest
from golang.trees import find_go, run_go_list, write_tree

from ko_pants.golang.build_context import (
    BuildContext,
    ConstrainedFile,
    Tristate,
    evaluate,
    evaluate_tag,
    tags_of_name,
)
from ko_pants.golang.constraints import And, Constraint, Not, Or, Tag, Unreadable
from ko_pants.golang.source_file import OtherFile, parse_go_file
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
ARM = Platform("linux", "arm", "v7")
WINDOWS = Platform("windows", "amd64")
DARWIN = Platform("darwin", "arm64")
ILLUMOS = Platform("illumos", "amd64")


def may_build(file: ConstrainedFile, *platforms: Platform, tags: Iterable[str] = ()) -> bool:
    return BuildContext.of(platforms, tags).mask(file) != 0


def built(name: str, head: str, platform: Platform, tags: Iterable[str] = ()) -> bool:
    return may_build(parse_go_file(name, f"{head}\npackage p\n".encode()), platform, tags=tags)


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
    assert not may_build(parse_go_file("x.go", content), LINUX)
    assert may_build(parse_go_file("x.go", content), WINDOWS)


def test_features_of_another_architecture_do_not_hold() -> None:
    assert not built("x.go", "//go:build arm64.v9.0\n", LINUX)


@pytest.mark.parametrize(
    "tag", ["go1.1", "go1.21", "go1.999", "boringcrypto", "amd64.v3", "goexperiment.x"]
)
def test_what_the_toolchain_decides_is_not_known(tag: str) -> None:
    assert evaluate_tag(tag, "linux", "amd64", frozenset()) is Tristate.MAYBE
    assert built("x.go", f"//go:build {tag}\n", LINUX)
    assert built("x.go", f"//go:build !{tag}\n", LINUX)


@pytest.mark.parametrize(
    "tag", ["go1", "go1.", "go1.0", "go1.2x", "go2.1", "xgo1.2", "goexperiment"]
)
def test_what_looks_like_a_tag_of_the_toolchain(tag: str) -> None:
    assert evaluate_tag(tag, "linux", "amd64", frozenset()) is Tristate.NO


YES, MAYBE, NO = Tag("linux"), Tag("boringcrypto"), Tag("ignore")


def test_conditions_of_three_values() -> None:
    expected: dict[Constraint, Tristate] = {
        Not(YES): Tristate.NO,
        Not(MAYBE): Tristate.MAYBE,
        Not(NO): Tristate.YES,
        And((YES, YES)): Tristate.YES,
        And((YES, MAYBE)): Tristate.MAYBE,
        And((MAYBE, NO)): Tristate.NO,
        Or((NO, NO)): Tristate.NO,
        Or((NO, MAYBE)): Tristate.MAYBE,
        Or((MAYBE, YES)): Tristate.YES,
        Unreadable(): Tristate.MAYBE,
    }
    assert {c: evaluate(c, "linux", "amd64", frozenset()) for c in expected} == expected


@pytest.mark.parametrize(
    ("os", "satisfied"),
    [
        ("android", {"android", "linux", "unix"}),
        ("illumos", {"illumos", "solaris", "unix"}),
        ("ios", {"ios", "darwin", "unix"}),
        ("aix", {"aix", "unix"}),
        ("windows", {"windows"}),
        ("plan9", {"plan9"}),
        ("js", {"js"}),
    ],
)
def test_systems_satisfy_others(os: str, satisfied: set[str]) -> None:
    tags = {"android", "linux", "illumos", "solaris", "ios", "darwin", "aix", "windows", "plan9"}
    tags |= {"js", "unix"}
    assert {t for t in tags if evaluate_tag(t, os, "arm64", frozenset())} == satisfied


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("x_linux.go", ("linux",)),
        ("x_arm64.s", ("arm64",)),
        ("x_linux_arm64.go", ("linux", "arm64")),
        ("x_linux_arm64_test.go", ("linux", "arm64")),
        # Only in this order.
        ("x_arm64_linux.go", ("linux",)),
        ("x_linux_windows.go", ("windows",)),
        ("x_a_b_c_linux_arm64.go", ("linux", "arm64")),
        ("x_test_arm64.go", ("arm64",)),
        ("x_test.go", ()),
        ("linux_test.go", ()),
        ("_linux.go", ("linux",)),
        ("x.go", ()),
    ],
)
def test_tags_of_names(name: str, tags: tuple[str, ...]) -> None:
    assert tags_of_name(name) == tags


OS = (
    *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux"),
    *("nacl", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos"),
)
ARCHITECTURES = (
    *("386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle"),
    *("mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv"),
    *("riscv64", "s390", "s390x", "sparc", "sparc64", "wasm"),
)


@pytest.mark.parametrize("word", [*OS, *ARCHITECTURES])
def test_words_that_have_a_meaning_in_names(word: str) -> None:
    assert tags_of_name(f"x_{word}.go") == (word,)


def test_systems_that_are_a_unix() -> None:
    unix = {os for os in OS if evaluate_tag("unix", os, "amd64", frozenset())}
    assert unix == set(OS) - {"js", "nacl", "plan9", "wasip1", "windows", "zos"}


def test_the_words_are_those_of_go() -> None:
    root = subprocess.run([find_go(), "env", "GOROOT"], capture_output=True, text=True, check=True)
    source = Path(root.stdout.strip(), "src/internal/syslist/syslist.go")
    if not source.exists():
        pytest.skip(f"this Go has no {source.name} in internal/syslist")
    tables = re.split(r"^var ", source.read_text(), flags=re.MULTILINE)[1:]
    words = {
        table.partition(" ")[0]: set(re.findall(r'"(\w+)":\s*true', table)) for table in tables
    }
    assert words["KnownOS"] == set(OS)
    assert words["KnownArch"] == set(ARCHITECTURES)
    unix = {os for os in OS if evaluate_tag("unix", os, "amd64", frozenset())}
    assert words["UnixOS"] == unix


def test_a_mask_has_a_bit_for_each_pair_of_system_and_architecture() -> None:
    context = BuildContext.of([WINDOWS, ARM, Platform("linux", "arm", "v6"), LINUX, DARWIN], ["t"])
    assert context.pairs == (
        *(("darwin", "arm64"), ("linux", "amd64"), ("linux", "arm"), ("windows", "amd64")),
    )
    assert context.all_platforms == 0b1111
    assert context.mask(OtherFile("x.s")) == 0b1111
    assert context.mask(OtherFile("x_linux.s")) == 0b0110
    assert context.mask(OtherFile("x_amd64.s", Tag("linux"))) == 0b0010
    assert context.mask(OtherFile("x.s", Not(Tag("linux")))) == 0b1001
    assert context.mask(OtherFile("x.s", Tag("t"))) == 0b1111
    assert context.mask(OtherFile("x.s", Tag("other"))) == 0


def test_user_tags() -> None:
    assert not built("x.go", "//go:build netgo\n", LINUX)
    assert built("x.go", "//go:build netgo\n", LINUX, tags=["netgo"])


def test_one_platform_of_several_is_enough() -> None:
    assert may_build(parse_go_file("x_windows.go", b"package p\n"), LINUX, WINDOWS)


def test_assembly_for_a_c_compiler_is_out() -> None:
    assert may_build(OtherFile("x.s"), LINUX)
    assert not may_build(OtherFile("x.S"), LINUX)
    assert not may_build(OtherFile("x.sx"), LINUX)


@pytest.mark.parametrize("head", ['import "C"\n', 'import ("fmt"; "C")\n'])
def test_cgo_is_out(head: str) -> None:
    assert not may_build(parse_go_file("x.go", b"package p\n" + head.encode()), LINUX)


def test_package_documentation_is_out() -> None:
    assert not may_build(parse_go_file("x.go", b"package documentation\n"), LINUX)


def test_go_agrees_on_generated_files(tmp_path: Path) -> None:
    """Hundreds of names and constraints at random (fixed seed), against `go list`."""
    go = find_go()
    random.seed(20)
    words = ["linux", "windows", "arm64", "amd64", "darwin", "test", "x", "unix", "js", "386"]
    tags = [*words, "cgo", "gc", "mytag", "ignore", "freebsd"]

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
        mine = {f.name for f in parsed if may_build(f, platform, tags=["mytag"])}
        assert mine == expected
        assert 60 < len(expected) < len(parsed)
