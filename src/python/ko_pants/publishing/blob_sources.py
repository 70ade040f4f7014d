"""Where the bytes of a missing blob come from: the image, a file, or the base image's own place."""

from __future__ import annotations

import io
import os
import shutil
import threading
from typing import BinaryIO, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.publishing.base_layers import open_base_layer
from ko_pants.publishing.publication import Publication
from ko_pants.publishing.temporary import make_directory
from ko_pants.registry.client import RegistryClient


def open_blob(
    client: RegistryClient, publication: Publication, files: Mapping[str, str], digest: str
) -> BinaryIO:
    """Open a blob of an image.

    :param files: digest -> path of the layers that the engine brought.
    :raises KoPantsError: nobody has the bytes, or they cannot be read.
    """
    config = publication.image.configs().get(digest)
    if config is not None:
        return io.BytesIO(config)
    if digest in files:
        return open(files[digest], "rb")
    base = publication.base
    descriptor = base.layer(digest)
    if descriptor is None:
        raise KoPantsError(
            f"{publication.destination.repository_name} answered that it has the blob {digest} "
            "and then refused a manifest that names it. Run again; if it lasts, the registry "
            "has lost the blob: delete the image there, or publish to another repository"
        )
    return open_base_layer(client, base, descriptor)


def mount_sources(publication: Publication, digest: str) -> tuple[str, ...]:
    """The base image's repository, if it has the blob and is on the registry of the destination."""
    base = publication.base
    registry, _, repository = base.source.partition("/")
    if registry != publication.destination.registry or not repository:
        return ()
    return (repository,) if base.layer(digest) is not None else ()


class BlobFiles:
    """A temporary directory for layers that the engine brings, made when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._directory = ""

    def path(self, digest: str) -> str:
        """Where the bytes of a layer are put for its upload."""
        with self._lock:
            if not self._directory:
                self._directory = make_directory("blobs")
        return os.path.join(self._directory, digest.partition(":")[2])

    def delete(self) -> None:
        """Delete the directory and all that is in it."""
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
