"""Turn archive entries into a layer blob: read once, hash and compress in one pass.

Memory is constant: a few chunks. Large layers are compressed by several forked processes, because
`deflate` holds the interpreter lock; the parent reads, hashes and writes meanwhile. Every chunk is
read once, into memory shared with the workers, so what is hashed is what is compressed. Standard
library only: this module also runs inside the layer process's sandbox.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import mmap
import os
import signal
import struct
from typing import Any, BinaryIO, Iterable, Iterator, List, NamedTuple, NoReturn, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.layers.compress import Encoder, encoder
from ko_pants.layers.tar import Entry, TarReader, padding

#: Archives below this many bytes are compressed in this process: forking would gain little.
PARALLEL_FROM = 8 << 20
_MAX_WORKERS = 8
_SLOTS_PER_WORKER = 2
_COMMAND = struct.Struct("<II")
_RESULT = struct.Struct("<I")


class Written(NamedTuple):
    """Digests as `sha256:<hex>`, sizes in bytes; `diff_id` and `tar_size` are of the raw tar."""

    diff_id: str
    tar_size: int
    digest: str
    size: int


def write_blob(
    entries: Iterable[Entry],
    encoding: str,
    level: int,
    output: str,
    *,
    chunk_bytes: int,
    workers: int = 0,
) -> Written:
    """Write the blob to `output`, which appears only when complete.

    `workers` is the number of processes that compress a large archive, 0 for one per available CPU;
    the bytes do not depend on it. Raises KoPantsError when a worker dies or an entry cannot be
    packed, OSError as the file system does.
    """
    chosen = encoder(encoding, level, chunk_bytes)
    count = workers or min(_available_cpus(), _MAX_WORKERS)
    large, entries = _is_large(entries)
    partial = output + ".partial"
    try:
        with open(partial, "wb") as file:
            sink = _Sink(file)
            tar = TarReader(entries)
            if large and count > 1 and chosen.worth_workers:
                _compress_forked(tar, chosen, sink, count)
            else:
                _compress_here(tar, chosen, sink)
        os.replace(partial, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return sink.written()


def _available_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_large(entries: Iterable[Entry]) -> Tuple[bool, Iterable[Entry]]:
    """Look only as far ahead as needed: a tree's entries are found while it is packed."""
    rest = iter(entries)
    head: List[Entry] = []
    size = 0
    for entry in rest:
        head.append(entry)
        size += len(entry.header) + entry.size + padding(entry.size)
        if size >= PARALLEL_FROM:
            break
    return size >= PARALLEL_FROM, itertools.chain(head, rest)


class _Sink:
    """Counts and hashes both sides; writes the compressed one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tar, self._blob = hashlib.sha256(), hashlib.sha256()
        self._tar_size = self._size = 0

    def raw(self, chunk: memoryview) -> None:
        self._tar.update(chunk)
        self._tar_size += len(chunk)

    def encoded(self, data: Any) -> None:
        self._blob.update(data)
        self._size += len(data)
        self._file.write(data)

    def written(self) -> Written:
        return Written(
            "sha256:" + self._tar.hexdigest(),
            self._tar_size,
            "sha256:" + self._blob.hexdigest(),
            self._size,
        )


def _compress_here(tar: TarReader, chosen: Encoder, sink: _Sink) -> None:
    buffer = memoryview(bytearray(chosen.chunk_size))
    while True:
        count = tar.readinto(buffer)
        if not count:
            return
        sink.raw(buffer[:count])
        sink.encoded(chosen.encode(buffer[:count]))


def _compress_forked(tar: TarReader, chosen: Encoder, sink: _Sink, count: int) -> None:
    """Chunk n goes to worker n mod count; results are collected in the order of the chunks."""
    slots = count * _SLOTS_PER_WORKER
    arena = _Arena(slots, chosen.chunk_size)
    with _workers(arena, chosen, count) as pool:
        sent = collected = 0
        more = True
        while more or collected < sent:
            if more and sent - collected < slots:
                size = tar.readinto(arena.chunk(sent % slots, chosen.chunk_size))
                more = size == chosen.chunk_size
                if size:
                    # The worker starts before this process hashes the same bytes.
                    pool[sent % count].start(sent % slots, size)
                    sink.raw(arena.chunk(sent % slots, size))
                    sent += 1
            else:
                size = pool[collected % count].finish()
                sink.encoded(arena.result(collected % slots, size))
                collected += 1


class _Arena:
    """Memory shared with the workers: per slot, room for a chunk and for its compressed form."""

    def __init__(self, slots: int, chunk_size: int) -> None:
        self._chunk_size = chunk_size
        # Incompressible data grows by 5 bytes per stored block (deflate) or 3 (zstd), plus framing.
        self._slot_size = 2 * chunk_size + chunk_size // 128 + 1024
        # Anonymous and shared: children see the parent's writes, and the other way round.
        self._view = memoryview(mmap.mmap(-1, slots * self._slot_size))

    def chunk(self, slot: int, size: int) -> memoryview:
        start = slot * self._slot_size
        return self._view[start : start + size]

    def result(self, slot: int, size: int) -> memoryview:
        start = slot * self._slot_size + self._chunk_size
        return self._view[start : start + size]


class _Worker(NamedTuple):
    pid: int
    commands: int
    results: int

    def start(self, slot: int, size: int) -> None:
        try:
            os.write(self.commands, _COMMAND.pack(slot, size))
        except BrokenPipeError:
            raise self._died() from None

    def finish(self) -> int:
        reply = os.read(self.results, _RESULT.size)
        if len(reply) != _RESULT.size:
            raise self._died()
        return int(_RESULT.unpack(reply)[0])

    def _died(self) -> KoPantsError:
        return KoPantsError(
            f"compressor process {self.pid} ended before its work was done: killed, or out of "
            "memory. Nothing was written; run again with more memory or fewer things at once."
        )


@contextlib.contextmanager
def _workers(arena: _Arena, chosen: Encoder, count: int) -> Iterator[List[_Worker]]:
    pool: List[_Worker] = []
    try:
        for _ in range(count):
            pool.append(_fork(arena, chosen, pool))
        yield pool
    finally:
        for worker in pool:
            os.close(worker.commands)
            os.close(worker.results)
            # They hold nothing that needs saving, and one may be in the middle of a chunk.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)


def _fork(arena: _Arena, chosen: Encoder, siblings: List[_Worker]) -> _Worker:
    commands_read, commands_write = os.pipe()
    results_read, results_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(commands_read)
        os.close(results_write)
        return _Worker(pid, commands_write, results_read)
    try:
        # An interrupt of the process group is the parent's to handle; it ends the workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # With these open, a sibling would not see the end of its input when the parent dies.
        for sibling in siblings:
            os.close(sibling.commands)
            os.close(sibling.results)
        os.close(commands_write)
        os.close(results_read)
        _serve(arena, chosen, commands_read, results_write)
    finally:
        os._exit(1)


def _serve(arena: _Arena, chosen: Encoder, commands: int, results: int) -> NoReturn:
    while True:
        command = os.read(commands, _COMMAND.size)
        if not command:
            os._exit(0)
        slot, size = _COMMAND.unpack(command)
        encoded = chosen.encode(arena.chunk(slot, size))
        arena.result(slot, len(encoded))[:] = encoded
        os.write(results, _RESULT.pack(len(encoded)))
