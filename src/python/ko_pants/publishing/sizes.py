"""Sizes in words."""

from __future__ import annotations


def size_text(size: int) -> str:
    """In bytes, kB, MB or GB of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        # What would be rounded to 1000 of the smaller unit belongs to the larger one.
        if size >= 0.99995 * factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
