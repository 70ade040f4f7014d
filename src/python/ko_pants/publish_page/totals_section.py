"""The top of the page: what the run did for all images together."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

from ko_pants.publish_page.content import Page
from ko_pants.publish_page.markup import Markup, element, joined
from ko_pants.publish_page.measures import counted, seconds_text
from ko_pants.publish_page.outcomes import IMAGE_LOOKS, LAYER_LOOKS
from ko_pants.publishing.sizes import size_text

# A part of a tile: number, what it is called, name of its colour.
_Part = Tuple[int, str, str]

# What was done comes first, what was there already last.
_COMPILES = {
    "ran": ("run", "new"),
    "remote cache": ("from the remote cache", "moved"),
    "local cache": ("from the local cache", "same"),
    "memoized": ("in memory", "same"),
}
_LAYERS = {
    "ran": ("made", "new"),
    "remote cache": ("from the remote cache", "moved"),
    "local cache": ("from the local cache", "same"),
    "kocache": ("from KOCACHE", "same"),
    "memoized": ("in memory", "same"),
}


def totals_section(page: Page) -> Markup:
    """The sentence of the terminal, and a tile for each kind of thing."""
    totals = page.totals
    transfers = totals.transfers
    moved = [
        f"{size_text(size)} {verb}"
        for size, verb in (
            (transfers.pushed_bytes, "sent"),
            (transfers.written_bytes, "written"),
            (totals.fetched_bytes, "fetched"),
        )
        if size
    ]
    requests = counted(totals.requests, "request")
    tiles = [
        _tile("Images", _parts(totals.images, {o: (o, c) for o, (_, c) in IMAGE_LOOKS.items()})),
        _tile("Compiles", _parts(totals.compiles, _COMPILES)),
        _tile("Layers", _parts(totals.layers, _LAYERS)),
        _tile(
            "Transfers of layers",
            _parts(transfers.layers, {o: (o, c) for o, (_, c) in LAYER_LOOKS.items()}),
        ),
        _figure("Time", seconds_text(totals.seconds), _list([requests, *moved])),
    ]
    return element(
        "section",
        element("h2", "Totals", class_="unseen"),
        element("p", totals.sentence(), class_="sentence"),
        element("dl", tiles, class_="tiles"),
        id="totals",
    )


def _parts(counts: Mapping[str, int], names: Mapping[str, tuple[str, str]]) -> list[_Part]:
    return [(counts[key], *names[key]) for key in names if counts.get(key)]


def _tile(name: str, parts: Sequence[_Part]) -> Markup:
    total = sum(count for count, _, _ in parts)
    if not total:
        return _figure(name, "0")
    listed = [
        joined(element("span", class_=f"dot {colour}", aria_hidden="true"), f" {count:,} {word}")
        for count, word, colour in parts
    ]
    return _figure(name, f"{total:,}", _bar(parts, total), _list(listed))


def _list(items: Sequence[str]) -> Markup:
    return element("ul", [element("li", item) for item in items])


def _figure(name: str, value: str, *more: str) -> Markup:
    return element(
        "div",
        element("dt", name),
        element("dd", element("strong", value), *more),
        class_="tile",
    )


def _bar(parts: Sequence[_Part], total: int) -> Markup:
    """The parts side by side. They are listed below it, so a screen reader passes over it."""
    rects, begin = [], 0.0
    for count, _, colour in parts:
        width = 100 * count / total
        rects.append(
            element("rect", x=f"{begin:.2f}%", width=f"{width:.2f}%", height="100%", class_=colour)
        )
        begin += width
    return element("svg", rects, class_="bar", aria_hidden="true")
