"""When to try again and how long to wait. Retries are bounded, jittered, and paced per host."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from ko_pants.registry.clock import Clock
    from ko_pants.registry.endpoints import Origin
    from ko_pants.registry.request import Reply, TransferFailure

#: Statuses that may be different next time (RFC 9110; 429 is from RFC 6585).
RETRIABLE = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds for retries; times in seconds.

    `attempts` is the number of attempts of one operation, the first one included;
    `connect_attempts` is the same for failures without a connection, which waiting seldom cures.
    `run_budget` bounds the retries of one client.
    """

    attempts: int = 6
    connect_attempts: int = 3
    first_delay: float = 0.5
    max_delay: float = 15.0
    max_retry_after: float = 180.0
    run_budget: int = 300

    def delay(self, retry: int, chance: float) -> float:
        """Seconds before the `retry`th retry (from 1); `chance` in [0, 1) spreads clients."""
        full = min(self.max_delay, self.first_delay * 2.0 ** (retry - 1))
        return full * (0.5 + chance / 2)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait by a `Retry-After` header (RFC 9110, 10.2.3: seconds, or an HTTP date).

    `now` is Unix time. None if there is no such header or it is neither; never negative.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    import email.utils

    try:
        when = email.utils.parsedate_to_datetime(text)
        return max(0.0, when.timestamp() - now)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def retry_after_seconds(reply: Reply, clock: Clock) -> float | None:
    """How long a refusing host asks to be left alone (429 and 503); None if it does not say."""
    if reply.status not in (429, 503):
        return None
    return parse_retry_after(reply.headers.get("Retry-After"), clock.wall())


def asks_for_a_pause(reply: Reply, clock: Clock) -> bool:
    """True if the host did nothing with the request and wants no other request now."""
    return reply.status == 429 or retry_after_seconds(reply, clock) is not None


class Pace:
    """Delays every request to one host until the time that the host asked for. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._not_before = 0.0

    def defer(self, seconds: float) -> None:
        """Allow no request for `seconds` from now. A later time that is set already stays."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock.monotonic() + seconds)

    def wait(self) -> None:
        """Return when the host may be asked."""
        # Bounded, because other threads may call `defer` while this one sleeps.
        for _ in range(100):
            left = self._not_before - self._clock.monotonic()
            if not self._not_before or left <= 0:
                return
            self._clock.sleep(left)


class RetryBudget:
    """The retries left for one run. Thread-safe."""

    def __init__(self, retries: int) -> None:
        self._left = retries
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Use one retry; False when there is none left."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


class Attempts:
    """Counts the attempts of one operation, which may be of several requests.

    :param pace_of: the pace of the host at an origin.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        clock: Clock,
        pace_of: Callable[[Origin], Pace],
    ) -> None:
        self._policy = policy
        self._budget = budget
        self._clock = clock
        self._pace_of = pace_of
        self.made = 1
        #: Why there is no further attempt, for the error message. Empty as long as there is one.
        self.gave_up = ""

    def again(self) -> bool:
        """Wait before the next attempt; False if there is none."""
        return self._again()

    def after_failure(self, failure: TransferFailure) -> bool:
        """Wait before the next attempt after no reply came; False if there is none."""
        return not failure.permanent and self._again(connect=failure.connect)

    def after_reply(self, reply: Reply) -> bool:
        """Wait before the next attempt after a reply of failure; False if there is none.

        A `Retry-After` of the host delays every request to it, not only this operation's. Where
        there is no further attempt, `reply.note` says why.
        """
        again = self._again(reply=reply)
        if not again:
            reply.note = self.gave_up
        return again

    def _again(
        self,
        *,
        connect: bool = False,
        reply: Reply | None = None,
    ) -> bool:
        policy = self._policy
        retry_after = retry_after_seconds(reply, self._clock) if reply is not None else None
        if self.made >= (policy.connect_attempts if connect else policy.attempts):
            self.gave_up = f"tried {self.made} times" if self.made > 1 else ""
            return False
        if retry_after is not None and retry_after > policy.max_retry_after:
            self.gave_up = f"it asks to come back in {retry_after:.0f} s"
            return False
        if not self._budget.take():
            self.gave_up = f"all {policy.run_budget} retries of this run are used up"
            return False
        delay = policy.delay(self.made, self._clock.random())
        self.made += 1
        if reply is not None and retry_after is not None:
            # The jitter on top keeps many clients from coming back in the same instant.
            self._pace_of(reply.origin).defer(retry_after + min(delay, 1.0))
        else:
            self._clock.sleep(delay)
        return True
