"""Cutting the tar in chunks: the same bytes, whoever compresses them."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Callable, Iterable, Iterator

import pytest
from layers.archives import compressible, executable, write_encoded

from ko_pants.layers import chunked
from ko_pants.layers import compressor_pool as pool_module
from ko_pants.layers.blob import BlobSink, WrittenBlob
from ko_pants.layers.chunked import chunked_encoder
from ko_pants.layers.compressor_pool import compressor_pool
from ko_pants.layers.tar import TarEntry

MEBIBYTE = 1 << 20


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of workers of each pool that is made."""
    made: list[int] = []

    def counted(compress: object, chunk_bytes: int, workers: int) -> object:
        made.append(workers)
        return compressor_pool(compress, chunk_bytes, workers)  # type: ignore[arg-type]

    monkeypatch.setattr(pool_module, "compressor_pool", counted)
    return made


@pytest.mark.parametrize(("encoding", "level"), [("gzip", 1), ("gzip", 6), ("zstd", 3)])
# The last tar ends exactly at a chunk's end: 2560 bytes beside the content, 512 of them padding.
@pytest.mark.parametrize("size", [5_300_001, 6 * MEBIBYTE - 2560])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pools: list[int],
    encoding: str,
    level: int,
    size: int,
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 3 * MEBIBYTE)
    entries = executable(tmp_path, compressible(size))
    results: list[WrittenBlob] = []
    blobs = set()
    for workers in (1, 2, 3, 5):
        output = tmp_path / f"layer-{workers}"
        results.append(write_encoded(entries, encoding, level, output, workers=workers))
        blobs.add(output.read_bytes())
    assert results == results[:1] * 4
    assert len(blobs) == 1
    assert pools == [2, 3, 5]


class Chunks:
    """A compressor that keeps the sizes of its chunks."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, chunk: memoryview) -> bytes:
        self.sizes.append(len(chunk))
        return b"[" + bytes(chunk[:1]) + b"]"


def encode(entries: Iterable[TarEntry], chunk_bytes: int, workers: int = 1) -> tuple[bytes, Chunks]:
    blob, chunks = io.BytesIO(), Chunks()
    assert chunked_encoder(chunks, chunk_bytes, workers)(entries, BlobSink(blob)) == {}
    return blob.getvalue(), chunks


@pytest.mark.parametrize(
    ("chunk_bytes", "sizes"),
    [(1024, [1024, 1024, 512]), (2560, [2560]), (512, [512] * 5), (1 << 20, [2560])],
)
def test_every_chunk_but_the_last_is_full_and_none_is_empty(
    tmp_path: Path, chunk_bytes: int, sizes: list[int]
) -> None:
    blob, chunks = encode(executable(tmp_path, b"x"), chunk_bytes)
    assert chunks.sizes == sizes
    assert blob.count(b"[") == len(sizes)


def test_no_entries_are_an_empty_archive() -> None:
    assert encode([], 4096)[1].sizes == [1024]


@pytest.mark.parametrize(
    ("size", "large"),
    [
        # A header block for the directory, one for the file.
        (8 * MEBIBYTE - 1024, True),
        (8 * MEBIBYTE - 1024 - 511, True),
        (8 * MEBIBYTE - 1024 - 512, False),
    ],
)
def test_only_a_large_layer_is_compressed_by_other_processes(
    tmp_path: Path, pools: list[int], size: int, large: bool
) -> None:
    entries = executable(tmp_path, bytes(size))
    write_encoded(entries, "gzip", 1, tmp_path / "layer", workers=2)
    assert pools == [2] * large


def test_one_worker_is_this_process(tmp_path: Path, pools: list[int]) -> None:
    entries = executable(tmp_path, bytes(8 * MEBIBYTE))
    write_encoded(entries, "gzip", 1, tmp_path / "layer", workers=1)
    assert pools == []


@pytest.mark.parametrize(("cpus", "expected"), [(1, []), (2, [2]), (3, [3]), (8, [8]), (64, [8])])
def test_by_default_there_is_a_worker_per_cpu_but_not_more_than_eight(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pools: list[int],
    cpus: int,
    expected: list[int],
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 1)
    monkeypatch.setattr(chunked, "_LOAD", str(tmp_path / "no such file"))
    entries = executable(tmp_path, bytes(5000))
    affinity = {0: set(range(cpus))}  # 0 means this process
    monkeypatch.setattr(os, "sched_getaffinity", affinity.__getitem__, raising=False)
    one = write_encoded(entries, "gzip", 1, tmp_path / "one", workers=1)
    assert write_encoded(entries, "gzip", 1, tmp_path / "default") == one
    # Systems without affinity.
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert write_encoded(entries, "gzip", 1, tmp_path / "default") == one
    assert pools == expected * 2


@pytest.mark.parametrize(
    ("running", "expected"), [("1", [4]), ("2", [3]), ("4", []), ("9", []), ("x", [4])]
)
def test_where_other_processes_keep_the_cpus_busy_there_are_fewer_workers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pools: list[int],
    running: str,
    expected: list[int],
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3, 5, 7}, raising=False)
    load = tmp_path / "loadavg"
    load.write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
    monkeypatch.setattr(chunked, "_LOAD", str(load))
    entries = executable(tmp_path, bytes(5000))
    one = write_encoded(entries, "gzip", 1, tmp_path / "one", workers=1)
    assert write_encoded(entries, "gzip", 1, tmp_path / "default") == one
    assert pools == expected


def test_a_system_that_does_not_tell_its_cpus_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: list[int]
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 1)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert write_encoded(executable(tmp_path, bytes(5000)), "gzip", 1, tmp_path / "layer")
    assert pools == []


def test_the_entries_of_a_tree_are_found_while_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pools: list[int]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(8000))
    asked: list[int] = []
    when_compressed: list[int] = []

    def entries() -> Iterator[TarEntry]:
        for number in range(100):
            asked.append(number)
            yield TarEntry(b"file-%d" % number, os.fsencode(path), 8000)

    def compress(chunk: memoryview) -> bytes:
        when_compressed.append(len(asked))
        return b""

    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 20_000)
    sink = BlobSink(io.BytesIO())
    encoder: Callable[..., object] = chunked_encoder(compress, 1024, workers=1)
    encoder(entries(), sink)
    # Three entries tell that the archive is large.
    assert when_compressed[0] == 3
    assert asked == list(range(100))
    assert sink.written({}).tar_size == 100 * (512 + 8192) + 1024
