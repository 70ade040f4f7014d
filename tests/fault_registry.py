"""A registry in memory, on a real loopback socket, that can be told to misbehave.

Without faults it is a correct, small OCI registry (distribution-spec 1.1): it verifies digests,
refuses manifests whose parts are missing, mounts, takes chunks, and knows referrers. A fault is
bound to an endpoint (`ENDPOINTS`) and happens a number of times.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from typing import Callable, Iterator

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
    "root",
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


def digest_of(content: bytes) -> str:
    """`sha256:<hex>` of some bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


class FaultRegistry:
    """The registry's content, its switches and what it saw. All of it may be read and changed."""

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
        #: How often each blob's bytes were committed.
        self.commits: Counter[str] = Counter()
        #: `none`, `basic` or `bearer`.
        self.auth = "none"
        self.realm = ""
        self.anonymous_actions = frozenset({"pull"})
        self.referrers_api = True
        #: What it has of a subject is told when it is stored (`OCI-Subject`).
        self.oci_subject = True
        #: `If-Match` and `If-None-Match` count.
        self.preconditions = True
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
        #: What requests without authorization are answered instead of a challenge, by method; the
        #: challenge is at `/v2/` then.
        self.hides: dict[str, int] = {}
        #: The status of every HEAD, and of a HEAD of what is not there; 0: the usual one.
        self.head_status = 0
        self.absent_status = 0
        #: The status of a PUT of a blob that has bytes in it, and of every PATCH; 0: the usual one.
        self.whole_status = 0
        self.patch_status = 0
        #: A blob that is sent whole is refused before its bytes are read, and the connection reset.
        self.whole_reset = False
        #: The status of a PUT of a manifest with `?tag=`; 0: the usual one.
        self.tag_query_status = 0
        #: Tags that cannot be moved.
        self.fixed_tags: frozenset[str] = frozenset()
        #: The status of a POST to the token server; 0: it knows OAuth2.
        self.oauth2_status = 0
        #: What a request for several scopes gets: `all`, `first` or `last` of them, `none`, or a
        #: status.
        self.several_scopes = "all"
        #: The scopes of each token that was granted.
        self.asked_scopes: list[tuple[str, ...]] = []
        #: Repositories to which nobody may push.
        self.protected: frozenset[str] = frozenset()
        #: The status of a request that a token does not allow; 401 comes with a challenge.
        self.insufficient_status = 401
        #: Tokens say what they allow, as JWTs do.
        self.jwt = False
        #: A longer `Authorization` is answered 400; 0: none is.
        self.max_authorization = 0
        #: Status and `Location` of the token server's replies, except at `/token/there`.
        self.token_redirect: tuple[int, str] | None = None
        #: What a token's `expires_in` is; it may be no JSON.
        self.expires_in = "300"
        #: Called with each request that has arrived; it is answered when this returns.
        self.on_request: Callable[[Seen], None] = lambda seen: None
        #: Called while a reply drips, so that a test's clock can go on.
        self.on_drip: Callable[[], None] = lambda: None
        #: `http://host:port` of another registry, for faults that lead there.
        self.elsewhere = ""
        self.port = 0
        self.serials = itertools.count(1)

    @property
    def host(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    def share(self, other: FaultRegistry) -> None:
        """Serve the content of another registry, as a blob store behind it would."""
        self.blobs, self.manifests, self.tags = other.blobs, other.manifests, other.tags
        self.uploads, self.commits = other.uploads, other.commits

    def fail(self, endpoint: str, kind: str, count: int | None = 1, value: str = "") -> None:
        """Misbehave at the next `count` requests to an endpoint."""
        assert endpoint in (*ENDPOINTS, "referrers"), endpoint
        self.faults.setdefault(endpoint, []).append(Fault(kind, count, value))

    def heal(self) -> None:
        """Forget every fault that was not used up."""
        self.faults.clear()

    def take(self, endpoint: str) -> Fault | None:
        """The fault for a request that has arrived."""
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
            return next(self.serials)

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
    from fault_handler import FaultHandler

    registry = FaultRegistry()

    class Handler(FaultHandler):
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
