"""docker and podman on this machine: which of them is used, and for which platform. No Pants."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from typing import Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform

AUTO, DOCKER, PODMAN, EXECUTABLE = "auto", "docker", "podman", "executable"

#: The variables that decide which engine is used.
ENGINE_VARIABLES = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR")

_ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "i386": "386",
    "i686": "386",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "loongarch64": "loong64",
}


@dataclass(frozen=True)
class ContainerEngine:
    """A command line of docker's kind: `docker` or `podman`, and its path."""

    name: str
    path: str


def find_engine(
    choice: str, env: Mapping[str, str], option: str, *, executable: bool = True
) -> ContainerEngine | None:
    """The engine that an option means; None if no container is to be run, or none is installed.

    `auto` is docker if it has a daemon here, else podman if it is installed, else docker.

    :param choice: `auto`, `docker`, `podman` or `executable`.
    :param env: values of `ENGINE_VARIABLES`.
    :param option: for messages.
    :param executable: the option may be `executable`.
    :raises KoPantsError: it is none of these, or not installed.
    """
    choices = (AUTO, DOCKER, PODMAN, *([EXECUTABLE] if executable else []))
    if choice not in choices:
        raise KoPantsError(f"{option} is {choice!r}; expected one of {', '.join(choices)}")
    if choice == EXECUTABLE:
        return None
    found = {
        name: path
        for name in (DOCKER, PODMAN)
        for path in [shutil.which(name, path=env.get("PATH", os.defpath))]
        if path
    }
    if choice != AUTO:
        if choice not in found:
            raise KoPantsError(
                f"{option} is {choice!r}, and PATH has no `{choice}`; install it, or choose "
                f"another of {', '.join(choices)}"
            )
        return ContainerEngine(choice, found[choice])
    wanted = (DOCKER, PODMAN) if _has_docker_daemon(env) else (PODMAN, DOCKER)
    return next((ContainerEngine(name, found[name]) for name in wanted if name in found), None)


def _has_docker_daemon(env: Mapping[str, str]) -> bool:
    """True if a daemon can be meant: one is named, or there is a socket where docker puts it."""
    if env.get("DOCKER_HOST") or env.get("DOCKER_CONTEXT"):
        return True
    sockets = ["/var/run/docker.sock"]
    if env.get("HOME"):
        sockets.append(f"{env['HOME']}/.docker/run/docker.sock")
    if env.get("XDG_RUNTIME_DIR"):
        sockets.append(f"{env['XDG_RUNTIME_DIR']}/docker.sock")
    return any(map(os.path.exists, sockets))


def machine_platform(os_name: str = "", machine: str = "") -> Platform:
    """The platform of this machine, as Go names it.

    :param os_name: in place of that of this machine, as in `sys.platform`; so is `machine`.
    :raises KoPantsError: Go has no such platform.
    """
    machine = (machine or platform.machine()).lower()
    return Platform.parse(
        f"{(os_name or sys.platform).rstrip('0123456789')}/{_ARCHITECTURES.get(machine, machine)}"
    )


def platform_to_run(wanted: Sequence[Platform], machine: Platform) -> Platform | None:
    """The platform of an image that runs on a machine; None if there is none.

    Of several variants the least, for not every machine has what the others want.

    :param wanted: the platforms of the image; empty for every platform that its base has.
    """
    if not wanted:
        return machine
    fitting = [p for p in wanted if (p.os, p.architecture) == (machine.os, machine.architecture)]
    return min(fitting, key=lambda p: p.variant) if fitting else None


#: Loads an archive unless its image is there, and runs it. The arguments are the engine, the
#: archive, two names of the image (one that nothing else has), the arguments of `run`, the name,
#: and those of the program. The exit code is that of the program.
RUN_IMAGE = """\
engine=$1 archive=$2 image=$3 unique=$4
shift 4
id() { "$engine" image inspect --format '{{.Id}}' "$1" 2> /dev/null; }
there=$(id "$unique") || there=
if [ -z "$there" ] || [ "$there" != "$(id "$image")" ]; then
  said=$("$engine" load -i "$archive" 2>&1) || { printf '%s\\n' "$said" >&2; exit 125; }
fi
if [ -t 0 ] && [ -t 1 ]; then
  exec "$engine" run --rm --pull=never -i -t "$@"
fi
exec "$engine" run --rm --pull=never -i "$@"
"""

#: Runs a program with default arguments (`Cmd`). The arguments are the number of words of the
#: program, that of these and the default ones, all these words, and the words of the user, which
#: take the place of the default ones.
RUN_EXECUTABLE = """\
program=$1 all=$2
shift 2
if [ $# -gt "$all" ]; then
  number=0
  for word; do
    if [ $number -eq 0 ]; then set --; fi
    number=$((number + 1))
    if [ $number -le "$program" ] || [ $number -gt "$all" ]; then set -- "$@" "$word"; fi
  done
fi
exec "$@"
"""
