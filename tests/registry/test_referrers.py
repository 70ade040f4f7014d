"""Referrers: by the API and by the fallback tag."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from fault_registry import FaultRegistry
from registry_support import client_for, manifest_of

from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference


def _signature(subject: Descriptor, name: str) -> bytes:
    return manifest_of(
        artifactType=f"application/x.{name[:3]}",
        subject=subject.to_json(),
        annotations={"name": name},
    )[1]


@pytest.mark.parametrize("api", [True, False])
def test_referrers(registry: FaultRegistry, api: bool) -> None:
    registry.referrers_api = api
    registry.put_blob("app", b"{}")
    subject, content = manifest_of()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    session = client_for({}).session()
    app = Reference(registry.host, "app")
    assert session.referrers(app.with_digest(subject.digest)) == []
    for name in ("sig-1", "sig-2", "sbom"):
        session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, name))
    session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, "sbom"))
    found = session.referrers(app.with_digest(subject.digest))
    assert sorted(dict(r.descriptor.annotations)["name"] for r in found) == [
        *("sbom", "sig-1", "sig-2")
    ]
    only = session.referrers(app.with_digest(subject.digest), "application/x.sig")
    assert [r.artifact_type for r in only] == ["application/x.sig"] * 2
    fallback = ("app", subject.digest.replace(":", "-"))
    assert (fallback in registry.tags) is not api


def test_concurrent_referrers_do_not_get_lost(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    registry.put_blob("app", b"{}")
    subject, content = manifest_of()
    registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
    app = Reference(registry.host, "app")
    # Two clients are two processes: they share no lock, only the registry.
    clients = [client_for({}), client_for({})]

    def push(number: int) -> None:
        session = clients[number % 2].session()
        session.push_referrer(app, media_types.OCI_MANIFEST, _signature(subject, f"sig-{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, range(8)))
    found = clients[0].session().referrers(app.with_digest(subject.digest))
    assert len(found) == 8
