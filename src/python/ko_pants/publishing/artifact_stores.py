"""Where artifacts of images are kept: in a repository of a registry, or in a layout on disk.

Sources: OCI distribution-spec 1.1, "Pushing Manifests with Subject"; for layouts what `oras attach
--oci-layout` (1.3.6) writes, for the image-spec says nothing of referrers there.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Protocol, Sequence, Tuple

from ko_pants.artifacts.artifact import EMPTY_DESCRIPTOR
from ko_pants.oci.descriptor import Descriptor, sorted_pairs
from ko_pants.oci.documents import parse_document
from ko_pants.oci.layout import Layout
from ko_pants.oci.reference import Reference
from ko_pants.publishing.attachments import Attachment
from ko_pants.registry.client import RegistryClient, RegistrySession
from ko_pants.registry.referrers import BySubject, Referrer, WrittenList

#: An entry of the index of a layout.
Entry = Mapping[str, Any]
#: What was done for an artifact, the bytes of it, and if its subject's list is known to have it.
Stored = Tuple[str, int, bool]


@dataclass(frozen=True)
class Enlisted:
    """What is left to do when artifacts have been added to the lists of their subjects.

    :param entries: what the index of a layout has to take up. The caller writes that, once for all
        images.
    :param written: lists of a registry that were written, so that they have to be confirmed.
    """

    entries: tuple[Entry, ...] = ()
    written: tuple[WrittenList, ...] = ()


class ArtifactStore(Protocol):
    """The artifacts beside one image. Every method may raise `KoPantsError`."""

    def absent(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """Those that are not there."""

    def unlisted(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """Those that the list of their subject lacks, where there is a list to be kept."""

    def types_about(self, subject: str) -> frozenset[str]:
        """The artifact types of all that is listed for a subject, a digest."""

    def put_blob(self, blob: Descriptor, content: bytes) -> int:
        """Store a blob of what is absent; returns the bytes that were sent or written."""

    def put(self, attachment: Attachment) -> Stored:
        """Store one that is absent, whose blobs are there."""

    def enlist(self, attachments: Sequence[Attachment]) -> Enlisted:
        """Have the lists of their subjects name them. They must be stored.

        :returns: what is left to do.
        """

    def confirm(self, enlisted: Enlisted) -> None:
        """Make sure that no other process has overwritten the lists. It may wait for that."""


class RegistryArtifacts:
    """Artifacts in a repository on a registry."""

    def __init__(
        self, client: RegistryClient, session: RegistrySession, repository: Reference
    ) -> None:
        self._client = client
        self._session = session
        self._repository = repository

    def absent(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """See `ArtifactStore`: one HEAD for each, all of them in a row if the registry can."""
        questions = [(self._session, self._reference(a), a.descriptor.digest) for a in attachments]
        answers = self._client.head_manifests(questions)
        found = set()
        for attachment, (_, reference, digest), (answered, descriptor) in zip(
            attachments, questions, answers
        ):
            if not answered:
                descriptor = self._session.head_manifest(reference, forbidden_is_absent=True)
            if descriptor is None or descriptor.digest != digest:
                found.add(attachment)
        return frozenset(found)

    def unlisted(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """See `ArtifactStore`: a GET for each subject, if there is no referrers API."""
        lacking = self._session.unlisted_referrers(self._repository, _by_subject(attachments))
        digests = {r.descriptor.digest for referrers in lacking.values() for r in referrers}
        return frozenset(a for a in attachments if a.descriptor.digest in digests)

    def types_about(self, subject: str) -> frozenset[str]:
        """See `ArtifactStore`."""
        found = self._session.referrers(self._repository.with_digest(subject))
        return frozenset(referrer.artifact_type for referrer in found)

    def put_blob(self, blob: Descriptor, content: bytes) -> int:
        """See `ArtifactStore`. A blob is taken for missing, as its artifact is."""
        # All artifacts share the empty one, so it is likely to be there.
        return self._push(blob, content, known_missing=blob.digest != EMPTY_DESCRIPTOR.digest)

    def put(self, attachment: Attachment) -> Stored:
        """See `ArtifactStore`."""

        def repair(_: Sequence[str]) -> None:
            # A registry may name only the first blob that it lacks.
            for blob, data in attachment.blobs.items():
                self._push(blob, data, known_missing=True)

        descriptor, content = attachment.descriptor, attachment.manifest
        listed = True
        if attachment.tag:
            reference = self._reference(attachment)
            self._session.put_manifest(reference, descriptor, content, repair=repair)
        else:
            listed = self._session.put_referrer(self._repository, descriptor, content, repair)
        return "uploaded", descriptor.size, listed

    def enlist(self, attachments: Sequence[Attachment]) -> Enlisted:
        """See `ArtifactStore`: in the fallback tags, if there is no referrers API."""
        found = self._session.enlist_referrers(self._repository, _by_subject(attachments))
        return Enlisted(written=found)

    def confirm(self, enlisted: Enlisted) -> None:
        """See `ArtifactStore`."""
        self._session.confirm_referrers(enlisted.written)

    def _reference(self, attachment: Attachment) -> Reference:
        if attachment.tag:
            return self._repository.with_tag(attachment.tag)
        return self._repository.with_digest(attachment.descriptor.digest)

    def _push(self, descriptor: Descriptor, content: bytes, *, known_missing: bool) -> int:
        """Push a blob; returns the bytes that were sent."""
        sent = 0

        def count(now: int) -> None:
            nonlocal sent
            sent = now

        self._session.push_blob(
            self._repository,
            descriptor,
            lambda: io.BytesIO(content),
            progress=count,
            known_missing=known_missing,
        )
        return sent


class LayoutArtifacts:
    """Artifacts in an OCI layout on disk."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def absent(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """See `ArtifactStore`."""
        has = self._layout.has_blob
        return frozenset(
            a for a in attachments if not (has(a.descriptor) and all(map(has, a.blobs)))
        )

    def unlisted(self, attachments: Sequence[Attachment]) -> frozenset[Attachment]:
        """See `ArtifactStore`."""
        listed = {descriptor.digest for descriptor in self._layout.entries()}
        return frozenset(a for a in attachments if a.descriptor.digest not in listed)

    def types_about(self, subject: str) -> frozenset[str]:
        """See `ArtifactStore`."""
        return self._layout.artifact_types(subject)

    def put_blob(self, blob: Descriptor, content: bytes) -> int:
        """See `ArtifactStore`."""
        if self._layout.has_blob(blob):
            return 0
        self._layout.write_blob(blob, io.BytesIO(content))
        return blob.size

    def put(self, attachment: Attachment) -> Stored:
        """See `ArtifactStore`."""
        return "written", self.put_blob(attachment.descriptor, attachment.manifest), False

    def enlist(self, attachments: Sequence[Attachment]) -> Enlisted:
        """See `ArtifactStore`."""
        return Enlisted(tuple(_referrer(attachment).to_json() for attachment in attachments))

    def confirm(self, enlisted: Enlisted) -> None:
        """See `ArtifactStore`: the index of a layout has a lock."""


def _referrer(attachment: Attachment) -> Referrer:
    """The entry of a list of referrers; it has the annotations of the manifest."""
    manifest = parse_document(attachment.manifest, where=str(attachment))
    plain = attachment.descriptor
    annotations = manifest.get("annotations") or {}
    return Referrer(
        Descriptor(plain.media_type, plain.digest, plain.size, sorted_pairs(annotations)),
        attachment.artifact.artifact_type,
    )


def _by_subject(attachments: Iterable[Attachment]) -> BySubject:
    found: dict[str, list[Referrer]] = {}
    for attachment in attachments:
        if not attachment.tag:
            found.setdefault(attachment.artifact.subject.digest, []).append(_referrer(attachment))
    return found
