"""Whole runs with remote execution: workers compile and make layers, and see no client."""

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
from integration.workspace import SMALL, Run, Workspace, go_mod
from remote.execution import RemoteExecution

PLATFORMS = "platforms=['linux/amd64', 'linux/arm64']"
TARGETS = ("app/cmd:cmd", "modules/cmd:cmd", "small:small", "vendored:vendored")


def path_of_worker() -> list[str]:
    """Go and the Python that runs Pants, and what scripts need."""
    go = shutil.which("go")
    assert go is not None
    python = getattr(sys, "_base_executable", None) or sys.executable
    return [os.path.dirname(os.path.realpath(p)) for p in (go, python)] + ["/usr/bin", "/bin"]


def go_version() -> str:
    """Of the Go on the PATH."""
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True)
    return done.stdout.strip()[len("go") :].split()[0]


def environment(**fields: object) -> str:
    """A BUILD file with two environments of the workers: they have a Go, or are given one."""
    values = {
        "fallback_environment": "__local__",
        "ko_toolchain": "worker",
        "ko_go_version": go_version(),
        "ko_worker_path": path_of_worker(),
        **fields,
    }
    lines = "".join(f"    {name}={value!r},\n" for name, value in values.items() if value)
    return (
        f"remote_environment(\n    name='far',\n{lines})\n"
        "remote_environment(\n    name='given',\n    ko_toolchain='input',\n"
        "    ko_goroot='third_party:go',\n"
        f"    ko_worker_path={path_of_worker()[1:]},\n)\n"
        "__defaults__({go_oci_image: dict(environment='far')})\n"
    )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> GoProxy:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    deep = {"deep.go": 'package deep\n\nconst Text = "deep"\n'}
    proxy.add("example.org/x/deep", "v0.1.0", deep)
    files = {
        "dep.go": "package dep\n\n"
        'import "example.org/x/deep"\n\nconst Text = "dep and " + deep.Text\n',
        # Only a build for arm64 needs the other module.
        "arch_arm64.go": 'package dep\n\nimport _ "example.org/x/arch"\n',
        "unused/unused.go": 'package unused\n\nimport _ "example.org/x/unused"\n',
    }
    required = (
        ("example.org/x/deep", "v0.1.0"),
        ("example.org/x/arch", "v1.0.0"),
        ("example.org/x/unused", "v1.0.0"),
    )
    proxy.add("example.org/x/dep", "v1.0.0", files, *required)
    proxy.add("example.org/x/arch", "v1.0.0", {"arch.go": "package arch\n"})
    proxy.add("example.org/x/unused", "v1.0.0", {"unused.go": "package unused\n"})
    return proxy


def using(path: str, constant: str) -> str:
    """A program that prints a constant of another package."""
    return f'package main\n\nimport "{path}"\n\nfunc main() {{ println({constant}) }}\n'


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    proxy: GoProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    workspace = make_workspace("execution", env=proxy.env)
    image = f"go_oci_image({PLATFORMS})\n"
    uses_dep = using("example.org/x/dep", "dep.Text")
    workspace.write(
        {
            "BUILD": environment(),
            "small/go.mod": go_mod("example.com/small"),
            "small/main.go": SMALL,
            "small/kodata/file": "data",
            "small/BUILD": image,
            "modules/go.mod": go_mod("example.com/modules", "", "require example.org/x/dep v1.0.0"),
            "modules/cmd/main.go": uses_dep,
            "modules/cmd/BUILD": image,
            "go.work": "go 1.21\n\nuse ./app\nuse ./lib\n",
            "lib/go.mod": go_mod("example.com/lib", "", "require example.org/x/dep v1.0.0"),
            "lib/lib.go": 'package lib\n\nimport "example.org/x/dep"\n\nconst Text = dep.Text\n',
            "app/go.mod": go_mod("example.com/app"),
            "app/cmd/main.go": using("example.com/lib", "lib.Text"),
            "app/cmd/BUILD": f"go_oci_image({PLATFORMS}, image_tags=['app'])\n",
            "vendored/go.mod": go_mod(
                "example.com/vendored", "", "require example.org/x/dep v1.0.0"
            ),
            "vendored/main.go": uses_dep,
            "vendored/BUILD": f"go_oci_image({PLATFORMS})\n",
        }
    )
    cache = tmp_path_factory.mktemp("go")
    for module in ("modules", "vendored", "lib"):
        proxy.go("mod", "tidy", cwd=workspace.root / module, cache=cache)
    proxy.go("mod", "vendor", cwd=workspace.root / "vendored", cache=cache)
    # These are no modules of the go.work.
    for name in ("small", "modules", "vendored"):
        build = workspace.root / name / ("cmd/BUILD" if name == "modules" else "BUILD")
        build.write_text(
            "go_executable(name='bin', env=['GOWORK=off'])\n"
            f"go_oci_image(binary=':bin', {PLATFORMS})\n"
        )
    return workspace


@pytest.fixture(scope="module")
def service(
    repo: Workspace, caches: Path, proxy: GoProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RemoteExecution]:
    hidden = [repo.root.parent, caches, Path(proxy.env["GOPROXY"][len("file://") :])]
    with RemoteExecution(tmp_path_factory.mktemp("service"), hidden=hidden) as running:
        yield running


def global_options(service: RemoteExecution, *more: str) -> str:
    """Lines of `[GLOBAL]`."""
    address = f"grpc://{service.address}"
    return "\n".join(
        (
            "remote_execution = true",
            f'remote_execution_address = "{address}"',
            f'remote_store_address = "{address}"',
            *more,
        )
    )


NAMES = '[environments-preview.names]\nfar = "//:far"\ngiven = "//:given"\n'


@pytest.fixture(scope="module")
def here(repo: Workspace) -> Run:
    """The images as this machine makes them; the environment falls back to it."""
    repo.configure(NAMES)
    return repo.publish("::").ok()


@pytest.fixture(scope="module")
def there(here: Run, repo: Workspace, service: RemoteExecution, caches: Path) -> Run:
    """The images as workers make them: another layout, an empty KOCACHE, an empty store."""
    repo.stop()
    for path in (repo.store, repo.kocache, repo.root / "dist"):
        shutil.rmtree(path)
    repo.configure(NAMES, pants=global_options(service))
    return repo.publish("::").ok()


def test_images_are_the_same(here: Run, there: Run) -> None:
    assert sorted(there.images) == sorted(TARGETS)
    assert {t: i["digest"] for t, i in there.images.items()} == {
        t: i["digest"] for t, i in here.images.items()
    }
    assert all(image["published"] for image in there.images.values())


def test_workers_do_the_work(there: Run, service: RemoteExecution) -> None:
    commands = service.commands()
    steps = [command.step for command in commands]
    # Twice, a build for arm64 tells that it needs another module.
    assert (steps.count("go-build"), steps.count("python")) == (10, 10)
    assert set(steps) == {"go-build", "python"}, "modules are downloaded by the client"


def test_no_command_knows_the_client(there: Run, repo: Workspace, service: RemoteExecution) -> None:
    for command in service.commands():
        text = " ".join((*command.argv, *map("=".join, command.env.items())))
        assert str(repo.root.parent) not in text
        assert "HOME=" not in " ".join(command.env)
        assert "KO_PANTS_PRIVATE_ENVIRONMENT" not in command.env


def test_a_second_run_does_nothing(there: Run, repo: Workspace, service: RemoteExecution) -> None:
    service.forget()
    again = repo.publish("::").ok()
    assert service.commands() == []
    assert {image["requests"] for image in again.images.values()} <= {0, 1}


def test_the_worker_has_another_go(there: Run, repo: Workspace) -> None:
    repo.write({"BUILD": environment(ko_go_version="1.21.0")})
    try:
        run = repo.publish("small:small")
    finally:
        repo.write({"BUILD": environment()})
    assert run.exit_code != 0
    (error,) = run.errors
    assert f"the worker has go{go_version()} in " in error
    assert "expected go1.21.0, which [ko].go_version says" in error
    assert "small:" in error


def test_the_worker_has_no_python(there: Run, repo: Workspace) -> None:
    repo.write({"BUILD": environment(ko_worker_python="python9.9"), "small/kodata/file": "new"})
    try:
        run = repo.publish("small:small")
    finally:
        repo.write({"BUILD": environment(), "small/kodata/file": "data"})
    assert run.exit_code != 0
    (error,) = run.errors
    assert "the worker has no `python9.9` in /" in error


def test_the_build_cache_of_a_worker(
    there: Run,
    repo: Workspace,
    service: RemoteExecution,
    tmp_path: Path,
) -> None:
    caches = tmp_path / "caches"
    option = f'remote_execution_append_only_caches_base_path = "{caches}"'
    repo.configure(NAMES, pants=global_options(service, option))
    repo.write({"small/main.go": SMALL.replace("small", "cached")})
    try:
        repo.publish("small:small").ok()
    finally:
        repo.write({"small/main.go": SMALL})
        repo.configure(NAMES, pants=global_options(service))
    assert any((caches / "ko_pants_gocache").rglob("*-d"))


def test_without_environments_all_processes_are_remote(
    there: Run, repo: Workspace, service: RemoteExecution
) -> None:
    options = "\n".join(
        (
            "toolchain = 'worker'",
            f"go_version = '{go_version()}'",
            f"worker_path = {path_of_worker()}",
            "package_formats = ['oci-layout']",
        )
    )
    repo.write({"BUILD": "", "small/main.go": SMALL.replace("small", "other")})
    repo.configure(options, pants=global_options(service))
    service.forget()
    try:
        packaged = repo.pants("package", "small:small").ok()
        published = repo.publish("small:small")
    finally:
        repo.write({"BUILD": environment(), "small/main.go": SMALL})
        repo.configure(NAMES, pants=global_options(service))
    steps = {command.step for command in service.commands()}
    assert steps <= {"go-build", "python", "env"}, "what needs this machine ran there"
    assert {"go-build", "python"} <= steps
    assert "Compile example.com/small for linux/amd64" in packaged.processes
    assert published.exit_code != 0
    (error,) = published.errors
    assert "with [GLOBAL].remote_execution and no [environments-preview].names" in error


def test_a_linked_toolchain_is_for_this_machine(there: Run, repo: Workspace) -> None:
    repo.write({"BUILD": environment(ko_toolchain="")})
    try:
        run = repo.publish("small:small")
    finally:
        repo.write({"BUILD": environment()})
    assert run.exit_code != 0
    (error,) = run.errors
    assert "processes run in remote workers, and option [ko].toolchain is `linked`" in error


def test_workers_download_modules(
    here: Run,
    there: Run,
    repo: Workspace,
    service: RemoteExecution,
    proxy: GoProxy,
    tmp_path: Path,
) -> None:
    seen_by_workers = tmp_path / "proxy"
    shutil.copytree(proxy.env["GOPROXY"][len("file://") :], seen_by_workers)
    repo.write({"BUILD": environment(ko_module_downloads="worker")})
    service.forget()
    try:
        run = repo.publish("modules/cmd:cmd", env={"GOPROXY": f"file://{seen_by_workers}"}).ok()
    finally:
        repo.write({"BUILD": environment()})
    assert run.images["modules/cmd:cmd"]["digest"] == here.images["modules/cmd:cmd"]["digest"]
    downloads = [c for c in service.commands() if c.step == "go-list"]
    assert downloads
    assert {c.env["GOPROXY"] for c in downloads} == {f"file://{seen_by_workers}"}


def goroot_archive(path: Path) -> None:
    """A tar with what is needed of this machine's Go, as those of go.dev have it."""
    goroot = Path(path_of_worker()[0]).parent

    def needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = member.name
        unneeded = name.endswith("_test.go") or "/testdata" in name
        return None if unneeded else member

    with tarfile.open(path, "w") as archive:
        for part in ("VERSION", "go.env", "bin", "pkg", "src"):
            archive.add(goroot / part, f"go/{part}", filter=needed)


def test_a_toolchain_that_is_an_input(
    here: Run, there: Run, repo: Workspace, service: RemoteExecution
) -> None:
    (repo.root / "third_party").mkdir()
    goroot_archive(repo.root / "third_party/go.tar")
    build = repo.root / "small/BUILD"
    before = build.read_text()
    repo.write(
        {
            "third_party/BUILD": "file(name='go', source='go.tar')\n",
            "small/BUILD": before.replace("binary=", "environment='given', binary="),
        }
    )
    service.forget()
    try:
        run = repo.publish("small:small").ok()
    finally:
        build.write_text(before)
    assert run.images["small:small"]["digest"] == here.images["small:small"]["digest"]
    compiles = [command for command in service.commands() if command.step == "go-build"]
    assert [command.exit_code for command in compiles] == [0, 0]
    assert all(command.env["PATH"] == ":".join(path_of_worker()[1:]) for command in compiles)
    assert run.processes[-1] == "Unpack third_party/go.tar"
