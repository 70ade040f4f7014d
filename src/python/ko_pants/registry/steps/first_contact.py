"""The step for the first request to a registry. Its reply tells the scheme and the challenge.

Where the registry most likely wants to know who asks, other requests wait for the first reply. They
are then sent with an `Authorization`, and not once without it.
"""

from __future__ import annotations

from typing import Callable, Optional

from ko_pants.registry.contacts import Contact, Contacts
from ko_pants.registry.request import Reply, Request, Send, TransferFailure

#: Sends a request with its authorization. The second argument is the reply that the request got
#: without one, if it was sent already.
SendAuthorized = Callable[[Request, Optional[Reply]], Reply]


class FirstContact:
    """Sends the first request to each registry without authorization. Thread-safe.

    :param send: sends a request as it is.
    :param expects_challenge: True for a registry (`host[:port]`) that will most likely ask.
    """

    def __init__(
        self,
        send: Send,
        send_authorized: SendAuthorized,
        contacts: Contacts,
        expects_challenge: Callable[[str], bool],
    ) -> None:
        self._send = send
        self._send_authorized = send_authorized
        self._contacts = contacts
        self._expects_challenge = expects_challenge

    def send(self, request: Request) -> Reply:
        """Send a request, whose `url` may be a path on the registry, once the registry is known.

        :raises TransferFailure: no complete reply came.
        :raises RegistryError: by the steps behind this one.
        """
        contact = self._contacts.of(request.ref.registry)
        if contact.remembered and _is_path(request):
            return self._meet_again(contact, request)
        if contact.known or not _is_path(request):
            return self._send_authorized(_resolve(contact, request), None)
        if not self._expects_challenge(contact.registry):
            return self._meet(contact, request)
        while not contact.known:
            with contact.first() as mine:
                if mine:
                    return self._meet(contact, request)
        return self._send_authorized(_resolve(contact, request), None)

    def _meet_again(self, contact: Contact, request: Request) -> Reply:
        """Send a request to a registry as it was in an earlier run, or as it turns out to be."""
        resolved = _resolve(contact, request)
        scheme = resolved.origin.scheme
        try:
            reply = self._send_authorized(resolved, None)
        except TransferFailure as e:
            # Most servers of TLS break off plain HTTP, and one of plain HTTP fails a handshake.
            if not e.connect and contact.has_changed(scheme, tls_failed=e.tls):
                return self.send(request)
            raise
        # Others answer 400.
        if reply.status == 400 and contact.has_changed(scheme, tls_failed=False):
            return self.send(request)
        if reply.status < 500:
            contact.confirm()
        return reply

    def _meet(self, contact: Contact, request: Request) -> Reply:
        while True:
            resolved = _resolve(contact, request)
            scheme = resolved.origin.scheme
            try:
                reply = self._send(resolved)
            except TransferFailure as e:
                # Most servers of TLS break off when they are sent plain HTTP.
                if not e.connect and contact.turns_out_tls(scheme):
                    continue
                raise
            # Others answer 400.
            if reply.status == 400 and contact.turns_out_tls(scheme):
                continue
            contact.learn(reply)
            return self._send_authorized(resolved, reply)


def _is_path(request: Request) -> bool:
    return request.url.startswith("/")


def _resolve(contact: Contact, request: Request) -> Request:
    if not _is_path(request):
        return request
    home = contact.home
    return request.to(f"{home.scheme}://{contact.registry}{request.url}", home)
