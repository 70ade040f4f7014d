"""Encoders that cut the tar in chunks of a fixed size and compress each chunk on its own.

Each chunk becomes one gzip member (RFC 1952, section 2.2) or one zstd frame (RFC 8878, section
3.1). Members or frames in a row are one valid stream. So the bytes depend on the chunk size, the
library and the level, and never on the number of processes.

Memory is constant: a few chunks. Several forked processes compress a large layer, because a
compressor holds the interpreter's lock; this process reads, hashes and writes meanwhile.

Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import itertools
import os
from typing import Iterable, List, Mapping, Tuple

from ko_pants.layers.blob import BlobSink, ChunkCompressor, Encoder
from ko_pants.layers.tar import BLOCK_BYTES, TarEntry, TarReader, padding

#: This process compresses a smaller archive by itself: forking would gain little.
PARALLEL_FROM_BYTES = 8 << 20
_MAX_WORKERS = 8
# Linux: the fourth word is `<running>/<all threads>` of the machine, with this one.
_LOAD = "/proc/loadavg"


def chunked_encoder(compress: ChunkCompressor, chunk_bytes: int, workers: int) -> Encoder:
    """The encoder that compresses every `chunk_bytes` bytes of the tar with `compress`.

    `workers` is the number of processes that compress a large archive, 0 for one per CPU that is
    idle and that this process may use. 1 means this process.
    """

    def encode(entries: Iterable[TarEntry], sink: BlobSink) -> Mapping[str, str]:
        large, all_entries = _is_large(entries)
        tar = TarReader(all_entries)
        count = workers or (min(_idle_cpus(), _MAX_WORKERS) if large else 1)
        if large and count > 1:
            _compress_in_pool(tar, compress, chunk_bytes, sink, count)
        else:
            _compress_here(tar, compress, chunk_bytes, sink)
        return {}

    return encode


def _idle_cpus() -> int:
    """How many CPUs are idle but for this process; all where the system does not tell.

    Where others keep the CPUs busy, a pool gains no time, and costs a tenth more of it.
    """
    available = _available_cpus()
    try:
        with open(_LOAD, "rb") as file:
            running = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return available
    return available - (running - 1)


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_large(entries: Iterable[TarEntry]) -> Tuple[bool, Iterable[TarEntry]]:
    """Whether the archive is large, and all its entries.

    Takes only as many entries as are needed to tell: those of a tree are found while it is packed.
    """
    rest = iter(entries)
    taken: List[TarEntry] = []
    size = 0
    for entry in rest:
        taken.append(entry)
        size += BLOCK_BYTES + entry.size + padding(entry.size)
        if size >= PARALLEL_FROM_BYTES:
            break
    return size >= PARALLEL_FROM_BYTES, itertools.chain(taken, rest)


def _compress_here(
    tar: TarReader, compress: ChunkCompressor, chunk_bytes: int, sink: BlobSink
) -> None:
    buffer = memoryview(bytearray(chunk_bytes))
    while True:
        count = tar.readinto(buffer)
        if not count:
            return
        sink.add_tar(buffer[:count])
        sink.add_encoded(compress(buffer[:count]))


def _compress_in_pool(
    tar: TarReader, compress: ChunkCompressor, chunk_bytes: int, sink: BlobSink, workers: int
) -> None:
    # Most layers of a cold build are made without one.
    from ko_pants.layers.compressor_pool import compressor_pool

    with compressor_pool(compress, chunk_bytes, workers) as pool:
        more = True
        while more or pool.busy:
            if more and pool.has_room:
                count = tar.readinto(pool.buffer())
                more = count == chunk_bytes
                if count:
                    # A worker compresses the bytes while this process hashes the same bytes.
                    sink.add_tar(pool.submit(count))
            else:
                sink.add_encoded(pool.result())
