"""Heads of Go and assembly files, made at random, against what the go tool reads of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from golang.trees import find_go, run_go_list, write_tree

from ko_pants.golang.build_context import BuildContext
from ko_pants.golang.constraints import Unreadable
from ko_pants.golang.source_file import parse_go_file, parse_other_file
from ko_pants.oci.platform import Platform

LINUX = Platform("linux", "amd64")
FILES_OF_A_SEED = 250
TAGS = ("linux", "windows", "amd64", "arm64", "unix", "gc", "cgo", "ignore", "custom", "a_b.c")
BLANKS = (" ", "\t", "\n", "\r\n", "/**/", '/* import "no" */', "/*\n*/", "// text ` \" '\n", ";")
STRINGS = ("`\n//go:embed no\n`", '"//go:embed no"', "'\"'", "'`'", "'\\''", '"\\""', "/* ` */1")


class Writer:
    """Writes heads with the spellings that Go accepts."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def blanks(self, *, most: int = 3, needed: bool = False) -> str:
        """Blanks and comments, at least one if needed."""
        count = self.random.randint(1 if needed else 0, most)
        return "".join(self.random.choices(BLANKS[:-1], k=count))

    def expression(self, depth: int = 3) -> str:
        """An expression of `//go:build`."""
        kind = self.random.choice(("tag", "tag", "not", "and", "or")) if depth else "tag"
        if kind == "tag":
            return self.random.choice(TAGS)
        term = self.expression(depth - 1)
        if kind == "not":
            return f"!{term}" if term.isidentifier() else f"!({term})"
        space, other = self.random.choice(("", " ", "\t")), self.expression(depth - 1)
        return f"({term}){space}{'&&' if kind == 'and' else '||'}{space}({other})"

    def plus_build(self) -> str:
        """The alternatives of `// +build`."""
        clauses = []
        for _ in range(self.random.randint(0, 3)):
            tags = self.random.choices(TAGS, k=self.random.randint(1, 2))
            clauses.append(",".join(self.random.choice(("", "!", "")) + tag for tag in tags))
        return " ".join(clauses)

    def comment(self) -> str:
        """What may stand before a package clause."""
        make, expression, alternatives = self.random.choice, self.expression(), self.plus_build()
        return make(
            (
                make(("//go:build ", " //go:build\t", "//go:build  ")) + expression,
                make(("// +build ", "//+build ", "//\t+build\t")) + alternatives,
                f"// text\n// //go:build {expression}",
                f"//go:buildx {expression}",
                f"// go:build {expression}",
                make(("// Text.", "/* text */", "/*\ntext\n*/", "", "", "/* */ /*\n*/")),
                f"/*\n//go:build {expression}\n*/",
                f"/* */ // +build {alternatives}",
                "//go:debug a=1",
            )
        )

    def comments(self) -> str:
        """Comments and blank lines at the start of a file."""
        line = self.random.choice(("\n", "\n", "\n\n", "\r\n"))
        return "".join(self.comment() + line for _ in range(self.random.randint(0, 4)))

    def import_specification(self, path: str) -> str:
        """An import with or without a name."""
        name = self.random.choice(("", "_", ".", "n1", "\u00fc"))
        quoted = self.random.choice(
            (f'"{path}"', f"`{path}`", f'"\\x{ord(path[0]):02x}{path[1:]}"', f'"{path}"')
        )
        # A line that ends in a name is complete, so that the string would be missing.
        space = self.random.choice((" ", "\t", "/**/", '/* "no" */ '))
        return name + (space if name else "") + quoted

    def imports(self, paths: list[str]) -> str:
        """Declarations that import paths."""
        text, left = "", list(paths)
        while left:
            count = self.random.randint(1, 3)
            taken, left = [self.import_specification(p) for p in left[:count]], left[count:]
            end = self.random.choice((";", "\n", "\r\n", ";\n"))
            if len(taken) == 1 and self.random.random() < 0.5:
                text += f"import{self.blanks(most=1)}{taken[0]}{end}"
            else:
                text += f"import{self.blanks(most=1)}({self.blanks()}{end.join(taken)}"
                text += f"{self.random.choice(('', ';', chr(10)))}{self.blanks()}){end}"
        return text

    def embed(self) -> str:
        """A line with a `//go:embed` directive, or what looks like one."""
        arguments = self.random.choices(
            ("a.txt", '"b c"', "`d e`", "all:x", "f/*", "[a-c]?", "", '"\\x67"', "h\\*"),
            k=self.random.randint(0, 3),
        )
        start = self.random.choice(("//go:embed ", "//go:embed\t", "//go:embedx ", "// go:embed "))
        before = self.random.choice(("", "", "\t", "/* */ "))
        return f"{before}{start}{self.random.choice((' ', '  ')).join(arguments)}"

    def body(self) -> str:
        """Declarations after the imports."""
        lines = []
        for index in range(self.random.randint(0, 4)):
            lines.append(self.random.choice((self.embed(), f"var v{index} = ")))
            if lines[-1].startswith("var"):
                lines[-1] += self.random.choice(STRINGS)
        return self.random.choice(("\n", "\r\n")).join(lines)

    def go_file(self, name: str) -> str:
        """A Go file of package `name`."""
        paths = self.random.sample(
            ("fmt", "os", "io/fs", "embed", "example.com/x-y.z", "m/other"),
            self.random.randint(0, 5),
        )
        mark = self.random.choice(("", "", "\ufeff"))
        clause = f"package{self.blanks(needed=True)}{name}"
        end = self.random.choice((f"\n{self.blanks()}", "/**/;", "\r\n", f";{self.blanks()}"))
        return f"{mark}{self.comments()}{clause}{end}{self.imports(paths)}\n{self.body()}\n"


@pytest.mark.parametrize("seed", range(2))
def test_go_reads_the_same_of_any_head(seed: int, tmp_path: Path) -> None:
    writer = Writer(seed)
    sources, assembly = {}, {}
    for number in range(FILES_OF_A_SEED):
        name = f"p{number:03}"
        sources[name] = writer.go_file(name)
        assembly[name] = writer.comments() + writer.random.choice(("", "TEXT x\n", "\n\nRET\n"))
    files = {f"{name}/x.go": source for name, source in sources.items()}
    files.update((f"{name}/x.s", source) for name, source in assembly.items())
    files.update((f"{name}/always.go", f"package {name}\n") for name in sources)
    write_tree(tmp_path, {"go.mod": "module m\n\ngo 1.21\n", **files})
    packages = run_go_list(find_go(), tmp_path, "", LINUX, ["-tags=custom"], ["./..."])
    context = BuildContext.of([LINUX], ["custom"])
    compared = 0
    for package in packages:
        name = package["ImportPath"].partition("/")[2]
        source = sources[name]
        file = parse_go_file("x.go", source.encode())
        error = package.get("Error", {}).get("Err", "")
        if error and not error.startswith("pattern "):
            # Two constraints, and groups of imports with an empty line of code.
            continue
        compared += 1
        built = "x.go" in package.get("GoFiles", ())
        assert bool(context.mask(file)) == built, source
        if built:
            assert file.package == package["Name"], source
            assert list(file.imports) == package.get("Imports", []), source
            assert list(file.embed_patterns) == package.get("EmbedPatterns", []), source
        other = parse_other_file("x.s", assembly[name].encode())
        # What cannot be read is kept: for Go to report in Go files, and for nothing in others.
        if not isinstance(other.constraint, Unreadable):
            built = "x.s" in package.get("SFiles", ())
            assert bool(context.mask(other)) == built, assembly[name]
    assert compared > FILES_OF_A_SEED * 0.8
