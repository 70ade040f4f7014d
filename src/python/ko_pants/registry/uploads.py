"""Pushes blobs: at most once per run and registry, and mounted from elsewhere where possible."""

from __future__ import annotations

import dataclasses
from typing import BinaryIO, Callable, Sequence

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.blob_ledger import REUSED, BlobLedger
from ko_pants.registry.blob_transfer import BlobTransfer, RefusedWays
from ko_pants.registry.challenge import PULL, PUSH
from ko_pants.registry.manifests import NO_HEAD
from ko_pants.registry.request import Request, Session
from ko_pants.registry.requester import Requester
from ko_pants.registry.upload_session import UploadSession

MOUNTED = "mounted"
UPLOADED = "uploaded"

_MAX_MOUNT_SOURCES = 3

OpenBlob = Callable[[], BinaryIO]
#: Told the number of bytes that were sent so far.
Progress = Callable[[int], None]


class Uploader:
    """Pushes blobs for one run. Thread-safe."""

    def __init__(self, requester: Requester, ledger: BlobLedger) -> None:
        self._requester = requester
        self._ledger = ledger
        self._refused_ways = RefusedWays()

    def has_blob(
        self, session: Session, ref: Reference, digest: str, *, push: bool, retry: bool = True
    ) -> bool:
        """True if the repository has the blob.

        A blob that nobody may look at (403) counts as missing: who may not push learns that from
        the push.

        :param push: ask as somebody who will push, so that a token serves for both.
        :raises RegistryError: the answer is neither yes nor no.
        :raises TransferFailure: no reply came (without `retry`).
        """
        request = Request(
            session,
            "HEAD",
            ref,
            f"/v2/{ref.repository}/blobs/{digest}",
            actions=PUSH if push else PULL,
            retry=retry,
        )
        reply = self._requester.send(request)
        if reply.status in NO_HEAD:
            # Of a GET only the status is read.
            get = dataclasses.replace(request, method="GET", stream=True, retry=True)
            reply = self._requester.send(get)
            reply.close()
        if reply.status in (200, 206):
            self._ledger.record(ref, digest)
            return True
        if reply.status in (403, 404):
            return False
        named = ref.with_digest(digest)
        raise self._requester.messages.refusal(reply, named, "look for the blob")

    def push(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        mount_from: Sequence[str],
        progress: Progress | None,
        known_missing: bool,
    ) -> str:
        """See `RegistrySession.push_blob`."""
        ref = Reference(ref.registry, ref.repository)
        digest = descriptor.digest

        def push() -> str:
            if not known_missing and self.has_blob(session, ref, digest, push=True):
                return REUSED
            upload = UploadSession(self._requester, session, ref, descriptor)
            transfer = BlobTransfer(
                self._requester,
                upload,
                ref,
                descriptor,
                open_blob,
                progress,
                self._refused_ways,
                lambda: self.has_blob(session, ref, digest, push=True, retry=False),
            )
            outcome = self._mount_or_upload(ref, digest, upload, transfer, mount_from)
            self._ledger.record(ref, digest)
            return outcome

        if self._ledger.has(ref, digest):
            return REUSED
        return self._ledger.once(ref, digest, push)

    def _mount_or_upload(
        self,
        ref: Reference,
        digest: str,
        upload: UploadSession,
        transfer: BlobTransfer,
        mount_from: Sequence[str],
    ) -> str:
        tried = {ref.repository}

        def mounted(sources: Sequence[str]) -> bool:
            untried = [source for source in dict.fromkeys(sources) if source not in tried]
            for source in untried[:_MAX_MOUNT_SOURCES]:
                tried.add(source)
                if upload.mount(source):
                    upload.cancel()
                    return True
            return False

        if mounted([*self._ledger.repositories(ref.registry, digest), *mount_from]):
            return MOUNTED
        with self._ledger.upload_lock(ref.registry, digest):
            # Another repository may have got the blob while this one waited.
            if mounted(self._ledger.repositories(ref.registry, digest)):
                return MOUNTED
            transfer.run()
            # Recorded before the lock is released, so that others that wait for it can mount.
            self._ledger.record(ref, digest)
        return UPLOADED
