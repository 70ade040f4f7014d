"""What go.mod and go.work have in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.golang.modfile import (
    Directive,
    Replace,
    language_version,
    parse_directives,
    parse_replace,
    single_argument,
)


def directives(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    return [(d.line, d.verb, d.arguments) for d in parse_directives(text.encode(), "f")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("// x\n\n", []),
        ("go 1.21 // x", [(1, "go", ("1.21",))]),
        ("\n  a\tb\r\nc\n", [(2, "a", ("b",)), (3, "c", ())]),
        (
            "a (\n\tb c\n\n// x\n\td // y\n)\ne f\n",
            [(2, "a", ("b", "c")), (5, "a", ("d",)), (7, "e", ("f",))],
        ),
        ("a(\nb\n)\n", [(2, "a", ("b",))]),
        ("a ()\nb c\n", [(2, "b", ("c",))]),
        # Other uses of parentheses are the arguments of a directive that is read elsewhere.
        ("a ( b\n", [(1, "a", ("(", "b"))]),
        ("a (\nb )\n)\n", [(2, "a", ("b", ")"))]),
        (")\n", [(1, ")", ())]),
        ('a "b c" `d "e`\n', [(1, "a", ("b c", 'd "e'))]),
        ('a "\\x41\\"" "" ``\n', [(1, "a", ('A"', "", ""))]),
        ("a b=>c [d,e]\n", [(1, "a", ("b", "=>", "c", "[", "d", ",", "e", "]"))]),
        ("a b/c//d\n", [(1, "a", ("b/c",))]),
        ("a b=c\n", [(1, "a", ("b=c",))]),
        ("a \xff\n", [(1, "a", ("\xff",))]),
    ],
)
def test_directives(text: str, expected: list[tuple[int, str, tuple[str, ...]]]) -> None:
    assert directives(text) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            'a\nb "c\n',
            "f:2: malformed string '\"c'; expected it to end on its line with the quote that it "
            "starts with",
        ),
        (
            "a `b \n",
            "f:1: malformed string '`b'; expected it to end on its line with the quote that it "
            "starts with",
        ),
        ('a "\\q"\n', "f:1: malformed string '\\\\q'"),
        ("a\nb (\nc\n", "f:2: the block `b (` has no closing `)`"),
    ],
)
def test_malformed_files(text: str, error: str) -> None:
    with pytest.raises(KoPantsError) as found:
        directives(text)
    assert str(found.value) == error


@given(st.one_of(st.binary(), st.text(alphabet='module"`()=>/ \n\\.x').map(str.encode)))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        lines = [directive.line for directive in parse_directives(content, "go.mod")]
    except KoPantsError as refusal:
        error = str(refusal)
    else:
        error = "go.mod:"
        assert lines == sorted(set(lines))
    assert error.startswith("go.mod:")


def test_single_arguments() -> None:
    assert single_argument(Directive(3, "go", ("1.21",)), "f") == "1.21"
    for arguments, earlier, text in (
        ((), "", "f:3: malformed `go` directive: found 0 arguments, expected one"),
        (("a", "b"), "", "f:3: malformed `go` directive: found 2 arguments, expected one"),
        (("a",), "b", "f:3: repeated `go` directive; remove one"),
    ):
        with pytest.raises(KoPantsError) as error:
            single_argument(Directive(3, "go", arguments), "f", earlier=earlier)
        assert str(error.value) == text


@pytest.mark.parametrize(
    ("arguments", "expected", "local"),
    [
        (("x", "=>", "../y"), Replace("x", "", "../y", "", 5), True),
        (("x", "v1", "=>", "./y"), Replace("x", "v1", "./y", "", 5), True),
        (("x", "=>", "."), Replace("x", "", ".", "", 5), True),
        (("x", "=>", ".."), Replace("x", "", "..", "", 5), True),
        (("x", "=>", "/y"), Replace("x", "", "/y", "", 5), True),
        (("x", "=>", "y", "v2"), Replace("x", "", "y", "v2", 5), False),
        (("x", "v1", "=>", "y", "v2"), Replace("x", "v1", "y", "v2", 5), False),
    ],
)
def test_replacements(arguments: tuple[str, ...], expected: Replace, local: bool) -> None:
    found = parse_replace(Directive(5, "replace", arguments), "f")
    assert found == expected
    assert found.is_local is local


MALFORMED = (
    "f:5: malformed `replace` directive; expected `replace module [version] => ../directory` or "
    "`=> other/module version`"
)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("x", "../y"), MALFORMED),
        (("=>", "../y"), MALFORMED),
        (("x", "=>"), MALFORMED),
        (("x", "v1", "v2", "=>", "../y"), MALFORMED),
        (("x", "=>", "y", "v2", "v3"), MALFORMED),
        ((), MALFORMED),
        (
            ("x", "=>", "y"),
            "f:5: the replacement 'y' has no version; expected a version, or a directory, which "
            "starts with ./ or ../",
        ),
        (
            ("x", "=>", "..y"),
            "f:5: the replacement '..y' has no version; expected a version, or a directory, which "
            "starts with ./ or ../",
        ),
        (
            ("x", "=>", "../y", "v2"),
            "f:5: the replacement directory '../y' has a version; remove it",
        ),
    ],
)
def test_malformed_replacements(arguments: tuple[str, ...], text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_replace(Directive(5, "replace", arguments), "f")
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.21", (1, 21)),
        ("1.21.3", (1, 21)),
        ("1.22rc1", (1, 22)),
        ("12.345", (12, 345)),
        ("2", (2, 0)),
        ("", (0, 0)),
        ("x1.2", (0, 0)),
    ],
)
def test_language_versions(text: str, version: tuple[int, int]) -> None:
    assert language_version(text) == version
