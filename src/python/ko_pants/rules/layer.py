"""From an executable (or kodata) to a layer descriptor: KOCACHE's maps first, then a process.

A hit in the maps is a file read: no sandbox, no tar, no gzip, and the executable's bytes are not
touched. Only a miss runs the layer process (local cache, remote cache, compute) and then records
what it found.
"""

from __future__ import annotations

import functools

from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from ko_pants.engine import layer_blob
from ko_pants.kocache.cache import KoCache
from ko_pants.kocache.keys import LayerKey, build_key
from ko_pants.kocache.maps import CachedLayer
from ko_pants.layers.encodings import compressor_id
from ko_pants.products import Layer, LayerBlobRequest, LayerRequest

# kodata layers are kept under no import path: equal trees are one layer, whoever has them.
_KODATA_PATH = "kodata"


@functools.lru_cache(maxsize=8)
def open_kocache(root: str) -> KoCache:
    """The cache at `root`; one object per daemon, which remembers parsed maps by file state."""
    return KoCache(root)


def layer_key(request: LayerRequest) -> LayerKey:
    """What the maps know the layer by: everything that decides the bytes of its tar."""
    executable = request.executable
    if executable is None:
        return LayerKey(
            _KODATA_PATH,
            request.platform,
            f"sha256:{request.kodata.fingerprint}",
            variant=f"epoch={request.kodata_epoch}" if request.kodata_epoch else "",
            kind="kodata",
        )
    return LayerKey(
        executable.import_path,
        executable.platform,
        build_key(
            executable.header.build_id if executable.compiled else "",
            executable.file_digest.partition(":")[2],
        ),
    )


@rule(desc="Find layer", level=LogLevel.DEBUG)
async def find_layer(request: LayerRequest) -> Layer:
    """Look into KOCACHE; on a miss make the layer and record it.

    :raises KoPantsError: KOCACHE is no usable directory, or the layer process failed.
    """
    settings = request.settings
    cache = open_kocache(settings.kocache)
    cache.check_usable()
    key = layer_key(request)
    compressor = compressor_id(settings.encoding, settings.level)
    found = cache.lookup(key, compressor, allow_foreign=settings.trust_foreign)
    if found is not None:
        return Layer(request, found.diff_id, found.descriptor)
    blob = await layer_blob(LayerBlobRequest(request))
    cache.record(key, CachedLayer(blob.diff_id, blob.descriptor, compressor))
    return Layer(request, blob.diff_id, blob.descriptor, blob.origin)


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
