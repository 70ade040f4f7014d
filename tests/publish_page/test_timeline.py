"""When steps were done."""

from __future__ import annotations

import pytest
from publish_page.parsed_page import parse
from publish_page.sample_pages import everything, image, many, page_of

from ko_pants.publish_page.content import COMPILE, TAGS, UPLOAD, Span
from ko_pants.publish_page.document import render
from ko_pants.publish_page.timeline_section import merged, spoken, tick_seconds
from ko_pants.publishing import run_totals


def test_spans_of_a_step_that_meet_are_one() -> None:
    spans = [
        Span(UPLOAD, "x", 2.0, 3.0),
        Span(COMPILE, "b", 1.0, 2.0),
        Span(COMPILE, "a", 0.0, 1.5),
        Span(COMPILE, "within", 0.5, 0.6),
        Span(COMPILE, "later", 2.5, 3.0),
    ]
    assert merged(spans) == (
        Span(COMPILE, "", 0.0, 2.0),
        Span(COMPILE, "", 2.5, 3.0),
        Span(UPLOAD, "", 2.0, 3.0),
    )


@pytest.mark.parametrize(
    ("end", "distance"),
    [
        (0.0, 0.0002),
        (0.5, 0.1),
        (1.0, 0.2),
        (7.4, 2),
        (12.0, 2),
        (60.0, 10),
        (128.0, 25),
        (205.0, 50),
    ],
)
def test_marks_are_at_round_numbers(end: float, distance: float) -> None:
    assert tick_seconds(end) == pytest.approx(distance)


def test_a_span_in_words() -> None:
    text = spoken(Span(COMPILE, "app for linux/amd64", 0.4, 1.6))
    assert text == "compile app for linux/amd64: 1.2 s, from 0.40 to 1.60 s"
    assert spoken(Span(TAGS, "", 2.0, 2.05)) == "tags: 0.05 s, from 2.00 to 2.05 s"


def test_each_image_with_something_to_do_has_a_row_in_the_order_of_time() -> None:
    tree = parse(render(everything()))
    timelines = list(tree.all("table", "timeline"))
    rows = [[row.one("th").text for row in t.one("tbody").all("tr")] for t in timelines]
    assert rows == [
        ["All images"],
        ["services/billing:image", "services/checkout:image", "services/gateway:image"],
    ]
    bars = next(timelines[1].all("svg", "lanes"))
    assert bars.attributes["aria-label"] == (
        "compile from 0.3 to 1.9 s; layer from 1.7 to 2.2 s; upload from 2.0 to 2.6 s"
    )
    # Lanes tell the steps apart without their colours.
    lanes = {rect.attributes["class"]: rect.attributes["y"] for rect in bars.all("rect")}
    assert lanes == {"compile": "0", "layer": "7", "upload": "14"}
    assert "4.7 s" in timelines[1].text


def test_many_images_are_shown_on_demand() -> None:
    section = next(
        e for e in parse(render(many(13, 1))).all("section") if "timeline" in str(e.attributes)
    )
    assert "open" not in section.one("details").attributes
    assert len(list(section.one("details").one("tbody").all("tr"))) == 13


def test_a_run_that_did_nothing_has_no_timeline() -> None:
    tree = parse(render(page_of(image("a", run_totals.UP_TO_DATE))))
    assert "Timeline" not in [h.text for h in tree.all("h2")]
