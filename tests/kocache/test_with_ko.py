"""One directory for the real ko and us: neither makes the other fail or lie, in any order.

"Us" is a record under the build id that ko's own build has, with a blob of another compressor: what
makes an unmarked descriptor break ko's push.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
from go_peers import find_go_peer
from real_registry import RealRegistry, docker_registry

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey, is_build_id
from ko_pants.kocache.map_files import find_diff_id
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.pruning import prune
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.platform import Platform

IMPORT_PATH = "example.com/hello"
AMD64 = Platform("linux", "amd64")
OURS = "libdeflate-1.24/gzip-1"
CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
).encode()
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": Descriptor(media_types.OCI_CONFIG, sha256_digest(CONFIG), len(CONFIG)).to_json(),
        "layers": [],
    }
).encode()


def request(method: str, url: str, body: bytes | None = None, kind: str = "") -> Any:
    headers = {"Content-Type": kind or "application/octet-stream"} if body is not None else {}
    headers["Accept"] = media_types.ACCEPT_MANIFESTS
    return urllib.request.urlopen(
        urllib.request.Request(url, data=body, method=method, headers=headers), timeout=30
    )


def push_blob(registry: RealRegistry, repository: str, content: bytes) -> None:
    with request("POST", f"{registry.url}/v2/{repository}/blobs/uploads/", b"") as answer:
        location = answer.headers["Location"]
    url = location if "://" in location else registry.url + location
    url += ("&" if "?" in url else "?") + f"digest={sha256_digest(content)}"
    request("PUT", url, content).close()


def image_layer(registry: RealRegistry) -> tuple[str, str]:
    """diffID and digest of the program's layer in the image that ko pushed; its blob is sound."""
    manifests = f"{registry.url}/v2/app/manifests/latest"
    manifest = json.load(request("GET", manifests))
    config = json.load(
        request("GET", f"{registry.url}/v2/app/blobs/{manifest['config']['digest']}")
    )
    digest = manifest["layers"][-1]["digest"]
    diff_id = config["rootfs"]["diff_ids"][-1]
    blob = request("GET", f"{registry.url}/v2/app/blobs/{digest}").read()
    assert sha256_digest(blob) == digest
    assert sha256_digest(gzip.decompress(blob)) == diff_id
    return diff_id, digest


@dataclass
class Program:
    """A Go program that ko builds, and what ko makes of it."""

    directory: Path
    home: Path
    key: LayerKey
    theirs: CachedLayer
    ours: CachedLayer
    our_blob: bytes

    def ko(self, cache: Path, registry: RealRegistry) -> subprocess.Popen[bytes]:
        return start_ko(self.directory, self.home, cache, registry)


def start_ko(
    directory: Path, home: Path, cache: Path, registry: RealRegistry
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [find_go_peer("ko"), "build", "--bare", "--platform=linux/amd64", "--sbom=none", "."],
        cwd=directory,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("KO_", "GOFLAGS"))},
            "DOCKER_CONFIG": str(home),
            "KOCACHE": str(cache),
            "KO_DOCKER_REPO": f"{registry.host}/app",
            "KO_DEFAULTBASEIMAGE": f"{registry.host}/base@{sha256_digest(MANIFEST)}",
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOFLAGS": "-mod=mod",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    output = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 0, output


@contextlib.contextmanager
def registry_with_base(place: Path) -> Iterator[RealRegistry]:
    with docker_registry(place) as registry:
        push_blob(registry, "base", CONFIG)
        url = f"{registry.url}/v2/base/manifests/latest"
        request("PUT", url, MANIFEST, media_types.OCI_MANIFEST).close()
        yield registry


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    find_go_peer("ko")
    find_go_peer("go")
    directory = tmp_path_factory.mktemp("hello")
    (directory / "go.mod").write_text(f"module {IMPORT_PATH}\n\ngo 1.21\n")
    (directory / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    home, cache = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("first")
    with registry_with_base(tmp_path_factory.mktemp("registry")) as registry:
        finish(start_ko(directory, home, cache, registry))
        diff_id, digest = image_layer(registry)
        blob = request("GET", f"{registry.url}/v2/app/blobs/{digest}").read()
    maps = cache / "bin" / IMPORT_PATH / "linux/amd64"
    ((build_id, recorded),) = json.loads((maps / "buildid-to-diffid").read_text()).items()
    assert is_build_id(build_id)
    assert recorded == diff_id
    # The same tar, compressed otherwise.
    ours = gzip.compress(gzip.decompress(blob), 9, mtime=0)
    descriptor = Descriptor(
        media_types.OCI_LAYER_GZIP, "sha256:" + hashlib.sha256(ours).hexdigest(), len(ours)
    )
    return Program(
        directory,
        home,
        LayerKey(IMPORT_PATH, AMD64, build_id),
        CachedLayer(diff_id, Descriptor(media_types.OCI_LAYER_GZIP, digest, len(blob)), "unknown"),
        CachedLayer(diff_id, descriptor, OURS),
        ours,
    )


class Ourselves:
    """Fresh KoCache objects on one directory, and every warning of theirs."""

    def __init__(self, root: Path) -> None:
        self.warnings: list[str] = []
        self.root = root

    def __call__(self) -> KoCache:
        return KoCache(str(self.root), warn=self.warnings.append)

    def diff_id(self, key: LayerKey) -> str | None:
        build_ids = str(self.root / key.directory / "buildid-to-diffid")
        return find_diff_id(key, build_ids, self().root.problems)


@pytest.fixture
def us(tmp_path: Path) -> Ourselves:
    return Ourselves(tmp_path / "shared")


@pytest.mark.parametrize("blobs", ["in the registry", "nowhere"])
def test_ko_after_us(program: Program, us: Ourselves, tmp_path: Path, blobs: str) -> None:
    assert us().record(program.key, program.ours)
    with registry_with_base(tmp_path / "registry") as registry:
        if blobs == "in the registry":
            push_blob(registry, "app", program.our_blob)
        finish(program.ko(us.root, registry))
        layer = image_layer(registry)
        assert layer == (program.theirs.diff_id, program.theirs.descriptor.digest)

        # ko took our file for its own; what it knows of the layer is still true.
        assert us().lookup(program.key, OURS) is None
        assert us.diff_id(program.key) == program.ours.diff_id
        assert us().record(program.key, program.ours)
        assert us().lookup(program.key, OURS) == program.ours
        finish(program.ko(us.root, registry))
        assert image_layer(registry) == layer
        assert us().lookup(program.key, OURS) == program.ours
    assert us.warnings == []


@pytest.mark.parametrize("blobs", ["in the registry", "nowhere"])
def test_us_after_ko(program: Program, us: Ourselves, tmp_path: Path, blobs: str) -> None:
    with registry_with_base(tmp_path / "first") as first:
        finish(program.ko(us.root, first))
        assert us().lookup(program.key, OURS) is None
        assert us.diff_id(program.key) == program.theirs.diff_id
        assert us().lookup(program.key, OURS, allow_foreign=True) == program.theirs
        assert us().read_content(sha256_digest(MANIFEST)) == MANIFEST
        assert us().read_content(sha256_digest(CONFIG)) == CONFIG

        descriptors = us.root / program.key.directory / "diffid-to-descriptor"
        before = descriptors.read_bytes()
        assert us().record(program.key, program.ours)
        prune(us().root, max_age_seconds=-1)
        assert us().record(program.key, program.ours)
        assert descriptors.read_bytes() == before
        assert us().lookup(program.key, OURS) == program.ours

        with contextlib.ExitStack() as stack:
            registry = first
            if blobs == "nowhere":
                registry = stack.enter_context(registry_with_base(tmp_path / "second"))
            finish(program.ko(us.root, registry))
            assert image_layer(registry)[1] == program.theirs.descriptor.digest
    assert us().lookup(program.key, OURS) == program.ours
    assert us.warnings == []


def test_both_at_once(program: Program, us: Ourselves, tmp_path: Path) -> None:
    with registry_with_base(tmp_path / "registry") as registry:
        for _ in range(2):
            ko = program.ko(us.root, registry)
            while ko.poll() is None:
                assert us().record(program.key, program.ours)
                assert us().lookup(program.key, OURS) in (None, program.ours)
            finish(ko)
            assert image_layer(registry)[0] == program.theirs.diff_id
        assert us().record(program.key, program.ours)
        assert us().lookup(program.key, OURS) == program.ours
        finish(program.ko(us.root, registry))


def test_kos_base_images_survive_ours(program: Program, us: Ourselves, tmp_path: Path) -> None:
    """ko fails on an image that its index lists and whose parts are missing: ours list none."""
    manifest = Descriptor(media_types.OCI_MANIFEST, sha256_digest(MANIFEST), len(MANIFEST))
    assert us().write_content(manifest, MANIFEST)
    with registry_with_base(tmp_path / "registry") as registry:
        finish(program.ko(us.root, registry))
        assert us().read_content(sha256_digest(CONFIG)) == CONFIG
        prune(us().root, max_age_seconds=-1, max_bytes=0)
        finish(program.ko(us.root, registry))
    listed = json.loads((us.root / "img/index.json").read_text())["manifests"]
    assert [entry["digest"] for entry in listed] == [manifest.digest]
