"""How the go tool is called in a sandbox: the scripts, and the arguments of their processes."""

from __future__ import annotations

from typing import Sequence

from ko_pants.golang.executable import HEAD_SIZE_BYTES, PRINTED_HEAD_SIZE_BYTES
from ko_pants.golang.private_environment import FILE_VARIABLE
from ko_pants.golang.toolchain import INPUT, LINKED, WORKER, Toolchain

# Directories of the sandbox, relative to its root: links to toolchains, GOCACHE, GOPATH, output.
GO_LINKS = ".ko_pants/go"
GO_CACHE = ".ko_pants/gocache"
GO_PATH = ".ko_pants/gopath"
# Inputs of a process whose toolchain is not linked: GOROOT, and a module cache.
GO_ROOT = ".ko_pants/goroot"
MODULES = ".ko_pants/modules"
# Where `download_argv` writes that module cache.
DOWNLOADED = ".ko_pants/downloaded"
# The exit code of a process whose worker has not the toolchain that is wanted.
TOOLCHAIN_PROBLEM = 97
OUTPUT_DIRECTORY = ".ko_pants/out"
# What `go version -m` prints of the executable. It is not in the directory of the executable, so
# that no name of a program can be that of this file.
BUILD_INFO_PATH = ".ko_pants/build-info"
# Ends the name of the file beside the link to a toolchain that says which one it is.
IDENTITY_SUFFIX = ".identity"

# Every script begins with what makes a toolchain usable. It sets GOROOT and `root`, which is the
# directory of the sandbox, defines `check_toolchain` and `show`, and goes to the directory of the
# main package's module. Every `$(...)` and every command costs a process for each program and
# platform, so there are few.
# `show` hides users in URLs: Go hides passwords only, and a user can be a token.
# LC_ALL=C: BSD's sed and grep fail on bytes that are no text in the language of the user.
#
# $1: the link to the toolchain, $2: the directory of the main package's module.
# `check_toolchain` makes sure that the link leads to what its name says, for the toolchain may be
# replaced at any time. Beside the link is a file with the first line of VERSION and the build id of
# the go command, which is near its beginning: `grep` reads on only if it is another one.
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

# For toolchains that are not linked. GOMODCACHE is an input, or else below GOPATH.
_UNLINKED = f"""
show() {{ [ ! -s "$1" ] || LC_ALL=C sed 's#://[^/@[:space:]]*@#://***@#g' "$1" >&2; }}
export GOROOT GOCACHE="$root/{GO_CACHE}" GOPATH="$root/{GO_PATH}"
GOMODCACHE=$GOPATH/pkg/mod
if [ -d "$root/{MODULES}" ]; then GOMODCACHE=$root/{MODULES} GOPROXY=off; export GOPROXY; fi
export GOMODCACHE GOENV=off GOTOOLCHAIN=local TMPDIR="$root/.ko_pants/tmp"
export HOME="${{HOME:-$root/.ko_pants/home}}" PATH="$GOROOT/bin:$PATH"
mkdir -p "$TMPDIR" "{OUTPUT_DIRECTORY}"
module=$2
shift 2
cd "./$module"
"""

# $1: `go<version>`, which the go command on the PATH must be, and after a blank the build id that
# it must have, if one is wanted. The go command says by itself where its GOROOT is, so that it may
# be a link or a script. A worker may be changed while it works: so VERSION is compared at the end.
_SET_UP_ON_WORKER = f"""
set -eu
cd -P .
root=$PWD
wanted=${{1%% *}}
build_id=${{1#"$wanted"}}
build_id=${{build_id# }}
fail() {{ echo "the worker has $1" >&2; exit {TOOLCHAIN_PROBLEM}; }}
command -v go > /dev/null ||
  fail "no \\`go\\` in $PATH; expected $wanted. Install it there, or name its directory in \
[ko].worker_path"
export GOENV=off GOTOOLCHAIN=local
said=$(HOME=/ GOPATH=/ GOCACHE=/ go env GOROOT GOVERSION) || fail "a \\`go\\` that does not run"
GOROOT=${{said%%"
"*}}
found=${{said##*"
"}}
[ "${{found%% *}}" = "$wanted" ] ||
  fail "$found in $GOROOT; expected $wanted, which [ko].go_version says. Install that, name its \
directory in [ko].worker_path, or change the option"
[ -z "$build_id" ] || LC_ALL=C grep -aqF -e "$build_id" "$GOROOT/bin/go" ||
  fail "another $found in $GOROOT than [ko].go_build_id says; expected a go command with the build \
id $build_id"
read_version() {{
  version=
  [ ! -r "$GOROOT/VERSION" ] || read -r version < "$GOROOT/VERSION" || :
}}
read_version
version_before=$version
check_toolchain() {{
  read_version
  [ "$version" = "$version_before" ] || fail "replaced its Go while it worked: run Pants again"
}}
{_UNLINKED}"""

# $1: `go<version>`, for messages.
_SET_UP_INPUT = f"""
set -eu
cd -P .
root=$PWD
GOROOT=$root/{GO_ROOT}
"$GOROOT/bin/go" version > /dev/null || {{
  echo "the toolchain of [ko].goroot ($1) does not run on the worker, which is $(uname -sm); \
expected one for its platform" >&2
  exit {TOOLCHAIN_PROBLEM}
}}
check_toolchain() {{ :; }}
{_UNLINKED}"""

# $1: `reduced` or `whole` (what go.mod is), $2: package, $3: name of the output, then flags.
# The head of the executable is printed, so that its build id and headers come with a cached result
# and the file itself need not. If a reduced go.mod lacks a module, the script succeeds and prints
# nothing, so that this is kept as a result too. `go version` gets a relative path, which it prints,
# and no GOFLAGS, where -json would be another format. If it cannot read the executable (wasm), then
# its file is empty. GOGC changes no bytes: a link spends a tenth of its time on garbage, and half
# of that with twice the default, for 1 % more memory (a program of 50 MB).
_COMPILE = f"""
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
  head -c {PRINTED_HEAD_SIZE_BYTES} "$root/{OUTPUT_DIRECTORY}/$name"
else
  [ "$mode" = reduced ] && LC_ALL=C grep -q -e 'no required module provides package' \\
    -e 'missing go.sum entry' -e 'updates to go.mod needed'"""
_END = """ "$errors"
fi
"""
# Modules that are inputs may lack one that another platform needs. That is a result, too.
_NO_PROXY = " -e 'module lookup disabled by GOPROXY=off'"
_BUILD = f"{_SET_UP}{_COMPILE}{_END}"
_BUILD_ON_WORKER = f"{_SET_UP_ON_WORKER}{_COMPILE}{_NO_PROXY}{_END}"
_BUILD_WITH_INPUT = f"{_SET_UP_INPUT}{_COMPILE}{_NO_PROXY}{_END}"
_BUILDS = {
    LINKED: ("/bin/sh", "-c", _BUILD, "go-build"),
    WORKER: ("/bin/sh", "-c", _BUILD_ON_WORKER, "go-build"),
    INPUT: ("/bin/sh", "-c", _BUILD_WITH_INPUT, "go-build"),
}

# Flags, then import paths. With -e a package that is not for this platform, or that Go cannot find,
# is no error: the build reports it if it matters.
_ASK = """
format='{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}'
listed=yes
go list -deps -e -f "$format" "$@" > "$TMPDIR/modules" 2> "$TMPDIR/errors" || listed=no
show "$TMPDIR/errors"
check_toolchain
[ "$listed" = yes ]
LC_ALL=C sort -u "$TMPDIR/modules"
"""

_LIST = f"{_SET_UP}{_ASK}"
_LIST_ON_WORKER = f"{_SET_UP_ON_WORKER}{_ASK}"
_LIST_WITH_INPUT = f"{_SET_UP_INPUT}{_ASK}"
_LISTS = {
    LINKED: ("/bin/sh", "-c", _LIST, "go-list"),
    WORKER: ("/bin/sh", "-c", _LIST_ON_WORKER, "go-list"),
    INPUT: ("/bin/sh", "-c", _LIST_WITH_INPUT, "go-list"),
}

# As `_LIST`, and it writes the modules that it needed, as a module cache. They come from the module
# cache of all processes, as if that were a proxy, so that a later process downloads nothing twice.
# Of the download cache, Go needs only `.mod` and `.ziphash` of a module that is unpacked: the rest
# is large, or says when something was downloaded.
_COPY_MODULES = f"""
GOPROXY="file://$GOMODCACHE/cache/download" GOMODCACHE="$root/{DOWNLOADED}" GONOPROXY=none \\
  GOPRIVATE= GOSUMDB=off go list -deps -e -f '' "$@" > /dev/null 2> "$TMPDIR/errors" || listed=no
[ "$listed" = yes ] || {{ show "$TMPDIR/errors"; exit 1; }}
mkdir -p "$root/{DOWNLOADED}/cache"
find "$root/{DOWNLOADED}/cache" -type f ! -name '*.mod' ! -name '*.ziphash' -exec rm -f {{}} +
"""

_DOWNLOAD = f"{_SET_UP}{_ASK}{_COPY_MODULES}"
_DOWNLOAD_ON_WORKER = f"{_SET_UP_ON_WORKER}{_ASK}{_COPY_MODULES}"
_DOWNLOAD_WITH_INPUT = f"{_SET_UP_INPUT}{_ASK}{_COPY_MODULES}"
_DOWNLOADS = {
    LINKED: ("/bin/sh", "-c", _DOWNLOAD, "go-list"),
    WORKER: ("/bin/sh", "-c", _DOWNLOAD_ON_WORKER, "go-list"),
    INPUT: ("/bin/sh", "-c", _DOWNLOAD_WITH_INPUT, "go-list"),
}

# $1: package, $2: arguments of `go vet` alone, with blanks between them, then flags of the build.
# With flags and environment of the build, what it compiled is in GOCACHE. Only packages of the repo
# are vetted: those of main modules, and of modules that a directory replaces.
_CHECK = """
package=$1 checks=$2
shift 2
main='{{if .Main}}{{$.ImportPath}}{{end}}'
replaced='{{with .Replace}}{{if not .Version}}{{$.ImportPath}}{{end}}{{end}}'
format="{{with .Module}}$main$replaced{{end}}"
vetted=yes
go list -deps -f "$format" "$@" "$package" > "$TMPDIR/packages" 2> "$TMPDIR/errors" || vetted=no
if [ "$vetted" = yes ] && [ -s "$TMPDIR/packages" ]; then
  set -f
  go vet -trimpath -buildvcs=false "$@" $checks $(cat "$TMPDIR/packages") \\
    2> "$TMPDIR/errors" || vetted=no
fi
show "$TMPDIR/errors"
check_toolchain
[ "$vetted" = yes ]
"""
_VET = f"{_SET_UP}{_CHECK}"
_VET_ON_WORKER = f"{_SET_UP_ON_WORKER}{_CHECK}"
_VET_WITH_INPUT = f"{_SET_UP_INPUT}{_CHECK}"
_VETS = {
    LINKED: ("/bin/sh", "-c", _VET, "go-vet"),
    WORKER: ("/bin/sh", "-c", _VET_ON_WORKER, "go-vet"),
    INPUT: ("/bin/sh", "-c", _VET_WITH_INPUT, "go-vet"),
}

# The whole environment of Go, as JSON.
_TELL = """
go env -json
check_toolchain
"""
_ENV = f"{_SET_UP}{_TELL}"
_ENV_ON_WORKER = f"{_SET_UP_ON_WORKER}{_TELL}"
_ENV_WITH_INPUT = f"{_SET_UP_INPUT}{_TELL}"
_ENVS = {
    LINKED: ("/bin/sh", "-c", _ENV, "go-env"),
    WORKER: ("/bin/sh", "-c", _ENV_ON_WORKER, "go-env"),
    INPUT: ("/bin/sh", "-c", _ENV_WITH_INPUT, "go-env"),
}

_HEAD = f'head -c {HEAD_SIZE_BYTES} "$1"'


def _words(toolchain: Toolchain, module: str) -> tuple[str, str]:
    """The first arguments of every script."""
    return " ".join(filter(None, (toolchain.name, toolchain.build_id))), module or "."


def build_argv(
    toolchain: Toolchain,
    module: str,
    package: str,
    name: str,
    flags: Sequence[str],
    *,
    reduced: bool = False,
) -> tuple[str, ...]:
    """The arguments of a process that compiles a main package and prints the executable's head.

    It writes the executable to `OUTPUT_DIRECTORY`, and its build info to `BUILD_INFO_PATH`.

    :param module: directory of the main module, relative to the sandbox's root.
    :param package: the main package: `.`, or its directory below `module` with `./` before it.
    :param name: file name of the executable.
    :param reduced: go.mod is reduced, or the modules that are inputs are not all. If a module is
        missing that the build needs, the process succeeds and prints nothing.
    """
    mode = "reduced" if reduced else "whole"
    words = _words(toolchain, module)
    return (*_BUILDS[toolchain.source], *words, mode, package, name, *flags)


def vet_argv(
    toolchain: Toolchain, module: str, package: str, flags: Sequence[str], checks: Sequence[str]
) -> tuple[str, ...]:
    """The arguments of a process that vets the packages of the repo that a main package is made of.

    It prints what it finds on standard error, and fails if there is anything.

    :param module: directory of the main module, relative to the sandbox's root.
    :param package: as for `build_argv`.
    :param flags: `vet_build_flags` of those of the build.
    :param checks: arguments of `go vet` alone, without blanks in them.
    """
    words = _words(toolchain, module)
    return (*_VETS[toolchain.source], *words, package, " ".join(checks), *flags)


def list_argv(
    toolchain: Toolchain, module: str, tags: Sequence[str], imports: Sequence[str]
) -> tuple[str, ...]:
    """The arguments of a process that prints which modules provide packages and their imports.

    It prints one module path a line, and leaves out main modules.

    :param module: directory of the main module, relative to the sandbox's root.
    :param tags: those of `-tags`.
    :param imports: import paths of the packages.
    """
    words = _words(toolchain, module)
    return (*_LISTS[toolchain.source], *words, *_tag_flags(tags), *imports)


def download_argv(
    toolchain: Toolchain, module: str, tags: Sequence[str], imports: Sequence[str]
) -> tuple[str, ...]:
    """As `list_argv`; the process also writes these modules to `DOWNLOADED`, as a module cache."""
    words = _words(toolchain, module)
    return (*_DOWNLOADS[toolchain.source], *words, *_tag_flags(tags), *imports)


def _tag_flags(tags: Sequence[str]) -> tuple[str, ...]:
    return (f"-tags={','.join(tags)}",) if tags else ()


def env_argv(toolchain: Toolchain) -> tuple[str, ...]:
    """The arguments of a process that prints what `go env` says, as a JSON object."""
    return (*_ENVS[toolchain.source], *_words(toolchain, ""))


def head_argv(path: str) -> tuple[str, ...]:
    """The arguments of a process that prints the head of a file, `HEAD_SIZE_BYTES` of it."""
    return ("/bin/sh", "-c", _HEAD, "head", path)
