"""The encoders of layer blobs by name: what the layer process runs for each encoding.

An encoder sees the archive entries and a sink (`blob.Encoder`). The encoders here cut the tar, or
each of its files (`estargz.py`), in chunks and compress each chunk on its own. The table
`encodings.ENCODINGS` says the rest about each encoding: media type, levels, chunk size and package.

Standard library only until an encoder is asked for: this module also runs in the layer process's
sandbox.
"""

from __future__ import annotations

import os
import sys
from typing import Callable, Dict, NamedTuple

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import Encoder
from ko_pants.layers.chunked import chunked_encoder


class EncoderSettings(NamedTuple):
    """What an encoder is told.

    :param level: the compression level, as the package counts.
    :param chunk_bytes: bytes of tar that are compressed as one piece.
    :param workers: the number of processes that compress a large layer; 0 for one per CPU. The
        bytes of the blob do not depend on it.
    """

    level: int
    chunk_bytes: int
    workers: int = 0


def encoder(name: str, settings: EncoderSettings) -> Encoder:
    """The encoder of an encoding.

    :raises KoPantsError: the encoding is unknown, or its package cannot be loaded.
    """
    make = ENCODERS.get(name)
    if make is None:
        raise KoPantsError(
            f"unknown layer encoding {name!r}: expected one of {', '.join(ENCODERS)}."
        )
    return make(settings)


def _gzip(settings: EncoderSettings) -> Encoder:
    # The header that libdeflate writes has no name, no time and a constant OS byte (255).
    try:
        from deflate import gzip_compress
    except ImportError as error:
        raise _not_loadable("deflate", error) from None
    level = settings.level
    return chunked_encoder(
        lambda chunk: gzip_compress(chunk, level), settings.chunk_bytes, settings.workers
    )


def _zstd(settings: EncoderSettings) -> Encoder:
    try:
        import zstandard
    except ImportError as error:
        raise _not_loadable("zstandard", error) from None
    # The frame says its content size, so readers allocate once. The frame of a compressor with
    # threads may depend on their number; threads=0 has none.
    compressor = zstandard.ZstdCompressor(level=settings.level, threads=0, write_checksum=True)
    return chunked_encoder(compressor.compress, settings.chunk_bytes, settings.workers)


def _none(settings: EncoderSettings) -> Encoder:
    # One worker means this process: others would only copy.
    return chunked_encoder(lambda chunk: chunk, settings.chunk_bytes, workers=1)


def _estargz(settings: EncoderSettings) -> Encoder:
    try:
        from deflate import gzip_compress
    except ImportError as error:
        raise _not_loadable("deflate", error) from None
    from ko_pants.layers.estargz import estargz_encoder

    level = settings.level
    return estargz_encoder(lambda data: gzip_compress(data, level), settings.chunk_bytes)


#: The encoder of each encoding in `encodings.ENCODINGS`.
ENCODERS: Dict[str, Callable[[EncoderSettings], Encoder]] = {
    "gzip": _gzip,
    "zstd": _zstd,
    "none": _none,
    "estargz": _estargz,
}


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
