"""Content descriptors: media type, digest and size of a blob (OCI image-spec, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(value: object) -> bool:
    """True for `sha256:` and 64 lower-case hex digits, the only algorithm used here."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def sha256_digest(content: bytes) -> str:
    """The digest of `content`, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def short_digest(digest: str) -> str:
    """What tells digests apart for a reader: `sha256:` and the first 12 digits, as docker shows."""
    return digest[: len("sha256:") + 12]


@dataclass(frozen=True)
class Descriptor:
    """How an index refers to a manifest, or a manifest to a config or a layer.

    :param size: in bytes.
    :param annotations: sorted pairs, so that a descriptor is hashable.
    """

    media_type: str
    digest: str
    size: int
    annotations: tuple[tuple[str, str], ...] = ()
    platform: Platform | None = None
    urls: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object, without empty keys, in the order of Go's struct."""
        out: dict[str, Any] = {
            "mediaType": self.media_type,
            "size": self.size,
            "digest": self.digest,
        }
        if self.urls:
            out["urls"] = list(self.urls)
        if self.annotations:
            out["annotations"] = dict(self.annotations)
        if self.platform is not None:
            out["platform"] = self.platform.to_json()
        return out

    @classmethod
    def from_json(cls, obj: object, *, where: str) -> Descriptor:
        """Read and check a descriptor.

        :param where: names the descriptor in the message of an error.
        :raises KoPantsError: it is no descriptor with a sha256 digest.
        """
        if not isinstance(obj, Mapping):
            raise KoPantsError(f"{where}: expected a descriptor (a JSON object), found {obj!r:.80}")
        digest, size, media_type = obj.get("digest"), obj.get("size"), obj.get("mediaType", "")
        if not is_digest(digest):
            raise KoPantsError(f"{where}: expected a sha256 digest, found {digest!r:.80}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise KoPantsError(f"{where}: expected a size in bytes, found {size!r:.80}")
        if not isinstance(media_type, str):
            raise KoPantsError(f"{where}: expected a media type, found {media_type!r:.80}")
        annotations = obj.get("annotations") or {}
        urls = obj.get("urls") or ()
        platform = obj.get("platform")
        return cls(
            media_type=media_type,
            digest=str(digest),
            size=size,
            annotations=sorted_pairs(annotations) if isinstance(annotations, Mapping) else (),
            platform=Platform.from_json(platform) if isinstance(platform, Mapping) else None,
            urls=tuple(str(u) for u in urls) if isinstance(urls, (list, tuple)) else (),
        )


def sorted_pairs(mapping: Mapping[Any, Any]) -> tuple[tuple[str, str], ...]:
    """A mapping as sorted pairs of strings: hashable, as annotations and labels are kept."""
    return tuple(sorted((str(k), str(v)) for k, v in mapping.items()))
