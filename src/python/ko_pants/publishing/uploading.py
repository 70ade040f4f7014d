"""The second step of a publish: bring what the destination lacks. No tag moves here.

Blobs go up before the manifests that name them. A manifest of an index waits for its own blobs, not
for those of other platforms. Artifacts go up beside them (`attaching.py`). A blob that several
repositories of one registry lack is sent once: the registry client mounts it in the others.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Callable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.interruption import InterruptedRunError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import ImageManifest
from ko_pants.publishing.blob_sources import mount_sources, open_blob
from ko_pants.publishing.progress import DEFAULT_INTERVAL_SECONDS, ImageProgress, Progress
from ko_pants.publishing.publication import REUSED, BlobOutcome, Found, Publication
from ko_pants.publishing.worker_pool import TaskGroup, WorkerPool
from ko_pants.registry.client import RegistryClient

if TYPE_CHECKING:
    from ko_pants.publishing.attaching import Attaching
    from ko_pants.publishing.timeline import Timeline

# How soon it is noticed that the user has interrupted the run.
_LOOK_SECONDS = 0.2
# More are not listed by name in a line of progress.
_MAX_PLATFORM_NAMES = 2
_MOUNTED = "mounted"

#: Shows a line of progress to the user. It raises an `InterruptedRunError` if the user has
#: interrupted the run; an empty line only asks for that.
Report = Callable[[str], None]


class PendingUpload:
    """The upload of one image: its tasks, and what they have done so far.

    :param files: digest -> path of the missing layers that the engine brought.
    :param attaching: its artifacts; None if there are none.
    """

    def __init__(
        self,
        found: Found,
        files: Mapping[str, str],
        tasks: TaskGroup,
        attaching: Attaching | None,
    ) -> None:
        self.found = found
        self.files = files
        self.tasks = tasks
        self.attaching = attaching
        #: What the signer wanted to have attached; None if it has not run, or wanted nothing.
        self.signatures: Attaching | None = None
        #: A last look at the lists of both; None if there is nothing to look at.
        self.confirming: TaskGroup | None = None
        #: Its bytes; None if nothing was missing.
        self.progress: ImageProgress | None = None
        self.waiting_for = set(found.missing)
        #: The manifests of an index that have not begun, and the missing blobs that each waits for.
        self.waiting_children = {
            child.descriptor.digest: (child, _blobs_of(child) & self.waiting_for)
            for child in found.publication.image.children
        }
        self.outcomes: dict[str, BlobOutcome] = {}

    @property
    def publication(self) -> Publication:
        """The image and its destination."""
        return self.found.publication

    def ready_children(self, come: str) -> list[ImageManifest]:
        """The manifests whose blobs are all there; each is returned once.

        :param come: the digest of a missing blob that is there now; empty for none.
        """
        self.waiting_for.discard(come)
        for _, blobs in self.waiting_children.values():
            blobs.discard(come)
        ready = [child for child, blobs in self.waiting_children.values() if not blobs]
        for child in ready:
            del self.waiting_children[child.descriptor.digest]
        return ready


def _blobs_of(child: ImageManifest) -> set[str]:
    return {child.config_descriptor.digest, *(layer.descriptor.digest for layer in child.layers)}


class _Transfer:
    """One blob on its way to one registry or layout, and the uploads that wait for it."""

    def __init__(self) -> None:
        self.queue: list[PendingUpload] = []
        self.running = False
        # Another repository got the blob by a mount, so that the others can have it side by side.
        self.mounts = False


class Uploads:
    """The uploads of one run. Thread-safe.

    :param timeline: takes up when blobs were brought; None if nobody wants to know.
    :param on_begin: called when blobs begin to be brought.
    :param interval_seconds: between two lines of progress; 0 for none.
    """

    def __init__(
        self,
        client: RegistryClient,
        pool: WorkerPool,
        timeline: Timeline | None = None,
        on_begin: Callable[[], None] = lambda: None,
        interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
    ) -> None:
        self.timeline = timeline
        self._client = client
        self._pool = pool
        self._lock = threading.Lock()
        self._transfers: dict[tuple[str, str], _Transfer] = {}
        self._on_begin = on_begin
        self._interval_seconds = interval_seconds
        self._interrupted = False
        self.progress = Progress()

    def begin(
        self, found: Found, files: Mapping[str, str], attaching: Attaching | None = None
    ) -> PendingUpload:
        """Begin to bring blobs, after them the manifests of an index, and artifacts beside both.

        :param files: digest -> path, for each of `found.missing_layers`.
        :param attaching: the artifacts that the destination shall have; None for none.
        """
        upload = PendingUpload(found, dict(files), self._pool.group(), attaching)
        if attaching is not None:
            attaching.begin(self._pool, upload.tasks, found.new_subjects)
        if found.present:
            self._release_artifacts(upload)
            return upload
        self._submit_children(upload)
        if found.missing:
            upload.progress = self.progress.begin(
                found.publication.target,
                _platforms(found),
                {digest: descriptor.size for digest, descriptor in found.missing.items()},
            )
            self._on_begin()
        for digest in found.missing:
            self._join_transfer(upload, digest)
        return upload

    def interrupt(self) -> None:
        """Let uploads end where they are, and end all requests. No other is sent."""
        self._interrupted = True
        self._client.interrupt()

    def wait(self, uploads: Sequence[PendingUpload], report: Report) -> None:
        """Wait for uploads; `report` takes a line of progress every few seconds.

        :raises InterruptedRunError: the user has interrupted the run.
        :raises KoPantsError: one of them failed.
        """
        interval = self._interval_seconds
        due = time.monotonic() + interval
        for upload in uploads:
            try:
                while not upload.tasks.wait(_LOOK_SECONDS):
                    line = ""
                    if interval and time.monotonic() >= due:
                        line, due = self.progress.line(interval), time.monotonic() + interval
                    report(line)
            except InterruptedRunError:
                raise
            except KoPantsError as e:
                raise KoPantsError(f"{upload.publication.target}: {e}") from None

    def repair(self, upload: PendingUpload, digests: Sequence[str]) -> None:
        """Bring what a registry said it has, and then refused a manifest for the want of.

        :raises KoPantsError: nobody has the bytes, or the registry does not take them.
        """
        publication = upload.publication
        blobs = publication.image.blobs()
        for digest in digests:
            if digest in blobs:
                self._bring_blob(upload, blobs[digest])
        children = publication.image.children
        # A registry may name only the first manifest that it lacks: bring all of them.
        if any(child.descriptor.digest in digests for child in children):
            for child in children:
                publication.store.put_manifest(
                    child.descriptor, child.manifest, lambda missing: self.repair(upload, missing)
                )

    def _join_transfer(self, upload: PendingUpload, digest: str) -> None:
        upload.tasks.begin()
        with self._lock:
            key = (upload.publication.store.place, digest)
            transfer = self._transfers.setdefault(key, _Transfer())
            transfer.queue.append(upload)
            start = not transfer.running
            transfer.running = True
        if start:
            self._pool.submit(
                lambda: self._transfer(transfer, digest),
                self._pool.group(),
                lambda error: self._drop(transfer, error),
            )

    def _transfer(self, transfer: _Transfer, digest: str) -> None:
        """Bring one blob to every repository that lacks it.

        One after the other: while the bytes are on their way, nobody else can mount them. Once a
        mount has succeeded, all others are side by side.
        """
        while True:
            with self._lock:
                if not transfer.queue:
                    transfer.running = False
                    return
                side_by_side = transfer.queue if transfer.mounts else transfer.queue[:1]
                transfer.queue = transfer.queue[len(side_by_side) :]
            for upload in side_by_side[1:]:
                self._pool.submit(
                    lambda u=upload: self._bring_missing(u, transfer, digest),  # type: ignore[misc]
                    upload.tasks,
                )
                upload.tasks.end()
            upload = side_by_side[0]
            upload.tasks.run(lambda u=upload: self._bring_missing(u, transfer, digest))  # type: ignore[misc]

    def _bring_missing(self, upload: PendingUpload, transfer: _Transfer, digest: str) -> None:
        try:
            self._bring_blob(upload, upload.found.missing[digest])
        except BaseException:
            if upload.progress is not None:
                upload.progress.fail()
            raise
        done = upload.outcomes.get(digest)
        if done is not None and done.outcome == _MOUNTED:
            transfer.mounts = True
        self._submit_children(upload, digest)

    def _drop(self, transfer: _Transfer, error: BaseException) -> None:
        """End the tasks of a transfer that never began, so that no caller waits for them."""
        with self._lock:
            waiting, transfer.queue = transfer.queue, []
            transfer.running = False
        for upload in waiting:
            if upload.progress is not None:
                upload.progress.fail()
            upload.tasks.end(error)

    def _submit_children(self, upload: PendingUpload, come: str = "") -> None:
        """Begin with the manifests whose blobs are there, and after all blobs with the artifacts'.

        :param come: the digest of a missing blob that is there now.
        """
        with self._lock:
            children = upload.ready_children(come)
            last = not upload.waiting_for
        for child in children:
            self._pool.submit(
                lambda c=child: self._bring_child(upload, c),  # type: ignore[misc]
                upload.tasks,
            )
        if last:
            self._release_artifacts(upload)

    def _bring_child(self, upload: PendingUpload, child: ImageManifest) -> None:
        upload.publication.store.put_manifest(
            child.descriptor, child.manifest, lambda missing: self.repair(upload, missing)
        )

    def _release_artifacts(self, upload: PendingUpload) -> None:
        if upload.attaching is not None:
            upload.attaching.release()

    def _bring_blob(self, upload: PendingUpload, descriptor: Descriptor) -> None:
        publication, digest = upload.publication, descriptor.digest
        # Another image of this run may have written it into the layout meanwhile.
        progress = upload.progress
        if publication.destination.layout and publication.store.has_blob(descriptor):
            upload.outcomes[digest] = REUSED
            if progress is not None:
                progress.done(digest)
            return
        sent, begin = 0, time.time()

        def count(sent_now: int) -> None:
            nonlocal sent
            if self._interrupted:
                raise InterruptedRunError
            sent = sent_now
            if progress is not None:
                progress.sent(digest, sent_now)

        outcome = publication.store.put_blob(
            descriptor,
            lambda: open_blob(self._client, publication, upload.files, digest),
            mount_sources(publication, digest),
            count,
        )
        upload.outcomes[digest] = BlobOutcome(outcome, sent)
        if self.timeline is not None:
            self.timeline.blob_came(publication, digest, begin)
        if progress is not None:
            progress.done(digest)


def _platforms(found: Found) -> str:
    """The platforms of an image in a line of progress."""
    image = found.publication.image
    count = len(image.manifests)
    return f"{count} platforms" if count > _MAX_PLATFORM_NAMES else image.platform_names
