"""Bodies of replies: limits, lengths, and rates."""

from __future__ import annotations

import pytest
from registry_support import FakeTime

from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.request import ReplyTooLarge, TransferFailure
from ko_pants.registry.streams import RateMeter, read_body, read_some


class Raw:
    """urllib3's response with these pieces; it takes `seconds` for each."""

    def __init__(
        self, *pieces: bytes, length: str = "", time: FakeTime | None = None, seconds: float = 0
    ) -> None:
        self.headers = {"Content-Length": length} if length else {}
        self.closed = False
        self._pieces = list(pieces)
        self._time = time
        self._seconds = seconds

    def read1(self, size: int) -> bytes:
        if self._time is not None:
            self._time.advance(self._seconds)
        return self._pieces.pop(0) if self._pieces else b""

    def close(self) -> None:
        self.closed = True


CONFIG = RegistryConfig({}, min_rate=100, stall_time=10)


def test_a_body_of_several_pieces() -> None:
    raw = Raw(b"ab", b"c", length="3")
    assert read_body(raw, 3, CONFIG) == b"abc"
    assert not raw.closed
    assert read_body(Raw(b"ab"), 10, CONFIG) == b"ab"
    assert read_body(Raw(b"ab", length="two"), 10, CONFIG) == b"ab"


@pytest.mark.parametrize(("limit", "fits"), [(3, True), (2, False)])
def test_a_limit(limit: int, fits: bool) -> None:
    raw = Raw(b"ab", b"c", b"never read")
    if fits:
        raw = Raw(b"ab", b"c")
        assert read_body(raw, limit, CONFIG) == b"abc"
    else:
        with pytest.raises(ReplyTooLarge, match="larger than 2 bytes"):
            read_body(raw, limit, CONFIG)
    assert raw.closed is not fits


@pytest.mark.parametrize("length", ["2", "4"])
def test_a_length_that_is_not_kept(length: str) -> None:
    raw = Raw(b"abc", length=length)
    with pytest.raises(TransferFailure, match=f"ended after 3 of {length} bytes"):
        read_body(raw, 10, CONFIG)
    assert raw.closed


def test_a_reply_that_drips_is_given_up() -> None:
    time = FakeTime()
    config = RegistryConfig({}, min_rate=100, stall_time=10, clock=time.clock())
    raw = Raw(*[b"x"] * 100, time=time, seconds=1)
    with pytest.raises(TransferFailure, match="drips: 10 bytes in 10 s"):
        read_body(raw, 1000, config)
    assert raw.closed


def test_the_rate_is_that_of_the_last_seconds() -> None:
    time = FakeTime()
    meter = RateMeter(RegistryConfig({}, min_rate=100, stall_time=10, clock=time.clock()))
    time.advance(9)
    meter.add(1)
    time.advance(1)
    # 1000 bytes in 10 seconds are as many as wanted, and the next 10 seconds begin.
    meter.add(999)
    time.advance(10)
    with pytest.raises(TransferFailure):
        meter.add(999)


def test_a_response_without_read1_is_asked_for_little() -> None:
    class Old:
        asked = 0

        def read(self, size: int) -> bytes:
            self.asked = size
            return b"x"

    old = Old()
    assert read_some(old, 100_000) == b"x"
    assert old.asked == 8192
    read_some(old, 10)
    assert old.asked == 10
