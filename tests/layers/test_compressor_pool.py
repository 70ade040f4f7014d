"""Processes that compress: order, shared memory, and ends of every kind."""

from __future__ import annotations

import os
import select
import signal
import struct
from pathlib import Path

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import ChunkCompressor
from ko_pants.layers.compressor_pool import CompressorPool, compressor_pool


def submit(pool: CompressorPool, chunk: bytes) -> bytes:
    pool.buffer()[: len(chunk)] = chunk
    return bytes(pool.submit(len(chunk)))


def assert_no_child_is_left() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def open_files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_chunks(workers: int) -> None:
    def compress(chunk: memoryview) -> bytes:
        return b"<" + bytes(chunk) + b">"

    results = []
    with compressor_pool(compress, 8, workers) as pool:
        assert not pool.busy
        for number in range(20):
            if not pool.has_room:
                results.append(bytes(pool.result()))
            chunk = b"chunk-%d" % number
            assert submit(pool, chunk) == chunk
            assert len(pool.buffer()) == 8
        while pool.busy:
            results.append(bytes(pool.result()))
    assert results == [b"<chunk-%d>" % number for number in range(20)]
    assert_no_child_is_left()


@pytest.mark.parametrize("workers", [1, 3])
def test_two_chunks_per_worker_fit(workers: int) -> None:
    with compressor_pool(bytes, 8, workers) as pool:
        for number in range(2 * workers):
            assert pool.has_room
            submit(pool, b"%d" % number)
        assert not pool.has_room
        assert pool.result() == b"0"
        assert pool.has_room
        submit(pool, b"again")
        expected = [*(b"%d" % number for number in range(1, 2 * workers)), b"again"]
        assert [bytes(pool.result()) for _ in expected] == expected
        assert not pool.busy


@pytest.mark.parametrize("chunk_bytes", [128, 1 << 20])
def test_a_result_that_is_larger_than_its_chunk_fits(chunk_bytes: int) -> None:
    # deflate and zstd grow incompressible data by less than one part in 128 and a kilobyte.
    grown = chunk_bytes + chunk_bytes // 128 + 1024

    def compress(chunk: memoryview) -> bytes:
        return bytes(chunk[:1]) * grown

    with compressor_pool(compress, chunk_bytes, 2) as pool:
        chunks = [b"%d" % number * chunk_bytes for number in range(4)]
        for chunk in chunks:
            submit(pool, chunk)
        for chunk in chunks:
            assert pool.result() == chunk[:1] * grown


def test_workers_share_the_work() -> None:
    def compress(chunk: memoryview) -> bytes:
        return struct.pack("<I", os.getpid())

    with compressor_pool(compress, 8, 3) as pool:
        for _ in range(6):
            submit(pool, b"x")
        workers = [bytes(pool.result()) for _ in range(6)]
    assert len(set(workers)) == 3
    assert workers[:3] == workers[3:]


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="no /proc/self/fd")
def test_nothing_is_left_open() -> None:
    before = open_files()
    with compressor_pool(bytes, 8, 3) as pool:
        submit(pool, b"x")
        pool.result()
    assert open_files() == before


def run_to_its_end(compress: ChunkCompressor, workers: int = 2) -> None:
    with compressor_pool(compress, 8, workers) as pool:
        while True:
            if not pool.has_room:
                pool.result()
            submit(pool, b"x")


def test_a_killed_worker_is_an_error() -> None:
    def compress(chunk: memoryview) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    with pytest.raises(KoPantsError, match=r"compressor process \d+ ended before its work") as e:
        run_to_its_end(compress)
    assert "run again with more memory" in str(e.value)
    assert_no_child_is_left()


def test_a_chunk_for_a_worker_that_has_ended_is_an_error() -> None:
    def compress(chunk: memoryview) -> bytes:
        os._exit(0)

    with compressor_pool(compress, 8, 1) as pool:
        submit(pool, b"x")
        with pytest.raises(KoPantsError, match="ended before its work was done"):
            pool.result()
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        with pytest.raises(KoPantsError, match="ended before its work was done"):
            submit(pool, b"x")
    assert_no_child_is_left()


def test_a_worker_that_raises_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def compress(chunk: memoryview) -> bytes:
        raise MemoryError

    with pytest.raises(KoPantsError, match=r"compressor process \d+ ended before"):
        run_to_its_end(compress, 3)
    assert_no_child_is_left()
    assert capfd.readouterr() == ("", "")


def test_an_error_of_this_process_ends_the_workers() -> None:
    def fail() -> None:
        with compressor_pool(bytes, 8, 3) as pool:
            submit(pool, b"x")
            raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        fail()
    assert_no_child_is_left()


def test_an_interrupt_ends_the_workers() -> None:
    parent = os.getpid()

    def compress(chunk: memoryview) -> bytes:
        os.kill(parent, signal.SIGINT)
        while True:
            signal.pause()

    def run() -> None:
        with compressor_pool(compress, 8, 2) as pool:
            # One chunk: a second interrupt would come while the workers are ended.
            submit(pool, b"x")
            pool.result()

    # A process that a shell starts in the background ignores interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert_no_child_is_left()


def test_an_interrupt_of_the_process_group_does_not_reach_the_workers() -> None:
    def compress(chunk: memoryview) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return bytes(chunk)

    with compressor_pool(compress, 8, 1) as pool:
        submit(pool, b"x")
        assert pool.result() == b"x"


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    # Every process of the family holds the write end: its end is seen when the last one is gone.
    alive, held = os.pipe()

    child = os.fork()
    if not child:
        # Not `getppid`: for a worker that comes late it is another process.
        parent = os.getpid()

        def compress(chunk: memoryview) -> bytes:
            os.kill(parent, signal.SIGKILL)
            return bytes(chunk)

        try:
            run_to_its_end(compress, 3)
        finally:
            os._exit(0)
    os.close(held)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    # Not `select`: it takes no handle of 1024 or more, and a run of all tests has as many.
    ended = select.poll()
    ended.register(alive, select.POLLIN)
    assert ended.poll(60_000), "workers outlive their parent"
    assert os.read(alive, 1) == b""
    os.close(alive)
