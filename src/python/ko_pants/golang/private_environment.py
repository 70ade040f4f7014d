"""Variables that go needs and that do not decide what it builds: credentials, proxies, HOME.

They are no part of a process, so that they are neither in its cache key nor in a log nor in a
remote cache, and users with different passwords share results. The process reads them from a file
in a named cache. Its name has no secret in it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Iterable, Mapping

# The variable that names the file, for the scripts of `go_build`.
FILE_VARIABLE = "KO_PANTS_PRIVATE_ENVIRONMENT"

_URL_LISTS = frozenset({"GOPROXY", "GOSUMDB"})
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"})
_USER = re.compile(r"://[^\s,|]*@")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class SplitEnvironment:
    """An environment in two parts.

    :param public: what is part of a process; it names the file.
    :param file_name: of the file with the rest.
    :param file_content: shell code, which sets the rest.
    """

    public: Mapping[str, str]
    file_name: str
    file_content: bytes = field(repr=False)


def has_credentials(name: str, value: str) -> bool:
    """True if the value of a variable is a URL with a user or password, or a list with one."""
    if name in _PROXIES:
        return "@" in value
    return name in _URL_LISTS and bool(_USER.search(value))


def split_environment(env: Mapping[str, str], names: Iterable[str]) -> SplitEnvironment:
    """Take out what does not decide the result of a build.

    Variables of Go (`GO...`, `CGO_...`) and PATH stay, but URLs lose user and password. All others
    go into the file. GOAUTH does, too: it says how to get credentials.

    :param env: variables from the environment of Pants.
    :param names: those that were asked for, also where they are not set. They decide the name of
        the file, so that repos that ask for different ones do not share it.
    """
    public: dict[str, str] = {}
    lines: list[str] = []
    for name, value in sorted(env.items()):
        decides = name == "PATH" or (name.startswith(("GO", "CGO_")) and name != "GOAUTH")
        if not _NAME.fullmatch(name):
            public[name] = value
        elif not decides:
            # What the target itself sets comes first.
            lines.append(f'[ -n "${{{name}+set}}" ] || export {name}={_quoted(value)}\n')
        elif has_credentials(name, value):
            public[name] = _USER.sub("://", value)
            condition = f'[ "${{{name}-}}" != {_quoted(public[name])} ]'
            lines.append(f"{condition} || export {name}={_quoted(value)}\n")
        else:
            public[name] = value
    key = repr((sorted(set(names)), sorted(public.items())))
    file_name = f"environment-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}"
    public[FILE_VARIABLE] = file_name
    return SplitEnvironment(public, file_name, "".join(lines).encode("utf-8", "surrogateescape"))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
