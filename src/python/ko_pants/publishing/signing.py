"""The signatures of a run: a signer runs for each image that is complete, several at a time."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Callable, Sequence

from ko_pants.artifacts.formats import REFERRERS
from ko_pants.artifacts.signing import SigningRequest
from ko_pants.errors import KoPantsError
from ko_pants.publishing.attaching import Attaching
from ko_pants.publishing.publication import Publication
from ko_pants.publishing.signer import Signer
from ko_pants.publishing.uploading import PendingUpload, Report, Uploads
from ko_pants.publishing.worker_pool import WorkerPool

_PROGRESS_SECONDS = 5.0


class Signing:
    """Has images signed, and attaches what the signer answers. Thread-safe.

    :param uploads: of the run; they bring what a registry turns out to lack.
    :param pool: brings the artifacts. Signers wait in threads of their own.
    :param is_plain_http: True for a registry that is spoken to without TLS.
    """

    def __init__(
        self,
        signer: Signer,
        uploads: Uploads,
        pool: WorkerPool,
        is_plain_http: Callable[[str], bool],
    ) -> None:
        self.signer = signer
        self._uploads = uploads
        self._pool = pool
        self._is_plain_http = is_plain_http
        self._signers = WorkerPool(signer.settings.at_once)
        self._lock = threading.Lock()
        self._unsigned: set[Publication] = set()

    def look(self, publication: Publication) -> bool:
        """Ask if an image has no signature; if so, it is signed in this run, up to date or not.

        It has one if a referrer has one of the types that the settings name.

        :raises KoPantsError: the destination does not answer.
        """
        types, store = self.signer.settings.artifact_types, publication.store.artifacts
        if not types or store is None:
            return False
        unsigned = store.types_about(publication.image.descriptor.digest).isdisjoint(types)
        if unsigned:
            with self._lock:
                self._unsigned.add(publication)
        return unsigned

    def is_unsigned(self, publication: Publication) -> bool:
        """True if `look` has found no signature."""
        return publication in self._unsigned

    def before_tags(self, pending: Sequence[PendingUpload], report: Report) -> tuple[str, ...]:
        """Have images signed whose tags have not moved yet.

        :returns: for each upload why no tag may move; all empty if every image is signed.
        """
        if not self.signer.settings.before_tags:
            return ("",) * len(pending)
        failures = self._sign(pending, report)
        if not any(failures):
            return failures
        unsigned = ", ".join(u.publication.target for u, f in zip(pending, failures) if f)
        return tuple(
            _not_signed(upload, failure)
            if failure
            else f"not tagged, because this is not signed: {unsigned}"
            for upload, failure in zip(pending, failures)
        )

    def after_tags(self, pending: Sequence[PendingUpload], report: Report) -> tuple[str, ...]:
        """Have images signed whose tags have moved.

        :returns: for each upload why it is not signed; empty if it is.
        """
        if self.signer.settings.before_tags:
            return ("",) * len(pending)
        return tuple(
            f"tagged, but not signed: {failure}. Correct the signer and run again with "
            "`--ko-verify-artifacts`: without it, the image counts as up to date"
            if failure
            else ""
            for failure in self._sign(pending, report)
        )

    def close(self) -> None:
        """End the signers that still run."""
        self._signers.close()
        self.signer.close()

    def _sign(self, pending: Sequence[PendingUpload], report: Report) -> tuple[str, ...]:
        """Have those signed that are to be; returns for each why it is not, or nothing."""
        failures = [""] * len(pending)
        wanted = [n for n, upload in enumerate(pending) if self._is_wanted(upload)]
        signed = 0

        def sign(position: int) -> None:
            nonlocal signed
            try:
                self._sign_one(pending[position])
            except KoPantsError as e:
                failures[position] = str(e)
            with self._lock:
                signed += 1

        group = self._signers.group()
        for position in wanted:
            self._signers.submit(lambda p=position: sign(p), group)  # type: ignore[misc]
        try:
            while not group.wait(_PROGRESS_SECONDS):
                report(f"Signing: {signed} of {len(wanted)} images")
            if wanted:
                # Whoever has interrupted the run meanwhile does not want its tags to move.
                report(f"Signing: {signed} of {len(wanted)} images")
        except KoPantsError:
            self.close()
            raise
        return tuple(failures)

    def _is_wanted(self, upload: PendingUpload) -> bool:
        """True where a tag moves, or `look` has found no signature; an engine here keeps none."""
        publication = upload.publication
        if publication.store.artifacts is None:
            return False
        return bool(upload.found.stale_tags) or self.is_unsigned(publication)

    def _sign_one(self, upload: PendingUpload) -> None:
        publication = upload.publication
        image, store = publication.image, publication.store
        assert store.artifacts is not None
        if self.signer.settings.before_tags and not upload.found.present:
            # A signer wants to see what it signs.
            store.put_manifest(
                image.descriptor,
                image.content,
                lambda missing: self._uploads.repair(upload, missing),
            )
        artifacts = self.signer.sign(self._request(upload))
        if artifacts:
            upload.signatures = Attaching(publication, artifacts, REFERRERS, store.artifacts)
            tasks = self._pool.group()
            upload.signatures.begin(self._pool, tasks)
            upload.signatures.release()
            tasks.wait()

    def _request(self, upload: PendingUpload) -> SigningRequest:
        publication = upload.publication
        image, destination = publication.image, publication.destination
        attached = upload.attaching.done() if upload.attaching is not None else ()
        return SigningRequest(
            publication.target,
            destination.registry,
            publication.store.place if destination.layout else "",
            destination.repository,
            destination.tags,
            not destination.layout and self._is_plain_http(destination.registry),
            image.descriptor,
            tuple(child.descriptor for child in image.children),
            # As they are stored, which for tags is another manifest.
            tuple(replace(a.artifact, descriptor=a.descriptor) for a in attached),
        )


def _not_signed(upload: PendingUpload, failure: str) -> str:
    """What is said of an image whose signature was to come before its tags."""
    if upload.found.up_to_date:
        return f"tagged by an earlier run, but not signed: {failure}. Correct the signer, run again"
    return (
        f"not tagged, because it is not signed: {failure}. The image is there under its digest. "
        "Correct the signer and run again, which uploads nothing anew, or publish without "
        "signatures (`--ko-signer='[]'`)"
    )
