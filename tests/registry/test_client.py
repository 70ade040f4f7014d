"""What the client does with a registry that behaves, each in its own way."""

from __future__ import annotations

import functools
import io
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterator

import pytest
from fault_registry import FaultRegistry, digest_of, fault_registry
from registry_support import FakeTime, auth_env, client_for, descriptor_of

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry import tls
from ko_pants.registry.client import MissingBlobsError, RegistryError
from ko_pants.registry.retry import RetryPolicy


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def _bytes(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).getrandbits(8 * size).to_bytes(size, "big")


def _blob(content: bytes) -> Descriptor:
    return descriptor_of(content, media_types.OCI_LAYER_TAR)


def _manifest(*layers: bytes, **more: Any) -> tuple[Descriptor, bytes]:
    obj = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor_of(b"{}", media_types.OCI_EMPTY).to_json(),
        "layers": [_blob(layer).to_json() for layer in layers],
        **more,
    }
    content = json.dumps(obj).encode()
    return descriptor_of(content, media_types.OCI_MANIFEST), content


def _never() -> BinaryIO:
    raise AssertionError("the bytes were asked for")


# Blobs


def test_a_blob_that_is_there_is_not_opened(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"layer")
    client = client_for({})
    app = Reference(registry.host, "app")
    session = client.session()
    assert session.push_blob(app, _blob(b"layer"), _never) == "reused"
    assert session.push_blob(app, _blob(b"layer"), _never) == "reused"
    assert session.requests == 1


def test_an_upload_takes_three_requests_or_two_where_it_is_known_to_be_missing(
    registry: FaultRegistry,
) -> None:
    session = client_for({}).session()
    app = Reference(registry.host, "app")
    content = _bytes(300_000)
    sent: list[int] = []
    opened = session.push_blob(
        app, _blob(content), lambda: io.BytesIO(content), progress=sent.append
    )
    assert (opened, session.requests) == ("uploaded", 3)
    assert sent[-1] == 300_000
    assert sent == sorted(sent)
    session.push_blob(app, _blob(b"x"), lambda: io.BytesIO(b"x"), known_missing=True)
    assert session.requests == 5
    session.push_blob(app, _blob(b""), lambda: io.BytesIO(b""))
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
        session.push_blob(base, _blob(b"layer"), _never)
        sources = []
    app = Reference(registry.host, "app")
    assert session.push_blob(app, _blob(b"layer"), _never, mount_from=sources) == "mounted"
    assert registry.blobs["app", digest_of(b"layer")] == b"layer"


def test_a_mount_that_becomes_an_upload_uses_its_session(registry: FaultRegistry) -> None:
    registry.mounts = False
    session = client_for({}).session()
    outcome = session.push_blob(
        *(Reference(registry.host, "app"), _blob(b"layer"), lambda: io.BytesIO(b"layer")),
        mount_from=["base"],
    )
    assert (outcome, session.requests) == ("uploaded", 3)
    assert registry.uploads == {}


def test_upload_sessions_that_are_not_used_are_cancelled(registry: FaultRegistry) -> None:
    registry.put_blob("third", b"layer")
    session = client_for({}).session()
    outcome = session.push_blob(
        *(Reference(registry.host, "app"), _blob(b"layer"), _never),
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
    session.push_blob(app, _blob(b"other"), lambda: io.BytesIO(b"other"))
    registry.fail("token", "403", 1, "DENIED")
    outcome = session.push_blob(
        app, _blob(b"layer"), lambda: io.BytesIO(b"layer"), mount_from=["private"]
    )
    assert outcome == "uploaded"


def test_one_upload_for_many_repositories_at_the_same_time(registry: FaultRegistry) -> None:
    client = client_for({})
    content = _bytes(200_000)
    barrier = threading.Barrier(12)

    def push(number: int) -> str:
        # Four repositories, three threads each.
        app = Reference(registry.host, f"app{number % 4}")
        barrier.wait()
        return client.session().push_blob(app, _blob(content), lambda: io.BytesIO(content))

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
        return client.session().push_blob(app, _blob(b"layer"), content)

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(push, n) for n in range(4)]
    assert opened.is_set()
    for result in results:
        assert isinstance(result.exception(), RegistryError)
    registry.heal()
    assert push(0) == "uploaded"


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
        session.push_blob(Reference(registry.host, "app"), _blob(b"x"), gone)
    assert session.requests == 3


def _push_large(registry: FaultRegistry, size: int, **settings: Any) -> tuple[bytes, int]:
    """Push in chunks of 64 KiB; returns the content and the bytes that were read to send it."""
    content = _bytes(size)
    read = [0]

    class Counted(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            data = super().read(count)
            read[0] += len(data)
            return data

    settings = {"chunk_threshold": 1000, "chunk_size": 65536, **settings}
    client = client_for({}, **settings)
    app = Reference(registry.host, "app")
    client.session().push_blob(app, _blob(content), lambda: Counted(content))
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


def test_a_download_is_resumed_where_it_broke(registry: FaultRegistry) -> None:
    content = _bytes(500_000)
    registry.put_blob("app", content)
    registry.fail("GET blob", "reset in body", 3)
    session = client_for({}).session()
    with session.open_blob(Reference(registry.host, "app"), _blob(content)) as stream:
        assert stream.read() == content
    ranges = [s.headers.get("Range", "") for s in registry.seen]
    assert ranges[0] == ""
    assert all(r.startswith("bytes=") for r in ranges[1:])
    assert session.requests == 4


def test_a_download_is_resumed_without_ranges_too(registry: FaultRegistry) -> None:
    content = _bytes(500_000)
    registry.put_blob("app", content)
    registry.ranges = False
    registry.fail("GET blob", "short body", 1)
    with (
        client_for({})
        .session()
        .open_blob(Reference(registry.host, "app"), _blob(content)) as stream
    ):
        assert stream.read() == content


def test_the_last_bytes_of_a_wrong_blob_are_not_handed_out(registry: FaultRegistry) -> None:
    content = _bytes(500_000)
    registry.blobs["app", digest_of(content)] = content[:-1] + b"\0"
    got: list[bytes] = []
    stream = client_for({}).session().open_blob(Reference(registry.host, "app"), _blob(content))
    with pytest.raises(RegistryError, match="nothing of this blob was used"):
        got.extend(iter(functools.partial(stream.read1, 65536), b""))  # type: ignore[attr-defined]
    assert 0 < sum(map(len, got)) < len(content)


def test_get_blob_asks_for_nothing_that_is_too_large(registry: FaultRegistry) -> None:
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="expected at most 10"):
        session.get_blob(Reference(registry.host, "app"), _blob(b"x" * 11), 10)
    assert session.requests == 0


def test_downloads_held_open_do_not_stop_uploads(registry: FaultRegistry) -> None:
    content = _bytes(300_000)
    registry.put_blob("base", content)
    session = client_for({}, per_host_connections=2).session()
    base, app = Reference(registry.host, "base"), Reference(registry.host, "app")

    def copy(number: int) -> str:
        other = content + bytes([number])
        registry.put_blob("base", other)
        return session.push_blob(app, _blob(other), lambda: session.open_blob(base, _blob(other)))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(copy, range(6))) == ["uploaded"] * 6


# Manifests and tags


def test_an_unchanged_image_costs_one_request(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"{}")
    descriptor, content = _manifest()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    session = client_for({}).session()
    assert session.head_manifest(Reference(registry.host, "app", "v1")) == descriptor
    assert session.requests == 1
    assert session.head_manifest(Reference(registry.host, "app", "v2")) is None


def test_head_without_a_digest_falls_back_to_get(registry: FaultRegistry) -> None:
    descriptor, content = _manifest()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    registry.head_digest = False
    session = client_for({}).session()
    assert session.head_manifest(Reference(registry.host, "app", "v1")) == descriptor
    assert session.requests == 2


def test_a_manifest_served_as_json_says_itself_what_it_is(registry: FaultRegistry) -> None:
    descriptor, content = _manifest()
    registry.put_manifest("app", "application/json; charset=utf-8", content, "v1")
    assert client_for({}).session().head_manifest(Reference(registry.host, "app", "v1")) == (
        descriptor
    )


@pytest.mark.parametrize(
    ("media_type", "content", "message"),
    [
        ("text/html", b"<html>welcome</html>", "sent no manifest"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "schema 1"),
    ],
)
def test_what_is_no_manifest(
    registry: FaultRegistry, media_type: str, content: bytes, message: str
) -> None:
    registry.put_manifest("app", media_type, content, "v1")
    with pytest.raises(RegistryError, match=message):
        client_for({}).session().get_manifest(Reference(registry.host, "app", "v1"))


@pytest.mark.parametrize(
    ("oci_tag", "puts"),
    [(True, ["digest?tag=a&tag=b"]), (False, ["digest?tag=a&tag=b", "a", "b"])],
)
def test_several_tags(registry: FaultRegistry, oci_tag: bool, puts: list[str]) -> None:
    registry.oci_tag = oci_tag
    registry.put_blob("app", b"{}")
    descriptor, content = _manifest()
    client = client_for({})
    client.session().put_manifest(Reference(registry.host, "app", "a"), descriptor, content, ["b"])
    assert registry.tags == {("app", "a"): descriptor.digest, ("app", "b"): descriptor.digest}
    paths = [s.path.rpartition("/")[2].replace(descriptor.digest, "digest") for s in registry.seen]
    assert paths == puts
    # What was learnt is used the next time: no more tries with a registry that ignores `?tag=`.
    before = len(registry.seen)
    client.session().put_manifest(Reference(registry.host, "app", "c"), descriptor, content, ["d"])
    assert len(registry.seen) - before == (1 if oci_tag else 2)


def test_an_immutable_tag_at_the_right_digest_is_a_success(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"{}")
    registry.immutable_tags = True
    app = Reference(registry.host, "app", "v1")
    session = client_for({}).session()
    descriptor, content = _manifest()
    session.put_manifest(app, descriptor, content)
    session.put_manifest(app, descriptor, content)
    other = _manifest(annotations={"a": "b"})
    with pytest.raises(RegistryError, match="the tag is immutable"):
        session.put_manifest(app, *other)
    assert registry.tags["app", "v1"] == descriptor.digest


def test_a_manifest_whose_blob_has_vanished_is_repaired_once(registry: FaultRegistry) -> None:
    session = client_for({}).session()
    app = Reference(registry.host, "app", "v1")
    blobs = {_blob(b"layer"): b"layer", descriptor_of(b"{}", media_types.OCI_EMPTY): b"{}"}
    for blob, content in blobs.items():
        session.push_blob(app, blob, functools.partial(io.BytesIO, content))
    del registry.blobs["app", digest_of(b"layer")]
    descriptor, manifest = _manifest(b"layer")
    with pytest.raises(MissingBlobsError) as caught:
        session.put_manifest(app, descriptor, manifest)
    assert caught.value.digests == (digest_of(b"layer"),)
    # As above, but what the run believed is forgotten, so that the blob is sent again.
    session.push_blob(app, _blob(b"layer"), lambda: io.BytesIO(b"layer"))
    del registry.blobs["app", digest_of(b"layer")]
    asked = []

    def repair(digests: tuple[str, ...]) -> None:
        asked.append(digests)
        session.push_blob(app, _blob(b"layer"), lambda: io.BytesIO(b"layer"))

    session.put_manifest(app, descriptor, manifest, repair=repair)
    assert asked == [(digest_of(b"layer"),)]
    assert registry.complete("app", "v1")


def test_a_manifest_that_is_too_large_is_not_sent(registry: FaultRegistry) -> None:
    descriptor, content = _manifest(annotations={"a": "x" * 5_000_000})
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="4194304"):
        session.put_manifest(Reference(registry.host, "app", "v1"), descriptor, content)
    assert session.requests == 0


# Hosts


def test_nobody_listens() -> None:
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="it refuses connections") as caught:
        session.head_manifest(Reference("127.0.0.1:9", "app", "v1"))
    assert "127.0.0.1:9" in str(caught.value)
    assert caught.value.status == 0


def test_plain_http_is_spoken_with_no_host_that_is_not_allowed_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls, "speaks_tls", lambda host, port, timeout: host == "both.lan")
    insecure = frozenset({"plain.lan:5000", "both.lan"})
    requester = client_for({}, insecure_registries=insecure).parts().requester
    assert requester.contacts.of("r.io").base_url == "https://r.io"
    assert requester.contacts.of("plain.lan").base_url == "https://plain.lan"
    assert requester.contacts.of("plain.lan:5000").base_url == "http://plain.lan:5000"
    assert requester.contacts.of("both.lan").base_url == "https://both.lan"


def test_a_proxy_is_used_and_its_password_is_not_shown(
    registry: FaultRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    # The registry plays the proxy: what arrives there has the whole URL.
    env = {"http_proxy": f"http://user:canary-pw@{registry.host}", "NO_PROXY": "else.lan"}
    client = client_for(env, insecure_registries=frozenset({"r.lan"}))
    assert client.session().head_manifest(Reference("r.lan", "app", "v1")) is None
    assert registry.seen[0].path == "http://r.lan/v2/app/manifests/v1"
    assert "Proxy-Authorization" in registry.seen[0].headers
    registry.fail("HEAD manifest", "reset before", None)
    with pytest.raises(RegistryError, match="proxy") as caught:
        client.session().head_manifest(Reference("r.lan", "app", "v1"))
    assert "canary" not in caplog.text + str(caught.value)


@pytest.mark.parametrize("endpoint", ["PUT upload", "PUT tag"])
def test_a_registry_that_is_down_is_not_hammered(registry: FaultRegistry, endpoint: str) -> None:
    registry.put_blob("app", b"{}")
    for each in ("PUT upload", "PUT tag", "HEAD blob", "HEAD manifest"):
        registry.fail(each, "500", None)
    session = client_for({}).session()
    app = Reference(registry.host, "app", "v1")
    push: dict[str, Callable[[], object]] = {
        "PUT tag": lambda: session.put_manifest(app, *_manifest()),
        "PUT upload": lambda: session.push_blob(
            app, _blob(b"x"), lambda: io.BytesIO(b"x"), known_missing=True
        ),
    }
    with pytest.raises(RegistryError):
        push[endpoint]()
    assert registry.count(endpoint) == 6
    assert session.requests <= 18


def test_a_silent_registry_times_out(registry: FaultRegistry) -> None:
    with_timeouts = client_for({}, read_timeout=0.05, retry=RetryPolicy(attempts=2))
    registry.fail("HEAD manifest", "silent", 2)
    with pytest.raises(RegistryError, match="timed out"):
        with_timeouts.session().head_manifest(Reference(registry.host, "app", "v1"))


def test_retry_after_paces_every_request_to_the_host(registry: FaultRegistry) -> None:
    time = FakeTime()
    client = client_for({}, time)
    registry.fail("HEAD manifest", "429 seconds", 1)
    app = Reference(registry.host, "app", "v1")
    assert client.session().head_manifest(app) is None
    assert 7 <= sum(time.slept) < 9


def test_the_retries_of_a_run_are_bounded(registry: FaultRegistry) -> None:
    client = client_for({}, retry=RetryPolicy(run_budget=7))
    registry.fail("HEAD manifest", "503", None)
    for _ in range(4):
        with pytest.raises(RegistryError):
            client.session().head_manifest(Reference(registry.host, "app", "v1"))
    assert len(registry.seen) == 4 + 7


def test_warnings_are_shown_once(registry: FaultRegistry, caplog: pytest.LogCaptureFixture) -> None:
    registry.warning = '299 - "this registry \\"moves\\" soon\x1b[2J"'
    client = client_for({})
    for number in range(3):
        client.session().head_manifest(Reference(registry.host, "app", f"v{number}"))
    shown = [r.getMessage() for r in caplog.records]
    assert shown == [f'{registry.host}: it warns: this registry "moves" soon [2J']


def test_connections_are_reused_and_capped(registry: FaultRegistry) -> None:
    client = client_for({}, per_host_connections=3)
    app = Reference(registry.host, "app", "v1")
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: client.session().head_manifest(app), range(60)))
    assert len(registry.seen) == 60
    assert registry.connections <= 3


# Referrers


def _signature(subject: Descriptor, name: str) -> bytes:
    return _manifest(
        artifactType=f"application/x.{name[:3]}",
        subject=subject.to_json(),
        annotations={"name": name},
    )[1]


@pytest.mark.parametrize("api", [True, False])
def test_referrers(registry: FaultRegistry, api: bool) -> None:
    registry.referrers_api = api
    registry.put_blob("app", b"{}")
    subject, content = _manifest()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    session = client_for({}).session()
    app = Reference(registry.host, "app")
    assert session.referrers(app.with_digest(subject.digest)) == []
    for name in ("sig-1", "sig-2", "sbom"):
        session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, name))
    session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, "sbom"))
    found = session.referrers(app.with_digest(subject.digest))
    assert sorted(dict(r.descriptor.annotations)["name"] for r in found) == [
        *("sbom", "sig-1", "sig-2")
    ]
    only = session.referrers(app.with_digest(subject.digest), "application/x.sig")
    assert [r.artifact_type for r in only] == ["application/x.sig"] * 2
    fallback = ("app", subject.digest.replace(":", "-"))
    assert (fallback in registry.tags) is not api


def test_concurrent_referrers_do_not_get_lost(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    registry.put_blob("app", b"{}")
    subject, content = _manifest()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    app = Reference(registry.host, "app")
    # Two clients are two processes: they share no lock, only the registry.
    clients = [client_for({}), client_for({})]

    def push(number: int) -> None:
        session = clients[number % 2].session()
        session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, f"sig-{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(8)))
    found = clients[0].session().referrers(app.with_digest(subject.digest))
    assert len(found) == 8
