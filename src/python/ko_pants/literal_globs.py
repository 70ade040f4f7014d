"""Paths as globs of Pants that match the path itself and nothing else."""

from __future__ import annotations

import posixpath
import re

_WILDCARD = re.compile(r"[*?\[]")


def literal_glob(path: str) -> str:
    """The glob that matches `path` alone.

    Pants takes `*`, `?` and `[` for wildcards, and a glob that begins with `!` for an exclusion.
    """
    escaped = _WILDCARD.sub(r"[\g<0>]", path)
    return f"./{escaped}" if escaped.startswith("!") else escaped


# What `FilespecMatcher` and PathGlobs of Pants give a meaning; a backslash quotes.
_NOT_LITERAL = re.compile(r"[*?\[\]{}!\\]")


def is_literal_glob(glob: str) -> bool:
    """True for a glob that certainly matches no other path than that which it spells."""
    return not _NOT_LITERAL.search(glob) and posixpath.normpath(glob) == glob
