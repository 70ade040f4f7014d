"""Whole images as files: an OCI layout, and the archive that `docker load` reads.

Sources: OCI image-spec 1.1 (image-layout.md); for docker's archive the manifest.json that `docker
save` writes, with the file names of ko 0.19.1 (`--tarball`). Pure functions: blobs are only named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Sequence

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import canonical_json
from ko_pants.oci.image import Image, ImageManifest
from ko_pants.oci.layout_artifacts import ANNOTATION_REF_NAME


@dataclass(frozen=True)
class ImageFile:
    """One file: its content, or the blob that it is."""

    path: str
    content: bytes = b""
    blob: Descriptor | None = None


def layout_files(image: Image, names: Sequence[str]) -> tuple[ImageFile, ...]:
    """The files of an OCI layout with one image.

    :param names: references of the image. The layout has one entry, so that it can be read without
        a name; the first reference is its annotation.
    """
    entry = image.descriptor.to_json()
    if names:
        entry["annotations"] = {**entry.get("annotations", {}), ANNOTATION_REF_NAME: names[0]}
    documents = {image.descriptor.digest: image.content}
    for manifest in image.manifests:
        documents[manifest.descriptor.digest] = manifest.manifest
    documents.update(image.configs())
    blobs = [
        ImageFile(_blob_path(descriptor), blob=descriptor)
        for digest, descriptor in image.blobs().items()
        if digest not in documents
    ]
    return (
        ImageFile("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        ImageFile("index.json", canonical_json({"schemaVersion": 2, "manifests": [entry]})),
        *(
            ImageFile(f"blobs/sha256/{digest.partition(':')[2]}", content)
            for digest, content in sorted(documents.items())
        ),
        *sorted(blobs, key=lambda file: file.path),
    )


def docker_archive_files(manifest: ImageManifest, names: Sequence[str]) -> tuple[ImageFile, ...]:
    """The files of a docker archive with the image of one platform, in their order.

    As in ko, layers stay compressed, and the same layer twice is one file.

    :param names: references with tags; there may be none.
    """
    layers = [layer.descriptor for layer in manifest.layers]
    config = manifest.config_descriptor.digest
    document = [
        {
            "Config": config,
            "RepoTags": list(names) or None,
            "Layers": [_layer_name(layer) for layer in layers],
        }
    ]
    return (
        ImageFile(config, manifest.config),
        *(ImageFile(_layer_name(layer), blob=layer) for layer in dict.fromkeys(layers)),
        ImageFile("manifest.json", json.dumps(document, separators=(",", ":")).encode()),
    )


def _blob_path(descriptor: Descriptor) -> str:
    return f"blobs/sha256/{descriptor.digest.partition(':')[2]}"


def _layer_name(layer: Descriptor) -> str:
    ending = ".tar"
    if "gzip" in layer.media_type:
        ending = ".tar.gz"
    elif "zstd" in layer.media_type:
        ending = ".tar.zst"
    return layer.digest.partition(":")[2] + ending
