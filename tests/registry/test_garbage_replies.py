"""Replies that are garbage end in an error of ours, within a bound."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Iterator

import pytest
from registry_support import FakeTime, client_for

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


def test_interim_replies_before_an_answer_do_not_count() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + FOUND + b"\r\n"
    with answering(CONTINUE * 3 + answer) as host:
        client = client_for({})
        found = client.session().head_manifest(Reference(host, "app", "v1"))
        client.close()
    assert found is not None
    assert found.digest == DIGEST
