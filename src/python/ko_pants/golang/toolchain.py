"""Versions of the go tool."""

from __future__ import annotations

import re

# GOTOOLCHAIN, which keeps Go from downloading another toolchain, exists since 1.21.
MINIMUM = (1, 21, 0)

_VERSION = re.compile(r"\bgo([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?![0-9.])")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The first Go version in a text: `go version`'s output, a VERSION file, `go1.22rc1`.

    A release candidate or a development version counts as its release. None if there is none.
    """
    match = _VERSION.search(text)
    if not match:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)


def meets_minimum(version: tuple[int, int, int]) -> bool:
    """True for a Go that the plugin can build with."""
    return version >= MINIMUM
