"""Servers whose replies are out of step: no stale tag looks current, whatever they do."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import Callable, Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_support import FakeTime, client_for

from ko_pants import daemon_memory
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.media_types import OCI_MANIFEST
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient
from ko_pants.registry.kept_connections import KeptConnections, OriginConnections, Route

COUNT = 8
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
EXPECTED = [sha256_digest(b"expected %d" % n) for n in range(COUNT)]
FOREIGN = sha256_digest(b"somebody else's")


def reply(digest: str | None) -> bytes:
    """The reply for a tag that names a digest."""
    if digest is None:
        return ABSENT
    return (
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"
        f"Content-Type: {OCI_MANIFEST}\r\nDocker-Content-Digest: {digest}\r\n\r\n"
    ).encode()


@dataclass
class Server:
    """A registry that answers requests which come one by one, and distorts rows of them.

    :param tags: repository -> the digest that its tag names.
    :param distort: from the replies of a row, in order, to what is sent.
    """

    tags: Mapping[str, str | None]
    distort: Callable[[list[bytes]], list[bytes]]
    port: int = 0
    rows: int = 0
    bearer: bool = False
    tokens: int = 0

    def answer(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        with contextlib.suppress(OSError), connection:
            received = b""
            while True:
                data = connection.recv(65536)
                if not data:
                    return
                received += data
                *heads, received = received.split(b"\r\n\r\n")
                replies = [self._reply(head) for head in heads]
                if len(replies) > 1:
                    self.rows += 1
                    wanted, replies = len(replies), self.distort(replies)
                    connection.sendall(b"".join(replies))
                    if len(replies) < wanted:
                        return
                else:
                    connection.sendall(b"".join(replies))

    def _reply(self, head: bytes) -> bytes:
        path = head.split(b" ")[1].decode()
        if path.startswith("/token?"):
            self.tokens += 1
            body = b'{"token": "canary-token", "expires_in": 300}'
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        if self.bearer and b"\r\nAuthorization: Bearer canary-token\r\n" not in head + b"\r\n":
            realm = f"http://127.0.0.1:{self.port}/token"
            return (
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
                f'WWW-Authenticate: Bearer realm="{realm}",service="s"\r\n\r\n'
            ).encode()
        return reply(self.tags.get(path.split("/")[2]))


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=server.answer, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def ask(
    server: Server,
    client: RegistryClient,
    names: Sequence[str] | None = None,
    expected: Sequence[str] = EXPECTED,
) -> list[str | None]:
    """Ask for all tags; returns the names of those that look current, else None."""
    host = f"127.0.0.1:{server.port}"
    names = names or [f"app{n}" for n in range(COUNT)]
    answers = client.head_manifests(
        [
            (client.session(push_to=[Reference(host, name)]), Reference(host, name, "v1"), digest)
            for name, digest in zip(names, expected)
        ]
    )
    return [
        name if answered and found is not None and found.digest == digest else None
        for name, digest, (answered, found) in zip(names, expected, answers)
    ]


def check(
    tags: Sequence[str | None],
    distort: Callable[[list[bytes]], list[bytes]],
    *,
    bearer: bool = False,
) -> None:
    """No tag that names something else looks current, in two runs of a daemon.

    Both have the same connections. The first asks twice.
    """
    server = Server({f"app{n}": tag for n, tag in enumerate(tags)}, distort, bearer=bearer)
    daemon_memory.clear_all()
    with serving(server):
        time = FakeTime()
        kept = kept_connections(time)
        refs = [Reference(f"127.0.0.1:{server.port}", f"app{n}", "v1") for n in range(COUNT)]
        for times in (2, 1):
            client = client_for({}, time, kept=kept)
            client.expect(refs)
            # The first question of a client is asked by the general client.
            client.session().head_manifest(Reference(f"127.0.0.1:{server.port}", "first", "v1"))
            for _ in range(times):
                looks_current = {name for name in ask(server, client) if name}
                is_current = {f"app{n}" for n in range(COUNT) if tags[n] == EXPECTED[n]}
                assert looks_current <= is_current
                time.advance(2)
            client.close()
    assert server.rows > 0


def kept_connections(time: FakeTime) -> KeptConnections:
    """What a daemon keeps from run to run."""
    memory: BoundedMemory[Route, OriginConnections] = BoundedMemory(
        name="tests", bound=4, holds="the connections of a test"
    )
    return KeptConnections(memory, time.clock(), lambda watch: None)


def twice(place: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda replies: replies[: place + 1] + replies[place:]


def without(place: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda replies: replies[:place] + replies[place + 1 :]


def twice_and_without(place: int, dropped: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda replies: without(dropped)(twice(place)(replies))


def inserted(place: int, content: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda replies: [*replies[:place], content, *replies[place:]]


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
DISTORTIONS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "as it should be": lambda replies: replies,
    "reversed": lambda replies: replies[::-1],
    "one place on": lambda replies: replies[-1:] + replies[:-1],
    "one place back": lambda replies: replies[1:] + replies[:1],
    "interleaved": lambda replies: replies[::2] + replies[1::2],
    "all twice": lambda replies: [r for r in replies for _ in range(2)],
    "the row twice": lambda replies: replies + replies,
    "only the first": lambda replies: replies[:1],
    "nothing": lambda replies: [],
    "the first for all": lambda replies: replies[:1] * len(replies),
    "the last for all": lambda replies: replies[-1:] * len(replies),
    "storm of interim replies": inserted(3, INTERIM * 1000),
    "interim replies": inserted(3, INTERIM * 3),
    "103 with a digest": inserted(3, reply(EXPECTED[3]).replace(b"200 OK", b"103 Early Hints")),
    "101": inserted(3, reply(EXPECTED[3]).replace(b"200 OK", b"101 Switching Protocols")),
    "401": inserted(3, b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nWWW-Authenticate: Basic\r\n\r\n"),
    "error with a body": inserted(3, b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}"),
    "bare line feeds": lambda replies: [*replies[:3], replies[3].replace(b"\r", b""), *replies[4:]],
    "merged heads": lambda replies: [
        *replies[:3],
        replies[3][:-4] + b"\n\n" + replies[4],
        *replies[5:],
    ],
    **{f"{n} twice": twice(n) for n in range(COUNT)},
    **{f"without {n}": without(n) for n in range(COUNT)},
    **{f"foreign before {n}": inserted(n, reply(FOREIGN)) for n in (0, 4, COUNT)},
    **{f"absent before {n}": inserted(n, ABSENT) for n in (0, 4, COUNT)},
    **{f"body before {n}": inserted(n, b"{}") for n in (1, 4, COUNT)},
    **{
        f"{n} twice, without {m}": twice_and_without(n, m)
        for n, m in ((0, COUNT), (2, 4), (3, 7), (6, 1))
    },
}

TAGS: dict[str, list[str | None]] = {
    "all current": list(EXPECTED),
    "every second is stale": [
        sha256_digest(b"old %d" % n) if n % 2 else EXPECTED[n] for n in range(COUNT)
    ],
    "every third is absent": [None if n % 3 == 0 else EXPECTED[n] for n in range(COUNT)],
    "one is stale": [
        *EXPECTED[:3],
        sha256_digest(b"old"),
        *EXPECTED[4:],
    ],
    "one names what the next should": [*EXPECTED[:3], EXPECTED[4], *EXPECTED[4:]],
    "each names what the next should": [*EXPECTED[1:], EXPECTED[0]],
}


@pytest.mark.parametrize("bearer", [False, True], ids=["anonymous", "bearer"])
@pytest.mark.parametrize("tags", list(TAGS), ids=list(TAGS))
@pytest.mark.parametrize("distortion", list(DISTORTIONS), ids=list(DISTORTIONS))
def test_no_stale_tag_looks_current(distortion: str, tags: str, bearer: bool) -> None:
    if (distortion, tags) == ("one place on", "each names what the next should"):
        pytest.skip("the one limit: all tags are exchanged, and the replies in the same way")
    check(TAGS[tags], DISTORTIONS[distortion], bearer=bearer)


@settings(deadline=None, max_examples=60)
@given(
    tags=st.lists(
        st.sampled_from([None, FOREIGN, "own", "own", "own"]), min_size=COUNT, max_size=COUNT
    ),
    places=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=2 * COUNT),
    bearer=st.booleans(),
)
def test_replies_in_any_order_and_number(
    tags: list[str | None], places: list[int], bearer: bool
) -> None:
    check(
        [EXPECTED[n] if tag == "own" else tag for n, tag in enumerate(tags)],
        lambda replies: [replies[place] for place in places if place < len(replies)],
        bearer=bearer,
    )


def test_a_row_in_step_counts() -> None:
    server = Server({f"app{n}": digest for n, digest in enumerate(EXPECTED)}, lambda r: r)
    with serving(server):
        client = client_for({})
        assert ask(server, client) == [f"app{n}" for n in range(COUNT)]
        client.close()
    assert server.rows == 1


def test_a_row_with_a_token_counts() -> None:
    server = Server({f"app{n}": d for n, d in enumerate(EXPECTED)}, lambda r: r, bearer=True)
    with serving(server):
        for tokens, rows in ((1, 1), (1, 2)):
            client = client_for({})
            client.expect(
                [Reference(f"127.0.0.1:{server.port}", f"app{n}", "v1") for n in range(COUNT)]
            )
            assert ask(server, client) == [f"app{n}" for n in range(COUNT)]
            client.close()
            assert (server.tokens, server.rows) == (tokens, rows)


def test_two_tags_of_an_image_are_not_asked_in_one_row() -> None:
    expected = EXPECTED[:4] * 2
    names = [f"app{n}" for n in range(4)] + [f"other{n}" for n in range(4)]
    server = Server(dict(zip(names, expected)), lambda replies: twice(2)(replies)[: len(replies)])
    with serving(server):
        # The answer of `app1` for all would be that of `other1`, were they in one row.
        client = client_for({})
        client.session().head_manifest(Reference(f"127.0.0.1:{server.port}", "first", "v1"))
        assert ask(server, client, names, expected) == [None] * COUNT
        client.close()
    assert server.rows == 2


@pytest.mark.parametrize("next_run", [False, True])
def test_a_late_reply_is_seen_before_the_connection_is_used_again(next_run: bool) -> None:
    connections: list[socket.socket] = []

    @dataclass
    class Late(Server):
        def answer(self, connection: socket.socket) -> None:
            connections.append(connection)
            super().answer(connection)

    server = Late({f"app{n}": digest for n, digest in enumerate(EXPECTED)}, lambda r: r)
    with serving(server):
        time = FakeTime()
        kept = kept_connections(time)
        client = client_for({}, time, kept=kept)
        client.session().head_manifest(Reference(f"127.0.0.1:{server.port}", "first", "v1"))
        assert all(ask(server, client))
        assert len(connections) == 2
        if next_run:
            client.close()
            client = client_for({}, time, kept=kept)
            client.session().head_manifest(Reference(f"127.0.0.1:{server.port}", "first", "v1"))
            assert len(connections) == 2
        connections[1].sendall(reply(EXPECTED[0]))
        time.advance(2)
        server.tags = dict.fromkeys(server.tags, FOREIGN)
        assert not any(ask(server, client))
        assert len(connections) == 3
        client.close()
