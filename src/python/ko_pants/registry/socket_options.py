"""Options of sockets by which the system notices that the other end is gone."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Sequence

# A silent connection sends an empty packet after so many seconds, then each `_PROBE_SECONDS`. That
# keeps it in the tables of devices in between, and ends it if three of them get no answer.
_PROBE_AFTER_SECONDS = 30
_PROBE_SECONDS = 10
_PROBES = 3
# So long the other end's system may take to confirm what was sent.
_UNCONFIRMED_SECONDS = 5

_TCP = socket.IPPROTO_TCP
# Python has no names for these of macOS.
_MAC_KEEPALIVE = 0x10
_MAC_CONNECTION_DROP_TIME = 0x80


def _keepalive() -> list[tuple[int, int, int]]:
    options = [(_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    if sys.platform == "darwin":
        options.append((_TCP, _MAC_KEEPALIVE, _PROBE_AFTER_SECONDS))
    for name, value in (
        ("TCP_KEEPIDLE", _PROBE_AFTER_SECONDS),
        ("TCP_KEEPINTVL", _PROBE_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, name):
            options.append((_TCP, getattr(socket, name), value))
    return options


def _supported(options: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Those that this system takes. Some emulations know few."""
    found = []
    with socket.socket() as trial:
        for option in options:
            with contextlib.suppress(OSError):
                trial.setsockopt(*option)
                found.append(option)
    return found


#: For every connection: level, name, value.
OPTIONS = _supported(_keepalive())


def set_options(connection: socket.socket) -> None:
    """Set `OPTIONS`."""
    for level, name, value in OPTIONS:
        connection.setsockopt(level, name, value)


def distrust(connection: socket.socket) -> None:
    """Have sends fail within seconds if the other end's system does not confirm them.

    For the first request over a connection that was silent for long. It says nothing about how long
    the server may take to answer.
    """
    _limit_unconfirmed(connection, _UNCONFIRMED_SECONDS)


def trust(connection: socket.socket) -> None:
    """Take back `distrust`: a slow reader may confirm nothing for long in an upload."""
    _limit_unconfirmed(connection, 0)


def _limit_unconfirmed(connection: socket.socket, seconds: int) -> None:
    # Without it, the timeout of the request has to do.
    with contextlib.suppress(OSError):
        if sys.platform == "darwin":
            connection.setsockopt(_TCP, _MAC_CONNECTION_DROP_TIME, seconds)
        elif hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)
