"""Every endpoint × every fault: a push completes with exactly the right bytes, or it fails clearly,
leaves the old tag alone, and the next run completes it.

Each cell of the matrix is one test; the table is printed at the end (see it with `-s`).
"""

from __future__ import annotations

import functools
import io
import json
import random
from dataclasses import dataclass
from typing import Iterator

import pytest
from fault_registry import ENDPOINTS, PASSWORD, FaultRegistry, digest_of, fault_registry
from registry_support import FakeTime, auth_env, client_for, descriptor_of

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistryError

# Endpoint -> what can go wrong with it once, and is then survived.
_STATUSES = ("408", "429 seconds", "429 date", "500", "502", "503", "503 html", "504")
_TRANSIENT = {
    **dict.fromkeys(
        (e for e in ENDPOINTS if e != "token"),
        ("reset before", "reset after", "reset in body", *_STATUSES, "401 expired"),
    ),
    "token": ("reset before", "reset after", "reset in body", *_STATUSES),
}
# Oddities and lies which happen once, and are seen through.
_WHOLE = "PUT whole blob"  # the endpoint "PUT upload", where a blob is not sent in chunks
_SURVIVED = {
    _WHOLE: (
        *("reset before", "reset after", "reset in body", *_STATUSES, "401 expired"),
        *("404", "202", "wrong digest", "no digest", "401 in body", "redirect elsewhere"),
    ),
    "HEAD manifest": ("405", "no digest", "wrong digest", "redirect elsewhere", "short body"),
    "GET manifest": ("short body", "wrong length", "drip", "redirect elsewhere"),
    "PUT manifest": ("no digest", "wrong digest", "drip", "short body", "401 in body"),
    "PUT tag": ("no digest", "wrong digest", "drip", "short body", "401 in body"),
    "HEAD blob": ("405", "redirect elsewhere"),
    "GET blob": ("short body", "wrong length", "length too small", "drip", "redirect elsewhere"),
    "POST mount": ("202", "400", "403", "404", "405", "wrong digest"),
    "POST upload": ("location elsewhere", "no location"),
    "PATCH upload": ("404", "416", "202", "400", "405", "location elsewhere", "401 in body"),
    "GET upload": ("404", "416", "403"),
    "PUT upload": ("404", "416", "202", "wrong digest", "no digest", "401 in body"),
    "token": ("short body", "drip", "wrong length"),
}
# What cannot be survived, but must be told clearly.
_FATAL = {
    _WHOLE: ("403", "413", "400", "reset in body", "500", "202"),
    "HEAD manifest": ("403", "redirect loop", "500"),
    "GET manifest": (
        *("403", "404", "redirect loop", "wrong digest", "wrong bytes", "oversized", "garbage"),
        *("length too small", "reset before", "short body", "drip", "429 seconds"),
    ),
    "PUT manifest": ("403", "404", "413", "redirect loop", "reset before", "429 date", "503"),
    "PUT tag": ("403", "404", "413", "redirect loop", "reset before", "429 date", "503"),
    "HEAD blob": ("403", "redirect loop", "500"),
    "GET blob": (
        *("403", "404", "redirect loop", "wrong bytes", "oversized", "reset in body"),
        *("short body", "416"),
    ),
    "POST upload": ("403", "404", "413", "429 seconds", "redirect loop", "500"),
    "PUT upload": ("403", "reset before", "404", "500", "202"),
    "PATCH upload": ("403", "413", "reset before", "500"),
    "token": ("403", "garbage", "oversized", "reset before", "500", "429 seconds"),
}
# Places to which no client may be led: where a host says so, and what it must not hear.
_LURES = (
    ("POST upload", "location to", "http://169.254.169.254/latest/"),
    ("POST upload", "location to", "http://registry.invalid/upload"),
    ("POST upload", "location to", "file:///etc/passwd"),
    ("GET blob", "redirect to", "http://169.254.169.254/latest/"),
    ("GET blob", "redirect to", "http://blobs.invalid/x"),
    ("GET manifest", "redirect to", "gopher://127.0.0.1/x"),
    ("PATCH upload", "location to", "http://[fe80::1]/x"),
    ("PUT tag", "redirect to", "http://registry.invalid/v2/x"),
)

_CELLS = [
    *((e, f, 1, "completes") for t in (_TRANSIENT, _SURVIVED) for e, fs in t.items() for f in fs),
    *((e, f, None, "fails") for e, fs in _FATAL.items() for f in fs),
]


@dataclass(frozen=True)
class Image:
    """An image whose second layer is a base layer, and an index over it."""

    tag: str
    layer: bytes
    base_layer: bytes
    config: bytes = b""
    manifest: bytes = b""
    index: bytes = b""

    @classmethod
    def make(cls, tag: str, base_layer: bytes) -> Image:
        """An image with contents of its own."""
        layer = random.Random(tag).getrandbits(8 * 200_000).to_bytes(200_000, "big")
        config = json.dumps({"os": "linux", "architecture": "amd64", "tag": tag}).encode()
        layers = [descriptor_of(b, media_types.OCI_LAYER_TAR) for b in (base_layer, layer)]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": descriptor_of(config, media_types.OCI_CONFIG).to_json(),
                "layers": [d.to_json() for d in layers],
            }
        ).encode()
        index = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_INDEX,
                "manifests": [descriptor_of(manifest, media_types.OCI_MANIFEST).to_json()],
            }
        ).encode()
        return cls(tag, layer, base_layer, config, manifest, index)


@dataclass
class World:
    """A registry which holds a base image and an old image, and one beside it."""

    registry: FaultRegistry
    elsewhere: FaultRegistry
    time: FakeTime
    env: dict[str, str]
    base: Image
    old: Image
    new: Image

    def client(self, *, whole: bool = False) -> RegistryClient:
        """The client of a new run: small chunks unless `whole`, no waiting."""
        threshold = 10**9 if whole else 150_000
        return client_for(self.env, self.time, chunk_threshold=threshold, chunk_size=64 * 1024)

    def publish(self, client: RegistryClient, image: Image) -> int:
        """A whole push, from reading the base to setting the tag; returns the requests."""
        host = self.registry.host
        app = Reference(host, "app", tag="v1")
        session = client.session(push_to=[app])
        found = session.head_manifest(app)
        index = descriptor_of(image.index, media_types.OCI_INDEX)
        if found == index:
            return session.requests
        base = Reference(host, "base", tag="latest")
        assert session.get_manifest(base)[1] == self.base.manifest
        config = descriptor_of(self.base.config, media_types.OCI_CONFIG)
        assert session.get_blob(base, config, 10_000) == self.base.config
        blobs = ((image.base_layer, ("base",)), (image.layer, ()), (image.config, ()))
        for content, sources in blobs:
            session.push_blob(
                app,
                descriptor_of(content, media_types.OCI_LAYER_TAR),
                functools.partial(io.BytesIO, content),
                mount_from=sources,
            )
        manifest = descriptor_of(image.manifest, media_types.OCI_MANIFEST)
        session.put_manifest(app.with_digest(manifest.digest), manifest, image.manifest)
        session.put_manifest(app, index, image.index)
        return session.requests

    def check_complete(self) -> None:
        """The registry holds exactly the new image under the tag."""
        registry, image = self.registry, self.new
        assert registry.tags["app", "v1"] == digest_of(image.index)
        assert registry.complete("app", "v1")
        for content in (image.layer, image.base_layer, image.config):
            assert registry.blobs["app", digest_of(content)] == content
        for content in (image.manifest, image.index):
            assert registry.manifests["app", digest_of(content)][1] == content


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with fault_registry() as registry, fault_registry() as elsewhere:
        registry.auth = "bearer"
        elsewhere.share(registry)
        registry.elsewhere = f"http://localhost:{elsewhere.port}"
        base_layer = bytes(range(256)) * 100
        time = FakeTime()
        registry.on_drip = elsewhere.on_drip = lambda: time.advance(600)
        env = auth_env(tmp_path_factory.mktemp("auth"), registry.host)
        base, old, new = (Image.make(tag, base_layer) for tag in ("base", "old", "new"))
        world = World(registry, elsewhere, time, env, base, old, new)
        for name, image in (("base", base), ("app", old)):
            for content in (image.layer, image.config, *([base_layer] if name == "base" else [])):
                registry.put_blob(name, content)
            registry.put_manifest(name, media_types.OCI_MANIFEST, image.manifest, "latest")
        registry.put_manifest("app", media_types.OCI_INDEX, old.index, "v1")
        yield world


_TABLE: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print the matrix when all of its cells have run."""
    yield
    width = max((len(f) for f, _ in _TABLE), default=0)
    lines = [
        f"{fault:{width}}  {endpoint:14} {outcome}" for (fault, endpoint), outcome in _TABLE.items()
    ]
    print(f"\n{len(_TABLE)} cells (fault, endpoint, outcome with requests made):")
    print("\n".join(sorted(lines)))


def _label(fault: str, count: int | None) -> str:
    return fault if count == 1 else f"{fault} (always)"


@pytest.mark.parametrize(
    ("endpoint", "fault", "count", "outcome"),
    _CELLS,
    ids=[f"{e}-{_label(f, c)}" for e, f, c, _ in _CELLS],
)
def test_cell(world: World, endpoint: str, fault: str, count: int | None, outcome: str) -> None:
    registry = world.registry
    if endpoint == "GET upload":
        # Reached only after a broken chunk.
        registry.fail("PATCH upload", "reset before")
    met = "PUT upload" if endpoint == _WHOLE else endpoint
    registry.fail(met, fault, count)
    client = world.client(whole=endpoint == _WHOLE)
    if outcome == "completes":
        made = world.publish(client, world.new)
        world.check_complete()
        _TABLE[_label(fault, count), endpoint] = f"completes, {made} requests"
        assert registry.commits[digest_of(world.new.layer)] == 1
    else:
        with pytest.raises(RegistryError) as caught:
            world.publish(client, world.new)
        message = str(caught.value)
        assert registry.host in message
        assert PASSWORD not in message
        assert "canary-token" not in message
        assert "_state" not in message
        assert registry.tags["app", "v1"] == digest_of(world.old.index), "the old tag was moved"
        registry.heal()
        world.publish(world.client(), world.new)
        world.check_complete()
        _TABLE[_label(fault, count), endpoint] = f"fails, then completes: {message[:60]}"
    assert registry.count(met), "the fault was not met"
    assert not any("Authorization" in seen.headers for seen in world.elsewhere.seen)


@pytest.mark.parametrize(("endpoint", "fault", "target"), _LURES)
def test_lured_away(world: World, endpoint: str, fault: str, target: str) -> None:
    world.registry.fail(endpoint, fault, None, target)
    with pytest.raises(RegistryError, match="unsafe Location"):
        world.publish(world.client(), world.new)
    assert world.registry.tags["app", "v1"] == digest_of(world.old.index)
    world.registry.heal()
    world.publish(world.client(), world.new)
    world.check_complete()
    _TABLE[f"{fault} {target}", endpoint] = "refused, then completes"


@pytest.mark.parametrize(
    "realm",
    [
        "http://169.254.169.254/token",
        "http://tokens.invalid/token",
        "ftp://127.0.0.1/token",
        "http://user:pw@127.0.0.1/token",
        "no URL at all",
    ],
)
def test_realm_is_not_safe(world: World, realm: str) -> None:
    world.registry.realm = realm
    with pytest.raises(RegistryError, match="no credentials were sent") as caught:
        world.publish(world.client(), world.new)
    assert PASSWORD not in str(caught.value)
    _TABLE[f"realm {realm}", "token"] = "refused"


def test_no_fault_needs_few_requests(world: World) -> None:
    client = world.client()
    world.registry.auth = "none"
    world.publish(client, world.new)
    world.check_complete()
    assert world.publish(client, world.new) == 1
