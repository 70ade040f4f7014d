"""docs/first-change.md: its changes fit the code of today, and what they add works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PAGE = REPO / "docs" / "first-change.md"
PARTS = ("src/python", "tests", "bench", "docs", "scripts")
ROOT_FILES = ("pyproject.toml", "*.md", "*.yml", "*.toml", "*.txt")


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with all changes of the page, one after another."""
    place = tmp_path_factory.mktemp("first-change") / "repo"
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "out")
        shutil.copytree(REPO / part, place / part, ignore=ignored, symlinks=True)
    for pattern in ROOT_FILES:
        for path in REPO.glob(pattern):
            shutil.copy2(path, place / path.name)
    changes = re.findall(r"(?ms)^```diff\n(.*?)^```$", PAGE.read_text())
    assert len(changes) >= 10
    for change in changes:
        done = subprocess.run(
            ["git", "apply", "-C1", "-"],
            cwd=place,
            input=change,
            env={**os.environ, "GIT_CEILING_DIRECTORIES": str(place.parent)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"this does not fit any more:\n{change}\n{done.stderr}"
    return place


@pytest.mark.parametrize(
    ("tests", "chosen", "count"),
    [
        (
            ["tests/oci", "tests/test_config_fields.py", "tests/rules/test_image_config.py"],
            "author",
            5,
        ),
        (["tests/test_docs.py"], "go_oci_image or other_is_documented", 4),
    ],
)
def test_the_tests_of_the_page_pass(
    changed: Path, tests: list[str], chosen: str, count: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-k", chosen],
        cwd=changed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= count


def test_the_field_is_not_there_yet() -> None:
    # Whoever adds it gives the page another one.
    assert (
        "GoOciImageAuthorField" not in (REPO / "src/python/ko_pants/config_fields.py").read_text()
    )


def test_places_that_the_page_names_are_there() -> None:
    table = PAGE.read_text().partition("| file |")[2].partition("\n\n")[0]
    names = re.findall(r"`([\w./]+)`", table)
    roots = (REPO, REPO / "src" / "python" / "ko_pants")
    assert len(names) >= 9
    for name in names:
        assert any((root / name).exists() for root in roots), name
