"""Forked processes that compress chunks in memory shared with them.

Every chunk is read once, into the shared memory, so the bytes that are hashed are the bytes that
are compressed. Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
from typing import Iterator, List, NamedTuple, NoReturn

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import ChunkCompressor

_SLOTS_PER_WORKER = 2
# To a worker: the slot of the chunk and the chunk's size. From a worker: the result's size.
_COMMAND = struct.Struct("<II")
_RESULT = struct.Struct("<I")


class CompressorPool:
    """Takes chunks and gives their compressed forms, in the order of the chunks.

    Chunk n goes into slot n modulo the number of slots, and to worker n modulo the number of
    workers.
    """

    def __init__(self, memory: _SharedMemory, workers: List[_Worker], chunk_bytes: int) -> None:
        self._memory = memory
        self._workers = workers
        self._chunk_bytes = chunk_bytes
        self._submitted = self._collected = 0

    @property
    def busy(self) -> bool:
        """True if there are chunks whose result was not collected."""
        return self._collected < self._submitted

    @property
    def has_room(self) -> bool:
        """True if a further chunk fits."""
        return self._submitted - self._collected < self._memory.slots

    def buffer(self) -> memoryview:
        """The memory for the next chunk. Needs room."""
        return self._memory.chunk(self._submitted % self._memory.slots, self._chunk_bytes)

    def submit(self, size: int) -> memoryview:
        """Have the first `size` bytes of the buffer compressed, and return these bytes.

        :raises KoPantsError: the worker ended.
        """
        slot = self._submitted % self._memory.slots
        self._workers[self._submitted % len(self._workers)].start(slot, size)
        self._submitted += 1
        return self._memory.chunk(slot, size)

    def result(self) -> memoryview:
        """The compressed form of the oldest chunk whose result was not collected; waits for it.

        The memory is used again when the pool takes a further chunk.

        :raises KoPantsError: the worker ended.
        """
        size = self._workers[self._collected % len(self._workers)].finish()
        slot = self._collected % self._memory.slots
        self._collected += 1
        return self._memory.result(slot, size)


@contextlib.contextmanager
def compressor_pool(
    compress: ChunkCompressor, chunk_bytes: int, workers: int
) -> Iterator[CompressorPool]:
    """A pool of `workers` processes, which end with the context."""
    memory = _SharedMemory(workers * _SLOTS_PER_WORKER, chunk_bytes)
    started: List[_Worker] = []
    try:
        for _ in range(workers):
            started.append(_fork(memory, compress, started))
        yield CompressorPool(memory, started, chunk_bytes)
    finally:
        for worker in started:
            os.close(worker.commands)
            os.close(worker.results)
            # A worker holds nothing that needs saving, and may be in the middle of a chunk.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)


class _SharedMemory:
    """Memory that this process and its workers see: per slot a chunk and its compressed form."""

    def __init__(self, slots: int, chunk_bytes: int) -> None:
        self.slots = slots
        self._chunk_bytes = chunk_bytes
        # Incompressible data grows by 5 bytes per stored block (deflate) or 3 (zstd), plus framing.
        self._slot_bytes = 2 * chunk_bytes + chunk_bytes // 128 + 1024
        # An anonymous mapping is shared with the processes that are forked later.
        self._view = memoryview(mmap.mmap(-1, slots * self._slot_bytes))

    def chunk(self, slot: int, size: int) -> memoryview:
        start = slot * self._slot_bytes
        return self._view[start : start + size]

    def result(self, slot: int, size: int) -> memoryview:
        start = slot * self._slot_bytes + self._chunk_bytes
        return self._view[start : start + size]


class _Worker(NamedTuple):
    """A process, and this process's ends of the two pipes to it (file descriptors)."""

    pid: int
    commands: int
    results: int

    def start(self, slot: int, size: int) -> None:
        try:
            os.write(self.commands, _COMMAND.pack(slot, size))
        except BrokenPipeError:
            raise self._ended() from None

    def finish(self) -> int:
        reply = os.read(self.results, _RESULT.size)
        if len(reply) != _RESULT.size:
            raise self._ended()
        return int(_RESULT.unpack(reply)[0])

    def _ended(self) -> KoPantsError:
        return KoPantsError(
            f"compressor process {self.pid} ended before its work was done: killed, or out of "
            "memory. Nothing was written; run again with more memory or fewer things at once."
        )


def _fork(memory: _SharedMemory, compress: ChunkCompressor, siblings: List[_Worker]) -> _Worker:
    commands_read, commands_write = os.pipe()
    results_read, results_write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(commands_read)
        os.close(results_write)
        return _Worker(pid, commands_write, results_read)
    try:
        # The parent handles an interrupt of the process group, and ends the workers.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # As long as these are open here, a sibling does not see that the parent has ended.
        for sibling in siblings:
            os.close(sibling.commands)
            os.close(sibling.results)
        os.close(commands_write)
        os.close(results_read)
        _serve(memory, compress, commands_read, results_write)
    finally:
        os._exit(1)


def _serve(
    memory: _SharedMemory, compress: ChunkCompressor, commands: int, results: int
) -> NoReturn:
    """Compress until the parent closes the pipe of commands."""
    while True:
        command = os.read(commands, _COMMAND.size)
        if not command:
            os._exit(0)
        slot, size = _COMMAND.unpack(command)
        encoded = compress(memory.chunk(slot, size))
        memory.result(slot, len(encoded))[:] = encoded
        os.write(results, _RESULT.pack(len(encoded)))
