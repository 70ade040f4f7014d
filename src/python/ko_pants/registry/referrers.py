"""Referrers: manifests with a `subject`, by the API or by the fallback tag.

OCI distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject".
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor, sha256_digest
from ko_pants.oci.media_types import OCI_INDEX
from ko_pants.oci.reference import Reference
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import MissingBlobsError, RegistryError
from ko_pants.registry.manifest_puts import ManifestPuts
from ko_pants.registry.manifests import MAX_MANIFEST_BYTES, Manifests
from ko_pants.registry.request import Request, Session
from ko_pants.registry.requester import Requester

_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?")
_MAX_PAGES = 100
_MAX_UPDATES = 24
# In this time, two writers of one fallback tag are likely to notice each other.
_LOOK_AGAIN_SECONDS = 0.2
# Statuses of registries without the referrers API.
_NO_API = (400, 404, 405, 406, 501)


@dataclass(frozen=True)
class Referrer:
    """A manifest that refers to another; `descriptor.annotations` are those of the manifest."""

    descriptor: Descriptor
    artifact_type: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry of a referrers index."""
        out = self.descriptor.to_json()
        return {**out, "artifactType": self.artifact_type} if self.artifact_type else out


#: The referrers of each subject, by its digest.
BySubject = Mapping[str, Sequence[Referrer]]


@dataclass(frozen=True)
class WrittenList:
    """The list of referrers of a subject, at its fallback tag, when it had them all.

    :param digest: of the list; empty if another writer was faster.
    :param written: this run has changed it.
    :param due: when a look tells if others have overwritten it; of the client's monotonic clock.
    """

    subject: Reference
    referrers: tuple[Referrer, ...]
    digest: str
    written: bool
    due: float


class Referrers:
    """Lists and adds referrers for one run. Thread-safe."""

    def __init__(self, requester: Requester, manifests: Manifests, puts: ManifestPuts) -> None:
        self._requester = requester
        self._manifests = manifests
        self._puts = puts
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, ...], threading.Lock] = {}
        # Without the API: a registry. With it: a repository, as a registry that gathers others may
        # have it for some of them. Whoever is wrongly held to lack it gets a tag that is not read.
        self._without_api: set[str] = set()
        self._with_api: set[tuple[str, str]] = set()
        # Tag and digest of a list -> digest of the one that this run has made of it.
        self._successors: dict[tuple[str, str], str] = {}

    def find(self, session: Session, subject: Reference, artifact_type: str) -> list[Referrer]:
        """The referrers of the manifest `subject` (by digest), of one type where it is given.

        :raises RegistryError: the registry refused.
        """
        found = self._api(session, subject, artifact_type)
        if found is None:
            found = self._fallback(session, subject)[0]
        return [r for r in found if not artifact_type or r.artifact_type == artifact_type]

    def put(
        self,
        session: Session,
        repository: Reference,
        descriptor: Descriptor,
        content: bytes,
        repair: Callable[[tuple[str, ...]], None],
    ) -> bool:
        """Store a manifest that has a subject; its blobs must be there.

        :param repair: brings blobs that the registry lacks after all; see `ManifestPuts.put`.
        :returns: the registry confirms that its API lists it. Otherwise see `enlist`.
        :raises RegistryError: refused.
        """
        ref = repository.with_digest(descriptor.digest)
        try:
            reply = self._puts.put_once(session, ref, descriptor, content)
        except MissingBlobsError as e:
            self._puts.forget(ref, e.digests)
            repair(e.digests)
            reply = self._puts.put_once(session, ref, descriptor, content)
        subject = str(json.loads(content)["subject"]["digest"])
        listed = reply is not None and str(reply.headers.get("OCI-Subject", "")) == subject
        if listed:
            self._with_api.add((repository.registry, repository.repository))
        return listed

    def unlisted(
        self, session: Session, repository: Reference, wanted: BySubject
    ) -> dict[str, tuple[Referrer, ...]]:
        """The referrers that lack in fallback tags; none where the registry has the API.

        :raises RegistryError: refused.
        """
        out: dict[str, tuple[Referrer, ...]] = {}
        for digest, referrers in wanted.items():
            subject = repository.with_digest(digest)
            if not self._has_api(session, subject):
                lacking = _lacking(referrers, self._fallback(session, subject)[0])
                if lacking:
                    out[digest] = lacking
        return out

    def enlist(
        self, session: Session, repository: Reference, wanted: BySubject
    ) -> tuple[WrittenList, ...]:
        """Let fallback tags have all these, if the registry lacks the API. They must be stored.

        :returns: the lists that were written, which `confirm` has to look at once more.
        :raises RegistryError: refused.
        """
        subjects = {repository.with_digest(digest): found for digest, found in wanted.items()}
        lists = (
            self._add(session, subject, referrers)
            for subject, referrers in subjects.items()
            if not self._has_api(session, subject)
        )
        return tuple(each for each in lists if each.written)

    def confirm(self, session: Session, lists: Iterable[WrittenList]) -> None:
        """Wait until nobody has overwritten these lists, and add again what has got lost.

        Few registries know If-Match. With the others, a process may overwrite what another has just
        written. So every list is looked at some time later, until nobody has changed it meanwhile.

        :raises RegistryError: refused, or others change a tag all the time.
        """
        clock = self._requester.config.clock
        left = list(lists)
        for _ in range(_MAX_UPDATES):
            if not left:
                return
            wait = max(each.due for each in left) - clock.monotonic()
            if wait > 0:
                clock.sleep(wait)
            changed = [each for each in left if not self._is_still(session, each)]
            left = [self._add(session, each.subject, each.referrers) for each in changed]
        if left:
            subject = left[0].subject
            raise RegistryError(
                f"others keep changing {subject.with_tag(_tag(subject.digest))} while referrers "
                "are added to it; run again"
            )

    def _has_api(self, session: Session, subject: Reference) -> bool:
        """True if the registry lists referrers; asked once.

        :raises RegistryError: it does not answer the question.
        """
        registry, repository = subject.registry, (subject.registry, subject.repository)
        if repository in self._with_api:
            return True
        with self._lock_of(registry):
            if registry in self._without_api:
                return False
            if repository not in self._with_api:
                if self._api(session, subject, "", max_pages=1) is None:
                    self._without_api.add(registry)
                    return False
                self._with_api.add(repository)
            return True

    def _lock_of(self, *place: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(place, threading.Lock())

    def _api(
        self,
        session: Session,
        subject: Reference,
        artifact_type: str,
        *,
        max_pages: int = _MAX_PAGES,
    ) -> list[Referrer] | None:
        """The answer of the referrers API; None if the registry does not have it.

        :raises RegistryError: refused, or the list goes on at another host.
        """
        requester = self._requester
        path = f"/v2/{subject.repository}/referrers/{subject.digest}"
        where = path + (f"?artifactType={_quoted(artifact_type)}" if artifact_type else "")
        found: list[Referrer] = []
        for _ in range(max_pages):
            reply = requester.send(
                Request(
                    session,
                    "GET",
                    subject,
                    where,
                    headers={"Accept": OCI_INDEX},
                    max_reply_bytes=MAX_MANIFEST_BYTES,
                )
            )
            if reply.status in _NO_API:
                return None
            if reply.status != 200:
                raise requester.messages.refusal(reply, subject, "list the referrers of")
            entries = _entries(reply.body)
            if entries is None:
                # A web page with status 200, from a registry behind a catch-all route.
                return None
            found += entries
            link = _NEXT.search(reply.headers.get("Link", ""))
            if link is None:
                break
            target = requester.locations.resolve(link[1], reply, subject)
            if Origin.of(target) != reply.origin:
                raise RegistryError(
                    f"{subject.registry} continues the referrers of {subject} on another host, "
                    "which is not followed"
                )
            where = target
        return found

    def _fallback(
        self, session: Session, subject: Reference
    ) -> tuple[list[Referrer], dict[str, Any], str]:
        """The entries of the fallback tag, the whole index, and its digest ("": there is none)."""
        tagged = subject.with_tag(_tag(subject.digest))
        found = self._manifests.find(session, tagged)
        if found is None:
            return [], {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, ""
        entries = _entries(found[1])
        if entries is None:
            raise RegistryError(
                f"{tagged} should be the list of referrers of {subject.digest}, but it is no index"
            )
        return entries, json.loads(found[1]), found[0].digest

    def _add(
        self, session: Session, subject: Reference, referrers: Sequence[Referrer]
    ) -> WrittenList:
        """Add to a fallback tag what it lacks.

        :raises RegistryError: refused.
        """
        clock = self._requester.config.clock
        started = clock.monotonic()
        with self._lock_of(subject.registry, subject.repository, subject.digest):
            listed, index, digest = self._fallback(session, subject)
            lacking = _lacking(referrers, listed)
            if lacking:
                entries = [*index["manifests"], *(referrer.to_json() for referrer in lacking)]
                tagged = subject.with_tag(_tag(subject.digest))
                base = digest
                digest = self._replace(session, tagged, {**index, "manifests": entries}, base)
                self._successors[str(tagged), base] = digest
        # Another writer takes about as long from its look to its put as this one.
        ended = clock.monotonic()
        wait = max(_LOOK_AGAIN_SECONDS, 2 * (ended - started)) * (1 + clock.random())
        return WrittenList(subject, tuple(referrers), digest, bool(lacking), ended + wait)

    def _is_still(self, session: Session, written: WrittenList) -> bool:
        """True if the fallback tag names that list, or one that this run has made of it."""
        tagged = written.subject.with_tag(_tag(written.subject.digest))
        digest = written.digest
        found = self._manifests.head(session, tagged) if digest else None
        while found is not None and digest and found.digest != digest:
            digest = self._successors.get((str(tagged), digest), "")
        return found is not None and found.digest == digest

    def _replace(
        self, session: Session, tagged: Reference, index: Mapping[str, Any], digest: str
    ) -> str:
        """Put `index` where the index `digest` is ("": none).

        :returns: the digest of `index`; empty if there is another by now.
        :raises RegistryError: refused.
        """
        content = json.dumps(index, separators=(",", ":")).encode()
        descriptor = Descriptor(OCI_INDEX, sha256_digest(content), len(content))
        headers = {"If-Match": f'"{digest}"'} if digest else {"If-None-Match": "*"}
        try:
            self._puts.put_once(session, tagged, descriptor, content, headers=headers)
        except RegistryError as e:
            if e.status != 412:
                raise
            return ""
        return descriptor.digest


def _tag(digest: str) -> str:
    return digest.replace(":", "-", 1)


def _lacking(wanted: Iterable[Referrer], listed: Iterable[Referrer]) -> tuple[Referrer, ...]:
    known = {referrer.descriptor.digest for referrer in listed}
    return tuple(referrer for referrer in wanted if referrer.descriptor.digest not in known)


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _entries(content: bytes) -> list[Referrer] | None:
    """The entries of an index; None if it is none. Entries that are no descriptors are skipped."""
    try:
        obj = json.loads(content)
    except (ValueError, RecursionError):
        return None
    manifests = obj.get("manifests") if isinstance(obj, Mapping) else None
    if not isinstance(manifests, list):
        return None
    found = []
    for item in manifests:
        if isinstance(item, Mapping):
            kind = item.get("artifactType")
            with contextlib.suppress(KoPantsError):
                descriptor = Descriptor.from_json(item, where="the referrers")
                found.append(Referrer(descriptor, kind if isinstance(kind, str) else ""))
    return found
