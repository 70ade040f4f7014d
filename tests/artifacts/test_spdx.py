"""SPDX documents, judged by the validator of spdx-tools."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Set, Tuple

import pytest
from hypothesis import given, settings
from inventories import AMD64, ARM, FORK, IMAGE, INDEX, TOML, digest, inventories, manifest
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from ko_pants.artifacts import spdx
from ko_pants.artifacts.built_modules import sum_hex
from ko_pants.artifacts.inventory import File, Inventory, InventoryLayer


def problems(inventory: Inventory) -> List[str]:
    document = JsonLikeDictParser().parse(  # type: ignore[no-untyped-call]
        json.loads(spdx.document(inventory))
    )
    return [message.validation_message for message in validate_full_spdx_document(document)]


def packages(document: Dict[str, Any]) -> Dict[Tuple[str, str], Dict[str, Any]]:
    return {(p["name"], p.get("versionInfo", "")): p for p in document["packages"]}


def relations(document: Dict[str, Any]) -> Set[Tuple[str, str, str]]:
    """Each as name, type, name."""
    names = {p["SPDXID"]: p["name"] for p in document["packages"]}
    names["SPDXRef-DOCUMENT"] = "DOCUMENT"
    return {
        (names[r["spdxElementId"]], r["relationshipType"], names[r["relatedSpdxElement"]])
        for r in document["relationships"]
    }


@pytest.fixture(scope="module")
def image() -> Dict[str, Any]:
    return dict(json.loads(spdx.document(IMAGE)))


@pytest.mark.parametrize("inventory", [IMAGE, INDEX, replace(IMAGE, base=None, programs=())])
def test_the_document_is_valid(inventory: Inventory) -> None:
    assert problems(inventory) == []


@settings(max_examples=60, deadline=None)
@given(inventories)
def test_any_inventory_gives_a_valid_document(inventory: Inventory) -> None:
    assert problems(inventory) == []


def test_a_thousand_files_are_listed() -> None:
    files = tuple(File(f"/data/{n}", digest(str(n)), n) for n in range(1000))
    layer = InventoryLayer("files", digest("d"), IMAGE.layers[0].descriptor, files=files)
    document = json.loads(spdx.document(replace(IMAGE, layers=(layer,))))
    assert sum(p.get("primaryPackagePurpose") == "FILE" for p in document["packages"]) == 1000


def test_every_relation_is_there(image: Dict[str, Any]) -> None:
    layers = [layer.descriptor.digest for layer in IMAGE.layers]
    assert relations(image) == {
        ("DOCUMENT", "DESCRIBES", "services/api:image"),
        ("services/api:image", "DESCENDANT_OF", "gcr.io/distroless/static:nonroot"),
        *(("services/api:image", "CONTAINS", layer) for layer in layers),
        (layers[1], "CONTAINS", "/var/run/ko/index.html"),
        ("services/api:image", "CONTAINS", "/ko-app/server"),
        ("/ko-app/server", "CONTAINS", "example.com/app"),
        ("/ko-app/server", "DEPENDS_ON", "stdlib"),
        ("/ko-app/server", "DEPENDS_ON", "golang.org/x/net"),
        ("/ko-app/server", "DEPENDS_ON", "github.com/BurntSushi/toml"),
        ("/ko-app/server", "DEPENDS_ON", "example.com/fork"),
        ("/ko-app/server", "DEPENDS_ON", "../library"),
        ("services/api:image", "CONTAINS", "/ko-app/tool"),
        ("/ko-app/tool", "CONTAINS", "example.com/tool"),
        ("/ko-app/tool", "DEPENDS_ON", "stdlib"),
        ("/ko-app/tool", "DEPENDS_ON", "golang.org/x/net"),
        ("services/api:image", "CONTAINS", "/ko-app/stripped"),
    }


def test_a_module_has_what_scanners_look_up(image: Dict[str, Any]) -> None:
    toml = packages(image)[TOML.path, TOML.version]
    assert toml["checksums"] == [{"algorithm": "SHA256", "checksumValue": sum_hex(TOML.sum)}]
    assert toml["externalRefs"] == [
        {
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": "pkg:golang/github.com/BurntSushi/toml@v1.4.0%2Bincompatible",
        }
    ]


def test_each_version_of_the_standard_library_is_a_package(image: Dict[str, Any]) -> None:
    found = packages(image)
    for version in ("1.26.8", "1.25.1"):
        assert [ref["referenceLocator"] for ref in found["stdlib", version]["externalRefs"]] == [
            f"pkg:golang/stdlib@{version}",
            f"cpe:2.3:a:golang:go:{version}:-:*:*:*:*:*:*",
        ]


def test_what_replaces_a_module_is_the_package(image: Dict[str, Any]) -> None:
    found = packages(image)
    assert found[FORK.path, FORK.version]["comment"] == (
        "In place of example.com/upstream v1.0.0, by `replace`."
    )
    assert found["../library", "(devel)"]["comment"] == (
        "In place of example.com/library v0.0.0, by `replace`. "
        "A directory, relative to the main module example.com/app."
    )
    assert "externalRefs" not in found["../library", "(devel)"]
    assert not {"example.com/upstream", "example.com/library"} & {name for name, _ in found}


def test_programs_say_what_is_known_of_them(image: Dict[str, Any]) -> None:
    found = packages(image)
    server, stripped = found["/ko-app/server", ""], found["/ko-app/stripped", ""]
    assert server["primaryPackagePurpose"] == "APPLICATION"
    assert server["checksums"][0]["checksumValue"] == digest("server")[7:]
    assert server["comment"] == (
        "Size: 12345678 bytes. Main package: example.com/app/cmd/server. "
        "Build settings: -tags=netgo CGO_ENABLED=0 GOARCH=amd64"
    )
    assert "has no Go build info" in stripped["comment"]


def test_the_base_is_that_of_the_platform(image: Dict[str, Any]) -> None:
    base = packages(image)["gcr.io/distroless/static:nonroot", digest("base amd64")]
    assert digest("base") in base["comment"]
    assert "repository_url=gcr.io/distroless/static&tag=nonroot" in str(base["externalRefs"])


def test_an_index_names_the_images_of_its_platforms() -> None:
    document = json.loads(spdx.document(INDEX))
    assert [r["relatedSpdxElement"] for r in document["relationships"][2:]] == [
        f"SPDXRef-Image-{manifest(platform).digest.replace(':', '-')}" for platform in (AMD64, ARM)
    ]
    assert {r["relationshipType"] for r in document["relationships"][2:]} == {"VARIANT_OF"}
    assert [p.get("comment") for p in document["packages"][2:]] == [
        "Platform: linux/amd64",
        "Platform: linux/arm/v7",
    ]


def test_time_and_names_come_from_the_inventory(image: Dict[str, Any]) -> None:
    assert image["creationInfo"] == {
        "created": "2023-11-14T22:13:20Z",
        "creators": ["Tool: ko_pants-1.2.3"],
    }
    others: List[Inventory] = [
        replace(IMAGE, address="other:image"),
        replace(IMAGE, subject=manifest(ARM)),
    ]
    others += [IMAGE, INDEX]
    namespaces = {json.loads(spdx.document(other))["documentNamespace"] for other in others}
    assert len(namespaces) == 4
