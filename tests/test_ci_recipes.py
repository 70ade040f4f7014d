"""The recipes of docs/ci.md: each is a whole file, and its shell parts do what they say.

They run in an empty HOME. In the place of Pants, of its installer, of git and of downloads are
scripts that write down how they were called.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

import pytest
import yaml

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = [
    yaml.safe_load(text)
    for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
]
# YAML 1.1 takes the key `on` for true.
WORKFLOWS = [block for block in BLOCKS if True in block]
GITLAB = [(name, job) for block in BLOCKS if True not in block for name, job in block.items()]
(SCRIPT,) = [
    text for text in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "get-pants.sh" in text
]

Job = Dict[str, Any]
TOOLS = ("bash", "sh", "mkdir", "base64", "tr", "tar", "gzip", "cat", "cp", "chmod", "dirname")
PANTS = """#!/bin/sh
echo "pants $*" >> "$TOOL_LOG"
[ -z "${DOCKER_CONFIG:-}" ] || cp "$DOCKER_CONFIG/config.json" "$TOOL_LOG.config"
"""
INSTALLER = """#!/bin/sh
echo "get-pants.sh $*" >> "$TOOL_LOG"
to="$HOME/.local/bin"
[ "${1:-}" != --bin-dir ] || to=$2
mkdir -p "$to"
cp "$TOOLS_HERE/pants-stub" "$to/pants"
"""
LOGGED = '#!/bin/sh\necho "{0} $*" >> "$TOOL_LOG"\n'
PUBLISH = (
    "pants --ko-page=dist/publish.html --ko-report=dist/report.json "
    "publish --publish-output=dist/images.json ::"
)


class Runner:
    """An empty HOME and a checkout, with few tools."""

    def __init__(self, root: Path) -> None:
        self.tools = root / "tools"
        self.checkout = root / "checkout"
        self.log = root / "log"
        for directory in (self.tools, self.checkout, root / "home", root / "temp"):
            directory.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.tools / name).symlink_to(found)
        self.program(self.tools / "pants-stub", PANTS)
        self.program(self.checkout / "get-pants.sh", INSTALLER)
        self.program(self.tools / "git", LOGGED.format("git"))
        self.environment = {
            "HOME": str(root / "home"),
            "PATH": str(self.tools),
            "TOOL_LOG": str(self.log),
            "TOOLS_HERE": str(self.tools),
            "RUNNER_TEMP": str(root / "temp"),
            "GITHUB_ENV": str(root / "github-env"),
        }

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str, environment: Mapping[str, str]) -> None:
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.checkout,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def calls(self) -> List[str]:
        return self.log.read_text().splitlines()

    def logins(self) -> Dict[str, str]:
        """The users and passwords that Pants found, by registry."""
        config = json.loads(Path(f"{self.log}.config").read_text())
        return {k: base64.b64decode(v["auth"]).decode() for k, v in config["auths"].items()}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def runs_pants(job: Job) -> bool:
    return any("pants " in step.get("run", "") for step in job["steps"])


def name_of(step: Mapping[str, Any]) -> str:
    return str(step.get("uses", "")).partition("@")[0]


def test_there_are_recipes_for_both() -> None:
    assert len(WORKFLOWS) == 5
    assert [name for name, _ in GITLAB] == ["images", "images", "changed"]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_a_workflow_of_github_is_whole(workflow: Dict[Any, Any]) -> None:
    assert workflow["name"]
    assert workflow[True]
    assert workflow["permissions"]["contents"] in ("read", "write")
    for job in workflow["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        used = [name_of(step) for step in job["steps"] if "uses" in step]
        assert used[0] == "actions/checkout"
        assert "pantsbuild/actions/init-pants" in used
        ready = {name_of(s) for s in job["steps"][: _first_run_of_pants(job)]}
        assert "pantsbuild/actions/init-pants" in ready
        builds = any(
            re.search(r"pants .*(publish|package)", s.get("run", "")) for s in job["steps"]
        )
        assert ("actions/setup-go" in ready) == builds


def _first_run_of_pants(job: Job) -> int:
    return next(
        i for i, s in enumerate(job["steps"]) if re.search(r"pants |\.sh", s.get("run", ""))
    )


@pytest.mark.parametrize("workflow", [w for w in WORKFLOWS if "images" in w["jobs"]])
def test_the_steps_of_github_publish(workflow: Dict[Any, Any], runner: Runner) -> None:
    job = workflow["jobs"]["images"]
    runner.program(runner.tools / "pants", PANTS)
    values = {"github.actor": "ann", "github.token": "se:cret", "github.repository": "ann/shop"}

    def filled(variables: Mapping[str, str]) -> Dict[str, str]:
        return {
            k: re.sub(r"\$\{\{ (.*?) \}\}", lambda m: values[str(m[1])], v)
            for k, v in variables.items()
        }

    kept: Dict[str, str] = {}
    for step in job["steps"]:
        if "run" in step:
            assert "${{" not in step["run"]
            runner.run(step["run"], {**filled(job["env"]), **kept, **filled(step.get("env", {}))})
            file = Path(runner.environment["GITHUB_ENV"])
            lines = file.read_text().splitlines() if file.exists() else []
            kept.update(dict(line.split("=", 1) for line in lines))
    assert runner.calls() == [PUBLISH]
    assert runner.logins() == {"ghcr.io": "ann:se:cret"}
    assert kept["DOCKER_CONFIG"].startswith(runner.environment["RUNNER_TEMP"])


@pytest.mark.parametrize(("name", "job"), GITLAB)
def test_a_job_of_gitlab_is_whole(name: str, job: Job) -> None:
    assert job["image"].startswith("golang:")
    kept = [path for cache in job["cache"] for path in cache["paths"]]
    variables = job["variables"]
    assert variables["SCIE_BASE"] == "$CI_PROJECT_DIR/.cache/nce"
    # GitLab keeps nothing that is not below the project, and Pants has to put it there.
    assert {".cache/bin", ".cache/nce", ".cache/named_caches"} <= set(kept)
    places = {value.rpartition("/.cache/")[2] for value in variables.values()} | {"bin"}
    assert {path.partition("/")[2] for path in kept} <= places


@pytest.mark.parametrize(("name", "job"), GITLAB)
def test_the_script_of_gitlab_installs_the_launcher_once(
    name: str, job: Job, runner: Runner
) -> None:
    given = {
        "CI_PROJECT_DIR": str(runner.checkout),
        "CI_REGISTRY": "registry.example.com",
        "CI_REGISTRY_USER": "ann",
        "CI_REGISTRY_PASSWORD": "se:cret",
        "CI_REGISTRY_IMAGE": "registry.example.com/ann/shop",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "abc",
    }
    variables = {
        k: re.sub(r"\$(CI_\w+)", lambda m: given[str(m[1])], v) for k, v in job["variables"].items()
    }
    if "DOCKER_CONFIG" in variables:
        variables["DOCKER_CONFIG"] = f"{runner.environment['HOME']}/docker-config"
    for _ in range(2):
        runner.run("\n".join(job["script"]), {**given, **variables})
    installs, *others = runner.calls()
    assert installs == f"get-pants.sh --bin-dir {runner.checkout}/.cache/bin"
    if name == "images":
        assert others == [PUBLISH, PUBLISH]
        assert runner.logins() == {"registry.example.com": "ann:se:cret"}
    else:
        package = "pants --changed-diffspec=abc..HEAD --changed-dependents=transitive package"
        assert others == ["git fetch --depth=1 origin abc", package] * 2


def _toolchain() -> bytes:
    """An archive with a `go/bin/go`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("go/bin/go")
        member.mode = 0o755
        archive.addfile(member, io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize("has_go", [True, False])
def test_the_script_for_any_ci(has_go: bool, runner: Runner) -> None:
    if has_go:
        runner.program(runner.tools / "go", LOGGED.format("go"))
    (runner.tools / "archive").write_bytes(_toolchain())
    runner.program(runner.tools / "curl", LOGGED.format("curl") + 'cat "$TOOLS_HERE/archive"\n')
    login = {
        "REGISTRY": "registry.example.com",
        "REGISTRY_USER": "ann",
        "REGISTRY_PASSWORD": "se:cret",
        "KO_DOCKER_REPO": "registry.example.com/shop",
    }
    for _ in range(2):
        runner.run(SCRIPT, login)
    downloads = [call for call in runner.calls() if call.startswith("curl ")]
    rest = [call.strip() for call in runner.calls() if not call.startswith("curl ")]
    assert bool(downloads) != has_go
    assert rest == ["get-pants.sh", PUBLISH, PUBLISH]
    assert runner.logins() == {"registry.example.com": "ann:se:cret"}
    assert os.access(f"{runner.environment['HOME']}/.local/go/bin/go", os.X_OK) != has_go


def test_the_script_that_refreshes_base_images(runner: Runner) -> None:
    (script,) = [t for t in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "ko-lock" in t]
    runner.program(runner.tools / "pants", PANTS)
    changed = LOGGED.format("git") + '[ "$1" != status ] || echo " M a.lock.json"\n'
    runner.program(runner.tools / "git", changed)
    runner.run(script, {})
    verbs: List[Tuple[str, ...]] = [tuple(call.split()[:2]) for call in runner.calls()]
    assert verbs[0] == ("pants", "ko-lock")
    assert [verb for _, verb in verbs[1:]] == ["status", "switch", "add", "commit", "push"]
