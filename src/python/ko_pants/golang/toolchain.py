"""Versions of Go toolchains."""

from __future__ import annotations

import re

# The first Go that has GOTOOLCHAIN, which keeps it from downloading another toolchain.
MINIMUM_VERSION = (1, 21, 0)

_VERSION = re.compile(r"\bgo([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?![0-9.])")


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The first Go version in a text, such as the output of `go version` or a VERSION file.

    A release candidate or a development version counts as its release. None if there is none.
    """
    match = _VERSION.search(text)
    if not match:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)


def meets_minimum(version: tuple[int, int, int]) -> bool:
    """True for a Go that the plugin can build with."""
    return version >= MINIMUM_VERSION
