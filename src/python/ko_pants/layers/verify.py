"""The diffID of a layer blob: the blob is decompressed as a stream, in constant memory."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, BinaryIO, Iterator

from ko_pants.errors import KoPantsError

_READ_BYTES = 256 << 10
# The object that can tell a whole frame from one that is cut off returns everything that its input
# decompresses to. That is at most 32 MiB for a kilobyte, which bounds the memory.
_ZSTD_READ_BYTES = 1 << 10
# zlib's parameter `wbits` for a window of 32 KiB and gzip framing.
_GZIP_WINDOW_BITS = 31


def diff_id_of_blob(stream: BinaryIO, media_type: str) -> str:
    """`sha256:<hex>` of the uncompressed tar; `stream` is read to its end.

    Several gzip members or zstd frames count as one stream.

    :param media_type: its suffix (`gzip`, `zstd`, `tar`) names the compression, so types that no
        image of ours has (foreign layers) can be read too.
    :raises KoPantsError: the media type has another suffix; the blob is damaged, cut off, or
        followed by something else.
    """
    if media_type.endswith(("+gzip", ".gzip")):
        pieces = _gunzip(stream)
    elif media_type.endswith(("+zstd", ".zstd")):
        pieces = _unzstd(stream)
    elif media_type.endswith(".tar"):
        pieces = iter(lambda: stream.read(_READ_BYTES), b"")
    else:
        raise KoPantsError(
            f"layer media type {media_type!r} has no known compression: expected one that ends in "
            "'tar', 'gzip' or 'zstd'."
        )
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return "sha256:" + digest.hexdigest()


def _gunzip(stream: BinaryIO) -> Iterator[bytes]:
    data = stream.read(_READ_BYTES)
    while True:
        member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        while not member.eof:
            if not data:
                raise _damaged("gzip", "it ends in the middle of a member")
            try:
                yield member.decompress(data, _READ_BYTES)
            except zlib.error as error:
                raise _damaged("gzip", str(error)) from None
            data = member.unused_data if member.eof else member.unconsumed_tail
            data = data or stream.read(_READ_BYTES)
        if not data:
            return


def _unzstd(stream: BinaryIO) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise KoPantsError(
            "the Python package 'zstandard' is not installed: it is needed to read zstd layers."
        ) from None
    decompressor = zstandard.ZstdDecompressor()
    data = stream.read(_ZSTD_READ_BYTES)
    while True:
        frame: Any = decompressor.decompressobj()
        while not frame.eof:
            if not data:
                raise _damaged("zstd", "it ends in the middle of a frame")
            try:
                yield frame.decompress(data)
            except zstandard.ZstdError as error:
                raise _damaged("zstd", str(error)) from None
            data = frame.unused_data if frame.eof else b""
            data = data or stream.read(_ZSTD_READ_BYTES)
        if not data:
            return


def _damaged(encoding: str, why: str) -> KoPantsError:
    return KoPantsError(
        f"the layer blob is not whole {encoding}: {why}. Expected complete {encoding} data and "
        "nothing after it; fetch or build it again."
    )
