"""What a compile is told beside its files, as inputs of a record: flags, variables, modules.

What may be secret is kept as a hash: the text of linker flags, which set variables of programs, and
the values of variables other than those of Go's own that choose something.
"""

from __future__ import annotations

import json
import posixpath
from typing import Iterable, Iterator, Mapping, Sequence, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.explanation.record import (
    ALL_FLAGS,
    ENVIRONMENT_VARIABLE,
    FLAG,
    MODULE,
    hidden,
)
from ko_pants.golang.build_flags import parse_flags, split_quoted
from ko_pants.golang.modfile import parse_directives, parse_replace
from ko_pants.golang.private_environment import FILE_VARIABLE

# Kind, name and value of an input.
Named = Tuple[str, str, str]

# Variables whose values are words that Go knows, or numbers.
_SHOWN = frozenset(
    {
        *("GO111MODULE", "GO386", "GOAMD64", "GOARM", "GOARM64", "GODEBUG", "GOEXPERIMENT"),
        *("GOFIPS140", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOMIPS", "GOMIPS64", "GOPPC64"),
        *("GORISCV64", "GOSUMDB", "GOWASM"),
    }
)
# These follow from the platform, or from the names and values of the others.
_LEFT_OUT = frozenset({"CGO_ENABLED", "GOOS", "GOARCH", FILE_VARIABLE})
_LDFLAGS = "-ldflags"


def flag_inputs(flags: Sequence[str], ldflags: Sequence[str]) -> list[Named]:
    """The flags of `go build`, each by its name; of several with one name all values in order.

    :param flags: those of the command line, without `ldflags`.
    """
    values: dict[str, list[str]] = {}
    linker = [*ldflags]
    try:
        for flag in parse_flags(flags):
            if flag.name == "ldflags":
                linker.append(flag.value)
            else:
                values.setdefault(f"-{flag.name}", []).append(flag.value)
    except KoPantsError:
        # Go will say more of it. `ALL_FLAGS` has them.
        values.clear()
    found = [(FLAG, name, " ".join(of_name)) for name, of_name in values.items()]
    if flags or ldflags:
        # As JSON: joined by any text, an empty flag could pass for an empty linker flag.
        text = json.dumps((list(flags), list(ldflags)))
        found.append((FLAG, ALL_FLAGS, hidden(ALL_FLAGS, text)))
    return [*found, *_linker_inputs(" ".join(linker))]


def _linker_inputs(text: str) -> Iterator[Named]:
    """Each flag of the linker. Values are hidden: `-X` sets what may be a secret."""
    values: dict[str, list[str]] = {}
    for name, value in _linker_flags(list(split_quoted(text))):
        values.setdefault(f"{_LDFLAGS} {name}".rstrip(), []).append(value)
    for name, of_name in values.items():
        joined = "\n".join(of_name)
        yield FLAG, name, hidden(name, joined) if joined else "set"


def _linker_flags(words: list[str]) -> Iterator[tuple[str, str]]:
    """Name and value of each flag; of `-X name=value` the variable is part of the name."""
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if not equals and words and not words[0].startswith("-"):
            value = words.pop(0)
        if name in ("-X", "--X"):
            variable, _, value = value.partition("=")
            # As `-X` is given: an empty value is a value.
            yield f"-X {variable}", f"={value}"
        else:
            yield (name, value) if name.startswith("-") else ("", word)


def variable_inputs(env: Mapping[str, str]) -> list[Named]:
    """The variables of the process of a compile. Credentials are in none of them.

    :param env: as `golang.build_environment.build_environment` makes it.
    """
    return [
        (
            ENVIRONMENT_VARIABLE,
            name,
            value if name in _SHOWN and len(value) < 200 else hidden(name, value),
        )
        for name, value in sorted(env.items())
        if name not in _LEFT_OUT
    ]


def module_inputs(go_mods: Mapping[str, bytes], main: str) -> list[Named]:
    """What go.mod files say: modules with their versions, replacements, and other directives.

    :param go_mods: content by path. A file that is malformed has no lines here.
    :param main: the path of that of the main module; the names of lines of others have their path.
    """
    found: dict[str, list[str]] = {}
    for path, content in go_mods.items():
        suffix = "" if path == main else f" ({path})"
        try:
            for name, value in _lines(content, path):
                found.setdefault(f"{name}{suffix}", []).append(value)
        except KoPantsError:
            continue
    return [(MODULE, name, ", ".join(values)) for name, values in found.items()]


def _lines(content: bytes, path: str) -> Iterable[tuple[str, str]]:
    lines = []
    for directive in parse_directives(content, path):
        if directive.verb == "require" and len(directive.arguments) == 2:
            lines.append((directive.arguments[0], directive.arguments[1]))
        elif directive.verb == "replace":
            of = parse_replace(directive, path)
            name = f"replace {of.old} {of.old_version}".rstrip()
            lines.append((name, f"{of.new} {of.new_version}".rstrip()))
        elif directive.verb != "module":
            lines.append((f"{directive.verb} of go.mod", " ".join(directive.arguments)))
    return lines


def is_go_mod(path: str) -> bool:
    """True for the path of a go.mod."""
    return posixpath.basename(path) == "go.mod"
