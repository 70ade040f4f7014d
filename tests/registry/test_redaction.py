"""Secrets do not get into text or logs."""

from __future__ import annotations

import logging

import pytest

from ko_pants.registry.redaction import Redactor, redact_urllib3_logs


@pytest.mark.parametrize(
    "text",
    [
        "s3cr3t-pass/word",
        "s3cr3t-pass%2Fword",
        "Authorization: Bearer abcdefghijkl.mnop",
        "https://user:s3cr3t-pass/word@h/x",
        "https://cdn/x?X-Amz-Signature=deadbeef&s3cr3t",
    ],
)
def test_redaction(text: str) -> None:
    redact = Redactor()
    redact.add(["s3cr3t-pass/word"])
    shown = redact(f"it says {text}!")
    for secret in ("s3cr3t", "abcdefghijkl", "deadbeef"):
        assert secret not in shown
    assert shown.startswith("it says ")


def test_queries_do_not_get_into_the_log_of_urllib3(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    redact_urllib3_logs()
    redact_urllib3_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    logger.debug("%s %s", "GET", "/x?signature=deadbeef")
    assert [r.getMessage() for r in caplog.records] == ["GET /x?***"]
    assert len([f for f in logger.filters if type(f).__name__ == "_LogFilter"]) == 1


def test_a_word_of_three_letters_is_no_secret() -> None:
    redact = Redactor()
    redact.add(["abc", ""])
    assert redact("abcd") == "abcd"
