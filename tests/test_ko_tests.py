"""The table of docs/ko-tests.md names tests that exist, and every test of ko that concerns us."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "ko-tests.md").read_text()
KO = "github.com/google/ko@v0.19.1"
# Tests of what ko's other tests and its calls of git are made of.
ELSEWHERE = "pkg/internal"


def named_tests(line: str) -> list[tuple[str, str]]:
    """The file and name of each test in a row; `::name` has the file of the one before it."""
    found: list[tuple[str, str]] = []
    for file, name in re.findall(r"`([\w/.]*)::(\w+)`", line):
        found.append((file or found[-1][0], name))
    return found


def test_the_tests_of_the_table_exist() -> None:
    named = [test for line in PAGE.split("\n") for test in named_tests(line)]
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not re.search(rf"^(def {name}\(|{name}\b.* = )", (ROOT / file).read_text(), re.M)
    ]
    assert len(named) > 50
    assert missing == []


def test_every_test_of_ko_is_in_the_table() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    cache = subprocess.check_output([go, "env", "GOMODCACHE"], text=True).strip()
    source = Path(cache, KO)
    if not source.is_dir():
        pytest.skip("the source of ko is not in the module cache")
    missing = [
        f"{path.relative_to(source)}: {name}"
        for path in sorted(source.rglob("pkg/**/*_test.go"))
        if not str(path.relative_to(source)).startswith(ELSEWHERE)
        for name in re.findall(r"^func (Test\w+)", path.read_text(), re.M)
        if f"`{name}`" not in PAGE
    ]
    assert missing == []
