"""What is read of the head of a file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from golang.trees import find_go, run_go_list, write_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from ko_pants.golang.constraints import And, Tag
from ko_pants.golang.directory import analyze_directory
from ko_pants.golang.source_file import GoFile, OtherFile, parse_go_file, parse_other_file
from ko_pants.oci.platform import Platform

BACKQUOTE = "`"

HEADS: dict[str, tuple[str, tuple[str, ...]]] = {
    "none": ('package p\nvar x = `import "no"`\n', ()),
    "single": ('package p\nimport "fmt"\n', ("fmt",)),
    "named": (
        'package p\nimport (\n_ "a"; . "b"\nc "fmt"\n\td\t"d/e"\n)\n',
        ("a", "b", "d/e", "fmt"),
    ),
    "one line": ('package p; import "fmt"; import ("os";"io")\n', ("fmt", "io", "os")),
    "raw": ("package p\nimport `fmt`\n", ("fmt",)),
    "escaped": ('package p\nimport "f\\x6d\\u0074"\n', ("fmt",)),
    "commented": (
        'package/**/p // "no"\nimport /* "no" */ ( // "no"\n /* "no\n"*/ "fmt" /**/ )\n'
        '// import "no"\n',
        ("fmt",),
    ),
    "no space": ('package p\nimport"fmt"\nimport("os")\n', ("fmt", "os")),
    "several": ('package p\nimport "fmt"\nimport (\n)\nimport ("os"\n"io")\n', ("fmt", "io", "os")),
    "after code": ('package p\nvar importer = 1\nvar s = "\\nimport \\"no\\""\n', ()),
    "crlf": ('package p\r\n\r\nimport (\r\n\t"fmt"\r\n\t"os"\r\n)\r\n', ("fmt", "os")),
    "byte order mark": ('\ufeffpackage p\nimport "fmt"\n', ("fmt",)),
    "repeated": ('package p\nimport "fmt"\nimport f "fmt"\n', ("fmt",)),
    "identifier": ('package p\nimport übung "fmt"\n', ("fmt",)),
}


@pytest.mark.parametrize("case", HEADS)
def test_imports(case: str) -> None:
    source, imports = HEADS[case]
    file = parse_go_file("x.go", source.encode())
    assert (file.package, file.imports) == ("p", imports)


EMBEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": ("//go:embed a.txt b/*.html\nvar f embed.FS\n", ("a.txt", "b/*.html")),
    "quoted": ('//go:embed "a b.txt" `c d` e\\*\nvar f embed.FS\n', ("a b.txt", "c d", "e\\*")),
    "all": ("//go:embed all:static\nvar f embed.FS\n", ("all:static",)),
    "several": ("//go:embed a\n//go:embed b\nvar f embed.FS\n", ("a", "b")),
    "tab": ("//go:embed\ta\nvar f embed.FS\n", ("a",)),
    "in a group": ("var (\n\t//go:embed a\n\tf embed.FS\n)\n", ("a",)),
    "in a string": ('var s = `\n//go:embed no\n`\nvar t = "//go:embed no"\n', ()),
    "in a comment": ("/*\n//go:embed no\n*/\n", ()),
    "beside a quote": ("var r = '\"'\n//go:embed a\nvar f embed.FS\nvar q = '`'\n", ("a",)),
    "escaped quote": ("var r = '\\''\nvar s = \"\\\"\"\n//go:embed a\nvar f embed.FS\n", ("a",)),
    "spaced": ("// go:embed no\n//go:embedded no\n", ()),
    "crlf": ("//go:embed a b\r\nvar f embed.FS\r\n", ("a", "b")),
}


@pytest.mark.parametrize("case", EMBEDS)
def test_embed_directives(case: str) -> None:
    source, patterns = EMBEDS[case]
    file = parse_go_file("x.go", ('package p\nimport "embed"\n' + source).encode())
    assert file.embed_patterns == patterns


def test_embed_without_the_import_is_a_comment() -> None:
    assert parse_go_file("x.go", b"package p\n//go:embed a\nvar x string\n").embed_patterns == ()


def test_go_reads_the_same(tmp_path: Path) -> None:
    go = find_go()
    files = {"go.mod": "module example.com/m\n\ngo 1.21\n"}
    sources = [source for source, _ in HEADS.values()]
    sources += ['package p\nimport "embed"\n' + source for source, _ in EMBEDS.values()]
    for index, source in enumerate(sources):
        files[f"p{index:02}/x.go"] = source
    write_tree(tmp_path, files)
    packages = run_go_list(go, tmp_path, "", Platform("linux", "amd64"), [], ["./..."])
    assert len(packages) == len(sources)
    for package, source in zip(packages, sources):
        mine = parse_go_file("x.go", source.encode())
        listed = (package["Name"], package.get("Imports", []), package.get("EmbedPatterns", []))
        assert (mine.package, list(mine.imports), list(mine.embed_patterns)) == listed


def test_only_the_head_counts() -> None:
    """What a function body says leaves the analysis of its directory equal."""
    before = b'// A.\npackage p\n\nimport (\n\t"b"\n\t"a"\n)\n\nfunc F() { println(1) }\n'
    after = b'// B.\npackage p\n\nimport "a"\nimport "b"\n\nfunc F() { println("//go:embed x") }\n'
    assert analyze_directory("d", {"x.go": before}) == analyze_directory("d", {"x.go": after})
    grown = before.replace(b'"a"', b'"a"\n\t"c"')
    assert analyze_directory("d", {"x.go": before}) != analyze_directory("d", {"x.go": grown})


def test_assembly_names_what_it_includes() -> None:
    file = parse_other_file(
        "x.s", b'//go:build arm64\n\n#include "textflag.h"\n# include "../m.h"\n'
    )
    assert file.includes == ("../m.h", "textflag.h")
    assert file.constraint is not None


def test_the_whole_head() -> None:
    content = (
        b"\xef\xbb\xbf// About.\n//go:build a && b\n\npackage p\n\n"
        b'import (\n\t"os"\n\t_ "embed"\n)\n\n//go:embed z a\nvar f string\n'
    )
    assert parse_go_file("x.go", content) == GoFile(
        "x.go", "p", ("embed", "os"), And((Tag("a"), Tag("b"))), ("a", "z")
    )
    assert parse_go_file("x.go", b"") == GoFile("x.go", "")


@pytest.mark.parametrize(
    ("source", "package", "imports"),
    [
        ("", "", ()),
        ('import "fmt"\n', "", ()),
        ("packages p\n", "", ()),
        ("package\n", "", ()),
        ('package p\nimport "a"\nimport (\n"b"\n+ "c"\n)\nimport "d"\n', "p", ("a", "b")),
        ('package p\nimport x\nimport "d"\n', "p", ("d",)),
        ('package p\nimport ("a"\n', "p", ("a",)),
        ('package p\nimport "\\q"\nimport ("\\q"; "a")\n', "p", ("a",)),
        ('package p\nimport ("a"; ""; "b")\n', "p", ("a", "b")),
        ('package p\nimport (""; "a"; +)\n', "p", ("a",)),
        ('package p\nimport "a\nb"\n', "p", ()),
        ("package p\nimport `a\rb`\n", "p", ("ab",)),
        ('package p /* "x\n*/ import . "a"\n', "p", ("a",)),
        ('package p\nimport /**/ _/**/"a"/**/\n', "p", ("a",)),
        ('package p\n/* not closed import "a"\n', "p", ()),
        ('package p\nimport "a" "b"\n', "p", ("a",)),
        ('package p\nimports "a"\n', "p", ()),
    ],
)
def test_odd_heads(source: str, package: str, imports: tuple[str, ...]) -> None:
    file = parse_go_file("x.go", source.encode())
    assert (file.package, file.imports) == (package, imports)


@pytest.mark.parametrize(
    ("line", "patterns"),
    [
        ("//go:embed", ()),
        ("//go:embed   ", ()),
        ('//go:embed "a\\x62" `c\\d` "" "\\q" e', ("ab", "c\\d", "e")),
        ('//go:embed a "b', ("a",)),
        ('//go:embed a "b"c d', ("a",)),
        ("//go:embed a\\ b", ("a\\", "b")),
        ('//go:embed a"b', ('a"b',)),
        ("//go:embedx a", ()),
        ("x := 1 //go:embed a", ("a",)),
        ("// //go:embed a", ()),
        ("/* */ //go:embed a", ("a",)),
        ("/* //go:embed a", ()),
        ("'//go:embed a", ()),
        ('"//go:embed a', ()),
        ("`//go:embed a", ()),
    ],
)
def test_odd_embed_directives(line: str, patterns: tuple[str, ...]) -> None:
    source = f'package p\nimport "embed"\n{line}\n'
    assert parse_go_file("x.go", source.encode()).embed_patterns == patterns


def test_bytes_that_are_not_utf_8() -> None:
    content = b'package \xff\nimport ("embed"; "a\xff"; `b\xff`)\n//go:embed \xff "c\xff"\n'
    bad = "\ufffd"
    assert parse_go_file("x.go", content) == GoFile(
        "x.go", bad, (f"a{bad}", f"b{bad}", "embed"), None, (f"c{bad}", bad)
    )


def test_properties_of_files() -> None:
    assert parse_go_file("x.go", b'package p\nimport "C"\n').uses_cgo
    assert not parse_go_file("x.go", b'package p\nimport "Cx"\n').uses_cgo
    assert parse_go_file("x.go", b"package documentation\n").is_documentation
    assert not parse_go_file("x.go", b"package documentations\n").is_documentation
    assert [OtherFile(name).uses_cgo for name in ("x.S", "x.sx", "x.s", "S")] == [
        *(True, True, False, False),
    ]
    assert OtherFile("documentation").is_documentation is False


def test_what_assembly_includes() -> None:
    content = (
        b'\xef\xbb\xbf//go:build a\n\n  #  include  "b.h"\n#include "a.h" // text\n'
        b'#include "a.h"\n#include <sys.h>\n// #include "no.h"\n#includes "no.h"\n'
        b'#include "\xff.h"\n#include "not closed\n'
    )
    assert parse_other_file("x.s", content) == OtherFile(
        "x.s", Tag("a"), ("a.h", "b.h", "\ufffd.h")
    )


# A line of assembly, and the path that it includes.
INCLUDES = [
    ('#include"a.h"', "a.h"),
    ('# include "a.h"', "a.h"),
    ('\t#\tinclude\t"a.h"\r', "a.h"),
    ('/* one */ /**/#/* two */include/* three\n*/"a.h"', "a.h"),
    ('#include "a\\x2eh" // text', "a.h"),
    ('#include "../inc/a.h";', "../inc/a.h"),
    ("#include <a.h>", None),
    ("#include `a.h`", None),
    ('#includes "a.h"', None),
    ('#\ninclude "a.h"', None),
    ('#include "\\q"', None),
    ('#include ""', None),
    ('MOVQ #include "a.h"', None),
]


@pytest.mark.parametrize(("line", "path"), INCLUDES)
def test_spellings_of_an_include(line: str, path: str | None) -> None:
    file = parse_other_file("x.s", f"TEXT a\n{line}\nRET\n".encode())
    assert file.includes == (() if path is None else (path,))


def test_comments_without_end_are_read_fast() -> None:
    assert parse_other_file("x.s", b"include" + b"/**/" * 20_000 + b"/*\n" * 20_000).includes == ()


FRAGMENTS = st.sampled_from(
    [
        *(b"package ", b"p", b"import ", b"(", b")", b'"', b"`", b"'", b"\\", b"\n", b"\r\n"),
        *(b"//", b"/*", b"*/", b"//go:build ", b"// +build ", b"//go:embed ", b'"embed"', b";"),
        *(b"!", b"&&", b"||", b",", b"linux", b"\xff", b"\x00", b"\xef\xbb\xbf", b" ", b"."),
    ]
)


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), st.lists(FRAGMENTS, max_size=40).map(b"".join)))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    file = parse_go_file("x.go", content)
    assert hash(file) == hash(parse_go_file("x.go", content))
    parse_other_file("x.s", content)


SPACE = st.lists(
    st.sampled_from([" ", "\t", "\n", "\r\n", '/* import "no" */', "// import (\n", "/**/"]),
    max_size=4,
).map("".join)
PATHS = st.lists(
    st.from_regex(r"[a-z][a-z0-9.~-]{0,6}(/[a-z_]{1,5}){0,2}", fullmatch=True), max_size=6
)
TAIL = st.sampled_from(["", '\nvar x = `\nimport "no"\n`\n', '\nfunc f() {}\n// import "no"\n'])


@settings(max_examples=200)
@given(PATHS, SPACE, SPACE, TAIL, st.randoms(use_true_random=False))
def test_any_spacing_gives_the_same_imports(
    paths: list[str], one: str, two: str, tail: str, chosen: random.Random
) -> None:
    choice = chosen.choice
    source = f"{one}package {two} main\n"
    left = list(paths)
    while left:
        count = choice([1, 2, 3])
        taken, left = left[:count], left[count:]
        specs = []
        for path in taken:
            quote = choice(['"', BACKQUOTE])
            specs.append(
                choice(["", "_ ", ". ", f"name{two} "]) + f"{one}{quote}{path}{quote}{two}"
            )
        if len(specs) == 1 and choice([True, False]):
            source += f"import {specs[0]}\n"
        else:
            source += f"import {two}({one}" + choice([";", "\n"]).join(specs) + f"{two})\n"
    file = parse_go_file("main.go", (source + tail).encode())
    assert file.package == "main"
    assert set(file.imports) == set(paths)
