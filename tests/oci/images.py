"""Base images and layers that the tests of `oci` put together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Iterable

from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.documents import canonical_json
from ko_pants.oci.image import AppLayer, BaseImage, BaseManifest, Image, compose_image
from ko_pants.oci.image_config import History, ImageConfig
from ko_pants.oci.platform import Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
ARM7 = Platform("linux", "arm", "v7")
WINDOWS = Platform("windows", "amd64", "", "10.0.17763.1879")
CREATED_BY = "ko build ko://example.com/shop/cmd/server"
FIVE = (AMD64, ARM64, ARM7, Platform("linux", "s390x"), Platform("linux", "ppc64le"))


def digest(*what: object) -> str:
    """Some digest, the same for the same words."""
    return sha256_digest(repr(what).encode())


def app_layer(kind: str, name: object, **more: Any) -> AppLayer:
    """A layer of ours."""
    size = {"kodata": 120, "binary": 4096}[kind]
    descriptor = Descriptor(mt.OCI_LAYER_GZIP, digest("blob", kind, name), size)
    history = History(CREATED_BY, f"{kind} contents")
    layer = AppLayer(kind, digest("tar", kind, name), descriptor, history)
    return replace(layer, **more)


def app_layers(platforms: Iterable[Platform]) -> dict[Platform, list[AppLayer]]:
    """kodata, equal for all, and the binary of each platform."""
    return {p: [app_layer("kodata", ""), app_layer("binary", str(p))] for p in platforms}


def base_layer(number: int, media_type: str = mt.OCI_LAYER_GZIP) -> Descriptor:
    """A layer of a base."""
    return Descriptor(media_type, digest("base blob", number), 1000 + number)


def base_config(platform: Platform, layers: int = 1, **more: Any) -> bytes:
    """The config of a base image."""
    document: dict[str, Any] = {
        **platform.to_json(),
        "rootfs": {"type": "layers", "diff_ids": [digest("base tar", n) for n in range(layers)]},
        **more,
    }
    return canonical_json(document)


def base_image(*platforms: Platform, docker: bool = False, **config: Any) -> BaseImage:
    """A base with one layer for each platform."""
    media_type = mt.DOCKER_LAYER_GZIP if docker else mt.OCI_LAYER_GZIP
    manifests = tuple(
        BaseManifest(
            platform,
            digest("base manifest", str(platform)),
            base_config(platform, **config),
            (base_layer(0, media_type),),
            docker,
        )
        for platform in platforms
    )
    return BaseImage(
        "registry.example.com/base:latest",
        digest("base index"),
        docker,
        manifests,
        "registry.example.com/base",
    )


def config_of(content: bytes) -> dict[str, Any]:
    """A JSON document."""
    document: dict[str, Any] = json.loads(content)
    return document


CONFIG = ImageConfig(app_name="server")


def compose(base: BaseImage, config: ImageConfig = CONFIG) -> Image:
    """kodata and a binary on every platform of the base."""
    return compose_image(base, app_layers(m.platform for m in base.manifests), config)


def only_config(image: Image) -> dict[str, Any]:
    """The config of an image for one platform."""
    (manifest,) = image.manifests
    return config_of(manifest.config)
