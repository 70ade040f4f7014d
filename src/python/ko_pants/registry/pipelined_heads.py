"""Many HEADs of manifests in a row over one connection: HTTP/1.1 pipelining.

To publish what has not changed takes HEADs and nothing else. For hundreds of images the general
client is most of the cost: urllib3 and http.client take half a millisecond of Python for each, ten
times what this module takes, and wait for a round trip each time. RFC 9112 (9.3.2) lets a client
send idempotent requests without waiting, and the reply to a HEAD has no body, so the end of a reply
is simple to find.

Only simple answers are taken. After anything else (another status, a malformed head, fewer replies
than requests) the question counts as unanswered, and the caller asks again in the usual way.

Nothing else depends on this module but `RegistryClient.head_manifests`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.connections import OriginPool
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.failures import TRANSPORT_ERRORS
from ko_pants.registry.manifests import Manifests, describe_head, manifest_path
from ko_pants.registry.request import Session
from ko_pants.registry.requester import Requester

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: |$)")
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_HEAD_BYTES = 64 * 1024
_ANSWERS = (200, 404)
# Some servers and proxies drop the requests that were sent behind another one. After a first reply,
# this is the longest wait for the next, so that nobody waits for the read timeout to find that out.
_NEXT_REPLY_SECONDS = 5.0

# To find out takes a timeout, so a daemon should do it once.
_without_pipelining: BoundedMemory[Origin, bool] = BoundedMemory(
    name="registries without pipelining",
    bound=256,
    holds="origins that did not answer several requests in a row; they are sent one at a time, "
    "which is right for any registry",
)

#: Whether a question is answered, and the descriptor; None: there is no such manifest.
Answer = Tuple[bool, Optional[Descriptor]]
Question = Tuple[Session, Reference]
_UNANSWERED: Answer = (False, None)


class PipelinedHeads:
    """Asks for many manifests of one registry. Thread-safe.

    It sends no requests for tokens, which are for one repository each.
    """

    def __init__(self, requester: Requester, manifests: Manifests) -> None:
        self._requester = requester
        self._manifests = manifests
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[HeadConnection]] = {}
        requester.on_close(self.close)

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """See `RegistryClient.head_manifests`."""
        if not questions:
            return []
        session, ref = questions[0]
        contact = self._requester.contacts.of(ref.registry)
        answers: list[Answer] = []
        if not contact.known and not contact.failed:
            with contact.first() as mine:
                if mine:
                    # The usual way of a request finds out what the registry is like.
                    answers.append(self._ask_alone(session, ref))
        if not contact.known:
            return answers + [_UNANSWERED] * (len(questions) - len(answers))
        return answers + self._ask_in_a_row(contact.home, questions[len(answers) :])

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            for connections in self._idle.values():
                while connections:
                    connections.pop().close()

    def _ask_alone(self, session: Session, ref: Reference) -> Answer:
        try:
            return True, self._manifests.head(session, ref)
        except RegistryError:
            return _UNANSWERED

    def _ask_in_a_row(self, home: Origin, questions: Sequence[Question]) -> list[Answer]:
        pool = self._requester.connections.pool(home)
        requests = self._requests(home, questions)
        if not requests or pool.proxy is not None:
            return [_UNANSWERED] * len(questions)
        pool.pace.wait()
        with pool.slots:
            try:
                sent, heads = self._exchange(pool, requests)
            except TRANSPORT_ERRORS:
                sent, heads = 0, []
        for session, _ in questions[:sent]:
            session.count()
        answers = [self._answer(head, ref) for head, (_, ref) in zip(heads, questions)]
        return answers + [_UNANSWERED] * (len(questions) - len(answers))

    def _requests(self, home: Origin, questions: Sequence[Question]) -> list[bytes]:
        """The bytes of all requests; none if one needs a token."""
        own = {
            "User-Agent": self._requester.config.user_agent,
            "Accept-Encoding": "identity",
            "Accept": ACCEPT_MANIFESTS,
        }
        requests = []
        for _, ref in questions:
            known, authorization = self._requester.authenticator.authorization_without_request(
                ref.registry, ref.repository
            )
            if not known:
                return []
            headers = own
            if authorization is not None:
                self._requester.notices.warn_of_credentials(ref.registry, home)
                headers = {**own, "Authorization": authorization}
            requests.append(head_request(manifest_path(ref), home.netloc, headers))
        return requests

    def _exchange(self, pool: OriginPool, requests: Sequence[bytes]) -> tuple[int, list[Head]]:
        """Send requests: how many were sent, and the answers before the first that is none.

        :raises Exception: there is no connection: one of `TRANSPORT_ERRORS`.
        :raises KoPantsError: a certificate file is unusable.
        """
        connection = self._connection(pool)
        if connection is None:
            return 0, []
        origin, sent = pool.origin, 0
        heads: list[Head] = []
        while len(heads) < len(requests) and connection.usable:
            end = len(heads) + 1 if origin in _without_pipelining else len(requests)
            batch = requests[len(heads) : end]
            sent += len(batch)
            heads += connection.ask(batch)
        if not connection.pipelines:
            _without_pipelining.put(origin, True)
        if connection.usable:
            with self._lock:
                self._idle.setdefault(origin, []).append(connection)
        return sent, heads

    def _connection(self, pool: OriginPool) -> HeadConnection | None:
        """An idle or a new connection; None if a new one could not verify the server's name."""
        with self._lock:
            idle = self._idle.get(pool.origin)
            if idle:
                return idle.pop()
        context = pool.tls_context() if pool.origin.scheme == "https" else None
        if context is not None and not context.check_hostname:
            return None
        return HeadConnection(pool.origin, context, self._requester.config)

    def _answer(self, head: Head, ref: Reference) -> Answer:
        if "warning" in head.headers:
            self._requester.notices.warn_of_header(ref.registry, head.headers["warning"])
        if head.status == 404:
            return True, None
        descriptor = describe_head(head.headers, ref)
        return descriptor is not None, descriptor


@dataclass(frozen=True)
class Head:
    """The head of a reply; header names are lower case."""

    status: int
    headers: Mapping[str, str]


def head_request(path: str, netloc: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of a HEAD.

    :raises ValueError: a value has a line break in it.
    """
    lines = [f"HEAD {path} HTTP/1.1", f"Host: {netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    content = "\r\n".join(lines)
    if content.count("\n") != len(lines) - 1 or content.count("\r") != len(lines) - 1:
        raise ValueError("line break in a header")
    return content.encode("latin-1") + b"\r\n\r\n"


class HeadConnection:
    """A connection over which only HEADs are sent. Not thread-safe.

    :param context: for https; it verifies certificate and name.
    :raises OSError: it cannot be opened.
    """

    def __init__(
        self, origin: Origin, context: ssl.SSLContext | None, config: RegistryConfig
    ) -> None:
        #: False once it cannot be used again.
        self.usable = True
        #: False if not all requests that were sent in a row were answered.
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
        """Send all of them; returns the answers, in order, up to the first that is not simple."""
        heads: list[Head] = []
        simple = True
        with contextlib.suppress(OSError):
            self._socket.settimeout(self._timeout)
            self._socket.sendall(b"".join(requests))
            while simple and len(heads) < len(requests):
                longest = min(self._timeout, _NEXT_REPLY_SECONDS) if heads else self._timeout
                head = self._read_head(longest)
                if head is None:
                    break
                # RFC 9110, 15.2: any number of interim replies may come before the answer.
                if head.status < 200:
                    continue
                simple = head.status in _ANSWERS
                if simple:
                    heads.append(head)
                    if _closes(head):
                        break
        complete = len(heads) == len(requests)
        self.pipelines = complete or not heads or not simple
        if not complete or _closes(heads[-1]) or self._buffer:
            self.close()
        return heads

    def close(self) -> None:
        """End the connection."""
        self.usable = False
        self._socket.close()

    def _read_head(self, timeout: float) -> Head | None:
        """The next head; None if it does not come within `timeout` seconds, or is malformed."""
        end = self._buffer.find(b"\r\n\r\n")
        until = self._monotonic() + timeout
        while end < 0:
            left = until - self._monotonic()
            if len(self._buffer) > _MAX_HEAD_BYTES or left <= 0:
                return None
            self._socket.settimeout(left)
            received = self._socket.recv(_MAX_HEAD_BYTES)
            if not received:
                return None
            searched = max(0, len(self._buffer) - 3)
            self._buffer += received
            end = self._buffer.find(b"\r\n\r\n", searched)
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return _parse_head(head)


def _parse_head(content: bytes) -> Head | None:
    """The head in `content`; None if it is malformed.

    That includes the body of a server which sends one after the reply to a HEAD.
    """
    first, *lines = content.split(b"\r\n")
    status = _STATUS_LINE.match(first)
    if status is None:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            return None
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1").strip(" \t")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(int(status[1]), headers)


def _closes(head: Head) -> bool:
    return "close" in head.headers.get("connection", "").lower()
