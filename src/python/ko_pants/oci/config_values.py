"""What a target may say of its containers: values of an image config, checked.

The forms are those of OCI image-spec, config.md. What docker, podman and containerd take beyond it
(numbers of signals, ports of SCTP) is taken as well.
"""

from __future__ import annotations

import re
from typing import Iterable, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform

# A name, or the number of a user or group. A sign in front would make a number of it for runc.
_USER = re.compile(r"[^\s:/,+\-\x00-\x1f\x7f][^\s:/,\x00-\x1f\x7f]*")
# runc's bound for numbers of users and groups.
_MAX_ID = 2**31 - 1
_PORT = re.compile(r"([1-9][0-9]{0,4})(?:/(tcp|udp|sctp))?")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]")
# signal(7), without those that are another name for one of these.
_SIGNALS = frozenset(
    (
        *("SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE"),
        *("SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM"),
        *("SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"),
        *("SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO"),
        *("SIGPWR", "SIGSYS"),
        *("SIGRTMIN", *(f"SIGRTMIN+{n}" for n in range(1, 16))),
        *("SIGRTMAX", *(f"SIGRTMAX-{n}" for n in range(1, 15))),
    )
)
_MAX_SIGNAL = 64


def check_user(text: str) -> None:
    """`user`, `uid`, `user:group`, `uid:gid` or a mixture; a number is below 2^31.

    :raises KoPantsError: it is none of these.
    """
    parts = text.split(":")
    if len(parts) > 2 or not all(_USER.fullmatch(part) for part in parts):
        raise KoPantsError(
            f"found {text!r}; expected a user or a user and a group, each a name or a number, "
            'without spaces: "65532", "65532:65532", "nonroot" or "nonroot:nonroot"'
        )
    for part in parts:
        if part.isascii() and part.isdigit() and int(part) > _MAX_ID:
            raise KoPantsError(f"found {text!r}; expected numbers from 0 to {_MAX_ID}")


def exposed_port(text: str) -> str:
    """A port as configs name it: `8080` becomes `8080/tcp`.

    :raises KoPantsError: it is no port from 1 to 65535, or its protocol is unknown.
    """
    match = _PORT.fullmatch(text)
    if match is None or int(match.group(1)) > 65535:
        raise KoPantsError(
            f"found {text!r}; expected a port from 1 to 65535, or a port and a protocol (tcp, udp "
            'or sctp): "8080", "8080/udp"'
        )
    return f"{match.group(1)}/{match.group(2) or 'tcp'}"


def check_directory(text: str) -> None:
    """An absolute path, as Linux or as Windows spells it, in its shortest form.

    :raises KoPantsError: it is none.
    """
    windows = _WINDOWS_PATH.match(text) is not None
    parts = (re.split(r"[\\/]", text) if windows else text.split("/"))[1:]
    shortest = parts == [""] or not any(part in ("", ".", "..") for part in parts)
    if not (windows or text.startswith("/")) or "\0" in text or not shortest:
        raise KoPantsError(
            f"found {text!r}; expected an absolute path without '.', '..', doubled slashes and a "
            "slash at the end, such as '/data', or 'C:\\data' for Windows"
        )


def check_volume(text: str) -> None:
    """The directory of a volume: absolute, and not the root.

    :raises KoPantsError: it is another path, or says more than a path.
    """
    check_directory(text)
    path = text[2:] if _WINDOWS_PATH.match(text) else text
    if path in ("/", "\\"):
        raise KoPantsError(f"found {text!r}; expected a directory below the root")
    if ":" in path:
        raise KoPantsError(
            f"found {text!r}; expected a path without a colon: an image says where a volume is, "
            "and whoever runs it what is there"
        )


def check_paths_of_system(paths: Iterable[str], platforms: Iterable[Platform]) -> None:
    """Make sure that each path is absolute on each platform.

    :raises KoPantsError: one is not.
    """
    for platform in platforms:
        windows = platform.os == "windows"
        for path in paths:
            if bool(_WINDOWS_PATH.match(path)) != windows:
                expected = r"'C:\data'" if windows else "'/data'"
                raise KoPantsError(
                    f"{path!r} is no absolute path on {platform}; expected one such as {expected}. "
                    "An image for Linux and Windows cannot have the same; make two targets"
                )


def check_names_of_system(entries: Sequence[str], platforms: Iterable[Platform]) -> None:
    """Make sure that no two names are the same on a platform: Windows knows no case in names.

    :param entries: `NAME=value`, each name once.
    :raises KoPantsError: two are.
    """
    windows = next((p for p in platforms if p.os == "windows"), None)
    if windows is None:
        return
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.partition("=")[0]
        other = seen.setdefault(name.upper(), name)
        if other != name:
            raise KoPantsError(
                f"{other!r} and {name!r} are one name on {windows}; expected one value for it"
            )


def check_signal(text: str) -> None:
    """A signal: `SIGTERM`, `SIGRTMIN+3`, or a number from 1 to 64.

    :raises KoPantsError: it is none.
    """
    if text in _SIGNALS:
        return
    if text.isascii() and text.isdigit() and text[0] != "0" and int(text) <= _MAX_SIGNAL:
        return
    spelled = f"SIG{text.upper()}" if not text.upper().startswith("SIG") else text.upper()
    hint = f"; did you mean {spelled!r}?" if spelled in _SIGNALS else ""
    raise KoPantsError(
        f"found {text!r}; expected a signal of signal(7) such as 'SIGTERM', 'SIGINT' or "
        f"'SIGRTMIN+3', or a number from 1 to {_MAX_SIGNAL}{hint}"
    )


def check_environment(entries: Sequence[str]) -> None:
    """`NAME=value` entries, each name once.

    :raises KoPantsError: one has no `=`, no name or a NUL, or sets a name again.
    """
    seen: set[str] = set()
    for entry in entries:
        name, equals, _ = entry.partition("=")
        if not equals or not name or name.strip() != name or "\0" in entry:
            raise KoPantsError(
                f'found {entry!r}; expected `NAME=value`, such as "LOG_LEVEL=info". The value is '
                'not copied from the environment; `"NAME=" + env("NAME")` of BUILD files does that'
            )
        if name in seen:
            raise KoPantsError(f"found {name!r} more than once; expected one value for each name")
        seen.add(name)


def check_arguments(arguments: Iterable[str]) -> None:
    """Arguments of a program: any text but NUL, which ends an argument.

    :raises KoPantsError: one has a NUL.
    """
    for argument in arguments:
        if "\0" in argument:
            raise KoPantsError(f"found {argument!r}; expected an argument without NUL")


def check_annotations(keys: Iterable[str], reserved: Iterable[str] = ()) -> None:
    """Keys of annotations or labels (OCI image-spec, annotations.md).

    :param reserved: those that are written already.
    :raises KoPantsError: a key is empty or has blanks around it, or is reserved.
    """
    taken = frozenset(reserved)
    for key in keys:
        if not key or key.strip() != key:
            raise KoPantsError(
                f"found the key {key!r}; expected one such as 'org.opencontainers.image.title'"
            )
        if key in taken:
            raise KoPantsError(
                f"{key!r} says what the base image was, and is written from the field "
                "`base_image`; leave it out"
            )
