from __future__ import annotations

import hashlib
import io
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layers.conftest import GoReference

from ko_pants.errors import KoPantsError
from ko_pants.layers.tar import TRAILER, TarEntry, TarReader, header, padding

_GOLDEN_HEADERS = "af4719487796ddc8c8403b7473172a6beb07a99f03ee18bc75891ca3ece1c087"
_RAWSD = {"MSWINDOWS.rawsd": b"AQAAgBQ="}
_XATTR = {"SCHILY.xattr.security.capability": bytes(range(20))}


def _interesting() -> list[dict[str, Any]]:
    names = [
        b"ko-app",
        b"/ko-app/test",
        b"Files/ko-app/test.exe",
        b"n" * 99,
        b"n" * 100,
        b"n" * 101,  # no slash to split at
        b"/" + b"n" * 100,  # its only slash leaves an empty prefix
        b"d/" + b"n" * 100,
        b"d/" + b"n" * 101,
        b"d" * 155 + b"/" + b"n" * 100,
        b"d" * 156 + b"/" + b"n" * 99,
        b"d" * 154 + b"/e/" + b"n" * 98,
        b"d" * 60 + b"/" + b"e" * 60 + b"/" + b"f" * 60 + b"/" + b"g" * 60,
        b"d" * 99 + b"/tail/" + b"n" * 120,  # cut at a slash in the name field
        b"d" * 85 + b"/" + b"e" * 200,
        b"a/" * 150 + b"z",
        "/var/run/ko/Grüße.txt".encode(),
        "/var/run/ko/日本語/名前".encode(),
        "é".encode() * 60,
        b"/var/run/ko/latin-\xe9",  # not UTF-8
        ("ü/" * 60 + "x").encode(),
    ]
    entries: list[dict[str, Any]] = []
    for name in names:
        for records in ({}, _RAWSD, _XATTR):
            entries.append({"name": name, "size": 12345, "records": records})
        entries.append({"name": name, "dir": True, "mtime": 1700000000})
    for size in (0, 1, 511, 512, 8**11 - 1, 8**11, 8**11 + 1, 2**40):
        entries.append({"name": b"/ko-app/big", "size": size})
        entries.append({"name": b"/ko-app/big", "size": size, "records": _RAWSD})
    for mtime in (1, 8**11 - 1, 8**11, -1):
        entries.append({"name": b"/var", "dir": True, "mtime": mtime})
    for owner in (1, 65532, 8**7 - 1, 8**7, 2**31):
        entries.append({"name": b"/srv/file", "uid": owner, "gid": 1, "size": 3})
        entries.append({"name": b"/srv", "gid": owner, "uid": 2, "dir": True})
        entries.append({"name": b"/srv", "gid": owner, "uid": owner, "records": _XATTR})
    for mode in (0o1, 0o644, 0o755, 0o4755, 0o7777):
        entries.append({"name": b"/srv/file", "mode": mode})
        entries.append({"name": b"/srv", "mode": mode, "dir": True, "records": _XATTR})
    # Around the lengths where a PAX record's own length gets another digit.
    for length in [*range(80, 105), *range(970, 1000)]:
        entries.append({"name": b"d/" + b"n" * length, "records": _RAWSD})
    return entries


def _generated(count: int) -> list[dict[str, Any]]:
    dice = random.Random(20240117)
    letters = [b"a", b"B", b"-", b" ", b"%", "ß".encode(), b"\xff", b"\n"]
    entries = []
    for _ in range(count):
        odd = dice.random() < 0.3
        alphabet = letters if odd else letters[:5]
        parts = [
            b"".join(dice.choice(alphabet) for _ in range(dice.choice((1, 3, 20, 45, 99, 130))))
            for _ in range(dice.randint(1, 6))
        ]
        name = dice.choice((b"", b"/")) + b"/".join(parts)
        directory = dice.random() < 0.3
        entries.append(
            {
                "name": name,
                "dir": directory,
                "size": 0 if directory else dice.choice((0, 7, 8**11 - 1, 8**11, 10**15)),
                "mtime": dice.choice((0, 1, 1700000000, 8**11)),
                "mode": dice.choice((0o555, 0o644, 0o4711)),
                "uid": dice.choice((0, 0, 1000, 8**7)),
                "gid": dice.choice((0, 0, 1000, 8**7)),
                "records": dice.choice(({}, {}, _RAWSD, _XATTR, {**_RAWSD, **_XATTR})),
            }
        )
    return entries


def _ours(entry: dict[str, Any]) -> bytes:
    return header(
        TarEntry(
            entry["name"],
            None if entry.get("dir") else b"no file",
            entry.get("size", 0),
            entry.get("mode", 0o555),
            entry.get("uid", 0),
            entry.get("gid", 0),
            entry.get("mtime", 0),
            entry.get("records"),
        )
    )


def test_headers_are_those_of_gos_archive_tar(go_reference: GoReference) -> None:
    entries = _interesting() + _generated(500)
    expected = go_reference.headers(entries)
    assert [e for e, theirs in zip(entries, expected) if _ours(e) != theirs] == []


def test_headers_are_those_that_were_compared_with_go() -> None:
    """The same table where there is no Go. After a change of the table: take the digest anew."""
    blocks = b"".join(map(_ours, _interesting() + _generated(100)))
    assert hashlib.sha256(blocks).hexdigest() == _GOLDEN_HEADERS


_PART = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=80
).filter(lambda part: part not in (".", ".."))


@settings(max_examples=150, deadline=None)
@given(
    files=st.dictionaries(
        st.lists(_PART, min_size=1, max_size=5).map("/".join), st.binary(max_size=1500), max_size=5
    ),
    mtime=st.integers(min_value=0, max_value=2**40),
    step=st.integers(min_value=1, max_value=3000),
)
def test_python_reads_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], mtime: int, step: int
) -> None:
    directory = tmp_path_factory.mktemp("files")
    entries = []
    for number, (name, content) in enumerate(files.items()):
        path = directory / str(number)
        path.write_bytes(content)
        entries.append(
            TarEntry(name.encode(), str(path).encode(), len(content), 0o640, 7, 8, mtime=mtime)
        )
    archive = _read_all(TarReader(entries), step)
    assert archive.endswith(TRAILER)
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
        members = tar.getmembers()
        assert [(m.name, m.mtime, m.mode, m.uid, m.gid, m.uname) for m in members] == [
            (name, mtime, 0o640, 7, 8, "") for name in files
        ]
        for member, content in zip(members, files.values()):
            extracted = tar.extractfile(member)
            assert extracted is not None
            assert extracted.read() == content


def _read_all(reader: TarReader, step: int) -> bytes:
    """Read in pieces of `step` bytes: every call but the last must fill its buffer."""
    archive = b""
    while True:
        buffer = bytearray(step)
        count = reader.readinto(memoryview(buffer))
        archive += buffer[:count]
        if count < step:
            assert reader.readinto(memoryview(buffer)) == 0
            return archive


@pytest.mark.parametrize("name", [b"", b"a//b", b"a/", b"./a", b"a/../b", b"a\0b", b"/"])
def test_a_name_that_is_not_clean_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="not a clean path"):
        header(TarEntry(name))


@pytest.mark.parametrize("claimed", [9, 11])
def test_a_file_of_another_length_than_announced_is_an_error(tmp_path: Path, claimed: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    reader = TarReader([TarEntry(b"file", str(path).encode(), claimed)])
    with pytest.raises(KoPantsError, match=f"changed while it was read: expected {claimed} bytes"):
        reader.readinto(memoryview(bytearray(4096)))


@pytest.mark.parametrize(("size", "pad"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_padding_fills_the_block(size: int, pad: int) -> None:
    assert padding(size) == pad


def test_an_entry_is_a_directory_of_root_unless_it_says_otherwise() -> None:
    plain = TarEntry(b"a", None, 0, 0o555, 0, 0, 0, None)
    assert header(TarEntry(b"a")) == header(plain)


@pytest.mark.parametrize("mode", [0, 0o7777])
def test_every_permission_bit_is_a_mode(mode: int) -> None:
    assert b"%07o\0" % mode == header(TarEntry(b"a", mode=mode))[100:108]


def test_an_archive_ends_with_two_zero_blocks() -> None:
    assert _read_all(TarReader([]), 5000) == bytes(1024)
    assert _read_all(TarReader([TarEntry(b"a")]), 100) == header(TarEntry(b"a")) + bytes(1024)


@pytest.mark.parametrize("mode", [-1, 0o10000, 0o100644])
def test_a_mode_of_more_than_permission_bits_is_refused(mode: int) -> None:
    with pytest.raises(ValueError, match=f"not a file mode: {mode:o}"):
        header(TarEntry(b"a", mode=mode))
