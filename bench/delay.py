"""A proxy on loopback that delays answers, so that a local registry looks like a distant one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Iterator


@contextlib.contextmanager
def delayed(host: str, round_trip_seconds: float) -> Iterator[str]:
    """The address (`host:port`) of a proxy for `host` that adds this round trip."""
    loop = asyncio.new_event_loop()
    proxy = _Proxy(host, round_trip_seconds / 2)
    thread = threading.Thread(target=loop.run_forever, name="delay", daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(proxy.start(), loop).result(10)
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
    def __init__(self, host: str, way_seconds: float) -> None:
        self._address, _, self._port = host.partition(":")
        self._way_seconds = way_seconds

    async def start(self) -> str:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A connection costs a round trip before the first byte can be sent.
        await asyncio.sleep(2 * self._way_seconds)
        upstream_reader, upstream_writer = await asyncio.open_connection(self._address, self._port)
        await asyncio.gather(
            self._copy(reader, upstream_writer), self._copy(upstream_reader, writer)
        )

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass each piece of data on after the delay; the next one does not wait for it."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await reader.read(1 << 16)
            except OSError:
                data = b""
            if not data:
                loop.call_later(self._way_seconds, writer.close)
                return
            loop.call_later(self._way_seconds, writer.write, data)
