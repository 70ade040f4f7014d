"""HEADs in a row: what counts as an answer, and that all else is left to the usual client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Iterator, Sequence

import pytest
from fault_registry import FaultRegistry
from hypothesis import given
from hypothesis import strategies as st
from real_registry import make_certificate
from registry_support import FakeTime, auth_env, client_for

from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry import pipelined_heads
from ko_pants.registry.client import RegistryClient, RegistryConfig, RegistrySession
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.pipelined_heads import HeadConnection, head_request
from ko_pants.registry.retry import RetryPolicy

OK = b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: sha256:aa\r\ncontent-length: 7\r\n\r\n"
ABSENT = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n"


@contextlib.contextmanager
def server(
    replies: Sequence[bytes],
    requests: int,
    context: ssl.SSLContext | None = None,
    *,
    stays: bool = False,
) -> Iterator[int]:
    """Answers one connection: reads so many requests, sends the pieces, and closes or `stays`."""

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as raw:
            connection = context.wrap_socket(raw, server_side=True) if context else raw
            received = b""
            while received.count(b"\r\n\r\n") < requests:
                received += connection.recv(65536)
            for reply in replies:
                connection.sendall(reply)
            if not stays:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(20)


def ask(replies: Sequence[bytes], requests: int = 3) -> tuple[list[int], bool]:
    """Statuses of the answers, and whether the connection can be used again."""
    with server(replies, requests) as port:
        connection = HeadConnection(Origin("http", "127.0.0.1", port), None, RegistryConfig({}))
        try:
            heads = connection.ask([head_request("/v2/", "h", {})] * requests)
            return [head.status for head in heads], connection.usable
        finally:
            connection.close()


def test_all_are_sent_before_the_first_reply_comes() -> None:
    # The server answers nothing before it has three requests.
    assert ask([OK + ABSENT + OK]) == ([200, 404, 200], True)


@pytest.mark.parametrize(
    ("replies", "statuses"),
    [
        ([OK, b"HTTP/1.1 503 Busy\r\n\r\n", OK], []),
        ([b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n\r\n", OK, OK], []),
        ([b"HTTP/1.1 307 There\r\nLocation: /x\r\n\r\n", OK, OK], []),
        ([OK, OK, CLOSING], [200, 200, 200]),
        ([OK, CLOSING, OK], []),
        ([OK, OK], []),
        ([OK, OK, OK[:-3]], []),
        ([OK, b'{"a body": "that a HEAD has not"}', OK, OK], []),
        ([OK, OK, OK, b"left over"], []),
        ([OK, OK, OK, OK], []),
        ([OK, OK.replace(b"\r\n", b"\n"), OK, OK], []),
        ([OK[:-2] + b"\n", OK, OK], []),
        ([OK, b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", OK], []),
        ([OK, b"HTTP/1.1 200 OK\r\nX: a\rY: b\r\n\r\n", OK], []),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, OK, OK, OK], []),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n", OK, OK, OK], []),
        ([b"HTTP/1.0 200 OK\r\n\r\n", OK, OK], []),
        ([b"HTTP/1.1 200 OK\r\n folded: header\r\n\r\n", OK, OK], []),
        ([b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", OK, OK], []),
        ([b"SSH-2.0-x\r\n\r\n", OK, OK], []),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", OK, OK], []),
        ([b""], []),
    ],
)
def test_what_is_no_plain_answer_ends_it(replies: Sequence[bytes], statuses: list[int]) -> None:
    assert ask([b"".join(replies)]) == (statuses, False)


def test_interim_replies_are_none() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert ask([hints + OK + hints + hints + ABSENT + OK]) == ([200, 404, 200], True)


@given(st.lists(st.integers(1, len(OK + ABSENT + OK) - 1), max_size=8))
def test_where_the_network_cuts_does_not_count(cuts: list[int]) -> None:
    content = OK + ABSENT + OK
    ends = [0, *sorted(set(cuts)), len(content)]
    pieces = [content[start:end] for start, end in zip(ends, ends[1:])]
    assert ask(pieces) == ([200, 404, 200], True)


def test_names_of_headers_are_lower_case_and_repeated_ones_are_joined() -> None:
    reply = b"HTTP/1.1 200 OK\r\nDocker-Content-Digest: a\r\nDOCKER-content-digest:\tb \r\n\r\n"
    with server([reply], 1) as port:
        connection = HeadConnection(Origin("http", "127.0.0.1", port), None, RegistryConfig({}))
        (head,) = connection.ask([head_request("/v2/", "h", {})])
        connection.close()
    assert head.headers == {"docker-content-digest": "a, b"}


def test_no_value_ends_its_line() -> None:
    with pytest.raises(ValueError, match="line break"):
        head_request("/v2/", "h", {"Authorization": "Basic x\r\nHost: elsewhere"})


def test_tls_is_verified(tmp_path: Path) -> None:
    authority, certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(authority))
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
    config = RegistryConfig({})
    with server([OK], 1, context) as port:
        connection = HeadConnection(Origin("https", "127.0.0.1", port), trusting, config)
        assert len(connection.ask([head_request("/v2/", "h", {})])) == 1
        connection.close()
    with server([OK], 1, context) as port, pytest.raises(ssl.SSLCertVerificationError):
        HeadConnection(Origin("https", "127.0.0.1", port), ssl.create_default_context(), config)


# With the client


@pytest.fixture
def registry(registry: FaultRegistry) -> FaultRegistry:
    """A registry with every second of the images that are asked for."""
    for number in range(0, 8, 2):
        registry.put_manifest(f"app{number}", media_types.OCI_MANIFEST, content(number), "v1")
    return registry


def content(number: int) -> bytes:
    return b'{"schemaVersion":2,"layers":[],"number":%d}' % number


def questions(
    client: RegistryClient, registry: FaultRegistry
) -> list[tuple[RegistrySession, Reference, str]]:
    refs = [Reference(registry.host, f"app{number}", "v1") for number in range(8)]
    return [
        (client.session(push_to=[ref]), ref, sha256_digest(content(number)))
        for number, ref in enumerate(refs)
    ]


def one_by_one(
    asked: Sequence[tuple[RegistrySession, Reference, str]],
) -> list[Descriptor | None]:
    return [session.head_manifest(ref) for session, ref, _ in asked]


@pytest.mark.parametrize("auth", ["none", "basic"])
def test_as_many_requests_as_questions(tmp_path: Path, registry: FaultRegistry, auth: str) -> None:
    registry.auth = auth
    client = client_for(auth_env(tmp_path, registry.host))
    asked = questions(client, registry)
    answers = client.head_manifests(asked)
    assert answers == [(True, found) for found in one_by_one(questions(client, registry))]
    assert [bool(found) for _, found in answers] == [True, False] * 4
    # The first one of a run is asked as usual, and tells who is asked for. Where it does not, the
    # first 404 leads to the question whether something is hidden.
    more = [2, 1] if auth == "basic" else [1, 2]
    assert [session.requests for session, _, _ in asked] == more + [1] * 6
    assert len(registry.seen) == sum(session.requests for session, _, _ in asked) + 8


def test_without_a_first_contact_many_threads_make_one(registry: FaultRegistry) -> None:
    client = client_for({})
    found: list[tuple[bool, Descriptor | None]] = []
    barrier = threading.Barrier(4)

    def look() -> None:
        barrier.wait()
        found.extend(client.head_manifests(questions(client, registry)))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 32
    assert all(answered for answered, _ in found)
    assert len(registry.seen) == 32


def test_tokens_are_for_one_repository_each_and_left_to_the_session(
    tmp_path: Path, registry: FaultRegistry
) -> None:
    registry.auth = "bearer"
    client = client_for(auth_env(tmp_path, registry.host))
    asked = questions(client, registry)
    answers = client.head_manifests(asked)
    assert [answered for answered, _ in answers] == [True] + [False] * 7
    assert len(registry.seen) == 3
    assert [bool(found) for found in one_by_one(asked)] == [True, False] * 4


@pytest.mark.parametrize(
    "fault", ["503", "429 seconds", "401 expired", "reset before", "reset after", "no digest"]
)
def test_what_was_not_answered_is_right_when_it_is_asked_again(
    registry: FaultRegistry, fault: str
) -> None:
    client = client_for({})
    assert client.session().head_manifest(Reference(registry.host, "app0", "v1"))
    registry.fail("HEAD manifest", fault)
    asked = questions(client, registry)
    answers = client.head_manifests(asked)
    registry.heal()
    expected = one_by_one(questions(client, registry))
    assert [found for answered, found in answers if answered] == [
        found for (answered, _), found in zip(answers, expected) if answered
    ]
    assert not all(answered for answered, _ in answers) or fault == "401 expired"


def test_a_registry_that_does_not_go_on_is_asked_one_at_a_time(registry: FaultRegistry) -> None:
    client = client_for({})
    assert client.session().head_manifest(Reference(registry.host, "app0", "v1"))
    # Which closes the connection after its reply.
    registry.fail("HEAD manifest", "wrong length")
    client.head_manifests(questions(client, registry))
    before = len(registry.seen)
    answers = client.head_manifests(questions(client, registry))
    assert all(answered for answered, _ in answers)
    assert len(registry.seen) == before + 8
    assert Origin.of(f"http://{registry.host}") in pipelined_heads._without_pipelining


def test_a_server_that_forgets_what_was_sent_in_a_row_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipelined_heads, "_NEXT_REPLY_SECONDS", 0.01)
    with server([OK], 2, stays=True) as port:
        connection = HeadConnection(Origin("http", "127.0.0.1", port), None, RegistryConfig({}))
        heads = connection.ask([head_request("/v2/", "h", {})] * 2)
    assert heads == []
    assert not connection.usable
    assert not connection.pipelines


def test_a_warning_is_shown_once(registry: FaultRegistry, caplog: pytest.LogCaptureFixture) -> None:
    registry.warning = '299 - "moving away"'
    client = client_for({})
    client.head_manifests(questions(client, registry))
    assert [r.getMessage() for r in caplog.records].count(
        f"{registry.host}: it warns: moving away"
    ) == 1


def test_nothing_goes_around_a_proxy(registry: FaultRegistry) -> None:
    client = client_for(
        {"HTTP_PROXY": f"http://{registry.host}"}, insecure_registries=frozenset({"r.lan"})
    )
    ref = Reference("r.lan", "app0", "v1")
    assert client.session().head_manifest(ref)
    assert client.head_manifests([(client.session(), ref, "")] * 2) == [(False, None)] * 2


def test_a_registry_that_does_not_answer_at_first_is_left_to_the_sessions(
    registry: FaultRegistry,
) -> None:
    client = client_for({}, retry=RetryPolicy(attempts=1))
    registry.fail("HEAD manifest", "reset before", None)
    for _ in range(2):
        assert client.head_manifests(questions(client, registry)) == [(False, None)] * 8
    assert len(registry.seen) == 1
    registry.heal()
    assert [bool(found) for found in one_by_one(questions(client, registry))] == [True, False] * 4
    assert all(answered for answered, _ in client.head_manifests(questions(client, registry)))


def test_a_connection_is_used_again_until_the_client_is_closed(registry: FaultRegistry) -> None:
    time = FakeTime()
    client = client_for({}, time)
    for _ in range(3):
        client.head_manifests(questions(client, registry))
        time.advance(2)
    # One of the general client for the first contact, and one for all in a row.
    assert registry.connections == 2
    client.close()
    assert all(answered for answered, _ in client.head_manifests(questions(client, registry)))
    assert registry.connections == 3
    # A late reply to what was just asked would seem to be the answer.
    assert all(answered for answered, _ in client.head_manifests(questions(client, registry)))
    assert registry.connections == 4


def test_no_questions_are_no_requests(registry: FaultRegistry) -> None:
    assert client_for({}).head_manifests([]) == []
