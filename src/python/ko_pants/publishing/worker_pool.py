"""A pool of daemon threads: work that is left when a run fails or is interrupted delays no exit.

`concurrent.futures` joins its threads at the exit of the process, and would finish every upload in
its queue first.
"""

from __future__ import annotations

import queue
import threading
from typing import Callable

_IDLE_SECONDS = 1.0

Task = Callable[[], None]
OnDropped = Callable[[BaseException], None]


class TaskGroup:
    """Tasks that belong together. The caller waits for all of them, and gets the first failure.

    :param changed: is notified when the last task ends; groups may share it.
    """

    __slots__ = ("_changed", "_error", "_open")

    def __init__(self, changed: threading.Condition | None = None) -> None:
        self._changed = changed or threading.Condition()
        self._open = 0
        self._error: BaseException | None = None

    def begin(self) -> None:
        """Count one more task."""
        with self._changed:
            self._open += 1

    def end(self, error: BaseException | None = None) -> None:
        """Count a task as ended; `error` is why it failed."""
        with self._changed:
            self._open -= 1
            if error is not None and self._error is None:
                self._error = error
            if self._open == 0:
                self._changed.notify_all()

    def run(self, task: Task) -> None:
        """Run a task in this thread. `begin` has counted it already."""
        try:
            task()
        except BaseException as e:
            self.end(e)
        else:
            self.end()

    @property
    def done(self) -> bool:
        """True if `wait` would not wait."""
        return self._open == 0

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait until all tasks have ended; False if the time is over before.

        :raises BaseException: what the first failing task raised.
        """
        with self._changed:
            if self._open and not self._changed.wait_for(lambda: self._open == 0, timeout_seconds):
                return False
            if self._error is not None:
                raise self._error
            return True


class WorkerPool:
    """Runs at most `threads` tasks at a time. Threads are started as they are needed."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._tasks: queue.SimpleQueue[tuple[Task, TaskGroup, OnDropped | None]] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        # There are as many groups as images, and few are waited for at a time: one condition is
        # enough for all.
        self._changed = threading.Condition()
        self._started = 0
        self._pending = 0
        self._closed = False

    def group(self) -> TaskGroup:
        """A new group without tasks."""
        return TaskGroup(self._changed)

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Wait until `condition` is true. Tried when a group of the pool is done, and at `wake`.

        :returns: False if the time is over before.
        """
        with self._changed:
            return self._changed.wait_for(condition, timeout_seconds)

    def wake(self) -> None:
        """Have those who `wait_for` something try it again."""
        with self._changed:
            self._changed.notify_all()

    def submit(self, task: Task, group: TaskGroup, on_dropped: OnDropped | None = None) -> None:
        """Run `task` in a thread; its end is told to `group`.

        :param on_dropped: called instead of the task if the pool is closed before the task begins.
        """
        group.begin()
        with self._lock:
            self._pending += 1
            start = self._started < min(self.threads, self._pending)
            if start:
                self._started += 1
        self._tasks.put((task, group, on_dropped))
        if start:
            threading.Thread(target=self._work, name="ko_pants worker", daemon=True).start()

    def close(self) -> None:
        """Drop the tasks that have not begun. Their groups fail with `InterruptedError`."""
        self._closed = True

    def _work(self) -> None:
        while True:
            try:
                task, group, on_dropped = self._tasks.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._pending == 0:
                        self._started -= 1
                        return
                continue
            error: BaseException | None = None
            try:
                if self._closed:
                    error = InterruptedError("the run is over")
                    if on_dropped is not None:
                        on_dropped(error)
                else:
                    task()
            except BaseException as e:
                error = e
            with self._lock:
                self._pending -= 1
            group.end(error)
