"""One exchange: what is sent, what is read, and how it fails."""

from __future__ import annotations

from typing import Any, Iterator

import pytest
from fault_registry import FaultRegistry
from registry_support import FakeTime, StubSession

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryConfig, RegistryError
from ko_pants.registry.connections import Connections
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.messages import TokenServerMessages
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Request, StreamBody, TransferFailure
from ko_pants.registry.steps.exchange import Exchange


class World:
    """The step over real connections to a registry."""

    def __init__(self, registry: FaultRegistry) -> None:
        self.registry = registry
        self.time = FakeTime()
        config = RegistryConfig(
            {}, clock=self.time.clock(), user_agent="tests/1", per_host_connections=1
        )
        self.connections = Connections(config, Redactor())
        self.exchange = Exchange(self.connections, config, Redactor(), TokenServerMessages())
        self.session = StubSession()

    def request(self, method: str, path: str, **more: Any) -> Request:
        ref = Reference(self.registry.host, "app")
        return Request(self.session, method, ref, f"http://{self.registry.host}{path}", **more)


@pytest.fixture
def world(registry: FaultRegistry) -> Iterator[World]:
    world = World(registry)
    yield world
    world.connections.close()


BLOB = "/v2/app/blobs/"


def test_a_request_is_counted_and_has_the_headers_of_the_client(world: World) -> None:
    reply = world.exchange.send(world.request("GET", "/v2/", headers={"Accept": "x"}))
    assert (reply.status, reply.body) == (200, b"{}")
    assert world.session.requests == 1
    (seen,) = world.registry.seen
    headers = {k: v for k, v in seen.headers.items() if k != "Host"}
    assert headers == {"User-Agent": "tests/1", "Accept-Encoding": "identity", "Accept": "x"}


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("POST", None, "0"),
        ("PUT", None, "0"),
        ("PUT", b"abc", "3"),
        ("PATCH", StreamBody(lambda: iter([b"ab", b"cd"]), 4), "4"),
        ("DELETE", None, None),
        ("GET", None, None),
    ],
)
def test_the_length_of_a_body_is_told(
    world: World, method: str, body: bytes | StreamBody | None, length: str | None
) -> None:
    world.exchange.send(world.request(method, "/v2/", body=body))
    assert world.registry.seen[0].headers.get("Content-Length") == length


def test_a_401_or_a_redirect_is_a_reply_like_another(world: World) -> None:
    world.registry.auth = "basic"
    reply = world.exchange.send(world.request("HEAD", "/v2/app/manifests/v1"))
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="tests"'
    world.registry.auth = "none"
    world.registry.fail("GET blob", "redirect to", 1, "https://else.io/")
    assert world.exchange.send(world.request("GET", BLOB + "x")).status == 307
    assert world.session.requests == 2


def test_a_reply_that_is_too_large_is_an_error(world: World) -> None:
    digest = world.registry.put_blob("app", b"x" * 1000)
    assert world.exchange.send(world.request("GET", BLOB + digest, max_reply_bytes=1000)).body == (
        b"x" * 1000
    )
    with pytest.raises(RegistryError, match="it is larger than 999 bytes"):
        world.exchange.send(world.request("GET", BLOB + digest, max_reply_bytes=999))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("reset before", "the connection was"),
        ("short body", "the reply ended"),
        ("wrong length", "the reply ended"),
    ],
)
def test_a_failure_names_who_was_asked(world: World, fault: str, words: str) -> None:
    digest = world.registry.put_blob("app", b"x" * 1000)
    world.registry.fail("GET blob", fault)
    with pytest.raises(TransferFailure, match=words) as caught:
        world.exchange.send(world.request("GET", BLOB + digest))
    assert caught.value.origin == Origin.of(f"http://{world.registry.host}")
    assert not caught.value.connect
    # Its connection and its place among the few were given back.
    assert world.exchange.send(world.request("GET", BLOB + digest)).status == 200


def test_nobody_listens(world: World) -> None:
    world.registry.port = 9
    with pytest.raises(TransferFailure, match="it refuses connections") as caught:
        world.exchange.send(world.request("GET", "/v2/"))
    assert caught.value.connect


def test_a_body_that_cannot_be_read_is_not_a_failure_of_the_network(world: World) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError("disk gone")

    with pytest.raises(KoPantsError, match="cannot read the blob to upload: disk gone"):
        world.exchange.send(world.request("PUT", "/v2/", body=StreamBody(broken, 10)))

    def changed() -> Iterator[bytes]:
        yield b"x"
        raise KoPantsError("the blob changed")

    with pytest.raises(KoPantsError, match="the blob changed"):
        world.exchange.send(world.request("PUT", "/v2/", body=StreamBody(changed, 10)))


def test_a_streamed_reply_holds_a_place_of_its_own_until_it_is_closed(world: World) -> None:
    digest = world.registry.put_blob("app", b"x" * 1000)
    pool = world.connections.pool(Origin.of(f"http://{world.registry.host}"))
    reply = world.exchange.send(world.request("GET", BLOB + digest, stream=True, max_reply_bytes=1))
    assert reply.body == b""
    assert not pool.stream_slots.acquire(blocking=False)
    # Others than streams are not held up by it.
    assert world.exchange.send(world.request("GET", "/v2/")).status == 200
    assert reply.raw.read() == b"x" * 1000
    reply.close()
    reply.close()
    assert pool.stream_slots.acquire(blocking=False)
    pool.stream_slots.release()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_connection_serves_one_request_after_the_other(world: World, method: str) -> None:
    for _ in range(3):
        world.exchange.send(world.request(method, "/v2/app/manifests/v1"))
    assert world.registry.connections == 1


def test_a_part_of_a_blob_is_streamed_too(world: World) -> None:
    digest = world.registry.put_blob("app", b"0123456789")
    reply = world.exchange.send(
        world.request("GET", BLOB + digest, headers={"Range": "bytes=7-"}, stream=True)
    )
    assert (reply.status, reply.body, reply.raw.read()) == (206, b"", b"789")
    reply.close()


def test_a_refusal_of_a_streamed_request_is_read(world: World) -> None:
    reply = world.exchange.send(world.request("GET", BLOB + "sha256:none", stream=True))
    assert reply.status == 404
    assert b"BLOB_UNKNOWN" in reply.body
    assert reply.raw is None


def test_it_waits_as_long_as_the_host_asked_for(world: World) -> None:
    world.connections.pace(Origin.of(f"http://{world.registry.host}")).defer(12)
    world.exchange.send(world.request("GET", "/v2/"))
    assert world.time.slept == [12]


def test_a_silent_host_times_out_as_the_request_says(world: World) -> None:
    world.registry.fail("HEAD manifest", "silent")
    with pytest.raises(TransferFailure, match="timed out"):
        world.exchange.send(world.request("HEAD", "/v2/app/manifests/v1", timeout_seconds=0.05))
