"""How the go tool is called in a sandbox: the scripts, and the arguments of their processes."""

from __future__ import annotations

from typing import Sequence

from ko_pants.golang.executable import HEAD_SIZE_BYTES
from ko_pants.golang.private_environment import FILE_VARIABLE

# Directories of the sandbox, relative to its root: links to toolchains, GOCACHE, GOPATH, output.
GO_LINKS = ".ko_pants/go"
GO_CACHE = ".ko_pants/gocache"
GO_PATH = ".ko_pants/gopath"
OUTPUT_DIRECTORY = ".ko_pants/out"
# What `go version -m` prints of the executable. It is not in the directory of the executable, so
# that no name of a program can be that of this file.
BUILD_INFO_PATH = ".ko_pants/build-info"
# Ends the name of the file beside the link to a toolchain that says which one it is.
IDENTITY_SUFFIX = ".identity"

# $1: the link to the toolchain, $2: the directory of the main package's module.
# `check_toolchain` makes sure that the link leads to what its name says, for the toolchain may be
# replaced at any time. Beside the link is a file with the first line of VERSION and the build id of
# the go command, which is near its beginning: `grep` reads on only if it is another one.
# `show` hides users in URLs: Go hides passwords only, and a user can be a token.
# LC_ALL=C: BSD's sed and grep fail on bytes that are no text in the language of the user.
# Every `$(...)` and every command costs a process for each program and platform, so there are few.
_SET_UP = f"""
set -eu
cd -P .
root=$PWD
private=$root/{GO_LINKS}/${{{FILE_VARIABLE}:-none}}
if [ -r "$private" ]; then . "$private"; fi
toolchain=$root/{GO_LINKS}/$1
cd -P "$toolchain"
GOROOT=$PWD
cd "$root"
check_toolchain() {{
  {{ read -r version && read -r build_id; }} < "$toolchain{IDENTITY_SUFFIX}" &&
    {{ read -r found || [ -n "$found" ]; }} < "$GOROOT/VERSION" && [ "$found" = "$version" ] &&
    LC_ALL=C grep -aqF -e "$build_id" "$GOROOT/bin/go" && return
  echo "the Go toolchain in $GOROOT was replaced while Pants worked with it: run Pants again" >&2
  exit 1
}}
show() {{ [ ! -s "$1" ] || LC_ALL=C sed 's#://[^/@[:space:]]*@#://***@#g' "$1" >&2; }}
check_toolchain
export GOROOT GOCACHE="$root/{GO_CACHE}" GOPATH="$root/{GO_PATH}"
export GOMODCACHE="$GOPATH/pkg/mod" GOENV=off GOTOOLCHAIN=local TMPDIR="$root/.ko_pants/tmp"
export HOME="${{HOME:-$root/.ko_pants/home}}" PATH="$GOROOT/bin:$PATH"
mkdir -p "$TMPDIR" "{OUTPUT_DIRECTORY}"
module=$2
shift 2
cd "./$module"
"""

# $1: `reduced` or `whole` (what go.mod is), $2: package, $3: name of the output, then flags.
# The head of the executable is printed, so that its build id and headers come with a cached result
# and the file itself need not. If a reduced go.mod lacks a module, the script succeeds and prints
# nothing, so that this is kept as a result too. `go version` gets a relative path, which it prints,
# and no GOFLAGS, where -json would be another format. If it cannot read the executable (wasm), then
# its file is empty. GOGC changes no bytes: a link spends a tenth of its time on garbage, and half
# of that with twice the default, for 1 % more memory (a program of 50 MB).
_BUILD = f"""{_SET_UP}
mode=$1 package=$2 name=$3 errors=$TMPDIR/errors
shift 3
built=yes
GOGC=${{GOGC:-200}} \\
  go build -trimpath -buildvcs=false "$@" -o "$root/{OUTPUT_DIRECTORY}/$name" "$package" \\
  2> "$errors" || built=no
show "$errors"
if [ "$built" = yes ]; then
  (cd "$root/{OUTPUT_DIRECTORY}" && GOFLAGS= go version -m "./$name") \
    > "$root/{BUILD_INFO_PATH}" 2> "$errors" || : > "$root/{BUILD_INFO_PATH}"
fi
check_toolchain
if [ "$built" = yes ]; then
  head -c {HEAD_SIZE_BYTES} "$root/{OUTPUT_DIRECTORY}/$name"
else
  [ "$mode" = reduced ] && LC_ALL=C grep -q -e 'no required module provides package' \\
    -e 'missing go.sum entry' -e 'updates to go.mod needed' "$errors"
fi
"""

# Flags, then import paths. With -e a package that is not for this platform, or that Go cannot find,
# is no error: the build reports it if it matters.
_LIST = f"""{_SET_UP}
format='{{{{with .Module}}}}{{{{if not .Main}}}}{{{{.Path}}}}{{{{end}}}}{{{{end}}}}'
listed=yes
go list -deps -e -f "$format" "$@" > "$TMPDIR/modules" 2> "$TMPDIR/errors" || listed=no
show "$TMPDIR/errors"
check_toolchain
[ "$listed" = yes ]
LC_ALL=C sort -u "$TMPDIR/modules"
"""

# The whole environment of Go, as JSON.
_ENV = f"""{_SET_UP}
go env -json
check_toolchain
"""

_HEAD = f'head -c {HEAD_SIZE_BYTES} "$1"'


def build_argv(
    toolchain: str,
    module: str,
    package: str,
    name: str,
    flags: Sequence[str],
    *,
    reduced: bool = False,
) -> tuple[str, ...]:
    """The arguments of a process that compiles a main package and prints the executable's head.

    It writes the executable to `OUTPUT_DIRECTORY`, and its build info to `BUILD_INFO_PATH`.

    :param toolchain: name of the link to the toolchain.
    :param module: directory of the main module, relative to the sandbox's root.
    :param package: the main package: `.`, or its directory below `module` with `./` before it.
    :param name: file name of the executable.
    :param reduced: go.mod is reduced. If it lacks a module that the build needs, the process
        succeeds and prints nothing.
    """
    mode = "reduced" if reduced else "whole"
    return ("/bin/sh", "-c", _BUILD, "go-build", toolchain, module, mode, package, name, *flags)


def list_argv(
    toolchain: str, module: str, tags: Sequence[str], imports: Sequence[str]
) -> tuple[str, ...]:
    """The arguments of a process that prints which modules provide packages and their imports.

    It prints one module path a line, and leaves out main modules.

    :param toolchain: name of the link to the toolchain.
    :param module: directory of the main module, relative to the sandbox's root.
    :param tags: those of `-tags`.
    :param imports: import paths of the packages.
    """
    flags = (f"-tags={','.join(tags)}",) if tags else ()
    return ("/bin/sh", "-c", _LIST, "go-list", toolchain, module or ".", *flags, *imports)


def env_argv(toolchain: str) -> tuple[str, ...]:
    """The arguments of a process that prints what `go env` says, as a JSON object.

    :param toolchain: name of the link to the toolchain.
    """
    return ("/bin/sh", "-c", _ENV, "go-env", toolchain, ".")


def head_argv(path: str) -> tuple[str, ...]:
    """The arguments of a process that prints the head of a file, as much as `build_argv` prints."""
    return ("/bin/sh", "-c", _HEAD, "head", path)
