"""The HTTP side of a small, correct OCI registry (distribution-spec 1.1) over a `FaultRegistry`."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from fault_registry import PASSWORD, USERNAME, FaultRegistry, digest_of

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ROUTE = re.compile(
    r"/v2/(?P<name>.+?)/(?:manifests/(?P<manifest>[^/]+)|blobs/uploads/(?P<upload>[^/]*)"
    r"|blobs/(?P<blob>[^/]+)|referrers/(?P<referrers>[^/]+))$"
)


_TOKEN_PATHS = ("/token", "/token/there")


@dataclass
class Answer:
    """A reply before it is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def error_answer(status: int, code: str, detail: Any = None) -> Answer:
    """A refusal with one error code."""
    obj = {"errors": [{"code": code, "message": code.lower().replace("_", " "), "detail": detail}]}
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(obj).encode())


class RequestHandler(BaseHTTPRequestHandler):
    """Reads requests, and knows who may do what."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    registry: FaultRegistry
    parts: urllib.parse.SplitResult
    query: dict[str, str]
    route: re.Match[str] | None
    #: Bytes of the request that were not read yet.
    left: int

    def begin(self) -> None:
        """Take a request apart."""
        self.parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.parts.query))
        self.route = _ROUTE.match(self.parts.path)
        self.left = int(self.headers.get("Content-Length", "0"))

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        with self.registry.lock:
            self.registry.connections += 1

    def log_message(self, *args: object) -> None:
        pass

    def endpoint(self) -> str:
        """Which of `ENDPOINTS` a request is for; empty for others."""
        if self.parts.path in _TOKEN_PATHS:
            return "token"
        if self.path == "/v2/":
            return "root"
        if self.route is None:
            return ""
        if self.route["manifest"] is not None:
            tag = self.command == "PUT" and not _DIGEST.fullmatch(self.route["manifest"])
            return "PUT tag" if tag else f"{self.command} manifest"
        if self.route["upload"] is not None:
            return "POST mount" if "mount" in self.query else f"{self.command} upload"
        return f"{self.command} blob" if self.route["blob"] is not None else "referrers"

    def read(self, count: int) -> bytes:
        """The next bytes of the request, at most `count`."""
        count = min(count, self.left)
        data = self.rfile.read(count)
        self.left -= len(data)
        return data

    def drain(self) -> None:
        """Read what is left of the request."""
        while self.left and self.read(65536):
            pass

    def reset(self) -> bool:
        """Break off the connection; False, for there is no answer."""
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

    def unauthorized(self) -> Answer:
        """A 401 with the challenge."""
        registry = self.registry
        answer = error_answer(401, "UNAUTHORIZED")
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

    def refusal(self) -> Answer | None:
        """The 401 for a request without the right authorization; None if it may pass."""
        registry = self.registry
        if self.parts.path in _TOKEN_PATHS or registry.auth == "none":
            return None
        hidden = registry.hides.get(self.command)
        if hidden and self.route is not None and "Authorization" not in self.headers:
            return error_answer(hidden, "HIDDEN")
        if self.path == "/v2/" and registry.auth == "bearer":
            # Whoever has a token may ask at the root.
            known = self.headers.get("Authorization", "").partition(" ")[2] in registry.tokens
            return None if known else self.unauthorized()
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if registry.auth == "basic":
            good = kind == "Basic" and base64.b64decode(value).decode() == f"{USERNAME}:{PASSWORD}"
            return None if good else self.unauthorized()
        granted = registry.tokens.get(value) if kind == "Bearer" else None
        name = self.route["name"] if self.route else ""
        action = "pull" if self.command in ("GET", "HEAD") else "push"
        if 0 < registry.max_authorization < len(value):
            return error_answer(400, "REQUEST_HEADER_TOO_LARGE")
        if granted is not None and f"{name}:{action}" not in granted:
            if registry.insufficient_status != 401:
                return error_answer(registry.insufficient_status, "DENIED")
            return self.unauthorized()
        if granted is None:
            return self.unauthorized()
        return None

    def token(self) -> Answer:
        """What the token server answers."""
        user = ""
        redirect = self.registry.token_redirect
        if redirect and self.parts.path == "/token":
            where = redirect[1] + ("?" + self.parts.query if self.parts.query else "")
            return Answer(redirect[0], {"Location": where})
        if self.command == "POST" and self.registry.oauth2_status:
            return error_answer(self.registry.oauth2_status, "UNSUPPORTED")
        if self.command == "POST":
            form = dict(urllib.parse.parse_qsl(self.read(self.left).decode()))
            if form.get("refresh_token") != PASSWORD:
                return error_answer(401, "UNAUTHORIZED")
            user, scopes = USERNAME, form.get("scope", "").split()
        else:
            scopes = urllib.parse.parse_qs(self.parts.query).get("scope", [])
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            if kind:
                if base64.b64decode(value).decode() != f"{USERNAME}:{PASSWORD}":
                    return error_answer(401, "UNAUTHORIZED")
                user = USERNAME
        return self.grant(user, scopes)

    def grant(self, user: str, scopes: list[str]) -> Answer:
        """A token for some of the scopes."""
        registry = self.registry
        if len(scopes) > 1 and registry.several_scopes.isdigit():
            return error_answer(int(registry.several_scopes), "UNSUPPORTED")
        registry.asked_scopes.append(tuple(scopes))
        if len(scopes) > 1:
            kinds = {"first": scopes[:1], "last": scopes[-1:], "none": []}
            scopes = kinds.get(registry.several_scopes, scopes)
        granted = set()
        for scope in scopes:
            _, name, actions = scope.split(":")
            for action in actions.split(","):
                protected = action == "push" and name in registry.protected
                if (user and not protected) or action in registry.anonymous_actions:
                    granted.add(f"{name}:{action}")
        token = f"canary-token-{registry.serial()}-{'x' * 20}"
        if registry.jwt:
            access = [
                {"type": "repository", "name": name, "actions": [action]}
                for name, _, action in (entry.rpartition(":") for entry in sorted(granted))
            ]
            claims = base64.urlsafe_b64encode(json.dumps({"access": access}).encode()).decode()
            token = f"{token}.{claims.rstrip('=')}.signature"
        registry.tokens[token] = frozenset(granted)
        reply = f'{{"token": "{token}", "expires_in": {self.registry.expires_in}}}'
        return Answer(200, {"Content-Type": "application/json"}, reply.encode())


class ContentHandler(RequestHandler):
    """Answers requests for manifests, blobs and uploads."""

    def answer(self, endpoint: str) -> Answer | None:
        """What a correct registry answers."""
        if endpoint == "token":
            return self.token()
        if endpoint == "root":
            return Answer(200, {}, b"{}")
        if self.route is None:
            return error_answer(404, "NOT_FOUND")
        if 0 < self.registry.max_body < self.left:
            return Answer(413, {"Content-Type": "text/html"}, b"<html>too large</html>")
        name = self.route["name"]
        if self.route["manifest"] is not None:
            return self.manifest(name, self.route["manifest"])
        if self.route["upload"] is not None:
            return self.upload(name, self.route["upload"])
        if self.route["blob"] is not None:
            return self.blob(name, self.route["blob"])
        return self.referrers(name, self.route["referrers"])

    def manifest(self, name: str, reference: str) -> Answer:
        """HEAD, GET or PUT of a manifest."""
        registry = self.registry
        if self.command == "PUT":
            return self.put_manifest(name, reference, self.read(self.left))
        digest = registry.tags.get((name, reference), reference)
        found = registry.manifests.get((name, digest))
        refused = self.refused_head(absent=found is None)
        if refused or found is None:
            return error_answer(refused or 404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": found[0], "Docker-Content-Digest": digest, "ETag": f'"{digest}"'}
        if self.command == "HEAD" and not registry.head_digest:
            del headers["Docker-Content-Digest"]
        return Answer(200, headers, found[1])

    def put_manifest(self, name: str, reference: str, content: bytes) -> Answer:
        """PUT of a manifest."""
        registry, digest = self.registry, digest_of(content)
        if registry.tag_query_status and "tag" in self.query:
            return error_answer(registry.tag_query_status, "UNSUPPORTED")
        if _DIGEST.fullmatch(reference) and reference != digest:
            return error_answer(400, "DIGEST_INVALID")
        try:
            obj = json.loads(content)
        except ValueError:
            return error_answer(400, "MANIFEST_INVALID")
        if not registry.accepts_missing_blobs:
            parts = [*obj.get("layers", ()), *([obj["config"]] if "config" in obj else ())]
            for part in parts:
                if (name, part["digest"]) not in registry.blobs:
                    return error_answer(400, "MANIFEST_BLOB_UNKNOWN", {"digest": part["digest"]})
            for child in obj.get("manifests", ()):
                if (name, child["digest"]) not in registry.manifests:
                    return error_answer(400, "MANIFEST_UNKNOWN", {"digest": child["digest"]})
        tags = [] if _DIGEST.fullmatch(reference) else [reference]
        if registry.oci_tag:
            tags += urllib.parse.parse_qs(self.parts.query).get("tag", [])
        with registry.lock:
            for tag in tags:
                old = registry.tags.get((name, tag))
                fixed = registry.immutable_tags or tag in registry.fixed_tags
                if fixed and old is not None:
                    return error_answer(400, "TAG_INVALID", "the tag is immutable")
                match = self.headers.get("If-Match")
                exists = self.headers.get("If-None-Match") == "*" and old is not None
                changed = match is not None and match != f'"{old}"'
                if registry.preconditions and (exists or changed):
                    return error_answer(412, "PRECONDITION_FAILED")
            registry.manifests[name, digest] = (self.headers.get("Content-Type", ""), content)
            for tag in tags:
                registry.tags[name, tag] = digest
        headers = {
            "Location": f"/v2/{name}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        if registry.oci_tag and tags:
            headers["OCI-Tag"] = ", ".join(tags)
        if registry.referrers_api and registry.oci_subject and "subject" in obj:
            headers["OCI-Subject"] = obj["subject"]["digest"]
        return Answer(201, headers)

    def blob(self, name: str, digest: str) -> Answer:
        """HEAD or GET of a blob."""
        content = self.registry.blobs.get((name, digest))
        refused = self.refused_head(absent=content is None)
        if refused or content is None:
            return error_answer(refused or 404, "BLOB_UNKNOWN")
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
        }
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and self.registry.ranges:
            start = int(wanted[1])
            if start >= len(content):
                return error_answer(416, "RANGE_INVALID")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return Answer(206, headers, content[start:])
        return Answer(200, headers, content)

    def refused_head(self, *, absent: bool) -> int:
        """The status of a HEAD where the registry is odd about it, or of what is absent."""
        registry = self.registry
        head = registry.head_status if self.command == "HEAD" else 0
        return head or (registry.absent_status if absent else 0)

    def upload(self, name: str, uuid: str) -> Answer | None:
        """POST, PATCH, PUT, GET or DELETE of an upload session."""
        registry = self.registry
        if self.command == "POST":
            digest = self.query.get("mount", "")
            source = (self.query.get("from", ""), digest)
            if registry.mounts and source in registry.blobs:
                registry.blobs[name, digest] = registry.blobs[source]
                return Answer(
                    201,
                    {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest},
                )
            uuid = f"session-{registry.serial()}"
            registry.uploads[uuid] = bytearray()
            return Answer(202, self.session(name, uuid))
        data = registry.uploads.get(uuid)
        whole = self.command == "PUT" and self.left > 0
        if whole and registry.whole_reset:
            self.reset()
            return None
        odd = registry.whole_status if whole else 0
        odd = registry.patch_status if self.command == "PATCH" else odd
        if odd:
            # Whoever refuses the bytes has no use for the session either.
            registry.uploads.pop(uuid, None)
            return error_answer(odd, "UNSUPPORTED")
        if data is None:
            return error_answer(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "DELETE":
            del registry.uploads[uuid]
            return Answer(204)
        if self.command == "GET":
            return Answer(204, self.session(name, uuid))
        if self.command == "PATCH":
            wanted = re.fullmatch(r"(\d+)-(\d+)", self.headers.get("Content-Range", ""))
            if wanted and int(wanted[1]) != len(data):
                return Answer(416, self.session(name, uuid))
            self.receive(data)
            return Answer(202, self.session(name, uuid))
        self.receive(data)
        digest = self.query.get("digest", "")
        if digest_of(bytes(data)) != digest:
            del registry.uploads[uuid]
            return error_answer(400, "DIGEST_INVALID")
        with registry.lock:
            registry.blobs[name, digest] = bytes(data)
            registry.commits[digest] += 1
            registry.uploads.pop(uuid, None)
        headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
        return Answer(201, headers)

    def receive(self, data: bytearray) -> None:
        """Read the request into `data`."""
        while self.left:
            part = self.read(65536)
            if not part:
                return
            data += part

    def session(self, name: str, uuid: str) -> dict[str, str]:
        """The headers that name an upload session."""
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

    def referrers(self, name: str, digest: str) -> Answer:
        """The referrers of a manifest, one a page."""
        registry = self.registry
        if not registry.referrers_api:
            return error_answer(404, "NOT_FOUND")
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
        return Answer(200, headers, body)
