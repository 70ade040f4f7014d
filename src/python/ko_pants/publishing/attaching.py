"""The artifacts of one image on their way to one destination.

They go up after the blobs and children of the image, and before its tags. A registry takes a
manifest whose subject is not there yet (OCI distribution-spec 1.1).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Iterator, Sequence

from ko_pants.artifacts.artifact import Artifact
from ko_pants.artifacts.formats import REFERRERS
from ko_pants.errors import KoPantsError
from ko_pants.publishing.attachments import Attachment, attachments_of
from ko_pants.publishing.publication import REUSED, BlobOutcome, Publication
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool

if TYPE_CHECKING:
    from ko_pants.publishing.artifact_stores import ArtifactStore, Entry


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
        #: What the index of a layout has to take up.
        self.entries: tuple[Entry, ...] = ()
        #: Those that were absent, or that no list had; None as long as nobody has asked.
        self.lacking: frozenset[Attachment] | None = None
        self._publication = publication
        self._store = store
        self._lock = threading.Lock()
        self._absent: frozenset[Attachment] | None = None
        self._listed: set[Attachment] = set()
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

    def begin(self, pool: WorkerPool, tasks: TaskGroup) -> None:
        """Bring what is absent, side by side, and then have all of it listed.

        :param tasks: of the image; they fail if an artifact cannot be attached.
        """
        pool.submit(lambda: self._bring(pool, tasks), tasks)

    def _bring(self, pool: WorkerPool, tasks: TaskGroup) -> None:
        if self._absent is None:
            with self._explained("its artifacts"):
                self._note(self._store.absent(self.attachments))
        absent = [a for a in self.attachments if a in (self._absent or ())]
        if not absent:
            self._enlist()
            return
        self._left = len(absent)
        for attachment in absent:
            pool.submit(lambda a=attachment: self._put(a), tasks)  # type: ignore[misc]

    def _note(self, absent: frozenset[Attachment]) -> None:
        self._absent = absent
        self.outcomes.update((a, REUSED) for a in self.attachments if a not in absent)

    def _put(self, attachment: Attachment) -> None:
        try:
            with self._explained(f"the {attachment}"):
                outcome, size, listed = self._store.put(attachment)
            with self._lock:
                self.outcomes[attachment] = BlobOutcome(outcome, size)
                if listed:
                    self._listed.add(attachment)
        finally:
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                self._enlist()

    def _enlist(self) -> None:
        """One update of the list of each subject. What was there before may lack in it."""
        stored = [a for a in self.attachments if a in self.outcomes and a not in self._listed]
        with self._explained("its artifacts, in the list of referrers,"):
            self.entries = self._store.enlist(stored)

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Let an error name what was not attached, and where."""
        try:
            yield
        except KoPantsError as e:
            place = self._publication.destination.repository_name
            raise KoPantsError(f"{what} cannot be attached at {place}: {e}") from None
