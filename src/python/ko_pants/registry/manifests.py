"""Manifests and indexes: looked up, pulled, and stored under digests and tags."""

from __future__ import annotations

import json
import threading
from typing import Callable, Mapping, Sequence

from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry.endpoints import Origin, add_query
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.requester import Counter, Requester
from ko_pants.registry.retry import RETRIABLE, Attempts
from ko_pants.registry.transport import Reply, TransferFailure
from ko_pants.registry.uploads import BlobLedger

#: The size in bytes that a registry must accept (OCI distribution-spec), and the most we read.
MAX_MANIFEST = 4 * 1024 * 1024

_PUSH = ("pull", "push")
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
        self._lock = threading.Lock()
        self._introductions: dict[str, threading.Lock] = {}

    def heads(
        self, questions: Sequence[tuple[Counter, Reference]]
    ) -> list[tuple[bool, Descriptor | None]]:
        """As `head` for references on one registry, in a row: whether it answered, and what.

        What is left open is for `head`, which asks again.
        """
        counters, refs = [counter for counter, _ in questions], [ref for _, ref in questions]
        if not self._requester.met(refs[0].registry):
            first = self._introduce(counters[0], refs[0])
            if first is not None:
                return [first, *(self.heads(questions[1:]) if questions[1:] else ())]
        found = self._requester.heads(
            counters, refs, [_path(ref) for ref in refs], {"Accept": ACCEPT_MANIFESTS}
        )
        answers: list[tuple[bool, Descriptor | None]] = []
        for head, ref in zip(found, refs):
            descriptor = _described(head.headers, ref) if head and head.status == 200 else None
            absent = head is not None and head.status == 404
            answers.append((absent or descriptor is not None, descriptor))
        return answers

    def _introduce(self, counter: Counter, ref: Reference) -> tuple[bool, Descriptor | None] | None:
        """The first request of a run to a registry: the others wait for what it tells of it."""
        with self._lock:
            introduction = self._introductions.get(ref.registry)
            mine = introduction is None
            if introduction is None:
                introduction = self._introductions[ref.registry] = threading.Lock()
                introduction.acquire()
        if not mine:
            with introduction:
                return None
        try:
            return True, self.head(counter, ref)
        except RegistryError:
            return False, None
        finally:
            introduction.release()

    def head(self, counter: Counter, ref: Reference, *, retry: bool = True) -> Descriptor | None:
        """See `RegistrySession.head_manifest`; without `retry` also raises TransferFailure."""
        headers = {"Accept": ACCEPT_MANIFESTS}
        reply = self._requester.send(counter, "HEAD", ref, _path(ref), headers=headers, retry=retry)
        if reply.status == 404:
            return None
        if reply.status == 200:
            descriptor = _described(reply.headers, ref)
            if descriptor is not None:
                return descriptor
        elif reply.status not in (400, 405, 501):
            raise self._requester.error(reply, ref, "look up")
        found = self.find(counter, ref)
        return found[0] if found else None

    def get(self, counter: Counter, ref: Reference) -> tuple[Descriptor, bytes]:
        """See `RegistrySession.get_manifest`."""
        found = self.find(counter, ref)
        if found is None:
            raise RegistryError(
                f"{ref} was not found: {ref.registry} has no such manifest; check the repository "
                "and the tag or digest",
                status=404,
            )
        return found

    def find(self, counter: Counter, ref: Reference) -> tuple[Descriptor, bytes] | None:
        """As `get`; None if it is not there."""
        reply = self._requester.send(
            *(counter, "GET", ref, _path(ref)),
            headers={"Accept": ACCEPT_MANIFESTS},
            limit=MAX_MANIFEST,
        )
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise self._requester.error(reply, ref, "pull")
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
        counter: Counter,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: Sequence[str],
        repair: Callable[[tuple[str, ...]], None] | None,
    ) -> None:
        """See `RegistrySession.put_manifest`."""
        if len(content) != descriptor.size or sha256_digest(content) != descriptor.digest:
            raise ValueError(f"these are not the bytes of {descriptor.digest}")
        if len(content) > MAX_MANIFEST:
            raise RegistryError(
                f"the manifest of {ref} has {len(content)} bytes; registries accept "
                f"{MAX_MANIFEST}. Leave out annotations or labels"
            )
        wanted = list(dict.fromkeys([*([ref.tag] if ref.tag else []), *tags]))
        try:
            self._put_everywhere(counter, ref, descriptor, content, wanted)
        except MissingBlobsError as e:
            for digest in e.digests:
                self._ledger.forget(ref, digest)
            if repair is None:
                raise
            repair(e.digests)
            self._put_everywhere(counter, ref, descriptor, content, wanted)

    def _put_everywhere(
        self,
        counter: Counter,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: list[str],
    ) -> None:
        by_digest = ref.with_digest(descriptor.digest)
        left = tags
        if not tags:
            self.put_once(counter, by_digest, descriptor, content)
        elif len(tags) > 1 and self._takes_tags.get(ref.registry, True):
            # OCI distribution-spec (main): one PUT sets several tags where `OCI-Tag` confirms it.
            reply = self.put_once(counter, by_digest, descriptor, content, tags=tags)
            confirmed = _names(reply.headers.get("OCI-Tag", "")) if reply else frozenset()
            self._takes_tags[ref.registry] = bool(confirmed)
            left = [tag for tag in tags if tag not in confirmed]
        for tag in left:
            self.put_once(counter, ref.with_tag(tag), descriptor, content)

    def put_once(
        self,
        counter: Counter,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        *,
        tags: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Reply | None:
        """Store it under one tag or its digest; repeated while that may help.

        Returns the registry's reply, or None where a look afterwards showed that it is stored.

        :raises RegistryError: it is not.
        """
        attempts = self._requester.attempts()
        path = add_query(_path(ref), [("tag", tag) for tag in tags])
        while True:
            outcome: Reply | TransferFailure
            try:
                outcome = self._requester.send(
                    *(counter, "PUT", ref, path),
                    headers={"Content-Type": descriptor.media_type, **(headers or {})},
                    body=content,
                    actions=_PUSH,
                    timeout=self._requester.config.commit_timeout,
                    retry=False,
                )
            except TransferFailure as e:
                outcome = e
            else:
                said = outcome.headers.get("Docker-Content-Digest", descriptor.digest)
                if outcome.status == 201 and said == descriptor.digest:
                    return outcome
                refusal = self._requester.error(outcome, ref, "store the manifest")
                if isinstance(refusal, MissingBlobsError) or outcome.status == 401:
                    raise refusal
            # Whatever went wrong, it is there or not: an immutable tag at the right digest, a
            # commit whose reply was lost, a proxy that answered for the registry.
            held_back = isinstance(outcome, Reply) and self._requester.held_back(outcome)
            if not held_back and self._stored(counter, ref, descriptor):
                return None
            self._wait(ref, descriptor, outcome, attempts)

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
        requester = self._requester
        pace = requester.pool(ref.registry).pace
        if isinstance(outcome, TransferFailure):
            if outcome.permanent or not attempts.again(pace, connect=outcome.connect):
                origin = Origin.of(requester.base(ref.registry))
                raise requester.unreachable(ref, origin, outcome, attempts.gave_up)
        elif outcome.status < 300:
            if not attempts.again(pace):
                raise RegistryError(
                    f"{ref.registry} accepted the manifest of {ref} but does not have it under "
                    f"{descriptor.digest} afterwards",
                    status=outcome.status,
                )
        elif outcome.status not in RETRIABLE or not attempts.again(
            pace, retry_after=requester.retry_after(outcome)
        ):
            outcome.note = attempts.gave_up
            raise requester.error(outcome, ref, "store the manifest")

    def _stored(self, counter: Counter, ref: Reference, descriptor: Descriptor) -> bool:
        try:
            found = self.head(counter, ref, retry=False)
        except (RegistryError, TransferFailure):
            return False
        return found is not None and found.digest == descriptor.digest


def _path(ref: Reference) -> str:
    return f"/v2/{ref.repository}/manifests/{ref.identifier}"


def _described(headers: Mapping[str, str], ref: Reference) -> Descriptor | None:
    """What the head of a reply says of a manifest; None if that is not enough."""
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
