"""Notices: once each, one line, without secrets."""

from __future__ import annotations

import pytest

from ko_pants.registry.endpoints import Origin
from ko_pants.registry.notices import Notices
from ko_pants.registry.redaction import Redactor


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_each_warning_of_each_registry_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(str)
    for _ in range(2):
        notices.warn_of_header("r.io", r'299 - "say \"bye\"", 299 - "two" "date"')
        notices.warn_of_header("else.io", '299 - "two"')
    assert messages(caplog) == [
        'r.io: it warns: say "bye"',
        "r.io: it warns: two",
        "else.io: it warns: two",
    ]


@pytest.mark.parametrize("header", ["", "199 - x", '199 - "other code"', '299 r.io "an agent"'])
def test_other_headers_are_not_shown(caplog: pytest.LogCaptureFixture, header: str) -> None:
    Notices(str).warn_of_header("r.io", header)
    assert messages(caplog) == []


def test_a_flood_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices(str)
    notices.warn_of_header("r.io", ", ".join(f'299 - "{n}"' for n in range(20)))
    assert len(messages(caplog)) == 8
    notices.warn_of_header("r.io", f'299 - "{"x" * 1000}"')
    assert len(messages(caplog)[-1]) == len("r.io: it warns: ") + 300


def test_secrets_are_taken_out(caplog: pytest.LogCaptureFixture) -> None:
    redact = Redactor()
    redact.add(["canary"])
    Notices(redact).warn_of_header("r.io", '299 - "say canary"')
    assert messages(caplog) == ["r.io: it warns: say ***"]


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://r.lan", True), ("https://r.lan", False), ("http://127.0.0.1:5000", False)],
)
def test_unencrypted_credentials(caplog: pytest.LogCaptureFixture, url: str, warned: bool) -> None:
    Notices(str).warn_of_credentials("r.lan", Origin.of(url))
    assert ["unencrypted" in text for text in messages(caplog)] == [True] * warned
