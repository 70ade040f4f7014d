"""Bearer tokens: what a token server answers, the tokens of a run, and those that pantsd keeps."""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from dataclasses import dataclass, field, replace
from typing import Callable, Iterable, Sequence

from ko_pants.daemon_memory import BoundedMemory
from ko_pants.registry.challenge import Scopes
from ko_pants.registry.clock import Clock
from ko_pants.registry.header_numbers import header_number

# The token specification: a reply without `expires_in` means this.
_DEFAULT_LIFETIME_SECONDS = 60.0
_MAX_LIFETIME_SECONDS = 24 * 3600.0
# A token is renewed this much before it expires, but at most a tenth of its life, so that it does
# not expire on its way to the registry.
_RENEWAL_SECONDS = 30.0
_RENEWAL_PART = 0.1
# No later run uses a token that is older. What an account may do can change in the meantime, and
# one more request in a quarter of an hour is cheap.
_MAX_KEPT_SECONDS = 900.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True)
class Token:
    """A bearer token for `scopes`.

    :param asked_at: when it was asked for (monotonic seconds).
    :param renew_at: another is needed from then on (monotonic seconds).
    :param keep_until: until then, later runs of the daemon may use it (Unix time).
    :param shared: it was asked for a group of repositories.
    """

    value: str = field(repr=False)
    scopes: Scopes
    renew_at: float
    keep_until: float = 0.0
    asked_at: float = 0.0
    shared: bool = False

    def without(self, repository: str) -> Token:
        """The same token, not to be used for one repository."""
        return replace(self, scopes=frozenset(s for s in self.scopes if s[1] != repository))


def parse_token(body: bytes) -> tuple[str, float]:
    """The token and its lifetime in seconds in a token server's reply; ("", 0) if there is none."""
    try:
        # `int` refuses thousands of digits, which would cost the whole reply.
        obj = json.loads(body, parse_int=float)
    except (ValueError, RecursionError):
        return "", 0.0
    if not isinstance(obj, dict):
        return "", 0.0
    value = obj.get("token") or obj.get("access_token")
    # It becomes the value of a header, where other characters would be an injection.
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        return "", 0.0
    return value, _lifetime(obj.get("expires_in"))


def _lifetime(said: object) -> float:
    """The seconds that `expires_in` says, a number in quotes too; the default if it says none."""
    if isinstance(said, str):
        said = header_number(said)
    # Not `<= 0`: of NaN, no comparison is true.
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not said > 0:
        return _DEFAULT_LIFETIME_SECONDS
    return float(min(said, _MAX_LIFETIME_SECONDS))


def renewal_time(asked_at: float, lifetime: float) -> float:
    """When a token that was asked for at `asked_at` and lives so long must be renewed (seconds)."""
    return asked_at + lifetime - min(_RENEWAL_SECONDS, lifetime * _RENEWAL_PART)


def new_token(value: str, scopes: Scopes, lifetime: float, asked_at: float, wall: float) -> Token:
    """A token that was asked for at `asked_at` (monotonic), which was `wall` in Unix time."""
    renew_at = renewal_time(asked_at, lifetime)
    kept = min(renew_at - asked_at, _MAX_KEPT_SECONDS)
    return Token(value, scopes, renew_at, wall + kept, asked_at)


def granted_scopes(token: str) -> Scopes | None:
    """What a token says that it allows; None if it does not say, as most opaque ones do not.

    Read from the claim `access` of a JWT (distribution, "Token Authentication Implementation"). The
    signature is not checked: it is a hint, and the registry decides.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return None
    access = claims.get("access") if isinstance(claims, dict) else None
    if not isinstance(access, list):
        return None
    found = set()
    for entry in access:
        actions = entry.get("actions") if isinstance(entry, dict) else None
        # A wildcard may stand for anything.
        if not isinstance(actions, list) or "*" in actions or "*" in str(entry.get("name")):
            return None
        found |= {(str(entry.get("type")), str(entry.get("name")), str(a)) for a in actions}
    return frozenset(found)


@dataclass(frozen=True)
class TokenOwner:
    """Whose tokens: a token is used for nothing else than what it was asked for.

    :param registry: `host[:port]`.
    :param scheme: `http` or `https`, in which the registry is spoken to.
    :param realm: the URL of the token server.
    :param service: what the registry calls itself there.
    :param credential: the fingerprint of the credential; empty: anonymous.
    """

    registry: str
    scheme: str
    realm: str
    service: str
    credential: str


_kept: BoundedMemory[tuple[TokenOwner, Scopes], Token] = BoundedMemory(
    name="registry.tokens: bearer tokens",
    bound=4096,
    holds="tokens that have not expired, for at most 15 minutes; the key has the registry, the "
    "token server and a keyed hash of the credential, so another login does not find them, and a "
    "token that a registry refuses is dropped",
)


class _Flight:
    """A request for a token that is under way."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self.ended = threading.Event()

    def will_do(self, scopes: Scopes, *, shared: bool) -> bool:
        """True for what `TokenStore.get` of the same arguments can wait for."""
        return scopes <= self.scopes if shared else scopes == self.scopes


#: Gives tokens for scopes; the last of them is for the caller.
Fetch = Callable[[Scopes], Sequence[Token]]
#: What to ask for beside some scopes; the second argument tells what needs not be asked for.
Widen = Callable[[Scopes, Callable[[Scopes], bool]], Scopes]


class TokenStore:
    """The tokens of one run, shared by all of its requests. Thread-safe.

    It begins with the tokens that earlier runs of the daemon have left.

    :param on_recall: is told the values of such tokens before they are used.
    """

    def __init__(
        self, clock: Clock, on_recall: Callable[[Iterable[str]], None] = lambda values: None
    ) -> None:
        self._clock = clock
        self._on_recall = on_recall
        self._lock = threading.Lock()
        self._tokens: dict[TokenOwner, dict[Scopes, Token]] = {}
        # What was found for these scopes the last time.
        self._found: dict[tuple[TokenOwner, Scopes], Token] = {}
        self._flights: dict[TokenOwner, list[_Flight]] = {}
        self._recalled: set[str] = set()

    def find(self, owner: TokenOwner, scopes: Scopes, *, shared: bool = True) -> Token | None:
        """A token that allows `scopes` at least, if there is one; `shared` as in `get`."""
        with self._lock:
            return self._find(owner, scopes, shared=shared)

    def get(
        self,
        owner: TokenOwner,
        scopes: Scopes,
        fetch: Fetch,
        widen: Widen = lambda scopes, covered: scopes,
        *,
        shared: bool = True,
    ) -> Token:
        """A token that allows `scopes` at least; fetched once where several threads want it.

        :param shared: that of a group will do.
        :param widen: called with the store locked, so it must be quick and raise nothing.
        :raises Exception: what `fetch` raises.
        """
        while True:
            with self._lock:
                found = self._find(owner, scopes, shared=shared)
                if found is not None:
                    return found
                flights = self._flights.setdefault(owner, [])
                other = next((f for f in flights if f.will_do(scopes, shared=shared)), None)
                if other is None:
                    mine = _Flight(widen(scopes, lambda s: self._covers(owner, s)))
                    flights.append(mine)
            if other is None:
                return self._fetch(owner, mine, fetch)
            other.ended.wait()

    def forget(self, registry: str, value: str) -> bool:
        """Do not use a token again, which the registry has refused; True if it was there."""
        return self._replace(registry, value, lambda token: None)

    def narrow(self, registry: str, value: str, repository: str) -> bool:
        """Do not use a token again for one repository; True if it was there."""
        return self._replace(registry, value, lambda token: token.without(repository))

    def by_value(self, registry: str, value: str) -> tuple[TokenOwner, Token] | None:
        """The token that has this value, if it is there, and whose it is."""
        with self._lock:
            return next(iter(self._with_value(registry, value)), None)

    def is_recalled(self, value: str) -> bool:
        """True if an earlier run has fetched the token."""
        return value in self._recalled

    def _fetch(self, owner: TokenOwner, flight: _Flight, fetch: Fetch) -> Token:
        try:
            tokens = fetch(flight.scopes)
            with self._lock:
                for token in tokens:
                    self._put(owner, token)
            return tokens[-1]
        finally:
            with self._lock:
                self._flights[owner].remove(flight)
            flight.ended.set()

    def _put(self, owner: TokenOwner, token: Token) -> None:
        if not token.scopes:
            return
        self._tokens_of(owner)[token.scopes] = token
        if token.keep_until > self._clock.wall():
            _kept.put((owner, token.scopes), token)

    def _replace(self, registry: str, value: str, change: Callable[[Token], Token | None]) -> bool:
        with self._lock:
            stale = list(self._with_value(registry, value))
            for owner, token in stale:
                del self._tokens[owner][token.scopes]
                _kept.pop((owner, token.scopes))
                changed = change(token)
                if changed is not None and changed.scopes:
                    self._put(owner, changed)
            if stale:
                self._found.clear()
        return bool(stale)

    def _with_value(self, registry: str, value: str) -> Iterable[tuple[TokenOwner, Token]]:
        return [
            (owner, token)
            for owner, tokens in self._tokens.items()
            if owner.registry == registry
            for token in tokens.values()
            if token.value == value
        ]

    def _tokens_of(self, owner: TokenOwner) -> dict[Scopes, Token]:
        tokens = self._tokens.get(owner)
        if tokens is None:
            tokens = self._tokens[owner] = {}
            now, wall = self._clock.monotonic(), self._clock.wall()
            for key, token in _kept.items():
                # The monotonic clock stands still while a laptop sleeps.
                if token.renew_at <= now or token.keep_until <= wall:
                    _kept.pop(key)
                elif key[0] == owner:
                    tokens[token.scopes] = token
            if tokens:
                values = {token.value for token in tokens.values()}
                self._recalled |= values
                self._on_recall(values)
        return tokens

    def _covers(self, owner: TokenOwner, scopes: Scopes) -> bool:
        under_way = any(scopes <= flight.scopes for flight in self._flights.get(owner, ()))
        return under_way or self._find(owner, scopes) is not None

    def _find(self, owner: TokenOwner, scopes: Scopes, *, shared: bool = True) -> Token | None:
        now = self._clock.monotonic()
        found = self._found.get((owner, scopes))
        if found is not None and found.renew_at > now and (shared or not found.shared):
            return found
        tokens = self._tokens_of(owner)
        exact = tokens.get(scopes)
        # Most are found at once where each repository has its own.
        candidates = tokens.values() if exact is None else (exact, *tokens.values())
        good = (t for t in candidates if t.renew_at > now and scopes <= t.scopes)
        found = next((t for t in good if shared or not t.shared), None)
        if found is not None:
            self._found[owner, scopes] = found
        return found
