"""`//go:embed`: which files the patterns of a package match.

Source: package embed's documentation, path.Match, and cmd/go's resolveEmbed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ko_pants.golang.repo_paths import is_within

# A pattern with this prefix embeds hidden files too.
_ALL_PREFIX = "all:"
# Directories that are never part of a module, so that Go embeds nothing from them.
_VERSION_CONTROL = frozenset({".bzr", ".git", ".hg", ".svn"})


# What follows the bracket of a class such as [^a-z\]]: `^` negates, a backslash quotes.
_CLASS = re.compile(r"(\^?)((?:\\.|[^\\\]])+)\]", re.DOTALL)
_CLASS_MEMBER = re.compile(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)


@lru_cache(maxsize=4096)
def component_pattern(pattern: str) -> re.Pattern[str] | None:
    """One component of a path.Match pattern as a regular expression.

    None if it is malformed, which Go reports.
    """
    out = []
    i = 0
    while i < len(pattern):
        char = pattern[i]
        i += 1
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "\\":
            if i == len(pattern):
                return None
            out.append(re.escape(pattern[i]))
            i += 1
        elif char == "[":
            match = _CLASS.match(pattern, i)
            if not match:
                return None
            out.append(_class(bool(match[1]), match[2]))
            i = match.end()
        else:
            out.append(re.escape(char))
    return re.compile("".join(out), re.DOTALL)


def _class(negated: bool, members: str) -> str:
    """A class of characters as a regular expression."""
    ranges = []
    for low, high in _CLASS_MEMBER.findall(members):
        low, high = low[-1], (high or low)[-1]
        # path.Match takes a range such as z-a for one without characters.
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if not ranges:
        return "." if negated else r"(?!)"
    return f"[{'^' if negated else ''}{''.join(ranges)}]"


def pattern_components(pattern: str) -> tuple[bool, list[str]]:
    """Whether a pattern has the prefix `all:`, and the components of its path.

    There are none if Go refuses the path, which has to be relative, without empty, `.` and `..`
    components (io/fs.ValidPath).
    """
    everything = pattern.startswith(_ALL_PREFIX)
    parts = (pattern[len(_ALL_PREFIX) :] if everything else pattern).split("/")
    return everything, [] if {"", ".", ".."}.intersection(parts) else parts


@dataclass(frozen=True)
class EmbedFilter:
    """Tells which files one package embeds.

    :param directory: the package's, relative to the repo's root.
    :param patterns: those of its directives, with the prefix `all:` where they have it.
    :param boundaries: directories with a go.mod below `directory`. Go embeds nothing from them.
    """

    directory: str
    patterns: tuple[str, ...]
    boundaries: tuple[str, ...] = ()

    def globs(self) -> tuple[str, ...]:
        """Globs, relative to the package, that match at least the embedded files.

        They have no wildcards but `*` and `**`. Filter what they find with `matches`. A pattern has
        two globs, as it means the file of that name or what is in the directory of that name.
        """
        found: set[str] = set()
        for pattern in self.patterns:
            _, parts = pattern_components(pattern)
            if parts:
                wide = "/".join(map(_as_wide_glob, parts))
                found.update((wide, wide + "/**"))
        return tuple(sorted(found))

    def matches(self, path: str) -> bool:
        """True if the file `path`, relative to the repo's root, is embedded."""
        if not is_within(path, self.directory) or path == self.directory:
            return False
        if any(is_within(path, boundary) for boundary in self.boundaries):
            return False
        relative = path[len(self.directory) + 1 :] if self.directory else path
        parts = relative.split("/")
        return any(_matches(pattern, parts) for pattern in self.patterns)


def _as_wide_glob(part: str) -> str:
    """A component in which `*` stands for everything that is not a plain character.

    `{` and `}` are wildcards of Pants' globs, and `!` makes them exclusions.
    """
    wide = re.sub(r"\[(?:\\.|[^\\\]])*\]|\\.|[?\[\]{}!\\*]", "*", part, flags=re.DOTALL)
    return re.sub(r"\*+", "*", wide)


def _matches(pattern: str, parts: list[str]) -> bool:
    """True if a pattern matches a path, given by its components, or a directory above it."""
    everything, wanted = pattern_components(pattern)
    if not wanted or len(wanted) > len(parts):
        return False
    for expected, part in zip(wanted, parts):
        compiled = component_pattern(expected)
        if compiled is None or not compiled.fullmatch(part):
            return False
    below = parts[len(wanted) :]
    if everything:
        return not _VERSION_CONTROL.intersection(below)
    return not any(part.startswith((".", "_")) for part in below)
