"""Exceptions of the HTTP libraries in words."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl

import pytest
import requests
import urllib3.exceptions

from ko_pants.registry.failures import describe_failure
from ko_pants.registry.request import TransferFailure

POOL: object = None


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self signed"
    return error


class CertificateError(ValueError):
    """As the one of urllib3 1.26."""


@pytest.mark.parametrize(
    ("error", "words", "connect", "permanent", "tls"),
    [
        (untrusted(), "not trusted (self signed)", True, True, False),
        (CertificateError("no match"), "not trusted (no match)", True, True, False),
        (socket.gaierror(-2, "unknown"), "its name does not resolve", True, False, False),
        (ConnectionRefusedError(), "it refuses connections", True, False, False),
        (ssl.SSLError(1, "wrong version"), "TLS failed", False, False, True),
        (requests.ConnectTimeout(), "no answer to a connection attempt", True, False, False),
        (socket.timeout(), "timed out", False, False, False),
        (requests.ReadTimeout(), "timed out", False, False, False),
        (ConnectionResetError(), "the connection was reset", False, False, False),
        (BrokenPipeError(), "the connection was reset", False, False, False),
        # What macOS says.
        (
            OSError(errno.EPROTOTYPE, "Protocol wrong type for socket"),
            "the connection was reset",
            *(False, False, False),
        ),
        (http.client.IncompleteRead(b""), "the reply ended early", False, False, False),
        (OSError(113, "No route to host"), "No route to host", False, False, False),
    ],
)
def test_words(error: BaseException, words: str, connect: bool, permanent: bool, tls: bool) -> None:
    for wrapped in (error, urllib3.exceptions.ProtocolError("aborted", error)):
        found = describe_failure(wrapped, str)
        assert words in str(found)
        assert "proxy" not in str(found)
        assert (found.connect, found.permanent, found.tls) == (connect, permanent, tls)


def test_without_words_the_name_of_the_exception_has_to_do() -> None:
    assert str(describe_failure(http.client.BadStatusLine("x"), str)) == "BadStatusLine"


def test_a_connection_that_is_closed_without_an_answer_was_reset() -> None:
    error = http.client.RemoteDisconnected("closed")
    assert "the connection was reset" in str(describe_failure(error, str))


def proxied(cause: Exception) -> TransferFailure:
    return describe_failure(urllib3.exceptions.ProxyError("cannot connect", cause), str)


def test_a_proxy_is_told_apart() -> None:
    assert str(proxied(ConnectionRefusedError())) == "the proxy: it refuses connections"
    assert str(proxied(OSError(5, "odd"))) == "the proxy: odd"


def test_no_new_connection_means_that_nothing_was_sent() -> None:
    error = urllib3.exceptions.NewConnectionError(POOL, "no")  # type: ignore[arg-type]
    error.__cause__ = OSError(101, "Network is unreachable")
    assert describe_failure(error, str).connect


def test_secrets_are_taken_out() -> None:
    found = describe_failure(OSError(5, "canary"), lambda text: text.replace("canary", "***"))
    assert str(found) == "***"


def test_a_chain_that_leads_to_itself_ends() -> None:
    error = OSError(5, "odd")
    other = ValueError(error)
    error.__context__ = other
    assert str(describe_failure(error, str)) == "odd"
