"""What a run knows of each registry since its first reply: the scheme, and the challenge if any.

Until then, nobody knows whether a registry on loopback speaks TLS and whether it wants to know who
asks. So the first request is a probe, and others can wait for its reply (`Contact.first`).

What a registry was like is remembered in the daemon, so that a later run needs no probe. It is in
doubt until a reply confirms it, and is found out again where it no longer holds.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Callable, Iterator

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.registry import tls
from ko_pants.registry.challenge import Challenge, choose_challenge
from ko_pants.registry.endpoints import Origin, is_loopback, split_host
from ko_pants.registry.request import Reply

_PROBE_TIMEOUT_SECONDS = 5.0
# Of a challenge, only these say something of the next request too.
_LASTING_PARAMS = ("realm", "service")
_MAX_REMEMBERED_BYTES = 2048


@dataclass(frozen=True)
class _Remembered:
    """What a registry was like: who answered, and the challenge (None: it let everybody in)."""

    home: Origin
    challenge: Challenge | None


_registries: BoundedMemory[str, _Remembered] = BoundedMemory(
    name="registry.contacts: registries",
    bound=256,
    holds="scheme and challenge of registries; a challenge counts for the origin that sent it, its "
    "realm is checked before every use, and what no longer holds is found out again",
)


class Contact:
    """What is known of one registry. Thread-safe.

    :param registry: `host[:port]`.
    :param may_be_http: the options allow plain HTTP.
    :param proxy_for: the URL of the proxy before an origin, if there is one.
    """

    def __init__(
        self, registry: str, may_be_http: bool, proxy_for: Callable[[Origin], str | None]
    ) -> None:
        self.registry = registry
        self.host, self.port = split_host(registry)
        #: `http` or `https`; None as long as a reply must decide.
        self.scheme: str | None = None
        #: What the registry last asked for; None: nothing so far.
        self.challenge: Challenge | None = None
        #: True once a reply has come.
        self.known = False
        #: True once somebody asked and got no reply.
        self.failed = False
        #: What is known is of an earlier run, and no reply of this one has confirmed it.
        self.remembered = False
        self._may_be_http = may_be_http
        self._proxy_for = proxy_for
        self._probing = threading.Lock()
        self._changed = threading.Condition()
        self._asking: int | None = None
        self._homes: dict[str, Origin] = {}

    @property
    def base_url(self) -> str:
        """`https://host[:port]`, or http where that is allowed and TLS is not spoken."""
        return f"{self.scheme or self._first_scheme()}://{self.registry}"

    @property
    def home(self) -> Origin:
        """The origin of `base_url`: the only one that gets credentials."""
        base_url = self.base_url
        home = self._homes.get(base_url)
        if home is None:
            home = self._homes[base_url] = Origin.of(base_url)
        return home

    @contextlib.contextmanager
    def first(self) -> Iterator[bool]:
        """Become the one who asks first, or wait until another thread has asked.

        Yields True if the caller is the first, and must ask. Yields False after another thread got
        a reply or failed (see `known`). A thread that is the first may enter again.
        """
        me = threading.get_ident()
        with self._changed:
            mine = not self.known and self._asking in (None, me)
            leads = mine and self._asking is None
            if leads:
                self._asking = me
            while not mine and not self.known and self._asking is not None:
                self._changed.wait()
        try:
            yield mine
        finally:
            if leads:
                with self._changed:
                    self._asking = None
                    self.failed = not self.known
                    self._changed.notify_all()

    def learn(self, reply: Reply) -> None:
        """Take note of the first reply, and let go on who waits for it."""
        with self._changed:
            self._take(reply)
            self._changed.notify_all()

    def recall(self) -> None:
        """Begin with what an earlier run knew. To be called before anything else."""
        found = _registries.get(self.registry)
        if found is None:
            return
        if is_loopback(self.host):
            self.scheme = found.home.scheme
        if found.home == self.home:
            self.challenge = found.challenge
            self.known = self.remembered = True

    def confirm(self) -> None:
        """A reply has shown that what was remembered holds."""
        self.remembered = False

    def learn_again(self, reply: Reply) -> None:
        """Take note of the reply to a request that was sent without regard to what is remembered.

        Nothing changes if another thread has found out already what the registry is like.
        """
        with self._changed:
            if self.remembered:
                self.challenge = None
                self._take(reply)

    def forget(self) -> None:
        """Know nothing again, if what is known is only remembered."""
        with self._changed:
            if self.remembered:
                self.remembered = self.known = False
                self.challenge = None
                self.scheme = None if is_loopback(self.host) else self.scheme
                _registries.pop(self.registry)

    def note_challenge(self, reply: Reply) -> Challenge | None:
        """The challenge of a reply with status 401, which is used from now on; None: it has none.

        Some gateways drop the challenge once a token has expired: the previous one stays then.
        """
        if reply.status != 401:
            return None
        found = choose_challenge(reply.headers.get("WWW-Authenticate", ""))
        self.challenge = found or self.challenge
        if found is not None:
            self.remembered = False
            self._remember()
        return found

    def _take(self, reply: Reply) -> None:
        self.scheme = self.scheme or reply.origin.scheme
        if self.note_challenge(reply) is None and (reply.status < 400 or reply.status == 404):
            self._remember()
        self.remembered = False
        self.known = True

    def _remember(self) -> None:
        challenge = self.challenge
        if challenge is not None:
            params = {k: v for k, v in challenge.params.items() if k in _LASTING_PARAMS}
            if sum(map(len, params.values())) > _MAX_REMEMBERED_BYTES:
                return
            challenge = Challenge(challenge.scheme, params)
        _registries.put(self.registry, _Remembered(self.home, challenge))

    def has_changed(self, spoken: str, *, tls_failed: bool) -> bool:
        """After a request in a remembered scheme failed: does the server speak the other by now?

        Then nothing is known of it. Asked only of a registry on loopback.
        """
        if not is_loopback(self.host):
            return False
        changed = tls_failed
        if spoken == "http":
            with self._probing:
                changed = self._probe() == "https"
        if changed:
            self.forget()
        return changed

    def turns_out_tls(self, spoken: str) -> bool:
        """After a request in the scheme `spoken` had no good reply: is it a server of TLS?

        Asked only of a registry on loopback, and once; the answer decides its scheme.
        """
        with self._probing:
            if self.scheme is None and is_loopback(self.host):
                self.scheme = self._probe()
        return spoken != self.scheme == "https"

    def _first_scheme(self) -> str:
        if is_loopback(self.host):
            return "http"
        with self._probing:
            if self.scheme is None:
                self.scheme = self._insecure_scheme() if self._may_be_http else "https"
            return self.scheme

    def _insecure_scheme(self) -> str:
        """TLS where it is spoken; through a proxy nobody can tell."""
        proxied = self._proxy_for(Origin("http", self.host, self.port or 80))
        return "http" if proxied else self._probe()

    def _probe(self) -> str:
        speaks = tls.speaks_tls(self.host, self.port or 443, _PROBE_TIMEOUT_SECONDS)
        return "https" if speaks else "http"


class Contacts:
    """The registries of one run. Thread-safe.

    :param insecure_registries: `host[:port]` of those that may speak plain HTTP.
    :param proxy_for: the URL of the proxy before an origin, if there is one.
    """

    def __init__(
        self, insecure_registries: frozenset[str], proxy_for: Callable[[Origin], str | None]
    ) -> None:
        self._insecure = insecure_registries
        self._proxy_for = proxy_for
        self._lock = threading.Lock()
        self._contacts: dict[str, Contact] = {}

    def of(self, registry: str) -> Contact:
        """What is known of a registry (`host[:port]`)."""
        contact = self._contacts.get(registry)
        if contact is None:
            with self._lock:
                contact = self._contacts.get(registry)
                if contact is None:
                    insecure = registry in self._insecure
                    contact = Contact(registry, insecure, self._proxy_for)
                    contact.recall()
                    self._contacts[registry] = contact
        return contact
