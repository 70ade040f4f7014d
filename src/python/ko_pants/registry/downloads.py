"""Downloads of blobs as streams: verified at the end, resumed after a break."""

from __future__ import annotations

import hashlib
import io
import re

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.failures import TRANSPORT_ERRORS, describe_failure
from ko_pants.registry.request import Reply, Request, Session, TransferFailure
from ko_pants.registry.requester import Requester
from ko_pants.registry.streams import CHUNK_BYTES, RateMeter, read_some

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-")
# A download that received this much since its last break starts to count its attempts anew.
_PROGRESS_BYTES = 1024 * 1024


class BlobStream(io.RawIOBase):
    """The bytes of a blob. The last of them are returned only if size and digest are right."""

    def __init__(
        self, requester: Requester, session: Session, repository: Reference, descriptor: Descriptor
    ) -> None:
        super().__init__()
        self._requester = requester
        self._session = session
        self._repository = repository
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._received = 0
        self._attempts = requester.attempts()
        self._attempts_from = 0
        self._reply: Reply | None = None
        self._meter = RateMeter(requester.config)
        # The request is sent now, so that `open_blob` raises for a blob that is not there.
        self._connect()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`.

        :raises RegistryError: the blob ended early or is not what the descriptor says.
        """
        if self.closed:
            raise ValueError("read of a closed blob")
        size = self._descriptor.size
        while self._received < size:
            try:
                if self._reply is None:
                    self._connect()
                assert self._reply is not None
                data = read_some(self._reply.raw, min(len(buffer), CHUNK_BYTES))
                if not data:
                    raise TransferFailure(f"it ended after {self._received} of {size} bytes")
                self._meter.add(len(data))
                self._session.fetched(len(data))
            except TransferFailure as e:
                self._broken(e)
                continue
            except TRANSPORT_ERRORS as e:
                self._broken(describe_failure(e, self._requester.redact))
                continue
            if self._received + len(data) > size:
                raise self._wrong(f"more than {size} bytes")
            self._hash.update(data)
            self._received += len(data)
            if self._received == size:
                self._finish()
            buffer[: len(data)] = data
            return len(data)
        return 0

    def close(self) -> None:
        """Close the connection, unless everything was read."""
        if self._reply is not None:
            self._reply.close()
            self._reply = None
        super().close()

    def _connect(self) -> None:
        """Ask for what is missing.

        :raises RegistryError: refused, or out of attempts.
        """
        path = f"/v2/{self._repository.repository}/blobs/{self._descriptor.digest}"
        headers = {"Range": f"bytes={self._received}-"} if self._received else {}
        reply = self._requester.send(
            Request(self._session, "GET", self._repository, path, headers=headers, stream=True)
        )
        if reply.status not in (200, 206):
            raise self._requester.messages.refusal(reply, self._named(), "pull the blob")
        self._reply = reply
        self._meter = RateMeter(self._requester.config)
        start = 0
        if reply.status == 206:
            match = _CONTENT_RANGE.match(reply.headers.get("Content-Range", ""))
            start = int(match[1]) if match else self._received
        if start > self._received:
            raise self._wrong(f"a range from byte {start}, not from {self._received}")
        # A registry without ranges sends everything again.
        skip = self._received - start
        while skip:
            data = read_some(reply.raw, min(skip, CHUNK_BYTES))
            if not data:
                raise TransferFailure("it ended early")
            skip -= len(data)
            self._session.fetched(len(data))
        if not self._descriptor.size:
            self._finish()

    def _broken(self, failure: TransferFailure) -> None:
        """Close the reply and wait before the next attempt.

        :raises RegistryError: there were too many breaks.
        """
        if self._reply is not None:
            failure.origin = self._reply.origin
            self._reply.close()
            self._reply = None
        if self._received - self._attempts_from >= _PROGRESS_BYTES:
            self._attempts, self._attempts_from = self._requester.attempts(), self._received
        if not self._attempts.again():
            raise self._requester.messages.no_reply(
                self._named(), failure, self._attempts.gave_up
            ) from None

    def _finish(self) -> None:
        found = "sha256:" + self._hash.hexdigest()
        if found != self._descriptor.digest:
            raise self._wrong(f"bytes with the digest {found}")
        if self._reply is not None:
            # The end of the reply must be read, or the connection cannot be used again.
            try:
                extra = read_some(self._reply.raw, 1)
            except TRANSPORT_ERRORS:
                extra = b""
            if extra:
                raise self._wrong(f"more than {self._descriptor.size} bytes")
            self._reply.finished = True
            self._reply.close()
            self._reply = None

    def _wrong(self, found: str) -> RegistryError:
        if self._reply is not None:
            self._reply.close()
            self._reply = None
        return RegistryError(
            f"{self._repository.registry} sent {found} for {self._named()}; expected "
            f"{self._descriptor.size} bytes with this digest. The registry or a proxy before it is "
            "broken: nothing of this blob was used"
        )

    def _named(self) -> Reference:
        return self._repository.with_digest(self._descriptor.digest)
