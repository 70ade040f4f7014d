"""An artifact: a manifest with a `subject`, and the blobs that it names.

Source: OCI image-spec 1.1, manifest.md, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

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
    :param layers: the descriptor and the content of each layer; at least one.
    :param manifest: the bytes of its manifest; `descriptor` describes them.
    """

    kind: str
    subject: Descriptor
    platform: str
    artifact_type: str
    layers: tuple[tuple[Descriptor, bytes], ...]
    manifest: bytes
    descriptor: Descriptor

    @property
    def layer(self) -> Descriptor:
        """The first layer, which is the only one of SBOMs and provenance."""
        return self.layers[0][0]

    @property
    def content(self) -> bytes:
        """The content of the first layer."""
        return self.layers[0][1]

    def blobs(self) -> dict[Descriptor, bytes]:
        """What the registry must have before the manifest, each once, without annotations."""
        found = {EMPTY_DESCRIPTOR: EMPTY_BLOB}
        for layer, content in self.layers:
            if layer.digest != EMPTY_DESCRIPTOR.digest:
                found[Descriptor(layer.media_type, layer.digest, layer.size)] = content
        return found


@dataclass(frozen=True)
class ArtifactLayer:
    """A layer of an artifact, before it has a descriptor."""

    media_type: str
    content: bytes
    annotations: tuple[tuple[str, str], ...] = ()

    def described(self) -> tuple[Descriptor, bytes]:
        """The descriptor, and the content."""
        digest = sha256_digest(self.content)
        return Descriptor(
            self.media_type, digest, len(self.content), self.annotations
        ), self.content


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
    layer = ArtifactLayer(media_type or artifact_type, content)
    return compose_layered_artifact(kind, subject, artifact_type, [layer], annotations=annotations)


def compose_layered_artifact(
    kind: str,
    subject: Descriptor,
    artifact_type: str,
    layers: Sequence[ArtifactLayer],
    *,
    annotations: Mapping[str, str] | Iterable[tuple[str, str]] = (),
) -> Artifact:
    """An artifact with any number of layers. The same arguments give the same bytes.

    An artifact without content has the empty blob as its layer, as the image-spec wants it.

    :param subject: the descriptor of a manifest or index, with its platform if it has one.
    :param annotations: of the manifest.
    """
    described = tuple(layer.described() for layer in layers) or ((EMPTY_DESCRIPTOR, EMPTY_BLOB),)
    plain_subject = Descriptor(subject.media_type, subject.digest, subject.size)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": mt.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": EMPTY_DESCRIPTOR.to_json(),
        "layers": [layer.to_json() for layer, _ in described],
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
        described,
        manifest,
        Descriptor(mt.OCI_MANIFEST, sha256_digest(manifest), len(manifest)),
    )
