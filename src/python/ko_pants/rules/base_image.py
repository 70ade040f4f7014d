"""Base images: a reference on a registry, or an OCI layout on disk.

A tag is asked for once per run, however many images use it. A digest, written in the reference or
locked, is not asked for at all if KOCACHE has its documents in `img/`. If the answer is that of the
last run, the engine goes on with the results of the last run.
"""

from __future__ import annotations

import os
from dataclasses import replace

from pants.base.build_root import BuildRoot
from pants.engine.rules import _uncacheable_rule

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.errors import KoPantsError
from ko_pants.kocache.cache import KoCache
from ko_pants.oci.base import read_base_image
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import parse_document
from ko_pants.oci.layout import Layout, find_in_layout, parse_layout_reference
from ko_pants.oci.reference import Reference
from ko_pants.products import BaseImageRequest, ResolvedBase
from ko_pants.registry.client import RegistrySession
from ko_pants.rules.layer import open_kocache
from ko_pants.rules.registry_access import RegistryAccess
from ko_pants.rules.settings import Settings

_MAX_CONFIG_BYTES = 8 << 20

_resolved: BoundedMemory[tuple[BaseImageRequest, Descriptor | None, str], ResolvedBase] = (
    BoundedMemory(
        name="rules.base_image: resolved bases",
        bound=64,
        holds="a base image by the digest that its tag names, which never changes; the same object "
        "as in the last run is compared faster than an equal one",
    )
)


class _RegistryBase:
    """The documents of a base image on a registry. KOCACHE keeps them in `img/`."""

    def __init__(self, session: RegistrySession, cache: KoCache, reference: Reference) -> None:
        self._session = session
        self._cache = cache
        self._reference = reference

    def read_top(self, resolve: Descriptor | None) -> tuple[Descriptor, bytes]:
        digest = self._reference.digest or (resolve.digest if resolve else "")
        content = self._cache.read_content(digest) if digest else None
        if content is not None:
            media_type = parse_document(content, where=str(self._reference)).get("mediaType", "")
            if resolve is not None and not media_type:
                media_type = resolve.media_type
            return Descriptor(media_type, digest, len(content)), content
        wanted = self._reference.with_digest(digest) if digest else self._reference
        descriptor, content = self._session.get_manifest(wanted)
        self._cache.write_content(descriptor, content)
        return descriptor, content

    def read_manifest(self, descriptor: Descriptor) -> bytes:
        content = self._cache.read_content(descriptor.digest)
        if content is None:
            found, content = self._session.get_manifest(
                self._reference.with_digest(descriptor.digest)
            )
            self._cache.write_content(found, content)
        return content

    def read_config(self, descriptor: Descriptor) -> bytes:
        content = self._cache.read_content(descriptor.digest)
        if content is None:
            content = self._session.get_blob(self._reference, descriptor, _MAX_CONFIG_BYTES)
            self._cache.write_content(descriptor, content)
        return content


class _LayoutBase:
    """The documents of a base image in a layout on disk."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def read_manifest(self, descriptor: Descriptor) -> bytes:
        return self._layout.read_blob(descriptor)

    read_config = read_manifest


@_uncacheable_rule
async def resolve_base_image(
    request: BaseImageRequest, settings: Settings, access: RegistryAccess, build_root: BuildRoot
) -> ResolvedBase:
    """Read index, manifests and configs, but no layers.

    :raises KoPantsError: the reference is malformed or names nothing, the registry cannot be
        reached, or the base lacks a platform.
    """
    if request.reference.startswith("oci:"):
        path, name = parse_layout_reference(request.reference)
        path = os.path.join(build_root.path, path)
        if not os.path.isdir(path):
            raise KoPantsError(
                f"base image {request.reference!r}: expected an OCI layout in {path}, "
                "found no directory. The path is relative to the build root"
            )
        layout = Layout(path)
        top = find_in_layout(layout, name)
        return ResolvedBase(
            read_base_image(
                _LayoutBase(layout),
                top,
                layout.read_blob(top),
                name=request.reference,
                origin=f"oci:{path}",
                wanted=request.platforms,
            )
        )
    reference = Reference.parse(request.reference)
    pinned = replace(reference, digest=request.digest or reference.digest)
    resolved = None if pinned.digest else access.resolve_tag(reference)
    key = (request, resolved, settings.kocache)
    known = _resolved.get(key)
    if known is None:
        cache = open_kocache(settings.kocache)
        source = _RegistryBase(access.client.session(), cache, pinned)
        top, content = source.read_top(resolved)
        known = ResolvedBase(
            read_base_image(
                source,
                top,
                content,
                name=str(reference),
                origin=f"{reference.registry}/{reference.repository}",
                wanted=request.platforms,
            )
        )
        _resolved.put(key, known)
    return known
