"""Requests for tokens.

The protocol is distribution's ("Token Authentication Specification", and its OAuth2 form for
identity tokens).
"""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import Challenge, Scopes, format_scopes
from ko_pants.registry.clock import Clock
from ko_pants.registry.credentials import Credential, CredentialStore
from ko_pants.registry.endpoints import Origin, UnsafeUrl, add_query, check_followed, is_loopback
from ko_pants.registry.errors import RegistryError, decode_errors
from ko_pants.registry.redaction import Redactor
from ko_pants.registry.request import Reply, Request, Send, Session
from ko_pants.registry.tokens import Token, new_token, parse_token

_CLIENT_ID = "ko-pants"
_MAX_REPLY_BYTES = 1024 * 1024
# Statuses of token servers that know no POST.
_NO_OAUTH2 = (404, 405, 501)
# Where there is a password beside the identity token, it may do after one of these.
_REFUSALS = (400, 401, 403)


class TokenServers:
    """Asks the token servers that registries name. Thread-safe.

    :param send: sends a token request, with retries.
    """

    def __init__(
        self,
        send: Send,
        credentials: CredentialStore,
        redactor: Redactor,
        insecure_registries: frozenset[str],
        clock: Clock,
    ) -> None:
        self._send = send
        self._credentials = credentials
        self._redactor = redactor
        self._insecure = insecure_registries
        self._clock = clock
        self._without_oauth2: set[str] = set()

    def ask(
        self,
        session: Session,
        home: Origin,
        ref: Reference,
        challenge: Challenge,
        credential: Credential | None,
        scopes: Scopes,
        *,
        retry: bool = True,
    ) -> Token:
        """A new token for `scopes`, from the realm of a Bearer challenge.

        :param session: counts the requests.
        :param home: the origin of the registry, which sent the challenge.
        :param retry: try again what may work the next time.
        :raises RegistryError: the realm is unsafe, or the server refused or cannot be reached.
        :raises TransferFailure: no reply came, and `retry` is False.
        """
        realm = challenge.params["realm"]
        self._check_realm(ref.registry, home, realm)
        asked_at, wall = self._clock.monotonic(), self._clock.wall()
        service = challenge.params.get("service", "")
        asks = TokenQuestion(session, ref, realm, service, credential, scopes, retry)
        reply = self._reply(asks)
        if reply.status != 200:
            raise self._refusal(reply, ref.registry, realm, credential, scopes)
        value, lifetime = parse_token(reply.body)
        if not value:
            raise RegistryError(
                f"{ref.registry}: the token server {Origin.of(realm).netloc} answered no token; "
                "expected a JSON object with `token` or `access_token`",
                status=reply.status,
            )
        self._redactor.add([value])
        return new_token(value, scopes, lifetime, asked_at, wall)

    def _reply(self, question: TokenQuestion) -> Reply:
        """Ask by OAuth2 with an identity token, else, and where that does not exist, by GET."""
        credential = question.credential
        if credential is None or not credential.identity_token:
            return self._send(question.get())
        if question.realm not in self._without_oauth2:
            reply = self._send(question.post())
            if reply.status in _NO_OAUTH2:
                self._without_oauth2.add(question.realm)
            elif not (reply.status in _REFUSALS and credential.password):
                return reply
        return self._send(question.get())

    def _check_realm(self, registry: str, home: Origin, realm: str) -> None:
        try:
            target = Origin.of(realm)
            if "@" in urllib.parse.urlsplit(realm).netloc:
                raise UnsafeUrl("it has a user name in it")
            check_followed(target, home, self._insecure)
            if target.scheme == "http" and not is_loopback(target.host):
                allowed = {target.netloc, f"{target.host}:{target.port}"}
                if not allowed & self._insecure:
                    raise UnsafeUrl("it is plain http on a host that is not allowed to be insecure")
        except UnsafeUrl as e:
            raise RegistryError(
                self._redactor(
                    f"{registry} sends its clients to the token server {realm[:200]!r}, which is "
                    f"not safe: {e}; no credentials were sent. Check the registry's "
                    "configuration, and that nobody intercepts the connection"
                )
            ) from None

    def _refusal(
        self,
        reply: Reply,
        registry: str,
        realm: str,
        credential: Credential | None,
        scopes: Scopes,
    ) -> RegistryError:
        errors = decode_errors(reply.body)
        said = "; ".join(map(str, errors)) or f"HTTP {reply.status}"
        wanted = ", ".join(format_scopes(scopes)) or "a token"
        whose = (
            f"the credentials are those of {credential.source}"
            if credential
            else self._credentials.describe(registry, "")
        )
        return RegistryError(
            self._redactor(
                f"{registry}: the token server {Origin.of(realm).netloc} refuses {wanted} "
                f"({said}); {whose}"
            ),
            status=reply.status,
            codes=tuple(e.code for e in errors if e.code),
        )


@dataclass(frozen=True)
class TokenQuestion:
    """What a token server is asked for, in the two forms of the protocol."""

    session: Session
    ref: Reference
    realm: str
    service: str
    credential: Credential | None
    scopes: Scopes
    retry: bool = True

    def post(self) -> Request:
        """The OAuth2 form, with an identity token."""
        assert self.credential is not None
        form = {
            "grant_type": "refresh_token",
            "service": self.service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(format_scopes(self.scopes)),
            "refresh_token": self.credential.identity_token,
        }
        return Request(
            self.session,
            "POST",
            self.ref,
            self.realm,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urllib.parse.urlencode(form).encode(),
            max_reply_bytes=_MAX_REPLY_BYTES,
            retry=self.retry,
        )

    def get(self) -> Request:
        """The usual form, with user and password if there are any."""
        pairs = [("service", self.service)] if self.service else []
        pairs += [("scope", scope) for scope in format_scopes(self.scopes)]
        basic = self.credential.basic() if self.credential else None
        return Request(
            self.session,
            "GET",
            self.ref,
            add_query(self.realm, pairs),
            headers={"Authorization": basic} if basic else {},
            max_reply_bytes=_MAX_REPLY_BYTES,
            retry=self.retry,
        )
