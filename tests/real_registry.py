"""A real registry (CNCF distribution, 2 or 3) on loopback for one test."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
from bench.certificates import make_server_certificate

USERNAME = "canary-user"
PASSWORD = "s3cr3t-canary-passw0rd"
# bcrypt of PASSWORD: docker-registry takes no other kind, and bcrypt is not in the stdlib.
_HTPASSWD = USERNAME + ":$2b$04$.3.mXaQ6RVEaSFu6mPJgcegmov4KOoBjl161kj9EjiQ1jU5Z28KtW\n"

NAMES = "IP:127.0.0.1,DNS:localhost"

_ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/\S*) HTTP/[0-9.]+" (?P<status>[0-9]{3}) ')


@dataclass(frozen=True)
class RealRegistry:
    """A running registry; it ends with the context manager that made it."""

    host: str
    log_path: Path
    storage: Path
    ca_cert: Path | None = None
    token_server: TokenServer | None = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, or https where it serves TLS."""
        return f"{'https' if self.ca_cert else 'http'}://{self.host}"

    def requests(self) -> list[tuple[str, str, int]]:
        """Every request that the registry answered so far: method, path with query, status."""
        text = self.log_path.read_text(errors="replace")
        return [(m["method"], m["path"], int(m["status"])) for m in _ACCESS.finditer(text)]

    def manifest_requests(self) -> list[tuple[str, str, int]]:
        """The requests for manifests."""
        return [r for r in self.requests() if "/manifests/" in r[1]]

    def docker_config(self, directory: Path) -> Path:
        """Write a `config.json` with the password into `directory`, for `DOCKER_CONFIG`."""
        directory.mkdir(parents=True, exist_ok=True)
        auth = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        (directory / "config.json").write_text(json.dumps({"auths": {self.host: {"auth": auth}}}))
        return directory


def programs(name: str) -> list[str]:
    """Every program of this name on PATH: different registries call themselves `registry`."""
    found = [shutil.which(name, path=place) for place in os.get_exec_path()]
    return [program for program in found if program]


@functools.cache
def version_of(program: str) -> str:
    """The output of `--version`: distribution prints its name, other programs fail."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return done.stdout


def distribution(major: int) -> str:
    """The path of CNCF distribution of a major version; skips the test if there is none."""
    if major == 2:
        mark, where = "distribution 2.", "Debian package docker-registry"
    else:
        module = f"github.com/distribution/distribution/v{major}"
        mark, where = f"{module} ", f"go install {module}/cmd/registry@latest"
    for name in ("docker-registry", "registry"):
        for program in programs(name):
            if mark in version_of(program):
                return program
    pytest.skip(f"distribution {major} is not installed ({where})")


def free_port() -> int:
    """A port of the loopback interface on which nothing listens now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[Any], log_path: Path) -> bool:
    """Poll until something accepts on `port`; False if the process ended first."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return False
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.01)
    pytest.fail(f"no listener on port {port} after a minute: {log_path.read_text()[-2000:]}")


@contextlib.contextmanager
def docker_registry(
    tmp_path: Path,
    *,
    auth: str = "none",
    tls: bool = False,
    client_certs: bool = False,
    names: str = NAMES,
    major: int = 2,
) -> Iterator[RealRegistry]:
    """Run distribution with its storage and log below `tmp_path`.

    `auth` is `none`, `htpasswd` or `token` (with a signing token server). With `tls`, it serves
    HTTPS with a certificate of a private CA (`ca_cert`); with `client_certs`, it wants one of that
    CA from its clients. Skips the test if it is not installed.
    """
    binary = distribution(major)
    directory = tmp_path / "docker-registry"
    directory.mkdir(parents=True, exist_ok=True)
    log_path = directory / "log"
    ca_cert = make_certificate(directory, names)[0] if tls else None
    with contextlib.ExitStack() as stack:
        tokens = stack.enter_context(token_server(directory)) if auth == "token" else None
        for _ in range(5):
            port = free_port()
            config = _config(directory, port, auth, tls, client_certs, tokens)
            (directory / "config.json").write_text(json.dumps(config))
            with log_path.open("wb") as log:
                process = subprocess.Popen(
                    [binary, "serve", str(directory / "config.json")],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
                )
            stack.callback(_stop, process)
            if wait_for_port(port, process, log_path):
                break
        else:
            pytest.fail(f"docker-registry does not start: {log_path.read_text()[-2000:]}")
        yield RealRegistry(f"127.0.0.1:{port}", log_path, directory / "storage", ca_cert, tokens)


def _stop(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()


def _config(
    directory: Path,
    port: int,
    auth: str,
    tls: bool,
    client_certs: bool,
    tokens: TokenServer | None,
) -> dict[str, Any]:
    maintenance = {"uploadpurging": {"enabled": False}}
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "storage")},
            "delete": {"enabled": True},
            "maintenance": maintenance,
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "only-for-tests"},
    }
    if auth == "htpasswd":
        (directory / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    if tokens is not None:
        config["auth"] = {
            "token": {
                "realm": tokens.realm,
                "service": tokens.service,
                "issuer": "ko-pants-tests",
                "rootcertbundle": str(tokens.certificate),
            }
        }
    if tls:
        config["http"]["tls"] = {
            "certificate": str(directory / "server.pem"),
            "key": str(directory / "server.key"),
        }
    if client_certs:
        config["http"]["tls"]["clientcas"] = [str(directory / "ca.pem")]
    return config


def _openssl(*args: str, cwd: Path) -> bytes:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    done = subprocess.run(["openssl", *args], cwd=cwd, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def make_certificate(directory: Path, names: str = NAMES) -> tuple[Path, Path, Path]:
    """A private CA and a certificate for `names` (OpenSSL's subjectAltName).

    Returns the CA certificate (`ca.pem`), the server's certificate (`server.pem`) and its key.
    """
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = make_server_certificate(directory, names.split(","))
    return made.authority, made.certificate, made.key


@dataclass
class TokenServer:
    """A token server (distribution's token protocol) which signs for one registry.

    `expires_in` (seconds) is what it says about the next tokens, `valid_for` what it signs. Tests
    set `valid_for` below zero for tokens that have expired already.
    """

    realm: str
    certificate: Path
    service: str = "registry.tests"
    expires_in: int = 300
    valid_for: int = 300
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


@contextlib.contextmanager
def token_server(directory: Path) -> Iterator[TokenServer]:
    """Run a token server on loopback. It grants clients without credentials `pull` alone.

    It takes GET with Basic, and POST with the refresh token PASSWORD. `asked` lists who (`` for
    anonymous) asked for which scopes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", "token.key", "-out", "token.pem", "-days", "30", "-subj", "/CN=tokens"),
        cwd=directory,
    )
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            user, authorization = "", self.headers.get("Authorization", "")
            if authorization:
                expected = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
                if authorization != f"Basic {expected}":
                    return self.reply(401, {"errors": [{"code": "UNAUTHORIZED"}]})
                user = USERNAME
            self.grant(user, tuple(query.get("scope", ())))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = urllib.parse.parse_qs(body)
            if form.get("refresh_token") != [PASSWORD]:
                return self.reply(401, {"error": "invalid_grant"})
            self.grant("<token>", tuple(form.get("scope", [""])[0].split()))

        def grant(self, user: str, scopes: tuple[str, ...]) -> None:
            server.asked.append((user, scopes))
            access = []
            for scope in scopes:
                kind, _, rest = scope.partition(":")
                name, _, actions = rest.rpartition(":")
                wanted = [a for a in actions.split(",") if user or a == "pull"]
                access.append({"type": kind, "name": name, "actions": wanted})
            with lock:
                token = _jwt(directory, server, user, access)
            self.reply(200, {"token": token, "expires_in": server.expires_in})

        def reply(self, status: int, obj: Mapping[str, Any]) -> None:
            content = json.dumps(obj).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = TokenServer(
        f"http://127.0.0.1:{http.server_address[1]}/token", directory / "token.pem"
    )
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _jwt(directory: Path, server: TokenServer, user: str, access: list[dict[str, Any]]) -> str:
    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    pem = server.certificate.read_text()
    der = "".join(line for line in pem.splitlines() if not line.startswith("-"))
    header = {"typ": "JWT", "alg": "ES256", "x5c": [der]}
    now = int(time.time())
    claims = {
        "iss": "ko-pants-tests",
        "sub": user,
        "aud": server.service,
        "nbf": now - 600,
        "iat": now - 600,
        "exp": now + server.valid_for,
        "jti": str(len(server.asked)),
        "access": access,
    }
    signed = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    (directory / "claims").write_bytes(signed)
    der_signature = _openssl("dgst", "-sha256", "-sign", "token.key", "claims", cwd=directory)
    return (signed + b"." + part(_raw_signature(der_signature))).decode()


def _raw_signature(der: bytes) -> bytes:
    """The signature in JOSE's form (r and s, 32 bytes each), made from the DER sequence of both."""
    values, rest = [], der[2:]
    while rest:
        length = rest[1]
        values.append(rest[2 : 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        rest = rest[2 + length :]
    return b"".join(values)
