"""Images as pure data: config, manifest and index composed from descriptors alone.

Manifests and indexes follow OCI image-spec 1.1 (manifest.md, image-index.md). No layer is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.base_annotations import (
    ANNOTATION_BASE_DIGEST,
    ANNOTATION_BASE_NAME,
    inherited_annotations,
)
from ko_pants.oci.cpu_levels import plain_first
from ko_pants.oci.descriptor import Descriptor, sha256_digest, sorted_pairs
from ko_pants.oci.documents import canonical_json
from ko_pants.oci.image_config import History, ImageConfig, config_document
from ko_pants.oci.platform import Platform


@dataclass(frozen=True)
class BaseManifest:
    """One platform of a base image.

    :param config: the config's JSON; empty for scratch.
    :param docker: whether its media types are Docker's.
    :param annotations: of the manifest, as sorted pairs.
    :param entry_annotations: of its entry in the base's index, as sorted pairs.
    """

    platform: Platform
    digest: str = ""
    config: bytes = b""
    layers: tuple[Descriptor, ...] = ()
    docker: bool = False
    annotations: tuple[tuple[str, str], ...] = ()
    entry_annotations: tuple[tuple[str, str], ...] = ()

    @cached_property
    def parsed_config(self) -> Mapping[str, Any]:
        """The config's JSON object, read once for all images on this base. Not to be changed."""
        parsed: dict[str, Any] = json.loads(self.config) if self.config else {}
        return parsed


@dataclass(frozen=True)
class BaseImage:
    """A base image, reduced to the platforms that are wanted, in the order of its index.

    :param name: the reference, for messages and annotations; empty for scratch.
    :param digest: of the index or manifest that the name stands for; empty for scratch.
    :param docker: whether the media type of the index is Docker's.
    :param source: where layers can be copied from: a reference without tag, or `oci:<directory>`.
    :param if_lost: what a user can do if the registry lacks a layer of it; empty for the usual.
    """

    name: str
    digest: str
    docker: bool
    manifests: tuple[BaseManifest, ...]
    source: str = ""
    if_lost: str = ""

    def layer(self, digest: str) -> Descriptor | None:
        """The layer with this digest; None if no platform has one."""
        for manifest in self.manifests:
            for layer in manifest.layers:
                if layer.digest == digest:
                    return layer
        return None


@dataclass(frozen=True)
class AppLayer:
    """A layer that is put on the base.

    :param kind: `kodata` or `binary`, for reports.
    :param descriptor: its media type is of the OCI family.
    """

    kind: str
    diff_id: str
    descriptor: Descriptor
    history: History


@dataclass(frozen=True)
class ImageLayer:
    """A layer of a composed image, with the media type that its manifest uses.

    :param kind: `base`, or that of the `AppLayer`.
    """

    kind: str
    diff_id: str
    descriptor: Descriptor


@dataclass(frozen=True)
class ImageManifest:
    """One platform's image: the bytes of config and manifest, and the descriptors of both."""

    platform: Platform
    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    descriptor: Descriptor
    layers: tuple[ImageLayer, ...]


@dataclass(frozen=True)
class Image:
    """What a tag stands for: an index of manifests, or a single manifest (`index` is empty)."""

    manifests: tuple[ImageManifest, ...]
    index: bytes
    descriptor: Descriptor

    @property
    def content(self) -> bytes:
        """The bytes that `descriptor` describes."""
        return self.index or self.manifests[0].manifest

    @cached_property
    def platform_names(self) -> str:
        """The platforms as text, for messages. Kept, because every run of a daemon reports it."""
        return ", ".join(str(manifest.platform) for manifest in self.manifests)

    @property
    def children(self) -> tuple[ImageManifest, ...]:
        """The manifests that a registry must have before the index; none for a single image."""
        return self.manifests if self.index else ()

    def blobs(self) -> dict[str, Descriptor]:
        """Every config and layer by digest, each once, in the order of the manifests."""
        out: dict[str, Descriptor] = {}
        for manifest in self.manifests:
            for layer in manifest.layers:
                out.setdefault(layer.descriptor.digest, layer.descriptor)
            out.setdefault(manifest.config_descriptor.digest, manifest.config_descriptor)
        return out

    def configs(self) -> dict[str, bytes]:
        """The bytes of each config by digest. The image itself has the bytes of no other blob."""
        return {m.config_descriptor.digest: m.config for m in self.manifests}


def scratch_base(platforms: Iterable[Platform]) -> BaseImage:
    """The empty base for these platforms: no layers and no name.

    One without a variant comes before its siblings that have one (`oci/cpu_levels.py`).
    """
    manifests = tuple(BaseManifest(platform) for platform in plain_first(platforms))
    return BaseImage("", "", docker=False, manifests=manifests)


def compose_image(
    base: BaseImage,
    layers: Mapping[Platform, Sequence[AppLayer]],
    config: ImageConfig,
) -> Image:
    """Put layers on every platform of the base, in their order.

    As in ko, one platform gives a single image, and several give an index in the base's order. The
    media types are those of the base's family, because some registries refuse mixtures.

    :raises KoPantsError: the base's config and manifest do not fit together.
    """
    manifests = tuple(
        _compose_manifest(base, manifest, layers[manifest.platform], config)
        for manifest in base.manifests
    )
    if len(manifests) == 1:
        return Image(manifests, b"", manifests[0].descriptor)
    media_type = _in_family(mt.OCI_INDEX, docker=base.docker)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            _index_entry(m.descriptor, of_base, docker=base.docker).to_json()
            for m, of_base in zip(manifests, base.manifests)
        ],
    }
    # As in ko, those of the base's index itself are not kept.
    annotations = _annotations((), base, base.digest, config)
    # Docker's manifest list has no annotations.
    if annotations and not base.docker:
        document["annotations"] = annotations
    index = canonical_json(document)
    return Image(manifests, index, Descriptor(media_type, sha256_digest(index), len(index)))


def _index_entry(descriptor: Descriptor, of_base: BaseManifest, *, docker: bool) -> Descriptor:
    annotations = {} if docker else inherited_annotations(of_base.entry_annotations)
    return replace(descriptor, annotations=sorted_pairs(annotations))


def _compose_manifest(
    base: BaseImage, manifest: BaseManifest, added: Sequence[AppLayer], config: ImageConfig
) -> ImageManifest:
    docker = manifest.docker
    base_config = manifest.parsed_config
    layers = (
        *_base_layers(base, manifest, base_config),
        *(_image_layer(layer, docker=docker) for layer in added),
    )
    config_bytes = canonical_json(
        config_document(
            base_config,
            manifest.platform,
            [layer.diff_id for layer in layers],
            [layer.history for layer in added],
            config,
        )
    )
    config_descriptor = Descriptor(
        _in_family(mt.OCI_CONFIG, docker=docker), sha256_digest(config_bytes), len(config_bytes)
    )
    media_type = _in_family(mt.OCI_MANIFEST, docker=docker)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_descriptor.to_json(),
        "layers": [layer.descriptor.to_json() for layer in layers],
    }
    annotations = _annotations(manifest.annotations, base, manifest.digest, config)
    if annotations:
        document["annotations"] = annotations
    content = canonical_json(document)
    descriptor = Descriptor(
        media_type, sha256_digest(content), len(content), platform=manifest.platform
    )
    return ImageManifest(
        manifest.platform, config_bytes, config_descriptor, content, descriptor, layers
    )


def _base_layers(
    base: BaseImage, manifest: BaseManifest, config: Mapping[str, Any]
) -> tuple[ImageLayer, ...]:
    if not manifest.config:
        return ()
    diff_ids = config.get("rootfs", {}).get("diff_ids", [])
    if len(diff_ids) != len(manifest.layers):
        raise KoPantsError(
            f"base image {base.name}: the manifest for {manifest.platform} has "
            f"{len(manifest.layers)} layers and its config {len(diff_ids)} diff_ids; "
            "expected as many. The base image is damaged: push it anew or choose another one"
        )
    return tuple(
        ImageLayer("base", str(diff_id), layer) for diff_id, layer in zip(diff_ids, manifest.layers)
    )


def _image_layer(layer: AppLayer, *, docker: bool) -> ImageLayer:
    media_type = _in_family(layer.descriptor.media_type, docker=docker)
    descriptor = replace(layer.descriptor, media_type=media_type)
    return ImageLayer(layer.kind, layer.diff_id, descriptor)


def _annotations(
    of_base: Iterable[tuple[str, str]], base: BaseImage, base_digest: str, config: ImageConfig
) -> dict[str, str]:
    """The base's, then the target's, then what the base was, at this level."""
    annotations = {**inherited_annotations(of_base), **dict(config.annotations)}
    if base.name:
        annotations[ANNOTATION_BASE_NAME] = base.name
        annotations[ANNOTATION_BASE_DIGEST] = base_digest
    return annotations


def _in_family(media_type: str, *, docker: bool) -> str:
    return mt.docker_equivalent(media_type) if docker else media_type
