"""Config, manifest and index, composed from descriptors as ko composes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import (
    AMD64,
    ARM7,
    ARM64,
    FIVE,
    WINDOWS,
    app_layer,
    app_layers,
    base_config,
    base_image,
    base_layer,
    config_of,
    digest,
)

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.image import (
    ANNOTATION_BASE_DIGEST,
    ANNOTATION_BASE_NAME,
    BaseImage,
    Image,
    ImageConfig,
    canonical_json,
    compose_image,
    document_media_type,
    image_annotations,
    parse_document,
    read_config_platform,
    read_index,
    read_manifest,
    rfc3339,
    scratch_base,
)
from ko_pants.oci.platform import Platform

ZERO_TIME = "0001-01-01T00:00:00Z"
CONFIG = ImageConfig(app_name="server", import_path="example.com/shop/cmd/server")

# Of a scratch image for five platforms, with nothing of this machine or day in it.
GOLDEN_INDEX = "sha256:3165fcf32682b498bda84015064bd43c2ec230543bf9dbae52843a3fdea44533"
GOLDEN_CONFIG = "sha256:f5121ed48f63776dfa213a99a5ba303d311699d04978b4aacbc8e2b903c6735d"


def compose(base: BaseImage, config: ImageConfig = CONFIG) -> Image:
    return compose_image(base, app_layers(m.platform for m in base.manifests), config)


def only_config(image: Image) -> dict[str, Any]:
    (manifest,) = image.manifests
    return config_of(manifest.config)


def env_of(base_env: Sequence[str] | None, platform: Platform = AMD64) -> list[str]:
    inner: dict[str, Any] = {} if base_env is None else {"Env": base_env}
    env: list[str] = only_config(compose(base_image(platform, config=inner)))["config"]["Env"]
    return env


# The config, as ko's


def test_the_program_is_the_entrypoint_and_cmd_of_the_base_is_dropped() -> None:
    base = base_image(AMD64, config={"Entrypoint": ["/bin/sh", "-c"], "Cmd": ["true"]})
    inner = only_config(compose(base))["config"]
    assert inner["Entrypoint"] == ["/ko-app/server"]
    assert "Cmd" not in inner


def test_what_else_the_base_says_stays() -> None:
    inner = {
        "User": "65532",
        "WorkingDir": "/home",
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
    }
    found = only_config(compose(base_image(AMD64, config=inner)))["config"]
    assert {key: found[key] for key in inner} == inner


@pytest.mark.parametrize(
    ("base_env", "expected"),
    [
        (None, ["PATH=/ko-app"]),
        ([], ["PATH=/ko-app"]),
        (["A=1"], ["A=1", "PATH=/ko-app"]),
        (["PATH=/usr/bin:/bin", "A=1"], ["PATH=/usr/bin:/bin:/ko-app", "A=1"]),
        (["PATH="], ["PATH=:/ko-app"]),
        (["A=PATH=/x"], ["A=PATH=/x", "PATH=/ko-app"]),
        (["XPATH=/x"], ["XPATH=/x", "PATH=/ko-app"]),
        # Only the first of two, as ko.
        (["PATH=/a", "PATH=/b"], ["PATH=/a:/ko-app", "PATH=/b"]),
    ],
)
def test_path_and_ko_data_path(base_env: list[str] | None, expected: list[str]) -> None:
    assert env_of(base_env) == [*expected, "KO_DATA_PATH=/var/run/ko"]


def test_windows_has_its_own_spelling() -> None:
    image = compose(base_image(WINDOWS, config={"Env": [r"PATH=C:\Windows"]}))
    config = only_config(image)
    assert config["config"]["Entrypoint"] == [r"C:\ko-app\server"]
    # With a colon, as ko joins it.
    assert config["config"]["Env"] == [
        r"PATH=C:\Windows:C:\ko-app",
        r"KO_DATA_PATH=C:\var\run\ko",
    ]
    assert (config["os"], config["architecture"]) == ("windows", "amd64")
    assert config["os.version"] == "10.0.17763.1879"


def test_one_line_of_history_for_each_layer_after_those_of_the_base() -> None:
    history = [{"created": "2020-01-01T00:00:00Z", "created_by": "apko", "author": "them"}]
    layers = {
        AMD64: [
            app_layer("kodata", "", comment="kodata contents, at $KO_DATA_PATH", created=1000),
            app_layer("binary", "", comment="go build output, at /ko-app/server"),
        ]
    }
    image = compose_image(base_image(AMD64, history=history), layers, CONFIG)
    assert only_config(image)["history"] == [
        *history,
        {
            "author": "ko",
            "created": "1970-01-01T00:16:40Z",
            "created_by": "ko build ko://example.com/shop/cmd/server",
            "comment": "kodata contents, at $KO_DATA_PATH",
        },
        {
            "author": "ko",
            "created": ZERO_TIME,
            "created_by": "ko build ko://example.com/shop/cmd/server",
            "comment": "go build output, at /ko-app/server",
        },
    ]


def test_labels_are_added_to_those_of_the_base_and_win() -> None:
    base = base_image(AMD64, config={"Labels": {"a": "base", "b": "base"}})
    config = replace(CONFIG, labels=image_annotations({"b": "ours", "c": "ours"}))
    found = only_config(compose(base, config))["config"]["Labels"]
    assert found == {"a": "base", "b": "ours", "c": "ours"}
    assert "Labels" not in only_config(compose(base_image(AMD64)))["config"]


@pytest.mark.parametrize(
    ("of_base", "ours", "expected"),
    [
        ({}, None, ZERO_TIME),
        ({}, 0, "1970-01-01T00:00:00Z"),
        ({}, 1700000000, "2023-11-14T22:13:20Z"),
        ({"created": "2020-01-01T00:00:00Z"}, None, "2020-01-01T00:00:00Z"),
        ({"created": "2020-01-01T00:00:00Z"}, 1700000000, "2023-11-14T22:13:20Z"),
    ],
)
def test_the_time_of_creation(of_base: dict[str, str], ours: int | None, expected: str) -> None:
    base = base_image(AMD64, docker=False, **of_base)
    config = only_config(compose(base, replace(CONFIG, created=ours)))
    assert config["created"] == expected


def test_who_and_for_what() -> None:
    config = only_config(compose(scratch_base([ARM7])))
    assert config["author"] == "github.com/ko-build/ko"
    assert (config["os"], config["architecture"], config["variant"]) == ("linux", "arm", "v7")


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


def test_the_base_may_lack_everything_but_its_layers() -> None:
    # `config: null` is what `crane append` writes.
    inner = only_config(compose(base_image(AMD64, config=None, history=None)))
    assert inner["config"]["Entrypoint"] == ["/ko-app/server"]
    assert len(inner["history"]) == 2


# One image or an index


def test_one_platform_gives_a_single_image() -> None:
    image = compose(scratch_base([AMD64]))
    assert image.descriptor.media_type == mt.OCI_MANIFEST
    assert image.children == ()
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


def test_scratch_has_no_base_to_note() -> None:
    image = compose(scratch_base([AMD64, ARM64]))
    assert "annotations" not in config_of(image.index)
    assert all("annotations" not in config_of(c.manifest) for c in image.children)
    assert [layer.kind for layer in image.children[0].layers] == ["kodata", "binary"]


def test_annotations_of_the_image_stand_beside_those_of_the_base() -> None:
    config = replace(CONFIG, annotations=image_annotations({"org.opencontainers.image.title": "x"}))
    image = compose(base_image(AMD64, ARM64), config)
    for document in (image.index, image.children[0].manifest):
        assert config_of(document)["annotations"]["org.opencontainers.image.title"] == "x"
        assert ANNOTATION_BASE_NAME in config_of(document)["annotations"]


def test_children_share_what_is_equal() -> None:
    image = compose(scratch_base(FIVE))
    kodata = {m.layers[0].descriptor.digest for m in image.manifests}
    assert len(kodata) == 1
    # One kodata layer, five binaries, five configs; each named once.
    blobs = image.blobs()
    assert len(blobs) == 11
    assert set(image.configs()) < set(blobs)
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
        "from ko_pants.oci.image import *\n"
        "config = ImageConfig('a', 'b', labels=image_annotations({'ü': 'é', 'a': '1'}))\n"
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
    first = compose(scratch_base([AMD64]), replace(CONFIG, labels=image_annotations(labels)))
    second = compose(scratch_base([AMD64]), replace(CONFIG, labels=image_annotations(dict(items))))
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"app_name": "other"},
        {"import_path": "example.com/other"},
        {"labels": (("a", "b"),)},
        {"annotations": (("a", "b"),)},
        {"created": 1},
    ],
)
def test_everything_that_a_target_says_is_in_the_digest(change: dict[str, Any]) -> None:
    base = scratch_base([AMD64, ARM64])
    assert compose(base).descriptor != compose(base, replace(CONFIG, **change)).descriptor


def test_json_is_canonical() -> None:
    content = canonical_json({"b": [1, {"z": None, "a": "ü<"}], "a": True})
    assert content == '{"a":true,"b":[1,{"a":"ü<","z":null}]}'.encode()


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1700000000, "2023-11-14T22:13:20Z"),
        (253402300799, "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(epoch: int, expected: str) -> None:
    assert rfc3339(epoch) == expected


# Damaged bases


def test_a_base_with_more_layers_than_diff_ids_is_named() -> None:
    base = base_image(AMD64)
    damaged = replace(base.manifests[0], layers=(base_layer(0), base_layer(1)))
    with pytest.raises(KoPantsError) as e:
        compose(replace(base, manifests=(damaged,)))
    for word in ("registry.example.com/base:latest", "linux/amd64", "2 layers", "1 diff_ids"):
        assert word in str(e.value)


@pytest.mark.parametrize(
    "part",
    [
        {"config": "x"},
        {"config": ["x"]},
        {"config": {"Env": "PATH=/bin"}},
        {"config": {"Env": {"PATH": "/bin"}}},
        {"config": {"Labels": ["a"]}},
        {"history": "x"},
        {"history": 3},
    ],
    ids=str,
)
def test_a_config_of_another_shape_is_an_error_for_the_user(part: dict[str, Any]) -> None:
    base = base_image(AMD64, **part)
    where = f"base image {base.name}"

    def read_and_compose() -> None:
        read_config_platform(base.manifests[0].config, where=where)
        compose(base)

    with pytest.raises(KoPantsError, match=where):
        read_and_compose()


def test_half_of_a_surrogate_pair_is_replaced_as_go_does() -> None:
    # JSON can spell it, UTF-8 cannot.
    base = base_image(AMD64)
    config = base.manifests[0].config.replace(b'"linux"', b'"linux","comment":"a\\ud800b"')
    image = compose(replace(base, manifests=(replace(base.manifests[0], config=config),)))
    assert only_config(image)["comment"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "expected JSON"),
        (b"{]", "expected JSON"),
        (b"\xff\xfe\xff", "expected JSON"),
        (b"<html>", "expected JSON"),
        (b"[]", "found list"),
        (b"null", "found NoneType"),
        (b'"x"', "found str"),
        (b"[" * 100_000, "here"),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_a_document_that_is_no_json_object(content: bytes, found: str) -> None:
    with pytest.raises(KoPantsError) as e:
        parse_document(content, where="here")
    assert str(e.value).startswith("here: ")
    assert found in str(e.value)


@pytest.mark.parametrize(
    ("document", "declared", "expected"),
    [
        ({"mediaType": mt.DOCKER_INDEX}, mt.OCI_INDEX, mt.DOCKER_INDEX),
        ({}, mt.DOCKER_MANIFEST, mt.DOCKER_MANIFEST),
        ({"manifests": []}, "", mt.OCI_INDEX),
        ({"layers": []}, "", mt.OCI_MANIFEST),
        ({"manifests": []}, "text/plain", mt.OCI_INDEX),
        ({"mediaType": 3, "layers": []}, "", mt.OCI_MANIFEST),
    ],
)
def test_the_media_type_of_a_document(
    document: dict[str, Any], declared: str, expected: str
) -> None:
    assert document_media_type(document, declared) == expected


def test_entries_of_an_index_that_are_no_images_are_left_out() -> None:
    good = Descriptor(mt.OCI_MANIFEST, digest(1), 1, platform=AMD64).to_json()
    attestation = Descriptor(
        mt.OCI_MANIFEST, digest(2), 1, platform=Platform("unknown", "unknown")
    ).to_json()
    nested = Descriptor(mt.OCI_INDEX, digest(3), 1, platform=ARM64).to_json()
    artifact = Descriptor("application/vnd.example+json", digest(4), 1).to_json()
    found = read_index({"manifests": [attestation, nested, good, artifact]}, where="x")
    assert [d.digest for d in found] == [digest(1)]


@pytest.mark.parametrize("entries", [None, {}, "x", 3])
def test_an_index_without_entries(entries: object) -> None:
    with pytest.raises(KoPantsError, match=r"^here: expected an image index with a list"):
        read_index({"manifests": entries}, where="here")


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({}, "here: expected an image manifest"),
        ({"layers": {}}, "here: expected an image manifest"),
        ({"layers": [], "config": None}, "here, config: expected a descriptor"),
        (
            {"layers": ["x"], "config": Descriptor("", digest(1), 1).to_json()},
            "here, layer: expected a descriptor",
        ),
    ],
)
def test_a_manifest_without_config_or_layers(document: dict[str, Any], found: str) -> None:
    with pytest.raises(KoPantsError) as e:
        read_manifest(document, where="here")
    assert found in str(e.value)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (base_config(ARM7), ARM7),
        (base_config(WINDOWS), WINDOWS),
        # As ko takes a config that names nothing.
        (b'{"rootfs":{"type":"layers","diff_ids":[]}}', AMD64),
    ],
)
def test_the_platform_of_a_config(config: bytes, expected: Platform) -> None:
    assert read_config_platform(config, where="x") == expected


@pytest.mark.parametrize(
    "rootfs", [None, [], "x", {"diff_ids": None}, {"diff_ids": "x"}, {"diff_ids": ["sha256:1"]}]
)
def test_diff_ids_must_be_digests(rootfs: object) -> None:
    with pytest.raises(KoPantsError, match=r"^here: expected `rootfs.diff_ids`"):
        read_config_platform(json.dumps({"rootfs": rootfs}).encode(), where="here")
