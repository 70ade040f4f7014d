"""Manifests: looked up and pulled, from registries of all kinds."""

from __future__ import annotations

import pytest
from fault_registry import FaultRegistry
from registry_support import client_for, manifest_of

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryError


def test_an_unchanged_image_costs_one_request(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"{}")
    descriptor, content = manifest_of()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    session = client_for({}).session()
    assert session.head_manifest(Reference(registry.host, "app", "v1")) == descriptor
    assert session.requests == 1
    assert session.head_manifest(Reference(registry.host, "app", "v2")) is None


def test_head_without_a_digest_falls_back_to_get(registry: FaultRegistry) -> None:
    descriptor, content = manifest_of()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    registry.head_digest = False
    session = client_for({}).session()
    assert session.head_manifest(Reference(registry.host, "app", "v1")) == descriptor
    assert session.requests == 2


def test_a_manifest_served_as_json_says_itself_what_it_is(registry: FaultRegistry) -> None:
    descriptor, content = manifest_of()
    registry.put_manifest("app", "application/json; charset=utf-8", content, "v1")
    assert client_for({}).session().head_manifest(Reference(registry.host, "app", "v1")) == (
        descriptor
    )


@pytest.mark.parametrize(
    ("media_type", "content", "message"),
    [
        ("text/html", b"<html>welcome</html>", "sent no manifest"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "schema 1"),
    ],
)
def test_what_is_no_manifest(
    registry: FaultRegistry, media_type: str, content: bytes, message: str
) -> None:
    registry.put_manifest("app", media_type, content, "v1")
    with pytest.raises(RegistryError, match=message):
        client_for({}).session().get_manifest(Reference(registry.host, "app", "v1"))
