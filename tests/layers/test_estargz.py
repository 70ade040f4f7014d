"""eStargz blobs, read as the specification says: footer, table of contents, chunks."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import WrittenBlob, write_blob
from ko_pants.layers.contents import executable_entries, tree_entries
from ko_pants.layers.encoders import EncoderSettings, encoder
from ko_pants.layers.estargz import FOOTER_BYTES, TOC_DIGEST_ANNOTATION, footer
from ko_pants.layers.verify import diff_id_of_blob
from ko_pants.oci import media_types as mt

CHUNK = 1000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "long").write_bytes(os.urandom(2 * CHUNK + 7))
    (root / "empty").write_bytes(b"")
    (root / "even").write_bytes(b"x" * CHUNK)
    return root


def written(tree: Path, output: Path, **more: Any) -> WrittenBlob:
    entries = tree_entries(
        os.fsencode(tree), at=b"/srv", os_name="linux", allowed_root=os.fsencode(tree), **more
    )
    return write_blob(entries, encoder("estargz", EncoderSettings(1, CHUNK)), str(output))


def toc_of(blob: bytes, digest: str) -> list[dict[str, Any]]:
    """The table of contents, found by the footer and checked by its digest."""
    end = blob[-FOOTER_BYTES:]
    assert gzip.decompress(end) == b""
    extra = end[12:38]
    assert (extra[:4], extra[-6:]) == (b"SG\x16\0", b"STARGZ")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob[int(extra[4:20], 16) :]))) as tar:
        (member,) = tar.getmembers()
        file = tar.extractfile(member)
        assert member.name == "stargz.index.json"
        assert file is not None
        content = file.read()
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    toc = json.loads(content)
    assert toc["version"] == 1
    entries: list[dict[str, Any]] = toc["entries"]
    return entries


def chunk_at(blob: bytes, entry: dict[str, Any]) -> bytes:
    """What the gzip member at the offset of a chunk has."""
    return zlib.decompressobj(31).decompress(blob[entry["offset"] :])


def test_the_footer_is_that_of_the_specification() -> None:
    assert (
        footer(0x1234).hex()
        == ("1f8b08040000000000ff1a0053471600" + b"0000000000001234STARGZ".hex() + "010000ffff")
        + "00" * 8
    )
    assert len(footer(0)) == FOOTER_BYTES


def test_every_chunk_is_a_gzip_member_at_its_offset(tree: Path, tmp_path: Path) -> None:
    done = written(tree, tmp_path / "blob", mtime=1700000000, uid=7, file_mode=0o640)
    blob = (tmp_path / "blob").read_bytes()
    entries = toc_of(blob, done.annotations[TOC_DIGEST_ANNOTATION])
    assert [(e["name"], e["type"]) for e in entries] == [
        ("/srv", "dir"),
        ("/srv/deep", "dir"),
        ("/srv/deep/long", "reg"),
        *[("/srv/deep/long", "chunk")] * 2,
        ("/srv/empty", "reg"),
        ("/srv/even", "reg"),
    ]
    long = entries[2]
    assert {k: long[k] for k in ("size", "mode", "uid", "modtime")} == {
        **{"size": 2 * CHUNK + 7, "mode": 0o640, "uid": 7, "modtime": "2023-11-14T22:13:20Z"},
    }
    content = (tree / "deep" / "long").read_bytes()
    assert long["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()
    for entry, start in zip(entries[2:5], range(0, len(content), CHUNK)):
        part = chunk_at(blob, entry)
        assert part == content[start : start + CHUNK]
        assert entry.get("chunkOffset", 0) == start
        assert entry["chunkDigest"] == "sha256:" + hashlib.sha256(part).hexdigest()
    assert [e.get("chunkSize") for e in entries[2:5]] == [CHUNK, CHUNK, None]
    assert "offset" not in entries[5]
    assert chunk_at(blob, entries[6]) == b"x" * CHUNK


def test_for_others_it_is_a_gzip_layer_with_one_file_more(tree: Path, tmp_path: Path) -> None:
    done = written(tree, tmp_path / "blob")
    blob = (tmp_path / "blob").read_bytes()
    assert done.diff_id == diff_id_of_blob(io.BytesIO(blob), mt.OCI_LAYER_GZIP)
    assert done.size == len(blob)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        files = {
            m.name: file.read()
            for m in tar.getmembers()
            if (file := tar.extractfile(m)) is not None
        }
    assert files.pop("stargz.index.json")
    assert files == {
        "/srv/deep/long": (tree / "deep" / "long").read_bytes(),
        "/srv/empty": b"",
        "/srv/even": b"x" * CHUNK,
    }


def test_the_same_files_are_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    assert written(tree, tmp_path / "one") == written(tree, tmp_path / "two")


def test_capabilities_are_in_the_table_of_contents(tmp_path: Path) -> None:
    (tmp_path / "app").write_bytes(b"app")
    entries = executable_entries(
        os.fsencode(tmp_path / "app"), os_name="linux", app_name="app", capabilities=b"\1\2"
    )
    encode = encoder("estargz", EncoderSettings(1, CHUNK))
    done = write_blob(entries, encode, str(tmp_path / "blob"))
    found = toc_of((tmp_path / "blob").read_bytes(), done.annotations[TOC_DIGEST_ANNOTATION])
    assert found[-1]["xattrs"] == {"security.capability": base64.b64encode(b"\1\2").decode()}


@pytest.mark.parametrize(
    ("name", "text"),
    [(b"\xff", "is not UTF-8"), (b"stargz.index.json", "is the table of contents")],
)
def test_names_that_it_cannot_have(tmp_path: Path, name: bytes, text: str) -> None:
    root = os.fsencode(tmp_path / "tree")
    os.mkdir(root)
    with open(os.path.join(root, name), "wb") as file:
        file.write(b"x")
    entries = tree_entries(root, at=b"/", os_name="linux", allowed_root=root)
    with pytest.raises(KoPantsError, match=text):
        write_blob(entries, encoder("estargz", EncoderSettings(1, CHUNK)), str(tmp_path / "blob"))
