"""Pushing blobs: reused, mounted, uploaded, resumed."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from fault_registry import FaultRegistry, digest_of
from registry_support import auth_env, client_for, layer_of, never_opened, random_bytes

from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryError


def test_a_blob_that_is_there_is_not_opened(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"layer")
    client = client_for({})
    app = Reference(registry.host, "app")
    session = client.session()
    assert session.push_blob(app, layer_of(b"layer"), never_opened) == "reused"
    assert session.push_blob(app, layer_of(b"layer"), never_opened) == "reused"
    assert session.requests == 1


def test_an_upload_takes_three_requests_or_two_where_it_is_known_to_be_missing(
    registry: FaultRegistry,
) -> None:
    session = client_for({}).session()
    app = Reference(registry.host, "app")
    content = random_bytes(300_000)
    sent: list[int] = []
    opened = session.push_blob(
        app, layer_of(content), lambda: io.BytesIO(content), progress=sent.append
    )
    assert (opened, session.requests) == ("uploaded", 3)
    assert sent[-1] == 300_000
    assert sent == sorted(sent)
    session.push_blob(app, layer_of(b"x"), lambda: io.BytesIO(b"x"), known_missing=True)
    assert session.requests == 5
    session.push_blob(app, layer_of(b""), lambda: io.BytesIO(b""))
    assert registry.blobs["app", digest_of(content)] == content
    assert registry.blobs["app", digest_of(b"")] == b""


@pytest.mark.parametrize("where", ["named by the caller", "pushed by this run"])
def test_a_blob_of_another_repository_is_mounted(registry: FaultRegistry, where: str) -> None:
    registry.auth = "none"
    session = client_for({}).session()
    sources = ["base"]
    registry.put_blob("base", b"layer")
    if where == "pushed by this run":
        base = Reference(registry.host, "base")
        session.push_blob(base, layer_of(b"layer"), never_opened)
        sources = []
    app = Reference(registry.host, "app")
    assert session.push_blob(app, layer_of(b"layer"), never_opened, mount_from=sources) == "mounted"
    assert registry.blobs["app", digest_of(b"layer")] == b"layer"


def test_a_mount_that_becomes_an_upload_uses_its_session(registry: FaultRegistry) -> None:
    registry.mounts = False
    session = client_for({}).session()
    outcome = session.push_blob(
        *(Reference(registry.host, "app"), layer_of(b"layer"), lambda: io.BytesIO(b"layer")),
        mount_from=["base"],
    )
    assert (outcome, session.requests) == ("uploaded", 3)
    assert registry.uploads == {}


def test_upload_sessions_that_are_not_used_are_cancelled(registry: FaultRegistry) -> None:
    registry.put_blob("third", b"layer")
    session = client_for({}).session()
    outcome = session.push_blob(
        *(Reference(registry.host, "app"), layer_of(b"layer"), never_opened),
        mount_from=["first", "second", "third"],
    )
    assert outcome == "mounted"
    assert registry.uploads == {}


def test_a_token_server_that_refuses_the_source_of_a_mount(
    registry: FaultRegistry, tmp_path: Path
) -> None:
    registry.auth = "bearer"
    session = client_for(auth_env(tmp_path, registry.host)).session()
    app = Reference(registry.host, "app")
    session.push_blob(app, layer_of(b"other"), lambda: io.BytesIO(b"other"))
    registry.fail("token", "403", 1, "DENIED")
    outcome = session.push_blob(
        app, layer_of(b"layer"), lambda: io.BytesIO(b"layer"), mount_from=["private"]
    )
    assert outcome == "uploaded"


def test_one_upload_for_many_repositories_at_the_same_time(registry: FaultRegistry) -> None:
    client = client_for({})
    content = random_bytes(200_000)
    barrier = threading.Barrier(12)

    def push(number: int) -> str:
        # Four repositories, three threads each.
        app = Reference(registry.host, f"app{number % 4}")
        barrier.wait()
        return client.session().push_blob(app, layer_of(content), lambda: io.BytesIO(content))

    with ThreadPoolExecutor(12) as pool:
        outcomes = sorted(pool.map(push, range(12)))
    assert outcomes == ["mounted"] * 3 + ["reused"] * 8 + ["uploaded"]
    assert registry.commits[digest_of(content)] == 1
    assert all(registry.blobs[f"app{n}", digest_of(content)] == content for n in range(4))


def test_an_upload_that_fails_fails_for_all_who_wait_and_can_be_tried_again(
    registry: FaultRegistry,
) -> None:
    client = client_for({})
    registry.fail("PUT upload", "403", None)
    app = Reference(registry.host, "app")
    opened = threading.Event()

    def content() -> BinaryIO:
        opened.set()
        return io.BytesIO(b"layer")

    def push(_: int) -> str:
        return client.session().push_blob(app, layer_of(b"layer"), content)

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(push, n) for n in range(4)]
    assert opened.is_set()
    for result in results:
        assert isinstance(result.exception(), RegistryError)
    registry.heal()
    assert push(0) == "uploaded"
