"""The protocol of signers: what a signer reads and what it may answer. No process, no file.

A signer is a program of the user. It reads one request, a JSON object, on its standard input. It
answers on its standard output: nothing, if it has attached what it wanted by itself, or a JSON
object with the artifacts that are to be attached for it. `docs/sbom.md` is the specification.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from ko_pants.artifacts.artifact import Artifact, ArtifactLayer, compose_layered_artifact
from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor, sorted_pairs

#: Of requests and answers. A change that an older signer would misread makes another one.
PROTOCOL_VERSION = 1

#: Limits in bytes: of an answer, of a layer, and of a manifest (as registries have it).
MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_LAYER_BYTES = 32 * 1024 * 1024
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

# RFC 6838, section 4.2: a registered name has at most 127 characters.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(f"{_NAME}/{_NAME}")
_SHOWN = 80
_REF_NAME = "org.opencontainers.image.ref.name"

#: The bytes of a file that an answer names; raises a KoPantsError that says why there are none.
ReadFile = Callable[[str], bytes]


@dataclass(frozen=True)
class SigningRequest:
    """What a signer is told of one image in one repository.

    :param registry: `host[:port]`; empty for a layout.
    :param layout: the absolute path of an OCI layout; empty for a registry.
    :param tags: that name the image, or will once it is signed.
    :param plain_http: the registry is spoken to without TLS.
    :param image: the descriptor of the index, or of the only manifest.
    :param children: the manifests of an index.
    :param artifacts: what this run has attached to image and children.
    """

    target: str
    registry: str
    layout: str
    repository: str
    tags: tuple[str, ...]
    plain_http: bool
    image: Descriptor
    children: tuple[Descriptor, ...] = ()
    artifacts: tuple[Artifact, ...] = ()

    @property
    def reference(self) -> str:
        """The image by its digest."""
        if self.layout:
            return f"{self.layout}@{self.image.digest}"
        return f"{self.registry}/{self.repository}@{self.image.digest}"

    @property
    def subjects(self) -> dict[str, Descriptor]:
        """What an artifact may refer to, by digest."""
        return {d.digest: d for d in (self.image, *self.children)}

    def content(self) -> bytes:
        """The JSON object that the signer reads."""
        request = {
            "version": PROTOCOL_VERSION,
            "target": self.target,
            "reference": self.reference,
            "registry": self.registry,
            "layout": self.layout,
            "repository": self.repository,
            "tags": list(self.tags),
            "plain_http": self.plain_http,
            "image": _described(self.image),
            "children": [_described(child) for child in self.children],
            "artifacts": [
                {
                    "kind": artifact.kind,
                    "artifact_type": artifact.artifact_type,
                    "subject": artifact.subject.digest,
                    **_described(artifact.descriptor),
                }
                for artifact in self.artifacts
            ],
        }
        return json.dumps(request, indent=2).encode() + b"\n"


def _described(descriptor: Descriptor) -> dict[str, object]:
    found: dict[str, object] = {
        "media_type": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.platform is not None:
        found["platform"] = str(descriptor.platform)
    return found


def parse_answer(
    content: bytes, request: SigningRequest, read_file: ReadFile
) -> tuple[Artifact, ...]:
    """The artifacts that a signer wants to have attached, each once; none if it wrote nothing.

    :param read_file: reads what an answer names as `path`.
    :raises KoPantsError: the answer is wrong. The text says where, what was found and what is
        expected; it names neither the signer nor the target.
    """
    if not content.strip():
        return ()
    answer = _object(_decoded(content), "the answer", {"artifacts"}, {"version"})
    version = answer.get("version", PROTOCOL_VERSION)
    if isinstance(version, bool) or version != PROTOCOL_VERSION:
        raise _expected("version", version, f"{PROTOCOL_VERSION}, the version of the request")
    entries = _list(answer["artifacts"], "artifacts")
    artifacts = (
        _artifact(entry, f"artifacts[{number}]", request, read_file)
        for number, entry in enumerate(entries)
    )
    return tuple({artifact.descriptor.digest: artifact for artifact in artifacts}.values())


def check_media_type(value: object, where: str) -> str:
    """The value, if it is a media type without parameters (RFC 6838).

    :raises KoPantsError: it is none; the text begins with `where`.
    """
    if not isinstance(value, str) or not _MEDIA_TYPE.fullmatch(value):
        raise _expected(where, value, "a media type such as application/vnd.example.signature")
    return value


def _artifact(entry: object, where: str, request: SigningRequest, read_file: ReadFile) -> Artifact:
    fields = _object(entry, where, {"subject", "artifact_type"}, {"annotations", "layers"})
    subjects = request.subjects
    subject = fields["subject"]
    if not isinstance(subject, str) or subject not in subjects:
        known = ", ".join(subjects)
        raise _expected(f"{where}.subject", subject, f"a digest of the request: {known}")
    artifact = compose_layered_artifact(
        "signature",
        subjects[subject],
        check_media_type(fields["artifact_type"], f"{where}.artifact_type"),
        [
            _layer(layer, f"{where}.layers[{number}]", read_file)
            for number, layer in enumerate(_list(fields.get("layers", []), f"{where}.layers"))
        ],
        annotations=_unnamed(
            _annotations(fields.get("annotations", {}), f"{where}.annotations"),
            f"{where}.annotations",
        ),
    )
    if artifact.descriptor.size > MAX_MANIFEST_BYTES:
        raise KoPantsError(
            f"{where}: its manifest would have {artifact.descriptor.size} bytes, and registries "
            f"take {MAX_MANIFEST_BYTES}; put less into annotations, and content into layers"
        )
    return artifact


def _layer(entry: object, where: str, read_file: ReadFile) -> ArtifactLayer:
    fields = _object(entry, where, {"media_type"}, {"path", "content_base64", "annotations"})
    media_type = check_media_type(fields["media_type"], f"{where}.media_type")
    annotations = _annotations(fields.get("annotations", {}), f"{where}.annotations")
    if ("path" in fields) == ("content_base64" in fields):
        found = "both" if "path" in fields else "neither"
        raise KoPantsError(f"{where}: expected either `path` or `content_base64`, found {found}")
    if "path" in fields:
        content = _file(fields["path"], f"{where}.path", read_file)
    else:
        content = _base64(fields["content_base64"], f"{where}.content_base64")
    if len(content) > MAX_LAYER_BYTES:
        raise KoPantsError(
            f"{where}: found {len(content)} bytes, expected at most {MAX_LAYER_BYTES}"
        )
    return ArtifactLayer(media_type, content, annotations)


def _file(value: object, where: str, read_file: ReadFile) -> bytes:
    if not isinstance(value, str) or not value or "\0" in value:
        raise _expected(where, value, "the path of a file")
    try:
        return read_file(value)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def _base64(value: object, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return base64.b64decode(value.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            pass
    raise _expected(where, value, "base64 without line breaks, such as that of `base64 -w0`")


def _unnamed(annotations: tuple[tuple[str, str], ...], where: str) -> tuple[tuple[str, str], ...]:
    """The annotations of a manifest, none of which gives it a name in a layout."""
    if any(name == _REF_NAME for name, _ in annotations):
        raise KoPantsError(
            f"{where}: found {_REF_NAME}, which would name the artifact in a layout; leave it out"
        )
    return annotations


def _annotations(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise _expected(where, value, "an object of strings")
    for name, text in value.items():
        if not name:
            raise KoPantsError(f"{where}: found an empty name")
        if not isinstance(text, str):
            raise _expected(f"{where}[{_shown(name)}]", text, "a string")
    return sorted_pairs(value)


def _object(value: object, where: str, required: set[str], optional: set[str]) -> Mapping[str, Any]:
    """A JSON object with these keys and no others, so that a misspelt one is noticed."""
    keys = ", ".join(f"`{key}`" for key in [*sorted(required), *sorted(optional)])
    if not isinstance(value, dict):
        raise _expected(where, value, f"an object with {keys}")
    for key in value:
        if key not in required | optional:
            raise _expected(where, key, f"one of the keys {keys}")
    for key in sorted(required):
        if key not in value:
            raise KoPantsError(f"{where}: `{key}` is missing")
    return value


def _list(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise _expected(where, value, "a list")
    return value


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content.decode(), object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        pass
    start = content.strip()[:_SHOWN].decode("utf-8", "replace")
    raise _expected(
        "the answer",
        start,
        "a JSON object, whose keys come once, or nothing. What is said to people belongs on "
        "standard error (`>&2`)",
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _expected(where: str, found: object, expected: str) -> KoPantsError:
    return KoPantsError(f"{where}: found {_shown(found)}, expected {expected}")


def _shown(value: object) -> str:
    """JSON of a stranger for one line of a terminal."""
    text = json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
