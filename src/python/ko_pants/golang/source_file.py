"""What `go build` learns from the head of a source file, and nothing else of it.

The results are equal whenever two versions of a file differ only in what a package's place in the
import graph does not depend on (function bodies, comments, order of imports), so that the engine
stops there after most edits. Nothing here raises: a file that Go cannot read is kept, and Go
reports it. Source: the Go specification, and package go/build (readGoInfo, parseFileHeader).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ko_pants.golang.constraints import (
    And,
    Constraint,
    Unreadable,
    parse_go_build,
    parse_plus_build,
)


@dataclass(frozen=True)
class GoFile:
    """The head of a .go file. `imports` and `embed_patterns` are sorted and without repetition."""

    name: str
    package: str
    imports: tuple[str, ...] = ()
    constraint: Constraint | None = None
    embed_patterns: tuple[str, ...] = ()

    @property
    def uses_cgo(self) -> bool:
        """True if the file imports "C": outside of a build with CGO_ENABLED=0."""
        return "C" in self.imports

    @property
    def is_documentation(self) -> bool:
        """True for `package documentation`, which Go ignores."""
        return self.package == "documentation"


@dataclass(frozen=True)
class OtherFile:
    """A file that is not Go but may be part of a package: assembly, headers, .syso objects.

    `includes` are the quoted `#include` paths of assembly and headers, relative to the package.
    """

    name: str
    constraint: Constraint | None = None
    includes: tuple[str, ...] = ()

    @property
    def uses_cgo(self) -> bool:
        """True for assembly that only a C compiler can read (.S): outside of CGO_ENABLED=0."""
        return self.name.endswith((".S", ".sx"))

    @property
    def is_documentation(self) -> bool:
        """Never: only Go files have a package clause."""
        return False


_BOM = b"\xef\xbb\xbf"
# Blanks and comments; semicolons are blanks to go/build. Matched only on its own, never as part of
# a longer expression: it must not give back a comment's end when something after it does not match.
_BLANK = re.compile(rb"(?:[ \t\r\n\f;]+|//[^\n]*|/\*[\s\S]*?\*/)*")
_WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
_STRING = re.compile(rb'"((?:[^"\\\n]|\\[^\n])*)"|`([^`]*)`')
# Everything that can hold the text of a comment without being one, and the comments.
_LITERAL_OR_COMMENT = re.compile(
    rb"//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)"
    rb'|"(?:[^"\\\n]|\\[^\n])*"?|`[^`]*`?'
    rb"|'(?:[^'\\\n]|\\[^\n])*'?"
)
_EMBED = re.compile(r"//go:embed(?:\s+(.*))?", re.DOTALL)
_EMBED_ARGUMENT = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|([^\s"`]\S*))(?=\s|\Z)')
_GO_BUILD = re.compile(r"//go:build(?:\s+(.*))?")
_PLUS_BUILD = re.compile(r"//\s*\+build(?:\s+(.*))?")
_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"', re.MULTILINE)

_ESCAPE = re.compile(
    r"\\(?:([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]?))"
)
_SIMPLE_ESCAPES = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", '"': '"'},
}


def unquote(text: str) -> str | None:
    """The value of a Go interpreted string literal, given without its quotes.

    None if it is malformed. Byte escapes beyond ASCII, which no path has, are malformed too.
    """
    if "\\" not in text:
        return text
    malformed = False

    def value(match: re.Match[str]) -> str:
        nonlocal malformed
        octal, byte, short, long, simple = match.groups()
        if simple is not None:
            malformed |= simple not in _SIMPLE_ESCAPES
            return _SIMPLE_ESCAPES.get(simple, "")
        code = int(octal, 8) if octal else int(byte or short or long, 16)
        limit = 0x80 if octal or byte else 0x110000
        if code >= limit or 0xD800 <= code < 0xE000:
            malformed = True
            return ""
        return chr(code)

    result = _ESCAPE.sub(value, text)
    return None if malformed else result


def _constraint(content: bytes) -> Constraint | None:
    """The constraint in a file's leading comments; `//go:build` wins over `// +build`."""
    head = content[: _after_blank(content, 0)]
    if b"build" not in head:
        return None
    go_build: str | None = None
    plus_build: list[Constraint] = []
    # `// +build` lines count only above a blank line that stands above the first other text.
    pending: list[Constraint] = []
    only_slashes = True
    in_comment = False
    lines = head.split(b"\n")
    for number, raw in enumerate(lines, 1):
        line = raw.decode("utf-8", "replace").strip()
        # The last one goes on with what follows the comments.
        if not line and only_slashes and number < len(lines):
            plus_build += pending
            pending = []
            continue
        if not line.startswith("//"):
            only_slashes = False
        if not in_comment:
            match = _GO_BUILD.fullmatch(line)
            if match:
                if go_build is not None:
                    return Unreadable()
                go_build = match[1] or ""
            match = _PLUS_BUILD.fullmatch(line)
            if match and only_slashes:
                pending.append(parse_plus_build(match[1] or ""))
        while line:
            if in_comment:
                _, end, line = line.partition("*/")
                in_comment = not end
                line = line.strip()
            elif line.startswith("/*"):
                in_comment = True
                line = line[2:]
            else:
                break
    if go_build is not None:
        return parse_go_build(go_build.strip())
    if not plus_build:
        return None
    return plus_build[0] if len(plus_build) == 1 else And(tuple(plus_build))


def _embed_patterns(content: bytes) -> set[str]:
    """The patterns of all `//go:embed` directives; a malformed line is Go's to report."""
    patterns: set[str] = set()
    for match in _LITERAL_OR_COMMENT.finditer(content):
        if not match[0].startswith(b"//go:embed"):
            continue
        directive = _EMBED.fullmatch(match[0].decode("utf-8", "replace").rstrip("\r"))
        arguments = ((directive and directive[1]) or "").rstrip()
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


def _after_blank(content: bytes, position: int) -> int:
    match = _BLANK.match(content, position)
    return match.end() if match else position


class _Head:
    """A cursor over the head of a file: words, strings and single characters between blanks."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = _after_blank(content, 0)

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        match = pattern.match(self._content, self._position)
        if match:
            self._position = _after_blank(self._content, match.end())
        return match

    def word(self) -> str:
        """The next word; empty if something else comes."""
        match = self._take(_WORD)
        return match[0].decode("utf-8", "replace") if match else ""

    def keyword(self, keyword: str) -> bool:
        """True, and past it, if the next word is the keyword."""
        before = self._position
        if self.word() == keyword:
            return True
        self._position = before
        return False

    def character(self, character: bytes) -> bool:
        """True, and past it, if the next character is this one."""
        if self._content[self._position : self._position + 1] != character:
            return False
        self._position = _after_blank(self._content, self._position + 1)
        return True

    def string(self) -> str | None:
        """The value of the string literal that comes next; empty if it is malformed."""
        match = self._take(_STRING)
        if not match:
            return None
        quoted, raw = match.groups()
        if raw is not None:
            return str(raw.replace(b"\r", b"").decode("utf-8", "replace"))
        return unquote(quoted.decode("utf-8", "replace")) or ""

    def import_path(self) -> str | None:
        """The path of an import specification: an optional name, and a string."""
        if not self.character(b"."):
            self.word()
        return self.string()


def _imports(head: _Head) -> set[str]:
    """The paths of the import declarations that come next."""
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

    Never raises. Where the head has a syntax error, what stands before it is returned.
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
    """Read the constraint of an assembly or header file, and what it includes. Never raises."""
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
    includes = {m[1].decode("utf-8", "replace") for m in _INCLUDE.finditer(content)}
    return OtherFile(name, _constraint(content), tuple(sorted(includes)))
