"""Small images with real bytes, to be published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

from oci.images import AMD64, ARM64, base_config

from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.image import (
    AppLayer,
    BaseImage,
    BaseManifest,
    Image,
    compose_image,
    scratch_base,
)
from ko_pants.oci.image_config import History, ImageConfig
from ko_pants.oci.platform import Platform

TWO = (AMD64, ARM64)
BASE_BLOB = b"layer of the base" * 10


@dataclass(frozen=True)
class App:
    """An image, and where the bytes of its own layers lie."""

    image: Image
    base: BaseImage
    files: dict[str, str]

    @property
    def digest(self) -> str:
        """Of the index."""
        return self.image.descriptor.digest

    @property
    def kodata(self) -> str:
        """The digest of the layer that all apps share."""
        return self.image.manifests[0].layers[-2].descriptor.digest


def base_on(source: str, platforms: Sequence[Platform] = TWO) -> BaseImage:
    """A base of one layer, `BASE_BLOB`, that lies at `source`."""
    blob = Descriptor(mt.OCI_LAYER_GZIP, sha256_digest(BASE_BLOB), len(BASE_BLOB))
    manifests = tuple(
        BaseManifest(p, sha256_digest(str(p).encode()), base_config(p), (blob,)) for p in platforms
    )
    return BaseImage("base", sha256_digest(b"base"), False, manifests, source)


def app(
    directory: Path,
    name: str = "app",
    platforms: Sequence[Platform] = TWO,
    base: BaseImage | None = None,
) -> App:
    """An image of kodata, equal for all apps, and a binary for each platform."""
    files: dict[str, str] = {}

    def layer(kind: str, content: bytes) -> AppLayer:
        descriptor = Descriptor(mt.OCI_LAYER_GZIP, sha256_digest(content), len(content))
        path = directory / descriptor.digest.partition(":")[2]
        # It may be on its way up already.
        if not path.exists():
            path.write_bytes(content)
        files[descriptor.digest] = str(path)
        return AppLayer(kind, sha256_digest(b"tar " + content), descriptor, History("", kind))

    layers = {
        p: [layer("kodata", b"kodata" * 20), layer("binary", f"{name} for {p} ".encode() * 50)]
        for p in platforms
    }
    base = scratch_base(platforms) if base is None else replace(base)
    return App(compose_image(base, layers, ImageConfig(name)), base, files)
