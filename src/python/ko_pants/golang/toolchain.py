"""Toolchains of Go: where a process has it from, and versions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ko_pants.oci.platform import Platform

# The first Go that has GOTOOLCHAIN, which keeps it from downloading another toolchain.
MINIMUM_VERSION = (1, 21, 0)

# What a Go that does not know the variable compiles for.
_LOWEST_LEVELS = {"GOARM64": "v8.0", "GORISCV64": "rva20u64"}

# Where a process has its toolchain from: the values of the option [ko].toolchain.
LINKED = "linked"
WORKER = "worker"
INPUT = "input"
SOURCES = (LINKED, WORKER, INPUT)

_VERSION = re.compile(r"\bgo([0-9]+)\.([0-9]+)(?:\.([0-9]+))?(?![0-9.])")


@dataclass(frozen=True)
class Toolchain:
    """A toolchain as a process knows it. Nothing here is a path of the client.

    :param name: begins with `go<version>`. Of a link, all of its name: the version and a hash of
        the go command's build id.
    :param source: `LINKED`, `WORKER` or `INPUT`.
    :param build_id: that the go command on the worker must have; empty for any.
    :param search_path: the directories of the worker's PATH.
    """

    name: str
    source: str = LINKED
    build_id: str = ""
    search_path: tuple[str, ...] = ()


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The first Go version in a text, such as the output of `go version` or a VERSION file.

    A release candidate or a development version counts as its release. None if there is none.
    """
    match = _VERSION.search(text)
    if not match:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)


def level_problem(go: str, platform: Platform) -> str:
    """Why this Go cannot compile for the CPU level of a platform; empty if it can.

    Go 1.21 and 1.22 do not know GOARM64 and GORISCV64. They ignore them, and compile for the lowest
    level.

    :param go: the name of a toolchain, which has its version.
    """
    env = platform.go_env()
    found = next(((n, env[n]) for n in _LOWEST_LEVELS if n in env), None)
    version = parse_version(go)
    if found is None or version is None or version >= (1, 23, 0):
        return ""
    name, value = found
    if value == _LOWEST_LEVELS[name]:
        return ""
    return (
        f"the platform {platform} wants {name}={value}, which Go has since 1.23; found Go "
        f"{'.'.join(map(str, version))}. Install a newer Go, or take the platform without variant"
    )


def meets_minimum(version: tuple[int, int, int]) -> bool:
    """True for a Go that the plugin can build with."""
    return version >= MINIMUM_VERSION
