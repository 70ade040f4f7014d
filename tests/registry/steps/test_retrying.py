"""Trying again: what may pass, how often, and what is said in the end."""

from __future__ import annotations

from typing import Callable

import pytest
from registry_support import FakeTime, StubStep, reply_of, request_to

from ko_pants.registry.endpoints import Origin
from ko_pants.registry.errors import RegistryError
from ko_pants.registry.messages import TokenServerMessages
from ko_pants.registry.request import Request, Send, TransferFailure
from ko_pants.registry.retry import Attempts, Pace, RetryBudget, RetryPolicy
from ko_pants.registry.steps.retrying import Retrying

URL = "https://r.io/v2/app/manifests/v1"
BUSY = reply_of(503, URL)
DONE = reply_of(200, URL)
BROKEN = TransferFailure("the connection was reset")


def retrying(send: Send, time: FakeTime, attempts: int = 3) -> Callable[[Request], object]:
    """The step, with a budget that is larger than what a test uses."""
    clock = time.clock()
    budget, policy = RetryBudget(100), RetryPolicy(attempts=attempts, connect_attempts=2)
    paces: dict[Origin, Pace] = {}

    def count() -> Attempts:
        return Attempts(policy, budget, clock, lambda o: paces.setdefault(o, Pace(clock)))

    return Retrying(send, count, TokenServerMessages()).send


@pytest.mark.parametrize("passing", [BUSY, reply_of(429, URL), reply_of(500, URL), BROKEN])
def test_what_may_pass_is_tried_again(passing: object) -> None:
    time = FakeTime()
    step = StubStep(passing, passing, DONE)  # type: ignore[arg-type]
    assert retrying(step.send, time)(request_to(URL)) is DONE
    assert step.urls == [URL] * 3
    assert len(time.slept) == 2


@pytest.mark.parametrize("status", [200, 201, 301, 400, 401, 403, 404, 416])
def test_what_is_final_is_returned_at_once(status: int) -> None:
    final = reply_of(status, URL)
    step = StubStep(final)
    assert retrying(step.send, FakeTime())(request_to(URL)) is final
    assert len(step.requests) == 1


def test_the_last_reply_is_returned_with_a_note() -> None:
    step = StubStep(reply_of(503, URL))
    found = retrying(step.send, FakeTime())(request_to(URL))
    assert (found.status, found.note) == (503, "tried 3 times")  # type: ignore[attr-defined]
    assert len(step.requests) == 3


def test_an_error_after_the_last_failure_says_how_often_it_was_tried() -> None:
    step = StubStep(BROKEN)
    with pytest.raises(RegistryError, match=r"the connection was reset \(tried 3 times\)"):
        retrying(step.send, FakeTime())(request_to(URL))
    assert len(step.requests) == 3


def test_without_a_connection_there_are_fewer_attempts() -> None:
    step = StubStep(TransferFailure("it refuses connections", connect=True))
    with pytest.raises(RegistryError, match="tried 2 times"):
        retrying(step.send, FakeTime())(request_to(URL))
    assert len(step.requests) == 2


def test_a_permanent_failure_is_not_tried_again() -> None:
    step = StubStep(TransferFailure("not trusted", connect=True, permanent=True))
    with pytest.raises(RegistryError, match="not trusted"):
        retrying(step.send, FakeTime())(request_to(URL))
    assert len(step.requests) == 1


@pytest.mark.parametrize("outcome", [BUSY, BROKEN])
def test_a_request_without_retries_is_sent_once(outcome: object) -> None:
    time = FakeTime()
    step = StubStep(outcome)  # type: ignore[arg-type]
    send = retrying(step.send, time)
    if isinstance(outcome, TransferFailure):
        with pytest.raises(TransferFailure):
            send(request_to(URL, retry=False))
    else:
        assert send(request_to(URL, retry=False)) is outcome
    assert len(step.requests) == 1
    assert time.slept == []


def test_other_errors_are_not_for_this_step() -> None:
    step = StubStep(RegistryError("a token server refused"))
    with pytest.raises(RegistryError, match="a token server refused"):
        retrying(step.send, FakeTime())(request_to(URL))
    assert len(step.requests) == 1
