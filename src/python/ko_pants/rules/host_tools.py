"""Finds Go and Python on this machine, and links them into named caches.

A process reaches them through the link (`ko_pants_go/<version and build id>`), so its cache key has
what decides the bytes and no path of this machine: a remote cache serves everybody who has the same
toolchain, wherever it is installed.

Looking is cheap (a few stat calls, a 32 KiB read) and done once per run, so that a new Go or a
deleted cache is seen; an equal result stops the engine there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from pants.engine.rules import _uncacheable_rule, collect_rules

from ko_pants.errors import KoPantsError
from ko_pants.golang import go_build
from ko_pants.golang.executable import HEAD_SIZE, inspect_executable
from ko_pants.golang.toolchain import meets_minimum, parse_version
from ko_pants.products import HostTools, HostToolsRequest
from ko_pants.rules.settings import Settings

GO_CACHE_NAME = "ko_pants_go"
PYTHON_CACHE_NAME = "ko_pants_python"

#: What a process that runs Go has in its sandbox.
GO_CACHES = {
    GO_CACHE_NAME: go_build.GO_LINKS,
    "ko_pants_gocache": go_build.GO_CACHE,
    "ko_pants_gopath": go_build.GO_PATH,
}


@dataclass(frozen=True)
class _Go:
    goroot: str
    version: tuple[int, int, int]
    key: str


# What a `go` on the search path turned out to be, by its path and modification time: a shim has to
# be run to be asked, once per daemon.
_known: dict[tuple[str, int], _Go | None] = {}


@_uncacheable_rule
async def host_tools(request: HostToolsRequest, settings: Settings) -> HostTools:
    """Link the tools and say what they are.

    :raises KoPantsError: no Go of at least 1.21 on the search path.
    """
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    executable = getattr(sys, "_base_executable", None) or sys.executable
    _link(settings.named_caches, PYTHON_CACHE_NAME, python, os.path.realpath(executable))
    if request.python_only:
        return HostTools(go="", go_minor=0, python=python)
    go = _find_go(settings.search_path)
    _link(settings.named_caches, GO_CACHE_NAME, go.key, go.goroot)
    return HostTools(go=go.key, go_minor=go.version[1], python=python)


def _find_go(search_path: tuple[str, ...]) -> _Go:
    too_old: list[str] = []
    for directory in dict.fromkeys(search_path):
        path = os.path.join(directory, "go")
        try:
            mtime = os.stat(path).st_mtime_ns
        except OSError:
            continue
        if not os.access(path, os.X_OK):
            continue
        if (path, mtime) not in _known:
            _known[(path, mtime)] = _inspect_go(path)
        go = _known[(path, mtime)]
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
    goroot = os.path.dirname(os.path.dirname(os.path.realpath(path)))
    if not os.path.isfile(os.path.join(goroot, "VERSION")):
        goroot = _ask_goroot(path)
    try:
        with open(os.path.join(goroot, "VERSION")) as f:
            version = parse_version(f.readline())
        with open(os.path.join(goroot, "bin", "go"), "rb") as binary:
            build_id = inspect_executable(binary.read(HEAD_SIZE)).build_id
    except OSError:
        return None
    if version is None:
        return None
    import hashlib

    identity = hashlib.sha256(build_id.encode()).hexdigest()[:16]
    return _Go(goroot, version, f"go{'.'.join(map(str, version))}-{identity}")


def _ask_goroot(path: str) -> str:
    """For a shim (goenv, asdf, a wrapper script): only it knows where Go lies."""
    try:
        done = subprocess.run(
            [path, "env", "GOROOT"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def _link(named_caches: str, cache: str, name: str, target: str) -> None:
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


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
