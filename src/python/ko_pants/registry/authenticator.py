"""What to put into `Authorization`: Basic, or Bearer with a token that the whole run shares."""

from __future__ import annotations

from ko_pants.oci.reference import Reference
from ko_pants.registry.bearer_tokens import BearerTokens, TokenQuery
from ko_pants.registry.challenge import NO_SCOPES, PULL, Scopes, parse_scopes
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.credentials import CredentialStore
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.request import Reply, Request, Session


class Authenticator:
    """Authorization for all registries of one run. Thread-safe."""

    def __init__(
        self, credentials: CredentialStore, contacts: Contacts, tokens: BearerTokens
    ) -> None:
        self._credentials = credentials
        self._contacts = contacts
        self._tokens = tokens

    def authorization(self, request: Request) -> str | None:
        """The header's value for a request, by the last challenge; None if there was none.

        :raises RegistryError: the token server refused or cannot be reached.
        """
        ref = request.ref
        scopes = request.session.scopes_for(ref, request.actions) | request.scopes
        known = self._known(request.session, ref, scopes)
        if isinstance(known, TokenQuery):
            return _bearer(self._tokens.get(known).value)
        return known

    def answer_challenge(
        self, request: Request, reply: Reply, sent: str | None
    ) -> tuple[bool, Scopes]:
        """After a 401: whether asking again may help, and the scopes that it names.

        :param sent: the `Authorization` that was refused.
        """
        ref = request.ref
        challenge = self._contacts.of(ref.registry).note_challenge(reply)
        forgotten = sent is not None and self._tokens.refused(ref, _value(sent))
        if challenge is None:
            # The previous challenge stays, so another token may do.
            return forgotten, NO_SCOPES
        credential = self._credentials.get(ref.registry, ref.repository)
        if challenge.scheme == "basic":
            basic = credential.basic() if credential else None
            return basic is not None and basic != sent, NO_SCOPES
        if credential is not None and credential.registry_token:
            return sent != _bearer(credential.registry_token), NO_SCOPES
        return True, parse_scopes(challenge.params.get("scope", ""))

    def answer_refusal(self, request: Request, reply: Reply, sent: str) -> bool:
        """After another refusal than a 401: whether asking again with another token may help."""
        return self._tokens.may_be_at_fault(request, _value(sent), reply.status)

    def note_outcome(self, request: Request, reply: Reply) -> None:
        """Learn from the last reply to a request that was refused before."""
        challenge = self._contacts.of(request.ref.registry).challenge
        if challenge is not None and challenge.scheme == "bearer":
            good = reply.status < 400 or reply.status == 404
            self._tokens.note_outcome(request.ref, challenge, good=good)

    def authorization_in_a_row(self, session: Session, ref: Reference) -> tuple[bool, str | None]:
        """Whether a HEAD can be sent without a wait for a token of its own, and the header's value.

        A token that other repositories need too is asked for.
        """
        if not self._contacts.of(ref.registry).known:
            return False, None
        known = self._known(session, ref, session.scopes_for(ref, PULL))
        if not isinstance(known, TokenQuery):
            return True, known
        try:
            token = self._tokens.get_shared(known)
        except RegistryError:
            # The usual way of a request says what is wrong.
            return False, None
        return token is not None, _bearer(token.value) if token else None

    def forget(self, registry: str, sent: str) -> bool:
        """Do not use a token again that the registry may have refused; True if it was one of ours.

        :param sent: the value of the `Authorization` header.
        """
        return self._tokens.forget(registry, _value(sent))

    def forget_recalled(self, registry: str, sent: str) -> None:
        """The same, if the token is one of an earlier run."""
        self._tokens.forget_recalled(registry, _value(sent))

    def _known(self, session: Session, ref: Reference, scopes: Scopes) -> str | TokenQuery | None:
        """The header's value, or for what a token is needed."""
        contact = self._contacts.of(ref.registry)
        challenge = contact.challenge
        if challenge is None:
            return None
        credential = self._credentials.get(ref.registry, ref.repository)
        if challenge.scheme == "basic":
            return credential.basic() if credential else None
        if credential is not None and credential.registry_token:
            return _bearer(credential.registry_token)
        return TokenQuery(session, ref, contact.home, challenge, credential, scopes)


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _value(sent: str) -> str:
    return sent.partition(" ")[2]
