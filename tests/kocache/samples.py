"""Layers, keys and caches for the tests of KOCACHE."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, Iterator

from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.kocache.root import CacheRoot
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.platform import Platform

GZIP = "deflate-0.8.1/gzip-1/1MiB"
GZIP6 = "deflate-0.8.1/gzip-6/1MiB"
ZSTD = "zstandard-0.23.0/zstd-3/2MiB"
AMD64 = Platform("linux", "amd64")
# The directory of the maps of `key()`.
HERE = "bin/example.com/app/linux/amd64"

CONFIG = b'{"architecture":"amd64"}'
CONFIG_DESCRIPTOR = Descriptor(media_types.OCI_CONFIG, sha256_digest(CONFIG), len(CONFIG))


def digest(*what: object) -> str:
    """The same digest for the same arguments, and another for others."""
    return sha256_digest(repr(what).encode())


def key(number: int = 0, **other: Any) -> LayerKey:
    return LayerKey(
        **{
            "import_path": "example.com/app",
            "platform": AMD64,
            "build_key": digest("key", number),
            **other,
        }
    )


def layer(number: int = 0, compressor: str = GZIP, *, blob: object = 0) -> CachedLayer:
    media_type = media_types.OCI_LAYER_ZSTD if "zstd" in compressor else media_types.OCI_LAYER_GZIP
    descriptor = Descriptor(media_type, digest("blob", number, compressor, blob), 100 + number)
    return CachedLayer(digest("tar", number), descriptor, compressor)


def ko_entry(number: int) -> dict[str, Any]:
    """A descriptor as ko records it."""
    return {
        digest("tar", number): {
            "mediaType": media_types.DOCKER_LAYER_GZIP,
            "size": 55,
            "digest": digest("by ko", number),
        }
    }


def descriptor_of(content: bytes) -> Descriptor:
    return Descriptor(media_types.OCI_CONFIG, sha256_digest(content), len(content))


def age(path: Path, days: float) -> None:
    """Let a file, or all in a directory, be written so many days ago."""
    then = time.time() - days * 24 * 3600
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        os.utime(file, (then, then))


class Caches:
    """Makes KoCache objects on one root, as separate runs would, and keeps their warnings."""

    def __init__(self, root: Path) -> None:
        self.path = root
        self.here = root / HERE
        self.warnings: list[str] = []

    def __call__(self, **options: Any) -> KoCache:
        return KoCache(str(self.path), warn=self.warnings.append, **options)

    def root(self) -> CacheRoot:
        return CacheRoot(str(self.path), self.warnings.append)

    def names(self) -> list[str]:
        """What lies in the directory of the maps."""
        return sorted(path.name for path in self.here.iterdir())

    def json(self, name: str) -> Any:
        """A map file as any JSON reader sees it."""
        return json.loads((self.here / name).read_text())

    def write(self, name: str, value: Any) -> None:
        self.here.mkdir(parents=True, exist_ok=True)
        (self.here / name).write_text(value if isinstance(value, str) else json.dumps(value))

    def write_as_ko(self, name: str, value: Any) -> None:
        """As Go's encoder with indent, onto the file as it is: without truncation."""
        self.here.mkdir(parents=True, exist_ok=True)
        path = self.here / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o755)
        os.write(fd, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
        os.close(fd)

    def ko_output(self) -> Path:
        """ko's executable, which it leaves beside the maps."""
        self.here.mkdir(parents=True, exist_ok=True)
        path = self.here / "out"
        path.write_bytes(b"\x7fELF")
        return path

    def make_read_only(self) -> None:
        """For the ordinary user, who can still reach it."""
        for directory, _, names in os.walk(self.path):
            for name in names:
                os.chmod(os.path.join(directory, name), 0o444)
            os.chmod(directory, 0o555)
        for parent in self.path.parents:  # pytest's own directories are for its user alone
            mode = parent.stat().st_mode
            if not mode & 0o001:
                os.chmod(parent, mode | 0o011)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """Without root's power over permissions."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
