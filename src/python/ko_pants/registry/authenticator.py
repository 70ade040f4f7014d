"""What to put into `Authorization`: Basic, or Bearer with a token that the whole run shares."""

from __future__ import annotations

from ko_pants.registry.challenge import NO_SCOPES, Scopes, parse_scopes
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.request import Reply, Request
from ko_pants.registry.token_servers import TokenServers
from ko_pants.registry.tokens import TokenOwner, TokenStore


class Authenticator:
    """Authorization for all registries of one run. Thread-safe."""

    def __init__(
        self,
        credentials: CredentialStore,
        contacts: Contacts,
        tokens: TokenStore,
        token_servers: TokenServers,
    ) -> None:
        self._credentials = credentials
        self._contacts = contacts
        self._tokens = tokens
        self._token_servers = token_servers

    def authorization(self, request: Request) -> str | None:
        """The header's value for a request, by the last challenge; None if there was none.

        :raises RegistryError: the token server refused or cannot be reached.
        """
        ref = request.ref
        contact = self._contacts.of(ref.registry)
        challenge = contact.challenge
        if challenge is None:
            return None
        credential = self._credentials.get(ref.registry, ref.repository)
        if challenge.scheme == "basic":
            return credential.basic() if credential else None
        if credential is not None and credential.registry_token:
            return _bearer(credential.registry_token)
        scopes = request.session.scopes_for(ref, request.actions) | request.scopes
        token = self._tokens.get(
            TokenOwner(ref.registry, credential.source if credential else ""),
            scopes,
            lambda: self._token_servers.ask(
                request.session, contact.home, ref, challenge, credential, scopes
            ),
        )
        return _bearer(token.value)

    def answer_challenge(
        self, request: Request, reply: Reply, sent: str | None
    ) -> tuple[bool, Scopes]:
        """After a 401: whether asking again may help, and the scopes that it names.

        :param sent: the `Authorization` that was refused.
        """
        registry = request.ref.registry
        challenge = self._contacts.of(registry).note_challenge(reply)
        forgotten = sent is not None and self.forget(registry, sent)
        if challenge is None:
            # The previous challenge stays, so another token may do.
            return forgotten, NO_SCOPES
        credential = self._credentials.get(registry, request.ref.repository)
        if challenge.scheme == "basic":
            basic = credential.basic() if credential else None
            return basic is not None and basic != sent, NO_SCOPES
        if credential is not None and credential.registry_token:
            return sent != _bearer(credential.registry_token), NO_SCOPES
        return True, parse_scopes(challenge.params.get("scope", ""))

    def authorization_without_request(
        self, registry: str, repository: str
    ) -> tuple[bool, str | None]:
        """Whether the header is known without a token for the repository, and its value."""
        contact = self._contacts.of(registry)
        challenge = contact.challenge
        if not contact.known or (challenge and challenge.scheme != "basic"):
            return False, None
        if challenge is None:
            return True, None
        credential = self._credentials.get(registry, repository)
        return True, credential.basic() if credential else None

    def forget(self, registry: str, sent: str) -> bool:
        """Do not use a token again that the registry may have refused; True if it was one of ours.

        :param sent: the value of the `Authorization` header.
        """
        return self._tokens.forget(registry, sent.partition(" ")[2])


def _bearer(token: str) -> str:
    return f"Bearer {token}"
