"""What the images of one run of `publish` share: the order of its steps is

run.publication(...)           the image and its destination; names are checked
run.checks.begin / finish      what the destination has
run.uploads.begin              blobs and child manifests; nothing visible changes
run.tags.enter                 a process that waits until the tags have moved
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Callable, Iterable, Sequence

from ko_pants.interruption import InterruptedRunError
from ko_pants.oci.image import BaseImage, Image
from ko_pants.publishing.blob_sources import BlobFiles
from ko_pants.publishing.checking import Checker, Memory
from ko_pants.publishing.destinations import Destination, check_distinct
from ko_pants.publishing.local_loading import Loader
from ko_pants.publishing.progress import DEFAULT_INTERVAL_SECONDS
from ko_pants.publishing.publication import Found, Publication
from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.publishing.stores import Stores
from ko_pants.publishing.tagging import TagMoves, move_tags
from ko_pants.publishing.upload_watch import Terminal, UploadWatch
from ko_pants.publishing.uploading import PendingUpload, Report, Uploads
from ko_pants.publishing.worker_pool import WorkerPool
from ko_pants.registry.client import RegistryClient

if TYPE_CHECKING:
    from ko_pants.publishing.signing import Signing
    from ko_pants.publishing.timeline import Timeline

_THREADS = 16


class PublishRun:
    """One run of `publish`. Thread-safe.

    :param client: the registry client of the run.
    :param layout_root: what the paths of layouts are relative to.
    :param memory: what earlier runs of this process saw; see `checking.Memory`.
    :param signer: None if images are not signed.
    :param timeline: takes up when steps were done; None if nobody wants to know.
    :param expected: the number of images in the run before, which most likely is that of this one.
    :param terminal: finds where the user reads how far uploads are; None for nowhere.
    :param interval_seconds: between two lines of progress; 0 for none.
    """

    def __init__(
        self,
        client: RegistryClient,
        *,
        layout_root: str,
        memory: Memory,
        expected: int = 0,
        threads: int = _THREADS,
        signer: SignerSettings | None = None,
        timeline: Timeline | None = None,
        terminal: Callable[[], Terminal] | None = None,
        interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
    ) -> None:
        self._client = client
        self._memory = memory
        self._pool = WorkerPool(threads)
        self._stores = Stores(client, layout_root)
        self._lock = threading.Lock()
        self._targets: dict[str, str] = {}
        self.files = BlobFiles()
        self.checks = Checker(client, self._pool, self._memory)
        self.uploads = Uploads(
            client, self._pool, timeline, lambda: self.watch.start(), interval_seconds
        )
        self.watch = UploadWatch(
            self.uploads.progress, terminal, interval_seconds, lambda: self.interrupt()
        )
        self.tags = TagMoves(self.move_tags)
        self.signing = (
            None if signer is None else _signing(signer, client, self.uploads, self._pool)
        )
        self.expected = expected
        #: Publications that have begun. A caller sees by it whether more images still come.
        self.begun = 0

    def publication(
        self,
        target: str,
        image: Image,
        base: BaseImage,
        destination: Destination,
        loader: Loader | None = None,
    ) -> Publication:
        """Begin with an image. Nothing is asked yet, but the index of a layout is read.

        :param loader: for a destination on this machine.

        :raises KoPantsError: the layout is damaged, or another target has one of the references.
        """
        with self._lock:
            check_distinct(self._targets, target, destination)
            self.begun += 1
        return Publication(target, image, base, destination, self._stores.open(destination, loader))

    def look_for_signatures(self, found: Iterable[Found]) -> None:
        """Ask if images that are up to date are signed; those that are not will be.

        :raises KoPantsError: a destination does not answer.
        """
        if self.signing is not None:
            for each in found:
                if each.up_to_date:
                    self.signing.look(each.publication)

    def is_unsigned(self, publication: Publication) -> bool:
        """True if `look_for_signatures` has found none."""
        return self.signing is not None and self.signing.is_unsigned(publication)

    def check_signer(self) -> None:
        """Look for the signer's program, before anything is uploaded.

        :raises KoPantsError: images are to be signed, and it is not there.
        """
        if self.signing is not None:
            self.signing.signer.program()

    def move_tags(self, pending: Sequence[PendingUpload], report: Report) -> Sequence[str]:
        """Wait for uploads and move their tags; see `tagging.move_tags`."""
        self.watch.leave()
        try:
            return move_tags(self.uploads, self._pool, self._memory, pending, report, self.signing)
        except InterruptedRunError:
            return (f"interrupted: {self.interrupt()}",) * len(pending)
        finally:
            self.files.delete()

    def interrupt(self) -> str:
        """End uploads where they are, and drop what has not begun, before any tag has moved.

        :returns: what is where.
        """
        self._pool.close()
        self.uploads.interrupt()
        there = self.uploads.progress.where()
        return f"no tag has moved; {there}" if there else "no tag has moved"

    def close(self) -> None:
        """Drop what has not begun, end the gate, and delete temporary files."""
        self._pool.close()
        self.files.delete()
        self._stores.close()
        self.tags.close()
        if self.signing is not None:
            self.signing.close()


def _signing(
    settings: SignerSettings, client: RegistryClient, uploads: Uploads, pool: WorkerPool
) -> Signing:
    # Not imported where images are not signed.
    from ko_pants.publishing.signer import Signer
    from ko_pants.publishing.signing import Signing

    signer = Signer(settings, client.redact)
    return Signing(signer, uploads, pool, client.is_plain_http)
