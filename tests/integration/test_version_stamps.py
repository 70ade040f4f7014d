"""Templates in a whole run: what a commit, a tag and a clock rebuild, and when git is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from integration.published import published_in
from integration.workspace import Run, Workspace, go_mod

STAMPED = """package main

var version = "unset"

func main() { println(version) }
"""
IMAGES = {
    "plain": "",
    "tagged": "ldflags=['-X=main.version={{.Git.Tag}}']",
    "committed": "ldflags=['-X=main.version={{.Git.FullCommit}}']",
    "dated": "ldflags=['-X=main.version={{.Date}}']",
    "envs": "env=['GOAMD64={{.Env.LEVEL}}'], flags=['-tags={{.Env.TAGS}}'], "
    "ldflags=['-X=main.version={{.GoEnv.GOARCH}}-{{.Env.LEVEL}}']",
}
ENV = {"SOURCE_DATE_EPOCH": "1700000000", "LEVEL": "v2", "TAGS": "blue"}


class Repo:
    """A repository with one image for each kind of template, and a `git` that is counted."""

    def __init__(self, workspace: Workspace, directory: Path) -> None:
        self.workspace = workspace
        self.calls = directory / "calls"
        real = shutil.which("git")
        (directory / "bin").mkdir()
        wrapper = directory / "bin/git"
        wrapper.write_text(f'#!/bin/sh\necho "$@" >> {self.calls}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)
        self.env = {**ENV, "PATH": f"{directory}/bin:{os.environ['PATH']}"}
        workspace.write({".gitignore": "/dist/\n/.pants.d/\n/.pids/\n"})
        for name, fields in IMAGES.items():
            workspace.write(
                {
                    f"{name}/go.mod": go_mod(f"example.com/{name}"),
                    f"{name}/main.go": STAMPED,
                    f"{name}/BUILD": f"go_executable(name='exe', {fields})\n"
                    "go_oci_image(binary=':exe')\n",
                }
            )
        workspace.write({"labelled/go.mod": go_mod("example.com/labelled")})
        workspace.write({"labelled/main.go": STAMPED})
        workspace.write(
            {"labelled/BUILD": "go_oci_image(image_labels={'commit': '{{.Git.ShortCommit}}'})\n"}
        )
        self.git("init", "-q", "-b", "trunk")
        self.commit("one")
        self.git("tag", "v1.2.3-first")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.workspace.root,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode().strip()

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def publish(self, *targets: str, **env: str) -> Run:
        self.calls.write_text("")
        return self.workspace.publish(*targets, env={**self.env, **env}).ok()

    @property
    def git_calls(self) -> list[str]:
        """The commands of git in the last run."""
        return sorted(self.calls.read_text().splitlines())

    def executable(self, name: str) -> bytes:
        found = published_in(self.workspace.root / "dist/oci", f"{name}:latest")
        return found.manifests[0].executable()

    def config(self, name: str) -> Any:
        found = published_in(self.workspace.root / "dist/oci", f"{name}:latest")
        return found.manifests[0].config


def compiled(run: Run) -> set[str]:
    """The names of the images whose program was compiled."""
    return {p.split()[1].rpartition("/")[2] for p in run.processes if p.startswith("Compile ")}


def moved(run: Run) -> set[str]:
    return {
        address.partition(":")[0] for address, entry in run.images.items() if entry["published"]
    }


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory
) -> Repo:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    made = Repo(make_workspace(), tmp_path_factory.mktemp("git"))
    made.publish("::")
    return made


def test_values_are_in_the_programs(repo: Repo) -> None:
    assert b"v1.2.3-first" in repo.executable("tagged")
    assert repo.git("rev-parse", "HEAD").encode() in repo.executable("committed")
    assert b"2023-11-14T22:13:20Z" in repo.executable("dated")
    assert b"amd64-v2" in repo.executable("envs")
    labels = repo.config("labelled")["config"]["Labels"]
    assert labels == {"commit": repo.git("rev-parse", "--short", "HEAD")}


def test_git_is_asked_once_for_all_targets_and_only_what_they_want(repo: Repo) -> None:
    run = repo.publish("::")
    assert run.processes == []
    assert moved(run) == set()
    assert [call.split()[-3:-1] for call in repo.git_calls] == [
        ["--format=%h%n%H%n%ct", "HEAD"],
        ["--tags", "--abbrev=0"],
    ]


def test_no_template_no_git(repo: Repo) -> None:
    repo.publish("plain", "envs", "dated")
    assert repo.git_calls == []
    repo.publish("tagged")
    assert repo.git_calls == ["describe --tags --abbrev=0 HEAD"]


def test_a_commit_rebuilds_what_uses_it(repo: Repo) -> None:
    repo.commit("two")
    run = repo.publish("::")
    assert compiled(run) == {"committed"}
    assert moved(run) == {"committed", "labelled"}
    assert repo.git("rev-parse", "HEAD").encode() in repo.executable("committed")
    build = {a: entry["build"]["linux/amd64"]["executable"] for a, entry in run.images.items()}
    assert build["tagged:tagged"] == "memoized"
    assert build["labelled:labelled"] == "memoized"


def test_a_tag_rebuilds_what_uses_it(repo: Repo) -> None:
    repo.git("tag", "v1.2.4-second")
    run = repo.publish("::")
    assert compiled(run) == {"tagged"}
    assert moved(run) == {"tagged"}
    assert b"v1.2.4-second" in repo.executable("tagged")


def test_without_source_date_epoch_each_run_has_its_time(repo: Repo) -> None:
    run = repo.publish("::", SOURCE_DATE_EPOCH="")
    assert compiled(run) == {"dated"}
    assert b"2023-11-14T22:13:20Z" not in repo.executable("dated")


def test_a_value_of_the_environment_rebuilds_what_uses_it(repo: Repo) -> None:
    run = repo.publish("::", LEVEL="v3")
    assert "envs" in compiled(run)
    assert compiled(run) <= {"envs", "dated"}


def test_tags_from_a_template_decide_the_dependencies(repo: Repo) -> None:
    repo.workspace.write(
        {
            "envs/blue.go": '//go:build blue\n\npackage main\n\nimport _ "example.com/envs/sub"\n',
            "envs/sub/sub.go": "package sub\n",
            "envs/sub/BUILD": "go_sources(name='go')\n",
        }
    )
    arguments = ("dependencies", "envs:envs")
    blue = repo.workspace.pants(*arguments, env=repo.env).ok().stdout
    red = repo.workspace.pants(*arguments, env={**repo.env, "TAGS": "red"}).ok().stdout
    assert "envs/sub/sub.go" in blue
    assert "envs/sub" not in red


def test_a_missing_variable_is_an_error_of_the_target(repo: Repo) -> None:
    env = {name: value for name, value in repo.env.items() if name != "LEVEL"}
    run = repo.workspace.publish("envs", env=env)
    assert run.exit_code != 0
    assert "envs:exe, field `env`: {{.Env.LEVEL}} cannot be filled in" in run.output
    assert "Traceback" not in run.output


def test_a_malformed_template_is_an_error_of_the_build_file(repo: Repo) -> None:
    repo.workspace.write(
        {"bad/BUILD": "go_executable(name='exe', ldflags=['{{.Git.Tag | printf}}'])\n"}
    )
    run = repo.workspace.pants("list", "bad:exe")
    repo.workspace.remove("bad")
    assert run.exit_code != 0
    assert "bad:exe, field `ldflags`: the template '{{.Git.Tag | printf}}'" in run.output
    assert "{{.Git.NAME}}" in run.output
    assert "Traceback" not in run.output
