"""The two families of media types."""

from __future__ import annotations

import pytest

from ko_pants.oci import media_types as mt
from ko_pants.oci.media_types import docker_equivalent, oci_equivalent


@pytest.mark.parametrize(
    ("oci", "docker"),
    [
        (mt.OCI_INDEX, mt.DOCKER_INDEX),
        (mt.OCI_MANIFEST, mt.DOCKER_MANIFEST),
        (mt.OCI_CONFIG, mt.DOCKER_CONFIG),
        (mt.OCI_LAYER_TAR, mt.DOCKER_LAYER_TAR),
        (mt.OCI_LAYER_GZIP, mt.DOCKER_LAYER_GZIP),
        (mt.OCI_LAYER_ZSTD, mt.DOCKER_LAYER_ZSTD),
    ],
)
def test_each_family_has_the_equivalent_of_the_other(oci: str, docker: str) -> None:
    assert docker_equivalent(oci) == docker_equivalent(docker) == docker
    assert oci_equivalent(docker) == oci_equivalent(oci) == oci


@pytest.mark.parametrize("media_type", ["", "text/plain", mt.OCI_EMPTY])
def test_a_type_without_equivalent_stays(media_type: str) -> None:
    assert docker_equivalent(media_type) == oci_equivalent(media_type) == media_type


def test_types_as_registries_know_them() -> None:
    oci, docker = "application/vnd.oci.", "application/vnd.docker."
    assert (
        f"{oci}image.index.v1+json",
        f"{oci}image.manifest.v1+json",
        f"{oci}image.config.v1+json",
        f"{oci}empty.v1+json",
    ) == (mt.OCI_INDEX, mt.OCI_MANIFEST, mt.OCI_CONFIG, mt.OCI_EMPTY)
    assert (
        f"{oci}image.layer.v1.tar",
        f"{oci}image.layer.v1.tar+gzip",
        f"{oci}image.layer.v1.tar+zstd",
    ) == (mt.OCI_LAYER_TAR, mt.OCI_LAYER_GZIP, mt.OCI_LAYER_ZSTD)
    assert (
        f"{docker}distribution.manifest.list.v2+json",
        f"{docker}distribution.manifest.v2+json",
        f"{docker}container.image.v1+json",
    ) == (mt.DOCKER_INDEX, mt.DOCKER_MANIFEST, mt.DOCKER_CONFIG)
    assert (
        f"{docker}image.rootfs.diff.tar",
        f"{docker}image.rootfs.diff.tar.gzip",
        f"{docker}image.rootfs.diff.tar.zstd",
    ) == (mt.DOCKER_LAYER_TAR, mt.DOCKER_LAYER_GZIP, mt.DOCKER_LAYER_ZSTD)


def test_a_request_for_a_manifest_accepts_all_that_can_be_read() -> None:
    assert mt.ACCEPT_MANIFESTS.split(", ") == [
        *(mt.OCI_INDEX, mt.OCI_MANIFEST, mt.DOCKER_INDEX, mt.DOCKER_MANIFEST)
    ]
    assert set(mt.ACCEPT_MANIFESTS.split(", ")) == mt.INDEX_TYPES | mt.MANIFEST_TYPES
