"""The bytes of a blob on their way: whole, in chunks, resumed, and checked."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import pytest
from fault_registry import FaultRegistry, digest_of
from registry_support import client_for, layer_of, random_bytes

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference


@pytest.mark.parametrize(
    "content", [b"short", b"longer than it was", b"other"], ids=["short", "long", "other"]
)
def test_bytes_that_are_not_those_of_the_descriptor(
    registry: FaultRegistry, content: bytes
) -> None:
    # `long` gives its first bytes only, which have another digest.
    session = client_for({}).session()
    descriptor = Descriptor(media_types.OCI_LAYER_TAR, digest_of(b"0123456"), 7)
    with pytest.raises(KoPantsError) as caught:
        session.push_blob(Reference(registry.host, "app"), descriptor, lambda: io.BytesIO(content))
    assert descriptor.digest in str(caught.value)
    assert not registry.blobs


def test_a_blob_that_cannot_be_opened(registry: FaultRegistry) -> None:
    def gone() -> BinaryIO:
        raise KoPantsError("the layer is gone")

    session = client_for({}).session()
    with pytest.raises(KoPantsError, match="the layer is gone"):
        session.push_blob(Reference(registry.host, "app"), layer_of(b"x"), gone)
    assert session.requests == 3


def _push_large(registry: FaultRegistry, size: int, **settings: Any) -> tuple[bytes, int]:
    """Push in chunks of 64 KiB; returns the content and the bytes that were read to send it."""
    content = random_bytes(size)
    read = [0]

    class Counted(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            data = super().read(count)
            read[0] += len(data)
            return data

    settings = {"chunk_threshold": 1000, "chunk_size": 65536, **settings}
    client = client_for({}, **settings)
    app = Reference(registry.host, "app")
    client.session().push_blob(app, layer_of(content), lambda: Counted(content))
    assert registry.blobs["app", digest_of(content)] == content
    return content, read[0]


def test_a_broken_chunk_is_resumed_and_not_the_blob(registry: FaultRegistry) -> None:
    registry.fail("PATCH upload", "nothing", 3)
    registry.fail("PATCH upload", "reset in body", 1)
    _, read = _push_large(registry, 10 * 65536)
    assert read == 11 * 65536
    assert registry.count("POST upload") == 1


def test_a_chunk_whose_reply_is_lost_is_not_sent_again(registry: FaultRegistry) -> None:
    registry.fail("PATCH upload", "nothing", 3)
    registry.fail("PATCH upload", "reset after", 1)
    _, read = _push_large(registry, 10 * 65536)
    assert read == 10 * 65536


def test_a_large_blob_that_breaks_goes_on_in_chunks(registry: FaultRegistry) -> None:
    registry.fail("PUT upload", "reset in body", 1)
    _push_large(registry, 10 * 65536, chunk_threshold=10**9)
    assert registry.count("PATCH upload") == 10


def test_the_least_size_of_chunks(registry: FaultRegistry) -> None:
    registry.min_chunk = 200_000
    _push_large(registry, 10 * 65536)
    sizes = [int(s.headers["Content-Length"]) for s in registry.seen if s.method == "PATCH"]
    assert sizes == [200_000] * 3 + [55_360]


def test_a_proxy_that_limits_bodies_gets_small_chunks(registry: FaultRegistry) -> None:
    registry.max_body = 1024 * 1024
    _push_large(registry, 3 * 1024 * 1024 + 5, chunk_threshold=10**9, chunk_size=10**8)
    assert registry.count("PATCH upload") == 4
