"""One upload session of a registry: begun with POST, filled with PATCH, committed with PUT.

OCI distribution-spec, "Pushing blobs". A session is a URL that the registry names and may change
with every reply.
"""

from __future__ import annotations

import re
from typing import Callable, Iterator

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import PULL, PUSH, repository_scopes
from ko_pants.registry.endpoints import add_query
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.header_numbers import header_number
from ko_pants.registry.request import Reply, Request, Session, StreamBody, TransferFailure
from ko_pants.registry.requester import Requester

#: Opens the bytes of a blob: start and length in bytes.
OpenRange = Callable[[int, int], Iterator[bytes]]

_RANGE = re.compile(r"(?:bytes=)?[0-9]{1,18}-([0-9]{1,18})$")
_UUID = re.compile(r"[A-Za-z0-9_.=-]{1,200}")
_CONTENT_TYPE = {"Content-Type": "application/octet-stream"}


class Refused(Exception):
    """A request of an upload was answered with something else than success."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


class UploadSession:
    """The session of one blob on its way to one repository. Not thread-safe."""

    def __init__(
        self, requester: Requester, session: Session, ref: Reference, descriptor: Descriptor
    ) -> None:
        self._requester = requester
        self._session = session
        self._ref = ref
        self._descriptor = descriptor
        #: The URL of the session; None: there is none.
        self.location: str | None = None
        #: Bytes that the registry says it has.
        self.offset = 0
        #: Fewest bytes of a chunk, but for the last.
        self.min_chunk_bytes = 0

    def mount(self, source: str) -> bool:
        """Try to mount the blob from the repository `source`; True if that did it.

        A registry that cannot may begin a session instead, which is kept.

        :raises RegistryError: there was no reply.
        """
        digest = self._descriptor.digest
        pairs = [("mount", digest), ("from", source)]
        scopes = repository_scopes(source, PULL)
        try:
            reply = self._requester.send(
                Request(
                    self._session,
                    "POST",
                    self._ref,
                    add_query(self._uploads_path, pairs),
                    actions=PUSH,
                    scopes=scopes,
                )
            )
            begun = reply.status == 202
            location = self._requester.locations.of(reply, self._ref) if begun else None
        except RegistryError as e:
            if not e.status:
                raise
            # A token server may refuse because of the source alone. If the reason is another one,
            # the upload will be refused too.
            return False
        if reply.status == 201:
            return reply.headers.get("Docker-Content-Digest", digest) == digest
        if location is not None:
            self.cancel()
            self.location = location
        return False

    def start(self) -> None:
        """Begin a session.

        :raises RegistryError: refused.
        """
        reply = self._send("POST", self._uploads_path)
        if reply.status not in (200, 201, 202):
            named = self._ref.with_digest(self._descriptor.digest)
            raise self._requester.messages.refusal(reply, named, "accept an upload of")
        location = self._requester.locations.of(reply, self._ref)
        uuid = reply.headers.get("Docker-Upload-UUID", "")
        if location is None and _UUID.fullmatch(uuid):
            base_url = self._requester.contacts.of(self._ref.registry).base_url
            location = f"{base_url}{self._uploads_path}{uuid}"
        if location is None:
            raise RegistryError(
                f"{self._ref.registry} accepts an upload to {self._ref} but does not say where (no "
                "Location)",
                status=reply.status,
            )
        self.location, self.offset = location, 0
        least = header_number(reply.headers.get("OCI-Chunk-Min-Length", ""))
        self.min_chunk_bytes = least or 0

    def send_chunk(self, open_range: OpenRange, max_bytes: int) -> None:
        """Send the next bytes, at most `max_bytes`.

        :raises Refused: the registry did not take them.
        :raises TransferFailure: no reply came.
        """
        start = self.offset
        length = min(max_bytes, self._descriptor.size - start)
        headers = _CONTENT_TYPE
        if length < self._descriptor.size:
            # Docker and crane send none with a whole blob, and some registries expect it so.
            headers = {**headers, "Content-Range": f"{start}-{start + length - 1}"}
        reply = self._requester.send(
            Request(
                self._session,
                "PATCH",
                self._ref,
                self._url,
                headers=headers,
                body=StreamBody(lambda: open_range(start, length), length),
                actions=PUSH,
                retry=False,
            )
        )
        if reply.status not in (200, 201, 202, 204):
            raise Refused(reply)
        self.location = self._requester.locations.of(reply, self._ref) or self.location
        match = _RANGE.match(reply.headers.get("Range", ""))
        held = int(match[1]) + 1 if match else start + length
        if not start < held <= start + length:
            raise Refused(reply)
        self.offset = held

    def commit(self, body: StreamBody | None) -> bool:
        """End the session: with the whole blob as `body`, or None after its chunks.

        Returns True if the registry confirms the blob, False if it names another digest.

        :raises Refused: the registry did not take it.
        :raises TransferFailure: no reply came.
        """
        digest = self._descriptor.digest
        reply = self._requester.send(
            Request(
                self._session,
                "PUT",
                self._ref,
                add_query(self._url, [("digest", digest)]),
                headers=_CONTENT_TYPE,
                body=body,
                actions=PUSH,
                timeout_seconds=self._requester.config.commit_timeout,
                retry=False,
            )
        )
        if reply.status not in (200, 201, 204):
            raise Refused(reply)
        return reply.headers.get("Docker-Content-Digest", digest) == digest

    def find_offset(self) -> None:
        """Ask how much the registry has; without an answer the session is given up."""
        location = self._drop()
        if location is None:
            return
        try:
            reply = self._send("GET", location)
            where = self._requester.locations.of(reply, self._ref) or location
        except RegistryError:
            return
        match = _RANGE.match(reply.headers.get("Range", ""))
        if reply.status not in (200, 202, 204) or match is None:
            return
        # distribution says `0-0` of a session that has nothing.
        held = int(match[1]) + 1 if int(match[1]) else 0
        if held <= self._descriptor.size:
            self.location, self.offset = where, held

    def abandon(self) -> None:
        """Forget the session, so that the next attempt begins another."""
        self._drop()

    def cancel(self) -> None:
        """Tell the registry that the session is not needed. No harm is done if that fails."""
        location = self._drop()
        if location is None:
            return
        try:
            self._send("DELETE", location, retry=False)
        except (TransferFailure, RegistryError):
            return

    @property
    def _uploads_path(self) -> str:
        return f"/v2/{self._ref.repository}/blobs/uploads/"

    @property
    def _url(self) -> str:
        assert self.location is not None
        return self.location

    def _drop(self) -> str | None:
        location, self.location, self.offset = self.location, None, 0
        return location

    def _send(self, method: str, url: str, *, retry: bool = True) -> Reply:
        return self._requester.send(
            Request(self._session, method, self._ref, url, actions=PUSH, retry=retry)
        )
