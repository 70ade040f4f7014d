"""Base images made by tests: written to an OCI layout, or pushed to a registry on loopback."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Sequence

OCI = {
    "index": "application/vnd.oci.image.index.v1+json",
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
}
DOCKER = {
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


@dataclass(frozen=True)
class Base:
    """An image in memory: `top` is the descriptor of its index, or of its only manifest.

    `layers` are the digests of its layers.
    """

    top: Mapping[str, Any]
    manifests: Mapping[str, bytes]
    blobs: Mapping[str, bytes]
    layers: frozenset[str] = field(default_factory=frozenset)

    @property
    def digest(self) -> str:
        """The digest that names the image."""
        return str(self.top["digest"])


def make_base(
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
    *,
    docker: bool = False,
    index: bool = True,
    unnamed: bool = False,
    text: str = "base",
    config: Mapping[str, Any] | None = None,
    annotations: Mapping[str, str] | None = None,
    entry_annotations: Mapping[str, str] | None = None,
    history: Sequence[Mapping[str, Any]] = ({"created_by": "tests"},),
    attested: bool = False,
) -> Base:
    """An image with one layer per platform; its file `/etc/base` has `text` and the platform.

    A platform is `os/arch[/variant][:osversion]`. `index=False` gives the manifest of the only one.
    With `unnamed=True` the index says nothing of platforms. Those of Windows have the feature
    `win32k`. Manifests and entries of the index may have annotations. With `attested=True` each
    platform has an attestation too, as BuildKit makes them.
    """
    types = DOCKER if docker else OCI
    manifests: dict[str, bytes] = {}
    blobs: dict[str, bytes] = {}
    layers: set[str] = set()
    entries = []
    for name in platforms:
        path, _, version = name.partition(":")
        platform = dict(zip(("os", "architecture", "variant"), path.split("/")))
        if version:
            platform["os.version"] = version
        stated: dict[str, Any] = dict(platform)
        if platform["os"] == "windows":
            stated["os.features"] = ["win32k"]
        tar = _tar({"etc/base": f"{text} {name}\n".encode()})
        layer = gzip.compress(tar, mtime=0)
        config_content = json.dumps(
            {
                **platform,
                "config": dict(config or {"Env": ["PATH=/usr/bin", "BASE=1"], "User": "65532"}),
                "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
                "history": list(history),
            }
        ).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": types["manifest"],
            "config": _descriptor(types["config"], config_content),
            "layers": [_descriptor(types["layer"], layer)],
        }
        if annotations:
            document["annotations"] = dict(annotations)
        manifest = json.dumps(document).encode()
        blobs[_digest(layer)] = layer
        blobs[_digest(config_content)] = config_content
        layers.add(_digest(layer))
        manifests[_digest(manifest)] = manifest
        entry = _descriptor(types["manifest"], manifest)
        if not unnamed:
            entry["platform"] = stated
        if entry_annotations:
            entry["annotations"] = dict(entry_annotations)
        entries.append(entry)
    for entry in list(entries) if attested else ():
        content, more = _attestation(entry["digest"])
        manifests[_digest(content)] = content
        blobs.update(more)
        entries.append(
            {
                **_descriptor(types["manifest"], content),
                "platform": {"architecture": "unknown", "os": "unknown"},
                "annotations": {
                    "vnd.docker.reference.digest": entry["digest"],
                    "vnd.docker.reference.type": "attestation-manifest",
                },
            }
        )
    if not index:
        (top,) = entries
        return Base(top, manifests, blobs, frozenset(layers))
    document = {"schemaVersion": 2, "mediaType": types["index"], "manifests": entries}
    content = json.dumps(document).encode()
    manifests[_digest(content)] = content
    return Base(_descriptor(types["index"], content), manifests, blobs, frozenset(layers))


def _attestation(subject: str) -> tuple[bytes, Mapping[str, bytes]]:
    """The manifest of an attestation of the manifest `subject`, and its blobs."""
    statement = json.dumps({"subject": subject}).encode()
    config = json.dumps(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(statement)]},
        }
    ).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI["manifest"],
        "config": _descriptor(OCI["config"], config),
        "layers": [_descriptor("application/vnd.in-toto+json", statement)],
    }
    return json.dumps(document).encode(), {_digest(b): b for b in (statement, config)}


def write_layout(base: Base, directory: Path, name: str = "") -> None:
    """Write the image as the only one of an OCI layout."""
    (directory / "blobs" / "sha256").mkdir(parents=True)
    for digest, content in {**base.blobs, **base.manifests}.items():
        (directory / "blobs" / digest.replace(":", "/")).write_bytes(content)
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = dict(base.top)
    if name:
        entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def push(base: Base, host: str, repository: str, tag: str = "latest") -> str:
    """Push the image to a registry without credentials; returns its reference by tag."""
    url = f"http://{host}/v2/{repository}"
    for digest, content in base.blobs.items():
        location = _request("POST", f"{url}/blobs/uploads/").headers["Location"]
        separator = "&" if "?" in location else "?"
        _request("PUT", f"{location}{separator}digest={digest}", content)
    for digest, content in base.manifests.items():
        names = (digest, tag) if digest == base.digest else (digest,)
        for name in names:
            media_type = json.loads(content)["mediaType"]
            _request("PUT", f"{url}/manifests/{name}", content, media_type)
    return f"{host}/{repository}:{tag}"


def delete(host: str, repository: str, kind: str, digest: str) -> None:
    """Delete a manifest or blob (`kind` is `manifests` or `blobs`) from a registry."""
    with contextlib.suppress(urllib.error.HTTPError):
        _request("DELETE", f"http://{host}/v2/{repository}/{kind}/{digest}")


def _request(method: str, url: str, body: bytes | None = None, media_type: str = "") -> Any:
    headers = {"Content-Type": media_type or "application/octet-stream"}
    request = urllib.request.Request(
        url,
        data=b"" if body is None and method != "DELETE" else body,
        method=method,
        headers=headers,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as response:
        response.read()
        return response


def _tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
