from __future__ import annotations

import pytest

from ko_pants.golang.string_literal import unquote


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("a/b", "a/b"),
        ("\\141\\x62\\u0063\\U00000064\\\\", "abcd\\"),
        ('\\a\\b\\f\\n\\r\\t\\v\\"', '\a\b\f\n\r\t\v"'),
        ("\\x7f\\177", "\x7f\x7f"),
        ("\\u00ff\\U0010ffff\\ud7ff\\ue000", "\xff\U0010ffff\ud7ff\ue000"),
        # Not an escape of a path: a byte beyond ASCII, half a surrogate pair, beyond Unicode.
        ("\\x80", None),
        ("\\200", None),
        ("\\xff", None),
        ("\\ud800", None),
        ("\\udfff", None),
        ("\\U00110000", None),
        # Go knows no such escape.
        ("\\q", None),
        ("\\'", None),
        ("\\", None),
        ("\\x4", None),
        ("\\08", None),
        ("\\u123", None),
        ("\\qa\\n", None),
    ],
)
def test_unquote(text: str, value: str | None) -> None:
    assert unquote(text) == value
