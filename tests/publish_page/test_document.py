"""The page as a document: well-formed, complete, in order, and without anything from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import Callable, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publish_page.parsed_page import Element, parse
from publish_page.sample_pages import base_layers, everything, image, many, page_of, platform
from publish_page.test_markup import HOSTILE

from ko_pants.publish_page.content import (
    LACKING,
    PREBUILT,
    Artifact,
    Image,
    Layer,
    Page,
    Platform,
    Program,
    Span,
)
from ko_pants.publish_page.document import render
from ko_pants.publishing import run_totals


def images_of(tree: Element) -> List[Element]:
    return [e for e in tree.all("details", "image") if "data-outcome" in e.attributes]


def rows_of(element: Element) -> List[List[str]]:
    """The texts of the cells of the layers."""
    found = []
    for row in element.all("tr"):
        cells = [c.text for c in row.children if isinstance(c, Element)]
        if len(cells) == 5:
            found.append(cells)
    return found[1:]


def test_a_page_is_a_document_for_readers_of_screens_too() -> None:
    tree = parse(render(everything()))
    assert tree.one("html").attributes["lang"] == "en"
    assert (
        tree.one("head").one("title").text.startswith("Publish of shop: 8 images: 3 up to date, ")
    )
    assert tree.one("h1").text == "Publish of shop"
    levels = [int(e.tag[1]) for e in tree.all() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert all(head.attributes.get("scope") for head in tree.all("th"))
    identifiers = [e.attributes["id"] for e in tree.all() if "id" in e.attributes]
    assert len(identifiers) == len(set(identifiers))
    links = [a.attributes["href"] for a in tree.all("a")]
    assert links
    assert {link[1:] for link in links} <= set(identifiers)
    for picture in tree.all("svg"):
        assert ("aria-label" in picture.attributes) != ("aria-hidden" in picture.attributes)
    for field in tree.all("input"):
        assert any(field in label.all("input") and label.text for label in tree.all("label"))


def test_nothing_comes_from_outside() -> None:
    content = render(everything())
    tree = parse(content)
    assert not {"link", "img", "iframe", "object", "base", "form"} & {e.tag for e in tree.all()}
    for element in tree.all():
        assert not {"src", "srcset", "style", "ping"} & set(element.attributes)
        assert not any(name.startswith("on") for name in element.attributes)
    assert not re.search(r"url\(|@import", tree.one("style").text)
    policy = next(
        m.attributes["content"]
        for m in tree.all("meta")
        if m.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(d.strip().split(" ", 1) for d in policy.split(";"))
    assert directives["default-src"] == "'none'"
    for name in ("style", "script"):
        digest = hashlib.sha256(tree.one(name).text.encode()).digest()
        assert directives[f"{name}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_the_totals_are_those_of_the_run() -> None:
    page = everything()
    tree = parse(render(page))
    assert tree.one("p", "sentence").text == page.totals.sentence()
    tiles = {t.one("dt").text: t.one("dd").text for t in tree.all("div", "tile")}
    assert tiles["Images"] == "8 1 failed 2 pushed 1 tagged 1 not pushed 3 up to date"
    assert tiles["Compiles"] == "16 5 run 11 in memory"
    assert tiles["Time"] == "7.4 s50 requests19.5 MB sent"


def test_what_changed_comes_first() -> None:
    tree = parse(render(everything()))
    assert [h.text for h in tree.all("h2")][3:] == [
        "Failed 1",
        "Pushed 2",
        "Tagged 1",
        "Not pushed 1",
        "Up to date 3",
        "Base layers",
    ]
    assert [i.attributes["data-outcome"] for i in images_of(tree)] == [
        *("failed", "pushed", "pushed", "tagged", "not pushed"),
        *("up to date",) * 3,
    ]
    assert [i.one("h3").text for i in images_of(tree)][-3:] == [
        "services/catalog:image",
        "services/ledger:image",
        "services/notify:image",
    ]
    # A failure is read without a click.
    assert [("open" in i.attributes) for i in images_of(tree)] == [True] + [False] * 7


def test_a_few_changed_images_are_open() -> None:
    pushed = image("a", run_totals.PUSHED, blobs="uploaded", source="ran")
    tree = parse(render(page_of(pushed, image("b", run_totals.UP_TO_DATE))))
    assert [("open" in i.attributes) for i in images_of(tree)] == [True, False]


def test_every_image_and_layer_is_there() -> None:
    page = everything()
    content = render(page)
    tree = parse(content)
    shown = {i.one("h3").text: i for i in images_of(tree)}
    assert set(shown) == {i.target for i in page.images}
    for expected in page.images:
        found = shown[expected.target]
        codes = {code.text for code in found.all("code")}
        assert {*expected.names, expected.digest, expected.base} <= codes
        assert expected.reason in found.text
        for each in expected.platforms:
            assert each.name in found.text
            for layer in each.layers:
                # Those of the base are listed once, at the end.
                assert layer.digest in (content if layer.kind == "base" else codes)
        for artifact in expected.artifacts:
            assert artifact.digest in codes


def test_a_row_tells_how_a_layer_came_about() -> None:
    layers = (
        *base_layers("linux/amd64", "mounted"),
        Layer("files", "sha256:f", 1500, "reused", 0, "kocache"),
        Layer("kodata", "sha256:k", 124, "mounted", 0, "local cache"),
        Layer(
            "binary",
            "sha256:b",
            2_000_000,
            "uploaded",
            2_000_000,
            "ran",
            Program("w", "ran", 2.5),
            0.3,
        ),
        Layer("binary", "sha256:p", 300, LACKING, 0, "memoized", Program("p", PREBUILT)),
        Layer("binary", "sha256:o", 301, "", 0, "remote cache", Program("o", "remote cache")),
    )
    made = replace(
        image("a", run_totals.PUSHED),
        platforms=(Platform("linux/amd64", layers),),
    )
    (found,) = images_of(parse(render(page_of(made))))
    assert rows_of(found) == [
        ["base", "784.0 kB", "→ mounted", "7 layers", "digests"],
        ["files", "1.5 kB", "= reused", "layer from KOCACHE", "sha256:f"],
        ["kodata", "124 B", "→ mounted", "layer from the local cache", "sha256:k"],
        ["binary w", "2.0 MB", "↑ uploaded", "compiled in 2.5 s; layer made in 0.30 s", "sha256:b"],
        ["binary p", "300 B", "✕ lacking", "prebuilt; layer in memory", "sha256:p"],
        [
            "binary o",
            "301 B",
            "not pushed",
            "compiled before: remote cache; layer from the remote cache",
            "sha256:o",
        ],
    ]


def test_layers_of_a_base_with_outcomes_of_their_own_have_rows_of_their_own() -> None:
    first, *others = base_layers("linux/amd64", "reused")
    layers = (replace(first, outcome="uploaded", bytes=first.size), *others)
    made = replace(image("a", run_totals.PUSHED), platforms=(Platform("linux/amd64", layers),))
    tree = parse(render(page_of(made)))
    assert [row[2] for row in rows_of(images_of(tree)[0])] == ["↑ uploaded"] + ["= reused"] * 6
    assert "Base layers" not in [h.text for h in tree.all("h2")]


def test_bases_that_images_share_are_listed_once() -> None:
    tree = parse(render(many(20, 2)))
    bases = list(tree.all("details", "base"))
    assert len(bases) == 2
    assert [len(list(b.one("tbody").all("tr"))) for b in bases] == [7, 7]


def test_a_run_without_images_is_a_page_too() -> None:
    tree = parse(render(page_of()))
    assert not images_of(tree)
    assert not list(tree.all("input"))


@pytest.mark.parametrize(
    "part", ["repository", "target", "name", "digest", "base", "reason", "program", "artifact"]
)
def test_no_text_becomes_markup(part: str) -> None:
    def text(of: str) -> str:
        return HOSTILE if of == part else of

    plain, hostile = (parse(render(_page_with(value))) for value in (lambda of: of, text))
    assert [e.tag for e in hostile.all()] == [e.tag for e in plain.all()]
    assert [sorted(e.attributes) for e in hostile.all()] == [
        sorted(e.attributes) for e in plain.all()
    ]


def _page_with(text: Callable[[str], str]) -> Page:
    made = image("a", run_totals.FAILED, blobs=LACKING, source="ran")
    layer = Layer("binary", text("digest"), 3, LACKING, 0, "ran", Program(text("program"), "ran"))
    made = replace(
        made,
        target=text("target"),
        names=(text("name"),),
        digest=text("digest"),
        base=text("base"),
        reason=text("reason"),
        platforms=(*made.platforms, Platform("linux/mips", (layer,))),
        artifacts=(Artifact(text("artifact"), "", text("digest"), 7, "uploaded"),),
    )
    return page_of(made, image("b", run_totals.UP_TO_DATE), repository=text("repository"))


_texts = st.text(max_size=20)
_numbers = st.integers(0, 10**13)
_layers = st.builds(
    Layer,
    *(_texts, _texts, _numbers, _texts, _numbers, _texts),
    st.none() | st.builds(Program, _texts, _texts),
)
_images = st.builds(
    Image,
    target=_texts,
    names=st.lists(_texts, max_size=2).map(tuple),
    outcome=_texts | st.sampled_from(run_totals.IMAGE_OUTCOMES),
    digest=_texts,
    media_type=_texts,
    base=_texts,
    platforms=st.lists(
        st.builds(Platform, _texts, st.lists(_layers, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    requests=_numbers,
    reason=_texts,
    spans=st.lists(
        st.builds(
            Span,
            st.sampled_from(["compile", "layer", "upload", "tags"]),
            _texts,
            st.floats(-5, 1e6),
            st.floats(-5, 1e6),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(_texts, st.lists(_images, max_size=3))
def test_any_page_is_well_formed(repository: str, images: List[Image]) -> None:
    content = render(page_of(*images, repository=repository))
    content.encode()
    tree = parse(content)
    assert len(images_of(tree)) == len(images)
    assert [e.tag for e in tree.all("script")] == ["script"]


def test_a_large_run_is_some_megabytes() -> None:
    # The page grows in proportion; 500 images would take seconds here.
    size = len(render(many(40, 5))) - len(render(many(20, 5)))
    assert size / 20 * 500 < 5_000_000


def test_platform_of_the_samples() -> None:
    assert platform("linux/amd64", "a", "", PREBUILT).layers[-1].outcome == ""
