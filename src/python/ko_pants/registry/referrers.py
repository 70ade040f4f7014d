"""Referrers: manifests with a `subject`, by the API or by the fallback tag.

OCI distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject".
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any, Mapping

from ko_pants.oci.descriptor import Descriptor, sha256_digest, sorted_pairs
from ko_pants.oci.media_types import OCI_INDEX
from ko_pants.oci.reference import Reference
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
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

    @classmethod
    def of_manifest(cls, media_type: str, content: bytes) -> Referrer:
        """The entry for a manifest: its artifact type (or its config's type) and annotations.

        :raises ValueError: it is no manifest with a subject.
        """
        obj = json.loads(content)
        if not isinstance(obj, dict) or not isinstance(obj.get("subject"), dict):
            raise ValueError("expected a manifest with a subject")
        config = obj.get("config")
        kind = obj.get("artifactType") or (
            config.get("mediaType", "") if isinstance(config, dict) else ""
        )
        annotations = sorted_pairs(obj.get("annotations") or {})
        digest = sha256_digest(content)
        return cls(Descriptor(media_type, digest, len(content), annotations), kind)


class Referrers:
    """Lists and adds referrers for one run. Thread-safe."""

    def __init__(self, requester: Requester, manifests: Manifests, puts: ManifestPuts) -> None:
        self._requester = requester
        self._manifests = manifests
        self._puts = puts
        self._lock = threading.Lock()
        self._tags: dict[tuple[str, str, str], threading.Lock] = {}

    def find(self, session: Session, subject: Reference, artifact_type: str) -> list[Referrer]:
        """The referrers of the manifest `subject` (by digest), of one type where it is given.

        :raises RegistryError: the registry refused.
        """
        found = self._api(session, subject, artifact_type)
        if found is None:
            found = self._fallback(session, subject)[0]
        return [r for r in found if not artifact_type or r.artifact_type == artifact_type]

    def push(
        self, session: Session, repository: Reference, media_type: str, content: bytes
    ) -> Descriptor:
        """Store a manifest that has a subject, and make the subject's referrers list it.

        :raises RegistryError: refused.
        """
        entry = Referrer.of_manifest(media_type, content)
        subject = repository.with_digest(json.loads(content)["subject"]["digest"])
        ref = repository.with_digest(entry.descriptor.digest)
        reply = self._puts.put_once(session, ref, entry.descriptor, content)
        if reply is None or reply.headers.get("OCI-Subject") != subject.digest:
            # A registry may have the API and not send the header: then no tag is needed.
            listed = self._api(session, subject, "")
            if listed is None:
                self._add(session, subject, entry)
        return entry.descriptor

    def _api(
        self, session: Session, subject: Reference, artifact_type: str
    ) -> list[Referrer] | None:
        """The answer of the referrers API; None if the registry does not have it.

        :raises RegistryError: refused, or the list goes on at another host.
        """
        requester = self._requester
        path = f"/v2/{subject.repository}/referrers/{subject.digest}"
        where = path + (f"?artifactType={_quoted(artifact_type)}" if artifact_type else "")
        found: list[Referrer] = []
        for _ in range(_MAX_PAGES):
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
        tagged = subject.with_tag(_tag(subject))
        found = self._manifests.find(session, tagged)
        if found is None:
            return [], {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, ""
        entries = _entries(found[1])
        if entries is None:
            raise RegistryError(
                f"{tagged} should be the list of referrers of {subject.digest}, but it is no index"
            )
        return entries, json.loads(found[1]), found[0].digest

    def _add(self, session: Session, subject: Reference, entry: Referrer) -> None:
        """Add an entry to the fallback tag; others may do so at the same time, here and elsewhere.

        :raises RegistryError: refused, or others change the tag all the time.
        """
        tagged = subject.with_tag(_tag(subject))
        with self._lock:
            key = (tagged.registry, tagged.repository, tagged.tag)
            lock = self._tags.setdefault(key, threading.Lock())
        clock = self._requester.config.clock
        written = looked_again = False
        with lock:
            for _ in range(_MAX_UPDATES):
                entries, index, digest = self._fallback(session, subject)
                if any(e.descriptor.digest == entry.descriptor.digest for e in entries):
                    # Few registries know If-Match. With the others, another process may overwrite
                    # what was written here; a look some time later shows it.
                    if looked_again or not written:
                        return
                    looked_again = True
                    clock.sleep(_LOOK_AGAIN_SECONDS * (1 + clock.random()))
                    continue
                index["manifests"] = [*index["manifests"], entry.to_json()]
                if self._replace(session, tagged, index, digest):
                    written, looked_again = True, False
                else:
                    clock.sleep(_LOOK_AGAIN_SECONDS * clock.random())
        raise RegistryError(
            f"others keep changing {tagged} while a referrer of {subject.digest} is added to it; "
            "run again"
        )

    def _replace(
        self, session: Session, tagged: Reference, index: Mapping[str, Any], digest: str
    ) -> bool:
        """Put `index` where the index `digest` is ("": none); False if it is another by now.

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
            return False
        return True


def _tag(subject: Reference) -> str:
    return subject.digest.replace(":", "-", 1)


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
            descriptor = Descriptor.from_json(item, where="the referrers")
            found.append(Referrer(descriptor, kind if isinstance(kind, str) else ""))
    return found
