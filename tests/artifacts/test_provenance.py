"""Provenance, judged by a JSON schema written from the specifications of in-toto and SLSA."""

from __future__ import annotations

import json
from typing import Any, Dict

import fastjsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from inventories import FORK, IMAGE, INDEX, NET, TOML, digest, inventories

from ko_pants.artifacts import provenance
from ko_pants.artifacts.built_modules import sum_hex
from ko_pants.artifacts.inventory import Inventory

DIGEST_SET = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"enum": ["sha256", "dirHash"]},
    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
URI = {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:[\\x21-\\x7e]+$"}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["_type", "subject", "predicateType", "predicate"],
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "subject": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "digest"],
                "properties": {"name": {"type": "string"}, "digest": DIGEST_SET},
            },
        },
        "predicate": {
            "type": "object",
            "additionalProperties": False,
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": URI,
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "additionalProperties": False,
                                "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}],
                                "properties": {
                                    "name": {"type": "string"},
                                    "uri": URI,
                                    "digest": DIGEST_SET,
                                },
                            },
                        },
                    },
                },
                "runDetails": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["builder"],
                    "properties": {
                        "builder": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["id"],
                            "properties": {
                                "id": URI,
                                "version": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                            },
                        },
                        "metadata": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"invocationId": {"type": "string"}},
                        },
                    },
                },
            },
        },
    },
}
check = fastjsonschema.compile(SCHEMA)


def predicate(inventory: Inventory, **arguments: str) -> Dict[str, Any]:
    document = json.loads(provenance.statement(inventory, **arguments))
    check(document)
    assert document["subject"] == [
        {"name": inventory.address, "digest": {"sha256": inventory.subject.digest[7:]}}
    ]
    return dict(document["predicate"])


@settings(max_examples=100, deadline=None)
@given(inventories)
def test_any_inventory_gives_a_valid_statement(inventory: Inventory) -> None:
    check(json.loads(provenance.statement(inventory, invocation_id="https://ci.example/run/1")))


def test_the_parameters_are_what_the_user_chose() -> None:
    definition = predicate(IMAGE)["buildDefinition"]
    assert definition["buildType"] == provenance.BUILD_TYPE
    assert definition["externalParameters"] == {
        "target": "services/api:image",
        "platform": "linux/amd64",
        "baseImage": "gcr.io/distroless/static:nonroot",
        "programs": [
            {
                "path": "/ko-app/server",
                "mainPackage": "example.com/app/cmd/server",
                "settings": {"-tags": "netgo", "CGO_ENABLED": "0", "GOARCH": "amd64"},
            },
            {"path": "/ko-app/tool", "mainPackage": "example.com/tool", "settings": {}},
            {"path": "/ko-app/stripped", "buildInfo": False},
        ],
    }
    assert definition["internalParameters"] == {
        "modulesOfTheRepository": ["../library", "example.com/app"]
    }


def test_dependencies_are_base_toolchains_and_modules() -> None:
    found = predicate(IMAGE)["buildDefinition"]["resolvedDependencies"]
    assert [entry["name"] for entry in found] == [
        "gcr.io/distroless/static:nonroot",
        "gcr.io/distroless/static:nonroot",
        "go1.25.1",
        "go1.26.8",
        f"{FORK.path} {FORK.version}",
        "example.com/tool v1.2.3",
        f"{TOML.path} {TOML.version}",
        f"{NET.path} {NET.version}",
    ]
    assert [entry["digest"] for entry in found[:2]] == [
        {"sha256": digest("base amd64")[7:]},
        {"sha256": digest("base")[7:]},
    ]
    assert found[-1] == {
        "name": "golang.org/x/net v0.30.0",
        "uri": "pkg:golang/golang.org/x/net@v0.30.0",
        "digest": {"dirHash": sum_hex(NET.sum)},
    }


def test_an_index_comes_from_the_images_of_its_platforms() -> None:
    definition = predicate(INDEX)["buildDefinition"]
    assert definition["externalParameters"]["platforms"] == ["linux/amd64", "linux/arm/v7"]
    assert [entry["digest"] for entry in definition["resolvedDependencies"][2:]] == [
        {"sha256": entry.digest[7:]} for entry in INDEX.platforms
    ]


@pytest.mark.parametrize(
    ("arguments", "builder", "metadata"),
    [
        ({}, provenance.DEFAULT_BUILDER_ID, None),
        ({"builder_id": "https://ci.example/v1"}, "https://ci.example/v1", None),
        (
            {"invocation_id": "https://ci.example/run/7"},
            provenance.DEFAULT_BUILDER_ID,
            {"invocationId": "https://ci.example/run/7"},
        ),
    ],
)
def test_the_run_is_what_the_user_says_of_it(
    arguments: Dict[str, str], builder: str, metadata: Dict[str, str] | None
) -> None:
    run = predicate(IMAGE, **arguments)["runDetails"]
    assert run["builder"] == {"id": builder, "version": {"ko_pants": "1.2.3"}}
    assert run.get("metadata") == metadata
