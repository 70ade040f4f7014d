"""Answers of the disk stay as long as what was looked at is the same, and no longer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from ko_pants import daemon_memory
from ko_pants.disk import answers
from ko_pants.disk.answers import Question, Reader, ask, look_again
from ko_pants.errors import KoPantsError

_asked: list[str] = []


@dataclass(frozen=True)
class FirstLetter(Question[str]):
    """Of a file; empty if it does not exist. The rest of the file is no part of the answer."""

    name: str

    def answer(self, reader: Reader) -> str:
        _asked.append(self.name)
        return reader.read(self.name)[:1].decode() if self.name in reader.entries("") else ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    daemon_memory.clear_all()
    _asked.clear()
    write(tmp_path, "a", "apple")
    write(tmp_path, "b", "banana")
    return tmp_path


def write(root: Path, name: str, content: str) -> None:
    """A file that was written a while ago: what is too new is read again."""
    path = root / name
    known = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(content)
    os.utime(path, ns=(known + 10**9, known + 10**9))


@pytest.fixture(autouse=True)
def _all_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ko_pants.disk.disk._TICK_NANOSECONDS", 0)
    monkeypatch.setattr("ko_pants.disk.disk._COARSE_TICK_NANOSECONDS", 0)


def test_an_answer_is_looked_for_once(root: Path) -> None:
    assert [ask(str(root), FirstLetter(name)) for name in ("a", "b", "a")] == ["a", "b", "a"]
    change = look_again(str(root))
    assert ask(str(root), FirstLetter("a")) == "a"
    assert (_asked, look_again(str(root))) == (["a", "b"], change)


def test_only_what_changed_is_looked_for_again(root: Path) -> None:
    for name in ("a", "b"):
        ask(str(root), FirstLetter(name))
    change = look_again(str(root))
    _asked.clear()
    write(root, "a", "zebra")
    assert look_again(str(root)) != change
    assert _asked == ["a"]
    assert ask(str(root), FirstLetter("a")) == "z"


def test_another_file_with_the_same_answer_is_no_change(root: Path) -> None:
    before = ask(str(root), FirstLetter("a"))
    change = look_again(str(root))
    write(root, "a", "almond")
    assert look_again(str(root)) == change
    assert ask(str(root), FirstLetter("a")) is before
    assert _asked == ["a", "a"]
    look_again(str(root))
    assert _asked == ["a", "a"]


def test_files_come_and_go(root: Path) -> None:
    assert ask(str(root), FirstLetter("new")) == ""
    first = look_again(str(root))
    write(root, "new", "n")
    second = look_again(str(root))
    assert (ask(str(root), FirstLetter("new")), second != first) == ("n", True)
    (root / "new").unlink()
    assert look_again(str(root)) != second
    assert ask(str(root), FirstLetter("new")) == ""


def test_what_changed_just_now_is_looked_for_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ko_pants.disk.disk._TICK_NANOSECONDS", 10**18)
    ask(str(root), FirstLetter("a"))
    look_again(str(root))
    assert _asked == ["a", "a"]


def test_an_error_is_a_change_and_is_not_remembered(root: Path) -> None:
    @dataclass(frozen=True)
    class Strict(Question[bytes]):
        def answer(self, reader: Reader) -> bytes:
            reader.entries("")
            return reader.read("a")

    assert ask(str(root), Strict()) == b"apple"
    change = look_again(str(root))
    (root / "a").unlink()
    assert look_again(str(root)) != change
    for _ in range(2):
        with pytest.raises(KoPantsError, match="a cannot be read"):
            ask(str(root), Strict())
    write(root, "a", "again")
    assert ask(str(root), Strict()) == b"again"


def test_what_is_forgotten_is_a_change(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_MAX_ANSWERS", 1)
    ask(str(root), FirstLetter("a"))
    change = look_again(str(root))
    ask(str(root), FirstLetter("b"))
    assert look_again(str(root)) != change
    assert ask(str(root), FirstLetter("a")) == "a"
