"""The diffID of a layer blob, found by decompressing it: streaming, in constant memory."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, BinaryIO, Iterator

from ko_pants.errors import KoPantsError

_READ = 256 << 10
# zstd's frame object returns all that its input holds, and tells a whole frame from one cut off. A
# hostile kilobyte holds 32 MiB, which bounds the memory.
_ZSTD_READ = 1 << 10
_GZIP_WINDOW = 31  # zlib's number for: 32 KiB window, gzip framing


def diff_id_of_blob(stream: BinaryIO, media_type: str) -> str:
    """`sha256:<hex>` of the uncompressed tar; `stream` is read to its end.

    The media type's suffix (`gzip`, `zstd`, `tar`) names the encoding. Several gzip members or zstd
    frames count as one stream. Raises KoPantsError for another media type, and for a blob that is
    damaged, cut off, or followed by something else.
    """
    if media_type.endswith(("+gzip", ".gzip")):
        pieces = _gunzip(stream)
    elif media_type.endswith(("+zstd", ".zstd")):
        pieces = _unzstd(stream)
    elif media_type.endswith(".tar"):
        pieces = iter(lambda: stream.read(_READ), b"")
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
    data = stream.read(_READ)
    while True:
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            if not data:
                raise _damaged("gzip", "it ends in the middle of a member")
            try:
                yield member.decompress(data, _READ)
            except zlib.error as error:
                raise _damaged("gzip", str(error)) from None
            data = member.unused_data if member.eof else member.unconsumed_tail
            data = data or stream.read(_READ)
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
    data = stream.read(_ZSTD_READ)
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
            data = data or stream.read(_ZSTD_READ)
        if not data:
            return


def _damaged(encoding: str, why: str) -> KoPantsError:
    return KoPantsError(
        f"the layer blob is not whole {encoding}: {why}. Expected complete {encoding} data and "
        "nothing after it; fetch or build it again."
    )
