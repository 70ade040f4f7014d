"""Manifests and indexes: looked up, pulled, and stored under digests and tags."""

from __future__ import annotations

import json
from typing import Callable, Mapping, Sequence

from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry.blob_ledger import BlobLedger
from ko_pants.registry.challenge import PUSH
from ko_pants.registry.endpoints import add_query
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.request import Reply, Request, Session, TransferFailure
from ko_pants.registry.requester import Requester
from ko_pants.registry.retry import RETRIABLE, Attempts, asks_for_a_pause

#: What a registry must accept (OCI distribution-spec), and the most that is read.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

# Statuses of registries that know no HEAD.
_NO_HEAD = (400, 405, 501)
_ACCEPT = {"Accept": ACCEPT_MANIFESTS}
_SCHEMA_1 = tuple(
    f"application/vnd.docker.distribution.manifest.v1+{kind}" for kind in ("json", "prettyjws")
)


class Manifests:
    """The manifest endpoints for one run. Thread-safe."""

    def __init__(self, requester: Requester, ledger: BlobLedger) -> None:
        self._requester = requester
        self._ledger = ledger
        # Registries that were seen to take `?tag=`, or not to.
        self._takes_tags: dict[str, bool] = {}

    def head(self, session: Session, ref: Reference, *, retry: bool = True) -> Descriptor | None:
        """See `RegistrySession.head_manifest`; without `retry` also raises TransferFailure."""
        reply = self._requester.send(
            Request(session, "HEAD", ref, manifest_path(ref), headers=_ACCEPT, retry=retry)
        )
        if reply.status == 404:
            return None
        if reply.status == 200:
            descriptor = describe_head(reply.headers, ref)
            if descriptor is not None:
                return descriptor
        elif reply.status not in _NO_HEAD:
            raise self._requester.messages.refusal(reply, ref, "look up")
        found = self.find(session, ref)
        return found[0] if found else None

    def get(self, session: Session, ref: Reference) -> tuple[Descriptor, bytes]:
        """See `RegistrySession.get_manifest`."""
        found = self.find(session, ref)
        if found is None:
            raise RegistryError(
                f"{ref} was not found: {ref.registry} has no such manifest; check the repository "
                "and the tag or digest",
                status=404,
            )
        return found

    def find(self, session: Session, ref: Reference) -> tuple[Descriptor, bytes] | None:
        """As `get`; None if it is not there."""
        reply = self._requester.send(
            Request(
                session,
                "GET",
                ref,
                manifest_path(ref),
                headers=_ACCEPT,
                max_reply_bytes=MAX_MANIFEST_BYTES,
            )
        )
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise self._requester.messages.refusal(reply, ref, "pull")
        media_type = _media_type(reply.headers)
        if media_type in _SCHEMA_1:
            raise RegistryError(
                f"{ref} is an image of Docker's schema 1, which nothing writes any more; expected "
                "an OCI or Docker schema 2 image: push it again with a current tool"
            )
        digest = sha256_digest(reply.body)
        said = reply.headers.get("Docker-Content-Digest", "")
        expected = ref.digest or (said if is_digest(said) else digest)
        if digest != expected:
            raise RegistryError(
                f"{ref.registry} sent a manifest with the digest {digest} for {ref}; expected "
                f"{expected}. The registry or a proxy before it is broken: it was not used"
            )
        if "vnd." not in media_type:
            media_type = _inner_media_type(reply.body)
        if not media_type:
            raise RegistryError(
                f"{ref.registry} sent no manifest for {ref}: expected one of {ACCEPT_MANIFESTS}, "
                f"found {_media_type(reply.headers) or 'no Content-Type'!r}. Check that the "
                "address is that of a registry"
            )
        return Descriptor(media_type, digest, len(reply.body)), reply.body

    def put(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: Sequence[str],
        repair: Callable[[tuple[str, ...]], None] | None,
    ) -> None:
        """See `RegistrySession.put_manifest`."""
        if len(content) != descriptor.size or sha256_digest(content) != descriptor.digest:
            raise ValueError(f"these are not the bytes of {descriptor.digest}")
        if len(content) > MAX_MANIFEST_BYTES:
            raise RegistryError(
                f"the manifest of {ref} has {len(content)} bytes; registries accept "
                f"{MAX_MANIFEST_BYTES}. Leave out annotations or labels"
            )
        wanted = list(dict.fromkeys([*([ref.tag] if ref.tag else []), *tags]))
        try:
            self._put_everywhere(session, ref, descriptor, content, wanted)
        except MissingBlobsError as e:
            for digest in e.digests:
                self._ledger.forget(ref, digest)
            if repair is None:
                raise
            repair(e.digests)
            self._put_everywhere(session, ref, descriptor, content, wanted)

    def _put_everywhere(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: list[str],
    ) -> None:
        by_digest = ref.with_digest(descriptor.digest)
        left = tags
        if not tags:
            self.put_once(session, by_digest, descriptor, content)
        elif len(tags) > 1 and self._takes_tags.get(ref.registry, True):
            # OCI distribution-spec (main): one PUT sets several tags where `OCI-Tag` confirms it.
            reply = self.put_once(session, by_digest, descriptor, content, tags=tags)
            confirmed = _names(reply.headers.get("OCI-Tag", "")) if reply else frozenset()
            self._takes_tags[ref.registry] = bool(confirmed)
            left = [tag for tag in tags if tag not in confirmed]
        for tag in left:
            self.put_once(session, ref.with_tag(tag), descriptor, content)

    def put_once(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        *,
        tags: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Store it under one tag or its digest, in as many attempts as that takes.

        Returns the registry's reply, or None where a look afterwards showed that it is stored.

        :raises RegistryError: it is not stored.
        """
        attempts = self._requester.attempts()
        request = Request(
            session,
            "PUT",
            ref,
            add_query(manifest_path(ref), [("tag", tag) for tag in tags]),
            headers={"Content-Type": descriptor.media_type, **(headers or {})},
            body=content,
            actions=PUSH,
            timeout_seconds=self._requester.config.commit_timeout,
            retry=False,
        )
        while True:
            outcome: Reply | TransferFailure
            try:
                outcome = self._requester.send(request)
            except TransferFailure as e:
                outcome = e
            else:
                said = outcome.headers.get("Docker-Content-Digest", descriptor.digest)
                if outcome.status == 201 and said == descriptor.digest:
                    return outcome
                refusal = self._requester.messages.refusal(outcome, ref, "store the manifest")
                if isinstance(refusal, MissingBlobsError) or outcome.status == 401:
                    raise refusal
            # Whatever went wrong, the manifest may be stored: an immutable tag that names it
            # already, a reply that was lost, a proxy that answered for the registry.
            if self._may_ask(outcome) and self._stored(session, ref, descriptor):
                return None
            self._wait(ref, descriptor, outcome, attempts)

    def _may_ask(self, outcome: Reply | TransferFailure) -> bool:
        clock = self._requester.config.clock
        return isinstance(outcome, TransferFailure) or not asks_for_a_pause(outcome, clock)

    def _wait(
        self,
        ref: Reference,
        descriptor: Descriptor,
        outcome: Reply | TransferFailure,
        attempts: Attempts,
    ) -> None:
        """Wait before the next attempt.

        :raises RegistryError: there is none.
        """
        messages = self._requester.messages
        if isinstance(outcome, TransferFailure):
            if not attempts.after_failure(outcome):
                raise messages.no_reply(ref, outcome, attempts.gave_up)
        elif outcome.status < 300:
            if not attempts.again():
                raise RegistryError(
                    f"{ref.registry} accepted the manifest of {ref} but does not have it under "
                    f"{descriptor.digest} afterwards",
                    status=outcome.status,
                )
        elif outcome.status not in RETRIABLE or not attempts.after_reply(outcome):
            raise messages.refusal(outcome, ref, "store the manifest")

    def _stored(self, session: Session, ref: Reference, descriptor: Descriptor) -> bool:
        try:
            found = self.head(session, ref, retry=False)
        except (RegistryError, TransferFailure):
            return False
        return found is not None and found.digest == descriptor.digest


def manifest_path(ref: Reference) -> str:
    """The path of a manifest on its registry."""
    return f"/v2/{ref.repository}/manifests/{ref.identifier}"


def describe_head(headers: Mapping[str, str], ref: Reference) -> Descriptor | None:
    """The descriptor that the headers of a reply give for `ref`; None if they do not suffice."""
    digest = headers.get("docker-content-digest", "")
    media_type = _media_type(headers)
    size = headers.get("content-length", "")
    useful = is_digest(digest) and "vnd." in media_type and size.isdigit() and size != "0"
    if not useful or (ref.digest and digest != ref.digest):
        return None
    return Descriptor(media_type, digest, int(size))


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _inner_media_type(content: bytes) -> str:
    """What a manifest says of itself, for registries that serve it as plain JSON."""
    try:
        obj = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    value = obj.get("mediaType") if isinstance(obj, dict) else None
    return value if isinstance(value, str) else ""


def _names(header: str) -> frozenset[str]:
    return frozenset(tag for tag in (part.strip() for part in header.split(",")) if tag)
