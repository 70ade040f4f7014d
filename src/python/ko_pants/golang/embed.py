"""`//go:embed`: which files the patterns of a package take in.

Source: package embed's documentation, path.Match, and cmd/go's resolveEmbed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Iterable

from ko_pants.golang.modules import is_within

_ALL = "all:"
# Never part of a module, so never embedded from within a directory.
_VERSION_CONTROL = frozenset({".bzr", ".git", ".hg", ".svn"})


@lru_cache(maxsize=4096)
def _component(pattern: str) -> re.Pattern[str] | None:
    """One component of a path.Match pattern; None if it is malformed (Go reports it)."""
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
            # path.Match's classes: [^a-z\]], where a backslash quotes and ^ negates.
            match = re.compile(r"(\^?)((?:\\.|[^\\\]])+)\]", re.DOTALL).match(pattern, i)
            if not match:
                return None
            members = re.findall(r"(\\.|[^\\])(?:(-)(\\.|[^\\]))?", match[2], re.DOTALL)
            ranges = []
            for low, _, high in members:
                low, high = low[-1], (high or low)[-1]
                if low <= high:
                    ranges.append(f"{re.escape(low)}-{re.escape(high)}")
            if not ranges:
                out.append("." if match[1] else r"(?!)")
            else:
                out.append(f"[{match[1]}{''.join(ranges)}]")
            i = match.end()
        else:
            out.append(re.escape(char))
    try:
        return re.compile("".join(out), re.DOTALL)
    except re.error:
        return None


def _split(glob: str) -> list[str]:
    """The components of a pattern; classes do not cross a `/` in path.Match."""
    return glob.split("/")


def _is_valid(glob: str) -> bool:
    """As io/fs.ValidPath, less ".": relative, no empty, `.` or `..` components."""
    return all(part not in ("", ".", "..") for part in _split(glob))


@dataclass(frozen=True)
class EmbedFilter:
    """The embedded files of one package.

    :param directory: the package's, relative to the repo's root.
    :param patterns: as in the directives, `all:` included.
    :param boundaries: directories with a go.mod below `directory`: nothing in them is embedded.
    """

    directory: str
    patterns: tuple[str, ...]
    boundaries: tuple[str, ...] = ()

    def globs(self) -> tuple[str, ...]:
        """Globs relative to the package that take in at least all embedded files.

        They use only `*`, `**` and literal names, as Pants' globs do. Filter what they find with
        `matches`. A pattern stands for the file of that name or the whole directory, hence two.
        """
        found: set[str] = set()
        for pattern in self.patterns:
            glob = pattern[len(_ALL) :] if pattern.startswith(_ALL) else pattern
            if not _is_valid(glob):
                continue
            over = "/".join(_as_pants_glob(part) for part in _split(glob))
            found.update((over, over + "/**"))
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


def _as_pants_glob(part: str) -> str:
    """A component with all but `*` and literals widened to `*`; `!` would mean an exclusion."""
    wide = re.sub(r"\[(?:\\.|[^\\\]])*\]|\\.|[?\[\]{}!\\*]+", "*", part, flags=re.DOTALL)
    return re.sub(r"\*+", "*", wide)


def _matches(pattern: str, parts: list[str]) -> bool:
    everything = pattern.startswith(_ALL)
    glob = pattern[len(_ALL) :] if everything else pattern
    if not _is_valid(glob):
        return False
    wanted = _split(glob)
    if len(wanted) > len(parts):
        return False
    for expected, part in zip(wanted, parts):
        compiled = _component(expected)
        if compiled is None or not compiled.fullmatch(part):
            return False
    below = parts[len(wanted) :]
    if everything:
        return not _VERSION_CONTROL.intersection(below)
    return not any(part.startswith((".", "_")) for part in below)


def embed_globs(filters: Iterable[EmbedFilter]) -> tuple[str, ...]:
    """The globs of several packages, relative to the repo's root."""
    return tuple(
        sorted(
            {
                f"{f.directory}/{glob}" if f.directory else glob
                for f in filters
                for glob in f.globs()
            }
        )
    )
