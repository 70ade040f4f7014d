"""Encoders of layer blobs: each compresses fixed-size chunks on their own.

The tar is cut every `chunk_size` bytes and each piece becomes one gzip member
(RFC 1952, section 2.2) or one zstd frame (RFC 8878, section 3.1); concatenated they are one valid
stream. So the bytes depend on the chunk size, the library and the level, never on how many
processes took part. Standard library only until an encoder is asked for.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, NamedTuple

from ko_pants.errors import KoPantsError


class Encoder(NamedTuple):
    """`encode` turns one chunk into its part of the blob."""

    chunk_size: int
    encode: Callable[[memoryview], Any]
    #: False where a worker process would only copy.
    worth_workers: bool


def encoder(encoding: str, level: int, chunk_size: int) -> Encoder:
    """The encoder of "gzip" (libdeflate), "zstd" or "none"; `level` as the library counts.

    Raises KoPantsError when the encoding is unknown or its library cannot be loaded.
    """
    if encoding == "gzip":
        return Encoder(chunk_size, _gzip(level), worth_workers=True)
    if encoding == "zstd":
        return Encoder(chunk_size, _zstd(level), worth_workers=True)
    if encoding == "none":
        return Encoder(chunk_size, lambda chunk: chunk, worth_workers=False)
    raise KoPantsError(f"unknown layer encoding {encoding!r}: expected one of gzip, zstd, none.")


def _gzip(level: int) -> Callable[[memoryview], Any]:
    # libdeflate's header has no name, no time and a constant OS byte (255).
    try:
        from deflate import gzip_compress
    except ImportError as error:
        raise _not_loadable("deflate", error) from None
    return lambda chunk: gzip_compress(chunk, level)


def _zstd(level: int) -> Callable[[memoryview], Any]:
    try:
        import zstandard
    except ImportError as error:
        raise _not_loadable("zstandard", error) from None
    # The frame says its content size, so readers allocate once; threads=0 keeps it deterministic.
    return zstandard.ZstdCompressor(level=level, threads=0, write_checksum=True).compress


def _not_loadable(package: str, error: ImportError) -> KoPantsError:
    shipped = []
    for entry in sys.path:
        directory = os.path.join(entry, package)
        if os.path.isdir(directory):
            shipped += [n for n in sorted(os.listdir(directory)) if n.endswith((".so", ".pyd"))]
    version = "{}.{}".format(*sys.version_info[:2])
    return KoPantsError(
        f"cannot load the compressor {package!r} in {sys.implementation.name} {version}: {error}. "
        f"Extension modules found: {', '.join(shipped) or 'none'}. The layer process must run the "
        "same Python version as Pants."
    )
