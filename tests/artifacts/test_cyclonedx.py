"""CycloneDX documents, judged by the strict validator of cyclonedx-python-lib."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Set

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from inventories import ARM, FORK, IMAGE, INDEX, TOML, digest, inventories, manifest

from ko_pants.artifacts import cyclonedx
from ko_pants.artifacts.built_modules import sum_hex
from ko_pants.artifacts.inventory import Inventory


@pytest.fixture(scope="module")
def validator() -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion.V1_6)


@pytest.fixture(scope="module")
def image() -> Dict[str, Any]:
    return dict(json.loads(cyclonedx.document(IMAGE)))


def components(document: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """The components by name; those of the same name and another version are not told apart."""
    return {component["name"]: component for component in document["components"]}


def properties(component: Dict[str, Any]) -> Dict[str, str]:
    return {p["name"]: p["value"] for p in component["properties"]}


def check_references(document: Dict[str, Any]) -> None:
    """What the schema does not say: each reference is unique, and leads somewhere."""
    refs = [document["metadata"]["component"]["bom-ref"]]
    refs += [component["bom-ref"] for component in document["components"]]
    assert len(set(refs)) == len(refs)
    used = {ref for d in document["dependencies"] for ref in (d["ref"], *d["dependsOn"])}
    used.update(ref for c in document["compositions"] for ref in c["assemblies"])
    assert used <= set(refs)


@pytest.mark.parametrize("inventory", [IMAGE, INDEX, replace(IMAGE, base=None, programs=())])
def test_the_document_is_valid(inventory: Inventory, validator: JsonStrictValidator) -> None:
    document = cyclonedx.document(inventory).decode()
    assert validator.validate_str(document) is None
    check_references(json.loads(document))


@settings(max_examples=40, deadline=None)
@given(inventories)
def test_any_inventory_gives_a_valid_document(
    validator: JsonStrictValidator, inventory: Inventory
) -> None:
    document = cyclonedx.document(inventory).decode()
    assert validator.validate_str(document) is None
    check_references(json.loads(document))


def test_every_dependency_is_there(image: Dict[str, Any]) -> None:
    names = {c["bom-ref"]: c["name"] for c in image["components"]}
    names[image["metadata"]["component"]["bom-ref"]] = "image"
    found: Dict[str, Set[str]] = {
        names[d["ref"]]: {names[ref] for ref in d["dependsOn"]} for d in image["dependencies"]
    }
    assert found == {
        "image": {
            "gcr.io/distroless/static:nonroot",
            "/ko-app/server",
            "/ko-app/tool",
            "/ko-app/stripped",
            "/var/run/ko/index.html",
        },
        "/ko-app/server": {
            "example.com/app",
            "stdlib",
            "golang.org/x/net",
            "github.com/BurntSushi/toml",
            "example.com/fork",
            "../library",
        },
        "/ko-app/tool": {"example.com/tool", "stdlib", "golang.org/x/net"},
    }


def test_a_module_has_what_scanners_look_up(image: Dict[str, Any]) -> None:
    toml = components(image)[TOML.path]
    assert toml["type"] == "library"
    assert toml["version"] == TOML.version
    assert toml["purl"] == "pkg:golang/github.com/BurntSushi/toml@v1.4.0%2Bincompatible"
    assert toml["hashes"] == [{"alg": "SHA-256", "content": sum_hex(TOML.sum)}]
    assert properties(toml) == {"ko_pants:go:sum": TOML.sum}
    assert {c["purl"] for c in image["components"] if c["name"] == "stdlib"} == {
        "pkg:golang/stdlib@1.26.8",
        "pkg:golang/stdlib@1.25.1",
    }


def test_what_replaces_a_module_is_the_component(image: Dict[str, Any]) -> None:
    found = components(image)
    assert found[FORK.path]["description"] == (
        "In place of example.com/upstream v1.0.0, by `replace`."
    )
    assert "purl" not in found["../library"]
    assert "example.com/upstream" not in found


def test_programs_say_what_is_known_of_them(image: Dict[str, Any]) -> None:
    found = components(image)
    assert properties(found["/ko-app/server"]) == {
        "ko_pants:size": "12345678",
        "ko_pants:go:main_package": "example.com/app/cmd/server",
        "ko_pants:go:version": "go1.26.8",
        "ko_pants:go:build:-tags": "netgo",
        "ko_pants:go:build:CGO_ENABLED": "0",
        "ko_pants:go:build:GOARCH": "amd64",
    }
    assert "has no Go build info" in found["/ko-app/stripped"]["description"]
    (composition,) = image["compositions"]
    assert composition["aggregate"] == "unknown"
    assert set(composition["assemblies"]) == {
        found[name]["bom-ref"] for name in ("/ko-app/stripped", "gcr.io/distroless/static:nonroot")
    }


def test_the_image_is_what_the_document_is_about(image: Dict[str, Any]) -> None:
    component = image["metadata"]["component"]
    assert component["hashes"] == [{"alg": "SHA-256", "content": IMAGE.subject.digest[7:]}]
    assert image["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    found = properties(component)
    assert found["ko_pants:platform"] == "linux/amd64"
    assert found["ko_pants:layer:1:kind"] == "kodata"
    assert found["ko_pants:layer:1:diff_id"] == digest("diff 2")


def test_an_index_depends_on_the_images_of_its_platforms() -> None:
    document = json.loads(cyclonedx.document(INDEX))
    (dependency,) = document["dependencies"]
    assert dependency["ref"] == document["metadata"]["component"]["bom-ref"]
    versions = [c["version"] for c in document["components"]]
    assert versions == [digest("base"), *(entry.digest for entry in INDEX.platforms)]


def test_each_target_and_image_has_its_own_serial_number() -> None:
    others: List[Inventory] = [replace(IMAGE, address="other:image")]
    others += [IMAGE, INDEX, replace(IMAGE, subject=manifest(ARM))]
    serials = {json.loads(cyclonedx.document(other))["serialNumber"] for other in others}
    assert len(serials) == 4
