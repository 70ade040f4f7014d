"""Layouts of repositories, each with a program: small, without network, and each with one oddity.

Files are written as Go's txtar archives have them: `-- path --`, then the content.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Mapping

MODULE = "-- go.mod --\nmodule example.com/app\n\ngo 1.21\n"


@dataclass(frozen=True)
class Layout:
    """A repository with a main package in `directory`.

    :param archive: its files.
    :param binary: files that are no text.
    :param links: symbolic links, each with what it names.
    :param go_minor: the first N of Go 1.N that can build it.
    :param error: a part of what Go says where it does not build.
    """

    archive: str
    directory: str = ""
    flags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    platform: str = "linux/amd64"
    binary: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    go_minor: int = 21
    error: str = ""

    @property
    def files(self) -> dict[str, bytes]:
        """The content of all files by path."""
        parts = re.split(r"^-- (.+) --\n", self.archive, flags=re.MULTILINE)[1:]
        return {**dict(zip(parts[::2], (p.encode() for p in parts[1::2]))), **self.binary}


def program(*imports: str, body: str = "") -> str:
    """A main.go that prints `X` of packages, each imported by its path."""
    lines = "".join(f'\tp{i} "{path}"\n' for i, path in enumerate(imports))
    prints = "".join(f"\tprintln(p{i}.X)\n" for i, _ in enumerate(imports))
    return f"package main\n\nimport (\n{lines})\n\nfunc main() {{\n{prints}{body}}}\n"


def package(path: str, value: str = "", name: str = "") -> str:
    """A package with `X`, whose value is the path unless another is given."""
    name = name or path.rpartition("/")[2].partition(".")[0]
    directory = path if path.endswith(".go") else f"{path}/x.go"
    return f'-- {directory} --\npackage {name}\n\nvar X = "value of {value or path}"\n'


def object_file() -> bytes:
    """A COFF object for windows/amd64 with a section of resources that holds some bytes."""
    data = b"resources of the program" + bytes(8)
    header = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0, 0)
    section = struct.pack("<8sIIIIIIHHI", b".rsrc", 0, 0, len(data), 60, 0, 0, 0, 0, 0x40000040)
    return header + section + data


def _field(number: int, value: bytes) -> bytes:
    """A field of a protocol buffer: bytes."""
    return bytes([number << 3 | 2, len(value)]) + value


def _number(number: int, value: int) -> bytes:
    """A field of a protocol buffer: a small number."""
    return bytes([number << 3, value])


def profile(function: bytes) -> bytes:
    """A CPU profile (pprof's profile.proto) with one hot call of main.main."""
    strings = (b"", b"samples", b"count", b"cpu", b"nanoseconds", b"main.main", function, b"m.go")
    message = _field(1, _number(1, 1) + _number(2, 2)) + _field(1, _number(1, 3) + _number(2, 4))
    message += _field(2, _field(1, bytes([2, 1])) + _field(2, bytes([100, 100])))
    message += _field(3, _number(1, 1))
    for number, name in ((1, 5), (2, 6)):
        line = _number(1, number) + _number(2, 4 + number)
        message += _field(4, _number(1, number) + _number(2, 1) + _field(4, line))
        message += _field(5, _number(1, number) + _number(2, name) + _number(5, 1))
        message += _number(9, 1) if number == 3 else b""
    return message + b"".join(_field(6, text) for text in strings)


MODULES = {
    "a main package in the root": Layout(
        MODULE + "-- main.go --\n" + program("example.com/app/lib") + package("lib")
    ),
    "internal packages": Layout(
        MODULE
        + "-- cmd/a/main.go --\n"
        + program("example.com/app/internal/x", "example.com/app/cmd/a/internal/y")
        + package("internal/x")
        + package("cmd/a/internal/y"),
        "cmd/a",
    ),
    "a nested module that is another": Layout(
        MODULE
        + '-- main.go --\npackage main\n\nimport "embed"\n\n//go:embed data\nvar F embed.FS\n\n'
        "func main() {\n\tb, _ := F.ReadFile(`data/a.txt`)\n\tprintln(string(b))\n}\n"
        "-- data/a.txt --\na\n-- data/deep/b.txt --\nb\n"
        "-- data/nested/go.mod --\nmodule nested\n-- data/nested/c.txt --\nc\n"
        "-- data/nested/d/d.txt --\nd\n"
    ),
    "a module below that of the root": Layout(
        MODULE
        + "-- tools/go.mod --\nmodule example.com/app/tools\n\ngo 1.21\n-- tools/cmd/main.go --\n"
        + program("example.com/app/tools/lib")
        + package("tools/lib")
        + package("lib"),
        "tools/cmd",
    ),
    "a workspace with enclosing and nested modules": Layout(
        "-- go.work --\ngo 1.21\n\nuse (\n\t.\n\t./staging/src/example.com/api\n)\n"
        + MODULE
        + "-- staging/src/example.com/api/go.mod --\nmodule example.com/api\n\ngo 1.21\n"
        "-- staging/src/example.com/api/cmd/tool/main.go --\n"
        + program("example.com/api/types", "example.com/app/pkg")
        + package("staging/src/example.com/api/types")
        + package("pkg"),
        "staging/src/example.com/api/cmd/tool",
    ),
    "a workspace whose root imports the nested module": Layout(
        "-- go.work --\ngo 1.21\n\nuse .\nuse ./staging/api\nuse ./staging/api/deep\n"
        + MODULE
        + "-- staging/api/go.mod --\nmodule example.com/api\n\ngo 1.21\n"
        "-- staging/api/deep/go.mod --\nmodule example.com/deep\n\ngo 1.21\n-- cmd/main.go --\n"
        + program("example.com/api/types", "example.com/deep", "example.com/app/staging")
        + package("staging/api/types")
        + package("staging/api/deep/deep.go")
        + package("staging"),
        "cmd",
    ),
    "a workspace below the root": Layout(
        "-- services/go.work --\ngo 1.21\n\nuse ./a\n\nreplace example.com/b => ./b // text\n"
        "-- services/a/go.mod --\nmodule a\n\ngo 1.21\n\nrequire example.com/b v1.0.0\n"
        "-- services/b/go.mod --\nmodule example.com/b\n\ngo 1.21\n-- services/a/main.go --\n"
        + program("example.com/b", "a/lib")
        + package("services/b/b.go")
        + package("services/a/lib"),
        "services/a",
    ),
    "a workspace that is off": Layout(
        "-- go.work --\ngo 1.21\n\nuse ./other\n"
        + MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + package("lib"),
        env=(("GOWORK", "off"),),
    ),
    "a replacement by a directory within the module": Layout(
        MODULE + "\nrequire (\n\texample.com/lib v0.0.0 // indirect\n)\n\n"
        "replace (\n\texample.com/lib v0.0.0 => ./third_party/lib\n)\n"
        "-- third_party/lib/go.mod --\nmodule example.com/own/name\n\ngo 1.21\n-- main.go --\n"
        + program("example.com/lib", "example.com/lib/sub")
        + package("third_party/lib/x.go", name="lib")
        + package("third_party/lib/sub")
    ),
    "replacements by version": Layout(
        "-- app/go.mod --\nmodule example.com/app\n\ngo 1.21\n\n"
        "require example.com/lib v1.1.0\n\nrequire example.com/lib/v2 v2.3.0\n\n"
        "replace example.com/lib v1.0.0 => ../wrong\n\n"
        'replace example.com/lib v1.1.0 => "../right one"\n\n'
        "replace example.com/lib/v2 => ../v2\n"
        "-- wrong/go.mod --\nmodule example.com/lib\n"
        "-- right one/go.mod --\nmodule example.com/lib\n\ngo 1.21\n"
        "-- v2/go.mod --\nmodule example.com/lib/v2\n\ngo 1.21\n-- app/main.go --\n"
        + program("example.com/lib/a", "example.com/lib/v2/a")
        + package("wrong/a")
        + package("right one/a")
        + package("v2/a"),
        "app",
    ),
    "a major version in the module's path": Layout(
        "-- go.mod --\nmodule example.com/app/v3\n\ngo 1.21\n-- main.go --\n"
        + program("example.com/app/v3/lib")
        + package("lib")
        + package("v3/lib")
    ),
    "a vendor directory": Layout(
        MODULE
        + "\nrequire example.com/x v1.0.0\n\nreplace example.com/x v1.0.0 => example.com/y v1.5.0\n"
        "-- vendor/modules.txt --\n# example.com/x v1.0.0 => example.com/y v1.5.0\n"
        "## explicit; go 1.21\nexample.com/x\nexample.com/x/deep\n-- main.go --\n"
        + program("example.com/x")
        + "-- vendor/example.com/x/x.go --\n"
        'package x\n\nimport "example.com/x/deep"\n\nvar X = deep.X\n'
        + package("vendor/example.com/x/deep")
    ),
    "a vendored workspace": Layout(
        "-- go.work --\ngo 1.22\n\nuse ./app\n"
        "-- app/go.mod --\nmodule example.com/app\n\ngo 1.22\n\nrequire example.com/x v1.0.0\n"
        "-- vendor/modules.txt --\n## workspace\n# example.com/x v1.0.0\n## explicit; go 1.21\n"
        "example.com/x\n-- app/main.go --\n"
        + program("example.com/x")
        + package("vendor/example.com/x/x.go")
        + package("app/vendor/example.com/x/x.go"),
        "app",
        go_minor=22,
    ),
    "go.mod with toolchain, godebug and blocks": Layout(
        '-- go.mod --\n// Text.\nmodule "example.com/app" // more\n\ngo 1.21\n\n'
        "toolchain go1.21.0\n\ngodebug (\n\tdefault=go1.21\n\tpanicnil=1\n)\n\n"
        "exclude example.com/x v1.0.0\n\nretract [v1.0.0, v1.1.0] // bad\n-- main.go --\n"
        "//go:debug http2client=0\n" + program("example.com/app/lib") + package("lib"),
        go_minor=23,
    ),
    "go.work with godebug": Layout(
        "-- go.work --\ngo 1.23\n\ngodebug panicnil=1\n\nuse ./app\n"
        "-- app/go.mod --\nmodule example.com/app\n\ngo 1.23\n\ngodebug panicnil=0\n"
        "-- app/main.go --\n" + program(),
        "app",
        go_minor=23,
    ),
    "an old go.mod": Layout(
        "-- go.mod --\nmodule app\n-- main.go --\n" + program("app/lib") + package("lib")
    ),
    "GOFLAGS with -mod=mod": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + package("lib")
        + "-- vendor/modules.txt --\n# example.com/x v1.0.0\n## explicit\n",
        env=(("GOFLAGS", "-mod=mod"),),
    ),
    "spellings of directories": Layout(
        '-- go.work --\ngo 1.21\nuse "./app/" // text\nuse(\n\t./lib\n)\n\n'
        "replace example.com/third v1.2.3 => ./app/../third/\n"
        "-- app/go.mod --\nmodule(\n\texample.com/app\n)\ngo 1.21\n"
        "require( // text\nexample.com/third v1.2.3 //indirect\n)\n"
        "-- lib/go.mod --\nmodule example.com/lib\r\ngo 1.21\r\n"
        "-- third/go.mod --\nmodule example.com/third\n-- app/main.go --\n"
        + program("example.com/lib", "example.com/third/a")
        + package("lib/lib.go")
        + package("third/a"),
        "app",
    ),
    "replacements that import each other": Layout(
        "-- app/go.mod --\nmodule example.com/app\n\ngo 1.21\n\n"
        "require example.com/a v1.0.0\n\nrequire example.com/b v1.0.0 // indirect\n\n"
        "replace example.com/a => ../libs/a\n\nreplace example.com/b => ../libs/a/b\n"
        "-- libs/a/go.mod --\nmodule example.com/a\n\ngo 1.21\n\n"
        "require example.com/b v1.0.0\n\nreplace example.com/b => ../wrong\n"
        "-- libs/a/b/go.mod --\nmodule example.com/b\n\ngo 1.21\n-- app/main.go --\n"
        + program("example.com/a")
        + '-- libs/a/a.go --\npackage a\n\nimport "example.com/b/c"\n\nvar X = c.X\n'
        + package("libs/a/b/c"),
        "app",
    ),
    "requirements that are not used": Layout(
        MODULE
        + "\nrequire (\n\texample.com/absent v1.0.0\n\texample.com/other v1.2.0 // indirect\n)\n"
        "-- go.sum --\nexample.com/absent v1.0.0 h1:x=\nexample.com/absent v1.0.0/go.mod h1:x=\n"
        "-- main.go --\n" + program("example.com/app/lib") + package("lib"),
    ),
    "tools and ignored directories": Layout(
        "-- go.mod --\nmodule example.com/app\n\ngo 1.25\n\ntool example.com/app/cmd/gen\n\n"
        "ignore ./lib\n-- main.go --\n" + program("example.com/app/lib") + package("lib"),
        go_minor=25,
    ),
    "the root package of a program below it": Layout(
        MODULE.replace("go.mod", "app/go.mod")
        + '-- app/assets.go --\npackage app\n\nimport "embed"\n\n//go:embed all:*\n'
        "var F embed.FS\n-- app/static/a.txt --\na\n-- app/static/nested/go.mod --\n"
        "module x\n-- app/static/_draft/b.txt --\nb\n-- app/internal/cmd/app/main.go --\n"
        'package main\n\nimport "example.com/app"\n\nfunc main() {\n'
        '\t_, err := app.F.Open("x")\n\tprintln(err.Error())\n}\n',
        "app/internal/cmd/app",
    ),
    "an embedded go.mod": Layout(
        MODULE.replace("go.mod", "app/go.mod")
        + "\nrequire (\n\texample.com/absent v1.0.0\n\texample.com/other v1.2.0 // indirect\n)\n"
        "-- app/go.sum --\nexample.com/absent v1.0.0/go.mod h1:x=\n-- app/main.go --\n"
        'package main\n\nimport "embed"\n\n//go:embed go.mod go.sum\nvar F embed.FS\n\n'
        'func main() {\n\t_, err := F.Open("x")\n\tprintln(err.Error())\n}\n',
        "app",
    ),
    "a module in a directory with a space": Layout(
        "-- my services/go.mod --\nmodule app\n\ngo 1.21\n-- my services/cmd/main.go --\n"
        + program("app/lib")
        + package("my services/lib"),
        "my services/cmd",
    ),
}

SOURCES = {
    "names of packages that differ from directories": Layout(
        MODULE + '-- main.go --\npackage main\n\nimport . "example.com/app/dot"\n'
        'import _ "example.com/app/blank"\nimport "example.com/app/go-name"\n\n'
        "func main() { println(X, name.X) }\n"
        + package("dot")
        + "-- blank/x.go --\npackage blank\n\nfunc init() { println(`blank`) }\n"
        + '-- go-name/x.go --\npackage name // import "example.com/another"\n\nvar X = 1\n'
    ),
    "odd spellings of a head": Layout(
        MODULE
        + "-- main.go --\n\ufeff/* a *//* b\n */package/**/main;import(`example.com/app/raw`;"
        '"example.com/app/esc\\x61ped"/* "no" */);import/**/c"example.com/app/crlf"\n'
        "func main() { println(raw.X, escaped.X, c.X) }\n"
        + package("raw")
        + package("escaped")
        + (package("crlf/") + '\n\nvar Y = `\nimport "x"`\n')
        .replace("crlf//x.go", "crlf/x.go")
        .replace("package ", "package crlf")
        .replace("\n", "\r\n")
        .replace("--\r\n", "--\n")
    ),
    "build tags": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a", "example.com/app/b")
        + "-- a/yes.go --\n// Text.\n\n//go:build (one && !three) || no\n\npackage a\n\nvar X = 1\n"
        "-- a/no.go --\n//go:build !one\n\npackage a\n\nvar X = 2\n"
        "-- b/yes.go --\n// +build two\n\npackage b\n\n// +build ignore\n\nvar X = 1\n"
        "-- b/no.go --\n// +build !two\n\npackage b\n\nvar X = 2\n",
        flags=("-tags=one,two",),
    ),
    "tags of flags and of GOFLAGS": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/yes.go --\n//go:build one && !two\n\npackage a\n\nvar X = 1\n"
        "-- a/no.go --\n//go:build two\n\npackage a\n\nvar X = 2\n",
        flags=("--tags", "one", "-ldflags=-s -w -X example.com/app/a.S=text"),
        env=(("GOFLAGS", "-tags=two"),),
    ),
    "tags of the toolchain": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/a.go --\n//go:build go1.21 && !go1.99\n\npackage a\n\nvar X = Y\n"
        "-- a/never.go --\n//go:build go1.99 || !gc || cgo || race\n\npackage a\n\nvar X = 3\n"
        "-- a/v1.go --\n//go:build !amd64.v3\n\npackage a\n\nvar Y = 1\n"
        "-- a/v3.go --\n//go:build amd64.v3\n\npackage a\n\nvar Y = 3\n",
        platform="linux/amd64/v3",
    ),
    "tags in GOFLAGS": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/yes.go --\n//go:build one\n\npackage a\n\nvar X = 1\n"
        "-- a/no.go --\n//go:build !one\n\npackage a\n\nvar X = 2\n",
        env=(("GOFLAGS", "'-tags=one two' -v"),),
    ),
    "comments that are no constraints": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/block.go --\n/*\n//go:build ignore\n*/\n\npackage a\n\nvar X = Y + Z + V\n"
        "-- a/late.go --\npackage a\n\n// +build ignore\n\nvar Y = 1\n"
        "-- a/spaced.go --\n// //go:build ignore\n// go:build ignore\n\npackage a\n\nvar Z = 2\n"
        "-- a/touching.go --\n// +build ignore\npackage a\n\nvar V = 3\n"
        "-- a/counts.go --\n/* */\n//go:build ignore\n\npackage a\n\nvar X = 9\n"
    ),
    "names that choose a system": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "".join(
            f"-- a/{name}.go --\npackage a\n\nvar X{x} = `{name}`\n"
            for name, x in (
                *(("x_windows", ""), ("x_linux", ""), ("x_windows_arm64", ""), ("linux", 1)),
                *(("y_windows_amd64", 2), ("z_unix", 3), ("x_windows_test", "")),
            )
        ),
        platform="windows/amd64",
    ),
    "tests and generators": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + package("lib")
        + '-- main_test.go --\npackage main_test\n\nimport _ "example.com/missing"\n'
        '-- lib/x_test.go --\npackage lib\n\nimport _ "example.com/app/missing"\n'
        '-- gen.go --\n//go:build ignore\n\npackage other\n\nimport _ "example.com/missing"\n'
        "-- doc.go --\npackage documentation\n"
    ),
    "files that begin with a dot or an underscore": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/testdata/lib", "example.com/app/_lib")
        + package("testdata/lib")
        + package("_lib", name="lib")
        + "-- _draft.go --\npackage draft\n-- .hidden.go --\npackage hidden\n"
        "-- testdata/lib/_x.s --\nnonsense\n-- dir.go/x.go --\npackage no\n"
    ),
    "cgo files": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + '-- lib/cgo.go --\npackage lib\n\n// int x;\nimport "C"\n\nvar X = C.x\n'
        "-- lib/pure.go --\n//go:build !cgo\n\npackage lib\n\nvar X = 1\n"
        "-- lib/x.c --\nint y;\n-- lib/x.h --\n// Text.\n"
    ),
    "a package that is only documented": Layout(
        MODULE + "-- main.go --\n" + program() + "-- extra.go --\npackage main\n\nvar X = 1\n"
    ),
}

ASSEMBLY_GO = "-- lib/x.go --\npackage lib\n\nvar X = F()\n\nfunc F() int\n"
ASSEMBLY = (
    '#include "textflag.h"\n%s\nTEXT ·F(SB), NOSPLIT, $0-8\n\tMOVQ $VALUE, ret+0(FP)\n\tRET\n'
)


def assembly(include: str, files: str, platform: str = "linux/amd64") -> Layout:
    """A program with a function in assembly, which includes its value."""
    return Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + ASSEMBLY_GO
        + "-- lib/x_amd64.s --\n"
        + ASSEMBLY % include
        + files,
        platform=platform,
    )


VENDORED_ASSEMBLY = (
    MODULE + "\nrequire example.com/x v1.0.0\n-- go.sum --\nexample.com/z v1.0.0/go.mod h1:x=\n"
    "-- vendor/modules.txt --\n# example.com/x v1.0.0\n## explicit; go 1.21\nexample.com/x\n"
    "-- main.go --\n"
    + program("example.com/x")
    + "-- vendor/example.com/x/x.go --\npackage x\n\nimport _ `embed`\n\n"
    "//go:embed x.txt\nvar X string\n\nfunc F() int\n-- vendor/example.com/x/x.txt --\nx\n"
    "-- vendor/example.com/x/x_amd64.s --\n"
    + ASSEMBLY % '#include "inc/x.h"'
    + "-- vendor/example.com/x/inc/x.h --\n#define VALUE 3\n"
)

OTHER_FILES = {
    "assembly in a vendor directory": Layout(VENDORED_ASSEMBLY, flags=("-mod=vendor",)),
    "assembly of the main package": Layout(
        MODULE + "-- main.go --\npackage main\n\nfunc F() int\n\nfunc main() { println(F()) }\n"
        "-- x_amd64.s --\n" + ASSEMBLY % "#define VALUE 4"
    ),
    "assembly with a header": assembly(
        '#include "x.h"', '-- lib/x.h --\n#include "y.h"\n-- lib/y.h --\n#define VALUE 5\n'
    ),
    "an include without a blank": assembly('#include"x.h"', "-- lib/x.h --\n#define VALUE 6\n"),
    "an include with comments": assembly(
        '/* */ # /* */ include /*\n*/ "x\\x2eh" // text', "-- lib/x.h --\n#define VALUE 7\n"
    ),
    "headers of another directory": assembly(
        '#include "../inc/x.h"',
        '-- inc/x.h --\n#include "../inc/y.h"\n-- inc/y.h --\n#define VALUE 8\n',
    ),
    "a header of another system": assembly(
        '#include "x_windows.h"',
        '-- lib/x_windows.h --\n#include "y.inc"\n-- lib/y.inc --\n#define VALUE 9\n',
    ),
    "empty assembly": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + "-- lib/x.go --\npackage lib\n\nimport _ `unsafe`\n\nvar X = now()\n\n"
        "//go:linkname now runtime.nanotime\nfunc now() int64\n-- lib/empty.s --\n"
    ),
    "an object file": Layout(
        MODULE + "-- cmd/app/main.go --\n" + program(),
        "cmd/app",
        platform="windows/amd64",
        binary={"cmd/app/rsrc_windows_amd64.syso": object_file()},
    ),
    "an object file of another system": Layout(
        MODULE + "-- main.go --\n" + program(),
        binary={"rsrc_windows_amd64.syso": object_file()},
    ),
    "a default profile": Layout(
        MODULE
        + "-- cmd/app/main.go --\n"
        + program("example.com/app/lib")
        + package("lib")
        + "-- lib/default.pgo --\nno profile\n",
        "cmd/app",
        binary={"cmd/app/default.pgo": profile(b"main.init")},
    ),
    "a default profile that is not used": Layout(
        MODULE + "-- main.go --\n" + program() + "-- default.pgo --\nno profile\n",
        flags=("-pgo=off",),
    ),
}


def embedding(directives: str, files: str) -> Layout:
    """A program that embeds what directives say."""
    return Layout(
        MODULE
        + f'-- main.go --\npackage main\n\nimport "embed"\n\n{directives}\nvar F embed.FS\n\n'
        "func main() {\n\tb, _ := F.ReadFile(`none`)\n\tprintln(string(b))\n}\n" + files,
    )


TEXTS = "".join(
    f"-- static/{name} --\ntext of {name}\n"
    for name in (
        *("a.txt", "b c.txt", "_draft", "sub/x.txt", "sub/_x.txt", "sub/deep/y.txt"),
        *("_sub/z.txt", "caf\u00e9.txt", "a.go", "x_windows.go", "a_test.go"),
    )
)
DOTS = "-- static/.hidden --\ndot\n-- static/sub/.deep/x.txt --\ndeep\n"

EMBEDS = {
    "embedded directories": embedding("//go:embed static", TEXTS),
    "embedded with all": embedding("//go:embed all:static/sub all:static/_sub", TEXTS),
    "embedded patterns": embedding('//go:embed "static/b c.txt" `static/[a-c]?txt`', TEXTS),
    "embedded by wildcards": embedding("//go:embed\tstatic/*\n//go:embed */*/deep", TEXTS),
    "an embedded package": embedding("//go:embed *.go static/a.go lib", TEXTS + package("lib")),
    "an embedded string in a group": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib")
        + "-- lib/x.go --\npackage lib\n\nimport _ `embed`\n\nvar (\n\t//go:embed x.txt\r\n"
        "\tX string\n\n\t//go:embed `y.txt`\n\tY []byte\n)\n-- lib/x.txt --\nx\n"
        "-- lib/y.txt --\ny\n"
    ),
}

ERRORS = {
    "a package that needs cgo": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + '-- a/a.go --\npackage a\n\nimport "C"\n\nvar X = 1\n',
        error="build constraints exclude all Go files in",
    ),
    "a vendor directory that is out of date": Layout(
        VENDORED_ASSEMBLY.replace("x v1.0.0\n## ", "x v1.1.0\n## "),
        error="inconsistent vendoring in",
    ),
    "an embedded file of another module": Layout(
        embedding("//go:embed n/a.txt", "-- n/a.txt --\n-- n/go.mod --\nmodule n\n").archive,
        error="n/a.txt: ",
    ),
    "an embedded module": Layout(
        embedding("//go:embed [a-n]*", "-- a.txt --\na\n-- n/go.mod --\nmodule n\n").archive,
        error="different module",
    ),
    "an embedded directory of another module": Layout(
        embedding(
            "//go:embed */b", "-- m/b/a.txt --\na\n-- n/go.mod --\nmodule n\n-- n/b/a.txt --\na\n"
        ).archive,
        error="different module",
    ),
    "an embedded file with a name that Go refuses": Layout(
        embedding("//go:embed static", "-- static/a.txt --\n-- static/it's.txt --\n").archive,
        error="invalid name it's.txt",
    ),
    "an embedded directory with a name that Go leaves out": Layout(
        embedding("//go:embed static", "-- static/a.txt --\n-- static/it's/b.txt --\n").archive,
    ),
    "an import cycle": Layout(
        MODULE + '-- main.go --\npackage main\n\nimport _ "example.com/app/a"\n\nfunc main() {}\n'
        '-- a/a.go --\npackage a\n\nimport _ "example.com/app/b"\n'
        '-- b/b.go --\npackage b\n\nimport _ "example.com/app/a"\n',
        error="import cycle not allowed",
    ),
    "an internal package of another": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a/internal/x")
        + package("a/internal/x"),
        error="use of internal package example.com/app/a/internal/x not allowed",
    ),
    "a package that is missing": Layout(
        MODULE + "-- main.go --\n" + program("example.com/app/lib"),
        error="no required module provides package example.com/app/lib",
    ),
    "a package with tests only": Layout(
        MODULE + "-- main.go --\n" + program("example.com/app/a") + package("a/a_test.go"),
        error="no non-test Go files in",
    ),
    "two packages in a directory": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + package("a")
        + package("a/y.go", name="other"),
        error="found packages a (x.go) and other (y.go)",
    ),
    "a pattern that matches nothing": Layout(
        embedding("//go:embed none", "").archive, error="pattern none: no matching files found"
    ),
    "a directory with nothing to embed": Layout(
        embedding("//go:embed data", "-- data/_x --\n").archive,
        # Go says more of it where it sees the hidden files.
        error="main.go:5:12: pattern data: ",
    ),
    "an ambiguous import": Layout(
        "-- go.work --\ngo 1.21\n\nuse .\nuse ./b\n"
        + MODULE
        + "-- b/go.mod --\nmodule example.com/app/lib\n\ngo 1.21\n-- main.go --\n"
        + program("example.com/app/lib/x")
        + package("lib/x")
        + package("b/x"),
        error="ambiguous import: found package example.com/app/lib/x in multiple modules",
    ),
    "a constraint behind a comment": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/a.go --\n/* */ //go:build ignore\n\npackage a\n\nvar X = 1\n",
        error="a/a.go:1:9: misplaced compiler directive",
    ),
    "two constraints": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/a")
        + "-- a/a.go --\n//go:build linux\n//go:build amd64\n\npackage a\n\nvar X = 1\n",
        error="multiple //go:build comments",
    ),
}

# Links, and what Pants' globs do not see as Go does. What .gitignore names is not here: the engine
# of these tests reads it before a layout is written.
LINKED_OR_HIDDEN = {
    "a linked file and a linked directory": Layout(
        MODULE
        + "-- main.go --\n"
        + program("example.com/app/lib", "example.com/app/alias")
        + package("target/lib")
        + "-- shared/y.go --\npackage lib\n\nvar Y = 1\n",
        links={"lib": "target/lib", "alias": "target/lib", "target/lib/y.go": "../../shared/y.go"},
    ),
    "an embedded directory with links": Layout(
        embedding("//go:embed static", TEXTS).archive,
        links={"static/link.txt": "a.txt", "static/linked": "sub"},
    ),
    "an embedded link": Layout(
        embedding("//go:embed static/link.txt", TEXTS).archive,
        links={"static/link.txt": "a.txt"},
        error="irregular file ",
    ),
    "embedded dot files": embedding("//go:embed all:static static/.hidden", TEXTS + DOTS),
    "embedded files with glob characters": embedding(
        "//go:embed static",
        "-- static/[id].js --\nid\n-- static/d/[slug]/page.js --\nslug\n",
    ),
}

LAYOUTS = {**MODULES, **SOURCES, **OTHER_FILES, **EMBEDS, **ERRORS, **LINKED_OR_HIDDEN}
