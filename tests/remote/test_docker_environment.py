"""Programs that are compiled in a container, by a `docker_environment` with podman behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Callable, Iterator

import pytest
from integration.go_proxy import GoProxy
from integration.podman import podman_service, skip_without_containers
from integration.workspace import Workspace, go_mod, tool

IMAGE = "localhost/ko-pants-go:1"
_APPLETS = "sh cat chmod cp env grep head ls mkdir mv rm sed sleep tail true uname"
# What the compressor needs beside what Python does.
_LIBRARIES = ("libpthread.so.0", "libdl.so.2", "libm.so.6", "librt.so.1")


def libraries_of(*programs: Path) -> set[Path]:
    """The shared libraries that programs load, with the loader."""
    found: set[Path] = set()
    for program in programs:
        said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
        found.update(Path(word) for word in said.stdout.split() if word.startswith("/"))
    for directory in {path.parent for path in found}:
        found.update(directory / name for name in _LIBRARIES if (directory / name).exists())
    return found


def write_image(path: Path) -> None:
    """A root directory with this machine's Go and Python, as a tar: an image made by hand."""
    busybox = Path(tool("busybox"))
    go = Path(os.path.realpath(tool("go"))).parent.parent
    python = Path(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    standard = Path(os.path.realpath(os.path.dirname(os.__file__)))

    def needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = member.name.split("/")
        unneeded = {"testdata", "test", "site-packages", "__pycache__"} & set(parts)
        return None if unneeded or member.name.endswith(("_test.go", ".a")) else member

    def link(name: str, target: str) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, target
        archive.addfile(member)

    with tarfile.open(path, "w", dereference=False) as archive:
        archive.add(os.path.realpath(busybox), "bin/busybox")
        for name in _APPLETS.split():
            link(f"bin/{name}", "busybox")
        link("usr/bin/env", "/bin/busybox")
        for part in ("VERSION", "go.env", "bin", "pkg", "src"):
            archive.add(go / part, f"usr/local/go/{part}", filter=needed)
        archive.add(python, str(python)[1:])
        archive.add(standard, str(standard)[1:], filter=needed)
        link(f"usr/bin/{version}", str(python))
        extensions = standard.rglob("*.so")
        for library in sorted(libraries_of(busybox, python, *extensions)):
            archive.add(os.path.realpath(library), str(library)[1:])


@pytest.fixture(scope="module")
def docker_host(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> Iterator[str]:
    """podman's service, with the image."""
    docker = tool("podman")
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    with podman_service() as url:
        write_image(archive)
        remote = [docker, "--remote", f"--url={url}"]
        done = subprocess.run(
            [*remote, "import", str(archive), IMAGE], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        archive.unlink()
        argv = [*remote, "run", "--rm", "--init", IMAGE, "/usr/local/go/bin/go", "version"]
        run = subprocess.run(argv, capture_output=True, text=True, check=False)
        skip_without_containers(run.returncode, run.stderr)
        assert run.stdout.startswith("go version "), run.stderr
        yield url


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    docker_host: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.org/docker/dep", "v1.0.0", {"dep.go": 'package dep\n\nconst Text = "d"\n'})
    workspace = make_workspace("docker", env={**proxy.env, "DOCKER_HOST": docker_host})
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    workspace.write(
        {
            "BUILD": f"docker_environment(name='box', image='{IMAGE}', ko_toolchain='worker',"
            f" ko_go_version='{version.stdout.split()[0][len('go') :]}')\n"
            f"docker_environment(name='linked', image='{IMAGE}')\n",
            "go.mod": go_mod("example.com/docker", "require example.org/docker/dep v1.0.0"),
            "app/main.go": 'package main\n\nimport "example.org/docker/dep"\n\n'
            "func main() { println(dep.Text) }\n",
            "app/kodata/page.html": "<p>page</p>\n",
            "app/BUILD": "go_oci_image(name='here')\n"
            "go_oci_image(name='box', environment='box')\n"
            "go_oci_image(name='linked', environment='linked')\n",
        }
    )
    proxy.go("mod", "tidy", cwd=workspace.root, cache=tmp_path_factory.mktemp("go"))
    workspace.configure('[environments-preview.names]\nbox = "//:box"\nlinked = "//:linked"\n')
    return workspace


def test_a_program_is_compiled_in_a_container(repo: Workspace) -> None:
    here = repo.publish("app:here").ok()
    # So that layers are made in the container, too.
    shutil.rmtree(repo.kocache)
    box = repo.publish("app:box").ok()
    assert box.images["app:box"]["digest"] == here.images["app:here"]["digest"]
    assert "Compile example.com/docker/app for linux/amd64" in box.processes
    assert "Make layer of example.com/docker/app for linux/amd64" in box.processes
    again = repo.publish("app:box").ok()
    assert again.processes == []


def test_a_linked_toolchain_does_not_reach_into_a_container(repo: Workspace) -> None:
    run = repo.publish("app:linked")
    assert run.exit_code != 0
    (error,) = run.errors
    assert "processes run in a container, and option [ko].toolchain is `linked`" in error


def test_without_docker_the_error_says_where_it_was_looked_for(repo: Workspace) -> None:
    repo.write({"app/main.go": "package main\n\nfunc main() {}\n"})
    repo.end_daemon()
    run = repo.publish("app:box", env={"DOCKER_HOST": f"unix://{repo.root}/none.sock"})
    assert run.exit_code != 0
    (error,) = run.errors
    assert "app:box" in error
    assert "no container of this environment: Failed to obtain version from local Docker" in error
    assert "at $DOCKER_HOST, else at /var/run/docker.sock" in error
    assert "remote cache" not in run.output
