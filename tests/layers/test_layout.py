from __future__ import annotations

import io
import os
import socket
import tarfile
from pathlib import Path

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import write_blob
from ko_pants.layers.layout import binary_entries, kodata_entries
from ko_pants.layers.tar import TarReader


def _executable(directory: Path, content: bytes = b"hello binary\n") -> bytes:
    path = directory / "executable"
    path.write_bytes(content)
    return os.fsencode(path)


def _members(archive_entries: object) -> list[tarfile.TarInfo]:
    buffer = bytearray(1 << 20)
    count = TarReader(archive_entries).readinto(memoryview(buffer))  # type: ignore[arg-type]
    with tarfile.open(fileobj=io.BytesIO(bytes(buffer[:count]))) as tar:
        return tar.getmembers()


def _kodata_names(root: Path, os_name: str = "linux") -> list[str]:
    entries = kodata_entries(
        os.fsencode(root), os_name=os_name, allowed_root=os.fsencode(root.parent)
    )
    skip = 3 if os_name == "linux" else 5
    prefix = "/var/run/ko/" if os_name == "linux" else "Files/var/run/ko/"
    names = [member.name for member in _members(entries)[skip:]]
    assert all(name.startswith(prefix) for name in names)
    return [name[len(prefix) :] for name in names]


@pytest.mark.parametrize(
    ("os_name", "tar_size", "diff_id"),
    [
        ("linux", 2560, "bc4c338f2ccf288f9ef86ab119362c504e32769891e1d8083ac46a113a5ae77b"),
        ("windows", 4608, "165938cd04fa556449793c3185b8b1baed38ecc48014a18c9c394401e1253f4c"),
    ],
)
def test_golden_diff_ids_of_executables(
    tmp_path: Path, os_name: str, tar_size: int, diff_id: str
) -> None:
    entries = binary_entries(_executable(tmp_path), os_name=os_name, app_name="test")
    written = write_blob(entries, "none", 0, str(tmp_path / "layer"), chunk_bytes=1 << 20)
    assert (written.tar_size, written.diff_id) == (tar_size, "sha256:" + diff_id)


@pytest.mark.parametrize(
    ("files", "epoch", "tar_size", "diff_id"),
    [
        (None, 0, 2560, "ffe56a1c5f3878e9b5f803842adb9e2ce81584b6bd027e8599582aefe14a975b"),
        ({}, 0, 2560, "ffe56a1c5f3878e9b5f803842adb9e2ce81584b6bd027e8599582aefe14a975b"),
        (
            {"kenobi": "Hello there\n"},
            0,
            3584,
            "115ce2e7af7f5dc98fae6b8555d9a69c95e84776d30ed1779792929f81999e2a",
        ),
        (
            {"kenobi": "Hello there\n"},
            1700000000,
            3584,
            "13eab25efdc3af68718dfebc553984da7d5b15efbfcb346d53066a0c267bca0a",
        ),
    ],
    ids=["missing", "empty", "kenobi", "epoch"],
)
def test_golden_diff_ids_of_kodata(
    tmp_path: Path, files: dict[str, str] | None, epoch: int, tar_size: int, diff_id: str
) -> None:
    root = tmp_path / "kodata"
    if files is not None:
        root.mkdir()
        for name, content in files.items():
            (root / name).write_text(content)
    entries = kodata_entries(
        os.fsencode(root), os_name="linux", allowed_root=os.fsencode(tmp_path), epoch=epoch
    )
    written = write_blob(entries, "none", 0, str(tmp_path / "layer"), chunk_bytes=1 << 20)
    assert (written.tar_size, written.diff_id) == (tar_size, "sha256:" + diff_id)


def test_capabilities_become_an_extended_attribute(tmp_path: Path) -> None:
    entries = binary_entries(
        _executable(tmp_path), os_name="linux", app_name="a", capabilities=b"\1\0\0\2caps"
    )
    directory, file = _members(entries)
    assert directory.pax_headers == {}
    assert file.pax_headers == {"SCHILY.xattr.security.capability": "\1\0\0\2caps"}


def test_capabilities_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match="only Linux images can have them"):
        list(
            binary_entries(
                _executable(tmp_path), os_name="windows", app_name="a", capabilities=b"caps"
            )
        )


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KoPantsError, match="expected one path component"):
        list(binary_entries(_executable(tmp_path), os_name="linux", app_name=name))


def test_an_executable_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match="not a regular file"):
        list(binary_entries(os.fsencode(tmp_path), os_name="linux", app_name="a"))


def test_kodata_is_in_byte_order_and_a_directory_precedes_its_contents(tmp_path: Path) -> None:
    root = tmp_path / "kodata"
    # '-' and '.' sort before '/': ordering whole paths would put `b-x` before `b/a`.
    for name in ("b/z", "b/a", "b-x", "bé", "B", "b.d/e/f"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert _kodata_names(root) == [
        "B",
        *("b", "b/a", "b/z"),
        "b-x",
        *("b.d", "b.d/e", "b.d/e/f"),
        "bé",
    ]


def test_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "kodata")
    os.mkdir(root)
    try:
        with open(root + b"/caf\xe9", "wb"):
            pass
    except OSError:
        pytest.skip("the file system takes only UTF-8 names")
    entries = list(kodata_entries(root, os_name="linux", allowed_root=root))
    assert b" path=/var/run/ko/caf\xe9\n" in entries[-1].header


def test_links_are_followed_inside_the_allowed_root(tmp_path: Path) -> None:
    root = tmp_path / "kodata"
    root.mkdir()
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "assets" / "css").mkdir(parents=True)
    (tmp_path / "assets" / "css" / "x.css").write_text("x{}")
    (root / "LICENSE").symlink_to("../LICENSE")
    (root / "hop").symlink_to("LICENSE")
    (root / "web").symlink_to("../assets")
    (root / "web2").symlink_to("../assets")
    assert _kodata_names(root) == [
        "LICENSE",
        "hop",
        *("web", "web/css", "web/css/x.css"),
        *("web2", "web2/css", "web2/css/x.css"),
    ]
    members = _members(
        kodata_entries(os.fsencode(root), os_name="linux", allowed_root=os.fsencode(tmp_path))
    )
    assert [member.size for member in members if member.isfile()] == [4, 4, 3, 3]
    assert not any(member.issym() for member in members)


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("")
    (tmp_path / "kodata").symlink_to("shared")
    assert _kodata_names(tmp_path / "kodata") == ["file"]


def test_links_are_left_out_on_windows(tmp_path: Path) -> None:
    root = tmp_path / "kodata"
    root.mkdir()
    (root / "file").write_text("")
    (root / "link").symlink_to("file")
    (root / "dangling").symlink_to("nowhere")
    assert _kodata_names(root, "windows") == ["file"]
    entries = list(
        kodata_entries(os.fsencode(root), os_name="windows", allowed_root=os.fsencode(root))
    )
    assert [b"MSWINDOWS.rawsd" in entry.header for entry in entries] == [False] * 5 + [True]


@pytest.mark.parametrize("target", ["../../secret", "{outside}", "../../kodata-sibling", "up"])
def test_a_link_out_of_the_allowed_root_is_refused(tmp_path: Path, target: str) -> None:
    allowed = tmp_path / "repo"
    root = allowed / "kodata"
    root.mkdir(parents=True)
    outside = tmp_path / "secret"
    outside.write_text("key")
    # A name that merely starts like the allowed root's.
    (tmp_path / "kodata-sibling").symlink_to("repo-private")
    (tmp_path / "repo-private").write_text("key")
    (root / "up").symlink_to("../../secret")
    (root / "a-link").symlink_to(target.format(outside=outside))
    with pytest.raises(KoPantsError, match=r"a-link resolves to .* outside the allowed root"):
        list(kodata_entries(os.fsencode(root), os_name="linux", allowed_root=os.fsencode(allowed)))


@pytest.mark.parametrize("target", [".", "..", "../dir", "../../kodata/dir"])
def test_a_link_to_a_directory_that_contains_it_is_refused(tmp_path: Path, target: str) -> None:
    inner = tmp_path / "kodata" / "dir"
    inner.mkdir(parents=True)
    (inner / "again").symlink_to(target)
    with pytest.raises(KoPantsError, match="again leads back to a directory that contains it"):
        _kodata_names(tmp_path / "kodata")


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_to_nothing_is_refused(tmp_path: Path, target: str) -> None:
    root = tmp_path / "kodata"
    root.mkdir()
    (root / "link").symlink_to(target)
    with pytest.raises(KoPantsError, match="link cannot be followed"):
        _kodata_names(root)


def test_other_kinds_of_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "kodata"
    root.mkdir()
    os.mkfifo(root / "pipe")
    with pytest.raises(KoPantsError, match="pipe is neither a file nor a directory"):
        _kodata_names(root)
    os.unlink(root / "pipe")
    monkeypatch.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        (root / "link").symlink_to("socket")
        with pytest.raises(KoPantsError, match="socket is neither a file nor a directory"):
            _kodata_names(root)


def test_kodata_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kodata").write_text("")
    with pytest.raises(KoPantsError, match="kodata is not a directory"):
        _kodata_names(tmp_path / "kodata")
