"""References of published images, as ko prints them and writes them with `--image-refs`.

Source: ko 0.19.1, pkg/publish/default.go (what an image is called) and recorder.go (the file).
"""

from __future__ import annotations

import collections.abc
import os
import threading
from typing import Iterator, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.kocache.shared_files import reason, write_atomically
from ko_pants.oci.image import Image
from ko_pants.publishing.destinations import Destination
from ko_pants.publishing.local_loading import digest_tag
from ko_pants.publishing.registries import LOCAL_DOMAINS

_LATEST = "latest"


def image_references(image: Image, destination: Destination, *, tag_only: bool) -> tuple[str, ...]:
    """What can be deployed of an image: its digest, for an index followed by those of its children.

    As in ko, a single image with one tag other than `latest` has that tag too. In a layout, which
    has no repositories, a reference is `<layout>@<digest>`, as oras takes it; on this machine
    the digest is a tag.

    :param tag_only: the tag and no digest; see `check_tag_only`.
    """
    if tag_only:
        return destination.names
    place = destination.layout or destination.repository_name
    if destination.registry in LOCAL_DOMAINS:
        return (f"{place}:{digest_tag(image.descriptor.digest)}",)
    digests = (image.descriptor.digest, *(child.descriptor.digest for child in image.children))
    tag = ""
    if not image.index and not destination.layout and len(destination.tags) == 1:
        tag = "" if destination.tags[0] == _LATEST else f":{destination.tags[0]}"
    return tuple(f"{place}{tag}@{digest}" for digest in digests)


def check_tag_only(target: str, destinations: Sequence[Destination]) -> None:
    """As ko, `[ko].tag_only` wants a tag that tells images apart.

    :raises KoPantsError: a destination has several tags, or the tag `latest`.
    """
    for destination in destinations:
        if len(destination.tags) != 1 or destination.tags[0] == _LATEST:
            raise KoPantsError(
                f"{target}: option [ko].tag_only wants exactly one tag other than `latest`; found "
                f"{', '.join(destination.tags)} for {destination.repository_name} (field "
                "`image_tags`, or `extra_image_tags` of the registry)"
            )


def destination_to_deploy(
    target: str, destinations: Sequence[Destination], registry: str = ""
) -> Destination:
    """The destination whose reference goes into manifests: the first that is pushed to.

    :param target: the address of the image.
    :param registry: the one that it has to be; empty for any.
    :raises KoPantsError: nothing can be deployed from there: the image is not pushed, does not go
        to `registry`, or goes into an OCI layout.
    """
    there = [d for d in destinations if not registry or d.registry == registry]
    if not there:
        places = ", ".join(d.registry or f"the OCI layout {d.layout}" for d in destinations)
        raise KoPantsError(f"{target} does not go to the registry {registry}, but to {places}")
    pushed = [d for d in there if not d.skip]
    if not pushed:
        raise KoPantsError(
            f"{target} is not pushed, {there[0].skip}, so a cluster cannot have it; expected an "
            "image that `publish` pushes"
        )
    if pushed[0].layout:
        raise KoPantsError(
            f"{target} goes to no registry but into the OCI layout {pushed[0].layout}, which a "
            "cluster cannot pull from; expected a registry: set KO_DOCKER_REPO (or option "
            "[ko].docker_repo, or [ko].registries)"
        )
    return pushed[0]


class ImageReferences(collections.abc.Sequence):  # type: ignore[type-arg]
    """The references of one image in the data of a run.

    Pants asks for the data of each image when the image is done, and encodes all of it once, when
    the run is over. The encoder reads this sequence then, and the first that is read has the file
    written.
    """

    def __init__(self, references: Sequence[str], file: ReferencesFile) -> None:
        self._references = tuple(references)
        self._file = file

    def __len__(self) -> int:
        return len(self._references)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        return self._references[index]

    def __iter__(self) -> Iterator[str]:
        self._file.write()
        return iter(self._references)


class ReferencesFile:
    """The file of `[ko].image_refs`, one for a run. Thread-safe.

    It is replaced as a whole at the end of a run in which nothing failed, or stays as it is.

    :param option: the path as the user wrote it, relative to `root`.
    """

    def __init__(self, root: str, option: str) -> None:
        self._path = os.path.join(root, option)
        self._option = option
        self._lock = threading.Lock()
        self._references: dict[tuple[str, str], tuple[str, ...]] = {}
        self._failed = False
        self._written = False

    def note(
        self, target: str, place: str, references: Sequence[str], *, failed: bool
    ) -> ImageReferences:
        """Take up an image that is up to date, published, or could not be.

        :param place: registry or layout and repository.
        """
        with self._lock:
            self._references[target, place] = tuple(references)
            self._failed |= failed
        return ImageReferences(references, self)

    def write(self) -> None:
        """Write what was noted, once, sorted by target; nothing if an image failed.

        :raises KoPantsError: the file cannot be written.
        """
        with self._lock:
            if self._written or self._failed:
                return
            self._written = True
            lines = [line for key in sorted(self._references) for line in self._references[key]]
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            write_atomically(self._path, "".join(f"{x}\n" for x in lines).encode(), locked=False)
        except OSError as e:
            raise KoPantsError(
                f"option [ko].image_refs: {self._option} cannot be written ({reason(e)}). The "
                "images are published; name a file in a directory that can be written, and "
                "run again"
            ) from None
