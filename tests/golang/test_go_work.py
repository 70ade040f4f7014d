from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.golang.go_work import GoWork, parse_go_work
from ko_pants.golang.modfile import Replace


def test_what_a_build_depends_on() -> None:
    content = (
        b"go 1.22\ntoolchain go1.26.8\nuse ./a\nuse (\n\t./b // b\n\t.\n)\nreplace x => ./x\n"
        b"godebug default=go1.21\n"
    )
    assert parse_go_work(content, "d/go.work") == GoWork(
        "d/go.work", "1.22", ("./a", "./b", "."), (Replace("x", "", "./x", "", 8),)
    )


def test_nothing_has_to_be_there() -> None:
    assert parse_go_work(b"", "go.work") == GoWork("go.work") == GoWork("go.work", "", (), ())


def test_its_directory() -> None:
    assert GoWork("a/b/go.work").directory == "a/b"
    assert GoWork("go.work").directory == ""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("go 1.22\nuse a b\n", "w/go.work:2: malformed `use`"),
        ("go 1.22\ngo 1.23\n", "w/go.work:2: repeated `go`"),
        ("go\n", "w/go.work:1: malformed `go`"),
        ("toolchain x\ntoolchain y\n", "w/go.work:2: repeated `toolchain`"),
        ("toolchain\n", "w/go.work:1: malformed `toolchain`"),
        ("use (\n./a\n", "w/go.work:1: the block `use (` has no closing"),
        ("replace x => y\n", "w/go.work:1: the replacement 'y' has no version"),
    ],
)
def test_malformed(content: str, text: str) -> None:
    with pytest.raises(KoPantsError) as error:
        parse_go_work(content.encode(), "w/go.work")
    assert str(error.value).startswith(text)
