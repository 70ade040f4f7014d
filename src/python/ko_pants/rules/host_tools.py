"""Finds Go and Python on this machine, and links them into named caches.

A process names the link, such as `ko_pants_go/go1.26.8-<hash of a build id>`. So its cache key has
what decides the bytes and no path of this machine, and a remote cache serves everybody who has the
same toolchain, wherever it is installed.

They are looked for in each run, so that a new Go or a deleted cache is noticed. That costs a few
stat calls, and if the result is equal the engine stops there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from pants.engine.rules import _uncacheable_rule

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError
from ko_pants.golang import go_build
from ko_pants.golang.executable import HEAD_SIZE_BYTES, inspect_executable
from ko_pants.golang.toolchain import meets_minimum, parse_version
from ko_pants.products import HostTools, HostToolsRequest
from ko_pants.rules.settings import Settings

GO_CACHE_NAME = "ko_pants_go"
PYTHON_CACHE_NAME = "ko_pants_python"
_SHIM_TIMEOUT_SECONDS = 60

# The named caches of a process that runs Go -> where its sandbox has them.
GO_CACHES = {
    GO_CACHE_NAME: go_build.GO_LINKS,
    "ko_pants_gocache": go_build.GO_CACHE,
    "ko_pants_gopath": go_build.GO_PATH,
}


@dataclass(frozen=True)
class _Go:
    """An installed Go; `key` is the name of its link."""

    goroot: str
    version: tuple[int, int, int]
    key: str


# Installed Go toolchains by (path of the `go` command, its modification time in nanoseconds).
_known: BoundedMemory[tuple[str, int], _Go | None] = BoundedMemory(
    name="rules.host_tools toolchains",
    bound=64,
    holds="what a `go` command on the search path turned out to be, None if it is none. A changed "
    "command has another time. Kept because some commands (goenv, asdf) have to be run to tell.",
)


@_uncacheable_rule
async def host_tools(request: HostToolsRequest, settings: Settings) -> HostTools:
    """Link Python and Go, and name their links.

    :raises KoPantsError: the search path has no Go of at least 1.21.
    """
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    executable = getattr(sys, "_base_executable", None) or sys.executable
    _link(settings.named_caches, PYTHON_CACHE_NAME, python, os.path.realpath(executable))
    if request.python_only:
        return HostTools(go="", python=python)
    go = _find_go(settings.search_path)
    _link(settings.named_caches, GO_CACHE_NAME, go.key, go.goroot)
    return HostTools(go=go.key, python=python)


def _find_go(search_path: tuple[str, ...]) -> _Go:
    """The first Go on the search path that is new enough.

    :raises KoPantsError: there is none.
    """
    too_old: list[str] = []
    for directory in dict.fromkeys(search_path):
        path = os.path.join(directory, "go")
        try:
            mtime = os.stat(path).st_mtime_ns
        except OSError:
            continue
        if not os.access(path, os.X_OK):
            continue
        key = (path, mtime)
        go = _known.get(key)
        if go is None and key not in _known:
            go = _inspect_go(path)
            _known.put(key, go)
        if go is None:
            continue
        if meets_minimum(go.version):
            return go
        too_old.append(f"{path} is Go {'.'.join(map(str, go.version))}")
    found = "; ".join(too_old) or "found none"
    raise KoPantsError(
        f"no `go` tool of version 1.21 or newer: {found}. Searched [ko].go_search_paths: "
        f"{os.pathsep.join(search_path) or '(empty)'}. Install Go, or add the directory of the "
        "`go` command to [ko].go_search_paths in pants.toml"
    )


def _inspect_go(path: str) -> _Go | None:
    """The Go that a `go` command belongs to; None if it cannot be found out."""
    goroot = os.path.dirname(os.path.dirname(os.path.realpath(path)))
    if not os.path.isfile(os.path.join(goroot, "VERSION")):
        goroot = _ask_goroot(path)
    try:
        with open(os.path.join(goroot, "VERSION")) as f:
            version = parse_version(f.readline())
        with open(os.path.join(goroot, "bin", "go"), "rb") as binary:
            build_id = inspect_executable(binary.read(HEAD_SIZE_BYTES)).build_id
    except OSError:
        return None
    if version is None:
        return None
    import hashlib

    identity = hashlib.sha256(build_id.encode()).hexdigest()[:16]
    return _Go(goroot, version, f"go{'.'.join(map(str, version))}-{identity}")


def _ask_goroot(path: str) -> str:
    """Run a `go` command that lies outside of its GOROOT (goenv, asdf, a wrapper script) to ask.

    Empty if it cannot be run.
    """
    try:
        done = subprocess.run(
            [path, "env", "GOROOT"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SHIM_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _link(named_caches: str, cache: str, name: str, target: str) -> None:
    """Make the link `name` in a named cache, unless it is there and leads somewhere."""
    directory = os.path.join(named_caches, cache)
    link = os.path.join(directory, name)
    if os.path.exists(link):
        return
    os.makedirs(directory, exist_ok=True)
    temporary = f"{link}.{os.getpid()}.tmp"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)
