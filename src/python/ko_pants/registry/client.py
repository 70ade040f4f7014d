"""The registry client: what publishing and base images need of an OCI registry.

One `RegistryClient` serves a whole run: connections, tokens, pacing and the knowledge of what a
registry has are shared. A `RegistrySession` is a view of it that counts its requests.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, BinaryIO, Callable, Iterable, Sequence

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import PUSH, Actions, Scopes, repository_scopes
from ko_pants.registry.clock import Clock
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.retry import RetryPolicy
from ko_pants.registry.traffic import Traffic

if TYPE_CHECKING:
    from ko_pants.registry.manifest_puts import ManifestPuts
    from ko_pants.registry.referrers import BySubject, Referrer, Referrers, WrittenList
    from ko_pants.registry.uploads import Uploader

__all__ = [
    "Clock",
    "MissingBlobsError",
    "RegistryClient",
    "RegistryConfig",
    "RegistryError",
    "RegistrySession",
    "RetryPolicy",
]


class _Parts:
    """What does the work of a client. Thread-safe.

    Parts that an up-to-date publication does not need are imported and made at their first use.
    """

    def __init__(self, config: RegistryConfig) -> None:
        from ko_pants.registry.blob_ledger import BlobLedger
        from ko_pants.registry.manifests import Manifests
        from ko_pants.registry.pipelined_heads import PipelinedHeads
        from ko_pants.registry.requester import Requester

        self.requester = Requester(config)
        self.manifests = Manifests(self.requester)
        self.heads = PipelinedHeads(self.requester, self.manifests)
        self._ledger = BlobLedger()
        self._lock = threading.RLock()
        self._uploader: Uploader | None = None
        self._manifest_puts: ManifestPuts | None = None
        self._referrers: Referrers | None = None

    @property
    def uploader(self) -> Uploader:
        """Pushes blobs."""
        with self._lock:
            if self._uploader is None:
                from ko_pants.registry.uploads import Uploader

                self._uploader = Uploader(self.requester, self._ledger)
            return self._uploader

    @property
    def manifest_puts(self) -> ManifestPuts:
        """Stores manifests."""
        with self._lock:
            if self._manifest_puts is None:
                from ko_pants.registry.manifest_puts import ManifestPuts

                self._manifest_puts = ManifestPuts(self.requester, self.manifests, self._ledger)
            return self._manifest_puts

    @property
    def referrers(self) -> Referrers:
        """Lists and adds referrers."""
        with self._lock:
            if self._referrers is None:
                from ko_pants.registry.referrers import Referrers

                self._referrers = Referrers(self.requester, self.manifests, self.manifest_puts)
            return self._referrers


class RegistryClient:
    """The registries of one run. Thread-safe; `requests` is imported by the first request."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        #: Of all sessions.
        self.traffic = Traffic()
        self._lock = threading.Lock()
        self._expected: list[Reference] = []
        self._parts: _Parts | None = None

    def session(self, push_to: Sequence[Reference] = ()) -> RegistrySession:
        """A view with its own count of requests, which shares everything else.

        Every token request for a repository of `push_to` asks for push at once, so that a push
        needs one token and not two, and registries that hide missing repositories from readers
        (quay, ghcr) answer a HEAD with 404 rather than 401.
        """
        return RegistrySession(self, push_to)

    def expect(self, repositories: Iterable[Reference]) -> None:
        """Say that these will be pushed to, or asked about by sessions that name them in `push_to`.

        The first token that one of them needs is asked for all of them, in groups as large as
        servers take. Repositories that come later join those that still have no token.
        """
        with self._lock:
            if self._parts is None:
                # The imports are left to the thread that sends the first request.
                self._expected += repositories
                return
        self._parts.requester.token_groups.expect(repositories)

    def head_manifests(
        self, questions: Sequence[tuple[RegistrySession, Reference, str]]
    ) -> list[tuple[bool, Descriptor | None]]:
        """`RegistrySession.head_manifest` for many references that will be pushed, sent in rows.

        :param questions: each reference with the session that counts it, and the digest that it is
            expected to have. All on one registry.
        :returns: for each question whether it is answered, and the descriptor (None if there is no
            such manifest). What is not answered has to be asked of the session.
        """
        return self.parts().heads.ask(questions)

    def is_plain_http(self, registry: str) -> bool:
        """True if a registry (`host[:port]`) that has answered is spoken to without TLS."""
        return self.parts().requester.contacts.of(registry).base_url.startswith("http://")

    def redact(self, text: str) -> str:
        """`text` without the credentials that this client has read, and what looks like such."""
        return self.parts().requester.redact(text)

    def interrupt(self) -> None:
        """End the requests that are on their way, and send no more.

        They fail, those that begin later with an `InterruptedRunError`.
        """
        with self._lock:
            if self._parts is not None:
                self._parts.requester.connections.interrupt()

    def close(self) -> None:
        """Close all connections, or leave them to `RegistryConfig.kept`.

        The client can be used again afterwards.
        """
        with self._lock:
            if self._parts is not None:
                self._parts.requester.close()

    def parts(self) -> _Parts:
        """What does the work. It is made at the first use, because its imports take time."""
        if self._parts is None:
            with self._lock:
                if self._parts is None:
                    parts = _Parts(self._config)
                    parts.requester.token_groups.expect(self._expected)
                    self._parts = parts
        return self._parts


class RegistrySession:
    """What one image does with registries. Thread-safe.

    `requests` counts every HTTP request that was sent for it: also retries, redirects that were
    followed, and token requests.
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
        self._client.traffic.count()

    def fetched(self, size: int) -> None:
        """Count bytes of the body of a reply, for the client."""
        self._client.traffic.fetched(size)

    def scopes_for(self, ref: Reference, actions: Actions) -> Scopes:
        """The scopes of a request; push is asked for where this session will need it."""
        pushes = (ref.registry, ref.repository) in self._push_to
        return repository_scopes(ref.repository, PUSH if pushes else actions)

    def head_manifest(
        self, ref: Reference, *, forbidden_is_absent: bool = False
    ) -> Descriptor | None:
        """The descriptor of a manifest, without its bytes; None if it is not there.

        Falls back to GET where a HEAD is refused, or the reply lacks digest, size or a useful media
        type.

        :param forbidden_is_absent: None too if both are answered 403, as some registries do for
            what is not there. Who may not push learns that from the push.
        :raises RegistryError: the registry refused or could not be reached.
        """
        return self._client.parts().manifests.head(
            self, ref, forbidden_is_absent=forbidden_is_absent
        )

    def get_manifest(self, ref: Reference) -> tuple[Descriptor, bytes]:
        """A manifest or index, verified; at most 4 MiB.

        :raises RegistryError: not there, refused, too large, or not what its digest says.
        """
        return self._client.parts().manifests.get(self, ref)

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

        Everything that it refers to must be there. If the registry says that blobs are missing,
        `repair` is called once with the digests that it names (it may name none), and the manifest
        is put again.

        :raises MissingBlobsError: a blob is missing, also after `repair`.
        :raises RegistryError: refused, or the registry stored something else.
        """
        self._client.parts().manifest_puts.put(self, ref, descriptor, content, tags, repair)

    def has_blob(self, repository: Reference, digest: str) -> bool:
        """True if the repository has the blob.

        :raises RegistryError: neither there nor not there.
        """
        return self._client.parts().uploader.has_blob(self, repository, digest, push=False)

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

        Concurrent calls for one blob send it once per registry.

        :param open_blob: opens a seekable stream of the bytes. It is called for every attempt, and
            not at all if the bytes are not needed.
        :param mount_from: repositories of the same registry that may have the blob. Those that this
            run has pushed it to need not be named.
        :param progress: told the number of bytes sent so far; begins again with a new attempt.
        :param known_missing: the repository lacks it, so no HEAD is sent.

        :raises KoPantsError: the blob could not be read, or the registry did not take it.
        """
        uploader = self._client.parts().uploader
        return uploader.push(
            *(self, repository, descriptor, open_blob, mount_from, progress, known_missing)
        )

    def open_blob(self, repository: Reference, descriptor: Descriptor) -> BinaryIO:
        """A stream of a blob, which is verified and resumed after a break. The caller closes it.

        Reading raises RegistryError instead of returning the last bytes of a wrong blob.

        :raises RegistryError: not there, or refused.
        """
        import io

        from ko_pants.registry.downloads import BlobStream

        stream = BlobStream(self._client.parts().requester, self, repository, descriptor)
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

    def referrers(self, subject: Reference, artifact_type: str = "") -> list[Referrer]:
        """The manifests that refer to `subject` (by digest), by the API or the fallback tag.

        :raises RegistryError: the registry refused.
        """
        return self._client.parts().referrers.find(self, subject, artifact_type)

    def put_referrer(
        self,
        repository: Reference,
        descriptor: Descriptor,
        content: bytes,
        repair: Callable[[tuple[str, ...]], None],
    ) -> bool:
        """Store a manifest that has a `subject`; its blobs must be there.

        :param repair: brings the blobs with these digests, if the registry says that they lack.
        :returns: the registry has confirmed that it lists the manifest. Otherwise
            `enlist_referrers` has to follow.
        :raises RegistryError: refused.
        """
        return self._client.parts().referrers.put(self, repository, descriptor, content, repair)

    def unlisted_referrers(self, repository: Reference, wanted: BySubject) -> BySubject:
        """Those that the registry does not list for their subjects, though it may have them.

        Where it has the referrers API, it lists all that it has, and nothing more is asked.

        :raises RegistryError: refused.
        """
        return self._client.parts().referrers.unlisted(self, repository, wanted)

    def enlist_referrers(self, repository: Reference, wanted: BySubject) -> tuple[WrittenList, ...]:
        """Have these listed for their subjects. They must be stored.

        Where the registry has no referrers API, they are added to the subject's fallback tag. One
        update for each subject.

        :returns: the tags that were changed. `confirm_referrers` has to follow, as others may have
            overwritten them.
        :raises RegistryError: refused.
        """
        return self._client.parts().referrers.enlist(self, repository, wanted)

    def confirm_referrers(self, lists: Iterable[WrittenList]) -> None:
        """Add again what others have overwritten. It waits until a look can tell.

        :raises RegistryError: refused, or others change a tag all the time.
        """
        self._client.parts().referrers.confirm(self, lists)
