"""Blobs: both sides hashed, written whole or not at all, whatever the encoder does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Iterable, Mapping

import pytest
from layers.archives import compressible, executable, write_encoded

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import BlobSink, write_blob
from ko_pants.layers.contents import tree_entries
from ko_pants.layers.tar import TRAILER, TarEntry, header, padding


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_both_sides_are_hashed_and_counted_and_the_blob_is_written(tmp_path: Path) -> None:
    def encode(entries: Iterable[TarEntry], sink: BlobSink) -> Mapping[str, str]:
        for _ in entries:
            sink.add_tar(b"raw ")
            sink.add_tar(memoryview(b"bytes"))
            sink.add_encoded(b"enc")
            sink.add_encoded(memoryview(b"oded!"))
        return {"key": "value"}

    output = tmp_path / "layer"
    written = write_blob([TarEntry(b"a"), TarEntry(b"b")], encode, str(output))
    assert output.read_bytes() == b"encoded!" * 2
    assert written._asdict() == {
        "diff_id": _sha256(b"raw bytes" * 2),
        "tar_size": 18,
        "size": 16,
        "annotations": {"key": "value"},
    }


def _one_member_per_entry(entries: Iterable[TarEntry], sink: BlobSink) -> Mapping[str, str]:
    """As eStargz: a gzip member per entry, then an entry with a table of contents."""

    def member(tar: bytes) -> None:
        sink.add_tar(tar)
        sink.add_encoded(gzip.compress(tar, mtime=0))

    table = []
    for entry in entries:
        content = b"" if entry.file is None else Path(os.fsdecode(entry.file)).read_bytes()
        member(header(entry) + content + bytes(padding(entry.size)))
        table.append({"name": entry.name.decode(), "mode": entry.mode, "size": entry.size})
    toc = json.dumps(table).encode()
    toc_header = header(TarEntry(b"toc.json", b"no file", len(toc)))
    member(toc_header + toc + bytes(padding(len(toc))) + TRAILER)
    return {"toc.digest": _sha256(toc)}


def test_an_encoder_that_sees_entries_needs_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a").write_text("alpha")
    (root / "b").write_text("beta")
    entries = tree_entries(
        os.fsencode(root), at=b"/x", os_name="linux", allowed_root=b"/", file_mode=0o644
    )
    output = tmp_path / "layer"
    written = write_blob(entries, _one_member_per_entry, str(output))
    tar = gzip.decompress(output.read_bytes())
    assert written.diff_id == _sha256(tar)
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == ["/x", "/x/a", "/x/b", "toc.json"]
        toc = archive.extractfile("toc.json")
        assert toc is not None
        content = toc.read()
    assert written.annotations == {"toc.digest": _sha256(content)}
    assert json.loads(content)[1] == {"name": "/x/a", "mode": 0o644, "size": 5}


def _assert_nothing_left(directory: Path) -> None:
    assert sorted(os.listdir(directory)) == ["executable"]


def test_a_reader_sees_no_half_of_a_blob(tmp_path: Path) -> None:
    output = tmp_path / "layer"

    def encode(entries: Iterable[TarEntry], sink: BlobSink) -> Mapping[str, str]:
        sink.add_encoded(b"x" * 100_000)
        assert not output.exists()
        return {}

    write_blob([], encode, str(output))
    assert os.listdir(tmp_path) == ["layer"]


def test_a_full_disk_leaves_no_output(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    entries = executable(tmp_path, compressible(1 << 20))
    (tmp_path / "layer.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_encoded(entries, "gzip", 1, tmp_path / "layer")
    _assert_nothing_left(tmp_path)


def test_a_failing_entry_leaves_no_output(tmp_path: Path) -> None:
    entries = executable(tmp_path, compressible(1 << 20))
    with (tmp_path / "executable").open("ab") as file:
        file.write(b"more")
    with pytest.raises(KoPantsError, match="changed while it was read"):
        write_encoded(entries, "gzip", 1, tmp_path / "layer")
    _assert_nothing_left(tmp_path)


def test_an_output_that_cannot_be_made_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no-directory/layer\.partial"):
        write_encoded([], "none", 0, tmp_path / "no-directory" / "layer")
