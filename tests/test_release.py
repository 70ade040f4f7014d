"""`scripts/release` in a copy of what it reads, with a git of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

import ko_pants

REPO = Path(__file__).resolve().parent.parent
PARTS = (
    *("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "pants.toml", ".gitignore"),
    *("requirements.txt", "requirements-dev.txt", "requirements-go.txt"),
    *("scripts/release", "scripts/environment.sh", "src/python/ko_pants"),
)
VERSION = "7.8.9"


def git(place: Path, *args: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *args], cwd=place, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A commit that can be released as VERSION."""
    place = tmp_path / "repo"
    for part in PARTS:
        (place / part).parent.mkdir(parents=True, exist_ok=True)
        if (REPO / part).is_dir():
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(REPO / part, place / part, ignore=skipped)
        else:
            shutil.copy2(REPO / part, place / part)
    set_version(place, VERSION)
    changelog = place / "CHANGELOG.md"
    entry = f"## [{VERSION}] - 2026-11-28\n\n### Added\n\n- Something.\n\n## [0.1.0]"
    changelog.write_text(changelog.read_text().replace("## [0.1.0]", entry))
    git(place, "init", "-q")
    commit(place)
    return place


def set_version(place: Path, version: str) -> None:
    (place / "src/python/ko_pants/__init__.py").write_text(f'__version__ = "{version}"\n')


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "a commit")


def release(place: Path) -> subprocess.CompletedProcess[str]:
    # Its environments are there: those that run this test.
    return subprocess.run(
        [str(place / "scripts" / "release")],
        cwd=place,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release(checkout: Path) -> None:
    done = release(checkout)
    assert done.returncode == 0, done.stderr
    made = checkout / "dist" / "release"
    wheel = made / f"ko_pants-{VERSION}-py3-none-any.whl"
    assert {p.name for p in made.iterdir()} == {wheel.name, f"ko_pants-{VERSION}.tar.gz"}
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"ko_pants-{VERSION}.dist-info/METADATA").decode()
    assert f"\nVersion: {VERSION}\n" in metadata
    assert f"git tag -s v{VERSION}" in done.stdout

    first = {p.name: p.read_bytes() for p in made.iterdir()}
    assert release(checkout).returncode == 0
    assert {p.name: p.read_bytes() for p in made.iterdir()} == first


def test_what_is_no_release(checkout: Path) -> None:
    def problem() -> str:
        done = release(checkout)
        assert done.returncode == 1
        assert not (checkout / "dist").exists()
        return done.stderr

    (checkout / "README.md").write_text("changed")
    assert "not committed" in problem()
    commit(checkout)
    git(checkout, "tag", f"v{VERSION}")
    assert f"the tag v{VERSION} exists already" in problem()
    set_version(checkout, "7.9.0")
    assert "CHANGELOG.md has no line like: ## [7.9.0] - " in problem()
    set_version(checkout, "7.9.0.dev0")
    assert "expected one like 0.1.0" in problem()


def test_this_version_stands_where_the_script_looks() -> None:
    text = (REPO / "src/python/ko_pants/__init__.py").read_text()
    assert f'\n__version__ = "{ko_pants.__version__}"\n' in text
