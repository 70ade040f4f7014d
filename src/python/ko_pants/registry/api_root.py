"""Asks a registry at `/v2/` whether it wants to know who asks, where no other reply says so.

OCI distribution-spec, "API", end-1. Most registries answer every request without authorization
with 401 and a challenge. Some send their challenge at `/v2/` only, and hide everything else with
404, 403 or a bare 401. Docker and crane begin every run there; we ask only if there is a reason.
"""

from __future__ import annotations

import threading
from typing import Callable

from ko_pants.oci.reference import Reference
from ko_pants.registry.contacts import Contacts
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.request import Request, Send, Session

#: Statuses of a request without authorization that may be different with one.
HIDING = (401, 403, 404)


class ApiRoot:
    """Finds challenges; asks each registry once a run. Thread-safe.

    :param send: sends a request as it is, with retries.
    :param expects_challenge: True for a registry (`host[:port]`) that will most likely ask.
    """

    def __init__(
        self, send: Send, contacts: Contacts, expects_challenge: Callable[[str], bool]
    ) -> None:
        self._send = send
        self._contacts = contacts
        self._expects_challenge = expects_challenge
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._asked: set[str] = set()

    def challenges(self, session: Session, ref: Reference, status: int, *, push: bool) -> bool:
        """After a reply to a request without authorization: is there a challenge to answer?

        :param status: that of the reply, one of `HIDING`.
        :param push: the request is part of a push. Then a 404 of a registry for which there are no
            credentials is believed: a push of something new meets many, and each registry that
            takes a push from everybody would cost one request more.
        """
        contact = self._contacts.of(ref.registry)
        if contact.challenge is not None:
            return True
        if status == 404 and push and not self._expects_challenge(ref.registry):
            return False
        with self._lock:
            lock = self._locks.setdefault(ref.registry, threading.Lock())
        with lock:
            if contact.challenge is None and ref.registry not in self._asked:
                self._ask(session, ref)
                self._asked.add(ref.registry)
        return contact.challenge is not None

    def _ask(self, session: Session, ref: Reference) -> None:
        contact = self._contacts.of(ref.registry)
        try:
            reply = self._send(Request(session, "GET", ref, f"{contact.base_url}/v2/"))
        except RegistryError:
            # What was answered to the request itself stays true.
            return
        if reply.origin == contact.home:
            contact.note_challenge(reply)
