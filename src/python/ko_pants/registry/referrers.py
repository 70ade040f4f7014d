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
from ko_pants.registry.manifests import MAX_MANIFEST, Manifests
from ko_pants.registry.requester import Counter, Requester

_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?")
_MAX_PAGES = 100
_UPDATES = 24
# Seconds in which two writers of one fallback tag are likely to notice each other.
_SETTLE = 0.2


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

    def __init__(self, requester: Requester, manifests: Manifests) -> None:
        self._requester = requester
        self._manifests = manifests
        self._lock = threading.Lock()
        self._tags: dict[tuple[str, str, str], threading.Lock] = {}

    def find(self, counter: Counter, subject: Reference, artifact_type: str) -> list[Referrer]:
        """The referrers of the manifest `subject` (by digest), of one type where it is given.

        :raises RegistryError: the registry refused.
        """
        found = self._api(counter, subject, artifact_type)
        if found is None:
            found = self._fallback(counter, subject)[0]
        return [r for r in found if not artifact_type or r.artifact_type == artifact_type]

    def push(
        self, counter: Counter, repository: Reference, media_type: str, content: bytes
    ) -> Descriptor:
        """Store a manifest that has a subject, and see to it that the subject's referrers list it.

        :raises RegistryError: refused.
        """
        entry = Referrer.of_manifest(media_type, content)
        subject = repository.with_digest(json.loads(content)["subject"]["digest"])
        ref = repository.with_digest(entry.descriptor.digest)
        reply = self._manifests.put_once(counter, ref, entry.descriptor, content)
        if reply is None or reply.headers.get("OCI-Subject") != subject.digest:
            # Without the header, a registry that has the API all the same needs no tag.
            listed = self._api(counter, subject, "")
            if listed is None:
                self._add(counter, subject, entry)
        return entry.descriptor

    def _api(
        self, counter: Counter, subject: Reference, artifact_type: str
    ) -> list[Referrer] | None:
        """The answer of the referrers API; None if the registry does not have it."""
        requester = self._requester
        path = f"/v2/{subject.repository}/referrers/{subject.digest}"
        where = path + (f"?artifactType={_quoted(artifact_type)}" if artifact_type else "")
        found: list[Referrer] = []
        for _ in range(_MAX_PAGES):
            reply = requester.send(
                *(counter, "GET", subject, where),
                headers={"Accept": OCI_INDEX},
                limit=MAX_MANIFEST,
            )
            if reply.status in (400, 404, 405, 406, 501):
                return None
            if reply.status != 200:
                raise requester.error(reply, subject, "list the referrers of")
            entries = _entries(reply.body)
            if entries is None:
                # A web page with status 200, from a registry behind a catch-all route.
                return None
            found += entries
            link = _NEXT.search(reply.headers.get("Link", ""))
            if link is None:
                break
            reply.headers = {"Location": link[1]}
            target = requester.location(subject, reply)
            if target is None or Origin.of(target) != Origin.of(reply.url):
                raise RegistryError(
                    f"{subject.registry} continues the referrers of {subject} on another host, "
                    "which is not followed"
                )
            where = target
        return found

    def _fallback(
        self, counter: Counter, subject: Reference
    ) -> tuple[list[Referrer], dict[str, Any], str]:
        """The entries of the fallback tag, the whole index, and its digest ("": there is none)."""
        tagged = subject.with_tag(_tag(subject))
        found = self._manifests.find(counter, tagged)
        if found is None:
            return [], {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}, ""
        entries = _entries(found[1])
        if entries is None:
            raise RegistryError(
                f"{tagged} should be the list of referrers of {subject.digest}, but it is no index"
            )
        return entries, json.loads(found[1]), found[0].digest

    def _add(self, counter: Counter, subject: Reference, entry: Referrer) -> None:
        """Add to the fallback tag; others may do so at the same time, here and elsewhere."""
        tagged = subject.with_tag(_tag(subject))
        with self._lock:
            key = (tagged.registry, tagged.repository, tagged.tag)
            lock = self._tags.setdefault(key, threading.Lock())
        clock = self._requester.config.clock
        written = settled = False
        with lock:
            for _ in range(_UPDATES):
                entries, index, digest = self._fallback(counter, subject)
                # Few registries know If-Match; with the others, only a look some time after the
                # write tells that another process has overwritten it.
                if any(e.descriptor.digest == entry.descriptor.digest for e in entries):
                    if settled or not written:
                        return
                    settled = True
                    clock.sleep(_SETTLE * (1 + clock.random()))
                    continue
                index["manifests"] = [*index["manifests"], entry.to_json()]
                content = json.dumps(index, separators=(",", ":")).encode()
                descriptor = Descriptor(OCI_INDEX, sha256_digest(content), len(content))
                headers = {"If-Match": f'"{digest}"'} if digest else {"If-None-Match": "*"}
                try:
                    self._manifests.put_once(counter, tagged, descriptor, content, headers=headers)
                    written, settled = True, False
                except RegistryError as e:
                    if e.status != 412:
                        raise
                    clock.sleep(_SETTLE * clock.random())
        raise RegistryError(
            f"others keep changing {tagged} while a referrer of {subject.digest} is added to it; "
            "run again"
        )


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
