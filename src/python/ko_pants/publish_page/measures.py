"""Numbers in words: counts, sizes, seconds."""

from __future__ import annotations

from ko_pants.publish_page.markup import Markup, element
from ko_pants.publishing.sizes import size_text


def counted(number: int, noun: str) -> str:
    """`1 layer`, `2,000 layers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_element(size: int, name: str = "span") -> Markup:
    """A size in words, with the exact number for who points at it."""
    return element(name, size_text(size), class_="number", title=f"{size:,} bytes")


def seconds_text(seconds: float) -> str:
    """In seconds, or in minutes and seconds from 100 s on."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
