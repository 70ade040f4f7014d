"""The two maps of a KOCACHE as bytes: what ko wrote, what we write, and what is damaged.

`buildid-to-diffid` is `{"<build id>": "sha256:<hex>"}`, `diffid-to-descriptor` is
`{"sha256:<hex>": <descriptor>}` (ko's pkg/build/cache.go); JSON indented by two spaces. ko rewrites
a file in place and does not truncate it, so that only its first JSON value counts.

A descriptor of ours has, in its `annotations`, its compressor, the keys that lead to it, and a
check value over all of that and the directory of the map. So a flipped byte, a cut, or a piece of
another file makes it a miss and never another value.

One of those annotations is a number, which is no valid annotation. ko cannot decode such a file and
takes it as a miss. Otherwise ko would trust our descriptor, and its push would fail where the
registry lacks the blob.

Nothing here touches the disk. What is read from a map never raises, whatever its content.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.layers.encodings import encoding_name_in, encoding_of_media_type
from ko_pants.oci.descriptor import Descriptor, is_digest, sorted_pairs
from ko_pants.oci.media_types import oci_equivalent

_FORMAT_VERSION = 1
UNKNOWN_COMPRESSOR = "unknown"

_OWN = "dev.ko-pants."
_FORMAT = _OWN + "format"
_COMPRESSOR = _OWN + "compressor"
_KEYS = _OWN + "keys"
_CHECK = _OWN + "check"
_CHECK_HEX_DIGITS = 32

# Several keys lead to one layer only when they differ in something that did not change the tar.
_MAX_KEYS = 8


@dataclass(frozen=True)
class CachedLayer:
    """A layer without its bytes.

    :param diff_id: sha256 of the uncompressed tar.
    :param descriptor: of the compressed blob; its media type is of the OCI family, and its
        annotations are those it was recorded with (none for a foreign descriptor).
    :param compressor: what made the blob, such as `libdeflate-1.24/gzip-1`; `unknown` if another
        producer recorded the descriptor.
    """

    diff_id: str
    descriptor: Descriptor
    compressor: str


@dataclass(frozen=True)
class LayerRecord:
    """A layer as we recorded it in a map file.

    :param keys: the keys that lead to it (`LayerKey.map_key`), the oldest first.
    """

    layer: CachedLayer
    keys: tuple[str, ...]

    def with_key(self, key: str) -> LayerRecord:
        """With `key` as the newest of its keys; the oldest are dropped where there are too many."""
        return LayerRecord(self.layer, (*self.without_key(key).keys, key)[-_MAX_KEYS:])

    def without_key(self, key: str) -> LayerRecord:
        """Without `key`."""
        return LayerRecord(self.layer, tuple(k for k in self.keys if k != key))

    def to_json(self, directory: str) -> dict[str, Any]:
        """The JSON value; `directory` is where the map lies, and is part of the check value."""
        descriptor = self.layer.descriptor
        out = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size).to_json()
        out["annotations"] = {
            **dict(descriptor.annotations),
            _FORMAT: _FORMAT_VERSION,
            _COMPRESSOR: self.layer.compressor,
            _KEYS: list(self.keys),
            _CHECK: _check_value(directory, self),
        }
        return out


def normalise(layer: CachedLayer) -> CachedLayer:
    """As `layer` is stored: OCI media type, its own annotations, neither platform nor urls.

    :raises KoPantsError: no layer descriptor with sha256 digests, or an unknown media type.
    """
    media_type = oci_equivalent(layer.descriptor.media_type)
    if not is_digest(layer.diff_id) or not is_digest(layer.descriptor.digest):
        raise KoPantsError(f"expected sha256 digests, found {layer!r:.200}")
    if encoding_of_media_type(media_type) is None or layer.descriptor.size < 0:
        raise KoPantsError(f"expected the descriptor of a layer, found {layer.descriptor!r:.200}")
    annotations = tuple(
        pair for pair in layer.descriptor.annotations if not pair[0].startswith(_OWN)
    )
    return CachedLayer(
        layer.diff_id,
        Descriptor(
            media_type,
            layer.descriptor.digest,
            layer.descriptor.size,
            annotations=sorted_pairs(dict(annotations)),
        ),
        layer.compressor,
    )


def parse_map(content: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The first JSON value of a map file, and whether it is all that is in the file.

    None if it is no JSON object. Something follows it after a shorter write by ko.
    """
    text = content.decode("utf-8", "replace").strip(" \t\r\n")
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None, False
    return (value, end == len(text)) if isinstance(value, dict) else (None, False)


def encode_map(entries: Mapping[str, Any]) -> bytes:
    """The file that holds `entries`, in their order, indented as ko's."""
    return (json.dumps(entries, indent=2) + "\n").encode("ascii")


def own_record(directory: str, diff_id: str, value: object) -> LayerRecord | None:
    """The record of ours that `value` is; None if it is another's or damaged.

    :param directory: where the map lies, relative to the root of the cache.
    """
    if not isinstance(value, dict) or not is_digest(diff_id):
        return None
    annotations = value.get("annotations")
    if not isinstance(annotations, dict) or not _is_format(annotations.get(_FORMAT)):
        return None
    compressor, keys = annotations.get(_COMPRESSOR), annotations.get(_KEYS)
    if not isinstance(compressor, str) or not isinstance(keys, list):
        return None
    if not all(isinstance(key, str) for key in keys):
        return None
    own = {k: v for k, v in annotations.items() if not k.startswith(_OWN)}
    if not all(isinstance(v, str) for v in own.values()):
        return None
    try:
        descriptor = Descriptor.from_json({**value, "annotations": own}, where="")
    except (KoPantsError, RecursionError):
        return None
    plain = Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        annotations=descriptor.annotations,
    )
    record = LayerRecord(CachedLayer(diff_id, plain, compressor), tuple(keys))
    return record if annotations.get(_CHECK) == _check_value(directory, record) else None


def foreign_layer(diff_id: str, value: object) -> CachedLayer | None:
    """The layer that another producer (ko) described; None for anything that ko could not read.

    What has a mark of ours anywhere is never foreign: it is ours or damaged.
    """
    if not isinstance(value, dict):
        return None
    annotations = value.get("annotations")
    if isinstance(annotations, dict):
        # The first question decides for the most part, as most entries are ours.
        if _FORMAT in annotations or not all(isinstance(v, str) for v in annotations.values()):
            return None
    elif annotations is not None:
        return None
    try:
        if _OWN in json.dumps(value):
            return None
        descriptor = Descriptor.from_json({**value, "annotations": None}, where="")
        return normalise(CachedLayer(diff_id, descriptor, UNKNOWN_COMPRESSOR))
    except (KoPantsError, RecursionError):
        return None


def same_encoding(layer: CachedLayer, compressor: str) -> bool:
    """True if the media type of `layer` stands for the encoding of `compressor`.

    False for an encoding that demands more of its bytes than its media type says (eStargz), so a
    descriptor of another producer never counts as one of these.
    """
    encoding = encoding_of_media_type(layer.descriptor.media_type)
    return encoding is not None and encoding.name == encoding_name_in(compressor)


def _is_format(value: object) -> bool:
    return value == _FORMAT_VERSION and not isinstance(value, bool)


def _check_value(directory: str, record: LayerRecord) -> str:
    layer, descriptor = record.layer, record.layer.descriptor
    covered = json.dumps(
        [
            *(directory, layer.diff_id, layer.compressor, record.keys),
            *(descriptor.media_type, descriptor.digest, descriptor.size, descriptor.annotations),
        ],
        separators=(",", ":"),
    )
    return hashlib.sha256(covered.encode("ascii")).hexdigest()[:_CHECK_HEX_DIGITS]
