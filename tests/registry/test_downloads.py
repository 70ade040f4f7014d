"""Downloads: resumed, verified, and not in the way of uploads."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_registry import FaultRegistry, digest_of
from registry_support import client_for, layer_of, random_bytes

from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryError


def test_a_download_is_resumed_where_it_broke(registry: FaultRegistry) -> None:
    content = random_bytes(500_000)
    registry.put_blob("app", content)
    registry.fail("GET blob", "reset in body", 3)
    session = client_for({}).session()
    with session.open_blob(Reference(registry.host, "app"), layer_of(content)) as stream:
        assert stream.read() == content
    ranges = [s.headers.get("Range", "") for s in registry.seen]
    assert ranges[0] == ""
    assert all(r.startswith("bytes=") for r in ranges[1:])
    assert session.requests == 4


def test_a_download_is_resumed_without_ranges_too(registry: FaultRegistry) -> None:
    content = random_bytes(500_000)
    registry.put_blob("app", content)
    registry.ranges = False
    registry.fail("GET blob", "short body", 1)
    with (
        client_for({})
        .session()
        .open_blob(Reference(registry.host, "app"), layer_of(content)) as stream
    ):
        assert stream.read() == content


def test_a_client_counts_what_all_of_its_sessions_fetch(registry: FaultRegistry) -> None:
    content = random_bytes(500_000)
    registry.put_blob("app", content)
    client = client_for({})
    repository = Reference(registry.host, "app")
    for _ in range(2):
        assert client.session().get_blob(repository, layer_of(content), 500_000) == content
    assert (client.traffic.requests, client.traffic.fetched_bytes) == (2, 1_000_000)
    # What is sent again is fetched again.
    registry.ranges = False
    registry.fail("GET blob", "reset in body", 1)
    client.session().get_blob(repository, layer_of(content), 500_000)
    assert client.traffic.requests == 4
    assert 1_500_000 < client.traffic.fetched_bytes < 2_000_000


def test_the_last_bytes_of_a_wrong_blob_are_not_handed_out(registry: FaultRegistry) -> None:
    content = random_bytes(500_000)
    registry.blobs["app", digest_of(content)] = content[:-1] + b"\0"
    got: list[bytes] = []
    stream = client_for({}).session().open_blob(Reference(registry.host, "app"), layer_of(content))
    with pytest.raises(RegistryError, match="nothing of this blob was used"):
        got.extend(iter(functools.partial(stream.read1, 65536), b""))  # type: ignore[attr-defined]
    assert 0 < sum(map(len, got)) < len(content)


def test_get_blob_asks_for_nothing_that_is_too_large(registry: FaultRegistry) -> None:
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="expected at most 10"):
        session.get_blob(Reference(registry.host, "app"), layer_of(b"x" * 11), 10)
    assert session.requests == 0


def test_downloads_held_open_do_not_stop_uploads(registry: FaultRegistry) -> None:
    content = random_bytes(300_000)
    registry.put_blob("base", content)
    session = client_for({}, per_host_connections=2).session()
    base, app = Reference(registry.host, "base"), Reference(registry.host, "app")

    def copy(number: int) -> str:
        other = content + bytes([number])
        registry.put_blob("base", other)
        return session.push_blob(
            app, layer_of(other), lambda: session.open_blob(base, layer_of(other))
        )

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(copy, range(6))) == ["uploaded"] * 6
