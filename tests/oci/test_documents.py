"""JSON documents: written the same everywhere, read from anything."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oci.images import (
    AMD64,
    ARM7,
    ARM64,
    WINDOWS,
    base_config,
    base_image,
    compose,
    digest,
    only_config,
)

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import (
    canonical_json,
    document_media_type,
    indented_json,
    parse_document,
    read_config_platform,
    read_index,
    read_manifest,
)
from ko_pants.oci.platform import Platform


def test_json_is_canonical() -> None:
    content = canonical_json({"b": [1, {"z": None, "a": "ü<"}], "a": True})
    assert content == '{"a":true,"b":[1,{"a":"ü<","z":null}]}'.encode()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


@given(_VALUES)
def test_indented_json_is_that_of_python(value: object) -> None:
    assert indented_json(value) == json.dumps(value, indent=2)


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


def entry(number: int, media_type: str = mt.OCI_MANIFEST, **more: Any) -> dict[str, Any]:
    """An entry of an index."""
    return Descriptor(media_type, digest(number), 1, **more).to_json()


REFERENCE_TYPE = ("vnd.docker.reference.type", "attestation-manifest")


@pytest.mark.parametrize(
    "other",
    [
        entry(2, platform=Platform("unknown", "unknown")),
        entry(2, platform=Platform("linux", "unknown")),
        entry(2, platform=Platform("unknown", "amd64")),
        entry(2, platform=ARM64, annotations=(REFERENCE_TYPE,)),
        entry(2, annotations=(REFERENCE_TYPE,)),
        entry(2, mt.OCI_INDEX, annotations=(REFERENCE_TYPE,)),
        entry(2, "application/vnd.example+json"),
        entry(2, "application/vnd.example+json", platform=ARM64),
        entry(2, ""),
    ],
    ids=repr,
)
def test_entries_of_an_index_that_are_no_images_are_left_out(other: dict[str, Any]) -> None:
    good = entry(1, platform=AMD64)
    found = read_index({"manifests": [other, good, other]}, where="x")
    assert [d.digest for d in found] == [digest(1)]


@pytest.mark.parametrize("media_type", [mt.OCI_INDEX, mt.DOCKER_INDEX])
@pytest.mark.parametrize(
    ("platform", "shown"), [(ARM64, f"{digest(2)} for linux/arm64."), (None, f"{digest(2)}.")]
)
def test_an_index_within_an_index_is_refused_as_in_ko(
    media_type: str, platform: Platform | None, shown: str
) -> None:
    entries = [entry(1, platform=AMD64), entry(2, media_type, platform=platform)]
    with pytest.raises(KoPantsError) as e:
        read_index({"manifests": entries}, where="here")
    assert str(e.value).startswith("here: expected an index of images, found an index within")
    assert shown in str(e.value)


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
        # Without layers, Go leaves out the list.
        (b'{"rootfs":{"type":"layers"}}', AMD64),
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


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"config": "x"}, "`config` to be an object, found 'x'"),
        ({"config": ["x"]}, "`config` to be an object, found ['x']"),
        ({"config": {"Env": "PATH=/bin"}}, "`config.Env` to be a list, found 'PATH=/bin'"),
        ({"config": {"Env": {"PATH": "/bin"}}}, "`config.Env` to be a list, found {"),
        ({"config": {"Labels": ["a"]}}, "`config.Labels` to be an object, found ['a']"),
        ({"config": {"ExposedPorts": [80]}}, "`config.ExposedPorts` to be an object, found [80]"),
        ({"config": {"Volumes": ["/a"]}}, "`config.Volumes` to be an object, found ['/a']"),
        ({"history": "x"}, "`history` to be a list, found 'x'"),
        ({"history": 3}, "`history` to be a list, found 3"),
    ],
    ids=str,
)
def test_a_config_of_another_shape(part: dict[str, Any], found: str) -> None:
    config = base_image(AMD64, docker=False, **part).manifests[0].config
    with pytest.raises(KoPantsError) as e:
        read_config_platform(config, where="base image app")
    assert str(e.value).startswith(f"base image app: expected {found}")
