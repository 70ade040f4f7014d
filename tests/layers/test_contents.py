"""What is in a layer: ko's executable and kodata, byte for byte, and trees elsewhere."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import tarfile
from pathlib import Path
from typing import Any, Iterable, Iterator

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.layers.contents import executable_entries, tree_entries
from ko_pants.layers.tar import TarEntry, TarReader


def _executable(directory: Path, content: bytes = b"hello binary\n") -> bytes:
    path = directory / "executable"
    path.write_bytes(content)
    return os.fsencode(path)


def _archive(entries: Iterable[TarEntry]) -> bytes:
    buffer = bytearray(1 << 20)
    count = TarReader(entries).readinto(memoryview(buffer))
    return bytes(buffer[:count])


def _members(entries: Iterable[TarEntry]) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(_archive(entries))) as tar:
        return tar.getmembers()


def _kodata(
    root: Path, allowed_root: Path, os_name: str = "linux", **more: Any
) -> Iterator[TarEntry]:
    """The kodata tree, as ko writes it."""
    return tree_entries(
        os.fsencode(root),
        at=b"/var/run/ko",
        os_name=os_name,
        allowed_root=os.fsencode(allowed_root),
        **more,
    )


def _assert_golden(entries: Iterable[TarEntry], tar_size: int, diff_id: str) -> None:
    archive = _archive(entries)
    assert (len(archive), hashlib.sha256(archive).hexdigest()) == (tar_size, diff_id)


def _kodata_names(root: Path, os_name: str = "linux") -> list[str]:
    entries = _kodata(root, root.parent, os_name)
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
    entries = executable_entries(_executable(tmp_path), os_name=os_name, app_name="test")
    _assert_golden(entries, tar_size, diff_id)


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
    entries = _kodata(root, tmp_path, mtime=epoch)
    _assert_golden(entries, tar_size, diff_id)


def test_capabilities_become_an_extended_attribute(tmp_path: Path) -> None:
    entries = executable_entries(
        _executable(tmp_path), os_name="linux", app_name="a", capabilities=b"\1\0\0\2caps"
    )
    directory, file = _members(entries)
    assert directory.pax_headers == {}
    assert file.pax_headers == {"SCHILY.xattr.security.capability": "\1\0\0\2caps"}


def test_capabilities_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match="only Linux images can have them"):
        list(
            executable_entries(
                _executable(tmp_path), os_name="windows", app_name="a", capabilities=b"caps"
            )
        )


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KoPantsError, match="expected one path component"):
        list(executable_entries(_executable(tmp_path), os_name="linux", app_name=name))


def test_an_executable_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match="not a regular file"):
        list(executable_entries(os.fsencode(tmp_path), os_name="linux", app_name="a"))


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
    entries = list(_kodata(Path(os.fsdecode(root)), tmp_path))
    assert entries[-1].name == b"/var/run/ko/caf\xe9"


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
    members = _members(_kodata(root, tmp_path))
    assert [member.size for member in members if member.isfile()] == [4, 4, 3, 3]
    assert not any(member.issym() for member in members)


def test_the_whole_file_system_may_be_the_allowed_root(tmp_path: Path) -> None:
    root = tmp_path / "kodata"
    root.mkdir()
    (tmp_path / "file").write_text("x")
    (root / "link").symlink_to("../file")
    assert list(_kodata(root, Path("/")))[-1].name == b"/var/run/ko/link"


def test_a_root_that_is_a_link_out_of_the_allowed_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "kodata").symlink_to("../shared")
    with pytest.raises(KoPantsError, match=r"^kodata symbolic link .*/repo/kodata resolves to"):
        list(_kodata(tmp_path / "repo" / "kodata", tmp_path / "repo"))


def test_a_root_that_is_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("")
    (tmp_path / "kodata").symlink_to("shared")
    assert _kodata_names(tmp_path / "kodata") == ["file"]


def test_links_are_followed_for_windows_too(tmp_path: Path) -> None:
    # ko leaves them out there, and the program misses a file.
    root = tmp_path / "kodata"
    root.mkdir()
    (root / "file").write_text("text")
    (root / "link").symlink_to("file")
    assert _kodata_names(root, "windows") == ["file", "link"]
    entries = list(_kodata(root, root, "windows"))
    assert ["MSWINDOWS.rawsd" in (e.pax_records or {}) for e in entries] == [False] * 5 + [True] * 2
    assert entries[-1].size == len("text")


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
        list(_kodata(root, allowed))


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


# Trees that are not kodata


def _tree(root: Path, **more: Any) -> list[tuple[str, int, int, int, int]]:
    entries = tree_entries(
        os.fsencode(root), **{"os_name": "linux", "allowed_root": os.fsencode(root), **more}
    )
    return [(os.fsdecode(e.name), e.mode, e.uid, e.gid, e.mtime) for e in entries]


@pytest.fixture
def web(tmp_path: Path) -> Path:
    root = tmp_path / "web"
    (root / "css").mkdir(parents=True)
    (root / "css" / "x.css").write_text("x{}")
    (root / "index.html").write_text("<html>")
    return root


OURS = {"file_mode": 0o640, "directory_mode": 0o750, "uid": 7, "gid": 8, "mtime": 9}


def test_a_tree_has_its_own_place_modes_owner_and_time(web: Path) -> None:
    assert _tree(web, at=b"/srv/www/app", **OURS) == [
        # The directories above are root's.
        ("/srv", 0o555, 0, 0, 9),
        ("/srv/www", 0o555, 0, 0, 9),
        ("/srv/www/app", 0o750, 7, 8, 9),
        ("/srv/www/app/css", 0o750, 7, 8, 9),
        ("/srv/www/app/css/x.css", 0o640, 7, 8, 9),
        ("/srv/www/app/index.html", 0o640, 7, 8, 9),
    ]


def test_the_directories_above_a_tree_can_be_left_to_the_base(web: Path) -> None:
    names = [name for name, *_ in _tree(web, at=b"/srv/www", directories="tree")]
    assert names == ["/srv/www", "/srv/www/css", "/srv/www/css/x.css", "/srv/www/index.html"]
    names = [name for name, *_ in _tree(web, at=b"/srv/www", directories="tree", os_name="windows")]
    assert names[:4] == ["Hives", "Files", "Files/srv", "Files/srv/www"]


def test_all_directories_can_be_left_to_the_base(web: Path) -> None:
    names = [name for name, *_ in _tree(web, at=b"/bin", directories="none")]
    assert names == ["/bin/css/x.css", "/bin/index.html"]
    # Nobody makes what a Windows layer does not have.
    names = [name for name, *_ in _tree(web, at=b"/bin", directories="none", os_name="windows")]
    assert names[:4] == ["Hives", "Files", "Files/bin", "Files/bin/css"]


def test_executable_files_can_have_a_mode_of_their_own(web: Path) -> None:
    (web / "index.html").chmod(0o755)
    found = _tree(web, at=b"/a", file_mode=0o644, executable_mode=0o755, directories="none")
    assert [(name, mode) for name, mode, *_ in found] == [
        ("/a/css/x.css", 0o644),
        ("/a/index.html", 0o755),
    ]


@pytest.mark.parametrize("name", [".wh.index.html", ".wh..wh..opq"])
def test_a_name_that_would_delete_a_file_of_the_base_is_refused(web: Path, name: str) -> None:
    (web / "css" / name).write_text("")
    with pytest.raises(KoPantsError, match="deletes a file of the layers below"):
        _tree(web, at=b"/a")


def test_a_tree_at_the_root_of_the_image(web: Path) -> None:
    assert _tree(web, at=b"/", **OURS) == [
        ("/css", 0o750, 7, 8, 9),
        ("/css/x.css", 0o640, 7, 8, 9),
        ("/index.html", 0o640, 7, 8, 9),
    ]
    assert _tree(web, at=b"/", os_name="windows", **OURS)[:3] == [
        ("Hives", 0o555, 0, 0, 9),
        ("Files", 0o555, 0, 0, 9),
        ("Files/css", 0o750, 7, 8, 9),
    ]


def test_by_default_a_tree_is_as_ko_writes_it(web: Path) -> None:
    assert [attributes for _, *attributes in _tree(web, at=b"/a")] == [[0o555, 0, 0, 0]] * 4


@pytest.mark.parametrize(
    "at", [b"", b"etc", b"/etc/", b"//", b"/etc//app", b"/./a", b"/a/..", b"/\0"]
)
def test_a_place_that_is_no_path_in_the_image_is_refused(web: Path, at: bytes) -> None:
    with pytest.raises(KoPantsError, match=r"cannot be the place of a tree.* such as '/etc/app'"):
        _tree(web, at=at)


def test_messages_name_the_tree_after_its_directory(web: Path) -> None:
    (web / "link").symlink_to("nowhere")
    with pytest.raises(KoPantsError, match=r"^web symbolic link .*/web/link cannot be followed"):
        _tree(web, at=b"/srv")
