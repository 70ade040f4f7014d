"""Templates in the fields of a target: `{{.Env.X}}`, `{{.GoEnv.X}}`, `{{.Git.X}}`, `{{.Date}}`.

The part of Go's templates (text/template) that ko fills in (`createTemplateData` and
`applyTemplating` in ko's pkg/build/gobuild.go): one key in each pair of braces, and text around it.
What Go's templates can do beyond that (functions, pipes, conditions, comments, trim markers) is
refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Iterable

from ko_pants.errors import KoPantsError

# ko's `Info.TemplateValue` in pkg/internal/git/info.go.
GIT_NAMES = (
    *("Branch", "Tag", "ShortCommit", "FullCommit", "CommitDate", "CommitTimestamp"),
    *("IsDirty", "IsClean", "TreeState"),
)
TIME_NAMES = ("Date", "Timestamp")

_OPEN = "{{"
_ACTION = re.compile(
    r"\{\{[ \t\r\n]*\.(?:(Env|GoEnv|Git)\.)?([A-Za-z_][A-Za-z0-9_]*)[ \t\r\n]*\}\}"
)
# An excerpt of a template that goes on and on.
_SHOWN_CHARACTERS = 60

ALLOWED = (
    "{{.Env.NAME}}, {{.GoEnv.NAME}}, {{.Date}}, {{.Timestamp}} and {{.Git.NAME}} with NAME one of "
    + ", ".join(GIT_NAMES)
)


@dataclass(frozen=True, order=True)
class TemplateKey:
    """What a template asks for.

    :param group: `Env`, `GoEnv` or `Git`; empty for `Date` and `Timestamp`.
    """

    group: str
    name: str

    def __str__(self) -> str:
        return "{{." + (f"{self.group}." if self.group else "") + self.name + "}}"


def has_template(texts: Iterable[str]) -> bool:
    """True if one of the texts has to be filled in."""
    return any(_OPEN in text for text in texts)


def template_keys(texts: Iterable[str]) -> frozenset[TemplateKey]:
    """The keys that the texts ask for.

    :raises KoPantsError: a text has something else in double braces; what is allowed is named.
    """
    return frozenset(
        part for text in texts for part in _parse(text) if isinstance(part, TemplateKey)
    )


def fill_template(text: str, value_of: Callable[[TemplateKey], str]) -> str:
    """The text with a value in the place of each key. Values are not filled in again.

    :raises KoPantsError: as `template_keys`, or from `value_of`.
    """
    return "".join(
        value_of(part) if isinstance(part, TemplateKey) else part for part in _parse(text)
    )


def _parse(text: str) -> list[str | TemplateKey]:
    """The literal pieces and the keys of a text, in order."""
    parts: list[str | TemplateKey] = []
    position = 0
    while True:
        start = text.find(_OPEN, position)
        if start < 0:
            parts.append(text[position:])
            return parts
        match = _ACTION.match(text, start)
        key = TemplateKey(match[1] or "", match[2]) if match else None
        if match is None or key is None or not _is_known(key):
            raise KoPantsError(
                f"the template {_shown(text, start)!r} in {text!r} cannot be filled in; expected "
                f"{ALLOWED}. Nothing else of Go's templates is supported"
            )
        parts += [text[position:start], key]
        position = match.end()


def _is_known(key: TemplateKey) -> bool:
    if key.group == "Git":
        return key.name in GIT_NAMES
    return bool(key.group) or key.name in TIME_NAMES


def _shown(text: str, start: int) -> str:
    end = text.find("}}", start)
    shown = text[start:] if end < 0 else text[start : end + 2]
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
