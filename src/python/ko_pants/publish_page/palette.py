"""The colours of the page, for a light and for a dark screen.

Text has a contrast of 4.5 to 1 or more with what it stands on, and bars have 3 to 1 or more: WCAG
2.1, 1.4.3 and 1.4.11. `tests/publish_page/test_palette.py` computes that.
"""

from __future__ import annotations

from typing import Mapping

#: Name -> colour on a light screen, and on a dark one.
COLOURS: Mapping[str, tuple[str, str]] = {
    # What things stand on.
    "page": ("#f5f6f8", "#14171b"),
    "card": ("#ffffff", "#1c2026"),
    "inset": ("#f0f2f5", "#242a31"),
    "line": ("#d9dee4", "#343b44"),
    # Text.
    "text": ("#1d232a", "#e4e8ec"),
    "muted": ("#56606b", "#a3adb8"),
    "link": ("#0b5cad", "#7db8f5"),
    # Outcomes of images and layers: as text on a ground of their own, and as bars.
    "bad": ("#b3261e", "#ff9d94"),
    "bad-ground": ("#fcebea", "#3d2220"),
    "new": ("#0b5cad", "#7db8f5"),
    "new-ground": ("#e6f0fb", "#1b2f45"),
    "moved": ("#6a3fb5", "#c3a6f7"),
    "moved-ground": ("#f0eafb", "#2f2645"),
    "same": ("#2c6e3f", "#86cf9c"),
    "same-ground": ("#e7f4ea", "#1d3325"),
    "none": ("#56606b", "#a3adb8"),
    "none-ground": ("#eceff2", "#2a3038"),
    # Steps of the timeline.
    "compile": ("#0b5cad", "#7db8f5"),
    "layer": ("#9a5b00", "#e8b15c"),
    "upload": ("#1f7a5c", "#6fcfab"),
    "tags": ("#8a3fa0", "#dd9df0"),
}

#: Text and what it stands on.
TEXT_PAIRS = (
    *((text, ground) for text in ("text", "muted", "link") for ground in ("page", "card", "inset")),
    *(
        (name, ground)
        for name in ("bad", "new", "moved", "same", "none")
        for ground in (f"{name}-ground", "card", "inset")
    ),
)
#: Bars and what they stand on.
BAR_PAIRS = tuple(
    (name, ground)
    for name in ("compile", "layer", "upload", "tags", "bad", "new", "moved", "same", "none")
    for ground in ("card", "inset")
)


def declarations(theme: int) -> str:
    """Custom properties of CSS; `theme` is 0 for the light one and 1 for the dark one."""
    return "".join(f"--{name}:{colours[theme]};" for name, colours in COLOURS.items())
