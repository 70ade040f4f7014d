"""Drift: a layer was made again, and its bytes are not what KOCACHE said.

A compressor can change its output from one version to the next, and a map can be wrong. The
registry lacks the blob of the map, so only the new bytes can be pushed: the map and the image are
corrected to them.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Mapping

from ko_pants.products import BuiltImage, Layer, LayerBlob
from ko_pants.rules.image import compose
from ko_pants.rules.layer import cached_layer, layer_key, open_kocache

logger = logging.getLogger(__name__)


def drifted_layers(blobs: Mapping[Layer, LayerBlob]) -> dict[Layer, LayerBlob]:
    """The layers whose bytes are others than their diffID and descriptor say."""
    return {
        layer: blob
        for layer, blob in blobs.items()
        if (layer.diff_id, layer.descriptor.digest) != (blob.diff_id, blob.descriptor.digest)
    }


def correct_drift(built: BuiltImage, drifted: Mapping[Layer, LayerBlob]) -> BuiltImage:
    """Correct KOCACHE, and return the image with the layers as they were made."""
    for layer, blob in drifted.items():
        request = layer.request
        cache = open_kocache(request.settings.kocache)
        cache.record(layer_key(request), cached_layer(blob, request))
        logger.info(
            f"{built.owner}: KOCACHE said {layer.descriptor.digest} for a layer of "
            f"{request.platform}, the registry lacks it, and it was rebuilt as "
            f"{blob.descriptor.digest}; map and manifest are corrected"
        )

    def corrected(layer: Layer) -> Layer:
        blob = drifted.get(layer)
        if blob is None:
            return layer
        return Layer(layer.request, blob.diff_id, blob.descriptor, blob.source)

    platforms = tuple(
        replace(
            part,
            layers=tuple(replace(added, layer=corrected(added.layer)) for added in part.layers),
        )
        for part in built.platforms
    )
    image = compose(built.base, platforms, built.config)
    return replace(built, platforms=platforms, image=image)
