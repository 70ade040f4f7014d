"""What to put into `Authorization`: Basic, or Bearer with tokens that are shared by the whole run.

The token protocol is distribution's ("Token Authentication Specification" and its OAuth2 form).
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Mapping

from ko_pants.registry.auth import Credential, CredentialStore
from ko_pants.registry.challenge import (
    NO_SCOPES,
    Challenge,
    Scopes,
    format_scopes,
    parse_challenges,
    parse_scopes,
)
from ko_pants.registry.endpoints import Origin, UnsafeUrl, add_query, check_followed, is_loopback
from ko_pants.registry.errors import RegistryError, decode_errors

if TYPE_CHECKING:
    from ko_pants.registry.config import RegistryConfig
    from ko_pants.registry.errors import Redactor
    from ko_pants.registry.transport import Reply

_CLIENT_ID = "ko-pants"
# The token specification: a reply without `expires_in` means this many seconds.
_DEFAULT_LIFETIME = 60.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")

#: Sends a token request (method, URL, headers, body), with retries; at most 1 MiB of reply.
Fetch = Callable[[str, str, Mapping[str, str], "bytes | None"], "Reply"]


@dataclass(frozen=True)
class Token:
    """A bearer token for `scopes`, good until `expires` (monotonic seconds)."""

    value: str = field(repr=False)
    scopes: Scopes
    expires: float


class HostAuth:
    """What is known of how one registry wants to be spoken to."""

    def __init__(self) -> None:
        self.challenge: Challenge | None = None
        self.tokens: dict[tuple[str, Scopes], Token] = {}
        self.lock = threading.Lock()
        self.fetching: dict[tuple[str, Scopes], threading.Lock] = {}
        #: Set once the first reply has told whether there is a challenge.
        self.known = threading.Event()
        self.first = threading.Lock()


class Authenticator:
    """Authorization for all registries of one run. Thread-safe."""

    def __init__(
        self, config: RegistryConfig, credentials: CredentialStore, redactor: Redactor
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._redactor = redactor
        self._lock = threading.Lock()
        self._hosts: dict[str, HostAuth] = {}

    def host(self, registry: str) -> HostAuth:
        """The state of one registry."""
        state = self._hosts.get(registry)
        if state is None:
            with self._lock:
                state = self._hosts.setdefault(registry, HostAuth())
        return state

    def expects_challenge(self, registry: str) -> bool:
        """True if there are credentials for the registry, so that it will most likely ask."""
        return self._credentials.configured(registry)

    def authorization(
        self, registry: str, repository: str, origin: Origin, scopes: Scopes, fetch: Fetch
    ) -> str | None:
        """The header's value for a request, by what the registry asked for before; else None.

        :raises RegistryError: the token server refused.
        """
        state = self.host(registry)
        challenge = state.challenge
        if challenge is None:
            return None
        credential = self._credentials.get(registry, repository)
        if challenge.scheme == "basic":
            return credential.basic() if credential else None
        if credential is not None and credential.registry_token:
            return "Bearer " + credential.registry_token
        return "Bearer " + self._token(state, registry, origin, credential, scopes, fetch)

    def settled(self, registry: str, repository: str) -> tuple[bool, str | None]:
        """Whether the header is known without a request or a helper's answer, and its value."""
        state = self.host(registry)
        challenge = state.challenge
        if not state.known.is_set() or (challenge and challenge.scheme != "basic"):
            return False, None
        if challenge is None:
            return True, None
        credential = self._credentials.get(registry, repository)
        return True, credential.basic() if credential else None

    def challenged(
        self, registry: str, repository: str, reply: Reply, sent: str | None
    ) -> tuple[Scopes, bool]:
        """Learn from a 401: the scopes it names, and whether asking again may help.

        `sent` is the `Authorization` that it refused.
        """
        state = self.host(registry)
        challenges = parse_challenges(reply.headers.get("WWW-Authenticate", ""))
        usable = {c.scheme: c for c in reversed(challenges) if c.scheme == "basic"}
        usable.update(
            (c.scheme, c)
            for c in reversed(challenges)
            if c.scheme == "bearer" and c.params.get("realm")
        )
        challenge = usable.get("bearer") or usable.get("basic")
        if challenge is None:
            # Some gateways drop the challenge when a token has expired; the old one still holds.
            return NO_SCOPES, bool(sent and self._forget(state, sent))
        state.challenge = challenge
        if challenge.scheme == "basic":
            credential = self._credentials.get(registry, repository)
            wanted = credential.basic() if credential else None
            return NO_SCOPES, wanted is not None and wanted != sent
        if sent is not None:
            self._forget(state, sent)
        credential = self._credentials.get(registry, repository)
        if credential is not None and credential.registry_token:
            return NO_SCOPES, sent != "Bearer " + credential.registry_token
        return parse_scopes(challenge.params.get("scope", "")), True

    def refused(self, registry: str, repository: str) -> str:
        """Whose credentials were refused, for an error; with what to do about it."""
        credential = self._credentials.get(registry, repository)
        if credential is not None:
            return f"the credentials are those of {credential.source}"
        problem = self._credentials.problem(registry)
        if problem:
            return f"there are no credentials: {problem}"
        return (
            f"no credentials for it were found; log in with `docker login {registry}` or "
            f"`podman login {registry}`"
        )

    def forget(self, registry: str, sent: str | None) -> None:
        """Do not use a token again that the registry may have refused."""
        if sent:
            self._forget(self.host(registry), sent)

    def _forget(self, state: HostAuth, sent: str) -> bool:
        with state.lock:
            stale = [key for key, token in state.tokens.items() if "Bearer " + token.value == sent]
            for key in stale:
                del state.tokens[key]
        return bool(stale)

    def _token(
        self,
        state: HostAuth,
        registry: str,
        origin: Origin,
        credential: Credential | None,
        scopes: Scopes,
        fetch: Fetch,
    ) -> str:
        who = credential.source if credential else ""
        key = (who, scopes)
        with state.lock:
            lock = state.fetching.setdefault(key, threading.Lock())
        found = self._cached(state, who, scopes)
        if found is None:
            with lock:
                found = self._cached(state, who, scopes)
                if found is None:
                    found = self._ask(state, registry, origin, credential, scopes, fetch)
                    with state.lock:
                        state.tokens[key] = found
        return found.value

    def _cached(self, state: HostAuth, who: str, scopes: Scopes) -> Token | None:
        now = self._config.clock.monotonic()
        with state.lock:
            exact = state.tokens.get((who, scopes))
            if exact is not None and exact.expires > now:
                return exact
            for (owner, _), token in state.tokens.items():
                if owner == who and token.expires > now and scopes <= token.scopes:
                    return token
        return None

    def _ask(
        self,
        state: HostAuth,
        registry: str,
        origin: Origin,
        credential: Credential | None,
        scopes: Scopes,
        fetch: Fetch,
    ) -> Token:
        challenge = state.challenge
        assert challenge is not None
        realm = challenge.params["realm"]
        self._check_realm(registry, origin, realm)
        service = challenge.params.get("service", "")
        asked_at = self._config.clock.monotonic()
        if credential is not None and credential.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": _CLIENT_ID,
                "scope": " ".join(format_scopes(scopes)),
                "refresh_token": credential.identity_token,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            reply = fetch("POST", realm, headers, urllib.parse.urlencode(form).encode())
        else:
            pairs = [("service", service)] if service else []
            pairs += [("scope", scope) for scope in format_scopes(scopes)]
            basic = credential.basic() if credential else None
            headers = {"Authorization": basic} if basic else {}
            reply = fetch("GET", add_query(realm, pairs), headers, None)
        where = Origin.of(realm).netloc
        if reply.status != 200:
            errors = decode_errors(reply.body)
            said = "; ".join(map(str, errors)) or f"HTTP {reply.status}"
            raise RegistryError(
                self._redactor(
                    f"{registry}: the token server {where} refuses "
                    f"{', '.join(format_scopes(scopes)) or 'a token'} ({said}); "
                    + (
                        f"the credentials are those of {credential.source}"
                        if credential
                        else self.refused(registry, "")
                    )
                ),
                status=reply.status,
                codes=tuple(e.code for e in errors if e.code),
            )
        value, lifetime = parse_token(reply.body)
        if not value:
            raise RegistryError(
                f"{registry}: the token server {where} answered no token; expected a JSON object "
                "with `token` or `access_token`",
                status=reply.status,
            )
        self._redactor.add([value])
        # A tenth (at most 30 s) early, so that a token does not expire on its way.
        return Token(value, scopes, asked_at + lifetime - min(30.0, lifetime / 10))

    def _check_realm(self, registry: str, origin: Origin, realm: str) -> None:
        try:
            target = Origin.of(realm)
            if "@" in urllib.parse.urlsplit(realm).netloc:
                raise UnsafeUrl("it has a user name in it")
            check_followed(target, origin, self._config.insecure_registries)
            if target.scheme == "http" and not is_loopback(target.host):
                allowed = {target.netloc, f"{target.host}:{target.port}"}
                if not allowed & self._config.insecure_registries:
                    raise UnsafeUrl("it is plain http on a host that is not allowed to be insecure")
        except UnsafeUrl as e:
            raise RegistryError(
                self._redactor(
                    f"{registry} sends its clients to the token server {realm[:200]!r}, which is "
                    f"not safe: {e}; no credentials were sent. Check the registry's "
                    "configuration, and that nobody intercepts the connection"
                )
            ) from None


def parse_token(body: bytes) -> tuple[str, float]:
    """The token and its lifetime in seconds of a token server's reply; ("", 0) if there is none."""
    try:
        obj = json.loads(body)
    except (ValueError, RecursionError):
        return "", 0.0
    if not isinstance(obj, dict):
        return "", 0.0
    value = obj.get("token") or obj.get("access_token")
    # A header's value: a token of other characters would be an injection.
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return "", 0.0
    lifetime = obj.get("expires_in")
    if not isinstance(lifetime, (int, float)) or isinstance(lifetime, bool) or lifetime <= 0:
        lifetime = _DEFAULT_LIFETIME
    return value, float(min(lifetime, 24 * 3600))
