"""The artifacts of one image on their way to one destination.

Their blobs go up beside those of the image. Their manifests follow when all blobs of the image are
there, beside those of its platforms, and before its tags. A registry takes a manifest whose subject
is not there yet (OCI distribution-spec 1.1). Without the referrers API, lists of referrers are
looked at once more while the tags move (`registry/referrers.py`).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Container, Iterator, Sequence

from ko_pants.artifacts.artifact import Artifact
from ko_pants.artifacts.formats import REFERRERS
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.publishing.attachments import Attachment, attachments_of
from ko_pants.publishing.publication import REUSED, BlobOutcome, Publication
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool

if TYPE_CHECKING:
    from ko_pants.publishing.artifact_stores import ArtifactStore, Enlisted, Entry


class Attaching:
    """What is attached to one image, and what has been done for it. Thread-safe.

    :param attach_as: one of `artifacts.formats.ATTACHMENTS`; a layout has no tags.
    :param store: of the destination.
    """

    def __init__(
        self,
        publication: Publication,
        artifacts: Sequence[Artifact],
        attach_as: str,
        store: ArtifactStore,
    ) -> None:
        layout = publication.destination.layout
        self.attachments = attachments_of(artifacts, REFERRERS if layout else attach_as)
        #: What was done for each that is there by now, in any order.
        self.outcomes: dict[Attachment, BlobOutcome] = {}
        #: What is left to do when all are stored; None before.
        self.enlisted: Enlisted | None = None
        #: Those that were absent, or that no list had; None as long as nobody has asked.
        self.lacking: frozenset[Attachment] | None = None
        self._publication = publication
        self._store = store
        self._lock = threading.Lock()
        self._absent: frozenset[Attachment] | None = None
        self._listed: set[Attachment] = set()
        # Absent ones, and the number of their blobs that are not there yet.
        self._blobs_left: dict[Attachment, int] = {}
        self._bytes: dict[Attachment, int] = {}
        # Those whose blobs are there, until their manifests may follow.
        self._ready: list[Attachment] = []
        self._released = False
        # What has to end before the lists are written.
        self._left = 0

    def done(self) -> dict[Attachment, BlobOutcome]:
        """What was done for each artifact that is known to be there, in the order of the image."""
        return {a: self.outcomes[a] for a in self.attachments if a in self.outcomes}

    def look(self) -> frozenset[Attachment]:
        """Ask what is lacking: `lacking` afterwards.

        :raises KoPantsError: the destination does not answer.
        """
        with self._explained("its artifacts"):
            self._note(self._store.absent(self.attachments))
            there = [a for a in self.attachments if a in self.outcomes]
            self.lacking = (self._absent or frozenset()) | self._store.unlisted(there)
        return self.lacking

    def begin(self, pool: WorkerPool, tasks: TaskGroup, new: Container[str] = ()) -> None:
        """Bring the blobs of what is absent; the manifests follow after `release`.

        :param tasks: of the image; they fail if an artifact cannot be attached.
        :param new: digests of subjects that are new, so that nobody needs to ask for their
            artifacts.
        """
        if self._absent is not None:
            absent, unsure = [a for a in self.attachments if a in self._absent], []
        else:
            absent = [a for a in self.attachments if a.artifact.subject.digest in new]
            unsure = [a for a in self.attachments if a.artifact.subject.digest not in new]
        self._pool, self._tasks = pool, tasks
        self._left = len(absent) + bool(unsure) + 1
        self._bring(absent)
        if unsure:
            pool.submit(lambda: self._ask(unsure), tasks)

    def release(self) -> None:
        """Let the manifests follow, and have all of it listed then."""
        with self._lock:
            self._released = True
            ready, self._ready = self._ready, []
        self._submit_manifests(ready)
        self._end()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What the index of a layout has to take up."""
        return self.enlisted.entries if self.enlisted is not None else ()

    @property
    def is_confirmed(self) -> bool:
        """True if `confirm` has nothing to do."""
        return self.enlisted is None or not self.enlisted.written

    def confirm(self) -> None:
        """Make sure that no other process has overwritten the lists; see `ArtifactStore`.

        :raises KoPantsError: the destination does not answer, or others change them all the time.
        """
        if self.enlisted is not None:
            with self._explained("its artifacts, in the list of referrers,"):
                self._store.confirm(self.enlisted)

    def _ask(self, unsure: Sequence[Attachment]) -> None:
        try:
            with self._explained("its artifacts"):
                absent = self._store.absent(unsure)
            with self._lock:
                self.outcomes.update((a, REUSED) for a in unsure if a not in absent)
                self._left += len(absent)
            self._bring([a for a in unsure if a in absent])
        finally:
            self._end()

    def _note(self, absent: frozenset[Attachment]) -> None:
        self._absent = absent
        self.outcomes.update((a, REUSED) for a in self.attachments if a not in absent)

    def _bring(self, absent: Sequence[Attachment]) -> None:
        """Send blobs side by side, and each of them once."""
        owners: dict[Descriptor, list[Attachment]] = {}
        for attachment in absent:
            self._blobs_left[attachment] = len(attachment.blobs)
            for blob in attachment.blobs:
                owners.setdefault(blob, []).append(attachment)
        for blob, those in owners.items():
            self._pool.submit(
                lambda b=blob, o=those: self._put_blob(b, o),  # type: ignore[misc]
                self._tasks,
            )

    def _put_blob(self, blob: Descriptor, owners: Sequence[Attachment]) -> None:
        first = owners[0]
        with self._explained(f"the {first}"):
            size = self._store.put_blob(blob, first.blobs[blob])
        ready = []
        with self._lock:
            self._bytes[first] = self._bytes.get(first, 0) + size
            for attachment in owners:
                self._blobs_left[attachment] -= 1
                if not self._blobs_left[attachment]:
                    ready.append(attachment)
            if not self._released:
                self._ready += ready
                return
        self._submit_manifests(ready)

    def _submit_manifests(self, ready: Sequence[Attachment]) -> None:
        for attachment in ready:
            self._pool.submit(
                lambda a=attachment: self._put(a),  # type: ignore[misc]
                self._tasks,
            )

    def _put(self, attachment: Attachment) -> None:
        try:
            with self._explained(f"the {attachment}"):
                outcome, size, listed = self._store.put(attachment)
            with self._lock:
                size += self._bytes.get(attachment, 0)
                self.outcomes[attachment] = BlobOutcome(outcome, size)
                if listed:
                    self._listed.add(attachment)
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            self._pool.submit(self._enlist, self._tasks)

    def _enlist(self) -> None:
        """One update of the list of each subject. What was there before may lack in it."""
        stored = [a for a in self.attachments if a in self.outcomes and a not in self._listed]
        with self._explained("its artifacts, in the list of referrers,"):
            self.enlisted = self._store.enlist(stored)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Let an error name what was not attached, and where."""
        try:
            yield
        except KoPantsError as e:
            place = self._publication.destination.repository_name
            raise KoPantsError(f"{what} cannot be attached at {place}: {e}") from None
