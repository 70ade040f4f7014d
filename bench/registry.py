"""A real registry on loopback for the length of a run. Its access log counts the requests."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

_ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/[0-9.]+" [0-9]{3} ')
# As `go install` calls distribution's, and as Debian, whose older one takes four times the CPU time
# for a HEAD.
_BINARIES = ("registry", "docker-registry")

BASE_REPOSITORY = "base/static"
BASE_PLATFORMS = (
    ("amd64", ""),
    ("arm64", "v8"),
    ("arm", "v7"),
    ("ppc64le", ""),
    ("s390x", ""),
    ("arm", "v6"),
    ("386", ""),
    ("riscv64", ""),
)

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass
class Requests:
    """The number of requests by method, from the registry's access log.

    :param others: what else was counted, by name.
    """

    by_method: dict[str, int]
    others: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All requests to the registry."""
        return sum(self.by_method.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{count} {method}" for method, count in sorted(self.by_method.items()))
        others = "".join(f", {count} {name}" for name, count in self.others.items())
        return (f"{self.total} ({parts})" if parts else "0") + others


@dataclass(frozen=True)
class Position:
    """A moment: the length of the log in bytes, and what else was counted until then."""

    log: int
    others: Mapping[str, int] = field(default_factory=dict)


class Registry:
    """A running registry; `reset` gives it empty storage and the base image on the same address."""

    def __init__(self, directory: Path, *, listen: str = "127.0.0.1") -> None:
        self._directory = directory
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._runs = 0
        self.binary = _find_binary()
        #: Where its process listens, and the address that its clients use.
        self.listens_at = self.host = f"{listen}:{_free_port(listen)}"

    @property
    def base_image(self) -> str:
        """The reference of the base image."""
        return f"{self.host}/{BASE_REPOSITORY}:latest"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its clients need."""
        return {}

    @property
    def logins(self) -> dict[str, object]:
        """What its clients need in `auths` of docker's file, by host."""
        return {}

    def start(self) -> None:
        """Start the registry on empty storage, and push the base image."""
        self._launch(self._config(self._new_place()))
        push_base(self.listens_at)

    def _new_place(self) -> Path:
        """An empty directory for storage and log."""
        self._runs += 1
        place = self._directory / str(self._runs)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self._log = place / "log"
        return place

    def _config(self, place: Path) -> dict[str, Any]:
        return {
            "version": "0.1",
            # The access log alone: it has one line for each request.
            "log": {"level": "error", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(place / "storage"), "maxthreads": 100},
                "cache": {"blobdescriptor": "inmemory"},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": self.listens_at, "secret": "only-for-benchmarks"},
        }

    def _launch(self, config: Mapping[str, Any]) -> None:
        path = self._log.with_name("config.json")
        path.write_text(json.dumps(config))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self.binary, "serve", str(path)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": os.defpath, "OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait()

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Stop the registry and delete its storage."""
        if self._process is not None:
            self._end_process()
            shutil.rmtree(self._directory / str(self._runs) / "storage", ignore_errors=True)

    def reset(self) -> None:
        """Start again with empty storage and the base image."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop for good."""
        self.stop()

    def position(self) -> Position:
        """The present moment."""
        return Position(self._log.stat().st_size, self._counted())

    def _counted(self) -> dict[str, int]:
        """What is counted beside requests, since the start."""
        return {}

    def requests_since(self, position: Position) -> Requests:
        """The requests that were answered since `position`. Waits until the log does not grow."""
        size = -1
        while size != (size := self._log.stat().st_size):
            time.sleep(0.05)
        with self._log.open("rb") as log:
            log.seek(position.log)
            requests = count_requests(log.read().decode(errors="replace"))
        for name, count in self._counted().items():
            requests.others[name] = count - position.others.get(name, 0)
        return requests

    def _wait(self) -> None:
        host, _, port = self.listens_at.partition(":")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise SystemExit(f"the registry ended: {self._log.read_text()[-2000:]}")
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.01)
        raise SystemExit(f"no registry on {self.listens_at} after 30 s")


@contextlib.contextmanager
def running_registry(directory: Path) -> Iterator[Registry]:
    """A registry for the length of a `with`."""
    registry = Registry(directory)
    registry.start()
    try:
        yield registry
    finally:
        registry.close()


def count_requests(log: str) -> Requests:
    """Count the lines of an access log (Apache's combined format) whose path begins with /v2/."""
    counts: dict[str, int] = {}
    for match in _ACCESS.finditer(log):
        counts[match["method"]] = counts.get(match["method"], 0) + 1
    return Requests(counts)


def push_base(host: str) -> None:
    """Push an index of a one-file image per platform, made by hand, under BASE_REPOSITORY."""
    for digest, content in base_blobs().items():
        _push_blob(host, digest, content)
    manifests = []
    for content, descriptor in base_manifests():
        _put_manifest(host, descriptor["digest"], _MANIFEST, content)
        manifests.append(descriptor)
    _put_manifest(host, "latest", _INDEX, base_index(manifests))


def base_blobs() -> dict[str, bytes]:
    """The content of the base's layer and configs, by digest."""
    layer = _layer()
    blobs = [gzip.compress(layer, mtime=0)]
    blobs += [_config(architecture, variant) for architecture, variant in BASE_PLATFORMS]
    return {_digest(blob): blob for blob in blobs}


def base_manifests() -> list[tuple[bytes, dict[str, Any]]]:
    """Content and descriptor of the manifest of each platform."""
    layer = gzip.compress(_layer(), mtime=0)
    out = []
    for architecture, variant in BASE_PLATFORMS:
        content = _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": _descriptor(_CONFIG, _config(architecture, variant)),
                "layers": [_descriptor(_LAYER, layer)],
            }
        )
        platform = {"os": "linux", "architecture": architecture}
        if variant:
            platform["variant"] = variant
        out.append((content, {**_descriptor(_MANIFEST, content), "platform": platform}))
    return out


def base_index(manifests: list[dict[str, Any]]) -> bytes:
    """The index of these descriptors."""
    return _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests})


def base_digest() -> str:
    """The digest of the base image."""
    return _digest(base_index([descriptor for _, descriptor in base_manifests()]))


def _layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        content = b"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
        info = tarfile.TarInfo("etc/passwd")
        info.size, info.mode = len(content), 0o644
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _config(architecture: str, variant: str) -> bytes:
    config: dict[str, Any] = {
        "os": "linux",
        "architecture": architecture,
        "config": {"User": "65532", "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(_layer())]},
        "history": [{"created_by": "bench"}],
    }
    if variant:
        config["variant"] = variant
    return _json(config)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _push_blob(host: str, digest: str, content: bytes) -> None:
    url = f"http://{host}/v2/{BASE_REPOSITORY}/blobs/uploads/"
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as reply:
        location = reply.headers["Location"]
    query = f"{'&' if '?' in location else '?'}digest={digest}"
    _put(location + query, "application/octet-stream", content)


def _put_manifest(host: str, name: str, media_type: str, content: bytes) -> None:
    _put(f"http://{host}/v2/{BASE_REPOSITORY}/manifests/{name}", media_type, content)


def _put(url: str, media_type: str, content: bytes) -> None:
    headers = {"Content-Type": media_type}
    request = urllib.request.Request(url, data=content, method="PUT", headers=headers)
    urllib.request.urlopen(request).close()


def _find_binary() -> str:
    for name in _BINARIES:
        found = shutil.which(name)
        if found is not None and _is_distribution(found):
            return found
    raise SystemExit(
        "no registry on PATH: expected CNCF distribution, as `registry` (go install "
        "github.com/distribution/distribution/v3/cmd/registry@latest) or `docker-registry` (Debian "
        "package docker-registry)"
    )


def _is_distribution(binary: str) -> bool:
    """go-containerregistry has a `registry` too, without an access log."""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    return "distribution" in done.stdout + done.stderr


def _free_port(address: str) -> int:
    with socket.socket() as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])
