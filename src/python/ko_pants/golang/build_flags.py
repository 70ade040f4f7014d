"""The flags of `go build`: how they are read, which ones are refused, and what they decide.

They come from a target's field `flags` and from GOFLAGS. Source: `go help build`, `go help
environment` (GOFLAGS), and cmd/go's base.SetFromGOFLAGS, internal/quoted and work.perPackageFlag.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Iterator, Mapping, Sequence

from ko_pants.errors import KoPantsError

# Flags of `go build` that are boolean: the next word is not their value.
_BOOLEAN = frozenset(
    {
        *("a", "asan", "buildvcs", "cover", "i", "json", "linkshared", "modcacherw", "msan", "n"),
        *("race", "trimpath", "v", "work", "x"),
    }
)
# Other flags of `go build` that no file or program is read for.
_WITH_VALUE = frozenset(
    {
        *("asmflags", "buildmode", "covermode", "coverpkg", "gcflags", "installsuffix", "ldflags"),
        *("mod", "p", "pgo", "tags"),
    }
)

_RUNS = "it names a program that would run in the build and decide its result"
_PLUGIN = "the build runs in a sandbox, and the plugin takes its output from there"
_NO_INPUT = "it names files that are no input of the build, so that a change would go unnoticed"
_WRITES = "it writes files that nobody takes out of the sandbox"
_SANDBOX = "the program would have the path of the sandbox in it, which is another in each build"

# Name of a flag -> why it is refused.
_REFUSED = {
    "toolexec": _RUNS,
    "exec": _RUNS,
    "vettool": _RUNS,
    "o": _PLUGIN,
    "C": _PLUGIN,
    "n": _PLUGIN,
    "json": _PLUGIN,
    "overlay": _NO_INPUT,
    "modfile": _NO_INPUT,
    "pkgdir": _NO_INPUT,
    "linkshared": _NO_INPUT,
    "gccgoflags": "programs are compiled by Go's own compiler",
}

# Name of a flag -> the values that it may have, and why it may have no others.
_ALLOWED_VALUES = {
    "buildmode": (("exe", "pie", "default"), "an image needs a program"),
    "buildvcs": (("false", "0", "f", "F", "FALSE", "False"), "the sandbox has no repository"),
    "compiler": (("gc",), "programs are compiled by Go's own compiler"),
    "trimpath": (("true", "1", "t", "T", "TRUE", "True"), _SANDBOX),
}

_PROFILES = dict.fromkeys(
    ("blockprofile", "cpuprofile", "memprofile", "mutexprofile", "traceprofile"), _WRITES
)
# Name of a flag of `go build` -> flags of the compiler, assembler or linker that it may not have.
_REFUSED_TOOL_FLAGS: dict[str, dict[str, str]] = {
    "gcflags": {
        **_PROFILES,
        **dict.fromkeys(("asmhdr", "bench", "json", "linkobj", "o"), _WRITES),
        **dict.fromkeys(("coveragecfg", "embedcfg", "importcfg", "pgoprofile"), _NO_INPUT),
        **dict.fromkeys(("I", "symabis"), _NO_INPUT),
        "trimpath": _SANDBOX,
    },
    "asmflags": {"I": _NO_INPUT, "gensymabis": _WRITES, "o": _WRITES, "trimpath": _SANDBOX},
    "ldflags": {
        **_PROFILES,
        **dict.fromkeys(("benchmarkprofile", "capturehostobjs", "o", "tmpdir"), _WRITES),
        **dict.fromkeys(("L", "fipso", "importcfg", "libgcc", "linkshared"), _NO_INPUT),
        **dict.fromkeys(("extar", "extld"), _RUNS),
    },
}

_WORD = re.compile(r"""[ \t\r\n]*(?:"([^"]*)"|'([^']*)'|([^"' \t\r\n][^ \t\r\n]*))""")


@dataclass(frozen=True)
class Flag:
    """One flag.

    :param text: as it was given, without a value in the next word.
    :param name: without its one or two dashes.
    :param value: what follows its `=`, or the next word for a flag that needs a value there;
        `true` for a boolean flag without a value.
    """

    text: str
    name: str
    value: str


def parse_flags(words: Sequence[str]) -> Iterator[Flag]:
    """The flags among the words of a command line, in order.

    :raises KoPantsError: a word that is neither a flag nor the value of one.
    """
    left = list(words)
    while left:
        word = left.pop(0)
        if not _is_flag(word):
            raise KoPantsError(f"expected flags such as `-tags=netgo`, found {word!r}")
        flag = _flag(word)
        if "=" not in word and left and _takes_next_word(flag.name, left[0]):
            flag = Flag(word, flag.name, left.pop(0))
        yield flag


def _takes_next_word(name: str, following: str) -> bool:
    if name in _BOOLEAN:
        return False
    # A flag that is not known here may be boolean.
    return name in _WITH_VALUE or name in _REFUSED or not _is_flag(following)


def parse_goflags(goflags: str) -> Iterator[Flag]:
    """The flags in GOFLAGS, in order. None after a word that Go reports as malformed."""
    for word in split_quoted(goflags):
        if not _is_flag(word):
            return
        yield _flag(word)


def _is_flag(word: str) -> bool:
    name = word[2:] if word.startswith("--") else word[1:]
    return word.startswith("-") and bool(name) and name[0] not in "-="


def _flag(word: str) -> Flag:
    name, equals, value = word[2 if word.startswith("--") else 1 :].partition("=")
    return Flag(word, name, value if equals else "true" if name in _BOOLEAN else "")


def split_quoted(text: str) -> Iterator[str]:
    """The words of a text as Go splits it: a quote counts at the begin of a word, and nothing
    escapes it. None from a quote on that does not end, which Go reports.
    """
    match = _WORD.match(text)
    while match:
        yield match[match.lastindex or 0]
        match = _WORD.match(text, match.end())


# The flags that decide which files are in a build and how packages are compiled. `go vet` and
# `go list` take them; of the others, some are for `go build` alone.
_OF_PACKAGES = frozenset(
    {
        *("asan", "asmflags", "buildmode", "gcflags", "installsuffix", "mod", "msan", "pgo"),
        *("race", "tags"),
    }
)


def vet_build_flags(flags: Sequence[str]) -> tuple[str, ...]:
    """Those of the flags of `go build` that `go vet` has to have, to see the same packages.

    :raises KoPantsError: a word that is neither a flag nor the value of one.
    """
    return tuple(
        f"-{flag.name}={flag.value}" for flag in parse_flags(flags) if flag.name in _OF_PACKAGES
    )


# Flags of `go vet` that are no check: they change what it prints, writes or runs.
_NO_CHECKS = frozenset({"C", "c", "diff", "fix", "fixtool", "json", "n", "o", "v", "vettool", "x"})


def check_vet_arguments(words: Sequence[str], *, where: str) -> None:
    """Make sure that words can be given to `go vet`.

    :param where: the option, for messages.
    :raises KoPantsError: one is no flag of a check of `go vet`.
    """
    for word in words:
        flag = _flag(word)
        refused = flag.name in _NO_CHECKS or flag.name in _BOOLEAN or flag.name in _WITH_VALUE
        if not _is_flag(word) or refused or word.split() != [word]:
            raise KoPantsError(
                f"{where}: found {word!r}; expected flags that choose the checks of `go vet`, one "
                "an element and without blanks, such as '-copylocks=false' (`go tool vet help` "
                "lists them)"
            )


def check_flags(flags: Sequence[str], *, where: str) -> None:
    """Make sure that the words of a target's field can be given to `go build`.

    :param where: target and field, for messages.
    :raises KoPantsError: a flag that is refused, or a word that is no flag.
    """
    try:
        for flag in parse_flags(flags):
            _check(flag)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def check_goflags(goflags: str, *, where: str) -> None:
    """Make sure that `go build` can be run with this GOFLAGS.

    :param where: where it comes from, for messages.
    :raises KoPantsError: a flag that is refused.
    """
    try:
        for flag in parse_goflags(goflags):
            _check(flag)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def _check(flag: Flag) -> None:
    """Refuse a flag, if something beside the inputs of the build would decide its result.

    :raises KoPantsError: it is refused; the text says why.
    """
    reason = _REFUSED.get(flag.name)
    if flag.name.startswith("debug-"):
        reason = _WRITES
    allowed, why = _ALLOWED_VALUES.get(flag.name, ((), ""))
    if allowed and flag.value not in allowed:
        raise KoPantsError(
            f"the flag {flag.text!r} cannot be used: {why}; remove it, or use "
            + " or ".join(f"`-{flag.name}={value}`" for value in allowed[:2])
        )
    if not reason and flag.name == "pgo" and flag.value.startswith("/"):
        reason = f"{_NO_INPUT}; expected a path relative to the directory of go.mod"
    known = flag.name in _BOOLEAN or flag.name in _WITH_VALUE or bool(allowed)
    if not reason and not known and flag.value.startswith(("/", "../")):
        reason = _NO_INPUT
    if reason:
        raise KoPantsError(f"the flag {flag.text!r} cannot be used: {reason}; remove it")
    _check_tool_flags(flag)


def _check_tool_flags(flag: Flag) -> None:
    """Refuse flags of the compiler, assembler or linker.

    :raises KoPantsError: one is refused. The text has no more than that one: others may be secret.
    """
    refused = _REFUSED_TOOL_FLAGS.get(flag.name)
    if refused is None:
        return
    value = flag.value.strip()
    if not value.startswith("-"):
        # A pattern of packages comes first.
        value = value.partition("=")[2]
    words = list(split_quoted(value))
    for word, following in zip(words, [*words[1:], ""]):
        if not _is_flag(word):
            continue
        tool_flag = _flag(word)
        reason = refused.get(tool_flag.name)
        if tool_flag.name == "linkmode" and "external" in (tool_flag.value or following):
            reason = "it runs the C compiler of this machine"
        if reason:
            raise KoPantsError(
                f"-{tool_flag.name} in the flag -{flag.name} cannot be used: {reason}; remove it"
            )


@dataclass(frozen=True)
class BuildSettings:
    """What flags and variables say about which files belong to a build.

    :param tags: those of `-tags`, sorted.
    :param mod: the value of `-mod`; `""` if there is none.
    :param use_go_work: False for GOWORK=off.
    :param profile: the file that `-pgo` names, relative to the main module; `""` if there is none.
    """

    tags: tuple[str, ...]
    mod: str
    use_go_work: bool
    profile: str = ""


def build_settings(flags: Sequence[str], env: Mapping[str, str]) -> BuildSettings:
    """What `flags`, GOFLAGS and GOWORK say. As in Go, `flags` win over GOFLAGS.

    :param flags: those on the command line.
    :param env: the environment of the build.
    :raises KoPantsError: a word of `flags` that is neither a flag nor the value of one.
    """
    return _build_settings(tuple(flags), env.get("GOFLAGS", ""), env.get("GOWORK") != "off")


# Thousands of programs have the same flags.
@lru_cache(maxsize=1024)
def _build_settings(flags: tuple[str, ...], goflags: str, use_go_work: bool) -> BuildSettings:
    tags: tuple[str, ...] = ()
    mod = profile = ""
    for flag in [*parse_goflags(goflags), *parse_flags(flags)]:
        if flag.name == "mod":
            mod = flag.value
        elif flag.name == "tags":
            tags = tuple(sorted(filter(None, flag.value.replace(" ", ",").split(","))))
        elif flag.name == "pgo":
            profile = "" if flag.value in ("auto", "off") else flag.value
    return BuildSettings(tags, mod, use_go_work, profile)


def profile_path(profile: str, module: str) -> str:
    """The path in the repo of the file that `-pgo` names.

    :param profile: `BuildSettings.profile`.
    :param module: directory of the main module, in which Go runs.
    :raises KoPantsError: it is outside of the repo.
    """
    path = posixpath.normpath(posixpath.join(module, profile))
    if path.startswith(("/", "../")) or path == "..":
        raise KoPantsError(
            f"the flag -pgo names {profile!r}, which is outside of the build root; expected a path "
            f"relative to {posixpath.join(module, 'go.mod')}, within the build root"
        )
    return path
