"""`$KOCACHE/img`: manifests, indexes and configs of base images, content addressed.

An OCI image layout (image-spec, image-layout.md), the directory in which ko keeps the same. ko
never verifies what it reads there; everything here is verified on every read. Our blobs are not
listed in `index.json`: what is listed there ko takes for complete and fails where a part of it is
missing. Its own list and what that reaches stay as they are.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Callable

from ko_pants.kocache.files import (
    NotReadable,
    create_atomically,
    is_temporary,
    read_regular,
    reason,
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


class ContentStore:
    """The content-addressed half of a KOCACHE.

    :param problem: called with a path and what is wrong with it.
    """

    def __init__(self, root: str, problem: Callable[[str, str], None]) -> None:
        self._layout = os.path.join(root, "img")
        self.directory = os.path.join(self._layout, "blobs", "sha256")
        self._problem = problem

    def path(self, digest: str) -> str:
        """Where the blob of a sha256 digest lies."""
        return os.path.join(self.directory, digest.partition(":")[2])

    def read(self, digest: str) -> bytes | None:
        """The content that has `digest`; None if absent or damaged."""
        if not is_digest(digest):
            return None
        path = self.path(digest)
        try:
            content = read_regular(path, MAX_CONTENT_BYTES)
        except NotReadable as error:
            self._problem(path, str(error))
            return None
        if content is None:
            return None
        if sha256_digest(content) != digest:
            self._problem(path, "its content does not have the digest that is its name")
            return None
        return content

    def write(self, descriptor: Descriptor, content: bytes) -> bool:
        """Store `content`, in place of a damaged blob too; False if it is not what `descriptor`
        says.

        :raises OSError: not writable.
        """
        path = self.path(descriptor.digest)
        if (
            not is_digest(descriptor.digest)
            or len(content) != descriptor.size
            or len(content) > MAX_CONTENT_BYTES
            or sha256_digest(content) != descriptor.digest
        ):
            self._problem(path, "content with another digest or size was not stored")
            return False
        with contextlib.suppress(NotReadable):
            if read_regular(path, MAX_CONTENT_BYTES) == content:
                return True
        os.makedirs(self.directory, exist_ok=True)
        for name, initial in (("oci-layout", _LAYOUT), ("index.json", _INDEX)):
            file = os.path.join(self._layout, name)
            if not os.path.lexists(file):
                # ko rewrites index.json without a lock: only ever create it.
                create_atomically(file, initial)
        write_atomically(path, content, locked=False)
        sync_directory(self.directory)
        return True

    def digests(self) -> list[str]:
        """Of every blob, sorted."""
        try:
            names = os.listdir(self.directory)
        except OSError:
            return []
        return sorted(f"sha256:{name}" for name in names if is_digest(f"sha256:{name}"))

    def temporaries(self) -> list[str]:
        """Paths of unfinished writes."""
        found = []
        for directory in (self._layout, self.directory):
            with contextlib.suppress(OSError):
                found += [
                    os.path.join(directory, name)
                    for name in os.listdir(directory)
                    if is_temporary(name)
                ]
        return found

    def referenced(self) -> set[str]:
        """The digests that `index.json` reaches: ko's, which fails where one of them is missing.

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

    def remove(self, digest: str) -> int:
        """Delete a blob; the bytes that this freed, 0 if it could not be."""
        path = self.path(digest)
        try:
            size = os.stat(path).st_size
            os.unlink(path)
        except FileNotFoundError:
            return 0
        except OSError as error:
            self._problem(path, reason(error))
            return 0
        return size


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _children(document: dict[str, Any]) -> list[str]:
    """What an index or manifest refers to. Layers too: somebody may have put them there."""
    found: list[str] = []
    for key in ("manifests", "layers"):
        value = document.get(key)
        found += (
            [d["digest"] for d in value or () if isinstance(d, dict) and "digest" in d]
            if (isinstance(value, list))
            else []
        )
    config = document.get("config")
    if isinstance(config, dict):
        found.append(config.get("digest", ""))
    return [digest for digest in found if is_digest(digest)]
