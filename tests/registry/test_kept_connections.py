"""Connections from run to run: used again where they are the same and good, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import urllib3
from fault_registry import FaultRegistry, fault_registry
from real_registry import NAMES, make_certificate
from registry_support import FakeTime, client_for, manifest_of

import ko_pants
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci import media_types
from ko_pants.oci.descriptor import sha256_digest
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RetryPolicy
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.failures import TRANSPORT_ERRORS
from ko_pants.registry.kept_connections import (
    IDLE_SECONDS,
    KeptConnections,
    OriginConnections,
    Route,
)

BOUND = 3
COUNT = 4
ONCE = RetryPolicy(attempts=1, connect_attempts=1)
SECONDS = 20.0


class Daemon:
    """Makes the clients of its runs. A failure that counts ends a run at once."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.watching: list[Callable[[], None]] = []
        self.memory: BoundedMemory[Route, OriginConnections] = BoundedMemory(
            name="tests", bound=BOUND, holds="the connections of a test"
        )
        self.kept = KeptConnections(self.memory, self.time.clock(), self.watching.append)

    @contextlib.contextmanager
    def run(self, env: dict[str, str] | None = None, **settings: Any) -> Iterator[RegistryClient]:
        """A run, some seconds after the last one."""
        self.time.advance(10)
        client = client_for(env or {}, self.time, kept=self.kept, retry=ONCE, **settings)
        yield client
        client.close()

    def idle(self) -> int:
        """How many connections are idle."""
        return sum(idle_of(connections) for connections in self.memory.values())


def idle_of(connections: OriginConnections) -> int:
    waiting = getattr(connections.pool, "pool", None)
    queued = [] if waiting is None else [c for c in waiting.queue if c is not None]
    return len(connections.heads) + sum(1 for c in queued if c.sock is not None)


def digest(number: int) -> str:
    return sha256_digest(b'{"number":%d}' % number)


def fill(registry: FaultRegistry) -> FaultRegistry:
    for number in range(COUNT):
        content = b'{"number":%d}' % number
        registry.put_manifest(f"app{number}", media_types.OCI_MANIFEST, content, "v1")
    return registry


def head(client: RegistryClient, host: str) -> bool:
    """Ask by the general client."""
    return client.session().head_manifest(Reference(host, "app0", "v1")) is not None


def row(client: RegistryClient, host: str) -> list[bool]:
    """Ask for all images in a row; True for those that are answered, and as they should be."""
    answers = client.head_manifests(
        [
            (client.session(), Reference(host, f"app{number}", "v1"), digest(number))
            for number in range(COUNT)
        ]
    )
    return [
        answered and found is not None and found.digest == digest(number)
        for number, (answered, found) in enumerate(answers)
    ]


def test_the_next_run_opens_no_connection(registry: FaultRegistry) -> None:
    daemon = Daemon()
    fill(registry).put_blob("new", b"{}")
    opened = []
    for _ in range(3):
        with daemon.run() as client:
            assert row(client, registry.host) == [True] * COUNT
            descriptor, content = manifest_of()
            repository = Reference(registry.host, "new", "v1")
            client.session().put_manifest(repository, descriptor, content)
        opened.append(registry.connections)
    # One of each kind.
    assert opened == [2, 2, 2]


def test_nothing_is_kept_where_nobody_keeps_it(registry: FaultRegistry) -> None:
    for number in (1, 2):
        client = client_for({})
        assert not head(client, registry.host)
        client.close()
        assert registry.connections == number


def test_connections_in_use_are_not_given_to_another_client(registry: FaultRegistry) -> None:
    daemon = Daemon()
    with daemon.run() as first:
        head(first, registry.host)
        with daemon.run() as second:
            head(second, registry.host)
            assert registry.connections == 2
        head(first, registry.host)
        assert registry.connections == 2
    # Those of the second, which were not replaced by another client's, are kept.
    assert daemon.idle() == 1
    with daemon.run() as third:
        head(third, registry.host)
    assert registry.connections == 2


# What a connection was opened with


@pytest.mark.parametrize("password", ["another", "the same"])
def test_through_another_proxy(registry: FaultRegistry, password: str) -> None:
    daemon = Daemon()
    passwords = ["first", "first" if password == "the same" else "second"]
    for given in passwords:
        # The registry plays the proxy.
        env = {"http_proxy": f"http://user:{given}@{registry.host}"}
        with daemon.run(env, insecure_registries=frozenset(["r.example"])) as client:
            head(client, "r.example")
    assert registry.connections == len(set(passwords))


NAMES_OF_ALL = f"{NAMES},DNS:r.example"


class TlsRegistry:
    """TLS before a registry; counts the connections, and ends them."""

    def __init__(self, directory: Path, registry: FaultRegistry) -> None:
        self.authority, self.certificate, self.key = make_certificate(directory, NAMES_OF_ALL)
        self.accepted = 0
        self._registry = registry
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def settings(self) -> dict[str, Any]:
        """For a client."""
        return {"ca_certs_path": str(self.authority)}

    def _accept(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        with contextlib.suppress(OSError):
            while True:
                raw = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(raw, context), daemon=True).start()

    def _serve(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        # A client that only wants to know whether this is TLS does not count.
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as near:
            first = near.recv(65536)
            if not first:
                return
            self.accepted += 1
            far = socket.create_connection(("127.0.0.1", self._registry.port))
            threading.Thread(target=_copy, args=(far, near), daemon=True).start()
            far.sendall(first)
            _copy(near, far)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def tls(tmp_path: Path, registry: FaultRegistry) -> TlsRegistry:
    return TlsRegistry(tmp_path / "pki", fill(registry))


def certificates(tls: TlsRegistry, name: str) -> dict[str, Any]:
    """A client certificate of its own; every server takes it that asks for none."""
    directory = tls.authority.parent.parent / name
    directory.mkdir(exist_ok=True)
    paths = []
    for source in (tls.certificate, tls.key):
        if not (directory / source.name).exists():
            (directory / source.name).write_bytes(source.read_bytes())
        paths.append(str(directory / source.name))
    return {**tls.settings(), "client_certs": {tls.host: (paths[0], paths[1])}}


def all_of_it(client: RegistryClient, host: str) -> bool:
    """Ask by the general client, and in a row: that needs a urllib3 that leaves names to TLS."""
    return (
        head(client, host)
        and row(client, host) == [not getattr(urllib3, "__version__", "").startswith("1.")] * COUNT
    )


@pytest.mark.parametrize("change", ["nothing", "authorities", "client certificate", "no more"])
def test_other_certificates_mean_other_connections(tls: TlsRegistry, change: str) -> None:
    daemon = Daemon()
    with daemon.run(**certificates(tls, "first")) as client:
        assert all_of_it(client, tls.host)
    opened = tls.accepted
    settings = certificates(tls, "first")
    if change == "authorities":
        tls.authority.write_text(tls.authority.read_text() + "\n# another one\n")
    elif change == "client certificate":
        Path(settings["client_certs"][tls.host][0]).write_text(
            tls.certificate.read_text() + "\n# renewed\n"
        )
    elif change == "no more":
        del settings["client_certs"]
    with daemon.run(**settings) as client:
        assert all_of_it(client, tls.host)
    assert tls.accepted == (opened if change == "nothing" else 2 * opened)


class Tunnels:
    """A proxy that leads everybody to one server. It can end its tunnels when they are used."""

    def __init__(self, host: str) -> None:
        self.made = 0
        #: Tunnels up to this number end when something is sent through them.
        self.broken = 0
        self._target = ("127.0.0.1", int(host.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                self.made += 1
                threading.Thread(target=self._serve, args=(near, self.made), daemon=True).start()

    def _serve(self, near: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), near, socket.create_connection(self._target) as far:
            assert near.recv(65536).startswith(b"CONNECT r.example:443 ")
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=_copy, args=(far, near), daemon=True).start()
            while True:
                data = near.recv(65536)
                if not data or number <= self.broken:
                    near.shutdown(socket.SHUT_RDWR)
                    return
                far.sendall(data)


def test_a_tunnel_is_kept_and_made_again_when_it_turns_out_dead(tls: TlsRegistry) -> None:
    daemon = Daemon()
    tunnels = Tunnels(tls.host)
    for broken, made in ((0, 1), (0, 1), (1, 2), (1, 2)):
        tunnels.broken = broken
        with daemon.run({"https_proxy": tunnels.url}, **tls.settings()) as client:
            assert head(client, "r.example")
        assert tunnels.made == made
    assert tls.accepted == 2


# Connections that have ended


class Server:
    """A registry of one tag for each image, which treats its connections as a test says.

    :param on_request: is told the connection's number and the number of its request, and what it
        was; returns the digest to answer, or None to break off without an answer.
    """

    def __init__(self, on_request: Callable[[int, int, str], str | None]) -> None:
        self.connections: list[socket.socket] = []
        self.requests: list[str] = []
        self._on_request = on_request
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self.connections.append(connection)
                number = len(self.connections)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        received, count = b"", 0
        with contextlib.suppress(OSError), connection:
            while True:
                data = connection.recv(65536)
                if not data:
                    return
                *heads, received = (received + data).split(b"\r\n\r\n")
                for each in heads:
                    count += 1
                    method, path = each.decode().split(" ")[:2]
                    self.requests.append(f"{method} {path}")
                    found = self._on_request(number, count, path)
                    if found is None:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    connection.sendall(answer(found))


def answer(found: str) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Type: {media_types.OCI_MANIFEST}\r\n"
        f"Docker-Content-Digest: {found}\r\n\r\n"
    ).encode()


def current(path: str) -> str:
    """The digest that the tag in a path should name."""
    return digest(int(path.split("/")[2][len("app") :]))


def test_what_the_server_closed_meanwhile_is_opened_again() -> None:
    stale = False
    server = Server(lambda *request: digest(99) if stale else current(request[2]))
    daemon = Daemon()
    with daemon.run() as client:
        assert row(client, server.host) == [True] * COUNT
        assert head(client, server.host)
    assert len(server.connections) == 2
    # It comes back on the same port, with other content.
    for connection in server.connections:
        connection.shutdown(socket.SHUT_RDWR)
    stale = True
    with daemon.run() as client:
        client.session().head_manifest(Reference(server.host, "app0", "v1"))
        assert row(client, server.host) == [False] * COUNT
    assert len(server.connections) == 4


def test_a_row_over_a_dead_connection_is_sent_again_as_a_row() -> None:
    broken: set[int] = set()
    server = Server(lambda number, count, path: None if number in broken else current(path))
    daemon = Daemon()
    with daemon.run() as client:
        assert row(client, server.host) == [True] * COUNT
    # Nothing shows that they are dead until a request has arrived.
    broken.update((1, 2))
    with daemon.run() as client:
        assert head(client, server.host)
        assert row(client, server.host) == [True] * COUNT
    assert len(server.connections) == 4


def test_a_change_over_a_dead_connection_is_not_sent_again() -> None:
    broken: set[int] = set()
    server = Server(lambda number, count, path: None if number in broken else current(path))
    daemon = Daemon()
    with daemon.run() as client:
        assert head(client, server.host)
    broken.add(1)
    with daemon.run() as client:
        pool = client.parts().requester.connections.pool(Origin.of(f"http://{server.host}"))
        with pytest.raises(TRANSPORT_ERRORS):
            pool.open("POST", f"http://{server.host}/v2/app0/blobs/uploads/", {}, None, SECONDS)
    assert server.requests == ["HEAD /v2/app0/manifests/v1", "POST /v2/app0/blobs/uploads/"]


def test_bytes_that_came_between_runs_answer_nothing() -> None:
    server = Server(lambda *request: digest(99))
    daemon = Daemon()
    with daemon.run() as client:
        head(client, server.host)
        assert row(client, server.host) == [False] * COUNT
    assert len(server.connections) == 2
    for connection in server.connections:
        connection.sendall(b"".join(answer(digest(number)) for number in range(COUNT)))
    with daemon.run() as client:
        found = client.session().head_manifest(Reference(server.host, "app0", "v1"))
        assert found is not None
        assert found.digest == digest(99)
        assert row(client, server.host) == [False] * COUNT
    assert len(server.connections) == 4


# When they are closed


def test_idle_connections_are_closed_after_some_minutes(registry: FaultRegistry) -> None:
    daemon = Daemon()
    fill(registry)
    with daemon.run() as client:
        assert row(client, registry.host) == [True] * COUNT
    assert len(daemon.watching) == 1
    used_at = daemon.time.now
    open_until = []

    def sleep(seconds: float) -> None:
        if daemon.idle():
            open_until.append(daemon.time.now - used_at)
        daemon.time.advance(seconds)
        if daemon.time.now == used_at + 60:
            # Another run, which uses the one of them: that is all it asks.
            with daemon.run() as client:
                head(client, registry.host)

    clock = daemon.time.clock()
    daemon.kept._clock = type(clock)(monotonic=clock.monotonic, sleep=sleep)
    daemon.watching[0]()
    assert daemon.idle() == 0
    # The last was used 70 seconds later than the first.
    assert IDLE_SECONDS + 40 <= max(open_until) <= IDLE_SECONDS + 110
    assert registry.connections == 2
    assert len(daemon.watching) == 1
    with daemon.run() as client:
        assert head(client, registry.host)
    assert registry.connections == 3
    assert len(daemon.watching) == 2


def test_the_next_run_does_not_use_what_is_overdue(registry: FaultRegistry) -> None:
    daemon = Daemon()
    with daemon.run() as client:
        head(client, registry.host)
    daemon.time.advance(IDLE_SECONDS)
    with daemon.run() as client:
        head(client, registry.host)
    assert registry.connections == 2


def test_few_registries_are_kept() -> None:
    daemon = Daemon()
    with contextlib.ExitStack() as stack:
        registries = [stack.enter_context(fault_registry()) for _ in range(BOUND + 1)]
        for registry in registries:
            with daemon.run() as client:
                head(client, registry.host)
        assert daemon.idle() == BOUND
        with daemon.run() as client:
            head(client, registries[-1].host)
            head(client, registries[0].host)
        assert [registry.connections for registry in registries] == [2, 1, 1, 1]


def test_few_connections_for_rows_are_kept_for_each_registry(registry: FaultRegistry) -> None:
    daemon = Daemon()
    fill(registry)
    for _ in range(5):
        with daemon.run(per_host_connections=2) as client:
            head(client, registry.host)
            # At once after the last row, so that its connection may not be asked the same again.
            row(client, registry.host)
            row(client, registry.host)
            row(client, registry.host)
    (connections,) = daemon.memory.values()
    assert len(connections.heads) == 2


def test_a_route_shows_no_password() -> None:
    route = Route(Origin.of("https://r.io/"), "http://user:canary-pw@proxy:3128", None)
    assert "canary" not in repr(route)


def test_the_thread_keeps_no_process_alive(registry: FaultRegistry) -> None:
    program = f"""
from ko_pants.daemon_memory import BoundedMemory
from ko_pants.oci.reference import Reference
from ko_pants.registry.client import RegistryClient, RegistryConfig
from ko_pants.registry.kept_connections import KeptConnections

kept = KeptConnections(BoundedMemory(name="tests", bound=1, holds="connections"))
client = RegistryClient(RegistryConfig({{}}, kept=kept))
client.session().head_manifest(Reference("{registry.host}", "app0", "v1"))
client.close()
import threading
assert [t.name for t in threading.enumerate() if t.daemon] == ["ko_pants connections"]
"""
    source = Path(ko_pants.__file__).resolve().parent.parent
    subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.defpath, "PYTHONPATH": str(source)},
        check=True,
        timeout=SECONDS,
    )
    assert registry.count("HEAD manifest") == 1
