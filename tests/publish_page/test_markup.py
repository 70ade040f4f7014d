"""Whatever text comes in, HTML comes out that says just that text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from publish_page.parsed_page import parse

from ko_pants.publish_page.markup import Markup, element, escaped, joined

HOSTILE = "</code><script>alert(1)</script>\"'&amp;<!-- \x00\u202e"


def test_text_is_escaped_and_markup_is_not_escaped_twice() -> None:
    assert element("p", "a < b & c") == "<p>a &lt; b &amp; c</p>"
    assert element("p", element("b", "x"), ["&", Markup("&amp;")]) == "<p><b>x</b>&amp;&amp;</p>"
    assert joined("<", [element("br")]) == "&lt;<br>"


def test_attributes() -> None:
    made = element("td", class_="a b", aria_label='"x"', hidden=True, open=False, id=None, y=0)
    assert made == '<td class="a b" aria-label="&quot;x&quot;" hidden y="0"></td>'


def test_what_html_cannot_say_is_replaced() -> None:
    # A lone surrogate is a byte of a file name that is not UTF-8.
    assert escaped("a\x00b\x1bc\udcffd\ufffee\x85") == "a\ufffdb\ufffdc\ufffdd\ufffde\ufffd"
    assert escaped("a\tb\nc") == "a\tb\nc"


@given(st.text())
def test_a_parser_reads_the_text_that_was_written(text: str) -> None:
    expected = re.sub(
        "[^\t\n\r -~\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]", "\ufffd", text
    )
    tree = parse(element("p", text, title=text))
    assert tree.one("p").text == expected
    assert tree.one("p").attributes == {"title": expected}


def test_a_hostile_text_adds_no_element() -> None:
    tree = parse(element("code", HOSTILE, title=HOSTILE))
    assert [e.tag for e in tree.all()] == ["code"]
