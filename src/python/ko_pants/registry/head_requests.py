"""Several HEADs in a row over one connection, and then their replies: HTTP/1.1 pipelining.

An unchanged publication is HEADs and nothing else, and for hundreds of images a general client is
most of what it costs: urllib3 and http.client take half a millisecond of Python for each, ten times
what is here, and a round trip. RFC 9112 (9.3.2) lets a client send idempotent requests without
waiting, and a reply to a HEAD has no body, so that nothing has to be known to find the next one.

Only plain answers are taken. Whatever else comes (another status, a malformed head, fewer replies
than requests) is left open, and the caller asks again with the general client.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Mapping, Sequence

from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.endpoints import Origin

_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: |$)")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_HEAD = 64 * 1024
_ANSWERS = (200, 404)
# Seconds that a reply may take once one has come. There are servers and proxies that forget what
# was sent behind a request: nobody shall wait long to find out.
_NEXT_REPLY = 5.0


@dataclass(frozen=True)
class Head:
    """The head of a reply; header names are lower case."""

    status: int
    headers: Mapping[str, str]


def request_head(path: str, netloc: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a HEAD.

    :raises ValueError: a value that would end its line.
    """
    lines = [f"HEAD {path} HTTP/1.1", f"Host: {netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    content = "\r\n".join(lines)
    if content.count("\n") != len(lines) - 1 or content.count("\r") != len(lines) - 1:
        raise ValueError("line break in a header")
    return content.encode("latin-1") + b"\r\n\r\n"


class HeadConnection:
    """A connection that nothing but HEADs goes over.

    :param context: for https; it verifies certificate and name.
    :raises OSError: it cannot be opened.
    """

    def __init__(
        self, origin: Origin, context: ssl.SSLContext | None, config: RegistryConfig
    ) -> None:
        #: False once it cannot be used again.
        self.usable = True
        #: False if what was sent in a row was not answered in a row.
        self.pipelines = True
        self._timeout = config.read_timeout
        self._monotonic = config.clock.monotonic
        self._buffer = b""
        raw = socket.create_connection((origin.host, origin.port), config.connect_timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = raw
        if context is not None:
            try:
                self._socket = context.wrap_socket(raw, server_hostname=origin.host)
            except BaseException:
                raw.close()
                raise

    def ask(self, requests: Sequence[bytes]) -> list[Head]:
        """Send all; the answers that came before the first that is none, in order."""
        heads: list[Head] = []
        plain = True
        with contextlib.suppress(OSError):
            self._socket.settimeout(self._timeout)
            self._socket.sendall(b"".join(requests))
            while plain and len(heads) < len(requests):
                head = self._read_head(min(self._timeout, _NEXT_REPLY) if heads else self._timeout)
                if head is None:
                    break
                # RFC 9110, 15.2: any number of interim replies may come before the answer.
                if head.status < 200:
                    continue
                plain = head.status in _ANSWERS
                if plain:
                    heads.append(head)
                    if _closes(head):
                        break
        complete = len(heads) == len(requests)
        self.pipelines = complete or not heads or not plain
        if not complete or _closes(heads[-1]) or self._buffer:
            self.close()
        return heads

    def close(self) -> None:
        """End it."""
        self.usable = False
        self._socket.close()

    def _read_head(self, timeout: float) -> Head | None:
        end = self._buffer.find(b"\r\n\r\n")
        until = self._monotonic() + timeout
        while end < 0:
            left = until - self._monotonic()
            if len(self._buffer) > _MAX_HEAD or left <= 0:
                return None
            self._socket.settimeout(left)
            received = self._socket.recv(_MAX_HEAD)
            if not received:
                return None
            searched = max(0, len(self._buffer) - 3)
            self._buffer += received
            end = self._buffer.find(b"\r\n\r\n", searched)
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return _parse_head(head)


def _parse_head(content: bytes) -> Head | None:
    """None if it is malformed: also where it is the body of a reply that must not have one."""
    first, *lines = content.split(b"\r\n")
    status = _STATUS.match(first)
    if status is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            return None
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(int(status[1]), headers)


def _closes(head: Head) -> bool:
    return "close" in head.headers.get("connection", "").lower()
