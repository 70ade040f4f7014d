"""Colours have enough contrast, on a light screen and on a dark one."""

from __future__ import annotations

import re

import pytest

from ko_pants.publish_page.palette import BAR_PAIRS, COLOURS, TEXT_PAIRS
from ko_pants.publish_page.style import STYLE

THEMES = {"light": 0, "dark": 1}


def luminance(colour: str) -> float:
    """Relative luminance; source: WCAG 2.1."""

    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else float(((channel + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours; source: WCAG 2.1."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_ratio_of_black_and_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_can_be_read(text: str, ground: str, theme: str) -> None:
    number = THEMES[theme]
    assert contrast(COLOURS[text][number], COLOURS[ground][number]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("bar", "ground"), BAR_PAIRS)
def test_bars_can_be_seen(bar: str, ground: str, theme: str) -> None:
    number = THEMES[theme]
    assert contrast(COLOURS[bar][number], COLOURS[ground][number]) >= 3


def test_the_style_has_no_colour_but_these() -> None:
    rules = STYLE.split("*{box-sizing", 1)[1]
    assert not re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", rules)
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) == set(COLOURS)
