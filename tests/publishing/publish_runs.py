"""Runs of `publish` in tests: the steps of the goal, without Pants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from fault_registry import FaultRegistry
from publishing.published_images import App
from registry_support import client_for

from ko_pants.artifacts.artifact import Artifact, compose_artifact
from ko_pants.artifacts.formats import REFERRERS
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.image import Image
from ko_pants.publishing.attaching import Attaching
from ko_pants.publishing.checking import Memory
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.publication import BlobOutcome, Found, Publication
from ko_pants.publishing.run import PublishRun
from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.publishing.tagging import confirmed
from ko_pants.publishing.uploading import PendingUpload


def silent(line: str) -> None:
    """Shows no progress."""


@dataclass(frozen=True)
class Done:
    """What was found of an image, and what was done for it."""

    found: Found
    outcomes: dict[str, BlobOutcome]
    requests: int

    def outcome(self, digest: str) -> tuple[str, int]:
        """Outcome and bytes of a blob; `reused` where nothing was done."""
        done = self.outcomes.get(digest, BlobOutcome("reused", 0))
        return (done.outcome, done.bytes)


def outcome(upload: PendingUpload, digest: str) -> tuple[str, int]:
    """What an upload has done for a blob so far."""
    return Done(upload.found, upload.outcomes, 0).outcome(digest)


def new_memory() -> Memory:
    """What a new daemon knows of repositories: nothing."""
    return BoundedMemory(name="test", bound=100, holds="what a test has published")


def artifacts_of(image: Image, *kinds: str) -> tuple[Artifact, ...]:
    """Artifacts of the platforms of an image, and of its index."""
    subjects = [manifest.descriptor for manifest in image.manifests]
    subjects += [image.descriptor] if image.index else []
    return tuple(
        compose_artifact(
            kind,
            subject,
            f"application/{kind}+json",
            f'{{"{kind}": "{subject.digest}"}}'.encode(),
            annotations={"of": "tests"},
        )
        for subject in subjects
        for kind in kinds
    )


class Run:
    """One run, against a registry or into the layout `dist/oci`."""

    def __init__(
        self,
        root: Path,
        registry: FaultRegistry | None = None,
        memory: Memory | None = None,
        signer: SignerSettings | None = None,
        interval_seconds: float = 0,
    ) -> None:
        self.registry = registry
        self.root = root
        self.run = PublishRun(
            client_for({}),
            layout_root=str(root),
            memory=new_memory() if memory is None else memory,
            signer=signer,
            interval_seconds=interval_seconds,
        )

    def destination(self, repository: str, tags: Sequence[str]) -> Destination:
        """On the registry, or in the layout."""
        if self.registry is None:
            return Destination(repository, tuple(tags), layout="dist/oci")
        return Destination(repository, tuple(tags), registry=self.registry.host)

    def publication(
        self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",), target: str = ""
    ) -> Publication:
        """Begin with an image."""
        return self.run.publication(
            target or f"//:{repository}",
            image.image,
            image.base,
            self.destination(repository, tags),
        )

    def check(self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)) -> Found:
        """The first step."""
        checks = self.run.checks
        return checks.finish(checks.begin(self.publication(image, repository, tags)))

    def upload(
        self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)
    ) -> PendingUpload:
        """The second: as the publish rule, it hands over only what is missing."""
        found = self.check(image, repository, tags)
        files = {digest: image.files[digest] for digest in found.missing_layers}
        return self.run.uploads.begin(found, files)

    def attach(
        self,
        image: App,
        kinds: Sequence[str] = ("spdx", "cyclonedx", "provenance"),
        repository: str = "app",
        tags: Sequence[str] = ("v1",),
        attach_as: str = REFERRERS,
    ) -> PendingUpload:
        """The first two steps of an image with artifacts; those of one that is there are asked."""
        found = self.check(image, repository, tags)
        files = {digest: image.files[digest] for digest in found.missing_layers}
        store = found.publication.store.artifacts
        assert store is not None
        artifacts = artifacts_of(image.image, *kinds)
        attaching = Attaching(found.publication, artifacts, attach_as, store)
        if found.present:
            attaching.look()
        return self.run.uploads.begin(found, files, attaching)

    def commit(self, *uploads: PendingUpload) -> dict[int, str]:
        """The last: position -> what went wrong."""
        moved = self.run.move_tags(uploads, silent)
        assert len(moved) == len(uploads)
        failures = [failure or confirmed(upload) for upload, failure in zip(uploads, moved)]
        return {n: failure for n, failure in enumerate(failures) if failure}

    def publish(self, image: App, repository: str = "app", tags: Sequence[str] = ("v1",)) -> Done:
        """All steps; nothing may fail."""
        upload = self.upload(image, repository, tags)
        if not upload.found.up_to_date:
            assert self.commit(upload) == {}
        return Done(upload.found, dict(upload.outcomes), upload.publication.store.requests)
