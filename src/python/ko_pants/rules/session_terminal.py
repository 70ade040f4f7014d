"""The terminal of the user, for threads of ours that outlive the rule that started them."""

from __future__ import annotations

import logging
import sys
import weakref
from types import FrameType
from typing import Any, Callable

from pants.engine.internals.native_engine import (
    stdio_thread_get_destination,
    stdio_thread_set_destination,
)
from pants.engine.internals.scheduler import SchedulerSession

logger = logging.getLogger(__name__)

_RUN_GOAL = SchedulerSession.run_goal_rule.__code__
# What Pants calls last of a session.
_LAST = SchedulerSession.wait_for_tail_tasks.__name__


def _session() -> SchedulerSession | None:
    """The session whose goal runs now; None if nobody can say which.

    Pants hands it to no rule, but the thread that began the run has it on its stack.
    """
    found: list[SchedulerSession] = []
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code is _RUN_GOAL:
                found.append(frame.f_locals["self"])
                break
            frame = frame.f_back
    return found[0] if len(found) == 1 else None


def has_user_interface() -> bool:
    """True if Pants' user interface shows what the session of the calling rule does."""
    try:
        sys.stderr.fileno()
    except Exception as e:
        # What Pants says where something else writes to the terminal.
        return "exclusive" in str(e)
    return False


class SessionOutput:
    """Where the output of a session goes; made in a rule.

    In a daemon that is the client that has asked for the run. Without this, a thread of ours would
    write into the log of the daemon. When the run is over, lines go there too.
    """

    def __init__(self) -> None:
        self._destination = stdio_thread_get_destination()

    def say(self, line: str) -> None:
        """Write a line as Pants writes its own at the level `info`."""
        # Where a user interface or a process has the terminal, the logger takes its turn.
        stdio_thread_set_destination(self._destination)
        logger.info(line)

    def is_plain(self) -> bool:
        """True if neither a user interface nor a process has the terminal."""
        stdio_thread_set_destination(self._destination)
        try:
            sys.stderr.fileno()
        except Exception:
            return False
        return True


class SessionTerminal(SessionOutput):
    """The same, and whether the run is over."""

    def __init__(self) -> None:
        super().__init__()
        session = _session()
        self._session = None if session is None else weakref.ref(session)

    def is_over(self) -> bool:
        """True if the run has ended or was interrupted; False if nobody can say."""
        if self._session is None:
            return False
        session = self._session()
        return session is None or session.is_cancelled

    def at_end(self, act: Callable[[], object]) -> None:
        """Have `act` called when the run ends or is interrupted, while the user still reads.

        Pants has no hook for that. But the last thing that it does with a session is to wait for
        what the engine does behind the run, such as writes to a remote cache. So this session, and
        no other, has something done before it waits.
        """
        session = self._session() if self._session is not None else None
        if session is None:
            return
        reference = weakref.ref(session)

        def wait_for_tail_tasks(timeout: Any) -> None:
            ending = reference()
            assert ending is not None
            # From here on the method of the class is called again.
            del vars(ending)[_LAST]
            try:
                act()
            except Exception as e:
                logger.debug("at the end of the run: %s", e)
            ending.wait_for_tail_tasks(timeout)

        vars(session)[_LAST] = wait_for_tail_tasks
