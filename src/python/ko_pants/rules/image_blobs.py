"""The bytes of a whole image, for outputs that have all of them: archives and layouts.

A publication needs only what a registry lacks, and does not come here.
"""

from __future__ import annotations

import shutil

from pants.engine.process import Process, ProcessCacheScope
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import layer_blobs, run_process_here
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import BaseImage
from ko_pants.oci.layout import Layout
from ko_pants.products import ImageBlobs, ImageBlobsRequest, LayerBlobRequest
from ko_pants.publishing.base_layers import open_base_layer
from ko_pants.publishing.temporary import make_directory
from ko_pants.rules.drift import correct_drift, drifted_layers
from ko_pants.rules.registry_access import RegistryAccess

# The arguments are pairs: the path of a file, and its name in the sandbox.
_COPY = 'while [ $# -gt 0 ]; do cp "$1" "$2" || exit 1; shift 2; done'


def _fetch(access: RegistryAccess, base: BaseImage, layer: Descriptor, spool: str) -> str:
    """The path of a base layer, downloaded to `spool` unless it is on this disk; verified."""
    if base.source.startswith("oci:"):
        layout = Layout(base.source[len("oci:") :])
        if not layout.has_blob(layer):
            raise KoPantsError(
                f"base image {base.name}: the blob {layer.digest} is missing; write the layout anew"
            )
        return layout.blob_path(layer.digest)
    layout = Layout(spool)
    with open_base_layer(access.client, base, layer) as stream:
        layout.write_blob(layer, stream)
    return layout.blob_path(layer.digest)


async def _bring_base(
    owner: str, access: RegistryAccess, base: BaseImage, layers: tuple[Descriptor, ...]
) -> None:
    """Have the layers of the base in the engine's store.

    :raises KoPantsError: they cannot be read; the text names `owner`.
    """
    if not layers:
        return
    spool = make_directory("base")
    try:
        pairs: list[str] = []
        for layer in layers:
            pairs += [_fetch(access, base, layer, spool), layer.digest.partition(":")[2]]
        result = await run_process_here(
            Process(
                ("/bin/sh", "-c", _COPY, "copy", *pairs),
                env={"PATH": "/usr/bin:/bin"},
                output_files=pairs[1::2],
                description=f"Read {len(layers)} base layers of {owner}",
                level=LogLevel.DEBUG,
                cache_scope=ProcessCacheScope.PER_SESSION,
            )
        )
    except KoPantsError as e:
        raise KoPantsError(f"{owner}: {e}") from None
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    if result.exit_code:
        raise KoPantsError(
            f"{owner}: the layers of its base image cannot be read: "
            + result.stderr.decode("utf-8", "replace").strip()
        )


@rule(desc="Fetch layers", level=LogLevel.DEBUG)
async def bring_image_blobs(request: ImageBlobsRequest, access: RegistryAccess) -> ImageBlobs:
    """Have every layer in the engine's store. Then its descriptor is enough to name its bytes.

    :raises KoPantsError: a layer cannot be made, or the base cannot be read.
    """
    built = request.built
    platforms = request.platforms or tuple(m.platform for m in built.image.manifests)
    layers = tuple(
        dict.fromkeys(
            added.layer
            for part in built.platforms
            if part.platform in platforms
            for added in part.layers
        )
    )
    blobs = dict(zip(layers, await layer_blobs(LayerBlobRequest(x.request) for x in layers)))
    drifted = drifted_layers(blobs)
    if drifted:
        built = correct_drift(built, drifted)
    added_digests = {blob.descriptor.digest for blob in blobs.values()}
    base = dict.fromkeys(
        layer.descriptor
        for manifest in built.image.manifests
        if manifest.platform in platforms
        for layer in manifest.layers
        if layer.kind == "base" and layer.descriptor.digest not in added_digests
    )
    await _bring_base(built.owner, access, built.base, tuple(base))
    return ImageBlobs(built)
