"""Every command of the docs runs, or its block is marked.

A block of `console`, `sh` or `bash` is one of these:

* it is run here, in a small repository with the targets that the pages name (`FILES`), and with a
  registry on loopback. Programs of others (`kubectl`, `docker`, …) are stand-ins;
* `<!-- illustration: why it is not run -->` stands in the line above the empty line before it;
* its page is in `ELSEWHERE`: another test runs it;
* it begins with a script of this repository, which would run the tests within the tests: then the
  script, and the paths that it is given, have to be there.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

import pytest
from integration.bases import make_base, push
from integration.workspace import REPO, SMALL, Workspace, go_mod
from real_registry import docker_registry

HOST = "registry.example.com"
LOOPBACK = "127.0.0.1:5000"
HELP = (
    "let it run in tests/integration/test_docs_commands.py (add what it needs to FILES), or put "
    "`<!-- illustration: why it is not run -->` and an empty line before the block"
)
PAGES = sorted(
    str(path.relative_to(REPO))
    for pattern in ("*.md", "docs/**/*.md", "examples/*/README.md")
    for path in REPO.glob(pattern)
)

# Page -> the test that does what it says.
ELSEWHERE = {
    "docs/ci.md": "tests/test_ci_recipes.py",
    "docs/first-change.md": "tests/test_first_change.py",
    "docs/first-image.md": "tests/integration/test_first_image.py",
    "docs/sbom.md": "tests/integration/test_signing_with_cosign.py",
    "examples/bookshop/README.md": "tests/integration/test_example_bookshop.py",
}
# Likewise for single commands.
MAIN_JOB = {"./pants publish testprojects::": "tests/integration/test_main_job.py"}

WORKER = 'package main\n\nimport "example.com/shop/pkg/greet"\n\nfunc main() { greet.Hello() }\n'
MANIFEST = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n"
    "  containers: [{name: web, image: ko://example.com/shop/cmd/web}]\n"
)
FILES: dict[str, str] = {
    ".gitignore": "/.pants.d/\n/.pids/\n/dist/\n",
    "BUILD": 'go_sources(name="go")\n',
    "go.mod": go_mod("example.com/shop"),
    "pkg/greet/greet.go": 'package greet\n\nfunc Hello() { println("hello") }\n',
    "cmd/worker/main.go": WORKER,
    "cmd/worker/BUILD": "go_oci_image()\n",
    "images/BUILD": f"oci_base_image(name='static', image='{HOST}/base/static:stable')\n",
    "deploy/web.yaml": MANIFEST,
    "deploy/BUILD": "kubernetes_manifests()\n",
    "config/web.yaml": MANIFEST,
    "rendered/other.yaml": "a: 1\n",
}
for name in ("app", "hello", "web"):
    FILES[f"cmd/{name}/main.go"] = SMALL.replace("small", name)
    FILES[f"cmd/{name}/BUILD"] = "go_oci_image()\n"
FILES["cmd/app/BUILD"] = "go_oci_image(platforms=['linux/arm64'])\n"

STAND_INS = {
    "docker": "exit 0",
    "helm": "cat deploy/web.yaml",
    "jq": "cat > /dev/null",
    "kubectl": 'case "$*" in *"-f -"*) cat > /dev/null ;; esac',
    "skopeo": "exit 0",
}


class Block(NamedTuple):
    """A block of a page; `mark` is the reason why it is not run."""

    page: str
    line: int
    language: str
    code: str
    mark: str

    @property
    def commands(self) -> list[str]:
        """Its commands; a script with more than simple lines is one."""
        text = re.sub(r"\\\n\s*", "", self.code)
        if self.language == "console":
            return [line[2:] for line in text.splitlines() if re.match(r"[$#] ", line)]
        if re.search(r"(?m)^(#!|\s|if |set -|for )|<<", text):
            return [text]
        return [line for line in text.splitlines() if line and not line.startswith("#")]


def blocks(page: str, text: str) -> Iterator[Block]:
    """The blocks of shell commands of a page."""
    pattern = (
        r"(?:^ *<!-- *illustration: *(?P<mark>.*?) *-->\n\n?)?"
        r"^ *```(?P<language>console|sh|bash)\n(?P<code>.*?)^ *```$"
    )
    for m in re.finditer(pattern, text, re.DOTALL | re.MULTILINE):
        line = text[: m.start("code")].count("\n") + 1
        code = re.sub(r"(?m)^  (?=[$#] )", "", m["code"])
        yield Block(page, line, m["language"], code, m["mark"] or "")


def all_blocks() -> list[Block]:
    return [b for page in PAGES for b in blocks(page, (REPO / page).read_text(encoding="utf-8"))]


def is_own_script(command: str) -> bool:
    return bool(re.match(r"(?:\w+=\S+ )*scripts/", command))


def commands_to_run() -> dict[str, str]:
    """Command -> the first place that has it."""
    found: dict[str, str] = {}
    for block in all_blocks():
        if block.mark or block.page in ELSEWHERE:
            continue
        for command in block.commands:
            plain = command.partition("  #")[0].strip()
            if plain not in MAIN_JOB and not is_own_script(plain):
                found.setdefault(plain, f"{block.page}:{block.line}")
    return found


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    programs = tmp_path_factory.mktemp("bin")
    for name, script in STAND_INS.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    (programs / "pants").symlink_to(REPO / "pants")
    with docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        push(make_base(), registry.host, "base/static", "stable")
        workspace = make_workspace("docs", env={"KO_DOCKER_REPO": f"{registry.host}/team"})
        workspace.env["PATH"] = f"{programs}{os.pathsep}{workspace.env['PATH']}"
        workspace.env["REGISTRY_OF_TEST"] = registry.host
        workspace.write({p: text.replace(HOST, registry.host) for p, text in FILES.items()})
        # No link: Pants takes no absolute ones in the repository.
        (workspace.root / "pants").write_text(f'#!/bin/sh\nexec {REPO}/pants "$@"\n')
        (workspace.root / "pants").chmod(0o755)
        for command in ("init -q", "add .", "commit -q -m a"):
            who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
            subprocess.run(["git", *who, *command.split()], cwd=workspace.root, check=True)
        yield workspace


@pytest.mark.parametrize("command", commands_to_run())
def test_a_command_of_the_docs_runs(repo: Workspace, command: str) -> None:
    registry = repo.env["REGISTRY_OF_TEST"]
    script = command.replace(HOST, registry).replace(LOOPBACK, registry)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=repo.root,
        env=repo.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    where = commands_to_run()[command]
    assert done.returncode == 0, f"{where}: `{command}` failed; {HELP}\n\n{done.stdout}"


def test_scripts_of_the_docs_are_there() -> None:
    for block in all_blocks():
        for command in () if block.mark else block.commands:
            if not is_own_script(command):
                continue
            words = [
                w for w in shlex.split(command, comments=True) if "=" not in w.partition("/")[0]
            ]
            paths = [w for w in words if w.startswith(("scripts/", "tests/", "bench/"))]
            paths = [re.sub(r"::?\w*$", "", path) for path in paths]
            missing = [path for path in paths if not (REPO / path).exists()]
            assert missing == [], f"{block.page}:{block.line}: {command}"


@pytest.mark.parametrize("page", sorted(ELSEWHERE))
def test_another_test_is_about_the_page(page: str) -> None:
    text = (REPO / ELSEWHERE[page]).read_text(encoding="utf-8")
    assert page in text or Path(page).parent.name in text


def test_the_test_of_the_main_job_has_its_command() -> None:
    for command, test in MAIN_JOB.items():
        project = command.split()[-1].rstrip(":")
        assert project in (REPO / test).read_text(encoding="utf-8")


def test_a_block_without_a_mark_has_commands_and_one_with_a_mark_has_a_reason() -> None:
    text = (
        "```sh\na \\\n  b\nc  # d\n```\n\n<!-- illustration: needs a cloud -->\n\n```console\n"
        "$ e\nout\n# f\n```\n```sh\nif g; then\n  h\nfi\n```\n```python\ni\n```\n"
    )
    found = list(blocks("p", text))
    assert [b.commands for b in found] == [["a b", "c  # d"], ["e", "f"], ["if g; then\n  h\nfi\n"]]
    assert [b.mark for b in found] == ["", "needs a cloud", ""]
