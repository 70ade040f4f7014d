"""Images as pure data: config, manifest and index composed from descriptors alone.

What the bytes mean follows OCI image-spec 1.1 (config.md, manifest.md, image-index.md); what is
written into them follows ko (`pkg/build/gobuild.go`): entrypoint, PATH, KO_DATA_PATH, history and
base annotations. The JSON is canonical (sorted keys, no white space), so that the same inputs give
the same digest on every machine.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci import media_types as mt
from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest, sorted_pairs
from ko_pants.oci.platform import Platform

ANNOTATION_BASE_DIGEST = "org.opencontainers.image.base.digest"
ANNOTATION_BASE_NAME = "org.opencontainers.image.base.name"

AUTHOR = "github.com/ko-build/ko"

# What Go's zero time looks like in JSON: ko writes it where no creation time is set.
_ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class BaseManifest:
    """One platform of a base image. `config` is the config's JSON, empty for scratch."""

    platform: Platform
    digest: str = ""
    config: bytes = b""
    layers: tuple[Descriptor, ...] = ()
    docker: bool = False


@dataclass(frozen=True)
class BaseImage:
    """A base image, reduced to the platforms that are wanted, in the order of its index.

    `name` and `digest` are empty for scratch. `source` says where layers come from when they must
    be copied: a reference without tag, or `oci:<directory>`.
    """

    name: str
    digest: str
    is_index: bool
    docker: bool
    manifests: tuple[BaseManifest, ...]
    source: str = ""

    def layer(self, digest: str) -> Descriptor | None:
        """The layer with this digest; None if no platform has one."""
        for manifest in self.manifests:
            for layer in manifest.layers:
                if layer.digest == digest:
                    return layer
        return None


@dataclass(frozen=True)
class AppLayer:
    """A layer that we add: `kind` is `kodata` or `binary`; the descriptor is of the OCI family."""

    kind: str
    diff_id: str
    descriptor: Descriptor
    comment: str
    created: int | None = None


@dataclass(frozen=True)
class ImageConfig:
    """What a target says of its image. Times are seconds since the epoch, None where not set."""

    app_name: str
    import_path: str
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    created: int | None = None


@dataclass(frozen=True)
class ImageLayer:
    """A layer of a composed image, with the media type that its manifest uses."""

    kind: str
    diff_id: str
    descriptor: Descriptor


@dataclass(frozen=True)
class ImageManifest:
    """One platform's image: config and manifest, ready to be pushed."""

    platform: Platform
    config: bytes
    config_descriptor: Descriptor
    manifest: bytes
    descriptor: Descriptor
    layers: tuple[ImageLayer, ...]


@dataclass(frozen=True)
class Image:
    """What a tag names: an index over manifests, or (`index` empty) a single manifest."""

    manifests: tuple[ImageManifest, ...]
    index: bytes
    descriptor: Descriptor

    @property
    def content(self) -> bytes:
        """The bytes that `descriptor` describes."""
        return self.index or self.manifests[0].manifest

    @cached_property
    def platform_names(self) -> str:
        """The platforms for a reader; found once, for every run of a daemon reports it."""
        return ", ".join(str(manifest.platform) for manifest in self.manifests)

    @property
    def children(self) -> tuple[ImageManifest, ...]:
        """The manifests that must be there before the index; none for a single image."""
        return self.manifests if self.index else ()

    def blobs(self) -> dict[str, Descriptor]:
        """Every config and layer by digest, each once, in the order of the manifests."""
        out: dict[str, Descriptor] = {}
        for manifest in self.manifests:
            for layer in manifest.layers:
                out.setdefault(layer.descriptor.digest, layer.descriptor)
            out.setdefault(manifest.config_descriptor.digest, manifest.config_descriptor)
        return out

    def configs(self) -> dict[str, bytes]:
        """The config blobs by digest: the only blobs whose bytes the image itself carries."""
        return {m.config_descriptor.digest: m.config for m in self.manifests}


def canonical_json(obj: object) -> bytes:
    """JSON with sorted keys and no white space, UTF-8: the same bytes everywhere."""
    text = json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Half of a surrogate pair, which JSON can spell and UTF-8 cannot: U+FFFD, as Go writes it.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def scratch_base(platforms: Iterable[Platform]) -> BaseImage:
    """The empty base: no layers, no name, any platform."""
    manifests = tuple(BaseManifest(platform) for platform in platforms)
    return BaseImage("", "", is_index=len(manifests) > 1, docker=False, manifests=manifests)


def compose_image(
    base: BaseImage,
    layers: Mapping[Platform, Sequence[AppLayer]],
    config: ImageConfig,
) -> Image:
    """Put our layers on every platform of the base.

    As ko does: one matching platform gives a single image, several give an index in the base's
    order; the media types are those of the base's family (some registries refuse mixtures).
    """
    manifests = tuple(
        _compose_manifest(base, m, layers[m.platform], config) for m in base.manifests
    )
    if len(manifests) == 1:
        return Image(manifests, b"", manifests[0].descriptor)
    media_type = _family(mt.OCI_INDEX, base.docker)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [m.descriptor.to_json() for m in manifests],
    }
    annotations = dict(config.annotations)
    if base.name:
        annotations[ANNOTATION_BASE_NAME] = base.name
        annotations[ANNOTATION_BASE_DIGEST] = base.digest
    if annotations and not base.docker:
        document["annotations"] = annotations
    index = canonical_json(document)
    return Image(manifests, index, Descriptor(media_type, sha256_digest(index), len(index)))


def _compose_manifest(
    base: BaseImage, manifest: BaseManifest, added: Sequence[AppLayer], config: ImageConfig
) -> ImageManifest:
    docker = manifest.docker
    layers = (
        *_base_layers(base, manifest),
        *(
            ImageLayer(
                layer.kind,
                layer.diff_id,
                Descriptor(
                    _family(layer.descriptor.media_type, docker),
                    layer.descriptor.digest,
                    layer.descriptor.size,
                ),
            )
            for layer in added
        ),
    )
    config_bytes = canonical_json(_config_document(manifest, layers, added, config))
    config_descriptor = Descriptor(
        _family(mt.OCI_CONFIG, docker), sha256_digest(config_bytes), len(config_bytes)
    )
    media_type = _family(mt.OCI_MANIFEST, docker)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_descriptor.to_json(),
        "layers": [layer.descriptor.to_json() for layer in layers],
    }
    annotations = dict(config.annotations)
    if base.name:
        annotations[ANNOTATION_BASE_NAME] = base.name
        annotations[ANNOTATION_BASE_DIGEST] = manifest.digest
    if annotations:
        document["annotations"] = annotations
    content = canonical_json(document)
    descriptor = Descriptor(
        media_type, sha256_digest(content), len(content), platform=manifest.platform
    )
    return ImageManifest(
        manifest.platform, config_bytes, config_descriptor, content, descriptor, layers
    )


def _base_layers(base: BaseImage, manifest: BaseManifest) -> tuple[ImageLayer, ...]:
    if not manifest.config:
        return ()
    diff_ids = _base_config(manifest).get("rootfs", {}).get("diff_ids", [])
    if len(diff_ids) != len(manifest.layers):
        raise KoPantsError(
            f"base image {base.name}: the manifest for {manifest.platform} has "
            f"{len(manifest.layers)} layers and its config {len(diff_ids)} diff_ids; "
            "expected as many. The base image is damaged: push it anew or choose another one"
        )
    return tuple(
        ImageLayer("base", str(diff_id), layer) for diff_id, layer in zip(diff_ids, manifest.layers)
    )


def _base_config(manifest: BaseManifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest.config) if manifest.config else {}
    return document


def _config_document(
    base: BaseManifest,
    layers: Sequence[ImageLayer],
    added: Sequence[AppLayer],
    config: ImageConfig,
) -> dict[str, Any]:
    document = _base_config(base)
    windows = base.platform.os == "windows"
    inner: dict[str, Any] = dict(document.get("config") or {})
    inner["Entrypoint"] = [
        f"C:\\ko-app\\{config.app_name}" if windows else f"/ko-app/{config.app_name}"
    ]
    inner.pop("Cmd", None)
    inner["Env"] = _environment(inner.get("Env") or [], windows=windows)
    inner["Labels"] = {**(inner.get("Labels") or {}), **dict(config.labels)}
    if not inner["Labels"]:
        del inner["Labels"]

    document["config"] = inner
    document["author"] = AUTHOR
    document["os"] = base.platform.os
    document["architecture"] = base.platform.architecture
    if base.platform.variant:
        document["variant"] = base.platform.variant
    if base.platform.os_version:
        document["os.version"] = base.platform.os_version
    if config.created is not None:
        document["created"] = rfc3339(config.created)
    document.setdefault("created", _ZERO_TIME)
    document["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}
    document["history"] = [
        *(document.get("history") or []),
        *(
            {
                "author": "ko",
                "created": _ZERO_TIME if layer.created is None else rfc3339(layer.created),
                "created_by": f"ko build ko://{config.import_path}",
                "comment": layer.comment,
            }
            for layer in added
        ),
    ]
    return document


def _environment(base: Sequence[str], *, windows: bool) -> list[str]:
    """The base's variables, our directory appended to PATH, KO_DATA_PATH added."""
    app_dir = r"C:\ko-app" if windows else "/ko-app"
    env = [str(entry) for entry in base]
    for i, entry in enumerate(env):
        if entry.startswith("PATH="):
            env[i] = f"{entry}:{app_dir}"
            break
    else:
        env.append(f"PATH={app_dir}")
    env.append(r"KO_DATA_PATH=C:\var\run\ko" if windows else "KO_DATA_PATH=/var/run/ko")
    return env


def rfc3339(epoch: int) -> str:
    """Seconds since the epoch as an RFC 3339 time in UTC, as Go writes it."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _family(media_type: str, docker: bool) -> str:
    return mt.docker_equivalent(media_type) if docker else media_type


def parse_document(content: bytes, *, where: str) -> dict[str, Any]:
    """Read a manifest or index and check that it is a JSON object.

    :raises KoPantsError: if not; `where` names the document.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as e:
        raise KoPantsError(f"{where}: expected JSON, found something else ({e})") from None
    if not isinstance(document, dict):
        raise KoPantsError(f"{where}: expected a JSON object, found {type(document).__name__}")
    return document


def document_media_type(document: Mapping[str, Any], declared: str) -> str:
    """The media type of a manifest or index: its own field, else what the server or index said."""
    own = document.get("mediaType")
    if isinstance(own, str) and own:
        return own
    if declared in mt.INDEX_TYPES | mt.MANIFEST_TYPES:
        return declared
    return mt.OCI_INDEX if "manifests" in document else mt.OCI_MANIFEST


def read_index(document: Mapping[str, Any], *, where: str) -> tuple[Descriptor, ...]:
    """The entries of an index, those of unknown platform (attestations) left out.

    :raises KoPantsError: if there is no list of descriptors.
    """
    entries = document.get("manifests")
    if not isinstance(entries, list):
        raise KoPantsError(f"{where}: expected an image index with a list `manifests`")
    descriptors = (Descriptor.from_json(entry, where=where) for entry in entries)
    return tuple(
        d
        for d in descriptors
        if d.media_type in mt.MANIFEST_TYPES
        and not (d.platform and "unknown" in (d.platform.os, d.platform.architecture))
    )


def read_manifest(
    document: Mapping[str, Any], *, where: str
) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """Config and layers of a manifest.

    :raises KoPantsError: if it has none.
    """
    layers = document.get("layers")
    if not isinstance(layers, list):
        raise KoPantsError(f"{where}: expected an image manifest with a list `layers`")
    return (
        Descriptor.from_json(document.get("config"), where=f"{where}, config"),
        tuple(Descriptor.from_json(layer, where=f"{where}, layer") for layer in layers),
    )


def read_config_platform(config: bytes, *, where: str) -> Platform:
    """The platform that an image config names; linux/amd64 where it names none, as in ko.

    :raises KoPantsError: if the config is no JSON object, its diff_ids are no digests, or what we
        add to is of another kind.
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
            for key, kind in (("Env", list), ("Labels", dict))
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
    )


def image_annotations(mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Annotations or labels as the sorted pairs that `ImageConfig` takes."""
    return sorted_pairs(mapping)
