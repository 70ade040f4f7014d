"""The environment variables of `go build`."""

from __future__ import annotations

from typing import Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform

# Git, for private modules, is looked for here too.
_PATH = "/usr/local/bin:/usr/bin:/bin"

# The plugin sets these. Another value would break the cache key or the build itself.
_RESERVED = frozenset(
    {
        *("CGO_ENABLED", "GOOS", "GOARCH", "GOROOT", "GOCACHE", "GOPATH", "GOMODCACHE", "GOENV"),
        *("GOTOOLCHAIN", "GOTMPDIR"),
    }
)


def build_environment(
    platform: Platform, outside: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a process that runs the go tool.

    GOFLAGS gains `-modcacherw`, so that the module cache can be deleted.

    :param outside: variables from the environment of Pants.
    :param own: variables of the target. They win over those from outside.
    """
    env = {"PATH": _PATH, **outside, **own}
    env["GOFLAGS"] = " ".join(filter(None, (env.get("GOFLAGS", ""), "-modcacherw")))
    env["CGO_ENABLED"] = "0"
    env.update(platform.go_env())
    return env


def parse_env_field(entries: Sequence[str], *, where: str) -> tuple[tuple[str, str], ...]:
    """Read the entries `NAME=value` of a target's field.

    :param where: target and field, for messages.
    :raises KoPantsError: another form, or a variable that the plugin sets itself.
    """
    pairs = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise KoPantsError(f"{where}: expected `NAME=value`, found {entry!r}")
        if name in _RESERVED:
            raise KoPantsError(
                f"{where}: {name} is set by the plugin (platforms come from the image's "
                "`platforms`, and images are built with CGO_ENABLED=0); remove it"
            )
        pairs.append((name, value))
    return tuple(pairs)
