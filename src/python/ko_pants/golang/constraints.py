"""Build constraints: their expressions, and the lines of a file's head that hold them.

Source: `go help buildconstraint`, package go/build/constraint, and go/build's parseFileHeader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Tag:
    """One build tag holds."""

    name: str


@dataclass(frozen=True)
class Not:
    """The term does not hold."""

    term: Constraint


@dataclass(frozen=True)
class And:
    """All of the terms hold."""

    terms: tuple[Constraint, ...]


@dataclass(frozen=True)
class Or:
    """At least one of the terms holds."""

    terms: tuple[Constraint, ...]


@dataclass(frozen=True)
class Unreadable:
    """A constraint that cannot be parsed. Go has to see the file to report it."""


Constraint = Union[Tag, Not, And, Or, Unreadable]

# What Go takes a `// +build` line without a tag, or with a malformed one, for: never satisfied.
_IGNORE = Tag("ignore")
_TOKEN = re.compile(r"[ \t]*(?:(?P<tag>[\w.]+)|(?P<operator>&&|\|\||[()!])|(?P<end>$)|(?P<bad>.))")
# Parentheses within parentheses. Nobody nests deeper; a hostile file must not exhaust the stack.
_MAX_NESTING = 40


class _ExpressionParser:
    """A recursive descent parser of what follows `//go:build` (go/build/constraint).

    Its methods are the rules of the grammar, and each raises ValueError at a syntax error.
    """

    def __init__(self, text: str) -> None:
        # The last one is the end, so that there is always a next one.
        self._tokens = list(_TOKEN.finditer(text))
        self._index = 0

    def parse(self) -> Constraint:
        """The whole expression.

        :raises ValueError: a syntax error.
        """
        expression = self._or(0)
        if self._peek() != "":
            raise ValueError("unexpected token")
        return expression

    def _peek(self) -> str:
        """The next token; empty at the end."""
        match = self._tokens[self._index]
        if match["bad"]:
            raise ValueError("unexpected character")
        return match["tag"] or match["operator"] or ""

    def _or(self, depth: int) -> Constraint:
        terms = [self._and(depth)]
        while self._peek() == "||":
            self._index += 1
            terms.append(self._and(depth))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _and(self, depth: int) -> Constraint:
        terms = [self._not(depth)]
        while self._peek() == "&&":
            self._index += 1
            terms.append(self._not(depth))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _not(self, depth: int) -> Constraint:
        if self._peek() != "!":
            return self._atom(depth)
        self._index += 1
        return Not(self._atom(depth))

    def _atom(self, depth: int) -> Constraint:
        token = self._peek()
        if token == "(":
            if depth >= _MAX_NESTING:
                raise ValueError("nested too deeply")
            self._index += 1
            expression = self._or(depth + 1)
            if self._peek() != ")":
                raise ValueError("missing close parenthesis")
            self._index += 1
            return expression
        if not self._tokens[self._index]["tag"]:
            raise ValueError("missing tag")
        self._index += 1
        return Tag(token)


def parse_go_build(expression: str) -> Constraint:
    """Read what follows `//go:build`; `Unreadable` where Go reports a syntax error."""
    try:
        return _ExpressionParser(expression).parse()
    except ValueError:
        return Unreadable()


def parse_plus_build(arguments: str) -> Constraint:
    """Read what follows `// +build`: spaces separate alternatives, commas the terms of one."""
    alternatives: list[Constraint] = []
    for clause in arguments.split():
        terms: list[Constraint] = []
        for literal in clause.split(","):
            negated = literal.startswith("!")
            name = literal[1:] if negated else literal
            if literal == "!" or literal.startswith("!!"):
                terms.append(_IGNORE)
                continue
            tag = Tag(name) if re.fullmatch(r"[\w.]+", name) else _IGNORE
            terms.append(Not(tag) if negated else tag)
        alternatives.append(terms[0] if len(terms) == 1 else And(tuple(terms)))
    if not alternatives:
        return _IGNORE
    return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))


_GO_BUILD = re.compile(r"//go:build(?:\s+(.*))?")
_PLUS_BUILD = re.compile(r"//\s*\+build(?:\s+(.*))?")


def constraint_of_comments(comments: bytes) -> Constraint | None:
    """The constraint in the blanks and comments at the start of a file; None if there is none.

    A `//go:build` line wins over `// +build` lines.
    """
    if b"build" not in comments:
        return None
    scanner = _CommentScanner()
    lines = comments.decode("utf-8", "replace").split("\n")
    for line in lines[:-1]:
        scanner.scan(line.strip())
    # What follows the comments stands on the last line too, so it cannot be a blank line.
    scanner.scan(lines[-1].strip(), may_be_blank=False)
    return scanner.constraint()


class _CommentScanner:
    """Collects the constraint lines of leading comments, line by line."""

    def __init__(self) -> None:
        self._go_build: list[str] = []
        self._plus_build: list[Constraint] = []
        # `// +build` lines count only if a blank line follows before anything but `//` comments.
        self._pending: list[Constraint] = []
        self._only_line_comments = True
        self._in_block_comment = False

    def scan(self, line: str, *, may_be_blank: bool = True) -> None:
        """Read the next line, given without the blanks around it."""
        if not line and may_be_blank and self._only_line_comments:
            self._plus_build += self._pending
            self._pending = []
            return
        if not line.startswith("//"):
            self._only_line_comments = False
        if not self._in_block_comment:
            match = _GO_BUILD.fullmatch(line)
            if match:
                self._go_build.append(match[1] or "")
            match = _PLUS_BUILD.fullmatch(line)
            if match:
                self._pending.append(parse_plus_build(match[1] or ""))
        self._pass_block_comments(line)

    def _pass_block_comments(self, line: str) -> None:
        """Find out whether the next line is within a `/* */` comment."""
        while line:
            if self._in_block_comment:
                _, end, line = line.partition("*/")
                self._in_block_comment = not end
                line = line.strip()
            elif line.startswith("/*"):
                self._in_block_comment = True
                line = line[2:]
            else:
                break

    def constraint(self) -> Constraint | None:
        """What all lines say together."""
        if len(self._go_build) > 1:
            return Unreadable()
        if self._go_build:
            return parse_go_build(self._go_build[0].strip())
        if not self._plus_build:
            return None
        return self._plus_build[0] if len(self._plus_build) == 1 else And(tuple(self._plus_build))
