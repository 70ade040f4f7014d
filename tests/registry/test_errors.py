"""What a reply that refuses says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.registry.errors import decode_errors, named_digests, printable


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"errors":[{"code":"DENIED","message":"no","detail":{"a":1}}]}',
            ['DENIED: no: {"a": 1}'],
        ),
        (
            b'{"errors":[{"code":"UNAUTHORIZED","message":"no","detail":[{"Type":"repository"}]}]}',
            ["UNAUTHORIZED: no"],
        ),
        (b'{"details":"incorrect username or password"}', ["incorrect username or password"]),
        (b'{"error":"invalid_grant","error_description":"old"}', ["invalid_grant: old"]),
        (b"<html><body>busy</body></html>", []),
        (b"\x1b[31mplain\r\ntext", ["[31mplain text"]),
        (b"[]", []),
        (b'{"errors":[1,{}]}', []),
        (b"", []),
        (b"[" * 100_000, ["[" * 199 + "…"]),
    ],
)
def test_error_bodies(body: bytes, expected: list[str]) -> None:
    assert [str(e) for e in decode_errors(body)] == expected


@given(st.binary())
def test_error_bodies_never_fail(body: bytes) -> None:
    for error in decode_errors(body):
        assert str(error).isprintable() or "\u2028" in str(error) or str(error)
        assert "\x1b" not in str(error)
    named_digests(body)


def test_missing_digests_are_found() -> None:
    digest = "sha256:" + "a" * 64
    body = f'{{"errors":[{{"detail":{{"digest":"{digest}"}}}}]}}'.encode()
    assert named_digests(body) == (digest,)


def test_printable_is_one_short_line() -> None:
    assert printable("a\x00\nb\x1b[2J" + "c" * 100, 10) == "a b [2Jcc…"
