"""Label selectors of Kubernetes, as `ko resolve -l` and `kubectl -l` take them.

The grammar: requirements with commas between them, of which all must be met: `a=b`, `a==b`, `a!=b`,
`a in (b, c)`, `a notin (b, c)`, `a`, `!a`, `a>1`, `a<1` (Kubernetes documentation, "Labels and
Selectors"; apimachinery, `labels.Parse`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping

from ko_pants.errors import KoPantsError

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|<|>|[A-Za-z0-9._/-]+)")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True)
class Requirement:
    """One condition on a label.

    :param operator: `in`, `notin`, `exists`, `absent`, `gt` or `lt`.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the condition. A label that is absent meets `notin`."""
        found = labels.get(self.key)
        if self.operator == "exists":
            return found is not None
        if self.operator == "absent":
            return found is None
        if self.operator == "in":
            return found in self.values
        if self.operator == "notin":
            return found is None or found not in self.values
        if found is None or not re.fullmatch(r"[+-]?\d+", found):
            return False
        number, bound = int(found), int(self.values[0])
        return number > bound if self.operator == "gt" else number < bound


@dataclass(frozen=True)
class Selector:
    """Requirements, all of which must be met; none of them matches everything."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet all requirements."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Read a selector.

    :raises KoPantsError: it is malformed; the text says what was found and what was expected.
    """
    return _Parser(text).selector()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(text[position:].lstrip()[:1], "a label, an operator or a value")
            self._tokens.append(match.group(1))
            position = match.end()

    def selector(self) -> Selector:
        requirements = []
        while self._tokens:
            requirements.append(self._requirement())
            if self._tokens:
                self._expect(",")
                if not self._tokens:
                    raise self._error("", "a label after the comma")
        return Selector(tuple(requirements))

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "absent")
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self._next()
        if operator in ("=", "=="):
            return Requirement(key, "in", (self._value(),))
        if operator == "!=":
            return Requirement(key, "notin", (self._value(),))
        if operator in ("in", "notin"):
            return Requirement(key, operator, self._values())
        if operator in ("<", ">"):
            value = self._value()
            if not re.fullmatch(r"[+-]?\d+", value):
                raise self._error(value, f"a whole number after `{operator}`")
            return Requirement(key, "gt" if operator == ">" else "lt", (value,))
        raise self._error(operator, "`=`, `==`, `!=`, `in`, `notin`, `<`, `>` or a comma")

    def _values(self) -> tuple[str, ...]:
        self._expect("(")
        values = [self._value()]
        while self._peek() == ",":
            self._next()
            values.append(self._value())
        self._expect(")")
        return tuple(values)

    def _key(self) -> str:
        found = self._next()
        prefix, slash, name = found.rpartition("/")
        if not _NAME.fullmatch(name) or (
            slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix))
        ):
            raise self._error(found, "a label, such as `app` or `example.com/app`")
        return found

    def _value(self) -> str:
        # A value may be empty: `a=` and `a in (b,)`.
        if self._peek() in ("", ",", ")"):
            return ""
        found = self._next()
        if not _NAME.fullmatch(found):
            raise self._error(found, "a value of at most 63 letters, digits, `-`, `_` and `.`")
        return found

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise self._error(found, f"`{token}`")

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _next(self) -> str:
        return self._tokens.pop(0) if self._tokens else ""

    def _error(self, found: str, expected: str) -> KoPantsError:
        what = repr(found) if found else "its end"
        return KoPantsError(f"label selector {self._text!r}: found {what}, expected {expected}")
