"""JSON documents of images: the form that is written, and what is read of those of others.

A document is a manifest, an index or a config. What is written is canonical (sorted keys, no white
space), so that the same inputs give the same digest on every machine. What is read is checked as
far as it is used.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii
from typing import Any, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, is_digest, sorted_pairs
from ko_pants.oci.platform import Platform

# The parts of `config` in a config that an image on this base adds to.
_INNER_TYPES = (("Env", list), ("Labels", dict), ("ExposedPorts", dict), ("Volumes", dict))


def canonical_json(obj: object) -> bytes:
    """JSON in UTF-8 with sorted keys and no white space: the same bytes on every machine."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # JSON can spell one half of a surrogate pair, UTF-8 cannot. Go writes U+FFFD instead.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def indented_json(obj: object, line: str = "\n") -> str:
    """What `json.dumps(obj, indent=2)` gives, in half the time: json has no C code for it.

    :param obj: the keys of its dicts are texts.
    :param line: what comes before the next entry of what `obj` is in: a line break and blanks.
    """
    if isinstance(obj, str):
        return encode_basestring_ascii(obj)
    if type(obj) is int:
        return str(obj)
    inner = line + "  "
    if isinstance(obj, dict) and obj:
        parts = [f"{encode_basestring_ascii(k)}: {indented_json(v, inner)}" for k, v in obj.items()]
        return f"{{{inner}{(',' + inner).join(parts)}{line}}}"
    if isinstance(obj, (list, tuple)) and obj:
        return f"[{inner}{(',' + inner).join([indented_json(v, inner) for v in obj])}{line}]"
    return json.dumps(obj)


def parse_document(content: bytes, *, where: str) -> dict[str, Any]:
    """Read a document.

    :param where: names the document in the message of an error.
    :raises KoPantsError: it is no JSON object.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise KoPantsError(f"{where}: expected JSON, found something else ({e})") from None
    if not isinstance(document, dict):
        raise KoPantsError(f"{where}: expected a JSON object, found {type(document).__name__}")
    return document


def document_media_type(document: Mapping[str, Any], declared: str) -> str:
    """The media type of a manifest or index.

    :param declared: what the server or the index said; it counts where the document says nothing.
    """
    own = document.get("mediaType")
    if isinstance(own, str) and own:
        return own
    if declared in mt.INDEX_TYPES | mt.MANIFEST_TYPES:
        return declared
    return mt.OCI_INDEX if "manifests" in document else mt.OCI_MANIFEST


def read_index(document: Mapping[str, Any], *, where: str) -> tuple[Descriptor, ...]:
    """The images of an index, in its order.

    Attestations are left out: entries with an unknown platform, as ko does, and those that buildkit
    marks with `vnd.docker.reference.type`. Entries of other media types are left out as well
    (image-spec, image-index.md: an unknown type is no error).

    :raises KoPantsError: there is no list of descriptors, or an entry is an index. ko refuses the
        latter too.
    """
    entries = document.get("manifests")
    if not isinstance(entries, list):
        raise KoPantsError(f"{where}: expected an image index with a list `manifests`")
    descriptors = [Descriptor.from_json(entry, where=where) for entry in entries]
    images = [d for d in descriptors if not _is_attestation(d)]
    for nested in (d for d in images if d.media_type in mt.INDEX_TYPES):
        platform = f" for {nested.platform}" if nested.platform else ""
        raise KoPantsError(
            f"{where}: expected an index of images, found an index within the index: "
            f"{nested.digest}{platform}. Name that one by its digest instead, or choose another "
            "image"
        )
    return tuple(d for d in images if d.media_type in mt.MANIFEST_TYPES)


def _is_attestation(entry: Descriptor) -> bool:
    platform = entry.platform
    return "vnd.docker.reference.type" in dict(entry.annotations) or (
        platform is not None and "unknown" in (platform.os, platform.architecture)
    )


def read_manifest(
    document: Mapping[str, Any], *, where: str
) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """The config and the layers of a manifest.

    :raises KoPantsError: it has no config, or no list of layers.
    """
    layers = document.get("layers")
    if not isinstance(layers, list):
        raise KoPantsError(f"{where}: expected an image manifest with a list `layers`")
    return (
        Descriptor.from_json(document.get("config"), where=f"{where}, config"),
        tuple(Descriptor.from_json(layer, where=f"{where}, layer") for layer in layers),
    )


def read_annotations(document: Mapping[str, Any], *, where: str) -> tuple[tuple[str, str], ...]:
    """The annotations of a manifest or index, as sorted pairs.

    :raises KoPantsError: they are no object of strings.
    """
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict) or not all(
        isinstance(value, str) for value in annotations.values()
    ):
        raise KoPantsError(
            f"{where}: expected `annotations` to be an object of strings, found {annotations!r:.80}"
        )
    return sorted_pairs(annotations)


def read_config_platform(config: bytes, *, where: str) -> Platform:
    """The platform that an image config names; linux/amd64 where it names none, as in ko.

    :raises KoPantsError: the config is no JSON object, its diff_ids are no digests, or a part that
        an image on this base adds to (history, environment, labels, ports, volumes) is of another
        type.
    """
    document = parse_document(config, where=where)
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids", []) if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or not all(is_digest(d) for d in diff_ids):
        raise KoPantsError(f"{where}: expected `rootfs.diff_ids` to be a list of sha256 digests")
    inner = document.get("config") or {}
    for name, value, kind in (
        ("config", inner, dict),
        ("history", document.get("history") or [], list),
        *(
            (f"config.{key}", inner.get(key) or kind(), kind)
            for key, kind in _INNER_TYPES
            if isinstance(inner, dict)
        ),
    ):
        if not isinstance(value, kind):
            expected = "an object" if kind is dict else "a list"
            raise KoPantsError(f"{where}: expected `{name}` to be {expected}, found {value!r:.80}")
    platform = Platform.from_json(document)
    return Platform(
        platform.os or "linux",
        platform.architecture or "amd64",
        platform.variant,
        platform.os_version,
        platform.os_features,
    )
