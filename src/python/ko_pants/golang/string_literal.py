"""String literals of Go, which go.mod files have too. Source: the Go specification."""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\\(?:([0-7]{3})|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]?))"
)
_SIMPLE_ESCAPES = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", '"': '"'},
}


def unquote(text: str) -> str | None:
    """The value of an interpreted string literal, given without its quotes.

    None if it is malformed. A byte escape beyond ASCII counts as malformed: no path has one.
    """
    if "\\" not in text:
        return text
    malformed = False

    def value(match: re.Match[str]) -> str:
        nonlocal malformed
        octal, byte, short, long, simple = match.groups()
        if simple is not None:
            malformed |= simple not in _SIMPLE_ESCAPES
            return _SIMPLE_ESCAPES.get(simple, "")
        code = int(octal, 8) if octal else int(byte or short or long, 16)
        limit = 0x80 if octal or byte else 0x110000
        if code >= limit or 0xD800 <= code < 0xE000:
            malformed = True
            return ""
        return chr(code)

    result = _ESCAPE.sub(value, text)
    return None if malformed else result
