"""A registry with a base image and an old image in it, and a client that publishes a new one."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from fault_registry import FaultRegistry, digest_of, fault_registry
from registry_support import FakeTime, auth_env, client_for, descriptor_of

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient


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


@dataclass(repr=False)
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
        found = session.head_manifest(app, forbidden_is_absent=True)
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


@contextlib.contextmanager
def new_world(directory: Path) -> Iterator[World]:
    """A world whose docker config is in `directory`."""
    with fault_registry() as registry, fault_registry() as elsewhere:
        registry.auth = "bearer"
        elsewhere.share(registry)
        registry.elsewhere = f"http://localhost:{elsewhere.port}"
        base_layer = bytes(range(256)) * 100
        time = FakeTime()
        registry.on_drip = elsewhere.on_drip = lambda: time.advance(600)
        env = auth_env(directory, registry.host)
        base, old, new = (Image.make(tag, base_layer) for tag in ("base", "old", "new"))
        world = World(registry, elsewhere, time, env, base, old, new)
        for name, image in (("base", base), ("app", old)):
            for content in (image.layer, image.config, *([base_layer] if name == "base" else [])):
                registry.put_blob(name, content)
            registry.put_manifest(name, media_types.OCI_MANIFEST, image.manifest, "latest")
        registry.put_manifest("app", media_types.OCI_INDEX, old.index, "v1")
        yield world
