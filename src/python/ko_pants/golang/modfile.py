"""The syntax that go.mod and go.work share, and the directives that both have.

Source: the Go Modules Reference (go.dev/ref/mod) and package golang.org/x/mod/modfile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator

from ko_pants.errors import KoPantsError
from ko_pants.golang.string_literal import unquote

# The grammar has no token that goes on in the next line.
_TOKEN = re.compile(
    r'[ \t\r]*(?:(?P<comment>//.*)|"(?P<quoted>(?:[^"\\]|\\.)*)"|`(?P<raw>[^`]*)`'
    r'|(?P<word>=>|[(),\[\]]|(?:(?!//|=>)[^\s"`(),\[\]])+)|(?P<bad>\S))'
)


@dataclass(frozen=True)
class Directive:
    """One directive. `line` counts from 1; a directive of a block has the block's verb."""

    line: int
    verb: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Replace:
    """`replace old [old_version] => new [new_version]`.

    The version is `""` where the file has none. `line` counts from 1.
    """

    old: str
    old_version: str
    new: str
    new_version: str
    line: int

    @property
    def is_local(self) -> bool:
        """True if the replacement is a directory rather than another module."""
        return not self.new_version


def parse_directives(content: bytes, where: str) -> Iterator[Directive]:
    """The directives of a file, in its order, without comments.

    :param where: path of the file, for messages.
    :raises KoPantsError: a malformed string, or a block that does not end. The text has file and
        line.
    """
    block = ""
    block_line = 0
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        tokens = _tokens(text, where, number)
        if not tokens:
            continue
        if block:
            if tokens == [")"]:
                block = ""
            else:
                yield Directive(number, block, tuple(tokens))
        elif len(tokens) == 2 and tokens[1] == "(":
            block, block_line = tokens[0], number
        elif len(tokens) == 3 and tokens[1:] == ["(", ")"]:
            continue
        else:
            yield Directive(number, tokens[0], tuple(tokens[1:]))
    if block:
        raise KoPantsError(f"{where}:{block_line}: the block `{block} (` has no closing `)`")


def _tokens(text: str, where: str, line: int) -> list[str]:
    tokens = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "comment":
            break
        if kind == "bad":
            raise KoPantsError(
                f"{where}:{line}: malformed string {text[match.start() :].strip()!r}; expected it "
                "to end on its line with the quote that it starts with"
            )
        value = match[kind or 0]
        if kind == "quoted":
            unquoted = unquote(value)
            if unquoted is None:
                raise KoPantsError(f"{where}:{line}: malformed string {value!r}")
            value = unquoted
        tokens.append(value)
    return tokens


def single_argument(directive: Directive, where: str, *, earlier: str = "") -> str:
    """The argument of a directive that takes one.

    :param where: path of the file, for messages.
    :param earlier: the argument of an earlier directive of this kind, if only one is allowed.
    :raises KoPantsError: another number of arguments, or a repeated directive.
    """
    where = f"{where}:{directive.line}"
    if len(directive.arguments) != 1:
        raise KoPantsError(
            f"{where}: malformed `{directive.verb}` directive: found {len(directive.arguments)} "
            "arguments, expected one"
        )
    if earlier:
        raise KoPantsError(f"{where}: repeated `{directive.verb}` directive; remove one")
    return directive.arguments[0]


def parse_replace(directive: Directive, where: str) -> Replace:
    """Read a `replace` directive.

    :param where: path of the file, for messages.
    :raises KoPantsError: malformed.
    """
    where = f"{where}:{directive.line}"
    arguments = directive.arguments
    arrow = arguments.index("=>") if "=>" in arguments else -1
    left, right = arguments[:arrow], arguments[arrow + 1 :]
    if arrow < 0 or len(left) not in (1, 2) or len(right) not in (1, 2):
        raise KoPantsError(
            f"{where}: malformed `replace` directive; expected "
            "`replace module [version] => ../directory` or `=> other/module version`"
        )
    if len(right) == 1 and not _is_directory(right[0]):
        raise KoPantsError(
            f"{where}: the replacement {right[0]!r} has no version; expected a version, or "
            "a directory, which starts with ./ or ../"
        )
    if len(right) == 2 and _is_directory(right[0]):
        raise KoPantsError(
            f"{where}: the replacement directory {right[0]!r} has a version; remove it"
        )
    return Replace(
        left[0],
        left[1] if len(left) == 2 else "",
        right[0],
        right[1] if len(right) == 2 else "",
        directive.line,
    )


def _is_directory(path: str) -> bool:
    return path in (".", "..") or path.startswith(("./", "../", "/"))


def language_version(text: str) -> tuple[int, int]:
    """What the argument of a `go` directive means: (1, 21) for `1.21.3`, (0, 0) for no version."""
    match = re.match(r"([0-9]+)(?:\.([0-9]+))?", text)
    return (int(match[1]), int(match[2] or 0)) if match else (0, 0)
