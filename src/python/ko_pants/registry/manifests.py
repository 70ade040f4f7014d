"""Manifests and indexes: looked up, and pulled with a check of their digest."""

from __future__ import annotations

import json
from typing import Mapping

from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.header_numbers import header_number
from ko_pants.registry.request import Request, Session
from ko_pants.registry.requester import Requester

#: What a registry must accept (OCI distribution-spec), and the most that is read.
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

#: Where a registry tells the digest of a manifest, in lower case.
DIGEST_HEADER = "docker-content-digest"

#: Statuses of registries that know no HEAD, or allow none. Some answer 403 for what is not there.
NO_HEAD = (400, 403, 405, 501)
_ACCEPT = {"Accept": ACCEPT_MANIFESTS}
_SCHEMA_1 = tuple(
    f"application/vnd.docker.distribution.manifest.v1+{kind}" for kind in ("json", "prettyjws")
)


class Manifests:
    """Reads manifests for one run. Thread-safe."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def head(
        self,
        session: Session,
        ref: Reference,
        *,
        retry: bool = True,
        forbidden_is_absent: bool = False,
    ) -> Descriptor | None:
        """See `RegistrySession.head_manifest`.

        :raises TransferFailure: no reply came (without `retry`).
        """
        reply = self._requester.send(
            Request(session, "HEAD", ref, manifest_path(ref), headers=_ACCEPT, retry=retry)
        )
        if reply.status == 404:
            return None
        if reply.status == 200:
            descriptor = describe_head(reply.headers, ref)
            if descriptor is not None:
                return descriptor
        elif reply.status not in NO_HEAD:
            raise self._requester.messages.refusal(reply, ref, "look up")
        try:
            found = self.find(session, ref)
        except RegistryError as e:
            if e.status == 403 and forbidden_is_absent:
                return None
            raise
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
        """As `get`, but None if it is not there.

        :raises RegistryError: refused, too large, or not what its digest says.
        """
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


def manifest_path(ref: Reference) -> str:
    """The path of a manifest on its registry."""
    return f"/v2/{ref.repository}/manifests/{ref.identifier}"


def describe_head(headers: Mapping[str, str], ref: Reference) -> Descriptor | None:
    """The descriptor that the headers of a reply give for `ref`; None if they do not suffice."""
    digest = headers.get(DIGEST_HEADER, "")
    media_type = _media_type(headers)
    size = header_number(headers.get("content-length", ""))
    if not is_digest(digest) or "vnd." not in media_type or not size:
        return None
    if ref.digest and digest != ref.digest:
        return None
    return Descriptor(media_type, digest, size)


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
