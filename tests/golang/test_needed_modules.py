"""What is left of go.mod and go.sum for one main package."""

from __future__ import annotations

from typing import Mapping

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_mod import parse_go_mod
from ko_pants.golang.needed_modules import (
    can_be_reduced,
    reduce_go_mod,
    reduce_go_sum,
    with_replacements,
)
from ko_pants.golang.workspace import find_workspace

GO_MOD = b"""// A comment.
module example.com/m // another

go 1.21.3

toolchain go1.22.0

godebug (
	panicnil=1
	default=go1.21
)

require example.org/b v1.2.3 // indirect

require (
	example.org/a v1.0.0
	example.org/c v0.0.0-20240101000000-0123456789ab
	example.com/local v0.0.0
)

replace example.com/local => "../with space"

replace example.org/c => example.net/fork v1.5.0

exclude example.org/b v1.2.2

retract [v1.0.0, v1.1.0]

tool example.org/a/cmd/tool
"""


def reduced(*needed: str, content: bytes = GO_MOD) -> str:
    found = reduce_go_mod(content, "go.mod", needed)
    assert found is not None
    return found.decode()


def test_nothing_needed() -> None:
    assert reduced() == (
        "module example.com/m\ngo 1.21.3\ntoolchain go1.22.0\n"
        "godebug default=go1.21\ngodebug panicnil=1\n"
    )


def test_needed_modules_with_what_is_said_of_them() -> None:
    assert reduced("example.org/c", "example.com/local").splitlines()[5:] == [
        "require example.com/local v0.0.0",
        "require example.org/c v0.0.0-20240101000000-0123456789ab",
        'replace example.com/local => "../with space"',
        "replace example.org/c => example.net/fork v1.5.0",
    ]
    assert reduced("example.org/b").splitlines()[5:] == [
        "require example.org/b v1.2.3",
        "exclude example.org/b v1.2.2",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v1.0.0\n", b"v1.0.1\n"),
        (b"// indirect", b""),
        (b"// A comment.", b""),
        (b"retract [v1.0.0, v1.1.0]", b"retract v1.0.0"),
        (b"tool example.org/a/cmd/tool", b""),
        (b"example.net/fork v1.5.0", b"example.net/fork v1.5.1"),
        (b"\nrequire (", b"\nrequire example.org/new v1.0.0\nrequire ("),
    ],
)
def test_what_is_said_of_others_does_not_count(old: bytes, new: bytes) -> None:
    assert old in GO_MOD
    assert reduced("example.org/b", content=GO_MOD.replace(old, new)) == reduced("example.org/b")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"v1.2.3", b"v1.2.4"),
        (b"go 1.21.3", b"go 1.22"),
        (b"panicnil=1", b"panicnil=0"),
        (b"toolchain go1.22.0", b""),
        (b"exclude example.org/b v1.2.2", b""),
    ],
)
def test_what_the_build_reads_counts(old: bytes, new: bytes) -> None:
    assert old in GO_MOD
    assert reduced("example.org/b", content=GO_MOD.replace(old, new)) != reduced("example.org/b")


def test_it_is_a_go_mod_and_reduces_to_itself() -> None:
    needed = ("example.org/c", "example.com/local")
    once = reduced(*needed)
    assert parse_go_mod(once.encode(), "go.mod").replaces[0].new == "../with space"
    assert reduced(*needed, content=once.encode()) == once


def test_a_directive_of_a_later_go_is_not_guessed_at() -> None:
    assert reduce_go_mod(GO_MOD + b"future example.org/a\n", "go.mod", ()) is None


def test_go_sum_has_the_replacement() -> None:
    go_mod = parse_go_mod(GO_MOD, "go.mod")
    needed = with_replacements(["example.org/c"], go_mod)
    content = (
        b"example.org/a v1.0.0 h1:aa=\nexample.org/a v1.0.0/go.mod h1:ab=\n"
        b"example.net/fork v1.5.0/go.mod h1:fb=\nexample.net/fork v1.5.0 h1:fa=\n"
        b"example.net/fork2 v1.5.0 h1:fc=\n"
    )
    assert reduce_go_sum(content, needed) == (
        b"example.net/fork v1.5.0 h1:fa=\nexample.net/fork v1.5.0/go.mod h1:fb=\n"
    )


def test_needed_modules_and_what_replaces_them() -> None:
    go_mod = parse_go_mod(GO_MOD, "go.mod")
    assert with_replacements(["example.org/c"], go_mod) == {"example.org/c", "example.net/fork"}
    assert with_replacements(["example.org/a"], go_mod) == {"example.org/a"}
    assert with_replacements((), go_mod) == frozenset()


def test_lines_of_go_sum() -> None:
    content = b"b v1 h1:b=\na v1 h1:a=\nb v1 h1:b=\n\nab v1 h1:ab=\n a v1 h1:x=\n\xff v1 h1:x=\n"
    assert reduce_go_sum(content, ["a", "b"]) == b"a v1 h1:a=\nb v1 h1:b=\n"
    assert reduce_go_sum(content, ()) == b""


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("../a", "../a"),
        ('"a b"', '"a b"'),
        ('"a//b"', '"a//b"'),
        ("`a(b`", '"a(b"'),
        ("`a\\b c`", '"a\\\\b c"'),
        ('"a\\"b"', '"a\\"b"'),
        ("`a,b`", '"a,b"'),
        ("''", "\"''\""),
    ],
)
def test_words_have_the_quotes_that_they_need(word: str, written: str) -> None:
    content = f"module m\nreplace x => {word} v1\n".encode()
    assert reduced("x", content=content) == f"module m\nreplace x => {written} v1\n"
    again = reduced("x", content=reduced("x", content=content).encode())
    assert again == f"module m\nreplace x => {written} v1\n"


def test_a_directive_without_arguments_says_nothing_of_a_module() -> None:
    assert reduced(content=b"module m\nrequire\nexclude\n") == "module m\n"


def test_what_no_build_reads_is_left_out() -> None:
    content = b"module m\nignore ./x\ntool y\nretract v1.0.0\n"
    assert reduced("./x", "y", "v1.0.0", content=content) == "module m\n"


def test_malformed() -> None:
    with pytest.raises(KoPantsError, match=r"^d/go.mod:2: the block `require \(` has no closing"):
        reduce_go_mod(b"module m\nrequire (\n", "d/go.mod", ())


def go_mod_text(*lines: str, go: str = "1.21") -> bytes:
    return "\n".join(["module example.com/m", *([f"go {go}"] if go else []), *lines, ""]).encode()


@pytest.mark.parametrize(
    ("files", "mod", "expected"),
    [
        ({"go.mod": go_mod_text()}, "", True),
        ({"go.mod": go_mod_text()}, "readonly", True),
        ({"go.mod": go_mod_text(go="1.17")}, "", True),
        # Go may write go.mod anew, from the versions that it finds.
        ({"go.mod": go_mod_text()}, "mod", False),
        # The module graph is not in go.mod alone.
        ({"go.mod": go_mod_text(go="1.16")}, "", False),
        ({"go.mod": go_mod_text(go="")}, "", False),
        # Go compares modules.txt with go.mod.
        ({"go.mod": go_mod_text(), "vendor/modules.txt": b""}, "", False),
        # The highest version that a module of the workspace names is in use.
        ({"go.mod": go_mod_text(), "go.work": b"go 1.21\nuse .\n"}, "", False),
    ],
)
def test_when_a_part_stands_for_all(files: Mapping[str, bytes], mod: str, expected: bool) -> None:
    workspace = find_workspace("", files, mod=mod)
    go_mod = parse_go_mod(files["go.mod"], "go.mod")
    assert can_be_reduced(workspace, go_mod, mod) is expected
