"""A registry as they are in clouds: TLS, a token server, and a round trip away; all on loopback.

Registry and token server each stand behind a proxy that adds the round trip. What is counted beside
the requests to the registry: those to the token server, the connections that were opened to both,
and the bytes that were sent to the registry, TLS included.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Optional

from bench.certificates import make_server_certificate, make_signing_key
from bench.delay import Line, behind
from bench.registry import BASE_REPOSITORY, Registry, base_digest, push_base
from bench.token_server import ISSUER, SERVICE, TokenServer

_USERNAME = "bench"
_PASSWORD = "s3cr3t-canary-passw0rd"
# bcrypt of the password: distribution takes nothing else, and Python cannot make it.
_HTPASSWD = f"{_USERNAME}:$2b$04$.3.mXaQ6RVEaSFu6mPJgcegmov4KOoBjl161kj9EjiQ1jU5Z28KtW\n"
_BASIC = base64.b64encode(f"{_USERNAME}:{_PASSWORD}".encode()).decode()


@dataclass(frozen=True)
class Distance:
    """How far away the registry is, and how its token server behaves.

    :param bytes_per_second: how much clients can send to the registry; None: any amount.
    :param several_scopes: one of `token_server.SEVERAL_SCOPES`.
    :param token_lifetime_seconds: of each token.
    """

    round_trip_seconds: float = 0.04
    bytes_per_second: Optional[float] = None
    several_scopes: str = "all"
    token_lifetime_seconds: int = 300


class CloudRegistry(Registry):
    """Distribution with TLS behind a proxy; with a token server, or with Basic for who knows none.

    :param tokens: Bearer with a token server; else Basic.
    """

    def __init__(self, directory: Path, distance: Distance, *, tokens: bool = True) -> None:
        super().__init__(directory)
        self.distance = distance
        self._open = contextlib.ExitStack()
        name, address = _own_name()
        keys = directory / "keys"
        names = [f"DNS:{name}", "DNS:localhost", "IP:127.0.0.1"]
        if name == address:
            names = names[1:]
        self._certificate = make_server_certificate(keys, names)
        #: The lines to the registry and to the token server.
        self.line = Line(distance.round_trip_seconds, distance.bytes_per_second)
        self.token_line = Line(distance.round_trip_seconds)
        proxy = self._open.enter_context(behind(self.listens_at, self.line, listen=address))
        self.host = _rename(proxy, name)
        self.token_server: Optional[TokenServer] = None
        if tokens:
            self._start_token_server(keys, name, address)

    def _start_token_server(self, keys: Path, name: str, address: str) -> None:
        self._signing_key = make_signing_key(keys)
        self.token_server = TokenServer(
            self._certificate,
            self._signing_key,
            f"Basic {_BASIC}",
            several_scopes=self.distance.several_scopes,
            lifetime_seconds=self.distance.token_lifetime_seconds,
        )
        self._open.callback(self.token_server.close)
        proxy = self._open.enter_context(
            behind(self.token_server.address, self.token_line, listen=address)
        )
        self._realm = f"https://{_rename(proxy, name)}/token"

    @property
    def base_image(self) -> str:
        """The reference of the base image, pinned: a tag would be looked up in every run."""
        return f"{self.host}/{BASE_REPOSITORY}@{base_digest()}"

    @property
    def environment(self) -> dict[str, str]:
        """The variable that makes clients trust its certificate."""
        return {"SSL_CERT_FILE": str(self._certificate.authority)}

    @property
    def logins(self) -> dict[str, object]:
        """Its entry in the file of docker."""
        return {self.host: {"auth": _BASIC}}

    def start(self) -> None:
        """Start on empty storage. The base image is pushed before TLS and passwords are there."""
        config = self._config(self._new_place())
        self._launch(config)
        push_base(self.listens_at)
        self._end_process()
        self._launch(self._guarded(config))

    def close(self) -> None:
        """Stop registry, token server and proxies."""
        self.stop()
        self._open.close()

    @contextlib.contextmanager
    def near(self) -> Iterator[None]:
        """No round trip for the length of a `with`; the cap stays."""
        lines = (self.line, self.token_line)
        before = [line.round_trip_seconds for line in lines]
        for line in lines:
            line.round_trip_seconds = 0.0
        try:
            yield
        finally:
            for line, seconds in zip(lines, before):
                line.round_trip_seconds = seconds

    def _guarded(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration with TLS and authorization."""
        tls = {"certificate": str(self._certificate.certificate), "key": str(self._certificate.key)}
        if self.token_server is not None:
            auth: dict[str, Any] = {
                "token": {
                    "realm": self._realm,
                    "service": SERVICE,
                    "issuer": ISSUER,
                    "rootcertbundle": str(self._signing_key.certificate),
                }
            }
        else:
            htpasswd = self._certificate.key.with_name("htpasswd")
            htpasswd.write_text(_HTPASSWD)
            auth = {"htpasswd": {"realm": "bench", "path": str(htpasswd)}}
        return {**config, "http": {**config["http"], "tls": tls}, "auth": auth}

    def _counted(self) -> dict[str, int]:
        counted = {
            "connections": self.line.connections,
            "bytes sent": self.line.bytes_sent,
        }
        if self.token_server is not None:
            counted["tokens"] = self.token_server.requests
            counted["connections for tokens"] = self.token_line.connections
        return counted


def _rename(address: str, name: str) -> str:
    return f"{name}:{address.rpartition(':')[2]}"


def _own_name() -> tuple[str, str]:
    """A name of this machine that leads to loopback, and its address.

    Clients try plain HTTP first at 127.0.0.1 and at `localhost`, which no registry of a cloud sees.
    The machine's name is neither, and on most machines leads to loopback; else 127.0.0.1 must do.
    """
    name = socket.gethostname().lower()
    with contextlib.suppress(OSError, ValueError):
        address = socket.gethostbyname(name)
        if ipaddress.ip_address(address).is_loopback and not name.startswith("localhost"):
            return name, address
    return "127.0.0.1", "127.0.0.1"
