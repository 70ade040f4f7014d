"""Artifacts in the form in which a destination stores them.

A registry or a layout stores each as a manifest with a `subject`. The other form is that of ko and
cosign: an SBOM is an image of one layer, with a tag made of its subject's digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping

from ko_pants.artifacts.artifact import Artifact
from ko_pants.artifacts.formats import SPDX, TAGS
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.documents import canonical_json

_KO_SPDX = "text/spdx+json"


# Compared by identity: it belongs to one run, and its content is large.
@dataclass(frozen=True, eq=False)
class Attachment:
    """An artifact as it is stored.

    :param blobs: what has to be there before the manifest.
    :param tag: that names it; empty if it is a referrer, which has none.
    """

    artifact: Artifact
    manifest: bytes
    descriptor: Descriptor
    blobs: Mapping[Descriptor, bytes]
    tag: str = ""

    def __str__(self) -> str:
        return f"{self.artifact.kind} of {self.artifact.platform or 'the index'}"


def attachments_of(artifacts: Iterable[Artifact], attach_as: str) -> tuple[Attachment, ...]:
    """The artifacts as they are stored.

    :param attach_as: one of `artifacts.formats.ATTACHMENTS`. Only SBOMs can be tags.
    """
    return tuple(
        _ko_image(artifact)
        if attach_as == TAGS and artifact.kind == SPDX
        else Attachment(artifact, artifact.manifest, artifact.descriptor, artifact.blobs())
        for artifact in artifacts
    )


def _ko_image(artifact: Artifact) -> Attachment:
    """What ko 0.19.1 pushes for an SBOM: an image for no platform, whose layer is no archive."""
    content = artifact.content
    layer = Descriptor(_KO_SPDX, sha256_digest(content), len(content))
    config = canonical_json(
        {
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        }
    )
    config_descriptor = Descriptor(mt.OCI_CONFIG, sha256_digest(config), len(config))
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": mt.OCI_MANIFEST,
            "config": config_descriptor.to_json(),
            "layers": [layer.to_json()],
        }
    )
    return Attachment(
        artifact,
        manifest,
        Descriptor(mt.OCI_MANIFEST, sha256_digest(manifest), len(manifest)),
        {config_descriptor: config, layer: content},
        artifact.subject.digest.replace(":", "-", 1) + ".sbom",
    )
