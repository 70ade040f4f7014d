"""What Go writes into each executable about how it was built, as `go version -m` prints it.

Source: Go's package runtime/debug, `BuildInfo`, `BuildInfo.String` and `ParseBuildInfo`.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from ko_pants.golang.string_literal import unquote


@dataclass(frozen=True)
class Module:
    """A module, as it was built in.

    :param version: `(devel)` or empty for a module of the repo; else `v1.2.3`.
    :param sum: `h1:<base64>`, the line of go.sum; empty if there is none.
    :param replaced_by: what `replace` puts in its place.
    """

    path: str
    version: str = ""
    sum: str = ""
    replaced_by: Module | None = None

    @property
    def built(self) -> Module:
        """The module whose source is in the executable."""
        return self.replaced_by or self


@dataclass(frozen=True)
class BuildInfo:
    """What an executable says of its build.

    :param go_version: such as `go1.26.8`.
    :param path: the import path of the main package.
    :param main: the main module; None if the executable names none.
    :param modules: the other modules, in the order of the executable.
    :param settings: such as `("GOOS", "linux")`, in the order of the executable.
    """

    go_version: str
    path: str = ""
    main: Module | None = None
    modules: tuple[Module, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
# An escape; `\\xNN` if it is of a byte that is no UTF-8.
_ESCAPE = re.compile(r"\\(?:x[89A-Fa-f][0-9A-Fa-f]|[\s\S])")


class _Malformed(Exception):
    pass


def parse_build_info(text: str) -> BuildInfo | None:
    """What `go version -m` printed of one executable.

    A byte of a quoted text that is no UTF-8 becomes U+FFFD. Lines of a kind that is not known are
    left out, as Go leaves them out.

    :param text: all of it, from the line `<file>: <Go version>` on.
    :return: None for a text without that line, or one that Go would not write. Go prints nothing of
        an executable that it finds no build info in.
    """
    first, _, rest = text.partition("\n")
    _, colon, go_version = first.rpartition(": ")
    if not colon or not go_version:
        return None
    try:
        return _parse_lines(go_version, rest.split("\n"))
    except _Malformed:
        return None


def _parse_lines(go_version: str, lines: list[str]) -> BuildInfo:
    path = ""
    main: Module | None = None
    modules: list[Module] = []
    settings: list[tuple[str, str]] = []
    # The kind of the line that a replacement can follow.
    replaceable = ""
    for line in lines:
        kind, _, value = line[1:].partition("\t")
        if kind == "path":
            path = value
        elif kind == "mod":
            main = _module(value)
        elif kind == "dep":
            modules.append(_module(value))
        elif kind == "build":
            settings.append(_setting(value))
        elif kind == "=>" and replaceable == "mod" and main is not None:
            main = dataclasses.replace(main, replaced_by=_module(value))
        elif kind == "=>" and replaceable == "dep":
            modules[-1] = dataclasses.replace(modules[-1], replaced_by=_module(value))
        elif kind == "=>":
            raise _Malformed
        replaceable = kind
    return BuildInfo(go_version, path, main, tuple(modules), tuple(settings))


def _module(text: str) -> Module:
    columns = text.split("\t")
    if len(columns) not in (2, 3):
        raise _Malformed
    return Module(columns[0], columns[1], "".join(columns[2:]))


def _setting(text: str) -> tuple[str, str]:
    quoted = _QUOTED.match(text)
    end = quoted.end() if quoted else text.find("=")
    # No key is empty, and one that begins with a quote is quoted.
    if end < 1 or text[end : end + 1] != "=":
        raise _Malformed
    return _text(text[:end]), _text(text[end + 1 :])


def _text(text: str) -> str:
    """A key or a value, quoted or not."""
    if text[:1] not in ('"', "`"):
        return text
    if _QUOTED.fullmatch(text) is None:
        raise _Malformed
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    value = unquote(_ESCAPE.sub(lambda m: "\ufffd" if len(m[0]) == 4 else m[0], text[1:-1]))
    if value is None:
        raise _Malformed
    return value
