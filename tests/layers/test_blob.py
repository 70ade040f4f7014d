from __future__ import annotations

import gzip
import hashlib
import os
import random
import select
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from layers.conftest import GoReference

from ko_pants.errors import KoPantsError
from ko_pants.layers import blob
from ko_pants.layers.blob import Written, write_blob
from ko_pants.layers.compress import Encoder
from ko_pants.layers.encodings import ENCODINGS, LayerEncoding
from ko_pants.layers.layout import binary_entries
from ko_pants.layers.tar import Entry
from ko_pants.layers.verify import diff_id_of_blob

_CASES = [("gzip", 1), ("gzip", 6), ("zstd", 3), ("none", 0)]


@pytest.fixture(autouse=True)
def _fork_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "PARALLEL_FROM", 3 << 20)


def _content(size: int, seed: int = 1) -> bytes:
    """Compressible about as an executable is, and different everywhere."""
    dice = random.Random(seed)
    noise = dice.getrandbits(8 * 40_000).to_bytes(40_000, "big")
    out = bytearray()
    while len(out) < size:
        start = dice.randrange(39_000)
        out += noise[start : start + dice.randrange(10, 900)] + bytes(dice.randrange(30))
    return bytes(out[:size])


def _entries(directory: Path, content: bytes) -> list[Entry]:
    path = directory / "executable"
    path.write_bytes(content)
    return list(binary_entries(os.fsencode(path), os_name="linux", app_name="app"))


@pytest.mark.parametrize(("encoding", "level"), _CASES)
# The last tar ends exactly at a chunk's end: 2560 bytes of headers, padding and trailer.
@pytest.mark.parametrize("size", [5_300_001, (6 << 20) - 2048])
def test_the_bytes_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, encoding: str, level: int, size: int
) -> None:
    entries = _entries(tmp_path, _content(size))
    results: list[Written] = []
    blobs = set()
    for workers in (1, 2, 3, 5):
        output = tmp_path / f"layer-{workers}"
        results.append(
            write_blob(entries, encoding, level, str(output), workers=workers, chunk_bytes=1 << 20)
        )
        blobs.add(output.read_bytes())
    assert len(set(results)) == len(blobs) == 1
    data = blobs.pop()
    assert results[0].digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert results[0].size == len(data)
    with (tmp_path / "layer-5").open("rb") as stream:
        media_type = ENCODINGS[encoding].media_type
        assert diff_id_of_blob(stream, media_type) == results[0].diff_id


def test_the_default_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    entries = _entries(tmp_path, _content(4 << 20))
    one = write_blob(entries, "gzip", 1, str(tmp_path / "one"), workers=1, chunk_bytes=1 << 20)
    assert write_blob(entries, "gzip", 1, str(tmp_path / "default"), chunk_bytes=1 << 20) == one


@pytest.mark.parametrize(("encoding", "level"), _CASES)
def test_incompressible_data_fits(tmp_path: Path, encoding: str, level: int) -> None:
    content = random.Random(2).getrandbits(8 * (4 << 20)).to_bytes(4 << 20, "big")
    entries = _entries(tmp_path, content)
    written = write_blob(
        entries, encoding, level, str(tmp_path / "layer"), workers=2, chunk_bytes=1 << 20
    )
    assert len(content) < written.size < len(content) * 1.001


def test_every_gzip_reader_reads_all_members(tmp_path: Path, go_reference: GoReference) -> None:
    output = tmp_path / "layer.gz"
    written = write_blob(
        _entries(tmp_path, _content(4 << 20)),
        "gzip",
        1,
        str(output),
        workers=2,
        chunk_bytes=1 << 20,
    )
    data = output.read_bytes()
    assert go_reference.gunzip_digest(data) == written.diff_id
    assert "sha256:" + hashlib.sha256(gzip.decompress(data)).hexdigest() == written.diff_id
    gunzip = shutil.which("gunzip")
    if gunzip is None:
        pytest.skip("gunzip is not on PATH; Go's and Python's readers were checked")
    plain = subprocess.run([gunzip, "-c", output], stdout=subprocess.PIPE, check=True).stdout
    assert "sha256:" + hashlib.sha256(plain).hexdigest() == written.diff_id


def test_the_gzip_header_is_constant(tmp_path: Path) -> None:
    output = tmp_path / "layer.gz"
    write_blob(_entries(tmp_path, b"x"), "gzip", 1, str(output), chunk_bytes=1 << 20)
    # RFC 1952: magic, deflate, no flags (so no name), time 0, "fastest", unknown system.
    assert output.read_bytes()[:10] == bytes.fromhex("1f8b0800 00000000 04ff")


@pytest.mark.parametrize(
    ("compressor", "encoding", "level", "digest"),
    [
        (
            "deflate-0.8.1/gzip-1/1MiB",
            "gzip",
            1,
            "f1bb3359de898feb2b8e8f8ec40e7413e21169347207740c56ed39c692f10724",
        ),
        (
            "deflate-0.8.1/gzip-6/1MiB",
            "gzip",
            6,
            "def4fa7cda83f7af0650ff6b1b0acf7f293864207e52d767f8ceb6908525630e",
        ),
        (
            "zstandard-0.23.0/zstd-3/2MiB",
            "zstd",
            3,
            "608ea90dcff7d89f46992b6383c8bfe9ffd3fb4a0ccb19326be7ea8bef3f3eb5",
        ),
        (
            "zstandard-0.25.0/zstd-3/2MiB",
            "zstd",
            3,
            "b517429b062a7bf68eb7b26e6050931ae5d09d9f06b2abb48c3eeef2a34e3895",
        ),
    ],
)
def test_the_bytes_that_a_compressor_id_stands_for(
    tmp_path: Path, compressor: str, encoding: str, level: int, digest: str
) -> None:
    """Another digest under the same id would be another image from the same sources."""
    if LayerEncoding(encoding, level).compressor != compressor:
        pytest.skip(f"{LayerEncoding(encoding, level).compressor} is installed, not {compressor}")
    entries = _entries(tmp_path, _content(3 << 20))
    written = write_blob(
        entries,
        encoding,
        level,
        str(tmp_path / "layer"),
        chunk_bytes=ENCODINGS[encoding].chunk_bytes,
    )
    assert written.digest == "sha256:" + digest


def _with_encoder(monkeypatch: pytest.MonkeyPatch, encode: Callable[[memoryview], Any]) -> None:
    monkeypatch.setattr(blob, "encoder", lambda *_: Encoder(1 << 20, encode, worth_workers=True))


def _assert_nothing_left(directory: Path) -> None:
    assert sorted(os.listdir(directory)) == ["executable"]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_killed_worker_fails_the_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(chunk: memoryview) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    entries = _entries(tmp_path, _content(4 << 20))
    _with_encoder(monkeypatch, encode)
    with pytest.raises(KoPantsError, match=r"compressor process \d+ ended before"):
        write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=2, chunk_bytes=1 << 20)
    _assert_nothing_left(tmp_path)


def test_a_worker_that_raises_fails_the_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(chunk: memoryview) -> bytes:
        raise MemoryError

    entries = _entries(tmp_path, _content(4 << 20))
    _with_encoder(monkeypatch, encode)
    with pytest.raises(KoPantsError, match=r"compressor process \d+ ended before"):
        write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=3, chunk_bytes=1 << 20)
    _assert_nothing_left(tmp_path)


def test_an_interrupt_ends_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(chunk: memoryview) -> bytes:
        os.kill(os.getppid(), signal.SIGINT)
        while True:
            signal.pause()

    entries = _entries(tmp_path, _content(4 << 20))
    _with_encoder(monkeypatch, encode)
    with pytest.raises(KeyboardInterrupt):
        write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=2, chunk_bytes=1 << 20)
    _assert_nothing_left(tmp_path)


def test_workers_end_when_their_parent_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = _entries(tmp_path, _content(4 << 20))
    # Every process of the family holds the write end: its end is seen when the last one is gone.
    alive, held = os.pipe()

    def encode(chunk: memoryview) -> bytes:
        os.kill(os.getppid(), signal.SIGKILL)
        return bytes(chunk)

    _with_encoder(monkeypatch, encode)
    child = os.fork()
    if not child:
        try:
            write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=3, chunk_bytes=1 << 20)
        finally:
            os._exit(0)
    os.close(held)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    ready, _, _ = select.select([alive], [], [], 20)
    assert ready, "workers outlive their parent"
    assert os.read(alive, 1) == b""
    os.close(alive)


def test_a_full_disk_leaves_no_output(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    entries = _entries(tmp_path, _content(4 << 20))
    (tmp_path / "layer.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=2, chunk_bytes=1 << 20)
    _assert_nothing_left(tmp_path)


def test_a_failing_entry_leaves_no_output(tmp_path: Path) -> None:
    entries = _entries(tmp_path, _content(4 << 20))
    with (tmp_path / "executable").open("ab") as file:
        file.write(b"more")
    with pytest.raises(KoPantsError, match="changed while it was read"):
        write_blob(entries, "gzip", 1, str(tmp_path / "layer"), workers=2, chunk_bytes=1 << 20)
    _assert_nothing_left(tmp_path)


def test_an_unknown_encoding_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match="'brotli': expected one of gzip, zstd, none"):
        write_blob([], "brotli", 1, str(tmp_path / "layer"), chunk_bytes=1 << 20)
