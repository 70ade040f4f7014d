"""A registry in memory, on a real loopback socket, that can be told to misbehave.

Without faults it is a correct, small OCI registry (distribution-spec 1.1): it verifies digests,
refuses manifests whose parts are missing, mounts, takes chunks, and knows referrers. A fault is
bound to an endpoint (`ENDPOINTS`) and happens a number of times.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterator

USERNAME = "canary-user"
PASSWORD = "s3cr3t-canary-passw0rd"

ENDPOINTS = (
    "HEAD manifest",
    "GET manifest",
    "PUT manifest",
    "PUT tag",
    "HEAD blob",
    "GET blob",
    "POST mount",
    "POST upload",
    "PATCH upload",
    "GET upload",
    "PUT upload",
    "token",
)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ROUTE = re.compile(
    r"/v2/(?P<name>.+?)/(?:manifests/(?P<manifest>[^/]+)|blobs/uploads/(?P<upload>[^/]*)"
    r"|blobs/(?P<blob>[^/]+)|referrers/(?P<referrers>[^/]+))$"
)


@dataclass
class Fault:
    """One way to misbehave; `count` is how often (None: always), `value` is for the fault."""

    kind: str
    count: int | None = 1
    value: str = ""


@dataclass
class Seen:
    """A request as it arrived, and the status that was sent (0: none)."""

    endpoint: str
    method: str
    path: str
    headers: dict[str, str]
    status: int = 0


@dataclass
class _Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def _error(status: int, code: str, detail: Any = None) -> _Answer:
    obj = {"errors": [{"code": code, "message": code.lower().replace("_", " "), "detail": detail}]}
    return _Answer(status, {"Content-Type": "application/json"}, json.dumps(obj).encode())


def digest_of(content: bytes) -> str:
    """`sha256:<hex>` of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class FaultRegistry:
    """The registry's content, switches, and the requests that it got. Tests may change all."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.uploads: dict[str, bytearray] = {}
        self.tokens: dict[str, frozenset[str]] = {}
        self.seen: list[Seen] = []
        self.faults: dict[str, list[Fault]] = {}
        #: How many connections were opened.
        self.connections = 0
        #: How often the bytes of each blob were committed.
        self.commits: Counter[str] = Counter()
        #: `none`, `basic` or `bearer`.
        self.auth = "none"
        self.realm = ""
        self.anonymous_actions = frozenset({"pull"})
        self.referrers_api = True
        self.oci_tag = False
        self.immutable_tags = False
        self.accepts_missing_blobs = False
        self.head_digest = True
        self.ranges = True
        self.mounts = True
        self.relative_location = True
        self.min_chunk = 0
        self.max_body = 0
        self.warning = ""
        #: Called for each piece of a slow reply, so that a test can advance its clock.
        self.on_drip: Callable[[], None] = lambda: None
        #: `http://host:port` of another registry, for faults that redirect to it.
        self.elsewhere = ""
        self.port = 0
        self._serial = 0

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def share(self, other: FaultRegistry) -> None:
        """Serve the content of another registry, as its blob store would."""
        self.blobs, self.manifests, self.tags = other.blobs, other.manifests, other.tags
        self.uploads, self.commits = other.uploads, other.commits

    def fail(self, endpoint: str, kind: str, count: int | None = 1, value: str = "") -> None:
        """Have the next `count` requests to an endpoint fail."""
        assert endpoint in ENDPOINTS, endpoint
        self.faults.setdefault(endpoint, []).append(Fault(kind, count, value))

    def heal(self) -> None:
        """Forget every fault that was not used up."""
        self.faults.clear()

    def take(self, endpoint: str) -> Fault | None:
        """The next fault for a request, which is used up by that."""
        with self.lock:
            for fault in self.faults.get(endpoint, ()):
                if fault.count is None:
                    return fault
                if fault.count > 0:
                    fault.count -= 1
                    return fault
        return None

    def serial(self) -> int:
        """A new number."""
        with self.lock:
            self._serial += 1
            return self._serial

    def put_blob(self, name: str, content: bytes) -> str:
        """Put a blob there directly."""
        self.blobs[name, digest_of(content)] = content
        return digest_of(content)

    def put_manifest(self, name: str, media_type: str, content: bytes, tag: str = "") -> str:
        """Put a manifest there directly."""
        digest = digest_of(content)
        self.manifests[name, digest] = (media_type, content)
        if tag:
            self.tags[name, tag] = digest
        return digest

    def count(self, endpoint: str) -> int:
        """How many requests an endpoint saw."""
        return sum(1 for seen in self.seen if seen.endpoint == endpoint)

    def complete(self, name: str, reference: str) -> bool:
        """True if the tag or digest leads to a manifest all of whose parts are there."""
        digest = self.tags.get((name, reference), reference)
        found = self.manifests.get((name, digest))
        if found is None or digest_of(found[1]) != digest:
            return False
        obj = json.loads(found[1])
        parts = [*obj.get("layers", ()), *([obj["config"]] if "config" in obj else ())]
        blobs = [(p["digest"], self.blobs.get((name, p["digest"]))) for p in parts]
        return all(b is not None and digest_of(b) == d for d, b in blobs) and all(
            self.complete(name, child["digest"]) for child in obj.get("manifests", ())
        )


@contextlib.contextmanager
def fault_registry() -> Iterator[FaultRegistry]:
    """Run a registry for the length of a `with`."""
    registry = FaultRegistry()

    class Handler(_Handler):
        pass

    Handler.registry = registry
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    registry: FaultRegistry

    def setup(self) -> None:
        super().setup()
        with self.registry.lock:
            self.registry.connections += 1

    def do_GET(self) -> None:
        registry = self.registry
        self.parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.parts.query))
        self.route = _ROUTE.match(self.parts.path)
        self.left = int(self.headers.get("Content-Length", "0"))
        endpoint = self.endpoint()
        seen = Seen(endpoint, self.command, self.path, dict(self.headers.items()))
        registry.seen.append(seen)
        fault = registry.take(endpoint) if endpoint else None
        if fault is not None and not self.before(fault):
            return
        answer = self.refusal() or self.answer(endpoint)
        if answer is None:
            return
        if fault is not None:
            answer = self.after(fault, answer)
            if answer is None:
                return
        self.drain()
        seen.status = answer.status
        self.send(answer)

    do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_GET

    def log_message(self, *args: object) -> None:
        pass

    def endpoint(self) -> str:
        if self.parts.path == "/token":
            return "token"
        if self.route is None:
            return ""
        if self.route["manifest"] is not None:
            tag = self.command == "PUT" and not _DIGEST.fullmatch(self.route["manifest"])
            return "PUT tag" if tag else f"{self.command} manifest"
        if self.route["upload"] is not None:
            return "POST mount" if "mount" in self.query else f"{self.command} upload"
        return f"{self.command} blob" if self.route["blob"] is not None else "referrers"

    # Faults

    def before(self, fault: Fault) -> bool:
        """The faults that happen in place of an answer; False if one of them ended the request."""
        kind, registry = fault.kind, self.registry
        if kind == "reset before":
            return self.reset()
        if kind == "reset in body" and self.left:
            self.read(self.left // 2)
            return self.reset()
        if kind == "silent":
            # Wait until the client gives up and closes the connection.
            self.rfile.read(1)
            self.close_connection = True
            return False
        if kind == "401 expired":
            registry.tokens.clear()
            return True
        if kind == "401 in body":
            registry.tokens.clear()
            self.read(self.left // 2)
            self.send(self.unauthorized())
            return self.reset()
        location = None
        if kind == "redirect loop":
            location = self.path
        elif kind == "redirect elsewhere":
            location = registry.elsewhere + self.path
        elif kind == "redirect to":
            location = fault.value
        if location is not None:
            self.drain()
            self.send(_Answer(307, {"Location": location}))
            return False
        status = kind.partition(" ")[0]
        if status.isdigit():
            answer = _error(int(status), fault.value or "UNKNOWN")
            if kind == "429 seconds":
                answer.headers["Retry-After"] = "7"
            elif kind == "429 date":
                later = email.utils.formatdate(time.time() + 30, usegmt=True)
                answer.headers["Retry-After"] = later
            elif kind == "503 html":
                answer = _Answer(503, {"Content-Type": "text/html"}, b"<html>busy</html>")
            self.drain()
            self.send(answer)
            return False
        return True

    def after(self, fault: Fault, answer: _Answer) -> _Answer | None:
        """The answer with the fault in it; None if nothing is to be sent any more."""
        kind = fault.kind
        if kind == "reset after":
            self.drain()
            self.reset()
            return None
        if kind in ("reset in body", "short body", "drip"):
            self.drain()
            self.send(answer, cut=kind)
            return None
        if kind == "wrong digest":
            answer.headers["Docker-Content-Digest"] = "sha256:" + "0" * 64
        elif kind == "wrong length":
            length = len(answer.body) + 7 if answer.body else 7
            answer.headers["Content-Length"] = str(length)
            self.close_connection = True
        elif kind == "length too small" and answer.body:
            answer.headers["Content-Length"] = str(len(answer.body) - 7)
        elif kind == "wrong bytes" and answer.body:
            answer.body = bytes(len(answer.body))
        elif kind == "oversized":
            answer.body = b" " * (5 * 1024 * 1024)
            answer.headers.pop("Content-Length", None)
        elif kind == "garbage":
            answer.body = b"{]\x00<html>"
            answer.headers.pop("Content-Length", None)
        elif kind == "location elsewhere" and "Location" in answer.headers:
            target = urllib.parse.urljoin(
                f"http://{self.registry.host}", answer.headers["Location"]
            )
            parts = urllib.parse.urlsplit(target)
            answer.headers["Location"] = f"{self.registry.elsewhere}{parts.path}?{parts.query}"
        elif kind == "location to":
            answer.headers["Location"] = fault.value
        elif kind == "no location":
            answer.headers.pop("Location", None)
        elif kind == "no digest":
            answer.headers.pop("Docker-Content-Digest", None)
        elif kind == "realm":
            self.registry.realm = fault.value
        return answer

    def reset(self) -> bool:
        # Linger 0: close() sends RST, as a crashed server or a load balancer does.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # The buffers hold the descriptor open.
        self.wfile.close()
        self.rfile.close()
        self.connection.close()
        self.close_connection = True
        self.wfile = open("/dev/null", "wb")  # noqa: SIM115 (the base class flushes and closes it)
        return False

    def send(self, answer: _Answer, cut: str = "") -> None:
        body = b"" if self.command == "HEAD" or answer.status == 204 else answer.body
        self.send_response(answer.status)
        headers = dict(answer.headers)
        headers.setdefault("Content-Length", str(len(answer.body)))
        if self.registry.warning:
            headers["Warning"] = self.registry.warning
        for key, value in headers.items():
            self.send_header(key, value)
        if cut and not body:
            # There is no body that could break off, only a head.
            self.flush_headers()
            self.wfile.flush()
            if cut == "drip":
                self.registry.on_drip()
            self.reset()
            return
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            if not cut:
                self.wfile.write(body)
                return
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if cut == "drip":
                self.registry.on_drip()
                for at in range(len(body) // 2, len(body)):
                    self.wfile.write(body[at : at + 1])
                    self.wfile.flush()
                    if at > len(body) // 2 + 50:
                        break
            if cut == "short body":
                self.wfile.flush()
                self.close_connection = True
            else:
                self.reset()

    def read(self, count: int) -> bytes:
        count = min(count, self.left)
        data = self.rfile.read(count)
        self.left -= len(data)
        return data

    def drain(self) -> None:
        while self.left and self.read(65536):
            pass

    # The registry

    def unauthorized(self) -> _Answer:
        registry = self.registry
        answer = _error(401, "UNAUTHORIZED")
        if registry.auth == "basic":
            answer.headers["WWW-Authenticate"] = 'Basic realm="tests"'
        else:
            realm = registry.realm or f"http://{registry.host}/token"
            name = self.route["name"] if self.route else ""
            actions = "pull" if self.command in ("GET", "HEAD") else "pull,push"
            answer.headers["WWW-Authenticate"] = (
                f'Bearer realm="{realm}",service="tests",scope="repository:{name}:{actions}"'
            )
        return answer

    def refusal(self) -> _Answer | None:
        registry = self.registry
        if self.parts.path == "/token" or registry.auth == "none":
            return None
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if registry.auth == "basic":
            good = kind == "Basic" and base64.b64decode(value).decode() == f"{USERNAME}:{PASSWORD}"
            return None if good else self.unauthorized()
        granted = registry.tokens.get(value) if kind == "Bearer" else None
        name = self.route["name"] if self.route else ""
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        if granted is None or f"{name}:{action}" not in granted:
            return self.unauthorized()
        return None

    def answer(self, endpoint: str) -> _Answer | None:
        if endpoint == "token":
            return self.token()
        if self.route is None:
            return _Answer(200, {}, b"{}") if self.path == "/v2/" else _error(404, "NOT_FOUND")
        if 0 < self.registry.max_body < self.left:
            return _Answer(413, {"Content-Type": "text/html"}, b"<html>too large</html>")
        name = self.route["name"]
        if self.route["manifest"] is not None:
            return self.manifest(name, self.route["manifest"])
        if self.route["upload"] is not None:
            return self.upload(name, self.route["upload"])
        if self.route["blob"] is not None:
            return self.blob(name, self.route["blob"])
        return self.referrers(name, self.route["referrers"])

    def token(self) -> _Answer:
        user = ""
        if self.command == "POST":
            form = dict(urllib.parse.parse_qsl(self.read(self.left).decode()))
            if form.get("refresh_token") != PASSWORD:
                return _error(401, "UNAUTHORIZED")
            user, scopes = USERNAME, form.get("scope", "").split()
        else:
            scopes = urllib.parse.parse_qs(self.parts.query).get("scope", [])
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            if kind:
                if base64.b64decode(value).decode() != f"{USERNAME}:{PASSWORD}":
                    return _error(401, "UNAUTHORIZED")
                user = USERNAME
        granted = set()
        for scope in scopes:
            _, name, actions = scope.split(":")
            for action in actions.split(","):
                if user or action in self.registry.anonymous_actions:
                    granted.add(f"{name}:{action}")
        token = f"canary-token-{self.registry.serial()}-{'x' * 20}"
        self.registry.tokens[token] = frozenset(granted)
        reply = {"token": token, "expires_in": 300}
        return _Answer(200, {"Content-Type": "application/json"}, json.dumps(reply).encode())

    def manifest(self, name: str, reference: str) -> _Answer:
        registry = self.registry
        if self.command == "PUT":
            return self.put_manifest(name, reference, self.read(self.left))
        digest = registry.tags.get((name, reference), reference)
        found = registry.manifests.get((name, digest))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": found[0], "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        if self.command == "HEAD" and not registry.head_digest:
            del headers["Docker-Content-Digest"]
        return _Answer(200, headers, found[1])

    def put_manifest(self, name: str, reference: str, content: bytes) -> _Answer:
        registry, digest = self.registry, digest_of(content)
        if _DIGEST.fullmatch(reference) and reference != digest:
            return _error(400, "DIGEST_INVALID")
        try:
            obj = json.loads(content)
        except ValueError:
            return _error(400, "MANIFEST_INVALID")
        if not registry.accepts_missing_blobs:
            parts = [*obj.get("layers", ()), *([obj["config"]] if "config" in obj else ())]
            for part in parts:
                if (name, part["digest"]) not in registry.blobs:
                    return _error(400, "MANIFEST_BLOB_UNKNOWN", {"digest": part["digest"]})
            for child in obj.get("manifests", ()):
                if (name, child["digest"]) not in registry.manifests:
                    return _error(400, "MANIFEST_UNKNOWN", {"digest": child["digest"]})
        tags = [] if _DIGEST.fullmatch(reference) else [reference]
        if registry.oci_tag:
            tags += urllib.parse.parse_qs(self.parts.query).get("tag", [])
        with registry.lock:
            for tag in tags:
                old = registry.tags.get((name, tag))
                if registry.immutable_tags and old is not None:
                    return _error(400, "TAG_INVALID", "the tag is immutable")
                match = self.headers.get("If-Match")
                exists = self.headers.get("If-None-Match") == "*" and old is not None
                if exists or (match is not None and match != f'"{old}"'):
                    return _error(412, "PRECONDITION_FAILED")
            registry.manifests[name, digest] = (self.headers.get("Content-Type", ""), content)
            for tag in tags:
                registry.tags[name, tag] = digest
        headers = {
            "Location": f"/v2/{name}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        if registry.oci_tag and tags:
            headers["OCI-Tag"] = ", ".join(tags)
        if registry.referrers_api and "subject" in obj:
            headers["OCI-Subject"] = obj["subject"]["digest"]
        return _Answer(201, headers)

    def blob(self, name: str, digest: str) -> _Answer:
        content = self.registry.blobs.get((name, digest))
        if content is None:
            return _error(404, "BLOB_UNKNOWN")
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
        }
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.registry.ranges:
            start = int(wanted[1])
            if start >= len(content):
                return _error(416, "RANGE_INVALID")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return _Answer(206, headers, content[start:])
        return _Answer(200, headers, content)

    def upload(self, name: str, uuid: str) -> _Answer:
        registry = self.registry
        if self.command == "POST":
            digest = self.query.get("mount", "")
            source = (self.query.get("from", ""), digest)
            if registry.mounts and source in registry.blobs:
                registry.blobs[name, digest] = registry.blobs[source]
                return _Answer(
                    201,
                    {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest},
                )
            uuid = f"session-{registry.serial()}"
            registry.uploads[uuid] = bytearray()
            return _Answer(202, self.session(name, uuid))
        data = registry.uploads.get(uuid)
        if data is None:
            return _error(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "DELETE":
            del registry.uploads[uuid]
            return _Answer(204)
        if self.command == "GET":
            return _Answer(204, self.session(name, uuid))
        if self.command == "PATCH":
            wanted = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", ""))
            if wanted and int(wanted[1]) != len(data):
                return _Answer(416, self.session(name, uuid))
            self.receive(data)
            return _Answer(202, self.session(name, uuid))
        self.receive(data)
        digest = self.query.get("digest", "")
        if digest_of(bytes(data)) != digest:
            del registry.uploads[uuid]
            return _error(400, "DIGEST_INVALID")
        with registry.lock:
            registry.blobs[name, digest] = bytes(data)
            registry.commits[digest] += 1
            registry.uploads.pop(uuid, None)
        headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return _Answer(201, headers)

    def receive(self, data: bytearray) -> None:
        while self.left:
            part = self.read(65536)
            if not part:
                return
            data += part

    def session(self, name: str, uuid: str) -> dict[str, str]:
        location = f"/v2/{name}/blobs/uploads/{uuid}?_state=canary%2Fstate"
        if not self.registry.relative_location:
            location = f"http://{self.registry.host}{location}"
        held = len(self.registry.uploads[uuid])
        headers = {
            "Location": location,
            "Docker-Upload-UUID": uuid,
            "Range": f"0-{max(0, held - 1)}",
        }
        if self.registry.min_chunk:
            headers["OCI-Chunk-Min-Length"] = str(self.registry.min_chunk)
        return headers

    def referrers(self, name: str, digest: str) -> _Answer:
        registry = self.registry
        if not registry.referrers_api:
            return _error(404, "NOT_FOUND")
        found = []
        for (where, key), (media_type, content) in sorted(registry.manifests.items()):
            obj = json.loads(content)
            if where != name or obj.get("subject", {}).get("digest") != digest:
                continue
            kind = obj.get("artifactType") or obj.get("config", {}).get("mediaType", "")
            if self.query.get("artifactType", kind) != kind:
                continue
            entry = {"mediaType": media_type, "digest": key, "size": len(content)}
            found.append({**entry, "artifactType": kind, "annotations": obj.get("annotations", {})})
        # One entry a page, so that clients must follow links.
        page = int(self.query.get("page", "0"))
        body = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": found[page : page + 1],
            }
        ).encode()
        headers = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
        if page + 1 < len(found):
            more = urllib.parse.urlencode({**self.query, "page": page + 1})
            headers["Link"] = f'</v2/{name}/referrers/{digest}?{more}>; rel="next"'
        return _Answer(200, headers, body)
