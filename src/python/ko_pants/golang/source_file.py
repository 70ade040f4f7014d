"""What a source file says about the import graph: package, imports, constraint, embed patterns.

Edits of function bodies, of comments and of the order of imports leave the results equal, so that
the engine stops there after most edits. Nothing here raises: a file that Go cannot read is kept,
and Go reports it. Source: the Go specification, and package go/build (readGoInfo, parseFileHeader).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ko_pants.golang.constraints import Constraint, constraint_of_comments
from ko_pants.golang.string_literal import unquote


@dataclass(frozen=True)
class GoFile:
    """The head of a .go file.

    :param name: base name.
    :param package: the name in the package clause; `""` if it has none that can be read.
    :param imports: import paths, sorted, each once.
    :param embed_patterns: the patterns of `//go:embed` directives, sorted, each once.
    """

    name: str
    package: str
    imports: tuple[str, ...] = ()
    constraint: Constraint | None = None
    embed_patterns: tuple[str, ...] = ()

    @property
    def uses_cgo(self) -> bool:
        """True if the file imports "C". With CGO_ENABLED=0 Go leaves it out."""
        return "C" in self.imports

    @property
    def is_documentation(self) -> bool:
        """True for `package documentation`. Go leaves such a file out."""
        return self.package == "documentation"


@dataclass(frozen=True)
class OtherFile:
    """A file that is not Go but may be part of a package: assembly, headers, .syso objects.

    :param name: base name.
    :param includes: the quoted `#include` paths of assembly and headers, relative to the package's
        directory; sorted, each once.
    """

    name: str
    constraint: Constraint | None = None
    includes: tuple[str, ...] = ()

    @property
    def uses_cgo(self) -> bool:
        """True for assembly that only a C compiler reads. With CGO_ENABLED=0 Go leaves it out."""
        return self.name.endswith((".S", ".sx"))

    @property
    def is_documentation(self) -> bool:
        """False: only Go files have a package clause."""
        return False


_BOM = b"\xef\xbb\xbf"
# Blanks and comments; go/build takes semicolons for blanks. This is never part of a longer
# expression, which could make it give back the end of a comment to match what follows.
_BLANK = re.compile(rb"(?:[ \t\r\n\f;]+|//[^\n]*|/\*[\s\S]*?\*/)*")
_WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
_STRING = re.compile(rb'"((?:[^"\\\n]|\\[^\n])*)"|`([^`]*)`')
# Comments, and all literals: a literal can hold text that looks like a comment.
_LITERAL_OR_COMMENT = re.compile(
    rb"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
    rb'|"(?:[^"\\\n]|\\[^\n])*"?|`[^`]*`?'
    rb"|'(?:[^'\\\n]|\\[^\n])*'?"
)
_EMBED = re.compile(r"//go:embed(?:\s+(.*))?", re.DOTALL)
_EMBED_ARGUMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|([^\s"`]\S*))(?=\s|\Z)')
# The assembler reads tokens, so blanks between them are optional (cmd/asm/internal/lex).
_INCLUDE = re.compile(rb'^[ \t\r]*#[ \t\r]*include[ \t\r]*"((?:[^"\\\n]|\\[^\n])+)"', re.MULTILINE)


def _after_blank(content: bytes, position: int) -> int:
    """Where the blanks and comments that start at a position end."""
    match = _BLANK.match(content, position)
    return match.end() if match else position


def _constraint(content: bytes) -> Constraint | None:
    return constraint_of_comments(content[: _after_blank(content, 0)])


def _embed_patterns(content: bytes) -> set[str]:
    """The patterns of all `//go:embed` directives. Malformed lines are skipped: Go reports them."""
    patterns: set[str] = set()
    for match in _LITERAL_OR_COMMENT.finditer(content):
        if not match[0].startswith(b"//go:embed"):
            continue
        directive = _EMBED.fullmatch(match[0].decode("utf-8", "replace"))
        arguments = (directive and directive[1]) or ""
        position = 0
        while position < len(arguments):
            argument = _EMBED_ARGUMENT.match(arguments, position)
            if not argument:
                break
            quoted, raw, bare = argument.groups()
            pattern = unquote(quoted) if quoted is not None else raw if raw is not None else bare
            if pattern:
                patterns.add(pattern)
            position = argument.end()
    return patterns


def _includes(content: bytes) -> set[str]:
    """The quoted paths of all `#include` lines of assembly. Malformed ones are skipped."""
    if b"include" not in content:
        return set()
    # A comment is a blank to the assembler, even one that spans lines.
    code = _LITERAL_OR_COMMENT.sub(lambda m: b" " if m[0].startswith(b"/") else m[0], content)
    paths = (unquote(m[1].decode("utf-8", "replace")) for m in _INCLUDE.finditer(code))
    return {path for path in paths if path}


class _Head:
    """A cursor over the head of a file. Each step takes one token and the blanks behind it."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = _after_blank(content, 0)

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        match = pattern.match(self._content, self._position)
        if match:
            self._position = _after_blank(self._content, match.end())
        return match

    def word(self) -> str:
        """Take the next word; `""` if the next token is none."""
        match = self._take(_WORD)
        return match[0].decode("utf-8", "replace") if match else ""

    def keyword(self, keyword: str) -> bool:
        """Take the next word if it is the keyword; True if so."""
        before = self._position
        if self.word() == keyword:
            return True
        self._position = before
        return False

    def character(self, character: bytes) -> bool:
        """Take the next character if it is this one; True if so."""
        if self._content[self._position : self._position + 1] != character:
            return False
        self._position = _after_blank(self._content, self._position + 1)
        return True

    def string(self) -> str | None:
        """Take the next string literal. Its value, `""` if malformed; None if the token is none."""
        match = self._take(_STRING)
        if not match:
            return None
        quoted, raw = match.groups()
        if raw is not None:
            return str(raw.replace(b"\r", b"").decode("utf-8", "replace"))
        return unquote(quoted.decode("utf-8", "replace")) or ""

    def import_path(self) -> str | None:
        """Take an import specification: an optional name and a string, whose value is returned."""
        if not self.character(b"."):
            self.word()
        return self.string()


def _imports(head: _Head) -> set[str]:
    """Take all import declarations; the paths up to the first syntax error."""
    paths: set[str] = set()
    while head.keyword("import"):
        if not head.character(b"("):
            paths.add(head.import_path() or "")
            continue
        while not head.character(b")"):
            path = head.import_path()
            if path is None:
                return paths - {""}
            paths.add(path)
    return paths - {""}


def parse_go_file(name: str, content: bytes) -> GoFile:
    """Read the head of a Go file: package clause, imports, build constraint, embed patterns.

    Never raises. Of a head with a syntax error, what stands before it counts.
    """
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    head = _Head(content)
    package = head.word() if head.keyword("package") else ""
    imports = _imports(head) if package else set()
    embeds: set[str] = set()
    if "embed" in imports and b"//go:embed" in content:
        embeds = _embed_patterns(content)
    return GoFile(
        name, package, tuple(sorted(imports)), _constraint(content), tuple(sorted(embeds))
    )


def parse_other_file(name: str, content: bytes) -> OtherFile:
    """Read the constraint and the includes of an assembly or header file. Never raises."""
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    return OtherFile(name, _constraint(content), tuple(sorted(_includes(content))))
