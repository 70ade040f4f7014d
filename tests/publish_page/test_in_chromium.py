"""The page in a browser: it fits a phone, is usable by keyboard, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest
from publish_page.browser import DESKTOP, PHONE, Browser, Tab, chromium
from publish_page.sample_pages import everything, many

from ko_pants.publish_page.document import render
from ko_pants.publish_page.palette import COLOURS

SIZES = {"phone": PHONE, "desktop": DESKTOP}
THEMES = ["light", "dark"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "publish.html"
    path.write_text(render(everything()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened


def shown(tab: Tab) -> list[str]:
    """The targets of the images that are not filtered out."""
    found = tab.value(
        "[...document.querySelectorAll('details[data-outcome]')]"
        ".filter(image => image.checkVisibility())"
        ".map(image => image.querySelector('h3').textContent)"
    )
    return list(found)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_screen_and_asks_nobody(
    tab: Tab, url: str, size: str, theme: str, tmp_path: Path
) -> None:
    tab.open(url, SIZES[size], theme)
    # Everything is open, so that everything has a width.
    tab.value("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    width = SIZES[size][0]
    assert tab.value("document.documentElement.scrollWidth") <= width
    assert tab.value("innerWidth") == width
    assert tab.requests == [url]
    assert tab.complaints == []
    screenshot = tmp_path / "page.png"
    tab.screenshot(screenshot)
    assert screenshot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("theme", THEMES)
def test_the_theme_is_that_of_the_reader(tab: Tab, url: str, theme: str) -> None:
    tab.open(url, DESKTOP, theme)
    expected = COLOURS["page"][THEMES.index(theme)]
    channels = ", ".join(str(int(expected[i : i + 2], 16)) for i in (1, 3, 5))
    assert tab.value("getComputedStyle(document.body).backgroundColor") == f"rgb({channels})"


def test_nothing_from_elsewhere_could_run(tab: Tab, url: str) -> None:
    tab.open(url, DESKTOP)
    tab.value(
        "refused = [];"
        "document.addEventListener('securitypolicyviolation',"
        "                          event => refused.push(event.effectiveDirective));"
        "document.body.insertAdjacentHTML('beforeend', '<img src=http://127.0.0.1:9/x.png>');"
        "document.body.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))"
    )
    tab.wait_until("refused.length >= 2")
    assert sorted(tab.value("refused")) == ["img-src", "script-src-elem"]
    assert tab.value("typeof ran") == "undefined"


def test_images_are_filtered_by_text_and_outcome(tab: Tab, url: str) -> None:
    tab.open(url, DESKTOP)
    assert len(shown(tab)) == 8

    def type_text(text: str) -> None:
        tab.value(
            f"field = document.getElementById('filter'); field.value = {text!r};"
            "field.dispatchEvent(new Event('input'))"
        )

    type_text("shop/CART: latest")
    assert shown(tab) == ["services/cart:image"]
    assert tab.value("document.getElementById('shown').textContent") == "1 of 8 images"
    type_text("linux/s390x")
    assert shown(tab) == ["services/ledger:image"]
    type_text("")
    tab.value("document.querySelector('[data-only=pushed]').click()")
    assert shown(tab) == ["services/checkout:image", "services/gateway:image"]
    tab.value("document.querySelector('[data-only=failed]').click()")
    assert len(shown(tab)) == 3
    type_text("no such image")
    assert shown(tab) == []
    assert tab.value("document.querySelectorAll('section.outcome:not([hidden])').length") == 0
    assert tab.complaints == []


def test_a_keyboard_opens_an_image(tab: Tab, url: str) -> None:
    tab.open(url, DESKTOP)
    tab.value("document.querySelector('[data-outcome=tagged] summary').focus()")
    tab.press("Enter")
    assert tab.value("document.querySelector('[data-outcome=tagged]').open") is True
    tab.press("Tab")
    assert tab.value("document.activeElement.getAttribute('aria-label')") == "Copy name"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.value(outline) == "solid"


def test_a_digest_is_copied_whole(tab: Tab, url: str) -> None:
    tab.open(url, DESKTOP)
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    tab.value(
        "image = document.querySelector('[data-outcome=tagged]');"
        "code = image.querySelector('code.digest');"
        "image.open = true;"
        "getSelection().removeAllRanges()"
    )
    # It comes when the image is open.
    tab.wait_until("code.nextElementSibling")
    assert tab.value("code.nextElementSibling.getAttribute('aria-label')") == "Copy digest"
    tab.value("code.nextElementSibling.click()")
    tab.wait_until("document.getElementById('said').textContent")
    text, button, said, selected = tab.value(
        "[code.textContent, code.nextElementSibling.textContent,"
        " document.getElementById('said').textContent, String(getSelection())]"
    )
    assert len(text) == len("sha256:") + 64
    assert button == said
    # Where the browser lets no page write to the clipboard, the text is selected instead.
    assert (button, selected) in (("copied", ""), ("selected", text))


def test_a_link_of_the_timeline_opens_the_image(tab: Tab, url: str) -> None:
    tab.open(url, PHONE)
    image = "document.querySelectorAll('[data-outcome=pushed]')[1]"
    assert tab.value(f"{image}.open") is False
    tab.value("[...document.querySelectorAll('#timeline a')].pop().click()")
    tab.wait_until(f"{image}.open")


def test_it_is_read_without_a_script(tab: Tab, url: str) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(url, PHONE)
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(shown(tab)) == 8
    visible = "document.querySelector('%s').checkVisibility()"
    assert tab.value(visible % ".tools") is False
    assert tab.value(visible % ".copy") is False
    assert tab.value(visible % "[data-outcome=failed] .layers") is True
    tab.value("document.querySelector('[data-outcome=tagged] summary').click()")
    assert tab.value("document.querySelector('[data-outcome=tagged]').open") is True


def test_five_hundred_images_do_not_hang_the_browser(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "many.html"
    path.write_text(render(many(500, 5)), encoding="utf-8")
    assert path.stat().st_size < 5_000_000
    tab.open(path.as_uri(), PHONE)
    assert tab.value("document.documentElement.scrollWidth") <= PHONE[0]
    assert len(shown(tab)) == 500
    tab.value(
        "field = document.getElementById('filter'); field.value = 'service-499';"
        "field.dispatchEvent(new Event('input'))"
    )
    assert len(shown(tab)) == 1
    assert tab.complaints == []
