"""HTML as text that is escaped once, where it enters. Source: the HTML standard, section 13."""

from __future__ import annotations

import html
import re
from typing import Iterable, Union

_VOID = frozenset({"br", "input", "link", "meta"})
# HTML has no way to write these; a lone surrogate is a byte of a file name that is not UTF-8.
_UNWRITABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


class Markup(str):
    """Text that is HTML already."""


Child = Union[str, Iterable[str]]
Value = Union[str, int, bool, None]


def escaped(text: str) -> Markup:
    """The text as HTML, in an element or in an attribute. What is `Markup` stays as it is."""
    if isinstance(text, Markup):
        return text
    written = html.escape(_UNWRITABLE.sub("\ufffd", text))
    # A parser of HTML takes a carriage return for a line feed.
    return Markup(written.replace("\r", "&#13;") if "\r" in written else written)


def joined(*children: Child) -> Markup:
    """Texts and elements, one behind the other."""
    parts: list[str] = []
    for child in children:
        parts += [escaped(child)] if isinstance(child, str) else map(escaped, child)
    return Markup("".join(parts))


def element(tag: str, /, *children: Child, **attributes: Value) -> Markup:
    """One element.

    :param attributes: `class_` stands for `class`, and `_` for `-`. None and False leave an
        attribute out, and True writes it without a value.
    """
    written = [tag]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(attribute)
        elif value is not None and value is not False:
            written.append(f'{attribute}="{escaped(str(value))}"')
    begin = f"<{' '.join(written)}>"
    return Markup(begin if tag in _VOID else f"{begin}{joined(*children)}</{tag}>")
