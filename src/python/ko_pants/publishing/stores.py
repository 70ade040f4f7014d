"""One repository that images are published to: on a registry, or in a layout on disk.

Both answer the same few questions, so that the publisher knows neither.
"""

from __future__ import annotations

import io
from typing import BinaryIO, Callable, Protocol, Sequence, Tuple

from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.image import Image
from ko_pants.oci.layout import Layout
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient

#: Brings blobs or child manifests, by digest, that a registry had answered for and lacks.
Repair = Callable[[Tuple[str, ...]], None]


class Store(Protocol):
    """What the publisher asks of a repository. Methods raise KoPantsError."""

    #: Key of what is shared by all repositories of one registry or layout.
    place: str

    @property
    def requests(self) -> int:
        """HTTP requests made until now."""

    def tagged(self, tag: str, image: Image) -> bool:
        """True if the tag names the image already, and nothing of it is known to be missing."""

    def has_image(self, image: Image) -> bool:
        """True if the image is there under its digest, whatever tags name it."""

    def has_blob(self, descriptor: Descriptor) -> bool:
        """True if the repository has the blob."""

    def put_blob(
        self,
        descriptor: Descriptor,
        open_blob: Callable[[], BinaryIO],
        mount_from: Sequence[str],
        progress: Callable[[int], None],
    ) -> str:
        """Write a blob that was found missing; returns the outcome.

        `progress` is told the number of bytes sent so far.
        """

    def put_manifest(self, descriptor: Descriptor, content: bytes, repair: Repair) -> None:
        """Write a child manifest by digest; `repair` brings what the place turns out to lack."""

    def put_tags(self, tags: Sequence[str], image: Image, repair: Repair) -> dict[str, Descriptor]:
        """Let the tags name the image, whose parts are all there. The one visible step.

        :returns: reference names that a layout's index has to take up, which is one write for all
            images; empty where the step is done.
        """


class RegistryStore:
    """A repository on a registry."""

    def __init__(self, client: RegistryClient, repository: Reference) -> None:
        self.repository = repository
        self.place = repository.registry
        self.session = client.session(push_to=[repository])

    @property
    def requests(self) -> int:
        return self.session.requests

    def tagged(self, tag: str, image: Image) -> bool:
        found = self.session.head_manifest(self.repository.with_tag(tag))
        return found is not None and found.digest == image.descriptor.digest

    def has_image(self, image: Image) -> bool:
        reference = self.repository.with_digest(image.descriptor.digest)
        return self.session.head_manifest(reference) is not None

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


def named_in_a_row(
    client: RegistryClient, questions: Sequence[tuple[RegistryStore, str, Image]]
) -> list[bool | None]:
    """`tagged`, or `has_image` where the tag is "", for repositories of one registry.

    None where it did not simply answer, and the store itself has to ask.
    """
    found = client.head_manifests(
        [
            (
                store.session,
                store.repository.with_tag(tag)
                if tag
                else store.repository.with_digest(image.descriptor.digest),
            )
            for store, tag, image in questions
        ]
    )
    return [
        (descriptor is not None and descriptor.digest == image.descriptor.digest)
        if answered
        else None
        for (answered, descriptor), (_, _, image) in zip(found, questions)
    ]


class LayoutStore:
    """A name in an OCI layout on disk; `<repository>:<tag>` is the reference name."""

    def __init__(self, path: str, repository: str, references: dict[str, Descriptor]) -> None:
        self.place = path
        self.requests = 0
        self._repository = repository
        self._layout = Layout(path)
        self._references = references

    def tagged(self, tag: str, image: Image) -> bool:
        found = self._references.get(f"{self._repository}:{tag}")
        # On disk anybody can delete a file: look, it costs nothing.
        return (
            found is not None
            and found.digest == image.descriptor.digest
            and self.has_image(image)
            and all(map(self._layout.has_blob, image.blobs().values()))
        )

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
