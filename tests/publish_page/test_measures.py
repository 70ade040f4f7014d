"""Numbers in words."""

from __future__ import annotations

import pytest

from ko_pants.publish_page.measures import counted, seconds_text, size_element
from ko_pants.publishing.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_288, "12.3 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (15_813_000, "15.8 MB"),
        (4_250_000_000, "4.2 GB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_exact_size_is_there_too() -> None:
    assert size_element(1_560_778) == ('<span class="number" title="1,560,778 bytes">1.6 MB</span>')


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.004, "0.00 s"),
        (0.25, "0.25 s"),
        (0.996, "1.0 s"),
        (7.44, "7.4 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (99.6, "1 min 40 s"),
        (119.7, "2 min 00 s"),
        (205.0, "3 min 25 s"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_counts() -> None:
    assert [counted(n, "layer") for n in (0, 1, 2500)] == ["0 layers", "1 layer", "2,500 layers"]
