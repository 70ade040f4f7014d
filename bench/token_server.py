"""A token server on loopback (distribution's "Token Authentication Specification"), with TLS."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional, Sequence

from bench.certificates import ServerCertificate, SigningKey

ISSUER = "ko_pants benchmark"
SERVICE = "registry.bench"

#: What the server does with several `scope` parameters: grant all of them, grant the first and
#: leave out the others, or refuse.
SEVERAL_SCOPES = ("all", "first", "refuse")


class TokenServer:
    """Signs tokens for who knows the password. Thread-safe.

    :param authorization: the `Authorization` that it takes.
    :param several_scopes: one of SEVERAL_SCOPES.
    :param lifetime_seconds: of the tokens.
    """

    def __init__(
        self,
        certificate: ServerCertificate,
        key: SigningKey,
        authorization: str,
        *,
        several_scopes: str = "all",
        lifetime_seconds: int = 300,
    ) -> None:
        self.key = key
        self.several_scopes = several_scopes
        self.lifetime_seconds = lifetime_seconds
        #: The number of requests that came.
        self.requests = 0
        self._authorization = authorization
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._server = _Server(self, certificate)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="tokens", daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, authorization: Optional[str], query: str) -> tuple[int, dict[str, Any]]:
        """The status and the document for a request."""
        with self._lock:
            self.requests += 1
        if authorization != self._authorization:
            return 401, {"errors": [{"code": "UNAUTHORIZED"}]}
        scopes = tuple(urllib.parse.parse_qs(query).get("scope", ()))
        if len(scopes) > 1 and self.several_scopes == "refuse":
            return 400, {"errors": [{"code": "UNSUPPORTED", "message": "one scope at a time"}]}
        granted = scopes[:1] if self.several_scopes == "first" else scopes
        token, expires = self._token(tuple(sorted(granted)))
        return 200, {"token": token, "expires_in": int(expires - time.time())}

    def _token(self, scopes: tuple[str, ...]) -> tuple[str, float]:
        """A token and when it ends (Unix time).

        One that was signed before serves again in the first half of its life, so that the server's
        work, which is another machine's in reality, takes little of the cores that are measured.
        """
        now = time.time()
        with self._lock:
            token, expires = self._tokens.get(scopes, ("", 0.0))
            if expires - now < self.lifetime_seconds / 2:
                expires = now + self.lifetime_seconds
                token = sign_token(self.key, scopes, int(now), int(expires))
                self._tokens[scopes] = token, expires
        return token, expires


def sign_token(key: SigningKey, scopes: Sequence[str], now: int, expires: int) -> str:
    """A JWT (RFC 7519, RS256) that grants the scopes `<type>:<name>:<action>,<action>`."""
    access = []
    for scope in scopes:
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    header = {"typ": "JWT", "alg": "RS256", "x5c": [key.x5c()]}
    claims = {
        **{"iss": ISSUER, "sub": "bench", "aud": SERVICE, "jti": str(time.monotonic_ns())},
        **{"nbf": now - 60, "iat": now - 60, "exp": expires, "access": access},
    }
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
    return f"{signed}.{_part(key.sign(hashlib.sha256(signed.encode()).digest()))}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tokens: TokenServer, certificate: ServerCertificate) -> None:
        self.tokens = tokens
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        # The handshake is left to the thread of the connection.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break off."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The reply goes out in one piece: a second one would wait for the client's TCP.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        query = urllib.parse.urlsplit(self.path).query
        status, document = self.server.tokens.answer(self.headers.get("Authorization"), query)
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass
