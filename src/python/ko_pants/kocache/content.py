"""`$KOCACHE/img`: manifests, indexes and configs of base images, content addressed.

It is an OCI image layout (image-spec, image-layout.md), in which ko keeps the same documents. ko
never verifies what it reads there; here every read is verified. Our blobs are not listed in
`index.json`: ko takes what is listed there for complete, and fails where a part of it is missing.
ko's list stays as it is, and pruning keeps what it reaches.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from ko_pants.kocache.problems import Problems
from ko_pants.kocache.shared_files import (
    NotReadable,
    create_atomically,
    file_state,
    is_below_link,
    is_temporary,
    make_directories,
    note_use,
    read_regular,
    sync_directory,
    write_atomically,
)
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import Descriptor, is_digest, sha256_digest

# Registries refuse manifests over 4 MiB; configs are of that order too.
MAX_CONTENT_BYTES = 32 * 1024 * 1024

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}\n'
_INDEX = (
    json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}) + "\n"
).encode()

_BLOBS = "img/blobs/sha256"


class ContentStore:
    """The blobs in `img/`.

    :param root: the directory of the cache.
    :param problems: is told what is wrong with a blob.
    """

    def __init__(self, root: str, problems: Problems) -> None:
        self._root = root
        self._layout = os.path.join(root, "img")
        self._blobs = os.path.join(root, _BLOBS)
        self._problems = problems

    def path(self, digest: str) -> str:
        """Where the blob of a sha256 digest lies."""
        return os.path.join(self._blobs, digest.partition(":")[2])

    def read(self, digest: str) -> bytes | None:
        """The content that has `digest`; None if absent or damaged. A read counts as a use."""
        if not is_digest(digest):
            return None
        path = self.path(digest)
        try:
            content = read_regular(path, MAX_CONTENT_BYTES)
        except NotReadable as error:
            self._problems.unreadable(path, str(error))
            return None
        if content is None:
            return None
        if sha256_digest(content) != digest:
            self._problems.unreadable(path, "its content does not have the digest that is its name")
            return None
        note_use([path], [file_state(path)])
        return content

    def write(self, descriptor: Descriptor, content: bytes) -> bool:
        """Store `content`, in the place of a damaged blob too.

        False, after one warning, if `content` is not what `descriptor` says.

        :raises OSError: it cannot be written.
        """
        path = self.path(descriptor.digest)
        if (
            not is_digest(descriptor.digest)
            or len(content) != descriptor.size
            or len(content) > MAX_CONTENT_BYTES
            or sha256_digest(content) != descriptor.digest
        ):
            self._problems.unreadable(path, "content with another digest or size was not stored")
            return False
        with contextlib.suppress(NotReadable):
            if read_regular(path, MAX_CONTENT_BYTES) == content:
                return True
        make_directories(self._root, _BLOBS)
        for name, initial in (("oci-layout", _LAYOUT), ("index.json", _INDEX)):
            file = os.path.join(self._layout, name)
            if not os.path.lexists(file):
                # ko rewrites index.json without a lock: only ever create it.
                create_atomically(file, initial)
        write_atomically(path, content, locked=False)
        sync_directory(self._blobs)
        return True

    def is_elsewhere(self) -> bool:
        """True if symbolic links lead from the cache to the blobs: they are not ours to change."""
        return is_below_link(self._root, _BLOBS)

    def digests(self) -> list[str]:
        """The digests of all blobs, sorted."""
        try:
            names = os.listdir(self._blobs)
        except OSError:
            return []
        return sorted(f"sha256:{name}" for name in names if is_digest(f"sha256:{name}"))

    def temporaries(self) -> list[str]:
        """The paths of unfinished writes."""
        found = []
        for directory in (self._layout, self._blobs):
            with contextlib.suppress(OSError):
                found += [
                    os.path.join(directory, name)
                    for name in os.listdir(directory)
                    if is_temporary(name)
                ]
        return found

    def referenced(self) -> set[str]:
        """The digests that `index.json` reaches. ko fails where one of them is missing.

        :raises NotReadable: `index.json` is there and cannot be understood.
        """
        path = os.path.join(self._layout, "index.json")
        raw = read_regular(path, MAX_CONTENT_BYTES)
        if raw is None:
            return set()
        index = _parse(raw)
        if index is None:
            raise NotReadable("it is not a JSON object")
        reached: set[str] = set()
        pending = _children(index)
        while pending:
            digest = pending.pop()
            if digest in reached:
                continue
            reached.add(digest)
            with contextlib.suppress(NotReadable):
                document = _parse(read_regular(self.path(digest), MAX_CONTENT_BYTES) or b"")
                if document is not None:
                    pending += _children(document)
        return reached

    def remove(self, digest: str) -> int | None:
        """Delete a blob.

        :returns: the bytes that this freed, or None if nothing was deleted; the reason is one
            warning, unless the blob is absent.
        """
        path = self.path(digest)
        try:
            size_bytes = os.stat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._problems.not_deleted(path, error)
            return None
        return size_bytes


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _children(document: dict[str, Any]) -> list[str]:
    """The digests to which an index or manifest refers.

    Layers too: ko does not keep them here, but somebody may have put them there.
    """
    descriptors: list[Any] = [document.get("config")]
    for key in ("manifests", "layers"):
        value = document.get(key)
        if isinstance(value, list):
            descriptors += value
    digests = [value.get("digest") for value in descriptors if isinstance(value, dict)]
    return [str(digest) for digest in digests if is_digest(digest)]
