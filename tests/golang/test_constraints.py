"""How constraint expressions and the lines that hold them are read."""

from __future__ import annotations

import pytest

from ko_pants.golang.constraints import (
    And,
    Constraint,
    Not,
    Or,
    Tag,
    Unreadable,
    constraint_of_comments,
    parse_go_build,
    parse_plus_build,
)

A, B, C = Tag("a"), Tag("b"), Tag("c")
IGNORE = Tag("ignore")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("!a", Not(A)),
        ("a && b", And((A, B))),
        ("a&&b&&c", And((A, B, C))),
        ("a || b\t|| c", Or((A, B, C))),
        ("a || (b && c)", Or((A, And((B, C))))),
        ("a && (b || c)", And((A, Or((B, C))))),
        ("a || b && c", Or((A, And((B, C))))),
        ("(a || b) && c", And((Or((A, B)), C))),
        ("!(a || b)", Not(Or((A, B)))),
        ("!(!a)", Not(Not(A))),
        ("((a))", A),
        ("go1.21", Tag("go1.21")),
        ("a_b.c", Tag("a_b.c")),
        ("(" * 40 + "a" + ")" * 40, A),
    ],
)
def test_expressions(text: str, expected: Constraint) -> None:
    assert parse_go_build(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "a b", "a &&", "&& a", "a & b", "a | b", "a,b", "!", "!!a", "(a", "a)", "()", "a!"),
        *(
            "a || ||",
            ")",
            "&&",
            "!&&",
            "a && )",
            "(a) (b)",
            "a || || b",
            "-a",
            "a && (b",
            "!(",
            "(" * 41 + "a" + ")" * 41,
        ),
    ],
)
def test_malformed_expressions(text: str) -> None:
    assert parse_go_build(text) == Unreadable()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", A),
        ("!a", Not(A)),
        ("a b", Or((A, B))),
        ("a,b", And((A, B))),
        ("a,!b c", Or((And((A, Not(B))), C))),
        # What Go takes malformed terms for is not negated, unless the tag alone is malformed.
        ("", IGNORE),
        ("!", IGNORE),
        ("!!a", IGNORE),
        ("a-b", IGNORE),
        ("!a-b", Not(IGNORE)),
        ("!!a,b", And((IGNORE, B))),
        ("a,", And((A, IGNORE))),
        ("a,! b", Or((And((A, IGNORE)), B))),
    ],
)
def test_plus_build_lines(text: str, expected: Constraint) -> None:
    assert parse_plus_build(text) == expected


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ("", None),
        ("// About build tags.\n", None),
        ("//go:build a\n", A),
        ("//go:build a", A),
        ("  //go:build \t a  \r\n", A),
        ("//go:build\n", Unreadable()),
        ("//go:builda\n", None),
        ("// go:build a\n", None),
        ("// //go:build a\n", None),
        ("\n\n//go:build a\n// +build b\n\n", A),
        ("//go:build a\n//go:build a\n", Unreadable()),
        ("//go:build a\n//go:build b\n//go:build c\n", Unreadable()),
        # Block comments before and around it.
        ("/* x */\n//go:build a\n", A),
        ("/**/\n//go:build a\n", A),
        ("/* x\n//go:build a\n*/\n", None),
        ("/* x\n//go:build a\n*/ // y\n//go:build b\n", B),
        ("/* x */ /* y\n//go:build a\n*/\n//go:build b\n", B),
        ("/* x */ // /* y\n//go:build a\n", A),
        ("/**/ //go:build a\n", None),
        # `+build` lines: of all of them, those above a blank line, before other comments.
        ("// +build a\n\n", A),
        ("//+build a\n\n", A),
        ("//   +build   a b\n\n", Or((A, B))),
        ("// +build a\n// +build b\n\n", And((A, B))),
        ("// +build a\n\n// +build b\n\n", And((A, B))),
        ("// +build a\n", None),
        ("// +build a\n// About.\n", None),
        ("// +build a\n\n// +build b\n", A),
        ("// +builda\n\n", None),
        ("// x +build a\n\n", None),
        ("// +build\n\n", IGNORE),
        ("/* x */\n// +build a\n\n", None),
        ("// +build a\n/* x */\n\n", None),
        ("// +build a\n\n/* x */\n// +build b\n\n", A),
        ("/* x\n// +build a\n\n*/\n", None),
        ("// \xff +build x\n// +build a\n\n", A),
    ],
)
def test_comments(comments: str, expected: Constraint | None) -> None:
    assert constraint_of_comments(comments.encode("latin-1")) == expected
