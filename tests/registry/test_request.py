"""Requests, bodies and replies as values."""

from __future__ import annotations

from typing import Iterator

import pytest
from registry_support import request_to

from ko_pants.registry.challenge import PULL, repository_scopes
from ko_pants.registry.endpoints import Origin, UnsafeUrl
from ko_pants.registry.request import SMALL_REPLY_BYTES, Reply, StreamBody, TransferFailure


def test_a_changed_request_is_another_one() -> None:
    scopes = repository_scopes("base", PULL)
    first = request_to("https://r.io/a", headers={"Accept": "x"})
    assert first.origin == Origin.of("https://r.io")
    second = first.to("https://cdn.io/b").with_header("Range", "y").with_scopes(scopes)
    assert (second.url, second.origin) == ("https://cdn.io/b", Origin.of("https://cdn.io"))
    assert second.headers == {"Accept": "x", "Range": "y"}
    assert second.scopes == scopes
    assert second.with_scopes(repository_scopes("c", PULL)).scopes > scopes
    assert (first.url, first.headers, first.scopes) == (
        "https://r.io/a",
        {"Accept": "x"},
        frozenset(),
    )
    assert (second.session, second.method, second.ref) == (first.session, first.method, first.ref)


def test_what_a_request_and_a_failure_are_unless_told_otherwise() -> None:
    request = request_to("/v2/")
    assert (request.retry, request.stream, request.body) == (True, False, None)
    assert (request.actions, request.scopes) == (PULL, frozenset())
    assert request.max_reply_bytes == SMALL_REPLY_BYTES == 1 << 18
    failure = TransferFailure("reset")
    assert str(failure) == "reset"
    assert not any((failure.connect, failure.permanent, failure.tls, failure.origin))


def test_a_path_has_no_origin() -> None:
    with pytest.raises(UnsafeUrl):
        request_to("/v2/").origin  # noqa: B018 (the access raises)
    assert request_to("/v2/").to("https://r.io/v2/").origin.host == "r.io"


def test_a_body_is_opened_for_every_attempt_and_remembers_its_last_error() -> None:
    attempts: list[int] = []

    def read() -> Iterator[bytes]:
        attempts.append(1)
        yield b"a"
        if len(attempts) == 1:
            raise OSError("gone")

    body = StreamBody(read, 1)
    with pytest.raises(OSError, match="gone"):
        list(body)
    assert isinstance(body.error, OSError)
    assert list(body) == [b"a"]
    assert body.error is None


def test_a_body_that_is_not_read_to_its_end_has_no_error() -> None:
    body = StreamBody(lambda: iter([b"a", b"b"]), 2)
    reading = iter(body)
    next(reading)
    del reading
    assert body.error is None


class Raw:
    """What a reply needs of urllib3's response."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def close(self) -> None:
        self.calls.append("close")

    def release_conn(self) -> None:
        self.calls.append("release_conn")


@pytest.mark.parametrize("finished", [False, True])
def test_a_streamed_reply_gives_back_its_connection_once(finished: bool) -> None:
    raw = Raw()
    reply = Reply(200, {}, "https://r.io/", raw=raw, _release=lambda: raw.calls.append("slot"))
    reply.finished = finished
    reply.close()
    reply.close()
    del reply
    assert raw.calls == [*([] if finished else ["close"]), "release_conn", "slot"]


def test_a_streamed_reply_that_is_dropped_gives_back_its_connection() -> None:
    raw = Raw()
    Reply(200, {}, "https://r.io/", raw=raw, _release=lambda: raw.calls.append("slot"))
    assert raw.calls == ["close", "release_conn", "slot"]
