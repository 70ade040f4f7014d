"""Reads back what was published, from a registry or an OCI layout, and checks all of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Mapping

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


@dataclass(frozen=True)
class PublishedManifest:
    """The image of one platform, with its layers."""

    platform: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    layers: tuple[bytes, ...]

    @property
    def tars(self) -> tuple[bytes, ...]:
        """The layers, decompressed."""
        return tuple(gzip.decompress(layer) for layer in self.layers)

    def executable(self) -> bytes:
        """The program in the last layer."""
        with tarfile.open(fileobj=io.BytesIO(self.tars[-1])) as tar:
            (member,) = (m for m in tar.getmembers() if m.isfile())
            extracted = tar.extractfile(member)
            assert extracted is not None
            return extracted.read()


@dataclass(frozen=True)
class Published:
    """An image that a tag or digest names, with every part; `index` is empty for a single image."""

    digest: str
    media_type: str
    index: Mapping[str, Any]
    manifests: tuple[PublishedManifest, ...]

    @property
    def platforms(self) -> list[str]:
        """The platforms, as `os/arch[/variant]`."""
        return [m.platform for m in self.manifests]

    def for_platform(self, platform: str) -> PublishedManifest:
        """The image of one platform."""
        (found,) = (m for m in self.manifests if m.platform == platform)
        return found


_Read = Callable[[str, bool], bytes]


def published_on(registry: str, repository: str, reference: str = "latest") -> Published:
    """Pull an image from a registry, all platforms, and check digests, sizes and diffIDs.

    :raises urllib.error.HTTPError: something is missing.
    """

    def read(digest: str, manifest: bool) -> bytes:
        kind = "manifests" if manifest else "blobs"
        return _get(f"http://{registry}/v2/{repository}/{kind}/{digest}")

    return _read_all(read, read(reference, True), {})


def published_in(layout: Path, name: str) -> Published:
    """Read an image, by its reference name, from an OCI layout; checks as `published_on()`."""
    index = json.loads((layout / "index.json").read_text())
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = (
        e
        for e in index["manifests"]
        if e.get("annotations", {}).get("org.opencontainers.image.ref.name") == name
    )

    def read(digest: str, manifest: bool) -> bytes:
        return (layout / "blobs" / digest.replace(":", "/")).read_bytes()

    return _read_all(read, read(entry["digest"], True), entry)


def has_tag(registry: str, repository: str, tag: str) -> bool:
    """True if the tag names something."""
    try:
        _get(f"http://{registry}/v2/{repository}/manifests/{tag}")
    except urllib.error.HTTPError as e:
        if e.code == 404:
            return False
        raise
    return True


def digest_of(content: bytes) -> str:
    """`sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _get(url: str) -> bytes:
    request = urllib.request.Request(
        url, headers={"Accept": ", ".join(INDEX_TYPES + MANIFEST_TYPES)}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        return bytes(response.read())


def _read_all(read: _Read, content: bytes, entry: Mapping[str, Any]) -> Published:
    _check(content, entry)
    document = json.loads(content)
    media_type = document.get("mediaType", "")
    if media_type in INDEX_TYPES:
        manifests = tuple(
            _read_manifest(read, read(child["digest"], True), child)
            for child in document["manifests"]
        )
        return Published(digest_of(content), media_type, document, manifests)
    assert media_type in MANIFEST_TYPES
    return Published(digest_of(content), media_type, {}, (_read_manifest(read, content, {}),))


def _read_manifest(read: _Read, content: bytes, entry: Mapping[str, Any]) -> PublishedManifest:
    _check(content, entry)
    manifest = json.loads(content)
    config_content = read(manifest["config"]["digest"], False)
    _check(config_content, manifest["config"])
    config = json.loads(config_content)
    layers = []
    for descriptor in manifest["layers"]:
        layer = read(descriptor["digest"], False)
        _check(layer, descriptor)
        layers.append(layer)
    platform = "/".join(config[key] for key in ("os", "architecture", "variant") if config.get(key))
    if "platform" in entry:
        stated = entry["platform"]
        assert platform == "/".join(
            stated[key] for key in ("os", "architecture", "variant") if stated.get(key)
        )
    found = PublishedManifest(platform, manifest, config, tuple(layers))
    # KOCACHE must never lead to a manifest that does not match its layers.
    assert config["rootfs"]["diff_ids"] == [digest_of(tar) for tar in found.tars]
    return found


def _check(content: bytes, descriptor: Mapping[str, Any]) -> None:
    if descriptor:
        assert digest_of(content) == descriptor["digest"]
        assert len(content) == descriptor["size"]
