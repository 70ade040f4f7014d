"""The step that tries again after a failure that may pass."""

from __future__ import annotations

from typing import Callable

from ko_pants.registry.messages import StepMessages
from ko_pants.registry.request import Reply, Request, Send, TransferFailure
from ko_pants.registry.retry import RETRIABLE, Attempts


class Retrying:
    """Repeats a request from its start, as often and as late as its attempts allow. Thread-safe.

    :param attempts: makes the count of attempts of one request.
    """

    def __init__(
        self, send: Send, attempts: Callable[[], Attempts], messages: StepMessages
    ) -> None:
        self._send = send
        self._attempts = attempts
        self._messages = messages

    def send(self, request: Request) -> Reply:
        """The first reply that is final. A request with `retry=False` is sent once.

        :raises RegistryError: no reply came.
        :raises TransferFailure: no reply came, for a request with `retry=False`.
        """
        if not request.retry:
            return self._send(request)
        attempts = self._attempts()
        while True:
            try:
                reply = self._send(request)
            except TransferFailure as e:
                if not attempts.after_failure(e):
                    raise self._messages.unreachable(request, e, attempts.gave_up) from None
                continue
            if reply.status not in RETRIABLE or not attempts.after_reply(reply):
                return reply
