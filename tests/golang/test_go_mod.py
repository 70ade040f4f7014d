from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_mod import GoMod, Require, parse_go_mod
from ko_pants.golang.modfile import Replace

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


def test_what_a_build_depends_on() -> None:
    assert parse_go_mod(GO_MOD, "app/go.mod") == GoMod(
        "app/go.mod",
        "example.com/app",
        "1.22.3",
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


def test_the_module_is_enough() -> None:
    found = parse_go_mod(b"module m", "go.mod")
    assert found == GoMod("go.mod", "m") == GoMod("go.mod", "m", "", (), ())


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("go 1.21\n", 1, "no `module` directive; expected a line `module example.com/name`"),
        ("module a b\n", 1, "malformed `module`"),
        ("module a\nmodule b\n", 2, "repeated `module`"),
        ("module a\ngo 1.21\ngo 1.22\n", 3, "repeated `go`"),
        ("module a\ntoolchain x\ntoolchain y\n", 3, "repeated `toolchain`"),
        ("module a\ngo\n", 2, "malformed `go`"),
        ("module a\ntoolchain\n", 2, "malformed `toolchain`"),
        (
            "module a\nrequire x\n",
            2,
            "malformed `require` directive; expected a module path and a version",
        ),
        ("module a\nrequire x v1 v2\n", 2, "malformed `require`"),
        ("module a\n\nrequire (\n\tx v1\n", 3, "no closing `)`"),
        ("module a\nreplace x ../y\n", 2, "malformed `replace`"),
        ("module a\nreplace x => y\n", 2, "has no version"),
        ("module a\nreplace (\nx => ../y v1.0.0\n)\n", 3, "has a version"),
        ('module "a\n', 1, "malformed string"),
        ('module "\\q"\n', 1, "malformed string"),
    ],
)
def test_malformed(content: str, line: int, text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_go_mod(content.encode(), "dir/go.mod")
    assert str(error.value).startswith(f"dir/go.mod:{line}: ")
    assert text in str(error.value)
