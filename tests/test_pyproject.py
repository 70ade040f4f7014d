"""What `pip install` of the repository installs."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPO = Path(__file__).parent.parent
SOURCES = Path("src/python")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what setuptools would install, and its metadata."""
    copy = tmp_path_factory.mktemp("repository")
    for name in ("pyproject.toml", "README.md", "requirements.txt"):
        shutil.copy(REPO / name, copy)
    ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache", "*.egg-info")
    shutil.copytree(REPO / SOURCES, copy / SOURCES, ignore=ignored)
    # setuptools must not take another directory for a package.
    (copy / "tests").mkdir()
    (copy / "tests" / "__init__.py").touch()
    (copy / "out").mkdir()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import setuptools; setuptools.setup()",
            *("build_py", "--build-lib", "out"),
            *("egg_info", "--egg-base", "out"),
        ],
        cwd=copy,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "out"


def test_every_module_is_installed_and_nothing_else(built: Path) -> None:
    installed = {str(path.relative_to(built)) for path in built.rglob("*.py")}
    sources = REPO / SOURCES
    assert installed == {str(p.relative_to(sources)) for p in sources.glob("ko_pants/**/*.py")}
    assert "ko_pants/registry/steps/exchange.py" in installed


def test_what_it_needs_is_what_the_launcher_installs(built: Path) -> None:
    (found,) = importlib.metadata.distributions(path=[str(built)])
    lines = (REPO / "requirements.txt").read_text().splitlines()
    listed = {str(Requirement(line)) for line in lines if line and not line.startswith("#")}
    needed = {str(Requirement(line)) for line in found.requires or ()}
    assert needed == listed
    assert found.metadata["Name"] in ("ko_pants", "ko-pants")
    assert found.metadata["Requires-Python"] == ">=3.8"
