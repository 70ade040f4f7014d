"""Write a layer blob: the archive entries go through an encoder into a file, read only once.

Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import BinaryIO, Callable, Iterable, Mapping, NamedTuple, Union

from ko_pants.layers.tar import TarEntry


class WrittenBlob(NamedTuple):
    """What was written.

    :param diff_id: `sha256:<hex>` of the uncompressed tar.
    :param tar_size: bytes of the uncompressed tar.
    :param size: bytes of the blob. Its digest is not here: Pants hashes the file when it takes it.
    :param annotations: for the layer's descriptor; an encoding such as eStargz needs some.
    """

    diff_id: str
    tar_size: int
    size: int
    annotations: Mapping[str, str]


class BlobSink:
    """Takes both sides of an encoding: counts both, hashes the tar, and writes the encoded one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tar_hash = hashlib.sha256()
        self._tar_size = self._blob_size = 0

    def add_tar(self, data: Union[bytes, memoryview]) -> None:
        """Take the next bytes of the uncompressed tar."""
        self._tar_hash.update(data)
        self._tar_size += len(data)

    def add_encoded(self, data: Union[bytes, memoryview]) -> None:
        """Take the next bytes of the blob, and write them.

        :raises OSError: the file cannot be written.
        """
        self._blob_size += len(data)
        self._file.write(data)

    def written(self, annotations: Mapping[str, str]) -> WrittenBlob:
        """Everything taken so far."""
        return WrittenBlob(
            "sha256:" + self._tar_hash.hexdigest(),
            self._tar_size,
            self._blob_size,
            annotations,
        )


#: Compresses one piece of the tar to its part of the blob.
ChunkCompressor = Callable[[memoryview], Union[bytes, memoryview]]

#: Forms the tar of the entries, gives the sink the tar and the blob, both in order, and returns the
#: annotations for the layer's descriptor.
Encoder = Callable[[Iterable[TarEntry], BlobSink], Mapping[str, str]]


def write_blob(entries: Iterable[TarEntry], encode: Encoder, output: str) -> WrittenBlob:
    """Write the blob of the entries to the file `output`, which appears only when it is complete.

    :raises KoPantsError: an entry cannot be packed, or a process that compresses ended early.
    :raises OSError: a file cannot be read or written.
    """
    partial = output + ".partial"
    try:
        with open(partial, "wb") as file:
            sink = BlobSink(file)
            annotations = encode(entries, sink)
        os.replace(partial, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return sink.written(annotations)
