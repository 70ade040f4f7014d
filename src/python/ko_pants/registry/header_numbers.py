"""Numbers in the headers of replies, which may hold anything."""

from __future__ import annotations

# No size in bytes and no number of seconds is longer; `int` refuses thousands of digits.
_MAX_DIGITS = 18


def header_number(text: str) -> int | None:
    """The number that a header gives in decimal digits; None if it is something else.

    `str.isdigit` alone is true for digits such as `²`, which are no numbers for `int`.
    """
    text = text.strip(" \t")
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        return None
    return int(text)
