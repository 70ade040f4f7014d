"""The step that says who asks: the `Authorization` header, and again after a challenge."""

from __future__ import annotations

from typing import Protocol

from ko_pants.registry.api_root import HIDING, ApiRoot
from ko_pants.registry.challenge import NO_SCOPES, Scopes
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.notices import Notices
from ko_pants.registry.request import Reply, Request, Send, StreamBody, TransferFailure

#: How often a 401 is answered with another `Authorization` before it is final.
MAX_CHALLENGES = 2


class Authorizer(Protocol):
    """Knows what to say to which registry (`authenticator.Authenticator`)."""

    def authorization(self, request: Request) -> str | None:
        """The header's value for a request; None: say nothing.

        :raises RegistryError: a token server refused.
        """

    def answer_challenge(
        self, request: Request, reply: Reply, sent: str | None
    ) -> tuple[bool, Scopes]:
        """After a 401: whether to ask again, and the scopes that are needed as well."""

    def answer_refusal(self, request: Request, reply: Reply, sent: str) -> bool:
        """After another refusal than a 401: whether to ask again."""

    def note_outcome(self, request: Request, reply: Reply) -> None:
        """The last reply to a request that was refused before."""

    def forget(self, registry: str, sent: str) -> object:
        """Do not send this value again."""


class Authorizing:
    """Adds `Authorization` to requests to the registry itself, and to no others. Thread-safe."""

    def __init__(
        self,
        send: Send,
        authorizer: Authorizer,
        contacts: Contacts,
        notices: Notices,
        api_root: ApiRoot,
    ) -> None:
        self._send = send
        self._authorizer = authorizer
        self._contacts = contacts
        self._notices = notices
        self._api_root = api_root

    def send(self, request: Request, unauthorized: Reply | None = None) -> Reply:
        """Send a request to its absolute URL until the reply is no refusal, or a final one.

        :param unauthorized: the reply that it got without authorization, if it was sent already.
        :raises TransferFailure: no complete reply came.
        :raises RegistryError: a token server refused.
        """
        if request.origin != self._contacts.of(request.ref.registry).home:
            return self._send(request)
        reply, sent = unauthorized, None
        refusals = 0
        while True:
            if reply is None:
                reply, sent = self._send_with_authorization(request)
            if reply.status < 400 or refusals == MAX_CHALLENGES:
                break
            again, scopes = self._after_refusal(request, reply, sent)
            if not again:
                break
            refusals += 1
            request = request.with_scopes(scopes)
            reply = None
        if sent is None and reply.status in HIDING:
            return self._send_if_hidden(request, reply)
        if refusals:
            self._authorizer.note_outcome(request, reply)
        return reply

    def _after_refusal(
        self, request: Request, reply: Reply, sent: str | None
    ) -> tuple[bool, Scopes]:
        """Whether to send a request again, and what its token has to allow as well."""
        if reply.status == 401:
            return self._authorizer.answer_challenge(request, reply, sent)
        if sent is None or not self._authorizer.answer_refusal(request, reply, sent):
            return False, NO_SCOPES
        return True, NO_SCOPES

    def _send_with_authorization(self, request: Request) -> tuple[Reply, str | None]:
        """The reply, and what was sent as `Authorization`."""
        contact = self._contacts.of(request.ref.registry)
        remembered = contact.remembered
        try:
            sent = self._authorizer.authorization(request)
        except RegistryError:
            if not remembered:
                raise
            # The registry may have another token server by now, or none.
            reply = self._send(request)
            contact.learn_again(reply)
            return reply, None
        return self._send_as(request, sent), sent

    def _send_if_hidden(self, request: Request, reply: Reply) -> Reply:
        """Send a request with an authorization if the reply without one may be a refusal."""
        push = request.pushes
        if not self._api_root.challenges(request.session, request.ref, reply.status, push=push):
            return reply
        if self._authorizer.authorization(request) is None:
            return reply
        return self.send(request)

    def _send_as(self, request: Request, authorization: str | None) -> Reply:
        if authorization is None:
            return self._send(request)
        registry = request.ref.registry
        self._notices.warn_of_credentials(registry, request.origin)
        try:
            return self._send(request.with_header("Authorization", authorization))
        except TransferFailure:
            if isinstance(request.body, StreamBody):
                # A server that refuses in mid-upload often resets before its 401 is read.
                self._authorizer.forget(registry, authorization)
            raise
