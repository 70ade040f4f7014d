"""The page as one HTML file that reads nothing else: no font, no script, no image from anywhere."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Sequence

from ko_pants.publish_page.content import Page
from ko_pants.publish_page.images_section import Bases, Entry, entries, image_sections
from ko_pants.publish_page.markup import Markup, element
from ko_pants.publish_page.measures import counted
from ko_pants.publish_page.outcomes import look
from ko_pants.publish_page.script import SCRIPT
from ko_pants.publish_page.style import STYLE
from ko_pants.publish_page.timeline_section import timeline_section
from ko_pants.publish_page.totals_section import totals_section

# Fewer images need no field to search them.
_MIN_SEARCHED = 2


def render(page: Page) -> str:
    """The page.

    Its size grows with images x platforms x added layers: about 3 MB for 500 images of 5 platforms.
    It can be read without a script, which filters, copies, and opens what a link leads to.
    """
    shown, bases = entries(page), Bases()
    sections = image_sections(shown, bases)
    body = element(
        "body",
        _header(page),
        element(
            "main",
            totals_section(page),
            timeline_section(shown, page.totals.seconds),
            _search(shown) if len(shown) >= _MIN_SEARCHED else "",
            sections,
            bases.section(),
        ),
        element("footer", element("p", f"Written by ko_pants {page.version}. Times are in UTC.")),
        element("p", class_="unseen", id="said", aria_live="polite"),
        element("script", Markup(SCRIPT)),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(page), body, lang='en')}\n"


def content_security_policy() -> str:
    """Nothing is loaded from anywhere, and no style or script runs but those of the page."""
    return (
        f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _head(page: Page) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Publish of {page.repository}: {page.totals.sentence()}"),
        element("style", Markup(STYLE)),
    )


def _header(page: Page) -> Markup:
    began = time.gmtime(page.began)
    return element(
        "header",
        element("h1", "Publish of ", element("span", page.repository, class_="repository")),
        element(
            "p",
            element(
                "time",
                time.strftime("%Y-%m-%d %H:%M:%S UTC", began),
                datetime=time.strftime("%Y-%m-%dT%H:%M:%SZ", began),
            ),
            class_="muted",
        ),
    )


def _search(shown: Sequence[Entry]) -> Markup:
    """What only a script can do, so only a script shows it."""
    outcomes = dict.fromkeys(entry.image.outcome for entry in shown)
    choices = [
        element(
            "button",
            outcome,
            type="button",
            aria_pressed="false",
            data_only=outcome,
            class_=f"choice {look(outcome)[1]}",
        )
        for outcome in outcomes
    ]
    return element(
        "section",
        element("h2", "Images"),
        element(
            "div",
            element(
                "label",
                element("span", "Filter by address, name, digest, platform", class_="unseen"),
                element(
                    "input",
                    type="search",
                    id="filter",
                    autocomplete="off",
                    placeholder="Filter: address, name, digest, platform",
                ),
            ),
            element("div", choices, class_="choices", role="group", aria_label="Outcomes"),
            element("button", "Open all", type="button", id="open-all"),
            element("output", counted(len(shown), "image"), id="shown"),
            class_="tools",
        ),
        id="images",
    )
