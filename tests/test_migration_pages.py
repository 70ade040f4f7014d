"""The pages for those who come from ko and from docker_image name everything that is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pants.backend.docker.subsystems.docker_options import DockerOptions
from pants.backend.docker.target_types import DockerImageTarget
from pants.engine.target import COMMON_TARGET_FIELDS

from ko_pants.target_types import GoOciImageTarget

DOCS = Path(__file__).resolve().parent.parent / "docs"
FROM_KO = (DOCS / "coming-from-ko.md").read_text(encoding="utf-8")
FROM_DOCKER = (DOCS / "coming-from-docker-image.md").read_text(encoding="utf-8")
# "and the like": they say how a Dockerfile is built, which nothing here does.
LIKE_THESE = {"build_verbose", "default_context_root"}


def code(text: str) -> set[str]:
    """Every word in backticks, but for blocks of code."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[\w-]+", span)}


@pytest.mark.parametrize("command", ["build", "resolve", "apply", "run"])
def test_every_flag_of_ko_has_a_row(command: str) -> None:
    ko = shutil.which("ko")
    if ko is None:
        pytest.skip("ko is not installed")
    text = subprocess.run(
        [ko, command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    flags = re.findall(r"^ {2,6}(?:-(\w), )?--([\w-]+)", text.partition("Flags:")[2], re.MULTILINE)
    assert flags
    named = code(FROM_KO)
    missing = [
        name
        for short, name in flags
        if name != "help" and f"--{name}" not in named and (not short or f"-{short}" not in named)
    ]
    assert missing == []


def test_every_field_of_docker_image_has_a_row() -> None:
    fields = {f.alias for f in DockerImageTarget.core_fields if f not in COMMON_TARGET_FIELDS}
    assert fields - code(FROM_DOCKER) == set()


def test_every_option_of_docker_has_a_row() -> None:
    names = {n for n, v in vars(DockerOptions).items() if "Option" in type(v).__name__}
    assert "_registries" in names
    names = {name.lstrip("_") for name in names}
    assert names - code(FROM_DOCKER) - LIKE_THESE == set()


def test_fields_that_are_said_to_be_the_same_are_there() -> None:
    ours = {field.alias for field in GoOciImageTarget.core_fields}
    same = [
        line for line in FROM_DOCKER.splitlines() if re.match(r"\| .* \| the same( |,|;|\|)", line)
    ]
    assert same
    named = {word for line in same for word in code(line.split("|")[1])}
    fields = {f.alias for f in DockerImageTarget.core_fields if f not in COMMON_TARGET_FIELDS}
    assert named & fields <= ours
    assert {"registries", "repository", "image_tags", "skip_push"} <= named & fields
