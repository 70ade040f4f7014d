"""Bearer tokens: what a token server answers, and the tokens of a run."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import Callable

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
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True)
class Token:
    """A bearer token for `scopes`. Another is needed from `renew_at` (monotonic seconds) on."""

    value: str = field(repr=False)
    scopes: Scopes
    renew_at: float


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


@dataclass(frozen=True)
class TokenOwner:
    """Whose tokens: those of one credential (its source; empty: anonymous) at one registry."""

    registry: str
    credential: str


class TokenStore:
    """The tokens of one run, shared by all of its requests. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[TokenOwner, dict[Scopes, Token]] = {}
        self._fetching: dict[tuple[TokenOwner, Scopes], threading.Lock] = {}

    def get(self, owner: TokenOwner, scopes: Scopes, fetch: Callable[[], Token]) -> Token:
        """A token that allows `scopes` at least; fetched once where several threads want it.

        :raises Exception: what `fetch` raises.
        """
        with self._lock:
            fetching = self._fetching.setdefault((owner, scopes), threading.Lock())
        found = self._find(owner, scopes)
        if found is not None:
            return found
        with fetching:
            found = self._find(owner, scopes)
            if found is None:
                found = fetch()
                with self._lock:
                    self._tokens.setdefault(owner, {})[scopes] = found
            return found

    def forget(self, registry: str, value: str) -> bool:
        """Do not use a token again, which the registry has refused; True if it was there."""
        with self._lock:
            stale = [
                (tokens, scopes)
                for owner, tokens in self._tokens.items()
                if owner.registry == registry
                for scopes, token in tokens.items()
                if token.value == value
            ]
            for tokens, scopes in stale:
                del tokens[scopes]
        return bool(stale)

    def _find(self, owner: TokenOwner, scopes: Scopes) -> Token | None:
        now = self._clock.monotonic()
        with self._lock:
            tokens = self._tokens.get(owner, {})
            exact = tokens.get(scopes)
            if exact is not None and exact.renew_at > now:
                return exact
            return next(
                (t for t in tokens.values() if t.renew_at > now and scopes <= t.scopes), None
            )
