"""When to try again, and how long to wait."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry_support import FakeTime, reply_of

from ko_pants.registry.endpoints import Origin
from ko_pants.registry.request import Reply, TransferFailure
from ko_pants.registry.retry import (
    RETRIABLE,
    Attempts,
    Pace,
    RetryBudget,
    RetryPolicy,
    asks_for_a_pause,
    parse_retry_after,
    retry_after_seconds,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("soon", None),
        ("-3", None),
        (email.utils.formatdate(1030, usegmt=True), 30.0),
        (email.utils.formatdate(10, usegmt=True), 0.0),
        ("Wed, 99 Foo 2020 00:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, 1000.0) == expected


@given(st.text())
def test_retry_after_never_fails(value: str) -> None:
    found = parse_retry_after(value, 1000.0)
    assert found is None or found >= 0


ORIGIN = Origin.of("https://r.io")
BUSY = "https://r.io/v2/"


class World:
    """Operations that share a budget and the paces of hosts."""

    def __init__(self, policy: RetryPolicy, budget: int = 100) -> None:
        self.time = FakeTime()
        self._clock = self.time.clock()
        self._policy = policy
        self._budget = RetryBudget(budget)
        self._paces: dict[Origin, Pace] = {}

    def attempts(self) -> Attempts:
        return Attempts(self._policy, self._budget, self._clock, self.pace)

    def pace(self, origin: Origin) -> Pace:
        return self._paces.setdefault(origin, Pace(self._clock))


def test_attempts_are_bounded_and_wait_longer_each_time() -> None:
    world = World(RetryPolicy(attempts=5))
    attempts = world.attempts()
    assert [attempts.again() for _ in range(6)] == [True] * 4 + [False] * 2
    # Half a second, doubled each time; the chance of 0.5 takes a quarter off.
    assert world.time.slept == [0.375, 0.75, 1.5, 3.0]
    assert attempts.gave_up == "tried 5 times"


def test_the_bounds_are_those_of_the_documentation() -> None:
    # docs/registries.md, "Retries".
    assert frozenset({408, 425, 429, 500, 502, 503, 504}) == RETRIABLE
    policy = RetryPolicy()
    assert (policy.attempts, policy.connect_attempts, policy.run_budget) == (6, 3, 300)
    assert (policy.first_delay, policy.max_delay, policy.max_retry_after) == (0.5, 15.0, 180.0)


def test_a_wait_has_an_upper_limit() -> None:
    policy = RetryPolicy()
    assert policy.delay(1, 0.0) == 0.25
    assert policy.delay(20, 0.0) == 7.5
    assert policy.delay(20, 0.999) < 15


def test_one_attempt_is_not_worth_mentioning() -> None:
    attempts = World(RetryPolicy(attempts=1)).attempts()
    assert not attempts.again()
    assert attempts.gave_up == ""


def test_the_budget_of_a_run_is_shared() -> None:
    world = World(RetryPolicy(run_budget=3), budget=3)
    operations = [world.attempts() for _ in range(5)]
    assert [attempts.again() for attempts in operations] == [True, True, True, False, False]
    assert operations[4].gave_up == "all 3 retries of this run are used up"


def test_failures_without_a_connection_have_a_limit_of_their_own() -> None:
    attempts = World(RetryPolicy(attempts=6, connect_attempts=3)).attempts()
    refused = TransferFailure("refused", connect=True)
    assert [attempts.after_failure(refused) for _ in range(3)] == [True, True, False]
    assert attempts.after_failure(TransferFailure("reset"))


def test_a_permanent_failure_uses_nothing_up() -> None:
    world = World(RetryPolicy(run_budget=1), budget=1)
    attempts = world.attempts()
    assert not attempts.after_failure(TransferFailure("not trusted", permanent=True))
    assert (attempts.made, attempts.gave_up, world.time.slept) == (1, "", [])
    assert attempts.again()


def test_retry_after_holds_back_the_host_and_not_only_one_request() -> None:
    world = World(RetryPolicy())
    assert world.attempts().after_reply(reply_of(429, BUSY, Retry_After="20"))
    assert world.time.slept == []
    world.pace(ORIGIN).wait()
    assert 20 <= sum(world.time.slept) <= 21
    world.pace(Origin.of("https://else.io")).wait()
    assert len(world.time.slept) == 1


def test_a_retry_after_of_hours_is_not_waited_for() -> None:
    attempts = World(RetryPolicy(max_retry_after=180)).attempts()
    reply = reply_of(503, BUSY, Retry_After="181")
    assert not attempts.after_reply(reply)
    assert reply.note == attempts.gave_up == "it asks to come back in 181 s"
    assert attempts.after_reply(reply_of(503, BUSY, Retry_After="180"))


def test_without_retry_after_only_the_operation_waits() -> None:
    world = World(RetryPolicy())
    assert world.attempts().after_reply(reply_of(503, BUSY))
    assert len(world.time.slept) == 1
    world.pace(ORIGIN).wait()
    assert len(world.time.slept) == 1


@pytest.mark.parametrize(
    ("reply", "seconds", "pause"),
    [
        (reply_of(429, Retry_After="7"), 7.0, True),
        (reply_of(503, Retry_After="7"), 7.0, True),
        (reply_of(429), None, True),
        (reply_of(503), None, False),
        (reply_of(500, Retry_After="7"), None, False),
        (reply_of(200, Retry_After="7"), None, False),
    ],
)
def test_who_wants_to_be_left_alone(reply: Reply, seconds: float | None, pause: bool) -> None:
    clock = FakeTime().clock()
    assert retry_after_seconds(reply, clock) == seconds
    assert asks_for_a_pause(reply, clock) is pause


def test_a_later_time_stays() -> None:
    time = FakeTime()
    pace = Pace(time.clock())
    pace.wait()
    pace.defer(10)
    pace.defer(5)
    pace.wait()
    pace.wait()
    assert time.slept == [10]
