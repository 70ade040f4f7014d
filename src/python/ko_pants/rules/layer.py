"""From a content to a layer descriptor: KOCACHE's maps first, then a process.

A hit in the maps is a file read. It needs no sandbox, no tar and no gzip, and does not touch the
bytes of the content. Only a miss runs the layer process (local cache, remote cache, or a real run)
and then records what it found.
"""

from __future__ import annotations

import dataclasses

from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.engine import layer_blob
from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey
from ko_pants.kocache.maps import CachedLayer
from ko_pants.process_log import note_known_layer
from ko_pants.products import Layer, LayerBlob, LayerBlobRequest, LayerRequest

_caches: BoundedMemory[str, KoCache] = BoundedMemory(
    name="rules.layer: caches",
    bound=8,
    holds="a KoCache by its directory; it remembers the maps that it read, and reads a map again "
    "when its file has changed",
)


def open_kocache(root: str) -> KoCache:
    """The cache at `root`; one object per daemon."""
    return _caches.get(root) or _caches.setdefault(root, KoCache(root))


def layer_key(request: LayerRequest) -> LayerKey:
    """What KOCACHE knows the layer by."""
    key = request.content.key(request.platform)
    in_tar = request.encoding.tar_variant
    if not in_tar:
        return key
    return dataclasses.replace(key, variant=",".join(filter(None, (key.variant, in_tar))))


def cached_layer(blob: LayerBlob, request: LayerRequest) -> CachedLayer:
    """What KOCACHE keeps of a layer that was made, under the compressor of its own encoding."""
    return CachedLayer(blob.diff_id, blob.descriptor, request.encoding.compressor)


@rule(desc="Find layer", level=LogLevel.DEBUG)
async def find_layer(request: LayerRequest) -> Layer:
    """Look into KOCACHE; on a miss make the layer and record it.

    :raises KoPantsError: KOCACHE is no usable directory, or the layer process failed.
    """
    settings = request.settings
    cache = open_kocache(settings.kocache)
    cache.check_usable()
    key = layer_key(request)
    found = cache.lookup(key, request.encoding.compressor, allow_foreign=settings.trust_foreign)
    if found is not None:
        note_known_layer(found.diff_id)
        return Layer(request, found.diff_id, found.descriptor)
    blob = await layer_blob(LayerBlobRequest(request))
    cache.record(key, cached_layer(blob, request))
    return Layer(request, blob.diff_id, blob.descriptor, blob.source)
