"""One repository that images are published to: on a registry, or in a layout on disk.

A store answers the same few questions for both, so that the steps of a publish know neither.
"""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, BinaryIO, Callable, Protocol, Sequence, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import Image
from ko_pants.oci.layout import Layout
from ko_pants.oci.reference import Reference
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import Loader, LocalStore
from ko_pants.registry.client import RegistryClient

if TYPE_CHECKING:
    from ko_pants.publishing.artifact_stores import ArtifactStore

#: Brings blobs or child manifests, by digest, that a registry said it has, and lacks after all.
Repair = Callable[[Tuple[str, ...]], None]


class Store(Protocol):
    """One repository. Every method may raise `KoPantsError`."""

    #: The registry's host, or the path of the layout: its repositories share their blobs.
    place: str

    @property
    def requests(self) -> int:
        """The number of HTTP requests that were made for this store until now."""

    @property
    def artifacts(self) -> ArtifactStore | None:
        """The artifacts beside the image; None if this destination keeps none."""

    def tag_digest(self, tag: str, image: Image) -> str:
        """The digest of what the tag names; empty for nothing, or where only `image` is known.

        It is that of `image` only if none of its parts is known to be missing.
        """

    def has_image(self, image: Image) -> bool:
        """True if the image is there under its digest, with or without a tag."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """True if the repository has the blob."""

    def put_blob(
        self,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        mount_from: Sequence[str],
        progress: Callable[[int], None],
    ) -> str:
        """Write a missing blob; returns `reused`, `mounted`, `uploaded` or `written`.

        :param open_blob: opens the bytes; called anew for every attempt.
        :param mount_from: repositories of the same registry that may have the blob.
        :param progress: is told the number of bytes sent so far; a new attempt begins at 0.
        """

    def put_manifest(self, descriptor: Descriptor, content: bytes, repair: Repair) -> None:
        """Write a manifest of an index by its digest.

        :param repair: brings what the registry turns out to lack.
        """

    def put_tags(self, tags: Sequence[str], image: Image, repair: Repair) -> dict[str, Descriptor]:
        """Let the tags name the image, whose parts are all there. Only this step is visible.

        :returns: the names that the index of a layout has to take up. The caller writes them, once
            for all images. Empty for a registry, where the tags have moved when this returns.
        """


class RegistryStore:
    """A repository on a registry."""

    def __init__(self, client: RegistryClient, repository: Reference) -> None:
        self.repository = repository
        self.place = repository.registry
        self.session = client.session(push_to=[repository])
        self._client = client

    @property
    def requests(self) -> int:
        return self.session.requests

    @property
    def artifacts(self) -> ArtifactStore:
        from ko_pants.publishing.artifact_stores import RegistryArtifacts

        return RegistryArtifacts(self._client, self.session, self.repository)

    def tag_digest(self, tag: str, image: Image) -> str:
        reference = self.repository.with_tag(tag)
        found = self.session.head_manifest(reference, forbidden_is_absent=True)
        return "" if found is None else found.digest

    def has_image(self, image: Image) -> bool:
        reference = self.repository.with_digest(image.descriptor.digest)
        return self.session.head_manifest(reference, forbidden_is_absent=True) is not None

    def has_blob(self, descriptor: Descriptor) -> bool:
        return self.session.has_blob(self.repository, descriptor.digest)

    def put_blob(
        self,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        mount_from: Sequence[str],
        progress: Callable[[int], None],
    ) -> str:
        return self.session.push_blob(
            self.repository,
            descriptor,
            open_blob,
            mount_from=mount_from,
            progress=progress,
            known_missing=True,
        )

    def put_manifest(self, descriptor: Descriptor, content: bytes, repair: Repair) -> None:
        self.session.put_manifest(
            self.repository.with_digest(descriptor.digest), descriptor, content, repair=repair
        )

    def put_tags(self, tags: Sequence[str], image: Image, repair: Repair) -> dict[str, Descriptor]:
        self.session.put_manifest(
            self.repository.with_tag(tags[0]),
            image.descriptor,
            image.content,
            tags=tags[1:],
            repair=repair,
        )
        return {}


class LayoutStore:
    """A name in an OCI layout on disk; `<repository>:<tag>` is the reference name."""

    def __init__(self, path: str, repository: str, references: dict[str, Descriptor]) -> None:
        self.place = path
        self.requests = 0
        self._repository = repository
        self._layout = Layout(path)
        self._references = references

    @property
    def artifacts(self) -> ArtifactStore:
        from ko_pants.publishing.artifact_stores import LayoutArtifacts

        return LayoutArtifacts(self._layout)

    def tag_digest(self, tag: str, image: Image) -> str:
        found = self._references.get(f"{self._repository}:{tag}")
        # Anybody can delete a file of a layout, and a look at the disk is cheap.
        if found is None or found.digest != image.descriptor.digest or not self.has_image(image):
            return ""
        return found.digest

    def has_image(self, image: Image) -> bool:
        return all(
            self._layout.has_blob(d)
            for d in (image.descriptor, *(child.descriptor for child in image.children))
        ) and all(map(self._layout.has_blob, image.blobs().values()))

    def has_blob(self, descriptor: Descriptor) -> bool:
        return self._layout.has_blob(descriptor)

    def put_blob(
        self,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        mount_from: Sequence[str],
        progress: Callable[[int], None],
    ) -> str:
        with open_blob() as stream:
            self._layout.write_blob(descriptor, stream)
        progress(descriptor.size)
        return "written"

    def put_manifest(self, descriptor: Descriptor, content: bytes, repair: Repair) -> None:
        if not self._layout.has_blob(descriptor):
            self._layout.write_blob(descriptor, io.BytesIO(content))

    def put_tags(self, tags: Sequence[str], image: Image, repair: Repair) -> dict[str, Descriptor]:
        self.put_manifest(image.descriptor, image.content, repair)
        return {f"{self._repository}:{tag}": image.descriptor for tag in tags}


class Stores:
    """Opens the stores of one run. Thread-safe.

    :param layout_root: what the paths of layouts are relative to.
    """

    def __init__(self, client: RegistryClient, layout_root: str) -> None:
        self._client = client
        self._layout_root = layout_root
        self._lock = threading.Lock()
        self._references: dict[str, dict[str, Descriptor]] = {}
        self._local: list[LocalStore] = []

    def open(self, destination: Destination, loader: Loader | None = None) -> Store:
        """A store for one image. The index of a layout is read once for all images of the run.

        :param loader: for a destination on this machine.

        :raises KoPantsError: the layout is damaged or cannot be read.
        """
        if loader is not None:
            store = LocalStore(loader, destination.repository_name)
            self._local.append(store)
            return store
        if not destination.layout:
            return RegistryStore(self._client, destination.reference)
        path = os.path.join(self._layout_root, destination.layout)
        with self._lock:
            if path not in self._references:
                self._references[path] = _references(path)
            return LayoutStore(path, destination.repository, self._references[path])

    def close(self) -> None:
        """Delete what was brought for images that were not loaded."""
        for store in self._local:
            store.close()


def _references(layout: str) -> dict[str, Descriptor]:
    try:
        return Layout(layout).references()
    except KoPantsError as e:
        raise KoPantsError(f"{e} (option [ko].layout_path says where images are written)") from None
