"""Many HEADs of manifests in a row over one connection: HTTP/1.1 pipelining.

To publish what has not changed takes HEADs and nothing else. For hundreds of images the general
client is most of the cost: urllib3 and http.client take half a millisecond of Python for each, ten
times what this module takes, and wait for a round trip each time. RFC 9112 (9.3.2) lets a client
send idempotent requests without waiting, and the reply to a HEAD has no body, so the end of a reply
is simple to find.

A reply does not say which request it answers; its place does. So a server or a proxy that answers
twice, not at all or unasked would give a tag the answer of another tag. Such a shift must never
make a stale tag look current:

* No two questions of a row expect the same digest, so the answer of a current tag is never what
  another tag is expected to have.
* A row counts only as a whole: as many simple replies as requests, and not a byte more. It does not
  count either if two of its tags have the same digest, or one has what another is expected to have.
* A connection with bytes that nobody asked for is not used again, in this run or the next. One that
  has just been asked about a digest is not asked about that digest again at once, as a late reply
  may be under way.

The questions of a row that does not count are unanswered: the caller asks again in the usual way.
One case is left: the tags of a row name each other's images, and the server exchanges its replies
in exactly the same way.

Nothing else depends on this module but `RegistryClient.head_manifests`.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence, Tuple

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry import socket_options
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.connections import OriginPool
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.failures import TRANSPORT_ERRORS
from ko_pants.registry.kept_connections import OriginConnections
from ko_pants.registry.manifests import (
    DIGEST_HEADER,
    Manifests,
    describe_head,
    manifest_path,
)
from ko_pants.registry.request import Reply, Session
from ko_pants.registry.requester import Requester

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: |$)")
_HEADER_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_HEAD_BYTES = 64 * 1024
_ANSWERS = (200, 404)
# Some servers and proxies drop the requests that were sent behind another one. After a first reply,
# this is the longest wait for the next, so that nobody waits for the read timeout to find that out.
_NEXT_REPLY_SECONDS = 5.0
# So long a late reply may be under way. When it has come, it is seen before the next request.
_LATE_REPLY_SECONDS = 1.0
# RFC 9110, 15.2: any number of interim replies may come before the answer. After so many there is
# none to be expected.
_MAX_INTERIM_REPLIES = 8
_SWITCHING_PROTOCOLS = 101

# To find out takes a timeout, so a daemon should do it once.
_without_pipelining: BoundedMemory[Origin, bool] = BoundedMemory(
    name="registries without pipelining",
    bound=256,
    holds="origins that did not answer several requests in a row; they are sent one at a time, "
    "which is right for any registry",
)

#: Whether a question is answered, and the descriptor; None: there is no such manifest.
Answer = Tuple[bool, Optional[Descriptor]]
#: What is asked, and the digest that is expected.
Question = Tuple[Session, Reference, str]
_UNANSWERED: Answer = (False, None)


class PipelinedHeads:
    """Asks for many manifests of one registry. Thread-safe.

    It asks for a token that several repositories need, and for no other.
    """

    def __init__(self, requester: Requester, manifests: Manifests) -> None:
        self._requester = requester
        self._manifests = manifests

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """See `RegistryClient.head_manifests`."""
        if not questions:
            return []
        session, ref, _ = questions[0]
        contact = self._requester.contacts.of(ref.registry)
        answers: list[Answer] = []
        if not contact.known and not contact.failed:
            with contact.first() as mine:
                if mine:
                    # The usual way of a request finds out what the registry is like.
                    answers.append(self._ask_alone(session, ref))
        if not contact.known:
            return answers + [_UNANSWERED] * (len(questions) - len(answers))
        return answers + self._ask_in_rows(contact.home, questions[len(answers) :])

    def _ask_alone(self, session: Session, ref: Reference) -> Answer:
        try:
            return True, self._manifests.head(session, ref, forbidden_is_absent=True)
        except RegistryError:
            return _UNANSWERED

    def _ask_in_rows(self, home: Origin, questions: Sequence[Question]) -> list[Answer]:
        answers = [_UNANSWERED] * len(questions)
        for row in _rows([expected for _, _, expected in questions]):
            found = self._ask_in_a_row(home, [questions[place] for place in row])
            for place, answer in zip(row, found):
                answers[place] = answer
        return answers

    def _ask_in_a_row(self, home: Origin, questions: Sequence[Question]) -> list[Answer]:
        pool = self._requester.connections.pool(home)
        if pool.proxy is not None:
            return [_UNANSWERED] * len(questions)
        requests = self._requests(home, questions)
        known = [place for place, request in enumerate(requests) if request is not None]
        answers = [_UNANSWERED] * len(questions)
        if known:
            row = [questions[place] for place in known]
            found = self._ask_all(pool, row, [r for r in requests if r is not None])
            for place, answer in zip(known, found):
                answers[place] = answer
        return answers

    def _ask_all(
        self, pool: OriginPool, questions: Sequence[Question], requests: Sequence[_Request]
    ) -> list[Answer]:
        expected = [digest for _, _, digest in questions]
        contact = self._requester.contacts.of(questions[0][1].registry)
        anonymous = contact.challenge is None
        pool.pace.wait()
        with pool.slots:
            try:
                sent, heads = self._exchange(pool, requests, frozenset(expected))
            except TRANSPORT_ERRORS:
                sent, heads = 0, []
        for session, _, _ in questions[:sent]:
            session.count()
        digests = [head.headers.get(DIGEST_HEADER, "") for head in heads]
        if not _in_step(digests, expected):
            return [_UNANSWERED] * len(questions)
        if anonymous and self._hides(questions, heads):
            heads = []
        if heads:
            contact.confirm()
        answers = [self._answer(head, ref) for head, (_, ref, _) in zip(heads, questions)]
        return answers + [_UNANSWERED] * (len(questions) - len(answers))

    def _hides(self, questions: Sequence[Question], heads: Sequence[Head]) -> bool:
        """True if a 404 of the row may mean that the registry wants to know who asks."""
        session, ref, _ = questions[0]
        return any(head.status == 404 for head in heads) and self._requester.api_root.challenges(
            session, ref, 404, push=True
        )

    def _requests(self, home: Origin, questions: Sequence[Question]) -> list[_Request | None]:
        """Each request; None for one that needs a token of its own."""
        own = {
            "User-Agent": self._requester.config.user_agent,
            "Accept-Encoding": "identity",
            "Accept": ACCEPT_MANIFESTS,
        }
        requests: list[_Request | None] = []
        for session, ref, _ in questions:
            known, authorization = self._requester.authenticator.authorization_in_a_row(
                session, ref
            )
            if not known:
                requests.append(None)
                continue
            headers = own
            if authorization is not None:
                self._requester.notices.warn_of_credentials(ref.registry, home)
                headers = {**own, "Authorization": authorization}
            content = head_request(manifest_path(ref), home.netloc, headers)
            requests.append(_Request(content, ref.registry, authorization))
        return requests

    def _exchange(
        self, pool: OriginPool, requests: Sequence[_Request], expected: frozenset[str]
    ) -> tuple[int, list[Head]]:
        """Send requests: how many were sent, and the answers before the first that is none.

        :raises Exception: there is no connection: one of `TRANSPORT_ERRORS`.
        :raises KoPantsError: a certificate file is unusable.
        """
        connections = pool.connections()
        connection = _idle_connection(connections, expected)
        if connection is not None:
            of_this_run = connection.run is connections.run
            sent, heads = self._ask_over(connection, connections, requests, expected)
            if of_this_run or heads or connection.heard:
                pool.note_use(connections)
                return sent, heads
            # It has ended since the last run, which is no failure of the server.
        context = connections.route.tls
        if context is not None and not context.check_hostname:
            # It could not verify the server's name.
            return 0, []
        connection = HeadConnection(pool.origin, context, self._requester.config)
        exchanged = self._ask_over(connection, connections, requests, expected)
        pool.note_use(connections)
        return exchanged

    def _ask_over(
        self,
        connection: HeadConnection,
        connections: OriginConnections,
        requests: Sequence[_Request],
        expected: frozenset[str],
    ) -> tuple[int, list[Head]]:
        """See `_exchange`; a connection that can be used again becomes one of the idle ones."""
        origin, sent = connections.route.origin, 0
        heads: list[Head] = []
        while len(heads) < len(requests) and connection.usable:
            end = len(heads) + 1 if origin in _without_pipelining else len(requests)
            batch = requests[len(heads) : end]
            sent += len(batch)
            heads += connection.ask([request.content for request in batch])
        if connection.refusal is not None:
            self._note_refusal(requests, connection.refusal)
        if not connection.pipelines:
            _without_pipelining.put(origin, True)
        if connection.usable:
            connection.note(expected, connections.run)
            with connections.lock:
                connections.heads.append(connection)
                most = self._requester.config.per_host_connections
                oldest, connections.heads = connections.heads[:-most], connections.heads[-most:]
            for each in oldest:
                each.close()
        return sent, heads

    def _note_refusal(self, requests: Sequence[_Request], refusal: Head) -> None:
        """After a 401 in a row: it may be the answer to any request, but it is the registry's."""
        challenge = {"WWW-Authenticate": refusal.headers.get("www-authenticate", "")}
        contact = self._requester.contacts.of(requests[0].registry)
        contact.note_challenge(Reply(refusal.status, challenge, contact.base_url))
        for registry, value in {(r.registry, r.authorization) for r in requests}:
            if value is not None:
                self._requester.authenticator.forget_recalled(registry, value)

    def _answer(self, head: Head, ref: Reference) -> Answer:
        if "warning" in head.headers:
            self._requester.notices.warn_of_header(ref.registry, head.headers["warning"])
        if head.status == 404:
            return True, None
        descriptor = describe_head(head.headers, ref)
        return descriptor is not None, descriptor


def _idle_connection(
    connections: OriginConnections, expected: frozenset[str]
) -> HeadConnection | None:
    """The idle connection that was used last, and that may be asked this."""
    while True:
        with connections.lock:
            usable = [c for c in reversed(_heads(connections)) if c.may_be_asked(expected)]
            if not usable:
                return None
            connections.heads.remove(usable[0])
        if usable[0].is_quiet():
            if usable[0].run is not connections.run:
                usable[0].distrust()
            return usable[0]
        usable[0].close()


def _heads(connections: OriginConnections) -> list[HeadConnection]:
    return [line for line in connections.heads if isinstance(line, HeadConnection)]


def _rows(expected: Sequence[str]) -> list[list[int]]:
    """The places of the questions, in rows in which every digest is expected once."""
    rows: list[list[int]] = []
    seen: dict[str, int] = {}
    for place, digest in enumerate(expected):
        number = seen[digest] = seen.get(digest, -1) + 1
        if number == len(rows):
            rows.append([])
        rows[number].append(place)
    return rows


def _in_step(digests: Sequence[str], expected: Sequence[str]) -> bool:
    """False if an answer may be that of another question of the row.

    :param digests: those of the answers; empty where there is none.
    """
    given = [digest for digest in digests if digest]
    wanted = set(expected)
    return len(given) == len(set(given)) and all(
        digest == own or digest not in wanted for digest, own in zip(digests, expected)
    )


@dataclass(frozen=True)
class _Request:
    """The bytes of a HEAD of a registry, and what is in its `Authorization`."""

    content: bytes = field(repr=False)
    registry: str
    authorization: str | None = field(repr=False)


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
        #: A reply that wants to know who asks, if one came.
        self.refusal: Head | None = None
        self._timeout = config.read_timeout
        self._monotonic = config.clock.monotonic
        self._buffer = b""
        self._asked_about: frozenset[str] = frozenset()
        #: When it was used last (`Clock.monotonic`).
        self.used_at = 0.0
        #: The run that has used it last; see `OriginConnections.run`.
        self.run: object = None
        #: True if something came since the last requests.
        self.heard = False
        raw = socket.create_connection((origin.host, origin.port), config.connect_timeout)
        socket_options.set_options(raw)
        self._socket: socket.socket = raw
        if context is not None:
            try:
                self._socket = context.wrap_socket(raw, server_hostname=origin.host)
            except BaseException:
                raw.close()
                raise

    def may_be_asked(self, expected: frozenset[str]) -> bool:
        """False if a late reply to an earlier question could answer one of these."""
        rested = self._monotonic() - self.used_at >= _LATE_REPLY_SECONDS
        return rested or self._asked_about.isdisjoint(expected)

    def note(self, expected: frozenset[str], run: object) -> None:
        """Remember what the last row asked about, and in which run."""
        self._asked_about = expected
        self.used_at = self._monotonic()
        if run is not self.run:
            socket_options.trust(self._socket)
        self.run = run

    def distrust(self) -> None:
        """Find out in seconds if the other end is gone. For a connection of an earlier run."""
        socket_options.distrust(self._socket)

    def is_quiet(self) -> bool:
        """True if it is open, and nothing came that was not asked for."""
        if self._buffer:
            return False
        try:
            self._socket.settimeout(0)
            # Not select(): over TLS there may be records that hold nothing for us.
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def ask(self, requests: Sequence[bytes]) -> list[Head]:
        """Send all of them; returns the answers, in order.

        There are none if they are not all simple, or are not the last that came. A connection that
        may be out of step is closed.
        """
        heads: list[Head] = []
        simple = True
        self.heard = False
        with contextlib.suppress(OSError):
            if self.is_quiet():
                self._socket.settimeout(self._timeout)
                self._socket.sendall(b"".join(requests))
                while simple and len(heads) < len(requests):
                    head = self._read_answer(is_first=not heads)
                    if head is None:
                        break
                    simple = head.status in _ANSWERS
                    self.refusal = head if head.status == 401 else None
                    if simple:
                        heads.append(head)
                        if _closes(head):
                            break
        clean = len(heads) == len(requests) and not self._buffer
        self.pipelines = clean or not heads or not simple
        if not clean or _closes(heads[-1]):
            self.close()
        return heads if clean else []

    def close(self) -> None:
        """End the connection."""
        self.usable = False
        self._socket.close()

    def _read_answer(self, *, is_first: bool) -> Head | None:
        """The next head that is no interim reply; None if there is none in time."""
        for _ in range(1 + _MAX_INTERIM_REPLIES):
            head = self._read_head(
                self._timeout if is_first else min(self._timeout, _NEXT_REPLY_SECONDS)
            )
            if head is None or head.status >= 200 or head.status == _SWITCHING_PROTOCOLS:
                return head
        return None

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
            self.heard = True
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
    if any(c in line for line in (first, *lines) for c in (b"\r", b"\n", b"\0")):
        return None
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
