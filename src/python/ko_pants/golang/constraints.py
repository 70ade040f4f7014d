"""Build constraints: which files `go build` may use for a platform.

Three-valued, because the plugin decides before Go runs: what it cannot know (GOEXPERIMENT, GOAMD64
and the like, a line that Go itself will reject) is `MAYBE`, and a file is left out only where Go
certainly leaves it out. Source: `go help buildconstraint`, package go/build/constraint, and
go/build's goodOSArchFile and matchTag, for CGO_ENABLED=0 and the gc compiler.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Collection, Iterable, Protocol, Union

from ko_pants.oci.platform import Platform

# Names that have a meaning in file names (internal/syslist; the lists never shrink).
KNOWN_OS = frozenset(
    (
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios"),
        *("js", "linux", "nacl", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows"),
        *("zos",),
    )
)
KNOWN_ARCH = frozenset(
    (
        *("386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips"),
        *("mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le"),
        *("riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm"),
    )
)
_UNIX = frozenset(
    (
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios"),
        *("linux", "netbsd", "openbsd", "solaris"),
    )
)
# GOOS -> the other GOOS tag that it satisfies.
_ALSO = {"android": "linux", "illumos": "solaris", "ios": "darwin"}


class Tristate(IntEnum):
    """Whether a condition holds; ordered, so that AND is min and OR is max."""

    NO = 0
    MAYBE = 1
    YES = 2


@dataclass(frozen=True)
class Tag:
    """One build tag."""

    name: str


@dataclass(frozen=True)
class Not:
    """Negation."""

    term: Constraint


@dataclass(frozen=True)
class And:
    """All of the terms."""

    terms: tuple[Constraint, ...]


@dataclass(frozen=True)
class Or:
    """Any of the terms."""

    terms: tuple[Constraint, ...]


@dataclass(frozen=True)
class Unreadable:
    """A constraint that cannot be parsed: Go has to see the file to report it."""


Constraint = Union[Tag, Not, And, Or, Unreadable]

# What Go says of a `// +build` line without any or with a malformed tag: never satisfied.
_IGNORE = Tag("ignore")
_TOKEN = re.compile(r"[ \t]*(?:(?P<tag>[\w.]+)|(?P<operator>&&|\|\||[()!])|(?P<end>$)|(?P<bad>.))")
# Nobody nests deeper; a hostile file must not exhaust the stack.
_MAX_DEPTH = 40


class _ExpressionParser:
    """Recursive descent over the grammar of `//go:build` (go/build/constraint)."""

    def __init__(self, text: str) -> None:
        self._tokens = [m for m in _TOKEN.finditer(text) if m.lastgroup]
        self._index = 0

    def parse(self) -> Constraint:
        expression = self._or(0)
        if self._peek() != "":
            raise ValueError("unexpected token")
        return expression

    def _peek(self) -> str:
        if self._index >= len(self._tokens):
            return ""
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
        if self._peek() == "!":
            raise ValueError("double negation")
        return Not(self._atom(depth))

    def _atom(self, depth: int) -> Constraint:
        token = self._peek()
        if token == "(":
            if depth >= _MAX_DEPTH:
                raise ValueError("nested too deeply")
            self._index += 1
            expression = self._or(depth + 1)
            if self._peek() != ")":
                raise ValueError("missing close parenthesis")
            self._index += 1
            return expression
        if not token or not self._tokens[self._index]["tag"]:
            raise ValueError("missing tag")
        self._index += 1
        return Tag(token)


def parse_go_build(expression: str) -> Constraint:
    """The expression after `//go:build`; `Unreadable` where Go reports a syntax error."""
    try:
        return _ExpressionParser(expression).parse()
    except ValueError:
        return Unreadable()


def parse_plus_build(arguments: str) -> Constraint:
    """What follows `// +build`: alternatives by spaces, of terms by commas."""
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


@lru_cache(maxsize=4096)
def evaluate_tag(
    name: str, os: str, architecture: str, tags: frozenset[str], go_minor: int | None
) -> Tristate:
    """Whether one tag holds for a GOOS and GOARCH; user tags come from `-tags`."""
    if name in (os, architecture, "gc", _ALSO.get(os)) or name in tags:
        return Tristate.YES
    if name == "unix":
        return Tristate.YES if os in _UNIX else Tristate.NO
    release = re.fullmatch(r"go1\.([1-9][0-9]*)", name)
    if release:
        if go_minor is None:
            return Tristate.MAYBE
        return Tristate.YES if int(release[1]) <= go_minor else Tristate.NO
    # Tags of the toolchain (go/build.ToolTags): GOEXPERIMENT, and features such as amd64.v3.
    if name == "boringcrypto" or name.startswith(("goexperiment.", architecture + ".")):
        return Tristate.MAYBE
    return Tristate.NO


def evaluate(
    constraint: Constraint,
    os: str,
    architecture: str,
    tags: frozenset[str],
    go_minor: int | None,
) -> Tristate:
    """Whether a constraint holds for one GOOS and GOARCH."""
    if isinstance(constraint, Tag):
        return evaluate_tag(constraint.name, os, architecture, tags, go_minor)
    if isinstance(constraint, Not):
        return Tristate(2 - evaluate(constraint.term, os, architecture, tags, go_minor))
    if isinstance(constraint, And):
        return min(evaluate(t, os, architecture, tags, go_minor) for t in constraint.terms)
    if isinstance(constraint, Or):
        return max(evaluate(t, os, architecture, tags, go_minor) for t in constraint.terms)
    return Tristate.MAYBE


@lru_cache(maxsize=65536)
def name_tags(name: str) -> tuple[str, ...]:
    """The GOOS and GOARCH that a file's name asks for: `x_linux_arm64.go`, `x_windows.s`."""
    stem, _, _ = name.partition(".")
    words = stem.split("_")[1:]
    if words and words[-1] == "test":
        words.pop()
    if len(words) >= 2 and words[-2] in KNOWN_OS and words[-1] in KNOWN_ARCH:
        return (words[-2], words[-1])
    if words and (words[-1] in KNOWN_OS or words[-1] in KNOWN_ARCH):
        return (words[-1],)
    return ()


class ConstrainedFile(Protocol):
    """A file of a package: its base name and the constraint in its head."""

    @property
    def name(self) -> str: ...

    @property
    def constraint(self) -> Constraint | None: ...

    @property
    def uses_cgo(self) -> bool: ...

    @property
    def is_documentation(self) -> bool: ...


@dataclass(frozen=True)
class BuildContext:
    """What constraints are evaluated for (go/build's term), for several platforms at once.

    A set of platforms is a bit mask over `pairs`, the distinct (GOOS, GOARCH): constraints see no
    more of a platform.
    """

    pairs: tuple[tuple[str, str], ...]
    tags: frozenset[str] = frozenset()
    go_minor: int | None = None

    @classmethod
    def of(
        cls,
        platforms: Iterable[Platform],
        tags: Iterable[str] = (),
        go_minor: int | None = None,
    ) -> BuildContext:
        """The context for the user's platforms and tags, and the toolchain's Go 1.N."""
        pairs = tuple(sorted({(p.os, p.architecture) for p in platforms}))
        return cls(pairs, frozenset(tags), go_minor)

    @property
    def all(self) -> int:
        """The mask of all platforms."""
        return (1 << len(self.pairs)) - 1

    def mask(self, file: ConstrainedFile) -> int:
        """The platforms for which `go build` with CGO_ENABLED=0 may use the file."""
        name = file.name
        if name.startswith(("_", ".")) or name.endswith("_test.go"):
            return 0
        if file.uses_cgo or file.is_documentation:
            return 0
        wanted = name_tags(name)
        constraint = file.constraint
        if not wanted and constraint is None:
            return self.all
        return _mask(self.pairs, self.tags, self.go_minor, wanted, constraint)


@lru_cache(maxsize=16384)
def _mask(
    pairs: tuple[tuple[str, str], ...],
    tags: frozenset[str],
    go_minor: int | None,
    wanted: tuple[str, ...],
    constraint: Constraint | None,
) -> int:
    mask = 0
    for bit, (os, arch) in enumerate(pairs):
        if all(evaluate_tag(tag, os, arch, tags, go_minor) for tag in wanted) and (
            constraint is None or evaluate(constraint, os, arch, tags, go_minor)
        ):
            mask |= 1 << bit
    return mask


def may_build(
    file: ConstrainedFile,
    platforms: Collection[Platform],
    tags: Collection[str] = (),
    go_minor: int | None = None,
) -> bool:
    """True unless `go build` with CGO_ENABLED=0 leaves the file out on every platform.

    :param tags: the user's, as given to `-tags`.
    :param go_minor: N of the toolchain's Go 1.N; None if not known.
    """
    return BuildContext.of(platforms, tags, go_minor).mask(file) != 0
