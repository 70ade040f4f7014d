"""The images of the page, by outcome: what failed, what is new, and last what was up to date."""

from __future__ import annotations

from collections import Counter
from typing import Mapping, NamedTuple, Sequence, Tuple

from ko_pants.publish_page.changes_part import changes_fact, changes_part
from ko_pants.publish_page.content import LACKING, Artifact, Image, Layer, Page, Platform
from ko_pants.publish_page.markup import Markup, element, joined
from ko_pants.publish_page.measures import counted, seconds_text, size_element
from ko_pants.publish_page.outcomes import (
    EXECUTABLE_SOURCES,
    LAYER_SOURCES,
    QUIET,
    badge,
    look,
    rank,
    told,
)
from ko_pants.publishing.run_totals import FAILED
from ko_pants.publishing.sizes import size_text

# So many images with something new are shown with their layers.
_MAX_OPEN = 3

#: The layers of a base: digest, size.
BaseLayers = Tuple[Tuple[str, int], ...]


class Entry(NamedTuple):
    """An image of the page, and the id that links to it name."""

    anchor: str
    image: Image


def entries(page: Page) -> list[Entry]:
    """The images by outcome, then by target and names."""
    images = sorted(page.images, key=lambda i: (rank(i.outcome), i.target, i.names))
    return [Entry(f"image-{number}", image) for number, image in enumerate(images, 1)]


class Bases:
    """The layers of bases, which many images share: each base is listed once, for each platform."""

    def __init__(self) -> None:
        self._anchors: dict[tuple[str, str, BaseLayers], str] = {}

    def anchor(self, image: Image, platform: Platform, layers: Sequence[Layer]) -> str:
        """The id of the list of these layers."""
        key = image.base, platform.name, tuple((layer.digest, layer.size) for layer in layers)
        return self._anchors.setdefault(key, f"base-{len(self._anchors) + 1}")

    def section(self) -> Markup:
        """All lists that were asked for; nothing if there are none."""
        if not self._anchors:
            return Markup("")
        return element(
            "section",
            element("h2", "Base layers"),
            [_base(*key, anchor) for key, anchor in self._anchors.items()],
            id="bases",
        )


def _base(name: str, platform: str, layers: BaseLayers, anchor: str) -> Markup:
    rows = [
        element("tr", element("td", _digest(digest)), size_element(size, "td"))
        for digest, size in layers
    ]
    total = sum(size for _, size in layers)
    return element(
        "details",
        element(
            "summary",
            element("span", name or "base", class_="target"),
            element("span", platform, class_="muted"),
            element("span", f"{counted(len(layers), 'layer')}, {size_text(total)}", class_="facts"),
        ),
        element(
            "table",
            element("thead", element("tr", _head("Digest"), _head("Size", "number"))),
            element("tbody", rows),
            class_="layers",
        ),
        class_="image base",
        id=anchor,
    )


def image_sections(shown: Sequence[Entry], bases: Bases) -> list[Markup]:
    """A section for each outcome.

    :param bases: takes up the base layers that the images name.
    """
    by_outcome: dict[str, list[Entry]] = {}
    for entry in shown:
        by_outcome.setdefault(entry.image.outcome, []).append(entry)
    loud = sum(entry.image.outcome not in QUIET for entry in shown)
    return [
        element(
            "section",
            element(
                "h2",
                outcome[:1].upper() + outcome[1:],
                " ",
                element("span", str(len(group)), class_="count"),
            ),
            [
                _image(
                    entry,
                    bases,
                    is_open=outcome == FAILED or (outcome not in QUIET and loud <= _MAX_OPEN),
                )
                for entry in group
            ],
            class_="outcome",
        )
        for outcome, group in by_outcome.items()
    ]


def _image(entry: Entry, bases: Bases, *, is_open: bool) -> Markup:
    image = entry.image
    facts = " · ".join(_facts(image))
    return element(
        "details",
        element(
            "summary",
            badge(image.outcome),
            element("h3", image.target, class_="target"),
            element("span", facts, class_="facts"),
        ),
        element(
            "div",
            element("p", image.reason, class_="reason") if image.reason else "",
            changes_part(image.changes),
            _about(image),
            _layers(image, bases),
            _artifacts(image.artifacts),
            class_="body",
        ),
        class_="image",
        id=entry.anchor,
        data_outcome=image.outcome,
        open=is_open,
    )


def _facts(image: Image) -> list[str]:
    """What is worth to be seen while the image is closed."""
    layers = [layer for platform in image.platforms for layer in platform.layers]
    facts = [counted(len(image.platforms), "platform")]
    ran = sum(layer.program is not None and layer.program.source == "ran" for layer in layers)
    if ran:
        facts.append(f"{ran} compiled")
    # A blob that several platforms share goes to the destination once.
    once = {layer.digest: layer for layer in layers}.values()
    outcomes = Counter(layer.outcome for layer in once)
    for outcome in (LACKING, "uploaded", "written", "mounted"):
        if outcomes[outcome]:
            facts.append(f"{counted(outcomes[outcome], 'layer')} {outcome}")
    sent = sum(layer.bytes for layer in once)
    if sent:
        facts.append(size_text(sent))
    why = changes_fact(image.changes)
    if why:
        facts.insert(0, why)
    return facts


def _about(image: Image) -> Markup:
    kind = "Image" if len(image.platforms) == 1 else "Index"
    names = [element("li", element("code", name), _copy("name")) for name in image.names]
    return element(
        "dl",
        element("dt", "Names" if len(names) > 1 else "Name"),
        element("dd", element("ul", names)),
        element("dt", "Digest"),
        element("dd", element("code", image.digest), _copy("digest")),
        element("dt", "Kind"),
        element("dd", f"{kind}, ", element("code", image.media_type)),
        element("dt", "Base"),
        element("dd", element("code", image.base) if image.base else "scratch"),
        element("dt", "Requests"),
        element("dd", str(image.requests)),
        class_="about",
    )


def _copy(what: str) -> Markup:
    return element("button", "copy", type="button", class_="copy", aria_label=f"Copy {what}")


def _head(text: str, class_: str | None = None) -> Markup:
    return element("th", text, scope="col", class_=class_)


def _layers(image: Image, bases: Bases) -> Markup:
    head = element(
        "tr",
        _head("Layer"),
        _head("Size", "number"),
        _head("Destination"),
        _head("How it came about"),
        _head("Digest"),
    )
    return element(
        "table",
        element("caption", "Layers"),
        element("thead", head),
        [element("tbody", _platform(image, platform, bases)) for platform in image.platforms],
        class_="layers",
    )


def _platform(image: Image, platform: Platform, bases: Bases) -> list[Markup]:
    base = [layer for layer in platform.layers if layer.kind == "base"]
    added = [layer for layer in platform.layers if layer.kind != "base"]
    total = sum(layer.size for layer in platform.layers)
    rows = [
        element(
            "tr",
            element(
                "th",
                platform.name,
                " ",
                element("span", f"{size_text(total)}", class_="muted"),
                scope="rowgroup",
                colspan=5,
            ),
            class_="platform",
        )
    ]
    if len(base) > 1 and len({layer.outcome for layer in base}) == 1:
        rows.append(_base_row(base, bases.anchor(image, platform, base)))
    else:
        rows += [_layer_row(layer) for layer in base]
    rows += [_layer_row(layer) for layer in added]
    return rows


def _base_row(base: Sequence[Layer], anchor: str) -> Markup:
    """All layers of a base in one row: their outcome is the same."""
    return element(
        "tr",
        element("th", "base", scope="row"),
        size_element(sum(layer.size for layer in base), "td"),
        _outcome(base[0].outcome, sum(layer.bytes for layer in base)),
        element("td", counted(len(base), "layer")),
        element("td", element("a", "digests", href=f"#{anchor}")),
    )


def _layer_row(layer: Layer) -> Markup:
    name = joined(layer.kind)
    came = []
    if layer.program is not None:
        name = joined(layer.kind, " ", element("code", layer.program.name))
        came.append(_came(EXECUTABLE_SOURCES, layer.program.source, layer.program.seconds))
    if layer.source:
        came.append(_came(LAYER_SOURCES, layer.source, layer.seconds))
    return element(
        "tr",
        element("th", name, scope="row"),
        size_element(layer.size, "td"),
        _outcome(layer.outcome, layer.bytes),
        element("td", "; ".join(came)),
        element("td", _digest(layer.digest)),
    )


def _came(words: Mapping[str, str], source: str, seconds: float | None) -> str:
    text = words.get(source, source)
    return text if seconds is None else f"{text} in {seconds_text(seconds)}"


def _outcome(outcome: str, sent: int) -> Markup:
    if not outcome:
        return element("td", "not pushed", class_="none")
    title = f"{sent:,} bytes" if sent else None
    return element("td", told(outcome), class_=look(outcome)[1], title=title)


def _digest(digest: str) -> Markup:
    return element("code", digest, class_="digest")


def _artifacts(artifacts: Sequence[Artifact]) -> Markup:
    if not artifacts:
        return Markup("")
    head = element(
        "tr",
        _head("Kind"),
        _head("Size", "number"),
        _head("Destination"),
        _head("About"),
        _head("Digest"),
    )
    rows = [
        element(
            "tr",
            element("th", artifact.kind, scope="row"),
            size_element(artifact.size, "td"),
            _outcome(artifact.outcome, 0),
            element("td", artifact.platform or "index"),
            element("td", _digest(artifact.digest)),
        )
        for artifact in artifacts
    ]
    return element(
        "table",
        element("caption", "Artifacts"),
        element("thead", head),
        element("tbody", rows),
        class_="layers",
    )
