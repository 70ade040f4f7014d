"""Sends the bytes of a blob in the way that its registry takes, again from where it broke off."""

from __future__ import annotations

import enum
import threading
from typing import BinaryIO, Callable, Iterator

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.request import Reply, StreamBody, TransferFailure
from ko_pants.registry.requester import Requester
from ko_pants.registry.retry import RETRIABLE, asks_for_a_pause
from ko_pants.registry.streams import CHUNK_BYTES
from ko_pants.registry.upload_session import Refused, UploadSession

# nginx, the most common proxy before a registry, limits bodies to this unless told otherwise.
_SMALL_CHUNK_BYTES = 1024 * 1024
# Statuses with which registries refuse a PATCH that they do not support.
_NO_PATCH = (400, 404, 405, 411, 415, 416, 501)
# Refusals that have nothing to do with the way a blob is sent.
_NO_MATTER_HOW = (401, 429)
# The session is gone, or the registry has more or fewer bytes than we think.
_SESSION_LOST = (404, 416)


class Way(enum.Enum):
    """How the bytes of a blob are sent (OCI distribution-spec, "Pushing blobs")."""

    #: POST, and PUT with all bytes.
    WHOLE = "whole"
    #: POST, PATCH with all bytes, and PUT, as docker and crane do.
    STREAMED = "streamed"
    #: POST, a PATCH for each chunk, and PUT.
    CHUNKS = "chunks"


class RefusedWays:
    """The ways that registries were found not to take in this run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refused: dict[str, frozenset[Way]] = {}

    def of(self, registry: str) -> frozenset[Way]:
        """The ways that a registry (`host[:port]`) does not take."""
        return self._refused.get(registry, frozenset())

    def record(self, registry: str, ways: frozenset[Way]) -> None:
        """Remember the ways that were refused, where another one succeeded."""
        if ways - self.of(registry):
            with self._lock:
                self._refused[registry] = self.of(registry) | ways


class BlobTransfer:
    """The bytes of one blob on their way to one repository. Not thread-safe.

    :param refused: what the run knows of the registries.
    :param is_there: asks the registry, without retries, whether it has the blob.
    """

    def __init__(
        self,
        requester: Requester,
        upload: UploadSession,
        ref: Reference,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        progress: Callable[[int], None] | None,
        refused: RefusedWays,
        is_there: Callable[[], bool],
    ) -> None:
        self._requester = requester
        self._upload = upload
        self._named = ref.with_digest(descriptor.digest)
        self._size = descriptor.size
        self._open_blob = open_blob
        self._progress = progress
        self._is_there = is_there
        self._attempts = requester.attempts()
        self._known_refused = refused
        self._refused = refused.of(ref.registry)
        # Bytes of a PATCH; 0: the whole blob with the PUT.
        self._patch_bytes = 0
        if descriptor.size > requester.config.chunk_threshold and Way.CHUNKS not in self._refused:
            self._patch_bytes = requester.config.chunk_size
        elif Way.WHOLE in self._refused:
            self._stream()

    def run(self) -> None:
        """Send until the registry has the blob.

        :raises KoPantsError: the blob cannot be read.
        :raises RegistryError: the registry does not take it.
        """
        while True:
            outcome: Reply | TransferFailure | None = None
            try:
                if self._send():
                    self._known_refused.record(self._named.registry, self._refused)
                    return
            except TransferFailure as e:
                outcome = e
            except Refused as e:
                outcome = e.reply
            if self._may_ask(outcome) and self._has_arrived():
                return
            if isinstance(outcome, Reply) and self._takes_another_way(outcome):
                continue
            self._wait(outcome)
            self._prepare_next()

    def _send(self) -> bool:
        """Make one attempt; True if the registry confirms the blob."""
        if self._upload.location is None:
            self._upload.start()
            if self._patch_bytes:
                self._patch_bytes = max(self._patch_bytes, self._upload.min_chunk_bytes)
        if self._patch_bytes:
            return self._send_in_patches()
        return self._send_whole()

    def _send_whole(self) -> bool:
        return self._upload.commit(StreamBody(lambda: self._read(0, self._size), self._size))

    def _send_in_patches(self) -> bool:
        while self._upload.offset < self._size:
            self._upload.send_chunk(self._read, self._patch_bytes)
        return self._upload.commit(None)

    def _may_ask(self, outcome: Reply | TransferFailure | None) -> bool:
        clock = self._requester.config.clock
        return not (isinstance(outcome, Reply) and asks_for_a_pause(outcome, clock))

    def _has_arrived(self) -> bool:
        """After any doubt: does the registry have the blob?"""
        try:
            return self._is_there()
        except (RegistryError, TransferFailure):
            return False

    def _wait(self, outcome: Reply | TransferFailure | None) -> None:
        """Wait before the next attempt.

        :param outcome: of the last one; None: the registry confirmed another digest.
        :raises RegistryError: there is none.
        """
        attempts, messages = self._attempts, self._requester.messages
        if isinstance(outcome, TransferFailure):
            if not attempts.after_failure(outcome):
                raise messages.no_reply(self._named, outcome, attempts.gave_up)
        elif outcome is None:
            if not attempts.again():
                raise RegistryError(
                    f"{self._named.registry} confirms another digest than that of {self._named}, "
                    "and does not have the blob afterwards"
                )
        else:
            # A status of success means that it took fewer bytes than were sent.
            passing = outcome.status in RETRIABLE or outcome.status in _SESSION_LOST
            if not (passing or outcome.status < 300) or not attempts.after_reply(outcome):
                raise messages.refusal(outcome, self._named, "take the blob")

    def _takes_another_way(self, refusal: Reply) -> bool:
        """True if the blob may be taken at once in another way, which the next attempt goes."""
        status = refusal.status
        if status == 413:
            if (
                self._size <= _SMALL_CHUNK_BYTES
                or self._patch_bytes == _SMALL_CHUNK_BYTES
                or Way.CHUNKS in self._refused
            ):
                return False
            self._patch_bytes = _SMALL_CHUNK_BYTES
            self._upload.find_offset()
            return True
        way = self._way()
        if way is Way.WHOLE:
            refused = status not in RETRIABLE and status not in _NO_MATTER_HOW
        else:
            refused = status in _NO_PATCH and self._upload.offset == 0
        if not refused:
            return False
        self._refused |= {way}
        if Way.WHOLE not in self._refused:
            self._patch_bytes = 0
        elif Way.STREAMED not in self._refused:
            self._stream()
        else:
            return False
        self._upload.abandon()
        return True

    def _prepare_next(self) -> None:
        """After a failure that says nothing of the way."""
        if self._patch_bytes:
            self._upload.find_offset()
            return
        self._upload.abandon()
        chunk_bytes = self._requester.config.chunk_size
        if self._size > chunk_bytes and Way.CHUNKS not in self._refused:
            # From now on in chunks, so that the next break costs less.
            self._patch_bytes = chunk_bytes
        elif Way.STREAMED not in self._refused:
            # A server that refuses a body often breaks off before its reply can be read.
            self._stream()

    def _way(self) -> Way:
        if not self._patch_bytes:
            return Way.WHOLE
        return Way.CHUNKS if self._patch_bytes < self._size else Way.STREAMED

    def _stream(self) -> None:
        self._patch_bytes = max(1, self._size)

    def _read(self, start: int, length: int) -> Iterator[bytes]:
        """The bytes of a range of the blob.

        :raises KoPantsError: the blob is shorter than its descriptor says.
        """
        with self._open_blob() as file:
            if start:
                file.seek(start)
            done = 0
            while done < length:
                data = file.read(min(CHUNK_BYTES, length - done))
                if not data:
                    raise KoPantsError(
                        f"the blob {self._named.digest} ended after {start + done} bytes while it "
                        f"was uploaded; expected {self._size}. It was changed or removed: run again"
                    )
                done += len(data)
                yield data
                if self._progress is not None:
                    self._progress(start + done)
