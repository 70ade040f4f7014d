"""The flags of `go build`: how they are read, which ones are refused, and what they decide.

They come from a target's field `flags` and from GOFLAGS. Source: `go help build`, `go help
environment` (GOFLAGS), and cmd/go's base.SetFromGOFLAGS.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Iterator, Mapping, Sequence

from ko_pants.errors import KoPantsError

# Names of flags that would make the build unsafe, or its result unfindable.
REFUSED_FLAGS = frozenset({"toolexec", "o", "C", "n", "exec", "overlay", "modfile"})


@dataclass(frozen=True)
class Flag:
    """One flag.

    :param text: as it was given.
    :param name: without its one or two dashes.
    :param value: what follows its `=`; without one, the next word. Go takes that for the value if
        the flag is not boolean.
    """

    text: str
    name: str
    value: str


def parse_flags(words: Sequence[str]) -> Iterator[Flag]:
    """The flags among the words of a command line, in order."""
    for word, following in zip(words, [*words[1:], ""]):
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            yield Flag(word, name, value if equals else following)


def split_goflags(goflags: str) -> list[str]:
    """The words of GOFLAGS; none if its quotes are malformed, which Go reports."""
    try:
        return shlex.split(goflags)
    except ValueError:
        return []


def check_flags(flags: Sequence[str], *, where: str) -> None:
    """Make sure that flags can be given to `go build`.

    :param where: target and field, for messages.
    :raises KoPantsError: one of `REFUSED_FLAGS`.
    """
    for flag in parse_flags(flags):
        if flag.name in REFUSED_FLAGS:
            raise KoPantsError(
                f"{where}: the flag {flag.text!r} cannot be used: the build runs in a sandbox "
                "and its output is taken from there; remove it"
            )


@dataclass(frozen=True)
class BuildSettings:
    """What flags and variables say about which files belong to a build.

    :param tags: those of `-tags`, sorted.
    :param mod: the value of `-mod`; `""` if there is none.
    :param use_go_work: False for GOWORK=off.
    """

    tags: tuple[str, ...]
    mod: str
    use_go_work: bool


def build_settings(flags: Sequence[str], env: Mapping[str, str]) -> BuildSettings:
    """What `flags`, GOFLAGS and GOWORK say. As in Go, `flags` win over GOFLAGS.

    :param flags: those on the command line.
    :param env: the environment of the build.
    """
    tags: tuple[str, ...] = ()
    mod = ""
    for flag in parse_flags([*split_goflags(env.get("GOFLAGS", "")), *flags]):
        if flag.name == "mod":
            mod = flag.value
        elif flag.name == "tags":
            tags = tuple(sorted(filter(None, flag.value.replace(" ", ",").split(","))))
    return BuildSettings(tags, mod, env.get("GOWORK") != "off")
