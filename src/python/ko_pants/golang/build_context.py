"""Which files `go build` may use for a platform, with CGO_ENABLED=0 and the gc compiler.

The plugin decides before Go runs, so it does not know whether some tags hold: those of a release
of Go, of GOEXPERIMENT, of GOAMD64 and the like. Such a condition is `MAYBE`, and so is a line that
Go will reject. A file is left out only if Go certainly leaves it out.

Source: `go help buildconstraint`, and go/build's goodOSArchFile and matchTag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Iterable, Protocol

from ko_pants.golang.constraints import And, Constraint, Not, Or, Tag
from ko_pants.oci.platform import Platform

# Words that have a meaning in file names. Source: internal/syslist, whose lists never shrink.
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
# The systems that satisfy the tag `unix`.
_UNIX = frozenset(
    (
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios"),
        *("linux", "netbsd", "openbsd", "solaris"),
    )
)
# GOOS -> the GOOS whose tag it satisfies too.
_ALSO_SATISFIED = {"android": "linux", "illumos": "solaris", "ios": "darwin"}
_RELEASE_TAG = re.compile(r"go1\.[1-9][0-9]*")


class Tristate(IntEnum):
    """Whether a condition holds. The order makes AND the minimum and OR the maximum."""

    NO = 0
    MAYBE = 1
    YES = 2


@lru_cache(maxsize=4096)
def evaluate_tag(name: str, os: str, architecture: str, tags: frozenset[str]) -> Tristate:
    """Whether a tag holds for a GOOS and GOARCH; `tags` are those of `-tags`."""
    if name in (os, architecture, "gc", _ALSO_SATISFIED.get(os)) or name in tags:
        return Tristate.YES
    if name == "unix":
        return Tristate.YES if os in _UNIX else Tristate.NO
    # Tags that depend on the toolchain (go/build.ToolTags): its release, GOEXPERIMENT, and features
    # such as amd64.v3.
    if (
        name == "boringcrypto"
        or name.startswith(("goexperiment.", architecture + "."))
        or _RELEASE_TAG.fullmatch(name)
    ):
        return Tristate.MAYBE
    return Tristate.NO


def evaluate(constraint: Constraint, os: str, architecture: str, tags: frozenset[str]) -> Tristate:
    """Whether a constraint holds for a GOOS and GOARCH; `tags` are those of `-tags`."""
    if isinstance(constraint, Tag):
        return evaluate_tag(constraint.name, os, architecture, tags)
    if isinstance(constraint, Not):
        return Tristate(Tristate.YES - evaluate(constraint.term, os, architecture, tags))
    if isinstance(constraint, And):
        return min(evaluate(term, os, architecture, tags) for term in constraint.terms)
    if isinstance(constraint, Or):
        return max(evaluate(term, os, architecture, tags) for term in constraint.terms)
    return Tristate.MAYBE


@lru_cache(maxsize=65536)
def tags_of_name(name: str) -> tuple[str, ...]:
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
    """A file of a package, as far as constraints go; `name` is its base name."""

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

    A set of platforms is a bit mask over `pairs`.

    :param pairs: the distinct (GOOS, GOARCH) of the platforms, sorted. Constraints see no more of a
        platform.
    :param tags: those of `-tags`.
    """

    pairs: tuple[tuple[str, str], ...]
    tags: frozenset[str] = frozenset()

    @classmethod
    def of(cls, platforms: Iterable[Platform], tags: Iterable[str] = ()) -> BuildContext:
        """The context for platforms and the tags of `-tags`."""
        pairs = tuple(sorted({(p.os, p.architecture) for p in platforms}))
        return cls(pairs, frozenset(tags))

    @property
    def all_platforms(self) -> int:
        """The mask of all platforms."""
        return (1 << len(self.pairs)) - 1

    def mask(self, file: ConstrainedFile) -> int:
        """The platforms for which `go build` may use the file."""
        name = file.name
        if name.startswith(("_", ".")) or name.endswith("_test.go"):
            return 0
        if file.uses_cgo or file.is_documentation:
            return 0
        asked = tags_of_name(name)
        constraint = file.constraint
        if not asked and constraint is None:
            return self.all_platforms
        return _mask(self.pairs, self.tags, asked, constraint)


@lru_cache(maxsize=16384)
def _mask(
    pairs: tuple[tuple[str, str], ...],
    tags: frozenset[str],
    asked: tuple[str, ...],
    constraint: Constraint | None,
) -> int:
    """The platforms for which the tags of a file's name, and its constraint, may hold."""
    mask = 0
    for bit, (os, arch) in enumerate(pairs):
        if all(evaluate_tag(tag, os, arch, tags) for tag in asked) and (
            constraint is None or evaluate(constraint, os, arch, tags)
        ):
            mask |= 1 << bit
    return mask
