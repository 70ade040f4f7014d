"""Bearer tokens for requests: found, or fetched for a group of repositories or for one alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Sequence

from ko_pants.oci.reference import Reference
from ko_pants.registry.challenge import Challenge, Scopes
from ko_pants.registry.clock import Clock
from ko_pants.registry.credentials import Credential, CredentialStore
from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.request import Request, Session, TransferFailure
from ko_pants.registry.retry import RETRIABLE
from ko_pants.registry.token_groups import TokenGroups, TokenServer
from ko_pants.registry.token_servers import TokenServers
from ko_pants.registry.tokens import Token, TokenOwner, TokenStore, granted_scopes

# A 401 to a token that is older says nothing of what was granted: it may have been withdrawn.
_YOUNG_SECONDS = 30.0
# A token that is longer may be what a proxy means by a bad request.
_LONG_TOKEN_BYTES = 4096
_TOO_LONG = (400, 413, 431, 494)


@dataclass(frozen=True)
class TokenQuery:
    """What a token is wanted for.

    :param home: the origin of the registry.
    :param challenge: that of the registry, a Bearer one.
    """

    session: Session
    ref: Reference
    home: Origin
    challenge: Challenge
    credential: Credential | None
    scopes: Scopes

    @property
    def server(self) -> TokenServer:
        """Who is to be asked."""
        return server_of(self.challenge)

    def owner(self) -> TokenOwner:
        """Whose token it is."""
        realm, service = self.server
        whose = self.credential.fingerprint() if self.credential else ""
        return TokenOwner(self.ref.registry, self.home.scheme, realm, service, whose)


def server_of(challenge: Challenge) -> TokenServer:
    """The token server that a Bearer challenge names."""
    return challenge.params["realm"], challenge.params.get("service", "")


class BearerTokens:
    """The tokens of one run, and how more are come by. Thread-safe."""

    def __init__(
        self,
        credentials: CredentialStore,
        store: TokenStore,
        servers: TokenServers,
        groups: TokenGroups,
        clock: Clock,
    ) -> None:
        self._credentials = credentials
        self._store = store
        self._servers = servers
        self._groups = groups
        self._clock = clock
        self._fingerprints: dict[tuple[str, str], str] = {}
        # Registries that refuse a HEAD with any token. To some, that is what a 404 is to others.
        self._refusing: set[str] = set()

    def get(self, query: TokenQuery) -> Token:
        """A token for a query.

        :raises RegistryError: the token server refused or cannot be reached.
        """
        owner = query.owner()
        if self._groups.asks_alone(query.ref):
            return self._fetch(query, owner, ())
        found = self._store.find(owner, query.scopes)
        return found if found is not None else self._fetch(query, owner, self._others(query))

    def get_shared(self, query: TokenQuery) -> Token | None:
        """A token that is there or that others need too; None: the query has to wait for its own.

        :raises RegistryError: the token server refused or cannot be reached.
        """
        owner = query.owner()
        found = self._store.find(owner, query.scopes, shared=not self._groups.asks_alone(query.ref))
        if found is not None:
            return found
        others = self._others(query)
        return self._fetch(query, owner, others) if others else None

    def refused(self, ref: Reference, value: str) -> bool:
        """After a 401 to a request about `ref` with this token: True if another may do."""
        found = self._store.by_value(ref.registry, value)
        if found is None:
            return False
        owner, token = found
        young = self._clock.monotonic() - token.asked_at <= _YOUNG_SECONDS
        if self._store.is_recalled(value) or not token.shared or not young:
            return self._store.forget(ref.registry, value)
        return self._leave(ref, owner, value)

    def may_be_at_fault(self, request: Request, value: str, status: int) -> bool:
        """After another refusal than 401 with this token: True if another may do.

        A token of an earlier run may not allow what the account has been allowed since, and one for
        a group may have been granted for less.
        """
        ref = request.ref
        # In the course of a push a 404 is nothing special.
        hidden = status == 403 or (status == 404 and not request.pushes)
        if hidden and self._store.is_recalled(value):
            return self._store.forget(ref.registry, value)
        too_long = status in _TOO_LONG and len(value) > _LONG_TOKEN_BYTES
        if not (status == 403 or too_long):
            return False
        if request.method == "HEAD" and ref.registry in self._refusing:
            return False
        found = self._store.by_value(ref.registry, value)
        return found is not None and found[1].shared and self._leave(ref, found[0], value)

    def note_outcome(self, ref: Reference, challenge: Challenge, *, good: bool) -> None:
        """Learn from the reply to a request that was sent again with another token."""
        if self._groups.asks_alone(ref):
            if good:
                self._groups.note_refused(server_of(challenge), definite=True)
            else:
                self._refusing.add(ref.registry)

    def forget(self, registry: str, value: str) -> bool:
        """Do not use a token again; True if it was there."""
        return self._store.forget(registry, value)

    def forget_recalled(self, registry: str, value: str) -> None:
        """Do not use a token of an earlier run again; one of this run stays."""
        if self._store.is_recalled(value):
            self._store.forget(registry, value)

    def _leave(self, ref: Reference, owner: TokenOwner, value: str) -> bool:
        """Let a repository leave its group, whose token was refused for it."""
        self._groups.ask_alone(ref.registry, ref.repository)
        if self._groups.takes_groups((owner.realm, owner.service)):
            return self._store.narrow(ref.registry, value, ref.repository)
        return self._store.forget(ref.registry, value)

    def _others(self, query: TokenQuery) -> Sequence[str]:
        """The repositories that the same credential is for, and that may share the token."""
        ref = query.ref
        names = self._groups.others(query.server, ref, query.scopes)
        mine = query.credential.fingerprint() if query.credential else ""
        return [name for name in names if self._fingerprint(ref.registry, name) == mine]

    def _fingerprint(self, registry: str, repository: str) -> str:
        key = (registry, repository)
        found = self._fingerprints.get(key)
        if found is None:
            credential = self._credentials.get(registry, repository)
            found = self._fingerprints[key] = credential.fingerprint() if credential else ""
        return found

    def _fetch(self, query: TokenQuery, owner: TokenOwner, others: Sequence[str]) -> Token:
        if not others:
            return self._store.get(
                owner,
                query.scopes,
                lambda scopes: [self._ask_alone(query)],
                shared=not self._groups.asks_alone(query.ref),
            )

        def fetch(scopes: Scopes) -> Sequence[Token]:
            if scopes == query.scopes:
                return [self._ask_alone(query)]
            return self._ask_for_group(query, scopes)

        widen = functools.partial(self._groups.widen, query.server, query.ref, others)
        return self._store.get(owner, query.scopes, fetch, widen)

    def _ask_alone(self, query: TokenQuery) -> Token:
        token = self._ask(query, query.scopes)
        if self._groups.asks_alone(query.ref):
            granted = granted_scopes(token.value)
            if granted is not None and query.scopes <= granted:
                self._groups.note_refused(query.server, definite=True)
        return token

    def _ask(self, query: TokenQuery, scopes: Scopes, *, retry: bool = True) -> Token:
        return self._servers.ask(
            query.session,
            query.home,
            query.ref,
            query.challenge,
            query.credential,
            scopes,
            retry=retry,
        )

    def _ask_for_group(self, query: TokenQuery, scopes: Scopes) -> Sequence[Token]:
        """The token of a group, or what a server gives that does not grant one."""
        try:
            # It is not tried again: to ask for one repository is the next try.
            token = replace(self._ask(query, scopes, retry=False), shared=True)
        except (RegistryError, TransferFailure) as e:
            self._groups.give_up(query.server)
            alone = self._ask_alone(query)
            status = e.status if isinstance(e, RegistryError) else 0
            definite = 400 <= status < 500 and status not in RETRIABLE
            self._groups.note_refused(query.server, definite=definite)
            return [alone]
        granted = granted_scopes(token.value)
        lacking = frozenset() if granted is None else {name for _, name, _ in scopes - granted}
        if not lacking:
            self._groups.note_granted(query.server)
            return [token]
        for name in lacking:
            self._groups.ask_alone(query.ref.registry, name)
        token = replace(token, scopes=frozenset(s for s in scopes if s[1] not in lacking))
        if query.scopes <= token.scopes:
            return [token]
        return [token, self._ask_alone(query)]
