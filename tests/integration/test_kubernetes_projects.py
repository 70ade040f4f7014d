"""Manifests of real projects, as ko resolves them: only digests differ.

Their config/ directories come from the module cache. Small programs stand in for theirs, with the
same import paths.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from go_peers import find_go_peer
from integration.bases import make_base, push
from integration.workspace import SMALL, Workspace, go_mod
from real_registry import RealRegistry, docker_registry

PROJECTS = {
    "knative.dev/serving@v0.43.0": "config/core",
    "knative.dev/eventing@v0.43.0": "config/core",
    "github.com/tektoncd/pipeline@v0.65.0": "config",
}


@pytest.fixture(scope="module")
def ko() -> str:
    return find_go_peer("ko")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        push(make_base(["linux/amd64"], index=False), running.host, "base")
        yield running


def source(project: str) -> Path:
    """The directory of a module; skips the test, by its name, if it is not in the module cache."""
    done = subprocess.run(
        ["go", "mod", "download", "-json", project],
        env={**os.environ, "GOPROXY": "off", "GOSUMDB": "off", "GOFLAGS": "-mod=mod"},
        cwd="/",
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout or "{}").get("Dir")
    if not found:
        pytest.skip(f"{project} is not in the module cache (go mod download {project})")
    return Path(found)


def write_project(repo: Workspace, project: str) -> None:
    """The manifests of a project, and a program for each image that they name."""
    module = project.partition("@")[0]
    directory = source(project) / PROJECTS[project]
    files: dict[str, str | bytes] = {"go.mod": go_mod(module)}
    for path in sorted(directory.rglob("*.yaml")):
        files[f"config/{path.relative_to(directory)}"] = path.read_bytes()
    text = b"\n".join(c for c in files.values() if isinstance(c, bytes)).decode()
    names = sorted(set(re.findall(rf"ko://{re.escape(module)}/([\w/.-]+)", text)))
    assert names
    for name in names:
        files[f"{name}/main.go"] = SMALL.replace("small", name)
        files[f"{name}/BUILD"] = "go_oci_image()\n"
    repo.write(files)


def documents(text: str) -> list[str]:
    """The documents without digests, in an order of their own."""
    without = re.sub(r"@sha256:[0-9a-f]{64}", "@digest", text)
    found: list[Any] = list(yaml.safe_load_all(without))
    return sorted(json.dumps(d, sort_keys=True, default=str) for d in found if d is not None)


@pytest.mark.parametrize("project", PROJECTS)
def test_manifests_of_a_project(
    project: str, ko: str, registry: RealRegistry, make_workspace: Callable[..., Workspace]
) -> None:
    base = f"{registry.host}/base:latest"
    env = {"KO_DOCKER_REPO": f"{registry.host}/team", "KO_DEFAULTBASEIMAGE": base}
    repo = make_workspace(env=env)
    repo.configure("naming = 'preserve-import-paths'\n")
    write_project(repo, project)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("KO", "GOFLAGS"))}
    # With --push=false ko writes `:latest@sha256:...`.
    kos = subprocess.run(
        [ko, "resolve", "-R", "-f", "config", "-P", "--sbom=none"],
        cwd=repo.root,
        env={
            **inherited,
            **env,
            "DOCKER_CONFIG": str(repo.home),
            "GOTOOLCHAIN": "local",
            "GOPROXY": "off",
            "GOFLAGS": "-buildvcs=false",
        },
        capture_output=True,
        text=True,
    )
    assert kos.returncode == 0, kos.stderr
    ours = repo.pants("ko-resolve", "--files=config", "--no-push").ok().stdout
    assert documents(ours) == documents(kos.stdout)
    assert "ko://" not in ours
