"""Numbers in words: counts, sizes, seconds."""

from __future__ import annotations

from ko_pants.publish_page.markup import Markup, element


def counted(number: int, noun: str) -> str:
    """`1 layer`, `2,000 layers`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size_text(size: int) -> str:
    """In bytes, kB, MB or GB of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        # What would be rounded to 1000 of the smaller unit belongs to the larger one.
        if size >= 0.99995 * factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def size_element(size: int, name: str = "span") -> Markup:
    """The same, with the exact number for who points at it."""
    return element(name, size_text(size), class_="number", title=f"{size:,} bytes")


def seconds_text(seconds: float) -> str:
    """In seconds, or in minutes and seconds from 100 s on."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
