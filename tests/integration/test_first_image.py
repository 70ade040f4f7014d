"""docs/first-image.md: its files are written, its commands run, its lines printed.

Pants and the plugin are those of this checkout, so the launcher and the wheel are left out
(tests/integration/test_wheel.py has the wheel). The registry is on another port.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Callable

from integration.workspace import REPO, Run, Workspace
from real_registry import docker_registry

PAGE = (REPO / "docs" / "first-image.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## \d\. (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
HOST = "127.0.0.1:5000"
STARTED = "… Starting: "


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the text of each block of code."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def files(text: str) -> dict[str, str]:
    """The files of a section: their first line is a comment with the path."""
    found = {}
    for _, code in blocks(text):
        path = re.match(r"(?:#|//) (\S+)\n", code)
        if path:
            found[path[1]] = code
    return found


def commands(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a section, each with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for language, code in blocks(text):
        for line in code.splitlines() if language == "console" else ():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line:
                found[-1][1].append(line)
    return found


def plain(text: str) -> str:
    """Without what differs from machine to machine."""
    text = re.sub(r"sha256:[0-9a-f]{12,64}", "sha256:…", text)
    text = re.sub(r"\d+\.\d+ [kM]B", "… MB", text)
    return re.sub(r"\d+\.\d+ s\.|\d+ s\.", "… s.", text)


def check_output(run: Run, expected: list[str]) -> None:
    printed = plain(run.ok().output).splitlines()
    for line in expected:
        if line.startswith(STARTED):
            assert line[len(STARTED) :] in run.processes
        elif not line.startswith("…"):
            assert plain(line) in printed


def test_the_page_says_what_happens(
    make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    repo = make_workspace()
    run: list[str] = []
    with docker_registry(tmp_path) as registry:
        # The same for all runs, for another value of an option makes the daemon forget.
        env = {"PANTS_KO_RUN_WITH": "executable"}
        for title, text in SECTIONS:
            text = text.replace(HOST, registry.host)
            written = {path: code for path, code in files(text).items() if path != "pants.toml"}
            repo.write(written)
            if title == "Change something":
                main = (repo.root / "cmd/hello/main.go").read_text()
                repo.write({"cmd/hello/main.go": main.replace("a container", "somewhere")})
            for command, expected in commands(text):
                words = shlex.split(command)
                if words[0] == "export":
                    name, _, value = words[1].partition("=")
                    env[name] = value
                elif words[0] == "pants":
                    check_output(repo.pants(*words[1:], env=env), expected)
                    run.append(command)
    assert run == [
        "pants help go_oci_image",
        "pants publish cmd/hello",
        "pants publish cmd/hello",
        "pants run cmd/hello",
        "pants publish cmd/hello",
        "pants publish cmd/hello",
        "pants publish cmd/hello",
        "pants publish ::",
    ]


def test_the_files_of_the_page_are_whole() -> None:
    found = {path: code for _, text in SECTIONS for path, code in files(text).items()}
    assert list(found) == [
        *("pants.toml", "go.mod", "cmd/hello/main.go", "cmd/hello/BUILD"),
        *("cmd/worker/main.go", "cmd/worker/BUILD"),
    ]
    assert {"[GLOBAL]", "[python-repos]", "[ko]"} < set(found["pants.toml"].splitlines())
