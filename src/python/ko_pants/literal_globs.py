"""Paths as globs of Pants that match the path itself and nothing else."""

from __future__ import annotations

import re

_WILDCARD = re.compile(r"[*?\[]")


def literal_glob(path: str) -> str:
    """The glob that matches `path` alone.

    Pants takes `*`, `?` and `[` for wildcards, and a glob that begins with `!` for an exclusion.
    """
    escaped = _WILDCARD.sub(r"[\g<0>]", path)
    return f"./{escaped}" if escaped.startswith("!") else escaped
