"""Artifacts: what their manifests say, and which blobs they need."""

from __future__ import annotations

import json

from oci.images import AMD64

from ko_pants.artifacts.artifact import (
    EMPTY_BLOB,
    EMPTY_DESCRIPTOR,
    ArtifactLayer,
    compose_artifact,
    compose_layered_artifact,
)
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest

SUBJECT = Descriptor(
    mt.OCI_MANIFEST, sha256_digest(b"image"), 5, annotations=(("a", "b"),), platform=AMD64
)


def test_one_layer_has_the_type_of_the_artifact() -> None:
    artifact = compose_artifact("spdx", SUBJECT, "application/spdx+json", b"{...}")
    manifest = json.loads(artifact.manifest)
    assert manifest["artifactType"] == "application/spdx+json"
    assert manifest["config"] == EMPTY_DESCRIPTOR.to_json()
    assert manifest["layers"] == [
        {"mediaType": "application/spdx+json", "size": 5, "digest": sha256_digest(b"{...}")}
    ]
    # A subject is named without its platform and annotations.
    assert manifest["subject"] == {
        "mediaType": mt.OCI_MANIFEST,
        "size": 5,
        "digest": SUBJECT.digest,
    }
    assert "annotations" not in manifest
    assert artifact.platform == "linux/amd64"
    assert artifact.descriptor.digest == sha256_digest(artifact.manifest)
    assert artifact.blobs() == {EMPTY_DESCRIPTOR: EMPTY_BLOB, artifact.layer: b"{...}"}


def test_each_layer_keeps_its_annotations_and_its_place() -> None:
    layers = [
        ArtifactLayer("text/a", b"one", (("k", "v"),)),
        ArtifactLayer("text/b", b"two"),
        ArtifactLayer("text/a", b"one"),
    ]
    artifact = compose_layered_artifact(
        "signature", SUBJECT, "text/sig", layers, annotations={"z": "1", "a": "2"}
    )
    manifest = json.loads(artifact.manifest)
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["text/a", "text/b", "text/a"]
    assert manifest["layers"][0]["annotations"] == {"k": "v"}
    assert list(manifest["annotations"].items()) == [("a", "2"), ("z", "1")]
    # Each blob goes up once.
    assert sorted(artifact.blobs().values()) == sorted([EMPTY_BLOB, b"one", b"two"])


def test_an_artifact_without_content_has_the_empty_blob_as_its_layer() -> None:
    artifact = compose_layered_artifact("signature", SUBJECT, "text/sig", [])
    assert json.loads(artifact.manifest)["layers"] == [EMPTY_DESCRIPTOR.to_json()]
    assert artifact.blobs() == {EMPTY_DESCRIPTOR: EMPTY_BLOB}


def test_a_layer_with_the_content_of_the_empty_blob_brings_it_once() -> None:
    layers = [ArtifactLayer("application/json", EMPTY_BLOB)]
    artifact = compose_layered_artifact("signature", SUBJECT, "text/sig", layers)
    assert artifact.blobs() == {EMPTY_DESCRIPTOR: EMPTY_BLOB}
