"""`Warning` headers are shown, once, and the reply is not touched."""

from __future__ import annotations

import pytest
from registry_support import StubStep, reply_of, request_to

from ko_pants.registry.notices import Notices
from ko_pants.registry.steps.showing_warnings import ShowingWarnings


def test_a_warning_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    warned = reply_of(200, Warning='299 - "going away"')
    step = ShowingWarnings(StubStep(warned).send, Notices(str))
    assert step.send(request_to("/v2/")) is warned
    assert step.send(request_to("/v2/")) is warned
    assert [r.getMessage() for r in caplog.records] == ["r.io: it warns: going away"]


def test_a_reply_without_one_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    plain = reply_of(200)
    assert ShowingWarnings(StubStep(plain).send, Notices(str)).send(request_to("/v2/")) is plain
    assert caplog.records == []
