"""Finds Go and Python on this machine, and links them into named caches.

A process names the link, such as `ko_pants_go/go1.26.8-<hash of a build id>`. So its cache key has
what decides the bytes and no path of this machine, and a remote cache serves everybody who has the
same toolchain, wherever it is installed.

They are looked for in each run, so that a new Go, one that was upgraded in its place, another Pants
that has changed the link, or a deleted cache is noticed. That costs a few stat calls, and if the
result is equal the engine stops there. What is replaced later, the processes notice: beside the
link to Go there is a file that says which Go it is (`golang/go_build.py`), and the layer process
compares its Python with the name of the link.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Tuple

from pants.engine.internals.native_engine import ProcessExecutionEnvironment
from pants.engine.rules import _uncacheable_rule

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import environment_name, environment_options, environment_options_in, goroot
from ko_pants.errors import KoPantsError
from ko_pants.golang import go_build
from ko_pants.golang.executable import HEAD_SIZE_BYTES, inspect_executable
from ko_pants.golang.toolchain import (
    INPUT,
    LINKED,
    WORKER,
    Toolchain,
    meets_minimum,
    parse_version,
)
from ko_pants.local_execution import local_execution
from ko_pants.products import (
    EnvironmentOptions,
    EnvironmentOptionsRequest,
    GorootRequest,
    GoTools,
    HostTools,
    HostToolsRequest,
    WorkerPython,
)
from ko_pants.rules.containers import container_problem
from ko_pants.rules.named_caches import GO_CACHE_NAME, PYTHON_CACHE_NAME
from ko_pants.rules.settings import GoEnvironment, Settings

_SHIM_TIMEOUT_SECONDS = 60

# Modification time and change time in nanoseconds, inode and size. A file that was replaced or
# changed has another one, even if its modification time was set to the old one.
_Stamp = Tuple[int, int, int, int]


@dataclass(frozen=True)
class _Go:
    """An installed Go.

    :param key: the name of its link.
    :param identity: what a process compares it with: the first line of VERSION, and the build id.
    :param stamp: of the `go` command in `goroot`, which may be another file than the one that was
        found on the search path.
    """

    goroot: str
    version: tuple[int, int, int]
    key: str
    identity: bytes
    stamp: _Stamp


# Installed Go toolchains by path and stamp of the `go` command.
_known: BoundedMemory[tuple[str, _Stamp], _Go | None] = BoundedMemory(
    name="rules.host_tools toolchains",
    bound=64,
    holds="what a `go` command on the search path turned out to be, None if it is none. A changed "
    "command has another stamp. Kept because some commands (goenv, asdf) have to be run to tell.",
)


async def _options(request: HostToolsRequest) -> EnvironmentOptions:
    """The options of the environment that is named, or of its fallback.

    :raises KoPantsError: it is a container, and Pants cannot have one.
    """
    if not request.environment:
        return await environment_options(EnvironmentOptionsRequest())
    name = await environment_name(request.environment, request.owner)
    try:
        return await environment_options_in(EnvironmentOptionsRequest(), name)
    except KoPantsError:
        raise
    except Exception as e:
        # Pants asks Docker for the image, which is part of each cache key.
        problem = container_problem(e)
        if not problem:
            raise
        raise KoPantsError(
            f"{request.owner}: no container of this environment: {problem}"
        ) from None


async def _with_goroot(go: GoTools, options: EnvironmentOptions, python: str) -> GoTools:
    """The same, with a toolchain that is an input.

    :raises KoPantsError: the target has none, or one of another version than the one that is
        wanted.
    """
    found = await goroot(GorootRequest(options.goroot, python))
    wanted = f"go{options.go_version}" if options.go_version else found.version
    if wanted != found.version:
        raise KoPantsError(
            f"option [ko].goroot, {options.goroot}: found {found.version}; expected {wanted}, "
            "which [ko].go_version says. Change one of them"
        )
    return dataclasses.replace(
        go,
        toolchain=Toolchain(found.version, INPUT, search_path=options.search_path),
        goroot=found.digest,
    )


@_uncacheable_rule
async def host_tools(
    request: HostToolsRequest,
    settings: Settings,
    outside: GoEnvironment,
) -> HostTools:
    """Link Python and Go, and name their links. Write what processes of Go read beside them.

    Of toolchains that are not linked, it says where processes find them.

    :raises KoPantsError: the search path has no Go of at least 1.21.
    """
    options = await _options(request)
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    executable = getattr(sys, "_base_executable", None) or sys.executable
    _link(settings.named_caches, PYTHON_CACHE_NAME, python, os.path.realpath(executable))
    # Without the field, the engine knows where processes run.
    execution = options.execution if request.environment else None
    layer_python = _layer_python(options, execution)
    if request.python_only:
        return HostTools(None, python, layer_python)
    if options.toolchain == LINKED:
        return HostTools(GoTools(Toolchain(_link_go(settings, outside))), python)
    go = _go_of_worker(settings, outside, options, execution)
    if options.toolchain == INPUT:
        go = await _with_goroot(go, options, python)
    return HostTools(go, python, layer_python)


def _layer_python(
    options: EnvironmentOptions, execution: ProcessExecutionEnvironment | None
) -> WorkerPython | None:
    """What makes layers; None for the link.

    The compressor is an extension module for this machine. So workers of another platform make no
    layers. A Go that is an input needs no worker, and this machine has a Python.
    """
    if options.toolchain == LINKED or (options.toolchain == INPUT and options.is_local):
        return None
    here = local_execution()
    if options.execution.platform != here.platform:
        return WorkerPython("", (), here)
    return WorkerPython(options.python, options.search_path, execution)


def _link_go(settings: Settings, outside: GoEnvironment) -> str:
    """Link the Go of this machine; the name of the link.

    :raises KoPantsError: there is none.
    """
    go = _find_go(settings.search_path)
    _link(settings.named_caches, GO_CACHE_NAME, go.key, go.goroot)
    directory = os.path.join(settings.named_caches, GO_CACHE_NAME)
    _write(os.path.join(directory, go.key + go_build.IDENTITY_SUFFIX), go.identity, 0o644)
    if outside.private_file:
        _write(os.path.join(directory, outside.private_file), outside.private_content, 0o600)
    return go.key


def _go_of_worker(
    settings: Settings,
    outside: GoEnvironment,
    options: EnvironmentOptions,
    execution: ProcessExecutionEnvironment | None,
) -> GoTools:
    downloader = problem = ""
    if options.module_downloads == "local":
        # Whether it is needed, only a program with modules can tell.
        try:
            downloader = _link_go(settings, outside)
        except KoPantsError as e:
            problem = str(e)
    return GoTools(
        Toolchain(f"go{options.go_version}", WORKER, options.go_build_id, options.search_path),
        execution=execution,
        downloader=downloader,
        problem=problem,
    )


def _find_go(search_path: tuple[str, ...]) -> _Go:
    """The first Go on the search path that is new enough.

    :raises KoPantsError: there is none.
    """
    too_old: list[str] = []
    for directory in dict.fromkeys(search_path):
        path = os.path.join(directory, "go")
        try:
            key = (path, _stamp(path))
        except OSError:
            continue
        if not os.access(path, os.X_OK):
            continue
        go = _known.get(key)
        if key not in _known or (go is not None and not _is_unchanged(go)):
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


def _stamp(path: str) -> _Stamp:
    """The stamp of a file.

    :raises OSError: there is none.
    """
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _is_unchanged(go: _Go) -> bool:
    try:
        return _stamp(os.path.join(go.goroot, "bin", "go")) == go.stamp
    except OSError:
        return False


def _inspect_go(path: str) -> _Go | None:
    """The Go that a `go` command belongs to; None if it cannot be found out."""
    goroot = os.path.dirname(os.path.dirname(os.path.realpath(path)))
    if not os.path.isfile(os.path.join(goroot, "VERSION")):
        goroot = _ask_goroot(path)
    try:
        command = os.path.join(goroot, "bin", "go")
        # The stamp comes first: if the file is replaced meanwhile, the next run sees it.
        stamp = _stamp(command)
        with open(os.path.join(goroot, "VERSION"), errors="replace") as f:
            first_line = f.readline().strip()
        with open(command, "rb") as binary:
            build_id = inspect_executable(binary.read(HEAD_SIZE_BYTES)).build_id
    except OSError:
        return None
    version = parse_version(first_line)
    if version is None:
        return None
    import hashlib

    key = f"go{'.'.join(map(str, version))}-{hashlib.sha256(build_id.encode()).hexdigest()[:16]}"
    return _Go(goroot, version, key, f"{first_line}\n{build_id}\n".encode(), stamp)


def _ask_goroot(path: str) -> str:
    """Run a `go` command that lies outside of its GOROOT (goenv, asdf, a wrapper script) to ask.

    Empty if it cannot be run.
    """
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    # A GOROOT that is out of date keeps Go from running. A wrapper script may need it.
    without = {name: value for name, value in env.items() if name != "GOROOT"}
    for environment in (without, env) if "GOROOT" in env else (env,):
        try:
            done = subprocess.run(
                [path, "env", "GOROOT"],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SHIM_TIMEOUT_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        if done.returncode == 0:
            return done.stdout.decode("utf-8", "replace").strip()
    return ""


def _link(named_caches: str, cache: str, name: str, target: str) -> None:
    """Make the link `name` in a named cache, unless it is there and leads to `target`."""
    link = os.path.join(named_caches, cache, name)
    try:
        if os.readlink(link) == target:
            return
    except OSError:
        os.makedirs(os.path.dirname(link), exist_ok=True)
    temporary = _temporary(link)
    os.symlink(target, temporary)
    os.replace(temporary, link)


def _write(path: str, content: bytes, mode: int) -> None:
    """Make the file `path` with `content` and permissions, unless it is there. It is never half."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.read(fd, len(content) + 1) == content:
                return
        finally:
            os.close(fd)
    except OSError:
        pass
    temporary = _temporary(path)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _temporary(path: str) -> str:
    # Another machine or container may have the same directory, and the same number for a process.
    return f"{path}.{os.getpid()}-{os.urandom(4).hex()}.tmp"
