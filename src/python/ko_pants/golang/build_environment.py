"""The environment variables of `go build`."""

from __future__ import annotations

import os
import posixpath
from typing import Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_flags import check_goflags
from ko_pants.golang.private_environment import has_credentials
from ko_pants.golang.templates import has_template
from ko_pants.golang.workspace import Workspace
from ko_pants.oci.platform import Platform

# Git, for private modules, is looked for here too.
_PATH = "/usr/local/bin:/usr/bin:/bin"

# The plugin sets these. Another value would break the cache key or the build itself.
_RESERVED = frozenset(
    {
        *("CGO_ENABLED", "GOOS", "GOARCH", "GOROOT", "GOCACHE", "GOPATH", "GOMODCACHE", "GOENV"),
        *("GOTOOLCHAIN", "GOTOOLDIR", "GOTMPDIR"),
    }
)
# A program that hands out the results of compilers, without any look at the sources.
_CACHE_PROGRAM = "GOCACHEPROG"


def build_environment(
    platform: Platform, outside: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a process that runs the go tool.

    GOFLAGS gains `-modcacherw`, so that the module cache can be deleted. The path of a go.work is
    left out: `check_go_work` makes sure that Go finds it by itself.

    :param outside: variables from the environment of Pants. Those that the plugin sets are left
        out.
    :param own: variables of the target. They win over those from outside.
    """
    passed = {name: value for name, value in outside.items() if not _is_reserved(name)}
    env = {"PATH": _PATH, **passed, **own}
    if env.get("GOWORK", "").startswith("/"):
        del env["GOWORK"]
    env["GOFLAGS"] = " ".join(filter(None, (env.get("GOFLAGS", ""), "-modcacherw")))
    env["CGO_ENABLED"] = "0"
    env.update(platform.go_env())
    return env


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name == _CACHE_PROGRAM


def check_go_work(value: str, build_root: str, workspace: Workspace) -> None:
    """Make sure that GOWORK names nothing but what Go finds above the main package.

    Elsewhere on this machine it would be an input that nobody watches.

    :param value: of the variable.
    :param build_root: the directory of the repo.
    :param workspace: that of the main package.
    :raises KoPantsError: it names another file.
    """
    if value in ("", "off", "auto"):
        return
    found = posixpath.join(workspace.directory, "go.work")
    uses_it = found in workspace.files
    if uses_it and value.startswith("/"):
        path = os.path.join(build_root, found)
        if os.path.realpath(value) == os.path.realpath(path):
            return
    raise KoPantsError(
        f"GOWORK is {value!r}; expected the go.work that Go finds in the repo above the main "
        f"package ({os.path.join(build_root, found) if uses_it else 'there is none'}): unset "
        "GOWORK, or set it to `off`"
    )


def parse_env_field(entries: Sequence[str], *, where: str) -> tuple[tuple[str, str], ...]:
    """Read the entries `NAME=value` of a target's field.

    :param where: target and field, for messages.
    :raises KoPantsError: another form, a variable that the plugin sets itself, a flag in GOFLAGS
        that is refused, or credentials.
    """
    pairs = []
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise KoPantsError(f"{where}: expected `NAME=value`, found {entry!r}")
        if has_template([name]):
            raise KoPantsError(
                f"{where}: expected a name before the `=`, found the template {name!r}; only "
                "values are filled in"
            )
        if name in _RESERVED:
            raise KoPantsError(
                f"{where}: {name} is set by the plugin (platforms come from the image's "
                "`platforms`, and images are built with CGO_ENABLED=0); remove it"
            )
        if name == _CACHE_PROGRAM:
            raise KoPantsError(
                f"{where}: {name} names a program that would decide the result of the build; "
                "remove it"
            )
        if has_credentials(name, value):
            raise KoPantsError(
                f"{where}: {name} has a user or password in it, which does not belong in a BUILD "
                "file; set it in the environment of Pants, and name it in [ko].go_env_vars"
            )
        if name == "GOFLAGS":
            check_goflags(value, where=f"{where}: GOFLAGS")
        pairs.append((name, value))
    return tuple(pairs)
