"""Manifests and indexes, composed from descriptors as ko composes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import (
    AMD64,
    ARM7,
    ARM64,
    CONFIG,
    FIVE,
    WINDOWS,
    app_layer,
    base_config,
    base_image,
    base_layer,
    compose,
    config_of,
    digest,
)

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.base_annotations import ANNOTATION_BASE_DIGEST, ANNOTATION_BASE_NAME
from ko_pants.oci.descriptor import Descriptor, sha256_digest, sorted_pairs
from ko_pants.oci.image import BaseImage, BaseManifest, compose_image, scratch_base
from ko_pants.oci.image_config import ImageConfig
from ko_pants.oci.platform import Platform

# Of a scratch image for five platforms, with nothing of this machine or day in it.
GOLDEN_INDEX = "sha256:3165fcf32682b498bda84015064bd43c2ec230543bf9dbae52843a3fdea44533"
GOLDEN_CONFIG = "sha256:f5121ed48f63776dfa213a99a5ba303d311699d04978b4aacbc8e2b903c6735d"


def test_diff_ids_are_the_bases_and_then_ours_in_the_order_of_the_layers() -> None:
    image = compose(base_image(AMD64))
    (manifest,) = image.manifests
    expected = [
        digest("base tar", 0),
        digest("tar", "kodata", ""),
        digest("tar", "binary", "linux/amd64"),
    ]
    assert config_of(manifest.config)["rootfs"] == {"type": "layers", "diff_ids": expected}
    assert [layer.diff_id for layer in manifest.layers] == expected
    assert [layer.kind for layer in manifest.layers] == ["base", "kodata", "binary"]
    assert [d["digest"] for d in config_of(manifest.manifest)["layers"]] == [
        base_layer(0).digest,
        digest("blob", "kodata", ""),
        digest("blob", "binary", "linux/amd64"),
    ]


@pytest.mark.parametrize("number", [0, 1, 3, 40])
def test_n_layers_of_the_base_give_n_and_two(number: int) -> None:
    base = base_image(AMD64)
    layers = tuple(base_layer(n) for n in range(number))
    with_layers = replace(base.manifests[0], config=base_config(AMD64, number), layers=layers)
    (manifest,) = compose(replace(base, manifests=(with_layers,))).manifests
    described = config_of(manifest.manifest)["layers"]
    assert len(described) == len(config_of(manifest.config)["rootfs"]["diff_ids"]) == number + 2
    assert [d["digest"] for d in described[:number]] == [layer.digest for layer in layers]
    assert [layer.kind for layer in manifest.layers[number:]] == ["kodata", "binary"]


# One image or an index


def test_one_platform_gives_a_single_image() -> None:
    image = compose(scratch_base([AMD64]))
    assert image.descriptor.media_type == mt.OCI_MANIFEST
    assert (image.children, image.index) == ((), b"")
    assert sha256_digest(image.content) == image.descriptor.digest
    assert len(image.content) == image.descriptor.size


def test_several_platforms_give_an_index_in_the_order_of_the_base() -> None:
    image = compose(base_image(ARM7, AMD64, ARM64))
    document = config_of(image.index)
    assert image.descriptor.media_type == document["mediaType"] == mt.OCI_INDEX
    assert document["schemaVersion"] == 2
    assert [m["platform"] for m in document["manifests"]] == [
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64"},
    ]
    assert image.children == image.manifests
    for entry, child in zip(document["manifests"], image.children):
        assert entry["digest"] == sha256_digest(child.manifest)
        assert entry["size"] == len(child.manifest)
        manifest = config_of(child.manifest)
        assert manifest["config"]["digest"] == sha256_digest(child.config)
        assert manifest["config"]["size"] == len(child.config)
        assert manifest["mediaType"] == entry["mediaType"] == mt.OCI_MANIFEST
    assert sha256_digest(image.content) == image.descriptor.digest
    assert len(image.content) == image.descriptor.size


def test_docker_bases_give_docker_images() -> None:
    image = compose(base_image(AMD64, ARM64, docker=True))
    assert image.descriptor.media_type == mt.DOCKER_INDEX
    # A manifest list has no annotations.
    assert "annotations" not in config_of(image.index)
    for child in image.children:
        manifest = config_of(child.manifest)
        assert manifest["mediaType"] == mt.DOCKER_MANIFEST
        assert manifest["config"]["mediaType"] == mt.DOCKER_CONFIG
        assert {d["mediaType"] for d in manifest["layers"]} == {mt.DOCKER_LAYER_GZIP}
        # The bytes are the same, whatever the family calls them.
        assert child.layers[-1].descriptor.digest == digest("blob", "binary", str(child.platform))


@pytest.mark.parametrize(
    ("oci", "docker"),
    [
        (mt.OCI_LAYER_TAR, mt.DOCKER_LAYER_TAR),
        (mt.OCI_LAYER_GZIP, mt.DOCKER_LAYER_GZIP),
        (mt.OCI_LAYER_ZSTD, mt.DOCKER_LAYER_ZSTD),
    ],
)
def test_every_encoding_has_a_name_in_both_families(oci: str, docker: str) -> None:
    descriptor = Descriptor(oci, digest("x"), 1)
    layers = {AMD64: [app_layer("binary", "", descriptor=descriptor)]}
    for is_docker, expected in ((False, oci), (True, docker)):
        image = compose_image(base_image(AMD64, docker=is_docker), layers, CONFIG)
        assert config_of(image.content)["layers"][-1]["mediaType"] == expected


def test_an_oci_index_over_a_docker_manifest_keeps_each_family() -> None:
    base = base_image(AMD64, ARM64)
    mixed = replace(base.manifests[1], docker=True)
    image = compose(replace(base, manifests=(base.manifests[0], mixed)))
    assert config_of(image.index)["mediaType"] == mt.OCI_INDEX
    assert [m["mediaType"] for m in config_of(image.index)["manifests"]] == [
        mt.OCI_MANIFEST,
        mt.DOCKER_MANIFEST,
    ]


def test_what_the_base_was_is_noted_on_the_index_and_on_every_manifest() -> None:
    base = base_image(AMD64, ARM64)
    image = compose(base)
    assert config_of(image.index)["annotations"] == {
        ANNOTATION_BASE_NAME: "registry.example.com/base:latest",
        ANNOTATION_BASE_DIGEST: base.digest,
    }
    for child, of_base in zip(image.children, base.manifests):
        assert config_of(child.manifest)["annotations"] == {
            ANNOTATION_BASE_NAME: "registry.example.com/base:latest",
            ANNOTATION_BASE_DIGEST: of_base.digest,
        }


def test_the_names_of_the_base_annotations() -> None:
    assert ANNOTATION_BASE_NAME == "org.opencontainers.image.base.name"
    assert ANNOTATION_BASE_DIGEST == "org.opencontainers.image.base.digest"


def test_scratch_is_empty() -> None:
    assert scratch_base([AMD64, ARM7]) == BaseImage(
        name="",
        digest="",
        docker=False,
        manifests=(
            BaseManifest(AMD64, digest="", config=b"", layers=(), docker=False),
            BaseManifest(ARM7, digest="", config=b"", layers=(), docker=False),
        ),
        source="",
    )


def test_a_base_without_layers_needs_no_diff_ids() -> None:
    manifest = BaseManifest(AMD64, digest("manifest"), b"{}")
    image = compose(BaseImage("base", digest("base"), False, (manifest,)))
    assert [layer.kind for layer in image.manifests[0].layers] == ["kodata", "binary"]


def test_scratch_has_no_base_to_note() -> None:
    image = compose(scratch_base([AMD64, ARM64]))
    assert "annotations" not in config_of(image.index)
    assert all("annotations" not in config_of(c.manifest) for c in image.children)
    assert [layer.kind for layer in image.children[0].layers] == ["kodata", "binary"]


def test_annotations_of_the_image_stand_beside_those_of_the_base() -> None:
    config = replace(CONFIG, annotations=sorted_pairs({"org.opencontainers.image.title": "x"}))
    image = compose(base_image(AMD64, ARM64), config)
    for document in (image.index, image.children[0].manifest):
        assert config_of(document)["annotations"]["org.opencontainers.image.title"] == "x"
        assert ANNOTATION_BASE_NAME in config_of(document)["annotations"]


# What is said of the base
OF_BASE = sorted_pairs(
    {
        "org.opencontainers.image.base.name": "base of the base",
        "org.opencontainers.image.base.digest": digest("base of the base"),
        "org.opencontainers.image.created": "2020-01-01T00:00:00Z",
        "org.opencontainers.image.version": "12.1",
        "org.opencontainers.image.revision": "abc",
        "org.opencontainers.image.ref.name": "latest",
        "io.containerd.image.name": "registry.example.com/base:latest",
    }
)
KEPT = {
    "com.example.team": "base",
    "org.opencontainers.image.licenses": "MIT",
    "org.opencontainers.image.source": "https://example.com/base",
    "org.opencontainers.image.title": "base",
    "org.opencontainers.image.vendor": "them",
}


def annotated_base(*platforms: Platform, docker: bool = False) -> BaseImage:
    """A base whose manifests and index entries have annotations."""
    base = base_image(*platforms, docker=docker)
    manifests = tuple(
        replace(
            manifest,
            annotations=sorted_pairs({**dict(OF_BASE), **KEPT}),
            entry_annotations=sorted_pairs({**dict(OF_BASE), "arch": str(manifest.platform)}),
        )
        for manifest in base.manifests
    )
    return replace(base, manifests=manifests)


def test_annotations_of_the_base_are_kept_but_for_those_that_are_true_of_it_alone() -> None:
    base = annotated_base(AMD64, ARM64)
    image = compose(base)
    document = config_of(image.index)
    assert [entry["annotations"] for entry in document["manifests"]] == [
        {"arch": "linux/amd64"},
        {"arch": "linux/arm64"},
    ]
    assert set(document["annotations"]) == {ANNOTATION_BASE_NAME, ANNOTATION_BASE_DIGEST}
    for child, of_base in zip(image.children, base.manifests):
        assert config_of(child.manifest)["annotations"] == {
            **KEPT,
            ANNOTATION_BASE_NAME: "registry.example.com/base:latest",
            ANNOTATION_BASE_DIGEST: of_base.digest,
        }
        # Those of an entry belong to the index, not to what a tag may name.
        assert child.descriptor.annotations == ()


def test_annotations_of_the_target_take_the_place_of_the_bases() -> None:
    ours = {"com.example.team": "ours", "org.opencontainers.image.created": "2024-01-01T00:00:00Z"}
    image = compose(annotated_base(AMD64, ARM64), replace(CONFIG, annotations=sorted_pairs(ours)))
    for document in (image.index, *(child.manifest for child in image.children)):
        found = config_of(document)["annotations"]
        assert {key: found[key] for key in ours} == ours
        assert found[ANNOTATION_BASE_NAME] == "registry.example.com/base:latest"
    assert config_of(image.children[0].manifest)["annotations"]["org.opencontainers.image.title"]


def test_a_single_image_has_the_annotations_of_the_bases_manifest() -> None:
    image = compose(annotated_base(AMD64))
    assert config_of(image.content)["annotations"].keys() >= KEPT.keys()
    assert image.descriptor.annotations == ()


def test_an_index_of_dockers_has_no_annotations_at_all() -> None:
    config = replace(CONFIG, annotations=(("a", "b"),))
    image = compose(annotated_base(AMD64, ARM64, docker=True), config)
    document = config_of(image.index)
    assert "annotations" not in document
    assert not any("annotations" in entry for entry in document["manifests"])
    assert all(config_of(m.manifest)["annotations"]["a"] == "b" for m in image.children)


def test_features_of_the_system_stay_in_the_index() -> None:
    win32k = replace(WINDOWS, os_features=("win32k",))
    image = compose(base_image(WINDOWS, win32k))
    assert [m["platform"] for m in config_of(image.index)["manifests"]] == [
        WINDOWS.to_json(),
        {**WINDOWS.to_json(), "os.features": ["win32k"]},
    ]


def test_children_share_what_is_equal() -> None:
    image = compose(scratch_base(FIVE))
    kodata = {m.layers[0].descriptor.digest for m in image.manifests}
    assert len(kodata) == 1
    # One kodata layer, five binaries, five configs; each named once.
    blobs = image.blobs()
    assert len(blobs) == 11
    assert set(image.configs()) < set(blobs)
    assert all(blob.digest == name and blob.size > 0 for name, blob in blobs.items())
    for hexadecimal, content in image.configs().items():
        assert sha256_digest(content) == hexadecimal == blobs[hexadecimal].digest


# The same bytes everywhere


def test_golden_digest_of_a_scratch_index_for_five_platforms() -> None:
    image = compose(scratch_base(FIVE), replace(CONFIG, created=1700000000))
    assert image.manifests[0].config_descriptor.digest == GOLDEN_CONFIG
    assert image.descriptor.digest == GOLDEN_INDEX


def test_the_digest_depends_on_no_hash_seed_and_no_locale_and_time_zone() -> None:
    program = (
        "from oci.images import *\n"
        "from ko_pants.oci.descriptor import sorted_pairs\n"
        "from ko_pants.oci.image import *\n"
        "from ko_pants.oci.image_config import ImageConfig\n"
        "config = ImageConfig('a', labels=sorted_pairs({'ü': 'é', 'a': '1'}))\n"
        "image = compose_image(base_image(*FIVE), app_layers(FIVE), config)\n"
        "print(image.descriptor.digest)\n"
    )
    path = os.pathsep.join(p for p in sys.path if p.rstrip("/").endswith(("python", "tests")))
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": path, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    ]
    assert runs[0] == runs[1]
    assert runs[0].startswith(b"sha256:")


@given(st.dictionaries(st.text(), st.text()), st.randoms())
def test_the_order_in_which_labels_are_written_does_not_matter(
    labels: dict[str, str], random: Any
) -> None:
    items = list(labels.items())
    random.shuffle(items)
    first = compose(scratch_base([AMD64]), replace(CONFIG, labels=sorted_pairs(labels)))
    second = compose(scratch_base([AMD64]), replace(CONFIG, labels=sorted_pairs(dict(items))))
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"app_name": "other"},
        {"labels": (("a", "b"),)},
        {"annotations": (("a", "b"),)},
        {"created": 1},
        {"user": "1"},
        {"entrypoint_args": ("a",)},
        {"cmd": ("a",)},
        {"env": ("A=1",)},
        {"workdir": "/a"},
        {"ports": ("1/tcp",)},
        {"volumes": ("/a",)},
        {"stop_signal": "SIGINT"},
    ],
)
def test_everything_that_a_target_says_is_in_the_digest(change: dict[str, Any]) -> None:
    base = scratch_base([AMD64, ARM64])
    assert compose(base).descriptor != compose(base, replace(CONFIG, **change)).descriptor


def test_a_base_with_more_layers_than_diff_ids_is_named() -> None:
    base = base_image(AMD64)
    damaged = replace(base.manifests[0], layers=(base_layer(0), base_layer(1)))
    with pytest.raises(KoPantsError) as e:
        compose(replace(base, manifests=(damaged,)))
    for word in ("registry.example.com/base:latest", "linux/amd64", "2 layers", "1 diff_ids"):
        assert word in str(e.value)


def test_annotations_of_a_layer_are_in_the_manifest() -> None:
    annotations = (("containerd.io/snapshot/stargz/toc.digest", digest("toc")),)
    descriptor = Descriptor(mt.OCI_LAYER_GZIP, digest("x"), 1, annotations=annotations)
    layers = {AMD64: [app_layer("binary", "", descriptor=descriptor)]}
    image = compose_image(scratch_base([AMD64]), layers, CONFIG)
    assert config_of(image.content)["layers"] == [
        {
            "mediaType": mt.OCI_LAYER_GZIP,
            "digest": digest("x"),
            "size": 1,
            "annotations": dict(annotations),
        }
    ]


def test_any_number_of_layers_of_any_kind_in_their_order() -> None:
    kinds = ["files", "binary", "binary", "debug", "kodata"]
    layers = [replace(app_layer("binary", n), kind=kind) for n, kind in enumerate(kinds)]
    image = compose_image(base_image(AMD64), {AMD64: layers}, CONFIG)
    (manifest,) = image.manifests
    assert [layer.kind for layer in manifest.layers] == ["base", *kinds]
    assert [d["digest"] for d in config_of(manifest.manifest)["layers"][1:]] == [
        layer.descriptor.digest for layer in layers
    ]
    config = config_of(manifest.config)
    assert config["rootfs"]["diff_ids"][1:] == [layer.diff_id for layer in layers]
    assert len(config["history"]) == len(layers)


def test_platforms_for_messages() -> None:
    assert compose(scratch_base([ARM7, AMD64])).platform_names == "linux/arm/v7, linux/amd64"


def test_images_on_one_base_share_its_parsed_config_and_leave_it_as_it_is() -> None:
    base = BaseManifest(
        AMD64, config=b'{"config": {"Env": ["A=b"]}, "history": [{"comment": "x"}]}'
    )
    image = BaseImage("", "", docker=False, manifests=(base,))
    before = json.dumps(base.parsed_config)
    config = ImageConfig(app_name="app", env=("C=d",), labels=(("l", "v"),))
    first = compose_image(image, {AMD64: ()}, config)
    assert compose_image(image, {AMD64: ()}, config) == first
    assert json.dumps(base.parsed_config) == before
    assert base == replace(base)
