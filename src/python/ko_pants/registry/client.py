"""The registry client: what publishing and base images need of an OCI registry.

One `RegistryClient` serves a whole run: connections, tokens, pacing and the knowledge of what a
registry has are shared. A `RegistrySession` is a view of it that counts its requests.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, BinaryIO, Callable, Sequence

from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest
from ko_pants.oci.media_types import ACCEPT_MANIFESTS
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import Scopes, repository_scopes
from ko_pants.registry.config import Clock, RegistryConfig
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.retry import RetryPolicy

if TYPE_CHECKING:
    from ko_pants.registry.requester import Requester
    from ko_pants.registry.transport import Reply
    from ko_pants.registry.uploads import Uploader

__all__ = [
    "MAX_MANIFEST",
    "Clock",
    "MissingBlobsError",
    "RegistryClient",
    "RegistryConfig",
    "RegistryError",
    "RegistrySession",
    "RetryPolicy",
]

#: The size in bytes that a registry must accept (OCI distribution-spec), and the most we read.
MAX_MANIFEST = 4 * 1024 * 1024

_PUSH = ("pull", "push")
_SCHEMA_1 = tuple(
    f"application/vnd.docker.distribution.manifest.v1+{kind}" for kind in ("json", "prettyjws")
)


class RegistryClient:
    """The registries of one run. Thread-safe; `requests` is imported by the first request."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._parts: tuple[Requester, Uploader] | None = None
        #: Registries that were seen to take `?tag=`, or not to.
        self.takes_tags: dict[str, bool] = {}

    def session(self, push_to: Sequence[Reference] = ()) -> RegistrySession:
        """A view with its own count of requests, which shares everything else.

        Every token request for a repository of `push_to` asks for push at once, so that a push
        needs one token and not two, and registries that hide missing repositories from readers
        (quay, ghcr) answer a HEAD with 404 rather than 401.
        """
        return RegistrySession(self, push_to)

    def close(self) -> None:
        """Close all connections; the client can be used again afterwards."""
        with self._lock:
            if self._parts is not None:
                self._parts[0].close()

    def parts(self) -> tuple[Requester, Uploader]:
        """The machinery, made at the first use."""
        if self._parts is None:
            with self._lock:
                if self._parts is None:
                    from ko_pants.registry.requester import Requester
                    from ko_pants.registry.uploads import Uploader

                    requester = Requester(self._config)
                    self._parts = (requester, Uploader(requester))
        return self._parts


class RegistrySession:
    """What one image does with registries. Thread-safe.

    `requests` counts every HTTP request that was sent for it: retries, redirects that were followed
    and token requests included; credential helpers are none.
    """

    def __init__(self, client: RegistryClient, push_to: Sequence[Reference] = ()) -> None:
        self._client = client
        self._push_to = frozenset((ref.registry, ref.repository) for ref in push_to)
        self._lock = threading.Lock()
        self.requests = 0

    def count(self) -> None:
        """Count a request."""
        with self._lock:
            self.requests += 1

    def scopes_for(self, ref: Reference, actions: tuple[str, ...]) -> Scopes:
        """The scopes of a request; push is asked for where this session will need it."""
        pushes = (ref.registry, ref.repository) in self._push_to
        return repository_scopes(ref.repository, _PUSH if pushes else actions)

    def head_manifest(self, ref: Reference) -> Descriptor | None:
        """The descriptor of a manifest, without its bytes; None if it is not there.

        Falls back to GET where the reply lacks digest, size or a useful media type.

        :raises RegistryError: the registry refused or could not be reached.
        """
        requester = self._client.parts()[0]
        headers = {"Accept": ACCEPT_MANIFESTS}
        reply = requester.send(self, "HEAD", ref, _manifest_path(ref), headers=headers)
        if reply.status == 404:
            return None
        if reply.status == 200:
            digest = reply.headers.get("Docker-Content-Digest", "")
            media_type = _media_type(reply)
            size = reply.headers.get("Content-Length", "")
            useful = is_digest(digest) and "vnd." in media_type and size.isdigit() and size != "0"
            if useful and (not ref.digest or digest == ref.digest):
                return Descriptor(media_type, digest, int(size))
        elif reply.status not in (400, 405, 501):
            raise requester.error(reply, ref, "look up")
        found = self._get_manifest(ref)
        return found[0] if found else None

    def get_manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """A manifest or index, verified; at most `MAX_MANIFEST` bytes.

        :raises RegistryError: not there, refused, too large, or not what its digest says.
        """
        found = self._get_manifest(ref)
        if found is None:
            raise RegistryError(
                f"{ref} was not found: {ref.registry} has no such manifest; check the repository "
                "and the tag or digest",
                status=404,
            )
        return found

    def put_manifest(
        self,
        ref: Reference,
        descriptor: Descriptor,
        content: bytes,
        tags: Sequence[str] = (),
        *,
        repair: Callable[[tuple[str, ...]], None] | None = None,
    ) -> None:
        """Store a manifest or index under its digest, the tag of `ref` and `tags`.

        All that it refers to must be there. Where the registry says that a blob is missing,
        `repair` is called once with the digests that it names (maybe none; what the client believed
        about them is forgotten), and the manifest is put again.

        :raises MissingBlobsError: a blob is missing, also after `repair`.
        :raises RegistryError: refused, or the registry stored something else.
        """
        if len(content) != descriptor.size or sha256_digest(content) != descriptor.digest:
            raise ValueError(f"these are not the bytes of {descriptor.digest}")
        if len(content) > MAX_MANIFEST:
            raise RegistryError(
                f"the manifest of {ref} has {len(content)} bytes; registries accept "
                f"{MAX_MANIFEST}. Leave out annotations or labels"
            )
        wanted = list(dict.fromkeys([*([ref.tag] if ref.tag else []), *tags]))
        try:
            self._put_everywhere(ref, descriptor, content, wanted)
        except MissingBlobsError as e:
            if repair is None:
                raise
            for digest in e.digests:
                self._client.parts()[1].ledger.forget(ref, digest)
            repair(e.digests)
            self._put_everywhere(ref, descriptor, content, wanted)

    def has_blob(self, repository: Reference, digest: str) -> bool:
        """True if the repository has the blob.

        :raises RegistryError: neither there nor not there.
        """
        return self._client.parts()[1].has_blob(self, repository, digest, push=False)

    def push_blob(
        self,
        repository: Reference,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        *,
        mount_from: Sequence[str] = (),
        progress: Callable[[int], None] | None = None,
        known_missing: bool = False,
    ) -> str:
        """Make sure that a repository has a blob: `reused`, `mounted` or `uploaded`.

        `open_blob` opens a seekable stream of the bytes, for every attempt anew, and is not called
        unless they are needed. `mount_from` are repositories of the same registry that may have the
        blob; what this run put into others is found without. `known_missing` saves the HEAD.
        `progress` gets the number of bytes sent so far; it begins again with a new attempt.
        Concurrent calls for one blob send it once per registry.

        :raises KoPantsError: the blob could not be read, or the registry did not take it.
        """
        uploader = self._client.parts()[1]
        return uploader.push(
            *(self, repository, descriptor, open_blob, mount_from, progress, known_missing)
        )

    def open_blob(self, repository: Reference, descriptor: Descriptor) -> BinaryIO:
        """A stream of a blob, verified at its end and resumed after a break; close it.

        Reading raises RegistryError instead of handing out the last bytes of a wrong blob.

        :raises RegistryError: not there, or refused.
        """
        import io

        from ko_pants.registry.blobs import BlobStream

        stream = BlobStream(self._client.parts()[0], self, repository, descriptor)
        return io.BufferedReader(stream, 128 * 1024)

    def get_blob(self, repository: Reference, descriptor: Descriptor, max_size: int) -> bytes:
        """The bytes of a small blob (a config), verified.

        :raises RegistryError: not there, refused, wrong, or larger than `max_size` bytes.
        """
        if descriptor.size > max_size:
            raise RegistryError(
                f"the blob {descriptor.digest} of {repository} has {descriptor.size} bytes; "
                f"expected at most {max_size}"
            )
        with self.open_blob(repository, descriptor) as stream:
            return stream.read()

    def _get_manifest(self, ref: Reference) -> tuple[Descriptor, bytes] | None:
        requester = self._client.parts()[0]
        headers = {"Accept": ACCEPT_MANIFESTS}
        reply = requester.send(
            self, "GET", ref, _manifest_path(ref), headers=headers, limit=MAX_MANIFEST
        )
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise requester.error(reply, ref, "pull")
        digest = sha256_digest(reply.body)
        said = reply.headers.get("Docker-Content-Digest", "")
        expected = ref.digest or (said if is_digest(said) else digest)
        media_type = _media_type(reply)
        if media_type in _SCHEMA_1:
            raise RegistryError(
                f"{ref} is an image of Docker's schema 1, which nothing writes any more; expected "
                "an OCI or Docker schema 2 image: push it again with a current tool"
            )
        if digest != expected:
            raise RegistryError(
                f"{ref.registry} sent a manifest with the digest {digest} for {ref}; expected "
                f"{expected}. The registry or a proxy before it is broken: it was not used"
            )
        if "vnd." not in media_type:
            media_type = _inner_media_type(reply.body) or media_type
        return Descriptor(media_type, digest, len(reply.body)), reply.body

    def _put_everywhere(
        self, ref: Reference, descriptor: Descriptor, content: bytes, tags: list[str]
    ) -> None:
        by_digest = ref.with_digest(descriptor.digest)
        takes_tags = self._client.takes_tags.get(ref.registry)
        left = tags
        if not tags:
            self._put(by_digest, descriptor, content, ())
        elif len(tags) > 1 and takes_tags is not False:
            # OCI distribution-spec (main): one PUT sets several tags where `OCI-Tag` confirms it.
            confirmed = self._put(by_digest, descriptor, content, tags)
            self._client.takes_tags[ref.registry] = bool(confirmed)
            left = [tag for tag in tags if tag not in confirmed]
        for tag in left:
            self._put(ref.with_tag(tag), descriptor, content, ())

    def _put(
        self, ref: Reference, descriptor: Descriptor, content: bytes, tags: Sequence[str]
    ) -> frozenset[str]:
        """One PUT, repeated while that may help; returns the tags of `OCI-Tag`."""
        from ko_pants.registry.endpoints import Origin, add_query
        from ko_pants.registry.retry import RETRIABLE
        from ko_pants.registry.transport import TransferFailure

        requester = self._client.parts()[0]
        attempts = requester.attempts()
        path = add_query(_manifest_path(ref), [("tag", tag) for tag in tags])
        while True:
            reply: Reply | None = None
            failure: TransferFailure | None = None
            try:
                reply = requester.send(
                    *(self, "PUT", ref, path),
                    headers={"Content-Type": descriptor.media_type},
                    body=content,
                    actions=_PUSH,
                    timeout=requester.config.commit_timeout,
                    retry=False,
                )
            except TransferFailure as e:
                failure = e
            if reply is not None and reply.status in (200, 201, 202, 204):
                said = reply.headers.get("Docker-Content-Digest", descriptor.digest)
                if said == descriptor.digest and reply.status == 201:
                    return _confirmed_tags(reply)
            error: RegistryError | None = None
            if reply is not None and reply.status >= 300:
                error = requester.error(reply, ref, "store the manifest")
            # Whatever went wrong, it is there or not: an immutable tag at the right digest, a
            # commit whose reply was lost, a proxy that answered for the registry.
            if not isinstance(error, MissingBlobsError) and self._stored(ref, descriptor):
                return frozenset()
            pool = requester.pool(ref.registry)
            if reply is not None and error is not None:
                if reply.status not in RETRIABLE:
                    raise error
                if not attempts.again(pool.pace, retry_after=requester.retry_after(reply)):
                    reply.note = attempts.gave_up
                    raise requester.error(reply, ref, "store the manifest")
            elif failure is not None:
                if failure.permanent or not attempts.again(pool.pace, connect=failure.connect):
                    origin = Origin.of(requester.base(ref.registry))
                    raise requester.unreachable(ref, origin, failure, attempts.gave_up)
            elif not attempts.again(pool.pace):
                raise RegistryError(
                    f"{ref.registry} accepted the manifest of {ref} but does not have it under "
                    f"{descriptor.digest} afterwards"
                )

    def _stored(self, ref: Reference, descriptor: Descriptor) -> bool:
        try:
            found = self.head_manifest(ref)
        except RegistryError:
            return False
        return found is not None and found.digest == descriptor.digest


def _manifest_path(ref: Reference) -> str:
    return f"/v2/{ref.repository}/manifests/{ref.identifier}"


def _media_type(reply: Reply) -> str:
    return reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _inner_media_type(content: bytes) -> str:
    """What a manifest says of itself, for registries that serve it as plain JSON."""
    try:
        obj = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    value = obj.get("mediaType") if isinstance(obj, dict) else None
    return value if isinstance(value, str) else ""


def _confirmed_tags(reply: Reply) -> frozenset[str]:
    header = reply.headers.get("OCI-Tag", "")
    return frozenset(tag for tag in (part.strip() for part in header.split(",")) if tag)
