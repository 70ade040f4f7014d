"""Entries of artifacts in `index.json` of a layout: manifests with a `subject`.

The image-spec says nothing of them. As oras (1.3.6) writes them, they have an `artifactType` and no
reference name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import parse_document
from ko_pants.oci.media_types import INDEX_TYPES

if TYPE_CHECKING:
    from ko_pants.oci.layout import Layout

ANNOTATION_REF_NAME = "org.opencontainers.image.ref.name"


def reference_name(entry: object) -> str | None:
    """The name of an entry of `index.json`."""
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    name = annotations.get(ANNOTATION_REF_NAME) if isinstance(annotations, dict) else None
    return name if isinstance(name, str) else None


def is_artifact(entry: object) -> bool:
    """True for the entry of an artifact."""
    return (
        isinstance(entry, dict)
        and bool(entry.get("artifactType"))
        and reference_name(entry) is None
    )


def without_orphans(layout: Layout, kept: list[Any], replaced: Sequence[Any]) -> list[Any]:
    """Leave out the artifacts of images that have lost their last entry.

    :param kept: entries that stay.
    :param replaced: entries whose names have gone to others.
    """
    left = _digests(kept)
    gone = [entry for entry in replaced if _digests([entry]) - left]
    if not gone:
        return kept
    orphaned = _manifests_of(layout, gone)
    orphaned -= _manifests_of(layout, [entry for entry in kept if not is_artifact(entry)])
    return [
        entry for entry in kept if not (is_artifact(entry) and _subject(layout, entry) in orphaned)
    ]


def artifact_types(layout: Layout, entries: Iterable[Any], subject: str) -> frozenset[str]:
    """The types of the artifacts that are about the manifest with the digest `subject`."""
    return frozenset(
        entry["artifactType"]
        for entry in entries
        if is_artifact(entry) and _subject(layout, entry) == subject
    )


def _manifests_of(layout: Layout, entries: Iterable[Any]) -> set[str]:
    """The digests of images, and of the children of those that are indexes."""
    found: set[str] = set()
    for entry in entries:
        found |= _digests([entry])
        if isinstance(entry, dict) and entry.get("mediaType") in INDEX_TYPES:
            found |= _digests(_document(layout, entry).get("manifests") or ())
    return found


def _subject(layout: Layout, entry: Any) -> str:
    return next(iter(_digests([_document(layout, entry).get("subject")])), "")


def _document(layout: Layout, entry: Any) -> Mapping[str, Any]:
    """The JSON object of an entry; empty if it cannot be read: then nothing is known of it."""
    try:
        descriptor = Descriptor.from_json(entry, where=layout.path)
        return parse_document(layout.read_blob(descriptor), where=layout.path)
    except KoPantsError:
        return {}


def _digests(entries: Iterable[object]) -> set[str]:
    return {str(e["digest"]) for e in entries if isinstance(e, dict) and "digest" in e}
