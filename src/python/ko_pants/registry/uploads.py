"""Uploads of blobs: at most once per run and registry, mounted where possible, resumed if broken.

OCI distribution-spec, "Pushing blobs": POST then PUT, POST then chunked PATCHes then PUT, and
mounting from another repository.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import BinaryIO, Callable, Iterator, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import NO_SCOPES, Scopes
from ko_pants.registry.endpoints import Origin, add_query
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.requester import Counter, Requester, pull_scopes
from ko_pants.registry.retry import RETRIABLE, Attempts
from ko_pants.registry.transport import CHUNK, Reply, StreamBody, TransferFailure

REUSED = "reused"
MOUNTED = "mounted"
UPLOADED = "uploaded"

_PUSH = ("pull", "push")
_RANGE = re.compile(r"(?:bytes=)?(\d+)-(\d+)$")
_UUID = re.compile(r"[A-Za-z0-9_.=-]{1,200}")
# nginx, the most common proxy before a registry, limits bodies to this unless it is told otherwise.
_SMALL_CHUNK = 1024 * 1024
_MAX_MOUNT_SOURCES = 3

OpenBlob = Callable[[], BinaryIO]
Progress = Callable[[int], None]


class _Flight:
    """One push under way; others of the same blob and repository wait for it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.error: BaseException | None = None


class BlobLedger:
    """Which repositories have which blobs, as far as this run has seen. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: dict[tuple[str, str], list[str]] = {}
        self._flights: dict[tuple[str, str, str], _Flight] = {}
        self._uploading: dict[tuple[str, str], threading.Lock] = {}

    def record(self, ref: Reference, digest: str) -> None:
        """The repository has the blob."""
        with self._lock:
            repositories = self._present.setdefault((ref.registry, digest), [])
            if ref.repository not in repositories:
                repositories.append(ref.repository)

    def forget(self, ref: Reference, digest: str) -> None:
        """The registry says that the repository lacks the blob after all."""
        with self._lock:
            repositories = self._present.get((ref.registry, digest), [])
            if ref.repository in repositories:
                repositories.remove(ref.repository)

    def has(self, ref: Reference, digest: str) -> bool:
        """True if the repository was seen to have the blob."""
        return ref.repository in self._present.get((ref.registry, digest), ())

    def repositories(self, registry: str, digest: str) -> tuple[str, ...]:
        """The repositories of a registry that were seen to have the blob."""
        with self._lock:
            return tuple(self._present.get((registry, digest), ()))

    def upload_lock(self, registry: str, digest: str) -> threading.Lock:
        """Held by whoever sends the bytes of this blob to the registry."""
        with self._lock:
            return self._uploading.setdefault((registry, digest), threading.Lock())

    def once(self, ref: Reference, digest: str, push: Callable[[], str]) -> str:
        """Run `push` unless another thread is at it for the same repository; then wait for that.

        :raises BaseException: what `push` raised, in every thread that waited for it.
        """
        key = (ref.registry, ref.repository, digest)
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        if not leads:
            flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            return REUSED
        try:
            return push()
        except BaseException as e:
            flight.error = e
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()


@dataclass
class _Upload:
    """One blob on its way; `location` is the upload session, once there is one."""

    ref: Reference
    descriptor: Descriptor
    open_blob: OpenBlob
    progress: Progress | None
    attempts: Attempts
    location: str | None = None
    chunk: int = 0
    # Bytes that the session has, by the registry's word.
    offset: int = 0
    chunks_refused: bool = False
    scopes: Scopes = field(default=NO_SCOPES)


class Uploader:
    """Pushes blobs for one run. Thread-safe."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        self.ledger = BlobLedger()

    def has_blob(
        self, counter: Counter, ref: Reference, digest: str, *, push: bool, retry: bool = True
    ) -> bool:
        """HEAD a blob.

        :raises RegistryError: neither there nor not there.
        :raises TransferFailure: no reply came (without `retry`).
        """
        path = f"/v2/{ref.repository}/blobs/{digest}"
        actions = _PUSH if push else ("pull",)
        reply = self._requester.send(counter, "HEAD", ref, path, actions=actions, retry=retry)
        if reply.status == 405:
            # Some registries know no HEAD; of a GET only the status is read.
            reply = self._requester.send(counter, "GET", ref, path, actions=actions, stream=True)
            reply.close()
        if reply.status in (200, 206):
            self.ledger.record(ref, digest)
            return True
        if reply.status == 404:
            return False
        raise self._requester.error(reply, ref.with_digest(digest), "look for the blob")

    def push(
        self,
        counter: Counter,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        mount_from: Sequence[str],
        progress: Progress | None,
        known_missing: bool,
    ) -> str:
        """Make sure that the repository has a blob: `reused`, `mounted` or `uploaded`.

        :raises KoPantsError: it could not be read or pushed.
        """
        ref = Reference(ref.registry, ref.repository)
        digest = descriptor.digest

        def push() -> str:
            if not known_missing and self.has_blob(counter, ref, digest, push=True):
                return REUSED
            outcome = self._bring(counter, ref, descriptor, open_blob, mount_from, progress)
            self.ledger.record(ref, digest)
            return outcome

        if self.ledger.has(ref, digest):
            return REUSED
        return self.ledger.once(ref, digest, push)

    def _bring(
        self,
        counter: Counter,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: OpenBlob,
        mount_from: Sequence[str],
        progress: Progress | None,
    ) -> str:
        upload = _Upload(ref, descriptor, open_blob, progress, self._requester.attempts())
        tried = {ref.repository}

        def mounted(sources: Sequence[str]) -> bool:
            for source in [s for s in dict.fromkeys(sources) if s not in tried][
                :_MAX_MOUNT_SOURCES
            ]:
                tried.add(source)
                if self._mount(counter, upload, source):
                    self._cancel(counter, upload)
                    return True
            return False

        known = self.ledger.repositories(ref.registry, descriptor.digest)
        if mounted([*known, *mount_from]):
            return MOUNTED
        with self.ledger.upload_lock(ref.registry, descriptor.digest):
            # Another repository may have got it while this one waited.
            if mounted(self.ledger.repositories(ref.registry, descriptor.digest)):
                return MOUNTED
            self._upload(counter, upload)
            # Recorded before the lock is let go: whoever waits for it mounts.
            self.ledger.record(ref, descriptor.digest)
        return UPLOADED

    def _mount(self, counter: Counter, upload: _Upload, source: str) -> bool:
        """Try to mount from a repository; an upload session that comes instead is kept."""
        ref = upload.ref
        path = add_query(
            f"/v2/{ref.repository}/blobs/uploads/",
            [("mount", upload.descriptor.digest), ("from", source)],
        )
        try:
            reply = self._requester.send(
                *(counter, "POST", ref, path), actions=_PUSH, more_scopes=pull_scopes(source)
            )
            location = self._requester.location(ref, reply) if reply.status == 202 else None
        except RegistryError as e:
            if not e.status:
                raise
            # A token server may refuse for the source alone; the upload itself will tell.
            return False
        if reply.status == 201:
            found = reply.headers.get("Docker-Content-Digest")
            return found is None or found == upload.descriptor.digest
        if location is not None:
            if upload.location is not None:
                self._cancel(counter, upload)
            upload.location = location
        return False

    def _cancel(self, counter: Counter, upload: _Upload) -> None:
        """Give back an upload session that is not needed; nobody is harmed if that fails."""
        if upload.location is None:
            return
        location, upload.location = upload.location, None
        try:
            self._requester.send(
                counter, "DELETE", upload.ref, location, actions=_PUSH, retry=False
            )
        except (TransferFailure, RegistryError):
            return

    def _upload(self, counter: Counter, upload: _Upload) -> None:
        config = self._requester.config
        if upload.descriptor.size > config.chunk_threshold:
            upload.chunk = config.chunk_size
        while True:
            try:
                if self._once(counter, upload):
                    return
                refusal: Reply | TransferFailure | None = None
            except TransferFailure as e:
                refusal = e
            except _Refused as e:
                refusal = e.reply
            if self._committed(counter, upload, refusal):
                return
            self._prepare_again(counter, upload, refusal)

    def _once(self, counter: Counter, upload: _Upload) -> bool:
        """One attempt; True if the registry confirmed the blob."""
        if upload.location is None:
            self._start(counter, upload)
        if upload.chunk:
            while upload.offset < upload.descriptor.size:
                self._send_chunk(counter, upload)
            reply = self._commit(counter, upload, None)
        else:
            size = upload.descriptor.size
            body = StreamBody(lambda: self._chunks(upload, 0, size), size)
            reply = self._commit(counter, upload, body)
        if reply.status not in (200, 201, 204):
            raise _Refused(reply)
        found = reply.headers.get("Docker-Content-Digest")
        return found is None or found == upload.descriptor.digest

    def _start(self, counter: Counter, upload: _Upload) -> None:
        ref = upload.ref
        path = f"/v2/{ref.repository}/blobs/uploads/"
        reply = self._requester.send(counter, "POST", ref, path, actions=_PUSH)
        if reply.status not in (200, 201, 202):
            named = ref.with_digest(upload.descriptor.digest)
            raise self._requester.error(reply, named, "accept an upload of")
        location = self._requester.location(ref, reply)
        uuid = reply.headers.get("Docker-Upload-UUID", "")
        if location is None and _UUID.fullmatch(uuid):
            location = f"{self._requester.base(ref.registry)}{path}{uuid}"
        if location is None:
            raise RegistryError(
                f"{ref.registry} accepts an upload to {ref} but does not say where (no Location)",
                status=reply.status,
            )
        upload.location, upload.offset = location, 0
        least = reply.headers.get("OCI-Chunk-Min-Length", "")
        if upload.chunk and least.isdigit():
            upload.chunk = max(upload.chunk, int(least[:12]))

    def _send_chunk(self, counter: Counter, upload: _Upload) -> None:
        assert upload.location is not None
        start = upload.offset
        length = min(upload.chunk, upload.descriptor.size - start)
        reply = self._requester.send(
            *(counter, "PATCH", upload.ref, upload.location),
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{start}-{start + length - 1}",
            },
            body=StreamBody(lambda: self._chunks(upload, start, length), length),
            actions=_PUSH,
            retry=False,
        )
        if reply.status not in (200, 201, 202, 204):
            raise _Refused(reply)
        upload.location = self._requester.location(upload.ref, reply) or upload.location
        match = _RANGE.match(reply.headers.get("Range", ""))
        held = int(match[2]) + 1 if match else start + length
        if not start < held <= start + length:
            raise _Refused(reply)
        upload.offset = held

    def _commit(self, counter: Counter, upload: _Upload, body: StreamBody | None) -> Reply:
        assert upload.location is not None
        return self._requester.send(
            *(counter, "PUT", upload.ref),
            add_query(upload.location, [("digest", upload.descriptor.digest)]),
            headers={"Content-Type": "application/octet-stream"},
            body=body,
            actions=_PUSH,
            timeout=self._requester.config.commit_timeout,
            retry=False,
        )

    def _committed(
        self, counter: Counter, upload: _Upload, refusal: Reply | TransferFailure | None
    ) -> bool:
        """After any doubt: does the registry have the blob?"""
        if isinstance(refusal, Reply) and self._requester.held_back(refusal):
            return False
        digest = upload.descriptor.digest
        try:
            return self.has_blob(counter, upload.ref, digest, push=True, retry=False)
        except (RegistryError, TransferFailure):
            return False

    def _prepare_again(
        self, counter: Counter, upload: _Upload, refusal: Reply | TransferFailure | None
    ) -> None:
        """Decide how to go on after a failed attempt, and wait.

        :raises RegistryError: there is no way on.
        """
        requester, config = self._requester, self._requester.config
        named = upload.ref.with_digest(upload.descriptor.digest)
        url = upload.location or requester.base(upload.ref.registry)
        origin = Origin.of(url)
        if isinstance(refusal, TransferFailure):
            again = not refusal.permanent and upload.attempts.again(
                requester.transport.pool(origin).pace, connect=refusal.connect
            )
            if not again:
                raise requester.unreachable(named, origin, refusal, upload.attempts.gave_up)
        elif refusal is None:
            if not upload.attempts.again(requester.transport.pool(origin).pace):
                raise RegistryError(
                    f"{upload.ref.registry} confirms another digest than that of {named}, and does "
                    "not have the blob afterwards"
                )
        elif not self._another_way(upload, refusal):
            # 404 and 416: the session is gone or at another offset. 2xx: it took less than all.
            passing = refusal.status in RETRIABLE or refusal.status in (404, 416)
            retry_after = requester.retry_after(refusal)
            pool = requester.transport.pool(origin)
            if not (passing or refusal.status < 300) or not upload.attempts.again(
                pool.pace, retry_after=retry_after
            ):
                refusal.note = upload.attempts.gave_up
                raise requester.error(refusal, named, "take the blob")
        self._find_session(counter, upload)
        large = upload.descriptor.size > config.chunk_size
        if not upload.chunk and large and not upload.chunks_refused:
            # From now on in pieces, so that the next break costs less.
            upload.chunk = config.chunk_size

    def _another_way(self, upload: _Upload, refusal: Reply) -> bool:
        """True if sending it in other pieces may be accepted where this was not."""
        if refusal.status == 413 and upload.descriptor.size > _SMALL_CHUNK:
            if upload.chunk == _SMALL_CHUNK or upload.chunks_refused:
                return False
            upload.chunk = _SMALL_CHUNK
            return True
        refused = refusal.status in (400, 404, 405, 411, 415, 416, 501)
        if upload.chunk and upload.offset == 0 and refused and not upload.chunks_refused:
            upload.chunk, upload.chunks_refused = 0, True
            return True
        return False

    def _find_session(self, counter: Counter, upload: _Upload) -> None:
        """Learn what the upload session has; without an answer, begin anew."""
        location, held = upload.location, 0
        upload.location, upload.offset = None, 0
        if location is None or not upload.chunk:
            return
        try:
            reply = self._requester.send(counter, "GET", upload.ref, location, actions=_PUSH)
            where = self._requester.location(upload.ref, reply) or location
        except RegistryError:
            return
        match = _RANGE.match(reply.headers.get("Range", ""))
        if reply.status not in (200, 202, 204) or match is None:
            return
        # `0-0` is also what distribution says of a session that has nothing.
        held = int(match[2]) + 1 if int(match[2]) else 0
        if held <= upload.descriptor.size:
            upload.location, upload.offset = where, held

    def _chunks(self, upload: _Upload, start: int, length: int) -> Iterator[bytes]:
        size = upload.descriptor.size
        named = f"the blob {upload.descriptor.digest}"
        with upload.open_blob() as file:
            if start:
                file.seek(start)
            done = 0
            while done < length:
                data = file.read(min(CHUNK, length - done))
                if not data:
                    raise KoPantsError(
                        f"{named} ended after {start + done} bytes while it was uploaded; expected "
                        f"{size}. It was changed or removed: run again"
                    )
                done += len(data)
                yield data
                if upload.progress is not None:
                    upload.progress(start + done)


class _Refused(Exception):
    """A step of an upload was answered with something else than success."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply
