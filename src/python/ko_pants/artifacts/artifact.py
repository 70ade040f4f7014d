"""An artifact: a manifest with a `subject`, and the blobs that it names.

Source: OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest, sorted_pairs
from ko_pants.oci.documents import canonical_json

#: The config of artifacts that need none.
EMPTY_BLOB = b"{}"
EMPTY_DESCRIPTOR = Descriptor(mt.OCI_EMPTY, sha256_digest(EMPTY_BLOB), len(EMPTY_BLOB))


@dataclass(frozen=True)
class Artifact:
    """Something that refers to an image, ready to be stored.

    :param kind: the word for it in messages and in the output of `publish`: `spdx`, `cyclonedx`,
        `provenance` or `signature`.
    :param subject: the manifest or index that it is about: media type, digest, size, nothing else.
    :param platform: of the subject, as text; empty for an index.
    :param content: of its one layer; `layer` describes it.
    :param manifest: the bytes of its manifest; `descriptor` describes them.
    """

    kind: str
    subject: Descriptor
    platform: str
    artifact_type: str
    layer: Descriptor
    content: bytes
    manifest: bytes
    descriptor: Descriptor

    def blobs(self) -> dict[Descriptor, bytes]:
        """What the registry must have before the manifest."""
        return {EMPTY_DESCRIPTOR: EMPTY_BLOB, self.layer: self.content}


def compose_artifact(
    kind: str,
    subject: Descriptor,
    artifact_type: str,
    content: bytes,
    *,
    media_type: str = "",
    annotations: Mapping[str, str] | Iterable[tuple[str, str]] = (),
) -> Artifact:
    """An artifact with one layer. The same arguments give the same bytes.

    :param subject: the descriptor of a manifest or index, with its platform if it has one.
    :param media_type: of the layer; `artifact_type` if it is empty.
    :param annotations: of the manifest.
    """
    layer = Descriptor(media_type or artifact_type, sha256_digest(content), len(content))
    plain_subject = Descriptor(subject.media_type, subject.digest, subject.size)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": mt.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": EMPTY_DESCRIPTOR.to_json(),
        "layers": [layer.to_json()],
        "subject": plain_subject.to_json(),
    }
    pairs = sorted_pairs(dict(annotations))
    if pairs:
        document["annotations"] = dict(pairs)
    manifest = canonical_json(document)
    return Artifact(
        kind,
        plain_subject,
        str(subject.platform) if subject.platform is not None else "",
        artifact_type,
        layer,
        content,
        manifest,
        Descriptor(mt.OCI_MANIFEST, sha256_digest(manifest), len(manifest)),
    )
