"""A pool of daemon threads: work left over when a run fails or is interrupted delays no exit.

concurrent.futures joins its threads at exit, which would finish every queued upload first.
"""

from __future__ import annotations

import queue
import threading
from typing import Callable

# One for all tickets: few wait at a time, and there are as many tickets as images.
_changed = threading.Condition()


class Ticket:
    """Some tasks that belong together: wait for all, and learn of the first failure."""

    __slots__ = ("_error", "_open")

    def __init__(self) -> None:
        self._open = 0
        self._error: BaseException | None = None

    def begin(self) -> None:
        """One more task."""
        with _changed:
            self._open += 1

    def end(self, error: BaseException | None) -> None:
        """A task has ended."""
        with _changed:
            self._open -= 1
            if error is not None and self._error is None:
                self._error = error
            if self._open == 0:
                _changed.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for all tasks; False if `timeout` (seconds) is over before.

        :raises BaseException: what the first failing task raised.
        """
        with _changed:
            if self._open and not _changed.wait_for(lambda: self._open == 0, timeout):
                return False
            if self._error is not None:
                raise self._error
            return True

    @property
    def failed(self) -> bool:
        """True as soon as one task has failed."""
        return self._error is not None


def perform(task: Callable[[], None], ticket: Ticket) -> None:
    """Do a task that the ticket knows of already, here and now."""
    try:
        task()
    except BaseException as e:
        ticket.end(e)
    else:
        ticket.end(None)


class WorkerPool:
    """At most `threads` tasks at a time; threads are started as they are needed."""

    def __init__(self, threads: int) -> None:
        self._limit = threads
        self._tasks: queue.SimpleQueue[
            tuple[Callable[[], None], Ticket, Callable[[BaseException], None] | None]
        ] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._pending = 0
        self._closed = False

    def submit(
        self,
        task: Callable[[], None],
        ticket: Ticket,
        dropped: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Run `task` some time soon; its end is told to `ticket`.

        :param dropped: called instead of the task if the pool is closed before it begins.
        """
        ticket.begin()
        with self._lock:
            self._pending += 1
            start = self._threads < min(self._limit, self._pending)
            if start:
                self._threads += 1
        self._tasks.put((task, ticket, dropped))
        if start:
            threading.Thread(target=self._work, name="ko_pants worker", daemon=True).start()

    def close(self) -> None:
        """Drop what has not begun; its tickets learn that."""
        self._closed = True

    def _work(self) -> None:
        while True:
            try:
                task, ticket, dropped = self._tasks.get(timeout=1.0)
            except queue.Empty:
                with self._lock:
                    if self._pending == 0:
                        self._threads -= 1
                        return
                continue
            error: BaseException | None = None
            try:
                if self._closed:
                    error = InterruptedError("the run is over")
                    if dropped is not None:
                        dropped(error)
                else:
                    task()
            except BaseException as e:
                error = e
            with self._lock:
                self._pending -= 1
            ticket.end(error)
