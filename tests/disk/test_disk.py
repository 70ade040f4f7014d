"""Directories and files as they are on the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ko_pants import daemon_memory
from ko_pants.disk.disk import ABSENT, Disk, HiddenFile, Kind, check_name
from ko_pants.errors import KoPantsError

# Older than what the file system may still change under the same time stamp.
_LONG_AGO_NANOSECONDS = 1_600_000_000 * 10**9


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    daemon_memory.clear_all()
    root = tmp_path / "repo"
    root.mkdir()
    return Disk(str(root))


def write(disk: Disk, path: str, content: bytes = b"") -> Path:
    file = Path(disk.absolute(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def link(disk: Disk, path: str, target: str) -> None:
    file = Path(disk.absolute(path))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)


def test_the_entries_of_a_directory_have_their_kinds(disk: Disk) -> None:
    write(disk, "d/file")
    write(disk, "d/.hidden/x")
    link(disk, "d/to-file", "file")
    link(disk, "d/to-directory", ".hidden")
    link(disk, "d/dangling", "nowhere")
    os.mkfifo(disk.absolute("d/pipe"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(disk.absolute("d/socket"))
    expected = {
        "file": Kind.FILE,
        ".hidden": Kind.DIRECTORY,
        "to-file": Kind.LINK,
        "to-directory": Kind.LINK,
        "dangling": Kind.LINK,
        "pipe": Kind.OTHER,
        "socket": Kind.OTHER,
    }
    assert disk.entries("d") == expected
    assert {name: disk.kind(f"d/{name}") for name in expected} == expected
    assert disk.entries("") == {"d": Kind.DIRECTORY}
    assert disk.kind("") is Kind.DIRECTORY


@pytest.mark.parametrize("path", ["missing", "file", "file/below", "dangling"])
def test_what_is_no_directory_has_no_entries(disk: Disk, path: str) -> None:
    write(disk, "file")
    link(disk, "dangling", "nowhere")
    assert disk.entries(path) == {}


def test_a_directory_through_a_link_has_the_entries_of_its_target(disk: Disk) -> None:
    write(disk, "d/file")
    link(disk, "l", "d")
    assert disk.entries("l") == {"file": Kind.FILE}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_directory_that_cannot_be_read(disk: Disk) -> None:
    write(disk, "d/file")
    os.chmod(disk.absolute("d"), 0)
    try:
        with pytest.raises(KoPantsError, match=r"^d cannot be read: Permission denied$"):
            disk.entries("d")
    finally:
        os.chmod(disk.absolute("d"), 0o755)


def test_a_directory_is_read_again_when_a_file_comes_or_goes(disk: Disk) -> None:
    write(disk, "d/a")
    assert set(disk.entries("d")) == {"a"}
    added = write(disk, "d/b")
    assert set(disk.entries("d")) == {"a", "b"}
    added.unlink()
    assert set(disk.entries("d")) == {"a"}


def test_the_state_of_a_directory_changes_when_a_file_comes_or_goes(disk: Disk) -> None:
    def settled(path: str) -> object:
        state = disk.state(path)
        while state is None:
            state = disk.state(path)
        return state

    write(disk, "d/a")
    before = settled("d")
    assert settled("d") == before
    write(disk, "d/b")
    assert settled("d") != before


def test_what_changed_just_now_has_no_state(disk: Disk) -> None:
    write(disk, "now")
    assert disk.state("now") is None


def test_what_does_not_exist_has_a_state_until_it_comes(disk: Disk) -> None:
    write(disk, "file")
    for path in ("d", "d/below", "file/below"):
        assert disk.state(path) == ABSENT
        assert disk.entries(path) == {}
    write(disk, "d/a")
    assert disk.state("d") != ABSENT
    assert set(disk.entries("d")) == {"a"}
    shutil.rmtree(Path(disk.root, "d"))
    assert disk.state("d") == ABSENT
    assert disk.entries("d") == {}


def test_a_state_follows_links(disk: Disk) -> None:
    file = write(disk, "d/file")
    link(disk, "l", "d/file")
    while (state := disk.state("d/file")) is None:
        pass
    assert disk.state("l") == state
    file.unlink()
    assert disk.state("l") == ABSENT


@pytest.mark.parametrize(
    ("changed", "age", "known"),
    [
        (1_700_000_000_123_456_789, 10**9, True),
        (1_700_000_000_123_456_789, 10**7, False),
        # HFS+ stamps whole seconds: what changed in this one may change again in it.
        (1_700_000_000_000_000_000, 10**9, False),
        (1_700_000_000_000_000_000, 3 * 10**9, True),
    ],
)
def test_a_state_says_nothing_while_the_clock_of_the_file_system_has_not_ticked(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, changed: int, age: int, known: bool
) -> None:
    file = write(disk, "file")
    status = SimpleNamespace(st_mtime_ns=changed, st_ctime_ns=changed, st_ino=1, st_size=2)
    assert disk.absolute("file") == str(file)
    monkeypatch.setattr(os, "stat", lambda path: status)
    monkeypatch.setattr(time, "time_ns", lambda: changed + age)
    assert disk.state("file") == ((changed, 1, 2) if known else None)


def test_the_fingerprint_is_that_of_the_content_now(disk: Disk) -> None:
    file = write(disk, "gen.go", b"one")
    for content in (b"one", b"two", b"three", b""):
        file.write_bytes(content)
        # An edit that keeps the time of modification is an edit all the same.
        os.utime(file, ns=(_LONG_AGO_NANOSECONDS, _LONG_AGO_NANOSECONDS))
        found = disk.hidden_file("gen.go")
        assert found == HiddenFile("gen.go", hashlib.sha256(content).hexdigest(), len(content))
        assert disk.read("gen.go") == content


def test_a_known_fingerprint_needs_no_read(disk: Disk) -> None:
    file = write(disk, "gen.go", b"one")
    while disk.state("gen.go") is None:
        pass
    found = disk.hidden_file("gen.go")
    moved = file.with_name("moved")
    # Neither the file itself nor its state changes when the directory above is renamed.
    assert disk.hidden_file("gen.go") == found
    file.rename(moved)
    with pytest.raises(KoPantsError, match=r"^gen\.go cannot be read: No such file or directory$"):
        disk.hidden_file("gen.go")


@pytest.mark.parametrize("path", ["missing", "d"])
def test_what_cannot_be_read_is_named(disk: Disk, path: str) -> None:
    write(disk, "d/file")
    with pytest.raises(KoPantsError, match=f"^{path} cannot be read: "):
        disk.read(path)
    with pytest.raises(KoPantsError, match=f"^{path} cannot be read: "):
        disk.hidden_file(path)


@pytest.mark.parametrize(
    ("path", "target", "resolved"),
    [
        ("l", "a/file", "a/file"),
        ("b/l", "../a/file", "a/file"),
        ("b/l", "../a", "a"),
        ("b/l", "..", ""),
        ("b/l", ".", "b"),
        ("b/l", "../first", "a/file"),
        ("b/l", "../d/../a/file", "a/file"),
        ("b/l", "../d/up/a/file", "a/file"),
    ],
)
def test_a_link_within_the_repo(disk: Disk, path: str, target: str, resolved: str) -> None:
    write(disk, "a/file")
    write(disk, "b/file")
    write(disk, "c/d/file")
    link(disk, "d", "c")
    link(disk, "c/up", "d/../..")
    link(disk, "first", "a/file")
    link(disk, path, target)
    assert disk.resolve(path) == resolved


def test_what_is_no_link_is_itself(disk: Disk) -> None:
    write(disk, "a/file")
    assert disk.resolve("a/file") == "a/file"
    assert disk.resolve("a") == "a"
    assert disk.resolve("") == ""


def test_a_root_that_is_reached_through_a_link(disk: Disk, tmp_path: Path) -> None:
    write(disk, "a/file")
    link(disk, "l", "a/file")
    (tmp_path / "other").symlink_to("repo")
    assert Disk(str(tmp_path / "other")).resolve("l") == "a/file"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("../../outside", "leads out of the repo"),
        ("../../repo-2/file", "leads out of the repo"),
        ("../../caf\udce9", "leads out of the repo"),
        ("../leaves", "leads out of the repo"),
        ("nowhere", "'nowhere', which does not exist"),
        ("l", "'l', which does not exist"),
        ("../loop", "'../loop', which does not exist"),
        ("/nowhere", "absolute path '/nowhere'"),
        ("{root}/b/file", "absolute path '{root}/b/file'"),
        ("../absolute", "absolute path '{root}/b/file'"),
        ("../directory/file", "absolute path '{root}/b'"),
    ],
)
def test_a_link_that_no_machine_can_share(
    disk: Disk, tmp_path: Path, target: str, says: str
) -> None:
    write(disk, "b/file")
    for name in ("outside", "repo-2/file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    link(disk, "leaves", "../outside")
    link(disk, "loop", "b/l")
    link(disk, "absolute", disk.absolute("b/file"))
    link(disk, "directory", disk.absolute("b"))
    link(disk, "b/l", target.replace("{root}", disk.root))
    with pytest.raises(KoPantsError) as e:
        disk.resolve("b/l")
    str(e.value).encode()
    assert "b/l is a symbolic link" in str(e.value)
    assert says.replace("{root}", disk.root) in str(e.value)


@pytest.mark.parametrize("name", ["caf\udce9", "\udcff.go"])
def test_a_name_that_is_not_utf8(name: str) -> None:
    with pytest.raises(KoPantsError) as e:
        check_name("static", name)
    assert repr(os.fsencode(name)) in str(e.value)
    assert "static" in str(e.value)
    str(e.value).encode()
    with pytest.raises(KoPantsError, match="the root of the repo"):
        check_name("", name)


def test_a_name_that_is_utf8() -> None:
    check_name("static", "café")
