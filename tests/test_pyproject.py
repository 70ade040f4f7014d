"""What pyproject.toml says fits what the repository itself runs with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import ko_pants
from ko_pants.environment_check import REQUIRED, environment_problem, installed
from ko_pants.layers.tool_files import tool_files

REPO = Path(__file__).parent.parent


def needed() -> dict[str, Requirement]:
    """The requirements of the distribution, by name in lower case."""
    text = (REPO / "pyproject.toml").read_text()
    block = text.partition("\ndependencies = [")[2].partition("]")[0]
    requirements = [Requirement(line) for line in re.findall(r'"(.*)"', block)]
    return {r.name.lower(): r for r in requirements}


def pinned() -> list[Requirement]:
    """What the launcher installs."""
    lines = (REPO / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_the_launcher_installs_what_the_distribution_needs() -> None:
    assert {r.name.lower() for r in pinned()} == needed().keys()
    assert {name.lower() for name in REQUIRED.values()} == needed().keys()
    for requirement in pinned():
        for version in re.findall(r"==([0-9.]+)", str(requirement.specifier)):
            assert version in needed()[requirement.name.lower()].specifier


def test_no_requirement_is_exact_and_none_is_pants() -> None:
    for name, requirement in needed().items():
        assert "pants" not in name
        assert {s.operator for s in requirement.specifier} <= {">=", "<"}


def test_the_version_stands_in_one_place() -> None:
    text = (REPO / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in text
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", ko_pants.__version__)
    assert ko_pants.__version__ not in text


def test_no_image_and_no_key_of_a_cache_has_the_version() -> None:
    # SBOMs, provenance, the page of a run and the records of ko-explain have it. In the key of a
    # cache, or in an image, it would make everything anew with each release.
    package = REPO / "src" / "python" / "ko_pants"
    named = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(
            r"(?m)^from ko_pants import .*__version__|ko_pants\.__version__", path.read_text()
        )
    }
    assert named == {"artifacts/inventory.py", "page_of_run.py", "rules/image_inputs.py"}
    assert tool_files("gzip")["ko_pants/__init__.py"] == b""


def test_the_changelog_has_an_entry_for_this_version() -> None:
    text = (REPO / "CHANGELOG.md").read_text()
    headings = re.findall(r"(?m)^## \[(.*)\](?: - (.*))?$", text)
    assert headings[0] == ("Unreleased", "")
    versions = [version for version, _ in headings[1:]]
    # A version in between, such as 0.2.0.dev0, is what will be the next one.
    final = re.sub(r"(\.dev|rc)\d+$", "", ko_pants.__version__)
    assert final == versions[0] or (final != ko_pants.__version__ and final not in versions)
    assert versions == sorted(versions, key=Version, reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) for _, date in headings[1:])
    kinds = set(re.findall(r"(?m)^### (.*)$", text))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_lockfile_has_what_the_requirements_say() -> None:
    lock = (REPO / "requirements-own.lock").read_text()
    locked = {Requirement(line).name.lower(): line for line in re.findall(r"(?m)^(\S+==\S+)", lock)}
    for line in (REPO / "requirements-own.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            # One spelling of a name: a dot is a dash.
            name = Requirement(line).name.lower()
            assert name.replace(".", "-") in {n.replace(".", "-") for n in locked}
    dev = (REPO / "requirements-dev.txt").read_text().splitlines()
    for line in [*map(str, pinned()), *dev]:
        name, exact, version = line.partition("==")
        if exact and ";" not in line:
            name = Requirement(name).name.lower()
            assert locked[name] == f"{name}=={version}"
    # It is no place to name a host in.
    assert "://" not in lock


def test_the_core_needs_no_pants() -> None:
    code = (
        "import sys; sys.modules['pants'] = None\n"
        "import ko_pants.registry.client, ko_pants.kocache.cache, ko_pants.golang.closure_search\n"
        "import ko_pants.oci.image, ko_pants.layers.blob, ko_pants.publishing.run\n"
        "ko_pants.registry.client.RegistryClient(ko_pants.registry.client.RegistryConfig({})).parts()\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPO / "src" / "python")},
        check=True,
    )


@pytest.mark.parametrize("version", ["2.17.0", "2.17.1", "2.33.0.dev4", "3.0.0rc1"])
def test_a_pants_that_will_do(version: str) -> None:
    assert environment_problem(version, installed) is None


@pytest.mark.parametrize("version", ["2.16.1", "2.9.0rc3", "1.30.5"])
def test_a_pants_that_is_too_old(version: str) -> None:
    problem = environment_problem(version, installed)
    assert problem is not None
    assert f"this is Pants {version}; set [GLOBAL].pants_version" in problem
    assert "\n" not in problem


def test_packages_that_are_missing_are_named() -> None:
    here = {"requests": 1, "yaml": 1, "zstandard": None}
    problem = environment_problem("2.17.1", here.get)
    assert problem is not None
    assert "needs deflate, zstandard, which the environment of Pants" in problem
    assert "[GLOBAL].plugins" in problem
    assert installed("no_such_module_anywhere") is None
