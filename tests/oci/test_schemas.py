"""What is composed is valid by the JSON schemas of the OCI image-spec."""

from __future__ import annotations

from dataclasses import replace

import pytest
from oci.images import AMD64, ARM7, ARM64, CONFIG, FIVE, WINDOWS, base_image, compose
from oci_schemas import check_against_schema

from ko_pants.oci.image import BaseImage, Image, scratch_base
from ko_pants.oci.image_config import ImageConfig

EVERYTHING = replace(
    CONFIG,
    labels=(("of.image", "1"), ("with space", "a b")),
    annotations=(("com.example.team", "shop"),),
    created=1700000000,
    user="65532:65532",
    entrypoint_args=("--config", "/etc/x"),
    cmd=("serve",),
    env=("A=1", "PATH=/opt"),
    workdir="/data",
    ports=("8080/tcp", "53/udp"),
    volumes=("/data",),
    stop_signal="SIGRTMIN+3",
)


@pytest.mark.parametrize("config", [CONFIG, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize(
    "base",
    [
        pytest.param(scratch_base(FIVE), id="scratch"),
        pytest.param(scratch_base([AMD64]), id="scratch-single"),
        pytest.param(base_image(AMD64, ARM64, ARM7), id="linux"),
        pytest.param(base_image(WINDOWS), id="windows"),
        pytest.param(base_image(WINDOWS, replace(WINDOWS, os_features=("win32k",))), id="win32k"),
        pytest.param(
            base_image(
                AMD64,
                config={"Env": ["A=b"], "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}},
                history=[{"created_by": "x", "empty_layer": True}, {"comment": "y"}],
                author="base",
                created="2024-01-02T03:04:05Z",
            ),
            id="configured",
        ),
    ],
)
def test_documents_are_valid(base: BaseImage, config: ImageConfig) -> None:
    image: Image = compose(base, config)
    if image.index:
        check_against_schema("index", image.index)
    for manifest in image.manifests:
        check_against_schema("manifest", manifest.manifest)
        check_against_schema("config", manifest.config)
