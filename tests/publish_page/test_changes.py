"""What the page says of what has changed."""

from __future__ import annotations

from typing import Optional, Tuple

from publish_page.parsed_page import Element, parse
from publish_page.sample_pages import EDIT, image, page_of

from ko_pants.explanation.changes import FIRST_PUBLISH, NOT_SHOWN, Change
from ko_pants.publish_page.document import render
from ko_pants.publishing import run_totals


def shown(changes: Optional[Tuple[Change, ...]]) -> Element:
    """The one image of a page."""
    tree = parse(render(page_of(image("a", run_totals.PUSHED, changes=changes))))
    (found,) = (d for d in tree.all("details") if "data-outcome" in d.attributes)
    return found


def lines(of: Element) -> list[str]:
    return [li.text for li in of.one("div", "changes").all("li")]


def test_changes_with_the_same_consequences_are_together() -> None:
    found = shown(EDIT)
    assert lines(found) == [
        "source file services/checkout/cart.go has changed",
        "source file services/checkout/total.go is new",
        "compile for linux/amd64, linux/arm64 ran",
        "the executable for linux/amd64, linux/arm64 is another, its layer was uploaded",
        "field image_labels is gone, was team=shop",
        "the image was composed anew",
    ]
    (digests,) = (s for s in found.one("div", "changes").all("span") if s.text == "has changed")
    assert digests.attributes["title"] == f"sha256:{'1' * 64} → sha256:{'2' * 64}"
    assert "3 changes" in found.one("summary").text


def test_one_change_is_named_while_the_image_is_closed() -> None:
    assert shown(EDIT[:1]).one("span", "facts").text.startswith("services/checkout/cart.go · ")


def test_the_first_publish() -> None:
    said = "everything was built, for there is no record to compare with"
    found = shown((Change(FIRST_PUBLISH, "a:a", None, "sha256:x", (said,)),))
    assert lines(found) == ["This is its first publish.", said]
    assert "first publish" in found.one("span", "facts").text


def test_nothing_has_changed_or_nobody_knows() -> None:
    assert "Nothing that the image is made from has changed." in shown(()).text
    assert "What changed" not in shown(None).text


def test_many_changes_are_shown_on_demand() -> None:
    changes = tuple(Change("source file", f"{n}.go", "", NOT_SHOWN, ("x",)) for n in range(40))
    found = shown(changes).one("div", "changes")
    assert found.one("summary").text == "and 28 more changes"
    assert len(list(found.one("details").all("li"))) == 28
    assert len(list(found.all("li"))) == 41


def test_values_of_what_is_no_file() -> None:
    old, new = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    changes = (
        Change("base image", "gcr.io/base", old, new, ()),
        Change("environment variable", "GOFLAGS", "", NOT_SHOWN, ()),
        Change("module", "example.com/m", None, "v1.2.0", ()),
    )
    found = shown(changes)
    assert lines(found) == [
        "base image gcr.io/base: sha256:111111111111… → sha256:222222222222…",
        "environment variable GOFLAGS: empty → (not shown)",
        "module example.com/m is new: v1.2.0",
    ]
    titles = {code.attributes.get("title") for code in found.one("div", "changes").all("code")}
    assert {old, new} <= titles


def test_a_long_value_is_cut() -> None:
    found = shown((Change("flag", "-ldflags", "a" * 61, None, ()),)).one("div", "changes")
    value = list(found.all("code"))[1]
    assert (value.text, value.attributes["title"]) == ("a" * 60 + "…", "a" * 61)
