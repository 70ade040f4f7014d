"""Reading base images from a registry, a layout or a cache.

Only indexes, manifests and configs are read, never layers. The source may keep what was read by
digest, so that a base image that is named by its digest costs no request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.cpu_levels import choose_offers, missing_platforms
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import (
    document_media_type,
    parse_document,
    read_annotations,
    read_config_platform,
    read_index,
    read_manifest,
)
from ko_pants.oci.image import BaseImage, BaseManifest
from ko_pants.oci.platform import Platform, is_go_platform


class BaseSource(Protocol):
    """Gives the documents of a base image."""

    def read_manifest(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest or index, verified by digest."""

    def read_config(self, descriptor: Descriptor) -> bytes:
        """The bytes of a config, verified by digest."""


def read_base_image(
    source: BaseSource,
    top: Descriptor,
    content: bytes,
    *,
    name: str,
    origin: str,
    wanted: Sequence[Platform],
) -> BaseImage:
    """Read a base image.

    :param wanted: the platforms to read it for; none for all that Go can build for.
    :param top: the descriptor of `content`.
    :param content: the bytes of the index or manifest that the name stands for.
    :param name: the reference, for messages and the annotation
        `org.opencontainers.image.base.name`.
    :param origin: where layers can be copied from; becomes `BaseImage.source`.
    :raises KoPantsError: the base lacks a platform, or a document is damaged.
    """
    document = parse_document(content, where=f"base image {name}")
    media_type = document_media_type(document, top.media_type)
    if media_type in mt.INDEX_TYPES:
        entries = read_index(document, where=f"base image {name}")
        manifests = _read_entries(source, _choose(source, entries, wanted, name), name)
        return BaseImage(name, top.digest, media_type == mt.DOCKER_INDEX, manifests, origin)
    if media_type not in mt.MANIFEST_TYPES:
        raise KoPantsError(
            f"base image {name}: expected an image or an image index, found {media_type!r}"
        )
    manifest = _read_manifest(source, top, content, name=name)
    if not is_go_platform(manifest.platform):
        raise KoPantsError(
            f"the base image {name} is for {manifest.platform}, for which Go cannot build. "
            "Choose another base image"
        )
    missing = missing_platforms([manifest.platform], wanted)
    if missing:
        raise lacks_platforms(name, missing, [manifest.platform])
    platform = manifest.platform
    chosen = choose_offers([(manifest, platform)], wanted or [platform])
    manifests = tuple(replace(manifest, platform=platform) for _, platform in chosen)
    return BaseImage(name, top.digest, manifest.docker, manifests, origin)


def _read_entries(
    source: BaseSource, chosen: Sequence[tuple[Descriptor, Platform]], name: str
) -> tuple[BaseManifest, ...]:
    """The images of entries of an index. One that serves several CPU levels is read once."""
    read = {
        entry.digest: _read_manifest(source, entry, source.read_manifest(entry), name=name)
        for entry in {entry.digest: entry for entry, _ in chosen}.values()
    }
    # The index says more than the config, which often lacks the variant.
    return tuple(
        replace(read[entry.digest], platform=platform, entry_annotations=entry.annotations)
        for entry, platform in chosen
    )


def _choose(
    source: BaseSource, entries: Sequence[Descriptor], wanted: Sequence[Platform], name: str
) -> list[tuple[Descriptor, Platform]]:
    """The entries that match, with their platforms, in the order of the index as in ko.

    An entry may have no platform. ko takes it for `all` alone, and its index has none either, so
    that no runtime can choose from it. Here its config says for which platform it is. It is looked
    at only where the platforms in the index do not suffice.
    """
    known = [(entry, entry.platform) for entry in entries if _is_named(entry.platform)]
    if len(known) < len(entries) and (
        not wanted or missing_platforms((p for _, p in known if p), wanted)
    ):
        known = [
            (e, e.platform if _is_named(e.platform) else _platform_of_config(source, e, name))
            for e in entries
        ]
    offers = [(entry, platform) for entry, platform in known if platform is not None]
    offered = [platform for _, platform in offers]
    missing = missing_platforms(offered, wanted)
    if missing:
        raise lacks_platforms(name, missing, offered)
    if wanted:
        return choose_offers(offers, wanted)
    buildable = [pair for pair in offers if is_go_platform(pair[1])]
    if not buildable:
        raise KoPantsError(
            f"the base image {name} has no platform that Go can build for; it has "
            f"{', '.join(sorted(map(str, offered))) or 'none'}. Choose another base image"
        )
    return buildable


def _is_named(platform: Platform | None) -> bool:
    return platform is not None and bool(platform.os and platform.architecture)


def _platform_of_config(source: BaseSource, entry: Descriptor, name: str) -> Platform | None:
    """The platform that the config of an entry names; None if it names none, or is no image's."""
    where = f"base image {name}, manifest {entry.digest}"
    config, _ = read_manifest(parse_document(source.read_manifest(entry), where=where), where=where)
    if config.media_type not in mt.CONFIG_TYPES:
        return None
    document = parse_document(source.read_config(config), where=f"{where}, config")
    platform = Platform.from_json(document)
    known = _is_named(platform) and "unknown" not in (platform.os, platform.architecture)
    return platform if known else None


def lacks_platforms(
    name: str, missing: Sequence[Platform], offered: Sequence[Platform]
) -> KoPantsError:
    """The error for a base that does not have every wanted platform."""
    return KoPantsError(
        f"the base image {name} has no platform {', '.join(map(str, missing))}; "
        f"it has {', '.join(sorted(map(str, offered))) or 'none'}. "
        "Choose another base image, or fewer platforms"
    )


def _read_manifest(
    source: BaseSource, entry: Descriptor, content: bytes, *, name: str
) -> BaseManifest:
    where = f"base image {name}, manifest {entry.digest}"
    document = parse_document(content, where=where)
    config_descriptor, layers = read_manifest(document, where=where)
    config = source.read_config(config_descriptor)
    return BaseManifest(
        platform=read_config_platform(config, where=f"{where}, config"),
        digest=entry.digest,
        config=config,
        layers=layers,
        docker=document_media_type(document, entry.media_type) == mt.DOCKER_MANIFEST,
        annotations=read_annotations(document, where=where),
    )
