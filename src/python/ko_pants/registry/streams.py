"""Reading the bodies of replies: in pieces, up to a limit, and not slower than a minimum rate."""

from __future__ import annotations

from typing import Any

from ko_pants.registry.config import RegistryConfig
from ko_pants.registry.header_numbers import header_number
from ko_pants.registry.request import ReplyTooLarge, TransferFailure

#: Most bytes that are read or sent at once. One send must end within the connect timeout.
CHUNK_BYTES = 64 * 1024
# urllib3 1.26 waits for all that is asked for.
_CHUNK_BYTES_OF_URLLIB3_1 = 8192


class RateMeter:
    """Notices a reply that drips: each byte comes in time, but the whole would take for ever."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._since = config.clock.monotonic()
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count bytes that arrived.

        :raises TransferFailure: fewer than `min_rate` bytes a second in `stall_time`.
        """
        self._bytes += count
        elapsed = self._config.clock.monotonic() - self._since
        if elapsed < self._config.stall_time:
            return
        if self._bytes < elapsed * self._config.min_rate:
            raise TransferFailure(f"the reply drips: {self._bytes} bytes in {elapsed:.0f} s")
        self._since, self._bytes = self._config.clock.monotonic(), 0


def read_some(raw: Any, size: int) -> bytes:
    """The bytes of urllib3's response that have arrived, at most `size`; empty at its end.

    :raises Exception: one of `TRANSPORT_ERRORS`.
    """
    read1 = getattr(raw, "read1", None)
    data: bytes = (
        read1(size) if read1 is not None else raw.read(min(size, _CHUNK_BYTES_OF_URLLIB3_1))
    )
    return data


def read_body(raw: Any, max_bytes: int, config: RegistryConfig) -> bytes:
    """The whole body of urllib3's response. After an error its connection is closed.

    :raises ReplyTooLarge: it has more than `max_bytes`.
    :raises TransferFailure: it drips, or has not as many bytes as `Content-Length` says.
    :raises Exception: one of `TRANSPORT_ERRORS`.
    """
    try:
        return _read_body(raw, max_bytes, RateMeter(config))
    except (ReplyTooLarge, TransferFailure):
        raw.close()
        raise


def _read_body(raw: Any, max_bytes: int, meter: RateMeter) -> bytes:
    parts, total = [], 0
    while True:
        data = read_some(raw, CHUNK_BYTES)
        if not data:
            break
        parts.append(data)
        total += len(data)
        if total > max_bytes:
            raise ReplyTooLarge(f"it is larger than {max_bytes} bytes")
        meter.add(len(data))
    expected = header_number(raw.headers.get("Content-Length", ""))
    if expected is not None and total != expected:
        raise TransferFailure(f"the reply ended after {total} of {expected} bytes")
    return b"".join(parts)
