"""Storing manifests: under tags, once more after a repair, and not where that is no use."""

from __future__ import annotations

import functools
import io

import pytest
from fault_registry import FaultRegistry, digest_of
from registry_support import client_for, descriptor_of, layer_of, manifest_of

from ko_pants.oci import media_types
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import MissingBlobsError, RegistryError


@pytest.mark.parametrize(
    ("oci_tag", "puts"),
    [(True, ["digest?tag=a&tag=b"]), (False, ["digest?tag=a&tag=b", "a", "b"])],
)
def test_several_tags(registry: FaultRegistry, oci_tag: bool, puts: list[str]) -> None:
    registry.oci_tag = oci_tag
    registry.put_blob("app", b"{}")
    descriptor, content = manifest_of()
    client = client_for({})
    client.session().put_manifest(Reference(registry.host, "app", "a"), descriptor, content, ["b"])
    assert registry.tags == {("app", "a"): descriptor.digest, ("app", "b"): descriptor.digest}
    paths = [s.path.rpartition("/")[2].replace(descriptor.digest, "digest") for s in registry.seen]
    assert paths == puts
    # What was learnt is used the next time: no more tries with a registry that ignores `?tag=`.
    before = len(registry.seen)
    client.session().put_manifest(Reference(registry.host, "app", "c"), descriptor, content, ["d"])
    assert len(registry.seen) - before == (1 if oci_tag else 2)


def test_an_immutable_tag_at_the_right_digest_is_a_success(registry: FaultRegistry) -> None:
    registry.put_blob("app", b"{}")
    registry.immutable_tags = True
    app = Reference(registry.host, "app", "v1")
    session = client_for({}).session()
    descriptor, content = manifest_of()
    session.put_manifest(app, descriptor, content)
    session.put_manifest(app, descriptor, content)
    other = manifest_of(annotations={"a": "b"})
    with pytest.raises(RegistryError, match="the tag is immutable"):
        session.put_manifest(app, *other)
    assert registry.tags["app", "v1"] == descriptor.digest


def test_a_manifest_whose_blob_has_vanished_is_repaired_once(registry: FaultRegistry) -> None:
    session = client_for({}).session()
    app = Reference(registry.host, "app", "v1")
    blobs = {layer_of(b"layer"): b"layer", descriptor_of(b"{}", media_types.OCI_EMPTY): b"{}"}
    for blob, content in blobs.items():
        session.push_blob(app, blob, functools.partial(io.BytesIO, content))
    del registry.blobs["app", digest_of(b"layer")]
    descriptor, manifest = manifest_of(b"layer")
    with pytest.raises(MissingBlobsError) as caught:
        session.put_manifest(app, descriptor, manifest)
    assert caught.value.digests == (digest_of(b"layer"),)
    # As above, but what the run believed is forgotten, so that the blob is sent again.
    session.push_blob(app, layer_of(b"layer"), lambda: io.BytesIO(b"layer"))
    del registry.blobs["app", digest_of(b"layer")]
    asked = []

    def repair(digests: tuple[str, ...]) -> None:
        asked.append(digests)
        session.push_blob(app, layer_of(b"layer"), lambda: io.BytesIO(b"layer"))

    session.put_manifest(app, descriptor, manifest, repair=repair)
    assert asked == [(digest_of(b"layer"),)]
    assert registry.complete("app", "v1")


def test_a_manifest_that_is_too_large_is_not_sent(registry: FaultRegistry) -> None:
    descriptor, content = manifest_of(annotations={"a": "x" * 5_000_000})
    session = client_for({}).session()
    with pytest.raises(RegistryError, match="4194304"):
        session.put_manifest(Reference(registry.host, "app", "v1"), descriptor, content)
    assert session.requests == 0
