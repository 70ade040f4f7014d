"""Replies that are garbage end in an error of ours, within a bound."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Iterator

import pytest
from fault_registry import ENDPOINTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_support import FakeTime, client_for
from registry_world import World, new_world

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.media_types import OCI_MANIFEST
from ko_pants.oci.reference import Reference
from ko_pants.registry.retry import RetryPolicy

DIGEST = sha256_digest(b"{}")
FOUND = (
    f"Content-Type: {OCI_MANIFEST}\r\nDocker-Content-Digest: {DIGEST}\r\nConnection: close\r\n"
).encode()
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@contextlib.contextmanager
def answering(content: bytes, *, endless: bool = False) -> Iterator[str]:
    """The host of a server that answers every connection with some bytes, once or without end."""

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            connection.sendall(content)
            while endless:
                connection.sendall(content)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


SIZES = ["²", "9" * 5000, "-1", "0x10", "7, 8", "", "1e3"]
REPLIES = {
    **{f"size {size[:8]!r}": f"Content-Length: {size}\r\n".encode() for size in SIZES},
    "no digest": b"Docker-Content-Digest: sha256:\xff\r\nContent-Length: 2\r\n",
    "header without a colon": b"nonsense\r\nContent-Length: 2\r\n",
    "date that is none": b"Retry-After: \xb2\r\nContent-Length: 2\r\n",
    "location that is none": b"Location: http://[::\r\nContent-Length: 2\r\n",
}


@pytest.mark.parametrize("status", ["200 OK", "307 There", "401 No", "429 Wait", "503 Busy"])
@pytest.mark.parametrize("headers", list(REPLIES.values()), ids=list(REPLIES))
def test_headers_that_are_garbage(headers: bytes, status: str) -> None:
    content = f"HTTP/1.1 {status}\r\n".encode() + headers + FOUND + b"\r\n{}"
    with answering(content) as host:
        client = client_for({}, FakeTime(), retry=RetryPolicy(attempts=2))
        ref = Reference(host, "app", "v1")
        with contextlib.suppress(KoPantsError):
            client.session().head_manifest(ref)
        with contextlib.suppress(KoPantsError):
            client.session().get_manifest(ref)
        client.close()


@pytest.mark.parametrize("content", [CONTINUE, b"HTTP/1.1 103 Early Hints\r\n\r\n", b"\r\n", b"x"])
def test_what_does_not_end(content: bytes) -> None:
    with answering(content, endless=True) as host:
        client = client_for({}, FakeTime(), retry=RetryPolicy(attempts=2))
        with pytest.raises(KoPantsError) as raised:
            client.session().head_manifest(Reference(host, "app", "v1"))
        client.close()
    assert host in str(raised.value)


def test_headers_that_nobody_can_parse_give_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + FOUND + b"Content-Length: 2\r\n\xb2: x\r\n\r\n"
    with answering(answer) as host:
        client = client_for({})
        assert client.session().head_manifest(Reference(host, "app", "v1")) is not None
        client.close()
    assert [record for record in caplog.records if record.exc_info] == []


def test_interim_replies_before_an_answer_do_not_count() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + FOUND + b"\r\n"
    with answering(CONTINUE * 3 + answer) as host:
        client = client_for({})
        found = client.session().head_manifest(Reference(host, "app", "v1"))
        client.close()
    assert found is not None
    assert found.digest == DIGEST


NAMES = [
    *("Content-Length", "Content-Type", "Content-Range", "Content-Encoding", "Connection"),
    *("Docker-Content-Digest", "Docker-Upload-UUID", "Link", "Location", "Range", "Retry-After"),
    *("OCI-Chunk-Min-Length", "OCI-Tag", "OCI-Subject", "Transfer-Encoding", "Warning", "Age"),
    *("WWW-Authenticate", "Set-Cookie", "Trailer", "Date", "", " ", "\xb2"),
]
VALUES = [
    *("", "0", "2", "-1", "\xb2", "9" * 5000, "1e9", "0-0", "0-99999999999999999999", "5-1"),
    *("bytes 0-1/2", "bytes \xb2-", "bytes " + "9" * 4400 + "-1/2", "0-" + "9" * 4400),
    *("chunked", "gzip", "identity", "close", "keep-alive", "chunked, chunked"),
    *("sha256:" + "0" * 64, "sha256:", "sha512:" + "0" * 128, DIGEST.upper()),
    *("http://[::", "//", "?", "/v2/../x", "http://127.0.0.1:99999/", "/\xb2", "ftp://x/", ":"),
    *(
        "http://127.0.0.1:1/x",
        "http://%zz/",
        "\x00",
        "a" * 9000,
        "<>; rel=next",
        "</v2/>; rel=next",
    ),
    *("Bearer", 'Bearer realm=""', 'Bearer realm="http://[::"', 'Bearer realm="x', "Basic", "="),
    *('Bearer realm="http://127.0.0.1:1/"', "Bearer realm=\x00", '"' * 999, "Negotiate abc", ","),
    *(
        "Sun, 99 Foo 99999 99:99:99 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00",
    ),
    *("application/json", "application/vnd.oci.image.index.v1+json", "vnd.", ";;;", "*/*"),
]
BODIES = [
    *(
        "",
        "{}",
        "[]",
        "null",
        "nul",
        "\xff\xfe",
        "[" * 5_000,
        '{"errors": 7}',
        '{"a":' + "1" * 5000,
    ),
    *(
        '{"errors": [7, null, {"code": {}, "detail": [1e999, NaN]}]}',
        "1\r\nx\r\n0\r\n\r\n",
        "zz\r\n",
    ),
    *('{"token": 7}', '{"token": "a\\nb"}', '{"token": "t", "expires_in": ' + "9" * 5000 + "}"),
    *('{"schemaVersion": 2, "manifests": [{"digest": 7}]}', '{"mediaType": []}', "9" * 5000),
]
STATUS_LINES = st.one_of(
    st.integers(0, 999).map(lambda status: f"HTTP/1.1 {status} x"),
    st.sampled_from([200, 201, 202, 204, 206, 307, 401, 404]).map(lambda n: f"HTTP/1.1 {n} x"),
    st.sampled_from(["HTTP/1.1 200", "HTTP/2 200 x", "HTTP/0.9", "", "200 OK", "HTTP/1.1 \xb2 x"]),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.one_of(st.sampled_from(VALUES), st.text("a1\xb2,;=", max_size=5))
    ),
    max_size=6,
)
GARBAGE = st.builds(
    lambda line, headers, body: "\r\n".join([line, *map(": ".join, headers), "", body]),
    STATUS_LINES,
    HEADERS,
    st.sampled_from(BODIES),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("auth")) as world:
        yield world


@given(
    endpoint=st.sampled_from(ENDPOINTS),
    garbage=GARBAGE,
    count=st.sampled_from([1, 2, None]),
    auth=st.sampled_from(["none", "basic", "bearer"]),
    hidden=st.sampled_from([0, 403]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_reply_ends_in_success_or_an_error_of_ours(
    world: World, endpoint: str, garbage: str, count: int | None, auth: str, hidden: int
) -> None:
    registry = world.registry
    registry.auth, registry.hides = auth, dict.fromkeys(("GET", "PUT"), hidden)
    registry.tags["app", "v1"] = sha256_digest(world.old.index)
    for key in [key for key in registry.blobs if key[0] == "app"]:
        del registry.blobs[key]
    for content in (world.old.layer, world.old.base_layer, world.old.config):
        registry.put_blob("app", content)
    for content in (world.new.manifest, world.new.index):
        registry.manifests.pop(("app", sha256_digest(content)), None)
    registry.heal()
    seen = len(registry.seen)
    registry.fail(endpoint, "raw", count, garbage)
    client = client_for(
        world.env, FakeTime(), retry=RetryPolicy(attempts=3), read_timeout=0.2, chunk_threshold=0,
        chunk_size=128 * 1024,
    )  # fmt: skip
    try:
        world.publish(client, world.new)
    except KoPantsError:
        registry.heal()
        world.publish(world.client(), world.new)
    else:
        # A registry that says of a write that it was done is believed, as by every client.
        believed = endpoint.startswith(("PUT", "PATCH", "POST")) and " 20" in garbage[:13]
        if believed:
            return
    finally:
        client.close()
    world.check_complete()
    assert len(registry.seen) - seen < 150
