"""What an exception of the HTTP libraries means, in words for the user."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from typing import Callable, Iterator

import requests
import urllib3.exceptions

from ko_pants.registry.request import TransferFailure

#: What requests, urllib3 and http.client raise when a connection cannot be made or breaks.
TRANSPORT_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
)

_TIMEOUTS = (TimeoutError, socket.timeout, requests.Timeout, urllib3.exceptions.ReadTimeoutError)


def describe_failure(error: BaseException, redact: Callable[[str], str]) -> TransferFailure:
    """The failure for one of `TRANSPORT_ERRORS`, with a text that a user understands.

    :param redact: takes secrets out of a text.
    """
    chain = tuple(_causes(error))
    untrusted = _untrusted_certificate(chain)
    if untrusted is not None:
        return untrusted
    proxied = any(isinstance(c, urllib3.exceptions.ProxyError) for c in chain)
    via = "the proxy: " if proxied else ""
    for describe in (_no_connection, _broken_connection):
        for cause in chain:
            found = describe(cause, via)
            if found is not None:
                return found
    text = next((c.strerror for c in chain if isinstance(c, OSError) and c.strerror), "")
    reason = redact(text or type(error).__name__)
    return TransferFailure(f"{via}{reason}")


def _untrusted_certificate(chain: tuple[BaseException, ...]) -> TransferFailure | None:
    for cause in chain:
        verified = getattr(cause, "verify_message", "")
        # urllib3 1.26 has an exception of its own for a wrong name.
        if verified or type(cause).__name__ == "CertificateError":
            return TransferFailure(
                f"its certificate is not trusted ({verified or cause}); name the authority "
                "in `ca_certs_path` or put it into certs.d",
                connect=True,
                permanent=True,
            )
    return None


def _no_connection(cause: BaseException, via: str) -> TransferFailure | None:
    if isinstance(cause, socket.gaierror):
        return TransferFailure(f"{via}its name does not resolve", connect=True)
    if isinstance(cause, ConnectionRefusedError):
        return TransferFailure(f"{via}it refuses connections", connect=True)
    if isinstance(cause, ssl.SSLError):
        return TransferFailure(
            f"{via}TLS failed ({getattr(cause, 'reason', None) or cause})", tls=True
        )
    return None


def _broken_connection(cause: BaseException, via: str) -> TransferFailure | None:
    if isinstance(cause, (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)):
        return TransferFailure(f"{via}no answer to a connection attempt", connect=True)
    if isinstance(cause, _TIMEOUTS):
        return TransferFailure(f"{via}timed out")
    # macOS says EPROTOTYPE where the other end closes the connection at the same moment.
    closing = isinstance(cause, OSError) and cause.errno == errno.EPROTOTYPE
    if closing or isinstance(cause, (ConnectionResetError, BrokenPipeError)):
        return TransferFailure(f"{via}the connection was reset")
    if isinstance(cause, http.client.RemoteDisconnected):
        return TransferFailure(f"{via}the connection was closed without an answer")
    if isinstance(cause, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
        return TransferFailure(f"{via}the reply ended early")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and everything in it: requests and urllib3 hide causes in args and `reason`."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        todo += [c for c in inner if isinstance(c, BaseException)]
