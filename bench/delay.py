"""A proxy on loopback that delays what passes, so that a local server looks like a distant one.

A new connection costs a round trip before its first byte arrives, and each handshake of TLS costs
its own, as in reality. TCP's slow start is not imitated.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass
from typing import Iterator, Optional

_PIECE_BYTES = 1 << 14
# Timers of the same time fire in any order.
_TICK_SECONDS = 1e-6


@dataclass
class Line:
    """The line to a distant server. Its settings may change between runs.

    :param round_trip_seconds: what it takes to get there and back.
    :param bytes_per_second: how much all connections together can send; None: any amount.
    """

    round_trip_seconds: float
    bytes_per_second: Optional[float] = None
    #: Connections that were opened, and bytes that clients sent, since the proxy started.
    connections: int = 0
    bytes_sent: int = 0
    #: Bytes that the server sent.
    bytes_received: int = 0
    _free_at: float = 0.0

    def leaves_at(self, now: float, length: int) -> float:
        """When the last of so many bytes has left, if they are there `now` (seconds).

        The connections of a line take turns.
        """
        self.bytes_sent += length
        if self.bytes_per_second is None:
            return now
        self._free_at = max(now, self._free_at) + length / self.bytes_per_second
        return self._free_at


@contextlib.contextmanager
def delayed(host: str, round_trip_seconds: float, *, listen: str = "127.0.0.1") -> Iterator[str]:
    """The address (`host:port`) of a proxy for `host` that adds this round trip."""
    with behind(host, Line(round_trip_seconds), listen=listen) as address:
        yield address


@contextlib.contextmanager
def behind(host: str, line: Line, *, listen: str = "127.0.0.1") -> Iterator[str]:
    """The address (`host:port`) of a proxy for `host` at the end of a line.

    :param listen: the loopback address of the proxy.
    """
    loop = asyncio.new_event_loop()
    proxy = _Proxy(host, line)
    thread = threading.Thread(target=loop.run_forever, name="delay", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.start(listen), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Proxy:
    def __init__(self, host: str, line: Line) -> None:
        self._address, _, self._port = host.partition(":")
        self._line = line

    async def start(self, listen: str) -> str:
        server = await asyncio.start_server(self._serve, listen, 0, backlog=256)
        return f"{listen}:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._line.connections += 1
        # A connection costs a round trip before the first byte can be sent.
        await asyncio.sleep(self._line.round_trip_seconds)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(
                self._address, self._port
            )
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._copy(reader, upstream_writer, up=True),
            self._copy(upstream_reader, writer, up=False),
        )

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool
    ) -> None:
        """Pass each piece of data on after the delay; the next one does not wait for it."""
        loop = asyncio.get_running_loop()
        arrives = 0.0
        while True:
            try:
                data = await reader.read(_PIECE_BYTES)
            except OSError:
                data = b""
            self._line.bytes_received += 0 if up else len(data)
            sent = self._line.leaves_at(loop.time(), len(data)) if up else loop.time()
            # Never before an earlier piece, if the delay has changed meanwhile.
            arrives = max(arrives + _TICK_SECONDS, sent + self._line.round_trip_seconds / 2)
            if not data:
                loop.call_at(arrives, writer.close)
                return
            loop.call_at(arrives, writer.write, data)
            await asyncio.sleep(max(0.0, sent - loop.time()))
