"""Private modules: passwords reach the go tool, and nothing else keeps them."""

from __future__ import annotations

import base64
import functools
import http.server
import shutil
import ssl
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest
from integration.go_proxy import GoProxy
from integration.workspace import Workspace, go_mod, workspace
from real_registry import make_certificate

# Two users with a password each, a user who is a token, and one of a proxy for HTTP.
USERS = {"alice": "al1ce-canary-pw", "bob": "b0b-canary-pw", "t0ken-canary-user": ""}
OF_PROXY = "pr0xy-canary-pw"
SECRETS = [*(value for value in USERS.values() if value), "t0ken-canary-user", OF_PROXY]
MAIN = 'package main\n\nimport "example.org/private"\n\nfunc main() { println(private.Text) }\n'


class ModuleServer(http.server.ThreadingHTTPServer):
    """A module proxy that wants a user and a password."""

    def __init__(self, directory: Path) -> None:
        handler = functools.partial(_Handler, directory=str(directory))
        super().__init__(("127.0.0.1", 0), handler)
        self.users: list[str] = []


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: ModuleServer

    def do_GET(self) -> None:
        kind, _, credentials = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(credentials).decode().partition(":")
        if kind != "Basic" or USERS.get(user) != password:
            self.send_error(401)
            return
        self.server.users.append(user)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def module_server(directory: Path, certificates: Path) -> Iterator[ModuleServer]:
    """The modules below a directory, over TLS on a loopback address."""
    _, certificate, key = make_certificate(certificates)
    server = ModuleServer(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("modules")
    modules = GoProxy(directory)
    modules.add("example.org/private", "v1.0.0", {"p.go": 'package private\n\nvar Text = "hi"\n'})
    return directory


@pytest.fixture
def repo(proxy: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace with named caches of its own: no module is known."""
    with workspace(tmp_path / "repo", tmp_path / "caches") as made:
        prepare(made, proxy, tmp_path / "tidy")
        yield made


def prepare(made: Workspace, proxy: Path, cache: Path) -> None:
    """Write a program that uses a private module."""
    made.write(
        {
            "app/go.mod": go_mod("example.com/app", "", "require example.org/private v1.0.0"),
            "app/main.go": MAIN,
            "app/BUILD": "go_oci_image()\n",
        }
    )
    GoProxy(proxy).go("mod", "tidy", cwd=made.root / "app", cache=cache)


def test_passwords_of_modules_and_proxies_are_left_nowhere(
    repo: Workspace, proxy: Path, tmp_path: Path
) -> None:
    with module_server(proxy, tmp_path / "tls") as server:
        place = f"127.0.0.1:{server.server_address[1]}"

        def env(user: str, password: str) -> dict[str, str]:
            return {
                "GOPROXY": f"https://{user}:{password}@{place}",
                "HTTPS_PROXY": f"http://user:{OF_PROXY}@127.0.0.1:1",
                "http_proxy": f"user:{OF_PROXY}@127.0.0.1:1",
                "NO_PROXY": "127.0.0.1",
                "SSL_CERT_FILE": str(tmp_path / "tls/ca.pem"),
            }

        trace = ["-ltrace"]
        refused = repo.publish("app:", env=env("alice", USERS["bob"]), flags=trace)
        first = repo.publish("app:", env=env("alice", USERS["alice"]), flags=trace).ok()
        second = repo.publish("app:", env=env("bob", USERS["bob"]), flags=trace).ok()
        assert set(server.users) == {"alice"}
        # From here on nothing is known.
        repo.stop()
        shutil.rmtree(repo.store)
        shutil.rmtree(repo.kocache, ignore_errors=True)
        shutil.rmtree(repo.caches / "ko_pants_gopath")
        shutil.rmtree(repo.caches / "ko_pants_gocache")
        third = repo.publish("app:", env=env("t0ken-canary-user", ""), flags=trace).ok()
        assert set(server.users) == {"alice", "t0ken-canary-user"}

    assert refused.exit_code != 0
    assert "401" in refused.output
    assert "Traceback" not in refused.output
    assert "up to date" in second.images["app:app"]["status"]
    assert third.images["app:app"]["digest"] == first.images["app:app"]["digest"]
    for run in (refused, first, second, third):
        for secret in SECRETS:
            assert secret not in run.output
    places = [repo.root, repo.store, repo.kocache, repo.temporary, repo.home, repo.caches]
    found = {
        path
        for directory in places
        for path in directory.rglob("*")
        if path.is_file()
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    }
    # The one file that has them is for its owner.
    (file,) = found
    assert file.parent == repo.caches / "ko_pants_go"
    assert file.stat().st_mode & 0o777 == 0o600


def test_netrc_is_read_as_go_build_reads_it(repo: Workspace, proxy: Path, tmp_path: Path) -> None:
    with module_server(proxy, tmp_path / "tls") as server:
        place = f"127.0.0.1:{server.server_address[1]}"
        # Since Go 1.24 the port belongs to it.
        lines = [
            f"machine {name} login alice password {USERS['alice']}\n"
            for name in ("127.0.0.1", place)
        ]
        netrc = repo.home / ".netrc"
        netrc.write_text("".join(lines))
        netrc.chmod(0o600)
        env = {
            "GOPROXY": f"https://{place}",
            "SSL_CERT_FILE": str(tmp_path / "tls/ca.pem"),
        }
        run = repo.publish("app:", env=env, flags=["-ltrace"]).ok()
        assert set(server.users) == {"alice"}
    assert USERS["alice"] not in run.output
