"""The encoders: bytes that never change under one compressor's name, and that everything reads."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from layers.archives import compressible, executable, incompressible, write_encoded
from layers.conftest import GoReference

from ko_pants.errors import KoPantsError
from ko_pants.layers import chunked, compressor_pool
from ko_pants.layers.encoders import ENCODERS, EncoderSettings, encoder
from ko_pants.layers.encodings import ENCODINGS, LayerEncoding
from ko_pants.layers.verify import diff_id_of_blob

CASES = [("gzip", 1), ("gzip", 6), ("zstd", 3), ("none", 0)]


def test_every_encoding_has_an_encoder_and_the_other_way_round() -> None:
    assert list(ENCODERS) == list(ENCODINGS)


@pytest.mark.parametrize(
    ("compressor", "encoding", "level", "digest"),
    [
        (
            "deflate-0.8.1/gzip-1/1MiB",
            *("gzip", 1),
            "f1bb3359de898feb2b8e8f8ec40e7413e21169347207740c56ed39c692f10724",
        ),
        (
            "deflate-0.8.1/gzip-6/1MiB",
            *("gzip", 6),
            "def4fa7cda83f7af0650ff6b1b0acf7f293864207e52d767f8ceb6908525630e",
        ),
        (
            "zstandard-0.23.0/zstd-3/2MiB",
            *("zstd", 3),
            "608ea90dcff7d89f46992b6383c8bfe9ffd3fb4a0ccb19326be7ea8bef3f3eb5",
        ),
        (
            "zstandard-0.23.0/zstd-19/2MiB",
            *("zstd", 19),
            "7a39208b0d48a51aac1fbd0a45e1dc8e44d2e0ec2040e4e0b94f3f67d06ebd97",
        ),
        (
            "zstandard-0.25.0/zstd-3/2MiB",
            *("zstd", 3),
            "b517429b062a7bf68eb7b26e6050931ae5d09d9f06b2abb48c3eeef2a34e3895",
        ),
        (
            "none",
            *("none", 0),
            "c8f632aafbfceecfb97bdef48ddb31d691c8bf2460116922977ab919116189ae",
        ),
    ],
)
def test_the_bytes_that_a_compressor_stands_for(
    tmp_path: Path, compressor: str, encoding: str, level: int, digest: str
) -> None:
    """Another digest under the same name would be another image from the same sources."""
    installed = LayerEncoding(encoding, level).compressor
    if installed != compressor:
        pytest.skip(f"{installed} is installed, not {compressor}")
    entries = executable(tmp_path, compressible(3 << 20))
    written = write_encoded(entries, encoding, level, tmp_path / "layer")
    assert hashlib.sha256((tmp_path / "layer").read_bytes()).hexdigest() == digest
    assert written.annotations == {}


@pytest.mark.parametrize(("encoding", "level"), CASES)
def test_incompressible_data_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, level: int
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 3 << 20)
    content = incompressible(4 << 20)
    entries = executable(tmp_path, content)
    written = write_encoded(entries, encoding, level, tmp_path / "layer", workers=2)
    assert len(content) < written.size < len(content) * 1.001


def test_every_gzip_reader_reads_all_members(tmp_path: Path, go_reference: GoReference) -> None:
    output = tmp_path / "layer.gz"
    written = write_encoded(executable(tmp_path, compressible(4 << 20)), "gzip", 1, output)
    data = output.read_bytes()
    assert go_reference.gunzip_digest(data) == written.diff_id
    assert "sha256:" + hashlib.sha256(gzip.decompress(data)).hexdigest() == written.diff_id
    gunzip = shutil.which("gunzip")
    if gunzip is None:
        pytest.skip("gunzip is not on PATH; Go's and Python's readers were checked")
    plain = subprocess.run([gunzip, "-c", output], stdout=subprocess.PIPE, check=True).stdout
    assert "sha256:" + hashlib.sha256(plain).hexdigest() == written.diff_id


@pytest.mark.parametrize(("encoding", "level"), CASES)
def test_the_blob_decompresses_to_its_diff_id(tmp_path: Path, encoding: str, level: int) -> None:
    output = tmp_path / "layer"
    content = compressible(5_300_001)
    written = write_encoded(executable(tmp_path, content), encoding, level, output)
    assert written.size == output.stat().st_size
    with output.open("rb") as stream:
        assert diff_id_of_blob(stream, ENCODINGS[encoding].media_type) == written.diff_id


def test_the_gzip_header_is_constant(tmp_path: Path) -> None:
    output = tmp_path / "layer.gz"
    write_encoded(executable(tmp_path, b"x"), "gzip", 1, output)
    # RFC 1952: magic, deflate, no flags (so no name), time 0, "fastest", unknown system.
    assert output.read_bytes()[:10] == bytes.fromhex("1f8b0800 00000000 04ff")


def test_a_zstd_frame_says_its_size_and_has_a_checksum(tmp_path: Path) -> None:
    output = tmp_path / "layer.zst"
    write_encoded(executable(tmp_path, b"x"), "zstd", 3, output)
    parameters = zstandard.get_frame_parameters(output.read_bytes())
    assert (parameters.content_size, parameters.has_checksum) == (2560, True)
    assert struct.unpack("<I", output.read_bytes()[:4]) == (0xFD2FB528,)


def test_none_is_never_handed_to_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "PARALLEL_FROM_BYTES", 1)
    monkeypatch.setattr(compressor_pool, "compressor_pool", None)
    assert write_encoded(executable(tmp_path, b"x"), "none", 0, tmp_path / "layer", workers=4)


def test_an_unknown_encoding_names_the_known_ones() -> None:
    with pytest.raises(KoPantsError, match="'brotli': expected one of gzip, zstd, none"):
        encoder("brotli", EncoderSettings(1, 1 << 20))


@pytest.mark.parametrize(("encoding", "package"), [("gzip", "deflate"), ("zstd", "zstandard")])
def test_a_compressor_that_does_not_load_is_named_with_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, package: str
) -> None:
    (tmp_path / package).mkdir()
    for name in ("b.cpython-35m.so", "a.pyd", "README"):
        (tmp_path / package / name).write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "nothing")])
    # None makes the import fail.
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[misc]
    with pytest.raises(KoPantsError) as e:
        encoder(encoding, EncoderSettings(1, 1 << 20))
    version = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}: "
    assert f"cannot load the compressor '{package}' in {version}" in str(e.value)
    assert "Extension modules found: a.pyd, b.cpython-35m.so. " in str(e.value)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(KoPantsError, match="found: none"):
        encoder(encoding, EncoderSettings(1, 1 << 20))
