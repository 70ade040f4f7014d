"""Referrers: by the API and by the fallback tag."""

from __future__ import annotations

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fault_registry import FaultRegistry
from registry_support import FakeTime, client_for, manifest_of

from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, sorted_pairs
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistrySession
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.referrers import Referrer


class Subject:
    """An image `app:v1` on a registry, and how referrers are added to it."""

    def __init__(self, registry: FaultRegistry, number: int = 0) -> None:
        registry.put_blob("app", b"{}")
        self.registry = registry
        self.repository = Reference(registry.host, "app")
        self.descriptor, content = manifest_of(annotations={"number": str(number)})
        registry.put_manifest("app", media_types.OCI_MANIFEST, content, "v1")
        self.reference = self.repository.with_digest(self.descriptor.digest)
        self.fallback = ("app", self.descriptor.digest.replace(":", "-"))

    def make(self, name: str) -> tuple[Descriptor, bytes, Referrer]:
        """A referrer whose type is made of the first letters of its name."""
        kind = f"application/x.{name[:3]}"
        descriptor, content = manifest_of(
            artifactType=kind, subject=self.descriptor.to_json(), annotations={"name": name}
        )
        noted = replace(descriptor, annotations=sorted_pairs({"name": name}))
        return descriptor, content, Referrer(noted, kind)

    def push(self, session: RegistrySession, *names: str) -> None:
        """Store referrers, and have those listed of which the registry does not say so."""
        left = []
        for name in names:
            descriptor, content, referrer = self.make(name)
            if not session.put_referrer(self.repository, descriptor, content, lambda _: None):
                left.append(referrer)
        wanted = {self.descriptor.digest: left} if left else {}
        session.confirm_referrers(session.enlist_referrers(self.repository, wanted))

    def names(self, client: RegistryClient | None = None) -> list[str]:
        """The names of all referrers that a client finds."""
        found = (client or client_for({})).session().referrers(self.reference)
        return sorted(dict(r.descriptor.annotations)["name"] for r in found)


@pytest.mark.parametrize("oci_subject", [True, False])
@pytest.mark.parametrize("api", [True, False])
def test_referrers(registry: FaultRegistry, api: bool, oci_subject: bool) -> None:
    registry.referrers_api, registry.oci_subject = api, oci_subject
    subject = Subject(registry)
    session = client_for({}).session()
    assert subject.names() == []
    subject.push(session, "sig-1", "sig-2")
    subject.push(session, "sbom")
    subject.push(session, "sbom")
    assert subject.names() == ["sbom", "sig-1", "sig-2"]
    only = session.referrers(subject.reference, "application/x.sig")
    assert [r.artifact_type for r in only] == ["application/x.sig"] * 2
    assert (subject.fallback in registry.tags) is not api


def test_a_subject_has_one_update_of_its_fallback_tag(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    subject = Subject(registry)
    session = client_for({}).session()
    subject.push(session, *(f"sbom-{n}" for n in range(5)))
    # The API, the list, and a look some time after the update. A first 404 makes the client ask
    # the root for a challenge.
    assert registry.count("referrers") == 1
    assert registry.count("PUT tag") == 1
    assert registry.count("GET manifest") == 1
    assert registry.count("HEAD manifest") == 1
    assert session.requests == len(registry.seen) == 5 + 4 + registry.count("root")


@pytest.mark.parametrize("api", [True, False])
def test_a_registry_is_asked_once_for_its_api(registry: FaultRegistry, api: bool) -> None:
    registry.referrers_api, registry.oci_subject = api, False
    client = client_for({})
    for n in range(4):
        Subject(registry, n).push(client.session(), "sbom", "sig")
    assert registry.count("referrers") == 1


@pytest.mark.parametrize("kind", ["404", "405", "400", "501", "garbage"])
def test_a_registry_whose_api_says_nothing_gets_the_fallback_tag(
    registry: FaultRegistry, kind: str
) -> None:
    registry.oci_subject = False
    registry.fail("referrers", kind, count=None)
    subject = Subject(registry)
    subject.push(client_for({}).session(), "sbom")
    assert subject.names() == ["sbom"]
    assert subject.fallback in registry.tags


def test_an_api_that_refuses_is_an_error(registry: FaultRegistry) -> None:
    registry.oci_subject = False
    registry.fail("referrers", "403", count=None)
    with pytest.raises(RegistryError, match="list the referrers of"):
        Subject(registry).push(client_for({}).session(), "sbom")


def test_what_is_not_listed_is_found_and_added(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    subject = Subject(registry)
    session = client_for({}).session()
    subject.push(session, "sig")
    # As after a crash between the manifest and the list.
    descriptor, content, referrer = subject.make("sbom")
    session.put_referrer(subject.repository, descriptor, content, lambda _: None)
    wanted = {subject.descriptor.digest: [referrer, subject.make("sig")[2]]}
    assert session.unlisted_referrers(subject.repository, wanted) == {
        subject.descriptor.digest: (referrer,)
    }
    session.confirm_referrers(session.enlist_referrers(subject.repository, wanted))
    assert session.unlisted_referrers(subject.repository, wanted) == {}
    assert subject.names() == ["sbom", "sig"]


def test_other_entries_of_a_fallback_tag_stay_as_they_are(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    subject = Subject(registry)
    others = [
        {"mediaType": "x", "digest": "sha512:" + "0" * 128, "size": 1, "unknown": [1]},
        "no descriptor at all",
    ]
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": others, "a": 1}
    content = json.dumps(index).encode()
    registry.accepts_missing_blobs = True
    registry.put_manifest("app", media_types.OCI_INDEX, content, subject.fallback[1])
    subject.push(client_for({}).session(), "sbom")
    stored = json.loads(registry.manifests["app", registry.tags[subject.fallback]][1])
    assert stored["manifests"][:2] == others
    assert stored["a"] == 1
    assert subject.names() == ["sbom"]


@pytest.mark.parametrize("preconditions", [True, False])
def test_an_update_that_another_process_overwrites_is_made_again(
    registry: FaultRegistry, preconditions: bool
) -> None:
    registry.referrers_api, registry.preconditions = False, preconditions
    subject = Subject(registry)

    class Other(FakeTime):
        """Another process reads the tag before this one writes it, and writes after that."""

        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 1:
                _, content, referrer = subject.make("other")
                index = {"manifests": [referrer.to_json()], "schemaVersion": 2}
                registry.put_manifest("app", media_types.OCI_MANIFEST, content)
                listed = json.dumps(index).encode()
                registry.put_manifest("app", media_types.OCI_INDEX, listed, tag=subject.fallback[1])

    time = Other()
    subject.push(client_for({}, time).session(), "mine")
    assert subject.names() == ["mine", "other"]
    # It ends with a look that finds the tag as it was left.
    assert len(time.slept) == 2


def test_a_list_that_this_run_has_added_to_is_not_taken_for_overwritten(
    registry: FaultRegistry,
) -> None:
    registry.referrers_api = False
    subject, time = Subject(registry), FakeTime()
    session = client_for({}, time).session()
    written = []
    for name in ("sbom", "sig"):
        descriptor, content, referrer = subject.make(name)
        session.put_referrer(subject.repository, descriptor, content, lambda _: None)
        wanted = {subject.descriptor.digest: [referrer]}
        written.append(session.enlist_referrers(subject.repository, wanted))
    before = registry.count("GET manifest")
    for lists in written:
        session.confirm_referrers(lists)
    assert registry.count("GET manifest") == before
    assert registry.count("HEAD manifest") == 2
    assert subject.names() == ["sbom", "sig"]


def test_a_list_is_looked_at_without_a_wait_when_time_has_passed(registry: FaultRegistry) -> None:
    registry.referrers_api = False
    subject, time = Subject(registry), FakeTime()
    session = client_for({}, time).session()
    descriptor, content, referrer = subject.make("sbom")
    session.put_referrer(subject.repository, descriptor, content, lambda _: None)
    wanted = {subject.descriptor.digest: [referrer]}
    written = session.enlist_referrers(subject.repository, wanted)
    time.advance(10)
    session.confirm_referrers(written)
    assert time.slept == []
    assert registry.count("HEAD manifest") == 1


@pytest.mark.parametrize("preconditions", [True, False])
def test_concurrent_referrers_do_not_get_lost(registry: FaultRegistry, preconditions: bool) -> None:
    registry.referrers_api, registry.preconditions = False, preconditions
    subject = Subject(registry)
    # Two clients are two processes: they share no lock, only the registry. They wait for each
    # other where a real one sleeps, so that each has written before the other looks again.
    barrier = threading.Barrier(2)

    class Together(FakeTime):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            with contextlib.suppress(threading.BrokenBarrierError):
                barrier.wait(5)

    clients = [client_for({}, Together()), client_for({}, Together())]

    def push(number: int) -> None:
        names = [f"sig-{number}-{n}" for n in range(4)]
        subject.push(clients[number].session(), *names)
        barrier.abort()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(push, range(2)))
    assert len(subject.names()) == 8
