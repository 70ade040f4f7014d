"""How `go build` is called in a sandbox: the script, its environment, and what flags mean to it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import HEAD_SIZE
from ko_pants.oci.platform import Platform

#: Where the sandbox has things, relative to its root.
GO_LINKS = ".ko_pants/go"
GO_CACHE = ".ko_pants/gocache"
GO_PATH = ".ko_pants/gopath"
OUTPUT_DIRECTORY = ".ko_pants/out"

# $1: toolchain link, $2: directory of the main package's module. PATH has git for private modules.
_SET_UP = f"""
set -eu
root=$(pwd -P)
GOROOT=$(cd -P "{GO_LINKS}/$1" && pwd)
export GOROOT GOCACHE="$root/{GO_CACHE}" GOPATH="$root/{GO_PATH}"
export GOMODCACHE="$GOPATH/pkg/mod" GOENV=off GOTOOLCHAIN=local TMPDIR="$root/.ko_pants/tmp"
export HOME="${{HOME:-$root/.ko_pants/home}}" PATH="$GOROOT/bin:$PATH"
mkdir -p "$TMPDIR" "{OUTPUT_DIRECTORY}"
module=$2
shift 2
cd "./$module"
"""

# The head of the executable is printed: its build id and headers come with a cached result, and the
# file itself need not. With a reduced go.mod, a module that is missing is a result too: nothing is
# printed, and nobody has to find out again. $1: `reduced` or `whole`, $2: package, $3: output name,
# then flags.
_BUILD = f"""{_SET_UP}
mode=$1 package=$2 name=$3 errors=$TMPDIR/errors
shift 3
if go build -trimpath -buildvcs=false "$@" -o "$root/{OUTPUT_DIRECTORY}/$name" "$package" \\
  2> "$errors"
then
  cat "$errors" >&2
  head -c {HEAD_SIZE} "$root/{OUTPUT_DIRECTORY}/$name"
else
  cat "$errors" >&2
  [ "$mode" = reduced ] && grep -q -e 'no required module provides package' \\
    -e 'missing go.sum entry' -e 'updates to go.mod needed' "$errors"
fi
"""

# A package that is not for this platform, or that Go cannot find, is no error (-e): the build says
# what matters. Flags, then import paths.
_LIST = f"""{_SET_UP}
format='{{{{with .Module}}}}{{{{if not .Main}}}}{{{{.Path}}}}{{{{end}}}}{{{{end}}}}'
go list -deps -e -f "$format" "$@" > "$TMPDIR/modules"
sort -u "$TMPDIR/modules"
"""

HEAD_SCRIPT = f'head -c {HEAD_SIZE} "$1"'

# Set by the plugin: another value would break the cache key or the build itself.
_RESERVED = frozenset(
    {
        *("CGO_ENABLED", "GOOS", "GOARCH", "GOROOT", "GOCACHE", "GOPATH", "GOMODCACHE", "GOENV"),
        *("GOTOOLCHAIN", "GOTMPDIR"),
    }
)
_FORBIDDEN_FLAGS = ("toolexec", "o", "C", "n", "exec", "overlay", "modfile")


@dataclass(frozen=True)
class BuildSettings:
    """What flags and environment say about which files belong to the build."""

    tags: tuple[str, ...]
    mod: str
    use_go_work: bool


def build_argv(
    toolchain: str,
    module: str,
    package: str,
    name: str,
    flags: Sequence[str],
    *,
    reduced: bool = False,
) -> tuple[str, ...]:
    """The process's arguments; `module` and `package` are relative directories (`.` allowed).

    With `reduced` it succeeds and prints nothing where go.mod lacks a module that it needs.
    """
    mode = "reduced" if reduced else "whole"
    return ("/bin/sh", "-c", _BUILD, "go-build", toolchain, module, mode, package, name, *flags)


def list_argv(
    toolchain: str, module: str, tags: Sequence[str], imports: Sequence[str]
) -> tuple[str, ...]:
    """The arguments of a process that prints the modules which provide `imports`, transitively."""
    flags = (f"-tags={','.join(tags)}",) if tags else ()
    return ("/bin/sh", "-c", _LIST, "go-list", toolchain, module or ".", *flags, *imports)


def build_environment(
    platform: Platform, outside: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The process's environment: fixed PATH, what comes from outside, the target's, the platform's.

    GOFLAGS gains `-modcacherw`, so that the module cache can be deleted.
    """
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", **outside, **own}
    env["GOFLAGS"] = " ".join(filter(None, (env.get("GOFLAGS", ""), "-modcacherw")))
    env["CGO_ENABLED"] = "0"
    env.update(platform.go_env())
    return env


def parse_env_field(entries: Sequence[str], *, where: str) -> tuple[tuple[str, str], ...]:
    """Read `NAME=value` entries.

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


def check_flags(flags: Sequence[str], *, where: str) -> None:
    """:raises KoPantsError: a flag that would make the build unsafe or its result unfindable."""
    for flag in flags:
        name = flag.lstrip("-").partition("=")[0]
        if flag.startswith("-") and name in _FORBIDDEN_FLAGS:
            raise KoPantsError(
                f"{where}: the flag {flag!r} cannot be used: the build runs in a sandbox "
                "and its output is taken from there; remove it"
            )


def build_settings(flags: Sequence[str], env: Mapping[str, str]) -> BuildSettings:
    """What `flags`, GOFLAGS and GOWORK say; later ones win, as in Go."""
    tags: tuple[str, ...] = ()
    mod = ""
    try:
        words = [*shlex.split(env.get("GOFLAGS", "")), *flags]
    except ValueError:
        words = list(flags)
    for i, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or name not in ("tags", "mod"):
            continue
        if not equals:
            value = words[i + 1] if i + 1 < len(words) else ""
        if name == "mod":
            mod = value
        else:
            tags = tuple(sorted(filter(None, value.replace(" ", ",").split(","))))
    return BuildSettings(tags, mod, env.get("GOWORK") != "off")
