"""Requests to a registry: authorization, redirects and retries around single exchanges."""

from __future__ import annotations

import logging
import re
import threading
from typing import Mapping, Protocol, Sequence

from ko_pants.oci.reference import Reference
from ko_pants.registry import tls
from ko_pants.registry.auth import CredentialStore
from ko_pants.registry.challenge import NO_SCOPES, Scopes, repository_scopes
from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.endpoints import (
    Origin,
    UnsafeUrl,
    check_followed,
    is_loopback,
    resolve_location,
    split_host,
)
from ko_pants.registry.errors import (
    MissingBlobsError,
    Redactor,
    RegistryError,
    decode_errors,
    named_digests,
    printable,
)
from ko_pants.registry.head_requests import Head
from ko_pants.registry.retry import RETRIABLE, Attempts, RetryBudget, parse_retry_after
from ko_pants.registry.tokens import Authenticator, Fetch
from ko_pants.registry.transport import (
    OriginPool,
    Reply,
    ReplyTooLarge,
    StreamBody,
    TransferFailure,
    Transport,
)

logger = logging.getLogger(__name__)

#: Cap of a reply that has nothing to say but an error.
SMALL_REPLY = 256 * 1024
_TOKEN_REPLY = 1024 * 1024
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
_MISSING_CODES = frozenset(
    {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_UNVERIFIED"}
)


class Counter(Protocol):
    """Whoever counts the requests that were made for it, and knows which repositories it pushes."""

    def count(self) -> None:
        """One more HTTP request is about to be sent."""

    def scopes_for(self, ref: Reference, actions: tuple[str, ...]) -> Scopes:
        """The scopes of a request that needs `actions` on a repository."""


class Requester:
    """Sends requests for a whole run. Thread-safe."""

    def __init__(self, config: RegistryConfig) -> None:
        self.config = config
        self.redact = Redactor()
        self.transport = Transport(config, self.redact)
        self.credentials = CredentialStore(config.env, self.redact)
        self.auth = Authenticator(config, self.credentials, self.redact)
        self._budget = RetryBudget(config.retry.run_budget)
        self._lock = threading.Lock()
        self._schemes: dict[str, str] = {}
        self._said: set[tuple[str, str]] = set()

    def close(self) -> None:
        """Close all idle connections."""
        self.transport.close()

    def attempts(self) -> Attempts:
        """A fresh count of attempts, drawing on the run's budget."""
        return Attempts(self.config.retry, self._budget, self.config.clock)

    def base(self, registry: str) -> str:
        """`https://host[:port]`, or http where that is allowed and nothing else is spoken."""
        scheme = self._schemes.get(registry)
        if scheme is None:
            host, port = split_host(registry)
            if is_loopback(host):
                # Not decided before the first reply: a server of TLS will not understand.
                return f"http://{registry}"
            scheme = "https"
            if self._may_be_insecure(registry):
                with self._lock:
                    scheme = self._schemes.get(registry) or self._probe(host, port)
                    self._schemes[registry] = scheme
            self._schemes[registry] = scheme
        return f"{scheme}://{registry}"

    def pool(self, registry: str) -> OriginPool:
        """The connections to a registry."""
        return self.transport.pool(Origin.of(self.base(registry)))

    def send(
        self,
        counter: Counter,
        method: str,
        ref: Reference,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | StreamBody | None = None,
        actions: tuple[str, ...] = ("pull",),
        more_scopes: Scopes = NO_SCOPES,
        limit: int = SMALL_REPLY,
        stream: bool = False,
        timeout: float | None = None,
        retry: bool = True,
    ) -> Reply:
        """Send a request about the repository `ref` and return the reply, whatever its status.

        `path` is relative to the registry, or an absolute URL that it sent (and that was checked).
        With `retry`, what may pass is tried again, and the last reply is returned.

        :raises RegistryError: no reply came (with `retry`), it was too large, a redirect was unsafe
            or a token server refused.
        :raises TransferFailure: no reply came (without `retry`).
        """
        registry = ref.registry
        scopes = counter.scopes_for(ref, actions) | more_scopes
        attempts = self.attempts() if retry else None
        timeout = self.config.read_timeout if timeout is None else timeout
        authorised = hops = 0
        followed = ""
        while True:
            base = self.base(registry)
            home = Origin.of(base)
            url = followed or (base + path if path.startswith("/") else path)
            origin = Origin.of(url)
            pool = self.transport.pool(origin)
            sent: str | None = None
            sending = dict(headers) if headers else {}
            gate = self._gate(registry)
            try:
                if origin == home:
                    fetch = self._fetcher(counter, registry)
                    sent = self.auth.authorization(registry, ref.repository, home, scopes, fetch)
                    if sent is not None:
                        self._check_insecure(registry, origin)
                        sending["Authorization"] = sent
                counter.count()
                reply = self.transport.exchange(
                    pool, method, url, sending, body, limit=limit, stream=stream, timeout=timeout
                )
                challenged = reply.status == 401 and origin == home and authorised < 2
                if challenged:
                    named, challenged = self.auth.challenged(registry, ref.repository, reply, sent)
                    scopes |= named
                self.auth.host(registry).known.set()
            except ReplyTooLarge as e:
                raise RegistryError(
                    f"{registry}: the reply to {method} for {ref} is not acceptable: {e}"
                ) from None
            except TransferFailure as e:
                if not e.connect and self._turns_out_tls(registry):
                    continue
                if sent is not None and isinstance(body, StreamBody):
                    # A server that refuses in mid-upload often resets before its 401 is read.
                    self.auth.forget(registry, sent)
                if attempts is None:
                    raise
                if e.permanent or not attempts.again(pool.pace, connect=e.connect):
                    raise self.unreachable(ref, origin, e, attempts.gave_up) from None
                followed, hops = "", 0
                continue
            finally:
                if gate is not None:
                    gate.release()
            if origin == home and registry not in self._schemes:
                if reply.status == 400 and self._turns_out_tls(registry):
                    reply.close()
                    continue
                self._schemes[registry] = home.scheme
            if "Warning" in reply.headers:
                self._warn(registry, reply.headers["Warning"])
            if challenged:
                authorised += 1
                continue
            if reply.status in _REDIRECTS and "Location" in reply.headers:
                hops += 1
                followed = self._follow(ref, method, reply, url, hops)
                continue
            if reply.status in RETRIABLE and attempts is not None:
                retry_after = self.retry_after(reply)
                if attempts.again(pool.pace, retry_after=retry_after):
                    followed, hops = "", 0
                    continue
                reply.note = attempts.gave_up
            return reply

    def met(self, registry: str) -> bool:
        """True once a reply has told the registry's scheme, and whether it wants to know us."""
        return registry in self._schemes and self.auth.host(registry).known.is_set()

    def heads(
        self,
        counters: Sequence[Counter],
        refs: Sequence[Reference],
        paths: Sequence[str],
        headers: Mapping[str, str],
    ) -> list[Head | None]:
        """HEADs to one registry in a row; None where `send` has to ask (again).

        Only after a first contact (see `met`), and without tokens: these are for one repository
        each.
        """
        registry = refs[0].registry
        unanswered: list[Head | None] = [None] * len(refs)
        if not self.met(registry):
            return unanswered
        home = Origin.of(self.base(registry))
        sending = []
        for ref in refs:
            known, authorization = self.auth.settled(registry, ref.repository)
            if not known:
                return unanswered
            if authorization is not None:
                self._check_insecure(registry, home)
                sending.append({**headers, "Authorization": authorization})
            else:
                sending.append({**headers})
        sent, found = self.transport.heads(self.transport.pool(home), paths, sending)
        for counter in counters[:sent]:
            counter.count()
        for head in found:
            if "warning" in head.headers:
                self._warn(registry, head.headers["warning"])
        return [*found, *unanswered[len(found) :]]

    def retry_after(self, reply: Reply) -> float | None:
        """Seconds that a refusing host asks to be left alone (429 and 503); None: no wish."""
        if reply.status not in (429, 503):
            return None
        return parse_retry_after(reply.headers.get("Retry-After"), self.config.clock.wall())

    def held_back(self, reply: Reply) -> bool:
        """True if the host did nothing and wants no other request now."""
        return reply.status == 429 or self.retry_after(reply) is not None

    def location(self, ref: Reference, reply: Reply) -> str | None:
        """The checked absolute URL of a reply's `Location`.

        :raises RegistryError: it must not be followed.
        """
        location = reply.headers.get("Location")
        if not location:
            return None
        try:
            url = resolve_location(location, reply.url)
            insecure = self.config.insecure_registries
            check_followed(Origin.of(url), Origin.of(reply.url), insecure)
        except UnsafeUrl as e:
            shown = self.redact(printable(location, 200))
            raise RegistryError(
                f"{ref.registry} sends an unsafe Location {shown!r}: {e}; nothing was sent there. "
                "Check the registry's configuration (its external URL)",
                status=reply.status,
            ) from None
        return url

    def error(self, reply: Reply, ref: Reference, doing: str) -> RegistryError:
        """The error for a reply that refuses; `doing` is such as `push the manifest`."""
        errors = decode_errors(reply.body)
        codes = tuple(e.code.upper() for e in errors if e.code)
        said = "; ".join(str(e) for e in errors)
        status = reply.status
        text = f"{ref.registry} refuses to {doing} {ref}: HTTP {status}"
        text += f" ({said})" if said else ""
        if reply.note:
            text += f"; {reply.note}"
        elsewhere = Origin.of(reply.url) != Origin.of(self.base(ref.registry))
        hint = ""
        if elsewhere:
            hint = f"this is the answer of {Origin.of(reply.url).netloc}, where it sent us"
        elif status == 401:
            hint = self.auth.refused(ref.registry, ref.repository)
        elif status == 403:
            hint = (
                self.auth.refused(ref.registry, ref.repository)
                + "; check that they may do this in this repository"
            )
        elif status == 404 and "NAME_UNKNOWN" in codes:
            hint = "some registries want a repository to be created before the first push"
        elif status == 413:
            hint = "a proxy before the registry limits the size of requests; raise its limit"
        elif status == 429:
            hint = "it limits the rate of requests; log in, or try again later"
        elif status >= 500:
            hint = "the registry has a problem; try again later"
        text = self.redact(text + (f". Hint: {hint}" if hint else ""))
        if status in (400, 404, 422) and _MISSING_CODES & set(codes):
            return MissingBlobsError(
                text, status=status, codes=codes, digests=named_digests(reply.body)
            )
        return RegistryError(text, status=status, codes=codes)

    def unreachable(
        self, ref: Reference, origin: Origin, failure: TransferFailure, gave_up: str
    ) -> RegistryError:
        """The error for a request without a reply, with what may help."""
        where = ref.registry
        if origin.netloc != where:
            where += f" (at {origin.netloc})"
        text = f"cannot reach the registry {where} for {ref}: {failure}"
        text += f" ({gave_up})" if gave_up else ""
        proxy = self.transport.pool(origin).proxies.get(origin.scheme)
        if failure.permanent:
            hint = ""
        elif "TLS failed" in str(failure):
            hint = (
                f"if it speaks plain HTTP only, add {ref.registry} to the option "
                "[ko].insecure_registries"
            )
        elif failure.connect:
            hint = "check the host's name and port, and the network"
            hint += ", or the proxy that the environment names" if proxy else ""
        else:
            hint = "check the network and the registry's log, and run again"
        return RegistryError(self.redact(text + (f". Hint: {hint}" if hint else "")))

    def _gate(self, registry: str) -> threading.Lock | None:
        """Hold back all but the first request to a host that will most likely want to know us."""
        state = self.auth.host(registry)
        if state.known.is_set() or not self.auth.expects_challenge(registry):
            return None
        state.first.acquire()
        if state.known.is_set():
            state.first.release()
            return None
        return state.first

    def _fetcher(self, counter: Counter, registry: str) -> Fetch:
        def fetch(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
            attempts, hops = self.attempts(), 0
            while True:
                pool = self.transport.pool(Origin.of(url))
                counter.count()
                try:
                    reply = self.transport.exchange(
                        *(pool, method, url, headers, body),
                        limit=_TOKEN_REPLY,
                        stream=False,
                        timeout=self.config.read_timeout,
                    )
                except ReplyTooLarge as e:
                    raise RegistryError(
                        f"{registry}: the reply of its token server {pool.origin.netloc} is not "
                        f"acceptable: {e}"
                    ) from None
                except TransferFailure as e:
                    if not e.permanent and attempts.again(pool.pace, connect=e.connect):
                        continue
                    tried = f" ({attempts.gave_up})" if attempts.gave_up else ""
                    raise RegistryError(
                        f"{registry}: cannot reach its token server {pool.origin.netloc}: "
                        f"{e}{tried}. Hint: check the network and its proxies"
                    ) from None
                if reply.status in RETRIABLE:
                    if attempts.again(pool.pace, retry_after=self.retry_after(reply)):
                        continue
                elif reply.status in (307, 308) and hops < _MAX_REDIRECTS:
                    # Only within the host: these requests carry a password.
                    target = resolve_location(reply.headers.get("Location", ""), url)
                    if Origin.of(target) == pool.origin:
                        hops, url = hops + 1, target
                        continue
                return reply

        return fetch

    def _follow(self, ref: Reference, method: str, reply: Reply, url: str, hops: int) -> str:
        if hops > _MAX_REDIRECTS:
            raise RegistryError(
                f"{ref.registry} redirects {method} for {ref} more than {_MAX_REDIRECTS} times",
                status=reply.status,
            )
        if method not in ("GET", "HEAD") and reply.status not in (307, 308):
            raise RegistryError(
                f"{ref.registry} redirects {method} for {ref} with HTTP {reply.status}, which does "
                "not keep the method; check the registry's address",
                status=reply.status,
            )
        return self.location(ref, reply) or url

    def _may_be_insecure(self, registry: str) -> bool:
        return registry in self.config.insecure_registries

    def _check_insecure(self, registry: str, origin: Origin) -> None:
        if origin.scheme == "http" and not is_loopback(origin.host):
            self._once(
                registry, "credentials go to it unencrypted (plain HTTP), as the options allow"
            )

    def _probe(self, host: str, port: int | None) -> str:
        if self.transport.pool(Origin("http", host, port or 80)).proxies:
            return "http"
        return "https" if tls.speaks_tls(host, port or 443, 5.0) else "http"

    def _turns_out_tls(self, registry: str) -> bool:
        """At the first contact with a loopback registry: does it speak TLS after all?"""
        host, port = split_host(registry)
        if registry in self._schemes or not is_loopback(host):
            return False
        if tls.speaks_tls(host, port or 443, 5.0):
            self._schemes[registry] = "https"
            return True
        self._schemes[registry] = "http"
        return False

    def _warn(self, registry: str, header: str) -> None:
        """Show the `Warning` headers of a registry once (OCI distribution-spec, warnings)."""
        for text in _WARNING.findall(header)[:8]:
            self._once(registry, "it warns: " + printable(re.sub(r"\\(.)", r"\1", text), 300))

    def _once(self, registry: str, text: str) -> None:
        with self._lock:
            new = (registry, text) not in self._said and len(self._said) < 1000
            self._said.add((registry, text))
        if new:
            logger.warning("%s: %s", registry, self.redact(text))


def pull_scopes(repository: str) -> Scopes:
    """The scopes to read a repository."""
    return repository_scopes(repository, ("pull",))
