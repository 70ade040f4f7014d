"""How outcomes and sources are called on the page, and how they look.

An outcome is told by its word. The sign before it and the colour repeat that.
"""

from __future__ import annotations

from typing import Mapping

from ko_pants.publish_page.content import LACKING, PREBUILT
from ko_pants.publish_page.markup import Markup, element, joined
from ko_pants.publishing import run_totals

#: Outcome of an image -> its sign and the name of its colour. What needs a look comes first.
IMAGE_LOOKS: Mapping[str, tuple[str, str]] = {
    run_totals.FAILED: ("✕", "bad"),
    run_totals.PUSHED: ("↑", "new"),
    run_totals.WRITTEN: ("↑", "new"),
    run_totals.LOADED: ("↓", "new"),
    run_totals.TAGGED: ("→", "moved"),
    run_totals.GIVEN_ARTIFACTS: ("+", "moved"),
    run_totals.NOT_PUSHED: ("–", "none"),
    run_totals.UP_TO_DATE: ("=", "same"),
}
#: The same of a layer.
LAYER_LOOKS: Mapping[str, tuple[str, str]] = {
    LACKING: ("✕", "bad"),
    "uploaded": ("↑", "new"),
    "written": ("↑", "new"),
    "mounted": ("→", "moved"),
    "reused": ("=", "same"),
}
EXECUTABLE_SOURCES: Mapping[str, str] = {
    "ran": "compiled",
    "local cache": "compiled before: local cache",
    "remote cache": "compiled before: remote cache",
    "memoized": "compiled before: in memory",
    PREBUILT: "prebuilt",
}
LAYER_SOURCES: Mapping[str, str] = {
    "ran": "layer made",
    "local cache": "layer from the local cache",
    "remote cache": "layer from the remote cache",
    "memoized": "layer in memory",
    "kocache": "layer from KOCACHE",
}
#: Outcomes of images that are of no concern.
QUIET = frozenset({run_totals.UP_TO_DATE, run_totals.NOT_PUSHED})


def rank(outcome: str) -> int:
    """The place of an image's outcome on the page."""
    known = list(IMAGE_LOOKS)
    return known.index(outcome) if outcome in IMAGE_LOOKS else len(known)


def look(outcome: str) -> tuple[str, str]:
    """The sign and the name of the colour of an outcome of an image or a layer."""
    return IMAGE_LOOKS.get(outcome) or LAYER_LOOKS.get(outcome) or ("·", "none")


def told(outcome: str, *more: str) -> Markup:
    """The sign, the word, and what is added to it."""
    return joined(
        element("span", look(outcome)[0], class_="sign", aria_hidden="true"), " ", outcome, more
    )


def badge(outcome: str) -> Markup:
    """An outcome on a ground of its colour."""
    return element("span", told(outcome), class_=f"badge {look(outcome)[1]}")
