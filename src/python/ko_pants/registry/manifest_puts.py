"""Stores manifests and indexes under their digests and tags."""

from __future__ import annotations

from typing import Callable, Mapping, Sequence

from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry.blob_ledger import BlobLedger
from ko_pants.registry.challenge import PUSH
from ko_pants.registry.endpoints import add_query
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.manifests import MAX_MANIFEST_BYTES, Manifests, manifest_path
from ko_pants.registry.request import Reply, Request, Session, TransferFailure
from ko_pants.registry.requester import Requester
from ko_pants.registry.retry import RETRIABLE, Attempts, asks_for_a_pause

# After no reply (0), or one that wants to know who asks, no other tag is tried.
_SAME_FOR_EVERY_TAG = (0, 401)


class ManifestPuts:
    """Writes manifests for one run. Thread-safe.

    :param ledger: what is believed of blobs, and forgotten where a registry says otherwise.
    """

    def __init__(self, requester: Requester, manifests: Manifests, ledger: BlobLedger) -> None:
        self._requester = requester
        self._manifests = manifests
        self._ledger = ledger
        # Whether a registry was seen to set tags by `?tag=`.
        self._takes_tags: dict[str, bool] = {}

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
            self.forget(ref, e.digests)
            if repair is None:
                raise
            repair(e.digests)
            self._put_everywhere(session, ref, descriptor, content, wanted)

    def forget(self, ref: Reference, digests: Sequence[str]) -> None:
        """Note that the repository lacks blobs, as the registry says."""
        for digest in digests:
            self._ledger.forget(ref, digest)

    def _put_everywhere(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: list[str],
    ) -> None:
        left, refused = tags, []
        if not tags:
            self.put_once(session, ref.with_digest(descriptor.digest), descriptor, content)
        elif len(tags) > 1 and self._takes_tags.get(ref.registry, True):
            confirmed = self._put_with_tags(session, ref, descriptor, content, tags)
            self._takes_tags[ref.registry] = bool(confirmed)
            left = [tag for tag in tags if tag not in confirmed]
        for tag in left:
            try:
                self.put_once(session, ref.with_tag(tag), descriptor, content)
            except RegistryError as e:
                if isinstance(e, MissingBlobsError) or e.status in _SAME_FOR_EVERY_TAG:
                    raise
                refused.append((tag, e))
        if refused:
            raise _refused_tags(tags, refused)

    def _put_with_tags(
        self,
        session: Session,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: Sequence[str],
    ) -> frozenset[str]:
        """Set all tags with one PUT; returns those that the registry confirms.

        OCI distribution-spec (main): it does so in `OCI-Tag`. Others ignore `?tag=`, and some
        refuse it in one way or another. That is no failure, as one PUT for each tag follows.
        """
        by_digest = ref.with_digest(descriptor.digest)
        try:
            reply = self.put_once(session, by_digest, descriptor, content, tags=tags)
        except RegistryError as e:
            if e.status == 401:
                raise
            return frozenset()
        return _names(reply.headers.get("OCI-Tag", "")) if reply else frozenset()

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
        """Store it under the tag or digest of `ref`, in several attempts if need be.

        Returns the registry's reply, or None where a look afterwards showed that it is stored.

        :param tags: more tags, for registries that take `?tag=`. There is another way to set them,
            so that the request is repeated only if the registry asks for that.
        :param headers: more headers of the request.
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
            self._wait(ref, descriptor, outcome, attempts, once=bool(tags))

    def _may_ask(self, outcome: Reply | TransferFailure) -> bool:
        clock = self._requester.config.clock
        return isinstance(outcome, TransferFailure) or not asks_for_a_pause(outcome, clock)

    def _wait(
        self,
        ref: Reference,
        descriptor: Descriptor,
        outcome: Reply | TransferFailure,
        attempts: Attempts,
        *,
        once: bool,
    ) -> None:
        """Wait before the next attempt.

        :param once: there is another one only if the registry asks for that.
        :raises RegistryError: there is none.
        """
        messages = self._requester.messages
        once = once and self._may_ask(outcome)
        if isinstance(outcome, TransferFailure):
            if once or not attempts.after_failure(outcome):
                raise messages.no_reply(ref, outcome, attempts.gave_up)
        elif outcome.status < 300:
            if once or not attempts.again():
                raise RegistryError(
                    f"{ref.registry} accepted the manifest of {ref} but does not have it under "
                    f"{descriptor.digest} afterwards",
                    status=outcome.status,
                )
        elif once or outcome.status not in RETRIABLE or not attempts.after_reply(outcome):
            raise messages.refusal(outcome, ref, "store the manifest")

    def _stored(self, session: Session, ref: Reference, descriptor: Descriptor) -> bool:
        try:
            found = self._manifests.head(session, ref, retry=False)
        except (RegistryError, TransferFailure):
            return False
        return found is not None and found.digest == descriptor.digest


def _refused_tags(
    tags: Sequence[str], refused: Sequence[tuple[str, RegistryError]]
) -> RegistryError:
    """The error for tags that were refused, each with its reason, and what became of the others."""
    first = refused[0][1]
    if len(tags) == 1:
        return first
    names = [tag for tag, _ in refused]
    text = "; ".join(str(error) for _, error in refused)
    done = ", ".join(tag for tag in tags if tag not in names)
    text += f". The tags that were set: {done or 'none'}"
    return RegistryError(text, status=first.status, codes=first.codes)


def _names(header: str) -> frozenset[str]:
    return frozenset(tag for tag in (part.strip() for part in header.split(",")) if tag)
