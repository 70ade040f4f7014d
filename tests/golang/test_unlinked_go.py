"""Toolchains of workers: what the scripts do with a fake Go, and that linked ones are as ever."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from ko_pants.golang.go_build import (
    DOWNLOADED,
    MODULES,
    OUTPUT_DIRECTORY,
    TOOLCHAIN_PROBLEM,
    build_argv,
    download_argv,
    env_argv,
    list_argv,
    vet_argv,
)
from ko_pants.golang.toolchain import WORKER, Toolchain

# It says where it is and what it is, and notes how it was called.
FAKE_GO = """#!/bin/sh
if [ "$1 $2" = "env GOROOT" ]; then cat "$0.said"; exit; fi
env | sort >> "$0.env"
echo "$*" >> "$0.arguments"
if [ "$1" = list ] && [ "$2" = -deps ]; then
  mkdir -p "$GOMODCACHE/a.com/a@v1.0.0" "$GOMODCACHE/cache/download/a.com/a/@v"
  echo package > "$GOMODCACHE/a.com/a@v1.0.0/a.go"
  for end in mod ziphash zip info lock; do
    echo text > "$GOMODCACHE/cache/download/a.com/a/@v/v1.0.0.$end"
  done
  echo a.com/a
fi
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo executable > "$2"; shift; done
if [ -e "$0.error" ]; then cat "$0.error" >&2; exit 1; fi
exit 0
"""


class Worker:
    """A sandbox, and a worker's Go."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sandbox"
        self.goroot = root / "goroot"
        self.go = self.goroot / "bin" / "go"
        for directory in (self.root / "module", self.go.parent):
            directory.mkdir(parents=True)
        self.go.write_text(FAKE_GO)
        self.go.chmod(0o755)
        (self.goroot / "VERSION").write_text("go1.99.1\n")
        self.is_version("go1.99.1")

    def is_version(self, version: str) -> None:
        """What `go env GOVERSION` says."""
        Path(f"{self.go}.said").write_text(f"{self.goroot}\n{version}\n")

    def run(self, argv: tuple[str, ...], path: str = "") -> subprocess.CompletedProcess[str]:
        """Run a process of the worker."""
        env = {"PATH": path or f"{self.go.parent}:/usr/bin:/bin", "GOPROXY": "https://proxy.test"}
        return subprocess.run(
            argv, cwd=self.root, env=env, capture_output=True, text=True, check=False
        )

    def environment(self) -> dict[str, str]:
        """That of the last call of Go."""
        lines = Path(f"{self.go}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(tmp_path)


def toolchain(version: str = "go1.99.1", build_id: str = "") -> Toolchain:
    return Toolchain(version, WORKER, build_id, ("/usr/bin", "/bin"))


BUILD = build_argv(toolchain(), "module", "./cmd", "app", ("-race",))


def test_a_build_on_a_worker(worker: Worker) -> None:
    done = worker.run(BUILD)
    root = os.path.realpath(worker.root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "executable\n", "")
    assert (worker.root / OUTPUT_DIRECTORY / "app").read_text() == "executable\n"
    env = worker.environment()
    assert env["GOROOT"] == str(worker.goroot)
    assert env["GOCACHE"] == f"{root}/.ko_pants/gocache"
    assert env["GOMODCACHE"] == f"{root}/.ko_pants/gopath/pkg/mod"
    assert (env["GOENV"], env["GOTOOLCHAIN"]) == ("off", "local")
    assert env["GOPROXY"] == "https://proxy.test"
    assert env["HOME"].startswith(root)


def test_modules_that_are_an_input(worker: Worker) -> None:
    (worker.root / MODULES).mkdir(parents=True)
    assert worker.run(BUILD).returncode == 0
    env = worker.environment()
    assert env["GOMODCACHE"] == f"{os.path.realpath(worker.root)}/{MODULES}"
    assert env["GOPROXY"] == "off"


@pytest.mark.parametrize(
    "argv",
    [BUILD, list_argv(toolchain(), "", (), ("x",)), vet_argv(toolchain(), "", ".", (), ())],
)
@pytest.mark.parametrize("version", ["go1.99.10", "go1.99", "devel go1.99.1-abc", "go1.21.0"])
def test_another_version(worker: Worker, version: str, argv: tuple[str, ...]) -> None:
    worker.is_version(version)
    done = worker.run(argv)
    assert done.returncode == TOOLCHAIN_PROBLEM
    assert done.stderr == (
        f"the worker has {version} in {worker.goroot}; expected go1.99.1, which [ko].go_version "
        "says. Install that, name its directory in [ko].worker_path, or change the option\n"
    )


def test_experiments_are_no_other_version(worker: Worker) -> None:
    worker.is_version("go1.99.1 X:boringcrypto")
    assert worker.run(BUILD).returncode == 0


def test_no_go(worker: Worker) -> None:
    # A directory that has what the script needs, and no Go.
    done = worker.run(BUILD, path="/nowhere")
    assert done.returncode == TOOLCHAIN_PROBLEM
    assert "the worker has no `go` in /nowhere; expected go1.99.1" in done.stderr


def test_a_go_that_does_not_run(worker: Worker) -> None:
    Path(f"{worker.go}.said").unlink()
    done = worker.run(BUILD)
    assert done.returncode == TOOLCHAIN_PROBLEM
    assert "the worker has a `go` that does not run" in done.stderr


@pytest.mark.parametrize(("build_id", "code"), [("package > ", 0), ("abc/def", TOOLCHAIN_PROBLEM)])
def test_a_build_id(worker: Worker, build_id: str, code: int) -> None:
    argv = build_argv(toolchain(build_id=build_id), "module", ".", "app", ())
    done = worker.run(argv)
    assert done.returncode == code
    assert ("another go1.99.1" in done.stderr) == bool(code)


@pytest.mark.parametrize(("reduced", "code"), [(True, 0), (False, 1)])
def test_a_module_that_is_no_input_is_a_result(worker: Worker, reduced: bool, code: int) -> None:
    Path(f"{worker.go}.error").write_text("x.go:3:8: module lookup disabled by GOPROXY=off\n")
    done = worker.run(build_argv(toolchain(), "module", ".", "app", (), reduced=reduced))
    assert (done.returncode, done.stdout) == (code, "")


def test_a_download_writes_what_a_build_needs_of_a_module_cache(worker: Worker) -> None:
    done = worker.run(download_argv(toolchain(), "module", ("t",), ("a.com/a",)))
    assert (done.returncode, done.stdout) == (0, "a.com/a\n")
    out = worker.root / DOWNLOADED
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == [
        "a.com/a@v1.0.0/a.go",
        "cache/download/a.com/a/@v/v1.0.0.mod",
        "cache/download/a.com/a/@v/v1.0.0.ziphash",
    ]
    env = worker.environment()
    place = f"{os.path.realpath(worker.root)}/.ko_pants/gopath/pkg/mod/cache/download"
    assert (env["GOPROXY"], env["GONOPROXY"]) == (f"file://{place}", "none")


def test_linked_processes_are_as_ever() -> None:
    """Another text is another cache key: every program of every user is compiled again."""
    linked = Toolchain("k")
    found = [
        hashlib.sha256("\0".join(argv).encode()).hexdigest()[:16]
        for argv in (
            build_argv(linked, "m", "./p", "n", ("-f",), reduced=True),
            list_argv(linked, "m", ("t",), ("x",)),
            env_argv(linked),
        )
    ]
    assert found == ["0cbafa9ca46627b5", "b579f911c4fe1d7f", "a034ce739eb1b0fe"]
